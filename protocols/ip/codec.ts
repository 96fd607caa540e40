/**
 * IPv4 and IPv6 as one value for the layers above. `ipLayout` finds the parts without making text or copies;
 * `decodeIp` turns them into a value.
 *
 * RFC 791 §3.1                                        RFC 8200 §3
 *      0     version 4, header length in words            0…3   version 4, traffic class 8, flow label 20
 *      1     type of service (RFC 2474: DSCP 6, ECN 2)    4     payload length
 *      2     total length                                 6     next header
 *      4     identification                               7     hop limit
 *      6     0, DF, MF, fragment offset in 8 octets       8     source 16
 *      8     TTL                                         24     destination 16
 *      9     protocol                                    40     extension headers (§4), upper layer
 *     10     header checksum
 *     12     source 4, 16 destination 4, 20 options
 *
 * Extension headers: octet 0 next header, octet 1 length in 8 octets less one (AH, RFC 4302 §2: in 4 octets less two);
 * the fragment header (RFC 8200 §4.5) is always 8: next header, reserved, offset 13, reserved 2, M, identification 4.
 */
import { type Ip, type Ip4, type Ip6, ip4From, ip6From, ipBytes, type Mac } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import { EMPTY, internetChecksum, onesSum, setU16, u16, u32, Writer } from "../../src/core/bytes.ts";
import { ETHERNET_HEADER } from "../../src/core/frame.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { ETHERTYPE, writeEthernet } from "../ethernet/codec.ts";

export { decreaseTtl, upperChecksum, upperChecksumFits } from "./checksum.ts";

export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  none: 59,
  destinationOptions: 60,
  ospf: 89,
  vrrp: 112,
} as const;

/** Traffic class of DSCP CS6, which routing protocols use (RFC 4594 §3.2). */
export const NETWORK_CONTROL = 0xc0;
/** Extension headers that are stepped over; RFC 8200 §4.1 knows seven places for them. */
export const MAX_EXTENSIONS = 8;
export const IP4_HEADER = 20;
export const IP6_HEADER = 40;
export const MAX_IP4_OPTIONS = 40;

/** An IPv6 extension header. Next header and length are not kept: they follow from the list. */
export interface Extension {
  /** Protocol number of this header. */
  readonly type: number;
  /** Its octets from the third on. */
  readonly content: Uint8Array;
}

interface IpCommon {
  /** TTL or hop limit, 0…255. */
  readonly ttl: number;
  /** Of the payload; in IPv6 the one behind the extension headers. */
  readonly protocol: number;
  /** DSCP and ECN: 0…255. */
  readonly trafficClass: number;
  /** A view, without what pads the frame. */
  readonly payload: Uint8Array;
}

export interface Ip4Packet extends IpCommon {
  readonly family: "ipv4";
  readonly source: Ip4;
  readonly destination: Ip4;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In octets, a multiple of 8. */
  readonly fragmentOffset: number;
  /** As they stand; at most 40 octets. */
  readonly options: Uint8Array;
}

export interface Ip6Packet extends IpCommon {
  readonly family: "ipv6";
  readonly source: Ip6;
  readonly destination: Ip6;
  readonly flowLabel: number;
  /** In order; at most MAX_EXTENSIONS. */
  readonly extensions: readonly Extension[];
}

export type IpPacket = Ip4Packet | Ip6Packet;

/**
 * Fewer octets than a header; neither 4 nor 6; an IPv4 header length below 5 words or beyond the end; a total or
 * payload length that does not fit; a header checksum that does not; an extension header beyond the end or too many.
 */
export type IpReason = "short" | "version" | "header-length" | "length" | "header-checksum" | "extension";

/** Where things stand in a packet; offsets are into the octets that were looked at. */
export interface IpLayout {
  readonly family: "ipv4" | "ipv6";
  readonly ttl: number;
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  /** The upper layer: behind options or extension headers. */
  readonly upper: number;
  /** End of the packet by its own length; beyond the octets when a capture has cut it. */
  readonly end: number;
  /** Whether this is one part of a larger packet. */
  readonly fragment: boolean;
  /** Octets of the larger packet before this part. */
  readonly fragmentOffset: number;
  /** What forbids to act on the packet; a layout from `ipLayout` has none. */
  readonly fault: IpReason | undefined;
}

/**
 * Finds the parts of the packet at `at`. The IPv4 header checksum is verified.
 * @param wire where the octets ended on the wire, where a capture has cut them
 */
export function ipLayout(bytes: Uint8Array, at = 0, wire = bytes.length): Result<IpLayout, IpReason> {
  const found = looseIpLayout(bytes, at, wire);
  return found.ok && found.value.fault !== undefined ? drop(found.value.fault) : found;
}

/** The same for tools that show what they can of a broken packet: its first fault stands in the layout. */
export function looseIpLayout(
  bytes: Uint8Array,
  at = 0,
  wire = bytes.length,
): Result<IpLayout, "short" | "version" | "header-length"> {
  if (at >= bytes.length) return drop("short");
  const version = (bytes[at] ?? 0) >>> 4;
  if (version === 4) return layout4(bytes, at, wire);
  return version === 6 ? layout6(bytes, at, wire) : drop("version");
}

function layout4(bytes: Uint8Array, at: number, wire: number): Result<IpLayout, "short" | "header-length"> {
  if (at + IP4_HEADER > bytes.length) return drop("short");
  const header = ((bytes[at] ?? 0) & 0x0f) * 4;
  const length = u16(bytes, at + 2);
  if (header < IP4_HEADER || header > length) return drop("header-length");
  if (at + header > bytes.length) return drop("short");
  const end = at + length;
  const sound = onesSum(bytes, at, at + header) === 0xffff;
  return ok({
    family: "ipv4",
    ttl: bytes[at + 8] ?? 0,
    protocol: bytes[at + 9] ?? 0,
    source: at + 12,
    destination: at + 16,
    upper: at + header,
    end,
    fragment: (u16(bytes, at + 6) & 0x3fff) !== 0,
    fragmentOffset: (u16(bytes, at + 6) & 0x1fff) * 8,
    fault: end > wire ? "length" : sound ? undefined : "header-checksum",
  });
}

/** Octets of the extension header at `at`, or 0 when `type` is not one that is stepped over. */
function extensionSize(type: number, bytes: Uint8Array, at: number): number {
  switch (type) {
    case PROTOCOL.hopByHop:
    case PROTOCOL.routing:
    case PROTOCOL.destinationOptions:
      return ((bytes[at + 1] ?? 0) + 1) * 8;
    case PROTOCOL.fragment:
      return 8;
    case PROTOCOL.ah:
      return ((bytes[at + 1] ?? 0) + 2) * 4;
    default:
      return 0;
  }
}

function layout6(bytes: Uint8Array, at: number, wire: number): Result<IpLayout, "short"> {
  if (at + IP6_HEADER > bytes.length) return drop("short");
  const end = at + IP6_HEADER + u16(bytes, at + 4);
  let fault: IpReason | undefined = end > wire ? "length" : undefined;
  let protocol = bytes[at + 6] ?? 0;
  let upper = at + IP6_HEADER;
  let fragment = false;
  let fragmentOffset = 0;
  for (let count = 0; !fragment; count++) {
    // A header that is announced but not there has no length octet to read; its size is then of no matter.
    const size = extensionSize(protocol, bytes, upper);
    if (size === 0) break;
    const beyond = upper + 2 > end || upper + size > end;
    if (count === MAX_EXTENSIONS || beyond || upper + size > bytes.length) {
      fault ??= count === MAX_EXTENSIONS || (beyond && upper + 2 <= bytes.length) ? "extension" : "short";
      break;
    }
    // An offset or the M bit; RFC 6946: a fragment header with neither is a packet in one piece.
    if (protocol === PROTOCOL.fragment) {
      fragment = (u16(bytes, upper + 2) & 0xfff9) !== 0;
      fragmentOffset = u16(bytes, upper + 2) & 0xfff8;
    }
    protocol = bytes[upper] ?? 0;
    upper += size;
  }
  return ok({
    family: "ipv6",
    ttl: bytes[at + 7] ?? 0,
    protocol,
    source: at + 8,
    destination: at + 24,
    upper,
    end,
    fragment,
    fragmentOffset,
    fault,
  });
}

/**
 * Reads the packet at the start of `bytes`.
 * @param wire octets on the wire, where a capture has cut them: the payload is then what is there of it
 */
export function decodeIp(bytes: Uint8Array, wire = bytes.length): Result<IpPacket, IpReason> {
  const found = ipLayout(bytes, 0, wire);
  return found.ok ? ok(ipPacketAt(bytes, 0, found.value)) : found;
}

/** The value of a packet whose layout is known. */
export function ipPacketAt(bytes: Uint8Array, at: number, layout: IpLayout): IpPacket {
  const { ttl, protocol, source, destination, upper, end } = layout;
  const payload = bytes.subarray(upper, end);
  if (layout.family === "ipv4") {
    const flags = u16(bytes, at + 6);
    return {
      family: "ipv4",
      source: ip4From(bytes, source),
      destination: ip4From(bytes, destination),
      ttl,
      protocol,
      trafficClass: bytes[at + 1] ?? 0,
      identification: u16(bytes, at + 4),
      dontFragment: (flags & 0x4000) !== 0,
      moreFragments: (flags & 0x2000) !== 0,
      fragmentOffset: (flags & 0x1fff) * 8,
      options: bytes.subarray(at + IP4_HEADER, upper),
      payload,
    };
  }
  const first = u32(bytes, at);
  return {
    family: "ipv6",
    source: ip6From(bytes, source),
    destination: ip6From(bytes, destination),
    ttl,
    protocol,
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    extensions: extensionsAt(bytes, at, upper),
    payload,
  };
}

function extensionsAt(bytes: Uint8Array, at: number, upper: number): readonly Extension[] {
  const extensions: Extension[] = [];
  let type = bytes[at + 6] ?? 0;
  for (let here = at + IP6_HEADER; here < upper; ) {
    const next = here + extensionSize(type, bytes, here);
    extensions.push({ type, content: bytes.subarray(here + 2, next) });
    type = bytes[here] ?? 0;
    here = next;
  }
  return extensions;
}

/** Whether the packet is one part of a larger one. */
export function isFragment(packet: IpPacket): boolean {
  if (packet.family === "ipv4") return packet.moreFragments || packet.fragmentOffset !== 0;
  return packet.extensions.some(({ type, content }) => type === PROTOCOL.fragment && (u16(content, 0) & 0xfff9) !== 0);
}

type Needed = "source" | "destination" | "protocol" | "payload";

/** A packet with the usual of the rest: TTL 64, traffic class 0, no options, not fragmented. Addresses of one family. */
export function ipPacket(
  fields: { readonly source: Ip; readonly destination: Ip } & Pick<IpPacket, Needed> &
    Partial<Omit<Ip4Packet, "family" | Needed> & Omit<Ip6Packet, "family" | Needed>>,
): IpPacket {
  const { source, destination, protocol, payload, ttl = 64, trafficClass = 0 } = fields;
  const common = { ttl, protocol, trafficClass, payload };
  if (!source.includes(":")) {
    const { identification = 0, dontFragment = false, moreFragments = false, fragmentOffset = 0 } = fields;
    const parts = { identification, dontFragment, moreFragments, fragmentOffset, options: fields.options ?? EMPTY };
    return { family: "ipv4", source: source as Ip4, destination: destination as Ip4, ...common, ...parts };
  }
  const { flowLabel = 0, extensions = [] } = fields;
  return { family: "ipv6", source: source as Ip6, destination: destination as Ip6, ...common, flowLabel, extensions };
}

/** Octets in front of the payload. */
export function ipHeaderSize(packet: IpPacket): number {
  if (packet.family === "ipv4") return IP4_HEADER + ((packet.options.length + 3) & ~3);
  return packet.extensions.reduce((size, { content }) => size + 2 + content.length, IP6_HEADER);
}

export function encodeIp(packet: IpPacket): Uint8Array {
  return writeIp(new Writer(ipHeaderSize(packet) + packet.payload.length), packet).bytes;
}

/** An untagged Ethernet frame with this packet in it, in one allocation. */
export function ipFrame(destination: Mac, source: Mac, packet: IpPacket): Uint8Array {
  const writer = new Writer(ETHERNET_HEADER + ipHeaderSize(packet) + packet.payload.length);
  const type = packet.family === "ipv4" ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6;
  return writeIp(writeEthernet(writer, destination, source, type), packet).bytes;
}

/** Writes header and payload. */
export function writeIp(writer: Writer, packet: IpPacket): Writer {
  if (packet.family === "ipv4") writeHeader4(writer, packet);
  else writeHeader6(writer, packet);
  return writer.put(packet.payload);
}

function writeHeader4(writer: Writer, packet: Ip4Packet): void {
  const at = writer.offset;
  const header = ipHeaderSize(packet);
  assert(header <= IP4_HEADER + MAX_IP4_OPTIONS && header + packet.payload.length <= 0xffff, "IPv4 packet too long");
  const flags = (packet.dontFragment ? 0x4000 : 0) | (packet.moreFragments ? 0x2000 : 0);
  writer
    .u8(0x40 | (header >>> 2))
    .u8(packet.trafficClass)
    .u16(header + packet.payload.length);
  writer.u16(packet.identification).u16(flags | (packet.fragmentOffset >>> 3));
  writer.u8(packet.ttl).u8(packet.protocol).u16(0);
  writer.put(ipBytes(packet.source)).put(ipBytes(packet.destination)).put(packet.options);
  // RFC 791 §3.1: the padding of the options is zero.
  writer.zero(at + header - writer.offset);
  setU16(writer.bytes, at + 10, internetChecksum(writer.bytes, at, at + header));
}

function writeHeader6(writer: Writer, packet: Ip6Packet): void {
  const { extensions } = packet;
  const length = ipHeaderSize(packet) - IP6_HEADER + packet.payload.length;
  assert(length <= 0xffff && extensions.length <= MAX_EXTENSIONS, "IPv6 packet too long");
  writer.u32(((0x60 << 24) | (packet.trafficClass << 20) | packet.flowLabel) >>> 0);
  writer
    .u16(length)
    .u8(extensions[0]?.type ?? packet.protocol)
    .u8(packet.ttl);
  writer.put(ipBytes(packet.source)).put(ipBytes(packet.destination));
  for (const [i, { type, content }] of extensions.entries()) {
    writer.u8(extensions[i + 1]?.type ?? packet.protocol);
    const size = content.length + 2;
    // RFC 8200 §4.5: in a fragment header this octet is reserved.
    const octet = type === PROTOCOL.fragment ? 0 : type === PROTOCOL.ah ? size / 4 - 2 : size / 8 - 1;
    assert(Number.isInteger(octet) && octet >= 0 && octet <= 255, "extension header of an impossible length");
    writer.u8(octet).put(content);
  }
}
