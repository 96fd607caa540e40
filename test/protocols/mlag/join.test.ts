/** A switch joins a pair over the whole stack: M43, M50 and the figures of a join, in virtual time. */
import { expect, it } from "vitest";
import { Join } from "../../../bench/mlag-join.ts";
import { claims } from "./shared.ts";

it("M43: 32,000 stations are with a joining peer within 2 s, and none is lost that is learned meanwhile", () => {
  const join = new Join(32_000);
  expect(join.count("sw1")).toBeGreaterThanOrEqual(32_000);
  join.powerOn();
  // 1000 more a second, before, during and after the join.
  join.speak(36_000, 1);
  while (Number.isNaN(join.sessionAt)) join.run(0.001);
  const before = join.stations("sw1");
  join.run(2);
  const after = join.stations("sw2");
  expect([...before].filter((mac) => !after.has(mac))).toEqual([]);
  join.run(4);
  const [a, b] = [join.stations("sw1"), join.stations("sw2")];
  expect([before.size < after.size, after.size < a.size, a.size]).toEqual([true, true, 36_000]);
  expect([a.size, b.size, [...a].filter((mac) => !b.has(mac))]).toEqual([36_000, 36_000, []]);
  const [mine, theirs] = [claims(join.mlag("sw1").core, "mine"), claims(join.mlag("sw2").core, "theirs")];
  expect(theirs.filter((line, i) => line !== mine[i])).toEqual([]);
  expect([mine.length, join.mlag("sw2").core.tables.drifted]).toEqual([theirs.length, 0]);
});
