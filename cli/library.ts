/**
 * hotpair as a library, for other people's tests and tools: labs are simulated, captures are read and taken apart.
 * No native part is needed.
 */
import { readFile } from "node:fs/promises";
import { protocols } from "../protocols/index.ts";
import { type Entry, entryLine } from "../src/core/log.ts";
import { type Instant, instant, parseDuration } from "../src/core/time.ts";
import { LabRun, type RunResult } from "../src/host/sim/lab-run.ts";
import { compileLab } from "../src/host/sim/topology.ts";
import { type FileProblem, formatProblem } from "../src/node/source.ts";

export { createDissector, dissect } from "../protocols/dissect/dissect.ts";
export { readCapture } from "../src/capture/file.ts";
export { CaptureReader } from "../src/capture/read.ts";
export type { CaptureError, CaptureRecord } from "../src/capture/record.ts";
export { PcapngWriter } from "../src/capture/write.ts";
export type { Entry, FileProblem, RunResult };

/** What `simulate` found: the judgement of the lab and its log, an object per fact as `hotpair sim --json` prints it. */
export interface Simulation extends RunResult {
  readonly log: readonly Readonly<Record<string, unknown>>[];
}

export interface SimulateOptions {
  /** In place of the lab's own. */
  readonly seed?: number;
  /** How long to run, as "60s", in place of the lab's own time. */
  readonly for?: string;
}

/** A lab's file that is not valid. */
export class InvalidLab extends Error {
  override readonly name = "InvalidLab";
  constructor(readonly problems: readonly FileProblem[]) {
    super(problems.map(formatProblem).join("\n"));
  }
}

/**
 * Runs a lab in virtual time.
 * @param file path of the lab's file
 * @throws InvalidLab with everything that is wrong with the file; RangeError for a duration that is none
 */
export async function simulate(file: string, options: SimulateOptions = {}): Promise<Simulation> {
  return simulateText(await readFile(file, "utf8"), file, options);
}

/** The same for a lab's text; `name` stands for the file in messages. */
export function simulateText(text: string, name: string, options: SimulateOptions = {}): Simulation {
  const compiled = compileLab(text, name, protocols);
  if (!compiled.ok) throw new InvalidLab(compiled.problems);
  const { seed } = options;
  const end = options.for === undefined ? undefined : endOf(options.for);
  const run = new LabRun(compiled.lab, protocols, {
    ...(seed === undefined ? {} : { seed }),
    ...(end === undefined ? {} : { end }),
  });
  const log: Record<string, unknown>[] = [];
  run.log.follow({ everything: false, read: (entry) => log.push(entryLine(entry)) });
  run.start();
  run.run();
  return { ...run.finish(), log };
}

function endOf(text: string): Instant {
  const duration = parseDuration(text);
  if (duration === undefined) throw new RangeError(`${JSON.stringify(text)} is not a duration such as "60s"`);
  return instant(duration);
}
