/** Every input and output, stamped: the one source of truth. Terminal, JSON, counters, captures and tests read it. */
import { toHex } from "./bytes.ts";
import type { Command, Event, Input, Output } from "./machine.ts";
import { type Instant, toSeconds } from "./time.ts";

/** The world itself is a node of this name: cut, heal, loss, power are its commands and events. */
export const WORLD = "world";

export interface Entry {
  readonly at: Instant;
  readonly node: string;
  readonly what: Input<Command, Event> | Output | { readonly kind: "alarm"; readonly at: Instant };
  /** Whether it went into the node or came out of it. */
  readonly way: "in" | "out";
}

export interface Reader {
  /**
   * Whether it needs inputs and outputs too. Without such a reader only events, changes and commands are logged,
   * and frames cross the node at no cost to the log.
   */
  readonly everything: boolean;
  read(entry: Entry): void;
}

export class Log {
  /** Whether any reader wants frames, timers and alarms. */
  everything = false;
  private readonly readers = new Set<Reader>();
  private readonly unread: Entry[] = [];
  private holds = 0;

  append(entry: Entry): void {
    if (this.holds > 0) this.unread.push(entry);
    else this.show(entry);
  }

  /** Readers wait until the last `release`: they must not hold up what a network waits for. */
  hold(): void {
    this.holds++;
  }

  release(): void {
    if (this.holds === 1) {
      // What readers cause comes behind, in its order.
      for (let next = this.unread.shift(); next !== undefined; next = this.unread.shift()) this.show(next);
    }
    this.holds--;
  }

  private show(entry: Entry): void {
    for (const reader of this.readers) {
      if (reader.everything || isFact(entry)) reader.read(entry);
    }
  }

  /** @returns the way to stop reading. */
  follow(reader: Reader): () => void {
    this.readers.add(reader);
    this.refresh();
    return () => {
      this.readers.delete(reader);
      this.refresh();
    };
  }

  private refresh(): void {
    this.everything = [...this.readers].some((reader) => reader.everything);
  }
}

function isFact(entry: Entry): boolean {
  const { kind } = entry.what;
  return kind === "event" || kind === "apply" || kind === "command" || kind === "link";
}

/** One entry as one JSON object; octets as hex. The same entry always gives the same text. */
export function entryLine(entry: Entry): Record<string, unknown> {
  const { what } = entry;
  const base = { t: toSeconds(entry.at), node: entry.node };
  switch (what.kind) {
    case "event":
      return { ...base, ...what.event };
    case "apply":
      return { ...base, ...what.change, type: `apply.${what.change.type}` };
    case "frame":
    case "send":
      return { ...base, type: what.kind, port: what.port.name, bytes: toHex(what.frame.bytes) };
    case "link":
      return { ...base, type: "link", port: what.port.name, up: what.up };
    case "timer":
      return { ...base, type: "timer" };
    case "command":
      // Kept apart: an order to the world has a `node` of its own.
      return { ...base, type: "command", to: what.to, command: what.command };
    case "heard":
      return { ...base, type: "heard", event: what.event };
    case "alarm":
      return { ...base, type: "alarm", at: Number.isFinite(what.at) ? toSeconds(what.at) : null };
  }
}
