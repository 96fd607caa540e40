/** What the observer remembers: who spoke for which virtual router, and when. Bounded by the maxima below. */
import type { Family, Ip } from "../../src/core/addr.ts";
import type { Output, Port } from "../../src/core/machine.ts";
import { type Duration, type Instant, ms, NEVER, sec, us } from "../../src/core/time.ts";
import type { ChecksumForm } from "./codec.ts";
import { enter, hurry, type Waiting } from "./deadlines.ts";
import type { ObserverEvent } from "./observer-events.ts";

/** Speakers of one virtual router that are remembered; beyond that the one that was silent longest is forgotten. */
export const MAX_SPEAKERS = 16;
/** Oddities of one virtual router that are remembered as said; the memory is emptied when full: some are said again. */
export const MAX_SAID = 256;

/** Two adverts of one sender with the same contents and less than this between them are one, captured twice. */
const COPY: Duration = ms(2);
/** What scheduling and the way to the place of capture may add to an interval. */
const SLACK: Duration = ms(5);

/** One source address in one version. */
export interface Speaker {
  readonly address: Ip;
  /** For the comparison of RFC 9568 §6.4.3. */
  readonly octets: Uint8Array;
  readonly version: 2 | 3;
  /** Its last one above 0. */
  priority: number;
  interval: Duration;
  /** Its virtual addresses, sorted. */
  addresses: string;
  forms: readonly ChecksumForm[];
  macHi: number;
  macLo: number;
  /** The IP packet of its last advert; a copy, so that no capture's chunk is kept for it. */
  packet: Uint8Array;
  /** Its last advert had priority 0. */
  released: boolean;
  /** Its last advert. */
  heard: Instant;
  frame: number;
  /** The first advert since it was silent or released. */
  runSince: Instant;
  runFrame: number;
  /** The first advert since the last one of the master. */
  aheadSince: Instant;
  aheadFrame: number;
  /** Late adverts so far. */
  late: number;
}

export interface Election {
  readonly version: 2 | 3;
  master: Speaker | undefined;
  /** Why nobody is the master now; undefined while `master` is. */
  vacant: "unseen" | "released" | "silent" | undefined;
}

export interface Duplicate {
  readonly since: Instant;
  readonly frame: number;
  readonly members: Speaker[];
}

export interface Watched extends Waiting {
  readonly family: Family;
  readonly vrid: number;
  readonly speakers: Speaker[];
  /** Of version 2 and of version 3. */
  readonly elections: readonly [Election, Election];
  duplicate: Duplicate | undefined;
  /** Who sent the last advert. */
  last: Speaker | undefined;
  /** Oddities that were said. */
  readonly said: Set<string>;
}

export interface ObserverState {
  readonly port: Port;
  readonly ipv4: (Watched | undefined)[];
  readonly ipv6: (Watched | undefined)[];
  /** All of them, by deadline. */
  readonly heap: Watched[];
  copiesSaid: boolean;
  /** Packets whose TTL was wrong have been spoken of. */
  ttlSaid: boolean;
}

/** One input: where its outputs gather. */
export interface Turn {
  readonly state: ObserverState;
  readonly now: Instant;
  readonly out: Output<ObserverEvent>[];
}

export function watchedOf(state: ObserverState, family: Family, vrid: number): Watched {
  const table = state[family];
  const known = table[vrid];
  if (known !== undefined) return known;
  const watched: Watched = {
    family,
    vrid,
    speakers: [],
    elections: [
      { version: 2, master: undefined, vacant: "unseen" },
      { version: 3, master: undefined, vacant: "unseen" },
    ],
    duplicate: undefined,
    last: undefined,
    said: new Set(),
    due: NEVER,
    queued: NEVER,
    place: 0,
  };
  table[vrid] = watched;
  enter(state.heap, watched);
  return watched;
}

export function electionOf(watched: Watched, version: 2 | 3): Election {
  return watched.elections[version - 2] as Election;
}

export function say(turn: Turn, event: ObserverEvent): void {
  turn.out.push({ kind: "event", event });
}

/**
 * RFC 9568 §6.1: ((256 - Priority) * interval) / 256; RFC 3768 §6.1: (256 - Priority) / 256 seconds.
 * @param interval the one that a backup goes by: its master's
 */
export function skewOf(version: 2 | 3, priority: number, interval: Duration): Duration {
  return us(((256 - priority) * (version === 3 ? interval : sec(1))) / 256);
}

/**
 * How long it takes until nobody is the master. The backups' priorities cannot be seen: the largest skew is taken, that
 * of priority 1, so that a master is never missed before the slowest backup misses it.
 */
export function downOf({ version, interval }: Speaker): Duration {
  return us(Math.ceil(3 * interval + skewOf(version, 1, interval)));
}

/** Three intervals less an eighth of one: no backup takes over sooner (RFC 9568 §6.1), whatever its skew and jitter. */
export function soonest(interval: Duration): Duration {
  return us(3 * interval - interval / 8);
}

/** From here on an advert is missing. */
export function lateAfter({ interval }: Speaker): Duration {
  return us(1.5 * interval + SLACK);
}

/** One interval with a sixteenth for jitter: the next advert is due by then. */
export function overdueAfter({ interval }: Speaker): Duration {
  return us(interval + interval / 16 + SLACK);
}

/**
 * How long an old master's adverts may still come after the new one's first: it has to receive and to act on that. A
 * quarter of the new one's interval, 20 ms at least and 250 ms at most.
 */
export function handoverOf({ interval }: Speaker): Duration {
  return us(Math.min(Math.max(interval / 4, ms(20)), ms(250)));
}

export function copyWithin({ interval }: Speaker): Duration {
  return us(Math.min(COPY, interval / 8));
}

/** Positive when `a` should stay: RFC 9568 §6.4.3. */
export function rank(a: Speaker, b: Speaker): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  for (let i = 0; i < a.octets.length; i++) {
    const difference = (a.octets[i] ?? 0) - (b.octets[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether it could be master still, as far as the strictest backup can tell. */
export function isAlive(speaker: Speaker, now: Instant): boolean {
  return !speaker.released && now - speaker.heard < soonest(speaker.interval);
}

/** Sets when the router must be looked at again. */
export function schedule(state: ObserverState, watched: Watched): void {
  let due: number = NEVER;
  for (const { master, vacant } of watched.elections) {
    if (master !== undefined && vacant !== "silent") due = Math.min(due, master.heard + downOf(master));
  }
  for (const member of watched.duplicate?.members ?? []) due = Math.min(due, member.heard + downOf(member));
  watched.due = due as Instant;
  hurry(state.heap, watched);
}
