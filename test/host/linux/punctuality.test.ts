import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import { schema } from "../../../protocols/vrrp/config.ts";
import type { Lateness } from "../../../src/host/linux/alarm.ts";
import { Punctuality } from "../../../src/host/linux/punctuality.ts";

const said: string[] = [];
let lateness: Lateness;
let part: Punctuality;

beforeEach(() => {
  vi.useFakeTimers();
  said.length = 0;
  lateness = { count: 0, last: 0, worst: 0, sum: 0, limit: Number.POSITIVE_INFINITY, beyond: 0 };
  part = new Punctuality({ protocols, lateness, tell: (line) => said.push(line) });
  const slow = { interface: "eth0", vrid: 1, addresses: ["192.0.2.254/24"] };
  const fast = { name: "fast", interface: "eth0", vrid: 2, interval: "20ms", addresses: ["192.0.2.253/24"] };
  part.configure({ node: "gw1", vrrp: schema.parse([slow, fast]) });
});

afterEach(() => {
  part.close();
  vi.useRealTimers();
});

test("what is too late is more than the shortest interval of all routers", () => {
  expect(lateness.limit).toBe(20_000);
});

test("says once a minute at most that an interval is too short, and for which router", () => {
  lateness.worst = 31_400;
  lateness.beyond = 5;
  vi.advanceTimersByTime(60_000);
  expect(said).toEqual([
    expect.stringMatching(
      /^5 timers were late by more than 20ms .*31\.4ms.*: fast \(each 20ms\) is too fast for this host/,
    ),
  ]);
  vi.advanceTimersByTime(600_000);
  expect(said).toHaveLength(1);
});

test("an accident is no pattern", () => {
  lateness.beyond = 2;
  vi.advanceTimersByTime(60_000);
  lateness.beyond = 4;
  vi.advanceTimersByTime(60_000);
  expect(said).toEqual([]);
});
