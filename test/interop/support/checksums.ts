/** RFC 5798's and RFC 9568's checksum of version 3 over IPv4: Debian's keepalived and FRR know the former only. */
import { expect } from "vitest";
import { type Contest, LATE } from "./contest.ts";
import { now } from "./wire.ts";

const AUTO = { more: { checksum: "auto" } } as const;

/** Ours has heard the peer before it speaks: it speaks the peer's form from its first advert on, and is understood. */
export async function followsThePeer(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.theirs({ priority: 100 });
  await wire.advert(them);
  await contest.ours({ priority: 200, ...AUTO });
  const first = await wire.advert(us);
  await contest.settles(us);
  expect(first.facts.forms).toEqual(["pseudo-header"]);
  contest.oneMaster();
  expect(contest.claimed(them, first.at + LATE)).toBe(0);
}

/**
 * Ours is master before any peer was heard: it says RFC 9568's form, which the peer cannot read. The peer takes over when
 * its down timer fires; ours hears it, speaks its form from then on and asserts itself within moments.
 */
export async function isMisreadOnce(contest: Contest): Promise<void> {
  const { wire, theirStation: them, ourStation: us } = contest;
  await contest.ours({ priority: 200, ...AUTO });
  const alone = await wire.advert(us);
  expect(alone.facts.forms).toEqual(["message"]);
  await contest.client();
  await contest.theirs({ priority: 100 });
  const usurped = await wire.advert(them);
  const asserted = await wire.advert(us, ({ forms }) => forms.includes("pseudo-header"), usurped.at);
  await contest.settles(us);
  expect(asserted.at - usurped.at).toBeLessThanOrEqual(LATE);
  contest.oneMaster(0, LATE);
  expect(contest.claimed(them, asserted.at + LATE)).toBe(0);
  const since = now();
  await contest.settles(us);
  expect(contest.claimed(them, since)).toBe(0);
  await contest.answersAlone(us);
  expect(contest.loss(usurped.at - LATE).longest).toBeLessThanOrEqual(LATE);
}
