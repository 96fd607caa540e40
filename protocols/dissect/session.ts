/** What UDP and TCP carry: LDP and HSRP by name, ICCP out of the reassembled stream. */
import { u16 } from "../../src/core/bytes.ts";
import { decodeIccp, ICCP_PORT } from "../iccp/codec.ts";
import { overhear, type Streams } from "../iccp/events.ts";
import { decodeTcp, type TcpSegment } from "../tcp/codec.ts";
import { UDP_HEADER } from "../udp/codec.ts";
import { type Carried, refused } from "./carried.ts";
import { showIccp } from "./iccp.ts";
import { behind, hex, type IccpShown, isCut, judged, type Layers, type Part } from "./types.ts";

const LDP_PORT = 646;
const HSRP_PORT = 1985;
/** What is remembered from frame to frame. */
export interface Sessions {
  /** Number and time of the frame at hand. */
  n: number;
  t: number;
  readonly streams: Streams;
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
  const { n, t, streams } = sessions;
  const heard = overhear(streams, packet, segment, isCut(data), t);
  const where = { frame: n, t, src: packet.source, sport: segment.sourcePort };
  const messages = heard.messages.map((message): IccpShown => showIccp(message, where, decodeIccp(message)));
  const bad = messages.find((message) => message.reason !== undefined)?.reason;
  const reason = bad ?? (heard.lost ? ("message-length" as const) : undefined);
  const gap = heard.gap === 0 ? {} : { gap: heard.gap };
  const shown = messages.length === 0 ? gap : { ...gap, iccp_messages: messages };
  if (data.wire === 0) return { ...shown, rx: "accept" };
  if (reason === undefined) return { ...shown, ...judged(data, isCut(data) ? "drop" : "accept") };
  return { ...shown, ...judged(data, heard.wasLost ? "ignore" : "drop", reason) };
}
