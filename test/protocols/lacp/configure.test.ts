/** Another file while the bundles run. Times in microseconds. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { STATE } from "../../../protocols/lacp/codec.ts";
import { changes } from "../../../protocols/lacp/configure.ts";
import type { Bundle, LacpPort } from "../../../protocols/lacp/state.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { configOf, OTHER, Solo } from "../../support/lacp.ts";

const S = 1_000_000;
const ONE = { name: "agg1", members: ["p1", "p2"], rate: "fast", key: 1 };
const TWO = { name: "agg2", members: ["p3"], rate: "fast", key: 2 };
const carrying = (self: Solo, name = "agg1") => self.bundle(name).distribution.links.map(({ port }) => port.name);
const clear = (state: number) => state & (STATE.synchronization | STATE.collecting | STATE.distributing);

/** A node whose links are all in agreement with their partners. */
function agreed(...bundles: readonly { readonly members: readonly string[] }[]): Solo {
  const self = new Solo(...bundles);
  self.agree(...bundles.flatMap(({ members }) => members));
  return self;
}

describe("a bundle that a reload does not change", () => {
  const reloads: readonly [string, readonly object[]][] = [
    ["the same file", [ONE, TWO]],
    ["the other order", [TWO, ONE]],
    ["another one leaves", [ONE]],
    ["another one comes", [ONE, TWO, { name: "agg3", members: ["p5"], key: 3 }]],
    ["another one changes its rate", [ONE, { ...TWO, rate: "slow" }]],
    ["another one changes its key", [ONE, { ...TWO, key: 9 }]],
    ["another one has another link", [ONE, { ...TWO, members: ["p6"] }]],
  ];

  it.each(reloads)("sends the same octets at the same times, and carries: %s", (_, bundles) => {
    const sent = [agreed(ONE, TWO), agreed(ONE, TWO)].map((self, reloaded) => {
      const from = self.now;
      self.say("p1", { state: 0x3f });
      self.run(from + 400_000);
      if (reloaded === 1) self.configure(...bundles);
      self.chat(["p1", "p2"], from + 5 * S);
      expect(carrying(self)).toEqual(["p1", "p2"]);
      return self.frames.filter(({ at, port }) => at >= from && (port === "p1" || port === "p2"));
    });
    const words = sent.map((frames) => frames.map(({ at, port, pdu }) => `${at} ${port} ${toHex(pdu)}`));
    expect(words[0]?.length).toBeGreaterThan(8);
    expect(words[1]).toEqual(words[0]);
  });
});

describe("a bundle that comes", () => {
  it("owns its port, speaks as soon as its links have carrier, and agrees", () => {
    const self = agreed(ONE);
    self.configure(ONE, TWO);
    expect(self.states("p3")).toBe("port-disabled detached");
    self.agree("p3");
    expect(carrying(self, "agg2")).toEqual(["p3"]);
    expect(self.node.isUp(self.node.port("agg2"))).toBe(true);
    expect(self.port("p3").number).toBe(3);
  });

  it("has the numbers that are free: no two links of the node have one", () => {
    const self = agreed(ONE, TWO);
    self.configure(TWO);
    self.configure({ ...ONE, members: ["p7", "p8"] }, TWO);
    expect(self.state.ports.map(({ port, number }) => `${port.name} ${number}`).sort()).toEqual([
      "p3 3",
      "p7 1",
      "p8 2",
    ]);
  });
});

describe("a bundle that leaves, or a link of it", () => {
  it("tells the partner with SYNC, COLLECTING and DISTRIBUTING cleared, then nothing more", () => {
    const self = agreed(ONE, TWO);
    const from = self.now;
    self.configure(TWO);
    self.chat(["p3"], from + 40 * S);
    for (const name of ["p1", "p2"]) {
      const said = self.frames.filter(({ at, port }) => at >= from && port === name);
      expect(said).toHaveLength(1);
      expect(self.pdus(name, from).map(({ pdu }) => clear(pdu.actor.state))).toEqual([0]);
      expect(self.events.findLast((event) => event.type === "lacp.port" && event.port === name)).toMatchObject({
        reason: "removed",
        mux: "detached",
      });
    }
    expect(self.events.findLast((event) => event.type === "lacp.bundle" && event.bundle === "agg1")).toMatchObject({
      up: false,
      members: 0,
    });
    expect(self.node.isUp(self.node.port("agg1"))).toBe(false);
    expect(self.state.ports.map(({ port }) => port.name)).toEqual(["p3"]);
  });

  it("says so although it has said three things in this second already", () => {
    const self = agreed(ONE);
    for (let i = 0; i < 3; i++) self.command({ verb: "rate", rate: i % 2 === 0 ? "slow" : "fast" });
    const from = self.now;
    self.configure({ ...ONE, members: ["p2"] });
    expect(
      self
        .pdus("p1", from)
        .map(({ pdu }) => clear(pdu.actor.state))
        .at(-1),
    ).toBe(0);
    // The other one carries on, without a marker to wait for.
    expect(carrying(self)).toEqual(["p2"]);
    expect(self.bundle().distribution.waiting).toBe(0);
  });

  it("can come back as if it had never been", () => {
    const self = agreed(ONE);
    self.configure();
    self.run(self.now + 10 * S);
    self.configure(ONE);
    self.agree("p1", "p2");
    expect(carrying(self)).toEqual(["p1", "p2"]);
  });

  it("moves to another bundle: the partner hears of that one next, and the link has carrier there", () => {
    const self = agreed(ONE, TWO);
    const from = self.now;
    self.configure({ ...ONE, members: ["p1"] }, { ...TWO, members: ["p3", "p2"] });
    self.run(from + S);
    const [first, ...others] = self.pdus("p2", from);
    expect(first?.pdu.actor).toMatchObject({ key: 2 });
    expect(others.every(({ pdu }) => pdu.actor.key === 2)).toBe(true);
    self.chat(["p1", "p3", "p2"], from + 5 * S);
    expect([carrying(self), carrying(self, "agg2")]).toEqual([["p1"], ["p3", "p2"]]);
  });
});

describe("what a bundle takes as it is", () => {
  it("rate: says it at once, and goes on carrying", () => {
    const self = agreed(ONE);
    const from = self.now;
    self.configure({ ...ONE, rate: "slow" });
    expect(carrying(self)).toEqual(["p1", "p2"]);
    expect(self.pdus("p1", from).map(({ at, pdu }) => [at, pdu.actor.state])).toEqual([[from, 0x3d]]);
    self.say("p1", { state: 0x3f });
    self.run(from + 80 * S);
    expect(self.states("p1")).toBe("current distributing");
  });

  it("min-links: withholds agreement, and gives it again", () => {
    const self = agreed(ONE);
    self.link("p2", false);
    self.configure({ ...ONE, "min-links": 2 });
    expect([carrying(self), self.reason("p1"), self.bundle().up]).toEqual([[], "min-links", false]);
    self.configure(ONE);
    self.chat(["p1"], self.now + 5 * S);
    expect([carrying(self), self.bundle().up]).toEqual([["p1"], true]);
  });

  it("the priority of one link: that link agrees anew, the other one carries meanwhile", () => {
    const self = agreed(ONE);
    self.configure({ ...ONE, members: ["p1", { port: "p2", priority: 7 }] });
    expect(carrying(self)).toEqual(["p1"]);
    expect(self.pdus("p2").at(-1)?.pdu.actor).toMatchObject({ portPriority: 7 });
    self.chat(["p1", "p2"], self.now + 5 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
    expect(self.port("p1").priority).toBe(32_768);
  });

  it.each([
    ["independent", "coupled", "collecting-distributing"],
    ["coupled", "independent", "distributing"],
  ])("control: from %s to %s without a bit that changes", (control, other, mux) => {
    const self = agreed({ ...ONE, control } as never);
    const { state } = self.port("p1");
    self.configure({ ...ONE, control: other });
    self.say("p1", { state: 0x3f });
    expect([self.port("p1").mux, self.port("p1").state, carrying(self)]).toEqual([mux, state, ["p1", "p2"]]);
    self.say("p1", { state: 0x07 });
    expect(self.port("p1").mux).toBe("attached");
  });

  it("mode: says that it speaks only when it is spoken to", () => {
    const self = agreed(ONE);
    self.configure({ ...ONE, mode: "passive" });
    expect(self.pdus("p1").at(-1)?.pdu.actor.state).toBe(0x3e);
    expect(carrying(self)).toEqual(["p1", "p2"]);
  });

  it.each([
    ["key", { key: 77 }, { key: 77 }],
    ["system", { system: OTHER }, { system: OTHER }],
    ["system-priority", { "system-priority": 5 }, { systemPriority: 5 }],
  ])("%s: is negotiated anew, and the bundle stays up for a second meanwhile", (_, more, actor) => {
    const self = agreed(ONE);
    self.configure({ ...ONE, ...more });
    expect(self.pdus("p1").at(-1)?.pdu.actor).toMatchObject(actor);
    expect([carrying(self), self.bundle().up]).toEqual([[], true]);
    self.say("p1", { state: 0x0f, of: { state: 0x07 } });
    self.say("p2", { state: 0x0f, of: { state: 0x07 } });
    self.chat(["p1", "p2"], self.now + 3 * S, 100_000);
    expect([carrying(self), self.bundle().up]).toEqual([["p1", "p2"], true]);
    expect(self.events.filter((event) => event.type === "lacp.bundle" && !event.up)).toEqual([]);
  });

  it("keeps what an operator has ordered, and M-LAG's names, unless the file changes just that", () => {
    const self = agreed(ONE);
    self.command({ verb: "rate", rate: "slow" });
    self.command({ verb: "key", bundle: "agg1", key: 40 });
    self.hear({ type: "mlag.system", bundle: "agg1", system: OTHER, priority: 9, portOffset: 100 });
    self.configure({ ...ONE, "min-links": 2, system: "02:00:00:00:00:dd" });
    expect(self.bundle()).toMatchObject({ fast: false, key: 40, system: OTHER, systemPriority: 9, portOffset: 100 });
    self.configure({ ...ONE, key: 41 });
    expect(self.bundle()).toMatchObject({ fast: false, key: 41, system: OTHER });
  });

  it("the time without a partner counts from a reload that changes it", () => {
    const self = new Solo({ ...ONE, fallback: { mode: "static", timeout: "60s" } });
    self.links("p1", "p2");
    self.run(30 * S);
    self.configure({ ...ONE, fallback: { mode: "static", timeout: "10s" } });
    self.run(40 * S - 1);
    expect(carrying(self)).toEqual([]);
    self.run(40 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
  });
});

describe("any sequence of files", () => {
  /** Whatever does not depend on the way there: numbers are the links' own, times are past. */
  const portOf = ({ port, priority, up, receive, mux, selected, state, partner, periodic, silent }: LacpPort) => ({
    ...{ port: port.name, priority, up, receive, mux, selected, state, periodic, silent },
    partner: { ...partner, port: 0 },
  });
  const bundleOf = ({
    config,
    key,
    fast,
    system,
    systemPriority,
    enabled,
    up,
    said,
    members,
    distribution,
  }: Bundle) => ({
    ...{ config, key, fast, system, systemPriority, enabled, up, said },
    members: members.map(portOf),
    links: distribution.links.map(({ port }) => port.name),
  });
  const NAMES = ["p1", "p2", "p3", "p4", "p5"];
  /** Of equal links the number would decide which one stands by; and of links that do not aggregate, who came first. */
  const bundle = (name: string) =>
    fc
      .record({
        rate: fc.constantFrom("fast", "slow"),
        mode: fc.constantFrom("active", "passive"),
        control: fc.constantFrom("coupled", "independent"),
        key: fc.option(fc.integer({ min: 10, max: 12 }), { nil: undefined }),
        "system-priority": fc.constantFrom(1, 32_768),
        system: fc.constantFrom(undefined, OTHER),
        "min-links": fc.constantFrom(1, 2),
        "max-links": fc.constantFrom(1, 64),
        "aggregate-wait": fc.constantFrom("0s", "2s"),
        "wait-to-restore": fc.constantFrom("0s", "1s"),
        fallback: fc.constantFrom("none", "static", "individual"),
        first: fc.constantFrom(1, 100),
      })
      .map(({ first, key, system, ...rest }) => ({
        ...rest,
        name,
        first,
        ...(key === undefined ? {} : { key: key + (name === "agg1" ? 0 : 100) }),
        ...(system === undefined ? {} : { system }),
      }));
  const file = fc
    .record({
      owners: fc.array(fc.constantFrom("agg1", "agg2", "-"), { minLength: NAMES.length, maxLength: NAMES.length }),
      one: bundle("agg1"),
      two: bundle("agg2"),
      turned: fc.boolean(),
    })
    .map(({ owners, one, two, turned }) => {
      const made = [one, two].flatMap(({ first, ...own }) => {
        const ports = NAMES.filter((_, i) => owners[i] === own.name);
        const members = ports.map((port) => ({ port, priority: Math.abs(first - NAMES.indexOf(port) - 1) }));
        return members.length === 0 ? [] : [{ ...own, members: turned ? members.toReversed() : members }];
      });
      return turned ? made.toReversed() : made;
    });

  const settle = (self: Solo) => {
    const names = self.state.ports.map(({ port }) => port.name).sort();
    self.links(...names);
    self.chat(names, self.now + 8 * S);
    return self.state.bundles.map(bundleOf);
  };

  it("ends where the last one alone would have led", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(file, fc.constantFrom(0, 1, 3 * S), fc.boolean()), { minLength: 2, maxLength: 6 }),
        (steps) => {
          const [[first] = [[]], ...others] = steps;
          const self = new Solo(...first);
          for (const [next, wait, talk] of others) {
            const names = self.state.ports.map(({ port }) => port.name);
            self.links(...names);
            if (talk) self.chat(names, self.now + wait);
            else self.run(self.now + wait);
            self.configure(...next);
          }
          const last = others.at(-1)?.[0] ?? [];
          expect(settle(self)).toEqual(settle(new Solo(...last)));
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("in words", () => {
  it("a line for each bundle that comes, goes or changes, as a file has it", () => {
    const from = configOf({ ...ONE, "wait-to-restore": "1s" }, TWO);
    expect(changes(from, from)).toEqual([]);
    expect(
      changes(from, configOf({ ...ONE, rate: "slow", "wait-to-restore": "3s" }, { ...TWO, name: "agg3" })),
    ).toEqual(["agg2: leaves", "agg1: rate fast → slow, wait-to-restore 1s → 3s", "agg3: starts (p3)"]);
    expect(changes(from, configOf({ ...ONE, members: ["p1", "p4"], "wait-to-restore": "1s", key: 8 }, TWO))).toEqual([
      "agg1: members p1 p2 → p1 p4, key 1 → 8; its links are negotiated anew",
    ]);
    const members = ["p1", { port: "p2", priority: 3 }];
    expect(changes(from, configOf({ ...ONE, members, "wait-to-restore": "1s" }, TWO))).toEqual([
      "agg1: members p1 (priority 32768) p2 (priority 32768) → p1 (priority 32768) p2 (priority 3)",
    ]);
  });
});
