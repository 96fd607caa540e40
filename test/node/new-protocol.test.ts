/** A new protocol is one folder (test/support/toy) and one line (the list below); nothing else knows of it. */
import { expect, it } from "vitest";
import { jsonSchema } from "../../cli/schema.ts";
import { timelineLine } from "../../cli/timeline.ts";
import { protocols as others } from "../../protocols/index.ts";
import { LabRun } from "../../src/host/sim/lab-run.ts";
import { compileLab } from "../../src/host/sim/topology.ts";
import { helloProtocol } from "../support/toy/index.ts";

const protocols = [...others, helloProtocol];

const LAB = `
name: greetings
nodes:
  a: { hello: { interface: eth0, every: 2s } }
  b: { hello: { interface: eth0, every: 3s } }
links:
  - { id: ab, ends: [a:eth0, b:eth0], delay: 5us }
script:
  - { at: 6500ms, cut: ab }
`;

it("a folder and a line bring a protocol into labs, the log and the timeline", () => {
  const compiled = compileLab(LAB, "greetings.yaml", protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map((problem) => problem.message).join("\n"));
  const run = new LabRun(compiled.lab, protocols);
  const lines: string[] = [];
  run.log.follow({
    everything: false,
    read(entry) {
      const line = timelineLine(entry, protocols, 5);
      if (line?.includes("hello")) lines.push(line);
    },
  });
  run.start();
  run.run();
  expect(run.finish().ok).toBe(true);
  expect(lines).toEqual([
    "    0.000005  a      eth0: hello number 0",
    "    0.000005  b      eth0: hello number 0",
    "    2.000005  b      eth0: hello number 1",
    "    3.000005  a      eth0: hello number 1",
    "    4.000005  b      eth0: hello number 2",
    "    6.000005  a      eth0: hello number 2",
    "    6.000005  b      eth0: hello number 3",
  ]);
});

it("its configuration is in the JSON Schema and its mistakes are found with their place", () => {
  expect(JSON.stringify(jsonSchema("node", protocols))).toContain('"hello"');
  const compiled = compileLab(LAB.replace("every: 2s", "evry: 2s"), "greetings.yaml", protocols);
  expect(compiled).toMatchObject({
    ok: false,
    problems: [{ line: 4, path: "nodes.a.hello.evry", message: expect.stringContaining('did you mean "every"?') }],
  });
});
