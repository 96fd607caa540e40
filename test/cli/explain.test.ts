/** `hotpair sim LAB --explain NODE:SUBJECT@TIME`. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const lab = join(root, "topologies/mlag-pair.yaml");

beforeAll(() => {
  spawnSync(process.execPath, [join(root, "cli/setup.mjs")], { stdio: "ignore" });
});

function sim(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, "cli/hotpair.mjs"), "sim", lab, ...words],
    { encoding: "utf8", maxBuffer: 1 << 28 },
  );
  return { status, stdout, stderr: stderr.replaceAll(/^hotpair: (building|waiting) .*\n/gm, "") };
}

type Line = Record<string, unknown> & { readonly type: string };
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe("hotpair sim --explain", () => {
  test("as text: the state and its reason, each cause with its time, and what ends it, after the normal output", () => {
    const { status, stdout, stderr } = sim("--explain", "sw2:agg1@21.5s");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("\n21.5 virtual seconds in ");
    const answer = stdout.slice(stdout.indexOf("\nsw2:agg1 at ") + 1);
    expect(answer.trimEnd().split("\n")).toEqual([
      "sw2:agg1 at 21.5s: suspended (peer-alive) since 20.0004s",
      "  M-LAG 1 (agg1): suspended, here down, at the peer down (peer-alive)",
      "  because  20.000400  sw2    agg1: SYNC is withheld (peer-alive)",
      "  because  20.000400  sw2    keepalive: the peer answered a question asked after the loss (answered)",
      "  because  20.000000  sw2    peer session 1: down (peer-link-down)",
      "  because  20.000000  sw2    peer: link down",
      expect.stringMatching(/^ {2}because {2}20\.000000 {2}world {2}cut peer \(line \d+\)$/),
      expect.stringMatching(/^ {2}ends {5}when the peer link carries frames .* timeout \+ hold \(8s\)$/),
    ]);
  });

  test("as JSON: one line for each question, before the summary; --for keeps the run going", () => {
    const { status, stdout } = sim("--json", "--for", "30s", "--explain", "sw2:agg1@21.5s", "--explain", "sw1:role");
    expect(status).toBe(0);
    const lines = jsonLines(stdout);
    const [first, second, ...more] = lines.filter(({ type }) => type === "explain");
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      t: 21.5,
      subject: "sw2:agg1",
      at: 21.5,
      state: "suspended",
      reason: "peer-alive",
      since: 20.0004,
      ends: expect.stringContaining("restore-delay (2s)"),
    });
    const chain = first?.["chain"] as Line[];
    expect(chain[0]).toEqual({
      t: 20.0004,
      node: "sw2",
      type: "mlag.hold",
      text: "agg1: SYNC is withheld (peer-alive)",
      reason: "peer-alive",
    });
    expect(chain.at(-1)).toMatchObject({ t: 20, node: "world", type: "world.cut", reason: "script" });
    expect(second).toMatchObject({ t: 30, subject: "sw1:role", at: 30, state: "primary" });
    expect(lines.at(-1)).toMatchObject({ type: "summary", virtualSeconds: 30 });
  });

  test("a node alone is all that it has", () => {
    const { stdout } = sim("--json", "--explain", "srv1@1s");
    const subjects = jsonLines(stdout)
      .filter(({ type }) => type === "explain")
      .map(({ subject }) => subject);
    expect(subjects).toEqual(["srv1:e1", "srv1:e2", "srv1:bond0"]);
  });

  test.each([
    ["sw3:agg1", 'found "sw3", allowed: NODE:SUBJECT@TIME with a node of this lab: sw1, sw2, srv1, srv2'],
    [
      "sw2:ag1",
      'found "ag1", allowed: of sw2: p1, p2, peer, ka, agg1, agg2, vlan1, mlag, role, session, keepalive, vrrp10',
    ],
    ["sw2:mac/02:00", 'found "mac/02:00", allowed: of sw2: '],
    ["sw2:agg1@soon", 'found "soon" as a time, allowed: a duration from the start, up to 30d, such as 21.5s'],
    ["sw2:agg1@1s@2s", "as a time, allowed: "],
  ])("%s is refused with what can be asked, exit 2, and nothing is run", (question, message) => {
    const { status, stdout, stderr } = sim("--explain", question);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(`--explain ${question}: `);
    expect(stderr).toContain(message);
    if (question === "sw2:ag1") expect(stderr).toContain('(did you mean "agg1"?)');
  });
});
