/** Whole IP packets through the kernel's own stack: it finds the way, the packet is as it is (raw(7), IP_HDRINCL). */
import { ip6From } from "../../core/addr.ts";
import type { Interfaces } from "./interfaces.ts";
import { CallFailed, type Libc } from "./libc.ts";
import { refuse } from "./packet.ts";
import { isOfLink, openRawIp, type RawIp, socketAddress } from "./raw-ip.ts";

export class StackSocket {
  /** Packets that the kernel refused, by errno's name. */
  readonly refused = new Map<string, number>();
  private readonly raw: RawIp;

  constructor(
    private readonly libc: Libc,
    private readonly interfaces: Interfaces,
  ) {
    this.raw = openRawIp(libc);
  }

  send(packet: Uint8Array): void {
    const six = (packet[0] ?? 0) >>> 4 === 6;
    const fd = six ? this.raw.six : this.raw.four;
    if (fd === undefined) {
      refuse(this.refused, "EAFNOSUPPORT");
      return;
    }
    try {
      const destination = six ? packet.subarray(24, 40) : packet.subarray(16, 20);
      // A link-local destination is on the link of the source.
      const link = isOfLink(destination) ? (this.interfaces.withAddress(ip6From(packet, 8))?.index ?? 0) : 0;
      this.libc.sendto(fd, packet, socketAddress(destination, link));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      refuse(this.refused, error.code);
    }
  }

  close(): void {
    this.libc.close(this.raw.four);
    if (this.raw.six !== undefined) this.libc.close(this.raw.six);
  }
}
