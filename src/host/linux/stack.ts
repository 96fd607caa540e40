/** Whole IP packets through the kernel's own stack: it finds the way, the packet is as it is (raw(7), IP_HDRINCL). */
import { ip6From } from "../../core/addr.ts";
import type { Interfaces } from "./interfaces.ts";
import { CallFailed, type Libc } from "./libc.ts";
import { AF } from "./netlink.ts";

const SOCK_RAW = 3;
const SOCK_FLAGS = 0o4000 | 0o2000000; // SOCK_NONBLOCK | SOCK_CLOEXEC
const IPPROTO_RAW = 255;
const IPPROTO_IPV6 = 41;
const IPV6_HDRINCL = 36;

export class StackSocket {
  /** Packets that the kernel refused, by errno's name. */
  readonly refused = new Map<string, number>();
  private readonly four: number;
  private readonly six: number | undefined;

  constructor(
    private readonly libc: Libc,
    private readonly interfaces: Interfaces,
  ) {
    this.four = libc.socket(AF.inet, SOCK_RAW | SOCK_FLAGS, IPPROTO_RAW);
    this.six = openSix(libc);
  }

  send(packet: Uint8Array): void {
    const six = (packet[0] ?? 0) >>> 4 === 6;
    const fd = six ? this.six : this.four;
    if (fd === undefined) {
      this.count("EAFNOSUPPORT");
      return;
    }
    try {
      this.libc.sendto(fd, packet, six ? this.address6(packet) : address4(packet));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      this.count(error.code);
    }
  }

  close(): void {
    this.libc.close(this.four);
    if (this.six !== undefined) this.libc.close(this.six);
  }

  private count(code: string): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }

  /** struct sockaddr_in6. A link-local destination is on the link of the source (RFC 4007 §6). */
  private address6(packet: Uint8Array): Uint8Array {
    const address = new Uint8Array(28);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF.inet6, true);
    address.set(packet.subarray(24, 40), 8);
    if (packet[24] === 0xfe && ((packet[25] ?? 0) & 0xc0) === 0x80) {
      view.setUint32(24, this.interfaces.withAddress(ip6From(packet, 8))?.index ?? 0, true);
    }
    return address;
  }
}

function openSix(libc: Libc): number | undefined {
  try {
    const fd = libc.socket(AF.inet6, SOCK_RAW | SOCK_FLAGS, IPPROTO_RAW);
    libc.setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, Uint8Array.of(1, 0, 0, 0));
    return fd;
  } catch (error) {
    // A kernel without IPv6.
    if (error instanceof CallFailed && error.code === "EAFNOSUPPORT") return undefined;
    throw error;
  }
}

/** struct sockaddr_in. */
function address4(packet: Uint8Array): Uint8Array {
  const address = new Uint8Array(16);
  new DataView(address.buffer).setUint16(0, AF.inet, true);
  address.set(packet.subarray(16, 20), 4);
  return address;
}
