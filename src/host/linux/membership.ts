/**
 * Membership of IP groups on one interface: the kernel says so to switches by IGMP (RFC 3376) and MLD (RFC 3810), answers
 * their queries, and says when it is over. A packet socket's own membership opens the interface's filter only.
 */
import { familyOf, type Ip, ipBytes } from "../../core/addr.ts";
import { CallFailed, type Libc } from "./libc.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_IP = 0;
const IP_ADD_MEMBERSHIP = 35;
const IPPROTO_IPV6 = 41;
const IPV6_ADD_MEMBERSHIP = 20;
/** No such family in this kernel or on this interface, or an interface that has gone meanwhile: nothing to be member of. */
const NOT_THERE = new Set(["EAFNOSUPPORT", "ENODEV", "EADDRNOTAVAIL"]);

export class Membership {
  private readonly fds: number[] = [];

  /** @param index of the interface */
  constructor(
    private readonly libc: Libc,
    index: number,
    groups: readonly Ip[],
  ) {
    for (const family of ["ipv4", "ipv6"] as const) {
      const those = groups.filter((group) => familyOf(group) === family);
      if (those.length > 0) this.join(family === "ipv6", index, those);
    }
  }

  close(): void {
    for (const fd of this.fds) this.libc.close(fd);
    this.fds.length = 0;
  }

  private join(six: boolean, index: number, groups: readonly Ip[]): void {
    try {
      const fd = this.libc.socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      this.fds.push(fd);
      for (const group of groups) {
        if (six) this.libc.setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, request(group, 16, index));
        else this.libc.setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, request(group, 8, index));
      }
    } catch (error) {
      if (!(error instanceof CallFailed) || !NOT_THERE.has(error.code)) throw error;
    }
  }
}

/** struct ip_mreqn (group, a local address that may be left open, index), struct ipv6_mreq (group, index). */
function request(group: Ip, indexAt: number, index: number): Uint8Array {
  const bytes = new Uint8Array(indexAt + 4);
  bytes.set(ipBytes(group));
  new DataView(bytes.buffer).setInt32(indexAt, index, true);
  return bytes;
}
