import { expect, test } from "vitest";
import { instant } from "../../../src/core/time.ts";
import { WallClock } from "../../../src/host/linux/wall-clock.ts";

test("what the wall clock shows is told once, and again when it was set, either way", () => {
  let wall = 1_795_219_200_000;
  const clock = new WallClock(() => wall);
  const at = (seconds: number) => clock.news(instant(seconds * 1_000_000));
  expect(at(10)).toEqual({ type: "host.clock", utc: 1_795_219_190_000_000 });
  wall += 1_001;
  expect(at(11)).toBeUndefined();
  wall += 1_000 + 3_600_000;
  expect(at(12)).toEqual({ type: "host.clock", utc: 1_795_222_790_001_000 });
  wall += 1_000 - 7_200_000;
  expect(at(13)).toEqual({ type: "host.clock", utc: 1_795_215_590_001_000 });
  expect(at(13)).toBeUndefined();
});
