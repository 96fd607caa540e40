/** The timers of one virtual router, as data, and what adverts that only repeat the last one do to them. */
import { type Duration, type Instant, NEVER, us } from "../../src/core/time.ts";
import { hurry } from "./deadlines.ts";
import { put, type Remembered, type Router, type Turn } from "./state.ts";

/** Intervals of silence after which adverts are not lost but were not sent. */
const BREAK = 5;

/** Skew_Time in microseconds, exact: a multiple of 1/256 µs, which a double holds. */
export function skewTime(router: Router): number {
  // RFC 3768 §6.1: independent of the interval. RFC 9568 §6.1: a part of the master's.
  const span = router.config.version === 2 ? 1_000_000 : router.masterInterval;
  return ((256 - router.priority) * span) / 256;
}

/** Active_Down_Interval (RFC 9568 §6.1; Master_Down_Interval in RFC 3768 §6.1) in microseconds, exact. */
export function downInterval(router: Router): number {
  return 3 * router.masterInterval + skewTime(router);
}

/** The one place where a timer loses its fraction of a microsecond: to the nearest, once, after all arithmetic. */
export function roundToMicrosecond(exact: number): Duration {
  return us(Math.round(exact));
}

/** Active_Down_Timer again from `now` on. */
export function setDownTimer(router: Router, now: Instant, reason: Router["downReason"]): void {
  router.downFrom = now;
  router.downReason = reason;
  router.listening = false;
  aimDownTimer(router, now);
}

/** From when it was set and what is true now, so that a change of priority shifts a running timer exactly. */
export function aimDownTimer(router: Router, now: Instant): void {
  const exact = router.downReason === "master-timeout" ? downInterval(router) : skewTime(router);
  const at = router.downFrom + roundToMicrosecond(exact);
  router.downAt = (at > now ? at : now) as Instant;
}

/**
 * A working master says the same again and again. That is only noted where octets are compared (`reception.ts`), and
 * taken account of here before anything else looks at the router or changes it.
 */
export function catchUp(router: Router): void {
  const { last } = router;
  if (last === undefined || last.repeats === 0) return;
  countAdvert(router, last, last.repeats, last.heard);
  last.repeats = 0;
  router.downFrom = last.heard;
  aimDownTimer(router, last.heard);
}

/** The router is about to change: the next advert is judged by what it is then. */
export function unsettle(router: Router): void {
  catchUp(router);
  if (router.last !== undefined) router.last.steady = false;
}

/** Counts the same valid advert `times`, the last of which came at `at`. */
export function countAdvert(router: Router, heard: Remembered, times: number, at: Instant): void {
  const { counters, config } = router;
  const { advert, peer, checksumForms } = heard;
  // A master that is not heard for so long was none for a while; one with another interval is counted afresh, too.
  if (peer.run === 0 || peer.runInterval !== advert.interval || at - peer.heard > BREAK * advert.interval * times) {
    peer.since = at;
    peer.run = 0;
    peer.runInterval = advert.interval;
  }
  peer.run += times;
  peer.heard = at;
  peer.adverts += times;
  if (advert.version === 3) peer.heardV3 = at;
  counters.advertsReceived += times;
  for (const form of checksumForms) counters.checksum[form] += times;
  if (advert.priority === 0) counters.priorityZeroReceived += times;
  if (advert.interval !== config.interval) counters.intervalMismatches += times;
  if (!heard.sameAddresses) counters.addressListMismatches += times;
}

/** To be called when any timer of the router has been set. */
export function refresh(turn: Turn, router: Router): void {
  const { downAt, adverAt, rareAt } = router;
  let due = downAt < adverAt ? downAt : adverAt;
  if (rareAt < due) due = rareAt;
  router.due = due;
  hurry(turn.heap, router);
}

/** To be called when a timer has been set that is seldom set: an advert then looks at one time in place of three. */
export function setRare(router: Router): void {
  const { preemptAt, announceAt, routerAdvertAt, lingerUntil } = router;
  router.rareAt = Math.min(preemptAt, announceAt, routerAdvertAt, lingerUntil) as Instant;
}

export function setPreemption(router: Router, at: Instant): void {
  router.preemptAt = at;
  setRare(router);
}

export function stopTimers(router: Router): void {
  router.downAt = NEVER;
  router.adverAt = NEVER;
  router.preemptAt = NEVER;
  router.announceAt = NEVER;
  router.routerAdvertAt = NEVER;
  setRare(router);
  router.preempting = false;
  router.listening = false;
  router.wants = undefined;
}

/** A backup's down timer was overdue, but adverts that had come meanwhile were read before it. @param downAt before them */
export function lookForStall(turn: Turn, router: Router, downAt: Instant): void {
  const late = turn.now - downAt;
  if (late > router.masterInterval / 2) sayStalled(turn, router, late);
}

export function sayStalled(turn: Turn, router: Router, late: number): void {
  const { interface: name, vrid, family } = router.config;
  const event = { type: "vrrp.stalled", interface: name, vrid, family, late: late / 1_000_000 } as const;
  put(turn, { kind: "event", event });
}
