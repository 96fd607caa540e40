/** What the LACP machine says and is told. Every reason is explained in docs/lacp-reasons.md. */
import type { Mac } from "../../src/core/addr.ts";

/** IEEE 802.1AX §6.4.12. */
export type ReceiveState = "initialize" | "port-disabled" | "lacp-disabled" | "expired" | "defaulted" | "current";
/** IEEE 802.1AX §6.4.15: independent control, and the one state that coupled control has in place of the last two. */
export type MuxState = "detached" | "waiting" | "attached" | "collecting" | "distributing" | "collecting-distributing";

/**
 * What keeps a port from carrying frames, the first of them that is so; "carrying" and "fallback" for one that does.
 * It is a function of the state: the same state has the same reason.
 */
export const PORT_REASONS = [
  "carrying",
  "fallback",
  "removed",
  "stopped",
  "link-down",
  "listening",
  "silent",
  "no-partner",
  "loopback",
  "half-duplex",
  "other-partner",
  "other-speed",
  "suspended",
  "hold",
  "drain",
  "min-links",
  "standby",
  "wait-to-restore",
  "aggregate-wait",
  "negotiating",
  "partner-out-of-sync",
  "partner-not-collecting",
] as const;
export type PortReason = (typeof PORT_REASONS)[number];

/** Why a bundle has the state and the number of members that it has. */
export const BUNDLE_REASONS = [
  "member-joined",
  "member-left",
  "no-member",
  "min-links",
  "fallback",
  "renamed",
] as const;
export type BundleReason = (typeof BUNDLE_REASONS)[number];

/** One end of the link, as LACPDUs say it. */
export interface LacpEndSaid {
  readonly system: Mac;
  readonly key: number;
  readonly port: number;
  /** Two hex digits: "0x3f", as captures show it. */
  readonly state: string;
}

/** A machine of the port changed its state, or the partner said something new. */
export interface LacpPortEvent {
  readonly type: "lacp.port";
  readonly port: string;
  readonly bundle: string;
  readonly receive: ReceiveState;
  readonly mux: MuxState;
  readonly selected: "unselected" | "standby" | "selected";
  readonly actor: LacpEndSaid;
  readonly partner: LacpEndSaid;
  readonly reason: PortReason;
  /** It carries without a partner, or would if nobody withheld it: it alone, or with the bundle's others. */
  readonly fallback?: "individual" | "static";
  /** Who withholds, in the word that was given with `mlag.hold` or `mlag.suspend`. */
  readonly cause?: string;
}

export interface LacpBundleEvent {
  readonly type: "lacp.bundle";
  readonly bundle: string;
  readonly up: boolean;
  /** Ports that frames are distributed to. */
  readonly members: number;
  readonly reason: BundleReason;
}

/**
 * Whether any port of the bundle takes frames: one that leaves goes on collecting until its partner has stopped, when the
 * bundle is down already.
 */
export interface LacpCollectingEvent {
  readonly type: "lacp.collecting";
  readonly bundle: string;
  readonly collecting: boolean;
}

/** Who is at the other end of the bundle, as soon as it is heard; without `system` when nobody is. */
export interface LacpPartnerEvent {
  readonly type: "lacp.partner";
  readonly bundle: string;
  readonly system?: Mac;
  readonly priority?: number;
  readonly key?: number;
}

/** A port could not come, or came, into agreement with its partner for a minute: IEEE 802.1AX §6.4.17. */
export interface LacpChurnEvent {
  readonly type: "lacp.churn";
  readonly port: string;
  readonly bundle: string;
  /** Whose Synchronization bit is missing. */
  readonly side: "actor" | "partner";
  readonly churned: boolean;
  /** How often it was so. */
  readonly count: number;
}

export const LACP_DROPS = ["length", "subtype", "tlv-type", "marker-unsolicited"] as const;
export type LacpDropReason = (typeof LACP_DROPS)[number];

/** A slow protocol frame that was not acted on; said at most once a second for each port and reason. */
export interface LacpDropEvent {
  readonly type: "lacp.drop";
  readonly port: string;
  readonly reason: LacpDropReason;
  /** How many there were so far. */
  readonly count: number;
}

export type LacpEvent =
  | LacpPortEvent
  | LacpBundleEvent
  | LacpCollectingEvent
  | LacpPartnerEvent
  | LacpChurnEvent
  | LacpDropEvent;

/** Where a command names no bundle it is for all. */
export type LacpCommand =
  /** `stop`: no LACPDUs, no frames; `drain`: the partner is asked to stop first (SYNC = 0), until `start`. */
  | { readonly verb: "start" | "stop" | "drain"; readonly bundle?: string | undefined }
  /** The key of a bundle: it is negotiated afresh. */
  | { readonly verb: "key"; readonly bundle: string; readonly key: number }
  /** The priority of a port. */
  | { readonly verb: "priority"; readonly port: string; readonly priority: number }
  | { readonly verb: "rate"; readonly bundle?: string | undefined; readonly rate: "fast" | "slow" };
