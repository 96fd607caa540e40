/** What the helper runs; see helper.ts. It lives as long as the daemon, and then until the last hook has ended. */
import { readFileSync } from "node:fs";
import type { FromHelper, ToHelper } from "./helper.ts";
import { openLibc } from "./libc.ts";
import { type Ended, limited, type Running, runProgram } from "./program.ts";
import { startTracked } from "./tracked.ts";

/**
 * Scripts at a time; further ones wait for their turn. Hooks have a limit of their own: neither waits for the other.
 */
const SCRIPTS_AT_ONCE = 32;

function main(): void {
  const say = (message: FromHelper) => {
    // The daemon may be gone: what it is told then is lost with it.
    if (process.connected) process.send?.(message, () => undefined);
  };
  // systemd and terminals signal whole groups: hooks have their time all the same, and the daemon's end is heard of.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
  const kept = dropAmbient();
  if (kept !== undefined) say({ kind: "trouble", text: kept });
  const tracked = startTracked(limited(runProgram, SCRIPTS_AT_ONCE), (change) => say({ kind: "change", change }));
  const running = new Map<number, Running>();
  process.on("message", (message: ToHelper) => {
    switch (message.kind) {
      case "track":
        tracked.use(message.config, new Map(message.known));
        return;
      case "run": {
        const { id, order } = message;
        const heard = {
          started: (pid: number) => say({ kind: "started", id, pid }),
          ended: (how: Ended) => {
            running.delete(id);
            say({ kind: "ended", id, how });
          },
        };
        running.set(id, runProgram(order, heard));
        return;
      }
      case "stop":
        running.get(message.id)?.stop(message.now);
        return;
      case "status":
        say({ kind: "status", id: message.id, items: tracked.status() });
    }
  });
  // The daemon is gone, perhaps killed: nobody wants to know what scripts say. Hooks end in their time.
  process.on("disconnect", () => tracked.close());
}

const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/**
 * A daemon that is not root has its rights as ambient capabilities, which every program started by it would have too.
 * @returns why they are still there
 */
function dropAmbient(): string | undefined {
  const ambient = /^CapAmb:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0";
  if (/^0+$/.test(ambient)) return undefined;
  const opened = openLibc();
  if (!opened.ok) return `scripts and hooks run with the daemon's capabilities: ${opened.message}`;
  opened.libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  return undefined;
}

main();
