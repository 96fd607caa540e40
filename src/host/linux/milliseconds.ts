/** Durations as timers of Node.js want them. */
import type { Duration } from "../../core/time.ts";

/** What a timer can hold; beyond, Node.js would ring at once. */
const LONGEST = 2 ** 31 - 1;

/** Rounded up, `least`…25 days. */
export function milliseconds(duration: Duration, least = 0): number {
  return Math.min(LONGEST, Math.max(least, Math.ceil(duration / 1_000)));
}
