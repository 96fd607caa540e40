/** A network namespace whose host may be killed, another one from which that is watched, and daemons in small. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Holding } from "../../../src/host/linux/holdings.ts";
import { openLibc } from "../../../src/host/linux/libc.ts";
import { PacketSocket, type Wanted } from "../../../src/host/linux/packet.ts";

const CLONE_NEWNET = 0x40000000;
const root = new URL("../../../", import.meta.url);
const PROGRAM = pathToFileURL(fileURLToPath(new URL("dist/src/host/linux/guardian.js", root))).href;
const HOLDER = fileURLToPath(new URL("test/host/linux/holder.mjs", root));

/** Why these tests cannot run here; undefined when they can. */
export function lacking(): string | undefined {
  const libc = openLibc();
  if (!libc.ok) return libc.message;
  if (process.getuid?.() !== 0) return "not root";
  if (spawnSync("ip", ["-Version"]).error !== undefined) return "ip is not installed";
  const name = `hpgd${process.pid}x`;
  if (spawnSync("ip", ["netns", "add", name]).status !== 0) return "network namespaces cannot be made";
  spawnSync("ip", ["netns", "del", name]);
  return undefined;
}

export const HAS_NFT = spawnSync("nft", ["--version"]).error === undefined;

/** What the command printed; its failure is thrown. */
export function sh(command: string): string {
  return execFileSync("/bin/sh", ["-ec", command], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Waits until it is so. What never comes to be so fails the test by its time limit. */
export async function until(so: () => boolean): Promise<void> {
  while (!so()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Everything that a namespace's interfaces, addresses, settings and rules are. */
export function state(ns: string): string {
  const list = (what: string) => sh(`ip -n ${ns} -o ${what} show`).replaceAll(/valid_lft.*|qlen \d+|state \w+/g, "");
  const rules = HAS_NFT ? sh(`ip netns exec ${ns} nft list ruleset`) : "";
  return [list("link"), list("address"), setting(ns, "ipv4/conf/g0/arp_ignore"), rules].join("\n");
}

export function setting(ns: string, path: string): string {
  return sh(`ip netns exec ${ns} cat /proc/sys/net/${path}`).trim();
}

export function indexOf(ns: string, name: string): number {
  return Number(/^\d+/.exec(sh(`ip -n ${ns} -o link show dev ${name}`))?.[0]);
}

/** Sends and hears on an interface of another namespace. */
export class Peer {
  readonly heard: { readonly frame: Uint8Array; readonly at: number }[] = [];
  private readonly socket: PacketSocket;

  /** @param vlan of which they are wanted; absent: those without a tag */
  constructor(ns: string, name: string, wanted: readonly Wanted[], vlan?: number) {
    const opened = openLibc();
    if (!opened.ok) throw new Error(opened.message);
    const { libc } = opened;
    const index = indexOf(ns, name);
    const here = openSync("/proc/thread-self/ns/net", "r");
    const there = openSync(`/run/netns/${ns}`, "r");
    libc.setns(there, CLONE_NEWNET);
    try {
      const heard = (frame: Uint8Array) => this.heard.push({ frame, at: performance.now() });
      this.socket = new PacketSocket(libc, index, wanted, heard, vlan);
    } finally {
      libc.setns(here, CLONE_NEWNET);
      closeSync(here);
      closeSync(there);
    }
  }

  send(frame: Uint8Array): void {
    this.socket.send(frame);
  }

  /** The first that is so, from the frames so far or those to come. */
  async hears(so: (frame: Uint8Array) => boolean): Promise<{ readonly frame: Uint8Array; readonly at: number }> {
    for (;;) {
      const found = this.heard.find(({ frame }) => so(frame));
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  close(): void {
    this.socket.close();
  }
}

/** holder.mjs in a namespace and a process group of its own. */
export class Daemon {
  readonly lines: string[] = [];
  readonly pid: number;
  errors = "";
  /** It and its guardians have ended: nobody has its stderr any more. */
  over = false;
  private readonly child: ChildProcess;

  constructor(ns: string, holdings: readonly Holding[]) {
    const text = JSON.stringify(holdings, (_, value: unknown) =>
      value instanceof Uint8Array ? { hex: Buffer.from(value).toString("hex") } : value,
    );
    const words = ["netns", "exec", ns, process.execPath, HOLDER, PROGRAM, text];
    this.child = spawn("ip", words, { detached: true, stdio: ["pipe", "pipe", "pipe"] });
    const { stdout, stderr, pid } = this.child;
    if (stdout === null || stderr === null || pid === undefined) throw new Error("holder.mjs does not start");
    this.pid = pid;
    createInterface({ input: stdout }).on("line", (line) => this.lines.push(line));
    stderr.setEncoding("utf8").on("data", (part: string) => {
      this.errors += part;
    });
    this.child.on("close", () => {
      this.over = true;
    });
  }

  says(line: string): Promise<void> {
    return until(() => this.lines.includes(line));
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Process ids of its guardians, in their order. */
  get guardians(): readonly number[] {
    return this.numbers("guardian");
  }

  get hooks(): readonly number[] {
    return this.numbers("hook");
  }

  /** SIGKILL to it alone. */
  kill(): void {
    process.kill(this.pid, "SIGKILL");
  }

  /** SIGKILL to its process group, and to everything that descends from it, wherever that has gone. */
  killAll(): void {
    const below = descendants(this.pid);
    process.kill(-this.pid, "SIGKILL");
    for (const pid of below) end(pid);
  }

  /** Leaves nothing of it running. */
  clear(): void {
    for (const pid of [this.pid, ...this.hooks, ...this.guardians]) if (isOurs(pid)) end(pid);
  }

  private numbers(word: string): readonly number[] {
    return this.lines.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.split(" ")[1]));
  }
}

export function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** A number may have come to belong to somebody else's process. */
function isOurs(pid: number): boolean {
  try {
    return /holder\.mjs|hotpair|guard-process|sleep\0/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  } catch {
    return false;
  }
}

/** Whether the process runs; one that has ended and is waited for does not. */
export function runs(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

function parentOf(pid: number): number | undefined {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return state === "Z" ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

function descendants(of: number): number[] {
  const found = [of];
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  for (let known = 0; known < found.length; known++) found.push(...all.filter((pid) => parentOf(pid) === found[known]));
  return found.slice(1);
}
