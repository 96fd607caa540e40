/**
 * Which bucket a frame falls into. The buckets are dealt to the links by distribution.ts, so a hash is a number that
 * depends on nothing but the frame. All arithmetic is of 32 bits.
 *
 *   mix(x)     Murmur3's finaliser
 *   mac(a)     mix(octets 2–5 ^ octets 0–1 × 0x9e3779b1): FrameHeader.dstHash, srcHash
 *   layer2     mac(destination) ^ mac(source) ^ mix(EtherType)
 *   layer2+3   mix(layer2 ^ ip(destination) ^ mix(ip(source)))
 *   layer3+4   mix(ip(destination) ^ mix(ip(source)) ^ mix(source port << 16 | destination port))
 *   ip(a)      an IPv4 address as it is, the four words of an IPv6 address XORed
 *   bucket     (h ^ h >>> 16 ^ h >>> 8) & 255
 *
 * An 802.1Q tag changes nothing: the EtherType is the one behind it. ARP and all that is not IP falls back to layer2, a
 * packet without ports (a fragment, whichever; another protocol than TCP, UDP, SCTP; IPv6 with extension headers) to ports
 * 0 and 0, so that the fragments of a datagram stay together.
 */
import { u16, u32 } from "../../src/core/bytes.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { HashPolicy } from "./config.ts";

export const BUCKETS = 256;

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const IPV6_HEADER = 40;
/** More Fragments and the offset: RFC 791 §3.1. */
const FRAGMENT = 0x3fff;

export function mix(x: number): number {
  let h = x;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** 0 … BUCKETS - 1. */
export function bucketOf(frame: Frame, policy: HashPolicy): number {
  const h = policy === "layer2" ? layer2(frame) : upper(frame, policy);
  return (h ^ (h >>> 16) ^ (h >>> 8)) & (BUCKETS - 1);
}

function layer2({ header }: Frame): number {
  return header.dstHash ^ header.srcHash ^ mix(header.type);
}

function upper(frame: Frame, policy: "layer2+3" | "layer3+4"): number {
  const { type } = frame.header;
  if (type !== IPV4 && type !== IPV6) return layer2(frame);
  const { bytes, payload: at } = frame;
  const size = type === IPV4 ? 20 : IPV6_HEADER;
  if (bytes.length < at + size) return layer2(frame);
  const source = type === IPV4 ? u32(bytes, at + 12) : folded(bytes, at + 8);
  const destination = type === IPV4 ? u32(bytes, at + 16) : folded(bytes, at + 24);
  const addresses = destination ^ mix(source);
  if (policy === "layer2+3") return mix(layer2(frame) ^ addresses);
  return mix(addresses ^ mix(portsAt(bytes, at, type)));
}

function folded(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) ^ u32(bytes, at + 4) ^ u32(bytes, at + 8) ^ u32(bytes, at + 12);
}

function portsAt(bytes: Uint8Array, at: number, type: number): number {
  if (type === IPV6) return hasPorts(bytes[at + 6] ?? 0) ? wordAt(bytes, at + IPV6_HEADER) : 0;
  if ((u16(bytes, at + 6) & FRAGMENT) !== 0 || !hasPorts(bytes[at + 9] ?? 0)) return 0;
  return wordAt(bytes, at + ((bytes[at] ?? 0) & 15) * 4);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes.length < at + 4 ? 0 : u32(bytes, at);
}

/** TCP, UDP, SCTP. */
function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}
