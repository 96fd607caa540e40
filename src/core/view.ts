/** A fold over the log: what the terminal, JSON, counters and assertions read. A view never writes. */
import type { Entry } from "./log.ts";
import type { Duration } from "./time.ts";

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
  /** What is wrong now, in words; undefined when all is well. */
  readonly broken: (view: V) => string | undefined;
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
