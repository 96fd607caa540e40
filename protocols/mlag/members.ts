/** What becomes of each half: service, hold, drain, suspension; isolation and detour at the bridge. */
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import type { PortStateItem } from "../iccp/events.ts";
import { disagreement } from "./agreement.ts";
import type { MlagReason } from "./events.ts";
import { gate, isGated, yields } from "./gate.ts";
import { comparePartners, mismatched } from "./partners.ts";
import { report, twinOf } from "./report.ts";
import { outranks } from "./roles.ts";
import { type Half, type MlagState, type Partner, portOffsetOf, sooner } from "./state.ts";

interface Wish {
  readonly is: "serve" | "hold" | "suspend";
  readonly reason: MlagReason;
}

/** Brings every half, and what lacp, the bridge and the peer have been told, in line with what is known. */
export function settleHalves(state: MlagState, now: Instant): void {
  for (const half of state.halves) {
    identify(state, half);
    comparePartners(half, now);
    const wish = wishFor(state, half);
    gate(state, half, wish.is === "serve" || wish.reason === "isolation-pending", now);
    obey(state, half, wish, now);
    shield(state, half, now);
    tellPeer(state, half);
    report(state, half, now);
  }
  listen(state, now);
}

/** Who the bundle claims to be. */
function identify(state: MlagState, half: Half): void {
  const { situation, config, takenOver, session } = state;
  const doubt = situation === "silent" && takenOver && config.split === "sysid-fallback";
  if (doubt) state.lacpSystem = state.system;
  if (half.lacpSystem === state.lacpSystem) return;
  // Another id costs a half that serves its partner: not before the peer's half is there, or about to be.
  const needed = session && (half.peerAsks || half.peer === "up");
  if (half.up && half.lacpSystem !== undefined && !doubt && !needed) return;
  half.lacpSystem = state.lacpSystem;
  state.says.push({
    type: "mlag.system",
    bundle: half.port,
    system: half.lacpSystem,
    priority: state.config.systemPriority,
    portOffset: portOffsetOf(state.config),
  });
}

/** What is to be, by the first of these reasons that holds. */
function wishFor(state: MlagState, half: Half): Wish {
  if (state.leaving !== undefined) return { is: "suspend", reason: "leaving" };
  if (!state.running) return { is: "hold", reason: "start" };
  if (state.maintenance) return { is: "suspend", reason: "maintenance" };
  if (half.stopped) return { is: "suspend", reason: "operator" };
  switch (state.situation) {
    case "waiting":
      // After a session has been, only words on roles are missing: what serves goes on.
      if (!state.needsRestore) return gated(state, half);
      return { is: "hold", reason: state.session ? "syncing" : "start" };
    case "peer-alive":
      return outranks(state) ? serving(state) : { is: "suspend", reason: "peer-alive" };
    case "silent":
      if (state.takenOver && state.config.split === "secondary-suspend") return { is: "suspend", reason: "split" };
      if (state.takenOver && state.config.suspendPersist && half.suspended)
        return { is: "suspend", reason: "peer-alive" };
      return serving(state);
    case "departed":
    case "alone":
      return serving(state);
    case "deciding":
      // The primary need not wait for anybody; the other goes on as it is until it knows more.
      if (state.role === "primary") return serving(state);
      if (half.suspended || half.drainUntil !== NEVER) return { is: "suspend", reason: half.why };
      return state.needsRestore ? { is: "hold", reason: "session-lost" } : serving(state);
    case "paired":
      return paired(state, half);
  }
}

function serving(state: MlagState): Wish {
  return { is: "serve", reason: state.situation === "deciding" ? "session-lost" : "restored" };
}

function paired(state: MlagState, half: Half): Wish {
  const conflict = conflictOf(state, half);
  if (conflict !== undefined) return { is: "suspend", reason: conflict };
  if (state.needsRestore) {
    if (!state.synced) return { is: "hold", reason: "syncing" };
    return { is: "hold", reason: state.dampened ? "dampened" : "restore-delay" };
  }
  return gated(state, half);
}

function gated(state: MlagState, half: Half): Wish {
  if (yields(state, half)) return { is: "hold", reason: "peer-up" };
  return isGated(state, half) ? { is: "hold", reason: "isolation-pending" } : { is: "serve", reason: "restored" };
}

/** What speaks against two halves at once: the secondary gives way, unless it has the only half; or the higher id. */
function conflictOf(state: MlagState, half: Half): MlagReason | undefined {
  // Whose half that is does not matter: the other M-LAG serves the host.
  if (half.partner !== undefined && twinOf(state, half) !== undefined) return "duplicate-partner";
  if (state.role !== "secondary") return undefined;
  // Type 1: whoever can be served by the primary's half is.
  if (disagreement(state, half) !== undefined && servedThere(half)) return "consistency";
  return mismatched(half) ? "partner-mismatch" : undefined;
}

/** The host is heard on the primary's half, and nothing is said against that. */
function servedThere({ peer, peerPartner }: Half): boolean {
  return peer === "up" || (peerPartner !== undefined && peer !== "suspended" && peer !== "disabled");
}

/** Tells lacp. A half that carries is drained first: its partner leaves it before it goes. */
function obey(state: MlagState, half: Half, before: Wish, now: Instant): void {
  // The gate may have opened in the same breath.
  const wish = before.reason === "isolation-pending" ? gated(state, half) : before;
  if (wish.is === "suspend") {
    if (!half.suspended && half.up && half.drainUntil === NEVER) half.drainUntil = after(now, state.config.drain);
    setHold(state, half, true, wish.reason);
    if (half.up && now < half.drainUntil) return;
    half.drainUntil = NEVER;
    setSuspended(state, half, true, wish.reason);
    return;
  }
  half.drainUntil = NEVER;
  setSuspended(state, half, false, wish.reason);
  setHold(state, half, wish.is === "hold", wish.reason);
}

function setHold(state: MlagState, half: Half, hold: boolean, reason: MlagReason): void {
  const same = half.hold === hold && (half.why === reason || !hold);
  half.why = reason;
  if (same) return;
  half.hold = hold;
  state.says.push({ type: "mlag.hold", bundle: half.port, hold, reason });
}

function setSuspended(state: MlagState, half: Half, suspended: boolean, reason: MlagReason): void {
  if (half.suspended === suspended) return;
  half.suspended = suspended;
  state.says.push({ type: "mlag.suspend", bundle: half.port, suspended, reason });
}

/** Isolation of the half from the peer link, and the detour for frames to it. */
export function shield(state: MlagState, half: Half, now: Instant): void {
  const isolated = isolationFor(state, half, now);
  if (isolated !== half.isolated) {
    half.isolated = isolated;
    const what = isolated === "floods" ? ({ only: "floods" } as const) : {};
    const from = state.config.peerLink;
    state.says.push({ type: "mlag.isolate", from, to: half.port, isolated: isolated !== "none", ...what });
  }
  const redirected = state.session && half.peer === "up";
  if (redirected !== half.redirected) {
    half.redirected = redirected;
    const via = redirected ? { via: state.config.peerLink } : {};
    state.says.push({ type: "mlag.redirect", port: half.port, ...via });
  }
}

function isolationFor(state: MlagState, half: Half, now: Instant): Half["isolated"] {
  if (state.session) {
    if (half.peer === "up" || half.peer === "draining") return "all";
    // Not said yet: what was right before is the safe side, until all has been said.
    if (half.peer === undefined && !half.peerAsks && !state.synced) return half.isolated;
    // Its half is about to come: what is flooded would reach the host twice. What is for the host alone has no other way.
    return half.peerAsks ? "floods" : "none";
  }
  if (!isShielded(state, now)) return "none";
  return state.shieldAll ? "all" : half.isolated;
}

/** Without a session the link may carry what the peer sends, whose halves may carry, too. */
function isShielded(state: MlagState, now: Instant): boolean {
  if (state.situation !== "deciding" && now >= state.shieldUntil) state.shieldUntil = NEVER;
  return state.shieldUntil !== NEVER;
}

/**
 * Whether the bridge learns from what comes over the peer link. With a session that tells where stations are; without
 * one, hosts on both switches would move behind the link, where nothing passes to them while members are shielded.
 */
function listen(state: MlagState, now: Instant): void {
  const deaf = state.session || isShielded(state, now);
  if (deaf === state.deaf) return;
  state.deaf = deaf;
  state.says.push({ type: "mlag.learning", port: state.config.peerLink, learning: !deaf });
}

function stateOf(half: Half): PortStateItem["state"] {
  if (half.suspended) return "suspended";
  if (!half.up) return "down";
  return half.drainUntil === NEVER ? "up" : "draining";
}

function tellPeer(state: MlagState, half: Half): void {
  const now = stateOf(half);
  if (!state.session || half.told === now) return;
  half.told = now;
  tellHalf(state, half);
}

/** All that the peer is to know of a half. */
export function tellHalf(state: MlagState, half: Half): void {
  const { partner } = half;
  state.tells.push({
    kind: "portState",
    id: half.id,
    state: stateOf(half),
    isolationWanted: half.peerAsks || half.peer === "up",
    isolationInstalled: half.isolated !== "none",
    membersUp: half.links,
    members: half.links,
    actorKey: half.id,
    partnerSystem: partner?.system ?? NOBODY,
    partnerPriority: partner?.priority ?? 0,
    partnerKey: partner?.key ?? 0,
  });
}

export const NOBODY = "00:00:00:00:00:00" as Partner["system"];

export function halvesDeadline(state: MlagState): Instant {
  let first = NEVER;
  for (const half of state.halves) {
    first = sooner(first, sooner(half.mismatchUntil, sooner(half.drainUntil, half.gateUntil)));
  }
  return state.situation === "deciding" ? first : sooner(first, state.shieldUntil);
}
