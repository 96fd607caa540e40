/** What UDP and TCP carry: LDP and HSRP by name, ICCP out of the reassembled stream. */
import { EMPTY, u16 } from "../../src/core/bytes.ts";
import { decodeIccp, ICCP_PORT, isMessageType, messageSize } from "../iccp/codec.ts";
import { arrive, createStream, decodeTcp, type TcpSegment, type TcpStream } from "../tcp/codec.ts";
import { UDP_HEADER } from "../udp/codec.ts";
import { type Carried, refused } from "./carried.ts";
import { showIccp } from "./iccp.ts";
import { behind, hex, type IccpShown, isCut, judged, type Layers, type Part, type Reason } from "./types.ts";

const LDP_PORT = 646;
const HSRP_PORT = 1985;
/** Directions of ICCP connections that are followed at once; beyond that the one that was quiet longest is forgotten. */
export const MAX_STREAMS = 256;

interface Stream {
  readonly tcp: TcpStream;
  /** The beginning of a message; shorter than the message, so at most MAX_MESSAGE octets. */
  pending: Uint8Array;
  /** Why the boundaries of messages are unknown until the connection begins anew. */
  lost: Reason | undefined;
}

/** What is remembered from frame to frame. */
export interface Sessions {
  /** Number and time of the frame at hand. */
  n: number;
  t: number;
  /** By addresses and ports; the one that spoke last is last. */
  readonly streams: Map<string, Stream>;
}

export function createSessions(): Sessions {
  return { n: 0, t: 0, streams: new Map() };
}

export function dissectUdp(packet: Carried): Layers {
  const { payload } = packet;
  const { bytes } = payload;
  if (bytes.length < 4) return { proto: "UDP", ...refused(packet) };
  const udp = { sport: u16(bytes, 0), dport: u16(bytes, 2) };
  const ports = [udp.sport, udp.dport];
  const data = behind(payload, UDP_HEADER);
  if (ports.includes(LDP_PORT) && startsLdp(data)) {
    return { proto: "LDP", udp, ldp: ldpMessages(data.bytes), ...refused(packet) };
  }
  return { proto: ports.includes(HSRP_PORT) ? "HSRP" : "UDP", udp, ...refused(packet) };
}

export function dissectTcp(packet: Carried, sessions: Sessions): Layers {
  const { payload } = packet;
  const decoded = decodeTcp(payload.bytes);
  if (!decoded.ok) {
    const own = packet.fault === undefined && !isCut(payload);
    const ports = tcpFields(payload);
    return { proto: "TCP", ...ports, ...(own ? { rx: "drop", reason: decoded.reason } : refused(packet)) };
  }
  const segment = decoded.value;
  const data = behind(payload, payload.bytes.length - segment.payload.length);
  const { sourcePort: sport, destinationPort: dport } = segment;
  const fields = tcpFields(payload);
  if (sport === ICCP_PORT || dport === ICCP_PORT) {
    const proto = data.wire > 0 ? "ICCP" : "TCP";
    if (packet.fault !== undefined) return { proto, ...fields, ...refused(packet) };
    return { proto, ...fields, ...follow(packet, segment, data, sessions) };
  }
  if ((sport === LDP_PORT || dport === LDP_PORT) && startsLdp(data)) {
    return { proto: "LDP", ...fields, ldp: ldpMessages(data.bytes), ...refused(packet) };
  }
  return { proto: "TCP", ...fields, ...refused(packet) };
}

/** As much of a TCP header as is there. */
function tcpFields(payload: Part): Pick<Layers, "tcp"> {
  const { bytes, wire } = payload;
  if (bytes.length < 4) return {};
  const ports = { sport: u16(bytes, 0), dport: u16(bytes, 2) };
  if (bytes.length < 14) return { tcp: ports };
  const header = ((bytes[12] ?? 0) >>> 4) * 4;
  return { tcp: { ...ports, flags: hex(u16(bytes, 12) & 0x0fff, 4), len: Math.max(0, wire - header) } };
}

/** RFC 5036 §3.1: an LDP PDU begins with version 1. */
function startsLdp(part: Part): boolean {
  return part.bytes.length >= 4 && u16(part.bytes, 0) === 1;
}

/** RFC 5036 §3.1, §3.5: version 2, length 2, LSR id 4, label space 2; then messages: U 1, type 15, length 2, id 4. */
function ldpMessages(bytes: Uint8Array): { readonly message_types: readonly string[] } {
  const types: string[] = [];
  for (let at = 0; at + 10 <= bytes.length && u16(bytes, at) === 1; ) {
    const end = Math.min(bytes.length, at + 4 + u16(bytes, at + 2));
    for (let message = at + 10; message + 4 <= end; ) {
      const length = u16(bytes, message + 2);
      if (length < 4 || message + 4 + length > end) return { message_types: types };
      types.push(hex(u16(bytes, message) & 0x7fff, 0));
      message += 4 + length;
    }
    at = Math.max(end, at + 10);
  }
  return { message_types: types };
}

/** Takes a segment of an ICCP connection into its stream, and the messages that it completes out of it. */
function follow(packet: Carried, segment: TcpSegment, data: Part, sessions: Sessions): Pick<Layers, "rx"> {
  const stream = streamOf(packet, segment, sessions);
  const { bytes, fresh } = arrive(stream.tcp, segment);
  if (fresh) {
    stream.pending = EMPTY;
    stream.lost = undefined;
  }
  const messages: IccpShown[] = [];
  const before = stream.lost;
  for (const chunk of bytes) {
    // Where nothing says that a message begins here, it must at least look like one.
    if (fresh && stream.pending.length === 0 && (segment.flags & 0x02) === 0 && !looksLikeIccp(chunk)) {
      stream.tcp.next = undefined;
      continue;
    }
    take(stream, chunk, packet, segment, sessions, messages);
  }
  // What the capture cut off leaves a hole: the next segment begins anew.
  if (isCut(data)) stream.tcp.next = undefined;
  const reason = messages.find((message) => message.reason !== undefined)?.reason ?? stream.lost;
  const shown = messages.length === 0 ? {} : { iccp_messages: messages };
  if (data.wire === 0) return { ...shown, rx: "accept" };
  if (reason === undefined) return { ...shown, ...judged(data, isCut(data) ? "drop" : "accept") };
  return { ...shown, ...judged(data, before === undefined ? "drop" : "ignore", reason) };
}

function streamOf(packet: Carried, segment: TcpSegment, sessions: Sessions): Stream {
  const { streams } = sessions;
  const key = `${packet.source} ${segment.sourcePort} ${packet.destination} ${segment.destinationPort}`;
  const stream = streams.get(key) ?? { tcp: createStream(), pending: EMPTY, lost: undefined };
  streams.delete(key);
  streams.set(key, stream);
  const [oldest] = streams.keys();
  if (streams.size > MAX_STREAMS && oldest !== undefined) streams.delete(oldest);
  return stream;
}

function looksLikeIccp(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && isMessageType(u16(bytes, 0) & 0x7fff) && messageSize(bytes) !== 0;
}

function take(
  stream: Stream,
  chunk: Uint8Array,
  packet: Carried,
  segment: TcpSegment,
  sessions: Sessions,
  messages: IccpShown[],
): void {
  if (stream.lost !== undefined) return;
  const bytes = joined(stream.pending, chunk);
  let at = 0;
  for (;;) {
    const size = messageSize(bytes, at);
    if (size === 0) {
      // There is no way to find the next message: a receiver closes the connection.
      stream.lost = "message-length";
      stream.pending = EMPTY;
      return;
    }
    if (size === undefined || at + size > bytes.length) break;
    const message = bytes.subarray(at, at + size);
    const decoded = decodeIccp(message);
    const { n, t } = sessions;
    const where = { frame: n, t, src: packet.source, sport: segment.sourcePort };
    messages.push(showIccp(message, where, decoded));
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
