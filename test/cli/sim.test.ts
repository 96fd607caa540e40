import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { itWith } from "../capture/tools.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const executable = join(root, "cli/hotpair.mjs");
const lab = join(root, "topologies/failover.yaml");
let folder = "";

beforeAll(() => {
  spawnSync(process.execPath, [join(root, "cli/setup.mjs")], { stdio: "ignore" });
  folder = mkdtempSync(join(tmpdir(), "hotpair-sim-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function hotpair(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [executable, ...words], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  return { status, stdout, stderr: stderr.replaceAll(/^hotpair: (building|waiting) .*\n/gm, "") };
}

type Line = Record<string, unknown> & { readonly type: string };
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe("hotpair sim", () => {
  test("as text: a timeline with the reason of every election, the flows, every expectation; exit 0", () => {
    const { status, stdout, stderr } = hotpair("sim", lab);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("   13.023449  gw2     eth0 vrid 1 ipv4: backup → master, priority 100 (master-timeout)");
    expect(stdout).toContain("   10.000000  world   power-off gw1");
    expect(stdout).toMatch(/^flow up: sent 30000, received 26976, lost 3024, duplicated 0, reordered 0, longest gap /m);
    expect(stdout.match(/^ok {4}line \d+: /gm)).toHaveLength(9);
    expect(stdout).toMatch(/^watched: no-blackhole-after-settle, no-duplicate, no-loop, one-master$/m);
    for (const line of stdout.split("\n")) if (line.includes("→")) expect(line).toMatch(/\([a-z-]+\)$/);
  });

  test("as JSON: only JSON on stdout, each line with t and type, flows once, the summary last", () => {
    const { status, stdout } = hotpair("sim", lab, "--json");
    const lines = jsonLines(stdout);
    expect(status).toBe(0);
    for (const line of lines) expect(line).toMatchObject({ t: expect.any(Number), type: expect.any(String) });
    expect(lines.filter(({ type }) => type === "flow").map(({ id }) => id)).toEqual(["up", "gateway"]);
    expect(lines.find(({ type, node, to }) => type === "vrrp.state" && node === "gw2" && to === "master")).toEqual({
      t: 13.023449,
      node: "gw2",
      type: "vrrp.state",
      interface: "eth0",
      vrid: 1,
      family: "ipv4",
      from: "backup",
      to: "master",
      priority: 100,
      reason: "master-timeout",
    });
    expect(lines.at(-1)).toEqual({
      t: 35,
      type: "summary",
      events: expect.any(Number),
      frames: expect.any(Number),
      virtualSeconds: 35,
      wallSeconds: expect.any(Number),
      watched: ["no-blackhole-after-settle", "no-duplicate", "no-loop", "one-master"],
      ok: true,
    });
  });

  test("same seed, same log, byte for byte, in two processes; another seed may differ, and says so", () => {
    const lossy = join(folder, "lossy.yaml");
    const text = readFileSync(lab, "utf8");
    writeFileSync(
      lossy,
      text.replace("{ id: wan,", "{ id: wan, loss: 1/10, jitter: 100us,").replace(/^expect:[\s\S]*/m, ""),
    );
    const record = (name: string, seed: string) => {
      const { status } = hotpair("sim", lossy, "--seed", seed, "--for", "12s", "--frames", "all", "--record", name);
      expect(status).toBe(0);
      return readFileSync(join(folder, name));
    };
    const first = record("a.jsonl", "7");
    expect(first.length).toBeGreaterThan(1_000_000);
    expect(record("b.jsonl", "7").equals(first)).toBe(true);
    expect(record("c.jsonl", "8").equals(first)).toBe(false);
  });

  test("an expectation that is not met: exit 1, which and why, and the command that shows it again", () => {
    writeFileSync(join(folder, "wrong.yaml"), readFileSync(lab, "utf8").replace("within: 3610ms", "within: 2s"));
    const { status, stdout, stderr } = hotpair("sim", "wrong.yaml", "--seed", "3");
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^FAIL {2}line \d+: \{ after: 10s, within: 2s, .*\}: it is backup on eth0 since 0\.000000 s/m,
    );
    expect(stderr).toBe("failed; again: hotpair sim wrong.yaml --seed 3\n");
  });

  test("--for before the time of an expectation: it is not judged, and said so; exit 0", () => {
    const { status, stdout } = hotpair("sim", lab, "--for", "11s");
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^skip {2}line \d+: \{ at: 30s, .*\}: not judged: the run ended before the time of this line$/m,
    );
    expect(stdout).toMatch(/^ok {4}line \d+: \{ at: 5s, /m);
  });

  test("usage and files that are wrong: exit 2 with every error", () => {
    writeFileSync(join(folder, "broken.yaml"), "nodes: { a: {} }\nlinks: [{ id: x, ends: [a:e, b:e] }]\nexpct: []\n");
    const broken = hotpair("sim", "broken.yaml");
    expect(broken.status).toBe(2);
    expect(broken.stderr.trimEnd().split("\n")).toHaveLength(2);
    expect(broken.stderr).toContain("broken.yaml:3:1: expct: unknown key");
    for (const [words, message] of [
      [["--for", "soon"], '--for: found "soon", allowed: a duration'],
      [["--seed", "-1"], '--seed: found "-1", allowed: a whole number'],
      [["--speed", "0"], '--speed: found "0", allowed: a number above 0, or max'],
      [["--frames", "some"], '--frames: found "some", allowed: all'],
      [["--nonsense"], "unknown option '--nonsense'"],
    ] as const) {
      const { status, stdout, stderr } = hotpair("sim", lab, ...words);
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(stderr).toContain(message);
    }
    expect(hotpair("sim", "nowhere.yaml")).toMatchObject({
      status: 2,
      stderr: "nowhere.yaml: there is no such file\n",
    });
    expect(hotpair("sim", lab, "--record", "no/such/place")).toMatchObject({ status: 3 });
  });

  itWith("tshark", "--pcap: one interface a link, and tshark decodes every frame without a complaint", async () => {
    expect(hotpair("sim", join(root, "topologies/dual-stack.yaml"), "--pcap", "pcaps", "--for", "15s").status).toBe(0);
    const file = join(folder, "pcaps/dual-stack.pcapng");
    const shown = (...words: string[]) =>
      execFileSync("tshark", ["-r", file, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", ...words], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        maxBuffer: 1 << 28,
      });
    const names = new Set(shown("-T", "fields", "-e", "frame.interface_name").trimEnd().split("\n"));
    expect(names).toEqual(new Set(["gw1-sw", "gw2-sw", "host-sw"]));
    // Wireshark judges VRRPv3 over IPv4 by RFC 5798's pseudo-header; RFC 9568's form is "bad" to it, so v6 stands for both.
    expect(
      shown(
        "-Y",
        "_ws.malformed || ip.checksum.status == 0 || icmpv6.checksum.status == 0 || icmp.checksum.status == 0",
      ),
    ).toBe("");
    expect(shown("-Y", "vrrp && ipv6 && vrrp.checksum.status == 0")).toBe("");
    expect(shown("-Y", "vrrp && ipv6").trimEnd().split("\n").length).toBeGreaterThan(20);
    expect(shown("-Y", "vrrp && ip").trimEnd().split("\n").length).toBeGreaterThan(20);
    expect(shown("-Y", "arp.isgratuitous").trimEnd()).toContain("10.0.0.1");
    expect(shown("-Y", "icmpv6.type == 136 && icmpv6.nd.na.flag.r == 1").trimEnd()).not.toBe("");
  });
});
