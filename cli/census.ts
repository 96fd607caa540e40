/**
 * How many frames of a capture carry what: counted for every frame, so without making anything of it. Names are those of
 * `hotpair decode`, but TCP, UDP and IGMP are not told apart further.
 */

import { ETHERTYPE, FIRST_TYPE, isTag } from "../protocols/ethernet/codec.ts";
import { PROTOCOL } from "../protocols/ip/codec.ts";
import { isCarp } from "../protocols/vrrp/codec.ts";
import { LINK_ETHERNET, readLink } from "../src/capture/links.ts";
import type { CaptureRecord } from "../src/capture/record.ts";
import { u16 } from "../src/core/bytes.ts";

export type Census = Map<string, number>;

export function take(census: Census, record: CaptureRecord): void {
  const name = nameOf(record);
  census.set(name, (census.get(name) ?? 0) + 1);
}

function nameOf({ bytes, interface: { linkType } }: CaptureRecord): string {
  if (linkType === LINK_ETHERNET) return bytes.length < 14 ? "other" : typed(bytes, 14, u16(bytes, 12));
  const { etherType, payloadOffset } = readLink(linkType, bytes);
  return etherType === undefined ? "other" : typed(bytes, payloadOffset, etherType);
}

function typed(bytes: Uint8Array, from: number, outer: number): string {
  let type = outer;
  let at = from;
  for (; isTag(type); at += 4) type = at + 4 > bytes.length ? 0 : u16(bytes, at + 2);
  switch (type) {
    case ETHERTYPE.ipv4:
      return ipv4(bytes, at);
    case ETHERTYPE.ipv6:
      return ipv6(bytes, at);
    case ETHERTYPE.arp:
      return "ARP";
    case ETHERTYPE.lldp:
      return "LLDP";
    case ETHERTYPE.slow:
      return bytes[at] === 1 ? "LACP" : bytes[at] === 2 ? "MARKER" : "Slow Protocols";
    default:
      // IEEE 802.1D §9: the bridges' service access point.
      return type < FIRST_TYPE && bytes[at] === 0x42 && bytes[at + 1] === 0x42 ? "STP" : "other";
  }
}

function ipv4(bytes: Uint8Array, at: number): string {
  const header = ((bytes[at] ?? 0) & 0x0f) * 4;
  if ((bytes[at] ?? 0) >>> 4 !== 4 || header < 20) return "other";
  // A later fragment begins somewhere in the middle.
  if ((u16(bytes, at + 6) & 0x1fff) !== 0) return "IPv4";
  return upper(bytes, at + header, at + u16(bytes, at + 2), bytes[at + 9] ?? 0, "IPv4");
}

function ipv6(bytes: Uint8Array, at: number): string {
  if ((bytes[at] ?? 0) >>> 4 !== 6) return "other";
  let protocol = bytes[at + 6] ?? 0;
  let next = at + 40;
  if (protocol === PROTOCOL.hopByHop) {
    protocol = bytes[next] ?? 0;
    next += ((bytes[next + 1] ?? 0) + 1) * 8;
  }
  return upper(bytes, next, at + 40 + u16(bytes, at + 4), protocol, "IPv6");
}

function upper(bytes: Uint8Array, at: number, end: number, protocol: number, family: "IPv4" | "IPv6"): string {
  switch (protocol) {
    case PROTOCOL.vrrp:
      return end - at === 36 && isCarp(bytes.subarray(at, end)) ? "CARP" : "VRRP";
    case PROTOCOL.ah:
      return bytes[at] === PROTOCOL.vrrp ? "VRRP" : family;
    case PROTOCOL.icmp:
      return "ICMP";
    case PROTOCOL.icmpv6:
      return (bytes[at] ?? 0) >= 133 && (bytes[at] ?? 0) <= 137 ? "ND" : "ICMPv6";
    case PROTOCOL.igmp:
      return "IGMP";
    case PROTOCOL.tcp:
      return "TCP";
    case PROTOCOL.udp:
      return "UDP";
    default:
      return family;
  }
}
