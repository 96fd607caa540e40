/** What the M-LAG machine says: to people and views, and to the machines of its node that carry out what it decides. */
import type { Ip, Mac } from "../../src/core/addr.ts";

/** Every reason of this protocol; `docs/mlag-reasons.md` explains each. */
export const MLAG_REASONS = [
  "start",
  "hello",
  "session-lost",
  "peer-link-down",
  "peer-goodbye",
  "lower-priority",
  "lower-mac",
  "by-address",
  "sticky",
  "preempted",
  "peer-alive",
  "peer-dead",
  "split",
  "auto-recovery",
  "heard",
  "answered",
  "keepalive-timeout",
  "keepalive-link-down",
  "local-up",
  "local-down",
  "peer-up",
  "peer-down",
  "isolation-pending",
  "syncing",
  "restore-delay",
  "restored",
  "dampened",
  "maintenance",
  "operator",
  "partner-mismatch",
  "duplicate-partner",
  "digest-differs",
  "count-differs",
  "resent",
  "consistency",
  "leaving",
  "restart",
  "stalled",
  "no-peer",
  "no-keepalive",
  "single-leg",
  "slow-partner",
] as const;
export type MlagReason = (typeof MLAG_REASONS)[number];

/** A message on the keepalive path that was not acted on; `docs/mlag-reasons.md` explains each. */
export const KEEPALIVE_DROPS = [
  "keepalive-address",
  "keepalive-udp",
  "keepalive-length",
  "keepalive-magic",
  "keepalive-version",
  "keepalive-field",
  "keepalive-unsigned",
  "keepalive-unknown-key",
  "keepalive-signature",
  "keepalive-domain",
  "keepalive-own",
  "keepalive-replayed",
  "keepalive-stale",
] as const;
export type KeepaliveDropReason = (typeof KEEPALIVE_DROPS)[number];

export type Role = "primary" | "secondary";
export type MemberState = "active-full" | "active-partial" | "suspended" | "inactive";

/** What an event comes from: the type of an earlier event of this node, and when it was said (microseconds). */
export interface Cause {
  readonly type: string;
  readonly at: number;
}

interface Explained {
  readonly reason: MlagReason;
  /** Absent where nothing but configuration or an operator is the cause. */
  readonly cause?: Cause;
}

/** The control session with the peer. */
export interface SessionEvent extends Explained {
  readonly type: "mlag.session";
  readonly up: boolean;
  /** Number of the session, counted by this node from 1; 0 before the first. */
  readonly epoch: number;
}

export interface RoleEvent extends Explained {
  readonly type: "mlag.role";
  readonly role: Role;
  readonly priority: number;
  /** Whether it acts as primary because the peer is gone, in words of Cisco: "secondary, operational primary". */
  readonly alone: boolean;
}

export interface KeepaliveEvent extends Explained {
  readonly type: "mlag.keepalive";
  readonly up: boolean;
}

/** One M-LAG: its two halves, and what becomes of it here. */
export interface MemberEvent extends Explained {
  readonly type: "mlag.member";
  readonly id: number;
  /** Port of the local half. */
  readonly port: string;
  /** Whether the halves are up. */
  readonly local: boolean;
  readonly peer: boolean;
  readonly state: MemberState;
  /** What the reason is about, with both sides' values: the item, both hosts, the penalty. */
  readonly detail?: string;
  /** When a wait ends that time alone ends (microseconds). */
  readonly until?: number;
}

/** Isolation of a half from the peer link: what is to be, what is, and what the peer says of its own. */
export interface IsolationEvent {
  readonly type: "mlag.isolation";
  readonly id: number;
  readonly port: string;
  /** Because the peer's half carries, or is about to. */
  readonly wanted: boolean;
  readonly installed: "none" | "floods" | "all";
  /** Whether the peer has been asked to keep frames from its half, and whether it said that it does. */
  readonly asked: boolean;
  readonly acknowledged: boolean;
  readonly peerWanted: boolean;
  readonly peerInstalled: boolean;
}

/** What became of an order to go into maintenance, or out of it. */
export interface MaintenanceEvent extends Explained {
  readonly type: "mlag.maintenance";
  readonly on: boolean;
  readonly of: "reboot" | "peer-link";
  readonly refused: boolean;
  /** Of a refusal: what speaks against it. Of an order by force: what spoke against it. */
  readonly detail: string;
}

/** What the peers' files do not have in common, by what follows from it; see consistency.ts. */
export type AgreementAlarm = "type-1-mismatch" | "vlan-mismatch" | "type-2-mismatch";

/** Every alarm; those of `AgreementAlarm` among them. */
export const MLAG_ALARMS = [
  "split",
  "degraded",
  "type-1-mismatch",
  "vlan-mismatch",
  "type-2-mismatch",
  "mac-flap",
  "isolation-cap",
] as const;

/** Something that an operator has to see; `detail` has both sides' values. */
export interface AlarmEvent {
  readonly type: "mlag.alarm";
  readonly alarm: (typeof MLAG_ALARMS)[number];
  readonly active: boolean;
  readonly detail: string;
}

/** Said at most once a second for each reason. */
export interface DropEvent {
  readonly type: "mlag.drop";
  readonly reason: KeepaliveDropReason;
  /** How many there were so far. */
  readonly count: number;
}

/**
 * An audit, or the end of a synchronisation, has found that a table here is not what the peer has said; or what was wrong
 * has been said anew (`resent`). `entries`: how many at least, or were corrected. VLAN 0: the whole table.
 */
export interface DriftEvent extends Explained {
  readonly type: "mlag.drift";
  readonly table: "mac" | "arp" | "nd";
  readonly vlan: number;
  readonly entries: number;
}

export type Reported =
  | SessionEvent
  | RoleEvent
  | KeepaliveEvent
  | MemberEvent
  | AlarmEvent
  | IsolationEvent
  | MaintenanceEvent
  | OrphanEvent
  | DriftEvent;

// --- to lacp ---

/** What a bundle tells its partner that it is: two chassis with one system id and disjoint port numbers. */
export interface LacpSystem {
  readonly type: "mlag.system";
  /** Name of the bundle: "agg1". */
  readonly bundle: string;
  readonly system: Mac;
  readonly priority: number;
  /** Added to each port number: 0 or 0x8000 (802.1AX-2014 §9 reserves the high bits for the same purpose). */
  readonly portOffset: number;
}

/** SYNC is withheld: nothing may flow through the bundle, but its partner is still told of it. */
export interface LacpHold {
  readonly type: "mlag.hold";
  readonly bundle: string;
  readonly hold: boolean;
  readonly reason: MlagReason;
}

/** The bundle is out of service: it carries nothing, in either direction. LACPDUs go on, with SYNC = 0. */
export interface LacpSuspend {
  readonly type: "mlag.suspend";
  readonly bundle: string;
  readonly suspended: boolean;
  readonly reason: MlagReason;
}

// --- to bridge ---

/**
 * Frames received on `from` never leave on `to`; `only: "floods"` where those for one known station do: while the peer's
 * half is about to come, the host has no other way.
 */
export interface BridgeIsolate {
  readonly type: "mlag.isolate";
  readonly from: string;
  readonly to: string;
  readonly isolated: boolean;
  readonly only?: "floods";
}

/** Whether source addresses are learned on the port: on a peer link the session tells where stations are. */
export interface BridgeLearning {
  readonly type: "mlag.learning";
  readonly port: string;
  readonly learning: boolean;
}

/**
 * While `port` is down, frames for the stations behind it leave by `via`, and the stations are kept.
 * Without `via`, a port that is down has no stations.
 */
export interface BridgeRedirect {
  readonly type: "mlag.redirect";
  readonly port: string;
  readonly via?: string;
}

/** The peer has, or no longer has, a station, which from here is behind `port`. */
export interface BridgeMac {
  readonly type: "mlag.mac";
  readonly vlan: number;
  readonly mac: Mac;
  readonly port: string;
  readonly present: boolean;
}

/** The VLANs that a member's port is not to carry although its file says so; a later list replaces the earlier. */
export interface BridgeVlans {
  readonly type: "mlag.vlans";
  readonly port: string;
  readonly excluded: readonly number[];
}

/** To people as to the bridge: an orphan port is out of service, nothing passes in either direction; or is back. */
export interface OrphanEvent extends Explained {
  readonly type: "mlag.orphan";
  readonly port: string;
  readonly suspended: boolean;
  /** When it returns, once that is known (microseconds). */
  readonly until?: number;
}

/** The peer is gone: what only it knew is kept as if heard now, and ages from here on. */
export interface BridgeAdopt {
  readonly type: "mlag.adopt";
}

/** The peer has said all that it has: what else is behind the port to it is nobody's. */
export interface BridgeSweep {
  readonly type: "mlag.sweep";
  readonly port: string;
}

// --- to ip ---

/** From here on this machine wants to hear `ip.neighbour`. */
export interface NeighboursWanted {
  readonly type: "mlag.neighbours";
}

/** The peer has, or no longer has, heard from a neighbour in a VLAN. */
export interface PeerNeighbour {
  readonly type: "mlag.neighbour";
  /** The routed port: "vlan10". */
  readonly port: string;
  readonly address: Ip;
  readonly mac: Mac;
  readonly present: boolean;
}

// --- to bridge and ip ---

/**
 * Under which MACs this switch routes, beside the interface's: its own, as master of virtual routers, and those that
 * it shares with its peer. What came for a shared one and is for the peer itself it sends on as it came. One for each
 * routed port; a later one replaces the earlier whole.
 */
export interface Gateway {
  readonly type: "mlag.gateway";
  /** The routed port: "vlan10". */
  readonly port: string;
  /** What comes from here is the peer's to have decided: it is never taken. */
  readonly peerLink: string;
  readonly own: readonly Mac[];
  /** Shared; none of `own`. */
  readonly macs: readonly Mac[];
  /** All that the peer takes packets for in this VLAN. */
  readonly addresses: readonly Ip[];
}

export type ToBridge =
  | BridgeIsolate
  | BridgeLearning
  | BridgeRedirect
  | BridgeMac
  | BridgeAdopt
  | BridgeSweep
  | Gateway
  | BridgeVlans
  | OrphanEvent;
export type ToIp = NeighboursWanted | PeerNeighbour | Gateway;
export type ToLacp = LacpSystem | LacpHold | LacpSuspend;
export type MlagEvent = Reported | DropEvent | ToBridge | ToIp | ToLacp;
