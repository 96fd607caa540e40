import { describe, expect, it } from "vitest";
import { below, chance, createRng, next32, type Rng } from "../../src/core/rng.ts";

const draws = (rng: Rng, n = 20) => Array.from({ length: n }, () => next32(rng));

describe("a generator", () => {
  it("gives the same draws for the same seed and owner", () => {
    expect(draws(createRng(7, "sw1", "vrrp"))).toEqual(draws(createRng(7, "sw1", "vrrp")));
  });

  it("gives the draws that it always gave: recordings stay valid", () => {
    expect(draws(createRng(1, "link", "peer", "sw1:p1"), 4)).toEqual([2360194781, 1803711014, 205299481, 1435752193]);
  });

  it("is plain data: a copy goes on as the original does", () => {
    const rng = createRng(1, "a");
    draws(rng);
    const copy = JSON.parse(JSON.stringify(rng)) as Rng;
    expect(draws(copy)).toEqual(draws(rng));
  });

  it.each([
    ["another seed", createRng(8, "sw1", "vrrp")],
    ["a seed that differs above 32 bits only", createRng(7 + 2 ** 32, "sw1", "vrrp")],
    ["another node", createRng(7, "sw2", "vrrp")],
    ["another machine", createRng(7, "sw1", "ip")],
    ["the same letters, parted elsewhere", createRng(7, "sw1v", "rrp")],
    ["fewer names", createRng(7, "sw1")],
  ])("of %s has other draws", (_what, other) => {
    const mine = draws(createRng(7, "sw1", "vrrp"), 50);
    expect(draws(other, 50).filter((draw, i) => draw === mine[i])).toEqual([]);
  });

  it("draws unsigned 32-bit integers whose bits are set half of the time", () => {
    const rng = createRng(1, "bits");
    const n = 20_000;
    const set = new Array<number>(32).fill(0);
    for (const draw of draws(rng, n)) {
      expect(draw >= 0 && draw < 2 ** 32 && Number.isInteger(draw)).toBe(true);
      for (let bit = 0; bit < 32; bit++) set[bit] = (set[bit] ?? 0) + ((draw >>> bit) & 1);
    }
    for (const count of set) expect(Math.abs(count - n / 2)).toBeLessThan(5 * Math.sqrt(n / 4));
  });

  it("two owners' draws do not go together", () => {
    const a = createRng(1, "a");
    const b = createRng(1, "b");
    const n = 20_000;
    let same = 0;
    for (let i = 0; i < n; i++) same += (next32(a) ^ next32(b)) & 1;
    expect(Math.abs(same - n / 2)).toBeLessThan(5 * Math.sqrt(n / 4));
  });
});

describe("below", () => {
  it.each([1, 2, 3, 7, 10, 100])("draws every integer of 0 … n-1 equally often, n = %d", (n) => {
    const rng = createRng(2, "below");
    const each = 2_000;
    const counts = new Array<number>(n).fill(0);
    for (let i = 0; i < each * n; i++) {
      const draw = below(rng, n);
      counts[draw] = (counts[draw] ?? 0) + 1;
    }
    expect(counts.length).toBe(n);
    for (const count of counts) expect(Math.abs(count - each)).toBeLessThanOrEqual(5 * Math.sqrt(each));
  });

  it("has no bias for n = 3·2^30, where a plain remainder would draw the lower third twice as often", () => {
    const rng = createRng(3, "bias");
    const n = 12_000;
    let low = 0;
    for (let i = 0; i < n; i++) if (below(rng, 3 * 2 ** 30) < 2 ** 30) low++;
    expect(Math.abs(low - n / 3)).toBeLessThan(5 * Math.sqrt((n * 2) / 9));
  });

  it.each([2 ** 32, 2 ** 32 + 1, 10_000_000_000, 2 ** 53])("reaches up to n = %d and never n", (n) => {
    const rng = createRng(4, "large");
    const all = Array.from({ length: 2_000 }, () => below(rng, n));
    expect(all.every((draw) => Number.isSafeInteger(draw) && draw >= 0 && draw < n)).toBe(true);
    const upper = all.filter((draw) => draw >= n / 2).length;
    expect(Math.abs(upper - 1_000)).toBeLessThan(5 * Math.sqrt(500));
  });

  it.each([0, -1, Number.NaN, 2 ** 54])("there is nothing below %d: a programmer's error, not an endless loop", (n) => {
    expect(() => below(createRng(1, "x"), n)).toThrow("nothing can be drawn");
  });
});

describe("chance", () => {
  it("is never for 0 of n, always for n of n", () => {
    const rng = createRng(5, "chance");
    for (let i = 0; i < 1_000; i++) {
      expect(chance(rng, 0, 10)).toBe(false);
      expect(chance(rng, 10, 10)).toBe(true);
    }
  });

  it.each([
    [1, 10],
    [1, 2],
    [1, 1000],
    [999, 1000],
  ])("is true in %d of %d cases, within five sigma", (numerator, denominator) => {
    const rng = createRng(6, "chance");
    const n = 50_000;
    let hits = 0;
    for (let i = 0; i < n; i++) if (chance(rng, numerator, denominator)) hits++;
    const p = numerator / denominator;
    expect(Math.abs(hits - n * p)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)));
  });
});
