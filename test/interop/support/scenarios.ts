/** What a pair of routers goes through, whoever the peer is. Each is asserted by order and by the protocol's own times. */
import { expect } from "vitest";
import { VRRP_GROUP_4, VRRP_GROUP_6 } from "../../../protocols/vrrp/codec.ts";
import { type Contest, EARLY, LATE } from "./contest.ts";
import { now } from "./wire.ts";

/** What the change from one master to the other may cost a client, in microseconds: less than a skew time of `hands`. */
const CHANGE = 100_000;

/** Ours comes to a master with a higher priority: it listens, and is not to be heard of. */
export async function joinsAsLower(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.theirs({ priority: 200 });
  await wire.advert(them);
  await contest.client();
  const ours = await contest.ours({ priority: 100 });
  await contest.standsBy(ours);
  const since = now();
  await contest.settles(them);
  expect(wire.adverts(us)).toEqual([]);
  contest.keptSilent(us);
  expect(contest.holds(us)).toBe(false);
  await contest.answersAlone(them);
  expect(contest.loss(since).lost).toBe(0);
}

/** Ours comes to a master with a lower priority, and takes over when its down timer fires: the other yields at once. */
export async function preempts(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.theirs({ priority: 100 });
  await wire.advert(them);
  await contest.client();
  await contest.ours({ priority: 200 });
  const first = await wire.advert(us);
  await contest.settles(us);
  contest.oneMaster();
  expect(contest.claimed(them, first.at + LATE)).toBe(0);
  await contest.answersAlone(us);
  expect(contest.loss(first.at - LATE).longest).toBeLessThanOrEqual(LATE);
}

/** Ours is better but may not preempt: it obeys the lower master, and takes over when that one leaves. */
export async function doesNotPreempt(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  const theirs = await contest.theirs({ priority: 100 });
  await wire.advert(them);
  await contest.client();
  const ours = await contest.ours({ priority: 200, preempt: false });
  await contest.standsBy(ours);
  await contest.settles(them);
  expect(wire.adverts(us)).toEqual([]);
  theirs.stop();
  await wire.advert(us);
  await contest.settles(us);
  contest.oneMaster();
  await contest.answersAlone(us);
}

/** A better peer comes to our master: we yield to its first advert. */
export async function isPreempted(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.ours({ priority: 100 });
  await wire.advert(us);
  await contest.client();
  await contest.theirs({ priority: 200 });
  const first = await wire.advert(them);
  await contest.settles(them);
  contest.oneMaster();
  expect(contest.claimed(us, first.at + LATE)).toBe(0);
  expect(contest.holds(us)).toBe(false);
  await contest.answersAlone(them);
  expect(contest.loss(first.at - LATE).longest).toBeLessThanOrEqual(LATE);
}

/** A better peer that may not preempt comes to our master: it obeys us. */
export async function isNotPreempted(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.ours({ priority: 100 });
  await wire.advert(us);
  await contest.client();
  await contest.theirs({ priority: 200, preempt: false });
  // Twice as long as its down timer from the start of its process on.
  await wire.rounds(us, 15);
  expect(wire.adverts(them)).toEqual([]);
  await contest.answersAlone(us);
  expect(contest.loss().lost).toBe(0);
}

/**
 * Our master is stopped: it says priority 0, the peer takes over in its skew time, and meanwhile ours goes on answering.
 * The interval makes the skew time long beside what a busy machine needs for the change itself.
 */
export async function hands(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  const interval = Math.max(contest.interval, 300);
  const ours = await contest.ours({ priority: 200, interval });
  await wire.advert(us);
  await contest.listens(await contest.theirs({ priority: 100, interval }));
  await contest.client();
  await contest.settles(us);
  expect(wire.adverts(them)).toEqual([]);
  ours.stop();
  const zero = await wire.advert(us, ({ priority }) => priority === 0, 0);
  const first = await wire.advert(them, undefined, zero.at);
  await ours.gone();
  await contest.settles(them);
  contest.oneMaster();
  expect(first.at - zero.at).toBeLessThanOrEqual(contest.skew(100, interval) + LATE);
  expect(contest.claimed(us, zero.at + 1)).toBe(0);
  expect(contest.holds(us)).toBe(false);
  await contest.answersAlone(them);
  const { longest, first: lostAt } = contest.loss(zero.at - LATE);
  const when = `${((lostAt - first.at) / 1e3).toFixed(1)} ms after the peer's first advert`;
  expect(longest, `microseconds without an answer, ${when}`).toBeLessThanOrEqual(CHANGE);
}

/** The peer's master is stopped: ours takes over when its skew time is over, and not before. */
export async function isHanded(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  const theirs = await contest.theirs({ priority: 200 });
  await wire.advert(them);
  const ours = await contest.ours({ priority: 100 });
  await contest.standsBy(ours);
  await contest.client();
  await contest.settles(them);
  theirs.stop();
  const zero = await wire.advert(them, ({ priority }) => priority === 0, 0);
  const first = await wire.advert(us);
  await contest.settles(us);
  contest.oneMaster();
  expect(first.at - zero.at).toBeGreaterThanOrEqual(contest.skew(100) - EARLY);
  expect(first.at - zero.at).toBeLessThanOrEqual(contest.skew(100) + LATE);
  await contest.answersAlone(us);
}

/** The peer's master dies: ours takes over Active_Down_Interval after its last advert, never earlier. */
export async function survives(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  const theirs = await contest.theirs({ priority: 200 });
  await wire.advert(them);
  const ours = await contest.ours({ priority: 100 });
  await contest.standsBy(ours);
  await contest.client();
  await contest.settles(them);
  theirs.kill();
  const first = await wire.advert(us);
  await contest.settles(us);
  contest.oneMaster();
  const last = wire.adverts(them).at(-1)?.at ?? 0;
  expect(first.at - last).toBeGreaterThanOrEqual(contest.down(100) - EARLY);
  expect(first.at - last).toBeLessThanOrEqual(contest.down(100) + LATE);
  // What the dead one has left on its host still answers questions, but the client has heard our announcement.
  await contest.answersAlone(us);
}

/**
 * The process of our master is killed: its peer is told by an advert of priority 0 and takes over in its skew time, and
 * then nothing is left on the host.
 */
export async function isKilled(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  const ours = await contest.ours({ priority: 200 });
  await wire.advert(us);
  await contest.listens(await contest.theirs({ priority: 100 }));
  await contest.client();
  await contest.settles(us);
  ours.kill("main");
  const zero = await wire.advert(us, ({ priority }) => priority === 0, 0);
  const first = await wire.advert(them, undefined, zero.at);
  await contest.settles(them);
  expect(first.at - zero.at).toBeLessThanOrEqual(contest.skew(100) + LATE);
  contest.oneMaster();
  await contest.clean(us);
  await contest.answersAlone(them);
}

/** The cable of a master is pulled: the backup takes over; put back, the better one stays and the other yields at once. */
export async function isCutOff(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.theirs({ priority: 200 });
  await wire.advert(them);
  const ours = await contest.ours({ priority: 100 });
  await contest.standsBy(ours);
  await contest.client();
  await contest.settles(them);
  const before = now();
  contest.plug(them, false);
  const first = await wire.advert(us);
  const last = wire.adverts(them).findLast(({ at }) => at < before)?.at ?? 0;
  expect(first.at - last).toBeGreaterThanOrEqual(contest.down(100) - EARLY);
  await contest.answersAlone(us);
  contest.plug(them, true);
  const healed = now();
  await contest.settles(them);
  contest.oneMaster(healed);
  expect(contest.claimed(us, healed + LATE)).toBe(0);
  expect(contest.holds(us)).toBe(false);
  await contest.answersAlone(them);
}

/** The peer with the higher address wins between equals, after a time in which they did not hear each other. */
export async function tiebreak(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.theirs({ priority: 100 });
  await wire.advert(them);
  const ours = await contest.ours({ priority: 100 });
  await contest.standsBy(ours);
  await contest.settles(them);
  // A backup obeys its equal, whatever the addresses are.
  expect(wire.adverts(us)).toEqual([]);
  contest.plug("a", false);
  await wire.advert(us);
  contest.plug("a", true);
  const healed = now();
  const loser = us === "a" ? us : them;
  const winner = us === "a" ? them : us;
  await wire.rounds(winner, 8);
  contest.oneMaster(healed, 2 * LATE);
  expect(contest.claimed(loser, healed + LATE)).toBe(0);
  await contest.client();
  await contest.answersAlone(winner);
}

/** The master's interval is twice the backup's own: the backup takes it over for its timers. */
export async function learnsInterval(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us, interval } = contest;
  const theirs = await contest.theirs({ priority: 200, interval: 2 * interval });
  await wire.advert(them);
  const ours = await contest.ours({ priority: 100 });
  await contest.standsBy(ours);
  await ours.says(/interval/);
  await wire.rounds(them, 3);
  expect(wire.adverts(us)).toEqual([]);
  theirs.kill();
  const first = await wire.advert(us);
  const last = wire.adverts(them).at(-1)?.at ?? 0;
  expect(first.at - last).toBeGreaterThanOrEqual(contest.down(100, 2 * interval) - EARLY);
  expect(first.at - last).toBeLessThanOrEqual(contest.down(100, 2 * interval) + LATE);
  expect(first.facts.interval).toBe(interval * 1_000);
}

/** Our master's interval is twice the peer's own: the peer waits for it. */
export async function isWaitedFor(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us, interval } = contest;
  await contest.ours({ priority: 200, interval: 2 * interval });
  await wire.advert(us);
  await contest.theirs({ priority: 100 });
  await wire.rounds(us, 10);
  expect(wire.adverts(them)).toEqual([]);
}

/** The master's addresses are others than ours: ours obeys, and says so. */
export async function obeysOtherAddresses(contest: Contest, theirs: readonly string[]): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.theirs({ priority: 200, addresses: theirs });
  await wire.advert(them);
  const ours = await contest.ours({ priority: 100 });
  await contest.standsBy(ours);
  await ours.says(/address/);
  await contest.settles(them);
  expect(wire.adverts(us)).toEqual([]);
}

/** IGMP or MLD of the group, before the first advert: a bridge that snoops would keep adverts away otherwise. */
export async function joinsGroup(contest: Contest): Promise<void> {
  const { wire, ourStation: us, variant } = contest;
  const group = variant.family === "ipv4" ? VRRP_GROUP_4 : VRRP_GROUP_6;
  await contest.ours();
  const first = await wire.advert(us);
  const reports = wire.of("report", us).filter(({ facts }) => facts.groups.includes(group));
  expect(reports.length).toBeGreaterThan(0);
  expect(reports[0]?.at).toBeLessThan(first.at);
}
