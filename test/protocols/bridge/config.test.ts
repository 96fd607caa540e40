import { describe, expect, it } from "vitest";
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import type { MacEvent } from "../../../protocols/bridge/events.ts";
import { bridgeProtocol } from "../../../protocols/bridge/index.ts";
import { mac } from "../../support/probe.ts";

const read = (value: unknown) => bridgeSchema.parse(value);
const problems = (value: unknown) =>
  bridgeProtocol.check?.(read(value), { node: "sw1" }).map(({ path, message }) => `${path.join(".")}: ${message}`);

describe("the value under bridge", () => {
  it("ports alone are untagged in VLAN 1; ageing and table have defaults", () => {
    expect(read({ ports: ["agg1", "peer"] })).toEqual({
      ports: ["agg1", "peer"],
      vlans: new Map([[1, { tagged: [], untagged: ["agg1", "peer"] }]]),
      ageing: 300_000_000,
      table: 16_384,
    });
  });

  it("a port that is listed under vlans is in those alone; the others join VLAN 1", () => {
    const config = read({ ports: ["p1", "p2"], vlans: { 10: { tagged: ["p1", "p3"] }, 1: { untagged: ["p4"] } } });
    expect(config.ports).toEqual(["p1", "p2", "p4", "p3"]);
    expect(config.vlans.get(1)).toEqual({ tagged: [], untagged: ["p4", "p2"] });
    expect(config.vlans.get(10)).toEqual({ tagged: ["p1", "p3"], untagged: [] });
  });

  it("without ports for it there is no VLAN 1", () => {
    expect([...read({ vlans: { 10: { untagged: ["p1"] } } }).vlans.keys()]).toEqual([10]);
  });

  it.each([
    [{ vlans: { 0: {} } }],
    [{ vlans: { 4095: {} } }],
    [{ vlans: { "010": {} } }],
    [{ vlans: { ten: {} } }],
    [{ vlans: { 10: { tagged: "p1" } } }],
    [{ vlans: { 10: { taged: ["p1"] } } }],
    [{ ports: [""] }],
    [{ ports: ["p1"], ageing: "0s" }],
    [{ ports: ["p1"], ageing: "1000001s" }],
    [{ ports: ["p1"], ageing: 300 }],
    [{ ports: ["p1"], table: 15 }],
    [{ ports: ["p1"], stp: true }],
  ])("%j is refused", (value) => {
    expect(bridgeSchema.safeParse(value).success).toBe(false);
  });

  it.each([1, 9, 10, 99, 100, 999, 1000, 3999, 4000, 4089, 4094])("VLAN %d is one", (vid) => {
    expect(read({ vlans: { [vid]: { untagged: ["p1"] } } }).vlans.has(vid)).toBe(true);
  });
});

describe("what the schema cannot say", () => {
  it("nothing is wrong with what is right", () => {
    expect(problems({ ports: ["p1", "p1"], vlans: { 10: { tagged: ["up"] }, 20: { tagged: ["up"] } } })).toEqual([]);
  });

  it("a port has one untagged VLAN", () => {
    expect(problems({ vlans: { 10: { untagged: ["p1"] }, 20: { untagged: ["p2", "p1"] } } })).toEqual([
      "vlans.20.untagged.1: p1 is untagged in VLAN 10 already; a port has one untagged VLAN",
    ]);
  });

  it("a port is either tagged or untagged in a VLAN, and once", () => {
    expect(problems({ vlans: { 10: { tagged: ["p1"], untagged: ["p1"] } } })).toEqual([
      "vlans.10.untagged.0: p1 is both tagged and untagged in VLAN 10",
    ]);
    expect(problems({ vlans: { 10: { tagged: ["p1", "p2", "p1"] } } })).toEqual([
      "vlans.10.tagged.2: p1 is listed twice",
    ]);
  });

  it("the bridge's own routed ports are no ports of it", () => {
    expect(problems({ ports: ["p1", "vlan10", "vlan20"], vlans: { 10: { tagged: ["p1"] } } })).toEqual([
      "ports.1: vlan10 is the bridge's own way into VLAN 10, not a port",
    ]);
  });

  it("a bridge has ports", () => {
    expect(problems({})).toEqual([": a bridge needs at least one port"]);
  });
});

it("that a station moved or left is said in words; that one was found is no news", () => {
  const event: MacEvent = { type: "mac.learned", vlan: 10, mac: mac("02:aa:00:00:00:01"), port: "p1", origin: "local" };
  const words = (type: MacEvent["type"], more: Partial<MacEvent> = {}) =>
    bridgeProtocol.describe?.({ ...event, ...more, type } as MacEvent);
  expect([words("mac.learned"), words("mac.moved"), words("mac.aged", { reason: "link-down" })]).toEqual([
    undefined,
    "02:aa:00:00:00:01 moved to p1 (VLAN 10)",
    "02:aa:00:00:00:01 left p1 (VLAN 10): link-down",
  ]);
  expect(bridgeProtocol.describe?.({ type: "vrrp.state" })).toBeUndefined();
});
