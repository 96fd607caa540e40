/** What is counted of one flow: which numbers left, which arrived, and the gaps between arrivals. */
import { type Instant, instant, ms, toSeconds } from "../../src/core/time.ts";
import type { Flow, FlowRecord } from "../../src/node/protocol.ts";
import { Bits } from "./bits.ts";

/** Packets of one flow (1.25 MB for each of its sets); it ends when it has sent so many. */
export const MAX_PACKETS = 10_000_000;
/** Gaps that are remembered with their time; the shortest makes room. */
export const MAX_GAPS = 1024;
/** A packet that has not arrived yet and left less than this ago may be on its way: it is not counted at all. */
export const FLIGHT_TIME = ms(50);

/** So long nothing arrives of a flow that is being sent, and it counts as stalled; of a slow one three packets. */
export const PATIENCE = ms(500);
const PATIENT_PACKETS = 3;
/** Between two words about duplicates of one flow. */
export const QUIET = ms(100);

/** Up to a tenth more than the period is no gap worth a place in the list; in µs × packets per second. */
const EVEN = 1_100_000;

interface Gap {
  readonly from: Instant;
  readonly to: Instant;
}

export class FlowCount {
  readonly flow: Flow;
  /** Its place among the flows of the run; it is in every packet. */
  readonly index: number;
  readonly kind: "datagram" | "echo";
  private readonly sent = new Bits();
  private readonly arrived = new Bits();
  /** Numbers that arrived more than once. */
  private readonly again = new Bits();
  /** Numbers that arrived after a higher one. */
  private readonly late = new Bits();
  private highest = -1;
  private lastSent = -1;
  /** The latest arrival, or the first departure before there was one. */
  private last: Instant | undefined;
  private readonly gaps: Gap[] = [];
  /** The longest time between arrivals that is not remembered as a gap: the flow in its own rhythm. */
  private even = 0;
  /** When the first packet left after the latest arrival; undefined while none has. */
  private waiting: Instant | undefined;
  private readonly patience: number;
  /** Nothing arrives, and that was said. */
  stalled = false;
  private saidAgain = Number.NEGATIVE_INFINITY;

  constructor(flow: Flow, index: number, kind: "datagram" | "echo") {
    this.flow = flow;
    this.index = index;
    this.kind = kind;
    this.patience = Math.max(PATIENCE, Math.ceil((PATIENT_PACKETS * 1_000_000) / flow.rate));
  }

  /** When packet `n` leaves: by multiplication, so that no rounding adds up. */
  departure(n: number): Instant {
    return instant(this.flow.start + Math.round((n * 1_000_000) / this.flow.rate));
  }

  /** The number of the first packet that leaves at `time` or later. */
  firstAt(time: Instant): number {
    // A departure is rounded by half a microsecond at most: this one is too early, and by few packets.
    let n = Math.max(0, Math.floor(((time - this.flow.start - 1) * this.flow.rate) / 1_000_000) - 1);
    while (this.departure(n) < time) n++;
    return n;
  }

  /** Whether packet `n` belongs to the flow. */
  inFlow(n: number): boolean {
    return n < MAX_PACKETS && (this.flow.stop === undefined || this.departure(n) < this.flow.stop);
  }

  /** @returns since when nothing has arrived, where that is to be said now */
  countSent(n: number, now: Instant): Instant | undefined {
    this.sent.add(n);
    this.lastSent = n;
    this.last ??= now;
    this.waiting ??= now;
    if (this.stalled || now - this.waiting < this.patience) return undefined;
    this.stalled = true;
    return this.waiting;
  }

  /** The sender begins, or goes on after it stood still: it has not waited for what it did not send. */
  rest(): void {
    this.waiting = undefined;
    this.stalled = false;
  }

  /** Whether a packet has left since the latest arrival. */
  get waits(): boolean {
    return this.waiting !== undefined;
  }

  /** How many packets have arrived more than once. */
  get duplicated(): number {
    return this.again.count;
  }

  /** @returns whether it is one more of a packet that had arrived, and that is to be said */
  countArrival(n: number, now: Instant): boolean {
    if (!this.sent.has(n)) return false;
    if (!this.arrived.add(n)) {
      this.again.add(n);
      const due = now - this.saidAgain >= QUIET;
      if (due) this.saidAgain = now;
      return due;
    }
    this.waiting = undefined;
    if (n < this.highest) this.late.add(n);
    else this.highest = n;
    if (this.last !== undefined) this.remember({ from: this.last, to: now });
    this.last = now;
    return false;
  }

  /** Of what left in `from` … `to` (`to` excluded), seen at `now`. */
  record(now: Instant, from?: Instant, to?: Instant): FlowRecord {
    const first = from === undefined ? 0 : this.firstAt(from);
    const end = Math.min(this.lastSent + 1, to === undefined ? MAX_PACKETS : this.firstAt(to));
    const record = { sent: 0, received: 0, lost: 0, duplicated: 0, reordered: 0 };
    for (let n = first; n < end; n++) {
      if (this.arrived.has(n)) record.received++;
      else if (this.sent.has(n) && !this.mayArrive(n, now)) record.lost++;
      if (this.again.has(n)) record.duplicated++;
      if (this.late.has(n)) record.reordered++;
    }
    record.sent = record.received + record.lost;
    return { id: this.flow.id, ...record, longestGap: toSeconds(instant(this.longestGap(now, from, to))) };
  }

  private mayArrive(n: number, now: Instant): boolean {
    return this.departure(n) > now - FLIGHT_TIME;
  }

  /** In microseconds. Where no remembered gap is in the time, the longest of the even ones. */
  private longestGap(now: Instant, from?: Instant, to?: Instant): number {
    let longest = 0;
    const look = (gap: Gap) => {
      if (from !== undefined && gap.to <= from) return;
      if (to !== undefined && gap.from >= to) return;
      longest = Math.max(longest, gap.to - gap.from);
    };
    for (const gap of this.gaps) look(gap);
    // What was sent last and never came leaves the gap open: it is as long as the sending went on.
    const open = this.last;
    if (open !== undefined) {
      let n = this.lastSent;
      while (n >= 0 && this.departure(n) > open && (this.arrived.has(n) || this.mayArrive(n, now))) n--;
      if (n >= 0 && !this.arrived.has(n)) look({ from: open, to: instant(Math.max(open, this.departure(n))) });
    }
    return longest === 0 ? this.even : longest;
  }

  private remember(gap: Gap): void {
    const length = gap.to - gap.from;
    if (length * this.flow.rate <= EVEN) {
      this.even = Math.max(this.even, length);
      return;
    }
    if (this.gaps.length < MAX_GAPS) {
      this.gaps.push(gap);
      return;
    }
    let shortest = 0;
    for (let i = 1; i < this.gaps.length; i++) if (this.lengthOf(i) < this.lengthOf(shortest)) shortest = i;
    if (this.lengthOf(shortest) < length) this.gaps[shortest] = gap;
  }

  private lengthOf(i: number): number {
    const gap = this.gaps[i];
    return gap === undefined ? 0 : gap.to - gap.from;
  }
}
