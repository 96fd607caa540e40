import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventQueue, MAX_EVENTS, QueueFull } from "../../../src/host/sim/queue.ts";
import { numbered } from "../../support/probe.ts";

const HORIZON = 1_024 * 16_384;

/** What the queue promises, in the plainest way: an array sorted by (time, order of the pushes). */
class Model {
  readonly waiting: { readonly time: number; readonly id: number }[] = [];
  now = 0;
  private pushed = 0;
  readonly queue = new EventQueue();

  push(time: number): void {
    const id = this.pushed++;
    this.queue.push(time, id % 3, id, ~id, undefined);
    let at = this.waiting.length;
    while (at > 0 && (this.waiting[at - 1]?.time ?? 0) > time) at--;
    this.waiting.splice(at, 0, { time, id });
  }

  next(limit: number): boolean {
    const first = this.waiting[0];
    const expected = first !== undefined && first.time <= limit;
    this.same("next", this.queue.next(limit), expected);
    if (expected) {
      this.same("time", this.queue.time, first.time);
      this.same("kind", this.queue.kind, first.id % 3);
      this.same("a", this.queue.a, first.id);
      this.same("b", this.queue.b, ~first.id);
      this.waiting.shift();
      this.now = first.time;
    } else if (limit > this.now && Number.isFinite(limit)) {
      this.now = limit;
    }
    this.same("size", this.queue.size, this.waiting.length);
    return expected;
  }

  /** `expect` costs more than the queue. */
  private same(what: string, found: unknown, expected: unknown): void {
    if (found !== expected) expect([what, found]).toEqual([what, expected]);
  }

  peek(): void {
    expect(this.queue.peek()).toBe(this.waiting[0]?.time ?? Number.POSITIVE_INFINITY);
  }

  drain(): void {
    while (this.next(Number.POSITIVE_INFINITY));
    expect(this.queue.size).toBe(0);
  }
}

const wait = fc.oneof(
  fc.constant(0),
  fc.constantFrom(1, 1_023, 1_024, 1_025, HORIZON - 1_024, HORIZON - 1, HORIZON, HORIZON + 1, HORIZON + 1_024),
  fc.nat(2_000),
  fc.nat(HORIZON),
  fc.integer({ min: HORIZON, max: 20 * HORIZON }),
  fc.integer({ min: 1e9, max: 1e12 }),
);

describe("events come in the order of time, and of their pushes where times are equal", () => {
  const op = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ op: fc.constant("push" as const), wait, times: fc.integer({ min: 1, max: 4 }) }),
    },
    { weight: 4, arbitrary: fc.record({ op: fc.constant("take" as const), times: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant("until" as const), wait }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("peek" as const) }) },
  );

  it("for any mixture of near, far and equal times, of limits, looks and pushes in between", () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 80 }), (ops) => {
        const model = new Model();
        for (const one of ops) {
          if (one.op === "push") for (let i = 0; i < one.times; i++) model.push(model.now + one.wait);
          else if (one.op === "take") for (let i = 0; i < one.times; i++) model.next(Number.POSITIVE_INFINITY);
          else if (one.op === "peek") model.peek();
          else {
            const limit = model.now + one.wait;
            while (model.next(limit));
          }
        }
        model.drain();
      }),
      { numRuns: 1_500 },
    );
  });

  it("for a hold of thousands of events over hours of virtual time", () => {
    const waits = fc.sample(wait, { numRuns: 30_000, seed: 1 });
    const model = new Model();
    // From where the numbers of the buckets fit into 31 bits to where they do not.
    model.push(2 ** 31 * 1_024 - 1e12);
    model.next(Number.POSITIVE_INFINITY);
    for (const [i, one] of waits.entries()) {
      model.push(model.now + one);
      if (i > 1_000) model.next(Number.POSITIVE_INFINITY);
    }
    expect(model.now).toBeGreaterThan(2 ** 31 * 1_024);
    model.drain();
  });

  it("when more is pushed at the time that is being run: it comes after what waits for that time already", () => {
    const model = new Model();
    for (let i = 0; i < 3; i++) model.push(500);
    model.next(500);
    model.push(500);
    model.push(501);
    model.push(500);
    model.drain();
  });

  it("when a limit made the queue look ahead, and something earlier is pushed then", () => {
    for (const ahead of [5_000, 5_000_000, 500_000_000]) {
      const model = new Model();
      model.push(ahead);
      expect(model.next(1_000)).toBe(false);
      model.push(1_500);
      model.push(ahead - 1);
      model.push(1_001);
      model.push(ahead);
      model.push(ahead + 2 * HORIZON);
      model.push(ahead + 1);
      model.drain();
    }
  });

  it("when an event beyond the horizon comes before one that was pushed later for the near future", () => {
    const model = new Model();
    model.push(HORIZON + 5_000);
    model.push(HORIZON - 5_000);
    model.next(Number.POSITIVE_INFINITY);
    model.push(HORIZON + 4_999);
    model.push(HORIZON + 5_000);
    model.push(HORIZON + 5_001);
    model.drain();
  });

  it("for ten thousand events of one time, near or far", () => {
    for (const time of [0, 700_000, 40 * HORIZON]) {
      const model = new Model();
      for (let i = 0; i < 10_000; i++) model.push(time);
      model.push(time + 1);
      model.drain();
    }
  });
});

describe("limits", () => {
  it("an event at the limit comes, one a nanosecond later waits", () => {
    const queue = new EventQueue();
    queue.push(1_000, 0, 0, 0, undefined);
    queue.push(1_001, 0, 0, 0, undefined);
    expect([queue.next(999), queue.next(1_000), queue.next(1_000), queue.peek()]).toEqual([false, true, false, 1_001]);
  });

  it("an empty queue has no next event and its first is at infinity", () => {
    const queue = new EventQueue();
    expect([queue.next(Number.POSITIVE_INFINITY), queue.peek(), queue.size]).toEqual([
      false,
      Number.POSITIVE_INFINITY,
      0,
    ]);
  });

  it("one event more than may wait is refused by name; after one is taken there is room again", () => {
    const queue = new EventQueue(3);
    const push = () => queue.push(5, 0, 0, 0, undefined);
    for (let i = 0; i < 3; i++) push();
    expect(push).toThrow(QueueFull);
    expect(push).toThrow("more than 3 events are waiting: is there a forwarding loop");
    expect([queue.size, queue.next(5)]).toEqual([3, true]);
    expect(push).not.toThrow();
    expect(push).toThrow(QueueFull);
    expect(MAX_EVENTS).toBe(16_777_216);
  });

  it("places are used again: a million events pass through a queue that holds two at a time", () => {
    const queue = new EventQueue(2);
    queue.push(0, 0, 0, 0, undefined);
    let taken = 0;
    while (taken < 1_000_000) {
      queue.push(queue.time + 1 + (taken % 3) * HORIZON, 0, taken, 0, undefined);
      if (!queue.next(Number.POSITIVE_INFINITY)) break;
      taken++;
    }
    expect([taken, queue.size]).toEqual([1_000_000, 1]);
  });
});

it("each event has its own frame, and the queue keeps none that was taken", () => {
  const queue = new EventQueue();
  const frames = [numbered(0), numbered(1), undefined, numbered(3)];
  for (const [i, frame] of frames.entries()) queue.push(100 - i * 10, 0, i, 0, frame);
  const taken: unknown[] = [];
  while (queue.next(Number.POSITIVE_INFINITY)) taken.push(queue.frame);
  expect(taken).toEqual([...frames].reverse());
  expect(taken[0]).toBe(frames[3]);
  queue.push(200, 0, 0, 0, undefined);
  expect([queue.next(200), queue.frame]).toEqual([true, undefined]);
});
