/** Reading the files that a command is given; "-" is stdin. */
import { readFile } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type FileProblem, formatProblem } from "../src/node/source.ts";
import { Failure, INVALID, interrupted, print, printJson, tell, UNABLE } from "./output.ts";

export interface TextFile {
  /** As messages call it. */
  readonly name: string;
  readonly text: string;
}

const REASONS: Readonly<Record<string, readonly [number, string]>> = {
  ENOENT: [INVALID, "there is no such file"],
  EISDIR: [INVALID, "this is a directory, allowed: a file"],
  ENOTDIR: [INVALID, "there is no such file"],
  EACCES: [UNABLE, "it may not be read: check its permissions"],
};

/** What to say of a file that cannot be opened or read. */
export function unreadable(name: string, error: unknown): Failure {
  const { code, message } = error as NodeJS.ErrnoException;
  const [exitCode, why] = REASONS[code ?? ""] ?? [UNABLE, message];
  return new Failure(exitCode, [`${name}: ${why}`]);
}

/** @throws Failure when it cannot be read or is not UTF-8. */
export async function readText(file: string): Promise<TextFile> {
  const name = file === "-" ? "<stdin>" : file;
  const reading = file === "-" ? buffer(addAbortSignal(interrupted, process.stdin)) : readFile(file);
  const bytes = await reading.catch((error: unknown) => {
    interrupted.throwIfAborted();
    throw unreadable(name, error);
  });
  try {
    return { name, text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    throw new Failure(INVALID, [`${name}: found octets that are not UTF-8, allowed: text in UTF-8`]);
  }
}

/** A problem as a line of `--json`. */
export function problemLine(problem: FileProblem, warning: boolean): Record<string, unknown> {
  return { type: "problem", ...problem, warning };
}

/** Says problems: as JSON on stdout, or as lines on stderr. */
export function tellProblems(problems: readonly FileProblem[], json: boolean, warning = false): void {
  for (const problem of problems) {
    if (json) void printJson(problemLine(problem, warning));
    else tell(warning ? `${formatProblem(problem)} (a warning)` : formatProblem(problem));
  }
}

/** A line for people; `--json` leaves it out. */
export function say(line: string, json: boolean): void {
  if (!json) void print(line);
}
