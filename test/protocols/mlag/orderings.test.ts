/** What must hold whatever happens in whatever order: M24, M25 as far as decisions go, M41, M50. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as core from "../../../protocols/mlag/core.ts";
import { type Name, Pair } from "./pair.ts";

const name = fc.constantFrom<Name>("a", "b");
const wait = fc.constantFrom(0, 0.0004, 0.01, 0.25, 1, 4, 9, 30);
const station = fc.constantFrom("02:aa:00:00:00:01", "02:aa:00:00:00:02", "02:aa:00:00:00:03");

const fault = fc.oneof(
  fc.record({ kind: fc.constant("peer-link" as const), up: fc.boolean() }),
  fc.record({ kind: fc.constant("keepalive" as const), up: fc.boolean() }),
  fc.record({ kind: fc.constant("power" as const), name, up: fc.boolean() }),
  fc.record({ kind: fc.constant("cable" as const), name, id: fc.constantFrom(1, 2), up: fc.boolean() }),
  fc.record({ kind: fc.constant("preempt" as const), name }),
  fc.record({ kind: fc.constant("speak" as const), name, port: fc.constantFrom("agg1", "agg2", "orphan"), station }),
);
type Fault = typeof fault extends fc.Arbitrary<infer F> ? F : never;
const schedule = fc.array(fc.record({ fault, wait }), { minLength: 1, maxLength: 6 });
const split = fc.constantFrom("sysid-fallback", "secondary-suspend", "dual-active");

function apply(pair: Pair, one: Fault): void {
  switch (one.kind) {
    case "peer-link":
      pair.setPeerLink(one.up);
      break;
    case "keepalive":
      pair.setKeepalive(one.up);
      break;
    case "power":
      pair.power(one.name, one.up);
      break;
    case "cable":
      pair.setCable(one.name, one.id, one.up);
      break;
    case "preempt":
      if (pair.side(one.name).alive) pair.do(one.name, core.preempt);
      break;
    case "speak":
      if (one.port === "orphan" || pair.side(one.name).bundles.get(Number(one.port.slice(3)))?.up === true) {
        pair.speak(one.name, one.port, one.station);
      }
  }
}

function run(faults: readonly { readonly fault: Fault; readonly wait: number }[], policy: string): Pair {
  const pair = new Pair({ both: { split: policy, "auto-recovery": "20s" } }).boot().until(10);
  for (const one of faults) {
    apply(pair, one.fault);
    pair.after(one.wait);
  }
  return pair;
}

/** Beyond hold, timeout, auto-recovery, restore delay and any penalty. */
const SETTLED = 120;

describe("for any six of peer link, keepalive, power, cables, roles and stations, at any distance", () => {
  it("M24: never are both sides suspended for good: a host with a good cable to a living switch is served", () => {
    fc.assert(
      fc.property(schedule, fc.constantFrom("sysid-fallback", "dual-active"), (faults, policy) => {
        const pair = run(faults, policy).after(SETTLED);
        const { a, b } = pair;
        for (const id of [1, 2]) {
          const cabled = [a, b].filter((side) => side.alive && side.bundles.get(id)?.cable === true);
          if (cabled.length === 0) continue;
          const suspended = cabled.every((side) => side.bundles.get(id)?.suspended === true);
          // Its only cable may end at the side that has to stand back: an orphan of that failure, by design.
          if (suspended) expect([a, b].filter((side) => side.alive)).not.toHaveLength(cabled.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("M24: at no moment do both living switches withhold all their members because of each other", () => {
    fc.assert(
      fc.property(schedule, split, (faults, policy) => {
        const pair = new Pair({ both: { split: policy, "auto-recovery": "20s" } }).boot().until(10);
        pair.watch = () => {
          const both = [pair.a, pair.b].every(
            ({ alive, core: { halves } }) => alive && halves.every((h) => h.suspended),
          );
          const words = pair.a.core.halves.concat(pair.b.core.halves).map(({ why }) => why);
          expect(both, `both are suspended at ${pair.now}: ${words.join(", ")}`).toBe(false);
        };
        for (const one of faults) {
          apply(pair, one.fault);
          pair.after(one.wait);
        }
        pair.after(SETTLED);
      }),
      { numRuns: 300 },
    );
  });

  it("M05, M06: with both paths whole again there is one primary, one system id, and every cabled half carries", () => {
    fc.assert(
      fc.property(schedule, split, (faults, policy) => {
        const pair = run(faults, policy).setPeerLink(true).setKeepalive(true).power("a", true).power("b", true);
        for (const side of ["a", "b"] as const) for (const id of [1, 2]) pair.setCable(side, id, true);
        pair.after(SETTLED);
        expect([...pair.roles.split(" ")].sort()).toEqual(["primary", "secondary"]);
        expect(pair.carrying).toBe("a1+ a2+ b1+ b2+");
        const ids = [pair.a, pair.b].flatMap(({ bundles }) => [...bundles.values()].map(({ system }) => system));
        // The domain's, or the own one of a survivor that could not know whether it was alone.
        expect(new Set(ids).size).toBe(1);
        expect(["02:4d:4c:00:00:0a", "02:00:00:00:00:0a", "02:00:00:00:00:0b"]).toContain(ids[0]);
      }),
      { numRuns: 300 },
    );
  });

  it("M25, M27: a half carries while its twin does only with isolation on both sides", () => {
    fc.assert(
      fc.property(schedule, split, (faults, policy) => {
        const pair = run(faults, policy).setPeerLink(true).power("a", true).power("b", true).after(SETTLED);
        for (const id of [1, 2]) {
          const halves = [pair.a, pair.b].map(({ core: { halves: all } }) => all.find((half) => half.id === id));
          if (!halves.every((half) => half?.up === true)) continue;
          expect(halves.map((half) => half?.isolated)).toEqual(["all", "all"]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("M41, M42, M50: stations are where the pair agrees that they are, once the pair is whole", () => {
    fc.assert(
      fc.property(schedule, split, (faults, policy) => {
        const pair = run(faults, policy).setPeerLink(true).power("a", true).power("b", true);
        // Not on the round second: a word that a station has aged would be on its way.
        pair.after(20.137);
        const [a, b] = [pair.stations("a"), pair.stations("b")];
        const where = (own: string, other: string) => (own.startsWith("agg") ? own : `${own} ${other}`);
        for (const [station, { port }] of a) {
          const there = b.get(station)?.port ?? "none";
          // The same M-LAG, or an orphan of one that is behind the peer link for the other; both behind it: nobody's now.
          const fine = port.startsWith("agg")
            ? there === port
            : ["orphan peer", "peer orphan", "peer none", "peer peer"];
          if (typeof fine === "boolean") expect(fine, `${station}: ${port} and ${there}`).toBe(true);
          else expect(fine).toContain(where(port, there));
        }
        for (const [station, { port }] of b) if (!a.has(station)) expect(port).toBe("peer");
      }),
      { numRuns: 300 },
    );
  });
});
