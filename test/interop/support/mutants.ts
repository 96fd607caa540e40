/** Frames that were adverts and are wrong somewhere: on the wire, in the IP header, in the message; none may be believed. */
import { upperChecksumFits } from "../../../protocols/ip/codec.ts";
import { VRRP_GROUP_4, VRRP_GROUP_6, VRRP_PROTOCOL } from "../../../protocols/vrrp/codec.ts";
import type { Family, Ip } from "../../../src/core/addr.ts";
import { internetChecksum, setU16 } from "../../../src/core/bytes.ts";
import { below, createRng, next32, type Rng } from "../../../src/core/rng.ts";
import { type Forged, forge } from "./injector.ts";
import { ownAddress } from "./site.ts";

interface Target {
  readonly name: string;
  readonly vrid: number;
  readonly family: Family;
  readonly addresses: readonly string[];
}

/** A backup and a master of each family. */
export const TARGETS: readonly Target[] = [
  { name: "backup", vrid: 1, family: "ipv4", addresses: ["10.99.0.201/24"] },
  { name: "master", vrid: 2, family: "ipv4", addresses: ["10.99.0.202/24"] },
  { name: "backup6", vrid: 3, family: "ipv6", addresses: ["fe80::203/64"] },
  { name: "master6", vrid: 4, family: "ipv6", addresses: ["fe80::204/64"] },
];

/** Who is believed by backups; mutants come from others. */
export const BETTER: Readonly<Record<Family, string>> = {
  ipv4: ownAddress("b", "ipv4"),
  ipv6: ownAddress("b", "ipv6", "link"),
};
const OTHERS: Readonly<Record<Family, string>> = { ipv4: "10.99.0.66", ipv6: "fe80::66" };

/** What keeps a backup where it is; heard as longer than a busy machine stops this process. */
export function betterThan(target: Target): Uint8Array {
  return forge({ ...common(target), source: BETTER[target.family], priority: 200, interval: 1_000 });
}

function common({ vrid, addresses }: Target) {
  return { vrid, addresses: addresses.map((text) => text.split("/")[0] ?? "") };
}

const IP = 14;

export class Mutants {
  private readonly rng: Rng;
  private count = 0;

  constructor(seed: number) {
    this.rng = createRng(seed);
  }

  next(): Uint8Array {
    const target = this.pick(TARGETS);
    const kinds = [
      () => this.flippedMessage(target),
      () => this.flippedHeader(target),
      () => this.truncated(target),
      () => this.lying(target),
      () => this.random(target),
      () => this.lengths(target),
      () => this.tagged(target),
    ];
    return (kinds[this.count++ % kinds.length] ?? this.random.bind(this, target))();
  }

  /** One that would be believed, and would have a backup take over at once or a master give up for long. */
  private valid(target: Target, more: Partial<Forged> = {}): Uint8Array {
    const priority = this.pick([0, 101, 200, 255]);
    const interval = this.pick([10, 200, 1_000, 40_000]);
    return forge({ ...common(target), source: OTHERS[target.family], priority, interval, ...more });
  }

  /** Up to fifteen neighbouring bits: the checksum of either form finds each of them. */
  private flippedMessage(target: Target): Uint8Array {
    for (;;) {
      const frame = this.valid(target);
      const at = messageAt(target);
      this.flip(frame, at, frame.length);
      const between = {
        source: OTHERS[target.family] as Ip,
        destination: target.family === "ipv4" ? VRRP_GROUP_4 : VRRP_GROUP_6,
        protocol: VRRP_PROTOCOL,
      };
      // Over IPv4 two forms are right: what spoils one may make the other.
      if (!upperChecksumFits(between, frame.subarray(at))) return frame;
    }
  }

  /** IPv6: behind traffic class and flow label, which nothing protects and nobody looks at. */
  private flippedHeader(target: Target): Uint8Array {
    const frame = this.valid(target);
    this.flip(frame, target.family === "ipv4" ? IP : IP + 4, messageAt(target));
    return frame;
  }

  private truncated(target: Target): Uint8Array {
    const frame = this.valid(target);
    return frame.slice(0, IP + below(this.rng, frame.length - IP));
  }

  /** Every checksum is right, and something that it covers is not. */
  private lying(target: Target): Uint8Array {
    const set = (at: number, value: number) => (payload: Uint8Array) => {
      payload[at] = value;
      return payload;
    };
    const not = (value: number, of: number) => (value + 1 + below(this.rng, of - 1)) % of;
    const lies: readonly Partial<Forged>[] = [
      { ip: { ttl: not(255, 256) } },
      { change: set(0, (not(3, 16) << 4) | 1) },
      { change: set(0, 0x30 | not(1, 16)) },
      { change: set(1, 100 + below(this.rng, 100)) },
      { change: set(1, 0) },
      { change: set(3, not(1, 256)) },
      { change: (payload) => set(5, 0)(set(4, this.pick([0, 0xf0]))(payload)) },
      { change: (payload) => Uint8Array.from([...payload, ...new Uint8Array(1 + below(this.rng, 40))]) },
      { change: (payload) => payload.slice(0, 8 + below(this.rng, 4)) },
      { source: target.family === "ipv4" ? "0.0.0.0" : "::" },
      { source: ownAddress("a", target.family, "link") },
      { destination: target.family === "ipv4" ? `224.0.0.${19 + below(this.rng, 200)}` : "ff02::13" },
      target.family === "ipv4" ? { ip: { moreFragments: true } } : { addresses: ["2001:db8::1"] },
    ];
    return this.valid(target, this.pick(lies));
  }

  /** Noise where the message should be, or where the packet should be but for its protocol. */
  private random(target: Target): Uint8Array {
    const noise = (length: number) => Uint8Array.from({ length }, () => next32(this.rng) & 0xff);
    if (below(this.rng, 2) === 0) return this.valid(target, { spoil: () => noise(below(this.rng, 300)) });
    const frame = Uint8Array.from([...this.valid(target).subarray(0, IP), ...noise(below(this.rng, 300))]);
    const at = target.family === "ipv4" ? IP + 9 : IP + 6;
    if (at < frame.length) frame[at] = VRRP_PROTOCOL;
    return frame;
  }

  /** Lengths of the IP header that are not those of the packet; the header's checksum is right. */
  private lengths(target: Target): Uint8Array {
    const frame = this.valid(target);
    const right = frame.length - IP - (target.family === "ipv4" ? 0 : 40);
    let wrong = below(this.rng, 0x10000);
    if (wrong === right) wrong--;
    setU16(frame, target.family === "ipv4" ? IP + 2 : IP + 4, below(this.rng, 2) === 0 ? wrong : wrong % right);
    if (target.family === "ipv4") {
      setU16(frame, IP + 10, 0);
      setU16(frame, IP + 10, internetChecksum(frame, IP, IP + 20));
    }
    return frame;
  }

  /** Of a VLAN, that is of another interface. */
  private tagged(target: Target): Uint8Array {
    const frame = this.valid(target);
    const vid = 1 + below(this.rng, 4_094);
    return Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, vid >>> 8, vid & 0xff, ...frame.subarray(12)]);
  }

  private flip(bytes: Uint8Array, from: number, to: number): void {
    const first = 8 * from + below(this.rng, 8 * (to - from) - 15);
    const pattern = 1 + below(this.rng, 0x7fff);
    for (let bit = 0; bit < 15; bit++) {
      if (((pattern >>> bit) & 1) === 0) continue;
      const at = first + bit;
      bytes[at >>> 3] = (bytes[at >>> 3] ?? 0) ^ (0x80 >>> (at & 7));
    }
  }

  private pick<T>(from: readonly T[]): T {
    return from[below(this.rng, from.length)] as T;
  }
}

function messageAt({ family }: Target): number {
  return family === "ipv4" ? IP + 20 : IP + 40;
}
