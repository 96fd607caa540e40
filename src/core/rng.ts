/**
 * Randomness as data: a generator record that lives in the state of its owner (sfc32, Chris Doty-Humphrey).
 * Seeded by names, so a new node or link changes nobody else's draws.
 */
import { assert } from "./assert.ts";

export interface Rng {
  a: number;
  b: number;
  c: number;
  counter: number;
}

/** A share of cases as two integers: 0 <= numerator <= denominator, denominator 1 … 2^32 (what `chance` draws from). */
export interface Ratio {
  readonly numerator: number;
  readonly denominator: number;
}

/** FNV-1a over the UTF-16 units, 32 bit. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** A generator for one owner: (world seed, node, machine) or (world seed, link, direction). */
export function createRng(seed: number, ...owner: readonly string[]): Rng {
  const rng: Rng = { a: seed >>> 0, b: Math.floor(seed / 2 ** 32) >>> 0, c: hash(owner.join("\u0000")), counter: 1 };
  for (let i = 0; i < 15; i++) next32(rng);
  return rng;
}

/** The next 32 bits, as an unsigned integer. */
export function next32(rng: Rng): number {
  const t = (rng.a + rng.b + rng.counter) | 0;
  rng.counter = (rng.counter + 1) | 0;
  rng.a = rng.b ^ (rng.b >>> 9);
  rng.b = (rng.c + (rng.c << 3)) | 0;
  rng.c = ((rng.c << 21) | (rng.c >>> 11)) + t;
  rng.c |= 0;
  return t >>> 0;
}

/** An integer in 0 … n-1, without bias; n is 1 … 2^53. */
export function below(rng: Rng, n: number): number {
  assert(n >= 1 && Number.isSafeInteger(n - 1), `nothing can be drawn below ${n}`);
  if (n > 2 ** 32) {
    const high = Math.ceil(n / 2 ** 32);
    for (;;) {
      const draw = below(rng, high) * 2 ** 32 + next32(rng);
      if (draw < n) return draw;
    }
  }
  const limit = 2 ** 32 - (2 ** 32 % n);
  for (;;) {
    const draw = next32(rng);
    if (draw < limit) return draw % n;
  }
}

/** True in `numerator` of `denominator` cases: probabilities are ratios of integers, never floats. */
export function chance(rng: Rng, numerator: number, denominator: number): boolean {
  return below(rng, denominator) < numerator;
}
