import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FIXED, FULL, HEARD_TOO, MacTable, NEVER_HEARD, NONE, type Station } from "../../../protocols/bridge/table.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { hashMac } from "../../../src/core/frame.ts";

interface Entry {
  readonly port: number;
  /** Undefined for what only the peer has. */
  readonly heard: number | undefined;
  readonly peer: boolean;
}

const macOf = (hi: number, lo: number) =>
  Uint8Array.of(hi >>> 8, hi & 0xff, lo >>> 24, (lo >>> 16) & 0xff, (lo >>> 8) & 0xff, lo & 0xff);

/** What the table promises, in the plainest way: a map. */
class Model {
  readonly entries = new Map<string, Entry>();
  readonly own = new Map<string, number>();
  readonly table: MacTable;
  private readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
    this.table = new MacTable(limit);
  }

  pin(vlan: number, hi: number, lo: number, port: number): void {
    this.own.set(`${vlan} ${macFrom(macOf(hi, lo))}`, port);
    this.table.pin(vlan, macOf(hi, lo), port);
  }

  learn(vlan: number, hi: number, lo: number, port: number, now: number): void {
    const key = `${vlan} ${macFrom(macOf(hi, lo))}`;
    const pinned = this.own.get(key);
    const known = this.entries.get(key);
    let expected = known?.port ?? NONE;
    if (pinned !== undefined) expected = pinned === port ? port : FIXED;
    else if (known === undefined && this.entries.size >= this.limit) expected = FULL;
    else {
      if (known?.port === port && known.heard === undefined) expected = HEARD_TOO;
      this.entries.set(key, { port, heard: now, peer: known?.port === port && known.peer });
    }
    expect(this.table.learn(vlan, hi, lo, hashMac(hi, lo), port, now)).toBe(expected);
  }

  find(vlan: number, hi: number, lo: number): void {
    const key = `${vlan} ${macFrom(macOf(hi, lo))}`;
    const expected = this.own.get(key) ?? this.entries.get(key)?.port ?? NONE;
    expect(this.table.find(vlan, hi, lo, hashMac(hi, lo))).toBe(expected);
  }

  place(vlan: number, hi: number, lo: number, port: number): void {
    const key = `${vlan} ${macFrom(macOf(hi, lo))}`;
    const known = this.entries.get(key);
    let expected = known?.port ?? NONE;
    if (this.own.has(key)) expected = FIXED;
    else if (known === undefined && this.entries.size >= this.limit) expected = FULL;
    else this.entries.set(key, { port, heard: known?.port === port ? known.heard : undefined, peer: true });
    expect(this.table.place(vlan, macOf(hi, lo), port)).toBe(expected);
  }

  withdraw(vlan: number, hi: number, lo: number): void {
    const key = `${vlan} ${macFrom(macOf(hi, lo))}`;
    const known = this.entries.get(key);
    expect(this.table.withdraw(vlan, macOf(hi, lo))).toBe(known?.peer === true ? known.port : NONE);
    if (known?.peer !== true) return;
    if (known.heard === undefined) this.entries.delete(key);
    else this.entries.set(key, { ...known, peer: false });
  }

  adopt(now: number): void {
    const foreign = [...this.entries].filter(([, { heard }]) => heard === undefined).map(([key]) => key);
    for (const [key, { port, heard }] of this.entries)
      this.entries.set(key, { port, heard: heard ?? now, peer: false });
    const taken = this.table.adopt(now).map(({ vlan, mac }) => `${vlan} ${mac}`);
    expect(taken.sort()).toEqual(foreign.sort());
  }

  age(now: number, limit: number): void {
    const expected = [...this.entries].filter(([, { heard }]) => heard !== undefined && now - heard >= limit);
    for (const [key, entry] of expected) {
      if (entry.peer) this.entries.set(key, { ...entry, heard: undefined });
      else this.entries.delete(key);
    }
    this.took(
      this.table.age(now, (age) => age >= limit),
      expected,
    );
  }

  flush(now: number, port: number): void {
    const expected = [...this.entries].filter(([, entry]) => entry.port === port);
    for (const [key] of expected) this.entries.delete(key);
    this.took(
      this.table.remove(now, (behind) => behind === port),
      expected,
    );
  }

  private took(stations: readonly Station[], expected: readonly (readonly [string, Entry])[]): void {
    const taken = stations.map(({ vlan, mac, port, local, peer }) => `${vlan} ${mac} ${port} ${local} ${peer}`);
    expect(taken.sort()).toEqual(
      expected.map(([key, { port, heard, peer }]) => `${key} ${port} ${heard !== undefined} ${peer}`).sort(),
    );
    const oldest = Math.min(NEVER_HEARD, ...[...this.entries.values()].map(({ heard }) => heard ?? NEVER_HEARD));
    expect(this.table.oldest).toBe(oldest);
  }

  same(now: number): void {
    const found = [...this.table.entries(now)].map(({ vlan, mac, port, age, fixed, local, peer }) =>
      fixed ? `${vlan} ${mac} ${port} own` : `${vlan} ${mac} ${port} ${local ? now - age : "-"} ${peer}`,
    );
    const expected = [
      ...[...this.own].map(([key, port]) => `${key} ${port} own`),
      ...[...this.entries].map(([key, { port, heard, peer }]) => `${key} ${port} ${heard ?? "-"} ${peer}`),
    ];
    expect(found.sort()).toEqual(expected.sort());
    expect(this.table.count).toBe(expected.length);
  }
}

const vlan = fc.constantFrom(1, 2, 10, 4094);
const hi = fc.constantFrom(0, 0x0200, 0xfe00, 0xffff);
const lo = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom(-1, 0x7fffffff, -0x80000000, 0x01000000));
const port = fc.integer({ min: 0, max: 4 });

const op = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("learn" as const), vlan, hi, lo, port, wait: fc.nat(500) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("find" as const), vlan, hi, lo }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("place" as const), vlan, hi, lo, port }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("withdraw" as const), vlan, hi, lo }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("adopt" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("age" as const), limit: fc.nat(2_000) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("flush" as const), port }) },
);

describe("the filtering database is a map of (VLAN, address) to port", () => {
  it.each([0, 2 ** 30 - 1_000, 2 ** 31 - 5_000, 2 ** 32 - 5_000, 1e12])(
    "for any mixture of learning, placing, withdrawing, ageing and flushing from %d ms on",
    (start) => {
      fc.assert(
        fc.property(fc.constantFrom(5, 1_000), fc.array(op, { maxLength: 150 }), (limit, ops) => {
          const model = new Model(limit);
          model.pin(10, 0x0200, 5, 3);
          model.pin(1, 0x0200, 5, 4);
          let now = start;
          for (const one of ops) {
            if (one.op === "learn") {
              now += one.wait;
              model.learn(one.vlan, one.hi, one.lo, one.port, now);
            } else if (one.op === "find") model.find(one.vlan, one.hi, one.lo);
            else if (one.op === "place") model.place(one.vlan, one.hi, one.lo, one.port);
            else if (one.op === "withdraw") model.withdraw(one.vlan, one.hi, one.lo);
            else if (one.op === "adopt") model.adopt(now);
            else if (one.op === "age") model.age(now, one.limit);
            else model.flush(now, one.port);
          }
          model.same(now);
        }),
      );
    },
  );

  it("for 20,000 addresses in three VLANs, through every growth", () => {
    const model = new Model(100_000);
    for (let i = 0; i < 20_000; i++) model.learn(1 + (i % 3), 0x0200, i * 7, i % 8, i);
    model.flush(20_000, 3);
    for (let i = 0; i < 20_000; i += 3) model.withdraw(1 + (i % 3), 0x0200, i * 7);
    for (let i = 0; i < 3_000; i++) model.place(1, 0x0200, i, 4);
    for (let i = 0; i < 3_000; i += 2) model.withdraw(1, 0x0200, i);
    for (let i = 0; i < 20_100; i++) model.find(1 + (i % 3), 0x0200, i * 7);
    model.same(20_000);
  });

  it("an address that is pinned twice is one entry", () => {
    const table = new MacTable(16);
    table.pin(10, macOf(0x0200, 1), 2);
    table.pin(10, macOf(0x0200, 1), 2);
    expect([table.count, table.oldest]).toEqual([1, NEVER_HEARD]);
  });
});
