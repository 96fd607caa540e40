/**
 * ARP for Ethernet and IPv4: RFC 826, RFC 5227.
 *
 *      0                   1
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
 *   0 | hardware type = 1             |
 *   2 | protocol type = 0x0800        |
 *   4 | hw length = 6 | pr length = 4 |
 *   6 | operation: 1 request, 2 reply |
 *   8 | sender hardware address (6)   |
 *  14 | sender protocol address (4)   |
 *  18 | target hardware address (6)   |
 *  24 | target protocol address (4)   |
 */
import { BROADCAST, type Ip4, ip4From, ipBytes, type Mac, macBytes, macFrom } from "../../src/core/addr.ts";
import { u16, Writer } from "../../src/core/bytes.ts";
import { ETHERNET_HEADER, Frame } from "../../src/core/frame.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { ETHERTYPE, writeEthernet } from "../ethernet/codec.ts";

const ARP_SIZE = 28;
export const REQUEST = 1;
export const REPLY = 2;

const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const ZERO_MAC = "00:00:00:00:00:00" as Mac;

export interface ArpPacket {
  /** 16 bit; 1 and 2 are a host's, whoever acts on a packet ignores the others (`arp-op`). */
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderIp: Ip4;
  readonly targetMac: Mac;
  readonly targetIp: Ip4;
}

/** `length`: cut short; `arp-format`: not Ethernet and IPv4. */
export type ArpReason = "length" | "arp-format";

/** Reads the packet at `from`; what follows its 28 octets is padding. */
export function decodeArp(bytes: Uint8Array, from = 0): Result<ArpPacket, ArpReason> {
  if (bytes.length - from < 8) return drop("length");
  if (u16(bytes, from) !== HARDWARE_ETHERNET || u16(bytes, from + 2) !== PROTOCOL_IPV4) return drop("arp-format");
  if (u16(bytes, from + 4) !== 0x0604) return drop("arp-format");
  if (bytes.length - from < ARP_SIZE) return drop("length");
  return ok({
    operation: u16(bytes, from + 6),
    senderMac: macFrom(bytes, from + 8),
    senderIp: ip4From(bytes, from + 14),
    targetMac: macFrom(bytes, from + 18),
    targetIp: ip4From(bytes, from + 24),
  });
}

export function encodeArp(packet: ArpPacket): Uint8Array {
  return put(new Writer(ARP_SIZE), packet).bytes;
}

/** A whole frame. */
export function arpFrame(packet: ArpPacket, destination: Mac, source: Mac = packet.senderMac): Frame {
  const writer = new Writer(ETHERNET_HEADER + ARP_SIZE);
  return Frame.of(put(writeEthernet(writer, destination, source, ETHERTYPE.arp), packet).bytes);
}

function put(writer: Writer, packet: ArpPacket): Writer {
  return writer
    .u16(HARDWARE_ETHERNET)
    .u16(PROTOCOL_IPV4)
    .u16(0x0604)
    .u16(packet.operation)
    .put(macBytes(packet.senderMac))
    .put(ipBytes(packet.senderIp))
    .put(macBytes(packet.targetMac))
    .put(ipBytes(packet.targetIp));
}

/** Who has `target`? */
export function arpRequest(senderMac: Mac, senderIp: Ip4, target: Ip4): ArpPacket {
  return { operation: REQUEST, senderMac, senderIp, targetMac: ZERO_MAC, targetIp: target };
}

/** The answer to `request`: its target address is at `mac`. */
export function arpReply(request: ArpPacket, mac: Mac): ArpPacket {
  return {
    operation: REPLY,
    senderMac: mac,
    senderIp: request.targetIp,
    targetMac: request.senderMac,
    targetIp: request.senderIp,
  };
}

/**
 * The announcement that `ip` is at `mac`: an ARP request whose sender and target address are the same (RFC 5227 §3).
 * The target hardware address is the broadcast one, as keepalived and FRR send it.
 */
export function gratuitousArp(mac: Mac, ip: Ip4): ArpPacket {
  return { operation: REQUEST, senderMac: mac, senderIp: ip, targetMac: BROADCAST, targetIp: ip };
}

/** Whether the packet announces its sender's address to everybody. */
export function isGratuitous(packet: ArpPacket): boolean {
  return packet.senderIp === packet.targetIp;
}
