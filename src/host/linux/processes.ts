/** Processes that must run: so many of a name, counted in /proc. */
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Duration } from "../../core/time.ts";
import { milliseconds } from "./milliseconds.ts";
import { Standing } from "./standing.ts";
import type { Known, Told, Watching } from "./tracked.ts";

const LEAST_INTERVAL = 50;
/** TASK_COMM_LEN of the kernel, without its closing 0: a longer name is cut. */
const COMM = 15;
/** Looks at the processes that are known before all of /proc is gone through again, for a count that is true. */
const FULL_EVERY = 30;

export interface TrackedProcess {
  readonly name: string;
  /** As `ps -o comm` shows it; of a longer one the first 15 characters, and the whole of its file name. */
  readonly process: string;
  /** Words that must be its first arguments: ["/opt/app/main.py"] of a python3. */
  readonly arguments?: readonly string[] | undefined;
  /** How many there must be at the least. */
  readonly quorum: number;
  readonly interval: Duration;
  /** Good looks in a row that make it up, and bad ones that make it down; the first of all decides alone. */
  readonly rise: number;
  readonly fall: number;
}

/**
 * Between full looks only the processes that are known are looked at: microseconds in place of milliseconds.
 * @param proc where procfs is
 */
export function startProcess(wanted: TrackedProcess, was: Known | undefined, told: Told, proc = "/proc"): Watching {
  const standing = new Standing(wanted.rise, wanted.fall, was?.up);
  /** Process ids, with the time at which each was started: ids come again. */
  let found = new Map<string, string>();
  let looks = 0;
  let failures = 0;
  let why = "not looked for yet";
  let looking = false;
  let closed = false;

  const look = async () => {
    if (looking) return;
    looking = true;
    const alive = new Map([...found].filter(([pid, started]) => startOf(proc, pid, wanted) === started));
    const full = looks % FULL_EVERY === 0 || alive.size < wanted.quorum;
    found = full ? await search(proc, wanted, alive) : alive;
    looking = false;
    if (closed) return;
    looks++;
    const good = found.size >= wanted.quorum;
    if (!good) failures++;
    why = `${found.size} running, wanted: ${wanted.quorum}`;
    if (standing.see(good)) told({ up: good, value: undefined }, why);
  };
  const timer = setInterval(() => void look(), milliseconds(wanted.interval, LEAST_INTERVAL));
  void look();
  return {
    status: () => ({ up: standing.up, value: undefined, why, looks, failures, output: "", took: undefined }),
    close: () => {
      closed = true;
      clearInterval(timer);
    },
  };
}

async function search(
  proc: string,
  wanted: TrackedProcess,
  known: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const pid of readdirSync(proc)) {
    if (!/^\d+$/.test(pid)) continue;
    const started = startOf(proc, pid, wanted);
    if (started === undefined) continue;
    if (known.get(pid) === started || (await saysSo(proc, pid, wanted))) found.set(pid, started);
  }
  return found;
}

/** When it was started, in ticks since boot; undefined for one of another name, a dead one, or none. */
function startOf(proc: string, pid: string, { process }: TrackedProcess): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`${proc}/${pid}/stat`, "latin1");
  } catch {
    // Gone between readdir and here.
    return undefined;
  }
  // proc(5): pid (comm) state ...; a name may hold blanks and parentheses. The 22nd field is when it was started.
  const close = stat.lastIndexOf(")");
  const comm = Buffer.from(stat.slice(stat.indexOf("(") + 1, close), "latin1");
  if (!comm.equals(Buffer.from(process).subarray(0, COMM))) return undefined;
  const fields = stat.slice(close + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** What its command line says; read apart from this thread, since the kernel may hold it up. */
async function saysSo(proc: string, pid: string, wanted: TrackedProcess): Promise<boolean> {
  const words = wanted.arguments ?? [];
  const long = Buffer.byteLength(wanted.process) > COMM;
  if (words.length === 0 && !long) return true;
  const text = await readFile(`${proc}/${pid}/cmdline`, "utf8").catch(() => "");
  const [program = "", ...rest] = text.split("\0");
  // Of a script with an interpreter in its first line it is the second word.
  if (long && ![program, rest[0]].some((path) => path?.slice(path.lastIndexOf("/") + 1) === wanted.process))
    return false;
  return words.every((word, i) => rest[i] === word);
}
