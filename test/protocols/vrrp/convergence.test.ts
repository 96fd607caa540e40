/** Routers on one segment, by chance: whatever their priorities and the delays, one of them is master in the end. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeIp } from "../../../protocols/ip/codec.ts";
import { decodeAdvert } from "../../../protocols/vrrp/codec.ts";
import { Frame } from "../../../src/core/frame.ts";
import { type Duration, ms, sec, us } from "../../../src/core/time.ts";
import { Segment } from "../../support/segment.ts";
import { adv, Bench, given, given6 } from "../../support/vrrp.ts";

const priority = fc.integer({ min: 1, max: 254 });
const delays = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 9, maxLength: 9 });
const interval = fc.constantFrom("100ms", "200ms", "1s");
const router = fc.record({ priority, preempt: fc.boolean(), interval });

describe("convergence", () => {
  test("RFC 9568 §6.4 · two or three routers, any priorities and delays: one master; with preemption the best one", () => {
    const routers = fc.array(router, { minLength: 2, maxLength: 3 });
    fc.assert(
      fc.property(routers, delays, (members, waits) => {
        const segment = new Segment(
          members.map((more) => [given(more)]),
          waits,
        );
        segment.run(sec(12));
        const [master, ...others] = segment.masters();
        expect(others).toEqual([]);
        expect(master).toBeDefined();
        if (members.every(({ preempt }) => preempt)) {
          const best = Math.max(...members.map((member) => member.priority));
          expect(members[master ?? 0]?.priority).toBe(best);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("RFC 9568 §6.4.3 · masters of a healed partition become one within an interval", () => {
    fc.assert(
      fc.property(
        fc.array(priority, { minLength: 3, maxLength: 3 }),
        delays,
        fc.integer({ min: 0, max: 2 }),
        (all, waits, out) => {
          const segment = new Segment(
            all.map((one) => [given6({ priority: one, interval: "200ms" })]),
            waits,
          );
          segment.run(sec(4));
          segment.isolate(out, true);
          segment.run(sec(4));
          expect(segment.masters()).toHaveLength(2);
          segment.isolate(out, false);
          // One interval until somebody is heard, an answer, and the delays of both.
          segment.run((ms(200) + ms(10) + us(80_000)) as Duration);
          expect(segment.masters()).toHaveLength(1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("RFC 9568 §6.4.3 · equal priorities that became master together are settled by address", () => {
    const segment = new Segment(
      [1, 2, 3].map(() => [given({ priority: 100 })]),
      [10_000],
    );
    segment.run(sec(5));
    expect(segment.masters()).toEqual([2]);
  });

  test("a graceful stop hands over within the skew time of the best backup", () => {
    const segment = new Segment(
      [200, 150, 100].map((one) => [given({ priority: one })]),
      [50],
    );
    segment.run(sec(5));
    segment.benches[0]?.command({ verb: "stop" });
    segment.run(us(414_063 + 100));
    expect(segment.masters()).toEqual([1]);
  });
});

describe("whatever operators and links do", () => {
  const member = fc.integer({ min: 0, max: 2 });
  const pauseFor = fc.integer({ min: 1, max: 3_000 });
  const operation = fc.oneof(
    fc.record({ verb: fc.constant("priority" as const), member, priority }),
    fc.record({ verb: fc.constantFrom("stop", "start", "drain"), member }),
    fc.record({ verb: fc.constantFrom("isolate", "join", "down", "up"), member }),
  );
  const operations = fc.array(fc.tuple(operation, pauseFor), { maxLength: 12 });
  const preempt = fc.constantFrom<unknown>(true, false, { delay: "2s" });

  test("RFC 9568 §6.4 · when all is well again, one router is master", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(priority, preempt), { minLength: 3, maxLength: 3 }),
        operations,
        delays,
        (all, list, waits) => {
          const routers = all.map(([own, how]) => [given({ priority: own, preempt: how, interval: "200ms" })]);
          const segment = new Segment(routers, waits);
          for (const [what, time] of list) {
            const bench = segment.benches[what.member];
            if (bench === undefined) continue;
            if ("priority" in what) bench.command({ verb: "priority", priority: what.priority });
            else if (what.verb === "isolate" || what.verb === "join")
              segment.isolate(what.member, what.verb === "isolate");
            else if (what.verb === "down" || what.verb === "up") bench.link("eth0", what.verb === "up");
            else bench.command({ verb: what.verb as "stop" });
            segment.run(ms(time));
          }
          for (const [i, bench] of segment.benches.entries()) {
            segment.isolate(i, false);
            bench.link("eth0", true).command({ verb: "start" });
          }
          segment.run(sec(6));
          expect(segment.masters()).toHaveLength(1);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("a sync group is master on one node as a whole, whichever links failed in between", () => {
    const failure = fc.tuple(fc.integer({ min: 0, max: 1 }), fc.constantFrom("eth0", "eth1"), fc.boolean(), pauseFor);
    fc.assert(
      fc.property(
        fc.tuple(priority, priority),
        fc.array(failure, { maxLength: 10 }),
        delays,
        (own, failures, waits) => {
          const routers = own.map((one) =>
            ["eth0", "eth1"].map((name, i) =>
              given({ interface: name, vrid: 10 + i, priority: one, interval: "200ms", group: "site" }),
            ),
          );
          const segment = new Segment(routers, waits);
          for (const [node, name, up, time] of failures) {
            segment.benches[node]?.link(name, up);
            segment.run(ms(time));
          }
          for (const bench of segment.benches) bench.link("eth0", true).link("eth1", true);
          segment.run(sec(6));
          const states = segment.benches.map((bench) => bench.state.routers.map(({ state }) => state).join(" "));
          expect(states.sort()).toEqual(["backup backup", "master master"]);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("mutated adverts", () => {
  const mutation = fc.tuple(fc.nat(63), fc.nat(255), fc.boolean());
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });

  /** What of the state an advert may change. */
  const shot = (bench: Bench) => {
    const { state, masterInterval, downAt, adverAt, priority: own } = bench.router();
    return { state, masterInterval, downAt, adverAt, own };
  };

  test.each([
    ["a backup", sec(1)],
    ["a master", sec(5)],
  ])("what is not a valid advert changes nothing of %s", (_who, time) => {
    fc.assert(
      fc.property(fc.nat(255), mutations, fc.integer({ min: 0, max: 60 }), (sent, changes, tail) => {
        const bench = new Bench([given()]).wait(time);
        const bytes = adv(sent).bytes.slice(0, 14 + 32 - (tail > 32 ? 0 : tail));
        for (const [at, value, flip] of changes) {
          if (at + 14 < bytes.length) bytes[at + 14] = flip ? (bytes[at + 14] ?? 0) ^ (1 << (value & 7)) : value;
        }
        const before = shot(bench);
        bench.take();
        const ip = decodeIp(bytes.subarray(14));
        const valid = ip.ok && ip.value.protocol === 112 && decodeAdvert(ip.value, 3).ok;
        bench.frame(Frame.of(bytes));
        if (valid) return;
        expect(shot(bench)).toEqual(before);
        expect(bench.said().filter((line) => !line.startsWith("drop"))).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
  });
});
