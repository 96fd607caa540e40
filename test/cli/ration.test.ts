import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LINES, Ration, WINDOW } from "../../cli/ration.ts";
import type { Entry } from "../../src/core/log.ts";
import { instant } from "../../src/core/time.ts";

const written: string[] = [];
const told: string[] = [];
let ration: Ration;

beforeEach(() => {
  vi.useFakeTimers();
  written.length = 0;
  told.length = 0;
  ration = new Ration((line) => told.push(line));
});

afterEach(() => {
  vi.useRealTimers();
});

function say(port: string, count: number, from = 0): void {
  for (let i = from; i < from + count; i++) {
    const event = { type: "lacp.port", port, bundle: "agg1" };
    const entry: Entry = { at: instant(0), node: "sw", way: "out", what: { kind: "event", event } };
    ration.write(entry, () => written.push(`${port} ${i}`));
  }
}

describe("what changes all the time", () => {
  test("is written so often in a while, then how often it was not, and the last of it", () => {
    say("p1", LINES + 1_000);
    expect(written).toHaveLength(LINES);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(WINDOW);
    expect(told).toEqual([`lacp.port p1 agg1: 999 more lines in ${WINDOW / 1_000} s, of which the next is the last`]);
    expect(written.slice(LINES)).toEqual([`p1 ${LINES + 999}`]);
    say("p1", 1, 7);
    expect(written.at(-1)).toBe("p1 7");
  });

  test("costs other things nothing", () => {
    say("p1", LINES + 1_000);
    say("p2", LINES);
    expect(written.filter((line) => line.startsWith("p2"))).toHaveLength(LINES);
  });

  test("is told of at the end of the process, too", () => {
    say("p1", LINES + 2);
    ration.flush();
    expect(written.at(-1)).toBe(`p1 ${LINES + 1}`);
    vi.advanceTimersByTime(WINDOW);
    expect(written).toHaveLength(LINES + 1);
  });

  test("is no order: those are always written", () => {
    const entry: Entry = {
      at: instant(0),
      node: "sw",
      way: "in",
      what: { kind: "command", to: "lacp", command: { verb: "start" } },
    };
    for (let i = 0; i < 2 * LINES; i++) ration.write(entry, () => written.push(String(i)));
    expect(written).toHaveLength(2 * LINES);
  });

  test("of too many things at once is written at once, and all are new again", () => {
    for (let i = 0; i < 3_000; i++) say(`p${i}`, LINES + 1);
    expect(written.length).toBeGreaterThan(3_000 * LINES);
    vi.advanceTimersByTime(WINDOW);
    expect(written).toHaveLength(3_000 * (LINES + 1));
  });
});
