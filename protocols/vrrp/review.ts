/**
 * What surrounds a router decides whether it runs at all: its interface, its address, what it tracks, its sync group.
 * What is lost acts at once. What comes up is looked at together at the end of the instant, so that a node whose
 * interfaces come up one after the other does not pass through states that mean nothing.
 */
import type { Instant } from "../../src/core/time.ts";
import { OWNER } from "./codec.ts";
import type { StateReason } from "./events.ts";
import { leave, setPriority, startup } from "./router.ts";
import { type Router, type Turn, tableOf, type VrrpState } from "./state.ts";
import { effectOf, standingOf } from "./tracking.ts";

/** Why a router cannot run, whatever its group. */
function ownObstacle(router: Router): StateReason | undefined {
  if (!router.enabled) return "shutdown";
  if (!router.interface.up) return "interface-down";
  // RFC 9568 §5.1.1.1, §5.1.2.1: without it there is nothing to send from.
  if (tableOf(router).primary === undefined) return "no-address";
  return router.trackedDown ? "tracking" : undefined;
}

function obstacle(router: Router): StateReason | undefined {
  const own = ownObstacle(router);
  if (own !== undefined || router.group === undefined) return own;
  for (const member of router.group.members) {
    if (member.enabled && ownObstacle(member) !== undefined) return "sync-group";
  }
  return undefined;
}

/** How a router's start is called after it was out for that reason. */
function returning(reason: StateReason): StateReason {
  if (reason === "interface-down") return "interface-up";
  if (reason === "no-address") return "address-added";
  return reason === "shutdown" ? "startup" : reason;
}

/** Has `review` run at the end of this instant. */
export function reviewSoon(state: VrrpState, now: Instant): void {
  if (state.reviewAt > now) state.reviewAt = now;
}

/** Starts and stops routers as their surroundings allow. */
export function review(turn: Turn): void {
  const { routers } = turn;
  for (const router of routers) weigh(turn, router);
  for (const router of routers) settle(turn, router);
}

function settle(turn: Turn, router: Router): void {
  const reason = obstacle(router);
  const out = router.state === "initialize" || router.state === "fault";
  if (reason === undefined) {
    if (out) startup(turn, router, returning(router.outFor));
    return;
  }
  const to = reason === "shutdown" || reason === "no-address" ? "initialize" : "fault";
  // A router that has not run yet and waits for its link or address is where it should be.
  const waits = router.state === "initialize" && router.outFor === "startup" && reason !== "tracking";
  if (router.state === to || waits) return;
  leave(turn, router, to, reason);
}

/**
 * The effective priority, by keepalived's rule: what is tracked adds to it, the sum kept within 1…254; the owner of the
 * addresses keeps 255.
 */
function weigh(turn: Turn, router: Router): void {
  const before = router.added;
  router.added = 0;
  router.trackedDown = false;
  for (const tracked of router.config.tracked) {
    const effect = effectOf(tracked, standingOf(turn, tracked));
    if (effect === "fault") router.trackedDown = true;
    else router.added += effect;
  }
  const weighed = router.base === OWNER ? OWNER : Math.min(254, Math.max(1, router.base + router.added));
  const priority = router.draining ? 1 : weighed;
  setPriority(turn, router, priority, router.draining ? "drain" : router.added === before ? "command" : "tracking");
}
