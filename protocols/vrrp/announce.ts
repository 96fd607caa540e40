/**
 * Rounds of gratuitous ARP or unsolicited neighbour advertisements, by which hosts and switches learn where the addresses
 * are (RFC 9568 §6.4.1, §6.4.2): the first at once, further ones as configured, each in its pace.
 */
import type { Ip } from "../../src/core/addr.ts";
import { type Duration, type Instant, ms, NEVER, ZERO } from "../../src/core/time.ts";
import { announcements } from "./frames.ts";
import { put, putAll, type Router, type Turn, type VrrpOutput } from "./state.ts";
import { refresh, setRare } from "./timing.ts";

/**
 * How much later than the advert the first round is where the old master still has the addresses behind the same virtual
 * MAC: until it has heard the advert and dropped them, Linux would answer a gratuitous ARP with that MAC, and switches
 * between the two would look for it there again. Nothing is lost by it, for hosts know that MAC already.
 */
const AFTER_ADVERT: Duration = ms(5);
/** Announcements that answer what somebody else does keep this distance. */
const ANSWER_GAP: Duration = ms(200);

/** One frame for each address. */
export function announcementOf(router: Router): readonly VrrpOutput[] {
  router.announcement ??= announcements(router);
  return router.announcement;
}

/** Begins with the first round. */
export function announce(turn: Turn, router: Router): void {
  router.rounds = 0;
  router.announced = 0;
  announceMore(turn, router);
}

/** The same after an advert by which another master, which still answers, is to learn that it is none any more. */
export function announceBeside(turn: Turn, router: Router): void {
  const { virtualMac, family } = router.config;
  if (!virtualMac || family === "ipv6" || router.last?.peer.virtualMac !== true) {
    announce(turn, router);
    return;
  }
  router.rounds = 0;
  router.announced = 0;
  waitFor(turn, router, AFTER_ADVERT);
}

/** The next frame of a round, or the whole of it where frames need no distance. */
export function announceMore(turn: Turn, router: Router): void {
  const all = announcementOf(router);
  const { announceGap } = router.config;
  if (router.announced === 0) router.announcedAt = turn.now;
  if (announceGap === ZERO) {
    putAll(turn, all);
    endRound(turn, router);
    return;
  }
  const next = all[router.announced++];
  if (next !== undefined) put(turn, next);
  if (router.announced >= all.length) endRound(turn, router);
  else waitFor(turn, router, announceGap);
}

/** Addresses that have come to a master: only of these nobody knows. */
export function announceAdded(turn: Turn, router: Router, added: ReadonlySet<Ip>): void {
  if (router.config.announceGap !== ZERO) {
    announce(turn, router);
    return;
  }
  const { addresses } = router.config;
  const news = announcementOf(router).filter((_, i) => added.has(addresses[i]?.address ?? ("" as Ip)));
  putAll(turn, news);
  router.rounds = 0;
  endRound(turn, router);
}

/** Another has announced itself, wrongly: once more all of it, unless that is being said. */
export function announceAgain(turn: Turn, router: Router): void {
  if (router.config.announceGap !== ZERO) {
    if (router.announced === 0) announce(turn, router);
    return;
  }
  putAll(turn, announcementOf(router));
  // What it announces may come after its advert, and after this.
  router.rounds = 0;
  waitFor(turn, router, ANSWER_GAP);
}

/** All of the announcements of a new master once more: hosts may have noticed that the addresses were away. */
export function announceAfresh(turn: Turn, router: Router): void {
  const next = (router.announcedAt + ANSWER_GAP) as Instant;
  if (turn.now < next) {
    router.rounds = 0;
    router.announced = 0;
    waitFor(turn, router, next - turn.now);
  } else {
    announce(turn, router);
  }
  refresh(turn, router);
}

function endRound(turn: Turn, router: Router): void {
  const { announceRepeat, announceEvery, announceRefresh } = router.config;
  router.announced = 0;
  waitFor(turn, router, router.rounds++ < announceRepeat ? announceEvery : announceRefresh);
}

function waitFor(turn: Turn, router: Router, wait: number): void {
  router.announceAt = wait === 0 ? NEVER : ((turn.now + wait) as Instant);
  setRare(router);
}
