/**
 * UDP: RFC 768; over IPv6 RFC 8200 §8.1.
 *
 *   0 | source port      | 2 | destination port |
 *   4 | length           | 6 | checksum over pseudo-header and datagram; 0 for none (IPv4 only) |
 *   8 | payload
 */
import type { Ip } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import { setU16, u16, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { PROTOCOL, upperChecksum, upperChecksumFits } from "../ip/codec.ts";

export const UDP_HEADER = 8;

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** A view. */
  readonly payload: Uint8Array;
  /** Sent without a checksum, which only IPv4 allows. */
  readonly unchecked?: true;
}

/** The addresses of the packet around it, for the pseudo-header. */
export interface Between {
  readonly source: Ip;
  readonly destination: Ip;
}

/** `length`: cut, or a length that does not fit; `checksum`: wrong, or none over IPv6. */
export type UdpReason = "length" | "checksum";

/** Reads the payload of an IP packet; octets behind the datagram's own length are not part of it. */
export function decodeUdp(bytes: Uint8Array, ip: Between): Result<UdpDatagram, UdpReason> {
  const length = u16(bytes, 4);
  if (bytes.length < UDP_HEADER || length < UDP_HEADER || length > bytes.length) return drop("length");
  const datagram = bytes.subarray(0, length);
  const ports = { sourcePort: u16(bytes, 0), destinationPort: u16(bytes, 2), payload: datagram.subarray(UDP_HEADER) };
  if (u16(bytes, 6) === 0) {
    // RFC 8200 §8.1: over IPv6 the checksum is not optional.
    return ip.source.includes(":") ? drop("checksum") : ok({ ...ports, unchecked: true });
  }
  if (!upperChecksumFits({ ...ip, protocol: PROTOCOL.udp }, datagram)) return drop("checksum");
  return ok(ports);
}

/** @param datagram with at most 65,527 octets of payload */
export function encodeUdp(datagram: UdpDatagram, ip: Between): Uint8Array {
  const writer = new Writer(UDP_HEADER + datagram.payload.length);
  writeUdp(writer, datagram.sourcePort, datagram.destinationPort, datagram.payload.length).put(datagram.payload);
  if (datagram.unchecked !== true) sealUdp(writer.bytes, 0, ip);
  return writer.bytes;
}

/** Writes the header with a zero checksum; `sealUdp` follows once the payload stands. */
function writeUdp(writer: Writer, source: number, destination: number, payload: number): Writer {
  assert(payload <= 0xffff - UDP_HEADER, "UDP datagram too long");
  return writer
    .u16(source)
    .u16(destination)
    .u16(UDP_HEADER + payload)
    .u16(0);
}

/** Puts the checksum into the datagram that begins at `at` and ends with `bytes`; its checksum field must be zero. */
function sealUdp(bytes: Uint8Array, at: number, ip: Between): void {
  const sum = upperChecksum({ ...ip, protocol: PROTOCOL.udp }, bytes, at);
  // RFC 768: a computed zero is sent as all ones, for zero means that there is none.
  setU16(bytes, at + 6, sum === 0 ? 0xffff : sum);
}
