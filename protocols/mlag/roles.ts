/** Who is primary: lower priority, then lower system MAC; who holds the role keeps it. */
import { type Mac, macBytes } from "../../src/core/addr.ts";
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import type { MlagReason, Role } from "./events.ts";
import { type MlagState, type Sighting, say, sooner } from "./state.ts";

/**
 * What a claim to the role weighs, before priority and address. OUT: not in service, or fresh from a start;
 * SECONDARY; TAKEN_OVER: primary because the other was gone; PRIMARY: by election.
 */
export const RANK = { out: -1, secondary: 0, takenOver: 1, primary: 2 } as const;

export function rankOf({ role, takenOver, maintenance, leaving }: MlagState): number {
  if (maintenance || leaving !== undefined || role === undefined) return RANK.out;
  if (role === "secondary") return RANK.secondary;
  return takenOver ? RANK.takenOver : RANK.primary;
}

/** What the peer last said of itself in the session. */
function peerClaim({ peerRole }: MlagState): (Sighting & { readonly preempt: boolean }) | undefined {
  if (peerRole === undefined) return undefined;
  const { role, sticky, system, priority, preempt } = peerRole;
  const primary = sticky ? RANK.primary : RANK.takenOver;
  const rank = role === "none" ? RANK.out : role === "secondary" ? RANK.secondary : primary;
  return { system, priority, rank, preempt };
}

/** Negative when `a` is the better one; 0 only for one and the same system. */
function byPriority(
  a: { readonly priority: number; readonly system: Mac },
  b: { readonly priority: number; readonly system: Mac },
): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  const [x, y] = [macBytes(a.system), macBytes(b.system)];
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return (x[i] ?? 0) - (y[i] ?? 0);
  return 0;
}

/** @param flat whether only service and priority count, and not who holds the role */
function contest(state: MlagState, other: Sighting, flat: boolean): { role: Role; reason: MlagReason } {
  const weigh = (rank: number) => (flat ? Math.min(rank, RANK.secondary) : rank);
  const [mine, theirs] = [weigh(rankOf(state)), weigh(other.rank)];
  const own = { priority: state.config.priority, system: state.system };
  const wins = mine !== theirs ? mine > theirs : byPriority(own, other) < 0;
  if (mine !== theirs) {
    const gives = state.leaving === undefined ? "sticky" : "leaving";
    return { role: wins ? "primary" : "secondary", reason: state.maintenance ? "maintenance" : gives };
  }
  const reason = flat ? "preempted" : own.priority === other.priority ? "lower-mac" : "lower-priority";
  return { role: wins ? "primary" : "secondary", reason };
}

/** After a word on roles from either side. */
export function elect(state: MlagState, now: Instant, preempt = false): void {
  const claim = peerClaim(state);
  if (!state.session || claim === undefined) return;
  // iccpd knows no other order, and does not give way.
  if (state.foreign) {
    const role = state.peerRole?.role === "primary" ? "secondary" : "primary";
    setRole(state, role, false, "by-address", now, "mlag.session");
    return;
  }
  if (state.goodbye !== undefined && claim.rank === RANK.out && state.leaving === undefined) {
    setRole(state, "primary", true, "peer-goodbye", now, "mlag.session");
    return;
  }
  const { role, reason } = contest(state, claim, preempt || claim.preempt);
  const ordered = reason === "preempted" || reason === "maintenance";
  setRole(state, role, false, reason, now, ordered && state.causes.has("order") ? "order" : "mlag.session");
}

/** Whether this node is to carry on, of two that see each other only on the keepalive path. */
export function outranks(state: MlagState): boolean {
  return state.sighting === undefined || contest(state, state.sighting, false).role === "primary";
}

/** @param alone whether it is primary because the peer is gone */
export function setRole(
  state: MlagState,
  role: Role,
  alone: boolean,
  reason: MlagReason,
  now: Instant,
  from: string,
): void {
  if (role === "primary" && alone && state.role === "primary") return;
  state.role = role;
  state.takenOver = alone;
  if (state.lastRole?.role === role && state.lastRole.alone === alone) return;
  state.lastRole = { role, alone };
  say(state, { type: "mlag.role", role, priority: state.config.priority, alone, reason }, now, from);
  tellRole(state, false);
}

/** @param preempt whether the peer is asked to forget who holds the role */
export function tellRole(state: MlagState, preempt: boolean): void {
  if (!state.session) return;
  const { config, system, takenOver } = state;
  const rank = rankOf(state);
  const role = rank === RANK.out ? "none" : (state.role ?? "none");
  state.tells.push({
    kind: "role",
    role,
    priority: config.priority,
    system,
    lacpSystem: state.lacpSystem,
    sticky: role === "primary" && !takenOver,
    preempt,
  });
}

/** When silence on both paths means that the peer is gone; NEVER while that is no question. */
export function silentAt(state: MlagState): Instant {
  const { lostAt, config, heardAtLoss, proven, heardAt } = state;
  if (lostAt === NEVER) return NEVER;
  const { hold, timeout } = config.keepalive;
  // Before the loss it was heard: it may be dead now. It was not: whether it is dead or alive will never be known.
  if (!proven) return after(heardAtLoss ? after(lostAt, hold) : lostAt, heardAtLoss ? timeout : config.splitGrace);
  return after(after(heardAt, hold), timeout);
}

/** Where this node stands, from what it knows; see `Situation`. */
export function assess(state: MlagState, now: Instant): void {
  if (state.session) {
    state.situation = state.peerRole === undefined ? "waiting" : "paired";
    if (state.situation === "paired" || state.lostAt === NEVER) return;
  }
  if (state.lostAt === NEVER) {
    const waited = now >= after(state.startedAt, state.config.autoRecovery);
    if (!waited) state.situation = "waiting";
    else state.situation = state.keepalive && state.sighting !== undefined ? "peer-alive" : "alone";
  } else if (state.goodbye !== undefined) {
    state.situation = "departed";
  } else if (now >= silentAt(state)) {
    state.situation = "silent";
  } else {
    state.situation = state.proven ? "peer-alive" : "deciding";
  }
}

/** The role that follows from where this node stands, when there is nobody to agree on it with. */
export function standAlone(state: MlagState, now: Instant): void {
  switch (state.situation) {
    case "departed":
      setRole(state, "primary", true, "peer-goodbye", now, "mlag.session");
      break;
    case "silent":
      setRole(state, "primary", true, state.heardAtLoss ? "peer-dead" : "split", now, "mlag.keepalive");
      break;
    case "alone":
      setRole(state, "primary", true, "auto-recovery", now, "start");
      break;
    case "peer-alive":
      if (outranks(state))
        setRole(state, "primary", state.role !== "primary" || state.takenOver, "peer-alive", now, "mlag.keepalive");
      else setRole(state, "secondary", false, "peer-alive", now, "mlag.keepalive");
      break;
    default:
  }
}

/** When the situation changes by time alone. */
export function situationDeadline(state: MlagState): Instant {
  if (state.session) return NEVER;
  if (state.lostAt === NEVER) {
    return state.situation === "waiting" ? after(state.startedAt, state.config.autoRecovery) : NEVER;
  }
  const silent = state.situation === "silent" || state.situation === "departed" ? NEVER : silentAt(state);
  return sooner(silent, NEVER);
}
