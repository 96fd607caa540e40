/** What a frame on the wire is, as far as these tests look. */

import { decodeArp } from "../../../protocols/arp/codec.ts";
import { decodeIcmp } from "../../../protocols/icmp/codec.ts";
import { ipLayout, ipPacketAt, PROTOCOL } from "../../../protocols/ip/codec.ts";
import { type ChecksumForm, decodeAdvert, VRRP_PROTOCOL } from "../../../protocols/vrrp/codec.ts";
import { type Family, type Ip, ip6From, type Mac, macFrom } from "../../../src/core/addr.ts";

export interface SeenAdvert {
  readonly kind: "advert";
  readonly family: Family;
  readonly version: 2 | 3;
  readonly vrid: number;
  readonly priority: number;
  /** Microseconds. */
  readonly interval: number;
  readonly addresses: readonly Ip[];
  readonly forms: readonly ChecksumForm[];
  readonly source: Ip;
  readonly destination: Ip;
}

/** Gratuitous ARP, or an unsolicited neighbour advertisement. */
export interface SeenAnnouncement {
  readonly kind: "announcement";
  readonly address: string;
  readonly mac: Mac;
}

/** A reply to a question for an address. */
export interface SeenResolution {
  readonly kind: "resolution";
  readonly address: string;
  readonly mac: Mac;
}

export interface SeenEcho<K extends "echo-request" | "echo-reply"> {
  readonly kind: K;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sequence: number;
}

/** A report of membership of a group: IGMP or MLD; `groups` as text. */
export interface SeenReport {
  readonly kind: "report";
  readonly groups: readonly string[];
}

export type Facts =
  | SeenAdvert
  | SeenAnnouncement
  | SeenResolution
  | SeenEcho<"echo-request">
  | SeenEcho<"echo-reply">
  | SeenReport
  /** An advert by its protocol number that no receiver takes. */
  | { readonly kind: "bad-advert"; readonly reason: string }
  | { readonly kind: "other" };

const OTHER: Facts = { kind: "other" };
const HEADER = 14;

export function factsOf(bytes: Uint8Array): Facts {
  const type = ((bytes[12] ?? 0) << 8) | (bytes[13] ?? 0);
  if (type === 0x0806) return arp(bytes);
  if (type !== 0x0800 && type !== 0x86dd) return OTHER;
  const layout = ipLayout(bytes, HEADER);
  if (!layout.ok) return OTHER;
  const packet = ipPacketAt(bytes, HEADER, layout.value);
  const { source, destination, ttl, payload, family, protocol } = packet;
  if (protocol === VRRP_PROTOCOL) {
    const decoded = decodeAdvert({ family, source, destination, ttl, payload });
    if (!decoded.ok) return { kind: "bad-advert", reason: decoded.reason };
    const { advert, checksumForms: forms } = decoded.value;
    const { version, vrid, priority, interval, addresses } = advert;
    return { kind: "advert", family, version, vrid, priority, interval, addresses, forms, source, destination };
  }
  if (protocol === PROTOCOL.igmp) return igmp(payload);
  if (protocol !== PROTOCOL.icmp && protocol !== PROTOCOL.icmpv6) return OTHER;
  if (protocol === PROTOCOL.icmpv6) {
    const nd = icmp6(payload, bytes);
    if (nd !== undefined) return nd;
  }
  const message = decodeIcmp(payload, { source, destination });
  if (!message.ok || (message.value.kind !== "echo-request" && message.value.kind !== "echo-reply")) return OTHER;
  const { kind, sequence } = message.value;
  return kind === "echo-reply" ? { kind, source, destination, sequence } : { kind, source, destination, sequence };
}

function arp(bytes: Uint8Array): Facts {
  const packet = decodeArp(bytes, HEADER);
  if (!packet.ok) return OTHER;
  const { operation, senderIp, targetIp, senderMac } = packet.value;
  if (senderIp === targetIp) return { kind: "announcement", address: senderIp, mac: senderMac };
  return operation === 2 ? { kind: "resolution", address: senderIp, mac: senderMac } : OTHER;
}

/** RFC 4861 §4.4 and RFC 3810 §5.2. */
function icmp6(payload: Uint8Array, frame: Uint8Array): Facts | undefined {
  const [type, , , , flags = 0] = payload;
  if (type === 143) return { kind: "report", groups: records(payload, 16) };
  if (type !== 136) return undefined;
  const address = ip6From(payload, 8);
  const mac = payload[24] === 2 ? macFrom(payload, 26) : macFrom(frame, 6);
  return { kind: (flags & 0x40) === 0 ? "announcement" : "resolution", address, mac };
}

/** RFC 3376 §4.2. */
function igmp(payload: Uint8Array): Facts {
  if (payload[0] === 0x22) return { kind: "report", groups: records(payload, 4) };
  if (payload[0] === 0x16) return { kind: "report", groups: [[...payload.subarray(4, 8)].join(".")] };
  return OTHER;
}

/** Groups of an IGMPv3 or MLDv2 report that are joined: MODE_IS_EXCLUDE and CHANGE_TO_EXCLUDE. */
function records(payload: Uint8Array, width: 4 | 16): readonly string[] {
  const groups: string[] = [];
  let at = 8;
  for (let left = ((payload[6] ?? 0) << 8) | (payload[7] ?? 0); left > 0 && at + 4 + width <= payload.length; left--) {
    const type = payload[at] ?? 0;
    const sources = ((payload[at + 2] ?? 0) << 8) | (payload[at + 3] ?? 0);
    const group = payload.subarray(at + 4, at + 4 + width);
    if (type === 2 || type === 4) groups.push(width === 4 ? group.join(".") : ip6From(group, 0));
    at += 4 + width + width * sources + 4 * (payload[at + 1] ?? 0);
  }
  return groups;
}
