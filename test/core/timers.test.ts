import { expect, it } from "vitest";
import { instant, NEVER, us } from "../../src/core/time.ts";
import { arm, due, earliest, stop, stopped } from "../../src/core/timers.ts";

it("timers begin stopped, and stopped ones are never due", () => {
  const timers = stopped("advert", "masterDown");
  expect(timers).toEqual({ advert: NEVER, masterDown: NEVER });
  expect(earliest(timers)).toBe(NEVER);
  expect(due(timers, "advert", instant(Number.MAX_SAFE_INTEGER))).toBe(false);
});

it("a timer is due at its time and after, not before; being due spends it", () => {
  const timers = stopped("advert");
  arm(timers, "advert", instant(100), us(50));
  expect(earliest(timers)).toBe(150);
  expect(due(timers, "advert", instant(149))).toBe(false);
  expect(timers.advert).toBe(150);
  expect(due(timers, "advert", instant(150))).toBe(true);
  expect(due(timers, "advert", instant(150))).toBe(false);
  arm(timers, "advert", instant(100), us(50));
  expect(due(timers, "advert", instant(10_000))).toBe(true);
});

it("the earliest is the earliest of those that run; stopping one leaves the others", () => {
  const timers = stopped("a", "b", "c");
  arm(timers, "a", instant(0), us(30));
  arm(timers, "b", instant(0), us(20));
  expect(earliest(timers)).toBe(20);
  stop(timers, "b");
  expect([earliest(timers), timers.b]).toEqual([30, NEVER]);
  arm(timers, "a", instant(5), us(0));
  expect([earliest(timers), due(timers, "a", instant(5))]).toEqual([5, true]);
});
