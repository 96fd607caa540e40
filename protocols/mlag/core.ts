/**
 * The M-LAG machine without wires: what happened goes in, `state.says` (events) and `state.tells` (items for the peer) come
 * out. Every function notes a fact and then brings all decisions in line with what is known: no decision depends on the
 * order in which facts came, beyond who held the primary role.
 */
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import type { GoodbyeCause, Item, PortStateItem } from "../iccp/events.ts";
import { beginAgreement, heardItemsOf, settleAgreement, tellItems } from "./agreement.ts";
import * as tables from "./audit.ts";
import type { MlagReason } from "./events.ts";
import { acknowledged, noteEnd } from "./gate.ts";
import { forgetGateways, gatewayDeadline, heardGateway, settleGateways } from "./gateway.ts";
import { bearLoss, beginGrace, graceDeadline, graceIsOver, resume } from "./grace.ts";
import { heardThere, judgeAgain } from "./macs.ts";
import { halvesDeadline, NOBODY, settleHalves, shield, tellHalf } from "./members.ts";
import { neighboursThere } from "./neighbours.ts";
import { settleOrphans } from "./orphans.ts";
import { assess, elect, outranks, situationDeadline, standAlone, tellRole } from "./roles.ts";
import {
  type Half,
  ISOLATION_KEPT,
  type LinkWord,
  type MlagState,
  note,
  type Partner,
  PENALTY,
  penaltyAt,
  reuseAfter,
  type Sighting,
  SUPPRESS,
  say,
  sooner,
} from "./state.ts";
import { countFrom } from "./tables.ts";

export function start(state: MlagState, now: Instant): void {
  if (state.running && state.leaving !== undefined) {
    state.leaving = undefined;
    note(state, "order", "command", now);
    tellRole(state, false);
    settle(state, now);
  }
  state.leaving = undefined;
  if (state.running) return;
  state.running = true;
  state.startedAt = now;
  note(state, "start", "command", now);
  countFrom(state.tables, now);
  state.says.push({ type: "mlag.neighbours" });
  settle(state, now);
}

/**
 * Leaves in an orderly way: the peer knows that it is alone, and does not need to find out. Partners leave the members
 * first; then nothing runs any more.
 */
export function leave(state: MlagState, cause: GoodbyeCause, now: Instant): void {
  if (!state.running || state.leaving !== undefined) return;
  if (state.session) state.tells.push({ kind: "goodbye", cause });
  state.leaving = cause;
  note(state, "order", "command", now);
  // The peer takes over now, and not when the session ends.
  tellRole(state, true);
  settle(state, now);
}

/** The port of the peer link. A session over a dead link is lost before its timers say so. */
export function peerLinkChanged(state: MlagState, up: boolean, now: Instant): void {
  if (up && !state.peerLink && !state.session) {
    state.shieldUntil = after(now, ISOLATION_KEPT);
    state.shieldAll = true;
  }
  state.peerLink = up;
  note(state, "peer-link", "link", now);
  if (!up) sessionLost(state, "peer-link-down", now);
  else settle(state, now);
}

export function sessionUp(state: MlagState, now: Instant): void {
  const resumed = resume(state, now);
  if (state.session && !resumed) sessionLost(state, "session-lost", now);
  state.session = true;
  state.shieldUntil = NEVER;
  state.epoch++;
  state.peerRole = undefined;
  state.synced = false;
  state.goodbye = undefined;
  state.lostAt = NEVER;
  state.proven = false;
  state.restoreAt = NEVER;
  for (const half of state.halves) {
    half.told = undefined;
    // A peer that was restarted tells it anew; until then it is as it was.
    if (resumed) continue;
    half.peer = undefined;
    half.peerAsks = false;
  }
  beginAgreement(state);
  note(state, "session", "iccp.session", now);
  say(
    state,
    { type: "mlag.session", up: true, epoch: state.epoch, reason: resumed ? "restart" : "hello" },
    now,
    "session",
  );
  tellRole(state, false);
  forgetGateways(state);
  for (const half of state.halves) tellHalf(state, half);
  tellItems(state);
  tables.tellAll(state, now);
  settle(state, now);
}

export function sessionLost(state: MlagState, reason: MlagReason, now: Instant): void {
  if (!state.session || bearLoss(state, reason, now)) {
    settle(state, now);
    return;
  }
  state.session = false;
  state.lostAt = now;
  state.shieldUntil = after(now, ISOLATION_KEPT);
  state.shieldAll = false;
  state.heardAtLoss = state.keepalive;
  state.proven = false;
  state.penalty = penaltyAt(state, now) + PENALTY;
  state.penaltyAt = now;
  for (const half of state.halves) {
    half.peer = undefined;
    half.peerPartner = undefined;
    half.peerAsks = false;
  }
  const why = state.goodbye === undefined ? reason : "peer-goodbye";
  note(state, "session", "iccp.session", now);
  const from = why === "peer-link-down" ? "peer-link" : "session";
  say(state, { type: "mlag.session", up: false, epoch: state.epoch, reason: why }, now, from);
  tables.abandon(state);
  settle(state, now);
}

/** What the peer says in the session. */
export function heardItems(state: MlagState, items: readonly Item[], now: Instant): void {
  for (const item of items) heardItem(state, item, now);
  settle(state, now);
}

function heardItem(state: MlagState, item: Item, now: Instant): void {
  switch (item.kind) {
    case "peer":
      state.foreign = item.dialect === "sonic";
      break;
    case "role":
      state.peerRole = item;
      // One that stays after all is no longer on its way.
      if (item.role !== "none") state.goodbye = undefined;
      elect(state, now);
      if (state.role === "secondary" && item.role === "primary") state.lacpSystem = item.lacpSystem;
      break;
    case "portState":
      heardHalf(state, item);
      break;
    case "gateway":
      heardGateway(state, item);
      break;
    case "isolate": {
      const half = state.halves.find(({ id }) => id === item.id);
      if (half !== undefined) {
        half.peerAsks = item.isolated;
        shield(state, half, now);
      }
      // The bridge does it within this input: what the peer sends after the ACK meets it. An unknown id has no half to hide.
      state.tells.push({ kind: "isolateAck", id: item.id, isolated: item.isolated, request: item.request });
      break;
    }
    case "isolateAck": {
      const half = state.halves.find(({ id }) => id === item.id);
      if (half === undefined || half.request !== item.request || !item.isolated) break;
      acknowledged(state, half, now);
      break;
    }
    case "macs":
      if (state.session) heardThere(state, item.entries, now);
      break;
    case "arps":
    case "nds":
      if (state.session) neighboursThere(state, item.entries);
      break;
    case "digests":
      if (state.session) tables.heardDigests(state, item.entries, now);
      break;
    case "repair":
      if (state.session) tables.repair(state, item);
      break;
    case "syncBegin":
      tables.syncBegins(state);
      break;
    case "syncEnd":
      tables.syncEnds(state, item, now);
      state.synced = true;
      break;
    case "consistency":
      heardItemsOf(state, item.entries);
      break;
    case "goodbye":
      if (item.cause === "restart") beginGrace(state, now);
      else state.goodbye = item.cause;
      break;
    default:
  }
}

function heardHalf(state: MlagState, item: PortStateItem): void {
  const half = state.halves.find(({ id }) => id === item.id);
  if (half === undefined) return;
  half.peer = item.state;
  half.peerIsolation = { wanted: item.isolationWanted, installed: item.isolationInstalled };
  const { partnerSystem: system, partnerPriority: priority, partnerKey: key } = item;
  half.peerPartner = system === NOBODY ? undefined : { system, priority, key };
}

/** A message of the peer on the keepalive path. @param answers whether it answers a question asked after the loss */
export function keepaliveHeard(state: MlagState, sighting: Sighting, answers: boolean, now: Instant): void {
  state.sighting = sighting;
  state.heardAt = now;
  if (!state.keepalive) {
    state.keepalive = true;
    say(state, { type: "mlag.keepalive", up: true, reason: "heard" }, now);
    if (state.degraded) alarmDegraded(state, false, now);
  }
  if (answers && state.lostAt !== NEVER) {
    if (!state.proven) say(state, { type: "mlag.keepalive", up: true, reason: "answered" }, now, "mlag.session");
    state.proven = true;
  }
  settle(state, now);
}

export function keepaliveLost(state: MlagState, reason: MlagReason, now: Instant): void {
  if (state.keepalive) {
    state.keepalive = false;
    note(state, "keepalive-link", "link", now);
    const from = reason === "keepalive-link-down" ? "keepalive-link" : undefined;
    say(state, { type: "mlag.keepalive", up: false, reason }, now, from);
    // Of a peer that has said goodbye nothing is to be heard; who leaves itself does not listen any more.
    if (state.session && state.goodbye === undefined && state.leaving === undefined) alarmDegraded(state, true, now);
  }
  settle(state, now);
}

function alarmDegraded(state: MlagState, active: boolean, now: Instant): void {
  state.degraded = active;
  const detail = "without the keepalive, a loss of the peer link cannot be told from a loss of the peer";
  say(state, { type: "mlag.alarm", alarm: "degraded", active, detail }, now);
}

/** The bundle of a half carries frames over so many links, or over none. */
export function memberChanged(state: MlagState, port: string, up: boolean, links: number, now: Instant): void {
  const half = state.halves.find((one) => one.port === port);
  if (half === undefined) return;
  half.up = up;
  half.links = links;
  note(state, `lacp.bundle ${port}`, "lacp.bundle", now);
  settle(state, now);
}

/** What LACP says of a link of a half. */
export function linkChanged(state: MlagState, port: string, link: string, word: LinkWord, now: Instant): void {
  const half = state.halves.find((one) => one.port === port);
  if (half !== undefined && noteEnd(half, link, word)) settle(state, now);
}

/** The bundle of a half takes frames, or does so no more. */
export function collectingChanged(state: MlagState, port: string, collects: boolean, now: Instant): void {
  const half = state.halves.find((one) => one.port === port);
  if (half === undefined) return;
  half.collects = collects;
  settle(state, now);
}

export function partnerChanged(state: MlagState, port: string, partner: Partner | undefined, now: Instant): void {
  const half = state.halves.find((one) => one.port === port);
  if (half === undefined) return;
  half.partner = partner;
  half.told = undefined;
  note(state, `lacp.partner ${port}`, "lacp.partner", now);
  settle(state, now);
}

/** Decides the roles anew, by service, priority and address alone. */
export function preempt(state: MlagState, now: Instant): void {
  note(state, "order", "command", now);
  tellRole(state, true);
  elect(state, now, true);
  settle(state, now);
}

export function setMaintenance(state: MlagState, on: boolean, now: Instant): void {
  state.maintenance = on;
  note(state, "order", "command", now);
  // Into maintenance it gives the role away; out of it, it has none to claim.
  tellRole(state, on);
  elect(state, now, on);
  settle(state, now);
}

export function setStopped(state: MlagState, id: number, stopped: boolean, now: Instant): void {
  const half: Half | undefined = state.halves.find((one) => one.id === id);
  if (half !== undefined) half.stopped = stopped;
  note(state, "order", "command", now);
  settle(state, now);
}

/** Brings all decisions in line with what is known now. */
export function settle(state: MlagState, now: Instant): void {
  if (!state.running) {
    settleHalves(state, now);
    settleGateways(state, now);
    return;
  }
  if (graceIsOver(state, now)) {
    sessionLost(state, "session-lost", now);
    return;
  }
  const before = state.situation;
  assess(state, now);
  if (!state.session) standAlone(state, now);
  if (state.situation === "silent") state.proven = false;
  if (state.situation !== before) alarmSplit(state, before, now);
  restore(state, now);
  settleAgreement(state, now);
  settleHalves(state, now);
  settleOrphans(state, now);
  // All partners have left.
  if (state.leaving !== undefined && state.halves.every(({ suspended }) => suspended)) state.running = false;
  settleGateways(state, now);
  judgeAgain(state);
  tables.audit(state, now);
}

function alarmSplit(state: MlagState, before: MlagState["situation"], now: Instant): void {
  if (state.situation !== "silent" && before !== "silent") return;
  const detail = "the peer is on no path: it may be dead, or this may be one half of two";
  say(state, { type: "mlag.alarm", alarm: "split", active: state.situation === "silent", detail }, now);
}

/** Whether members may return: after a start or a suspension, not before the tables are complete and the delay is over. */
function restore(state: MlagState, now: Instant): void {
  const { situation, config } = state;
  const suspended = situation === "peer-alive" && !outranks(state);
  const split = situation === "silent" && state.takenOver && config.split === "secondary-suspend";
  if (suspended || split) {
    state.needsRestore = true;
    state.restoreAt = NEVER;
    return;
  }
  if (!state.needsRestore) return;
  if (situation === "paired") {
    if (!state.synced) return;
    if (state.restoreAt === NEVER) {
      const penalty = penaltyAt(state, now);
      const calm = penalty > SUPPRESS ? reuseAfter(penalty) : config.restoreDelay;
      state.dampened = calm > config.restoreDelay;
      state.restoreAt = after(now, state.dampened ? calm : config.restoreDelay);
    }
    if (now < state.restoreAt) return;
    state.needsRestore = false;
  } else if (situation === "deciding") {
    state.needsRestore = state.role !== "primary";
  } else {
    // There is nobody to wait for; or nothing is known of anybody yet.
    state.needsRestore = situation === "waiting";
  }
  state.restoreAt = NEVER;
}

/** When something is due that no input will bring. */
export function coreDeadline(state: MlagState): Instant {
  if (!state.running) return NEVER;
  const waits = sooner(sooner(state.restoreAt, state.orphansAt), graceDeadline(state));
  const own = sooner(sooner(waits, state.tables.auditAt), gatewayDeadline(state));
  return sooner(own, sooner(situationDeadline(state), halvesDeadline(state)));
}
