import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ms, sec, us } from "../../../src/core/time.ts";
import { type HookFailure, HookQueues, MAX_GROUPS, MAX_WAITING, type News } from "../../../src/host/linux/hooks.ts";
import { type Ended, type EndReason, type Heard, type Order, runProgram } from "../../../src/host/linux/program.ts";

const hook = { run: "/etc/hotpair/notify", timeout: sec(10), attempts: 3 };
const news = (name: string, state: string): News => ({ type: "INSTANCE", name, state, priority: 100 });

interface Run {
  readonly order: Order;
  readonly heard: Heard;
  /** As its arguments and its input say it. */
  readonly what: string;
  readonly input: Record<string, unknown>;
  stopped: boolean;
}

function end(run: Run | undefined, code: number, reason: EndReason = "exit"): void {
  const how: Ended = {
    reason,
    code: reason === "exit" ? code : undefined,
    text: `${reason} ${code}`,
    output: "",
    took: us(1),
  };
  run?.heard.ended(how);
}

/** Programs that end when the test says so. */
function hooksOf(): { runs: Run[]; failures: HookFailure[]; hooks: HookQueues; said(): string[] } {
  const runs: Run[] = [];
  const failures: HookFailure[] = [];
  const hooks = new HookQueues({
    node: "gw1",
    failed: (failure) => failures.push(failure),
    run: (order, heard) => {
      const input = JSON.parse(order.input ?? "{}") as Record<string, unknown>;
      const run: Run = {
        order,
        heard,
        what: `${input["name"]} ${input["state"]} ${input["attempt"]}`,
        input,
        stopped: false,
      };
      runs.push(run);
      return {
        stop: () => {
          run.stopped = true;
          process.nextTick(() => end(run, 0, "stopped"));
        },
      };
    },
  });
  return { runs, failures, hooks, said: () => runs.map(({ what }) => what) };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("what a hook is told", () => {
  it("stands in keepalived's four words behind its own, and as JSON on stdin", () => {
    const { hooks, runs } = hooksOf();
    const generation = hooks.tell(
      "lan",
      { ...hook, run: "/bin/notify -v", user: "root" },
      {
        ...news("gw", "MASTER"),
        detail: { reason: "preempt", addresses: ["192.0.2.254"] },
      },
    );
    expect(runs[0]?.order).toMatchObject({
      run: "/bin/notify -v",
      arguments: ["INSTANCE", "gw", "MASTER", "100"],
      user: "root",
      timeout: sec(10),
    });
    expect(runs[0]?.input).toEqual({
      node: "gw1",
      type: "INSTANCE",
      name: "gw",
      state: "MASTER",
      priority: 100,
      generation,
      attempt: 1,
      at: new Date().toISOString(),
      reason: "preempt",
      addresses: ["192.0.2.254"],
    });
  });

  it("carries a generation: higher with each news, the same in each attempt, beyond those of an earlier run", () => {
    const { hooks, runs } = hooksOf();
    const first = hooks.tell("lan", hook, news("gw", "MASTER"));
    end(runs[0], 1);
    vi.advanceTimersByTime(500);
    expect(runs.map(({ input }) => [input["generation"], input["attempt"]])).toEqual([
      [first, 1],
      [first, 2],
    ]);
    expect(hooks.tell("wan", hook, news("up", "MASTER"))).toBeGreaterThan(first);
    vi.advanceTimersByTime(1);
    expect(hooksOf().hooks.tell("lan", hook, news("gw", "STOP"))).toBeGreaterThan(first + 1);
  });
});

describe("a queue of hooks", () => {
  it("keeps the order within a group, and has groups run side by side", () => {
    const { hooks, runs, said } = hooksOf();
    hooks.tell("lan", hook, news("v4", "BACKUP"));
    hooks.tell("lan", hook, news("v6", "BACKUP"));
    hooks.tell("lan", hook, news("v4", "MASTER"));
    hooks.tell("wan", hook, news("up", "BACKUP"));
    expect(said()).toEqual(["v4 BACKUP 1", "up BACKUP 1"]);
    end(runs[0], 0);
    end(runs[2], 0);
    expect(said()).toEqual(["v4 BACKUP 1", "up BACKUP 1", "v6 BACKUP 1", "v4 MASTER 1"]);
    end(runs[3], 0);
    expect(hooks.status()).toMatchObject([
      { group: "lan", current: undefined, waiting: 0, delivered: 3, skipped: 0, givenUp: 0, failures: [] },
      { group: "wan", current: { news: news("up", "BACKUP"), attempt: 1 }, delivered: 0 },
    ]);
  });

  it("tries again what failed, after 0.5 s and twice that each time, before anything else of the group", () => {
    const { hooks, runs, said, failures } = hooksOf();
    hooks.tell("lan", hook, news("v4", "MASTER"));
    hooks.tell("lan", hook, news("v6", "MASTER"));
    end(runs[0], 1);
    vi.advanceTimersByTime(499);
    expect(said()).toHaveLength(1);
    vi.advanceTimersByTime(1);
    end(runs[1], 1);
    vi.advanceTimersByTime(999);
    expect(said()).toHaveLength(2);
    vi.advanceTimersByTime(1);
    end(runs[2], 0);
    expect(said()).toEqual(["v4 MASTER 1", "v4 MASTER 2", "v4 MASTER 3", "v6 MASTER 1"]);
    expect(failures.map(({ then, text }) => `${then}: ${text}`)).toEqual(["retried: exit 1", "retried: exit 1"]);
  });

  it("gives up after as many attempts as it is allowed, says so, keeps it for the status, and goes on", () => {
    const { hooks, runs, said, failures } = hooksOf();
    hooks.tell("lan", { ...hook, attempts: 2 }, news("v4", "MASTER"));
    hooks.tell("lan", hook, news("v6", "MASTER"));
    end(runs[0], 1);
    vi.advanceTimersByTime(500);
    end(runs[1], 0, "timeout");
    expect(said()).toEqual(["v4 MASTER 1", "v4 MASTER 2", "v6 MASTER 1"]);
    expect(failures.map(({ then }) => then)).toEqual(["retried", "given-up"]);
    expect(hooks.status()[0]).toMatchObject({
      givenUp: 1,
      failures: [{ attempt: 1 }, { attempt: 2, text: "timeout 0" }],
    });
  });

  it("does not retry a state that has passed: neither when a newer one waits, nor when it comes later", () => {
    const { hooks, runs, said, failures } = hooksOf();
    hooks.tell("lan", hook, news("gw", "MASTER"));
    hooks.tell("lan", hook, news("gw", "BACKUP"));
    end(runs[0], 1);
    expect(said()).toEqual(["gw MASTER 1", "gw BACKUP 1"]);
    expect(failures.map(({ then }) => then)).toEqual(["stale"]);
    end(runs[1], 1);
    hooks.tell("lan", hook, news("gw", "FAULT"));
    expect(said()).toEqual(["gw MASTER 1", "gw BACKUP 1", "gw FAULT 1"]);
    vi.advanceTimersByTime(60_000);
    expect(said()).toHaveLength(3);
    expect(hooks.status()[0]).toMatchObject({ skipped: 2, givenUp: 0 });
  });

  it("holds no more than its bound while a hook hangs: the oldest state of a name goes, the newest is told", () => {
    const { hooks, runs, said } = hooksOf();
    for (let i = 0; i < 100; i++) hooks.tell("lan", hook, news("gw", `S${i}`));
    hooks.tell("lan", hook, news("other", "MASTER"));
    expect(hooks.status()[0]).toMatchObject({ waiting: MAX_WAITING, skipped: 100 - MAX_WAITING });
    for (let i = 0; i < runs.length; i++) end(runs[i], 0);
    expect(said().slice(0, 2)).toEqual(["gw S0 1", "gw S85 1"]);
    expect(said().slice(-2)).toEqual(["gw S99 1", "other MASTER 1"]);
  });

  it("forgets the longest idle group at its bound, and none that has something to tell", () => {
    const { hooks, runs } = hooksOf();
    hooks.tell("busy", hook, news("busy", "MASTER"));
    for (let i = 0; i < MAX_GROUPS; i++) {
      hooks.tell(`g${i}`, hook, news("gw", "MASTER"));
      end(runs.at(-1), 0);
    }
    const groups = hooks.status().map(({ group }) => group);
    expect(groups).toHaveLength(MAX_GROUPS);
    expect(groups.slice(0, 2)).toEqual(["busy", "g1"]);
  });
});

describe("the end", () => {
  it("waits for the last state of each name to be told, and skips those that have passed", async () => {
    const { hooks, runs, said } = hooksOf();
    hooks.tell("lan", hook, news("gw", "BACKUP"));
    for (const state of ["MASTER", "BACKUP", "STOP"]) hooks.tell("lan", hook, news("gw", state));
    const finished = hooks.finish(sec(5));
    end(runs[0], 0);
    end(runs[1], 0);
    expect(await finished).toEqual([]);
    expect(said()).toEqual(["gw BACKUP 1", "gw STOP 1"]);
  });

  it("is there at once when nothing is to be told", async () => {
    const { hooks } = hooksOf();
    expect(await hooks.finish(sec(5))).toEqual([]);
  });

  it("kills after half of its time what keeps the last state from being told", async () => {
    const { hooks, runs, said } = hooksOf();
    hooks.tell("lan", hook, news("gw", "MASTER"));
    hooks.tell("lan", hook, news("gw", "STOP"));
    const finished = hooks.finish(sec(4));
    await vi.advanceTimersByTimeAsync(1_999);
    expect(runs[0]?.stopped).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(runs[0]?.stopped).toBe(true);
    expect(said()).toEqual(["gw MASTER 1", "gw STOP 1"]);
    end(runs[1], 0);
    expect(await finished).toEqual([]);
  });

  it("does not try again then what it killed, so that others of the group have the other half", async () => {
    const { hooks, runs, said } = hooksOf();
    hooks.tell("lan", hook, news("v4", "STOP"));
    hooks.tell("lan", hook, news("v6", "STOP"));
    const finished = hooks.finish(sec(4));
    await vi.advanceTimersByTimeAsync(2_000);
    end(runs[1], 0);
    await finished;
    expect(said()).toEqual(["v4 STOP 1", "v6 STOP 1"]);
  });

  it("is there after its bound whatever hangs, kills it, and says what was not told", async () => {
    const { hooks, runs } = hooksOf();
    hooks.tell("lan", hook, news("gw", "STOP"));
    const finished = hooks.finish(sec(4));
    await vi.advanceTimersByTimeAsync(3_999);
    expect(runs[0]?.stopped).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await finished).toEqual([news("gw", "STOP")]);
    expect(runs[0]?.stopped).toBe(true);
    hooks.tell("lan", hook, news("gw", "MASTER"));
    expect(runs).toHaveLength(1);
  });

  it("hears of what comes while it is waited for", async () => {
    const { hooks, runs } = hooksOf();
    hooks.tell("lan", hook, news("gw", "MASTER"));
    const finished = hooks.finish(sec(4));
    hooks.tell("wan", hook, news("up", "STOP"));
    end(runs[0], 0);
    end(runs[1], 0);
    expect(await finished).toEqual([]);
  });
});

describe("real programs as hooks", () => {
  it("one that hangs, one that floods, one that fails and one that is not there hold up nobody else's", async () => {
    vi.useRealTimers();
    const failures: HookFailure[] = [];
    const output: string[] = [];
    let told: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      told = resolve;
    });
    const hooks = new HookQueues({
      node: "gw1",
      run: (order, heard) => {
        const ended = (how: Ended) => {
          output.push(how.output);
          heard.ended(how);
          if (hooks.status().every(({ current }) => current === undefined)) told();
        };
        return runProgram(order, { ...heard, ended });
      },
      failed: (failure) => failures.push(failure),
    });
    const once = { timeout: sec(20), attempts: 1 };
    hooks.tell("hangs", { ...once, timeout: ms(100), run: "/bin/sh -c 'sleep 1000'" }, news("hangs", "MASTER"));
    hooks.tell("floods", { ...once, timeout: ms(500), run: "/bin/sh -c 'exec yes'" }, news("floods", "MASTER"));
    hooks.tell("fails", { ...once, run: "/bin/sh -c 'exit 3'" }, news("fails", "MASTER"));
    hooks.tell("absent", { ...once, run: "/nowhere/notify" }, news("absent", "MASTER"));
    const words = `/bin/sh -c 'echo "$@"; exec cat' sh`;
    hooks.tell("works", { ...once, run: words }, news("lan gateway", "MASTER"));
    await all;
    expect(failures.map(({ group, text }) => `${group}: ${text}`).sort()).toEqual([
      "absent: found no program /nowhere/notify (or what its first line names)",
      "fails: exit code 3",
      "floods: no answer within 500ms",
      "hangs: no answer within 100ms",
    ]);
    const said = output.find((text) => text.includes("lan gateway"));
    expect(said).toMatch(/^INSTANCE lan gateway MASTER 100\n\{"node":"gw1",.*"generation":\d+,"attempt":1,.*\}\n$/);
    expect(hooks.status().map(({ delivered }) => delivered)).toEqual([0, 0, 0, 0, 1]);
  });
});
