/** Our own systems with each other, in virtual time. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import type { LacpEvent } from "../../../protocols/lacp/events.ts";
import type { LacpState } from "../../../protocols/lacp/state.ts";
import { LabRun } from "../../../src/host/sim/lab-run.ts";
import { compileLab } from "../../../src/host/sim/topology.ts";

type Said = LacpEvent & { readonly at: number; readonly node: string };

function run(text: string) {
  const compiled = compileLab(text, "lab.yaml", protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const one = new LabRun(compiled.lab, protocols);
  const said: Said[] = [];
  one.log.follow({
    everything: false,
    read: ({ at, node, what }) => {
      if (what.kind === "event" && what.event.type.startsWith("lacp."))
        said.push({ ...(what.event as LacpEvent), at, node });
    },
  });
  one.start();
  one.run();
  const bundle = (node: string) => said.findLast((event) => event.type === "lacp.bundle" && event.node === node);
  return { world: one.world, result: one.finish(), said, bundle };
}

const LINKS = ["a", "b", "c"] as const;
const pair = (more: {
  readonly one?: string;
  readonly two?: string;
  readonly script?: readonly string[];
  readonly end?: string;
}) => `
name: pair
nodes:
  sw1: { bridge: { ports: [h, agg1] }, lacp: [{ name: agg1, members: [a, b, c], ${more.one ?? "rate: fast"} }] }
  sw2: { bridge: { ports: [h, agg1] }, lacp: [{ name: agg1, members: [a, b, c], ${more.two ?? "rate: fast"} }] }
  h1: { interfaces: { eth0: { addresses: [10.0.0.1/24] } } }
  h2: { interfaces: { eth0: { addresses: [10.0.0.2/24] } } }
links:
${LINKS.map((id, i) => `  - { id: ${id}, ends: [sw1:${id}, sw2:${id}], delay: ${[5, 300, 20][i]}us, rate: 1Gbps }`).join("\n")}
  - { id: h1, ends: [h1:eth0, sw1:h], delay: 5us }
  - { id: h2, ends: [h2:eth0, sw2:h], delay: 5us }
traffic:
  - { id: there, from: h1, to: 10.0.0.2, rate: 2kpps, size: 100, start: 1s }
  - { id: back, from: h2, to: 10.0.0.1, rate: 2kpps, size: 100, start: 1s }
script:
${(more.script ?? []).map((line) => `  - ${line}`).join("\n")}
  - { at: ${more.end ?? "20s"}, heal: h1 }
`;

describe("two systems", () => {
  it("agree within 10 ms of power-on, all links at once, and lose nothing afterwards", () => {
    const { said, result, bundle } = run(pair({}));
    for (const node of ["sw1", "sw2"]) {
      expect(bundle(node)).toMatchObject({ up: true, members: 3 });
      expect(bundle(node)?.at).toBeLessThan(10_000);
    }
    expect(said.filter(({ type }) => type === "lacp.churn")).toEqual([]);
    expect(result.flows.map(({ lost, reordered, duplicated }) => [lost, reordered, duplicated])).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(result.ok).toBe(true);
  });

  it.each([
    ["fast", "fast", 21, 21],
    ["slow", "slow", 1, 1],
    ["fast", "slow", 1, 21],
    ["slow", "fast", 21, 1],
  ])("L27 · rates %s and %s: each speaks as often as the other asked", (one, two, first, second) => {
    const text = pair({ one: `rate: ${one}`, two: `rate: ${two}`, end: "16s" }).replace(
      /traffic:[\s\S]*script:/,
      "script:",
    );
    const { world } = run(text);
    // Up to three to agree, then one a second for 21 s, or none before 30 s are over.
    const spoken = (node: string) =>
      (world.node(node)?.machine("lacp")?.state as LacpState | undefined)?.ports[0]?.counters.transmitted ?? 0;
    for (const [node, period] of [
      ["sw1", first],
      ["sw2", second],
    ] as const) {
      expect(spoken(node)).toBeGreaterThanOrEqual(period + 1);
      expect(spoken(node)).toBeLessThanOrEqual(period + 4);
    }
  });

  it("active and passive agree; passive and passive never do, and nothing leaks through", () => {
    expect(run(pair({ one: "mode: active", two: "mode: passive" })).bundle("sw2")).toMatchObject({ members: 3 });
    const { said, result, world } = run(pair({ one: "mode: passive", two: "mode: passive" }));
    expect(said.filter(({ type }) => type === "lacp.bundle")).toEqual([]);
    expect(result.flows.map(({ received }) => received)).toEqual([0, 0]);
    for (const link of LINKS)
      expect([link, world.end("sw1", link)?.sent, world.end("sw2", link)?.sent]).toEqual([link, 0, 0]);
  });

  it("coupled and independent ends agree, whichever is which", () => {
    for (const [one, two] of [
      ["control: coupled", "control: independent"],
      ["control: coupled", "control: coupled"],
    ] as const) {
      const { result, bundle } = run(pair({ one, two }));
      expect([bundle("sw1"), bundle("sw2")]).toMatchObject([{ members: 3 }, { members: 3 }]);
      expect(result.flows.every(({ lost }) => lost === 0)).toBe(true);
    }
  });

  it.each([
    ["fast", 3, 12],
    ["slow", 90, 130],
  ])("L15 L74 · rate %s: a partner that stands still is out %d s after its last LACPDU", (rate, seconds, end) => {
    const script = ["{ at: 5s, pause: sw2 }"];
    const { said } = run(pair({ one: `rate: ${rate}`, two: `rate: ${rate}`, script, end: `${end}s` }));
    const down = said.find((event) => event.type === "lacp.bundle" && event.node === "sw1" && !event.up);
    const least = (rate === "fast" ? 4 : 0) + seconds;
    expect((down?.at ?? 0) / 1e6).toBeGreaterThanOrEqual(least);
    expect((down?.at ?? 0) / 1e6).toBeLessThanOrEqual(least + 1.1);
  });

  it("a fibre that is broken one way: neither end sends by the link, and the flows go on", () => {
    const { said, result } = run(pair({ script: ["{ at: 5s, cut: b, side: sw1:b }"] }));
    const out = (node: string) =>
      said.find(
        (event) =>
          event.type === "lacp.port" &&
          event.node === node &&
          event.port === "b" &&
          event.at > 5e6 &&
          event.mux !== "distributing",
      );
    expect((out("sw2")?.at ?? 0) / 1e6).toBeLessThanOrEqual(8.1);
    expect((out("sw1")?.at ?? 0) / 1e6).toBeLessThanOrEqual(8.2);
    expect(result.violations).toEqual([]);
    expect(result.flows[0]?.longestGap).toBeLessThan(3.2);
  });

  it("L71 · a drain and its return lose no frame where another way carries: standby and priority", () => {
    const script = [
      "{ at: 5s, command: { node: sw1, lacp: { verb: priority, port: c, priority: 1 } } }",
      "{ at: 8s, command: { node: sw1, lacp: { verb: priority, port: c, priority: 60000 } } }",
    ];
    const { result, bundle } = run(
      pair({ one: "rate: fast, system-priority: 1, max-links: 2", two: "rate: fast, max-links: 2", script }),
    );
    expect(bundle("sw2")).toMatchObject({ members: 2 });
    expect(result.flows.map(({ lost, reordered }) => [lost, reordered])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  it("L62 · over random cuts, silences and healings: nothing twice, nothing overtaken, and in the end all is whole", () => {
    const step = fc.record({
      at: fc.integer({ min: 2_000, max: 9_000 }),
      link: fc.constantFrom(...LINKS),
      what: fc.constantFrom("cut", "heal", "filter", "clear", "mute"),
    });
    const lineOf = ({ at, link, what }: { at: number; link: string; what: string }) => {
      if (what === "filter") return `{ at: ${at}ms, filter: { link: ${link}, drop: { ethertype: 0x8809 } } }`;
      if (what === "clear") return `{ at: ${at}ms, filter: { link: ${link}, drop: nothing } }`;
      if (what === "mute") return `{ at: ${at}ms, cut: ${link}, side: sw2:${link} }`;
      return `{ at: ${at}ms, ${what}: ${link} }`;
    };
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 10 }), (steps) => {
        const healed = LINKS.flatMap((link) => [
          `{ at: 10s, filter: { link: ${link}, drop: nothing } }`,
          `{ at: 10s, heal: ${link} }`,
        ]);
        const { result, bundle } = run(pair({ script: [...steps.map(lineOf), ...healed], end: "14s" }));
        for (const { duplicated, reordered } of result.flows) expect([duplicated, reordered]).toEqual([0, 0]);
        expect([bundle("sw1"), bundle("sw2")]).toMatchObject([
          { up: true, members: 3 },
          { up: true, members: 3 },
        ]);
        expect(result.violations).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

it("L67 · one host and two switches that say one system: one bundle of two links, and traffic by both", () => {
  const shared = "rate: fast, system: '02:00:00:00:0a:0a', system-priority: 100, key: 5";
  const { bundle, said } = run(`
name: host
nodes:
  sw1: { lacp: [{ name: agg1, members: [p1], ${shared} }] }
  sw2: { lacp: [{ name: agg1, members: [p1], ${shared} }] }
  host: { lacp: [{ name: bond0, members: [e1, e2], rate: fast }] }
links:
  - { id: one, ends: [sw1:p1, host:e1], delay: 5us }
  - { id: two, ends: [sw2:p1, host:e2], delay: 5us }
script:
  - { at: 2s, power-off: sw1 }
  - { at: 5s, power-on: sw1 }
`);
  expect(bundle("host")).toMatchObject({ up: true, members: 2 });
  const counts = said.flatMap((event) =>
    event.type === "lacp.bundle" && event.node === "host" ? [event.members] : [],
  );
  // Its two links come up in one instant, one after the other.
  expect(counts).toEqual([1, 2, 1, 2]);
});

it("L58 · of the lab without fallback not one packet arrives", () => {
  const text = readFileSync(new URL("../../../topologies/lacp-fallback.yaml", import.meta.url), "utf8");
  const { result } = run(text);
  expect(result.flows.find(({ id }) => id === "to-bare")).toMatchObject({ sent: 2_200, received: 0 });
  expect(result.flows.find(({ id }) => id === "to-pxe")).toMatchObject({ duplicated: 0, lost: 0 });
});

describe("L42: a link of another speed", () => {
  const rates = (more: string) =>
    pair({ one: more, two: more }).replace(
      "id: c, ends: [sw1:c, sw2:c], delay: 20us, rate: 1Gbps",
      "id: c, ends: [sw1:c, sw2:c], delay: 20us, rate: 100Mbps",
    );

  it("IEEE 802.1AX §6.3.5: stays out of a bundle of faster ones, and says so", () => {
    const { said, result, bundle } = run(rates("rate: fast"));
    expect(bundle("sw1")).toMatchObject({ up: true, members: 2 });
    const slow = said.findLast((event) => event.type === "lacp.port" && event.node === "sw1" && event.port === "c");
    expect(slow).toMatchObject({ selected: "unselected", mux: "detached", reason: "other-speed" });
    expect(result.flows.map(({ lost }) => lost)).toEqual([0, 0]);
  });

  it("is one of them where the file says so", () => {
    const { bundle } = run(rates("rate: fast, mixed-speeds: true"));
    expect(bundle("sw1")).toMatchObject({ up: true, members: 3 });
  });
});
