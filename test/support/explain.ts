/** Runs a lab and asks why things are as they are. */
import { protocols } from "../../protocols/index.ts";
import { type Instant, sec } from "../../src/core/time.ts";
import { labGround } from "../../src/host/sim/ground.ts";
import { LabRun } from "../../src/host/sim/lab-run.ts";
import { compileLab, type Lab } from "../../src/host/sim/topology.ts";
import { type Explanation, explain, pastAt, subjectsOf } from "../../src/node/explain.ts";
import { History } from "../../src/node/past.ts";

export function labOf(text: string, name = "lab.yaml"): Lab {
  const compiled = compileLab(text, name, protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ line, message }) => `${line}: ${message}`).join("\n"));
  return compiled.lab;
}

export interface Told {
  readonly lab: Lab;
  /** `at` in seconds. */
  readonly why: (subject: string, at: number) => Explanation;
  /** "sw1:agg1", of all nodes. */
  readonly subjects: readonly string[];
}

/** The run of a lab to its end, or for so many seconds. */
export function told(lab: Lab, seconds?: number): Told {
  const run = new LabRun(lab, protocols, seconds === undefined ? {} : { end: sec(seconds) as number as Instant });
  const history = new History();
  run.log.follow(history);
  run.start();
  run.run();
  return asked(lab, history);
}

/** What follows from a log, whoever has made it. */
export function asked(lab: Lab, history: History): Told {
  const ground = labGround(lab);
  const subjects = lab.nodes.flatMap((node) =>
    subjectsOf(node, protocols, ground.wires(node.node)).map((word) => `${node.node}:${word}`),
  );
  const why = (subject: string, at: number): Explanation => {
    const colon = subject.indexOf(":");
    const node = lab.nodes.find((one) => one.node === subject.slice(0, colon));
    if (node === undefined) throw new Error(`no such node: ${subject}`);
    const when = sec(at) as number as Instant;
    return explain(
      node,
      subject.slice(colon + 1),
      pastAt(history, ground, lab.nodes, protocols, when),
      protocols,
      when,
    );
  };
  return { lab, why, subjects };
}

/** "20.0004 sw2 keepalive: … (answered)" */
export function storyOf({ chain }: Explanation): string[] {
  return chain.map(({ at, node, text }) => `${at / 1e6} ${node} ${text}`);
}

/** What is wrong with an explanation whatever it is about; undefined when nothing is. */
export function flawOf(explanation: Explanation): string | undefined {
  const { state, reason, since, at, chain, ends } = explanation;
  const last = chain.at(-1);
  if (reason === "") return "no reason";
  if (since > at) return "since later than now";
  if (last === undefined) return "no chain";
  let before: number = since;
  for (const step of chain) {
    if (step.at > before) return `a cause at ${step.at} is later than what it led to at ${before}`;
    before = step.at;
  }
  const isRoot = last.type.startsWith("world.") || last.type === "configuration" || last.type === "traffic";
  if (!isRoot && !(last.type === "node.on" && last.at === 0)) return `the chain ends at ${last.type} of ${last.at}`;
  return NOT_GOOD.includes(state) && (ends ?? "") === "" ? `${state} has no end` : undefined;
}

/** States that somebody waits to be over. */
const NOT_GOOD = ["down", "off", "suspended", "inactive", "active-partial", "initialize", "fault", "none", "gone"];
