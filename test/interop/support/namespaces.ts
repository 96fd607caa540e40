/** Network namespaces of a test, and the promise that nothing of them stays: not after a failure, not after Ctrl-C. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync } from "node:fs";
import { promisify } from "node:util";
import { openLibc } from "../../../src/host/linux/libc.ts";

const CLONE_NEWNET = 0x40000000;
const PREFIX = "hp-it-";
const made = new Set<string>();
/** What else has to be ended when the process does. */
const leaving = new Set<() => void>();
let watching = false;

/** What the program printed; its failure is thrown with what it said. */
export function sh(tool: string, args: readonly string[], input?: string): string {
  return execFileSync(tool, args, { encoding: "utf8", stdio: ["pipe", "pipe", "pipe"], input: input ?? "" });
}

const started = promisify(execFile);

/** The same in a namespace, while this process goes on. */
export async function shIn(namespace: string, tool: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await started("ip", ["netns", "exec", namespace, tool, ...args]);
  return stdout;
}

/** Makes a namespace of this process's own with `lo` up. @returns its name */
export function makeNamespace(name: string): string {
  watch();
  const full = `${PREFIX}${process.pid}-${name}`;
  sh("ip", ["netns", "add", full]);
  made.add(full);
  sh("ip", ["-n", full, "link", "set", "lo", "up"]);
  return full;
}

/** Carries out lines of `ip -batch` in a namespace. */
export function ipBatch(namespace: string, lines: readonly string[]): void {
  sh("ip", ["-n", namespace, "-batch", "-"], `${lines.join("\n")}\n`);
}

/** Of an interface. */
export function indexOf(namespace: string, name: string): number {
  return Number(/^\d+/.exec(sh("ip", ["-n", namespace, "-o", "link", "show", "dev", name]))?.[0]);
}

/** Settings under net, as "ipv4.conf.e0.arp_ignore". */
export function sysctl(namespace: string, settings: Readonly<Record<string, string | number>>): void {
  const words = Object.entries(settings).map(([key, value]) => `net.${key}=${value}`);
  sh("ip", ["netns", "exec", namespace, "sysctl", "-q", "-w", ...words]);
}

/** Runs `body` with the calling thread in the namespace; sockets that it opens stay there. It must not wait. */
export function within<T>(namespace: string, body: () => T): T {
  const opened = openLibc();
  if (!opened.ok) throw new Error(opened.message);
  const here = openSync("/proc/thread-self/ns/net", "r");
  const there = openSync(`/run/netns/${namespace}`, "r");
  opened.libc.setns(there, CLONE_NEWNET);
  try {
    return body();
  } finally {
    opened.libc.setns(here, CLONE_NEWNET);
    closeSync(here);
    closeSync(there);
  }
}

/** Ends what still runs in a namespace of ours, then removes it. Says nothing of what is gone already. */
export function removeNamespace(name: string): void {
  if (!made.delete(name)) return;
  const { stdout } = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" });
  for (const pid of (stdout ?? "").split("\n").filter((line) => line !== "")) end(Number(pid), "SIGKILL");
  spawnSync("ip", ["netns", "del", name]);
}

/** Processes that run in a namespace of ours. */
export function processesIn(name: string): readonly number[] {
  const { stdout } = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" });
  return (stdout ?? "").split("\n").filter(Boolean).map(Number);
}

/** A negative number is a process group. */
export function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** `tidy` runs when this process ends before it was called back. @returns what calls it back */
export function onLeaving(tidy: () => void): () => void {
  watch();
  leaving.add(tidy);
  return () => leaving.delete(tidy);
}

function watch(): void {
  if (watching) return;
  watching = true;
  sweep();
  const leave = () => {
    for (const tidy of leaving) tidy();
    leaving.clear();
    for (const name of made) removeNamespace(name);
  };
  process.once("exit", leave);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      leave();
      process.kill(process.pid, signal);
    });
  }
}

/** Removes namespaces of a run that was killed: their names hold the number of a process that is no more. */
function sweep(): void {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  const alive = new Set(readdirSync("/proc"));
  for (const line of (stdout ?? "").split("\n")) {
    const [name = ""] = line.split(" ");
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || alive.has(pid)) continue;
    made.add(name);
    removeNamespace(name);
  }
}

/** Milliseconds; nothing here takes longer, however busy the machine is. */
const PATIENCE = 12_000;

/** Waits until it is so; `what` is thrown when it never comes to be so. */
export async function until(what: string, so: () => boolean): Promise<void> {
  const begin = performance.now();
  while (!so()) {
    if (performance.now() - begin > PATIENCE) throw new Error(`not so within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
