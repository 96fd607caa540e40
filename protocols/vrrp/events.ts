/** What the VRRP machine says, is told, and wishes. Every reason is explained in docs/vrrp-reasons.md. */
import type { Family } from "../../src/core/addr.ts";
import type { VrrpReason } from "./codec.ts";

/** Of one virtual router. "initialize" and the others of RFC 9568 §6.3; "fault" where something outside forbids it. */
export type VrrpStateName = "initialize" | "backup" | "master" | "fault";

export const STATE_REASONS = [
  "startup",
  "owner",
  "master-timeout",
  "priority-zero",
  "preempt",
  "higher-priority",
  "address-tiebreak",
  "shutdown",
  "interface-down",
  "interface-up",
  "no-address",
  "address-added",
  "tracking",
  "sync-group",
  "reconfigured",
] as const;
/** Why a virtual router changed its state. */
export type StateReason = (typeof STATE_REASONS)[number];

export const AUTH_REASONS = ["auth-missing", "auth-window", "auth-key", "auth-signature", "auth-replay"] as const;
/** Why an advert was not believed, in the order in which it is looked at: draft-cassen-vrrp-auth-hmac. */
export type AuthReason = (typeof AUTH_REASONS)[number];

/** Why an advert was not acted on: the codec's reasons, and those that depend on the receiver. */
export type DropReason =
  | VrrpReason
  | "ip"
  | "fragment"
  | "auth"
  | AuthReason
  | "address-list"
  | "first-address"
  | "own-address"
  | "source"
  | "destination"
  | "migration";

interface OfRouter {
  readonly interface: string;
  readonly vrid: number;
  readonly family: Family;
}

export interface VrrpStateEvent extends OfRouter {
  readonly type: "vrrp.state";
  readonly from: VrrpStateName;
  readonly to: VrrpStateName;
  /** The effective one: with what is tracked. */
  readonly priority: number;
  readonly reason: StateReason;
}

export interface VrrpPriorityEvent extends OfRouter {
  readonly type: "vrrp.priority";
  readonly from: number;
  readonly priority: number;
  readonly reason: "command" | "tracking" | "drain";
}

/** Said at most once a second for each interface and reason; `count` is how many there were so far. */
export interface VrrpDropEvent {
  readonly type: "vrrp.drop";
  readonly interface: string;
  /** Absent when the packet has none. */
  readonly vrid?: number;
  readonly family: Family;
  readonly reason: DropReason;
  readonly count: number;
}

/** A peer that is configured differently but obeyed; said once for each peer and each value it says. */
export interface VrrpMismatchEvent extends OfRouter {
  readonly type: "vrrp.mismatch";
  readonly peer: string;
  readonly what: "interval" | "address-list" | "owner-conflict" | "checksum" | "authentication" | "clock";
  readonly ours: string;
  readonly theirs: string;
}

/** The process was not run in time: what was due is looked at afresh before it is done. */
export interface VrrpStalledEvent extends OfRouter {
  readonly type: "vrrp.stalled";
  /** Seconds by which the timer was late. */
  readonly late: number;
}

/** A member's master is silent, but the sync group cannot take over: another member still hears its own. */
export interface VrrpBlockedEvent extends OfRouter {
  readonly type: "vrrp.blocked";
  readonly group: string;
}

export type VrrpEvent =
  | VrrpStateEvent
  | VrrpPriorityEvent
  | VrrpDropEvent
  | VrrpMismatchEvent
  | VrrpStalledEvent
  | VrrpBlockedEvent;

/** Which routers a command is for; all where nothing is named. */
export interface Which {
  readonly interface?: string | undefined;
  readonly vrid?: number | undefined;
  readonly family?: Family | undefined;
}

/** How something tracked stands. */
export interface Standing {
  readonly up: boolean;
  /** Of a file with `content: value`; undefined while it is not known, or nobody has said. */
  readonly value?: number | undefined;
  /** What was found, for people: "exit code 1". */
  readonly why?: string | undefined;
}

export type VrrpCommand =
  /** `stop`: a graceful release; `drain`: priority 1 until `start`, so that a peer takes over without a gap. */
  | ({ readonly verb: "start" | "stop" | "drain" } & Which)
  | ({ readonly verb: "priority"; readonly priority: number } & Which)
  /** How something tracked stands, but for interfaces. */
  | ({ readonly verb: "track"; readonly name: string } & Standing);
