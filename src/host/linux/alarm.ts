/** Time on Linux: a clock that nobody sets, and one alarm, which the kernel rings to the microsecond. */
import { type Instant, instant } from "../../core/time.ts";
import type { Libc, Watched } from "./libc.ts";

/** Microseconds since this process began; it goes on while the wall clock is set. */
export function monotonic(): Instant {
  return instant(Math.floor(performance.now() * 1_000));
}

/** How late alarms were noticed: what a runtime with a garbage collector costs. */
export interface Lateness {
  /** Alarms so far, and microseconds: the last, the worst, the sum. */
  count: number;
  last: number;
  worst: number;
  sum: number;
  /** What is too late, and how often it was: microseconds. */
  limit: number;
  beyond: number;
}

/**
 * Microseconds by which the kernel is asked to wake this process early, for that takes it some 150; the rest is waited for
 * awake. Only for alarms that are this far away, so that it costs a few hundredths of a core at most.
 */
const EARLY = 200;
const FAR = 5_000;
/** The same for alarms with a prelude: some 300 of these microseconds are what it takes. */
const EARLIER = 1_500;

/** Done shortly before an alarm. */
export interface Prelude {
  /** Whether the alarm of this time is to have it. */
  wanted(at: Instant): boolean;
  play(): void;
}

/**
 * A timer of Node.js fires up to 1.6 ms early or late and would have to be asked again; a timerfd wakes the event loop when
 * the time has come, and costs a call of a microsecond to set.
 */
export class Alarm {
  readonly lateness: Lateness = { count: 0, last: 0, worst: 0, sum: 0, limit: Number.POSITIVE_INFINITY, beyond: 0 };
  private readonly fd: number;
  private readonly watched: Watched;
  private readonly expirations = new Uint8Array(8);
  private due: Instant | undefined;

  constructor(
    private readonly libc: Libc,
    private readonly ring: (now: Instant) => void,
    private readonly prelude: Prelude,
  ) {
    this.fd = libc.timer();
    this.watched = libc.watch(this.fd, () => this.rung());
  }

  /** In place of any time set before; an infinite one for not at all. */
  set(at: Instant): void {
    if (!Number.isFinite(at)) {
      this.due = undefined;
      this.libc.setTimer(this.fd, 0);
      return;
    }
    this.due = at;
    const wait = at - monotonic();
    if (wait < FAR) this.wakeIn(wait);
    else this.wakeIn(wait - (this.prelude.wanted(at) ? EARLIER : EARLY));
  }

  private wakeIn(wait: number): void {
    // 0 would mean never.
    this.libc.setTimer(this.fd, Math.max(1, wait));
  }

  close(): void {
    this.watched.close();
    this.libc.close(this.fd);
  }

  private rung(): void {
    // Set anew since it rang: nothing is there to be read.
    if (this.libc.read(this.fd, this.expirations) === undefined || this.due === undefined) return;
    let now = monotonic();
    if (now < this.due - EARLY) {
      if (this.prelude.wanted(this.due)) this.prelude.play();
      // What comes in until then is heard before.
      this.wakeIn(this.due - EARLY - monotonic());
      return;
    }
    while (now < this.due) now = monotonic();
    const { lateness } = this;
    lateness.count++;
    lateness.last = now - this.due;
    lateness.sum += lateness.last;
    if (lateness.last > lateness.worst) lateness.worst = lateness.last;
    if (lateness.last > lateness.limit) lateness.beyond++;
    this.due = undefined;
    this.ring(now);
  }
}
