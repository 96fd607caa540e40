/** IP for people: a broken header is shown as far as it goes, and so is what it carries. */
import { ip4From, ip6From } from "../../src/core/addr.ts";
import { onesSum } from "../../src/core/bytes.ts";
import { type IpLayout, looseIpLayout, PROTOCOL } from "../ip/codec.ts";
import { insideAuthenticationHeader, isCarp } from "../vrrp/codec.ts";
import { type Carried, refused } from "./carried.ts";
import { dissectIcmpv6 } from "./icmpv6.ts";
import { dissectTcp, dissectUdp, type Sessions } from "./session.ts";
import { type IpFields, judged, type Layers, type Part } from "./types.ts";
import { dissectCarp, dissectVrrp } from "./vrrp.ts";

/** @param expected what the layer below says it is; undefined when it does not say */
export function dissectIp(part: Part, expected: 4 | 6 | undefined, sessions: Sessions): Layers {
  const { bytes } = part;
  const found = looseIpLayout(bytes, 0, part.wire);
  const version = (bytes[0] ?? 0) >>> 4;
  if (!found.ok || (expected !== undefined && expected !== version)) {
    const v = expected ?? (version === 6 ? 6 : 4);
    return { ip: unread(v), ...unreadable(v, version), ...judged(part, "drop", "ip") };
  }
  const layout = found.value;
  const ip = fieldsOf(bytes, layout);
  return { ip, ...dissectUpper(carriedBy(part, layout), sessions) };
}

function unread(v: 4 | 6): IpFields {
  const none = { src: null, dst: null, ttl: -1, proto: -1 };
  return v === 4 ? { v, ...none, header_checksum: "?" } : { v, ...none };
}

function unreadable(v: 4 | 6, found: number): { proto: string } {
  return { proto: v !== found ? "other" : v === 4 ? "IPv4" : "IPv6" };
}

function fieldsOf(bytes: Uint8Array, layout: IpLayout): IpFields {
  const { ttl, source, destination } = layout;
  if (layout.family === "ipv6") {
    return { v: 6, src: ip6From(bytes, source), dst: ip6From(bytes, destination), ttl, proto: bytes[6] ?? 0 };
  }
  const good = onesSum(bytes, 0, layout.upper) === 0xffff;
  const addresses = { src: ip4From(bytes, source), dst: ip4From(bytes, destination) };
  return { v: 4, ...addresses, ttl, proto: layout.protocol, header_checksum: good ? "good" : "bad" };
}

function carriedBy(part: Part, layout: IpLayout): Carried {
  const { bytes, wire } = part;
  const { family, ttl, upper, fragment, fragmentOffset } = layout;
  // A length beyond the frame is a fault; what is there of the payload is shown all the same.
  const end = Math.min(layout.end, Math.max(wire, upper));
  const text = family === "ipv4" ? ip4From : ip6From;
  const whole: Part = { bytes: bytes.subarray(upper, end), wire: end - upper };
  const inner = layout.protocol === PROTOCOL.ah && !fragment ? insideAuthenticationHeader(whole.bytes) : undefined;
  const stepped = inner === undefined ? 0 : whole.bytes.length - inner.payload.length;
  return {
    family,
    source: text(bytes, layout.source),
    destination: text(bytes, layout.destination),
    ttl,
    protocol: inner?.protocol ?? layout.protocol,
    payload: inner === undefined ? whole : { bytes: inner.payload, wire: whole.wire - stepped },
    fragmentOffset,
    fault: layout.fault !== undefined ? "ip" : fragment ? "fragment" : undefined,
  };
}

function dissectUpper(packet: Carried, sessions: Sessions): Layers {
  const { protocol, payload } = packet;
  const bare = { proto: packet.family === "ipv4" ? "IPv4" : "IPv6" };
  // A later fragment begins somewhere in the middle, and an empty payload with nothing: neither is shown as anything.
  const blank = packet.fragmentOffset > 0 || payload.bytes.length === 0;
  if (protocol === PROTOCOL.vrrp) {
    const shown = isCarp(payload.bytes) && packet.fault === undefined ? dissectCarp(packet) : dissectVrrp(packet);
    return blank ? { ...bare, rx: shown.rx } : shown;
  }
  if (blank) return { ...bare, ...refused(packet) };
  switch (protocol) {
    case PROTOCOL.icmp:
      return { proto: "ICMP", ...refused(packet) };
    case PROTOCOL.igmp:
      return { proto: igmpName(payload), ...refused(packet) };
    case PROTOCOL.icmpv6:
      return packet.family === "ipv6" ? dissectIcmpv6(packet) : { ...bare, ...refused(packet) };
    case PROTOCOL.tcp:
      return dissectTcp(packet, sessions);
    case PROTOCOL.udp:
      return dissectUdp(packet);
    default:
      return { ...bare, ...refused(packet) };
  }
}

/** The version of an IGMP message: RFC 1112, RFC 2236, RFC 3376 §7.1 for queries. */
function igmpName(payload: Part): string {
  switch (payload.bytes[0]) {
    case 0x11:
      if (payload.wire >= 12) return "IGMPv3";
      return payload.bytes[1] === 0 ? "IGMPv1" : "IGMPv2";
    case 0x12:
      return "IGMPv1";
    case 0x16:
    case 0x17:
      return "IGMPv2";
    case 0x22:
      return "IGMPv3";
    default:
      return "IGMP";
  }
}
