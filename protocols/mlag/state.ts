/** What one peer of a pair knows and has decided: plain records, written by the machine only. */
import { compareIp, type Mac } from "../../src/core/addr.ts";
import { type Duration, type Instant, NEVER, sec } from "../../src/core/time.ts";
import type { ConsistencyItem, GoodbyeCause, Item, PortStateItem, RoleItem } from "../iccp/events.ts";
import type { MlagConfig } from "./config.ts";
import type { Mismatch } from "./consistency.ts";
import type { AgreementAlarm, Cause, MemberEvent, MlagEvent, MlagReason, Reported, Role } from "./events.ts";
import { type GatewayState, newGateways } from "./gateway.ts";
import { newTables, type Tables } from "./tables.ts";

/** How long a half waits for the peer to acknowledge isolation before it carries traffic without. */
export const ISOLATION_CAP = sec(1);
/** Each loss of the session adds 1000; it halves in this time. */
export const PENALTY = 1_000;
export const HALF_LIFE = sec(15);
/** With so much a secondary's members stay out when the session returns, until it is no more than REUSE. */
export const SUPPRESS = 1_500;
export const REUSE = 750;
/**
 * How long the frames of a peer link that carries are kept from members without a session, after its loss and from the
 * moment at which the link is whole: the other's halves may carry, too.
 */
export const ISOLATION_KEPT = sec(3);
/** Bit 15 of the port number, as Cisco's vPC and Arista's MLAG mark the second chassis. */
export const PORT_OFFSET = 0x8000;

export interface Partner {
  readonly system: Mac;
  readonly priority: number;
  readonly key: number;
}

/** The far end of a link: nobody; a partner, who agrees or not; nobody, and the link would carry all the same. */
export type LinkWord = "silent" | "heard" | "in-sync" | "individual" | "static";

/** One M-LAG: the half here, and what is known of the one at the peer. */
export interface Half {
  readonly id: number;
  readonly port: string;
  /** It carries frames; it takes them, as one does that leaves, until its partner has stopped. */
  up: boolean;
  collects: boolean;
  /** Who speaks LACP at its other end. */
  partner: Partner | undefined;
  links: number;
  /** An operator has taken it out of service. */
  stopped: boolean;

  /** What LACP says of its links; a partner has come into agreement since that was last looked at. */
  readonly ends: Map<string, LinkWord>;
  knocked: boolean;

  /**
   * `asked`: the peer has been asked to isolate; `open`: it has acknowledged, or the wait is over; `lapsed`: the half did
   * not come all the same, and the peer need not isolate any more.
   */
  gate: "closed" | "asked" | "open" | "lapsed";
  request: number;
  gateUntil: Instant;
  /** It carries frames without an acknowledgement, and that was said. */
  capped: boolean;

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
  /** The two were one host when both were last known; if they are not now, until when that is borne. */
  agreed: boolean;
  mismatchUntil: Instant;
  /** It is about to carry frames. */
  peerAsks: boolean;
  /** What the peer said of its isolation. */
  peerIsolation: { readonly wanted: boolean; readonly installed: boolean };

  /** What the bridge has been told. */
  isolated: "none" | "floods" | "all";
  redirected: boolean;
  excluded: readonly number[];

  /** As it was last said, to people and to the peer. */
  said: Pick<MemberEvent, "local" | "peer" | "state" | "reason" | "detail" | "until"> | undefined;
  /** All that was said of isolation, as bits. */
  saidIsolation: number;
  told: PortStateItem["state"] | undefined;
  /** Links whose partner asked for LACPDUs every 30 s: it takes 90 s to miss them. */
  readonly slow: Set<string>;
}

/** A port without M-LAG that is out of service while the members are. */
export interface Orphan {
  readonly port: string;
  suspended: boolean;
  reason: MlagReason;
  until: Instant;
}

/** What the peers' files have in common: agreement.ts. */
export interface Agreement {
  /** Of this node's file. */
  items: readonly ConsistencyItem[];
  /** Of the peer's, as last said in whole; undefined for a peer that says none. */
  theirs: readonly ConsistencyItem[] | undefined;
  /** Whether that was in this session. */
  fresh: boolean;
  /** A list that is coming in; how many there will be. */
  coming: ConsistencyItem[];
  awaited: number;
  /** Both lists have been compared as they are now. */
  compared: boolean;
  /** The result is acted on: there is a peer that acts on it, too. */
  stands: boolean;
  mismatches: readonly Mismatch[];
  /** Alarms that are raised: by what differs, in which words. */
  readonly raised: Map<string, { readonly alarm: AgreementAlarm; readonly detail: string }>;
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

export interface MlagState {
  readonly config: MlagConfig;
  /** This node's own, which breaks ties. */
  readonly system: Mac;
  running: boolean;
  startedAt: Instant;

  peerLink: boolean;
  /**
   * Without a session: until when the frames of a peer link that carries are kept from members; NEVER for not at all.
   * `shieldAll`: from all of them, and not only from those that were isolated.
   */
  shieldUntil: Instant;
  shieldAll: boolean;
  /** The bridge has been told not to learn from the peer link. */
  deaf: boolean;
  session: boolean;
  epoch: number;
  peerRole: RoleItem | undefined;
  /** The peer is SONiC's iccpd: addresses decide who is primary. */
  foreign: boolean;
  /** The peer's tables have come in whole. */
  synced: boolean;
  goodbye: GoodbyeCause | undefined;
  /** This node has said goodbye: its members drain. */
  leaving: GoodbyeCause | undefined;
  /** Until then an announced restart, of the peer or of this process, may take; NEVER without one. */
  graceUntil: Instant;
  /** The session is away for a restart, and all is as if it were not. */
  away: boolean;
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
  readonly orphans: readonly Orphan[];
  /** When orphans that were suspended return; NEVER while that is not known. */
  orphansAt: Instant;
  readonly agreement: Agreement;
  readonly gateway: GatewayState;
  /** What the pair shares: stations and neighbours. */
  readonly tables: Tables;
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
    shieldUntil: NEVER,
    shieldAll: false,
    deaf: false,
    session: false,
    epoch: 0,
    peerRole: undefined,
    foreign: false,
    synced: false,
    goodbye: undefined,
    leaving: undefined,
    graceUntil: NEVER,
    away: false,
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
    orphans: config.orphans.suspend.map((port) => ({ port, suspended: false, reason: "start", until: NEVER })),
    orphansAt: NEVER,
    agreement: {
      items: config.items ?? [],
      theirs: undefined,
      fresh: false,
      coming: [],
      awaited: 0,
      compared: true,
      stands: true,
      mismatches: [],
      raised: new Map(),
    },
    gateway: newGateways(),
    tables: newTables(),
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
    collects: false,
    partner: undefined,
    links: 0,
    stopped: false,
    ends: new Map(),
    knocked: false,
    gate: "closed",
    request: 0,
    gateUntil: NEVER,
    capped: false,
    hold: undefined,
    suspended: false,
    why: "start",
    drainUntil: NEVER,
    lacpSystem: undefined,
    peer: undefined,
    peerPartner: undefined,
    agreed: false,
    mismatchUntil: NEVER,
    peerAsks: false,
    peerIsolation: { wanted: false, installed: false },
    isolated: "none",
    redirected: false,
    excluded: [],
    said: undefined,
    saidIsolation: 0,
    told: undefined,
    slow: new Set(),
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

/** Notes what something may come from later: a fact that another machine says, a port's link, an order. */
export function note(state: MlagState, key: string, type: string, now: Instant): void {
  state.causes.set(key, { type, at: now });
}

/** Notes and says a fact; `from` is what it comes from: the type of an event of this machine, or a key of `note`. */
export function say(state: MlagState, event: Reported, now: Instant, from?: string): void {
  const cause = from === undefined ? undefined : state.causes.get(from);
  state.says.push(cause === undefined || !("reason" in event) ? event : { ...event, cause });
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
