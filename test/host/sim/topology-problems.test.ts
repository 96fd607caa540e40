import { describe, expect, test } from "vitest";
import { compileLab } from "../../../src/host/sim/topology.ts";
import { formatProblem } from "../../../src/node/source.ts";
import { beaconProtocols } from "../../support/beacon.ts";

/** The problems of a text as users see them, without the file's name. */
function problems(text: string): string[] {
  const compiled = compileLab(text, "topologies/lab.yaml", beaconProtocols);
  return compiled.ok ? [] : compiled.problems.map((one) => formatProblem(one).replace("topologies/lab.yaml:", ""));
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

describe("what is wrong with nodes and links is said at its place", () => {
  const links = (lines: string) => `nodes: { sw1: {}, sw2: {} }\nlinks:\n  - ${lines}\n`;
  test.each([
    ["no nodes", "links: []\n", ["1:1: nodes: found nothing, allowed: a map"]],
    ["not one node", "nodes: {}\n", ["1:8: nodes: found no node, allowed: at least one"]],
    [
      "an unknown key",
      "nodes: { a: {} }\nlink: []\n",
      ['2:1: link: unknown key, allowed: name, seed, nodes, links, traffic, script, expect (did you mean "links"?)'],
    ],
    [
      "a key of a node that no protocol has",
      "nodes: { a: { becon: [] } }\n",
      ['1:15: nodes.a.becon: unknown key, allowed: beacon (did you mean "beacon"?)'],
    ],
    [
      "a node's name",
      'nodes: { "a:b": {} }\n',
      [
        '1:10: nodes["a:b"]: found "a:b", allowed: a node name (letters, digits, "_", ".", "-"; at most 63 characters; quoted where it is only digits) such as "gw1"',
      ],
    ],
    [
      "the name that is the log's own",
      "nodes: { world: {} }\n",
      ['1:10: nodes.world: found "world", allowed: any other name; the log calls what happens to the lab by this one'],
    ],
    [
      "what a protocol sees within a node",
      "nodes: { a: { beacon: [{ port: p, id: 1 }, { port: q, id: 1 }] } }\n",
      ["1:59: nodes.a.beacon[1].id: found 1 twice, allowed: each id once"],
    ],
    [
      "what a protocol refuses between nodes",
      `nodes:
  a: { beacon: [{ port: p, id: 13 }] }
  b: { beacon: [{ port: p, id: 13, period: 2s }] }
`,
      ["3:44: nodes.b.beacon[0].period: found a period of 2000000, the other has 1000000"],
    ],
    [
      "an end on no node",
      links("{ id: a, ends: [sw1:p1, sw9:p1] }"),
      ['3:29: links[0].ends[1]: found "sw9", allowed: a node of this lab: sw1, sw2 (did you mean "sw1"?)'],
    ],
    ["one end", links("{ id: a, ends: [sw1:p1] }"), ["3:20: links[0].ends: found a list, allowed: at least 2 entries"]],
    [
      "an end that is no port",
      links("{ id: a, ends: [sw1:p1, sw2] }"),
      ['3:29: links[0].ends[1]: found "sw2", allowed: NODE:PORT such as "sw1:p1"'],
    ],
    [
      "a port twice on a link",
      links("{ id: a, ends: [sw1:p1, sw1:p1] }"),
      ["3:29: links[0].ends[1]: found sw1:p1 twice, allowed: each port once on a link"],
    ],
    [
      "a port on two links",
      links("{ id: a, ends: [sw1:p1, sw2:p1] }\n  - { id: b, ends: [sw1:p2, sw2:p1] }"),
      ['4:29: links[1].ends[1]: found sw2:p1, which is on the link "a", allowed: a port of its own'],
    ],
    [
      "an id that stands twice",
      links("{ id: a, ends: [sw1:p1, sw2:p1] }\n  - { id: a, ends: [sw1:p2, sw2:p2] }"),
      ['4:11: links[1].id: found "a" a second time, the first is in line 3; each link has its own'],
    ],
    [
      "a queue without a rate",
      links("{ id: a, ends: [sw1:p1, sw2:p1], queue: 1MiB }"),
      [
        "3:38: links[0].queue: found a queue without a rate, allowed: both; nothing waits for a wire that takes no time",
      ],
    ],
    [
      "a delay without a unit",
      links("{ id: a, ends: [sw1:p1, sw2:p1], delay: 5 }"),
      ['3:45: links[0].delay: found 5, allowed: a delay in whole nanoseconds such as "5us" or "250ns"'],
    ],
  ] as const)("%s", (_, text, messages) => {
    expect(problems(text)).toEqual(messages);
  });
});

describe("what is wrong with traffic, script and expectations is said at its place", () => {
  test.each([
    ["a key of the lab", "x: 1", "10:1: x: unknown key, allowed: name, seed, nodes, links, traffic, script, expect"],
    [
      "a link of a script's line",
      "script: [{ at: 1s, cut: c }]",
      '10:25: script[0].cut: found "c", allowed: a link of this lab: a, b',
    ],
    [
      "a node of a script's line",
      "script: [{ at: 1s, pause: sw4 }]",
      '10:27: script[0].pause: found "sw4", allowed: a node of this lab: sw1, sw2, sw3 (did you mean "sw1"?)',
    ],
    [
      "a verb",
      "script: [{ at: 1s, cutt: a }]",
      '10:20: script[0].cutt: unknown key, allowed: at, cut, heal, loss, delay, filter, power-off, power-on, pause, resume, side, command (did you mean "cut"?)',
    ],
    [
      "no verb",
      "script: [{ at: 1s }]",
      "10:10: script[0]: found nothing to do, allowed: one of cut, heal, loss, delay, filter, power-off, power-on, pause, resume, command",
    ],
    [
      "two verbs",
      "script: [{ at: 1s, cut: a, pause: sw1 }]",
      "10:28: script[0].pause: found cut and pause, allowed: one of them in a line; lines may have the same time",
    ],
    [
      "no time",
      "script: [{ cut: a }]",
      '10:10: script[0].at: found nothing, allowed: a duration in whole microseconds such as "100ms" or "1.5s"',
    ],
    [
      "a side that is no end",
      "script: [{ at: 1s, cut: a, side: sw1:p2 }]",
      '10:34: script[0].side: found "sw1:p2", allowed: an end of the link "a": sw1:p1, sw2:p1 (did you mean "sw1:p1"?)',
    ],
    [
      "a side of a node",
      "script: [{ at: 1s, pause: sw1, side: sw1:p1 }]",
      "10:32: script[0].side: found a side, allowed: with cut and heal, not with pause",
    ],
    [
      "a filter from a node that is elsewhere",
      "script: [{ at: 1s, filter: { link: a, from: sw3, drop: all } }]",
      '10:45: script[0].filter.from: found "sw3", allowed: a node on the link "a"',
    ],
    [
      "what a filter drops",
      "script: [{ at: 1s, filter: { link: a, drop: vrrp } }]",
      '10:45: script[0].filter.drop: found "vrrp", allowed: all, nothing, { ethertype: NUMBER } or { ip-protocol: NUMBER }',
    ],
    [
      "a command to nobody",
      "script: [{ at: 1s, command: { node: sw1 } }]",
      "10:29: script[0].command: found 0 orders, allowed: one, to one of beacon",
    ],
    [
      "a command to an unknown protocol",
      "script: [{ at: 1s, command: { node: sw1, becon: { verb: mute } } }]",
      '10:42: script[0].command.becon: unknown key, allowed: node, beacon (did you mean "beacon"?)',
    ],
    [
      "a command that the protocol does not have",
      "script: [{ at: 1s, command: { node: sw1, beacon: { verb: mut } } }]",
      '10:58: script[0].command.beacon.verb: found "mut", allowed: mute, power (did you mean "mute"?)',
    ],
    [
      "an expectation of nothing known",
      "expect: [{ at: 1s, node: sw1, becon: 7, state: on }]",
      '10:31: expect[0].becon: unknown key, allowed: flow, always, beacon (did you mean "beacon"?)',
    ],
    [
      "an expectation that is a word",
      "expect: [calm]",
      '10:10: expect[0]: found "calm", allowed: a map with one of flow, always, beacon',
    ],
    [
      "an expectation of a beacon that is not there",
      "expect: [{ at: 1s, node: sw1, beacon: 8, state: on }]",
      "10:39: expect[0].beacon: found 8, allowed: the id of a beacon",
    ],
    [
      "an expectation on no node of the lab",
      "expect: [{ at: 1s, node: sw7, beacon: 7, state: on }]",
      '10:26: expect[0].node: found "sw7", allowed: a node of this lab: sw1, sw2, sw3 (did you mean "sw1"?)',
    ],
    [
      "a state that there is not",
      "expect: [{ at: 1s, node: sw1, beacon: 7, state: onn }]",
      '10:49: expect[0].state: found "onn", allowed: on, off (did you mean "on"?)',
    ],
    [
      "nothing expected",
      "expect: [{ at: 1s, node: sw1, beacon: 7 }]",
      "10:10: expect[0]: found nothing to expect, allowed: at least one of state",
    ],
    [
      "no time to expect it",
      "expect: [{ after: 1s, node: sw1, beacon: 7, state: on }]",
      "10:10: expect[0]: found no time, or two, allowed: `at`, or `after` and `within` together",
    ],
    [
      "a promise that nobody makes",
      "expect: [{ always: one-voic }]",
      '10:20: expect[0].always: found "one-voic", allowed: one-voice (did you mean "one-voice"?)',
    ],
    [
      "a flow that is not there",
      "expect: [{ flow: wbe, duplicated: 0 }]",
      '10:18: expect[0].flow: found "wbe", allowed: a flow of this lab: web (did you mean "web"?)',
    ],
    [
      "a flow without a limit",
      "expect: [{ flow: web }]",
      "10:10: expect[0]: found no limit, allowed: at least one of lost-at-most, duplicated, reordered, gap-at-most, received-at-least, received-at-most",
    ],
    [
      "a limit that does not exist",
      "expect: [{ flow: web, lost-at-mots: 3 }]",
      '10:23: expect[0].lost-at-mots: unknown key, allowed: flow, from, to, lost-at-most, duplicated, reordered, gap-at-most, received-at-least, received-at-most (did you mean "lost-at-most"?)',
    ],
    [
      "a time of a flow that ends before it begins",
      "expect: [{ flow: web, duplicated: 0, from: 3s, to: 3s }]",
      "10:52: expect[0].to: found an end that is not after `from`, allowed: a later time",
    ],
    ["a list that is none", "script: { at: 1s, cut: a }", "10:9: script: found a map, allowed: a list"],
    ["a seed", "seed: one", '10:7: seed: found "one", allowed: an integer of 0 to 9007199254740991'],
  ])("%s", (_, line, message) => {
    expect(problems(`${BASE}${line}\n`)).toEqual([message]);
  });

  test.each([
    [
      "from no node",
      "{ id: web, from: sw4, to: 10.0.0.1, rate: 1pps }",
      '2:30: traffic[0].from: found "sw4", allowed: a node of this lab: sw1 (did you mean "sw1"?)',
    ],
    [
      "that stops before it starts",
      "{ id: web, from: sw1, to: 10.0.0.1, rate: 1pps, start: 2s, stop: 1s }",
      "2:78: traffic[0].stop: found a stop that is not after the start, allowed: a later time",
    ],
    [
      "of an id that another has",
      "{ id: w, from: sw1, to: 10.0.0.1, rate: 1pps }, { id: w, from: sw1, to: 10.0.0.2, rate: 1pps }",
      '2:67: traffic[1].id: found "w" a second time, the first is in line 2; each flow has its own',
    ],
    [
      "of frames too short to be numbered",
      "{ id: w, from: sw1, to: 10.0.0.1, rate: 1pps, size: 63 }",
      "2:65: traffic[0].size: found 63, allowed: an integer of 64 to 9000",
    ],
  ])("a flow %s", (_, flow, message) => {
    expect(problems(`nodes: { sw1: {} }\ntraffic:   [${flow}]\n`)).toEqual([message]);
  });
});

test("one mistake hides no other: all parts are looked at, and what a wrong part names counts as known", () => {
  const text = `nodes:
  sw1: { beacon: [{ port: p1, id: 700 }] }
  sw2: {}
links:
  - { id: a, ends: [sw1:p1, sw2:p1], delay: soon }
traffic:
  - { id: web, from: sw1, to: nowhere, rate: 1pps }
script:
  - { at: 1s, cut: a }
  - { at: 2s, cut: aa }
expect:
  - { flow: web, duplicated: 0 }
  - { at: 1s, node: sw1, beacon: 700, state: on }
`;
  expect(problems(text).map((problem) => problem.split(": ").slice(0, 2).join(" "))).toEqual([
    "2:35 nodes.sw1.beacon[0].id",
    "5:45 links[0].delay",
    "7:31 traffic[0].to",
    "10:20 script[1].cut",
    "13:34 expect[1].beacon",
  ]);
});
