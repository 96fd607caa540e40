import fc from "fast-check";
import { expect, it } from "vitest";
import {
  after,
  cs,
  type Duration,
  formatDuration,
  formatInstant,
  instant,
  ms,
  NEVER,
  parseDuration,
  parseNanoseconds,
  sec,
  since,
  toSeconds,
  us,
} from "../../src/core/time.ts";

it.each([
  ["5us", 5],
  ["5µs", 5],
  ["250 us", 250],
  ["100ms", 100_000],
  ["1.5s", 1_500_000],
  ["0.000001s", 1],
  ["40.95s", 40_950_000],
  ["2m", 120_000_000],
  ["2min", 120_000_000],
  ["1h", 3_600_000_000],
  ["365d", 31_536_000_000_000],
  ["5000ns", 5],
  ["0s", 0],
  ["  1s ", 1_000_000],
])("parseDuration reads %j as whole microseconds", (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});

it.each(["", "5", "s", "-5s", "1,5s", "5 parsecs", "1e3s", ".5s", "5.s", "1.5us", "1ns", "0.0000001s", "5s 3ms"])(
  "parseDuration refuses %j",
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);

it("a duration that is not a whole number of its unit is refused however large it is", () => {
  expect(parseNanoseconds("1000000.5ns")).toBeUndefined();
  expect(parseNanoseconds("1000.0000000001s")).toBeUndefined();
  expect(parseDuration("1000000.0000001s")).toBeUndefined();
  expect(parseNanoseconds("1000000.000000001s")).toBe(1_000_000_000_000_001);
});

it("a duration of 2^53 units or more is refused, because it would not be exact", () => {
  expect(parseNanoseconds("9007199254740991ns")).toBe(Number.MAX_SAFE_INTEGER);
  expect(parseNanoseconds("9007199254740992ns")).toBeUndefined();
  expect(parseDuration("9007199254740992us")).toBeUndefined();
  expect(parseDuration(`${"9".repeat(400)}d`)).toBeUndefined();
});

it("what formatDuration writes is read back exactly, for every duration up to 140 years", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 52 }), (n) => {
      expect(parseDuration(formatDuration(us(n)))).toBe(n);
    }),
  );
});

it("decimal fractions of a second are read without floating-point error", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 0, max: 999_999_999 }), (whole, fraction) => {
      const text = `${whole % 1e6}.${String(fraction).padStart(9, "0")}s`;
      expect(parseNanoseconds(text)).toBe((whole % 1e6) * 1e9 + fraction);
    }),
  );
});

it("formatDuration writes the shortest exact text, in the largest unit that it reaches", () => {
  expect([0, 5, 999, 1_000, 1_500, 100_000, 1_000_000, 1_500_000, 1_000_001].map((n) => formatDuration(us(n)))).toEqual(
    ["0s", "5us", "999us", "1ms", "1.5ms", "100ms", "1s", "1.5s", "1.000001s"],
  );
  expect(formatDuration(us(-1_500))).toBe("-1.5ms");
  expect(formatDuration(NEVER as number as Duration)).toBe("never");
});

it("formatInstant always shows six decimals, as captures do, also for times since 1970", () => {
  expect(formatInstant(instant(0))).toBe("0.000000");
  expect(formatInstant(instant(12_345_678))).toBe("12.345678");
  expect(formatInstant(instant(1_700_000_000_123_457))).toBe("1700000000.123457");
});

it("units give whole microseconds; fractions go to the nearest one", () => {
  expect([ms(1.5), cs(1), cs(4095), sec(0.1), sec(0.000_000_4), ms(0.000_6)]).toEqual([
    1_500, 10_000, 40_950_000, 100_000, 0, 1,
  ]);
});

it("instants and durations add up, and NEVER stays after everything", () => {
  expect(after(instant(5), us(7))).toBe(12);
  expect(since(instant(5), instant(12))).toBe(7);
  expect(toSeconds(us(1_500_000))).toBe(1.5);
  expect(after(NEVER, us(5))).toBe(NEVER);
  expect(NEVER > instant(Number.MAX_SAFE_INTEGER)).toBe(true);
});
