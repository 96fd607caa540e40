/**
 * The packets of one flow: a UDP datagram, or an ICMP echo request, that is the same but for its number. Its octets
 * are made when somebody reads them.
 *
 *   payload, behind the 8 octets of UDP or ICMP:  0  index of the flow 4 | 4  number 4 | zeros up to the size
 */
import { familyOf, type Ip } from "../../src/core/addr.ts";
import { setU16, u16, u32, Writer } from "../../src/core/bytes.ts";
import { ETHERNET_HEADER, Frame, FrameHeader } from "../../src/core/frame.ts";
import { encodeIcmp, type IcmpMessage } from "../icmp/codec.ts";
import { IP4_HEADER, IP6_HEADER, ipPacket, PROTOCOL } from "../ip/codec.ts";
import { type PacketFacts, type PacketSource, packetFrame } from "../ip/events.ts";
import { encodeUdp } from "../udp/codec.ts";
import type { FlowCount } from "./count.ts";

/** UDP ports of flows: this and the index of the flow, in the dynamic range of RFC 6335 §6. */
const FIRST_PORT = 49152;
const PORTS = 65536 - FIRST_PORT;
/** Of UDP and of ICMP echo. */
const HEADER = 8;
const STAMP = 8;
const TTL = 64;

/** What a packet says of its flow. */
export interface Stamp {
  readonly index: number;
  readonly number: number;
}

/** Reads the payload of a datagram or an echo; undefined when it is too short to have a stamp. */
export function stampOf(payload: Uint8Array): Stamp | undefined {
  return payload.length < STAMP ? undefined : { index: u32(payload, 0), number: u32(payload, 4) };
}

export function portOf(index: number): number {
  return FIRST_PORT + (index % PORTS);
}

export class FlowSource implements PacketSource {
  readonly count: FlowCount;
  readonly packet: PacketFacts;
  private readonly header: FrameHeader;
  /** The whole frame of number 0. */
  private readonly template: Uint8Array;
  /** Where UDP or ICMP begins. */
  private readonly upper: number;
  /** Where its checksum stands, and its ones' complement for number 0. */
  private readonly checksumAt: number;
  private readonly sum: number;

  constructor(count: FlowCount, source: Ip) {
    const { flow, index, kind } = count;
    const destination = flow.to;
    const family = familyOf(destination);
    const between = { source, destination };
    this.count = count;
    this.upper = ETHERNET_HEADER + (family === "ipv4" ? IP4_HEADER : IP6_HEADER);
    // A frame too small for headers and stamp is as small as it can be: 50 octets with IPv4, 70 with IPv6.
    const payload = new Writer(Math.max(STAMP, flow.size - this.upper - HEADER)).u32(index).bytes;
    const echo: IcmpMessage = { kind: "echo-request", identifier: index & 0xffff, sequence: 0, data: payload };
    const port = portOf(index);
    const message =
      kind === "echo"
        ? encodeIcmp(echo, between)
        : encodeUdp({ sourcePort: port, destinationPort: port, payload }, between);
    const icmp = family === "ipv4" ? PROTOCOL.icmp : PROTOCOL.icmpv6;
    const protocol = kind === "echo" ? icmp : PROTOCOL.udp;
    this.template = packetFrame(ipPacket({ ...between, protocol, ttl: TTL, payload: message })).bytes;
    this.header = new FrameHeader(this.template);
    this.checksumAt = this.upper + (kind === "echo" ? 2 : 6);
    this.sum = ~u16(this.template, this.checksumAt) & 0xffff;
    this.packet = { family, ...between, protocol, ttl: TTL, maker: this };
  }

  /** Packet `n`, for the port "ip". */
  frame(n: number): Frame {
    return Frame.lazy(this.header, this.template.length, this, n);
  }

  bytesOf(n: number): Uint8Array {
    const bytes = this.template.slice();
    const stamp = this.upper + HEADER;
    setU16(bytes, stamp + 4, n >>> 16);
    setU16(bytes, stamp + 6, n & 0xffff);
    let sum = this.sum + (n >>> 16) + (n & 0xffff);
    if (this.count.kind === "echo") {
      setU16(bytes, this.upper + 6, n & 0xffff);
      sum += n & 0xffff;
    }
    // RFC 1624 §3 (equation 3): what was zero is now the number; all else is as in the template.
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    const checksum = ~sum & 0xffff;
    setU16(bytes, this.checksumAt, checksum === 0 && this.count.kind === "datagram" ? 0xffff : checksum);
    return bytes;
  }
}
