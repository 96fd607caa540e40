/** What a daemon tracks and tells on real interfaces, in network namespaces: keepalived, or a second hotpair, is its peer. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { lacking } from "./support/lacking.ts";
import { end, ipBatch, onLeaving, until } from "./support/namespaces.ts";
import { Site } from "./support/site.ts";
import { addressesIn, type Plan, type Speaker } from "./support/speakers.ts";
import { now, type Seen, type Station } from "./support/wire.ts";

const missing = lacking("keepalived");
const HOTPAIR = fileURLToPath(new URL("../../cli/hotpair.mjs", import.meta.url));
const ADDRESS = "10.99.0.254/24";

const base: Plan = {
  vrid: 51,
  version: 3,
  priority: 150,
  interval: 100,
  addresses: [ADDRESS],
  preempt: true,
  virtualMac: true,
};

/** Ended after each test. */
const children = new Set<ChildProcess>();

describe.skipIf(missing !== undefined)(
  `what is tracked and told on real interfaces${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    let site: Site;
    let folder: string;
    let forget: () => void;

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "hp-tr-"));
      // Scripts and hooks run as nobody.
      chmodSync(folder, 0o777);
      forget = onLeaving(() => rmSync(folder, { recursive: true, force: true }));
      site = await Site.open();
    });

    afterEach(async () => {
      for (const { pid } of children) if (pid !== undefined) end(pid, "SIGKILL");
      children.clear();
      await site.close();
      rmSync(folder, { recursive: true, force: true });
      forget();
    });

    const at = (name: string) => join(folder, name);
    const lines = (name: string) => readFileSync(at(name), "utf8").split("\n").filter(Boolean);
    const ours = (more: Partial<Plan>) => site.start("a", "hotpair", { ...base, ...more });
    const prioritiesOf = (from: Station) => site.wire.adverts(from).map(({ facts }) => facts.priority);
    /** What is done, and the first advert of that priority from then on: it may be there before this thread looks. */
    const advertAfter = (act: () => void, from: Station, priority: number): Promise<Seen> => {
      const since = now();
      act();
      return site.wire.advert(from, (advert) => advert.priority === priority, since);
    };

    /** @returns its pid */
    function run(name: string): number {
      const program = at(name);
      copyFileSync("/bin/sleep", program);
      chmodSync(program, 0o755);
      const child = spawn(program, ["1000"], { stdio: "ignore" });
      children.add(child);
      if (child.pid === undefined) throw new Error(`${program} does not start`);
      return child.pid;
    }

    /** A hook that adds keepalived's words to a file, and what it finds on stdin to another. */
    const noting = (name: string) => {
      writeFileSync(at(name), "");
      chmodSync(at(name), 0o666);
      return `/bin/sh -c 'cat >> ${at(name)}.json; echo "$@" >> ${at(name)}' hook`;
    };

    function status({ socket }: Speaker, ...words: readonly string[]): string {
      const {
        status: code,
        stdout,
        stderr,
      } = spawnSync(process.execPath, [HOTPAIR, "status", socket, ...words], {
        encoding: "utf8",
      });
      expect(code, stderr).toBe(0);
      return stdout;
    }

    test("the very next advert has the priority that a file's value makes of it, and status and explain say why", async () => {
      writeFileSync(at("load"), "0\n");
      const files = [{ name: "load", path: at("load"), content: "value", weight: -10, interval: "1h" }];
      const daemon = await ours({ priority: 200, interval: 1_500, more: { track: { files } } });
      await site.wire.advert("a");
      const before = prioritiesOf("a").length;
      await advertAfter(() => writeFileSync(at("load"), "3\n"), "a", 170);
      expect(prioritiesOf("a").slice(before)).toEqual([170]);
      expect(status(daemon)).toMatch(/ 170 \(200\) [\s\S]*tracks file load says 3, weight -10: -30\n/);
      const row = JSON.parse(status(daemon, "--json").split("\n")[0] ?? "") as { readonly tracked: unknown };
      expect(row.tracked).toEqual([
        { kind: "file", name: "load", up: false, value: 3, weight: -10, effect: -30, why: "its value is 3" },
      ]);
      // As careful writers do: another file takes its place.
      writeFileSync(at("load.new"), "-2\n");
      await advertAfter(() => renameSync(at("load.new"), at("load")), "a", 220);
      await advertAfter(() => rmSync(at("load")), "a", 200);
      await advertAfter(() => writeFileSync(at("load"), "26\n"), "a", 0);
      expect(status(daemon)).toMatch(/ fault +tracking [\s\S]*tracks file load says 26, weight -10: fault\n/);
      const { stdout } = spawnSync(process.execPath, [HOTPAIR, "explain", daemon.socket, "vrrp51"], {
        encoding: "utf8",
      });
      expect(stdout).toContain("file load says 26: fault");
    });

    test("a process that is gone is a fault, and keepalived takes over; when it runs again ours does", async () => {
      const web = run("hp-web");
      const processes = [{ name: "web", process: "hp-web", arguments: ["1000"], interval: "50ms", rise: 2 }];
      await site.start("b", "keepalived", { ...base, priority: 100 });
      await site.wire.advert("b");
      await ours({ more: { track: { processes }, notify: { run: noting("told") } } });
      await site.wire.rounds("a", 5);
      const { at: gone } = await advertAfter(() => end(web, "SIGKILL"), "a", 0);
      await site.wire.advert("b", ({ priority }) => priority === 100, gone);
      await advertAfter(() => run("hp-web"), "a", 150);
      await until("the hook has been told", () => lines("told").length >= 6);
      expect(lines("told").slice(-5)).toEqual(
        ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"].map((state) => `INSTANCE e0-51 ${state} 150`),
      );
    });

    test("a script is down after `fall` failures in a row, up after `rise` successes, and runs as its user", async () => {
      // Up, then two failures that are one too few, then whatever the flag says.
      const text = `#!/bin/sh
id -un >> ${at("runs")}
case $(wc -l < ${at("runs")}) in 1 | 2 | 3 | 6) exit 0 ;; 4 | 5) exit 1 ;; esac
test -e ${at("flag")}
`;
      writeFileSync(at("check"), text);
      chmodSync(at("check"), 0o755);
      const script = { name: "check", run: `/bin/sh ${at("check")}`, interval: "50ms", fall: 3, rise: 2, user: "root" };
      const begun = now();
      const daemon = await ours({ more: { track: { scripts: [{ ...script, timeout: "5s", weight: -60 }] } } });
      await site.wire.advert("a", ({ priority }) => priority === 90, begun);
      expect(lines("runs").length).toBeGreaterThanOrEqual(9);
      expect(new Set(lines("runs"))).toEqual(new Set(["root"]));
      const bad = lines("runs").length;
      await advertAfter(() => writeFileSync(at("flag"), ""), "a", 150);
      expect(lines("runs").length).toBeGreaterThanOrEqual(bad + 2);
      expect(status(daemon)).toMatch(/tracks script check is up \(exit code 0\), weight -60: no effect/);
    });

    test("a sync group goes over as a whole when one of its interfaces is down, and comes back; its hook is told once", async () => {
      const { a, b, bridge } = site.namespaces;
      ipBatch(bridge, ["link add br1 type bridge forward_delay 0 stp_state 0 mcast_snooping 0", "link set br1 up"]);
      for (const [space, host] of [[a, 2] as const, [b, 3] as const]) {
        ipBatch(bridge, [
          `link add name up${host} type veth peer name e1 netns ${space}`,
          `link set dev up${host} master br1`,
          `link set dev up${host} up`,
        ]);
        ipBatch(space, ["link set e1 addrgenmode none", "link set e1 up", `address add 10.98.0.${host}/24 dev e1`]);
      }
      const routers = (priority: number, lan: object, up: object): Plan => {
        const shared = { interface: "e1", vrid: 52, priority, interval: "100ms", addresses: ["10.98.0.254/24"] };
        return { ...base, priority, more: { group: "site", ...lan }, others: [{ ...shared, group: "site", ...up }] };
      };
      const notify = { run: noting("told"), group: noting("group") };
      const daemon = await site.start("a", "hotpair", routers(150, { notify }, { notify: { group: notify.group } }));
      const holds = (space: string, count: number) =>
        ["10.99.0.254/24", "10.98.0.254/24"].filter((one) => addressesIn(space).includes(one)).length === count;
      await until("a holds both", () => holds(a, 2));
      await site.start("b", "hotpair", routers(100, {}, {}));
      await site.wire.rounds("a", 10);
      expect(holds(b, 0)).toBe(true);
      ipBatch(a, ["link set e1 down"]);
      await until("b holds both", () => holds(b, 2));
      await until("a holds none", () => holds(a, 0));
      ipBatch(a, ["link set e1 up"]);
      await until("a holds both again", () => holds(a, 2));
      await until("b holds none", () => holds(b, 0));
      await until("the group's hook has been told", () => lines("group").length >= 5);
      expect(lines("group")).toEqual(
        ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"].map((state) => `GROUP site ${state} 0`),
      );
      expect(lines("group.json").map((line) => JSON.parse(line) as unknown)[2]).toMatchObject({
        ...{ node: "gw", type: "GROUP", name: "site", state: "FAULT", priority: 0, attempt: 1 },
        members: [
          { name: "e0-51", interface: "e0", vrid: 51, to: "fault", priority: 150, reason: "sync-group" },
          { name: "e1-52", interface: "e1", vrid: 52, to: "fault", priority: 150, reason: "interface-down" },
        ],
      });
      daemon.stop();
      await daemon.gone();
      await until("the hook has been told of the end", () => lines("group").length >= 6);
      expect(lines("group").slice(5)).toEqual(["GROUP site STOP 0"]);
      expect(lines("told").every((line) => line.startsWith("INSTANCE e0-51 "))).toBe(true);
    });
  },
);
