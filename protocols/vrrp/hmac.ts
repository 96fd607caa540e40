/**
 * The trailer that signs an advert: draft-cassen-vrrp-auth-hmac-01, as keepalived speaks it from 2.4.1 on. It stands behind
 * the last address, within the length of the IP packet; the checksum over IPv4 leaves it out, that over IPv6 has it.
 *
 * ```
 *  octet   0      Extension Type = 1: HMAC-SHA-256, cut to 128 bits
 *  1              Key Id
 *  2–3            Reserved = 0
 *  4–7            Sequence: UTC in seconds
 *  8–9            Sequence: 1/65536 of a second
 *  10–11          Sequence: counter, for adverts of the same instant
 *  12–27          HMAC
 * ```
 *
 * Signed are: address family (4 or 6), version, VRID, 0, the IP source address with zeros behind it to 16 octets; the advert
 * with zeros for its checksum; the trailer with zeros for its HMAC. The destination is not in it: the copies for all
 * unicast peers are one advert.
 */
import { type Ip, ipBytes } from "../../src/core/addr.ts";
import { u16, u32, Writer } from "../../src/core/bytes.ts";
import { hmacSha256 } from "../../src/core/hmac.ts";
import type { Duration } from "../../src/core/time.ts";

export const TRAILER_SIZE = 28;

const TYPE_HMAC_SHA256_128 = 1;
const HMAC_AT = 12;
const HMAC_SIZE = 16;
const BINDING_SIZE = 20;
const CHECKSUM_AT = 6;

export interface HmacKey {
  /** 1 … 255; said in every trailer. */
  readonly id: number;
  /** 32 … 64 octets. */
  readonly secret: Uint8Array;
}

/** 64 bits that grow from advert to advert of one sender: a time, and a counter where the time stands still. */
export interface Sequence {
  /** The high half: seconds since 1970, modulo 2^32. */
  readonly seconds: number;
  /** The low half: 16 bits of 1/65536 s, 16 bits of counter. */
  readonly rest: number;
}

export interface Trailer {
  readonly keyId: number;
  readonly sequence: Sequence;
  /** 16 octets. */
  readonly hmac: Uint8Array;
}

/** Whether what stands from `at` to the end is a trailer of the kind that is known. */
export function isTrailer(payload: Uint8Array, at: number): boolean {
  return payload.length - at === TRAILER_SIZE && payload[at] === TYPE_HMAC_SHA256_128 && u16(payload, at + 2) === 0;
}

/** The fields of what `isTrailer` has found; `hmac` is a view. */
export function readTrailer(trailer: Uint8Array): Trailer {
  return {
    keyId: trailer[1] ?? 0,
    sequence: { seconds: u32(trailer, 4), rest: u32(trailer, 8) },
    hmac: trailer.subarray(HMAC_AT),
  };
}

/**
 * The trailer for an advert.
 * @param message the advert alone, whatever its checksum is
 * @param source of the IP packet
 */
export function signAdvert(message: Uint8Array, source: Ip, key: HmacKey, sequence: Sequence): Uint8Array {
  const writer = new Writer(TRAILER_SIZE);
  writer.u8(TYPE_HMAC_SHA256_128).u8(key.id).u16(0).u32(sequence.seconds).u32(sequence.rest);
  return writer.put(hmacOf(message, source, key, writer.bytes)).bytes;
}

/** Whether the trailer's HMAC is what the key makes of this advert. Takes the same time wherever they differ. */
export function isSignedWith(message: Uint8Array, source: Ip, key: HmacKey, trailer: Uint8Array): boolean {
  const expected = hmacOf(message, source, key, trailer);
  let difference = 0;
  for (let i = 0; i < HMAC_SIZE; i++) difference |= (expected[i] ?? 0) ^ (trailer[HMAC_AT + i] ?? 0);
  return difference === 0;
}

function hmacOf(message: Uint8Array, source: Ip, key: HmacKey, trailer: Uint8Array): Uint8Array {
  const address = ipBytes(source);
  const signed = new Writer(BINDING_SIZE + message.length + TRAILER_SIZE);
  signed.u8(address.length === 4 ? 4 : 6).u8((message[0] ?? 0) >>> 4);
  signed
    .u8(message[1] ?? 0)
    .u8(0)
    .put(address);
  signed.offset = BINDING_SIZE;
  signed.put(message).put(trailer.subarray(0, HMAC_AT));
  signed.bytes.fill(0, BINDING_SIZE + CHECKSUM_AT, BINDING_SIZE + CHECKSUM_AT + 2);
  return hmacSha256(key.secret, signed.bytes).subarray(0, HMAC_SIZE);
}

/** Of a time in microseconds since 1970, with the counter at 0. */
export function sequenceAt(utc: number): Sequence {
  const seconds = Math.floor(utc / 1_000_000);
  const fraction = Math.floor(((utc - seconds * 1_000_000) * 0x10000) / 1_000_000);
  return { seconds: seconds >>> 0, rest: (fraction << 16) >>> 0 };
}

/** The order of RFC 1982 §3.2 with 64 bits: a is the later one although it may be the smaller number. */
export function isAfter(a: Sequence, b: Sequence): boolean {
  // The high half of a - b; the low one says something only when this is 0.
  const high = (a.seconds - b.seconds - (a.rest < b.rest ? 1 : 0)) | 0;
  return high > 0 || (high === 0 && a.rest !== b.rest);
}

/** By how many microseconds a is the later one; negative when it is the earlier one. Counters do not count. */
export function microsecondsBetween(a: Sequence, b: Sequence): number {
  return ((a.seconds - b.seconds) | 0) * 1_000_000 + (((a.rest >>> 16) - (b.rest >>> 16)) * 1_000_000) / 0x10000;
}

/**
 * The sequence after `previous`: the time, or one more where the time has not grown (same instant, or a clock set back).
 * @param window of the receivers, where they compare times: a sender that is ahead by more, because its clock was set
 * back by more, would not be heard until the time is there, so it starts from its clock afresh. Undefined: it never goes
 * back.
 */
export function nextSequence(previous: Sequence | undefined, utc: number, window: Duration | undefined): Sequence {
  const now = sequenceAt(utc);
  if (previous === undefined || isAfter(now, previous)) return now;
  if (window !== undefined && microsecondsBetween(previous, now) > window) return now;
  const rest = (previous.rest + 1) >>> 0;
  return { seconds: rest === 0 ? (previous.seconds + 1) >>> 0 : previous.seconds, rest };
}
