/** Labs that tests write themselves. */
import { protocols } from "../../protocols/index.ts";
import type { Entry } from "../../src/core/log.ts";
import { LabRun, type RunResult } from "../../src/host/sim/lab-run.ts";
import { compileLab } from "../../src/host/sim/topology.ts";

/** Runs a lab to its end. */
export function runLab(text: string): { readonly result: RunResult; readonly log: readonly Entry[] } {
  const compiled = compileLab(text, "lab.yaml", protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const run = new LabRun(compiled.lab, protocols);
  const log: Entry[] = [];
  run.log.follow({ everything: false, read: (entry) => log.push(entry) });
  run.start();
  run.run();
  return { result: run.finish(), log };
}

/** What is wrong with a lab's file. */
export function problemsOf(text: string): readonly string[] {
  const compiled = compileLab(text, "lab.yaml", protocols);
  return compiled.ok ? [] : compiled.problems.map(({ message }) => message);
}
