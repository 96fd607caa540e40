/** The Periodic and Transmit machines: IEEE 802.1AX §6.4.13, §6.4.16. Times in microseconds. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Solo } from "../../support/lacp.ts";

const FAST = { name: "agg1", members: ["p1"], rate: "fast" };
const S = 1_000_000;
const times = (self: Solo, since = 0) => self.pdus("p1", since).map(({ at }) => at);
const gaps = (list: readonly number[]) => list.slice(1).map((at, i) => at - (list[i] ?? 0));

/** The most LACPDUs in any second of half-open time. */
function most(list: readonly number[]): number {
  return Math.max(0, ...list.map((from) => list.filter((at) => at >= from && at < from + S).length));
}

describe("the Periodic machine", () => {
  it("L26 · two passive ends say nothing; one active end is enough for both", () => {
    const self = new Solo({ ...FAST, mode: "passive" });
    self.link("p1");
    self.chat(["p1"], 20 * S, S, { state: 0x3e });
    expect(self.sent).toEqual([]);
    self.say("p1", { state: 0x3f });
    self.chat(["p1"], 25 * S);
    expect(self.sent.length).toBeGreaterThan(4);
    const active = new Solo(FAST);
    active.link("p1");
    active.chat(["p1"], 5 * S, S, { state: 0x3e });
    expect(active.sent.length).toBeGreaterThan(4);
    expect(active.states("p1")).toBe("current distributing");
  });

  it.each([
    ["short", 0x3f, S],
    ["long", 0x3d, 30 * S],
  ])("L27 L73 · partner's Timeout %s (state %d): one LACPDU every %d µs", (_name, state, period) => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.chat(["p1"], 10 * S, S, { state });
    const from = self.now;
    self.chat(["p1"], from + 5 * period, S, { state });
    const list = times(self, from);
    expect(list.length).toBeGreaterThanOrEqual(4);
    expect(new Set(gaps(list))).toEqual(new Set([period]));
  });

  it("L28 · long to short: one at once, then every second", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.chat(["p1"], 10 * S, S, { state: 0x3d });
    const from = self.now;
    self.say("p1", { state: 0x3f });
    self.run(from + 2_500_000);
    expect(times(self, from)).toEqual([from + 1_000, from + S, from + 2 * S]);
  });
});

describe("the Transmit machine", () => {
  it("L29 L32 · never more than 3 in any second, under any storm, and the last word is the state", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 90_000 })), { minLength: 100 }),
        (storm) => {
          const self = new Solo(FAST);
          self.agree("p1");
          for (const [state, wait] of storm) {
            self.say("p1", { state, of: { state: state ^ 0xff } });
            self.run(self.now + wait);
          }
          self.say("p1", { state: 0x3f });
          self.run(self.now + S + 1_000);
          expect(most(times(self))).toBeLessThanOrEqual(3);
          expect(self.pdus("p1").at(-1)?.pdu.actor.state).toBe(self.port("p1").state);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("L30 · what could not be said is one LACPDU with the latest content, when the second is over", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.chat(["p1"], 10 * S);
    const from = self.now + 500_000;
    self.run(from);
    for (let i = 0; i < 20; i++) {
      self.say("p1", { state: i % 2 === 0 ? 0x37 : 0x3f });
      self.run(self.now + 2_000);
    }
    self.say("p1", { state: 0x37 });
    self.run(from + 200_000);
    const early = times(self, from - 400_000);
    expect(early.length).toBeLessThanOrEqual(3);
    self.run(from + S + 100_000);
    const late = self.pdus("p1", from + 200_000);
    expect(late[0]?.pdu.actor.state).toBe(0x0f);
    expect(most(times(self))).toBeLessThanOrEqual(3);
  });

  it("L31 · what happens without carrier is said when it is there", () => {
    const self = new Solo(FAST);
    self.command({ verb: "key", bundle: "agg1", key: 77 });
    self.run(5 * S);
    expect(self.sent).toEqual([]);
    self.link("p1");
    self.run(5 * S + 1_000);
    expect(self.sent).toMatchObject([{ at: 5 * S + 1_000, pdu: { actor: { key: 77, state: 0xc7 } } }]);
  });

  it("L32 · what is at stake for frames is said within the same microsecond, all else within 1 ms", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.chat(["p1"], 10 * S);
    const from = self.now + 300_000;
    self.run(from);
    self.say("p1", { state: 0x37 });
    expect(self.pdus("p1", from)).toMatchObject([{ at: from, pdu: { actor: { state: 0x0f } } }]);
  });

  it("L33 · after 2 s in which it was not run, still 3 at most", () => {
    const self = new Solo({ ...FAST, members: ["p1", "p2"] });
    self.agree("p1", "p2");
    self.chat(["p1", "p2"], 10 * S);
    const at = self.now + 2 * S;
    self.now = at as typeof self.now;
    for (let i = 0; i < 10; i++) self.say("p1", { state: i % 2 === 0 ? 0x37 : 0x3f });
    self.run(at + 900_000);
    expect(times(self, at).length).toBeGreaterThan(0);
    expect(times(self, at).length).toBeLessThanOrEqual(3);
  });
});
