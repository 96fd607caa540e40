/**
 * What two switches of a pair tell each other, as values; `item-codec.ts` has their layouts. In our own dialect each is
 * one TLV; towards SONiC's iccpd `sonic.ts` says the same with its TLVs, as far as that has words for it.
 */
import type { Ip, Mac } from "../../src/core/addr.ts";

/** How a switch sees its role. */
export const ROLES = ["none", "primary", "secondary"] as const;
/** State of one half of an M-LAG. */
export const PORT_STATES = ["down", "up", "draining", "suspended", "disabled"] as const;
export const TABLES = ["mac", "arp", "nd"] as const;
export const GOODBYE_CAUSES = ["shutdown", "reboot", "upgrade", "maintenance", "configuration", "restart"] as const;
export type TableName = (typeof TABLES)[number];
export type GoodbyeCause = (typeof GOODBYE_CAUSES)[number];

/** Who the peer is; handed up first when a session is operational, and never sent by the user. */
export interface PeerItem {
  readonly kind: "peer";
  readonly dialect: "native" | "sonic";
  readonly system: Mac;
  /** Of this end and of the peer's. Both change with every connection. */
  readonly epoch: number;
  readonly peerEpoch: number;
  /** Random, drawn when the peer started: another one means that it rebooted. 0 from SONiC. */
  readonly bootId: number;
  /** Bits that both ends have. */
  readonly features: number;
}

export interface RoleItem {
  readonly kind: "role";
  readonly role: (typeof ROLES)[number];
  /** Lower is primary. */
  readonly priority: number;
  readonly system: Mac;
  /** What its bundles tell their partners to be: the pair's, and after a split perhaps another. */
  readonly lacpSystem: Mac;
  /** Holds the role by running already: a better newcomer does not take it away. */
  readonly sticky: boolean;
  /** Asks for the roles to be decided anew, by priority alone. */
  readonly preempt: boolean;
}

export interface PortStateItem {
  readonly kind: "portState";
  /** M-LAG id, 1 … 65535. */
  readonly id: number;
  readonly state: (typeof PORT_STATES)[number];
  /** Whether this end has, or wants, isolation from its peer link to its half. */
  readonly isolationWanted: boolean;
  readonly isolationInstalled: boolean;
  readonly membersUp: number;
  readonly members: number;
  readonly actorKey: number;
  /** Who is on the other end of this half's links; all zero for nobody. */
  readonly partnerSystem: Mac;
  readonly partnerPriority: number;
  readonly partnerKey: number;
}

export interface MacItem {
  readonly vlan: number;
  readonly mac: Mac;
  /** M-LAG id; 0 for an orphan port of the sender. */
  readonly id: number;
  /** 32 bit, of the sender's own count: the newer of two is right. */
  readonly sequence: number;
  readonly present: boolean;
  readonly permanent: boolean;
}

export interface NeighbourItem {
  readonly vlan: number;
  /** One family in a list. */
  readonly address: Ip;
  readonly mac: Mac;
  readonly sequence: number;
  readonly present: boolean;
}

/** A MAC under which the sender routes in a VLAN: of its interface, or of a virtual router that is master there. */
export interface GatewayItem {
  readonly kind: "gateway";
  readonly vlan: number;
  readonly mac: Mac;
  /** What the sender takes packets for under it; none: it no longer routes there. */
  readonly addresses: readonly Ip[];
}

export interface ConsistencyItem {
  /** M-LAG id; 0 for the whole switch. */
  readonly id: number;
  /** 0 for all. */
  readonly vlan: number;
  /** 1: must be equal. 2: should be. */
  readonly type: 1 | 2;
  /** UTF-8, at most 255 octets each. */
  readonly name: string;
  readonly value: string;
}

export interface DigestItem {
  readonly table: TableName;
  readonly vlan: number;
  /** Part of the table. */
  readonly bucket: number;
  /** Entries in it. */
  readonly count: number;
  /** 32 bit. */
  readonly digest: number;
}

export type Item =
  | PeerItem
  | RoleItem
  | PortStateItem
  | GatewayItem
  /** Install (or lift) isolation towards this M-LAG; `request` comes back in the ACK. */
  | {
      readonly kind: "isolate" | "isolateAck";
      readonly id: number;
      readonly isolated: boolean;
      readonly request: number;
    }
  | { readonly kind: "macs"; readonly entries: readonly MacItem[] }
  | { readonly kind: "arps" | "nds"; readonly entries: readonly NeighbourItem[] }
  | { readonly kind: "consistency"; readonly entries: readonly ConsistencyItem[] }
  | { readonly kind: "digests"; readonly entries: readonly DigestItem[] }
  /** Asks for what these parts of a table hold; no parts for everything. */
  | { readonly kind: "repair"; readonly table: TableName; readonly vlan: number; readonly buckets: readonly number[] }
  | { readonly kind: "syncBegin"; readonly sync: number }
  /** With the number of entries of each table that were sent since `syncBegin`. */
  | {
      readonly kind: "syncEnd";
      readonly sync: number;
      readonly macs: number;
      readonly arps: number;
      readonly nds: number;
    }
  | { readonly kind: "goodbye"; readonly cause: GoodbyeCause };
