/** The behaviour of a pair of M-LAG switches, failure by failure: every row of the matrix is a lab that keeps its word. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { protocols } from "../../protocols/index.ts";
import { LabRun, type RunOptions, type RunResult } from "../../src/host/sim/lab-run.ts";
import { compileLab, type Lab } from "../../src/host/sim/topology.ts";

const FOLDER = fileURLToPath(new URL("../../topologies/mlag/", import.meta.url));
const labs = readdirSync(FOLDER).filter((file) => file.endsWith(".yaml"));
/** Versions that do not fit cannot be made by a lab: every switch of a run is of one version. */
const UNIT_TESTS = new Map([
  [24, { file: "../protocols/iccp/session.test.ts", says: /row 24, M02: another major version does not form/ }],
]);

function read(file: string): { readonly text: string; readonly lab: Lab } {
  const text = readFileSync(`${FOLDER}${file}`, "utf8");
  const compiled = compileLab(text, file, protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ line, message }) => `${line}: ${message}`).join("\n"));
  return { text, lab: compiled.lab };
}

function run(lab: Lab, options: RunOptions = {}): RunResult {
  const one = new LabRun(lab, protocols, options);
  one.start();
  one.run();
  return one.finish();
}

function failures({ verdicts, violations }: RunResult): readonly string[] {
  const broken = violations.map(({ name, from, detail }) => `${name} at ${from / 1e6} s: ${detail}`);
  return [
    ...verdicts.filter(({ ok }) => !ok).map(({ line, text, detail }) => `${line}: ${text}: ${detail}`),
    ...broken,
  ];
}

it("every row of the matrix, 1 to 25, has a lab, or a test that is named", () => {
  const rows = new Set(labs.map((file) => Number(/^row-(\d\d)/.exec(file)?.[1])));
  for (const [row, { file, says }] of UNIT_TESTS) {
    const text = readFileSync(fileURLToPath(new URL(file, import.meta.url)), "utf8");
    expect(text).toMatch(says);
    rows.add(row);
  }
  expect([...rows].sort((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
});

describe.each(labs)("%s", (file) => {
  const { text, lab } = read(file);

  it("begins with a drawing and the number of its row", () => {
    const row = Number(/^row-(\d\d)/.exec(file)?.[1]);
    const head = text.split("\n").filter((line) => line.startsWith("#"));
    expect(text.split("\n", 3).every((line) => line.startsWith("#"))).toBe(true);
    expect(head.join(" ")).toContain("═");
    expect(head.join(" ")).toMatch(new RegExp(`Row ${row}\\b`));
    expect(lab.name).toBe(file.replace(".yaml", ""));
  });

  it("keeps every expectation and every promise, with its own seed and with another", () => {
    expect(failures(run(lab))).toEqual([]);
    expect(failures(run(lab, { seed: 7 }))).toEqual([]);
  });

  it("breaks expectations when its script is left out", () => {
    // Facts alone: what happens to flows is the other tests' matter.
    const facts = lab.expect.filter(({ kind }) => kind === "fact");
    expect(run({ ...lab, script: [], traffic: [], expect: facts }, { end: lab.end }).ok).toBe(false);
  });
});
