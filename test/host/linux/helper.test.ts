import { readFileSync } from "node:fs";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { ms, sec } from "../../../src/core/time.ts";
import { type Helper, type HelperOptions, startHelper } from "../../../src/host/linux/helper.ts";
import { type Ended, type Order, succeeded } from "../../../src/host/linux/program.ts";
import type { Script } from "../../../src/host/linux/scripts.ts";
import type { TrackedConfig } from "../../../src/host/linux/tracked.ts";
import { transpiled } from "../../support/transpiled.ts";

const program = transpiled("src/host/linux/helper-main.ts");
const NOTHING: TrackedConfig = { scripts: [], files: [], processes: [] };
const script: Script = { name: "web", run: "true", interval: sec(3600), timeout: sec(60), rise: 1, fall: 1 };

let opened: Helper[] = [];

function helped(file = program.file): { helper: Helper; said: string[]; troubles: string[] } {
  const said: string[] = [];
  const troubles: string[] = [];
  const options: HelperOptions = {
    program: file,
    changed: ({ name, up, known }) => said.push(`${name} ${up ? "up" : "down"}${known ? "" : " (not known)"}`),
    trouble: (text) => troubles.push(text),
  };
  const helper = startHelper(options);
  opened.push(helper);
  return { helper, said, troubles };
}

function ran(helper: Helper, order: Partial<Order> & { run: string }): Promise<Ended> {
  return new Promise((ended) => helper.run({ timeout: sec(60), ...order }, { ended }));
}

/** Of the helper: the parent of what it runs. */
async function pidOf(helper: Helper): Promise<number> {
  return Number((await ran(helper, { run: "/bin/sh -c 'echo $PPID'" })).output);
}

afterEach(async () => {
  for (const helper of opened) await helper.close();
  opened = [];
});
afterAll(() => program.remove());

describe("the helper", () => {
  it("runs programs elsewhere than in the daemon, and says how they ended", async () => {
    const { helper } = helped();
    const how = await ran(helper, { run: "/bin/sh -c 'cat; exit 3'", input: "news" });
    expect(how).toMatchObject({ reason: "exit", code: 3, output: "news" });
    expect(await pidOf(helper)).not.toBe(process.pid);
    expect(await ran(helper, { run: "sleep 1000", timeout: ms(100) })).toMatchObject({ reason: "timeout" });
    expect(await ran(helper, { run: "/nowhere/notify" })).toMatchObject({ reason: "not-found" });
  });

  it("is there before it is needed when it is asked to be", async () => {
    // An empty program, which ends at once: that is heard although nothing was run.
    const { helper, troubles } = helped("/dev/null");
    helper.start();
    await vi.waitFor(() => expect(troubles).toHaveLength(1), { timeout: 10_000 });
  });

  it("stops what it is told to stop", async () => {
    const { helper } = helped();
    const how = await new Promise<Ended>((ended) => {
      const running = helper.run({ run: "sleep 1000", timeout: sec(60) }, { ended, started: () => running.stop() });
    });
    expect(how.reason).toBe("stopped");
  });

  it("takes what is new for down until it was looked at, and says so at once", async () => {
    const { helper, said } = helped();
    helper.track({ ...NOTHING, scripts: [script, { ...script, name: "db", run: "false" }] });
    expect(said).toEqual(["web down (not known)", "db down (not known)"]);
    await vi.waitFor(() => expect(said).toHaveLength(4));
    expect(said.slice(2).sort()).toEqual(["db down", "web up"]);
    expect(await helper.status()).toMatchObject([
      { kind: "script", name: "web", up: true, looks: 1, why: "exit code 0" },
      { kind: "script", name: "db", up: false, looks: 1, why: "exit code 1" },
    ]);
    helper.track(NOTHING);
    expect(await helper.status()).toEqual([]);
  });

  it("is replaced when it dies: what runs has failed, what is tracked stays, and nothing lives on", async () => {
    const { helper, said, troubles } = helped();
    helper.track({ ...NOTHING, scripts: [script] });
    await vi.waitFor(() => expect(said).toEqual(["web down (not known)", "web up"]));
    const pid = await pidOf(helper);
    let orphan = 0;
    const ended = new Promise<Ended>((resolve) => {
      const started = (of: number) => {
        orphan = of;
        process.kill(pid, "SIGKILL");
      };
      helper.run({ run: "sleep 1000", timeout: sec(600) }, { ended: resolve, started });
    });
    expect(await ended).toMatchObject({ reason: "not-started", text: "no helper: SIGKILL" });
    expect(troubles).toEqual(["the helper that runs scripts and hooks is gone (SIGKILL); another one is started"]);
    expect(await ran(helper, { run: "true" })).toMatchObject({ reason: "not-started" });
    expect(await helper.status()).toMatchObject([{ name: "web", up: true, why: "the helper does not answer" }]);
    await vi.waitFor(async () => expect(succeeded(await ran(helper, { run: "true" }))).toBe(true), { timeout: 20_000 });
    await vi.waitFor(async () => expect(await helper.status()).toMatchObject([{ up: true, looks: 1 }]));
    expect(said).toHaveLength(2);
    expect(await pidOf(helper)).not.toBe(pid);
    await vi.waitFor(() => expect(isRunning(orphan)).toBe(false));
  });

  it("goes when the daemon has gone, with its scripts, but not before its hooks have ended", async () => {
    const { helper } = helped();
    const pid = await pidOf(helper);
    const hook = await new Promise<number>((started) =>
      helper.run({ run: "sleep 1000", timeout: sec(600) }, { started, ended: () => undefined }),
    );
    helper.track({ ...NOTHING, scripts: [{ ...script, run: "sleep 100719" }] });
    await vi.waitFor(async () => expect(await helper.status()).toHaveLength(1));
    await helper.close();
    expect(isRunning(pid)).toBe(true);
    process.kill(hook, "SIGKILL");
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 10_000 });
  });

  it("kills what was stopped right before the end", async () => {
    const { helper } = helped();
    const pid = await pidOf(helper);
    await new Promise<void>((resolve) => {
      const running = helper.run(
        { run: "sleep 1000", timeout: sec(600) },
        {
          ended: () => undefined,
          started: () => {
            running.stop(true);
            void helper.close().then(resolve);
          },
        },
      );
    });
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 10_000 });
  });

  it("is tried again when it does not stay, and whoever needs it is told", async () => {
    // An empty program: it ends at once.
    const { helper, troubles } = helped("/dev/null");
    expect(await ran(helper, { run: "true" })).toMatchObject({ reason: "not-started" });
    expect(await ran(helper, { run: "true" })).toMatchObject({ text: "no helper: it is being replaced" });
    await vi.waitFor(() => expect(troubles.length).toBeGreaterThan(1), { timeout: 20_000 });
  });

  it("is not started for nothing, nor after the end", async () => {
    const { helper, troubles } = helped();
    helper.track(NOTHING);
    expect(await helper.status()).toEqual([]);
    await helper.close();
    helper.start();
    expect(await ran(helper, { run: "true" })).toMatchObject({ reason: "not-started", text: "no helper: closed" });
    expect(troubles).toEqual([]);
  });
});

/** A zombie does not. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}
