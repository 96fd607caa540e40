/** What goes to stdout and stderr, and how a command ends. */
import { setImmediate as turn } from "node:timers/promises";

/** Exit codes; scripts rely on them (docs: "Exit codes"). */
export const OK = 0;
/** An expectation or an invariant failed, or a replay disagrees. */
export const FAILED = 1;
/** Bad usage, or a file that is not valid. */
export const INVALID = 2;
/** The machine cannot do it. */
export const UNABLE = 3;
/** 128 + the signal's number, as shells say it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
const BROKEN_PIPE = 141;
/** A mistake in this program, never in its input (EX_SOFTWARE of sysexits.h). */
const INTERNAL = 70;

/** Ends a command with an exit code and, on stderr, the lines that say why. */
export class Failure extends Error {
  override readonly name = "Failure";
  constructor(
    readonly exitCode: number,
    readonly lines: readonly string[],
  ) {
    super(lines.join("\n"));
  }
}

/** Characters that are gathered before they are written: a write for every line is slow. */
const CHUNK = 1 << 16;

let gathered = "";
let flushing = false;

/**
 * Writes a line to stdout, at the end of this turn of the event loop or when enough is gathered.
 * @returns a promise when the reader is slower than we are: await it before printing on.
 */
export function print(line: string): Promise<void> | undefined {
  gathered += line;
  gathered += "\n";
  if (gathered.length >= CHUNK) return flush();
  if (!flushing) {
    flushing = true;
    queueMicrotask(() => {
      flushing = false;
      void flush();
    });
  }
  return undefined;
}

/** Writes what is gathered; resolves at once while the reader keeps up. */
export function flush(): Promise<void> | undefined {
  if (gathered === "") return undefined;
  const text = gathered;
  gathered = "";
  if (process.stdout.write(text)) return undefined;
  return new Promise((resolve) => process.stdout.once("drain", resolve));
}

/** One JSON object on one line of stdout; the only thing that `--json` leaves there. */
export function printJson(value: Readonly<Record<string, unknown>>): Promise<void> | undefined {
  return print(JSON.stringify(value));
}

/** A line on stderr: logs, errors, progress. */
export function tell(line: string): void {
  process.stderr.write(`${clearProgress()}${line}\n`);
}

/** Whether a stream shows colours: a terminal, and nobody said NO_COLOR (no-color.org). */
export function hasColor(stream: { readonly isTTY?: boolean } = process.stdout): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && (NO_COLOR ?? "") === "" && TERM !== "dumb";
}

const STYLES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;
export type Style = keyof typeof STYLES;

/** `text` in a style, where the stream has colours. */
export function paint(style: Style, text: string, stream: { readonly isTTY?: boolean } = process.stdout): string {
  if (!hasColor(stream)) return text;
  const [on, off] = STYLES[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** Milliseconds before a progress line appears, and between its updates. */
const PATIENCE = 1_000;
const REFRESH = 200;

const started = performance.now();
let progressAt = 0;
let progressShown = false;

/** Shows how far it is, on one line of a terminal, once the command has taken more than a second. */
export function progress(text: () => string): void {
  if (process.stderr.isTTY !== true) return;
  const now = performance.now();
  if (now - started < PATIENCE || now - progressAt < REFRESH) return;
  progressAt = now;
  progressShown = true;
  process.stderr.write(`\r\u001b[K${text().slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

function clearProgress(): string {
  if (!progressShown) return "";
  progressShown = false;
  return "\r\u001b[K";
}

const stopping = new AbortController();
/** Aborted by Ctrl-C and SIGTERM. */
export const interrupted: AbortSignal = stopping.signal;

/** Lets signals and output through; a command that computes for long awaits it every few milliseconds. */
export async function breathe(): Promise<void> {
  await turn();
  interrupted.throwIfAborted();
}

/** Milliseconds that a command has for its release of what it holds, after a signal. */
let release = 2_000;

/** For a command that lets go of more than files. @param milliseconds from the signal to the forced end */
export function allowForRelease(milliseconds: number): void {
  release = milliseconds;
}

/** Runs a command to its exit code: its own, a failure's, or a signal's. */
export async function toExitCode(command: () => Promise<number>): Promise<number> {
  let signalled: number | undefined;
  let forced: (code: number) => void = () => {};
  const force = new Promise<number>((resolve) => {
    forced = resolve;
  });
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader went away (`| head`): nobody is left to tell.
    if (error.code === "EPIPE") process.exit(BROKEN_PIPE);
    throw error;
  });
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      // The second time, or when the release takes too long, it ends as it is.
      if (signalled !== undefined) forced(code);
      signalled = code;
      stopping.abort(new Failure(code, []));
      setTimeout(() => forced(code), release).unref();
    });
  }
  const code = await Promise.race([command().catch(failureCode), force]);
  const written = flush();
  if (written !== undefined && signalled === undefined) await written;
  process.stderr.write(clearProgress());
  return signalled ?? code;
}

function failureCode(error: unknown): number {
  if (!(error instanceof Failure)) {
    tell(`internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`);
    return INTERNAL;
  }
  for (const line of error.lines) tell(line);
  return error.exitCode;
}
