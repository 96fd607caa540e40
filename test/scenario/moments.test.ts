/** M78, M79, M80: a run is the same whenever one looks at it, and every packet of a flow is accounted for. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { protocols } from "../../protocols/index.ts";
import { entryLine } from "../../src/core/log.ts";
import { instant } from "../../src/core/time.ts";
import { LabRun, type RunResult } from "../../src/host/sim/lab-run.ts";
import { compileLab } from "../../src/host/sim/topology.ts";

const text = readFileSync(new URL("../../topologies/mlag-pair.yaml", import.meta.url), "utf8");
const compiled = compileLab(text, "mlag-pair.yaml", protocols);
if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
const { lab } = compiled;

interface Run {
  readonly lines: readonly string[];
  readonly tables: readonly string[];
  readonly result: RunResult;
}

/** @param pauses times at which the run is interrupted on its way, in seconds */
function run(end: number, pauses: readonly number[] = []): Run {
  const one = new LabRun(lab, protocols, { end: instant(end * 1e6) });
  const lines: string[] = [];
  one.log.follow({ everything: false, read: (entry) => lines.push(JSON.stringify(entryLine(entry))) });
  one.start();
  for (const pause of pauses) one.run(instant(pause * 1e6));
  one.run();
  const tables = ["sw1", "sw2"].map((name) => stations(one, name, end));
  return { lines, tables, result: one.finish() };
}

function stations(one: LabRun, name: string, end: number): string {
  const state = one.world.node(name)?.machine("bridge")?.state as
    | { table: { entries(now: number): Iterable<{ readonly mac: string; readonly port: number }> } }
    | undefined;
  return [...(state?.table.entries(end * 1e3) ?? [])].map((entry) => JSON.stringify(entry)).join("\n");
}

describe("M78, M79: the pair at any time", () => {
  const whole = run(55);

  it.each([9.999, 20.0002, 20.3, 36, 43.000005, 52.5])(
    "%d s: a run that ends there has said what the whole run says until then",
    (end) => {
      const { lines } = run(end);
      expect(lines.length).toBeGreaterThan(100);
      expect(lines).toEqual(whole.lines.slice(0, lines.length));
      const next = JSON.parse(whole.lines[lines.length] as string) as { readonly t: number };
      // The world counts nanoseconds: the rest of this microsecond may come after its beginning.
      expect(next.t).toBeGreaterThanOrEqual(end);
    },
  );

  it.each([20.3, 52.5])("%d s: tables are the same however often one has looked before", (end) => {
    const pauses = Array.from({ length: 40 }, (_, i) => (end / 40) * i);
    expect(run(end, pauses).tables).toEqual(run(end).tables);
  });

  it("M78: twice is the same, line for line", () => {
    expect(run(55).lines).toEqual(whole.lines);
  });

  it("M80: what was sent has arrived or is lost, each packet once", () => {
    expect(whole.result.flows.map(({ id }) => id)).toEqual(["web", "gateway"]);
    for (const { sent, received, lost, duplicated } of whole.result.flows) {
      expect(sent).toBeGreaterThan(4_000);
      expect(lost).toBeGreaterThan(0);
      expect(received + lost).toBe(sent);
      expect(duplicated).toBe(0);
    }
  });
});
