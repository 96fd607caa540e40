/**
 * A thousand numbered UDP packets a second from one interface to another, as whole frames: what of them was lost, came
 * twice, or came back. No stack takes part, so nothing depends on ARP, checksum offload or a sysctl.
 */
import { randomInt } from "node:crypto";
import { ipFrame, ipPacket, PROTOCOL } from "../../../protocols/ip/codec.ts";
import { encodeUdp, UDP_HEADER } from "../../../protocols/udp/codec.ts";
import { type Ip, type Mac, macFrom } from "../../../src/core/addr.ts";
import { u32 } from "../../../src/core/bytes.ts";
import { CallFailed, type Libc, openLibc, SOCK_FLAGS, SOCK_RAW, type Watched } from "../../../src/host/linux/libc.ts";
import { indexOf, until, within } from "./namespaces.ts";
import { now } from "./wire.ts";

const AF_PACKET = 17;
const SOL_SOCKET = 1;
const SO_RCVBUF_FORCE = 33;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const ETH_P_IP = 0x0800;
/** Octets: two seconds of packets, should this process not be run for so long. */
const ROOM = 4 << 20;
/** Milliseconds from one packet to the next. */
export const EVERY = 1;
/** Sent at once when this process was not run in time; beyond, they are left out: the stream is thinner, not lost. */
const BURST = 20;
/** Ports that packets come from in turn: whoever spreads flows over links spreads these. */
const FLOWS = 16;
const PORT = 40_000;
/** Behind Ethernet, IPv4 and UDP: the stream's number, then the packet's. */
const BODY = 14 + 20 + UDP_HEADER;
const SIZE = BODY + 8 + 22;

/** An interface in a namespace that packets leave from or arrive at. */
export interface Point {
  readonly namespace: string;
  readonly device: string;
  readonly mac: Mac;
  readonly ip: Ip;
}

export interface StreamCount {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** Arrivals beyond the first of each packet. */
  readonly duplicated: number;
  /** Arrivals of its own packets where they were sent. */
  readonly returned: number;
  /** Milliseconds: of the longest row of lost packets, from the first's departure to the departure after the last. */
  readonly longestGap: number;
  /** Lost packets by source port: those of one flow. */
  readonly lostBy: ReadonlyMap<number, number>;
}

/** All that arrives at an interface, for the streams that end there. */
class Ear {
  private readonly libc: Libc = libcOf();
  private readonly fd: number;
  private readonly watched: Watched;
  private readonly buffer = new Uint8Array(2_048);

  constructor(
    { namespace, device }: Point,
    private readonly heard: (sequence: number, at: number) => void,
    private readonly id: number,
  ) {
    // Bound to one EtherType it hears what comes in, and not what goes out.
    const { libc } = this;
    this.fd = within(namespace, () => libc.socket(AF_PACKET, SOCK_RAW | SOCK_FLAGS, 0));
    libc.setsockopt(this.fd, SOL_SOCKET, SO_RCVBUF_FORCE, new Uint8Array(Int32Array.of(ROOM).buffer));
    libc.bind(this.fd, linkLayer(indexOf(namespace, device), ETH_P_IP));
    this.watched = libc.watch(this.fd, () => this.drain());
  }

  /** Takes what is there. @throws Error where the kernel had no room for some: then nothing is known of them */
  drain(): void {
    for (;;) {
      const frame = this.next();
      if (frame === undefined) break;
      if (frame.length >= BODY + 8 && u32(frame, BODY) === this.id) this.heard(u32(frame, BODY + 4), now());
    }
    const stats = this.libc.getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, 8);
    const dropped = new DataView(stats.buffer).getUint32(4, true);
    if (dropped > 0) throw new Error(`${dropped} packets of a stream were not taken in time`);
  }

  /** Nothing more comes in by an interface that has gone. */
  private next(): Uint8Array | undefined {
    try {
      return this.libc.recv(this.fd, this.buffer);
    } catch (error) {
      if (!(error instanceof CallFailed) || error.code !== "ENETDOWN") throw error;
      return undefined;
    }
  }

  close(): void {
    this.watched.close();
    this.libc.close(this.fd);
  }
}

export class Stream {
  private readonly libc: Libc = libcOf();
  private readonly fd: number;
  private readonly id = randomInt(2 ** 32 - 1);
  /** By number: when it left, in microseconds since 1970. */
  private readonly departures: number[] = [];
  /** By number: when it came first. */
  private readonly arrivals = new Map<number, number>();
  private readonly again: number[] = [];
  private readonly back: number[] = [];
  private readonly frames: readonly Uint8Array[];
  private readonly far: Ear;
  private readonly near: Ear;
  private readonly timer: NodeJS.Timeout;
  private due = performance.now();

  /** @param mac in place of `to`'s own: a group's, or nobody's, so that the frames are flooded */
  constructor(from: Point, to: Point, mac: Mac = to.mac) {
    const { libc } = this;
    this.frames = Array.from({ length: FLOWS }, (_, flow) => {
      const between = { source: from.ip, destination: to.ip };
      const payload = new Uint8Array(SIZE - BODY);
      new DataView(payload.buffer).setUint32(0, this.id);
      const datagram = { sourcePort: PORT + flow, destinationPort: PORT, payload, unchecked: true } as const;
      const udp = encodeUdp(datagram, between);
      return ipFrame(mac, from.mac, ipPacket({ ...between, protocol: PROTOCOL.udp, payload: udp }));
    });
    this.far = new Ear(to, (sequence, at) => this.arrive(sequence, at), this.id);
    this.near = new Ear(from, (sequence) => this.back.push(sequence), this.id);
    this.fd = within(from.namespace, () => libc.socket(AF_PACKET, SOCK_RAW | SOCK_FLAGS, 0));
    libc.bind(this.fd, linkLayer(indexOf(from.namespace, from.device), 0));
    this.timer = setInterval(() => this.send(), EVERY);
  }

  /** Packets that have left. */
  get sent(): number {
    return this.departures.length;
  }

  get received(): number {
    return this.arrivals.size;
  }

  /** Waits until so many more have left. */
  async goesOn(packets: number): Promise<void> {
    const enough = this.sent + packets;
    await until(`${packets} more packets`, () => this.sent >= enough);
  }

  /** Waits until what leaves from now on arrives, so many in a row. */
  async arrives(packets = 50): Promise<void> {
    const since = this.sent;
    await until(`${packets} packets in a row arrive`, () => {
      let row = 0;
      for (let one = this.sent - 1; one >= since; one--) {
        const there = this.arrivals.has(one);
        // The last ones are under way.
        if (!there && row === 0) continue;
        if (!there) return false;
        if (++row >= packets) return true;
      }
      return false;
    });
  }

  /** When the first packet arrived that left at or after that: microseconds since 1970; undefined for none. */
  firstArrival(since = 0): number | undefined {
    for (const [sequence, at] of this.arrivals) if ((this.departures[sequence] ?? 0) >= since) return at;
    return undefined;
  }

  /** Nothing more leaves; what is under way has time to arrive: as long as nothing has for a while. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    const still = new Stillness();
    await until("nothing of the stream is under way", () => still.for(this.received + this.again.length, 100));
    this.far.drain();
    this.near.drain();
  }

  /** Of what left in `from` … `to`, in microseconds since 1970. Call `stop` first, or leave out the last moments. */
  count(from = 0, to = Number.POSITIVE_INFINITY): StreamCount {
    const asked = [...this.departures.keys()].filter((one) => {
      const at = this.departures[one] ?? 0;
      return at >= from && at < to;
    });
    const counted = new Set(asked);
    const lostBy = new Map<number, number>();
    let lost = 0;
    let begin: number | undefined;
    let longest = 0;
    for (const one of asked) {
      const left = this.departures[one] ?? 0;
      if (!this.arrivals.has(one)) {
        lost++;
        const port = PORT + (one % FLOWS);
        lostBy.set(port, (lostBy.get(port) ?? 0) + 1);
        begin ??= left;
        longest = Math.max(longest, left + EVERY * 1_000 - begin);
      } else {
        begin = undefined;
      }
    }
    return {
      sent: asked.length,
      received: asked.length - lost,
      lost,
      duplicated: this.again.filter((one) => counted.has(one)).length,
      returned: this.back.filter((one) => counted.has(one)).length,
      longestGap: longest / 1_000,
      lostBy,
    };
  }

  close(): void {
    clearInterval(this.timer);
    this.far.close();
    this.near.close();
    this.libc.close(this.fd);
  }

  private arrive(sequence: number, at: number): void {
    if (this.arrivals.has(sequence)) this.again.push(sequence);
    else this.arrivals.set(sequence, at);
  }

  private send(): void {
    for (let count = 0; this.due <= performance.now(); this.due += EVERY) {
      if (count++ >= BURST) continue;
      const sequence = this.departures.length;
      const frame = this.frames[sequence % FLOWS];
      if (frame === undefined) return;
      new DataView(frame.buffer).setUint32(BODY + 4, sequence);
      try {
        this.libc.send(this.fd, frame);
        this.departures.push(now());
      } catch (error) {
        // The way out is full: it has not left, and is not lost.
        if (!(error instanceof CallFailed) || error.code !== "ENOBUFS") throw error;
      }
    }
  }
}

/** Whether a number has not changed for so many milliseconds. */
class Stillness {
  private last: number | undefined;
  private since = performance.now();

  for(value: number, milliseconds: number): boolean {
    if (value !== this.last) {
      this.last = value;
      this.since = performance.now();
    }
    return performance.now() - this.since > milliseconds;
  }
}

/** An interface as a point of streams, by its address as the kernel has it. */
export function pointOf(namespace: string, device: string, mac: string, ip: string): Point {
  const octets = Uint8Array.from(mac.split(":"), (word) => Number.parseInt(word, 16));
  return { namespace, device, mac: macFrom(octets), ip: ip as Ip };
}

function libcOf(): Libc {
  const opened = openLibc();
  if (!opened.ok) throw new Error(opened.message);
  return opened.libc;
}

/** struct sockaddr_ll. */
function linkLayer(index: number, protocol: number): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, protocol, false);
  view.setInt32(4, index, true);
  return address;
}
