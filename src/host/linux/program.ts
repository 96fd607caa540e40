/** One run of somebody else's program: bounded in time, in output and in what it may do to us. */
import { type ChildProcess, spawn } from "node:child_process";
import { type Duration, formatDuration, ms, us } from "../../core/time.ts";
import { milliseconds } from "./milliseconds.ts";
import { SEARCH, type User, unsafeAsRoot, userOf } from "./user.ts";
import { words } from "./words.ts";

/** Octets kept of what a program writes: the last ones. */
const TAIL = 1024;
/** Octets read as they come; from then on `CHUNK` at a time, so that a flood costs a few hundredths of a core. */
const PLENTY = 256 * 1024;
/** Milliseconds between two chunks (of up to 64 KiB) of a flood: 32 MB a second. */
const CHUNK = 2;
/** Milliseconds from SIGTERM to SIGKILL. */
const KILL_AFTER = 1_000;
/** Milliseconds that output is waited for after the end: a child in the background may hold the pipe for ever. */
const LINGER = 100;

export interface Order {
  /** See `words`. */
  readonly run: string;
  /** Added behind its words. */
  readonly arguments?: readonly string[] | undefined;
  /** See `userOf`. */
  readonly user?: string | undefined;
  /** Then its process group gets SIGTERM, and a second later SIGKILL. */
  readonly timeout: Duration;
  /** What it finds on stdin. */
  readonly input?: string | undefined;
}

export type EndReason =
  /** It ended by itself: `code` says how. */
  | "exit"
  /** Ended by a signal that was not ours. */
  | "signal"
  | "timeout"
  /** By `stop`. */
  | "stopped"
  | "not-found"
  /** Not executable, or not to be run as that user. */
  | "not-permitted"
  /** `run` is not a command; see `words`. */
  | "not-a-command"
  /** Unknown user, or not one that we may run programs as. */
  | "user"
  /** Too many processes, no memory: nothing that the program could help. */
  | "not-started";

export interface Ended {
  readonly reason: EndReason;
  /** Exit code; only of `exit`. */
  readonly code: number | undefined;
  /** For people: "exit code 3", "no answer within 2s". */
  readonly text: string;
  /** The last kibibyte of stdout and stderr, without control characters. */
  readonly output: string;
  readonly took: Duration;
}

export interface Heard {
  /** Exactly once, never before `run` has returned; the process is gone then. One that the kernel holds on to stays. */
  ended(how: Ended): void;
  /** Its time is up: what it might still answer does not count. `ended` follows when it is dead. */
  overdue?(): void;
  started?(pid: number): void;
}

export interface Running {
  /** SIGTERM, a second later SIGKILL; `now`: SIGKILL. */
  stop(now?: boolean): void;
}

export type Run = (order: Order, heard: Heard) => Running;

export function succeeded({ reason, code }: Ended): boolean {
  return reason === "exit" && code === 0;
}

/**
 * Spawns it in this process. It has a session of its own, / as its directory, and of the environment only what is safe.
 */
export const runProgram: Run = (order, heard) => {
  const begun = performance.now();
  const tail = new Tail();
  const end = (reason: EndReason, text: string, code?: number) =>
    heard.ended({ reason, code, text, output: tail.text(), took: us(Math.round((performance.now() - begun) * 1_000)) });
  const prepared = prepare(order);
  if ("reason" in prepared) {
    process.nextTick(() => end(prepared.reason, prepared.text));
    return { stop: () => undefined };
  }
  const { file, args, user } = prepared;
  let child: ChildProcess;
  try {
    child = spawn(file, args, {
      cwd: "/",
      env: environment(user),
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      // Only root may, and only then it is needed.
      ...(process.getuid?.() === 0 ? { uid: user.uid, gid: user.gid } : {}),
    });
  } catch (error) {
    process.nextTick(() => end(...refusal(file, user, error)));
    return { stop: () => undefined };
  }
  return attend(child, order, heard, tail, (how) => {
    if (how instanceof Error) end(...refusal(file, user, how));
    else end(...how);
  });
};

type How = [reason: EndReason, text: string, code?: number];

/** From spawn to its end. */
function attend(
  child: ChildProcess,
  order: Order,
  heard: Heard,
  tail: Tail,
  done: (how: How | Error) => void,
): Running {
  let ending: "timeout" | "stopped" | undefined;
  let kill: NodeJS.Timeout | undefined;
  let result: How | undefined;
  const finish = (how: How | Error) => {
    clearTimeout(limit);
    clearTimeout(kill);
    clearTimeout(linger);
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
    if (!finished) done(how);
    finished = true;
  };
  let finished = false;
  let linger: NodeJS.Timeout | undefined;
  const stop = (why: "timeout" | "stopped", signal: "SIGTERM" | "SIGKILL") => {
    if (result !== undefined || child.pid === undefined) return;
    ending ??= why;
    signalGroup(child.pid, signal);
    clearTimeout(limit);
    kill ??= setTimeout(() => child.pid !== undefined && signalGroup(child.pid, "SIGKILL"), KILL_AFTER);
  };
  const limit = setTimeout(() => {
    stop("timeout", "SIGTERM");
    heard.overdue?.();
  }, milliseconds(order.timeout));
  child.on("error", (error) => {
    // A signal that could not be sent is an error too; that process still ends.
    if (child.pid === undefined) finish(error);
  });
  child.on("exit", (code, signal) => {
    // Its group may outlive it; whoever was told to go, goes with all its children.
    if (ending !== undefined && child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
    const how = verdict(order, ending, code, signal);
    result = how;
    linger = setTimeout(() => finish(how), LINGER);
  });
  child.on("close", () => {
    if (result !== undefined) finish(result);
  });
  // A program need not read what it is given, and may close what it writes to.
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on("error", () => undefined);
  child.stdin?.end(order.input ?? "");
  if (child.stdout !== null) tail.hear(child.stdout);
  if (child.stderr !== null) tail.hear(child.stderr);
  if (child.pid !== undefined) heard.started?.(child.pid);
  return { stop: (now) => stop("stopped", now === true ? "SIGKILL" : "SIGTERM") };
}

function verdict(
  order: Order,
  ending: "timeout" | "stopped" | undefined,
  code: number | null,
  signal: string | null,
): How {
  if (ending === "timeout") return ["timeout", `no answer within ${formatDuration(order.timeout)}`];
  if (ending === "stopped") return ["stopped", "stopped by us"];
  return code === null ? ["signal", `ended by ${signal}`] : ["exit", `exit code ${code}`, code];
}

interface Prepared {
  readonly file: string;
  readonly args: readonly string[];
  readonly user: User;
}

function prepare(order: Order): Prepared | { readonly reason: EndReason; readonly text: string } {
  const argv = words(order.run);
  if (!argv.ok) return { reason: "not-a-command", text: `not a command (${argv.reason}): ${order.run.slice(0, 80)}` };
  const user = userOf(order.user);
  if (!user.ok) return { reason: "user", text: user.reason };
  const [file, ...args] = argv.value;
  const unsafe = user.value.uid === 0 ? unsafeAsRoot(file) : undefined;
  if (unsafe !== undefined) return { reason: "not-permitted", text: `${file} is not run as root: ${unsafe}` };
  return { file, args: [...args, ...(order.arguments ?? [])], user: user.value };
}

/** NOTIFY_SOCKET, NODE_OPTIONS, LD_PRELOAD and the like are ours, not theirs. */
function environment({ name, home }: User): Record<string, string> {
  const { LANG = "C.UTF-8", TZ } = process.env;
  return { PATH: SEARCH, HOME: home, USER: name, LOGNAME: name, LANG, ...(TZ === undefined ? {} : { TZ }) };
}

function refusal(file: string, user: User, error: unknown): How {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  switch (code) {
    case "ENOENT":
      return ["not-found", `found no program ${file} (or what its first line names)`];
    case "EACCES":
      return ["not-permitted", `${file} may not be run by ${user.name}: chmod +x, and x on each directory above it`];
    case "EPERM":
      return ["not-permitted", `${file} cannot be run as ${user.name}: this process may not change its user`];
    default:
      return ["not-started", `${file} could not be started: ${code}`];
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already (ESRCH), or another user's (EPERM): it ends by itself, and nothing else runs in its place till then.
  }
}

/** The last octets of what is written. */
class Tail {
  private kept = Buffer.alloc(0);
  private count = 0;

  hear(stream: NodeJS.ReadableStream): void {
    stream.on("data", (chunk: Buffer) => {
      this.count += chunk.length;
      const all = chunk.length >= TAIL ? chunk : Buffer.concat([this.kept, chunk]);
      // A copy: a view would keep the whole chunk.
      this.kept = Buffer.from(all.subarray(-TAIL));
      if (this.count <= PLENTY) return;
      stream.pause();
      setTimeout(() => stream.resume(), CHUNK);
    });
  }

  text(): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal would obey must not reach one
    return this.kept.toString("utf8").replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "");
  }
}

/** At most `atOnce` at a time; the others wait in the order in which they came, and their time begins when they do. */
export function limited(run: Run, atOnce: number): Run {
  const waiting = new Set<() => void>();
  let running = 0;
  const next = () => {
    for (const begin of waiting) {
      if (running >= atOnce) return;
      waiting.delete(begin);
      begin();
    }
  };
  return (order, heard) => {
    let started: Running | undefined;
    const begin = () => {
      running++;
      started = run(order, {
        ...heard,
        ended: (how) => {
          running--;
          next();
          heard.ended(how);
        },
      });
    };
    waiting.add(begin);
    next();
    return {
      stop: (now) => {
        if (started !== undefined) started.stop(now);
        else if (waiting.delete(begin)) {
          const how: Ended = { reason: "stopped", code: undefined, text: "stopped by us", output: "", took: ms(0) };
          process.nextTick(() => heard.ended(how));
        }
      },
    };
  };
}
