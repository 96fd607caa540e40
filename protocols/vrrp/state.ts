/** The state of all virtual routers of one node: plain records, written by the machine only. */
import { type Family, familyOf, type Ip, ipBytes, isLinkLocal, type Mac, parsePrefix } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Change, Env, Output, Port } from "../../src/core/machine.ts";
import { type Duration, type Instant, instant, NEVER } from "../../src/core/time.ts";
import { IP_PORT, type IpVirtual } from "../ip/events.ts";
import type { Advert, ChecksumForm } from "./codec.ts";
import type { RouterConfig, VrrpConfig } from "./config.ts";
import { enter, type Waiting } from "./deadlines.ts";
import type { DropReason, Standing, StateReason, VrrpEvent, VrrpStateName } from "./events.ts";
import type { Sequence } from "./hmac.ts";

/** How something tracked stands of which nobody has said anything: a lab's, until its script does. */
export const UNSAID: Standing = { up: true, value: 0 };

/** Senders remembered for one router; the one heard longest ago makes room. */
export const MAX_PEERS_KEPT = 16;

export type VrrpOutput = Output<VrrpEvent, Change & IpVirtual>;

/** A sender of valid adverts for one router: shown, and used to say each mismatch once. */
export interface Peer {
  readonly address: Ip;
  priority: number;
  interval: Duration;
  version: 2 | 3;
  checksumForms: readonly ChecksumForm[];
  /** Whether its adverts come from the virtual router's MAC (RFC 9568 §7.2). */
  virtualMac: boolean;
  heard: Instant;
  adverts: number;
  /** Since when it is heard without a break, how often since, and at which interval: what is missing between was lost. */
  since: Instant;
  run: number;
  runInterval: Duration;
  /** When it was last heard in version 3, for RFC 9568 §8.4.2. */
  heardV3: Instant;
  /** Of the key that its last advert was signed with; undefined for one that was not, or that nobody verified. */
  keyId: number | undefined;
  /** Of its last signed advert. */
  sequence: Sequence | undefined;
  /** What was said about it already. */
  readonly said: Set<string>;
}

/** The last advert that was acted on, so that the same octets need not be judged again. */
export interface Remembered {
  /** Undefined, and no octets, of a signed one: its octets never come again, unless somebody replays them. */
  readonly frame: Frame | undefined;
  readonly bytes: Uint8Array;
  readonly advert: Advert;
  readonly checksumForms: readonly ChecksumForm[];
  /** Of the sender's address against the local primary one. */
  readonly order: number;
  readonly sameAddresses: boolean;
  readonly peer: Peer;
  /** Whether hearing it again would only set the down timer again: then it is noted here, and `catchUp` does the rest. */
  steady: boolean;
  /** How often it was heard since, and when last. */
  repeats: number;
  heard: Instant;
}

/** As RFC 6527 counts them, and which checksum form peers use. */
export interface Counters {
  advertsSent: number;
  advertsReceived: number;
  priorityZeroSent: number;
  priorityZeroReceived: number;
  masterTransitions: number;
  /** Adverts sent at once to assert the master state. */
  asserts: number;
  intervalMismatches: number;
  addressListMismatches: number;
  /** Adverts received whose signature is right. */
  authenticated: number;
  /** Valid adverts by the form of their checksum; one that fits both counts in both. */
  readonly checksum: Record<ChecksumForm, number>;
  readonly dropped: Partial<Record<DropReason, number>>;
}

/** One virtual router of this node: RFC 9568 §6.1, §6.2. */
export interface Router extends Waiting {
  /** Another one after a reload (configure.ts). */
  config: RouterConfig;
  readonly interface: Interface;
  /** Another router of the same VRID, family and interface, for other unicast peers. */
  twin: Router | undefined;
  readonly group: Group | undefined;
  /** The addresses as a set. */
  addressSet: string;
  state: VrrpStateName;
  /** Between `start` and `stop`. */
  enabled: boolean;
  /** A reload has taken it away: it is here only for as long as it goes on answering. */
  retired: boolean;
  draining: boolean;
  /** Why it came into its state, and when. */
  reason: StateReason;
  changed: Instant;
  /** Why it is in "initialize" or "fault"; "startup" before it ever ran. */
  outFor: StateReason;
  /** As configured or commanded. */
  base: number;
  /** With what is tracked: what is sent and compared. */
  priority: number;
  /** What is tracked adds up to this; unlike `priority - base` it knows no bounds. */
  added: number;
  /** Something tracked means fault. */
  trackedDown: boolean;

  /** Active_Adver_Interval of RFC 9568 §6.1: the backup's timers, never what this router sends. */
  masterInterval: Duration;
  /** When Active_Down_Timer was set, why, and when it fires. All reasons but "master-timeout" mean Skew_Time alone. */
  downFrom: Instant;
  downReason: "master-timeout" | "priority-zero" | "preempt";
  downAt: Instant;
  /** The timer was late, and this is the second look. */
  listening: boolean;
  /** The timer fired for this reason, and the sync group waits for its other members. */
  wants: StateReason | undefined;
  /** When the lower master that is let be for `preemptDelay` will be preempted. */
  preemptAt: Instant;
  /** That time is over: lower adverts no longer hold it back. */
  preempting: boolean;
  /** When a lower advert was last passed over. */
  lowerHeard: Instant;

  adverAt: Instant;
  advertSent: Instant;
  announceAt: Instant;
  /** Rounds of announcements that are over, and frames of the one that is not. */
  rounds: number;
  announced: number;
  /** When the last round began. */
  announcedAt: Instant;
  routerAdvertAt: Instant;
  /** Until when the addresses are still answered for, at most, after the router has left; NEVER for one that has not. */
  lingerUntil: Instant;
  /** The earliest of `preemptAt`, `announceAt`, `routerAdvertAt` and `lingerUntil`. */
  rareAt: Instant;

  /** For `checksum: auto`. */
  form: ChecksumForm;
  /** What `frames.ts` has built; emptied when anything in it changes. A signature is for one transmission. */
  memo: readonly VrrpOutput[] | undefined;
  /** Likewise: gratuitous ARP or neighbour advertisements. */
  announcement: readonly VrrpOutput[] | undefined;
  /** Of the last advert that it has signed. */
  sequence: Sequence | undefined;
  last: Remembered | undefined;
  readonly peers: Map<Ip, Peer>;
  readonly counters: Counters;
  /** Whether the host was told to hold the addresses. */
  applied: boolean;
}

export interface Group {
  readonly name: string;
  readonly members: Router[];
}

/** An interface that carries routers, or is tracked by them. */
export interface Interface {
  readonly port: Port;
  up: boolean;
  mac: Mac;
  /** As the host said them, in its order. */
  addresses: readonly Ip[];
  readonly ipv4: Table;
  readonly ipv6: Table;
  readonly routers: Router[];
  /** Whether any router here has unicast peers. */
  unicast: boolean;
  readonly drops: Map<DropReason, DropRecord>;
}

export interface DropRecord {
  count: number;
  /** Until when the next one is counted only. */
  quietUntil: Instant;
}

/** Virtual routers of one interface and family. */
export interface Table {
  readonly family: Family;
  /** RFC 9568 §5.1.1.1, §5.1.2.1: where adverts come from; undefined without one. */
  primary: Ip | undefined;
  /** The last one that there was. */
  former: Ip | undefined;
  primaryBytes: Uint8Array | undefined;
  /** By VRID. */
  readonly routers: (Router | undefined)[];
  /** The only version that is spoken here; undefined where there are both. */
  version: 2 | 3 | undefined;
  /** By VRID: the last valid advert for one that is not configured, so that it is judged once. */
  readonly strangers: (Uint8Array | undefined)[];
}

export interface VrrpState {
  readonly node: string;
  readonly ipPort: Port;
  readonly routers: Router[];
  /** Whether any of them is retired. */
  retiring: boolean;
  /** By port index. */
  readonly interfaces: (Interface | undefined)[];
  readonly byName: Map<string, Interface>;
  /** All that is tracked but interfaces, by name. */
  readonly objects: Map<string, Standing>;
  readonly heap: Router[];
  /** When what came up is looked at together: at the end of the instant in which it did. */
  reviewAt: Instant;
  /** Of the input that is being worked on. */
  now: Instant;
  /** UTC at the instant 0, in microseconds since 1970; 0 where no host has a wall clock. */
  utc: number;
  /** What comes out of it. */
  out: readonly VrrpOutput[];
  /** Whether `out` is somebody's list that must not grow. */
  borrowed: boolean;
}

/**
 * What `out` is between inputs. A fresh array for each input would hang on a state that is old, and the collector of
 * young garbage would have to keep it.
 */
export const NO_OUTPUT: readonly VrrpOutput[] = [];

/** Adds to what comes out of the input that is being worked on. */
export function put(turn: Turn, output: VrrpOutput): void {
  if (turn.out === NO_OUTPUT || turn.borrowed) turn.out = [...turn.out, output];
  else (turn.out as VrrpOutput[]).push(output);
  turn.borrowed = false;
}

/** Adds a list that stays as it is; where it is all that comes out, without a copy. */
export function putAll(turn: Turn, outputs: readonly VrrpOutput[]): void {
  if (turn.out === NO_OUTPUT) {
    turn.out = outputs;
    turn.borrowed = true;
  } else {
    for (const output of outputs) put(turn, output);
  }
}

/** The state while an input is being worked on: `now` is its time, `out` takes what it brings about. */
export type Turn = VrrpState;

export function createState(config: VrrpConfig, env: Env): VrrpState {
  const byName = new Map<string, Interface>();
  const interfaces: (Interface | undefined)[] = [];
  const groups = new Map<string, Group>();
  const objects = new Map<string, Standing>();
  const heap: Router[] = [];
  const interfaceOf = (name: string): Interface => {
    const known = byName.get(name);
    if (known !== undefined) return known;
    const port = env.port(name);
    const made = newInterface(port, env.mac(port));
    byName.set(name, made);
    interfaces[port.index] = made;
    return made;
  };
  const groupOf = (name: string | undefined): Group | undefined => {
    if (name === undefined) return undefined;
    const group = groups.get(name) ?? { name, members: [] };
    groups.set(name, group);
    return group;
  };
  const routers = config.map((one) => {
    const router = createRouter(one, interfaceOf(one.interface), groupOf(one.group));
    for (const tracked of one.tracked) {
      if (tracked.kind === "interface") interfaceOf(tracked.name);
      else objects.set(tracked.name, UNSAID);
    }
    enter(heap, router);
    return router;
  });
  const ipPort = env.port(IP_PORT);
  const now = instant(0);
  return {
    node: env.node,
    ipPort,
    routers,
    retiring: false,
    interfaces,
    byName,
    objects,
    heap,
    reviewAt: NEVER,
    now,
    utc: 0,
    out: NO_OUTPUT,
    borrowed: false,
  };
}

export function newInterface(port: Port, mac: Mac): Interface {
  return {
    port,
    up: false,
    mac,
    addresses: [],
    ipv4: newTable("ipv4"),
    ipv6: newTable("ipv6"),
    routers: [],
    unicast: false,
    drops: new Map(),
  };
}

function newTable(family: Family): Table {
  return {
    family,
    primary: undefined,
    former: undefined,
    primaryBytes: undefined,
    version: 3,
    routers: [],
    strangers: [],
  };
}

export function createRouter(config: RouterConfig, face: Interface, group: Group | undefined): Router {
  const router: Router = {
    config,
    interface: face,
    twin: undefined,
    group,
    addressSet: addressSet(config.addresses.map(({ address }) => address)),
    state: "initialize",
    enabled: true,
    retired: false,
    draining: false,
    reason: "startup",
    changed: instant(0),
    outFor: "startup",
    base: config.priority,
    priority: config.priority,
    added: 0,
    trackedDown: false,
    masterInterval: config.interval,
    downFrom: NEVER,
    downReason: "master-timeout",
    downAt: NEVER,
    listening: false,
    wants: undefined,
    preemptAt: NEVER,
    preempting: false,
    lowerHeard: instant(-1),
    adverAt: NEVER,
    advertSent: instant(-1),
    announceAt: NEVER,
    rounds: 0,
    announced: 0,
    announcedAt: instant(Number.NEGATIVE_INFINITY),
    routerAdvertAt: NEVER,
    lingerUntil: NEVER,
    rareAt: NEVER,
    form: config.checksum === "pseudo-header" ? "pseudo-header" : "message",
    memo: undefined,
    announcement: undefined,
    sequence: undefined,
    last: undefined,
    peers: new Map(),
    counters: {
      advertsSent: 0,
      advertsReceived: 0,
      priorityZeroSent: 0,
      priorityZeroReceived: 0,
      masterTransitions: 0,
      asserts: 0,
      intervalMismatches: 0,
      addressListMismatches: 0,
      authenticated: 0,
      checksum: { message: 0, "pseudo-header": 0 },
      dropped: {},
    },
    applied: false,
    due: NEVER,
    queued: NEVER,
    place: 0,
  };
  const table = tableOf(router);
  const version = config.migration ? undefined : config.version;
  const first = table.routers.length === 0;
  table.version = first || table.version === version ? version : undefined;
  router.twin = table.routers[config.vrid];
  table.routers[config.vrid] = router;
  face.routers.push(router);
  group?.members.push(router);
  if (config.peers.length > 0) face.unicast = true;
  return router;
}

/** RFC 9568 §7.1: lists are compared as sets, for telling only. */
export function addressSet(addresses: readonly Ip[]): string {
  return [...addresses].sort().join(" ");
}

export function tableOf(router: Router): Table {
  return router.config.family === "ipv4" ? router.interface.ipv4 : router.interface.ipv6;
}

/**
 * Takes over the addresses that the host says an interface has.
 * RFC 9568 §5.1.1.1: the primary IPv4 address, here the first; §5.1.2.1: the link-local one. A virtual address that
 * some host has put on the interface itself is not primary, unless its router owns it.
 * @returns whether a primary address is another one now.
 */
export function setAddresses(face: Interface, texts: readonly string[]): boolean {
  const addresses: Ip[] = [];
  for (const text of texts) {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) addresses.push(prefix.address);
  }
  face.addresses = addresses;
  return choosePrimaries(face);
}

/** @returns whether a primary address is another one now. */
export function choosePrimaries(face: Interface): boolean {
  const { addresses } = face;
  const virtual = new Set<Ip>();
  for (const { config, base } of face.routers) {
    if (base !== 255) for (const { address } of config.addresses) virtual.add(address);
  }
  const own = addresses.filter((address) => !virtual.has(address));
  const primary4 = own.find((address) => familyOf(address) === "ipv4");
  const primary6 = own.find(isLinkLocal);
  const changed4 = setPrimary(face.ipv4, primary4);
  return setPrimary(face.ipv6, primary6) || changed4;
}

function setPrimary(into: Table, primary: Ip | undefined): boolean {
  if (into.primary === primary) return false;
  into.former = into.primary;
  into.primary = primary;
  into.primaryBytes = primary === undefined ? undefined : ipBytes(primary);
  return true;
}
