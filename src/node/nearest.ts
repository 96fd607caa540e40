/** "Did you mean": the one of a few known words that was most likely meant. */

/** Words longer than this are not compared: a typing error is short. */
const LONGEST = 40;

/** The known word nearest to `word`, if a typing error or another spelling explains the difference. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const plain = flatten(word);
  if (plain === "" || plain.length > LONGEST) return undefined;
  let best: string | undefined;
  // Of a word of one or two letters every other one is near.
  let bestDistance = Math.floor(plain.length / 3) + 1;
  for (const candidate of known) {
    const other = flatten(candidate);
    if (other.length > LONGEST || Math.abs(other.length - plain.length) >= bestDistance) continue;
    const distance = editDistance(plain, other);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` (did you mean "vrid"?)`, or nothing. */
export function didYouMean(word: unknown, known: Iterable<string>): string {
  const guess = typeof word === "string" ? nearest(word, known) : undefined;
  return guess === undefined ? "" : ` (did you mean "${guess}"?)`;
}

function flatten(word: string): string {
  return word.toLowerCase().replaceAll(/[-_ ]/g, "");
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(substitution, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? 0;
}
