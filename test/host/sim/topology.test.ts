import { describe, expect, test } from "vitest";
import { Frame } from "../../../src/core/frame.ts";
import { compileLab, type Lab } from "../../../src/host/sim/topology.ts";
import { formatProblem } from "../../../src/node/source.ts";
import { beaconProtocols } from "../../support/beacon.ts";

const compile = (text: string) => compileLab(text, "topologies/lab.yaml", beaconProtocols);

function lab(text: string): Lab {
  const compiled = compile(text);
  if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join("\n"));
  return compiled.lab;
}

/** Nine lines: a lab that is right; a test adds its own from line 10 on. */
const BASE = `nodes:
  sw1:
    beacon: [{ port: p1, id: 7 }]
  sw2: {}
  sw3: {}
links:
  - { id: a, ends: [sw1:p1, sw2:p1], delay: 5us, rate: 10Gbps, queue: 512kB, loss: 1/10, jitter: 250ns }
  - { id: b, ends: [sw1:p2, sw2:p2, sw3:p1] }
traffic: [{ id: web, from: sw1, to: 10.0.0.1, rate: 1000pps, start: 8s }]
`;

describe("a lab that is right", () => {
  test("becomes nodes, links in the world's units, flows", () => {
    const value = lab(`${BASE}name: demo\nseed: 7\n`);
    expect(value.name).toBe("demo");
    expect(value.seed).toBe(7);
    expect(value.nodes.map(({ node }) => node)).toEqual(["sw1", "sw2", "sw3"]);
    expect(value.links).toEqual([
      {
        options: {
          id: "a",
          delay: 5_000,
          rate: 10e9,
          queue: 512_000,
          jitter: 250,
          loss: { numerator: 1, denominator: 10 },
        },
        ends: [
          { node: "sw1", port: "p1" },
          { node: "sw2", port: "p1" },
        ],
      },
      {
        options: { id: "b" },
        ends: [
          { node: "sw1", port: "p2" },
          { node: "sw2", port: "p2" },
          { node: "sw3", port: "p1" },
        ],
      },
    ]);
    expect(value.traffic).toEqual([
      { id: "web", from: "sw1", to: "10.0.0.1", rate: 1_000, size: 128, start: 8_000_000 },
    ]);
  });

  test("is called after its file and has seed 1 unless it says otherwise", () => {
    const { name, seed } = lab(BASE);
    expect({ name, seed }).toEqual({ name: "lab", seed: 1 });
  });

  test("ends 5 s after the last line of its script, or of what traffic and expectations name", () => {
    expect(lab("nodes: { sw1: {} }\n").end).toBe(5_000_000);
    expect(lab(BASE).end).toBe(13_000_000);
    expect(lab(`${BASE}script: [{ at: 20s, cut: a }, { at: 2s, heal: a }]\n`).end).toBe(25_000_000);
    expect(lab(`${BASE}expect: [{ after: 8s, within: 2s, node: sw1, beacon: 7, state: on }]\n`).end).toBe(15_000_000);
  });
});

describe("a script", () => {
  const commands = (lines: string) =>
    lab(`${BASE}script:\n${lines}`).script.map(({ at, command }) => ({ at, command }));

  test("becomes the world's commands, in the order of time, equal times in the order of the file", () => {
    const lines = `
  - { at: 9s, cut: a }
  - { at: 1s, cut: b, side: sw3:p1 }
  - { at: 1s, heal: b, side: sw3:p1 }
  - { at: 2s, loss: { link: a, ratio: 1/100 } }
  - { at: 3s, loss: { link: a, ratio: 0% } }
  - { at: 4s, delay: { link: a, delay: 2ms } }
  - { at: 5s, power-off: sw1 }
  - { at: 6s, power-on: sw1 }
  - { at: 7s, pause: sw2 }
  - { at: 8s, resume: sw2 }
  - { at: 8s, command: { node: sw1, beacon: { verb: power, level: 3 } } }
`;
    expect(commands(lines)).toEqual([
      { at: 1_000_000, command: { verb: "cut", link: "b", side: "sw3:p1" } },
      { at: 1_000_000, command: { verb: "heal", link: "b", side: "sw3:p1" } },
      { at: 2_000_000, command: { verb: "loss", link: "a", ratio: { numerator: 1, denominator: 100 } } },
      { at: 3_000_000, command: { verb: "loss", link: "a", ratio: undefined } },
      { at: 4_000_000, command: { verb: "delay", link: "a", delay: 2_000_000 } },
      { at: 5_000_000, command: { verb: "power-off", node: "sw1" } },
      { at: 6_000_000, command: { verb: "power-on", node: "sw1" } },
      { at: 7_000_000, command: { verb: "pause", node: "sw2" } },
      { at: 8_000_000, command: { verb: "resume", node: "sw2" } },
      {
        at: 8_000_000,
        command: { verb: "command", node: "sw1", to: "beacon", command: { verb: "power", level: 3 } },
      },
      { at: 9_000_000, command: { verb: "cut", link: "a" } },
    ]);
  });

  test("each line knows where it stands in the file, whatever its place in time", () => {
    const { script } = lab(`${BASE}script:\n  - { at: 9s, cut: a }\n  - { at: 1s, cut: b }\n`);
    const first = BASE.split("\n").length + 1;
    expect(script.map(({ line }) => line)).toEqual([first + 1, first]);
  });

  test("a filter keeps frames of one EtherType or IP protocol off a link, tagged ones too", () => {
    const filters = commands(`
  - { at: 1s, filter: { link: b, from: sw1, drop: { ip-protocol: 112 } } }
  - { at: 2s, filter: { link: b, drop: { ethertype: 0x0806 } } }
  - { at: 3s, filter: { link: b, drop: all } }
  - { at: 4s, filter: { link: b, drop: nothing } }
`).map(({ command }) => command);
    const ethernet = (type: number, tag = false) => {
      const bytes = new Uint8Array(60);
      if (tag) bytes.set([0x81, 0, 0, 10], 12);
      bytes.set([type >>> 8, type & 0xff], tag ? 16 : 12);
      return bytes;
    };
    const ip4 = (protocol: number, tag = false) => {
      const bytes = ethernet(0x0800, tag);
      bytes[(tag ? 18 : 14) + 9] = protocol;
      return Frame.of(bytes);
    };
    const ip6 = (protocol: number) => {
      const bytes = ethernet(0x86dd);
      bytes[14 + 6] = protocol;
      return Frame.of(bytes);
    };
    const frames = [ip4(112), ip4(112, true), ip6(112), ip4(17), ip6(17), Frame.of(ethernet(0x0806))];
    const matched = filters.map((command) =>
      command.verb === "filter" && command.filter !== undefined ? frames.map(command.filter.matches) : command,
    );
    expect(matched).toEqual([
      [true, true, true, false, false, false],
      [false, false, false, false, false, true],
      [true, true, true, true, true, true],
      { verb: "filter", link: "b", filter: undefined, text: "nothing" },
    ]);
    expect(filters[0]).toMatchObject({ link: "b", filter: { from: "sw1" }, text: "ip-protocol 112" });
  });
});

test("expectations become facts, promises and limits, with their own text and line", () => {
  const text = `${BASE}expect:
  - { at: 8s, node: sw1, beacon: 7, state: on }
  - at: 9s            # in block style
    node: sw1
    beacon: 7
    state: off
  - { after: 10s, within: 2s, node: sw2, beacon: 7, state: on }
  - { always: one-voice, beacon: 7, settle: 4s }
  - { always: one-voice }
  - { from: 10s, to: 20s, flow: web, lost-at-most: 50, duplicated: 0, reordered: 1 }
  - { flow: web, gap-at-most: 1s, received-at-least: 3 }
`;
  const claim = (node: string, state: string) => ({ node, subject: 7, fields: { state } });
  expect(lab(text).expect).toEqual([
    {
      kind: "fact",
      text: "{ at: 8s, node: sw1, beacon: 7, state: on }",
      line: 11,
      from: 8_000_000,
      until: 8_000_000,
      protocol: "beacon",
      claim: claim("sw1", "on"),
    },
    {
      kind: "fact",
      text: "{ at: 9s, node: sw1, beacon: 7, state: off }",
      line: 12,
      from: 9_000_000,
      until: 9_000_000,
      protocol: "beacon",
      claim: claim("sw1", "off"),
    },
    {
      kind: "fact",
      text: "{ after: 10s, within: 2s, node: sw2, beacon: 7, state: on }",
      line: 16,
      from: 10_000_000,
      until: 12_000_000,
      protocol: "beacon",
      claim: claim("sw2", "on"),
    },
    {
      kind: "always",
      text: "{ always: one-voice, beacon: 7, settle: 4s }",
      line: 17,
      promise: "one-voice",
      protocol: "beacon",
      claim: { subject: 7, fields: {} },
      settle: 4_000_000,
    },
    {
      kind: "always",
      text: "{ always: one-voice }",
      line: 18,
      promise: "one-voice",
      protocol: "beacon",
      claim: { fields: {} },
    },
    {
      kind: "flow",
      text: "{ from: 10s, to: 20s, flow: web, lost-at-most: 50, duplicated: 0, reordered: 1 }",
      line: 19,
      flow: "web",
      from: 10_000_000,
      to: 20_000_000,
      lost: 50,
      duplicated: 0,
      reordered: 1,
    },
    {
      kind: "flow",
      text: "{ flow: web, gap-at-most: 1s, received-at-least: 3 }",
      line: 20,
      flow: "web",
      gap: 1_000_000,
      received: 3,
    },
  ]);
});

test("what disagrees between nodes without making the lab impossible is a warning", () => {
  const value = lab(
    "nodes:\n  a: { beacon: [{ port: p, id: 1 }] }\n  b: { beacon: [{ port: p, id: 1, period: 2s }] }\n",
  );
  expect(value.warnings.map(formatProblem)).toEqual([
    "topologies/lab.yaml:3:43: nodes.b.beacon[0].period: found a period of 2000000, the other has 1000000",
  ]);
});
