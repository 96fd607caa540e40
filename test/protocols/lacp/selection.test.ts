/** Selection: IEEE 802.1AX §6.4.14, §6.3.6. Times in microseconds. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OTHER, PEER, SELF, Solo } from "../../support/lacp.ts";

const S = 1_000_000;
const names = (n: number) => Array.from({ length: n }, (_, i) => `p${i + 1}`);
const bundle = (n: number, more: object = {}) => ({ name: "agg1", members: names(n), rate: "fast", ...more });
const carrying = (self: Solo) => self.bundle().distribution.links.map(({ port }) => port.name);
const joins = (self: Solo) => self.events.filter(({ type }) => type === "lacp.bundle");

describe("Selection", () => {
  it("L34 · links of one LAG ID are one bundle; another system or key stays out, and it is said why", () => {
    for (const stranger of [{ system: OTHER }, { key: 99 }, { systemPriority: 1 }]) {
      const self = new Solo(bundle(3));
      self.agree("p1", "p2");
      expect(carrying(self)).toEqual(["p1", "p2"]);
      self.link("p3");
      self.say("p3", { state: 0x3f, ...stranger });
      self.chat(["p1", "p2"], self.now + 2 * S);
      expect(carrying(self)).toEqual(["p1", "p2"]);
      expect(self.reason("p3")).toBe("other-partner");
      expect(self.states("p3")).toBe("current detached");
    }
  });

  it("L34 · links with different keys of our own are never one bundle", () => {
    const self = new Solo(bundle(1), { name: "agg2", members: ["p2"], rate: "fast" });
    self.agree("p1", "p2");
    expect(self.pdus("p1").at(-1)?.pdu.actor.key).toBe(1);
    expect(self.pdus("p2").at(-1)?.pdu.actor.key).toBe(2);
    expect(self.bundle("agg1").distribution.links.length).toBe(1);
    expect(self.bundle("agg2").distribution.links.length).toBe(1);
  });

  it("L35 · an end that does not aggregate: one link carries, the others stay out", () => {
    const theirs = new Solo(bundle(2));
    theirs.links("p1", "p2");
    theirs.chat(["p1", "p2"], 4 * S, S, { state: 0x3b });
    expect(carrying(theirs)).toEqual(["p1"]);
    const ours = new Solo(bundle(2, { individual: true }));
    ours.links("p1", "p2");
    ours.chat(["p1", "p2"], 4 * S);
    expect(carrying(ours)).toEqual(["p1"]);
    expect(ours.port("p1").state & 4).toBe(0);
    expect(ours.reason("p2")).toBe("other-partner");
  });

  it("L36 · 16 links, 8 at most: the better system's port priorities decide, the others are STANDBY with Sync 0", () => {
    const ranks = names(16).map((_, i) => ((i * 7) % 16) + 1);
    for (const better of [true, false]) {
      const members = names(16).map((port, i) => ({ port, priority: 100 - (ranks[i] ?? 0) }));
      const own = better ? 1 : 65_535;
      const self = new Solo({ ...bundle(0), members, "max-links": 8, "system-priority": own });
      self.links(...names(16));
      for (let round = 0; round < 4; round++) {
        for (const [i, port] of names(16).entries())
          self.say(port, { state: 0x3f, systemPriority: 100, portPriority: ranks[i] ?? 0 });
        self.run(self.now + S);
      }
      const order = names(16).sort((a, b) => {
        const rank = (name: string) => ranks[Number(name.slice(1)) - 1] ?? 0;
        return better ? rank(b) - rank(a) : rank(a) - rank(b);
      });
      expect(carrying(self).toSorted()).toEqual(order.slice(0, 8).toSorted());
      for (const name of order.slice(8)) {
        expect([self.port(name).selected, self.port(name).state & 8, self.reason(name)]).toEqual([
          "standby",
          0,
          "standby",
        ]);
      }
    }
  });

  it("L37 · a lost link is replaced by the best standby at once, by a silent one as soon as it is known", () => {
    const self = new Solo(bundle(3, { "max-links": 2 }));
    self.links(...names(3));
    self.chat(names(3), 3 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
    self.link("p1", false);
    self.say("p3", { state: 0x3f });
    expect(carrying(self)).toEqual(["p2", "p3"]);
    self.link("p1");
    self.chat(names(3), self.now + 3 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
    const silent = self.now;
    self.chat(["p1", "p3"], silent + 4 * S);
    expect(carrying(self)).toEqual(["p1", "p3"]);
  });

  it("L38 · a new key of our own: every link leaves, is said with the new key, and frames stop meanwhile", () => {
    const self = new Solo(bundle(2));
    self.agree("p1", "p2");
    self.chat(["p1", "p2"], self.now + 3 * S);
    self.command({ verb: "key", bundle: "agg1", key: 500 });
    expect(carrying(self)).toEqual([]);
    expect(self.bundle().up).toBe(false);
    expect(self.pdus("p1").at(-1)).toMatchObject({ at: self.now, pdu: { actor: { key: 500 } } });
    // What the partner still holds of us is the old key: it is not in sync until it has heard.
    self.say("p1", { state: 0x3f, of: { key: 1 } });
    expect(self.port("p1").partner.state & 8).toBe(0);
    self.chat(["p1", "p2"], self.now + 3 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
  });

  it("L39 · the LAG ID that is attached stays, however many links another one has", () => {
    const self = new Solo(bundle(4));
    self.agree("p1");
    self.links("p2", "p3", "p4");
    for (const name of ["p2", "p3", "p4"]) self.say(name, { state: 0x3f, system: OTHER });
    self.say("p1", { state: 0x3f });
    expect(carrying(self)).toEqual(["p1"]);
    for (let i = 0; i < 3; i++) {
      self.link("p1", false);
      self.link("p1");
      self.say("p1", { state: 0x3f });
      self.say("p1", { state: 0x3f });
      for (const name of ["p2", "p3", "p4"]) self.say(name, { state: 0x3f, system: OTHER });
    }
    // p1 alone was lost: the other system, with three links, has the bundle now and keeps it.
    self.chat(["p2", "p3", "p4"], self.now + 2 * S, S, { system: OTHER });
    expect(carrying(self)).toEqual(["p2", "p3", "p4"]);
    expect(self.reason("p1")).toBe("other-partner");
  });

  it("a LAG ID whose partner is in sync has the bundle before one that is only attached, and one that carries keeps it", () => {
    const self = new Solo(bundle(2));
    self.links("p1", "p2");
    self.chat(["p1"], 2 * S, S, { state: 0x07 });
    self.say("p2", { state: 0x07, system: OTHER });
    expect([self.states("p1"), self.reason("p2")]).toEqual(["current attached", "other-partner"]);
    self.say("p2", { state: 0x3f, system: OTHER });
    self.say("p2", { state: 0x3f, system: OTHER });
    expect([carrying(self), self.reason("p1")]).toEqual([["p2"], "other-partner"]);
    self.say("p1", { state: 0x3f });
    self.say("p1", { state: 0x3f });
    expect(carrying(self)).toEqual(["p2"]);
  });

  it("L40 · min-links: down below, up again at it; LACPDUs go on with Sync 0", () => {
    const self = new Solo(bundle(3, { "min-links": 2 }));
    self.agree(...names(3));
    self.link("p1", false);
    expect([self.bundle().up, carrying(self).length]).toEqual([true, 2]);
    self.link("p2", false);
    expect([self.bundle().up, carrying(self).length]).toEqual([false, 0]);
    const from = self.now;
    self.chat(["p3"], from + 5 * S, S, { state: 0x0f });
    expect(self.pdus("p3", from).length).toBeGreaterThan(3);
    expect(self.pdus("p3", from + S).every(({ pdu }) => (pdu.actor.state & 0x38) === 0)).toBe(true);
    expect(self.reason("p3")).toBe("min-links");
    self.link("p2");
    self.chat(["p2", "p3"], self.now + 3 * S);
    expect([self.bundle().up, carrying(self)]).toEqual([true, ["p2", "p3"]]);
    expect(joins(self).at(-1)).toMatchObject({ up: true, members: 2, reason: "member-joined" });
  });

  it("L41 · what is chosen does not depend on the order in which one instant's LACPDUs came", () => {
    const said = [
      { port: "p1", system: PEER },
      { port: "p2", system: OTHER },
      { port: "p3", system: OTHER },
      { port: "p4", system: PEER },
      { port: "p5", system: PEER, key: 3 },
    ];
    const outcome = (order: typeof said) => {
      const self = new Solo(bundle(5));
      self.links(...names(5));
      for (let round = 0; round < 4; round++) {
        for (const { port, ...more } of order) self.say(port, { state: 0x3f, ...more });
        self.run(self.now + S);
      }
      return carrying(self);
    };
    const first = outcome(said);
    expect(first).toEqual(["p1", "p4"]);
    fc.assert(
      fc.property(fc.shuffledSubarray(said, { minLength: 5 }), (order) => {
        expect(outcome(order)).toEqual(first);
      }),
      { numRuns: 40 },
    );
  });
});

describe("what M-LAG says", () => {
  const system = (more: object = {}) => ({
    type: "mlag.system",
    bundle: "agg1",
    system: OTHER,
    priority: 7,
    portOffset: 0x8000,
    ...more,
  });

  it("mlag.system: LACPDUs carry its system, priority and port numbers from then on, and links attach afresh", () => {
    const self = new Solo(bundle(2));
    self.agree("p1", "p2");
    self.hear(system());
    expect(self.pdus("p2").at(-1)).toMatchObject({
      at: self.now,
      pdu: { actor: { system: OTHER, systemPriority: 7, port: 0x8002 } },
    });
    expect(carrying(self)).toEqual([]);
    self.chat(["p1", "p2"], self.now + 3 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
    const before = self.events.length;
    self.hear(system());
    expect(self.events.length).toBe(before);
  });

  it("a partner with the domain's own system is a loop, not a partner", () => {
    const self = new Solo(bundle(1));
    self.hear(system({ system: PEER, priority: 65_535 }));
    self.link("p1");
    self.say("p1");
    expect(self.reason("p1")).toBe("loopback");
    expect(SELF).not.toBe(PEER);
  });

  it.each([
    ["mlag.hold", { hold: true }, { hold: false }, "hold"],
    ["mlag.suspend", { suspended: true }, { suspended: false }, "suspended"],
  ])("%s: Sync 0 while it stands, LACPDUs go on, and the partner is still told of", (type, on, off, reason) => {
    const self = new Solo(bundle(1));
    self.hear({ type, bundle: "agg1", reason: "split", ...on });
    self.link("p1");
    self.chat(["p1"], 5 * S);
    expect(carrying(self)).toEqual([]);
    expect(self.events.findLast((event) => event.type === "lacp.port")).toMatchObject({ reason, cause: "split" });
    expect(self.events.filter((event) => event.type === "lacp.partner")).toMatchObject([
      { bundle: "agg1", system: PEER, priority: 65_535, key: 15 },
    ]);
    expect(self.pdus("p1", 2 * S).length).toBeGreaterThan(2);
    expect(self.pdus("p1").every(({ pdu }) => (pdu.actor.state & 8) === 0)).toBe(true);
    self.hear({ type, bundle: "agg1", reason: "split", ...off });
    self.say("p1");
    expect(carrying(self)).toEqual(["p1"]);
  });
});
