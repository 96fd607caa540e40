/**
 * One virtual router: the state machine of RFC 9568 §6.4 (RFC 3768 §6.4 for version 2), with its timers as data.
 *
 * | state      | event                             | guard                          | does                              | next       |
 * |------------|-----------------------------------|--------------------------------|-----------------------------------|------------|
 * | initialize | startup (§6.4.1)                  | priority 255                   | advert, GARP or NA, Adver_Timer   | master     |
 * |            |                                   | else                           | down timer = Active_Down_Interval | backup     |
 * | backup     | shutdown (§6.4.2)                 |                                | nothing is sent                   | initialize |
 * |            | down timer                        |                                | advert, GARP or NA, Adver_Timer   | master     |
 * |            | advert of priority 0              |                                | down timer = Skew_Time            | backup     |
 * |            | advert                            | not preempting, or not lower   | learn interval, down timer again  | backup     |
 * |            | advert                            | else                           | discard                           | backup     |
 * | master     | shutdown (§6.4.3)                 |                                | advert of priority 0              | initialize |
 * |            | Adver_Timer                       |                                | advert, Adver_Timer               | master     |
 * |            | advert of priority 0              |                                | advert, Adver_Timer               | master     |
 * |            | advert                            | higher, or equal from a higher | learn interval, down timer        | backup     |
 * |            |                                   | address                        |                                   |            |
 * |            | advert                            | else                           | discard, advert at once           | master     |
 */
import { after, type Duration, type Instant, ms, NEVER, sec } from "../../src/core/time.ts";
import { announce, announceAgain, announceBeside, announceMore, announcementOf } from "./announce.ts";
import { signs } from "./authentication.ts";
import { OWNER } from "./codec.ts";
import type { RouterConfig } from "./config.ts";
import type { StateReason, VrrpStateName } from "./events.ts";
import { advertOutputs, routerAdvertisement, wishOf } from "./frames.ts";
import { put, putAll, type Router, type Turn, tableOf } from "./state.ts";
import {
  aimDownTimer,
  catchUp,
  downInterval,
  lookForStall,
  refresh,
  roundToMicrosecond,
  sayStalled,
  setDownTimer,
  setPreemption,
  setRare,
  stopTimers,
  unsettle,
} from "./timing.ts";

/** Adverts that answer others keep this distance, so that a flood of losing adverts is not answered by another. */
export const ASSERT_GAP: Duration = ms(10);
/** A master whose own timer is late by this many intervals may have been replaced: it announces itself afresh. */
const LATE_INTERVALS = 3;
/** How long a router that has left goes on answering, at least: a Skew_Time at the default interval. */
const LINGER: Duration = sec(1);

function say(turn: Turn, router: Router, to: VrrpStateName, reason: StateReason): void {
  const { state: from, config, priority } = router;
  router.state = to;
  router.reason = reason;
  router.changed = turn.now;
  const { interface: name, vrid, family } = config;
  put(turn, {
    kind: "event",
    event: { type: "vrrp.state", interface: name, vrid, family, from, to, priority, reason },
  });
}

// --- sending ---

/** Sends an advert of the current priority and sets Adver_Timer to Advertisement_Interval. */
function advertise(turn: Turn, router: Router): void {
  if (signs(router.config)) router.memo = undefined;
  router.memo ??= advertOutputs(router, router.priority, turn);
  putAll(turn, router.memo);
  router.counters.advertsSent += router.memo.length;
  router.advertSent = turn.now;
  router.adverAt = (turn.now + router.config.interval) as Instant;
}

/**
 * An advert at once, in answer to another; Adver_Timer starts again with it. RFC 9568 §6.4.3 asks for the restart
 * after priority 0 only; after any other answer the next regular one would say the same again too soon.
 * @returns false when one has only just been sent
 */
export function answer(turn: Turn, router: Router): boolean {
  const next = router.advertSent + ASSERT_GAP;
  if (router.advertSent >= 0 && turn.now < next) {
    if (next < router.adverAt) router.adverAt = next as Instant;
    return false;
  }
  router.counters.asserts++;
  advertise(turn, router);
  return true;
}

function release(turn: Turn, router: Router): void {
  const outputs = advertOutputs(router, 0, turn);
  putAll(turn, outputs);
  router.counters.priorityZeroSent += outputs.length;
  router.counters.advertsSent += outputs.length;
}

function advertiseRouter(turn: Turn, router: Router): void {
  const output = routerAdvertisement(router);
  if (output === undefined || router.config.routerAdvertisement === undefined) return;
  put(turn, output);
  router.routerAdvertAt = (turn.now + router.config.routerAdvertisement.interval) as Instant;
  setRare(router);
}

/** Asks the host to hold the addresses, or no longer to. */
export function apply(turn: Turn, router: Router, present: boolean): void {
  router.applied = present;
  put(turn, { kind: "apply", change: wishOf(router.config, router.base, present) });
}

/** Address, MAC, priority or checksum form has changed: what was built is no longer what is to be sent. */
export function forgetFrames(turn: Turn, router: Router): void {
  router.memo = undefined;
  router.announcement = undefined;
  if (router.state === "backup") foresee(turn, router);
}

/** Builds what a backup will send first, so that taking over is not held up by it. */
function foresee(turn: Turn, router: Router): void {
  if (!signs(router.config)) router.memo ??= advertOutputs(router, router.priority, turn);
  announcementOf(router);
}

// --- transitions ---

/** Initialize or fault → backup; the owner of the addresses → master at once (§6.4.1). */
export function startup(turn: Turn, router: Router, reason: StateReason): void {
  endLinger(turn, router);
  router.masterInterval = router.config.interval;
  router.outFor = "startup";
  if (router.priority === OWNER) {
    wantMaster(turn, router, "owner");
    if (router.state === "master") return;
  } else {
    setDownTimer(router, turn.now, "master-timeout");
  }
  say(turn, router, "backup", reason);
  foresee(turn, router);
  refresh(turn, router);
}

/**
 * DEPARTS from RFC 9568 §6.4.3, by which the addresses go as soon as priority 0 is sent: whoever takes over does so one
 * Skew_Time later, and what hosts send meanwhile would be lost. They are answered until the new master is heard, or until
 * no backup's Skew_Time can last any longer.
 */
function linger(turn: Turn, router: Router): void {
  router.lingerUntil = after(turn.now, lingerTime(router.config));
  setRare(router);
  put(turn, { kind: "apply", change: { ...wishOf(router.config, router.base, true), leaving: true } });
}

export function lingerTime({ interval }: Pick<RouterConfig, "interval">): Duration {
  return interval > LINGER ? interval : LINGER;
}

/** Gives the addresses up that are still answered for. */
export function endLinger(turn: Turn, router: Router): void {
  if (router.lingerUntil === NEVER) return;
  router.lingerUntil = NEVER;
  setRare(router);
  apply(turn, router, false);
  refresh(turn, router);
}

/** To initialize or fault. A master whose adverts can still leave says priority 0 first (§6.4.3). */
export function leave(turn: Turn, router: Router, to: "initialize" | "fault", reason: StateReason): void {
  unsettle(router);
  const wasMaster = router.state === "master";
  stopTimers(router);
  if (wasMaster && router.interface.up) release(turn, router);
  say(turn, router, to, reason);
  if (router.applied) {
    if (wasMaster && reason === "shutdown") linger(turn, router);
    else if (router.lingerUntil !== NEVER) endLinger(turn, router);
    else apply(turn, router, false);
  }
  router.outFor = reason;
  router.last = undefined;
  refresh(turn, router);
}

/** The down timer has fired, or an owner starts: master, once the whole sync group can be. */
function wantMaster(turn: Turn, router: Router, reason: StateReason): void {
  const { group } = router;
  if (group === undefined) {
    promote(turn, router, reason);
    return;
  }
  const again = router.wants !== undefined;
  router.wants = reason;
  for (const member of group.members) {
    if (!member.enabled || member.state === "master" || member.wants !== undefined) continue;
    // Another member's segment has its master. Look again when there was time for that to change, and say so then.
    router.downAt = (turn.now + roundToMicrosecond(downInterval(router))) as Instant;
    if (again) {
      const { interface: name, vrid, family } = router.config;
      const event = { type: "vrrp.blocked", interface: name, vrid, family, group: group.name } as const;
      put(turn, { kind: "event", event });
    }
    refresh(turn, router);
    return;
  }
  for (const member of group.members) {
    if (member.wants !== undefined && member.enabled) promote(turn, member, member.wants);
  }
}

/**
 * Backup or initialize → master. After a silence the advert goes first, as in RFC 9568 §6.4.2: nobody answers meanwhile.
 * DEPARTS from that order where another still answers, as it does after priority 0 and when it is preempted:
 * from our advert on switches send here what is for the virtual MAC, and by then the addresses have to be here.
 */
function promote(turn: Turn, router: Router, reason: StateReason): void {
  const silence = reason === "master-timeout";
  stopTimers(router);
  router.counters.masterTransitions++;
  if (!silence) apply(turn, router, true);
  advertise(turn, router);
  // RFC 9568 §8.1.2, §8.2.2: no announcement before addresses and virtual MAC are there.
  if (silence) apply(turn, router, true);
  if (silence) announce(turn, router);
  else announceBeside(turn, router);
  advertiseRouter(turn, router);
  // Last: whoever reads it must not hold up what the network waits for.
  say(turn, router, "master", reason);
  refresh(turn, router);
}

/** Master → backup (§6.4.3). Nothing is sent. */
function yieldTo(turn: Turn, router: Router, interval: Duration, reason: StateReason): void {
  stopTimers(router);
  router.masterInterval = interval;
  setDownTimer(router, turn.now, "master-timeout");
  say(turn, router, "backup", reason);
  if (router.applied) apply(turn, router, false);
  foresee(turn, router);
  refresh(turn, router);
  for (const member of router.group?.members ?? []) {
    if (member !== router && member.state === "master") follow(turn, member);
  }
}

/** A master whose sync group has lost another: it releases its own, so that the peer's group takes over whole. */
function follow(turn: Turn, router: Router): void {
  stopTimers(router);
  release(turn, router);
  router.masterInterval = router.config.interval;
  setDownTimer(router, turn.now, "master-timeout");
  say(turn, router, "backup", "sync-group");
  if (router.applied) apply(turn, router, false);
  foresee(turn, router);
  refresh(turn, router);
}

// --- what it hears ---

/**
 * A valid advert for this router.
 * @param order of the sender's address against the local primary one: negative when lower, 0 when it is the same
 * @returns whether all that it did was to set the down timer, so that the same advert again will do no more
 */
export function hearAdvert(turn: Turn, router: Router, priority: number, interval: Duration, order: number): boolean {
  if (router.state === "backup") return hearAsBackup(turn, router, priority, interval);
  if (priority > 0) endLinger(turn, router);
  if (router.state === "master") hearAsMaster(turn, router, priority, interval, order);
  return false;
}

function hearAsBackup(turn: Turn, router: Router, priority: number, interval: Duration): boolean {
  const { now } = turn;
  lookForStall(turn, router, router.downAt);
  if (priority === 0) {
    // §6.4.2: the interval of a release is not learned.
    setDownTimer(router, now, "priority-zero");
    refresh(turn, router);
    return false;
  }
  const lower = priority < router.priority;
  if (lower && holdsBack(turn, router)) {
    router.lowerHeard = now;
    return false;
  }
  if (!lower) {
    if (router.rareAt !== NEVER) setPreemption(router, NEVER);
    router.preempting = false;
  }
  router.wants = undefined;
  router.masterInterval = interval;
  setDownTimer(router, now, "master-timeout");
  refresh(turn, router);
  return router.rareAt === NEVER && !router.preempting;
}

/** Whether a lower advert is passed over, so that the down timer runs on (§6.4.2). Starts the preemption delay. */
function holdsBack(turn: Turn, router: Router): boolean {
  // §6.1: the owner preempts whatever Preempt_Mode says.
  if (router.priority === OWNER) return true;
  if (!router.config.preempt) return false;
  if (router.config.preemptDelay === 0 || router.preempting) return true;
  if (router.preemptAt === NEVER) setPreemption(router, (turn.now + router.config.preemptDelay) as Instant);
  return false;
}

function hearAsMaster(turn: Turn, router: Router, priority: number, interval: Duration, order: number): void {
  // §6.4.3. Preempt_Mode is not looked at here.
  if (priority > router.priority) {
    yieldTo(turn, router, interval, "higher-priority");
  } else if (priority === router.priority && order > 0) {
    const holds = priority === OWNER && router.config.ownerConflict === "hold";
    if (!holds) yieldTo(turn, router, interval, "address-tiebreak");
  } else {
    // Hosts may have believed the announcement with which the other became master, and nothing else corrects them.
    if (answer(turn, router) && priority > 0) announceAgain(turn, router);
    refresh(turn, router);
  }
}

// --- its timers ---

/** Sees to everything of this router that is due. */
export function timers(turn: Turn, router: Router): void {
  const { now } = turn;
  const { downAt } = router;
  catchUp(router);
  if (router.downAt !== downAt) lookForStall(turn, router, downAt);
  if (router.adverAt <= now) adverTimer(turn, router);
  if (router.rareAt <= now) rareTimers(turn, router);
  if (router.downAt <= now) {
    unsettle(router);
    downTimer(turn, router);
  }
  refresh(turn, router);
}

function rareTimers(turn: Turn, router: Router): void {
  const { now } = turn;
  if (router.announceAt <= now) announceMore(turn, router);
  if (router.routerAdvertAt <= now) advertiseRouter(turn, router);
  if (router.lingerUntil <= now) endLinger(turn, router);
  if (router.preemptAt > now) return;
  // The delay is over: as after a release, the best of those that wait comes first by its Skew_Time.
  setPreemption(router, NEVER);
  router.preempting = true;
  setDownTimer(router, now, "preempt");
}

function adverTimer(turn: Turn, router: Router): void {
  const late = turn.now - router.adverAt;
  advertise(turn, router);
  if (late <= LATE_INTERVALS * router.config.interval) return;
  sayStalled(turn, router, late);
  announce(turn, router);
}

function downTimer(turn: Turn, router: Router): void {
  const late = turn.now - router.downAt;
  // Adverts that came meanwhile are still unread: listen for one interval of the master before taking its place.
  if (late > router.masterInterval / 2 && !router.listening) {
    sayStalled(turn, router, late);
    router.listening = true;
    router.downAt = (turn.now + router.masterInterval) as Instant;
    return;
  }
  router.downAt = NEVER;
  const preempts = router.downReason === "master-timeout" && router.lowerHeard >= router.downFrom;
  wantMaster(turn, router, router.wants ?? (preempts ? "preempt" : router.downReason));
}

/** The effective priority changes while it runs: timers are shifted, and a master says it at once. */
export function setPriority(turn: Turn, router: Router, priority: number, reason: "command" | "tracking" | "drain") {
  if (router.priority === priority) return;
  unsettle(router);
  const { interface: name, vrid, family } = router.config;
  const from = router.priority;
  router.priority = priority;
  forgetFrames(turn, router);
  const event = { type: "vrrp.priority", interface: name, vrid, family, from, priority, reason } as const;
  put(turn, { kind: "event", event });
  if (router.state === "backup" && !router.listening && router.wants === undefined && router.downAt !== NEVER) {
    aimDownTimer(router, turn.now);
  } else if (router.state === "master") {
    answer(turn, router);
  }
  refresh(turn, router);
}

/** The address that adverts come from is another one, or the interface's MAC is. */
export function changeSource(turn: Turn, router: Router): void {
  unsettle(router);
  forgetFrames(turn, router);
  router.last = undefined;
  if (router.state === "master" && tableOf(router).primary !== undefined) {
    answer(turn, router);
    // Without a virtual MAC the addresses have moved to another one.
    if (!router.config.virtualMac) announce(turn, router);
  }
  refresh(turn, router);
}
