/** A client that asks the virtual address for an echo all the time, through its kernel's own ARP or neighbour cache. */
import { encodeIcmp } from "../../../protocols/icmp/codec.ts";
import { PROTOCOL } from "../../../protocols/ip/codec.ts";
import { familyOf, type Ip, ipBytes } from "../../../src/core/addr.ts";
import { CallFailed, type Libc, openLibc } from "../../../src/host/linux/libc.ts";
import { within } from "./namespaces.ts";
import { now } from "./wire.ts";

const SOCK_RAW = 3 | 0o4000 | 0o2000000;
/** Milliseconds from one to the next. */
const EVERY = 4;
/** Sent at once when this process was not run in time; beyond, they are left out. */
const BURST = 8;

export interface Probe {
  readonly sequence: number;
  /** Microseconds since 1970. */
  readonly at: number;
}

export class Prober {
  readonly sent: Probe[] = [];
  private readonly libc: Libc;
  private readonly fd: number;
  private readonly timer: NodeJS.Timeout;
  private readonly to: Uint8Array;
  private due = performance.now();

  constructor(
    namespace: string,
    private readonly source: Ip,
    private readonly target: Ip,
  ) {
    const opened = openLibc();
    if (!opened.ok) throw new Error(opened.message);
    this.libc = opened.libc;
    const six = familyOf(target) === "ipv6";
    this.fd = within(namespace, () => this.libc.socket(six ? 10 : 2, SOCK_RAW, six ? PROTOCOL.icmpv6 : PROTOCOL.icmp));
    // struct sockaddr_in, struct sockaddr_in6.
    this.to = new Uint8Array(six ? 28 : 16);
    this.to[0] = six ? 10 : 2;
    this.to.set(ipBytes(target), six ? 8 : 4);
    this.timer = setInterval(() => this.probe(), EVERY);
  }

  close(): void {
    clearInterval(this.timer);
    this.libc.close(this.fd);
  }

  private probe(): void {
    for (let count = 0; this.due <= performance.now(); this.due += EVERY) if (count++ < BURST) this.send();
  }

  private send(): void {
    const sequence = this.sent.length & 0xffff;
    const between = { source: this.source, destination: this.target };
    const echo = { kind: "echo-request", identifier: 0x6870, sequence, data: new Uint8Array(16) } as const;
    this.sent.push({ sequence, at: now() });
    try {
      this.libc.sendto(this.fd, encodeIcmp(echo, between), this.to);
    } catch (error) {
      // Nobody answers for the address just now: the probe counts as sent, and is lost.
      if (!(error instanceof CallFailed)) throw error;
    }
  }
}
