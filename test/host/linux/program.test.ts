import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { ms, sec, us } from "../../../src/core/time.ts";
import {
  type Ended,
  type Heard,
  limited,
  type Order,
  type Run,
  type Running,
  runProgram,
  succeeded,
} from "../../../src/host/linux/program.ts";
import { unsafeAsRoot, userOf } from "../../../src/host/linux/user.ts";
import { words } from "../../../src/host/linux/words.ts";

/** Only root may run programs as others; without it the test skips and its name says why. */
function itAsRoot(title: string, test: () => Promise<void>): void {
  const lacking = process.getuid?.() !== 0;
  it.skipIf(lacking)(lacking ? `${title} (skipped: needs root)` : title, test);
}

/** Ended, and whether its time was up first. */
function ran(order: Partial<Order> & { run: string }): Promise<Ended & { overdue: boolean }> {
  return new Promise((resolve) => {
    let overdue = false;
    runProgram(
      { timeout: sec(60), ...order },
      {
        ended: (how) => resolve({ ...how, overdue }),
        overdue: () => {
          overdue = true;
        },
      },
    );
  });
}

/** Not so much as a zombie that runs: an init that does not reap may keep the entry. */
function isAlive(pid: string): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

describe("a command", () => {
  it.each<[string, readonly string[]]>([
    ["/usr/bin/check", ["/usr/bin/check"]],
    ["  check  -a\t-b ", ["check", "-a", "-b"]],
    [`check 'two words' "and 'more'"`, ["check", "two words", "and 'more'"]],
    [`check a"b c"d '' ""`, ["check", "ab cd", "", ""]],
    [String.raw`check \"a\ b\" "\"\\\n" '\'`, ["check", '"a b"', String.raw`"\\n`, "\\"]],
    ["check $HOME *.sh > /tmp/x; rm `y` && z | w", "check $HOME *.sh > /tmp/x; rm `y` && z | w".split(" ")],
  ])("%s is cut into words without a shell", (text, expected) => {
    expect(words(text)).toEqual({ ok: true, value: expected });
  });

  it.each([
    ["", "empty"],
    [" ", "empty"],
    ["''", "empty"],
    ["check 'open", "open-quote"],
    ['check "open', "open-quote"],
    ["check \\", "trailing-backslash"],
    ["check \0", "nul"],
    ["x".repeat(4097), "too-long"],
  ])("%j is none: %s", (text, reason) => {
    expect(words(text)).toEqual({ ok: false, reason });
  });
});

describe("as whom a program runs", () => {
  it("is nobody when the daemon is root and nothing is said, and root only when told", () => {
    expect(userOf(undefined, 0)).toMatchObject({ ok: true, value: { name: "nobody" } });
    expect(userOf("root", 0)).toMatchObject({ ok: true, value: { uid: 0, gid: 0 } });
    expect(userOf("1234:4321", 0)).toMatchObject({ ok: true, value: { uid: 1234, gid: 4321 } });
    expect(userOf("nobody:0", 0)).toMatchObject({ ok: true, value: { gid: 0 } });
  });

  it("is the daemon's own user when that is not root, and no other", () => {
    expect(userOf(undefined, 1234)).toMatchObject({ ok: true, value: { uid: 1234 } });
    expect(userOf("1234", 1234)).toMatchObject({ ok: true });
    expect(userOf("root", 1234)).toMatchObject({ ok: false, reason: expect.stringContaining("only root may") });
  });

  it("is said when there is no such user or group", () => {
    expect(userOf("no-such-user", 0)).toMatchObject({ ok: false, reason: expect.stringContaining("no-such-user") });
    expect(userOf("nobody:no-such-group", 0)).toMatchObject({ reason: expect.stringContaining("no-such-group") });
  });

  itAsRoot("is so in fact, without supplementary groups", async () => {
    expect((await ran({ run: "id -u -n" })).output).toBe("nobody\n");
    expect((await ran({ run: "/bin/sh -c 'id -u; id -g; id -G'", user: "1234:4321" })).output).toBe(
      "1234\n4321\n4321\n",
    );
    expect((await ran({ run: "id -u", user: "root" })).output).toBe("0\n");
  });

  itAsRoot("is not root for a program that others may change", async () => {
    expect(unsafeAsRoot("/bin/sh")).toBeUndefined();
    expect(unsafeAsRoot("/no/such/program")).toBeUndefined();
    const directory = mkdtempSync("/tmp/hotpair-test-");
    const file = `${directory}/check`;
    writeFileSync(file, "#!/bin/sh\n", { mode: 0o755 });
    try {
      expect(unsafeAsRoot(file)).toBeUndefined();
      chmodSync(file, 0o757);
      expect(unsafeAsRoot(file)).toBe(
        `found ${file} writable by others than root: chmod go-w ${file}, or set another user`,
      );
      expect(await ran({ run: file, user: "root" })).toMatchObject({ reason: "not-permitted" });
      chmodSync(file, 0o755);
      chmodSync(directory, 0o777);
      expect(unsafeAsRoot(file)).toContain(`found ${directory} writable`);
      chmodSync(directory, 0o755);
      chownSync(file, 1234, 0);
      expect(unsafeAsRoot(file)).toContain(`found ${file} owned by another`);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("the end of a program", () => {
  it("is its exit code, and only 0 is success", async () => {
    const good = await ran({ run: "/bin/sh -c 'echo fine; echo also >&2'" });
    expect(good).toMatchObject({ reason: "exit", code: 0, text: "exit code 0" });
    expect(good.output.split("\n").sort()).toEqual(["", "also", "fine"]);
    expect(succeeded(good)).toBe(true);
    const bad = await ran({ run: "/bin/sh -c 'exit 7'" });
    expect(bad).toMatchObject({ reason: "exit", code: 7, text: "exit code 7", overdue: false });
    expect(succeeded(bad)).toBe(false);
  });

  it.each<[string, string, Partial<Ended>]>([
    ["of a signal", "/bin/sh -c 'kill -SEGV $$'", { reason: "signal", text: "ended by SIGSEGV" }],
    ["of a program that is not there", "/nowhere/check", { reason: "not-found" }],
    ["of a program that is not in the path", "no-such-program-0717", { reason: "not-found" }],
    ["of a file that is no program", "/etc/passwd", { reason: "not-permitted" }],
    ["of a directory", "/etc", { reason: "not-permitted" }],
    ["of what is no command", "check 'open", { reason: "not-a-command" }],
  ])("%s is a failure with a name, and no exception", async (_what, run, expected) => {
    const how = await ran({ run });
    expect(how).toMatchObject(expected);
    expect(succeeded(how)).toBe(false);
  });

  it("of an unknown user is a failure with a name", async () => {
    expect(await ran({ run: "id", user: "no-such-user" })).toMatchObject({ reason: "user" });
  });

  it("comes at its time-out with SIGTERM, to it and to its children", async () => {
    const how = await ran({ run: "/bin/sh -c 'sleep 1000 & echo $!; wait'", timeout: ms(300) });
    expect(how).toMatchObject({ reason: "timeout", text: "no answer within 300ms", overdue: true });
    await vi.waitFor(() => expect(isAlive(how.output.trim())).toBe(false));
  });

  it("comes to its children with it, even to those that do not heed SIGTERM while it does", async () => {
    const run = `/bin/sh -c '(trap "" TERM; exec sleep 1000) & echo $!; wait'`;
    const how = await ran({ run, timeout: ms(300) });
    expect(how.reason).toBe("timeout");
    await vi.waitFor(() => expect(isAlive(how.output.trim())).toBe(false));
  });

  it("comes with SIGKILL to whatever does not heed SIGTERM, children included", async () => {
    const run = `/bin/sh -c 'trap "" TERM; sleep 1000 & echo $! $$; wait; wait'`;
    const how = await ran({ run, timeout: ms(300) });
    expect(how).toMatchObject({ reason: "timeout", overdue: true });
    const pids = how.output.trim().split(" ");
    expect(pids).toHaveLength(2);
    for (const pid of pids) await vi.waitFor(() => expect(isAlive(pid)).toBe(false));
  });

  it("does not wait for a child in the background that holds its output", async () => {
    const how = await ran({ run: "/bin/sh -c 'sleep 1000 & echo $!'" });
    expect(how).toMatchObject({ reason: "exit", code: 0 });
    const pid = Number(how.output.trim());
    expect(isAlive(String(pid))).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  it("comes when it is stopped", async () => {
    const how = await new Promise<Ended>((resolve) => {
      const running = runProgram(
        { run: "sleep 1000", timeout: sec(60) },
        { ended: resolve, started: () => process.nextTick(() => running.stop()) },
      );
    });
    expect(how.reason).toBe("stopped");
  });
});

describe("what a program is given and writes", () => {
  it("is its input, and it need not read it", async () => {
    expect((await ran({ run: "cat", input: "news\n" })).output).toBe("news\n");
    expect(await ran({ run: "true", input: "x".repeat(1_000_000) })).toMatchObject({ reason: "exit", code: 0 });
  });

  it("is kept as its last kibibyte, of a flood of 100 MB too", async () => {
    const how = await ran({ run: "/bin/sh -c 'yes | head -c 100000000; echo the end'" });
    expect(how).toMatchObject({ reason: "exit", code: 0 });
    expect(how.output).toHaveLength(1024);
    expect(how.output.endsWith("y\ny\nthe end\n")).toBe(true);
  });

  it("carries nothing that a terminal would obey", async () => {
    expect((await ran({ run: String.raw`printf '\033[31mred\007\r\n\tdone'` })).output).toBe("[31mred\n\tdone");
  });

  it("is an environment without the daemon's own variables, and / as its directory", async () => {
    vi.stubEnv("NOTIFY_SOCKET", "/run/notify");
    vi.stubEnv("NODE_OPTIONS", "--no-warnings");
    try {
      const { output } = await ran({ run: "/bin/sh -c 'env; pwd'" });
      const names = [...output.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
      expect(names).toEqual(expect.arrayContaining(["PATH", "HOME", "USER", "LOGNAME", "LANG"]));
      expect(names).not.toContain("NOTIFY_SOCKET");
      expect(names).not.toContain("NODE_OPTIONS");
      expect(output.endsWith("\n/\n")).toBe(true);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe("a limit of programs at a time", () => {
  const how: Ended = { reason: "exit", code: 0, text: "", output: "", took: us(0) };

  function toy(): { names: string[]; ends: Map<string, () => void>; run: Run } {
    const names: string[] = [];
    const ends = new Map<string, () => void>();
    const run = (order: Order, heard: Heard): Running => {
      names.push(order.run);
      ends.set(order.run, () => heard.ended(how));
      return { stop: () => heard.ended(how) };
    };
    return { names, ends, run };
  }

  it("has the others wait in their order, and lets those go that are stopped while they wait", async () => {
    const { names, ends, run } = toy();
    const ended: string[] = [];
    const two = limited(run, 2);
    const begin = (name: string) =>
      two({ run: name, timeout: sec(1) }, { ended: ({ reason }) => ended.push(`${name} ${reason}`) });
    const [, , c] = ["a", "b", "c", "d", "e"].map(begin);
    expect(names).toEqual(["a", "b"]);
    c?.stop();
    await new Promise((resolve) => process.nextTick(resolve));
    ends.get("b")?.();
    expect(names).toEqual(["a", "b", "d"]);
    ends.get("a")?.();
    expect(names).toEqual(["a", "b", "d", "e"]);
    expect(ended).toEqual(["c stopped", "b exit", "a exit"]);
  });
});
