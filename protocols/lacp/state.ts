/** The state of all bundles of one node: plain records, written by the machine only. */
import type { Mac } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Duplex, Env, Output, Port } from "../../src/core/machine.ts";
import { type Duration, type Instant, instant, ms, NEVER, sec } from "../../src/core/time.ts";
import { type LacpInfo, STATE } from "./codec.ts";
import type { BundleConfig, LacpConfig } from "./config.ts";
import type { BundleReason, LacpDropReason, LacpEvent, MuxState, PortReason, ReceiveState } from "./events.ts";

// IEEE 802.1AX §6.4.4.
export const FAST_PERIODIC = sec(1);
export const SLOW_PERIODIC = sec(30);
export const SHORT_TIMEOUT = sec(3);
export const LONG_TIMEOUT = sec(90);
export const CHURN_DETECTION = sec(60);
/** IEEE 802.1AX §6.4.16: LACPDUs in any Fast_Periodic_Time. */
export const TX_LIMIT = 3;
/** How long what is not urgent waits for more to say: a negotiation then fits into the three LACPDUs of a second. */
export const TX_SETTLE: Duration = ms(1);
/** How long a port that must leave goes on collecting, so that its partner can stop first. */
export const DRAIN_TIME: Duration = ms(400);
/** Frames that wait in one bundle while their flows move to other links; more are dropped. */
export const FLUSH_FRAMES = 4_096;
/**
 * How long a bundle whose own system id has changed stays up without a link, for its partner to agree anew: what stands
 * on it (a VLAN's gateway) need not begin afresh for that. A Linux bond takes about 0.3 s. No frame passes meanwhile.
 */
export const RENAMING: Duration = sec(1);

export type LacpOutput = Output<LacpEvent>;
export type Selected = LacpPort["selected"];

export interface ChurnSide {
  state: "monitor" | "churn" | "no-churn";
  until: Instant;
  count: number;
}

/** One link: an Aggregation Port of the standard. */
export interface LacpPort {
  readonly bundle: Bundle;
  readonly port: Port;
  /** Of its interface, as it is now. */
  mac: Mac;
  /** Its number in LACPDUs, before the M-LAG's offset; from 1. */
  readonly number: number;
  priority: number;
  up: boolean;
  /** Bits per second; 0 where nobody knows. */
  speed: number;
  /** Undefined where nobody knows. */
  duplex: Duplex | undefined;
  /** A reload has taken it out of its bundle. */
  removed: boolean;

  receive: ReceiveState;
  portMoved: boolean;
  /** The partner was heard, and has stopped speaking while there was carrier. */
  silent: boolean;
  /** When its last LACPDU came; NEVER when none has. */
  heardAt: Instant;
  currentWhile: Instant;
  /** Actor_Oper_Port_State. */
  state: number;
  /** Partner_Oper_*: what is held about the other end. */
  partner: LacpInfo;

  periodic: "none" | "fast" | "slow";
  periodicAt: Instant;

  selected: "unselected" | "standby" | "selected";
  /** Why it is not selected. */
  obstacle: PortReason | undefined;
  /** Carries frames without a partner. */
  fallback: boolean;

  mux: MuxState;
  /** Aggregate_Wait: when it is ready to attach. */
  waitUntil: Instant;
  /** Until when it collects for a partner that has yet to stop distributing; NEVER when it does not drain. */
  drainUntil: Instant;
  /** It has carried frames, and was lost since: wait-to-restore is for it. */
  lost: boolean;
  restoreUntil: Instant;

  ntt: boolean;
  urgent: boolean;
  /** When what is not urgent is to be said. */
  settleAt: Instant;
  /** When the last TX_LIMIT LACPDUs left, the earliest first. */
  readonly sent: Instant[];

  readonly actorChurn: ChurnSide;
  readonly partnerChurn: ChurnSide;

  /** The marker that flows wait for: its transaction, and until when they do. */
  transaction: number;
  flushUntil: Instant;

  readonly counters: {
    received: number;
    transmitted: number;
    markers: number;
    /** Of those. */
    answered: number;
    /** To markers of the partner. */
    responses: number;
    readonly dropped: Map<LacpDropReason, { count: number; quietUntil: Instant }>;
  };
  /** What the last `lacp.port` was about. */
  said: string;
  /** When it was said. */
  changed: Instant;
}

/** Where the frames of a bundle go: distribution.ts. */
export interface Distribution {
  /** Links that carry frames, in the order of the configuration. */
  links: readonly LacpPort[];
  /** By bucket: the link; as of the last time that there was one. */
  table: LacpPort[];
  /** By bucket: the link whose marker it waits for; undefined when it flows. */
  readonly waits: (LacpPort | undefined)[];
  /** Buckets that wait. */
  waiting: number;
  /** Frames that waited, and found no link in the end. */
  lost: number;
  /** Frames of waiting buckets, in the order in which they came. */
  readonly queue: { readonly bucket: number; readonly frame: Frame }[];
}

/** One Aggregator. */
export interface Bundle {
  config: BundleConfig;
  readonly port: Port;
  readonly members: LacpPort[];
  key: number;
  fast: boolean;
  system: Mac;
  systemPriority: number;
  portOffset: number;
  /** The last two are M-LAG's, and the file's no more. */
  renamed: boolean;
  enabled: boolean;
  draining: boolean;
  /** The word given with `mlag.hold`, `mlag.suspend`. */
  held: string | undefined;
  suspended: string | undefined;
  /** LAG ID of the links that are one bundle. */
  lag: string | undefined;
  /** What the last `lacp.partner` said. */
  partnerSaid: string;
  fallback: boolean;
  fallbackAt: Instant;
  up: boolean;
  /** Of the last `lacp.bundle`, and when it was said; NEVER when none was. */
  reason: BundleReason;
  changed: Instant;
  /** See RENAMING; in the past for a bundle that is what it was. */
  renamedUntil: Instant;
  /** Members that the last `lacp.bundle` said. */
  said: number;
  /** What the last `lacp.collecting` said. */
  collecting: boolean;
  /** When its machines want to run, as of the last time that they did. */
  alarm: Instant;
  readonly distribution: Distribution;
}

export interface LacpState {
  readonly bundles: Bundle[];
  readonly ports: LacpPort[];
  /** By port index. */
  readonly memberOf: (LacpPort | undefined)[];
  readonly bundleOf: (Bundle | undefined)[];
  alarm: Instant;
  transactions: number;
  /** Of the input that is being worked on. */
  now: Instant;
  out: readonly LacpOutput[];
}

/** The state while an input is being worked on: `now` is its time, `out` takes what it brings about. */
export type Turn = LacpState;

/** What `out` is between inputs: see protocols/vrrp/state.ts. */
export const NO_OUTPUT: readonly LacpOutput[] = [];

export function put(turn: Turn, output: LacpOutput): void {
  if (turn.out === NO_OUTPUT) turn.out = [output];
  else (turn.out as LacpOutput[]).push(output);
}

export function say(turn: Turn, event: LacpEvent): void {
  put(turn, { kind: "event", event });
}

/** IEEE 802.1AX §6.4.7: Partner_Admin_*, nobody. Its rate is ours, so that a partner that was silent is found as fast. */
export function partnerAdmin(bundle: Bundle): LacpInfo {
  return bundle.fast ? NOBODY_FAST : NOBODY_SLOW;
}

export const NO_SYSTEM = "00:00:00:00:00:00" as Mac;
const NOBODY_SLOW: LacpInfo = {
  systemPriority: 0,
  system: NO_SYSTEM,
  key: 0,
  portPriority: 0,
  port: 0,
  state: 0,
};
const NOBODY_FAST: LacpInfo = { ...NOBODY_SLOW, state: STATE.shortTimeout };

/** What this end says of itself. */
export function actorOf(port: LacpPort): LacpInfo {
  const { bundle } = port;
  return {
    systemPriority: bundle.systemPriority,
    system: bundle.system,
    key: bundle.key,
    portPriority: port.priority,
    port: (port.number + bundle.portOffset) & 0xffff,
    state: port.state,
  };
}

export function has(state: number, bit: number): boolean {
  return (state & bit) !== 0;
}

/** Sets bits of the actor's state. */
export function raise(port: LacpPort, bits: number): void {
  port.state |= bits;
}

/** Clears bits of the actor's state. */
export function lower(port: LacpPort, bits: number): void {
  port.state &= ~bits;
}

/** NTT of IEEE 802.1AX §6.4.8. `urgent`: what the partner must know at once, because frames are at stake. */
export function needToTransmit(turn: Turn, port: LacpPort, urgent: boolean): void {
  if (!port.ntt) port.settleAt = instant(turn.now + TX_SETTLE);
  port.ntt = true;
  port.urgent ||= urgent;
}

/** LACP_Enabled: IEEE 802.1AX §6.4.8. */
export function lacpEnabled(port: LacpPort): boolean {
  return port.bundle.enabled;
}

export function collects(port: LacpPort): boolean {
  return has(port.state, STATE.collecting);
}

/** IEEE 802.1AX, clause 1: it is about full-duplex links only. Of virtual ones mostly nobody knows. */
export function isHalfDuplex({ duplex }: LacpPort): boolean {
  return duplex === "half";
}

export function distributes(port: LacpPort): boolean {
  return has(port.state, STATE.distributing);
}

export function createState(config: LacpConfig, env: Env): LacpState {
  const memberOf: (LacpPort | undefined)[] = [];
  const bundleOf: (Bundle | undefined)[] = [];
  const ports: LacpPort[] = [];
  const bundles = config.map((one) => {
    const bundle = createBundle(one, env);
    for (const { port, priority } of one.members) {
      const member = createPort(bundle, env, port, priority, ports.length + 1);
      bundle.members.push(member);
      ports.push(member);
    }
    bundleOf[bundle.port.index] = bundle;
    return bundle;
  });
  for (const port of ports) memberOf[port.port.index] = port;
  return {
    bundles,
    ports,
    memberOf,
    bundleOf,
    alarm: NEVER,
    transactions: 0,
    now: instant(0),
    out: NO_OUTPUT,
  };
}

/** One without links so far. */
export function createBundle(config: BundleConfig, env: Env): Bundle {
  const port = env.port(config.name);
  return {
    config,
    port,
    members: [],
    key: config.key,
    fast: config.fast,
    system: config.system ?? env.mac(port),
    systemPriority: config.systemPriority,
    portOffset: 0,
    renamed: false,
    enabled: true,
    draining: false,
    held: undefined,
    suspended: undefined,
    lag: undefined,
    partnerSaid: "",
    fallback: false,
    fallbackAt: NEVER,
    up: false,
    reason: "no-member",
    changed: NEVER,
    renamedUntil: instant(0),
    said: 0,
    collecting: false,
    alarm: NEVER,
    distribution: { links: [], table: [], waits: [], waiting: 0, lost: 0, queue: [] },
  };
}

export function createPort(bundle: Bundle, env: Env, name: string, priority: number, number: number): LacpPort {
  const port = env.port(name);
  const side = (): ChurnSide => ({ state: "monitor", until: NEVER, count: 0 });
  const made: LacpPort = {
    bundle,
    port,
    mac: env.mac(port),
    number,
    priority,
    up: false,
    speed: 0,
    duplex: undefined,
    removed: false,
    receive: "initialize",
    portMoved: false,
    silent: false,
    heardAt: NEVER,
    currentWhile: NEVER,
    state: 0,
    partner: NOBODY_SLOW,
    periodic: "none",
    periodicAt: NEVER,
    selected: "unselected",
    obstacle: undefined,
    fallback: false,
    mux: "detached",
    waitUntil: NEVER,
    drainUntil: NEVER,
    lost: false,
    restoreUntil: instant(0),
    ntt: false,
    urgent: false,
    settleAt: NEVER,
    sent: [],
    actorChurn: side(),
    partnerChurn: side(),
    transaction: 0,
    flushUntil: NEVER,
    counters: { received: 0, transmitted: 0, markers: 0, answered: 0, responses: 0, dropped: new Map() },
    said: "",
    changed: instant(0),
  };
  setAdministrative(made);
  return made;
}

/** Bits of the actor's state that configuration decides, and the link: one that is half duplex is no aggregate's. */
export function setAdministrative(port: LacpPort): void {
  const { config, fast } = port.bundle;
  lower(port, STATE.activity | STATE.shortTimeout | STATE.aggregation);
  if (config.active) raise(port, STATE.activity);
  if (fast) raise(port, STATE.shortTimeout);
  if (!config.individual && !isHalfDuplex(port)) raise(port, STATE.aggregation);
}
