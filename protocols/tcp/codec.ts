/**
 * The TCP header (RFC 9293 §3.1), and the order of octets in a stream: enough to look into a recorded session.
 * Hosts that take part in one use their system's own TCP.
 *
 *   0  source port 2       12  data offset 4 (in words), reserved 4, flags 8
 *   2  destination port 2  14  window 2
 *   4  sequence 4          16  checksum 2, urgent pointer 2
 *   8  acknowledgment 4    20  options
 */
import { EMPTY, u16, u32 } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";

export const TCP_HEADER = 20;
export const FLAG = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;

export interface TcpSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** Bits of FLAG and the four above them. */
  readonly flags: number;
  readonly window: number;
  /** A view. */
  readonly payload: Uint8Array;
}

/** Fewer octets than the header; a data offset below 5 words or beyond the end. */
export type TcpReason = "length" | "data-offset";

/** Reads an IP payload. The checksum is not looked at: hosts leave it to their interfaces, so recordings hold none. */
export function decodeTcp(bytes: Uint8Array): Result<TcpSegment, TcpReason> {
  if (bytes.length < TCP_HEADER) return drop("length");
  const header = ((bytes[12] ?? 0) >>> 4) * 4;
  if (header < TCP_HEADER || header > bytes.length) return drop("data-offset");
  return ok({
    sourcePort: u16(bytes, 0),
    destinationPort: u16(bytes, 2),
    sequence: u32(bytes, 4),
    acknowledgment: u32(bytes, 8),
    flags: u16(bytes, 12) & 0x0fff,
    window: u16(bytes, 14),
    payload: bytes.subarray(header),
  });
}

/** Octets that wait behind a gap, over all segments of one stream; what does not fit is not kept. */
export const MAX_HELD = 65_536;
/** Segments that wait behind a gap. */
export const MAX_SEGMENTS = 64;

interface Held {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** One direction of a connection, seen by a bystander. */
export interface TcpStream {
  /** Sequence number of the next octet in order; undefined before the first segment. */
  next: number | undefined;
  /** Segments beyond a gap, by sequence. */
  held: Held[];
}

export function createStream(): TcpStream {
  return { next: undefined, held: [] };
}

export interface Arrival {
  /** Octets that are now in order, oldest first. */
  readonly bytes: readonly Uint8Array[];
  /** Whether they begin anew: the first of a connection, or behind a gap that was given up. */
  readonly fresh: boolean;
}

/**
 * Takes a segment as it was recorded. Octets that were delivered before are left out; those beyond a gap are held until
 * it is filled. When more is held than MAX_HELD or MAX_SEGMENTS allow, the gap is given up.
 */
export function arrive(stream: TcpStream, segment: TcpSegment): Arrival {
  const syn = (segment.flags & FLAG.syn) !== 0;
  // RFC 9293 §3.4: SYN takes the first sequence number.
  const sequence = syn ? (segment.sequence + 1) >>> 0 : segment.sequence;
  const fresh = syn || stream.next === undefined;
  if (fresh) {
    stream.next = sequence;
    stream.held = [];
  }
  if (segment.payload.length > 0) hold(stream, { sequence, bytes: segment.payload });
  const bytes = release(stream);
  if (bytes.length > 0 || !overfull(stream)) return { bytes, fresh };
  stream.next = stream.held[0]?.sequence;
  return { bytes: release(stream), fresh: true };
}

/** How far `sequence` lies behind (positive) or before (negative) `next`, modulo 2^32. */
function distance(next: number, sequence: number): number {
  return (sequence - next) | 0;
}

function hold(stream: TcpStream, segment: Held): void {
  const { held, next = segment.sequence } = stream;
  const ahead = distance(next, segment.sequence);
  const place = held.findIndex((other) => distance(next, other.sequence) > ahead);
  // What waits is copied: the capture's own buffer need not live as long.
  held.splice(place < 0 ? held.length : place, 0, ahead > 0 ? { ...segment, bytes: segment.bytes.slice() } : segment);
}

function overfull(stream: TcpStream): boolean {
  const size = stream.held.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return stream.held.length > MAX_SEGMENTS || size > MAX_HELD;
}

function release(stream: TcpStream): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (;;) {
    const first = stream.held[0];
    if (first === undefined || stream.next === undefined) return out;
    const gap = distance(stream.next, first.sequence);
    if (gap > 0) return out;
    stream.held.shift();
    const bytes = -gap < first.bytes.length ? first.bytes.subarray(-gap) : EMPTY;
    if (bytes.length > 0) out.push(bytes);
    stream.next = (stream.next + bytes.length) >>> 0;
  }
}
