/**
 * The events of a world in the order of (time, sequence). A wheel of fine buckets holds the near future, one small heap
 * the bucket that is being run, another heap everything beyond the wheel: idle timers cost the data plane nothing, and
 * bursts of equal times (floods) stay cheap.
 */
import type { Frame } from "../../core/frame.ts";

/** Nanoseconds of a bucket, and how many of them: 1.024 µs × 16384 = 16.8 ms of near future. */
const BUCKET = 1_024;
const BUCKETS = 16_384;
const MASK = BUCKETS - 1;

/** An event's slot, half a cache line: two doubles (time, sequence), then four 32-bit words. */
const DOUBLES = 4;
const WORDS = 8;
const SEQUENCE = 1;
const KIND = 4;
const A = 5;
const B = 6;
/** The next slot of the bucket, or of the free list. */
const NEXT = 7;
const FIRST_SLOTS = 1024;

/** Events that may wait at once; one more is an error of the lab (a storm), not a slow death. */
export const MAX_EVENTS = 1 << 24;

export class QueueFull extends Error {
  override readonly name = "QueueFull";
  /** @param what there is too much of: "events are waiting" */
  constructor(limit: number, what: string) {
    super(`more than ${limit} ${what}: is there a forwarding loop in the topology?`);
  }
}

/** A 4-ary heap of (time, sequence, slot) in typed arrays. */
class Heap {
  size = 0;
  private time = new Float64Array(256);
  private sequence = new Float64Array(256);
  private slot = new Int32Array(256);

  /** Time of the first event; only when size > 0. */
  first(): number {
    return this.time[0] as number;
  }

  /** Its sequence number; only when size > 0. */
  firstSequence(): number {
    return this.sequence[0] as number;
  }

  push(time: number, sequence: number, slot: number): void {
    if (this.size === this.time.length) this.grow();
    const { time: times, sequence: sequences, slot: slots } = this;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      const parentTime = times[parent] as number;
      if (parentTime < time || (parentTime === time && (sequences[parent] as number) < sequence)) break;
      times[at] = parentTime;
      sequences[at] = sequences[parent] as number;
      slots[at] = slots[parent] as number;
      at = parent;
    }
    times[at] = time;
    sequences[at] = sequence;
    slots[at] = slot;
  }

  /** Takes the first event's slot; only when size > 0. */
  pop(): number {
    const { time: times, sequence: sequences, slot: slots } = this;
    const result = slots[0] as number;
    const last = --this.size;
    if (last === 0) return result;
    const time = times[last] as number;
    const sequence = sequences[last] as number;
    const slot = slots[last] as number;
    let at = 0;
    for (;;) {
      let child = 4 * at + 1;
      if (child >= last) break;
      let best = child;
      let bestTime = times[child] as number;
      let bestSequence = sequences[child] as number;
      const end = child + 4 < last ? child + 4 : last;
      while (++child < end) {
        const t = times[child] as number;
        if (t < bestTime || (t === bestTime && (sequences[child] as number) < bestSequence)) {
          best = child;
          bestTime = t;
          bestSequence = sequences[child] as number;
        }
      }
      if (time < bestTime || (time === bestTime && sequence < bestSequence)) break;
      times[at] = bestTime;
      sequences[at] = bestSequence;
      slots[at] = slots[best] as number;
      at = best;
    }
    times[at] = time;
    sequences[at] = sequence;
    slots[at] = slot;
    return result;
  }

  private grow(): void {
    this.time = enlarged(this.time, new Float64Array(this.time.length * 2));
    this.sequence = enlarged(this.sequence, new Float64Array(this.sequence.length * 2));
    this.slot = enlarged(this.slot, new Int32Array(this.slot.length * 2));
  }
}

/** How far an event may be out of order in its bucket to be put right in place; beyond that the heap takes it. */
const MAX_SHIFT = 48;

/**
 * The events of one bucket, the first of them last. A bucket's list gives the youngest first, and the younger are mostly
 * the later, so that adding is appending: bursts of one time, as switches make them, need no heap.
 */
class Run {
  size = 0;
  private time = new Float64Array(256);
  private sequence = new Float64Array(256);
  private slot = new Int32Array(256);

  first(): number {
    return this.time[this.size - 1] as number;
  }

  firstSequence(): number {
    return this.sequence[this.size - 1] as number;
  }

  pop(): number {
    return this.slot[--this.size] as number;
  }

  /** @returns false when its place is too far away. */
  add(time: number, sequence: number, slot: number): boolean {
    if (this.size === this.time.length) this.grow();
    const { time: times, sequence: sequences, slot: slots } = this;
    let at = this.size;
    const least = at - MAX_SHIFT;
    while (at > 0) {
      const before = times[at - 1] as number;
      if (before > time || (before === time && (sequences[at - 1] as number) > sequence)) break;
      if (--at < least) return false;
    }
    for (let i = this.size; i > at; i--) {
      times[i] = times[i - 1] as number;
      sequences[i] = sequences[i - 1] as number;
      slots[i] = slots[i - 1] as number;
    }
    times[at] = time;
    sequences[at] = sequence;
    slots[at] = slot;
    this.size++;
    return true;
  }

  private grow(): void {
    this.time = enlarged(this.time, new Float64Array(this.time.length * 2));
    this.sequence = enlarged(this.sequence, new Float64Array(this.sequence.length * 2));
    this.slot = enlarged(this.slot, new Int32Array(this.slot.length * 2));
  }
}

function enlarged<A extends Float64Array | Int32Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

export class EventQueue {
  /** How many events wait. */
  size = 0;
  /** Of the event that `next` took: when (ns), of which kind, and its operands. */
  time = 0;
  kind = 0;
  a = 0;
  b = 0;
  private slot = 0;

  private sequence = 0;
  private readonly run = new Run();
  private readonly near = new Heap();
  private readonly far = new Heap();
  /** Number of the bucket whose events are in `run`, or in `near` where they came late. */
  private bucket = 0;
  private inWheel = 0;
  private readonly heads = new Int32Array(BUCKETS).fill(-1);
  private readonly occupied = new Int32Array(BUCKETS >> 5);

  private doubles = new Float64Array(FIRST_SLOTS * DOUBLES);
  /** The same memory. */
  private words = new Int32Array(this.doubles.buffer);
  private free = -1;
  private used = 0;
  private readonly frames: (Frame | undefined)[] = [];
  private readonly limit: number;

  /** @param limit events that may wait at once */
  constructor(limit = MAX_EVENTS) {
    this.limit = limit;
  }

  /**
   * @param time nanoseconds, not before the event that is being run
   * @throws QueueFull beyond the limit
   */
  push(time: number, kind: number, a: number, b: number, frame: Frame | undefined): void {
    let slot = this.free;
    if (slot >= 0) this.free = this.words[slot * WORDS + NEXT] as number;
    else slot = this.fresh();
    const sequence = this.sequence++;
    const { doubles, words } = this;
    doubles[slot * DOUBLES] = time;
    doubles[slot * DOUBLES + SEQUENCE] = sequence;
    words[slot * WORDS + KIND] = kind;
    words[slot * WORDS + A] = a;
    words[slot * WORDS + B] = b;
    this.frames[slot] = frame;
    this.size++;
    const ahead = Math.floor(time / BUCKET) - this.bucket;
    if (ahead <= 0) this.near.push(time, sequence, slot);
    else if (ahead < BUCKETS) this.intoWheel(slot, (this.bucket + ahead) & MASK);
    else this.far.push(time, sequence, slot);
  }

  /** Takes the first event at or before `limit` (ns) into the fields; false when there is none. */
  next(limit: number): boolean {
    if (this.size === 0 || this.peek() > limit) return false;
    const slot = this.runIsFirst() ? this.run.pop() : this.near.pop();
    const { words } = this;
    this.slot = slot;
    this.time = this.doubles[slot * DOUBLES] as number;
    this.kind = words[slot * WORDS + KIND] as number;
    this.a = words[slot * WORDS + A] as number;
    this.b = words[slot * WORDS + B] as number;
    words[slot * WORDS + NEXT] = this.free;
    this.free = slot;
    this.size--;
    return true;
  }

  /** Of the event that `next` took; to be read before the next `push`, which may use its place. */
  get frame(): Frame | undefined {
    return this.frames[this.slot];
  }

  /** Time of the first event, in ns; infinity when there is none. */
  peek(): number {
    const { run, near } = this;
    if (run.size === 0) {
      if (near.size > 0) return near.first();
      if (!this.advance()) return Number.POSITIVE_INFINITY;
    }
    return this.runIsFirst() ? run.first() : near.first();
  }

  private runIsFirst(): boolean {
    const { run, near } = this;
    if (run.size === 0 || near.size === 0) return run.size > 0;
    const difference = run.first() - near.first();
    return difference < 0 || (difference === 0 && run.firstSequence() < near.firstSequence());
  }

  /** Moves on to the next bucket that has events. */
  private advance(): boolean {
    if (this.inWheel > 0) {
      this.bucket = this.nextOccupied();
      // The wheel may never run past what waits beyond it: those events belong to later buckets by construction.
    } else if (this.far.size > 0) {
      this.bucket = Math.floor(this.far.first() / BUCKET);
    } else {
      return false;
    }
    while (this.far.size > 0) {
      const ahead = Math.floor(this.far.first() / BUCKET) - this.bucket;
      if (ahead >= BUCKETS) break;
      const slot = this.far.pop();
      if (ahead <= 0) this.intoNear(slot);
      else this.intoWheel(slot, (this.bucket + ahead) & MASK);
    }
    const index = this.bucket & MASK;
    let slot = this.heads[index] as number;
    this.heads[index] = -1;
    this.occupied[index >> 5] = (this.occupied[index >> 5] as number) & ~(1 << (index & 31));
    while (slot >= 0) {
      const following = this.words[slot * WORDS + NEXT] as number;
      const time = this.doubles[slot * DOUBLES] as number;
      const sequence = this.doubles[slot * DOUBLES + SEQUENCE] as number;
      if (!this.run.add(time, sequence, slot)) this.near.push(time, sequence, slot);
      this.inWheel--;
      slot = following;
    }
    return true;
  }

  private nextOccupied(): number {
    const from = (this.bucket + 1) & MASK;
    let word = from >> 5;
    let bits = (this.occupied[word] as number) & (-1 << (from & 31));
    while (bits === 0) {
      word = (word + 1) & ((BUCKETS >> 5) - 1);
      bits = this.occupied[word] as number;
    }
    const index = (word << 5) + (31 - Math.clz32(bits & -bits));
    return this.bucket + 1 + ((index - from) & MASK);
  }

  private intoWheel(slot: number, index: number): void {
    this.words[slot * WORDS + NEXT] = this.heads[index] as number;
    this.heads[index] = slot;
    this.occupied[index >> 5] = (this.occupied[index >> 5] as number) | (1 << (index & 31));
    this.inWheel++;
  }

  private intoNear(slot: number): void {
    const { doubles } = this;
    this.near.push(doubles[slot * DOUBLES] as number, doubles[slot * DOUBLES + SEQUENCE] as number, slot);
  }

  private fresh(): number {
    if (this.used >= this.limit) throw new QueueFull(this.limit, "events are waiting");
    if (this.used * DOUBLES === this.doubles.length) {
      this.doubles = enlarged(this.doubles, new Float64Array(this.doubles.length * 2));
      this.words = new Int32Array(this.doubles.buffer);
    }
    return this.used++;
  }
}
