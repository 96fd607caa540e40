/**
 * A router that has done nothing but listen for a year is not to wait for a disk in the moment in which it takes over: the
 * kernel drops the code of programs that it has not seen run for a while, and reads it again when it is needed.
 */
import { readFileSync } from "node:fs";
import { CallFailed, type Libc } from "./libc.ts";

/** What has been read once stays; nothing is read for its own sake. */
const MLOCK_ONFAULT = 1;
/** address-address permissions offset device inode path: proc_pid_maps(5). */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ \S+ [1-9]\d* +(\/.*)$/gm;

/**
 * Keeps the code of this process, of its libraries and what they read of their files in memory. Not the heap: Node.js gives
 * parts of that back, which the kernel refuses for memory that is kept.
 * @returns what is wrong, in words; undefined when all of it is kept
 */
export function keepCode(libc: Libc, maps = readFileSync("/proc/self/maps", "latin1")): string | undefined {
  if (libc.mlock2 === undefined) return "this libc has no mlock2";
  for (const [, from = "", to = ""] of maps.matchAll(MAPPING)) {
    const address = BigInt(`0x${from}`);
    try {
      libc.mlock2(address, Number(BigInt(`0x${to}`) - address), MLOCK_ONFAULT);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      return `${error.message} (CAP_IPC_LOCK, or a limit of locked memory that is large enough)`;
    }
  }
  return undefined;
}
