/**
 * Restarts that were announced, and standstills that were not. While a process restarts under a data plane that goes on,
 * neither peer changes anything for the time of `grace`. A node that stood still for longer than its peer waits has lost
 * its say: it begins as after a start, and learns what has become of the pair before its members carry again.
 */
import { after, type Duration, type Instant, NEVER } from "../../src/core/time.ts";
import type { MlagReason } from "./events.ts";
import { tellRole } from "./roles.ts";
import { type MlagState, say } from "./state.ts";

/** Heartbeats that a peer misses before it takes the session for lost, as `IccpConfig` has it. */
const MULTIPLIER = 3;

/** The peer said that its process restarts, or this one is about to. */
export function beginGrace(state: MlagState, now: Instant): void {
  state.graceUntil = after(now, state.config.grace);
}

/** This process will be away for a while; bundles and bridge go on meanwhile. */
export function announceRestart(state: MlagState, now: Instant): void {
  if (state.session) state.tells.push({ kind: "goodbye", cause: "restart" });
  beginGrace(state, now);
}

export function inGrace({ graceUntil }: MlagState, now: Instant): boolean {
  return graceUntil !== NEVER && now < graceUntil;
}

/** Whether the loss of the session is part of an announced restart. That of the wire is not. */
export function bearLoss(state: MlagState, reason: MlagReason, now: Instant): boolean {
  if (!inGrace(state, now) || reason === "peer-link-down") {
    state.away = false;
    state.graceUntil = NEVER;
    return false;
  }
  if (!state.away)
    say(state, { type: "mlag.session", up: false, epoch: state.epoch, reason: "restart" }, now, "session");
  state.away = true;
  return true;
}

/** Whether the session that comes is the one that went for a restart. */
export function resume(state: MlagState, now: Instant): boolean {
  const resumed = state.away && inGrace(state, now);
  state.away = false;
  state.graceUntil = NEVER;
  return resumed;
}

/** The restart took too long: it is what any other loss is. */
export function graceIsOver({ away, graceUntil }: MlagState, now: Instant): boolean {
  return away && now >= graceUntil;
}

export function graceDeadline({ away, graceUntil }: MlagState): Instant {
  return away ? graceUntil : NEVER;
}

/** How late a timer may come. */
export function patience({ heartbeat }: MlagState["config"]): Duration {
  return (heartbeat * MULTIPLIER) as Duration;
}

/** This node stood still for longer than that: what it was to do, its peer does now. */
export function demote(state: MlagState, now: Instant): void {
  if (!state.running || inGrace(state, now)) return;
  // Without a peer there is nobody who has taken over.
  if (!state.session && state.situation !== "deciding" && state.situation !== "peer-alive") return;
  if (state.lastRole?.role !== "secondary") {
    const role = { type: "mlag.role", role: "secondary", priority: state.config.priority, alone: false } as const;
    say(state, { ...role, reason: "stalled" }, now, "stall");
  }
  state.lastRole = { role: "secondary", alone: false };
  // As after a start: it has no claim to make.
  state.role = undefined;
  state.takenOver = false;
  tellRole(state, false);
  state.needsRestore = true;
  state.restoreAt = NEVER;
}
