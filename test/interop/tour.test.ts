/** docs/keepalived-tour.md as a reader does it: its commands, in its order, in a shell. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lacking } from "./support/lacking.ts";
import { end, onLeaving, processesIn, until } from "./support/namespaces.ts";

const missing = lacking("keepalived", "ping");
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** In place of the page's own, which a reader of this machine may be using. */
const PREFIX = `hp-it-${process.pid}-tour-`;
const NODE = `tour${process.pid}`;

describe.skipIf(missing !== undefined)(
  `the tour beside keepalived${missing === undefined ? "" : `: ${missing}`}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), "hotpair-tour-"));
    const page = readFileSync(join(ROOT, "docs/keepalived-tour.md"), "utf8");
    const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = ""]) =>
      block
        .replaceAll("tour-", PREFIX)
        .replaceAll("/tmp/tour", folder)
        .replaceAll("node: gw1", `node: ${NODE}`)
        .replaceAll(/(status|drain) gw1/g, `$1 ${NODE}`)
        .replaceAll("npx hotpair", `${process.execPath} cli/hotpair.mjs`),
    );
    const next = blocks.values();
    const names = ["gw1", "gw2", "host"].map((name) => PREFIX + name);
    let forget: () => void = () => undefined;

    const run = (command: string) => {
      const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8", cwd: ROOT });
      expect({ command, status, stderr }).toMatchObject({ status: 0 });
      return stdout;
    };
    const step = () => run(next.next().value ?? "");
    const has = (name: string) => run(`ip -n ${PREFIX}${name} -brief address`).includes("192.0.2.254");
    const isMaster = () => has("gw1") && !has("gw2");

    beforeAll(() => {
      const leave = () => {
        for (const name of names) {
          for (const pid of processesIn(name)) end(pid, "SIGKILL");
          spawnSync("ip", ["netns", "del", name]);
        }
        rmSync(folder, { recursive: true, force: true });
      };
      const back = onLeaving(leave);
      forget = () => {
        back();
        leave();
      };
    });
    afterAll(() => forget());

    test("hotpair takes over, hands over, takes over, is killed, and keepalived has it: as the page says, and no command left", async () => {
      step();
      expect(step()).toMatch(/gw1\.yaml: ok/);
      step();
      await until("hotpair is master", isMaster);
      expect(run(`${process.execPath} cli/hotpair.mjs status ${NODE}`)).toMatch(
        /master +preempt[\s\S]*peer 192\.0\.2\.2: priority 100/,
      );
      step();
      expect(step()).toMatch(/eth0-51: handed over\nstopped\n[\s\S]*192\.0\.2\.254\/24/);
      step();
      await until("hotpair is master again", isMaster);
      step();
      await until("nothing is left", () => has("gw2") && !/192\.0\.2\.254|vr4/.test(run(`ip -n ${names[0]} address`)));
      const log = () => readFileSync(join(folder, "hotpair.log"), "utf8");
      await until("the guardian says so", () => log().includes("guardian: the daemon is gone"));
      const answers = readFileSync(join(folder, "ping.log"), "utf8").match(/icmp_seq=/g) ?? [];
      expect(answers.length).toBeGreaterThan(0);
      const started = names.flatMap((name) => processesIn(name));
      expect(started.length).toBeGreaterThan(0);
      step();
      expect(next.next().done).toBe(true);
      await until("no process is left", () => started.every((pid) => !existsSync(`/proc/${pid}`)));
    });
  },
);
