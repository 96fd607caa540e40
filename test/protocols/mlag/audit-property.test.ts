/** Whatever happens to the tables of a pair, in whatever order: M41, M42, M46, M49, M50. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { heardNeighbour } from "../../../protocols/mlag/neighbours.ts";
import type { MlagState } from "../../../protocols/mlag/state.ts";
import { mac } from "../../support/probe.ts";
import { ip } from "../iccp/bench.ts";
import { type Name, Pair } from "./pair.ts";
import { claims, counted, differences } from "./shared.ts";
import type { Side } from "./side.ts";

const name = fc.constantFrom<Name>("a", "b");
const wait = fc.constantFrom(0, 0.0003, 0.0006, 0.01, 0.5, 5, 31);
const station = fc.constantFrom("02:aa:00:00:00:01", "02:aa:00:00:00:02", "02:aa:00:00:00:03", "02:aa:00:00:00:04");
const port = fc.constantFrom("agg1", "agg2", "orphan");
const address = fc.constantFrom("10.0.0.1", "10.0.0.2", "2001:db8::1");

const op = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("speak" as const), name, port, station }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("neighbour" as const), name, address, station, present: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("peer-link" as const), up: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("break" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("power" as const), name, up: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("inject" as const),
      name,
      table: fc.constantFrom("mac", "arp", "nd"),
      how: fc.constantFrom("lose", "make", "change"),
    }),
  },
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

/** A memory error, or a defect: what a side holds of the other is no longer what the other has said. */
function inject({ tables }: MlagState, table: "mac" | "arp" | "nd", how: "lose" | "make" | "change"): void {
  const held = [...tables[table].entries].find(([, { theirs }]) => theirs !== undefined);
  if (how === "make") {
    if (table === "mac") {
      const theirs = { id: 1, permanent: false, sequence: 7 };
      const none = { mine: undefined, placed: undefined, lent: undefined, moves: [], round: 0 };
      const bogus = { vlan: 1, mac: mac("02:bb:00:00:00:01"), hash: 99, theirs, ...none };
      if (!tables.mac.entries.has("1 02:bb:00:00:00:01")) {
        tables.mac.entries.set("1 02:bb:00:00:00:01", bogus);
        tables.mac.theirs++;
      }
    }
    return;
  }
  if (held === undefined) return;
  const [, entry] = held;
  if (how === "lose") {
    entry.theirs = undefined;
    tables[table].theirs--;
  } else if ("placed" in entry && entry.theirs !== undefined) {
    entry.theirs = { ...entry.theirs, permanent: !entry.theirs.permanent };
  } else if ("offered" in entry && entry.theirs !== undefined) {
    entry.theirs = { ...entry.theirs, mac: mac("02:bb:00:00:00:02") };
  }
}

function apply(pair: Pair, one: Op): void {
  const side = "name" in one ? pair.side(one.name) : undefined;
  switch (one.kind) {
    case "speak":
      if (one.port === "orphan" || side?.bundles.get(Number(one.port.slice(3)))?.up === true) {
        pair.speak(one.name, one.port, one.station);
      }
      break;
    case "neighbour":
      if (side?.alive !== true) break;
      pair.do(one.name, (state) =>
        heardNeighbour(state, {
          type: "ip.neighbour",
          port: "vlan1",
          address: ip(one.address),
          mac: mac(one.station),
          present: one.present,
        }),
      );
      break;
    case "peer-link":
      pair.setPeerLink(one.up);
      break;
    case "break":
      pair.breakSession();
      break;
    case "power":
      pair.power(one.name, one.up);
      break;
    case "inject":
      if (side?.alive === true && side.core.session) inject(side.core, one.table, one.how);
  }
}

function heardHere({ core: { tables } }: Side, address: string): boolean {
  const table = address.includes(":") ? tables.nd : tables.arp;
  return table.entries.get(`1 ${address}`)?.mine !== undefined;
}

/** What a side's IP stack has of the peer: what it was told, but for what it has heard itself. */
function stack(side: Side): string[] {
  return [...side.offered]
    .filter(([where]) => !heardHere(side, where.slice("vlan1 ".length)))
    .map(([where, what]) => `${where} ${what}`)
    .sort();
}

/** What it should have. */
function rest(side: Side, other: Side): string[] {
  const { arp, nd } = other.core.tables;
  return [...arp.entries.values(), ...nd.entries.values()]
    .filter(({ address, mine }) => mine !== undefined && !heardHere(side, address))
    .map(({ address, mine }) => `vlan1 ${address} ${mine?.mac}`)
    .sort();
}

describe("for any forty words, ageings, losses of the session or of a switch, and errors in a table", () => {
  it("M41, M42, M46, M49, M50: each peer holds exactly what the other says, and both bridges agree", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ one: op, wait }), { maxLength: 40 }), fc.constantFrom(0, 300), (ops, apart) => {
        const pair = new Pair({ both: { "restore-delay": "0s", "auto-recovery": "5s" } }).boot().until(10);
        pair.apart = apart;
        for (const { one, wait: seconds } of ops) {
          apply(pair, one);
          pair.after(seconds);
        }
        pair.setPeerLink(true).power("a", true).power("b", true);
        // Two audits, and not on the round second: what has aged would be on its way.
        pair.after(52.137);
        const { a, b } = pair;
        expect(claims(b.core, "theirs")).toEqual(claims(a.core, "mine"));
        expect(claims(a.core, "theirs")).toEqual(claims(b.core, "mine"));
        expect([counted(a.core), counted(b.core)]).toEqual([true, true]);
        expect(differences(pair)).toEqual([]);
        expect([stack(a), stack(b)]).toEqual([rest(a, b), rest(b, a)]);
      }),
      { numRuns: 400 },
    );
  });
});
