/** A daemon that starts while the guardian of one before it is at work would have its addresses taken away again. */
import { readFileSync, statSync } from "node:fs";
import { LIMITS } from "./holdings.ts";

/** Beginning of the abstract socket's name that a guardian at work has; its process id follows. */
export const RELEASING = "hotpair-releasing.";
/** Milliseconds between looks. */
const LOOK = 20;
/** Beyond the longest time that a successor may be waited for. */
const PATIENCE = LIMITS.within / 1_000 + 5_000;

/** Process ids of guardians that are giving something back in this network namespace. */
export function predecessors(): number[] {
  const found: number[] = [];
  for (const line of readFileSync("/proc/self/net/unix", "utf8").split("\n")) {
    const at = line.lastIndexOf(` @${RELEASING}`);
    const pid = Number(line.slice(at + RELEASING.length + 2));
    if (at >= 0 && Number.isInteger(pid) && pid > 0 && isTrusted(pid)) found.push(pid);
  }
  return found;
}

/** Anybody may give a socket such a name; only whom we need not fear makes us wait. */
function isTrusted(pid: number): boolean {
  const owner = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  return owner === 0 || (owner !== undefined && owner === process.getuid?.());
}

/**
 * Until none is left.
 * @param waiting is told once, when there is one
 * @returns false when one does not come to its end
 */
export async function waitForPredecessors(waiting: (pids: readonly number[]) => void): Promise<boolean> {
  const started = performance.now();
  for (let told = false; ; told = true) {
    const pids = predecessors();
    if (pids.length === 0) return true;
    if (!told) waiting(pids);
    if (performance.now() - started > PATIENCE) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
