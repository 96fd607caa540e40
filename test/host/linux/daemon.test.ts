import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Json, Link } from "../../../cli/control.ts";
import { lacking, sh } from "./guarded.ts";
import { type Entry, endAll, hotpair, Running } from "./running.ts";

const MISSING = lacking();
/** The two namespaces, with a wire between them. */
const ONE = `hpdm${process.pid}a`;
const TWO = `hpdm${process.pid}b`;
const INTERVAL = "100ms";

let directory: string;

const fileOf = (name: string) => join(directory, name);

function write(name: string, node: string, priority: number, more: readonly string[] = []): string {
  const router = `{ name: lan, interface: d0, vrid: 51, priority: ${priority}, interval: ${INTERVAL}, addresses: [192.0.2.254/24] }`;
  writeFileSync(fileOf(name), `node: ${node}\nvrrp:\n${[router, ...more].map((one) => `  - ${one}\n`).join("")}`);
  return fileOf(name);
}

function addressesOf(ns: string): string {
  return sh(`ip -n ${ns} -br address`);
}

describe.skipIf(MISSING !== undefined)(
  `a daemon that is operated${MISSING === undefined ? "" : `: ${MISSING}`}`,
  () => {
    let gw1: Running;
    let gw2: Running;

    beforeAll(() => {
      for (const ns of [ONE, TWO]) sh(`ip netns add ${ns}; ip -n ${ns} link set lo up`);
    });

    afterAll(() => {
      for (const ns of [ONE, TWO]) spawnSync("ip", ["netns", "del", ns]);
    });

    beforeEach(async () => {
      directory = mkdtempSync(join(tmpdir(), "hotpair-"));
      sh(`ip -n ${ONE} link add d0 type veth peer name d0 netns ${TWO}`);
      for (const [ns, host] of [[ONE, 1] as const, [TWO, 2] as const]) {
        sh(`ip -n ${ns} address add 192.0.2.${host}/24 dev d0; ip -n ${ns} link set d0 up`);
      }
      gw1 = await Running.start(ONE, fileOf("gw1.sock"), write("gw1.yaml", "gw1", 150));
      await gw1.state(51, "master");
      gw2 = await Running.start(TWO, fileOf("gw2.sock"), write("gw2.yaml", "gw2", 100));
      await gw2.state(51, "backup");
    });

    afterEach(async () => {
      await endAll();
      spawnSync("ip", ["-n", ONE, "link", "del", "d0"]);
      rmSync(directory, { recursive: true, force: true });
    });

    test("says what it is: a table for people, one JSON object a router and one for the host", async () => {
      const table = hotpair(ONE, "status", gw1.socket);
      expect(table).toMatchObject({ code: 0, stderr: "" });
      expect(table.stdout).toMatch(/^lan\s+d0\s+51\s+ipv4\s+master\s+master-timeout\s/m);
      expect(table.stdout).not.toContain("\u001b");
      const lines = hotpair(TWO, "status", gw2.socket, "--json").stdout.trimEnd().split("\n");
      const [router, host] = lines.map((line) => JSON.parse(line) as Json);
      expect(lines).toHaveLength(2);
      expect(router).toMatchObject({ node: "gw2", type: "vrrp.router", name: "lan", state: "backup", priority: 100 });
      expect(router).toMatchObject({ master: { address: "192.0.2.1", priority: 150, interval: 0.1, version: 3 } });
      expect(host).toMatchObject({ type: "host", interfaces: [{ interface: "d0", up: true }] });
    });

    test("says why: the order that it was given, and what came of it", async () => {
      const from = gw1.entries.length;
      expect(hotpair(ONE, "set", gw1.socket, "priority", "lan", "50")).toMatchObject({ code: 0, stderr: "" });
      await gw1.state(51, "backup", from);
      await gw2.state(51, "master");
      const { stdout, code } = hotpair(ONE, "explain", gw1.socket, "vrrp51");
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /backup \(higher-priority\)[\s\S]*priority 150 → 50 \(command\)[\s\S]*order to vrrp: priority/,
      );
      expect(hotpair(ONE, "explain", gw1.socket, "vrrp52")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("allowed: d0, vrrp51"),
      });
      expect(hotpair(ONE, "set", gw1.socket, "priority", "wan", "50")).toMatchObject({ code: 2 });
      expect(hotpair(ONE, "set", gw1.socket, "priority", "lan", "256")).toMatchObject({ code: 2 });
    });

    test("goes over to a changed file: its routers stay as they are, new ones come and go", async () => {
      sh(`ip -n ${ONE} link add d1 type veth peer name d9; ip -n ${ONE} link set d9 up`);
      sh(`ip -n ${ONE} address add 198.51.100.1/24 dev d1; ip -n ${ONE} link set d1 up`);
      const other = "{ interface: d1, vrid: 9, interval: 100ms, addresses: [198.51.100.254/24] }";
      write("gw1.yaml", "gw1", 150, [other]);
      const before = (await gw1.row("lan")) as Json & { counters: Json };
      const dry = hotpair(ONE, "reload", "--dry-run", gw1.socket);
      expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining("d1-9 (d1 vrid 9 ipv4): starts") });
      expect(gw1.entries.filter(({ type }) => type === "command").length).toBe(1);
      expect(hotpair(ONE, "reload", gw1.socket)).toMatchObject({ code: 0 });
      await gw1.state(9, "master");
      expect(addressesOf(ONE)).toMatch(/vr4\.9\.\d+@d1\s+\S+\s+198\.51\.100\.254\/24/);
      // SIGHUP is the same order.
      write("gw1.yaml", "gw1", 150);
      gw1.child.kill("SIGHUP");
      await gw1.state(9, "initialize");
      await gw1.until(({ type, vrid, present }) => type === "apply.ip.virtual" && vrid === 9 && present === false);
      expect(addressesOf(ONE)).not.toContain("vr4.9.");
      const after = (await gw1.row("lan")) as Json & { counters: Json };
      expect(after["counters"]).toMatchObject({ masterTransitions: before.counters["masterTransitions"] });
      expect(gw2.entries.filter((entry) => entry.type === "vrrp.state" && entry["to"] === "master")).toEqual([]);
      expect(hotpair(ONE, "reload", gw1.socket).stdout).toBe("no change\n");
      sh(`ip -n ${ONE} link del d1`);
    });

    test("stays master while what a reload has it track was not looked at yet, and gives up when that is bad", async () => {
      const before = gw1.entries.length;
      const track = (run: string) => {
        const script = `{ name: check, run: ${run}, interval: 100ms }`;
        const router = `{ name: lan, interface: d0, vrid: 51, priority: 150, interval: ${INTERVAL}, addresses: [192.0.2.254/24], track: { scripts: [${script}] } }`;
        writeFileSync(fileOf("gw1.yaml"), `node: gw1\nvrrp:\n  - ${router}\n`);
      };
      track("/bin/true");
      expect(hotpair(ONE, "reload", gw1.socket)).toMatchObject({ code: 0 });
      await gw1.until(({ type, command }) => type === "command" && (command as Json)["verb"] === "track", before);
      expect(gw1.entries.slice(before).filter(({ type }) => type === "vrrp.state")).toEqual([]);
      track("/bin/false");
      expect(hotpair(ONE, "reload", gw1.socket)).toMatchObject({ code: 0 });
      expect(await gw1.state(51, "fault", before)).toMatchObject({ reason: "tracking" });
      await gw2.state(51, "master");
    });

    test("keeps what it has when the file is bad, and says everything that is wrong to who asked and in its log", async () => {
      write("gw1.yaml", "gw1", 300, ["{ interface: d0, vrid: 999 }"]);
      const bad = hotpair(ONE, "reload", gw1.socket);
      expect(bad).toMatchObject({ code: 2, stdout: "" });
      for (const what of ["vrrp[0].priority: found 300", "vrrp[1].vrid: found 999", "nothing was changed"]) {
        expect(bad.stderr).toContain(what);
        await gw1.untilSaid(what);
      }
      expect(bad.stderr).toMatch(/gw1\.yaml:3:\d+: /);
      expect(await gw1.row("lan")).toMatchObject({ state: "master", priority: 150 });
      write("gw1.yaml", "other", 150);
      expect(hotpair(ONE, "reload", gw1.socket)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("node: found other"),
      });
      rmSync(fileOf("gw1.yaml"));
      expect(hotpair(ONE, "reload", gw1.socket)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("no such file"),
      });
    });

    test("hands over before it goes: the peer is master before the addresses are given up", async () => {
      const drained = hotpair(ONE, "drain", gw1.socket);
      expect(drained).toMatchObject({ code: 0, stdout: "lan: handed over\nstopped\n" });
      const takes = await gw2.state(51, "master");
      expect(takes).toMatchObject({ reason: "preempt" });
      const yields = await gw1.state(
        51,
        "backup",
        gw1.entries.findIndex((entry) => entry["to"] === "master"),
      );
      expect(yields).toMatchObject({ reason: "higher-priority", priority: 1 });
      expect(await gw1.ended).toMatchObject({ code: 0 });
      expect(addressesOf(ONE)).not.toContain("192.0.2.254");
      expect(addressesOf(TWO)).toContain("192.0.2.254");
      expect(existsSync(gw1.socket)).toBe(false);
    });

    test("that nobody takes over from says so when it is drained, and goes all the same", async () => {
      gw2.child.kill("SIGTERM");
      expect(await gw2.ended).toMatchObject({ code: 143 });
      const drained = hotpair(ONE, "drain", gw1.socket, "--timeout", "0", "--json");
      expect(drained.code).toBe(0);
      expect(JSON.parse(drained.stdout)).toMatchObject({ type: "drain", node: "gw1", handedOver: [], kept: ["lan"] });
    });

    test("stops when it is told to: priority 0, exit 0, nothing is left", async () => {
      expect(hotpair(ONE, "stop", gw1.socket)).toMatchObject({ code: 0, stdout: "stopped\n" });
      expect(await gw1.ended).toMatchObject({ code: 0 });
      expect(await gw2.state(51, "master")).toMatchObject({ reason: "priority-zero" });
      expect(addressesOf(ONE)).not.toMatch(/192\.0\.2\.254|vr4/);
      expect(hotpair(ONE, "status", gw1.socket)).toMatchObject({
        code: 3,
        stderr: expect.stringContaining("no hotpair runs here"),
      });
    });

    test("releases on SIGTERM and ends with 143, on SIGINT with 130", async () => {
      gw1.child.kill("SIGTERM");
      expect(await gw1.ended).toMatchObject({ code: 143 });
      await gw2.state(51, "master");
      gw2.child.kill("SIGINT");
      expect(await gw2.ended).toMatchObject({ code: 130 });
      expect(addressesOf(ONE) + addressesOf(TWO)).not.toMatch(/192\.0\.2\.254|vr4/);
    });

    test("goes on answering for a whole interval where nobody takes over, however long that is", async () => {
      const vrrp = "{ interface: d0, vrid: 9, priority: 255, interval: 3s, addresses: [192.0.2.253/24] }";
      const file = write("gw1.yaml", "gw1", 150, [vrrp]);
      expect(hotpair(ONE, "reload", gw1.socket, file)).toMatchObject({ code: 0 });
      await gw1.state(9, "master");
      gw1.child.kill("SIGTERM");
      const left = (await gw1.state(9, "initialize")) as Entry & { readonly t: number };
      expect(await gw1.ended).toMatchObject({ code: 143 });
      const gone = (await gw1.until(
        ({ type, vrid, present }) => type === "apply.ip.virtual" && vrid === 9 && present === false,
      )) as Entry & { readonly t: number };
      expect(gone.t - left.t).toBeGreaterThanOrEqual(3);
      expect(addressesOf(ONE)).not.toMatch(/192\.0\.2\.253|vr4/);
    });

    test("starts without a router, and with its first ones at a reload", async () => {
      gw2.child.kill("SIGTERM");
      await gw2.ended;
      writeFileSync(fileOf("gw3.yaml"), "node: gw3\n");
      const gw3 = Running.begin(TWO, fileOf("gw3.sock"), fileOf("gw3.yaml"));
      await gw3.answers();
      expect(hotpair(TWO, "status", gw3.socket).code).toBe(0);
      const file = write("gw3.yaml", "gw3", 100);
      expect(hotpair(TWO, "reload", gw3.socket)).toMatchObject({ code: 0, stdout: expect.stringContaining("vrrp") });
      await gw3.state(51, "backup");
      gw1.child.kill("SIGTERM");
      await gw3.state(51, "master");
      expect(addressesOf(TWO)).toContain("192.0.2.254");
      writeFileSync(file, "node: gw3\n");
      expect(hotpair(TWO, "reload", gw3.socket)).toMatchObject({ code: 2, stderr: expect.stringContaining("vrrp") });
      writeFileSync(file, "node: gw3\nvrrp: []\n");
      expect(hotpair(TWO, "reload", gw3.socket)).toMatchObject({ code: 0 });
      await gw3.until(({ type, present }) => type === "apply.ip.virtual" && present === false);
      expect(addressesOf(TWO)).not.toMatch(/192\.0\.2\.254|vr4/);
    });

    test("ends with exit 3 where an interface is not there, and says which there are; --wait waits for it", async () => {
      const router = "{ interface: d00, vrid: 7, interval: 100ms, addresses: [192.0.2.7/24] }";
      writeFileSync(fileOf("gw4.yaml"), `node: gw4\nvrrp:\n  - ${router}\n`);
      const refused = hotpair(ONE, "run", fileOf("gw4.yaml"), "--socket", fileOf("gw4.sock"));
      expect(refused).toMatchObject({ code: 3, stdout: "" });
      expect(refused.stderr).toMatch(/d00: no such interface \(did you mean "d0"\?\); there are .*d0.*; --wait starts/);
      expect(existsSync(fileOf("gw4.sock"))).toBe(false);
      const gw4 = Running.begin(ONE, fileOf("gw4.sock"), fileOf("gw4.yaml"), undefined, "--wait");
      await gw4.answers();
      sh(`ip -n ${ONE} link add d00 type veth peer name d09; ip -n ${ONE} link set d09 up`);
      sh(`ip -n ${ONE} address add 192.0.2.9/24 dev d00; ip -n ${ONE} link set d00 up`);
      await gw4.state(7, "master");
      sh(`ip -n ${ONE} link del d00`);
      expect(await gw4.state(7, "fault")).toMatchObject({ reason: "interface-down" });
    });

    test("is refused a socket that another one has", () => {
      const second = hotpair(ONE, "run", fileOf("gw1.yaml"), "--socket", gw1.socket);
      expect(second).toMatchObject({
        code: 3,
        stderr: expect.stringMatching(/a hotpair runs here already \(pid \d+\)/),
      });
    });

    test("takes a socket that a killed one has left", async () => {
      gw1.child.kill("SIGKILL");
      await gw1.ended;
      expect(existsSync(gw1.socket)).toBe(true);
      const again = await Running.start(ONE, gw1.socket, fileOf("gw1.yaml"));
      await again.state(51, "master");
    });

    test("tells who follows what happens, and no frames unless they are asked for", async () => {
      const link = await Link.to(gw1.socket);
      const heard: { readonly follow: unknown; readonly entry: Entry }[] = [];
      let look = () => {};
      link.heard = (line) => {
        heard.push(line as never);
        look();
      };
      const until = (type: string) =>
        new Promise<void>((resolve) => {
          look = () => heard.some(({ entry }) => entry.type === type) && resolve();
          look();
        });
      expect(await link.ask("follow")).toMatchObject({ ok: true });
      expect(await link.ask("command", { to: "vrrp", command: { verb: "priority", priority: 151 } })).toMatchObject({
        ok: true,
      });
      await until("vrrp.priority");
      expect(heard.some(({ entry }) => entry.type === "send")).toBe(false);
      expect(await link.ask("follow", { everything: true })).toMatchObject({ ok: true });
      await until("send");
      expect(await link.ask("command", { to: "vrrp", command: { verb: "dance" } })).toMatchObject({ ok: false });
      expect(await link.ask("command", { to: "lacp", command: {} })).toMatchObject({ ok: false });
      expect(await link.ask("dance")).toMatchObject({
        ok: false,
        error: expect.stringContaining("allowed: who, state"),
      });
      link.close();
    });
  },
);

test("what is said of a service manager's unit is true: it is there, and names only what exists", () => {
  const unit = readFileSync(new URL("../../../contrib/hotpair.service", import.meta.url), "utf8");
  expect(unit).toMatch(/^Type=notify$/m);
  expect(unit).toMatch(/^ExecReload=.*HUP/m);
});
