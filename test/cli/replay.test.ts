import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Census, take } from "../../cli/census.ts";
import { CAPTURES } from "../capture/fixtures.ts";
import { recordsOf, sidecars, truthOf } from "../support/ground-truth.ts";

const executable = join(dirname(fileURLToPath(import.meta.url)), "../../cli/hotpair.mjs");

const LAB = `
seed: 3
nodes:
  r1: { interfaces: { eth0: { addresses: [192.0.2.1/24] } }, vrrp: [{ interface: eth0, vrid: 51, priority: 150, addresses: [192.0.2.254/24] }] }
  r2: { interfaces: { eth0: { addresses: [192.0.2.2/24] } }, vrrp: [{ interface: eth0, vrid: 51, addresses: [192.0.2.254/24] }] }
links: [{ id: lan, ends: [r1:eth0, r2:eth0], delay: 1ms, jitter: 100us }]
script: [{ at: 6s, power-off: r1 }]
`;

let folder = "";

beforeAll(() => {
  // So that no command of these tests has to say that it builds first.
  spawnSync(process.execPath, [join(dirname(executable), "setup.mjs")], { stdio: "ignore" });
  folder = mkdtempSync(join(tmpdir(), "hotpair-replay-"));
  writeFileSync(join(folder, "pair.yaml"), LAB);
  run(["sim", "pair.yaml", "--record", "pair.rec"], folder);
  run(["sim", "pair.yaml", "--record", "all.rec", "--frames", "all"], folder);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(words: readonly string[], cwd: string, input?: Uint8Array | string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [executable, ...words], {
    cwd,
    input,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return { status, lines: stdout.split("\n").slice(0, -1), stderr };
}

const capture = (...words: string[]) => run(["replay", ...words], CAPTURES);
const json = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

describe("hotpair replay CAPTURE", () => {
  test("who was master, why, how long nobody was, and the counts at the end", () => {
    const { status, lines, stderr } = capture("keepalived-v3-ipv4-election.pcap");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const head = "capture  vrid 51 ipv4";
    expect(lines).toEqual([
      `    3.588615  ${head} master 192.0.2.1 (version 3, priority 100): first-seen [frame 3]`,
      `    8.571796  ${head} master 192.0.2.2 (version 3, priority 150), was 192.0.2.1: higher-priority [frame 15]`,
      `   14.185001  ${head} master 192.0.2.1 (version 3, priority 100), was 192.0.2.2: master-timeout, nobody for 3.610599s [frame 23]`,
      `   19.812628  ${head} master 192.0.2.2 (version 3, priority 150), was 192.0.2.1: higher-priority [frame 41]`,
      `   21.846530  ${head} 192.0.2.2 gives up (priority 0) [frame 49]`,
      `   22.457487  ${head} master 192.0.2.1 (version 3, priority 100), was 192.0.2.2: priority-zero, nobody for 610.957ms [frame 51]`,
      `   24.346390  ${head} 192.0.2.1 gives up (priority 0) [frame 59]`,
      "",
      "60 frames in 24.355964 s: ARP 30, VRRP 21, IGMP 9",
      "5 changes of master, 0 broken frames, 0 anomalies",
    ]);
  });

  test("--json: one object a line, the summary last, nothing on stderr", () => {
    const { status, lines, stderr } = capture("--json", "craft-vrrp3-duplicate-master.pcap");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const found = json(lines);
    expect(found.map(({ type }) => type)).toEqual([
      "vrrp.master",
      "vrrp.duplicate-master",
      "vrrp.released",
      "vrrp.duplicate-end",
      "summary",
    ]);
    expect(found[0]).toEqual({
      t: 0,
      type: "vrrp.master",
      interface: "capture",
      vrid: 51,
      family: "ipv4",
      version: 3,
      address: "192.0.2.1",
      priority: 150,
      frame: 1,
      reason: "first-seen",
    });
    expect(found[4]).toMatchObject({
      t: 5,
      events: 4,
      frames: 11,
      virtualSeconds: 5,
      protocols: { VRRP: 11 },
      ok: true,
    });
  });

  test("drops and anomalies are counted by their word", () => {
    const { lines } = capture("--json", "craft-vrrp3-ipv4-faults.pcap");
    const found = json(lines);
    const summary = found.at(-1) as { drops: Record<string, number>; anomalies: Record<string, number> };
    for (const [reason, number] of Object.entries(summary.drops)) {
      expect(found.filter((line) => line["type"] === "vrrp.drop" && line["reason"] === reason)).toHaveLength(number);
    }
    expect(summary.drops).toMatchObject({ checksum: 3, ttl: 3, "capture-cut": 1 });
    expect(summary.anomalies).toMatchObject({ ttl: 1, unicast: 1, "address-list": 1 });
  });

  test("a damaged capture: everything before the damage, then the error and exit 2", () => {
    const { status, lines, stderr } = capture("fmt-cut-mid-packet.pcap");
    expect(status).toBe(2);
    expect(lines[0]).toContain("master 192.0.2.1");
    expect(lines.at(-2)).toContain("13 frames");
    expect(stderr).toMatch(/^fmt-cut-mid-packet\.pcap: the file is cut short in packet 14.*\n$/);
    expect(capture("fmt-not-a-capture.pcap")).toMatchObject({ status: 2, lines: [] });
    expect(capture("no-such")).toMatchObject({ status: 2, lines: [], stderr: "no-such: there is no such file\n" });
  });

  test("the counts by protocol are those of the ground truth, frame by frame", async () => {
    const plain = new Set(["VRRP", "ARP", "LLDP", "STP", "ICMP", "TCP", "UDP"]);
    for (const sidecar of sidecars()) {
      if (sidecar["origin"] === undefined || /craft|oobr|infinite|pcapplusplus/.test(sidecar.file)) continue;
      const census: Census = new Map();
      const records = await recordsOf(sidecar.file);
      for (const record of records) take(census, record);
      for (const name of plain) {
        const truth = sidecar.frames.filter(
          (frame) => truthOf(frame)["proto"] === name && truthOf(frame)["carp"] === undefined,
        );
        if (name === "TCP" || name === "UDP") continue;
        expect([sidecar.file, name, census.get(name) ?? 0]).toEqual([sidecar.file, name, truth.length]);
      }
      expect([...census.values()].reduce((all, n) => all + n, 0)).toBe(records.length);
    }
  });
});

describe("hotpair replay RECORDING", () => {
  const recording = (name: string) => readFileSync(join(folder, name), "utf8");
  const replayed = (text: string, ...words: string[]) => run(["replay", ...words, "-"], folder, text);

  test("runs the lab again: the timeline, and that every line is as recorded; exit 0", () => {
    for (const name of ["pair.rec", "all.rec"]) {
      const { status, lines, stderr } = run(["replay", name], folder);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(lines[0]).toMatch(/^pair: 2 nodes, seed 3, 11 s$/);
      expect(lines.some((line) => line.includes("r1") && line.includes("backup → master"))).toBe(true);
      const count = recording(name).split("\n").length - 2;
      expect(lines.at(-1)).toMatch(new RegExp(`^as recorded: ${count} lines of 11 virtual seconds`));
    }
  });

  test("--json: the recorded lines and a summary", () => {
    const { status, lines } = run(["replay", "--json", "pair.rec"], folder);
    expect(status).toBe(0);
    expect(lines.slice(0, -1)).toEqual(recording("pair.rec").split("\n").slice(1, -1));
    expect(json(lines).at(-1)).toMatchObject({
      type: "summary",
      lines: lines.length - 1,
      virtualSeconds: 11,
      ok: true,
    });
  });

  test("a line that differs: exit 1, its number, what was recorded and what is now", () => {
    const lines = recording("pair.rec").split("\n");
    const at = lines.findIndex((line) => line.includes('"to":"master"'));
    const changed = lines.with(at, (lines[at] ?? "").replace('"priority":150', '"priority":151'));
    const { status, stderr } = replayed(changed.join("\n"));
    expect(status).toBe(1);
    expect(stderr).toBe(
      `<stdin>:${at + 1}: the first difference\n  recorded: ${changed[at]}\n  now:      ${lines[at]}\nthe run parts from the recording\n`,
    );
    const found = json(replayed(changed.join("\n"), "--json").lines);
    expect(found.slice(-2)).toMatchObject([
      { type: "difference", line: at + 1, recorded: { priority: 151 }, now: { priority: 150 } },
      { type: "summary", ok: false },
    ]);
  });

  test("lines that are missing or too many differ too", () => {
    const text = recording("pair.rec");
    const lines = text.split("\n");
    const short = replayed(`${lines.slice(0, 5).join("\n")}\n`);
    expect(short).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("<stdin>:6: the first difference\n  recorded: (nothing more)"),
    });
    const long = replayed(`${text}{}\n`);
    expect(long).toMatchObject({ status: 1, stderr: expect.stringContaining("  now:      (nothing more)") });
  });

  test("another seed is another run", () => {
    expect(replayed(recording("all.rec").replace('"seed":3', '"seed":4')).status).toBe(1);
  });

  test("a damaged recording: exit 2 and the line; a newer format: exit 2 and what to do", () => {
    const text = recording("pair.rec");
    expect(replayed(text.slice(0, -7))).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^<stdin>:\d+: the recording is damaged: not a JSON object\n$/),
    });
    expect(replayed(text.replace('"format":1', '"format":2'))).toMatchObject({
      status: 2,
      stderr: "<stdin>:1: format 2 is newer than this hotpair reads (1): a newer one is needed\n",
    });
    expect(replayed("{}\n")).toMatchObject({ status: 2, stderr: "<stdin>:1: not the header of a recording\n" });
    expect(replayed(text.replace('"seed":3,', ""))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("<stdin>:1: "),
    });
    expect(replayed(text.replace("r1:eth0", "r9:eth0"))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("the recording's lab is not valid"),
    });
  });
});
