import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { CAPTURES, captureFiles, sidecarOf } from "../capture/fixtures.ts";

const executable = join(dirname(fileURLToPath(import.meta.url)), "../../cli/hotpair.mjs");

beforeAll(() => {
  // So that no command of these tests has to say that it builds first.
  spawnSync(process.execPath, [join(dirname(executable), "setup.mjs")], { stdio: "ignore" });
});

function decode(words: readonly string[], input?: Uint8Array) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [executable, "decode", ...words], {
    cwd: CAPTURES,
    input,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return { status, lines: stdout.split("\n").slice(0, -1), stderr };
}

const ELECTION = "keepalived-v3-ipv4-election.pcap";

describe("hotpair decode", () => {
  test("one line a frame: number, time, who to whom, what, and what a receiver does with it; exit 0", () => {
    const { status, lines, stderr } = decode([ELECTION]);
    expect({ status, stderr, count: lines.length }).toEqual({ status: 0, stderr: "", count: 60 });
    expect(lines[2]).toBe(
      "    3     3.588615  192.0.2.1 > 224.0.0.18  VRRPv3 vrid 51 priority 100 interval 1s 192.0.2.100  => accept",
    );
  });

  test("--json: one object a line with the names of the ground truth, numbered from 1, on stdout alone", () => {
    const { status, lines, stderr } = decode(["--json", ELECTION]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const frames = lines.map((line) => JSON.parse(line) as { n: number; t: number; vrrp?: { vrid: number } });
    const truth = sidecarOf(ELECTION).frames;
    expect(frames.map(({ n, t }) => [n, t])).toEqual(truth.map(({ n, t }) => [n, t]));
    expect(frames[2]).toMatchObject({ len: 46, proto: "VRRP", vrrp: { vrid: 51, adv_cs: 100 }, rx: { v3: "accept" } });
  });

  test("- is stdin, plain or compressed; --limit stops early", () => {
    const plain = decode(["fmt-le-usec.pcap"]).lines;
    expect(plain).toHaveLength(14);
    for (const file of ["fmt-le-usec.pcap", "fmt-le-usec.pcap.gz"]) {
      expect(decode(["-"], readFileSync(CAPTURES + file))).toEqual({ status: 0, lines: plain, stderr: "" });
    }
    expect(decode(["--limit", "3", "fmt-le-usec.pcap"])).toEqual({ status: 0, lines: plain.slice(0, 3), stderr: "" });
  });

  const variants = captureFiles.filter((file) => file.startsWith("fmt-"));
  test.each(variants)("%s: every whole frame; of a damaged file then one error and exit 2", (file) => {
    const { expect: expected, frame_count } = sidecarOf(file);
    const { status, lines, stderr } = decode([file]);
    if (expected === undefined || expected.read === "ok") {
      expect({ status, stderr, count: lines.length }).toEqual({ status: 0, stderr: "", count: frame_count });
    } else {
      expect({ status, count: lines.length }).toEqual({ status: 2, count: expected.frames_before ?? 0 });
      expect(stderr.split("\n")).toHaveLength(2);
      expect(stderr.startsWith(`${file}: `)).toBe(true);
    }
  });

  test("what cannot be opened is said in one line, with exit 2", () => {
    expect(decode(["no-such.pcap"])).toEqual({ status: 2, lines: [], stderr: "no-such.pcap: there is no such file\n" });
    expect(decode(["."])).toEqual({ status: 2, lines: [], stderr: ".: this is a directory, allowed: a file\n" });
    expect(decode(["--limit", "x", ELECTION])).toEqual({
      status: 2,
      lines: [],
      stderr: '--limit: found "x", allowed: a whole number from 1\n',
    });
  });

  test("a reader that goes away ends it, without a word", async () => {
    const child = spawn(process.execPath, [executable, "decode", "keepalived-v3-ipv4-10ms.pcap"], { cwd: CAPTURES });
    let stderr = "";
    child.stderr.on("data", (piece) => {
      stderr += piece;
    });
    child.stdout.destroy();
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect([0, 141]).toContain(status);
    expect(stderr).toBe("");
  });
});
