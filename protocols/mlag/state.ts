/** What one peer of a pair knows and has decided: plain records, written by the machine only. */
import { compareIp, type Mac } from "../../src/core/addr.ts";
import { type Duration, type Instant, NEVER, sec } from "../../src/core/time.ts";
import type { GoodbyeCause, Item, PortStateItem, RoleItem } from "../iccp/events.ts";
import type { MlagConfig } from "./config.ts";
import type { Cause, MemberState, MlagEvent, MlagReason, Reported, Role } from "./events.ts";

/** How long a half waits for the peer to acknowledge isolation before it carries traffic without. */
export const ISOLATION_CAP = sec(1);
/** Each loss of the session adds 1000; it halves in this time. */
export const PENALTY = 1_000;
export const HALF_LIFE = sec(15);
/** With so much a secondary's members stay out when the session returns, until it is no more than REUSE. */
export const SUPPRESS = 1_500;
export const REUSE = 750;
/** After the loss of a session over a link that still carries: how long its frames are kept from the members. */
export const ISOLATION_KEPT = sec(3);
/** Bit 15 of the port number, as Cisco's vPC and Arista's MLAG mark the second chassis. */
export const PORT_OFFSET = 0x8000;

export interface Partner {
  readonly system: Mac;
  readonly priority: number;
  readonly key: number;
}

/** One M-LAG: the half here, and what is known of the one at the peer. */
export interface Half {
  readonly id: number;
  readonly port: string;
  /** It carries frames. */
  up: boolean;
  /** Who speaks LACP at its other end. */
  partner: Partner | undefined;
  links: number;
  /** An operator has taken it out of service. */
  stopped: boolean;

  /** `asked`: the peer has been asked to isolate; `open`: it has acknowledged, or the wait is over. */
  gate: "closed" | "asked" | "open";
  request: number;
  gateUntil: Instant;

  /** What lacp has been told, and why. Undefined before it has been told anything. */
  hold: boolean | undefined;
  suspended: boolean;
  why: MlagReason;
  /** When the partner has left a half that is to be suspended; NEVER for one that does not drain. */
  drainUntil: Instant;
  /** The system id that its partner is told; undefined before lacp has been told. */
  lacpSystem: Mac | undefined;

  /** The peer's half; undefined while the peer has not said it in this session. */
  peer: PortStateItem["state"] | undefined;
  peerPartner: Partner | undefined;
  /** It is about to carry frames. */
  peerAsks: boolean;

  /** What the bridge has been told. */
  isolated: "none" | "floods" | "all";
  redirected: boolean;

  /** As it was last said, to people and to the peer. */
  said: { local: boolean; peer: boolean; state: MemberState; reason: MlagReason } | undefined;
  told: PortStateItem["state"] | undefined;
}

/** What a message on the keepalive path says of its sender. */
export interface Sighting {
  readonly system: Mac;
  readonly priority: number;
  readonly rank: number;
}

/**
 * Where this node stands. `waiting`: it has had no session since its start; `paired`; after a loss: `deciding` whether the
 * peer is alive, `peer-alive`: it answered after the loss; `departed`: it said goodbye; `silent`: it is on no path;
 * `alone`: nobody came in the time of `auto-recovery`.
 */
export type Situation = "waiting" | "paired" | "deciding" | "peer-alive" | "departed" | "silent" | "alone";

/** A station, as far as the pair shares it. */
export interface MacRecord {
  readonly vlan: number;
  readonly mac: Mac;
  /** M-LAG id, 0 for an orphan of whoever has it. */
  id: number;
  /** Heard here, and had by the peer. */
  local: boolean;
  peer: boolean;
  /** Of the switch itself: it stays while the switch is there. */
  permanent: boolean;
  /** Of the newest word about where it is. */
  sequence: number;
  /** When it moved lately. */
  moves: readonly Instant[];
}

export interface MlagState {
  readonly config: MlagConfig;
  /** This node's own, which breaks ties. */
  readonly system: Mac;
  running: boolean;
  startedAt: Instant;

  peerLink: boolean;
  session: boolean;
  epoch: number;
  peerRole: RoleItem | undefined;
  /** The peer's tables have come in whole. */
  synced: boolean;
  goodbye: GoodbyeCause | undefined;
  /** When the last session was lost; NEVER before the first session and while there is one. */
  lostAt: Instant;
  lostReason: MlagReason;
  /** Whether the keepalive was up at the loss: one that was silent before proves nothing. */
  heardAtLoss: boolean;

  keepalive: boolean;
  /** The session is up and the keepalive is not, and that was said. */
  degraded: boolean;
  heardAt: Instant;
  sighting: Sighting | undefined;
  /** The peer has answered a question that was asked after the loss. */
  proven: boolean;

  situation: Situation;
  role: Role | undefined;
  /** Primary in the place of a primary that is gone. */
  takenOver: boolean;
  /**
   * What the pair is to LACP: of the domain, or a switch's own, once it has been in doubt whether the other lives. Who
   * joins takes the primary's, so that no partner has to leave a half that serves.
   */
  lacpSystem: Mac;
  maintenance: boolean;
  /** Members wait for the tables and the restore delay. */
  needsRestore: boolean;
  restoreAt: Instant;
  /** The wait is longer than `restore-delay` because the session has flapped. */
  dampened: boolean;
  penalty: number;
  penaltyAt: Instant;

  readonly halves: Half[];
  readonly macs: Map<string, MacRecord>;
  /** Lamport's clock of the tables: above everything that was seen. */
  sequence: number;
  requests: number;

  /** When which fact was last said: what later events name as their cause. */
  readonly causes: Map<string, Cause>;
  lastRole: { role: Role; alone: boolean } | undefined;
  /** What this input has led to: events in their order, and items for the peer. */
  says: MlagEvent[];
  tells: Item[];
}

export function initialState(config: MlagConfig, system: Mac): MlagState {
  return {
    config,
    system,
    running: false,
    startedAt: NEVER,
    peerLink: false,
    session: false,
    epoch: 0,
    peerRole: undefined,
    synced: false,
    goodbye: undefined,
    lostAt: NEVER,
    lostReason: "start",
    heardAtLoss: false,
    keepalive: false,
    degraded: false,
    heardAt: NEVER,
    sighting: undefined,
    proven: false,
    situation: "waiting",
    role: undefined,
    takenOver: false,
    lacpSystem: config.system,
    maintenance: false,
    needsRestore: true,
    restoreAt: NEVER,
    dampened: false,
    penalty: 0,
    penaltyAt: 0 as Instant,
    halves: config.members.map(({ port, id }) => newHalf(port, id)),
    macs: new Map(),
    sequence: 0,
    requests: 0,
    causes: new Map(),
    lastRole: undefined,
    says: [],
    tells: [],
  };
}

function newHalf(port: string, id: number): Half {
  return {
    id,
    port,
    up: false,
    partner: undefined,
    links: 0,
    stopped: false,
    gate: "closed",
    request: 0,
    gateUntil: NEVER,
    hold: undefined,
    suspended: false,
    why: "start",
    drainUntil: NEVER,
    lacpSystem: undefined,
    peer: undefined,
    peerPartner: undefined,
    peerAsks: false,
    isolated: "none",
    redirected: false,
    said: undefined,
    told: undefined,
  };
}

/**
 * Added to LACP port numbers so that the halves of a bundle never have one twice.
 * DEPARTS: not the secondary's, as other designs have it: roles change, and a port number that changes with them would
 * make every host negotiate anew. The higher keepalive address is known from the files alone.
 */
export function portOffsetOf({ keepalive }: MlagConfig): number {
  return compareIp(keepalive.address.address, keepalive.peer) < 0 ? 0 : PORT_OFFSET;
}

/** Notes and says a fact; `from` is the type of the event that led to it. */
export function say(state: MlagState, event: Reported, now: Instant, from?: string): void {
  const cause = from === undefined ? undefined : state.causes.get(from);
  state.says.push(cause === undefined || "alarm" in event ? event : { ...event, cause });
  state.causes.set(event.type, { type: event.type, at: now });
}

/** The earlier one. */
export function sooner(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}

/** The penalty as it has decayed. */
export function penaltyAt({ penalty, penaltyAt: at }: MlagState, now: Instant): number {
  return penalty * 0.5 ** ((now - at) / HALF_LIFE);
}

/** How long until a penalty is no more than REUSE. */
export function reuseAfter(penalty: number): Duration {
  return Math.max(0, Math.ceil(HALF_LIFE * Math.log2(penalty / REUSE))) as Duration;
}
