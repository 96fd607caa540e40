/** What becomes of each half: service, hold, drain, suspension; isolation and detour at the bridge. */
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import type { PortStateItem } from "../iccp/events.ts";
import type { MemberState, MlagReason } from "./events.ts";
import { outranks } from "./roles.ts";
import {
  type Half,
  ISOLATION_CAP,
  ISOLATION_KEPT,
  type MlagState,
  type Partner,
  portOffsetOf,
  say,
  sooner,
} from "./state.ts";

interface Wish {
  readonly is: "serve" | "hold" | "suspend";
  readonly reason: MlagReason;
}

/** Brings every half, and what lacp, the bridge and the peer have been told, in line with what is known. */
export function settleHalves(state: MlagState, now: Instant): void {
  for (const half of state.halves) {
    identify(state, half);
    const wish = wishFor(state, half);
    gate(state, half, wish, now);
    obey(state, half, wish, now);
    shield(state, half, now);
    tellPeer(state, half);
    report(state, half, now);
  }
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

/** A half that carries is never held for the gate: that would cost what the gate is to protect. */
function gated(state: MlagState, half: Half): Wish {
  if (state.session && !half.up && half.gate !== "open") return { is: "hold", reason: "isolation-pending" };
  return { is: "serve", reason: "restored" };
}

/** What speaks against two halves at once: the secondary gives way, unless it has the only half. */
function conflictOf(state: MlagState, half: Half): MlagReason | undefined {
  const { partner, peerPartner } = half;
  if (state.role !== "secondary" || partner === undefined) return undefined;
  if (half.peer === "up" && peerPartner !== undefined && !samePartner(partner, peerPartner)) return "partner-mismatch";
  for (const other of state.halves) {
    // The same host on two M-LAGs would get every broadcast twice.
    if (other !== half && other.id < half.id && other.partner !== undefined && samePartner(other.partner, partner)) {
      return "duplicate-partner";
    }
  }
  return undefined;
}

function samePartner(a: Partner, b: Partner): boolean {
  return a.system === b.system && a.key === b.key && a.priority === b.priority;
}

/** Asks the peer for isolation before a half may carry, and takes the question back with the half. */
function gate(state: MlagState, half: Half, wish: Wish, now: Instant): void {
  const present = half.up || half.partner !== undefined;
  const wanted = state.session && present && (wish.is === "serve" || wish.reason === "isolation-pending" || half.up);
  if (!wanted) {
    if (half.gate === "closed") return;
    half.gate = "closed";
    half.gateUntil = NEVER;
    tellIsolation(state, half, false);
  } else if (half.gate === "closed") {
    half.gate = "asked";
    half.gateUntil = after(now, ISOLATION_CAP);
    tellIsolation(state, half, true);
  } else if (half.gate === "asked" && now >= half.gateUntil) {
    half.gate = "open";
    half.gateUntil = NEVER;
    const detail = `no acknowledgement for M-LAG ${half.id} within 1 s`;
    say(state, { type: "mlag.alarm", alarm: "isolation-cap", active: true, detail }, now);
  }
}

function tellIsolation(state: MlagState, half: Half, isolated: boolean): void {
  if (!state.session) return;
  state.requests = (state.requests + 1) >>> 0;
  half.request = state.requests;
  state.tells.push({ kind: "isolate", id: half.id, isolated, request: half.request });
}

/** Tells lacp. A half that carries is drained first: its partner leaves it before it goes. */
function obey(state: MlagState, half: Half, before: Wish, now: Instant): void {
  // The gate may have opened in the same breath.
  const wish = before.reason === "isolation-pending" && half.gate === "open" ? gated(state, half) : before;
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
  // The link may still carry what the lost peer sends, whose halves still carry, too.
  return state.situation === "deciding" || now < isolationKeptUntil(state) ? half.isolated : "none";
}

function isolationKeptUntil({ lostAt, session }: MlagState): Instant {
  return session || lostAt === NEVER ? NEVER : after(lostAt, ISOLATION_KEPT);
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

/** Says what has become of the M-LAG, when it is not what was said before. */
function report(state: MlagState, half: Half, now: Instant): void {
  const local = half.up && !half.suspended;
  const peer = state.session && half.peer === "up";
  const member = memberState(half, local, peer);
  const before = half.said;
  const reason = reasonOf(half, local, peer, before);
  if (before !== undefined && before.local === local && before.peer === peer && before.state === member) {
    // Words without news: what was held is no more, and has not come up yet.
    if (before.reason === reason || local || reason === "local-down") return;
  }
  half.said = { local, peer, state: member, reason };
  const from = CAUSES[reason];
  say(state, { type: "mlag.member", id: half.id, port: half.port, local, peer, state: member, reason }, now, from);
}

function memberState(half: Half, local: boolean, peer: boolean): MemberState {
  if (half.suspended) return "suspended";
  if (local && peer) return "active-full";
  return local || peer ? "active-partial" : "inactive";
}

function reasonOf(half: Half, local: boolean, peer: boolean, before: Half["said"]): MlagReason {
  const held = half.hold === true;
  // A half without a partner does not wait for anybody: it is down.
  const gated = held && half.why === "isolation-pending";
  if (half.suspended || (held && !gated)) return half.why;
  if (before?.local === true && !local) return "local-down";
  if (gated && half.partner !== undefined) return half.why;
  if (before === undefined || before.local !== local) return local ? "local-up" : "local-down";
  if (before.peer !== peer) return peer ? "peer-up" : "peer-down";
  return local ? "local-up" : "local-down";
}

/** Which event of this machine a reason goes back to. */
const CAUSES: Partial<Record<MlagReason, string>> = {
  start: "mlag.session",
  "session-lost": "mlag.session",
  "peer-alive": "mlag.session",
  split: "mlag.keepalive",
  syncing: "mlag.session",
  "restore-delay": "mlag.session",
  dampened: "mlag.session",
  "local-up": "lacp.bundle",
  "local-down": "lacp.bundle",
  "isolation-pending": "lacp.partner",
  "partner-mismatch": "lacp.partner",
  "duplicate-partner": "lacp.partner",
  "peer-up": "mlag.session",
  "peer-down": "mlag.session",
};

export function halvesDeadline(state: MlagState): Instant {
  let first = NEVER;
  let isolated = false;
  for (const half of state.halves) {
    first = sooner(first, sooner(half.drainUntil, half.gateUntil));
    isolated ||= half.isolated !== "none";
  }
  return isolated && state.situation !== "deciding" ? sooner(first, isolationKeptUntil(state)) : first;
}
