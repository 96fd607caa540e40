/** The log of a daemon as lines, for a terminal, a file or journald: one line for each transition, with its reason. */
import type { Entry, Reader } from "../src/core/log.ts";
import { entryLine } from "../src/core/log.ts";
import type { AnyProtocol } from "../src/node/protocol.ts";
import { paint, print, printJson, tell } from "./output.ts";
import { Ration } from "./ration.ts";
import { entryWords } from "./timeline.ts";

/** RFC 5424 §6.2.1, as sd-daemon(3) writes them before a line. */
const WARNING = 4;
const NOTICE = 5;
const INFORMATIONAL = 6;
/** Milliseconds in which of drops of one kind only the first is a line. */
const QUIET = 10_000;
/** Kinds of drops that are remembered; when there are more, all are new again. */
const MAX_KINDS = 1_024;
/** Octets that whoever reads stdout has not taken yet; beyond, lines are lost: a daemon waits for no reader. */
const MAX_BACKLOG = 1 << 20;

export interface JournalOptions {
  readonly protocols: readonly AnyProtocol[];
  readonly json: boolean;
  /** What reads it has a clock of its own, and takes priorities: journald. */
  readonly managed: boolean;
}

export interface Journal {
  readonly reader: Reader;
  /** A line of the daemon's own, on stderr. */
  tell(line: string, grave: boolean): void;
  /** Writes what has been read and not yet written: before the process ends. */
  flush(): void;
}

/** Whether systemd has started this process: then its journal has the time. */
export function isManaged({ JOURNAL_STREAM, INVOCATION_ID }: Readonly<Record<string, string | undefined>>): boolean {
  return JOURNAL_STREAM !== undefined || INVOCATION_ID !== undefined;
}

export function openJournal({ protocols, json, managed }: JournalOptions): Journal {
  const seldom = limit();
  const ration = new Ration((line) => tellLine(line, INFORMATIONAL, managed));
  let lost = 0;
  const write = (line: () => void) => {
    if (process.stdout.writableLength > MAX_BACKLOG) {
      lost++;
      return;
    }
    if (lost > 0) tellLine(`${lost} lines of the log are lost: whoever reads them is too slow`, WARNING, managed);
    lost = 0;
    line();
  };
  const say = (entry: Entry, time: Date) => {
    if (json) {
      write(() => void printJson({ ...entryLine(entry), time: time.toISOString() }));
      return;
    }
    const text = isOfSession(entry) ? undefined : entryWords(entry, protocols);
    if (text === undefined || !seldom(entry, time.getTime())) return;
    const line = managed ? `<${priorityOf(entry)}>${text}` : `${paint("dim", time.toISOString())}  ${text}`;
    write(() => void print(line));
  };
  // Words cost more than what they tell of: they are found once the network has been served.
  let waiting: { readonly entry: Entry; readonly time: Date }[] = [];
  const flush = () => {
    const now = waiting;
    waiting = [];
    for (const { entry, time } of now) ration.write(entry, () => say(entry, time));
  };
  return {
    reader: {
      everything: false,
      read(entry) {
        if (waiting.push({ entry, time: new Date() }) === 1) setImmediate(flush);
      },
    },
    tell: (line, grave) => {
      flush();
      tellLine(line, grave ? WARNING : INFORMATIONAL, managed);
    },
    flush: () => {
      flush();
      ration.flush();
    },
  };
}

function tellLine(line: string, priority: number, managed: boolean): void {
  tell(managed ? `<${priority}>${line}` : line);
}

/** A port that stands for a connection ("tcp:mlag"): its session says in words of its own what became of it, and why. */
function isOfSession({ what }: Entry): boolean {
  return what.kind === "link" && what.port.name.includes(":");
}

/** What an operator wants to be woken up for, and what only to find. */
export function priorityOf({ what }: Entry): number {
  if (what.kind === "link") return what.up ? INFORMATIONAL : WARNING;
  if (what.kind !== "event") return INFORMATIONAL;
  const { type, to, up } = what.event as { readonly type: string; readonly to?: unknown; readonly up?: unknown };
  if (type.endsWith(".state")) return to === "fault" ? WARNING : NOTICE;
  if (CHANGE.test(type)) return up === false ? WARNING : NOTICE;
  return GRAVE.test(type) ? WARNING : INFORMATIONAL;
}

const CHANGE = /^mlag\.(session|keepalive|role|member|orphan)$/;
const GRAVE = /\.(alarm|drop|mismatch|stalled|blocked)$/;

/** Drops of one kind are a line each so often; the line says how many there were. */
function limit(): (entry: Entry, now: number) => boolean {
  const quiet = new Map<string, number>();
  return ({ what }, now) => {
    if (what.kind !== "event" || !what.event.type.endsWith(".drop")) return true;
    const { type, ...rest } = what.event as { readonly type: string; readonly [field: string]: unknown };
    const kind = `${type} ${String(rest["interface"])} ${String(rest["reason"])}`;
    if (now < (quiet.get(kind) ?? 0)) return false;
    if (quiet.size >= MAX_KINDS) quiet.clear();
    quiet.set(kind, now + QUIET);
    return true;
  };
}
