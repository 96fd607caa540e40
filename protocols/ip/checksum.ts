/** Checksums of RFC 791 §3.1 and the pseudo-headers of RFC 793 §3.1 and RFC 8200 §8.1. */
import { type Ip, ipBytes } from "../../src/core/addr.ts";
import { internetChecksum, onesSum, setU16, u16 } from "../../src/core/bytes.ts";

/**
 * The sum to start an upper layer's checksum with: addresses, length of the upper layer in octets, protocol.
 * The two families' pseudo-headers differ in form only; the sum has the same parts.
 */
export function pseudoHeaderSum(source: Ip, destination: Ip, protocol: number, length: number): number {
  return addressSum(ipBytes(source), ipBytes(destination)) + protocol + (length >>> 16) + (length & 0xffff);
}

function addressSum(source: Uint8Array, destination: Uint8Array): number {
  return onesSum(destination, 0, destination.length, onesSum(source));
}

/** The checksum over pseudo-header and `bytes[from…to)`, whose own checksum field must be zero. */
export function upperChecksum(
  packet: { readonly source: Ip; readonly destination: Ip; readonly protocol: number },
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
): number {
  return internetChecksum(
    bytes,
    from,
    to,
    pseudoHeaderSum(packet.source, packet.destination, packet.protocol, to - from),
  );
}

/** Whether an upper layer's octets, its checksum among them, fit the pseudo-header. */
export function upperChecksumFits(
  packet: { readonly source: Ip; readonly destination: Ip; readonly protocol: number },
  bytes: Uint8Array,
): boolean {
  return upperChecksum(packet, bytes) === 0;
}

/**
 * Takes one from the TTL or hop limit of the packet at `at`, in place, and mends the IPv4 header checksum without
 * summing the header again (RFC 1624 §3, equation 3). The caller has seen that it is above 1.
 */
export function decreaseTtl(bytes: Uint8Array, at: number): void {
  if ((bytes[at] ?? 0) >>> 4 === 6) {
    bytes[at + 7] = (bytes[at + 7] ?? 0) - 1;
    return;
  }
  const before = u16(bytes, at + 8);
  bytes[at + 8] = (bytes[at + 8] ?? 0) - 1;
  const sum = (~u16(bytes, at + 10) & 0xffff) + (~before & 0xffff) + u16(bytes, at + 8);
  const folded = (sum & 0xffff) + (sum >>> 16);
  setU16(bytes, at + 10, ~((folded & 0xffff) + (folded >>> 16)) & 0xffff);
}
