/**
 * The messages of recorded connections, for bystanders: octets put in order, cut into messages. Segments may come in any
 * order, twice, or never. A hole is waited for, and given up
 *
 *   - when the receiver has acknowledged what is behind it: it has come, and is missing in the recording only (after
 *     REORDERED, for acknowledgments may be recorded before the data);
 *   - after MAX_WAIT, or when more waits behind it than TCP's MAX_HELD octets or MAX_SEGMENTS segments.
 *
 * What follows is left out until a message begins: at the start of a segment, or wherever octets look like the first
 * twelve of a message.
 */
import { EMPTY, u16, u32 } from "../../src/core/bytes.ts";
import { type Arrival, arrive, createStream, FLAG, giveUp, type TcpSegment, type TcpStream } from "../tcp/codec.ts";
import { isMessageType, MESSAGE, messageSize } from "./codec.ts";

/** Directions that are followed at once; beyond that the one that was quiet longest is forgotten. */
export const MAX_STREAMS = 256;
/** Seconds. */
export const REORDERED = 0.1;
export const MAX_WAIT = 3;
/** RFC 7275 §6.1: type 0005, length 4. */
const RG_ID = 0x0005_0004;
/** RFC 7275 §6.2.2, with the U bit. */
const CAPABILITY = 0x8700_0004;

interface Direction {
  readonly tcp: TcpStream;
  /** The beginning of a message; shorter than the message, so at most MAX_MESSAGE octets. */
  pending: Uint8Array;
  /** The boundaries of messages are unknown, and stay so until the connection begins anew. */
  lost: boolean;
  /** Since when something waits behind a hole, in seconds. */
  waitsSince: number | undefined;
  /** The highest octet that the receiver has acknowledged. */
  acknowledged: number | undefined;
}

/** By addresses and ports; the one that spoke last is last. */
export type Streams = Map<string, Direction>;

export interface Overheard {
  /** Whole messages that this segment has completed. */
  readonly messages: readonly Uint8Array[];
  /** Octets that are missing before them, as far as that is known. */
  readonly gap: number;
  /** No message can be found from here on; it was so before this segment. */
  readonly lost: boolean;
  readonly wasLost: boolean;
}

/** The addresses of a segment's packet. */
interface Between {
  readonly source: string;
  readonly destination: string;
}

/**
 * Takes the next segment of a recording.
 * @param cut whether the recording has only a part of its payload
 * @param t when it was recorded, in seconds
 */
export function overhear(streams: Streams, packet: Between, segment: TcpSegment, cut: boolean, t: number): Overheard {
  const { source, destination } = packet;
  const ends = [`${source} ${segment.sourcePort}`, `${destination} ${segment.destinationPort}`];
  const stream = directionOf(streams, ends.join(" "));
  const back = streams.get(ends.reverse().join(" "));
  if (back !== undefined && (segment.flags & FLAG.ack) !== 0) back.acknowledged = segment.acknowledgment;
  const wasLost = stream.lost;
  const messages: Uint8Array[] = [];
  let gap = 0;
  if (isHopeless(stream, t)) gap += deliver(stream, giveUp(stream.tcp), false, messages);
  gap += deliver(stream, arrive(stream.tcp, segment), (segment.flags & FLAG.syn) !== 0, messages);
  // What the capture cut off leaves a hole: the next segment begins anew.
  if (cut) stream.tcp.next = undefined;
  stream.waitsSince = stream.tcp.held.length === 0 ? undefined : (stream.waitsSince ?? t);
  return { messages, gap, lost: stream.lost, wasLost };
}

function directionOf(streams: Streams, key: string): Direction {
  const fresh = { tcp: createStream(), pending: EMPTY, lost: false, waitsSince: undefined, acknowledged: undefined };
  const stream = streams.get(key) ?? fresh;
  streams.delete(key);
  streams.set(key, stream);
  const [oldest] = streams.keys();
  if (streams.size > MAX_STREAMS && oldest !== undefined) streams.delete(oldest);
  return stream;
}

function isHopeless({ tcp, waitsSince, acknowledged }: Direction, t: number): boolean {
  const [first] = tcp.held;
  if (waitsSince === undefined || first === undefined) return false;
  const came = acknowledged !== undefined && ((acknowledged - first.sequence) | 0) >= 0;
  return t - waitsSince > (came ? REORDERED : MAX_WAIT);
}

/** @returns octets that are missing before what arrived */
function deliver(stream: Direction, { bytes, fresh, gap }: Arrival, syn: boolean, messages: Uint8Array[]): number {
  if (fresh) {
    stream.pending = EMPTY;
    stream.lost = false;
  }
  let synchronised = !fresh || syn;
  for (const chunk of bytes) {
    let from = 0;
    if (!synchronised) {
      const start = startOf(chunk);
      if (start === undefined) continue;
      from = start;
      synchronised = true;
    }
    cut(stream, chunk.subarray(from), messages);
  }
  // Nothing began here: it may in the next segment.
  if (!synchronised) stream.tcp.next = stream.tcp.held.length === 0 ? undefined : stream.tcp.next;
  return gap;
}

/** Where a message begins in octets that begin anywhere. */
function startOf(bytes: Uint8Array): number | undefined {
  if (bytes.length >= 4 && isMessageType(u16(bytes, 0) & 0x7fff) && messageSize(bytes) !== 0) return 0;
  for (let at = 1; at + 12 <= bytes.length; at++) {
    const type = u16(bytes, at);
    if (!isMessageType(type)) continue;
    const size = messageSize(bytes, at) ?? 0;
    if (size >= 12 && u32(bytes, at + 8) === (type === MESSAGE.capability ? CAPABILITY : RG_ID)) return at;
  }
  return undefined;
}

function cut(stream: Direction, chunk: Uint8Array, messages: Uint8Array[]): void {
  if (stream.lost) return;
  const bytes = joined(stream.pending, chunk);
  let at = 0;
  for (;;) {
    const size = messageSize(bytes, at);
    if (size === 0) {
      // There is no way to find the next message: a receiver closes the connection.
      stream.lost = true;
      stream.pending = EMPTY;
      return;
    }
    if (size === undefined || at + size > bytes.length) break;
    messages.push(bytes.subarray(at, at + size));
    at += size;
  }
  stream.pending = bytes.slice(at);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
