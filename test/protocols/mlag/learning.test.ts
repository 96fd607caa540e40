/** What a bridge learns from a peer link over which the session is lost, and which still carries. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import { LabRun } from "../../../src/host/sim/lab-run.ts";
import { compileLab } from "../../../src/host/sim/topology.ts";
import { Pair } from "./pair.ts";

const deaf = (pair: Pair) => [pair.a.core.deaf, pair.b.core.deaf];

describe("row 22", () => {
  it("while members are shielded from the peer link, nothing is learned from it: a host on both switches stays", () => {
    const pair = new Pair({}).boot().until(10).disconnect(20);
    expect(deaf(pair.until(12.999))).toEqual([true, true]);
    expect(deaf(pair.until(13))).toEqual([false, false]);
    expect(deaf(pair.until(40))).toEqual([true, true]);
  });

  it.each(["sw1", "sw2"])(
    "M11, M17: what %s sends over the peer link is lost: hosts on both switches notice nothing",
    (node) => {
      const file = fileURLToPath(new URL("../../../topologies/mlag-datacenter.yaml", import.meta.url));
      const text = readFileSync(file, "utf8");
      const cut = ["pl1", "pl2"].map((link) => `  - { at: 10s, cut: ${link}, side: "${node}:${link}" }\n`).join("");
      const compiled = compileLab(`${text.slice(0, text.indexOf("script:"))}script:\n${cut}`, file, protocols);
      if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
      const run = new LabRun(compiled.lab, protocols);
      run.start();
      run.run();
      const { flows, violations } = run.finish();
      const both = flows.filter(({ id }) => ["in10", "in20", "across", "back"].includes(id));
      expect(both.map(({ lost, duplicated }) => [lost, duplicated])).toEqual(both.map(() => [0, 0]));
      expect(violations).toEqual([]);
    },
  );
});
