import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const executable = join(dirname(fileURLToPath(import.meta.url)), "../../cli/hotpair.mjs");

let folder = "";

const FILES = {
  "gw1.yaml": "node: gw1\ninterfaces: { eth0: { addresses: [192.0.2.1/24] } }\n",
  "gw2.yaml": "node: gw2\ninterfaces: { eth0: { addresses: [192.0.2.1/24] } }\n",
  "twin.yaml": "node: gw1\n",
  "lab.yaml":
    "nodes: { sw1: { bridge: { ports: [p1] } }, sw2: { bridge: { ports: [p1] } } }\nlinks: [{ id: a, ends: [sw1:p1, sw2:p1] }]\n",
  "loose.yaml": "nodes: { sw1: { bridge: { ports: [p1] } } }\n",
  "bad.yaml":
    "nodes: { sw1: {} }\nlinks: [{ id: a, ends: [sw1:p1, sw2:p1], dellay: 5us }]\nscript: [{ at: 1s, cut: b }]\n",
};

beforeAll(() => {
  // So that no command of these tests has to say that it builds first.
  spawnSync(process.execPath, [join(dirname(executable), "setup.mjs")], { stdio: "ignore" });
  folder = mkdtempSync(join(tmpdir(), "hotpair-check-"));
  for (const [file, text] of Object.entries(FILES)) writeFileSync(join(folder, file), text);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The built program, in the folder of the files. */
function hotpair(words: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [executable, ...words], {
    cwd: folder,
    input,
    encoding: "utf8",
  });
  // In a checkout that is being edited while the tests run, whoever comes first builds.
  return { status, stdout, stderr: stderr.replaceAll(/^hotpair: (building|waiting) .*\n/gm, "") };
}

describe("hotpair check", () => {
  test("files that are right: exit 0 and a line for each; which kind it is, the keys say; - is stdin", () => {
    expect(hotpair(["check", "gw1.yaml", "lab.yaml", "-"], "node: gw3\n")).toEqual({
      status: 0,
      stdout: "gw1.yaml: ok, node gw1\nlab.yaml: ok, lab lab\n<stdin>: ok, node gw3\n",
      stderr: "",
    });
  });

  test("a file that is not: exit 2, every problem on stderr, nothing on stdout", () => {
    expect(hotpair(["check", "bad.yaml"])).toEqual({
      status: 2,
      stdout: "",
      stderr: `bad.yaml:2:33: links[0].ends[1]: found "sw2", allowed: a node of this lab: sw1 (did you mean "sw1"?)
bad.yaml:2:42: links[0].dellay: unknown key, allowed: id, ends, delay, rate, queue, loss, jitter (did you mean "delay"?)
bad.yaml:3:25: script[0].cut: found "b", allowed: a link of this lab: a
`,
    });
  });

  test("--json: one object a line on stdout and nothing else anywhere", () => {
    const { status, stdout, stderr } = hotpair(["check", "--json", "gw1.yaml", "bad.yaml"]);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect({ status, stderr }).toEqual({ status: 2, stderr: "" });
    expect(lines.map(({ type }) => type)).toEqual(["problem", "problem", "problem", "file", "summary"]);
    expect(lines[0]).toEqual({
      type: "problem",
      file: "bad.yaml",
      line: 2,
      column: 33,
      path: "links[0].ends[1]",
      message: 'found "sw2", allowed: a node of this lab: sw1 (did you mean "sw1"?)',
      warning: false,
    });
    expect(lines.at(-1)).toEqual({ type: "summary", files: 2, problems: 3, warnings: 0, ok: false });
  });

  test("several nodes together: also what disagrees between them", () => {
    expect(hotpair(["check", "gw1.yaml", "gw2.yaml"])).toEqual({
      status: 2,
      stdout: "gw1.yaml: ok, node gw1\n",
      stderr:
        "gw2.yaml:2:35: interfaces.eth0.addresses[0]: found 192.0.2.1, which gw1 has already; allowed: an address of one node only\n",
    });
    expect(hotpair(["check", "gw1.yaml", "twin.yaml"]).stderr).toBe(
      'twin.yaml:1:7: node: found "gw1", which is the node of gw1.yaml too, allowed: a name of its own\n',
    );
  });

  test("a warning is said and refuses nothing: exit 0", () => {
    expect(hotpair(["check", "loose.yaml"])).toEqual({
      status: 0,
      stdout: "loose.yaml: ok, lab loose\n",
      stderr: 'loose.yaml:1:35: nodes.sw1.bridge.ports[0]: found the port "p1", which no link has (a warning)\n',
    });
  });

  test("a file that is not there, or not text: exit 2", () => {
    expect(hotpair(["check", "none.yaml"])).toEqual({
      status: 2,
      stdout: "",
      stderr: "none.yaml: there is no such file\n",
    });
  });
});

describe("the command line", () => {
  test("bad usage: exit 2, said on stderr with the command that was meant", () => {
    const { status, stdout, stderr } = hotpair(["chekc", "gw1.yaml"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain("unknown command 'chekc'");
    expect(stderr).toContain("Did you mean check?");
    expect(hotpair(["check", "--jsno", "gw1.yaml"]).status).toBe(2);
  });

  test("--help of every command is on stdout, with an example", () => {
    const { status, stdout } = hotpair(["--help"]);
    expect(status).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) .*\[options\]|^ {2}([a-z]+) \[options\]/gm)].map(
      (match) => match[1] ?? match[2] ?? "",
    );
    expect(commands).toContain("check");
    for (const command of commands) {
      expect(hotpair([command, "--help"]).stdout, command).toMatch(/Examples?:\n +\$ hotpair /);
    }
  });

  test("a reader that goes away ends it without a word, as SIGPIPE would", async () => {
    const child = spawn(process.execPath, [executable, "schema"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (data) => {
      stderr += String(data);
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends it with %i", async (signal, code) => {
    const child = spawn(process.execPath, [executable, "check", "-"], { stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    // More than a pipe holds: once all of it is written, the program is up and reading, and wants more.
    await new Promise((resolve) => child.stdin.write("#".repeat(1 << 20), resolve));
    child.kill(signal);
    expect(await ended).toBe(code);
  });
});
