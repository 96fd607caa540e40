/**
 * The VRRP advertisement: what IP protocol 112 carries (RFC 9568 §5.2 for version 3, RFC 3768 §5.3 for version 2).
 *
 * ```
 *  octet   version 3                                  version 2
 *  0       Version (4) = 3, Type (4) = 1              Version (4) = 2, Type (4) = 1
 *  1       Virtual Rtr ID                             Virtual Rtr ID
 *  2       Priority                                   Priority
 *  3       IPvX Addr Count                            Count IP Addrs
 *  4–5     Reserve (4), Max Advertise Interval (12)   Auth Type (8), Adver Int (8, seconds)
 *          in centiseconds
 *  6–7     Checksum                                   Checksum
 *  8…      Addr Count × 4 or 16 octets                Count × 4 octets, then 8 of Authentication Data
 *  …       28 of a trailer that signs it (hmac.ts), if any
 * ```
 */
import { type Family, familyOf, type Ip, ipBytes, ipFrom, type Mac } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import { onesSum, setU16, u16, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { cs, type Duration, sec } from "../../src/core/time.ts";
import { isTrailer, readTrailer, type Trailer } from "./hmac.ts";

export type { Trailer } from "./hmac.ts";

/** RFC 9568 §5.2.4: the priority of the router whose own the virtual addresses are. */
export const OWNER = 255;
/** RFC 9568 §5.1.1.4, §5.1.2.4. */
export const VRRP_PROTOCOL = 112;
/** RFC 9568 §5.1.1.3: a router more than one hop away cannot send this. */
export const VRRP_TTL = 255;
/** RFC 9568 §5.1.1.2. */
export const VRRP_GROUP_4 = "224.0.0.18" as Ip;
/** RFC 9568 §5.1.2.2. */
export const VRRP_GROUP_6 = "ff02::12" as Ip;
/** IP protocol of the AH that wraps version 2 adverts of RFC 2338 §5.3.6 authentication type 2. */
export const AUTHENTICATION_HEADER = 51;

const FIXED = 8;
const AUTH_DATA = 8;
const TYPE_ADVERTISEMENT = 1;

export interface AdvertV3 {
  readonly version: 3;
  /** 1…255. */
  readonly vrid: number;
  /** 0 (released), 1…254, 255 (owner of the addresses). */
  readonly priority: number;
  /** Of the sender; 10 ms … 40.95 s in steps of 10 ms. */
  readonly interval: Duration;
  /** The four bits of §5.2.6 as received; written as 0, whatever stands here. */
  readonly reserved: number;
  /** All of one family; the order of the sender. */
  readonly addresses: readonly Ip[];
}

export interface AdvertV2 {
  readonly version: 2;
  readonly vrid: number;
  readonly priority: number;
  /** 1 s … 255 s in steps of 1 s. */
  readonly interval: Duration;
  /** 0 none; 1 simple text password and 2 IP authentication header of RFC 2338, reserved in RFC 3768 §5.3.6. */
  readonly authType: number;
  /** Eight octets: zeros, or the password of type 1. */
  readonly authData: Uint8Array;
  readonly addresses: readonly Ip[];
}

export type Advert = AdvertV2 | AdvertV3;

/**
 * What the checksum covers. "message": the advert alone, as version 2 and RFC 9568 §5.2.8 for IPv4 have it.
 * "pseudo-header": also source, destination, length and protocol, as IPv6 has it and as RFC 5798 was read for IPv4.
 */
export type ChecksumForm = "message" | "pseudo-header";

/** Why an advert says nothing to anybody, whatever its receiver is configured for. */
export type VrrpReason =
  | "ttl"
  | "version"
  | "type"
  | "length"
  | "count-zero"
  | "checksum"
  | "vrid"
  | "interval-zero"
  | "interval-mismatch"
  | "carp";

/** What of an IP packet matters here; `payload` begins with the advert's first octet. */
export interface AdvertPacket {
  readonly family: Family;
  readonly source: Ip;
  readonly destination: Ip;
  /** TTL or hop limit. */
  readonly ttl: number;
  readonly payload: Uint8Array;
}

export interface DecodedAdvert {
  readonly advert: Advert;
  /** Which computations fit; never empty, and both when the pseudo-header happens to sum to nothing. */
  readonly checksumForms: readonly ChecksumForm[];
  /** The octets of a trailer that signs it, not yet verified. */
  readonly trailer: Uint8Array | undefined;
}

const NO_FORM: readonly ChecksumForm[] = [];
const MESSAGE: readonly ChecksumForm[] = ["message"];
const PSEUDO: readonly ChecksumForm[] = ["pseudo-header"];
const BOTH: readonly ChecksumForm[] = ["pseudo-header", "message"];

/**
 * Checks in the order of RFC 9568 §7.1 (RFC 3768 §7.1 for version 2) and gives the first thing that is wrong.
 * Whether the VRID is configured, the version-2 interval and the authentication match is for the receiver to say.
 *
 * DEPARTS: octets behind the last address are refused as "length". §7.1 asks only for a complete packet, but no
 * receiver that we know of takes such a packet, and two readings of one advert are worse than none.
 * @param version the only version that is accepted; both when absent (version 2 over IPv4 alone)
 * @param signed whether these octets may be a trailer, in version 3
 */
export function decodeAdvert(packet: AdvertPacket, version?: 2 | 3, signed = false): Result<DecodedAdvert, VrrpReason> {
  const { payload, family } = packet;
  if (isCarp(payload)) return drop("carp");
  if (packet.ttl !== VRRP_TTL) return drop("ttl");
  if (payload.length === 0) return drop("length");
  const first = payload[0] ?? 0;
  const found = first >>> 4;
  if (found !== 2 && found !== 3) return drop("version");
  if (version !== undefined && found !== version) return drop("version");
  // RFC 3768 knows IPv4 only.
  if (found === 2 && family === "ipv6") return drop("version");
  if ((first & 0x0f) !== TYPE_ADVERTISEMENT) return drop("type");
  const count = payload[3] ?? 0;
  const size = encodedSize(found, family, count);
  if (payload.length < FIXED || payload.length < size) return drop("length");
  // RFC 9568 §7.1 with erratum 8299.
  if (count === 0) return drop("count-zero");
  let trailer: Uint8Array | undefined;
  if (payload.length > size) {
    if (!signed || found !== 3 || !isTrailer(payload, size)) return drop("length");
    trailer = payload.subarray(size);
  }
  const checksumForms = formsOf(packet, trailer === undefined ? payload.length : size);
  if (!acceptable(checksumForms, found, family)) return drop("checksum");
  if (payload[1] === 0) return drop("vrid");
  const advert = found === 3 ? version3(payload, family, count) : version2(payload, count);
  // RFC 9568 §5.2.7 with erratum 8301: 0 would let a backup time out at once. RFC 3768 §7.1: 0 matches nobody's own.
  if (advert.interval === 0) return drop(found === 3 ? "interval-zero" : "interval-mismatch");
  return ok({ advert, checksumForms, trailer });
}

function version3(payload: Uint8Array, family: Family, count: number): AdvertV3 {
  const word = u16(payload, 4);
  return {
    version: 3,
    vrid: payload[1] ?? 0,
    priority: payload[2] ?? 0,
    interval: cs(word & 0x0fff),
    reserved: word >>> 12,
    addresses: addressesOf(payload, family, count),
  };
}

function version2(payload: Uint8Array, count: number): AdvertV2 {
  const end = FIXED + 4 * count;
  return {
    version: 2,
    vrid: payload[1] ?? 0,
    priority: payload[2] ?? 0,
    interval: sec(payload[5] ?? 0),
    authType: payload[4] ?? 0,
    authData: payload.subarray(end, end + AUTH_DATA),
    addresses: addressesOf(payload, "ipv4", count),
  };
}

/** As many of `count` addresses as the payload holds whole. */
function addressesOf(payload: Uint8Array, family: Family, count: number): Ip[] {
  const width = widthOf(family);
  const there = Math.min(count, Math.floor(Math.max(0, payload.length - FIXED) / width));
  const addresses: Ip[] = [];
  for (let i = 0; i < there; i++) addresses.push(ipFrom(payload, family, FIXED + i * width));
  return addresses;
}

function widthOf(family: Family): number {
  return family === "ipv4" ? 4 : 16;
}

/** Octets of an advert of that version with `count` addresses. */
export function encodedSize(version: number, family: Family, count: number): number {
  return FIXED + count * widthOf(family) + (version === 2 ? AUTH_DATA : 0);
}

/**
 * Version 2 sums the message (RFC 3768 §5.3.8), version 3 over IPv6 includes the pseudo-header (RFC 9568 §5.2.8).
 * Over IPv4 version 3 sums the message, but RFC 5798 was widely read to mean the pseudo-header too: both are taken.
 */
function acceptable(forms: readonly ChecksumForm[], version: number, family: Family): boolean {
  if (version === 2) return forms.includes("message");
  return family === "ipv6" ? forms.includes("pseudo-header") : forms.length > 0;
}

/** Which computations fit the checksum that stands in the payload; neither for one shorter than its header. */
export function checksumFormsOf(packet: Omit<AdvertPacket, "ttl">): readonly ChecksumForm[] {
  const { payload, family } = packet;
  const size = encodedSize((payload[0] ?? 0) >>> 4, family, payload[3] ?? 0);
  return formsOf(packet, isTrailer(payload, size) ? size : payload.length);
}

/** @param size of the advert alone: over IPv4 a trailer is not summed */
function formsOf(packet: Omit<AdvertPacket, "ttl">, size: number): readonly ChecksumForm[] {
  const { payload, family, source, destination } = packet;
  if (payload.length < FIXED) return NO_FORM;
  const covered = family === "ipv4" ? size : payload.length;
  const sum = onesSum(payload, 0, covered);
  const message = sum === 0xffff;
  const pseudo = continued(sum, pseudoHeaderSum(source, destination, covered)) === 0xffff;
  if (message) return pseudo ? BOTH : MESSAGE;
  return pseudo ? PSEUDO : NO_FORM;
}

/** RFC 9568 §5.2.8 for IPv6 (RFC 8200 §8.1); of the same parts for IPv4. */
function pseudoHeaderSum(source: Ip, destination: Ip, length: number): number {
  return continued(onesSum(ipBytes(source)), continued(onesSum(ipBytes(destination)), VRRP_PROTOCOL + length));
}

/** Ones' complement addition of two 16-bit sums. */
function continued(a: number, b: number): number {
  const sum = a + b;
  return (sum & 0xffff) + (sum >>> 16);
}

export interface Carrier {
  readonly source: Ip;
  readonly destination: Ip;
  /** For version 3 over IPv4; version 2 and IPv6 know one form each. */
  readonly checksum: ChecksumForm;
}

/**
 * One advert as the payload of an IP packet from `source` to `destination`. Reserved bits are written as 0.
 * @param trailer that signs it
 */
export function encodeAdvert(advert: Advert, carrier: Carrier, trailer?: Uint8Array): Uint8Array {
  const { version, addresses } = advert;
  const family = familyOf(carrier.source);
  assert(addresses.length <= 255, "an advert counts at most 255 addresses");
  assert(version === 3 || family === "ipv4", "version 2 knows IPv4 only");
  const size = encodedSize(version, family, addresses.length);
  const writer = new Writer(size + (trailer?.length ?? 0));
  writer
    .u8((version << 4) | TYPE_ADVERTISEMENT)
    .u8(advert.vrid)
    .u8(advert.priority)
    .u8(addresses.length);
  if (version === 3) writer.u16((advert.interval / 10_000) & 0x0fff);
  else writer.u8(advert.authType).u8(advert.interval / 1_000_000);
  writer.u16(0);
  for (const address of addresses) writer.put(ipBytes(address));
  if (version === 2) writer.put(advert.authData.subarray(0, AUTH_DATA));
  if (trailer !== undefined) writer.put(trailer);
  const payload = writer.bytes;
  const covers = version === 2 ? "message" : family === "ipv6" ? "pseudo-header" : carrier.checksum;
  const summed = family === "ipv4" ? size : payload.length;
  let sum = onesSum(payload, 0, summed);
  if (covers === "pseudo-header") {
    sum = continued(sum, pseudoHeaderSum(carrier.source, carrier.destination, summed));
  }
  setU16(payload, 6, ~sum & 0xffff);
  return payload;
}

/** Whatever fields a payload has, valid or not, cut or whole: for showing, never for deciding. */
export interface AdvertFields {
  readonly version: number;
  readonly type: number;
  readonly vrid?: number;
  readonly priority?: number;
  readonly count?: number;
  /** Version 3: Max Advertise Interval in centiseconds, and the four bits before it. */
  readonly intervalCs?: number;
  readonly reserved?: number;
  /** Version 2: Adver Int in seconds. */
  readonly intervalS?: number;
  readonly authType?: number;
  readonly authData?: Uint8Array;
  readonly checksum?: number;
  /** Those of the `count` addresses that are there whole. */
  readonly addresses?: readonly Ip[];
  /** Version 3: what signs it. */
  readonly trailer?: Trailer;
}

/** Reads any payload as far as it goes; undefined when it is empty. */
export function readAdvert(payload: Uint8Array, family: Family): AdvertFields | undefined {
  const [first, vrid, priority, count] = payload;
  if (first === undefined) return undefined;
  const version = first >>> 4;
  const addresses = count === undefined ? [] : addressesOf(payload, family, count);
  const dataAt = FIXED + (count ?? 0) * widthOf(family);
  return {
    version,
    type: first & 0x0f,
    ...(vrid === undefined ? {} : { vrid }),
    ...(priority === undefined ? {} : { priority }),
    ...(count === undefined ? {} : { count }),
    ...intervalOf(payload, version),
    ...(payload.length >= FIXED ? { checksum: u16(payload, 6) } : {}),
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(version !== 3 && payload.length >= dataAt + AUTH_DATA
      ? { authData: payload.subarray(dataAt, dataAt + AUTH_DATA) }
      : {}),
    ...(version === 3 && isTrailer(payload, dataAt) ? { trailer: readTrailer(payload.subarray(dataAt)) } : {}),
  };
}

/** Versions other than 3 are read as version 2. The first of the two octets says something on its own. */
function intervalOf(payload: Uint8Array, version: number): Partial<AdvertFields> {
  const [, , , , high, low] = payload;
  if (high === undefined) return {};
  if (version !== 3) return { authType: high, ...(low === undefined ? {} : { intervalS: low }) };
  return { reserved: high >>> 4, ...(low === undefined ? {} : { intervalCs: ((high & 0x0f) << 8) | low }) };
}

/**
 * CARP shares protocol, group, TTL and first octet with VRRPv2. Its length is fixed at 36 octets and octet 3 is its
 * authlen of 7 words, which as a VRRPv2 address count would need 44.
 */
export function isCarp(payload: Uint8Array): boolean {
  return payload.length === 36 && payload[0] === 0x21 && payload[3] === 7;
}

/**
 * What an IP authentication header (RFC 4302 §2) wraps, without looking at its integrity value.
 * ```
 *  0  Next Header   1  Payload Len (32-bit words, minus 2)   2–3  reserved   4–7  SPI   8–11  sequence   12…  ICV
 * ```
 * @returns undefined when the header is not there whole.
 */
export function insideAuthenticationHeader(
  payload: Uint8Array,
): { readonly protocol: number; readonly payload: Uint8Array } | undefined {
  const size = ((payload[1] ?? 0) + 2) * 4;
  if (size < 12 || payload.length < size) return undefined;
  return { protocol: payload[0] ?? 0, payload: payload.subarray(size) };
}

/** RFC 9568 §7.3: 00-00-5E-00-01-{VRID} for IPv4, 00-00-5E-00-02-{VRID} for IPv6. */
export function virtualMac(family: Family, vrid: number): Mac {
  return `00:00:5e:00:0${family === "ipv4" ? 1 : 2}:${vrid.toString(16).padStart(2, "0")}` as Mac;
}
