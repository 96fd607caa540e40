import { describe, expect, it } from "vitest";
import { check, compare } from "../../../protocols/mlag/check.ts";
import { type MlagConfig, mlagCommand, mlagSchema } from "../../../protocols/mlag/config.ts";
import { portOffsetOf } from "../../../protocols/mlag/state.ts";
import type { NodeConfig } from "../../../src/node/protocol.ts";

const KEEPALIVE = { port: "ka", address: "10.99.0.1/30", peer: "10.99.0.2" };
const OTHER_KEEPALIVE = { port: "ka", address: "10.99.0.2/30", peer: "10.99.0.1" };
const MEMBERS = [
  { port: "agg1", id: 1 },
  { port: "agg2", id: 2 },
];
const WHOLE = { domain: 10, priority: 100, "peer-link": "peer", keepalive: KEEPALIVE, members: MEMBERS };

const VLANS = new Map([[1, { tagged: [], untagged: ["agg1", "agg2", "peer"] }]]);

function node(name: string, mlag: object, vlans: ReadonlyMap<number, object> = VLANS): NodeConfig {
  const bridge = { ports: ["agg1", "agg2", "peer"], vlans };
  const lacp = [{ name: "agg1" }, { name: "agg2" }];
  return { node: name, bridge, lacp, mlag: mlagSchema.parse({ ...WHOLE, ...mlag }) };
}

function messages(mlag: object): string[] {
  const one = node("sw1", mlag);
  return check(one["mlag"] as MlagConfig, one).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

function differences(first: NodeConfig, second: NodeConfig): string[] {
  return compare([first, second]).map(
    ({ path, message, warning }) => `${warning ? "" : "refused "}${path.join(".")}: ${message}`,
  );
}

describe("the key mlag", () => {
  it("has the defaults of the checklist: M16 (5 s, 1 s, 3 s), M60 (30 s), M61 (240 s)", () => {
    const config = mlagSchema.parse({ domain: 10, "peer-link": "peer", keepalive: KEEPALIVE });
    expect(config).toMatchObject({
      priority: 32_768,
      split: "sysid-fallback",
      splitGrace: 1_000_000,
      restoreDelay: 30_000_000,
      autoRecovery: 240_000_000,
      drain: 200_000,
      system: "02:4d:4c:00:00:0a",
      members: [],
    });
    expect(config.keepalive).toMatchObject({ interval: 1_000_000, timeout: 5_000_000, hold: 3_000_000 });
  });

  it("M60: the restore delay is 0 to 3600 s", () => {
    for (const delay of ["0s", "3600s"])
      expect(mlagSchema.safeParse({ ...WHOLE, "restore-delay": delay }).success).toBe(true);
    expect(mlagSchema.safeParse({ ...WHOLE, "restore-delay": "3601s" }).success).toBe(false);
  });

  it.each([
    { split: "both" },
    { domain: 0 },
    { domain: 65_536 },
    { priority: 0 },
    { keepalive: undefined },
    { keepalive: { port: "ka" } },
    { members: [{ port: "agg1", id: 0 }] },
    { peer: "x" },
  ])("refuses %j", (wrong) => {
    expect(mlagSchema.safeParse({ ...WHOLE, ...wrong }).success).toBe(false);
  });

  it("M06: every domain has a system id of its own, locally administered", () => {
    const ids = [1, 10, 255, 256, 65_535].map((domain) => mlagSchema.parse({ ...WHOLE, domain }).system);
    expect(new Set(ids).size).toBe(5);
    for (const id of ids) expect(id).toMatch(/^02:4d:4c:00:/);
  });

  it("M07: the two ends of one keepalive path never have the same port numbers", () => {
    const [a, b] = [mlagSchema.parse(WHOLE), mlagSchema.parse({ ...WHOLE, keepalive: OTHER_KEEPALIVE })];
    expect([portOffsetOf(a), portOffsetOf(b)]).toEqual([0, 0x8000]);
  });

  it("commands are preempt, maintenance, suspend and restore", () => {
    const maintenance = { verb: "maintenance", on: true, of: "reboot", force: false };
    expect(mlagCommand.parse({ verb: "maintenance", on: true })).toEqual(maintenance);
    for (const wrong of [{ verb: "explode" }, { verb: "suspend" }, { verb: "maintenance", on: "yes" }]) {
      expect(mlagCommand.safeParse(wrong).success).toBe(false);
    }
  });
});

describe("within one node", () => {
  it("the example is fine", () => expect(messages({})).toEqual([]));

  it.each([
    [{ "peer-link": "p9" }, ["peer-link: found p9, allowed: a port of the bridge (agg1, agg2, peer)"]],
    [{ members: [{ port: "peer", id: 1 }] }, ["members.0.port: found peer, allowed: another port than the peer link"]],
    [
      { members: [{ port: "p7", id: 1 }] },
      ["members.0.port: found p7, allowed: a port of the bridge (agg1, agg2, peer)"],
    ],
    [{ members: [MEMBERS[0], { port: "agg2", id: 1 }] }, ["members.1.id: found 1 twice, allowed: once"]],
    [{ members: [MEMBERS[0], { port: "agg1", id: 2 }] }, ["members.1.port: found agg1 twice, allowed: once"]],
    // M15
    [
      { keepalive: { ...KEEPALIVE, port: "peer" } },
      ["keepalive.port: found peer, allowed: another port than the peer link"],
    ],
    [
      { keepalive: { ...KEEPALIVE, port: "agg1" } },
      ["keepalive.port: found agg1, a port of the bridge, allowed: a port of its own"],
    ],
    [
      { keepalive: { ...KEEPALIVE, peer: "10.99.0.9" } },
      ["keepalive.peer: found 10.99.0.9, allowed: an address in the network of 10.99.0.1/30"],
    ],
    [
      { keepalive: { ...KEEPALIVE, peer: "10.99.0.1" } },
      ["keepalive.peer: found 10.99.0.1, this node's own address, allowed: the peer's address"],
    ],
    [
      { keepalive: { ...KEEPALIVE, peer: "fe80::1" } },
      ["keepalive.peer: found fe80::1, allowed: an address of the family of 10.99.0.1"],
    ],
    [
      { keepalive: { ...KEEPALIVE, timeout: "2s" } },
      ["keepalive.timeout: found 2s, allowed: more than two intervals (2s)"],
    ],
  ])("%j is refused", (wrong, expected) => expect(messages(wrong)).toEqual(expected));

  it("a member that is no bundle is refused: its host would not know that the halves are one", () => {
    const one: NodeConfig = { ...node("sw1", {}), lacp: [{ name: "agg1" }] };
    const [problem] = check(one["mlag"] as MlagConfig, one);
    expect(problem).toEqual({ path: ["members", 1, "port"], message: "found agg2, allowed: a bundle under `lacp`" });
  });
});

describe("between the peers", () => {
  const first = node("sw1", {});

  it("the pair of the example agrees, with different priorities", () => {
    expect(differences(first, node("sw2", { priority: 200, keepalive: OTHER_KEEPALIVE }))).toEqual([]);
  });

  it.each([
    [
      { "system-priority": 1 },
      "mlag.system-priority: found 1, but sw1 has 32768: no member of the secondary will carry frames",
    ],
    [{ split: "dual-active" }, "mlag.split: found dual-active, but sw1 has sysid-fallback"],
    [{ "restore-delay": "5s" }, "mlag.restore-delay: found 5s, but sw1 has 30s"],
    [
      { members: [...MEMBERS, { port: "agg3", id: 3 }] },
      "mlag.members.2.id: found 3 (agg3), which sw1 does not have: its hosts are on one switch only",
    ],
    [
      { system: "02:00:00:00:00:99" },
      "mlag.system: found 02:00:00:00:00:99, but sw1 has 02:4d:4c:00:00:0a: no member of the secondary will carry frames",
    ],
  ])("%j is said, and not refused", (other, message) => {
    expect(differences(first, node("sw2", { keepalive: OTHER_KEEPALIVE, ...other }))).toContain(message);
  });

  it("a keepalive that does not reach the peer is refused", () => {
    const wrong = { ...OTHER_KEEPALIVE, address: "10.99.0.5/29", peer: "10.99.0.1" };
    expect(differences(first, node("sw2", { keepalive: wrong }))).toEqual([
      "refused mlag.keepalive.address: found 10.99.0.5, but sw1 expects 10.99.0.2",
    ]);
  });

  it("M53: a VLAN that one half has and the other has not is said with both sides", () => {
    const vlans = new Map<number, object>(VLANS).set(20, { tagged: ["agg1", "peer"], untagged: [] });
    expect(differences(first, node("sw2", { keepalive: OTHER_KEEPALIVE }, vlans))).toEqual([
      "mlag.members.0.port: found VLAN 20 tagged, but sw1 has it not at all: neither half of M-LAG 1 will carry it",
      "mlag.peer-link: found VLAN 20 tagged, but sw1 has it not at all",
    ]);
  });

  it("M01: domains of one switch each are said; three switches in one domain are refused", () => {
    expect(differences(first, node("sw2", { domain: 11 }))).toHaveLength(2);
    const three = compare([first, node("sw2", { keepalive: OTHER_KEEPALIVE }), node("sw3", {})]);
    expect(three.map(({ node: name, warning }) => `${name} ${warning}`)).toEqual(["sw3 false"]);
  });
});
