/** The wall clock beside the one that nobody sets: machines are told what it shows, and again when it was set. */
import type { HostClock } from "../../core/clock.ts";
import type { Instant } from "../../core/time.ts";

/** From here on, in microseconds, it was set. Both clocks are slewed alike, and read one after the other. */
const STEP = 50_000;

export class WallClock {
  private utc = Number.NaN;

  /** @param read milliseconds since 1970 */
  constructor(private readonly read: () => number = Date.now) {}

  /** What is to be told at `now`; undefined while the clocks go on together. */
  news(now: Instant): HostClock | undefined {
    const utc = this.read() * 1_000 - now;
    if (Math.abs(utc - this.utc) < STEP) return undefined;
    this.utc = utc;
    return { type: "host.clock", utc };
  }
}
