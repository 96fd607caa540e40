import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bits } from "../../../protocols/flow/bits.ts";
import { FlowCount, MAX_GAPS, MAX_PACKETS } from "../../../protocols/flow/count.ts";
import type { Ip } from "../../../src/core/addr.ts";
import { type Instant, instant, ms, sec } from "../../../src/core/time.ts";

const START = instant(8_000_000);
const END = instant(sec(100));

function flow(rate = 1000, stop?: Instant): FlowCount {
  const base = { id: "web", from: "a", to: "10.0.0.2" as Ip, rate, size: 200, start: START };
  return new FlowCount(stop === undefined ? base : { ...base, stop }, 0, "datagram");
}

/** Sends `n` packets; each arrives `delay` later unless `lost` says otherwise. */
function run(count: FlowCount, n: number, lost: (n: number) => boolean = () => false, delay = 100): void {
  for (let i = 0; i < n; i++) {
    const at = count.departure(i);
    count.countSent(i, at);
    if (!lost(i)) count.countArrival(i, instant(at + delay));
  }
}

describe("when packets leave", () => {
  it("is start + number × period, rounded once: no error adds up", () => {
    const thirds = flow(3);
    expect([0, 1, 2, 3, 3_000_000].map((n) => thirds.departure(n) - START)).toEqual([
      0,
      333_333,
      666_667,
      sec(1),
      sec(1_000_000),
    ]);
  });

  it("is found again by number and by time", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.integer({ min: 0, max: 9_999_999 }), (rate, n) => {
        const count = flow(rate);
        const at = count.departure(n);
        const first = count.firstAt(at);
        expect(count.departure(first)).toBe(at);
        expect(first === 0 || count.departure(first - 1) < at).toBe(true);
      }),
    );
  });

  it("ends at `stop`, which is excluded, and after as many packets as are kept count of", () => {
    const count = flow(10, instant(START + sec(1)));
    expect([count.inFlow(9), count.inFlow(10)]).toEqual([true, false]);
    expect([flow().inFlow(MAX_PACKETS - 1), flow().inFlow(MAX_PACKETS)]).toEqual([true, false]);
  });
});

describe("what is counted", () => {
  it("of an even flow: all received, the gap is the period", () => {
    const count = flow();
    run(count, 1000);
    expect(count.record(END)).toEqual({
      id: "web",
      sent: 1000,
      received: 1000,
      lost: 0,
      duplicated: 0,
      reordered: 0,
      longestGap: 0.001,
    });
  });

  it("of a flow with a hole: the lost ones and the gap, from the last arrival to the next", () => {
    const count = flow();
    run(count, 1000, (n) => n >= 300 && n < 350);
    expect(count.record(END)).toMatchObject({ sent: 1000, received: 950, lost: 50, longestGap: 0.051 });
  });

  it("belongs to the time at which a packet was sent, whenever it came", () => {
    const count = flow();
    run(count, 1000, (n) => n >= 300 && n < 350, 400_000);
    const part = (from: number, to: number) => count.record(END, instant(START + ms(from)), instant(START + ms(to)));
    expect(part(0, 300)).toMatchObject({ sent: 300, lost: 0 });
    expect(part(300, 350)).toMatchObject({ sent: 50, received: 0, lost: 50 });
    expect(part(349, 351)).toMatchObject({ sent: 2, received: 1, lost: 1 });
    expect(part(350, 2000)).toMatchObject({ sent: 650, lost: 0 });
  });

  it("counts a gap to every time that it overlaps, whole", () => {
    const count = flow();
    run(count, 1000, (n) => n >= 300 && n < 350);
    const gap = (from: number, to: number) =>
      count.record(END, instant(START + ms(from)), instant(START + ms(to))).longestGap;
    expect(gap(0, 200)).toBe(0.001);
    expect(gap(310, 320)).toBe(0.051);
    expect(gap(0, 310)).toBe(0.051);
    expect(gap(400, 500)).toBe(0.001);
  });

  it("keeps a gap open that no arrival ends, for as long as was sent", () => {
    const count = flow();
    run(count, 1000, (n) => n >= 300);
    expect(count.record(END)).toMatchObject({ lost: 700, longestGap: 0.6999 });
    const never = flow();
    run(never, 1000, () => true);
    expect(never.record(END)).toMatchObject({ lost: 1000, longestGap: 0.999 });
  });

  it("counts duplicates once for each number, and only the first arrival", () => {
    const count = flow();
    run(count, 10);
    for (const n of [3, 3, 4]) count.countArrival(n, END);
    expect(count.record(END)).toMatchObject({ sent: 10, received: 10, lost: 0, duplicated: 2, reordered: 0 });
    expect(count.record(END, count.departure(4))).toMatchObject({ sent: 6, duplicated: 1 });
  });

  it("counts what arrives after a later one as reordered", () => {
    const count = flow();
    for (let n = 0; n < 5; n++) count.countSent(n, count.departure(n));
    for (const n of [0, 3, 1, 2, 4]) count.countArrival(n, instant(START + sec(1)));
    expect(count.record(END)).toMatchObject({ received: 5, reordered: 2 });
  });

  it("leaves out what may be on its way at the end, and nothing that arrived", () => {
    const count = flow();
    run(count, 1000, (n) => n >= 990);
    const end = instant(START + sec(1));
    expect(count.record(end)).toMatchObject({ sent: 990, received: 990, lost: 0, longestGap: 0.001 });
    expect(count.record(instant(end + sec(1)))).toMatchObject({ sent: 1000, lost: 10 });
  });

  it("believes no number that was not sent", () => {
    const count = flow();
    run(count, 10);
    count.countArrival(11, END);
    count.countArrival(4_000_000_000, END);
    expect(count.record(END)).toMatchObject({ sent: 10, received: 10 });
  });

  it(`remembers ${MAX_GAPS} gaps with their time, the longest ones`, () => {
    const count = flow();
    // Every second packet is lost, and once a hundred in a row.
    run(count, 5 * MAX_GAPS, (n) => n % 2 === 1 || (n > 4000 && n < 4100));
    expect(count.record(END).longestGap).toBe(0.1);
    expect(count.record(END, instant(START + ms(4050)), instant(START + ms(4051))).longestGap).toBe(0.1);
  });

  it("knows of a flow that never began", () => {
    expect(flow().record(END)).toEqual({
      id: "web",
      sent: 0,
      received: 0,
      lost: 0,
      duplicated: 0,
      reordered: 0,
      longestGap: 0,
    });
  });
});

describe("a set of numbers", () => {
  it("is a set", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 300 }), (numbers) => {
        const bits = new Bits();
        const set = new Set<number>();
        for (const n of numbers) {
          expect(bits.add(n)).toBe(!set.has(n));
          set.add(n);
        }
        expect(bits.count).toBe(set.size);
        for (let n = 0; n < 200; n++) expect(bits.has(n)).toBe(set.has(n));
      }),
    );
  });
});
