/** `hotpair sim LAB.yaml`: runs a lab in virtual time and judges it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import { protocols } from "../../protocols/index.ts";
import { CaptureSink } from "../../src/capture/sink.ts";
import { entryLine, type Reader } from "../../src/core/log.ts";
import { type Instant, instant, parseDuration, toSeconds } from "../../src/core/time.ts";
import { LabRun, type RunResult } from "../../src/host/sim/lab-run.ts";
import { QueueFull } from "../../src/host/sim/queue.ts";
import { compileLab, type Lab } from "../../src/host/sim/topology.ts";
import type { Verdict, Violation } from "../../src/host/sim/verdict.ts";
import { explanationJson, explanationText, follow, lastAsked, readQuestions } from "../explain.ts";
import { readText, tellProblems } from "../files.ts";
import {
  breathe,
  FAILED,
  Failure,
  flush,
  INVALID,
  interrupted,
  OK,
  paint,
  print,
  printJson,
  progress,
  tell,
  UNABLE,
} from "../output.ts";
import { captureLinks } from "../pcap.ts";
import type { Finish } from "../program.ts";
import { recordTo } from "../recording.ts";
import { timelineLine } from "../timeline.ts";

interface Options {
  readonly for?: string;
  readonly seed?: string;
  readonly speed: string;
  readonly json?: boolean;
  readonly frames?: string;
  readonly pcap?: string;
  readonly record?: string;
  readonly explain: readonly string[];
}

export function register(program: Command, finish: Finish): void {
  program
    .command("sim")
    .summary("run a lab in virtual time")
    .description(
      "Runs a lab in virtual time, prints what happened and why, and judges it by the lab's expectations.\n" +
        "The same lab and seed always give the same run.",
    )
    .argument("<lab>", "a lab's file; - is stdin")
    .option("--for <duration>", "how long to run, as 60s (default: 5s after the last line of the script)")
    .option("--seed <number>", "seed of all randomness (default: the lab's)")
    .option("--speed <factor>", "1 is real time, 10 is ten times as fast, max does not wait", "max")
    .option("--pcap <directory>", "write the frames of all links to DIRECTORY/LAB.pcapng, one interface a link")
    .option("--record <file>", "write a recording, for `hotpair replay`")
    .option("--frames <which>", "all: log every frame, timer and alarm too (--json and --record)")
    .option(
      "--explain <subject>",
      "why NODE:SUBJECT@TIME is as it is then, as sw2:agg1@21.5s; may be given again",
      gather,
      [],
    )
    .option("--json", "one JSON object a line on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  $ hotpair sim topologies/failover.yaml --seed 7 --pcap /tmp/captures" +
        "\n  $ hotpair sim topologies/mlag-pair.yaml --explain sw2:agg1@21.5s",
    )
    .action((file: string, options: Options) => finish(() => sim(file, options)));
}

async function sim(file: string, options: Options): Promise<number> {
  const speed = speedOf(options.speed);
  const frames = framesOf(options.frames);
  const seed = options.seed === undefined ? undefined : seedOf(options.seed);
  const end = options.for === undefined ? undefined : endOf(options.for);
  const { name, text } = await readText(file);
  const compiled = compileLab(text, name, protocols);
  if (!compiled.ok) {
    tellProblems(compiled.problems, false);
    return INVALID;
  }
  const { lab } = compiled;
  tellProblems(lab.warnings, false, true);
  const questions = readQuestions(options.explain, lab);
  const asked = end ?? lastAsked(questions);
  const run = new LabRun(lab, protocols, {
    ...(seed === undefined ? {} : { seed }),
    ...(asked === undefined ? {} : { end: asked }),
  });
  const used = seed ?? lab.seed;
  const json = options.json === true;
  if (!json) void print(paint("bold", `${lab.name}: ${lab.nodes.length} nodes, seed ${used}, ${toSeconds(run.end)} s`));
  const closers = attach(run, { lab, text, name, seed: used, frames, json }, options);
  const answers = follow(run, questions);
  const wall = performance.now();
  try {
    run.start();
    await pace(run, speed);
  } catch (error) {
    if (!(error instanceof QueueFull)) throw error;
    throw new Failure(FAILED, [`${name}: at ${toSeconds(run.world.instant)} s: ${error.message}`]);
  } finally {
    for (const close of closers) close();
  }
  const result = run.finish();
  const wallSeconds = Math.round(performance.now() - wall) / 1_000;
  if (json) {
    for (const answer of answers()) explanationJson(answer);
    reportJson(result, wallSeconds);
  } else {
    report(
      result,
      wallSeconds,
      `hotpair sim ${file} --seed ${used}${options.for === undefined ? "" : ` --for ${options.for}`}`,
    );
    for (const answer of answers()) explanationText(answer);
  }
  return result.ok ? OK : FAILED;
}

function gather(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

interface Context {
  readonly lab: Lab;
  readonly text: string;
  readonly name: string;
  readonly seed: number;
  readonly frames: boolean;
  readonly json: boolean;
}

/** Puts readers on the log; what it returns is called at the end. */
function attach(run: LabRun, context: Context, options: Options): (() => void)[] {
  const closers: (() => void)[] = [];
  const { lab, text, name, seed, frames: everything, json } = context;
  run.log.follow(screen(lab, everything, json));
  if (options.record !== undefined) {
    const { record } = options;
    const recorder = attempt(record, () => recordTo(record, { text, name, seed, end: run.end, everything }));
    run.log.follow(recorder.reader);
    closers.push(() => attempt(record, () => recorder.close()));
  }
  if (options.pcap !== undefined) {
    const { pcap } = options;
    attempt(pcap, () => mkdirSync(pcap, { recursive: true }));
    const sink = new CaptureSink(join(pcap, `${lab.name}.pcapng`), "hotpair");
    if (sink.error !== undefined) throw new Failure(UNABLE, [`${sink.error.path}: ${sink.error.message}`]);
    run.log.follow(captureLinks(run.world, sink));
    closers.push(() => {
      const error = sink.close();
      if (error !== undefined) throw new Failure(UNABLE, [`${error.path}: ${error.message}`]);
    });
  }
  return closers;
}

function attempt<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new Failure(UNABLE, [`${file}: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

function screen(lab: Lab, everything: boolean, json: boolean): Reader {
  if (json) return { everything, read: (entry) => void printJson(entryLine(entry)) };
  const width = Math.max(5, ...lab.nodes.map(({ node }) => node.length));
  return {
    everything: false,
    read(entry) {
      const line = timelineLine(entry, protocols, width);
      if (line !== undefined) void print(line);
    },
  };
}

/** Virtual microseconds that are run at a time, so that signals and the terminal get their turn. */
const SLICE = 20_000;
/** Wall milliseconds between two turns. */
const TURN = 20;

async function pace(run: LabRun, speed: number): Promise<void> {
  const start = performance.now();
  let turn = start;
  for (let at = 0; at < run.end; ) {
    at = Math.min(run.end, at + SLICE);
    run.run(instant(at));
    const slow = flush();
    if (slow !== undefined) await slow;
    const now = performance.now();
    const wait = at / 1_000 / speed - (now - start);
    if (wait > 1) {
      await pause(wait, undefined, { signal: interrupted }).catch(() => interrupted.throwIfAborted());
    } else if (now - turn > TURN) {
      await breathe();
    } else {
      continue;
    }
    turn = performance.now();
    progress(() => `${toSeconds(instant(at)).toFixed(1)} of ${toSeconds(run.end)} virtual seconds`);
  }
  if (run.end === 0) run.run();
}

function reportJson(result: RunResult, wallSeconds: number): void {
  const t = toSeconds(result.end);
  for (const flow of result.flows) void printJson({ t, type: "flow", ...flow });
  for (const verdict of result.verdicts) void printJson({ t, ...verdict, at: toSeconds(verdict.at) });
  for (const v of result.violations) void printJson({ t, ...v, from: toSeconds(v.from), to: toSeconds(v.to) });
  const { events, frames, watched, ok } = result;
  void printJson({ t, type: "summary", events, frames, virtualSeconds: t, wallSeconds, watched, ok });
}

function report(result: RunResult, wallSeconds: number, again: string): void {
  if (result.flows.length > 0) void print("");
  for (const { id, sent, received, lost, duplicated, reordered, longestGap } of result.flows) {
    const words = `sent ${sent}, received ${received}, lost ${lost}, duplicated ${duplicated}, reordered ${reordered}`;
    void print(`flow ${id}: ${words}, longest gap ${longestGap} s`);
  }
  if (result.verdicts.length > 0) void print("");
  for (const verdict of result.verdicts) void print(verdictLine(verdict));
  for (const violation of result.violations) void print(violationLine(violation));
  if (result.watched.length > 0) void print(`watched: ${result.watched.join(", ")}`);
  const { events, frames, end } = result;
  void print(`\n${toSeconds(end)} virtual seconds in ${wallSeconds} s: ${events} events, ${frames} frames`);
  if (!result.ok) tell(paint("red", `failed; again: ${again}`, process.stderr));
}

function verdictLine({ ok, judged, text, detail, line }: Verdict): string {
  const word = ok && !judged ? paint("yellow", "skip") : ok ? paint("green", "ok  ") : paint("red", "FAIL");
  return `${word}  line ${line}: ${text}: ${detail}`;
}

function violationLine({ name, from, to, detail }: Violation): string {
  return `${paint("red", "FAIL")}  ${name} from ${toSeconds(from)} s to ${toSeconds(to)} s: ${detail}`;
}

function speedOf(text: string): number {
  const speed = text === "max" ? Number.POSITIVE_INFINITY : Number(text);
  if (speed > 0) return speed;
  throw new Failure(INVALID, [`--speed: found ${JSON.stringify(text)}, allowed: a number above 0, or max`]);
}

function framesOf(text: string | undefined): boolean {
  if (text === undefined || text === "all") return text === "all";
  throw new Failure(INVALID, [`--frames: found ${JSON.stringify(text)}, allowed: all`]);
}

function seedOf(text: string): number {
  const seed = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(seed)) return seed;
  throw new Failure(INVALID, [`--seed: found ${JSON.stringify(text)}, allowed: a whole number from 0 to 2^53 - 1`]);
}

function endOf(text: string): Instant {
  const duration = parseDuration(text);
  if (duration !== undefined && duration > 0 && duration <= LONGEST) return instant(duration);
  throw new Failure(INVALID, [
    `--for: found ${JSON.stringify(text)}, allowed: a duration above 0 up to 30d, such as "60s"`,
  ]);
}

/** 30 days: the world's nanoseconds stay exact, and a bridge's milliseconds within 32 bits. */
const LONGEST = 30 * 86_400 * 1_000_000;
