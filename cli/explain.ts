/** `--explain NODE:SUBJECT@TIME`: what is asked, and the answer as lines or as JSON. */
import { protocols } from "../protocols/index.ts";
import { formatInstant, type Instant, instant, parseDuration, toSeconds } from "../src/core/time.ts";
import { labGround } from "../src/host/sim/ground.ts";
import type { LabRun } from "../src/host/sim/lab-run.ts";
import type { Lab } from "../src/host/sim/topology.ts";
import { type Explanation, explain, isSubject, pastAt, subjectsOf } from "../src/node/explain.ts";
import { didYouMean } from "../src/node/nearest.ts";
import { History } from "../src/node/past.ts";
import type { NodeConfig } from "../src/node/protocol.ts";
import { Failure, INVALID, paint, print, printJson } from "./output.ts";

export interface Question {
  readonly node: NodeConfig;
  /** The words after "NODE:"; all of the node's where the user names none. */
  readonly words: readonly string[];
  /** Absent: the end of the run. */
  readonly at?: Instant;
}

/** @throws Failure for a subject that this lab has not, with those that it has. */
export function readQuestions(texts: readonly string[], lab: Lab): readonly Question[] {
  return texts.map((text) => readQuestion(text, lab));
}

/** "sw2:agg1@21.5s", "sw2:role", "sw2" */
function readQuestion(text: string, lab: Lab): Question {
  const [subject = "", time, more] = text.split("@");
  const at = time === undefined ? undefined : parseDuration(time);
  if (more !== undefined || (time !== undefined && (at === undefined || at > LONGEST))) {
    const allowed = "a duration from the start, up to 30d, such as 21.5s";
    const what = `found ${JSON.stringify(time)} as a time, allowed: ${allowed}`;
    throw new Failure(INVALID, [`--explain ${text}: ${what}`]);
  }
  const colon = subject.indexOf(":");
  const name = colon < 0 ? subject : subject.slice(0, colon);
  const node = lab.nodes.find((one) => one.node === name);
  if (node === undefined) {
    const names = lab.nodes.map((one) => one.node);
    const allowed = `NODE:SUBJECT@TIME with a node of this lab: ${names.join(", ")}`;
    throw new Failure(INVALID, [
      `--explain ${text}: found ${JSON.stringify(name)}, allowed: ${allowed}${didYouMean(name, names)}`,
    ]);
  }
  const wires = labGround(lab).wires(name);
  const known = subjectsOf(node, protocols, wires);
  const word = subject.slice(colon + 1);
  const when = at === undefined ? {} : { at: instant(at) };
  if (colon < 0) return { node, words: known, ...when };
  if (isSubject(node, word, protocols, wires)) return { node, words: [word], ...when };
  const station = known.some((one) => one.startsWith("vlan")) ? ", mac/ADDRESS" : "";
  const allowed = `of ${name}: ${known.join(", ")}${station}`;
  throw new Failure(INVALID, [
    `--explain ${text}: found ${JSON.stringify(word)}, allowed: ${allowed}${didYouMean(word, known)}`,
  ]);
}

/** 30 days, as `--for`. */
const LONGEST = 30 * 86_400 * 1_000_000;

/** When a run may end that has nothing else to do than to answer: undefined when it has to go to its own end. */
export function lastAsked(questions: readonly Question[]): Instant | undefined {
  let last = 0;
  for (const { at } of questions) {
    if (at === undefined) return undefined;
    last = Math.max(last, at);
  }
  return questions.length === 0 ? undefined : instant(last);
}

/** Keeps what answers need, from the start of the run on; call what it returns when the run is over. */
export function follow(run: LabRun, questions: readonly Question[]): () => readonly Explanation[] {
  if (questions.length === 0) return () => [];
  const history = new History();
  run.log.follow(history);
  return () => {
    const ground = labGround(run.lab);
    return questions.flatMap(({ node, words, at = run.end }) =>
      words.map((word) => {
        const past = pastAt(history, ground, run.lab.nodes, protocols, at);
        return explain(node, word, past, protocols, at);
      }),
    );
  };
}

export function explanationJson(explanation: Explanation): void {
  const { subject, at, state, reason, since, text, chain, ends, incomplete } = explanation;
  void printJson({
    t: toSeconds(at),
    type: "explain",
    subject,
    at: toSeconds(at),
    state,
    reason,
    since: toSeconds(since),
    text,
    chain: chain.map((step) => ({
      t: toSeconds(step.at),
      node: step.node,
      type: step.type,
      text: step.text,
      reason: step.reason,
    })),
    ...(ends === undefined ? {} : { ends }),
    ...(incomplete ? { incomplete } : {}),
  });
}

/** @param clock what time it was, where times are not those of a run */
export function explanationText(explanation: Explanation, clock?: (at: Instant) => string): void {
  const { subject, at, state, reason, since, text, chain, ends, incomplete } = explanation;
  const width = Math.max(5, ...chain.map((step) => step.node.length));
  const times = chain.map((step) => (clock ?? formatInstant)(step.at));
  const wide = Math.max(0, ...times.map((time) => time.length));
  const when = clock ?? ((one: Instant) => `${toSeconds(one)}s`);
  const head = `${state} (${reason}) since ${when(since)}`;
  void print(`\n${paint("bold", subject)} at ${when(at)}: ${head}`);
  void print(`  ${text}`);
  for (const [i, step] of chain.entries()) {
    const time = paint("dim", (times[i] ?? "").padStart(wide));
    void print(`  because  ${time}  ${paint("cyan", step.node.padEnd(width))}  ${step.text}`);
  }
  if (ends !== undefined) void print(`  ends     ${ends}`);
  if (incomplete) void print(`  (older facts than this are not kept)`);
}
