/**
 * The headers that stand before Ethernet's payload, or before IP, in captures. Each is read to where its payload
 * begins; what the payload is (VLAN tag, ARP, IP) the protocols' codecs read.
 *
 *   SLL, LINKTYPE 113                    SLL2, LINKTYPE 276
 *    0  packet type                       0  protocol
 *    2  ARPHRD_ of the device             2  reserved
 *    4  length of the address             4  interface index, 32 bits
 *    6  address, 8 octets                 8  ARPHRD_ of the device
 *   14  protocol                         10  packet type, 8 bits
 *                                        11  length of the address, 8 bits
 *                                        12  address, 8 octets
 */
import { type Mac, macFrom } from "../core/addr.ts";
import { u16, u32 } from "../core/bytes.ts";

/** LINKTYPE_ numbers of the tcpdump group's registry (tcpdump.org/linktypes.html). */
export const LINK_ETHERNET = 1;
export const LINK_RAW = 101;
export const LINK_SLL = 113;
export const LINK_SLL2 = 276;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;

export interface LinkHeader {
  readonly kind: "ethernet" | "sll" | "sll2" | "raw" | "null" | "ppp" | "frame-relay" | "unknown";
  /**
   * The EtherType of what begins at `payloadOffset`; 0x8100 and its like for a VLAN tag. Below 0x600 it is none:
   * an 802.3 length in Ethernet, 1 or 4 in SLL (Novell 802.3 and 802.2 LLC). Undefined where there is no such number.
   */
  readonly etherType: number | undefined;
  /** At most the number of octets captured. */
  readonly payloadOffset: number;
  /** Why an `unknown` one is so: the link type is not one of these, or the packet was cut within the header. */
  readonly reason?: "link-type" | "length";
  readonly cooked?: Cooked;
}

/** What the Linux kernel put in the place of a link layer. */
export interface Cooked {
  /** 0 to us, 1 broadcast, 2 multicast, 3 to another host, 4 sent by us. */
  readonly pkttype: number;
  /** ARPHRD_ number of the device: 1 Ethernet, 512 PPP, 772 loopback. */
  readonly hatype: number;
  /** The sender's address; undefined unless it has six octets. */
  readonly source: Mac | undefined;
  readonly etype: number;
  /** Interface index; SLL2 only. */
  readonly ifindex: number | undefined;
}

const RAW_IPV4: LinkHeader = { kind: "raw", etherType: ETHERTYPE_IPV4, payloadOffset: 0 };
const RAW_IPV6: LinkHeader = { kind: "raw", etherType: ETHERTYPE_IPV6, payloadOffset: 0 };
const RAW_OTHER: LinkHeader = { kind: "raw", etherType: undefined, payloadOffset: 0 };
const UNKNOWN: LinkHeader = { kind: "unknown", etherType: undefined, payloadOffset: 0, reason: "link-type" };
const CUT: LinkHeader = { kind: "unknown", etherType: undefined, payloadOffset: 0, reason: "length" };

/** Reads the link-layer header of a packet of that link type. Never throws, whatever the octets. */
export function readLink(linkType: number, bytes: Uint8Array): LinkHeader {
  switch (linkType) {
    case LINK_ETHERNET:
      return bytes.length < 14 ? CUT : { kind: "ethernet", etherType: u16(bytes, 12), payloadOffset: 14 };
    case LINK_SLL:
      return sll(bytes);
    case LINK_SLL2:
      return sll2(bytes);
    // LINKTYPE_RAW, and DLT_RAW as some systems wrote it into files.
    case LINK_RAW:
    case 12:
    case 14:
      return raw(bytes);
    case 228:
      return RAW_IPV4;
    case 229:
      return RAW_IPV6;
    // LINKTYPE_NULL and LINKTYPE_LOOP.
    case 0:
    case 108:
      return loopback(bytes);
    // LINKTYPE_PPP and LINKTYPE_PPP_HDLC.
    case 9:
    case 50:
      return ppp(bytes);
    case 107:
      return frameRelay(bytes);
    default:
      return UNKNOWN;
  }
}

function raw(bytes: Uint8Array): LinkHeader {
  if (bytes.length === 0) return CUT;
  const version = (bytes[0] ?? 0) >>> 4;
  return version === 4 ? RAW_IPV4 : version === 6 ? RAW_IPV6 : RAW_OTHER;
}

function sll(bytes: Uint8Array): LinkHeader {
  if (bytes.length < 16) return CUT;
  const hatype = u16(bytes, 2);
  const etype = u16(bytes, 14);
  const source = u16(bytes, 4) === 6 ? macFrom(bytes, 6) : undefined;
  const cooked: Cooked = { pkttype: u16(bytes, 0), hatype, source, etype, ifindex: undefined };
  return { kind: "sll", etherType: cookedType(hatype, etype), payloadOffset: 16, cooked };
}

function sll2(bytes: Uint8Array): LinkHeader {
  if (bytes.length < 20) return CUT;
  const hatype = u16(bytes, 8);
  const etype = u16(bytes, 0);
  const source = bytes[11] === 6 ? macFrom(bytes, 12) : undefined;
  const cooked: Cooked = { pkttype: bytes[10] ?? 0, hatype, source, etype, ifindex: u32(bytes, 4) };
  return { kind: "sll2", etherType: cookedType(hatype, etype), payloadOffset: 20, cooked };
}

/** On some devices the protocol is no EtherType (tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html). */
function cookedType(hatype: number, etype: number): number | undefined {
  // ARPHRD_FRAD, ARPHRD_IEEE80211_RADIOTAP, ARPHRD_NETLINK.
  return hatype === 770 || hatype === 803 || hatype === 824 ? undefined : etype;
}

/** The address family in the byte order of whoever captured: it is below 256, so its place gives that away. */
function loopback(bytes: Uint8Array): LinkHeader {
  if (bytes.length < 4) return CUT;
  const word = u32(bytes, 0);
  const family = word >= 0x0100_0000 ? word >>> 24 : word;
  // AF_INET is 2 everywhere; AF_INET6 is 24 (NetBSD, OpenBSD), 28 (FreeBSD), 30 (macOS), 10 (Linux).
  const ipv6 = family === 24 || family === 28 || family === 30 || family === 10;
  const etherType = family === 2 ? ETHERTYPE_IPV4 : ipv6 ? ETHERTYPE_IPV6 : undefined;
  return { kind: "null", etherType, payloadOffset: 4 };
}

/** RFC 1661 §2, RFC 1662 §3.1: address and control may be compressed away, and so may the protocol's first octet. */
function ppp(bytes: Uint8Array): LinkHeader {
  let at = bytes[0] === 0xff && bytes[1] === 0x03 ? 2 : 0;
  let protocol = bytes[at] ?? 0;
  at += 1;
  if ((protocol & 1) === 0) {
    protocol = protocol * 256 + (bytes[at] ?? 0);
    at += 1;
  }
  if (at > bytes.length) return CUT;
  const etherType = protocol === 0x21 ? ETHERTYPE_IPV4 : protocol === 0x57 ? ETHERTYPE_IPV6 : undefined;
  return { kind: "ppp", etherType, payloadOffset: at };
}

/** RFC 2427 §3–4 behind an address of two to four octets, or Cisco's EtherType in its place. */
function frameRelay(bytes: Uint8Array): LinkHeader {
  let at = 1;
  while (at < 4 && ((bytes[at - 1] ?? 0) & 1) === 0) at += 1;
  if (bytes.length < at + 2) return CUT;
  if (bytes[at] !== 0x03) return { kind: "frame-relay", etherType: u16(bytes, at), payloadOffset: at + 2 };
  const pad = bytes[at + 1] === 0 ? 1 : 0;
  const identifier = bytes[at + 1 + pad];
  const payloadOffset = at + 2 + pad;
  if (payloadOffset > bytes.length) return CUT;
  if (identifier === 0xcc) return { kind: "frame-relay", etherType: ETHERTYPE_IPV4, payloadOffset };
  if (identifier === 0x8e) return { kind: "frame-relay", etherType: ETHERTYPE_IPV6, payloadOffset };
  // SNAP with the organisation 00-00-00: an EtherType.
  const snap =
    identifier === 0x80 && bytes.length >= payloadOffset + 5 && u32(bytes, payloadOffset - 1) === 0x8000_0000;
  if (!snap) return { kind: "frame-relay", etherType: undefined, payloadOffset };
  return { kind: "frame-relay", etherType: u16(bytes, payloadOffset + 3), payloadOffset: payloadOffset + 5 };
}

/** A cooked header with the names and forms of the captures' sidecars (tshark's fields). */
export function cookedJson(cooked: Cooked): Record<string, string> {
  const { pkttype, hatype, source, etype, ifindex } = cooked;
  return {
    ...(ifindex === undefined ? {} : { ifindex: String(ifindex) }),
    pkttype: String(pkttype),
    hatype: String(hatype),
    ...(source === undefined ? {} : { "src.eth": source }),
    etype: `0x${etype.toString(16).padStart(4, "0")}`,
  };
}
