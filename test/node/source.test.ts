import { describe, expect, test } from "vitest";
import { formatPath, formatProblem, MAX_DEPTH, MAX_LENGTH, MAX_VALUES, parseSource } from "../../src/node/source.ts";

/** The problems of a text as users see them. */
function problems(text: string): string[] {
  return parseSource(text, "f.yaml").problems.map(formatProblem);
}

describe("a file that is no YAML, or not one document, is refused with line and column", () => {
  test.each([
    [
      "",
      "f.yaml:1:1: found an empty file, allowed: a node (`node: NAME` and its protocols) or a lab (`nodes:`, `links:`, …)",
    ],
    [
      "# nothing\n",
      "f.yaml:1:1: found an empty file, allowed: a node (`node: NAME` and its protocols) or a lab (`nodes:`, `links:`, …)",
    ],
    ["a: 1\n---\nb: 2\n", "f.yaml:2:1: found a second document (---), allowed: one document in a file"],
    ["a:\n\tb: 1\n", "f.yaml:2:1: not YAML: Tabs are not allowed as indentation"],
    ["a: b: c\n", "f.yaml:1:4: not YAML: Nested mappings are not allowed in compact mappings"],
    ["a: !secret x\n", "f.yaml:1:4: not YAML: Unresolved tag: !secret"],
    ["a: *x\n", "f.yaml:1:4: a: found *x, allowed: the name of an anchor (&x) that ends before it"],
    ["a: &x [1, *x]\n", "f.yaml:1:11: a[1]: found *x, allowed: the name of an anchor (&x) that ends before it"],
    ["? [a]\n: 1\n", "f.yaml:1:3: found a key that is not a word or a number"],
  ])("%j", (text, message) => {
    expect(problems(text)).toEqual([message]);
  });

  test("every syntax error is listed, not only the first", () => {
    expect(problems("a: @x\nb: [1, 2\nc: `y\n").length).toBeGreaterThan(1);
  });
});

test("a key that stands twice is reported at the second place, with the line of the first", () => {
  expect(problems("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\n")).toEqual([
    "f.yaml:5:3: b.c: found a second time; the first is in line 3",
    "f.yaml:6:1: a: found a second time; the first is in line 1",
  ]);
});

describe("what a file can cost is bounded", () => {
  test("its length", () => {
    expect(problems(" ".repeat(MAX_LENGTH + 1))).toEqual([
      `f.yaml:1:1: found ${MAX_LENGTH + 1} characters, allowed: at most ${MAX_LENGTH}`,
    ]);
  });

  test.each([
    ["lists in a line", "[".repeat(50_000)],
    ["maps in a line", "{a: ".repeat(50_000)],
    ["lists in lists by dashes", `${"- ".repeat(50_000)}x`],
  ])("its depth: %s", (_, text) => {
    const [only, more] = problems(text);
    expect(only).toContain(`found more than ${MAX_DEPTH} maps and lists within each other`);
    expect(more).toBeUndefined();
  });

  test("what aliases repeat: ten lines of ten aliases each are not 10^10 values", () => {
    const list = (item: string) => `[${Array(10).fill(item).join(", ")}]`;
    const lines = ["l0: &l0 x"];
    for (let i = 1; i <= 10; i++) lines.push(`l${i}: &l${i} ${list(`*l${i - 1}`)}`);
    const [only, more] = problems(lines.join("\n"));
    expect(only).toContain(`found more than ${MAX_VALUES} values`);
    expect(more).toBeUndefined();
  });
});

describe("a value is as it is written", () => {
  const value = (text: string) => {
    const parsed = parseSource(text, "f.yaml");
    return parsed.ok ? JSON.parse(JSON.stringify(parsed.source.value)) : parsed.problems;
  };

  test("addresses, times and words like `on` stay text", () => {
    const text = "{ a: 00:00:5e:00:01:33, b: [fe80::51/64, 10.0.0.1/24], c: 12:30, d: on, e: 1s, f: true, g: 0x88cc }";
    expect(value(text)).toEqual({
      a: "00:00:5e:00:01:33",
      b: ["fe80::51/64", "10.0.0.1/24"],
      c: "12:30",
      d: "on",
      e: "1s",
      f: true,
      g: 0x88cc,
    });
  });

  test("a number as a key is the text of that number", () => {
    expect(value("10: { 010: x }\n")).toEqual({ "10": { "010": "x" } });
  });

  test("an alias is its anchor's value", () => {
    expect(value("a: &x { b: 1 }\nc: [*x, *x]\n")).toEqual({ a: { b: 1 }, c: [{ b: 1 }, { b: 1 }] });
  });

  test("no key means more than itself: __proto__ is a key like any other", () => {
    const parsed = parseSource("__proto__: { polluted: true }\n", "f.yaml");
    expect(parsed.ok && Object.keys(parsed.source.value as object)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test("JSON is read too", () => {
    expect(value('{"node": "gw1", "list": [1, "2"]}')).toEqual({ node: "gw1", list: [1, "2"] });
  });
});

test("a part is found at its key, at its value, and where it is missing at what is around it", () => {
  const parsed = parseSource("\ufeffa: 1\nb:\n  - { c: x,\n      d: }\n", "f.yaml");
  if (!parsed.ok) throw new Error(formatProblem(parsed.problems[0] as never));
  const { locate } = parsed.source;
  expect(locate(["a"], "key")).toEqual({ line: 1, column: 1 });
  expect(locate(["a"], "value")).toEqual({ line: 1, column: 4 });
  expect(locate(["b", 0, "c"], "key")).toEqual({ line: 3, column: 7 });
  expect(locate(["b", 0, "c"], "value")).toEqual({ line: 3, column: 10 });
  expect(locate(["b", 0, "d"], "value")).toEqual({ line: 4, column: 7 });
  expect(locate(["b", 0, "missing"], "value")).toEqual({ line: 3, column: 5 });
  expect(locate([], "value")).toEqual({ line: 1, column: 1 });
});

test("a path reads as people write it", () => {
  expect(formatPath(["nodes", "gw1", "vrrp", 0, "vrid"])).toBe("nodes.gw1.vrrp[0].vrid");
  expect(formatPath(["nodes", "a b", 3])).toBe('nodes["a b"][3]');
});
