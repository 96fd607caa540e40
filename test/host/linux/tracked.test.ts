import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ms, sec, us } from "../../../src/core/time.ts";
import type { TrackedFile } from "../../../src/host/linux/files.ts";
import { type Ended, type EndReason, type Heard, type Order, runProgram } from "../../../src/host/linux/program.ts";
import type { Script } from "../../../src/host/linux/scripts.ts";
import { type Known, keyOf, startTracked, type Tracked, type TrackedConfig } from "../../../src/host/linux/tracked.ts";
import { Ear } from "../../support/ear.ts";

const NOTHING: TrackedConfig = { scripts: [], files: [], processes: [] };
const HOUR = sec(3600);

const script: Script = { name: "web", run: "check", interval: sec(2), timeout: sec(1), rise: 1, fall: 1 };

let opened: Tracked[] = [];

function tracking(run = runProgram): { tracked: Tracked; ear: Ear } {
  const ear = new Ear();
  const tracked = startTracked(run, ear.hear);
  opened.push(tracked);
  return { tracked, ear };
}

afterEach(() => {
  for (const tracked of opened) tracked.close();
  opened = [];
});

describe("a script, in virtual time", () => {
  interface Begun {
    readonly order: Order;
    readonly heard: Heard;
    stopped: boolean;
  }
  let runs: Begun[] = [];
  const run = (order: Order, heard: Heard) => {
    const begun: Begun = { order, heard, stopped: false };
    runs.push(begun);
    return {
      stop: () => {
        begun.stopped = true;
      },
    };
  };
  const end = (code: number, reason: EndReason = "exit") => {
    const how: Ended = { reason, code, text: `${reason} ${code}`, output: "said", took: us(7) };
    runs.at(-1)?.heard.ended(how);
  };
  /** Ends the run that is on, and lets the interval pass. */
  const pass = (code: number) => {
    end(code);
    vi.advanceTimersByTime(2_000);
  };

  beforeEach(() => {
    runs = [];
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("runs at once, and its first run alone decides, good or bad", () => {
    const { tracked, ear } = tracking(run);
    const slow = { ...script, rise: 3, fall: 3 };
    tracked.use({ ...NOTHING, scripts: [slow, { ...slow, name: "db" }] });
    expect(ear.said).toEqual([]);
    expect(tracked.status()[0]).toMatchObject({ kind: "script", name: "web", up: undefined, looks: 0 });
    end(1);
    runs[0]?.heard.ended({ reason: "exit", code: 0, text: "", output: "", took: us(1) });
    expect(ear.said).toEqual(["db down", "web up"]);
  });

  it("is down after `fall` failures in a row and up after `rise` successes, and says no more than that", () => {
    const { tracked, ear } = tracking(run);
    tracked.use({ ...NOTHING, scripts: [{ ...script, fall: 3, rise: 2 }] });
    for (const code of [0, 1, 1, 0, 1, 1, 1, 1]) pass(code);
    expect(ear.said).toEqual(["web up", "web down"]);
    for (const code of [0, 1, 0]) pass(code);
    expect(ear.said).toHaveLength(2);
    pass(0);
    expect(ear.said).toEqual(["web up", "web down", "web up"]);
    expect(tracked.status()[0]).toMatchObject({ up: true, looks: 12, failures: 7, why: "exit 0", output: "said" });
  });

  it("starts at its interval, from start to start", () => {
    const { tracked } = tracking(run);
    tracked.use({ ...NOTHING, scripts: [script] });
    vi.advanceTimersByTime(500);
    end(0);
    vi.advanceTimersByTime(1_499);
    expect(runs).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(runs).toHaveLength(2);
  });

  it("has failed when its time is up, is never run twice at a time, and what it says too late does not count", () => {
    const { tracked, ear } = tracking(run);
    tracked.use({ ...NOTHING, scripts: [script] });
    pass(0);
    runs[1]?.heard.overdue?.();
    expect(ear.said).toEqual(["web up", "web down"]);
    vi.advanceTimersByTime(60_000);
    expect(runs).toHaveLength(2);
    end(0, "timeout");
    expect(ear.said).toHaveLength(2);
    expect(tracked.status()[0]).toMatchObject({ looks: 2, failures: 1 });
    vi.advanceTimersByTime(0);
    expect(runs).toHaveLength(3);
  });

  it("keeps its state when no process was to be had, and shows why", () => {
    const { tracked, ear } = tracking(run);
    tracked.use({ ...NOTHING, scripts: [script] });
    pass(0);
    end(0, "not-started");
    expect(ear.said).toEqual(["web up"]);
    expect(tracked.status()[0]).toMatchObject({ up: true, failures: 1, why: "not-started 0" });
    vi.advanceTimersByTime(2_000);
    expect(runs).toHaveLength(3);
  });

  it("of an interval of nothing runs twenty times a second, not for ever", () => {
    const { tracked } = tracking(run);
    tracked.use({ ...NOTHING, scripts: [{ ...script, interval: us(0) }] });
    end(0);
    vi.advanceTimersByTime(49);
    expect(runs).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(runs).toHaveLength(2);
  });

  it("goes on undisturbed when its file is loaded again, and from where it stood when its own lines have changed", () => {
    const { tracked, ear } = tracking(run);
    const config = { ...NOTHING, scripts: [script, { ...script, name: "db" }] };
    tracked.use(config);
    for (const { heard } of [...runs]) heard.ended({ reason: "exit", code: 0, text: "", output: "", took: us(1) });
    tracked.use(structuredClone(config));
    expect(runs).toHaveLength(2);
    tracked.use({ ...NOTHING, scripts: [{ ...script, run: "other", fall: 2 }] });
    expect(runs).toHaveLength(3);
    expect(tracked.status().map(({ name, up }) => [name, up])).toEqual([["web", true]]);
    end(1);
    expect(ear.said).toEqual(["web up", "db up"]);
    vi.advanceTimersByTime(10_000);
    expect(runs).toHaveLength(4);
    end(1);
    expect(ear.said).toEqual(["web up", "db up", "web down"]);
  });

  it("is killed and says nothing more when it is tracked no longer", () => {
    const { tracked, ear } = tracking(run);
    tracked.use({ ...NOTHING, scripts: [script] });
    tracked.use(NOTHING);
    expect(runs[0]?.stopped).toBe(true);
    end(1, "stopped");
    vi.advanceTimersByTime(60_000);
    expect([ear.said, runs.length, tracked.status()]).toEqual([[], 1, []]);
  });

  it("takes over how things stood for its predecessor, and says only what is different", () => {
    const { tracked, ear } = tracking(run);
    const known = new Map<string, Known>([[keyOf("script", "web"), { up: true, value: undefined }]]);
    tracked.use({ ...NOTHING, scripts: [{ ...script, fall: 2 }] }, known);
    pass(0);
    pass(1);
    expect(ear.said).toEqual([]);
    pass(1);
    expect(ear.said).toEqual(["web down"]);
  });
});

describe("a script, as a real process", () => {
  it.each([
    ["exits with 0", "/bin/sh -c 'exit 0'", "web up", "exit code 0"],
    ["exits with 1", "/bin/sh -c 'exit 1'", "web down", "exit code 1"],
    ["is ended by a signal", "/bin/sh -c 'kill -9 $$'", "web down", "ended by SIGKILL"],
    ["hangs", "sleep 1000", "web down", "no answer within 200ms"],
    ["floods its output and hangs", "yes", "web down", "no answer within 200ms"],
    ["does not exist", "/nowhere/check", "web down", "found no program /nowhere/check (or what its first line names)"],
    ["is no command", "'", "web down", "not a command (open-quote): '"],
  ])("that %s", async (_what, run, line, why) => {
    const { tracked, ear } = tracking();
    tracked.use({ ...NOTHING, scripts: [{ ...script, run, interval: HOUR, timeout: ms(200) }] });
    await ear.until(line);
    expect(ear.changes).toMatchObject([{ kind: "script", name: "web", why }]);
    expect(tracked.status()).toMatchObject([{ up: line === "web up", looks: 1, why }]);
  });
});

describe("a file", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "hotpair-test-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const file = (changes: Partial<TrackedFile>): TrackedConfig => ({
    ...NOTHING,
    files: [{ name: "drain", path: join(directory, "drain"), content: "value", interval: HOUR, ...changes }],
  });

  it("says its integer when it is written, renamed into place, and removed, without being asked for it", async () => {
    const { tracked, ear } = tracking();
    const path = join(directory, "drain");
    tracked.use(file({}));
    await ear.until("drain up 0");
    writeFileSync(path, "-50\n");
    await ear.until("drain down -50");
    writeFileSync(join(directory, "new"), " +7 ");
    renameSync(join(directory, "new"), path);
    await ear.until("drain down 7");
    rmSync(path);
    await ear.until("drain up 0");
    expect(tracked.status()).toMatchObject([{ kind: "file", why: "no such file: counts as 0", value: 0 }]);
  });

  it.each(["", "much", "1.5", "12345678901", "2147483648", "7 8", "x".repeat(100_000)])(
    "that says %j leaves the value as it was, and shows it",
    async (text) => {
      const { tracked, ear } = tracking();
      writeFileSync(join(directory, "drain"), "-3");
      tracked.use(file({}));
      await ear.until("drain down -3");
      writeFileSync(join(directory, "drain"), text);
      await vi.waitFor(() => expect(tracked.status()[0]?.why).toContain("allowed: an integer"));
      expect(tracked.status()).toMatchObject([{ value: -3, up: false }]);
      expect(ear.said).toEqual(["drain down -3"]);
    },
  );

  it("is up while it exists, whatever is in it", async () => {
    const { tracked, ear } = tracking();
    tracked.use(file({ content: "exists" }));
    await ear.until("drain down");
    mkdirSync(join(directory, "drain"));
    await ear.until("drain up");
    rmSync(join(directory, "drain"), { recursive: true });
    await ear.until("drain down");
    expect(ear.said).toEqual(["drain down", "drain up", "drain down"]);
  });

  it("in a directory that comes later, goes, and comes again is found at the next look", async () => {
    const { tracked, ear } = tracking();
    const late = join(directory, "late");
    tracked.use(file({ path: join(late, "drain"), content: "exists", interval: ms(50) }));
    await ear.until("drain down");
    for (let i = 0; i < 2; i++) {
      mkdirSync(late);
      writeFileSync(join(late, "drain"), "");
      await ear.until("drain up");
      rmSync(late, { recursive: true });
      await ear.until("drain down");
    }
  });
});

describe("a file in a directory that was made anew", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is watched again from the next look on", async () => {
    const above = mkdtempSync(join(tmpdir(), "hotpair-test-"));
    try {
      const { tracked, ear } = tracking();
      const path = join(above, "late", "drain");
      mkdirSync(dirname(path));
      tracked.use({ ...NOTHING, files: [{ name: "drain", path, content: "exists", interval: sec(1) }] });
      await ear.until("drain down");
      renameSync(dirname(path), join(above, "old"));
      mkdirSync(dirname(path));
      const looks = tracked.status()[0]?.looks ?? 0;
      vi.advanceTimersByTime(1_000);
      await vi.waitFor(() => expect(tracked.status()[0]?.looks).toBeGreaterThan(looks));
      writeFileSync(path, "");
      await ear.until("drain up");
    } finally {
      rmSync(above, { recursive: true, force: true });
    }
  });
});
