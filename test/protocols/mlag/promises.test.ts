/** What is promised of a pair, and what a lab may say of it: judged by logs that are made up, and by a lab. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import { expect as expectable } from "../../../protocols/mlag/expect.ts";
import { invariants } from "../../../protocols/mlag/invariants.ts";
import { mlagTable } from "../../../protocols/mlag/view.ts";
import type { Entry } from "../../../src/core/log.ts";
import type { NodeConfig } from "../../../src/node/protocol.ts";
import { breaches, done, named, said } from "../../support/entries.ts";
import { problemsOf, runLab } from "../../support/lab.ts";

function half(node: string, own: number, peer: number, more: object = {}): NodeConfig {
  const keepalive = { port: "ka", address: `10.99.0.${own}/30`, peer: `10.99.0.${peer}` };
  const members = [1, 2].map((id) => ({ port: `agg${id}`, id }));
  const mlag = mlagSchema.parse({ domain: 10, "peer-link": "peer", keepalive, members, ...more });
  const vlans = { 10: { tagged: ["agg1", "agg2", "p9", "peer"] }, 20: { tagged: ["agg1", "p9", "peer"] }, 30: {} };
  return { node, mlag, bridge: bridgeSchema.parse({ vlans }) };
}

const NODES = [half("sw1", 1, 2), half("sw2", 2, 1), { node: "host" }];
const ALL = invariants(NODES);

it("promises are made of two switches that are each other's peer", () => {
  expect(ALL.map(({ name }) => name)).toEqual(["tables-equal", "one-system-id"]);
  expect(invariants([half("sw1", 1, 2)])).toEqual([]);
  expect(invariants([half("sw1", 1, 2), half("sw2", 2, 1, { domain: 11 })])).toEqual([]);
  expect(invariants([half("sw1", 1, 2), half("sw2", 1, 2)])).toEqual([]);
});

const session = (at: number, node: string, up = true) =>
  said(at, node, { type: "mlag.session", up, epoch: 1, reason: up ? "hello" : "session-lost" });
const UP = [session(1, "sw1"), session(1, "sw2")];

const MAC = "02:00:00:03:00:00";
function mac(at: number, node: string, what: string, port: string, origin = "local", vlan = 10, address = MAC): Entry {
  return said(at, node, { type: `mac.${what}`, vlan, mac: address, port, origin });
}

describe("tables-equal", () => {
  const promise = named(ALL, "tables-equal");
  const broken = (...log: readonly Entry[]) => breaches(promise, 30, ...UP, ...log);

  it.each([
    ["M35: of an M-LAG", "agg1", "agg1"],
    ["M36: an orphan of one", "p9", "peer"],
    ["M36: an orphan of the other", "peer", "p9"],
  ])("a station %s is in one place for both", (_, here, there) => {
    expect(broken(mac(10, "sw1", "learned", here), mac(10.01, "sw2", "learned", there, "peer"))).toEqual([]);
  });

  it.each([
    ["in two M-LAGs", "agg1", "agg2", "sw1 has it behind agg1 (M-LAG 1), sw2 has it behind agg2 (M-LAG 2)"],
    ["of an M-LAG, and an orphan", "agg1", "p9", "sw1 has it behind agg1 (M-LAG 1), sw2 has it behind p9"],
    ["an orphan of both", "p9", "p9", "sw1 has it behind p9, sw2 has it behind p9"],
    ["behind the peer link for both", "peer", "peer", "sw1 has it behind peer, sw2 has it behind peer"],
  ])("is broken by a station %s, once that has been so for 3 s", (_, here, there, detail) => {
    expect(broken(mac(10, "sw1", "learned", here), mac(10, "sw2", "learned", there))).toEqual([
      `13..30: station ${MAC} in VLAN 10: ${detail}`,
    ]);
  });

  it("is broken by a station that only one has, until the other has it, too", () => {
    expect(broken(mac(10, "sw1", "learned", "agg1"))).toEqual([
      `13..30: station ${MAC} in VLAN 10: sw1 has it behind agg1 (M-LAG 1), sw2 does not have it`,
    ]);
    expect(broken(mac(10, "sw1", "learned", "agg1"), mac(15, "sw2", "learned", "agg1", "peer"))).toHaveLength(1);
    expect(broken(mac(10, "sw1", "learned", "agg1"), mac(12.9, "sw2", "learned", "agg1", "peer"))).toEqual([]);
    expect(broken(mac(10, "sw1", "learned", "agg1"), mac(12.9, "sw1", "aged", "agg1"))).toEqual([]);
  });

  it("M43: is kept while thousands of stations are told one after the other, and names the one that is forgotten", () => {
    const log: Entry[] = [];
    for (let i = 0; i < 8_000; i++) {
      const address = `02:00:01:00:${(i >>> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
      log.push(mac(8 + i / 1_000, "sw1", "learned", "agg1", "local", 10, address));
      if (i !== 77) log.push(mac(8.05 + i / 1_000, "sw2", "learned", "agg1", "peer", 10, address));
    }
    const found = broken(...log.toSorted((a, b) => a.at - b.at));
    expect(found).toEqual([
      "11.077..30: station 02:00:01:00:00:4d in VLAN 10: sw1 has it behind agg1 (M-LAG 1), sw2 does not have it",
    ]);
  });

  it("is not asked for without a session, and when there is one again, of all that differs then", () => {
    const down = [session(9, "sw1", false), mac(10, "sw1", "learned", "agg1")];
    expect(broken(...down)).toEqual([]);
    expect(broken(...down, session(20, "sw1"), mac(21, "sw2", "learned", "agg1", "peer"))).toEqual([]);
    // 2 s for all stations to be told, and 3 s for one.
    expect(broken(...down, session(20, "sw1"))).toHaveLength(1);
    expect(broken(...down, session(20, "sw1"))[0]).toMatch(/^25\.\.30: /);
  });

  it("what a switch took over from a peer that is gone is compared when the peer is back", () => {
    const both = [mac(7, "sw1", "learned", "agg1"), mac(7, "sw2", "learned", "agg1", "peer")];
    const gone = [session(9, "sw1", false), session(9, "sw2", false), said(9, "sw2", { type: "mlag.adopt" })];
    const kept = mac(9, "sw2", "learned", "agg1");
    expect(broken(...both, ...gone, kept, session(12, "sw1"), session(12, "sw2"))).toEqual([]);
    expect(broken(...both, ...gone, session(12, "sw1"), session(12, "sw2"))).toHaveLength(1);
  });

  it("a switch does not learn its own address, and its peer has it behind the peer link", () => {
    const own = said(7, "sw1", { type: "ip.addresses", port: "vlan10", mac: MAC, up: true, addresses: [] });
    expect(broken(own, mac(7, "sw2", "learned", "peer", "peer"))).toEqual([]);
    expect(broken(own)[0]).toBe(`10..30: station ${MAC} in VLAN 10: it is sw1 itself, sw2 does not have it`);
    expect(broken(own, mac(7, "sw2", "learned", "p9"))).toHaveLength(1);
  });

  it("leaves out what the peers cannot share: gateways' MACs, and VLANs that peer link or member are not in", () => {
    expect(broken(mac(7, "sw1", "learned", "vlan10", "local", 10, "00:00:5e:00:01:0a"))).toEqual([]);
    expect(broken(mac(7, "sw1", "learned", "p9", "local", 30))).toEqual([]);
    expect(broken(mac(7, "sw1", "learned", "agg2", "local", 20))).toEqual([]);
    expect(broken(mac(7, "sw1", "learned", "agg1", "local", 20))).toHaveLength(1);
  });

  it("a switch without power has no table", () => {
    const both = [mac(7, "sw1", "learned", "agg1"), mac(7, "sw2", "learned", "agg1", "peer")];
    const back = [done(9, { verb: "power-off", node: "sw2" }), session(12, "sw2")];
    expect(broken(...both, ...back)).toHaveLength(1);
    expect(broken(...both, back[0] as Entry)).toEqual([]);
  });
});

interface Told {
  readonly system?: string;
  readonly key?: number;
  readonly state?: string;
}

function port(at: number, node: string, number: number, more: Told = {}, bundle = "agg1"): Entry {
  const actor = { system: "02:4d:4c:00:00:0a", key: 1, port: number, state: "0x3f", ...more };
  return said(at, node, { type: "lacp.port", port: "p1", bundle, mux: "distributing", reason: "carrying", actor });
}

describe("one-system-id", () => {
  const promise = named(ALL, "one-system-id");
  const broken = (...log: readonly Entry[]) => breaches(promise, 30, ...UP, ...log);
  const OTHER = "02:00:00:02:00:00";

  it("M06, M07: is kept by one system id, one key and disjoint port numbers", () => {
    expect(broken(port(10, "sw1", 1), port(10, "sw2", 0x8001))).toEqual([]);
  });

  it.each([
    ["two system ids", { system: OTHER }, 0x8001, `sw1:p1 says it is of 02:4d:4c:00:00:0a, sw2:p1 of ${OTHER}`],
    ["two keys", { key: 7 }, 0x8001, "sw1:p1 has key 1, sw2:p1 has key 7"],
    ["a port number twice", {}, 1, "sw1:p1 and sw2:p1 both say that they are port 1"],
  ])("is broken by %s, once that has been so for 2 s", (_, more, number, detail) => {
    expect(broken(port(10, "sw1", 1), port(10, "sw2", number, more))).toEqual([`12..30: M-LAG 1: ${detail}`]);
    expect(broken(port(10, "sw1", 1), port(10, "sw2", number, more), port(11.9, "sw2", 0x8001))).toEqual([]);
  });

  it("a half that tells its partner to keep off, or is of another M-LAG, may say what it likes", () => {
    expect(broken(port(10, "sw1", 1), port(10, "sw2", 1, { system: OTHER, state: "0x07" }))).toEqual([]);
    expect(broken(port(10, "sw1", 1), port(10, "sw2", 1, { system: OTHER }, "agg2"))).toEqual([]);
    expect(broken(port(10, "sw1", 1), port(10, "sw1", 1, {}, "agg2"))).toEqual([]);
  });

  it("is not asked for without a session: a fallback to two systems is what splits are for", () => {
    const split = [port(10, "sw1", 1), session(9, "sw2", false), port(10, "sw2", 1, { system: OTHER })];
    const log = split.toSorted((a, b) => a.at - b.at);
    expect(broken(...log)).toEqual([]);
    expect(broken(...log, session(20, "sw2"))[0]).toMatch(/^22\.\.30: M-LAG 1/);
    expect(broken(...log, session(20, "sw2"), done(21, { verb: "power-off", node: "sw2" }))).toEqual([]);
  });
});

describe("the table, and what a lab may say of it", () => {
  const member = { type: "mlag.member", id: 1, port: "agg1", local: true, peer: true, state: "active-full" };
  const log = [
    session(1, "sw1"),
    said(1, "sw1", { type: "mlag.role", role: "primary", priority: 100, alone: false, reason: "lower-priority" }),
    said(1, "sw1", { type: "mlag.keepalive", up: true, reason: "heard" }),
    said(2, "sw1", { ...member, reason: "local-up" }),
    said(3, "sw1", { ...member, reason: "peer-up" }),
    said(3, "sw1", { ...member, id: 2, port: "agg2", peer: false, state: "active-partial", reason: "peer-down" }),
    said(4, "sw1", { type: "mlag.alarm", alarm: "split", active: true, detail: "two" }),
    said(5, "sw1", { type: "mlag.alarm", alarm: "degraded", active: true, detail: "no keepalive" }),
    said(6, "sw1", { type: "mlag.alarm", alarm: "degraded", active: false, detail: "no keepalive" }),
  ];
  const view = log.reduce((folded, entry) => expectable.view.fold(folded, entry), expectable.view.initial());
  const judge = (subject: number | "pair", fields: object, node = "sw1") =>
    expectable.judge(view, { node, subject, fields: { ...fields } });

  it("says since when a state is so, whatever was said of it since, and which alarms are raised", () => {
    const row = log.reduce((folded, entry) => mlagTable.fold(folded, entry), mlagTable.initial()).get("sw1");
    expect(row?.members.get(1)).toMatchObject({ state: "active-full", reason: "peer-up", since: 2_000_000 });
    expect([...(row?.alarms.values() ?? [])].map(({ alarm, detail }) => `${alarm}: ${detail}`)).toEqual(["split: two"]);
    const off = [...log, done(7, { verb: "power-off", node: "sw1" })];
    expect(off.reduce((folded, entry) => mlagTable.fold(folded, entry), mlagTable.initial()).size).toBe(0);
  });

  it.each([
    [1, { state: "active-full", local: true, peer: true, reason: "peer-up" }, true],
    [1, { reason: "local-up" }, false],
    [2, { peer: true }, false],
    ["pair", { local: true }, true],
    ["pair", { state: "active-full" }, false],
    ["pair", { role: "primary", alone: false, session: true, keepalive: true, alarm: "split" }, true],
    ["pair", { role: "secondary" }, false],
    ["pair", { "role-reason": "lower-priority", "session-reason": "hello", "keepalive-reason": "heard" }, true],
    ["pair", { "role-reason": "sticky" }, false],
    ["pair", { session: false }, false],
    ["pair", { keepalive: false }, false],
    ["pair", { alone: true }, false],
    ["pair", { alarm: "none" }, false],
    ["pair", { alarm: "degraded" }, false],
    [1, { role: "primary", state: "active-full" }, true],
  ] as const)("mlag: %s, %j: %s", (subject, fields, ok) => {
    expect(judge(subject, fields).ok).toBe(ok);
  });

  it("says what is so instead", () => {
    const halves = "M-LAG 2 (agg2) is active-partial since 3.000000 s, here up, at the peer down (peer-down)";
    expect(judge("pair", { state: "active-full" }).detail).toBe(halves);
    expect(judge("pair", { role: "secondary" }).detail).toBe("it is primary since 1.000000 s (lower-priority)");
    expect(judge("pair", { alarm: "none" }).detail).toBe("raised: split");
  });

  it("of a switch that has said nothing only that all is down is true", () => {
    expect(judge("pair", { session: false, role: "none", alarm: "none", local: false }, "sw9").ok).toBe(true);
    expect(judge("pair", { role: "primary" }, "sw9")).toEqual({ ok: false, detail: "it has said nothing yet" });
    expect(judge(3, { state: "inactive" })).toEqual({ ok: false, detail: "it has said nothing of that yet" });
  });

  it("names an M-LAG that the switch has", () => {
    const check = (node: string, subject: unknown) =>
      expectable.check?.({ node, subject, fields: {} }, NODES).map(({ message }) => message);
    expect(check("sw1", 2)).toEqual([]);
    expect(check("sw1", "pair")).toEqual([]);
    expect(check("sw1", 3)).toEqual(["found 3, allowed: pair, or an M-LAG id (1, 2)"]);
    expect(check("host", 1)).toEqual(["found host, allowed: a switch of a pair"]);
  });
});

describe("in the lab of a pair", () => {
  const text = readFileSync(new URL("../../../topologies/mlag-pair.yaml", import.meta.url), "utf8");

  it("all promises are watched, and kept; expectations hold, and those that do not say what is so", () => {
    const more = `
  - { at: 9s, node: sw1, mlag: 1, state: active-full, local: true, peer: true }
  - { at: 9s, node: sw1, mlag: pair, role: primary, session: true, keepalive: true, alarm: none }
  - { at: 9s, node: sw2, mlag: pair, role: secondary, session: true, state: active-full }
  - { at: 24s, node: sw2, mlag: 1, state: suspended, reason: peer-alive, local: false }
  - { at: 9s, node: sw1, bridge: 1, mac: 02:00:00:03:00:00, port: agg1 }
  - { at: 9s, node: sw2, bridge: 1, mac: 02:00:00:03:00:00, port: agg1 }
  - { always: no-blackhole, flow: web, settle: 1s }
  - { at: 9s, node: sw2, mlag: pair, role: primary }
`;
    const { result } = runLab(text.trimEnd() + more);
    expect(result.violations).toEqual([]);
    expect(result.verdicts.filter(({ ok }) => !ok).map((verdict) => verdict.text)).toEqual([
      "{ at: 9s, node: sw2, mlag: pair, role: primary }",
    ]);
    for (const name of ["tables-equal", "one-system-id", "no-loop", "no-duplicate", "one-master"]) {
      expect(result.watched).toContain(name);
    }
    expect(result.watched).toContain("no-blackhole-after-settle");
  });

  it("a claim about an M-LAG that is not there is refused", () => {
    expect(problemsOf(`${text.trimEnd()}\n  - { at: 9s, node: sw1, mlag: 7, local: true }\n`)).toEqual([
      "found 7, allowed: pair, or an M-LAG id (1, 2)",
    ]);
  });
});
