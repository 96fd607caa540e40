/**
 * The TCP header (RFC 9293 §3.1), and the order of octets in a stream.
 *
 *   0  source port 2       12  data offset 4 (in words), reserved 4, flags 8
 *   2  destination port 2  14  window 2
 *   4  sequence 4          16  checksum 2, urgent pointer 2
 *   8  acknowledgment 4    20  options
 */
import type { Ip } from "../../src/core/addr.ts";
import { EMPTY, setU16, u16, u32, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { PROTOCOL, upperChecksum, upperChecksumFits } from "../ip/codec.ts";

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
  /** Maximum segment size, where the option is there (RFC 9293 §3.7.1); on SYN only. */
  readonly mss?: number;
  /** A view. */
  readonly payload: Uint8Array;
}

/** The addresses of the packet around it, for the pseudo-header. */
interface Between {
  readonly source: Ip;
  readonly destination: Ip;
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
    ...mssOption(bytes.subarray(TCP_HEADER, header)),
    payload: bytes.subarray(header),
  });
}

/** RFC 9293 §3.1: kind, length and value; end (0) and no-operation (1) are one octet. Bad ones end the list. */
function mssOption(options: Uint8Array): { readonly mss?: number } {
  for (let at = 0; at < options.length; ) {
    const kind = options[at] ?? 0;
    if (kind === 0) break;
    const length = kind === 1 ? 1 : (options[at + 1] ?? 0);
    if (length < 1 || at + length > options.length || (kind !== 1 && length < 2)) break;
    if (kind === MSS && length === MSS_SIZE) return { mss: u16(options, at + 2) };
    at += length;
  }
  return {};
}

const MSS = 2;
const MSS_SIZE = 4;

/** Whether a segment's checksum fits the packet around it. */
export function tcpChecksumFits(bytes: Uint8Array, ip: Between): boolean {
  return upperChecksumFits({ ...ip, protocol: PROTOCOL.tcp }, bytes);
}

/** A segment with its checksum. */
export function encodeTcp(segment: TcpSegment, ip: Between): Uint8Array {
  const header = TCP_HEADER + (segment.mss === undefined ? 0 : MSS_SIZE);
  const writer = new Writer(header + segment.payload.length)
    .u16(segment.sourcePort)
    .u16(segment.destinationPort)
    .u32(segment.sequence)
    .u32(segment.acknowledgment)
    .u16(((header / 4) << 12) | segment.flags)
    .u16(segment.window)
    .u32(0);
  if (segment.mss !== undefined) writer.u8(MSS).u8(MSS_SIZE).u16(segment.mss);
  const { bytes } = writer.put(segment.payload);
  setU16(bytes, 16, upperChecksum({ ...ip, protocol: PROTOCOL.tcp }, bytes));
  return bytes;
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
  /** Octets between what was delivered before and these. */
  readonly gap: number;
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
  return bytes.length > 0 || !overfull(stream) ? { bytes, fresh, gap: 0 } : giveUp(stream);
}

/** Goes on behind the first hole: what is missing there will not come. */
export function giveUp(stream: TcpStream): Arrival {
  const [first] = stream.held;
  const gap = first === undefined ? 0 : distance(stream.next ?? first.sequence, first.sequence);
  stream.next = first?.sequence ?? stream.next;
  return { bytes: release(stream), fresh: true, gap };
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
