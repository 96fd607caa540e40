/**
 * The helper: one child process of the daemon's, in which everything runs that could hold the daemon up: scripts and
 * hooks are forked there, files and /proc are read there. To fork costs a process with a large heap milliseconds in
 * which it sends no advert; to say so to the helper costs it some 30 µs. The helper is started once, when it is first
 * needed.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ms } from "../../core/time.ts";
import { type Ended, type Heard, limited, type Order, type Run } from "./program.ts";
import { type Change, type Known, keyOf, type TrackedConfig, type TrackedKind, type TrackedStatus } from "./tracked.ts";

/**
 * Milliseconds before a helper that died is replaced: doubled each time, up to the most; anew after one that lived that
 * long.
 */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** Milliseconds that an answer about the status is waited for. */
const STATUS_WAIT = 1_000;
/**
 * Programs asked of it at a time; further ones wait for their turn here. Scripts have a limit of their own in the
 * helper.
 */
const PROGRAMS_AT_ONCE = 16;
/** Mebibytes of its heap, and of what is young in it: it holds hardly anything. */
const HEAP = ["--max-old-space-size=64", "--max-semi-space-size=1"];

export type ToHelper =
  | { readonly kind: "track"; readonly config: TrackedConfig; readonly known: readonly (readonly [string, Known])[] }
  | { readonly kind: "run"; readonly id: number; readonly order: Order }
  | { readonly kind: "stop"; readonly id: number; readonly now: boolean }
  | { readonly kind: "status"; readonly id: number };

export type FromHelper =
  | { readonly kind: "change"; readonly change: Change }
  | { readonly kind: "started"; readonly id: number; readonly pid: number }
  | { readonly kind: "ended"; readonly id: number; readonly how: Ended }
  | { readonly kind: "status"; readonly id: number; readonly items: readonly TrackedStatus[] }
  | { readonly kind: "trouble"; readonly text: string };

export interface HelperOptions {
  /**
   * What is tracked changed. Of a new name it is said at once, within `track`, that it is down and not `known`: nothing
   * is taken for good that nobody has looked at. The first look follows as soon as it is done, whatever it found.
   */
  readonly changed: (change: Change & { readonly known: boolean }) => void;
  /** Something about the helper itself went wrong: one line for the log. */
  readonly trouble: (text: string) => void;
  /** What the helper runs; for tests. */
  readonly program?: string | undefined;
}

export interface Helper {
  /** Now, in place of when it is first needed: to fork costs some 7 ms, which no takeover should have to pay. */
  start(): void;
  /** In place of what was tracked before; see `Tracked.use`. */
  track(config: TrackedConfig): void;
  /** How everything tracked stands; from the daemon's own knowledge alone when the helper does not answer. */
  status(): Promise<readonly TrackedStatus[]>;
  /**
   * Runs a program in the helper, at most 16 at a time, and never within the call.
   * Where the helper is lost, `ended` says `not-started`.
   */
  readonly run: Run;
  /**
   * Scripts are killed; what `run` was asked for and was not stopped has its time to end, even when this process is
   * gone. Nothing of it is heard any more. Resolves when the helper knows.
   */
  close(): Promise<void>;
}

interface Asked {
  readonly heard: Heard;
  pid: number | undefined;
}

/** Starts nothing yet. */
export function startHelper(options: HelperOptions): Helper {
  const asked = new Map<number, Asked>();
  const questions = new Map<number, (items: readonly TrackedStatus[]) => void>();
  const stands = new Map<
    string,
    Known & { readonly kind: TrackedKind; readonly name: string; readonly known: boolean }
  >();
  let config: TrackedConfig = { scripts: [], files: [], processes: [] };
  let child: ChildProcess | undefined;
  let again: NodeJS.Timeout | undefined;
  let wait = FIRST_WAIT;
  let nextId = 1;
  let closed = false;

  const send = (message: ToHelper) => {
    // An error is followed by its end, which `lost` sees to.
    child?.send(message, () => undefined);
  };
  const track = () => {
    const known = [...stands]
      .filter(([, { known }]) => known)
      .map(([key, { up, value }]) => [key, { up, value }] as const);
    send({ kind: "track", config, known });
  };
  const hear = (message: FromHelper) => {
    switch (message.kind) {
      case "change": {
        const { change } = message;
        const key = keyOf(change.kind, change.name);
        // Said before it was told that nobody tracks this any more.
        if (closed || !stands.has(key)) return;
        stands.set(key, { kind: change.kind, name: change.name, up: change.up, value: change.value, known: true });
        options.changed({ ...change, known: true });
        return;
      }
      case "started": {
        const run = asked.get(message.id);
        if (run === undefined) return;
        run.pid = message.pid;
        run.heard.started?.(message.pid);
        return;
      }
      case "ended": {
        const run = asked.get(message.id);
        asked.delete(message.id);
        run?.heard.ended(message.how);
        return;
      }
      case "status":
        questions.get(message.id)?.(message.items);
        return;
      case "trouble":
        options.trouble(message.text);
    }
  };
  const lost = (born: number, text: string) => {
    child = undefined;
    if (!closed) options.trouble(`the helper that runs scripts and hooks is gone (${text}); another one is started`);
    for (const [id, { heard, pid }] of [...asked]) {
      asked.delete(id);
      // Nobody is left to end it in time.
      if (pid !== undefined) killGroup(pid);
      heard.ended(notStarted(text));
    }
    if (closed) return;
    if (performance.now() - born > LONGEST_WAIT) wait = FIRST_WAIT;
    again = setTimeout(start, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  };
  const start = () => {
    again = undefined;
    const born = performance.now();
    try {
      const self = forked(options.program ?? besides("helper-main"));
      child = self;
      self.on("message", (message) => hear(message as FromHelper));
      // Not started at all; what else goes wrong ends with its exit.
      self.on("error", (error) => {
        if (self.pid === undefined) lost(born, error.message);
      });
      self.on("exit", (code, signal) => lost(born, signal ?? `exit code ${code}`));
    } catch (error) {
      // No memory for another process, or none allowed.
      lost(born, error instanceof Error ? error.message : String(error));
    }
    if (count(config) > 0) track();
  };
  const ensure = () => {
    if (child === undefined && again === undefined) start();
  };
  const run: Run = (order, heard) => {
    const id = nextId++;
    // What the daemon is doing at this moment, perhaps taking over, goes first: even 50 µs a hook add up.
    setImmediate(() => {
      if (!closed) ensure();
      if (closed || child === undefined) {
        heard.ended(notStarted(closed ? "closed" : "it is being replaced"));
        return;
      }
      asked.set(id, { heard, pid: undefined });
      send({ kind: "run", id, order });
    });
    return { stop: (now) => void setImmediate(() => send({ kind: "stop", id, now: now ?? false })) };
  };

  return {
    start: () => {
      if (!closed) ensure();
    },
    track: (next) => {
      config = next;
      const names = new Set<string>();
      for (const [kind, name] of named(next)) {
        const key = keyOf(kind, name);
        names.add(key);
        if (stands.has(key)) continue;
        const down = { kind, name, up: false, value: undefined, known: false };
        stands.set(key, down);
        options.changed({ ...down, why: "not looked at yet" });
      }
      for (const key of stands.keys()) if (!names.has(key)) stands.delete(key);
      if (count(next) > 0 && child === undefined) ensure();
      else track();
    },
    status: () =>
      new Promise((resolve) => {
        const id = nextId++;
        const answer = (items: readonly TrackedStatus[]) => {
          clearTimeout(timer);
          questions.delete(id);
          resolve(items);
        };
        const unasked = () => [...stands.values()].map(withoutHelper);
        const timer = setTimeout(() => answer(unasked()), STATUS_WAIT);
        questions.set(id, answer);
        if (child === undefined) answer(unasked());
        else send({ kind: "status", id });
      }),
    run: limited(run, PROGRAMS_AT_ONCE),
    close: () => {
      closed = true;
      clearTimeout(again);
      asked.clear();
      for (const answer of [...questions.values()]) answer([]);
      return new Promise((resolve) => {
        // What was stopped just now is on its way still.
        setImmediate(() => {
          if (child?.connected) child.disconnect();
          resolve();
        });
      });
    },
  };
}

function forked(program: string): ChildProcess {
  return fork(program, [], {
    execArgv: HEAP,
    // What stops the daemon from a terminal is no matter of the helper's: it goes when the daemon has gone.
    detached: true,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: environment(),
  });
}

function named({ scripts, files, processes }: TrackedConfig): (readonly [TrackedKind, string])[] {
  return [
    ...scripts.map(({ name }) => ["script", name] as const),
    ...files.map(({ name }) => ["file", name] as const),
    ...processes.map(({ name }) => ["process", name] as const),
  ];
}

function count(config: TrackedConfig): number {
  return config.scripts.length + config.files.length + config.processes.length;
}

function withoutHelper(known: Known & { kind: TrackedKind; name: string; known: boolean }): TrackedStatus {
  const { kind, name, up, value } = known;
  const why = "the helper does not answer";
  return {
    kind,
    name,
    up: known.known ? up : undefined,
    value,
    why,
    looks: 0,
    failures: 0,
    output: "",
    took: undefined,
  };
}

function notStarted(text: string): Ended {
  return { reason: "not-started", code: undefined, text: `no helper: ${text}`, output: "", took: ms(0) };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** A module beside this one, in the language in which this one is run. */
function besides(module: string): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`./${module}.${extension}`, import.meta.url));
}

/** NODE_OPTIONS and NOTIFY_SOCKET are the daemon's. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, LANG, TZ } = process.env;
  return { PATH, LANG, TZ };
}
