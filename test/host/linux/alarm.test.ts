/** The alarm on a clock and a kernel of the test's own. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Instant, instant } from "../../../src/core/time.ts";
import { Alarm } from "../../../src/host/linux/alarm.ts";
import type { Libc } from "../../../src/host/linux/libc.ts";

/** Microseconds; a look at the clock takes two. */
let now = 0;
/** When the kernel is to wake the process, and what it wakes. */
let wakeAt = Number.POSITIVE_INFINITY;
let woken: () => void = () => undefined;
const done: string[] = [];

const libc = {
  timer: () => 3,
  setTimer: (_fd: number, wait: number) => {
    wakeAt = wait === 0 ? Number.POSITIVE_INFINITY : now + wait;
  },
  read: (_fd: number, into: Uint8Array) => into,
  watch: (_fd: number, heard: () => void) => {
    woken = heard;
    return { restart: () => undefined, close: () => undefined };
  },
  close: () => undefined,
} as unknown as Libc;

beforeEach(() => {
  now = 1_000_000;
  wakeAt = Number.POSITIVE_INFINITY;
  done.length = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 2;
    return now / 1_000;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Sets an alarm so many microseconds from now, and has it woken `late` each time, until nothing is due any more. */
function rings(wait: number, wanted: (at: Instant) => boolean, late = 0): Instant {
  const due = instant(now + wait);
  const note = (what: string) => void done.push(`${what} ${Math.sign(now - due) < 0 ? "before" : "after"}`);
  const alarm = new Alarm(libc, () => note("ring"), { wanted, play: () => note("prelude") });
  alarm.set(due);
  for (let wakes = 0; wakeAt < Number.POSITIVE_INFINITY; wakes++) {
    expect(wakes).toBeLessThan(10);
    now = Math.max(now, wakeAt) + late;
    wakeAt = Number.POSITIVE_INFINITY;
    woken();
  }
  return due;
}

test.each([1, 100, 4_999, 5_000, 20_000, 10_000_000])("never rings before its time, which is %s µs away", (wait) => {
  rings(wait, () => false);
  expect(done).toEqual(["ring after"]);
});

test("rings at its time where the kernel wakes the process up to 150 µs late", () => {
  const due = rings(20_000, () => false, 150);
  expect(done).toEqual(["ring after"]);
  expect(now - due).toBeLessThan(10);
});

test("has its prelude before, where it wants one, and is asked about its own time", () => {
  const asked: Instant[] = [];
  const due = rings(20_000, (at) => asked.push(at) > 0);
  expect(done).toEqual(["prelude before", "ring after"]);
  expect(new Set(asked)).toEqual(new Set([due]));
});

test("has none that it no longer wants when it is time for it", () => {
  let asked = 0;
  rings(20_000, () => asked++ === 0);
  expect(asked).toBe(2);
  expect(done).toEqual(["ring after"]);
});

test("leaves out one for which it is too late, or that has no room", () => {
  rings(20_000, () => true, 1_400);
  expect(done).toEqual(["ring after"]);
  done.length = 0;
  rings(2_000, () => true);
  expect(done).toEqual(["ring after"]);
});
