/** A daemon's scripts and hooks, in a namespace: what is tracked decides the state, and every state is told. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lacking, sh } from "./guarded.ts";

const MISSING = lacking();
const HOTPAIR = fileURLToPath(new URL("../../../cli/hotpair.mjs", import.meta.url));
const SPACE = `hpsu${process.pid}`;

describe.skipIf(MISSING !== undefined)(
  `a daemon with a script and a hook${MISSING === undefined ? "" : ` (skipped: ${MISSING})`}`,
  () => {
    let folder = "";
    let child: ChildProcess | undefined;

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "hotpair-su-"));
      chmodSync(folder, 0o777);
      sh(`ip netns add ${SPACE}
        ip -n ${SPACE} link add g0 type veth peer name g1
        ip -n ${SPACE} link set g0 up
        ip -n ${SPACE} link set g1 up
        ip -n ${SPACE} addr add 192.0.2.1/24 dev g0`);
    });

    afterAll(() => {
      child?.kill("SIGKILL");
      sh(`ip netns del ${SPACE}`);
      rmSync(folder, { recursive: true, force: true });
    });

    /** Resolves when the hook has been told all of these, in this order. */
    function told(states: readonly string[]): Promise<string[]> {
      return new Promise((resolve) => {
        const look = () => {
          const lines = readFileSync(join(folder, "told"), "utf8").trim().split("\n");
          const found = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as { state: string });
          if (found.length < states.length) return;
          watcher.close();
          resolve(found.map(({ state }) => state));
        };
        const watcher = watch(folder, look);
        look();
      });
    }

    test("is master while the script succeeds, in fault while it fails, and tells each state in order", async () => {
      const flag = join(folder, "good");
      writeFileSync(flag, "");
      writeFileSync(join(folder, "told"), "");
      chmodSync(join(folder, "told"), 0o666);
      const file = join(folder, "node.yaml");
      writeFileSync(
        file,
        `node: gw1
vrrp:
  - interface: g0
    vrid: 51
    interval: 50ms
    addresses: [192.0.2.254/24]
    track: { scripts: [{ name: web, run: "/usr/bin/test -e ${flag}", interval: 50ms }] }
    notify: { run: "/bin/sh -c 'cat >> ${join(folder, "told")}' hook" }
`,
      );
      const command = ["netns", "exec", SPACE, process.execPath, HOTPAIR, "run", file];
      child = spawn("ip", [...command, "--socket", join(folder, "socket")], { stdio: "ignore" });
      const ended = new Promise((resolve) => child?.on("close", resolve));
      const first = await told(["FAULT", "BACKUP", "MASTER"]);
      expect(first.slice(-2)).toEqual(["BACKUP", "MASTER"]);
      rmSync(flag);
      const second = [...first, "FAULT"];
      expect(await told(second)).toEqual(second);
      writeFileSync(flag, "");
      const third = [...second, "BACKUP", "MASTER"];
      expect(await told(third)).toEqual(third);
      child.kill("SIGTERM");
      expect(await told([...third, "STOP"])).toEqual([...third, "STOP"]);
      expect(await ended).toBe(143);
    });
  },
);
