/**
 * A table of nftables that is this process's own: what it is to have is settled by nft(8) in one transaction, the guardian
 * removes it should the process die, and whoever flushes all rules of the host takes it along: that is seen, and it is put
 * back.
 */
import { ZERO } from "../../core/time.ts";
import type { Undo } from "./holdings.ts";
import type { Guard } from "./keeping.ts";
import { CallFailed } from "./libc.ts";
import { nft } from "./nft.ts";

export interface TableOptions {
  readonly family: "inet" | "bridge";
  /** With the node's name in it, so that the next process finds what a dead one has left. */
  readonly name: string;
  /** Of the holding that is the table. */
  readonly key: string;
  /** What makes the table whatever is there of it; "" for none. */
  readonly rules: () => string;
  readonly guard: Guard;
  /** Tells from now on when the table of this name is removed, or may have been. */
  readonly watch: (name: string, gone: (surely: boolean) => void) => { close(): void };
  readonly log: (line: string) => void;
}

/** Of the host itself, there in every network namespace: the holding waits for nobody on it. */
const LOOPBACK = 1;
/** Milliseconds between looks while changes to others' rules are too many to be followed. */
const RECHECK = 1_000;

export class Table {
  /** "inet hotpair-gw1". */
  readonly title: string;
  /** What removes it. */
  readonly undo: Undo;
  /** Whether the kernel has it. */
  made = false;
  private readonly absence: string;
  /** What the kernel has; undefined: nobody knows. */
  private stands: string | undefined;
  /** Somebody has removed it since, or may have. */
  private lost = false;
  private watched: { close(): void } | undefined;
  private recheck: NodeJS.Timeout | undefined;
  /** One nft at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: TableOptions) {
    this.title = `${options.family} ${options.name}`;
    // That it is not there is no error, unlike with a mere `delete`.
    this.absence = `add table ${this.title}\ndelete table ${this.title}\n`;
    this.undo = { kind: "firewall", text: this.absence };
  }

  /** Brings the kernel in line with `rules`. @returns what is wrong, in words: then no rule has changed */
  settle(): Promise<string | undefined> {
    const next = this.turn.then(() => this.carryOut());
    this.turn = next;
    return next;
  }

  /** The same where nobody waits for it: what is wrong is a line of the log. */
  async review(): Promise<void> {
    const wrong = await this.settle();
    if (wrong !== undefined) this.options.log(`table ${this.title} is not as it should be: ${wrong}`);
  }

  /** Nothing more is put back. `rules` are settled once more. */
  async close(): Promise<void> {
    clearTimeout(this.recheck);
    await this.review();
  }

  /** `nft flush ruleset` takes the rules of all: then ours are put back. */
  private gone(surely: boolean): void {
    this.lost = true;
    if (surely) {
      this.options.log(`table ${this.title} was removed by somebody; it is put back`);
      void this.review();
    } else {
      this.recheck ??= setTimeout(() => {
        this.recheck = undefined;
        void this.review();
      }, RECHECK);
    }
  }

  private watch(): void {
    const { watch, log, name } = this.options;
    try {
      this.watched ??= watch(name, (surely) => this.gone(surely));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      log(`that somebody removes table ${this.title} would not be noticed: ${error.message}`);
    }
  }

  private unwatch(): void {
    this.watched?.close();
    this.watched = undefined;
  }

  private async carryOut(): Promise<string | undefined> {
    const rules = this.options.rules();
    if (rules === this.stands && !(this.lost && this.made)) return undefined;
    this.lost = false;
    const { guard, key } = this.options;
    // It is the guardian's before it is the kernel's. With the steps of others it goes last.
    if (rules !== "" && !this.made) guard(key, holding(key, this.undo));
    const removes = rules === "" || this.stands === undefined;
    if (removes) this.unwatch();
    const wrong = await nft(`${removes ? this.absence : ""}${rules}`);
    if (wrong === undefined) {
      this.stands = rules;
      this.made = rules !== "";
      // Only now: that it is removed on the way is our own doing.
      if (this.made) this.watch();
    } else {
      this.stands = undefined;
    }
    if (!this.made) guard(key, undefined);
    if (wrong === undefined || rules !== "" || this.made) return wrong;
    // Nobody needs a rule here, and who cannot have any has none left from an earlier process.
    this.stands = rules;
    return undefined;
  }
}

function holding(key: string, undo: Undo) {
  return { key, index: LOOPBACK, farewell: [], successor: [], within: ZERO, wanted: [], undo: [undo] };
}
