import { describe, expect, test } from "vitest";
import { compileNodeFile } from "../../src/node/node-file.ts";
import { formatProblem } from "../../src/node/source.ts";
import { beaconProtocols } from "../support/beacon.ts";

const compile = (text: string) => compileNodeFile(text, "gw1.yaml", beaconProtocols);

/** The problems of a text as users see them. */
function problems(text: string): string[] {
  const compiled = compile(text);
  return compiled.ok ? [] : compiled.problems.map(formatProblem);
}

test("a valid file becomes the node's name and what each protocol's schema makes, with its defaults", () => {
  const compiled = compile("node: gw1\nbeacon:\n  - { port: eth0, id: 7, addresses: [10.0.0.1/24] }\n");
  expect(compiled.ok && compiled.node).toEqual({
    node: "gw1",
    beacon: [
      {
        port: "eth0",
        id: 7,
        mode: "loud",
        period: 1_000_000,
        addresses: [{ address: "10.0.0.1", length: 24 }],
        wait: false,
      },
    ],
  });
});

test("a protocol that the file does not name is not there", () => {
  const compiled = compile("node: gw1\n");
  expect(compiled.ok && Object.keys(compiled.node)).toEqual(["node"]);
});

describe("each mistake has its line and column, what was found, and what is allowed", () => {
  const beacon = (text: string) => `node: gw1\nbeacon:\n  - ${text}\n`;
  test.each([
    [
      "an unknown key at the key",
      "node: gw1\nbecon: []\n",
      'gw1.yaml:2:1: becon: unknown key, allowed: node, beacon (did you mean "beacon"?)',
    ],
    [
      "an unknown key inside",
      beacon("{ port: eth0, id: 7, perid: 1s }"),
      'gw1.yaml:3:26: beacon[0].perid: unknown key, allowed: port, id, mode, period, addresses, wait (did you mean "period"?)',
    ],
    [
      "a missing key at what should hold it",
      beacon("{ port: eth0 }"),
      "gw1.yaml:3:5: beacon[0].id: found nothing, allowed: an id of 1 to 255",
    ],
    [
      "a missing name",
      "beacon: []\n",
      'gw1.yaml:1:1: node: found nothing, allowed: a node name (letters, digits, "_", ".", "-"; at most 63 characters; quoted where it is only digits) such as "gw1"',
    ],
    [
      "a number out of range",
      beacon("{ port: eth0, id: 256 }"),
      "gw1.yaml:3:23: beacon[0].id: found 256, allowed: an id of 1 to 255",
    ],
    [
      "a number that is text",
      beacon("{ port: eth0, id: '7' }"),
      'gw1.yaml:3:23: beacon[0].id: found "7", allowed: an id of 1 to 255',
    ],
    [
      "an empty value at its key",
      beacon("{ port: eth0, id: }"),
      "gw1.yaml:3:19: beacon[0].id: found nothing (an empty value), allowed: an id of 1 to 255",
    ],
    [
      "a word of a closed list",
      beacon("{ port: eth0, id: 7, mode: queit }"),
      'gw1.yaml:3:32: beacon[0].mode: found "queit", allowed: loud, quiet (did you mean "quiet"?)',
    ],
    [
      "an impossible time",
      beacon("{ port: eth0, id: 7, period: 1ms }"),
      'gw1.yaml:3:34: beacon[0].period: found "1ms", allowed: 10ms to 40s, written as a duration such as "10ms" or "40s"',
    ],
    [
      "a map where a list belongs",
      "node: gw1\nbeacon: { port: eth0 }\n",
      "gw1.yaml:2:9: beacon: found a map, allowed: a list",
    ],
    [
      "a list that is too long",
      beacon("{ port: e, id: 7, addresses: [10.0.0.1/8, 10.0.0.2/8, 10.0.0.3/8] }"),
      "gw1.yaml:3:34: beacon[0].addresses: found a list, allowed: at most 2 entries",
    ],
    [
      "a list's entry",
      beacon("{ port: e, id: 7, addresses: [10.0.0.1/8, 10.0.0.2] }"),
      'gw1.yaml:3:47: beacon[0].addresses[1]: found "10.0.0.2", allowed: an address and the length of its prefix such as "192.0.2.254/24" or "fe80::51/64"',
    ],
    [
      "none of several kinds",
      beacon("{ port: e, id: 7, wait: 3 }"),
      "gw1.yaml:3:29: beacon[0].wait: found 3, allowed: true or false, or a map",
    ],
    [
      "a mistake inside the kind that was meant",
      beacon("{ port: e, id: 7, wait: { dely: 3s } }"),
      [
        'gw1.yaml:3:29: beacon[0].wait.delay: found nothing, allowed: a duration in whole microseconds such as "100ms" or "1.5s"',
        'gw1.yaml:3:31: beacon[0].wait.dely: unknown key, allowed: delay (did you mean "delay"?)',
      ],
    ],
    [
      "what only the protocol can see",
      beacon("{ port: e, id: 7 }\n  - { port: f, id: 7 }"),
      "gw1.yaml:4:20: beacon[1].id: found 7 twice, allowed: each id once",
    ],
    ["a file that is only a word", "gw1\n", 'gw1.yaml:1:1: found "gw1", allowed: a map'],
    [
      "a key that stands twice",
      "node: gw1\nnode: gw2\n",
      "gw1.yaml:2:1: node: found a second time; the first is in line 1",
    ],
  ])("%s", (_, text, message) => {
    expect(problems(text)).toEqual([message].flat());
  });
});

test("all mistakes are listed, in the order of the file", () => {
  const text = `beacon:
  - { port: eth0, id: 0, mode: lod }
  - { prot: eth0, id: 3, addresses: [10.0.0.1] }
nod: gw1
`;
  expect(problems(text).map((problem) => problem.split(": ")[0])).toEqual([
    "gw1.yaml:1:1",
    "gw1.yaml:2:23",
    "gw1.yaml:2:32",
    "gw1.yaml:3:5",
    "gw1.yaml:3:7",
    "gw1.yaml:3:38",
    "gw1.yaml:4:1",
  ]);
});

test("a mistake inside an alias is shown where the text stands", () => {
  const text = "node: gw1\nbeacon:\n  - &one { port: eth0, id: 900 }\n  - *one\n";
  expect(problems(text)).toEqual([
    "gw1.yaml:3:28: beacon[0].id: found 900, allowed: an id of 1 to 255",
    "gw1.yaml:3:28: beacon[1].id: found 900, allowed: an id of 1 to 255",
  ]);
});
