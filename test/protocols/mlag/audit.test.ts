/** Digests of the shared tables, and how a difference is found and repaired: M49. */
import { describe, expect, it } from "vitest";
import type { MacEvent } from "../../../protocols/bridge/events.ts";
import type { Item } from "../../../protocols/iccp/events.ts";
import { AUDIT_INTERVAL } from "../../../protocols/mlag/audit.ts";
import { heardItems } from "../../../protocols/mlag/core.ts";
import { heardHere, itemOf } from "../../../protocols/mlag/macs.ts";
import { heardNeighbour } from "../../../protocols/mlag/neighbours.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { instant } from "../../../src/core/time.ts";
import { mac } from "../../support/probe.ts";
import { ip } from "../iccp/bench.ts";
import { Pair } from "./pair.ts";
import { claims } from "./shared.ts";

function station(n: number) {
  return macFrom(Uint8Array.of(0x02, 0xaa, 0, n >>> 16, n >>> 8, n));
}

function learned(vlan: number, n: number): MacEvent {
  return { type: "mac.learned", vlan, mac: station(n), port: "agg1", origin: "local" };
}

/** A pair whose first switch has heard so many stations in each of so many VLANs. */
function knowing(vlans: number, each: number): Pair {
  const pair = new Pair().boot().until(10);
  pair.do("a", (state, now) => {
    for (let vlan = 1; vlan <= vlans; vlan++) for (let n = 0; n < each; n++) heardHere(state, learned(vlan, n), now);
  });
  return pair.after(0.5);
}

interface Crossed {
  readonly asked: Extract<Item, { readonly kind: "repair" }>[];
  digests: number;
  /** Entries of MACs. */
  macs: number;
}

function crossing(pair: Pair): Crossed {
  const crossed: Crossed = { asked: [], digests: 0, macs: 0 };
  pair.passes = (item) => {
    if (item.kind === "repair") crossed.asked.push(item);
    if (item.kind === "digests") crossed.digests += item.entries.length;
    if (item.kind === "macs") crossed.macs += item.entries.length;
    return true;
  };
  return crossed;
}

function equal(pair: Pair): void {
  expect(claims(pair.b.core, "theirs")).toEqual(claims(pair.a.core, "mine"));
  expect(claims(pair.a.core, "theirs")).toEqual(claims(pair.b.core, "mine"));
}

describe("a difference", () => {
  it("M49: an entry that is lost is found within 30 s, and only its bucket is said anew", () => {
    const pair = knowing(2, 4_000);
    const crossed = crossing(pair);
    pair.after(3);
    pair.do("b", ({ tables }) => {
      const entry = tables.mac.entries.get(`2 ${station(17)}`);
      if (entry === undefined) throw new Error("nobody knows it");
      entry.theirs = undefined;
      tables.mac.theirs--;
    });
    const from = pair.now / 1e6;
    pair.after(30);
    equal(pair);
    const [ask, ...more] = crossed.asked;
    expect([ask?.table, ask?.vlan, ask?.buckets.length, more.length]).toEqual(["mac", 2, 1, 0]);
    // 4000 stations in 64 buckets: an even share of them, and not the 8000 that there are.
    expect(crossed.macs).toBeGreaterThan(20);
    expect(crossed.macs).toBeLessThan(130);
    const story = pair.story("mlag.drift", from);
    expect(story.map((line) => line.replace(/^\S+ /, ""))).toEqual(["b mac 2 1 digest-differs", "b mac 2 1 resent"]);
    expect(pair.b.core.tables.drifted).toBe(1);
  });

  it("M49: an entry that nobody said is swept, also in a VLAN of which the peer has nothing to say", () => {
    const pair = knowing(1, 10);
    const bogus = (vlan: number) => {
      const none = { mine: undefined, placed: undefined, lent: undefined, moves: [], round: 0 };
      return { vlan, mac: station(999), hash: vlan, theirs: { id: 1, permanent: false, sequence: 5 }, ...none };
    };
    pair.do("b", ({ tables }) => {
      for (const vlan of [1, 7]) tables.mac.entries.set(`${vlan} ${station(999)}`, bogus(vlan));
      tables.mac.theirs += 2;
    });
    pair.after(30);
    equal(pair);
    expect(pair.b.core.tables.drifted).toBe(2);
  });

  it.each([
    ["M-LAG id", { id: 2 }],
    ["sequence", { sequence: 1 }],
    ["permanence", { permanent: true }],
  ] as const)("M49: a station with another %s is found", (_what, change) => {
    const pair = knowing(1, 10);
    pair.do("b", ({ tables }) => {
      const entry = tables.mac.entries.get(`1 ${station(3)}`);
      if (entry?.theirs !== undefined) entry.theirs = { ...entry.theirs, ...change };
    });
    expect(claims(pair.b.core, "theirs")).not.toEqual(claims(pair.a.core, "mine"));
    equal(pair.after(30));
  });

  it("M49: a neighbour with another MAC is found, and the IP stack is told", () => {
    const pair = new Pair().boot().until(10);
    const event = { type: "ip.neighbour", port: "vlan1", address: ip("10.0.0.9"), present: true } as const;
    pair.do("a", (state) => heardNeighbour(state, { ...event, mac: station(1) })).after(1);
    pair.do("b", ({ tables }) => {
      const entry = tables.arp.entries.get("1 10.0.0.9");
      if (entry?.theirs !== undefined) {
        entry.theirs = { ...entry.theirs, mac: station(2) };
        entry.offered = station(2);
      }
    });
    pair.b.offered.set("vlan1 10.0.0.9", station(2));
    equal(pair.after(30));
    expect(pair.b.offered.get("vlan1 10.0.0.9")).toBe(station(1));
  });

  it("a synchronisation that comes in short is noticed by its counts and asked for again", () => {
    const pair = knowing(1, 10).setPeerLink(false).after(1);
    let cut = false;
    pair.passes = (item) => {
      if (item.kind !== "macs" || cut || item.entries.length < 10) return true;
      cut = true;
      return false;
    };
    pair.setPeerLink(true).after(1);
    equal(pair);
    expect(pair.story("mlag.drift", 11).map((line) => line.replace(/^\S+ /, ""))).toEqual([
      "b mac 0 10 count-differs",
      "b mac 0 10 resent",
    ]);
  });
});

describe("no difference", () => {
  it("M49: none is found while stations come, move and go all the time, whatever is on its way", () => {
    const pair = knowing(1, 500);
    const crossed = crossing(pair);
    for (let i = 0; i < 3_000; i++) {
      const side = i % 3 === 0 ? "b" : "a";
      pair.do(side, (state, now) => {
        heardHere(state, { ...learned(1, i % 700), port: i % 2 === 0 ? "agg1" : "agg2", type: "mac.moved" }, now);
        if (i % 5 === 0) heardHere(state, { ...learned(1, (i * 7) % 700), type: "mac.aged", reason: "ageing" }, now);
      });
      pair.after(0.02);
    }
    expect(crossed.digests).toBeGreaterThan(16);
    expect(crossed.asked).toEqual([]);
    pair.after(0.1);
    equal(pair);
  });

  it("M43: 4000 VLANs with ten stations each cost a digest for each VLAN", () => {
    const pair = knowing(4_000, 10);
    const crossed = crossing(pair);
    equal(pair);
    pair.after(26);
    expect([crossed.digests, crossed.asked.length]).toEqual([4_000 + 6, 0]);
  });

  it("M49: the time between two audits leaves a second and more for the way of what they find", () => {
    expect(AUDIT_INTERVAL).toBeLessThanOrEqual(29_000_000);
    expect(instant(0) + AUDIT_INTERVAL).toBeGreaterThan(0);
  });

  it("what the peer asks for while its own tables are coming in does not disturb them", () => {
    const pair = knowing(1, 10);
    const entries = [...pair.a.core.tables.mac.entries.values()].map((entry) => itemOf(pair.a.core, entry, 0));
    pair.do("b", (state, now) => {
      const ask = { kind: "repair", table: "mac", vlan: 0, buckets: [] } as const;
      const end = { kind: "syncEnd", sync: 9, macs: entries.length, arps: 0, nds: 0 } as const;
      for (const item of [{ kind: "syncBegin", sync: 9 } as const, { kind: "macs", entries } as const, ask, end]) {
        heardItems(state, [item], now);
      }
    });
    equal(pair);
    expect(claims(pair.b.core, "theirs")).toHaveLength(10);
  });

  it("a question for what nobody has is answered with nothing", () => {
    const pair = knowing(1, 3);
    const ends: Item[] = [];
    pair.passes = (item) => {
      if (item.kind === "syncEnd") ends.push(item);
      return true;
    };
    const ask = { kind: "repair", table: "nd", vlan: 9, buckets: [1] } as const;
    pair.do("b", (state) => state.tells.push(ask)).after(0.1);
    expect(ends.map((item) => item.kind === "syncEnd" && item.nds)).toEqual([0]);
    expect(mac("02:aa:00:00:00:03")).toBe(station(3));
  });
});
