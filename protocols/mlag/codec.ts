/**
 * The keepalive: a UDP datagram on a path of its own. Its layout, big-endian:
 *
 *    0 | magic "HPKA" (4) | 4 | version = 1 | 5 | kind: 1 hello, 2 probe, 3 answer | 6 | domain (2)
 *    8 | sequence (4)     | 12 | system MAC (6) | 18 | priority (2) | 20 | rank + 1 | 21 | reserved (3)
 *   24 | nonce (8): of a probe, and of the answer to it; zero in a hello
 *
 * Later versions may add octets behind these; a receiver takes what it knows.
 */
import { type Mac, macBytes, macFrom } from "../../src/core/addr.ts";
import { u16, u32, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";

/** The port that Cisco's vPC uses for the same purpose, at both ends. */
export const KEEPALIVE_PORT = 3200;
export const KEEPALIVE_SIZE = 32;
const MAGIC = 0x48504b41;
const VERSION = 1;
const KINDS = ["hello", "probe", "answer"] as const;

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
}

export type KeepaliveReason = "keepalive-length" | "keepalive-magic" | "keepalive-version" | "keepalive-field";

export function decodeKeepalive(bytes: Uint8Array): Result<Keepalive, KeepaliveReason> {
  if (bytes.length < KEEPALIVE_SIZE) return drop("keepalive-length");
  if (u32(bytes, 0) !== MAGIC) return drop("keepalive-magic");
  if ((bytes[4] ?? 0) < VERSION) return drop("keepalive-version");
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
  });
}

export function encodeKeepalive(message: Keepalive): Uint8Array {
  const writer = new Writer(KEEPALIVE_SIZE);
  writer.u32(MAGIC);
  writer.u8(VERSION);
  writer.u8(KINDS.indexOf(message.kind) + 1);
  writer.u16(message.domain);
  writer.u32(message.sequence);
  writer.put(macBytes(message.system));
  writer.u16(message.priority);
  writer.u8(message.rank + 1);
  writer.zero(3);
  writer.u32(Number.parseInt(message.nonce.slice(0, 8), 16));
  writer.u32(Number.parseInt(message.nonce.slice(8), 16));
  return writer.bytes;
}

export function hex32(n: number): string {
  return (n >>> 0).toString(16).padStart(8, "0");
}
