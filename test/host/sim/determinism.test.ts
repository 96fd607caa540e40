/** The same seed, nodes, links and orders give the same log, byte for byte. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { eventful, logOf } from "../../support/eventful.ts";
import { Recorder } from "../../support/probe.ts";
import { transpiled } from "../../support/transpiled.ts";

const lines = (log: string, pattern: RegExp) => log.split("\n").filter((line) => pattern.test(line));
const OTHERS = /"node":"(?:sw|h)\d"/;

describe("the log of everything", () => {
  it("is the same text for the same seed, twice in one process", () => {
    const log = logOf({ seed: 7 });
    expect(logOf({ seed: 7 })).toBe(log);
    for (const type of ["frame", "send", "timer", "alarm", "link", "command", "drop", "mac.learned", "mac.aged"]) {
      expect([type, lines(log, new RegExp(`"type":"${type}"`)).length > 0]).toEqual([type, true]);
    }
    expect(lines(log, /./).length).toBeGreaterThan(5_000);
  });

  it("is the same text in other processes", () => {
    const script = transpiled("test/support/eventful-main.ts");
    try {
      const run = (seed: number) =>
        execFileSync(process.execPath, [script.file, String(seed)], { encoding: "utf8", maxBuffer: 1 << 26 });
      const mine = logOf({ seed: 7 });
      expect(run(7)).toBe(mine);
      expect(run(7)).toBe(mine);
      expect(run(8)).not.toBe(mine);
    } finally {
      script.remove();
    }
  });

  it("is another one for another seed, where chance has a part", () => {
    expect(logOf({ seed: 8 })).not.toBe(logOf({ seed: 7 }));
    expect(logOf({ seed: 7 + 2 ** 32 })).not.toBe(logOf({ seed: 7 }));
  });

  it("has times that never go back", () => {
    const recorder = new Recorder(true);
    eventful({ seed: 3, readers: [recorder] });
    for (const [i, { at }] of recorder.entries.entries()) {
      expect(at).toBeGreaterThanOrEqual(recorder.entries[i - 1]?.at ?? 0);
    }
  });
});

describe("what does not change the others", () => {
  it("a node and a link elsewhere, even before them in the file: neither loss nor jitter nor a machine's chances", () => {
    const alone = lines(logOf({ seed: 7 }), OTHERS);
    const strange = logOf({ seed: 7, stranger: true });
    // Hardware addresses number the nodes of a file; nothing here looks at them.
    expect(lines(strange, /"node":"x"/).length).toBeGreaterThan(100);
    expect(lines(strange, OTHERS)).toEqual(alone);
  });

  it("who reads: the facts, the counters and the number of events are the same with a reader of everything", () => {
    const [facts, both, everything] = [new Recorder(false), new Recorder(false), new Recorder(true)];
    const quiet = eventful({ seed: 7, readers: [facts] });
    const watched = eventful({ seed: 7, readers: [both, everything] });
    expect(both.lines.filter((line) => !line.includes('"drop"'))).toEqual(facts.lines);
    expect([watched.events, watched.frames, watched.now]).toEqual([quiet.events, quiet.frames, quiet.now]);
    for (const name of quiet.nodes()) {
      const counts = (world: typeof quiet) => [
        [...(world.node(name)?.drops ?? [])],
        [...world.links.values()].map(({ ends }) =>
          ends.map(({ sent, octets, received, drops }) => ({ sent, octets, received, drops })),
        ),
      ];
      expect(counts(watched)).toEqual(counts(quiet));
    }
  });

  it("in how many pieces it is run", () => {
    const whole = new Recorder(true);
    eventful({ seed: 7, readers: [whole], length: 40 });
    const pieces = new Recorder(true);
    const world = eventful({ seed: 7, readers: [pieces], length: 0 });
    for (let t = 0; t <= 40e6; t += 777_777) world.run(t);
    while (world.runOne(40e6));
    expect(pieces.lines).toEqual(whole.lines);
  });
});

it("every frame that was put onto a wire arrived, was lost for a stated reason, or is still under way", () => {
  const world = eventful({ seed: 5 });
  let under = 0;
  for (const { ends } of world.links.values()) {
    for (const [i, end] of ends.entries()) {
      const other = ends[1 - i] as typeof end;
      const { loss, filter } = end.drops;
      under += end.sent - loss - filter - other.received - other.drops.cut - other.drops.down;
    }
  }
  // A frame flies for a third of a millisecond at most, and a host sends one every half.
  expect(under).toBeGreaterThanOrEqual(0);
  expect(under).toBeLessThan(20);
});
