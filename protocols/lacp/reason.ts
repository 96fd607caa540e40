/** Why a port is as it is: a function of its state. */
import { NEVER } from "../../src/core/time.ts";
import { STATE } from "./codec.ts";
import type { PortReason } from "./events.ts";
import { distributes, has, type LacpPort, lacpEnabled, type Turn } from "./state.ts";

/** The first thing that keeps the port from carrying frames. */
export function portReason({ now }: Pick<Turn, "now">, port: LacpPort): PortReason {
  if (distributes(port)) return port.fallback ? "fallback" : "carrying";
  if (port.removed) return "removed";
  if (!lacpEnabled(port)) return "stopped";
  if (!port.up) return "link-down";
  if (port.receive === "expired" && !has(port.state, STATE.defaulted)) return "silent";
  if (port.selected !== "selected") return port.obstacle ?? "listening";
  if (port.mux === "waiting" || port.mux === "detached") {
    return port.restoreUntil > now ? "wait-to-restore" : "aggregate-wait";
  }
  if (has(port.partner.state, STATE.synchronization)) {
    return has(port.partner.state, STATE.collecting) ? "negotiating" : "partner-not-collecting";
  }
  return "partner-out-of-sync";
}

/** Who withholds SYNC, in that machine's own word. */
export function portCause({ bundle, selected, obstacle, drainUntil }: LacpPort): string | undefined {
  // Without a partner it is unselected, and would carry all the same (fallback).
  const withheld = selected === "standby" || obstacle === "hold" || obstacle === "suspended";
  if (!withheld && drainUntil === NEVER) return undefined;
  return bundle.suspended ?? bundle.held;
}
