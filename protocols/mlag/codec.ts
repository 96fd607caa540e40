/**
 * The keepalive: a UDP datagram on a path of its own. Its layout, big-endian:
 *
 *    0 | magic "HPKA" (4) | 4 | version = 1 | 5 | kind: 1 hello, 2 probe, 3 answer | 6 | domain (2)
 *    8 | sequence (4)     | 12 | system MAC (6) | 18 | priority (2) | 20 | rank + 1 | 21 | flags: 1 signed | 22 | reserved (2)
 *   24 | nonce (8): of a probe, and of the answer to it; zero in a hello
 *   32 | boot id (4): another one in each life of the sender
 *
 * Signed, the last octets are: key id (4), HMAC-SHA-256 over all octets before it (32). Later versions may add octets
 * behind the boot id; a receiver takes what it knows.
 */
import { type Mac, macBytes, macFrom } from "../../src/core/addr.ts";
import { u16, u32, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { type AuthenticationKey, SIGNATURE, sign } from "../iccp/codec.ts";

/** The port that Cisco's vPC uses for the same purpose, at both ends. */
export const KEEPALIVE_PORT = 3200;
export const KEEPALIVE_SIZE = 36;
const MAGIC = 0x48504b41;
const VERSION = 1;
const KINDS = ["hello", "probe", "answer"] as const;
const SIGNED = 0x01;

export interface Keepalive {
  readonly kind: (typeof KINDS)[number];
  readonly domain: number;
  /** Counts the sender's messages, modulo 2^32. */
  readonly sequence: number;
  readonly system: Mac;
  readonly priority: number;
  /** -1 … 2: what the sender's claim to the primary role weighs. */
  readonly rank: number;
  /** 16 hex digits. */
  readonly nonce: string;
  /** 32 bit; 0 while the sender has not started. */
  readonly boot: number;
}

export type KeepaliveReason = "keepalive-length" | "keepalive-magic" | "keepalive-version" | "keepalive-field";

/** Whether it is signed rightly is not looked at: see `signatureOf`. */
export function decodeKeepalive(bytes: Uint8Array): Result<Keepalive, KeepaliveReason> {
  if (bytes.length < KEEPALIVE_SIZE) return drop("keepalive-length");
  if (u32(bytes, 0) !== MAGIC) return drop("keepalive-magic");
  if ((bytes[4] ?? 0) < VERSION) return drop("keepalive-version");
  if (isSigned(bytes) && bytes.length < KEEPALIVE_SIZE + SIGNATURE) return drop("keepalive-length");
  const kind = KINDS[(bytes[5] ?? 0) - 1];
  const rank = (bytes[20] ?? 0) - 1;
  if (kind === undefined || rank > 2) return drop("keepalive-field");
  return ok({
    kind,
    domain: u16(bytes, 6),
    sequence: u32(bytes, 8),
    system: macFrom(bytes, 12),
    priority: u16(bytes, 18),
    rank,
    nonce: hex32(u32(bytes, 24)) + hex32(u32(bytes, 28)),
    boot: u32(bytes, 32),
  });
}

function isSigned(bytes: Uint8Array): boolean {
  return ((bytes[21] ?? 0) & SIGNED) !== 0;
}

/** Key id and code of a datagram that decodes; undefined where it is not signed. */
export function signatureOf(bytes: Uint8Array): Uint8Array | undefined {
  return isSigned(bytes) ? bytes.subarray(bytes.length - SIGNATURE) : undefined;
}

/** @param key signs it */
export function encodeKeepalive(message: Keepalive, key?: AuthenticationKey): Uint8Array {
  const writer = new Writer(KEEPALIVE_SIZE + (key === undefined ? 0 : SIGNATURE));
  writer.u32(MAGIC);
  writer.u8(VERSION);
  writer.u8(KINDS.indexOf(message.kind) + 1);
  writer.u16(message.domain);
  writer.u32(message.sequence);
  writer.put(macBytes(message.system));
  writer.u16(message.priority);
  writer.u8(message.rank + 1);
  writer.u8(key === undefined ? 0 : SIGNED);
  writer.zero(2);
  writer.u32(Number.parseInt(message.nonce.slice(0, 8), 16));
  writer.u32(Number.parseInt(message.nonce.slice(8), 16));
  writer.u32(message.boot);
  if (key !== undefined) {
    writer.u32(key.id);
    sign(writer.bytes, key);
  }
  return writer.bytes;
}

export function hex32(n: number): string {
  return (n >>> 0).toString(16).padStart(8, "0");
}
