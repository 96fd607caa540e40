/** Gateways of both: which MACs of its peer a switch shares, by what both have said. */
import { describe, expect, it } from "vitest";
import type { IpAddresses, IpVirtual } from "../../../protocols/ip/events.ts";
import * as core from "../../../protocols/mlag/core.ts";
import { hearInterface, hearRouter, hearVirtual } from "../../../protocols/mlag/gateway.ts";
import { virtualMac } from "../../../protocols/vrrp/codec.ts";
import type { VrrpStateName } from "../../../protocols/vrrp/events.ts";
import type { Family, Ip } from "../../../src/core/addr.ts";
import { mac } from "../../support/probe.ts";
import { type Name, Pair } from "./pair.ts";

const MACS = { a: mac("02:00:00:00:00:0a"), b: mac("02:00:00:00:00:0b") } as const;
const VIRTUAL = { ipv4: "10.0.10.1" as Ip, ipv6: "fe80::10:1" as Ip } as const;

/** The stack of one switch says what its interface in VLAN 10 has. */
function say(pair: Pair, name: Name, up = true, vlan = 10): Pair {
  const addresses = [`10.0.${vlan}.${name === "a" ? 2 : 3}/24`, `fe80::${name}/64`];
  const event: IpAddresses = { type: "ip.addresses", port: `vlan${vlan}`, mac: MACS[name], up, addresses };
  return pair.do(name, (state, now) => {
    hearInterface(state, vlan, event);
    core.settle(state, now);
  });
}

/** The virtual router of one switch goes into a state. */
function router(pair: Pair, name: Name, to: VrrpStateName, family: Family = "ipv4", vrid = 10): Pair {
  const of = { vrid, family };
  const addresses = [{ address: VIRTUAL[family], length: 24 }];
  const wish: IpVirtual = {
    type: "ip.virtual",
    port: "vlan10",
    ...of,
    addresses,
    mac: virtualMac(family, vrid),
    accept: true,
    present: to === "master",
  };
  return pair.do(name, (state, now) => {
    hearRouter(state, {
      type: "vrrp.state",
      interface: "vlan10",
      ...of,
      from: "initialize",
      to,
      priority: 100,
      reason: "startup",
    });
    hearVirtual(state, wish);
    core.settle(state, now);
  });
}

/** What bridge and ip of a switch have been told last: "virtual4 peer | 10.0.10.2 …". */
function shared(pair: Pair, name: Name, port = "vlan10"): string {
  const said = pair.side(name).core.gateway.said.get(port);
  if (said === undefined || (said.macs.length === 0 && said.addresses.length === 0)) return "";
  const words = new Map<string, string>([
    [virtualMac("ipv4", 10), "virtual4"],
    [virtualMac("ipv6", 10), "virtual6"],
    [MACS[name === "a" ? "b" : "a"], "peer"],
    [MACS[name], "own"],
  ]);
  return `${said.macs.map((one) => words.get(one) ?? one).join(" ")} | ${said.addresses.join(" ")}`;
}

/** Both in VLAN 10 since their start; `a` is master, `b` backup. */
function paired(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  const pair = new Pair(options).boot();
  for (const name of ["a", "b"] as const) say(pair, name);
  pair.until(5);
  router(router(pair, "b", "backup"), "a", "backup");
  return router(pair, "a", "master").until(10);
}

describe("M65: while the pair is paired", () => {
  it("the backup shares the virtual MAC and the peer's own, the master the peer's own alone", () => {
    const pair = paired();
    expect(shared(pair, "b")).toBe("peer virtual4 | 10.0.10.2 fe80::a 10.0.10.1");
    expect(shared(pair, "a")).toBe("peer | 10.0.10.3 fe80::b");
  });

  it("the master's bridge knows the virtual MAC as its own, with a peer and without", () => {
    const own = (pair: Pair, name: Name) => pair.side(name).core.gateway.said.get("vlan10")?.own;
    expect([own(paired(), "a"), own(paired(), "b")]).toEqual([[virtualMac("ipv4", 10)], []]);
    expect(own(paired().power("b", false).until(60), "a")).toEqual([virtualMac("ipv4", 10)]);
    expect(own(paired({ both: { gateway: "master-only" } }), "a")).toEqual([virtualMac("ipv4", 10)]);
  });

  it("each family by itself", () => {
    const pair = paired();
    router(router(pair, "b", "master", "ipv6"), "a", "backup", "ipv6").after(1);
    expect(shared(pair, "b")).toBe("peer virtual4 | 10.0.10.2 fe80::a 10.0.10.1");
    expect(shared(pair, "a")).toBe("peer virtual6 | 10.0.10.3 fe80::b fe80::10:1");
  });

  it("when the master changes, so does who shares", () => {
    const pair = paired();
    router(router(pair, "b", "master"), "a", "backup").after(1);
    expect(shared(pair, "a")).toBe("peer virtual4 | 10.0.10.3 fe80::b 10.0.10.1");
    expect(shared(pair, "b")).toBe("peer | 10.0.10.2 fe80::a");
  });

  it.each(["fault", "initialize"] as const)("a router in %s routes nothing for its virtual MAC", (to) => {
    expect(shared(router(paired(), "b", to).after(1), "b")).toBe("peer | 10.0.10.2 fe80::a 10.0.10.1");
  });

  it("a virtual router whose master is a third switch is nobody's to share", () => {
    const pair = router(paired(), "a", "backup").after(1);
    expect([shared(pair, "a"), shared(pair, "b")]).toEqual(["peer | 10.0.10.3 fe80::b", "peer | 10.0.10.2 fe80::a"]);
  });

  it("a virtual router that only the peer has is its own", () => {
    const pair = router(paired(), "a", "master", "ipv4", 99).after(1);
    expect(shared(pair, "b")).toBe("peer virtual4 | 10.0.10.2 fe80::a 10.0.10.1 10.0.10.1");
  });

  it("an interface that is down, here or there, shares nothing", () => {
    const pair = say(paired(), "a", false).after(1);
    expect([shared(pair, "a"), shared(pair, "b")]).toEqual(["", ""]);
    say(pair, "a").after(1);
    expect(shared(pair, "b")).toBe("peer virtual4 | 10.0.10.2 fe80::a 10.0.10.1");
  });

  it("a VLAN in which this switch has no interface is not its to route; one in which both have is", () => {
    const pair = say(paired(), "a", true, 20).after(1);
    expect(shared(pair, "b", "vlan20")).toBe("");
    expect(shared(say(pair, "b", true, 20).after(1), "b", "vlan20")).toBe("peer | 10.0.20.2 fe80::a");
  });

  it.each(["a", "b", "both"] as const)("`gateway: master-only` of %s: neither shares anything", (who) => {
    const pair = paired({ [who]: { gateway: "master-only" } });
    expect([shared(pair, "a"), shared(pair, "b")]).toEqual(["", ""]);
  });

  it("nothing is shared before the tables are complete", () => {
    const pair = new Pair();
    pair.passes = (item) => item.kind !== "syncEnd";
    pair.boot();
    for (const name of ["a", "b"] as const) say(pair, name);
    expect([shared(pair.until(5), "a"), shared(pair, "b")]).toEqual(["", ""]);
  });
});

describe("when the session is lost", () => {
  it("the backup goes on with what it shared, until VRRP has had its time", () => {
    const pair = paired().power("a", false);
    expect(shared(pair.until(10.1), "b")).toMatch(/^peer virtual4 /);
    expect(shared(pair.until(39.9), "b")).toMatch(/^peer virtual4 /);
    expect(shared(pair.until(40.1), "b")).toBe("");
  });

  it("who becomes master serves as master, and no longer as backup", () => {
    const pair = router(paired().power("a", false).until(14), "b", "master");
    expect(shared(pair, "b")).toMatch(/^peer \|/);
  });

  it("nothing new is shared: a master that becomes backup without its peer is out", () => {
    const pair = router(paired().setPeerLink(false).until(14), "a", "backup");
    expect(shared(pair, "a")).toMatch(/^peer \|/);
  });

  it("a backup whose router is out of service stops at once", () => {
    expect(shared(router(paired().setPeerLink(false).until(12), "b", "fault"), "b")).toMatch(/^peer \|/);
  });

  it("a switch that stops leaves nothing shared", () => {
    const pair = paired()
      .do("b", (state, now) => core.leave(state, "shutdown", now))
      .after(5);
    expect(shared(pair, "b")).toBe("");
  });

  it("the next session begins with what the peer says then", () => {
    const pair = paired().setPeerLink(false).until(12);
    router(pair, "a", "fault");
    expect(shared(pair, "b")).toMatch(/^peer virtual4 /);
    pair.setPeerLink(true).until(20);
    expect(shared(pair, "b")).toBe("peer | 10.0.10.2 fe80::a");
  });
});
