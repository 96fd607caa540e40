/**
 * What `hotpair decode --json` prints of a frame: the field names and value forms of the ground truth in `captures/`
 * (its README explains them), which are those of tshark. That is why these names, unlike all others, are not ours.
 *
 * `proto` is one of VRRP, LACP, MARKER, ARP, ND, ICCP, STP, LLDP, CARP; for what hotpair recognises without speaking it,
 * tshark's column (IGMPv3, ICMP, ICMPv6, HSRP, LDP, CDP, ESMC, OSSP, OAM, "Slow Protocols", "MAC CTRL", "Inverse ARP",
 * TCP, UDP, IPv4, IPv6); and otherwise "other". In tshark's column MARKER is "Marker", ND is "ICMPv6", ICCP is "TCP",
 * an unknown EtherType is its number, and what TCP carries beyond ICCP and LDP has a name of its own.
 */
import type { EthernetReason } from "../ethernet/codec.ts";
import type { IccpReason } from "../iccp/codec.ts";
import type { SlowReason } from "../lacp/codec.ts";
import type { NdReason } from "../nd/codec.ts";
import type { TcpReason } from "../tcp/codec.ts";
import type { VrrpReason } from "../vrrp/codec.ts";

/** What a receiver does with a frame. */
export type Verdict = "accept" | "ignore" | "drop";

/** Why a frame is not accepted. */
export type Reason =
  | VrrpReason
  | NdReason
  | SlowReason
  | IccpReason
  | TcpReason
  | EthernetReason
  | "arp-format"
  | "arp-op"
  /** Malformed IP. */
  | "ip"
  | "fragment"
  /** A multicast group that no VRRP router listens to. */
  | "destination"
  /** VRRPv2 with a kind of authentication that nobody has. */
  | "auth"
  /** The capture holds too little of the frame to judge it. */
  | "capture-cut"
  | "not-vrrp"
  | "not-slow"
  /** Nothing that hotpair speaks. */
  | "protocol"
  | "link-type";

/** For VRRP: what a VRRPv3 instance does and what a VRRPv2 one does. */
export interface VersionedVerdict {
  readonly v3: Verdict;
  readonly v3_reason?: Reason;
  readonly v2: Verdict;
  readonly v2_reason?: Reason;
  /** What holds whatever the version: carp, capture-cut. */
  readonly reason?: Reason;
}

export interface Eth {
  readonly src: string;
  readonly dst: string;
  /** Of the outermost tag, or the EtherType; absent for IPv4, IPv6 and 802.3. */
  readonly type?: string;
}

export interface Sll {
  readonly pkttype: string;
  readonly hatype: string;
  readonly etype: string;
  readonly ifindex?: string;
  readonly "src.eth"?: string;
}

export interface Vlan {
  readonly tpid: string;
  readonly vid: number;
  readonly pcp: number;
  readonly dei?: true;
}

/** Of a header that cannot be read: no addresses, -1. */
export interface IpFields {
  readonly v: 4 | 6;
  readonly src: string | null;
  readonly dst: string | null;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** Of the first header: in IPv6 this may be an extension header. */
  readonly proto: number;
  readonly header_checksum?: "good" | "bad" | "?";
}

export interface VrrpFields {
  readonly version: number;
  readonly type: number;
  readonly vrid?: number;
  readonly priority?: number;
  readonly count?: number;
  readonly adv_cs?: number;
  readonly adv_s?: number;
  readonly auth_type?: number;
  readonly auth_string?: string;
  readonly reserved?: number;
  readonly addresses?: readonly string[];
  /** draft-cassen-vrrp-auth-hmac, not verified: key id, the 64 bits of the sequence and their time in UTC, HMAC. */
  readonly trailer?: { readonly key: number; readonly sequence: string; readonly time: string; readonly hmac: string };
  readonly checksum?: string;
  /** As tshark judges: version 3 with the pseudo-header, the others without. */
  readonly checksum_status?: "good" | "bad" | "unverified";
  readonly checksum_covers?: readonly ("pseudo-header+message" | "message")[];
}

export interface CarpFields {
  readonly version: number;
  readonly type: number;
  readonly vhid: number;
  readonly advskew: number;
  readonly authlen: number;
  readonly demote: number;
  readonly advbase: number;
  readonly checksum: string;
  readonly checksum_status: "good" | "bad";
  readonly counter: string;
  readonly hmac_sha1: string;
}

/** Addresses that are not there, or not of the usual kind, are null. */
export interface ArpFields {
  readonly op: number;
  readonly sha: string | null;
  readonly spa: string | null;
  readonly tha: string | null;
  readonly tpa: string | null;
  readonly gratuitous: boolean;
}

export interface NaFields {
  readonly target: string;
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
  readonly target_lladdr?: string;
}

export interface Icmpv6Fields {
  readonly type: number;
  readonly checksum_status?: "good" | "bad" | "unverified";
  readonly na?: NaFields;
}

export type NdFields =
  | ({ readonly kind: "advertisement" } & NaFields)
  | { readonly kind: "solicitation"; readonly target: string; readonly source_lladdr?: string }
  | { readonly kind: "router-solicitation"; readonly source_lladdr?: string }
  | {
      readonly kind: "router-advertisement";
      readonly hop_limit: number;
      readonly lifetime: number;
      readonly source_lladdr?: string;
    };

export interface LacpEnd {
  readonly sys_priority?: number;
  readonly system?: string;
  readonly key?: number;
  readonly port_priority?: number;
  readonly port?: number;
  readonly state?: string;
}

export interface LacpShown {
  readonly version?: number;
  readonly actor?: LacpEnd;
  readonly partner?: LacpEnd;
  /** In units of 10 µs. */
  readonly collector_max_delay?: number;
}

export interface MarkerShown {
  readonly version?: number;
  readonly tlv_type?: number;
  readonly kind?: "information" | "response" | "unknown";
  readonly port?: number;
  readonly system?: string;
  readonly transaction?: number;
}

export interface IccpTlv {
  readonly type: string;
  readonly u: number;
  readonly f: number;
  readonly name: string;
  readonly length: number;
  readonly value: string;
  readonly decoded?: unknown;
  /** Why it does not decode. */
  readonly reason?: string;
}

export interface IccpShown {
  /** The frame in which the message became complete. */
  readonly frame: number;
  readonly t: number;
  readonly src: string;
  readonly sport: number;
  readonly u_bit: number;
  readonly type: string;
  readonly name: string;
  readonly length: number;
  readonly id: number;
  readonly tlvs: readonly IccpTlv[];
  readonly hex: string;
  /** Why a receiver refuses it. */
  readonly reason?: Reason;
}

/** Everything between the link and the verdict. */
export interface Layers {
  readonly eth?: Eth;
  readonly sll?: Sll;
  readonly vlan?: readonly Vlan[];
  readonly ip?: IpFields;
  readonly proto: string;
  readonly slow_subtype?: number;
  readonly vrrp?: VrrpFields;
  readonly carp?: CarpFields;
  readonly lacp?: LacpShown;
  readonly marker?: MarkerShown;
  readonly arp?: ArpFields;
  readonly icmpv6?: Icmpv6Fields;
  readonly nd?: NdFields;
  readonly udp?: { readonly sport: number; readonly dport: number };
  readonly tcp?: { readonly sport: number; readonly dport: number; readonly flags?: string; readonly len?: number };
  readonly ldp?: { readonly message_types: readonly string[] };
  readonly iccp_messages?: readonly IccpShown[];
  /** Octets of the stream that are missing before these messages, and were given up. */
  readonly gap?: number;
  /** Where words say more than fields do. */
  readonly note?: string;
  readonly rx: Verdict | VersionedVerdict;
  /** Of a verdict that is one word. */
  readonly reason?: Reason;
}

export interface Dissected extends Layers {
  /** From 1. */
  readonly n: number;
  /** Seconds since the first frame. */
  readonly t: number;
  /** Octets on the wire. */
  readonly len: number;
  /** Octets in the capture, where that is another number. */
  readonly caplen?: number;
  /** The interface, where the capture names it. */
  readonly if?: string;
}

/** A part of a frame as far as it was captured. */
export interface Part {
  readonly bytes: Uint8Array;
  /** Octets of it on the wire: at least those that are here. */
  readonly wire: number;
}

/** The part from `from` on. */
export function behind(part: Part, from: number): Part {
  return { bytes: part.bytes.subarray(from), wire: Math.max(0, part.wire - from) };
}

export function isCut(part: Part): boolean {
  return part.bytes.length < part.wire;
}

/** A number as tshark writes it. */
export function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

/** A verdict with its reason; a part that the capture cut is not judged. */
export function judged(part: Part, rx: Verdict, reason?: Reason): { rx: Verdict; reason?: Reason } {
  if (rx === "drop" && isCut(part)) return { rx, reason: "capture-cut" };
  return reason === undefined ? { rx } : { rx, reason };
}
