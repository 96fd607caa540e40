/** Every lab in topologies/ keeps what it promises, and its promises are such that it could break them. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { protocols } from "../../protocols/index.ts";
import { entryLine } from "../../src/core/log.ts";
import { instant } from "../../src/core/time.ts";
import { LabRun, type RunOptions } from "../../src/host/sim/lab-run.ts";
import { compileLab, type Lab } from "../../src/host/sim/topology.ts";

const FOLDER = fileURLToPath(new URL("../../topologies/", import.meta.url));
const labs = readdirSync(FOLDER).filter((file) => file.endsWith(".yaml"));

function read(file: string): { text: string; lab: Lab } {
  const text = readFileSync(`${FOLDER}${file}`, "utf8");
  const compiled = compileLab(text, file, protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  return { text, lab: compiled.lab };
}

function run(lab: Lab, options: RunOptions = {}, everything = false) {
  const one = new LabRun(lab, protocols, options);
  const lines: string[] = [];
  one.log.follow({ everything, read: (entry) => lines.push(JSON.stringify(entryLine(entry))) });
  one.start();
  one.run();
  return { result: one.finish(), lines };
}

it("there is a lab for each situation", () => {
  expect(labs).toEqual([
    "all-vrids.yaml",
    "campus.yaml",
    "dual-stack.yaml",
    "failover.yaml",
    "filtered.yaml",
    "lacp-fallback.yaml",
    "lacp-pair.yaml",
    "lacp-standby.yaml",
    "load-sharing.yaml",
    "mlag-back-to-back.yaml",
    "mlag-datacenter.yaml",
    "mlag-pair.yaml",
    "mlag-split-brain.yaml",
    "mlag-upgrade.yaml",
    "partition.yaml",
    "preempt.yaml",
    "three-way-tie.yaml",
    "tracking.yaml",
    "version-2.yaml",
    "vlan-gateways.yaml",
  ]);
});

describe.each(labs)("%s", (file) => {
  const { text, lab } = read(file);

  it("has a drawing at its head, a script and expectations", () => {
    expect(text.split("\n", 2).every((line) => line.startsWith("#"))).toBe(true);
    expect(lab.script.length).toBeGreaterThan(0);
    expect(lab.expect.length).toBeGreaterThan(0);
  });

  it("keeps every expectation and invariant", () => {
    const { result } = run(lab);
    expect(result.verdicts.filter((verdict) => !verdict.ok)).toEqual([]);
    expect(result.violations).toEqual([]);
    expect(result.ok).toBe(true);
  });

  it("breaks expectations when its script is left out", () => {
    const { result } = run({ ...lab, script: [] }, { end: lab.end });
    expect(result.ok).toBe(false);
  });

  it("gives the same log again, line for line, and with other readers too", () => {
    // Every frame is in this log: the first seconds of traffic are enough.
    const end = instant(Math.min(lab.end, 7_000_000));
    const first = run(lab, { end }, true);
    expect(run(lab, { end }, true).lines.join("\n") === first.lines.join("\n")).toBe(true);
    const facts = run(lab, { end });
    expect(facts.result).toEqual(first.result);
    const elections = (lines: readonly string[]) => lines.filter((line) => /"type":"(vrrp|lacp)\./.test(line));
    expect(elections(facts.lines).length).toBeGreaterThan(0);
    expect(elections(first.lines)).toEqual(elections(facts.lines));
  });

  it("keeps them for other seeds as well", () => {
    for (const seed of [2, 3]) expect(run(lab, { seed }).result.verdicts.filter((verdict) => !verdict.ok)).toEqual([]);
  });
});

describe("the figures that the labs promise are those of the standard", () => {
  const transitions = (file: string) =>
    run(read(file).lab)
      .lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ type }) => type === "vrrp.state");

  it("RFC 9568 §6.1 · failover: from the last advert, 3 s and 156/256 s to the microsecond", () => {
    const [takeover] = transitions("failover.yaml").filter(({ node, to }) => node === "gw2" && to === "master");
    // gw1: 3 s + 106/256 s, then an advert every second; the last one arrives 9 s + 11 µs after the first would.
    expect(takeover).toMatchObject({ t: 13.023449, reason: "master-timeout" });
  });

  it("RFC 9568 §6.4.2 · version 2: after priority 0 the backup waits (256 - 100) / 256 s", () => {
    const [takeover] = transitions("version-2.yaml").filter(({ node, to }) => node === "r2" && to === "master");
    // 609.375 ms after the farewell, which takes 50 µs.
    expect(takeover).toMatchObject({ t: 12.609425, reason: "priority-zero" });
  });

  it("a partition has two masters, and the better one answers at once when it hears the other", () => {
    const found = transitions("partition.yaml").filter(({ t }) => Number(t) > 10);
    expect(found.map(({ node, to, reason }) => [node, to, reason])).toEqual([
      ["r2", "master", "master-timeout"],
      ["r2", "backup", "higher-priority"],
    ]);
  });

  it("all 255 routers of a router without power move, and come back", () => {
    const found = transitions("all-vrids.yaml");
    const masters = (node: string, from: number, to: number) =>
      found.filter((one) => one.node === node && one.to === "master" && Number(one.t) >= from && Number(one.t) < to)
        .length;
    expect([masters("r1", 0, 10), masters("r2", 0, 10), masters("r2", 10, 20), masters("r1", 20, 30)]).toEqual([
      128, 127, 128, 128,
    ]);
  });
});
