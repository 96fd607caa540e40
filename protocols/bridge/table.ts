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
/** What `learn` says when the address is where the M-LAG peer said it is, and was not heard here before. */
export const HEARD_TOO = -4;
/** `oldest` of a table in which nothing can age. */
export const NEVER_HEARD = Number.POSITIVE_INFINITY;
/** In an entry's stamp: it neither ages nor moves. */
const STATIC = 1;

/** In an entry's port word: the port index + 1. A node has far fewer ports. */
const PORT = 0xff_ffff;
/** In an entry's port word: the M-LAG peer has the address, so it does not age out here. */
const PEER = 1 << 24;
/** In an entry's port word: only the peer has it; its stamp means nothing. */
const FOREIGN = 1 << 25;

const WORDS = 4;
const FIRST_SIZE = 256;

export interface Station {
  readonly vlan: number;
  readonly mac: Mac;
  readonly port: number;
  /** Whether this switch has heard it, and whether its M-LAG peer said that it has it: one of them at least. */
  readonly local: boolean;
  readonly peer: boolean;
}

/**
 * Time is in milliseconds since any start, without end: an entry keeps its last 31 bits, so that ages below 2^30 ms
 * (12 days) are right. Whoever lets entries live that long takes them out by `remove`.
 */
export class MacTable {
  /** Learned entries, and the switch's own. */
  count = 0;
  private own = 0;
  /** Per entry: address octets 2–5; octets 0–1 and the VLAN; port and flags, 0 for an empty place; 2 × last heard. */
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
      if (words[word] === lo && words[word + 1] === key) return (port & PORT) - 1;
      at = (at + 1) & mask;
    }
  }

  /**
   * Notes that the address was heard on the port at `now` (ms).
   * @returns the port index it was behind before; NONE when it is new; FULL when there is no room for it; FIXED for the
   * switch's own; HEARD_TOO where only the peer had it, behind this port.
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
        this.insert(vlan, hi, lo, hash, port + 1, now << 1);
        if (now < this.oldest) this.oldest = now;
        return NONE;
      }
      if (words[word] === lo && words[word + 1] === key) {
        if (((words[word + 3] as number) & STATIC) !== 0) return known - 1 === port ? port : FIXED;
        words[word + 3] = now << 1;
        return (known & ~PEER) - 1 === port ? port : this.relocate(word, known, port, now);
      }
      at = (at + 1) & mask;
    }
  }

  /** An address was heard where the table did not have it, or where only the peer had it. */
  private relocate(word: number, known: number, port: number, now: number): number {
    if (now < this.oldest) this.oldest = now;
    const same = (known & PORT) - 1 === port;
    // Behind another port the peer's word is out of date: it will hear of the move.
    this.words[word + 2] = same ? (port + 1) | PEER : port + 1;
    return same ? HEARD_TOO : (known & PORT) - 1;
  }

  /**
   * The M-LAG peer has the address, which is behind `port` from here; what was heard behind another port is forgotten.
   * @returns what `learn` would; `port` for one that was known there, whoever knew it
   */
  place(vlan: number, mac: Uint8Array, port: number): number {
    const [hi, lo] = halves(mac);
    const hash = hashMac(hi, lo);
    const at = this.locate(vlan, hi, lo, hash);
    if (at === NONE) {
      if (this.count - this.own >= this.limit) return FULL;
      this.insert(vlan, hi, lo, hash, (port + 1) | PEER | FOREIGN, 0);
      return NONE;
    }
    const word = at * WORDS;
    const known = this.words[word + 2] as number;
    if (((this.words[word + 3] as number) & STATIC) !== 0) return FIXED;
    const before = (known & PORT) - 1;
    this.words[word + 2] = before === port ? known | PEER : (port + 1) | PEER | FOREIGN;
    return before;
  }

  /** The M-LAG peer no longer has the address. @returns the port it was placed behind, or NONE when it was not placed. */
  withdraw(vlan: number, mac: Uint8Array): number {
    const [hi, lo] = halves(mac);
    const at = this.locate(vlan, hi, lo, hashMac(hi, lo));
    if (at === NONE) return NONE;
    const known = this.words[at * WORDS + 2] as number;
    if ((known & PEER) === 0) return NONE;
    if ((known & FOREIGN) !== 0) this.erase(at);
    else this.words[at * WORDS + 2] = known & PORT;
    return (known & PORT) - 1;
  }

  /** Takes over what only the peer had, as if it were heard now, and forgets who had what else. */
  adopt(now: number): Station[] {
    const taken: Station[] = [];
    const { words } = this;
    for (let word = 0; word < words.length; word += WORDS) {
      const known = words[word + 2] as number;
      if ((known & PEER) === 0) continue;
      words[word + 2] = known & PORT;
      if ((known & FOREIGN) === 0) continue;
      words[word + 3] = now << 1;
      if (now < this.oldest) this.oldest = now;
      taken.push(this.station(words, word));
    }
    return taken;
  }

  /** Whether it is an address of the switch itself, behind another port than this. */
  isOwnElsewhere(vlan: number, hi: number, lo: number, hash: number, port: number): boolean {
    const at = this.locate(vlan, hi, lo, hash);
    if (at === NONE || ((this.words[at * WORDS + 3] as number) & STATIC) === 0) return false;
    return ((this.words[at * WORDS + 2] as number) & PORT) - 1 !== port;
  }

  /** An entry that neither ages nor moves: the switch's own address, pinned before anything is learned. */
  pin(vlan: number, mac: Uint8Array, port: number): void {
    const [hi, lo] = halves(mac);
    const hash = hashMac(hi, lo);
    if (this.find(vlan, hi, lo, hash) !== NONE) return;
    this.insert(vlan, hi, lo, hash, port + 1, STATIC);
    this.own++;
  }

  /**
   * Takes out what was heard here and `gone` says (by age in ms, port and VLAN). What the peer has, too, stays as the peer's.
   * @returns what was taken or left to the peer, in table order
   */
  age(now: number, gone: (age: number, port: number, vlan: number) => boolean): Station[] {
    const taken: Station[] = [];
    this.sift(now, (word, words, age) => {
      const known = words[word + 2] as number;
      const vlan = (words[word + 1] as number) >>> 16;
      if ((known & FOREIGN) !== 0 || !gone(age, (known & PORT) - 1, vlan)) return true;
      taken.push(this.station(words, word));
      words[word + 2] = known | FOREIGN;
      return (known & PEER) !== 0;
    });
    return taken;
  }

  /** Takes out what `gone` says (by port and age in ms), whoever has it; gives what was taken, in table order. */
  remove(now: number, gone: (port: number, age: number) => boolean): Station[] {
    const taken: Station[] = [];
    this.sift(now, (word, words, age) => {
      if (!gone(((words[word + 2] as number) & PORT) - 1, age)) return true;
      taken.push(this.station(words, word));
      return false;
    });
    return taken;
  }

  /** Takes out what `keep` does not keep (by its word), and notes the age of the eldest that is left. */
  private sift(now: number, keep: (word: number, words: Int32Array, age: number) => boolean): void {
    const { words } = this;
    let first = NEVER_HEARD;
    for (let at = 0; at <= this.mask; ) {
      const word = at * WORDS;
      const stamp = words[word + 3] as number;
      if (words[word + 2] === 0 || (stamp & STATIC) !== 0) {
        at++;
        continue;
      }
      const age = ageOf(stamp, now);
      if (!keep(word, words, age)) {
        // What closes the gap is looked at next. Across the table's end that may be what was kept before: it is again.
        this.erase(at);
        continue;
      }
      if (((words[word + 2] as number) & FOREIGN) === 0 && now - age < first) first = now - age;
      at++;
    }
    this.oldest = first;
  }

  /** When the entry longest unheard was heard (ms), as of the last `remove` or `age`; NEVER_HEARD for no ageing entry. */
  oldest = NEVER_HEARD;

  /** All entries, in table order. `age` is that of `now`, in ms; 0 for the switch's own. */
  *entries(now: number): Generator<Station & { readonly age: number; readonly fixed: boolean }> {
    for (let word = 0; word < this.words.length; word += WORDS) {
      if (this.words[word + 2] === 0) continue;
      const stamp = this.words[word + 3] as number;
      const fixed = (stamp & STATIC) !== 0;
      const station = this.station(this.words, word);
      yield { ...station, age: fixed || !station.local ? 0 : ageOf(stamp, now), fixed };
    }
  }

  private station(words: Int32Array, word: number): Station {
    const key = words[word + 1] as number;
    const known = words[word + 2] as number;
    return {
      vlan: key >>> 16,
      mac: macOf(key & 0xffff, words[word] as number),
      port: (known & PORT) - 1,
      local: (known & FOREIGN) === 0,
      peer: (known & PEER) !== 0,
    };
  }

  private locate(vlan: number, hi: number, lo: number, hash: number): number {
    const { words, mask } = this;
    const key = hi | (vlan << 16);
    let at = (hash ^ Math.imul(vlan, 0x9e3779b1)) & mask;
    while (words[at * WORDS + 2] !== 0) {
      if (words[at * WORDS] === lo && words[at * WORDS + 1] === key) return at;
      at = (at + 1) & mask;
    }
    return NONE;
  }

  /** Closes the gap behind an entry, so that no search ends too early (Knuth, TAOCP 3, algorithm 6.4 R). */
  private erase(at: number): void {
    const { words, mask } = this;
    let hole = at;
    for (let next = (at + 1) & mask; words[next * WORDS + 2] !== 0; next = (next + 1) & mask) {
      const key = words[next * WORDS + 1] as number;
      const hash = hashMac(key & 0xffff, words[next * WORDS] as number);
      const home = (hash ^ Math.imul(key >>> 16, 0x9e3779b1)) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      words.copyWithin(hole * WORDS, next * WORDS, (next + 1) * WORDS);
      hole = next;
    }
    words.fill(0, hole * WORDS, (hole + 1) * WORDS);
    this.count--;
  }

  private insert(vlan: number, hi: number, lo: number, hash: number, known: number, stamp: number): void {
    if ((this.count + 1) * 2 > this.mask + 1) this.grow();
    const { words, mask } = this;
    let at = (hash ^ Math.imul(vlan, 0x9e3779b1)) & mask;
    while (words[at * WORDS + 2] !== 0) at = (at + 1) & mask;
    const word = at * WORDS;
    words[word] = lo;
    words[word + 1] = hi | (vlan << 16);
    words[word + 2] = known;
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

function halves(mac: Uint8Array): readonly [number, number] {
  const hi = ((mac[0] ?? 0) << 8) | (mac[1] ?? 0);
  return [hi, ((mac[2] ?? 0) << 24) | ((mac[3] ?? 0) << 16) | ((mac[4] ?? 0) << 8) | (mac[5] ?? 0)];
}

/** Exact while it is below 2^30 ms. */
function ageOf(stamp: number, now: number): number {
  return (((now << 1) - stamp) | 0) >> 1;
}

function macOf(hi: number, lo: number): Mac {
  return macFrom(Uint8Array.of(hi >>> 8, hi & 0xff, lo >>> 24, (lo >>> 16) & 0xff, (lo >>> 8) & 0xff, lo & 0xff));
}
