/**
 * The filtering database: (VLAN, address) → port, in one typed array with open addressing. An entry is four words that
 * share a cache line; the hash of an address comes with the frame.
 */
import { type Mac, macFrom } from "../../src/core/addr.ts";
import { hashMac } from "../../src/core/frame.ts";

/** No such entry. */
export const NONE = -1;
/** What `learn` says when the table has its most entries. */
export const FULL = -2;
/** What `learn` says when the address is the switch's own and was heard elsewhere. */
export const FIXED = -3;
/** `oldest` of a table in which nothing can age. */
export const NEVER_HEARD = Number.POSITIVE_INFINITY;
/** In an entry's stamp: it neither ages nor moves. */
const STATIC = 1;

const WORDS = 4;
const FIRST_SIZE = 256;

export interface Station {
  readonly vlan: number;
  readonly mac: Mac;
  readonly port: number;
}

/**
 * Time is in milliseconds since any start, without end: an entry keeps its last 31 bits, so that ages below 2^30 ms
 * (12 days) are right. Whoever lets entries live that long takes them out by `remove`.
 */
export class MacTable {
  /** Learned entries, and the switch's own. */
  count = 0;
  private own = 0;
  /** Per entry: address octets 2–5; octets 0–1 and the VLAN; port index + 1, 0 for an empty place; 2 × last heard. */
  private words = new Int32Array(FIRST_SIZE * WORDS);
  private mask = FIRST_SIZE - 1;
  private readonly limit: number;

  /** @param limit learned entries; the switch's own have room always */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** The port index behind which the address is; NONE when it is unknown. */
  find(vlan: number, hi: number, lo: number, hash: number): number {
    const { words, mask } = this;
    const key = hi | (vlan << 16);
    let at = (hash ^ Math.imul(vlan, 0x9e3779b1)) & mask;
    for (;;) {
      const word = at * WORDS;
      const port = words[word + 2] as number;
      if (port === 0) return NONE;
      if (words[word] === lo && words[word + 1] === key) return port - 1;
      at = (at + 1) & mask;
    }
  }

  /**
   * Notes that the address was heard on the port at `now` (ms).
   * @returns the port index it was behind before; NONE when it is new; FULL when there is no room for it.
   */
  learn(vlan: number, hi: number, lo: number, hash: number, port: number, now: number): number {
    const { words, mask } = this;
    const key = hi | (vlan << 16);
    let at = (hash ^ Math.imul(vlan, 0x9e3779b1)) & mask;
    for (;;) {
      const word = at * WORDS;
      const known = words[word + 2] as number;
      if (known === 0) {
        if (this.count - this.own >= this.limit) return FULL;
        this.insert(vlan, hi, lo, hash, port, now << 1);
        if (now < this.oldest) this.oldest = now;
        return NONE;
      }
      if (words[word] === lo && words[word + 1] === key) {
        if (((words[word + 3] as number) & STATIC) !== 0) return known - 1 === port ? port : FIXED;
        words[word + 3] = now << 1;
        if (known - 1 !== port) words[word + 2] = port + 1;
        return known - 1;
      }
      at = (at + 1) & mask;
    }
  }

  /** An entry that neither ages nor moves: the switch's own address, pinned before anything is learned. */
  pin(vlan: number, mac: Uint8Array, port: number): void {
    const hi = ((mac[0] ?? 0) << 8) | (mac[1] ?? 0);
    const lo = ((mac[2] ?? 0) << 24) | ((mac[3] ?? 0) << 16) | ((mac[4] ?? 0) << 8) | (mac[5] ?? 0);
    const hash = hashMac(hi, lo);
    if (this.find(vlan, hi, lo, hash) !== NONE) return;
    this.insert(vlan, hi, lo, hash, port, STATIC);
    this.own++;
  }

  /** Takes out what `gone` says (by port and age in ms); gives what was taken, in table order. */
  remove(now: number, gone: (port: number, age: number) => boolean): Station[] {
    const taken: Station[] = [];
    const old = this.words;
    let first = NEVER_HEARD;
    this.words = new Int32Array(old.length);
    this.count = 0;
    for (let word = 0; word < old.length; word += WORDS) {
      const port = (old[word + 2] as number) - 1;
      if (port < 0) continue;
      const lo = old[word] as number;
      const key = old[word + 1] as number;
      const stamp = old[word + 3] as number;
      const vlan = key >>> 16;
      const fixed = (stamp & STATIC) !== 0;
      const age = ageOf(stamp, now);
      if (!fixed && gone(port, age)) {
        taken.push({ vlan, mac: macOf(key & 0xffff, lo), port });
      } else {
        if (!fixed && now - age < first) first = now - age;
        this.insert(vlan, key & 0xffff, lo, hashMac(key & 0xffff, lo), port, stamp);
      }
    }
    this.oldest = first;
    return taken;
  }

  /** When the entry longest unheard was heard (ms), as of the last `remove`; NEVER_HEARD for no ageing entry. */
  oldest = NEVER_HEARD;

  /** All entries, in table order. `age` is that of `now`, in ms; 0 for the switch's own. */
  *entries(now: number): Generator<Station & { readonly age: number; readonly fixed: boolean }> {
    for (let word = 0; word < this.words.length; word += WORDS) {
      const port = (this.words[word + 2] as number) - 1;
      if (port < 0) continue;
      const key = this.words[word + 1] as number;
      const stamp = this.words[word + 3] as number;
      const fixed = (stamp & STATIC) !== 0;
      yield {
        vlan: key >>> 16,
        mac: macOf(key & 0xffff, this.words[word] as number),
        port,
        age: fixed ? 0 : ageOf(stamp, now),
        fixed,
      };
    }
  }

  private insert(vlan: number, hi: number, lo: number, hash: number, port: number, stamp: number): void {
    if ((this.count + 1) * 2 > this.mask + 1) this.grow();
    const { words, mask } = this;
    let at = (hash ^ Math.imul(vlan, 0x9e3779b1)) & mask;
    while (words[at * WORDS + 2] !== 0) at = (at + 1) & mask;
    const word = at * WORDS;
    words[word] = lo;
    words[word + 1] = hi | (vlan << 16);
    words[word + 2] = port + 1;
    words[word + 3] = stamp;
    this.count++;
  }

  private grow(): void {
    const old = this.words;
    const size = (this.mask + 1) * 2;
    this.words = new Int32Array(size * WORDS);
    this.mask = size - 1;
    for (let word = 0; word < old.length; word += WORDS) {
      if (old[word + 2] === 0) continue;
      const key = old[word + 1] as number;
      const hash = hashMac(key & 0xffff, old[word] as number);
      let at = (hash ^ Math.imul(key >>> 16, 0x9e3779b1)) & this.mask;
      while (this.words[at * WORDS + 2] !== 0) at = (at + 1) & this.mask;
      this.words.set(old.subarray(word, word + WORDS), at * WORDS);
    }
  }
}

/** Exact while it is below 2^30 ms. */
function ageOf(stamp: number, now: number): number {
  return (((now << 1) - stamp) | 0) >> 1;
}

function macOf(hi: number, lo: number): Mac {
  return macFrom(Uint8Array.of(hi >>> 8, hi & 0xff, lo >>> 24, (lo >>> 16) & 0xff, (lo >>> 8) & 0xff, lo & 0xff));
}
