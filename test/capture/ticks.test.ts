import fc from "fast-check";
import { expect, it } from "vitest";
import { nanosecondsText, secondsAfter, timeAfter, withoutFcs } from "../../src/capture/record.ts";
import { nanosecondWords, TickClock } from "../../src/capture/ticks.ts";

const word = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
);

function exact(resolution: number, high: number, low: number): readonly [bigint, bigint] {
  const units = (resolution & 0x80 ? 2n : 10n) ** BigInt(resolution & 0x7f);
  const ticks = (BigInt(high) << 32n) | BigInt(low);
  return [ticks / units, ((ticks % units) * 1_000_000_000n) / units];
}

it("if_tsresol: every resolution gives the exact second and the nanosecond below, for every count", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), word, word, (resolution, high, low) => {
      const clock = new TickClock(resolution, 0);
      clock.set(high, low);
      const [seconds, nanoseconds] = exact(resolution, high, low);
      expect(clock.seconds).toBe(Number(seconds));
      expect(clock.nanoseconds).toBe(Number(nanoseconds));
    }),
    { numRuns: 20_000 },
  );
});

it.each([0x80 | 20, 0x80 | 23, 0x80 | 24, 0x80 | 32, 3, 6, 7, 8, 9, 10, 11, 12, 19])(
  "if_tsresol %i is exact at the edges of its seconds",
  (resolution) => {
    const units = (resolution & 0x80 ? 2n : 10n) ** BigInt(resolution & 0x7f);
    const clock = new TickClock(resolution, 0);
    for (let second = 1n; second < 2n ** 32n && (second + 1n) * units < 2n ** 64n; second = second * 3n + 1n) {
      for (const ticks of [second * units - 1n, second * units, second * units + 1n]) {
        clock.set(Number(ticks >> 32n), Number(ticks & 0xffff_ffffn));
        expect(clock.seconds).toBe(Number(ticks / units));
        expect(clock.nanoseconds).toBe(Number(((ticks % units) * 1_000_000_000n) / units));
      }
    }
  },
);

it("if_tsoffset is added as whole seconds, also negative ones", () => {
  const clock = new TickClock(6, -10);
  clock.set(0, 3_500_000);
  expect([clock.seconds, clock.nanoseconds]).toEqual([-7, 500_000_000]);
  expect(nanosecondsText(clock)).toBe("-6500000000");
});

it("writing nanoseconds as two words is the inverse of reading them at resolution 9", () => {
  const clock = new TickClock(9, 0);
  const time = fc.record({
    seconds: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 18_446_744_072 })),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  });
  fc.assert(
    fc.property(time, ({ seconds, nanoseconds }) => {
      const [high, low] = nanosecondWords(seconds, nanoseconds);
      expect((BigInt(high) << 32n) + BigInt(low)).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
      clock.set(high, low);
      expect([clock.seconds, clock.nanoseconds]).toEqual([seconds, nanoseconds]);
      expect(nanosecondsText({ seconds, nanoseconds })).toBe(String((BigInt(high) << 32n) + BigInt(low)));
    }),
    { numRuns: 5_000 },
  );
});

it("times after the first frame: microseconds to the nearest, seconds with their nanoseconds, either sign", () => {
  const origin = { seconds: 1_700_000_000, nanoseconds: 999_999_600 };
  const later = { seconds: 1_700_000_001, nanoseconds: 100 };
  expect(timeAfter(origin, later)).toBe(1);
  expect(secondsAfter(origin, later)).toBe(5e-7);
  expect(timeAfter(later, origin)).toBe(0);
  expect(secondsAfter(later, origin)).toBe(-5e-7);
  expect(timeAfter(origin, { seconds: 0, nanoseconds: 0 })).toBe(-1_700_000_001_000_000);
});

it.each([
  // captured, length, fcs, left
  [64, 64, 4, 60],
  [62, 64, 4, 60],
  [60, 64, 4, 60],
  [40, 64, 4, 40],
  [64, 0, 4, 60],
  [2, 2, 4, 0],
  [0, 0, 4, 0],
  [64, 64, 0, 64],
])("of %i captured octets of %i with an FCS of %i, %i are the frame's", (captured, length, fcs, left) => {
  expect(withoutFcs(captured, length, fcs)).toBe(left);
});
