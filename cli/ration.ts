/**
 * What changes all the time must not fill the log: a partner may say something else a thousand times a second. Of one kind
 * about one thing so many lines are written in a while; of what comes then only the last is, when the while is over.
 */
import type { Entry } from "../src/core/log.ts";

/** Milliseconds, and lines of one kind in that time. */
export const WINDOW = 10_000;
export const LINES = 50;
/** Kinds that are remembered; when there are more, all are new again. */
const MAX_KINDS = 1_024;
/** What tells two things of one type apart. */
const SUBJECT = ["interface", "port", "bundle", "name", "vrid", "family"] as const;

interface Window {
  lines: number;
  withheld: number;
  /** Writes the last one that was withheld. */
  last: (() => void) | undefined;
  readonly timer: NodeJS.Timeout;
}

export class Ration {
  private readonly windows = new Map<string, Window>();

  /** @param tell is told how many lines of a kind are not there */
  constructor(private readonly tell: (line: string) => void) {}

  /** Writes now, or perhaps later, or never. */
  write(entry: Entry, write: () => void): void {
    const kind = kindOf(entry);
    if (kind === undefined) {
      write();
      return;
    }
    const window = this.windows.get(kind) ?? this.open(kind);
    if (window.lines < LINES) {
      window.lines++;
      write();
      return;
    }
    window.withheld++;
    window.last = write;
  }

  /** Writes what is withheld and was the last of its kind. */
  flush(): void {
    for (const kind of [...this.windows.keys()]) this.close(kind);
  }

  private open(kind: string): Window {
    if (this.windows.size >= MAX_KINDS) this.flush();
    const timer = setTimeout(() => this.close(kind), WINDOW);
    timer.unref();
    const window: Window = { lines: 0, withheld: 0, last: undefined, timer };
    this.windows.set(kind, window);
    return window;
  }

  private close(kind: string): void {
    const window = this.windows.get(kind);
    if (window === undefined) return;
    this.windows.delete(kind);
    clearTimeout(window.timer);
    if (window.withheld > 1) {
      this.tell(`${kind}: ${window.withheld - 1} more lines in ${WINDOW / 1_000} s, of which the next is the last`);
    }
    window.last?.();
  }
}

/** Undefined for what is always written: orders, and what nobody else can cause. */
function kindOf({ what }: Entry): string | undefined {
  switch (what.kind) {
    case "event":
      return `${what.event.type}${subjectOf(what.event)}`;
    case "apply":
      return `apply.${what.change.type}${subjectOf(what.change)}`;
    case "link":
      return `link ${what.port.name}`;
    default:
      return undefined;
  }
}

function subjectOf(fields: object): string {
  const own = fields as Readonly<Record<string, unknown>>;
  return SUBJECT.map((field) => own[field])
    .filter((value) => value !== undefined)
    .map((value) => ` ${String(value)}`)
    .join("");
}
