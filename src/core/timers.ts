/** Named deadlines as data. An early wake-up is harmless; one that is too late still runs. */
import { after, type Duration, type Instant, NEVER } from "./time.ts";

export type Timers<Name extends string> = { [name in Name]: Instant };

/** All timers of these names, stopped. */
export function stopped<Name extends string>(...names: readonly Name[]): Timers<Name> {
  return Object.fromEntries(names.map((name) => [name, NEVER])) as Timers<Name>;
}

export function arm<Name extends string>(timers: Timers<Name>, name: Name, now: Instant, wait: Duration): void {
  timers[name] = after(now, wait);
}

export function stop<Name extends string>(timers: Timers<Name>, name: Name): void {
  timers[name] = NEVER;
}

/** Whether the timer is due; a due timer is spent by this call. */
export function due<Name extends string>(timers: Timers<Name>, name: Name, now: Instant): boolean {
  if (timers[name] > now) return false;
  timers[name] = NEVER;
  return true;
}

export function earliest<Name extends string>(timers: Timers<Name>): Instant {
  let first: Instant = NEVER;
  for (const name in timers) if (timers[name] < first) first = timers[name];
  return first;
}
