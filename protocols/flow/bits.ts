/** A set of small numbers, one bit each; it grows with the largest. */
export class Bits {
  /** How many are in it. */
  count = 0;
  private words = new Uint32Array(64);

  /** @returns whether it was new */
  add(n: number): boolean {
    const at = n >>> 5;
    if (at >= this.words.length) {
      const grown = new Uint32Array(Math.max(at + 1, 2 * this.words.length));
      grown.set(this.words);
      this.words = grown;
    }
    const bit = 1 << (n & 31);
    const word = this.words[at] ?? 0;
    if ((word & bit) !== 0) return false;
    this.words[at] = word | bit;
    this.count++;
    return true;
  }

  has(n: number): boolean {
    return ((this.words[n >>> 5] ?? 0) & (1 << (n & 31))) !== 0;
  }
}
