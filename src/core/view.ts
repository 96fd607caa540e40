/** A fold over the log: what the terminal, JSON, counters and assertions read. A view never writes. */
import type { Entry } from "./log.ts";
import type { Duration, Instant } from "./time.ts";

export interface View<V> {
  readonly initial: () => V;
  /** May change `view` in place; it is its only writer. */
  readonly fold: (view: V, entry: Entry) => V;
}

/** A promise about the log that must hold all the time, but for `settle` after a disturbance. */
export interface Invariant<V> {
  readonly name: string;
  /** The standard's section that promises it. */
  readonly source: string;
  readonly settle: Duration;
  readonly view: View<V>;
  /** What is wrong now, in words; undefined when all is well. It is asked at every entry: the fold does the work. */
  readonly broken: (view: V) => string | undefined;
  /**
   * Where many things may be wrong, each for a short while: from when on the longest of them is a breach. Without it,
   * that is when `broken` first says so.
   */
  readonly from?: (view: V) => Instant;
  /** What this very entry is wrong about, in words: of promises that are broken by an event and not by a state. */
  readonly moment?: (view: V, entry: Entry) => string | undefined;
}

/** Folds entries as they come. */
export class Folded<V> {
  value: V;
  readonly everything = false;
  constructor(private readonly view: View<V>) {
    this.value = view.initial();
  }

  read(entry: Entry): void {
    this.value = this.view.fold(this.value, entry);
  }
}
