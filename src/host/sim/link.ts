/** The model of a wire: a cable between two ports, or a segment of more. */
import type { Frame } from "../../core/frame.ts";
import type { Port } from "../../core/machine.ts";
import { below, chance, createRng, type Ratio, type Rng } from "../../core/rng.ts";
import type { Wire } from "../../node/host.ts";
import type { Node } from "../../node/node.ts";

/** What Ethernet adds to a frame on the wire: preamble 8, FCS 4, inter-packet gap 12 (IEEE 802.3 §3.1.1, §4.4.2). */
const WIRE_OVERHEAD = 24;
/** Nanoseconds that floating point may be off, up to hours of virtual time. */
const ROUNDING = 0.01;
/** Without FCS; shorter frames are padded by the sender (IEEE 802.3 §3.2.8). */
const MINIMUM_FRAME = 60;

/** How a link treats frames; every part may change while the world runs. */
export interface LinkOptions {
  readonly id: string;
  /** Propagation, in nanoseconds. */
  readonly delay?: number;
  /** Bits per second in each direction; absent for a wire that takes no time to send on. */
  readonly rate?: number;
  /** Octets that may wait to be sent, in each direction; frames beyond are dropped. Default 1 MiB. Needs a rate. */
  readonly queue?: number;
  /** A uniform extra delay of 0 … this many nanoseconds; frames of one direction keep their order. */
  readonly jitter?: number;
  readonly loss?: Ratio;
}

export const DEFAULT_QUEUE = 1 << 20;

/** Says whether a frame is kept off the wire: a firewall or a switch that filters. */
export interface Filter {
  /** Only what this node sends; absent for all ends. */
  readonly from?: string;
  readonly matches: (frame: Frame) => boolean;
}

/** Why frames did not arrive, by the link's own doing. */
export interface LinkDrops {
  down: number;
  queue: number;
  loss: number;
  filter: number;
  /** In flight or waiting to be sent when the link was cut or an end lost power. */
  cut: number;
}

/** Where frames go that will arrive: the world's queue. */
export interface Air {
  /** Now, in ns. */
  readonly now: number;
  carry(from: End, frame: Frame, arrives: number): void;
}

/** One port's side of a link: what is under the port of a node. */
export class End implements Wire {
  // What an arriving frame asks for stands together, then what a leaving one does.
  /** Grows whenever frames under way are lost; an arrival of an earlier generation is no more. */
  generation = 0;
  received = 0;
  /** The other end of a cable; undefined on a segment. */
  peer: End | undefined = undefined;
  /** The node behind it while that runs; undefined while it is off or paused. */
  receiver: Node | undefined = undefined;
  /** Of the node as it is now; a node that was switched off and on has new ones. */
  port: Port;

  // The link's own properties, as `follow` has found them.
  private up = true;
  private delay = 0;
  private octetTime = 0;
  private queueTime = 0;
  /** Whether arrival is nothing but serialisation and delay. */
  private plain = true;
  /** When the wire is free again, in ns; not rounded, so that back-to-back frames go at exactly the rate. */
  private free = 0;
  /** Frames, and their octets, that went onto the wire. */
  sent = 0;
  octets = 0;
  private readonly air: Air;
  /** Its place among all ends of the world. */
  readonly index: number;

  private lastArrival = 0;
  private readonly rng: Rng;
  /** Frames from here are lost without anybody noticing: a broken fibre, not a missing carrier. */
  muted = false;
  readonly drops: LinkDrops = { down: 0, queue: 0, loss: 0, filter: 0, cut: 0 };

  constructor(
    air: Air,
    readonly link: Link,
    index: number,
    readonly node: number,
    readonly nodeName: string,
    port: Port,
    seed: number,
  ) {
    this.air = air;
    this.index = index;
    this.port = port;
    this.rng = createRng(seed, "link", link.id, `${nodeName}:${port.name}`);
    this.follow();
  }

  get speed(): number | undefined {
    return this.link.rate;
  }

  transmit(frame: Frame): void {
    const arrives = this.arrival(frame, this.air.now);
    if (arrives >= 0) this.air.carry(this, frame, arrives);
  }

  /** When a frame sent at `now` (ns) arrives at the other ends; -1 when it never does. The queue is arithmetic. */
  private arrival(frame: Frame, now: number): number {
    if (!this.up) {
      this.drops.down++;
      return -1;
    }
    const octets = frame.size;
    let leaves = now;
    if (this.octetTime > 0) {
      const start = this.free > now ? this.free : now;
      if (start - now > this.queueTime) {
        this.drops.queue++;
        return -1;
      }
      const wire = (octets > MINIMUM_FRAME ? octets : MINIMUM_FRAME) + WIRE_OVERHEAD;
      this.free = start + (wire * this.octetTime) / 1_000;
      leaves = Math.ceil(this.free - ROUNDING);
    }
    this.sent++;
    this.octets += octets;
    return this.plain ? leaves + this.delay : this.disturbed(frame, leaves);
  }

  /** Takes over what the link is like now: a frame then looks at its end only. */
  follow(): void {
    const { link } = this;
    // What is under way must not be overtaken by what takes less time from now on.
    if (link.delay < this.delay) {
      this.lastArrival = Math.max(this.lastArrival, Math.max(this.air.now, Math.ceil(this.free)) + this.delay);
    }
    this.up = link.up;
    this.delay = link.delay;
    this.octetTime = link.octetTime;
    this.queueTime = link.queueTime;
    const ordered = this.lastArrival <= this.air.now;
    this.plain = link.jitter === 0 && link.loss === undefined && link.filters.length === 0 && !this.muted && ordered;
  }

  /** What is under way, from here or to here, is lost; nothing waits any more. */
  clear(): void {
    this.generation++;
    this.free = 0;
    this.lastArrival = 0;
  }

  private disturbed(frame: Frame, leaves: number): number {
    const { link, drops } = this;
    if (this.muted) {
      drops.loss++;
      return -1;
    }
    for (const filter of link.filters) {
      if ((filter.from === undefined || filter.from === this.nodeName) && filter.matches(frame)) {
        drops.filter++;
        return -1;
      }
    }
    if (link.loss !== undefined && chance(this.rng, link.loss.numerator, link.loss.denominator)) {
      drops.loss++;
      return -1;
    }
    let arrives = leaves + link.delay;
    if (link.jitter > 0) arrives += below(this.rng, link.jitter + 1);
    if (arrives < this.lastArrival) arrives = this.lastArrival;
    this.lastArrival = arrives;
    return arrives;
  }
}

export class Link {
  readonly id: string;
  /** Bits per second. */
  readonly rate: number | undefined;
  readonly ends: End[] = [];
  up = true;
  delay: number;
  jitter: number;
  loss: Ratio | undefined;
  readonly filters: Filter[] = [];
  /** Picoseconds an octet takes on the wire; 0 without a rate. */
  readonly octetTime: number;
  /** Nanoseconds of backlog that the queue holds. */
  readonly queueTime: number;

  constructor(options: LinkOptions) {
    this.id = options.id;
    this.rate = options.rate;
    this.delay = options.delay ?? 0;
    this.jitter = options.jitter ?? 0;
    this.loss = options.loss;
    this.octetTime = options.rate === undefined ? 0 : 8e12 / options.rate;
    this.queueTime = ((options.queue ?? DEFAULT_QUEUE) * this.octetTime) / 1_000;
  }

  /** To be called after any change: the ends take it over. */
  refresh(): void {
    for (const end of this.ends) end.follow();
  }
}
