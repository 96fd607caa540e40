/**
 * Who is the master, from the adverts alone: RFC 9568 §6.4 seen from outside.
 *
 *   unseen --advert--> held            first-seen
 *   held   --better advert--> held     higher-priority, address-tiebreak; master-timeout when the old one was due to
 *                                      be missed by then
 *   held   --priority 0--> released --advert--> held     priority-zero
 *   held, released --down interval--> silent --advert--> held     master-timeout
 *   held   --down interval, while a lower router advertises--> held     master-timeout
 */
import type { Ip } from "../../src/core/addr.ts";
import { type Instant, since, toSeconds, us } from "../../src/core/time.ts";
import type { MasterReason } from "./observer-events.ts";
import {
  downOf,
  type Election,
  electionOf,
  handoverOf,
  isAlive,
  lateAfter,
  overdueAfter,
  rank,
  type Speaker,
  say,
  schedule,
  skewOf,
  soonest,
  type Turn,
  type Watched,
} from "./observer-state.ts";

/** The speaker gave up its place. */
export function hearRelease(turn: Turn, watched: Watched, speaker: Speaker, frame: number): void {
  const again = speaker.released;
  speaker.released = true;
  speaker.heard = turn.now;
  speaker.frame = frame;
  watched.last = speaker;
  if (!again) {
    const { address, version } = speaker;
    say(turn, { type: "vrrp.released", ...named(turn, watched), version, address, frame });
    const election = electionOf(watched, version);
    // One that nobody knew as the master was it all the same: only a master releases.
    if (election.master === speaker || election.vacant === "unseen") {
      election.master = speaker;
      election.vacant = "released";
    }
  }
  prune(turn, watched);
  schedule(turn.state, watched);
}

/**
 * The speaker says that it is the master. Its fields are those of this advert, but `heard` is still of the one before.
 * @param begins what `beginsRun` said before this advert's fields came in; true for a new speaker
 */
export function hearMaster(turn: Turn, watched: Watched, speaker: Speaker, frame: number, begins: boolean): void {
  const { now } = turn;
  const election = electionOf(watched, speaker.version);
  const { master } = election;
  if (begins) {
    speaker.runSince = now;
    speaker.runFrame = frame;
  }
  if (master !== undefined && (begins || speaker.heard < master.heard)) {
    speaker.aheadSince = now;
    speaker.aheadFrame = frame;
  }
  speaker.released = false;
  speaker.heard = now;
  speaker.frame = frame;
  watched.last = speaker;
  elect(turn, watched, election, speaker);
  const joined = seekDuplicates(turn, watched, speaker, begins);
  if (!joined) prune(turn, watched);
  schedule(turn.state, watched);
}

/**
 * Whether an advert that comes now is the first of a new run of the speaker's. A router that yields is silent for three
 * intervals of its master at least before it can be master again, unless it hears a release, which may not be in the
 * capture. Then it has missed an advert of its own, and the master is overdue; one that does not yield goes on at its
 * interval, counted at the latest from the other's advert (keepalived begins to wait anew with each that it refuses).
 */
export function beginsRun(turn: Turn, watched: Watched, speaker: Speaker): boolean {
  if (speaker.released) return true;
  const { master } = electionOf(watched, speaker.version);
  const silence = turn.now - speaker.heard;
  if (master === undefined || master === speaker) return silence >= soonest(speaker.interval);
  if (silence >= soonest(us(Math.min(speaker.interval, master.interval)))) return true;
  return (
    master.heard > speaker.heard && silence > lateAfter(speaker) && turn.now - master.heard > overdueAfter(speaker)
  );
}

function elect(turn: Turn, watched: Watched, election: Election, speaker: Speaker): void {
  const { master, vacant } = election;
  if (master === undefined || vacant !== undefined) {
    become(turn, watched, election, speaker, FILLS[vacant ?? "unseen"]);
  } else if (master !== speaker) {
    if (turn.now - master.heard >= soonest(master.interval)) {
      inherit(turn, watched, election, speaker);
    } else if (rank(speaker, master) > 0) {
      const reason = speaker.priority > master.priority ? "higher-priority" : "address-tiebreak";
      become(turn, watched, election, speaker, reason);
    }
  }
}

/** Why somebody may take a place that is empty. */
const FILLS = { unseen: "first-seen", released: "priority-zero", silent: "master-timeout" } as const;

/** @param ahead whether it is the master since its first advert after its predecessor's last, not since this one */
function become(
  turn: Turn,
  watched: Watched,
  election: Election,
  speaker: Speaker,
  reason: MasterReason,
  ahead = false,
): void {
  const { address, priority, version } = speaker;
  const previous = election.master;
  const at = ahead ? speaker.aheadSince : turn.now;
  const before =
    previous === undefined || previous === speaker
      ? {}
      : { previous: previous.address, gap: toSeconds(since(previous.heard, at)) };
  election.master = speaker;
  election.vacant = undefined;
  const frame = ahead ? speaker.aheadFrame : speaker.frame;
  say(turn, {
    type: "vrrp.master",
    ...named(turn, watched),
    version,
    address,
    priority,
    frame,
    reason,
    ...before,
  });
}

/** Finds who else goes on advertising. @returns whether someone was added to those who do. */
function seekDuplicates(turn: Turn, watched: Watched, speaker: Speaker, begins: boolean): boolean {
  let joined = false;
  for (const other of watched.speakers) {
    if (other.address === speaker.address || !isAlive(other, turn.now)) continue;
    const [early, late] = other.runSince <= speaker.runSince ? [other, speaker] : [speaker, other];
    if (goesOn(early, late) || (begins && late === speaker && isImpossible(early, late))) {
      joined = join(watched, early, late) || joined;
    }
  }
  const { duplicate } = watched;
  if (joined && duplicate !== undefined) {
    const { members, frame } = duplicate;
    say(turn, {
      type: "vrrp.duplicate-master",
      ...named(turn, watched),
      addresses: addressesOf(members),
      rightful: members.reduce((best, one) => (rank(one, best) > 0 ? one : best)).address,
      frame,
      since: toSeconds(duplicate.since),
    });
  }
  return joined;
}

/** The one that was there first advertises although the other one has taken its place. */
function goesOn(early: Speaker, late: Speaker): boolean {
  return early.heard > late.runSince + handoverOf(late);
}

/**
 * A lower router began while the better one was not even missing: a backup waits for its skew at least, even after a
 * release that is not in the capture (RFC 9568 §6.4.2). An eighth of an interval is left to jitter.
 */
function isImpossible(early: Speaker, late: Speaker): boolean {
  if (rank(late, early) >= 0) return false;
  const { interval } = early;
  return late.runSince - early.heard < skewOf(late.version, late.priority, interval) - interval / 8;
}

function join(watched: Watched, early: Speaker, late: Speaker): boolean {
  if (watched.duplicate === undefined) {
    watched.duplicate = { since: late.runSince, frame: late.runFrame, members: [early, late] };
    return true;
  }
  const { members } = watched.duplicate;
  const fresh = [early, late].filter((one) => !members.includes(one));
  members.push(...fresh);
  return fresh.length > 0;
}

function addressesOf(speakers: readonly Speaker[]): Ip[] {
  return [...new Set(speakers.map(({ address }) => address))];
}

/** Ends the state of several masters when all but one of them stopped. */
function prune(turn: Turn, watched: Watched): void {
  const { duplicate } = watched;
  if (duplicate === undefined) return;
  const { members } = duplicate;
  const stays = (one: Speaker) => !one.released && turn.now - one.heard < downOf(one);
  const remaining = addressesOf(members.filter(stays));
  if (remaining.length > 1) return;
  const stopped = members.filter((one) => !stays(one)).reduce((a, b) => (b.heard > a.heard ? b : a));
  watched.duplicate = undefined;
  say(turn, {
    type: "vrrp.duplicate-end",
    ...named(turn, watched),
    addresses: addressesOf(members),
    remaining,
    frame: stopped.frame,
    since: toSeconds(duplicate.since),
    until: toSeconds(stopped.heard),
  });
}

/** The router's time has come: whoever is overdue is no longer the master. */
export function expire(turn: Turn, watched: Watched): void {
  for (const election of watched.elections) {
    const { master, vacant } = election;
    if (master === undefined || vacant === "silent" || turn.now - master.heard < downOf(master)) continue;
    const heir = vacant === undefined ? heirOf(watched, master, turn.now) : undefined;
    if (heir !== undefined) {
      inherit(turn, watched, election, heir);
      continue;
    }
    election.vacant = "silent";
    say(turn, {
      type: "vrrp.silent",
      ...named(turn, watched),
      version: election.version,
      address: master.address,
      frame: master.frame,
      since: toSeconds(master.heard),
      reason: vacant === "released" ? "priority-zero" : "master-timeout",
    });
  }
  prune(turn, watched);
  schedule(turn.state, watched);
}

/** The capture is over: what a missing master's heir has said by now must do. */
export function conclude(turn: Turn, watched: Watched): void {
  for (const election of watched.elections) {
    const { master, vacant } = election;
    if (master === undefined || vacant !== undefined || turn.now - master.heard <= lateAfter(master)) continue;
    const heir = heirOf(watched, master, turn.now);
    if (heir !== undefined) inherit(turn, watched, election, heir);
  }
}

/** Of those that advertise since the master does not, the one that will stay. */
function heirOf(watched: Watched, master: Speaker, now: Instant): Speaker | undefined {
  const heirs = watched.speakers.filter(
    (one) => one !== master && one.version === master.version && one.heard > master.heard && isAlive(one, now),
  );
  return heirs.length === 0 ? undefined : heirs.reduce((best, one) => (rank(one, best) > 0 ? one : best));
}

/** The old master is overdue; the heir may have taken its place some adverts ago. */
function inherit(turn: Turn, watched: Watched, election: Election, heir: Speaker): void {
  const { master } = election;
  const wasDuplicate = watched.duplicate?.members.includes(heir) === true;
  become(turn, watched, election, heir, "master-timeout", true);
  if (wasDuplicate || master === undefined) return;
  if (heir.aheadSince - master.heard >= soonest(master.interval)) return;
  const waited = toSeconds(since(master.heard, heir.aheadSince));
  const allowed = toSeconds(soonest(master.interval));
  const detail = `${heir.address} took over ${waited} s after the last advert of ${master.address}, sooner than the ${allowed} s after which it may be missed: a release is not in the capture, or their timers differ`;
  const kind = "early-takeover";
  say(turn, { type: "anomaly", kind, ...named(turn, watched), frame: heir.aheadFrame, detail });
}

export function named(turn: Turn, { vrid, family }: Watched) {
  return { interface: turn.state.port.name, vrid, family };
}
