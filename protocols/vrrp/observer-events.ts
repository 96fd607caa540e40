/** What a listener that never sends says of the virtual routers on a wire. Every word is explained in docs/replay.md. */
import type { Family, Ip } from "../../src/core/addr.ts";
import type { DropReason } from "./events.ts";

/** Why the master seen on the wire is another one now. */
export type MasterReason = "first-seen" | "higher-priority" | "address-tiebreak" | "priority-zero" | "master-timeout";

export type AnomalyKind =
  | "address-list"
  | "interval"
  | "interval-change"
  | "priority-change"
  | "owner-conflict"
  | "version"
  | "checksum"
  | "unicast"
  | "source-mac"
  | "ttl"
  | "late"
  | "early-takeover"
  | "copies";

interface OfRouter {
  readonly interface: string;
  readonly vrid: number;
  readonly family: Family;
}

/** A router of one version: versions do not hear each other, so each elects a master of its own. */
interface OfElection extends OfRouter {
  readonly version: 2 | 3;
}

export interface VrrpMasterEvent extends OfElection {
  readonly type: "vrrp.master";
  readonly address: Ip;
  readonly priority: number;
  /** The first advert that it sent as the master. */
  readonly frame: number;
  readonly reason: MasterReason;
  /** Who was it before; absent for the first. */
  readonly previous?: Ip;
  /** Seconds from the previous master's last advert to the new one's first. */
  readonly gap?: number;
}

/** Nobody advertises: not for the down interval since the last advert, or since the release. */
export interface VrrpSilentEvent extends OfElection {
  readonly type: "vrrp.silent";
  /** Who was the master. */
  readonly address: Ip;
  /** Its last advert. */
  readonly frame: number;
  /** Seconds; when that was. */
  readonly since: number;
  readonly reason: "master-timeout" | "priority-zero";
}

/** A router gave up its place: priority 0. */
export interface VrrpReleasedEvent extends OfElection {
  readonly type: "vrrp.released";
  readonly address: Ip;
  readonly frame: number;
}

/** Several routers go on advertising beside each other. Said again when one more joins them. */
export interface VrrpDuplicateEvent extends OfRouter {
  readonly type: "vrrp.duplicate-master";
  readonly addresses: readonly Ip[];
  /** Of them, the one that should stay: the highest priority, then the highest address. */
  readonly rightful: Ip;
  /** The advert with which it began, and its time in seconds. */
  readonly frame: number;
  readonly since: number;
}

export interface VrrpDuplicateEndEvent extends OfRouter {
  readonly type: "vrrp.duplicate-end";
  readonly addresses: readonly Ip[];
  /** Who is left. */
  readonly remaining: readonly Ip[];
  /** The last advert of the one that stopped, and its time in seconds. */
  readonly frame: number;
  readonly since: number;
  readonly until: number;
}

/** An advert that no receiver would take. */
export interface VrrpBrokenEvent {
  readonly type: "vrrp.drop";
  readonly interface: string;
  readonly family: Family;
  readonly vrid?: number;
  readonly frame: number;
  readonly reason: DropReason | "capture-cut";
}

export interface VrrpAnomalyEvent {
  readonly type: "anomaly";
  readonly kind: AnomalyKind;
  readonly interface: string;
  readonly vrid?: number;
  readonly family?: Family;
  readonly frame: number;
  readonly detail: string;
}

export type ObserverEvent =
  | VrrpMasterEvent
  | VrrpSilentEvent
  | VrrpReleasedEvent
  | VrrpDuplicateEvent
  | VrrpDuplicateEndEvent
  | VrrpBrokenEvent
  | VrrpAnomalyEvent;
