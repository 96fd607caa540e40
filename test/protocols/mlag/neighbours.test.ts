/** ARP and ND of a pair: M46, and what becomes of them when the session is lost. */
import { describe, expect, it } from "vitest";
import type { Item } from "../../../protocols/iccp/events.ts";
import { heardNeighbour, offerAgain } from "../../../protocols/mlag/neighbours.ts";
import { mac } from "../../support/probe.ts";
import { ip } from "../iccp/bench.ts";
import { type Name, Pair } from "./pair.ts";

const HOST = "02:aa:00:00:00:01";
const OTHER = "02:aa:00:00:00:02";

function settled(): Pair {
  return new Pair().boot().until(10);
}

function hears(pair: Pair, name: Name, address: string, from = HOST, present = true, port = "vlan1"): Pair {
  return pair.do(name, (state) =>
    heardNeighbour(state, { type: "ip.neighbour", port, address: ip(address), mac: mac(from), present }),
  );
}

function offered(pair: Pair): string {
  const words = (["a", "b"] as const).map((name) => {
    const all = [...pair.side(name).offered].map(([where, what]) => `${where} ${what}`).sort();
    return `${name}: ${all.join(", ")}`;
  });
  return words.join("; ");
}

/** Items of neighbours that cross from here on: "a + 10.0.0.9". */
function crossing(pair: Pair): string[] {
  const lines: string[] = [];
  pair.passes = (item: Item) => {
    if (item.kind === "arps" || item.kind === "nds") {
      for (const { address, present } of item.entries) lines.push(`${present ? "+" : "-"} ${item.kind} ${address}`);
    }
    return true;
  };
  return lines;
}

describe("synchronisation", () => {
  it("M46: what one stack has heard the other is offered, in the VLAN's interface, and told once: there is no echo", () => {
    const pair = settled();
    const lines = crossing(pair);
    hears(hears(pair, "a", "10.0.0.9"), "a", "2001:db8::9").after(0.05);
    expect(offered(pair)).toBe(`a: ; b: vlan1 10.0.0.9 ${HOST}, vlan1 2001:db8::9 ${HOST}`);
    hears(pair, "a", "10.0.0.9").after(30);
    expect(lines).toEqual(["+ arps 10.0.0.9", "+ nds 2001:db8::9"]);
  });

  it("M46: it is withdrawn when the peer no longer has it", () => {
    const pair = hears(settled(), "a", "10.0.0.9").after(1);
    expect(offered(hears(pair, "a", "10.0.0.9", HOST, false).after(1))).toBe("a: ; b: ");
  });

  it("M46: an interface outside the pair's VLANs is nobody's business", () => {
    const pair = settled();
    const lines = crossing(pair);
    hears(hears(pair, "a", "10.99.0.2", HOST, true, "ka"), "a", "fe80::1", HOST, true, "peer.4094").after(1);
    expect([lines, offered(pair)]).toEqual([[], "a: ; b: "]);
  });

  it("what a stack has heard itself stands; when it loses that, it is offered the peer's again", () => {
    const pair = hears(settled(), "b", "10.0.0.9", OTHER).after(1);
    hears(pair, "a", "10.0.0.9", HOST).after(1);
    // In both stacks their own entry stands where the peer's was.
    for (const side of [pair.a, pair.b]) side.offered.clear();
    expect(offered(hears(pair, "b", "10.0.0.9", OTHER, false).after(1))).toBe(`a: ; b: vlan1 10.0.0.9 ${HOST}`);
  });

  it("an interface that comes up again is offered all that the peer has in its VLAN", () => {
    const pair = hears(hears(settled(), "a", "10.0.0.9"), "a", "10.0.2.9", HOST, true, "vlan2").after(1);
    pair.b.offered.clear();
    pair.do("b", (state) => offerAgain(state, 2));
    expect(offered(pair)).toBe(`a: ; b: vlan2 10.0.2.9 ${HOST}`);
  });
});

describe("the session is lost", () => {
  it("M50: what the peer had stays until it has said what is left of it, and what is not goes: mark and sweep", () => {
    const pair = hears(hears(settled(), "a", "10.0.0.8"), "a", "10.0.0.9").after(1);
    pair.setPeerLink(false).after(1);
    expect(offered(pair)).toBe(`a: ; b: vlan1 10.0.0.8 ${HOST}, vlan1 10.0.0.9 ${HOST}`);
    hears(pair, "a", "10.0.0.8", HOST, false).after(1);
    expect(offered(pair)).toBe(`a: ; b: vlan1 10.0.0.8 ${HOST}, vlan1 10.0.0.9 ${HOST}`);
    expect(offered(pair.setPeerLink(true).after(1))).toBe(`a: ; b: vlan1 10.0.0.9 ${HOST}`);
  });

  it("M50: what was learned meanwhile is in the first words of the next one, with its count", () => {
    const pair = settled().setPeerLink(false).after(1);
    hears(pair, "a", "10.0.0.9");
    const ends: Item[] = [];
    pair.passes = (item) => {
      if (item.kind === "syncEnd") ends.push(item);
      return true;
    };
    pair.setPeerLink(true).after(1);
    expect(ends.map((item) => item.kind === "syncEnd" && [item.macs, item.arps, item.nds])).toEqual([
      [0, 1, 0],
      [0, 0, 0],
    ]);
    expect(offered(pair)).toBe(`a: ; b: vlan1 10.0.0.9 ${HOST}`);
  });

  it("M45: a switch that returns without a VLAN has nothing in it, and the other forgets what it had there", () => {
    const pair = hears(settled(), "a", "10.0.2.9", HOST, true, "vlan2").after(1);
    expect(offered(pair)).toBe(`a: ; b: vlan2 10.0.2.9 ${HOST}`);
    pair.power("a", false).after(1).power("a", true).after(1);
    expect(offered(pair)).toBe("a: ; b: ");
  });
});
