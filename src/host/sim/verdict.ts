/** Judges a run: promises that must hold all the time, facts at their time. Reads the log, writes nothing. */
import type { Entry, Reader } from "../../core/log.ts";
import { WORLD } from "../../core/log.ts";
import { type Duration, type Instant, instant, sec } from "../../core/time.ts";
import type { Invariant } from "../../core/view.ts";
import { Folded } from "../../core/view.ts";
import type { Expectable } from "../../node/protocol.ts";
import type { AlwaysExpectation, FactExpectation } from "./expectation.ts";

/** Violations of one promise that are reported; how many more there were is in the last one's detail. */
const MAX_REPORTED = 16;
/** Moments no further apart are one violation. */
const IN_A_ROW: Duration = sec(1);

/** A promise that did not hold. */
export interface Violation {
  readonly type: "invariant";
  readonly name: string;
  readonly from: Instant;
  readonly to: Instant;
  readonly detail: string;
}

/** Watches one promise: it may be broken for `settle` after a disturbance, and the start is one. */
export class Watch implements Reader {
  readonly everything = false;
  /** The first of them. */
  readonly violations: Violation[] = [];
  /** How many there were. */
  total = 0;
  private readonly folded: Folded<unknown>;
  /** Until when disorder is allowed. */
  private excused: number;
  private detail: string | undefined;
  /** Since when it is broken without excuse, once that has begun. */
  private since = 0;
  private lastMoment = Number.NEGATIVE_INFINITY;

  constructor(
    readonly invariant: Invariant<unknown>,
    private readonly settle: Duration = invariant.settle,
    /** The line of the lab that asks for it; undefined for one that every lab gets. */
    readonly expectation?: AlwaysExpectation,
  ) {
    this.folded = new Folded(invariant.view);
    this.excused = settle;
  }

  read(entry: Entry): void {
    // What is so before this entry was so up to now: disorder that outlasted its excuse has been a violation since.
    this.folded.read(entry);
    const { at } = entry;
    if (entry.node === WORLD && entry.way === "in") {
      this.close(at);
      this.excused = at + this.settle;
    }
    this.look(at);
    if (this.invariant.moment !== undefined && at >= this.excused) {
      const wrong = this.invariant.moment(this.folded.value, entry);
      if (wrong !== undefined) this.noteMoment(at, wrong);
    }
  }

  private look(at: Instant): void {
    const { broken, from } = this.invariant;
    const detail = broken(this.folded.value);
    if (detail === undefined) {
      this.close(at);
      return;
    }
    const begin = from === undefined ? undefined : Math.max(from(this.folded.value), this.excused);
    if (this.detail !== undefined) {
      if (begin === undefined) return;
      if (begin === this.since) {
        this.detail = detail;
        return;
      }
      // What was wrong longest is right by now, and something else is wrong since later.
      this.close(at);
    }
    this.detail = detail;
    this.since = begin ?? Math.max(at, this.excused);
  }

  /** Moments in a row are one violation. */
  private noteMoment(at: Instant, detail: string): void {
    const last = this.violations.at(-1);
    if (last !== undefined && at - this.lastMoment <= IN_A_ROW) {
      if (this.total <= MAX_REPORTED) this.violations[this.violations.length - 1] = { ...last, to: at };
    } else {
      this.report(at, at, detail);
    }
    this.lastMoment = at;
  }

  /** The run is over. */
  end(now: Instant): void {
    if (this.detail !== undefined) this.close(now);
    const last = this.violations.at(-1);
    const more = this.total - MAX_REPORTED;
    if (last === undefined || more <= 0) return;
    this.violations[MAX_REPORTED - 1] = { ...last, detail: `${last.detail} (and ${more} more times)` };
  }

  private close(now: Instant): void {
    const { detail } = this;
    this.detail = undefined;
    if (detail !== undefined && this.since < now) this.report(instant(this.since), now, detail);
  }

  private report(from: Instant, to: Instant, detail: string): void {
    if (++this.total > MAX_REPORTED) return;
    this.violations.push({ type: "invariant", name: this.invariant.name, from, to, detail });
  }
}

/** One judged line under `expect:`. */
export interface Verdict {
  readonly type: "expect";
  readonly ok: boolean;
  /** False when the run was cut short before its time: then nothing is said for or against it. */
  readonly judged: boolean;
  readonly text: string;
  /** When it was settled. */
  readonly at: Instant;
  readonly detail: string;
  /** Of the lab's file, from 1. */
  readonly line: number;
}

/** Waits for one fact to become true in its time. */
export class Fact implements Reader {
  readonly everything = false;
  verdict: Verdict | undefined;
  private readonly folded: Folded<unknown>;

  constructor(
    readonly expectation: FactExpectation,
    private readonly expectable: Expectable,
  ) {
    this.folded = new Folded(expectable.view);
  }

  read(entry: Entry): void {
    const { from, until } = this.expectation;
    if (this.verdict !== undefined) return;
    // A fact "within" is settled by what was so at the beginning of its time, too.
    if (from < until && entry.at > from) this.look(from);
    this.folded.read(entry);
    if (from < until && entry.at >= from && entry.at <= until) this.look(entry.at);
  }

  /** At `until`: what is so now decides. */
  settle(now: Instant): Verdict {
    if (this.verdict !== undefined) return this.verdict;
    const { ok, detail } = this.expectable.judge(this.folded.value, this.expectation.claim);
    this.verdict = this.judged(ok, now, detail);
    return this.verdict;
  }

  /** The run ended before its time, which is the user's choice (`excused`) or the lab's mistake. */
  skip(now: Instant, excused: boolean): Verdict {
    const { text, line } = this.expectation;
    const detail = "not judged: the run ended before the time of this line";
    this.verdict ??= { type: "expect", ok: excused, judged: false, text, at: now, detail, line };
    return this.verdict;
  }

  private look(at: Instant): void {
    if (this.verdict !== undefined) return;
    const { ok, detail } = this.expectable.judge(this.folded.value, this.expectation.claim);
    if (ok) this.verdict = this.judged(true, at, detail);
  }

  private judged(ok: boolean, at: Instant, detail: string): Verdict {
    const { text, line } = this.expectation;
    return { type: "expect", ok, judged: true, text, at, detail, line };
  }
}
