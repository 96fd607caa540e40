/**
 * Files whose content or presence is tracked: inotify says when, and a look from time to time what inotify cannot see.
 */
import { constants, type FSWatcher, watch } from "node:fs";
import { open, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Duration } from "../../core/time.ts";
import { milliseconds } from "./milliseconds.ts";
import type { Known, Told, Watching } from "./tracked.ts";

/** Octets of a file that are read: an integer, and blanks around it. */
const MOST = 64;
const LEAST_INTERVAL = 50;
/** Of a value; keepalived's range of what a weight may be multiplied with. */
const MOST_VALUE = 2 ** 31 - 1;

export interface TrackedFile {
  readonly name: string;
  readonly path: string;
  /**
   * `exists`: up while there is such a file. `value`: its content is an integer, said as `value`; up while that is 0,
   * as keepalived has it for weight 0. No file counts as 0; one without an integer leaves the value as it was.
   */
  readonly content: "exists" | "value";
  /** Between looks that nothing asked for, never less than 50 ms: for network file systems, which know no inotify. */
  readonly interval: Duration;
}

/**
 * The directory is watched, not the file: editors and careful scripts write another file and rename it. One look at a
 * time; what comes during one causes one more, so that a burst of writes costs two.
 */
export function startFile(file: TrackedFile, was: Known | undefined, told: Told): Watching {
  const directory = dirname(file.path);
  const base = basename(file.path);
  let known = was;
  let first = was === undefined;
  let watcher: FSWatcher | undefined;
  let watched = 0;
  let looks = 0;
  let failures = 0;
  let why = "not looked at yet";
  let looking = false;
  let again = false;
  let closed = false;

  const unwatch = () => {
    watcher?.close();
    watcher = undefined;
  };
  /** A directory that was made anew under its name is another one. */
  const arm = async () => {
    const inode = await stat(directory).then(
      ({ ino }) => ino,
      () => undefined,
    );
    if (closed || (watcher !== undefined && inode === watched)) return;
    unwatch();
    if (inode === undefined) return;
    watched = inode;
    try {
      watcher = watch(directory, (_event, name) => {
        if (name === null || name === base) soon();
      });
      watcher.on("error", unwatch);
    } catch {
      // No inotify to be had: the interval has to do.
      unwatch();
    }
  };
  const look = async () => {
    // Armed before it is read: what is written in between is heard.
    await arm();
    const found = await read(file);
    if (closed) return;
    looks++;
    why = found.why;
    if (!found.good) failures++;
    const now = found.known ?? known ?? { up: true, value: 0 };
    const changed = first || now.up !== known?.up || now.value !== known.value;
    known = now;
    first = false;
    if (changed) told(now, why);
  };
  const soon = () => {
    again = true;
    if (looking) return;
    looking = true;
    void (async () => {
      while (again && !closed) {
        again = false;
        await look();
      }
      looking = false;
    })();
  };
  const timer = setInterval(soon, milliseconds(file.interval, LEAST_INTERVAL));
  soon();
  return {
    status: () => ({ up: known?.up, value: known?.value, why, looks, failures, output: "", took: undefined }),
    close: () => {
      closed = true;
      clearInterval(timer);
      unwatch();
    },
  };
}

interface Found {
  /** Undefined: the content says nothing. */
  readonly known: Known | undefined;
  readonly good: boolean;
  readonly why: string;
}

async function read({ path, content }: TrackedFile): Promise<Found> {
  try {
    if (content === "exists") {
      await stat(path);
      return { known: { up: true, value: undefined }, good: true, why: "it exists" };
    }
    return integer(await beginning(path));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (content === "exists") return { known: { up: false, value: undefined }, good: false, why: `not there: ${code}` };
    const absent = code === "ENOENT" || code === "ENOTDIR";
    return absent
      ? { known: { up: true, value: 0 }, good: true, why: "no such file: counts as 0" }
      : { known: undefined, good: false, why: `cannot be read: ${code}` };
  }
}

function integer(text: string): Found {
  const match = /^\s*([+-]?\d{1,10})\s*$/.exec(text);
  const value = Number(match?.[1]);
  if (match === null || Math.abs(value) > MOST_VALUE) {
    return { known: undefined, good: false, why: `found ${JSON.stringify(text.slice(0, 20))}, allowed: an integer` };
  }
  return { known: { up: value === 0, value: value + 0 }, good: value === 0, why: `its value is ${value}` };
}

/** Not blocking, for a name that turns out to be a pipe. */
async function beginning(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(MOST), 0, MOST);
    return buffer.toString("latin1", 0, bytesRead);
  } finally {
    await handle.close();
  }
}
