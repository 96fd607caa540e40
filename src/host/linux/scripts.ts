/** Scripts that say whether something works: exit code 0 is good, everything else is not. */
import { type Duration, formatDuration } from "../../core/time.ts";
import { milliseconds } from "./milliseconds.ts";
import { type Ended, type Run, type Running, succeeded } from "./program.ts";
import { Standing } from "./standing.ts";
import type { Known, Told, Watching } from "./tracked.ts";

/** Milliseconds from one start to the next, at the least: a process costs a millisecond or two of a core. */
const LEAST_INTERVAL = 50;

export interface Script {
  readonly name: string;
  /** Run without a shell; see `words`. */
  readonly run: string;
  /** From start to start, never less than 50 ms; a run that takes longer is followed at once by the next. */
  readonly interval: Duration;
  /** Then it has failed, and is killed. */
  readonly timeout: Duration;
  /** Good runs in a row that make it up, and bad ones that make it down; the first run of all decides alone. */
  readonly rise: number;
  readonly fall: number;
  /** See `userOf`: without it nobody, when the daemon is root. */
  readonly user?: string | undefined;
}

/**
 * Runs it at once, and then at its interval, never twice at a time: while a killed run is not dead, the next one waits.
 * What cannot be run at all (no such program, not permitted) has failed like one that says no. Only what is no fault of
 * the script (no process to be had: `not-started`) changes nothing and is shown.
 */
export function startScript(script: Script, run: Run, was: Known | undefined, told: Told): Watching {
  const standing = new Standing(script.rise, script.fall, was?.up);
  const interval = milliseconds(script.interval, LEAST_INTERVAL);
  let looks = 0;
  let failures = 0;
  let last: Ended | undefined;
  let why = "not run yet";
  let running: Running | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const judge = (good: boolean, text: string) => {
    if (closed) return;
    looks++;
    if (!good) failures++;
    why = text;
    if (standing.see(good)) told({ up: good, value: undefined }, text);
  };
  const look = () => {
    let begun = performance.now();
    let judged = false;
    running = run(script, {
      started: () => {
        // It may have waited for its turn.
        begun = performance.now();
      },
      overdue: () => {
        judged = true;
        judge(false, `no answer within ${formatDuration(script.timeout)}`);
      },
      ended: (how) => {
        running = undefined;
        last = how;
        if (closed) return;
        if (how.reason === "not-started") {
          failures++;
          why = how.text;
        } else if (!judged) judge(succeeded(how), how.text);
        timer = setTimeout(look, Math.max(0, begun + interval - performance.now()));
      },
    });
  };
  look();
  return {
    status: () => ({
      up: standing.up,
      value: undefined,
      why,
      looks,
      failures,
      output: last?.output ?? "",
      took: last?.took,
    }),
    close: () => {
      closed = true;
      clearTimeout(timer);
      running?.stop(true);
    },
  };
}
