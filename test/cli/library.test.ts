import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createDissector, dissect, InvalidLab, readCapture, simulate, simulateText } from "../../cli/library.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

describe("the library", () => {
  it("simulates a lab: its judgement, its flows, its log", async () => {
    const run = await simulate(`${root}topologies/failover.yaml`, { seed: 7 });
    expect(run.ok).toBe(true);
    expect(run.flows.find((flow) => flow.id === "up")?.lost).toBe(3024);
    const masters = run.log.filter((line) => line.type === "vrrp.state" && line.to === "master");
    expect(masters.map(({ node, reason }) => [node, reason])).toEqual([
      ["gw1", "master-timeout"],
      ["gw2", "master-timeout"],
      ["gw1", "preempt"],
    ]);
  });

  it("runs as long as it is told, and refuses what is no duration", async () => {
    expect((await simulate(`${root}topologies/failover.yaml`, { for: "12s" })).end).toBe(12_000_000);
    await expect(simulate(`${root}topologies/failover.yaml`, { for: "soon" })).rejects.toThrow(RangeError);
  });

  it("refuses a lab that is not valid, with everything that is wrong with it", () => {
    const text = "nodes: { a: {} }\nlinks: [{ id: x, ends: [a:e, b:e] }]\nexpct: []\n";
    expect(() => simulateText(text, "lab.yaml")).toThrow(InvalidLab);
    expect(() => simulateText(text, "lab.yaml")).toThrow(/lab\.yaml:2:.*\nlab\.yaml:3:1: expct: unknown key/s);
  });

  it("reads captures and takes their frames apart", async () => {
    const dissector = createDissector();
    const protocols: string[] = [];
    for await (const { records, error } of readCapture(`${root}captures/keepalived-v3-ipv4-election.pcap`)) {
      expect(error).toBeUndefined();
      for (const record of records) protocols.push(dissect(dissector, record).proto);
    }
    expect(protocols).toHaveLength(60);
    expect(protocols.filter((protocol) => protocol === "VRRP")).toHaveLength(21);
  });

  it("is what `import` of the package's name gives, with types beside it", () => {
    const script = 'import { simulate } from "hotpair"; console.log(typeof simulate);';
    spawnSync(process.execPath, [`${root}cli/setup.mjs`], { stdio: "ignore" });
    const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: root,
      encoding: "utf8",
    });
    expect({ stdout, status }).toEqual({ stdout: "function\n", status: 0 });
  });
});
