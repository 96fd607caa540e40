/** What traffic is promised: broken by logs and labs that break it, silent where all is well. */
import { describe, expect, it } from "vitest";
import { convergence, invariants, noBlackholeFor } from "../../../protocols/flow/invariants.ts";
import { interfacesSchema } from "../../../protocols/ip/config.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import { schema as vrrpSchema } from "../../../protocols/vrrp/config.ts";
import type { Ip } from "../../../src/core/addr.ts";
import { instant, sec } from "../../../src/core/time.ts";
import type { Flow, NodeConfig } from "../../../src/node/protocol.ts";
import { breaches, done, named, said } from "../../support/entries.ts";
import { problemsOf, runLab } from "../../support/lab.ts";
import { configOf } from "../../support/lacp.ts";
import { given } from "../../support/vrrp.ts";

const WEB: Flow = { id: "web", from: "a", to: "10.0.0.2" as Ip, rate: 1000, size: 128, start: instant(0) };
const NODES: readonly NodeConfig[] = ["a", "b"].map((node) => ({ node, interfaces: interfacesSchema.parse({}) }));
const ALL = invariants(NODES, [WEB]);

const stalled = (at: number, flow = "web") => said(at, "a", { type: "flow.stalled", flow, since: at - 0.5 });
const flowing = (at: number, flow = "web") => said(at, "b", { type: "flow.flowing", flow });
const again = (at: number, echo = false) =>
  said(at, "b", { type: "flow.duplicate", flow: "web", number: 7, sent: at - 1, count: 2, echo });

describe("no-blackhole-after-settle", () => {
  const promise = named(ALL, "no-blackhole-after-settle");

  it("is broken by a flow that is stalled in a whole network, from the end of the settling", () => {
    expect(breaches(promise, 30, stalled(10), flowing(12))).toEqual([
      "10..12: flow web: nothing arrives of what a has sent since 9.500000 s",
    ]);
    expect(breaches(promise, 30, stalled(1))).toEqual([
      "5..30: flow web: nothing arrives of what a has sent since 0.500000 s",
    ]);
  });

  it("is not asked for while something is cut, off or stopped, and is again when that is over", () => {
    const cut = done(8, { verb: "cut", link: "l" });
    const heal = done(20, { verb: "heal", link: "l" });
    expect(breaches(promise, 30, cut, stalled(10))).toEqual([]);
    expect(breaches(promise, 30, cut, stalled(10), heal, flowing(24))).toEqual([]);
    expect(breaches(promise, 30, cut, stalled(10), heal, flowing(26))).toEqual([
      "25..26: flow web: nothing arrives of what a has sent since 9.500000 s",
    ]);
  });

  it("forgets a flow that is over, and one whose sender has no power", () => {
    expect(breaches(promise, 30, stalled(4), said(5, "a", { type: "flow.ended", flow: "web" }))).toEqual([]);
    const off = done(4, { verb: "power-off", node: "a" });
    const on = done(5, { verb: "power-on", node: "a" });
    expect(breaches(promise, 30, stalled(3), off, on)).toEqual([]);
  });

  it("is about the flows that are to arrive, and there is none without one", () => {
    expect(breaches(promise, 30, stalled(10, "kept-out"))).toEqual([]);
    expect(invariants(NODES, [])).toEqual([]);
  });

  it("waits for elections, bundles and restore delays of the lab's nodes", () => {
    expect(convergence(NODES)).toBe(sec(5));
    // Four intervals of the election.
    expect(convergence([...NODES, { node: "r", vrrp: vrrpSchema.parse([given()]) }])).toBe(sec(9));
    const fast = configOf({ name: "agg1", members: ["p1"], rate: "fast" });
    expect(convergence([...NODES, { node: "s", lacp: fast }])).toBe(sec(5 + 1 + 2));
    const fallback = configOf({ name: "agg1", members: ["p1"], fallback: "static", "aggregate-wait": "0s" });
    expect(convergence([...NODES, { node: "s", lacp: fallback }])).toBe(sec(5 + 30 + 6 + 90));
    expect(convergence([...NODES, half("sw1", 1, 2), half("sw2", 2, 1)])).toBe(sec(5 + 30));
    expect(convergence([...NODES, half("sw1", 1, 2)])).toBe(sec(5 + 240));
  });
});

function half(node: string, own: number, peer: number): NodeConfig {
  const keepalive = { port: "ka", address: `10.99.0.${own}/30`, peer: `10.99.0.${peer}` };
  return { node, mlag: mlagSchema.parse({ domain: 1, "peer-link": "peer", keepalive }) };
}

it("always: no-blackhole is asked for whatever stands, of one flow or of all", () => {
  const cut = done(8, { verb: "cut", link: "l" });
  expect(breaches(noBlackholeFor("web", NODES), 30, cut, stalled(14), flowing(15))).toHaveLength(1);
  expect(breaches(noBlackholeFor("other", NODES), 30, cut, stalled(14), flowing(15))).toEqual([]);
  expect(breaches(noBlackholeFor(undefined, NODES), 30, cut, stalled(14), flowing(15))).toHaveLength(1);
});

describe("no-duplicate", () => {
  const promise = named(ALL, "no-duplicate");

  it("is broken by a packet that comes again once the network has settled", () => {
    expect(breaches(promise, 30, again(0.9))).toEqual([]);
    expect(breaches(promise, 30, again(1))).toEqual([
      "1..1: flow web: datagram 7, sent at 0.000000 s, came to b again (2 so far)",
    ]);
  });

  it("holds during a fault, too, but for replies: a partition may have two masters, and both answer", () => {
    const cut = done(3, { verb: "cut", link: "l" });
    expect(breaches(promise, 30, cut, again(5))).toHaveLength(1);
    expect(breaches(promise, 30, cut, again(5, true))).toEqual([]);
    expect(breaches(promise, 30, again(5, true))).toEqual([
      "5..5: flow web: the reply to echo request 7, sent at 4.000000 s, came to b again (2 so far)",
    ]);
  });
});

const NETWORK = `
nodes:
  a: { interfaces: { eth0: { addresses: [10.0.0.1/24], gateway: GATEWAY } } }
  b: { interfaces: { left: { addresses: [10.0.0.2/24] }, right: { addresses: [10.1.0.2/24] } } }
  c: { interfaces: { eth0: { addresses: [10.1.0.3/24], gateway: 10.1.0.2 } } }
links:
  - { id: l, ends: [a:eth0, b:left], delay: 1ms }
  - { id: r, ends: [b:right, c:eth0], delay: 1ms }
traffic:
  - { id: web, from: a, to: 10.1.0.3, rate: 100pps, size: 128, start: 1s, stop: 20s }
`;
const lab = (gateway: string, more: string) => NETWORK.replace("GATEWAY", gateway) + more;

describe("in a lab", () => {
  it("a host whose gateway does not exist breaks no-blackhole-after-settle from the end of the settling", () => {
    const { result } = runLab(lab("10.0.0.9", "script: [{ at: 15s, delay: { link: l, delay: 2ms } }]"));
    expect(result.ok).toBe(false);
    expect(result.violations.map(({ name, from, to }) => [name, from / 1e6, to / 1e6])).toEqual([
      ["no-blackhole-after-settle", 5, 15],
    ]);
    expect(result.watched).toContain("no-duplicate");
  });

  it("unless the lab says that nothing is to arrive", () => {
    const expected = "expect: [{ flow: web, received-at-most: 0 }]";
    const { result } = runLab(lab("10.0.0.9", expected));
    expect([result.ok, result.watched]).toEqual([true, []]);
    const arrives = runLab(lab("10.0.0.2", expected)).result;
    expect(arrives.verdicts[0]?.detail).toMatch(/^1900 received, at most 0 allowed/);
  });

  it("a cut is said when it stalls the flow, and by whom the flow goes on; its sender forgets at its own start", () => {
    const script =
      "script: [{ at: 8s, cut: r }, { at: 10s, heal: r }, { at: 12s, power-off: a }, { at: 14s, power-on: a }]";
    const { result, log } = runLab(lab("10.0.0.2", script));
    expect(result.ok).toBe(true);
    const facts = log.flatMap(({ at, node, what }) =>
      what.kind === "event" && what.event.type.startsWith("flow.") ? [[at / 1e6, node, what.event.type]] : [],
    );
    expect(facts).toEqual([
      [8.5, "a", "flow.stalled"],
      // Two milliseconds after the heal, and as many for the question that comes first.
      [10.004, "c", "flow.flowing"],
    ]);
  });

  it("always: no-blackhole fails a lab whose flow is stalled for longer than it says, with the time", () => {
    const script = "script: [{ at: 8s, cut: r }, { at: 14s, heal: r }]\n";
    const always = (settle: string) => `expect: [{ always: no-blackhole, flow: web, settle: ${settle} }]`;
    const [short] = runLab(lab("10.0.0.2", script + always("4s"))).result.verdicts;
    expect([short?.ok, short?.at, short?.detail]).toEqual([
      false,
      12_000_000,
      "flow web: nothing arrives of what a has sent since 8.000000 s from 12 s to 14 s",
    ]);
    expect(runLab(lab("10.0.0.2", script + always("7s"))).result.ok).toBe(true);
  });

  it("always: no-blackhole names a flow that there is, and nothing else is said of flows but limits", () => {
    expect(problemsOf(lab("10.0.0.2", "expect: [{ always: no-blackhole, flow: wbe }]"))).toEqual([
      'found "wbe", allowed: a flow of this lab: web (did you mean "web"?)',
    ]);
    expect(problemsOf(lab("10.0.0.2", "expect: [{ always: no-blackhole, flow: web, vrrp: 1 }]"))).toEqual([
      "found vrrp, allowed: what flow can be asked",
    ]);
    expect(problemsOf(lab("10.0.0.2", "expect: [{ always: no-blackhole }]"))).toEqual([]);
  });
});
