/** Runs a recording's lab again and compares its log with the recorded one, line by line. */
import { protocols } from "../protocols/index.ts";
import { type Entry, entryLine } from "../src/core/log.ts";
import { instant, toSeconds } from "../src/core/time.ts";
import { LabRun, type RunResult } from "../src/host/sim/lab-run.ts";
import { QueueFull } from "../src/host/sim/queue.ts";
import { compileLab, type Lab } from "../src/host/sim/topology.ts";
import { tellProblems } from "./files.ts";
import type { Octets } from "./octets.ts";
import { breathe, FAILED, Failure, flush, INVALID, progress } from "./output.ts";
import { FORMAT, type RecordingHeader } from "./recording.ts";

/** Characters of one line of a recording that are read; a longer one is taken for damage. */
const MAX_LINE = 1 << 26;
/** As `hotpair sim --for` allows. */
const LONGEST_SECONDS = 30 * 86_400;
/** Virtual microseconds that are run before their lines are compared. */
const SLICE = 20_000;
/** Wall milliseconds between two turns of the event loop. */
const TURN = 20;

/** Where the run of today parts from the recording. */
export interface Difference {
  /** From 1, the header's. */
  readonly line: number;
  /** Undefined where one of the two has ended. */
  readonly recorded: string | undefined;
  readonly now: string | undefined;
}

export interface Rerun {
  readonly header: RecordingHeader;
  readonly lab: Lab;
  /** Undefined when the run parted from the recording. */
  readonly result: RunResult | undefined;
  readonly difference: Difference | undefined;
  /** Lines that agree, without the header. */
  readonly lines: number;
}

/** Entries in the order of the log, each once it is known to be the recorded one. */
export interface Audience {
  /** Called before the first entry. */
  begin(header: RecordingHeader, lab: Lab): void;
  agreed(entry: Entry, line: string): void;
}

/** @throws Failure when the recording is damaged, too new, or its lab is not valid. */
export async function rerun({ name, stream }: Octets, audience: Audience): Promise<Rerun> {
  const recorded = linesOf(stream, name);
  const header = headerOf(name, (await recorded.next()).value);
  const compiled = compileLab(header.lab, header.file, protocols);
  if (!compiled.ok) {
    tellProblems(compiled.problems, false);
    throw new Failure(INVALID, [`${name}:1: the recording's lab is not valid`]);
  }
  const { lab } = compiled;
  const run = new LabRun(lab, protocols, { seed: header.seed, end: instant(Math.round(header.end * 1_000_000)) });
  audience.begin(header, lab);
  const comparison = new Comparison(name, recorded, audience);
  run.log.follow({ everything: header.everything, read: (entry) => comparison.add(entry) });
  let difference: Difference | undefined;
  try {
    run.start();
    difference = await comparison.compare();
    let turn = performance.now();
    for (let at = 0; at < run.end && difference === undefined; ) {
      at = Math.min(run.end, at + SLICE);
      run.run(instant(at));
      difference = await comparison.compare();
      await flush();
      if (performance.now() - turn < TURN) continue;
      await breathe();
      turn = performance.now();
      progress(() => `${toSeconds(instant(at)).toFixed(1)} of ${toSeconds(run.end)} virtual seconds`);
    }
  } catch (error) {
    if (!(error instanceof QueueFull)) throw error;
    throw new Failure(FAILED, [`${name}: at ${toSeconds(run.world.instant)} s: ${error.message}`]);
  }
  difference ??= await comparison.end();
  const result = difference === undefined ? run.finish() : undefined;
  return { header, lab, result, difference, lines: comparison.lines };
}

class Comparison {
  /** Lines behind the header that agree. */
  lines = 0;
  /** What the run has said since the last comparison: as much as a slice of it says. */
  private said: Entry[] = [];

  constructor(
    private readonly name: string,
    private readonly recorded: AsyncGenerator<string, undefined, undefined>,
    private readonly audience: Audience,
  ) {}

  add(entry: Entry): void {
    this.said.push(entry);
  }

  async compare(): Promise<Difference | undefined> {
    const { said } = this;
    this.said = [];
    for (const entry of said) {
      const now = JSON.stringify(entryLine(entry));
      const next = await this.recorded.next();
      if (next.value !== now) return this.difference(next.value, now);
      this.lines++;
      this.audience.agreed(entry, now);
    }
    return undefined;
  }

  /** The run is over: so should be the recording. */
  async end(): Promise<Difference | undefined> {
    const next = await this.recorded.next();
    return next.done === true ? undefined : this.difference(next.value, undefined);
  }

  private difference(recorded: string | undefined, now: string | undefined): Difference {
    const line = this.lines + 2;
    if (recorded !== undefined && !isObject(parsed(recorded))) {
      throw new Failure(INVALID, [`${this.name}:${line}: the recording is damaged: not a JSON object`]);
    }
    return { line, recorded, now };
  }
}

function headerOf(name: string, text: string | undefined): RecordingHeader {
  const header = parsed(text ?? "");
  const wrong = (what: string) => new Failure(INVALID, [`${name}:1: ${what}`]);
  if (!isObject(header) || header["type"] !== "recording") throw wrong("not the header of a recording");
  const { format, file, lab, seed, end, everything } = header;
  if (typeof format === "number" && format > FORMAT) {
    throw wrong(`format ${format} is newer than this hotpair reads (${FORMAT}): a newer one is needed`);
  }
  const sound =
    format === FORMAT &&
    typeof file === "string" &&
    typeof lab === "string" &&
    Number.isSafeInteger(seed) &&
    typeof end === "number" &&
    end >= 0 &&
    end <= LONGEST_SECONDS &&
    typeof everything === "boolean";
  if (!sound) throw wrong("the recording is damaged: its header lacks format, file, lab, seed, end or everything");
  return { type: "recording", format, file, lab, seed: seed as number, end, everything };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Lines of UTF-8 text, the last one also when its line feed is missing. */
async function* linesOf(stream: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string, undefined, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  let count = 0;
  const decode = (piece?: Uint8Array) => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch {
      throw new Failure(INVALID, [`${name}:${count + 1}: the recording is damaged: octets that are not UTF-8`]);
    }
  };
  for await (const piece of stream) {
    const lines = (rest + decode(piece)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      count++;
      yield line;
    }
    if (rest.length > MAX_LINE) {
      throw new Failure(INVALID, [`${name}:${count + 1}: the recording is damaged: a line without an end`]);
    }
  }
  rest += decode();
  if (rest !== "") yield rest;
  return undefined;
}
