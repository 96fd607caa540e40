/**
 * The time of a capture as one that never goes back: whole microseconds since the first frame.
 *
 * A frame that is a little earlier than the one before it (several queues or taps, written out of order) happens at the
 * time of that one. One that is a second or more earlier means that the clock was set back: from there on time goes on
 * from where it was, so that what follows keeps its distances.
 */
import { type Instant, instant, sec } from "../../core/time.ts";

/** From here on it is a step of the clock, and not disorder. */
const STEP = sec(1);

export interface Stamp {
  /** Seconds since 1970, rounded down. */
  readonly seconds: number;
  /** 0 … 999 999 999. */
  readonly nanoseconds: number;
}

export class CaptureClock {
  /** Never earlier than before. */
  now: Instant = instant(0);
  /** Microseconds by which the last `set` would have gone back; 0 for none. */
  back = 0;
  private origin: Stamp | undefined = undefined;
  /** What has been added to the capture's own times because of steps. */
  private shift = 0;

  set(stamp: Stamp): Instant {
    const { origin } = this;
    if (origin === undefined) {
      this.origin = { seconds: stamp.seconds, nanoseconds: stamp.nanoseconds };
      return this.now;
    }
    const fraction = Math.round((stamp.nanoseconds - origin.nanoseconds) / 1_000);
    const time = (stamp.seconds - origin.seconds) * 1_000_000 + fraction + this.shift;
    this.back = Math.max(0, this.now - time);
    if (this.back >= STEP) this.shift += this.back;
    if (this.back === 0) this.now = instant(time);
    return this.now;
  }

  /** Whether the last `set` met a step of the clock, and not disorder. */
  get stepped(): boolean {
    return this.back >= STEP;
  }
}
