/** What the observer says of the LACPDUs on a wire. Every reason and kind is explained in docs/replay.md. */
import type { BundleReason, LacpEndSaid, MuxState, PortReason, ReceiveState } from "./events.ts";

/** What an end says of itself, in the words of a port; `not-heard`: nothing, for as long as its partner waits. */
export type SeenReason =
  | Extract<
      PortReason,
      | "carrying"
      | "silent"
      | "no-partner"
      | "loopback"
      | "listening"
      | "negotiating"
      | "partner-out-of-sync"
      | "partner-not-collecting"
    >
  | "not-heard";

/** One end of a link says something new, or nothing any more. */
export interface SeenPortEvent {
  readonly type: "lacp.port";
  /** Of the capture. */
  readonly interface: string;
  /** Hardware address that the LACPDUs come from. */
  readonly port: string;
  /** The LAG ID of IEEE 802.1AX §6.3.6.1, short: both systems with their keys. */
  readonly bundle: string;
  /** As its own state octet says. */
  readonly receive: ReceiveState;
  readonly mux: MuxState;
  readonly actor: LacpEndSaid;
  readonly partner: LacpEndSaid;
  readonly reason: SeenReason;
  /** Whether reason or partner are others than before; without, only what it says of its partner's state or the like is. */
  readonly news: boolean;
  readonly frame: number;
}

/** A link has come into, or left, the agreement of two systems. */
export interface SeenBundleEvent {
  readonly type: "lacp.bundle";
  readonly bundle: string;
  readonly up: boolean;
  /** Links over which both ends say that they send and receive. */
  readonly members: number;
  readonly reason: BundleReason;
  readonly frame: number;
}

export type LacpAnomalyKind =
  | "silent-partner"
  | "flapping"
  | "system-change"
  | "key-change"
  | "duplicate-port"
  | "two-partners"
  | "loopback"
  | "tx-limit";

export interface SeenAnomaly {
  readonly type: "anomaly";
  readonly kind: LacpAnomalyKind;
  readonly interface: string;
  readonly frame: number;
  readonly detail: string;
}

/** A slow protocol frame that no receiver would take. */
export interface SeenDrop {
  readonly type: "lacp.drop";
  readonly interface: string;
  readonly frame: number;
  readonly reason: "length" | "tlv-type" | "capture-cut" | "tagged";
}

export type LacpSeen = SeenPortEvent | SeenBundleEvent | SeenAnomaly | SeenDrop;
