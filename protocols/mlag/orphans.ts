/** Ports without M-LAG that an operator wants to go with the members: hosts there see that this switch is cut off. */
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import type { MlagReason } from "./events.ts";
import { outranks } from "./roles.ts";
import { type MlagState, type Orphan, say } from "./state.ts";

/** Brings the listed ports in line with what has become of the members. */
export function settleOrphans(state: MlagState, now: Instant): void {
  if (state.orphans.length === 0) return;
  const reason = reasonToSuspend(state);
  if (reason !== undefined) state.orphansAt = NEVER;
  else if (mayReturn(state)) state.orphansAt = returnAt(state, now);
  for (const orphan of state.orphans) {
    if (reason !== undefined) change(state, orphan, true, reason, now);
    else if (orphan.suspended && mayReturn(state)) {
      if (now >= state.orphansAt) change(state, orphan, false, "restored", now);
      else change(state, orphan, true, "restore-delay", now);
    }
  }
  if (state.orphans.every(({ suspended }) => !suspended)) state.orphansAt = NEVER;
}

/** As for the members: the peer serves, or may serve, whom this switch cannot reach. */
function reasonToSuspend(state: MlagState): MlagReason | undefined {
  const { situation, takenOver, config } = state;
  if (situation === "peer-alive" && !outranks(state)) return "peer-alive";
  if (situation !== "silent" || !takenOver) return undefined;
  if (config.split === "secondary-suspend") return "split";
  return config.suspendPersist && state.orphans.some(({ suspended }) => suspended) ? "peer-alive" : undefined;
}

/** With the peer only once its tables are complete; without one, at once. */
function mayReturn({ situation, synced }: MlagState): boolean {
  return situation === "paired" ? synced : situation !== "waiting" && situation !== "deciding";
}

/** The delay is for the return of the peer: whoever is alone is all that its hosts have. */
function returnAt({ situation, orphansAt, config }: MlagState, now: Instant): Instant {
  if (situation !== "paired") return now;
  return orphansAt === NEVER ? after(now, config.orphans.restoreDelay) : orphansAt;
}

function change(state: MlagState, orphan: Orphan, suspended: boolean, reason: MlagReason, now: Instant): void {
  const until = suspended ? state.orphansAt : NEVER;
  if (orphan.suspended === suspended && orphan.until === until && (!suspended || orphan.reason === reason)) return;
  Object.assign(orphan, { suspended, reason, until });
  const ends = until === NEVER ? {} : { until };
  say(state, { type: "mlag.orphan", port: orphan.port, suspended, reason, ...ends }, now, "mlag.session");
}
