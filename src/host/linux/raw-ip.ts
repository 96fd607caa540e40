/** Sockets for whole IP packets, header and all: raw(7), IP_HDRINCL. */
import { CallFailed, type Libc, SOCK_FLAGS, SOCK_RAW } from "./libc.ts";
import { AF } from "./netlink.ts";

const IPPROTO_RAW = 255;
const IPPROTO_IPV6 = 41;
const IPV6_HDRINCL = 36;

export interface RawIp {
  readonly four: number;
  /** Undefined in a kernel without IPv6. */
  readonly six: number | undefined;
}

export function openRawIp(libc: Libc): RawIp {
  return { four: libc.socket(AF.inet, SOCK_RAW | SOCK_FLAGS, IPPROTO_RAW), six: openSix(libc) };
}

function openSix(libc: Libc): number | undefined {
  try {
    const fd = libc.socket(AF.inet6, SOCK_RAW | SOCK_FLAGS, IPPROTO_RAW);
    libc.setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, Uint8Array.of(1, 0, 0, 0));
    return fd;
  } catch (error) {
    if (error instanceof CallFailed && error.code === "EAFNOSUPPORT") return undefined;
    throw error;
  }
}

/** RFC 4291 §2.5.6: an address of one link. */
export function isOfLink(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;
}

/** struct sockaddr_in, struct sockaddr_in6. @param link index of the interface that a link-local address is on */
export function socketAddress(destination: Uint8Array, link: number): Uint8Array {
  const four = destination.length === 4;
  const address = new Uint8Array(four ? 16 : 28);
  const view = new DataView(address.buffer);
  view.setUint16(0, four ? AF.inet : AF.inet6, true);
  address.set(destination, four ? 4 : 8);
  // RFC 4007 §6.
  if (isOfLink(destination)) view.setUint32(24, link, true);
  return address;
}
