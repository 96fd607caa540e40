import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ms, sec } from "../../../src/core/time.ts";
import { startProcess, type TrackedProcess } from "../../../src/host/linux/processes.ts";
import { runProgram } from "../../../src/host/linux/program.ts";
import { type Known, startTracked } from "../../../src/host/linux/tracked.ts";
import { Ear } from "../../support/ear.ts";

const HOUR = sec(3600);

describe("a process", () => {
  let children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL");
    children = [];
  });
  const sleeper = (seconds: string) => {
    const child = spawn("sleep", [seconds], { stdio: "ignore" });
    children.push(child);
    return child;
  };
  const wanted: TrackedProcess = {
    name: "app",
    process: "sleep",
    arguments: ["100717"],
    quorum: 2,
    interval: ms(50),
    rise: 1,
    fall: 1,
  };

  it("is up while as many as its quorum run, of its name and its first arguments", async () => {
    const ear = new Ear();
    const tracked = startTracked(runProgram, ear.hear);
    const first = sleeper("100717");
    sleeper("100718");
    tracked.use({ scripts: [], files: [], processes: [wanted] });
    await ear.until("app down");
    expect(ear.changes.at(-1)?.why).toBe("1 running, wanted: 2");
    sleeper("100717");
    await ear.until("app up");
    first.kill("SIGKILL");
    await ear.until("app down");
    expect(tracked.status()).toMatchObject([{ kind: "process", up: false }]);
    tracked.close();
  });

  describe("in a procfs of our own", () => {
    let proc = "";
    beforeEach(() => {
      proc = mkdtempSync(join(tmpdir(), "hotpair-test-"));
    });
    afterEach(() => {
      rmSync(proc, { recursive: true, force: true });
    });
    const add = (pid: number, comm: string, cmdline: readonly string[], state = "S", first = 4) => {
      mkdirSync(join(proc, String(pid)));
      const numbers = Array.from({ length: 30 }, (_, i) => i + first).join(" ");
      writeFileSync(join(proc, String(pid), "stat"), `${pid} (${comm}) ${state} ${numbers}\n`);
      writeFileSync(join(proc, String(pid), "cmdline"), cmdline.map((word) => `${word}\0`).join(""));
    };
    const counted = (process: Partial<TrackedProcess>): Promise<string> =>
      new Promise((resolve) => {
        const watching = startProcess(
          { ...wanted, arguments: undefined, interval: HOUR, ...process },
          undefined,
          (_known, why) => {
            watching.close();
            resolve(why);
          },
          proc,
        );
      });

    it("is missed at the very next look, also when its number has come again", async () => {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
      try {
        const ear = new Ear();
        const told = (known: Known, why: string) => ear.hear({ kind: "process", name: "app", ...known, why });
        add(2, "app", ["app", "-v"]);
        const watching = startProcess(
          { ...wanted, process: "app", arguments: ["-v"], quorum: 1 },
          undefined,
          told,
          proc,
        );
        await ear.until("app up");
        rmSync(join(proc, "2"), { recursive: true });
        add(2, "app", ["app"], "S", 1000);
        vi.advanceTimersByTime(50);
        await vi.waitFor(() => expect(watching.status().looks).toBe(2));
        expect(ear.said.at(-1)).toBe("app down");
        watching.close();
      } finally {
        vi.useRealTimers();
      }
    });

    it.each<[string, Partial<TrackedProcess>, number]>([
      ["of that name", { process: "app" }, 1],
      ["that is dead but not buried not at all", { process: "zombie" }, 0],
      ["with blanks and parentheses in its name", { process: "a) S (b" }, 1],
      ["of a long name by the whole of its file name", { process: "a-very-long-program" }, 1],
      ["of a long name that is a script", { process: "a-very-long-script.sh" }, 1],
      ["with its first arguments", { process: "python3", arguments: ["/opt/a.py", "-v"] }, 1],
      ["with fewer of them", { process: "python3", arguments: ["/opt/a.py"] }, 2],
    ])("counts one %s", async (_what, process, count) => {
      add(1, "app", ["/usr/bin/app"]);
      add(2, "zombie", [], "Z");
      add(3, "a) S (b", ["x"]);
      add(4, "a-very-long-pro", ["/usr/bin/a-very-long-program"]);
      add(5, "a-very-long-pro", ["/usr/bin/a-very-long-process"]);
      add(6, "a-very-long-scr", ["/bin/sh", "/opt/a-very-long-script.sh"]);
      add(7, "python3", ["python3", "/opt/a.py", "-v", "more"]);
      add(8, "python3", ["python3", "/opt/a.py"]);
      mkdirSync(join(proc, "self"));
      expect(await counted(process)).toBe(`${count} running, wanted: 2`);
    });
  });
});
