/** The alarm, by the kernel's own clock. */
import { describe, expect, test } from "vitest";
import { type Instant, instant, us } from "../../../src/core/time.ts";
import { Alarm, monotonic } from "../../../src/host/linux/alarm.ts";
import { openLibc } from "../../../src/host/linux/libc.ts";

const opened = openLibc();
const libc = opened.ok ? opened.libc : undefined;

/** What happens by an alarm that is set for `wait` microseconds from now, until it has rung. */
async function rings(wait: number, wanted: (at: Instant) => boolean) {
  if (libc === undefined) throw new Error("no libc");
  const done: { readonly what: "prelude" | "ring"; readonly at: Instant }[] = [];
  const due = instant(monotonic() + wait);
  await new Promise<void>((resolve) => {
    const alarm = new Alarm(
      libc,
      () => {
        done.push({ what: "ring", at: monotonic() });
        alarm.close();
        resolve();
      },
      { wanted, play: () => done.push({ what: "prelude", at: monotonic() }) },
    );
    alarm.set(due);
  });
  return { due, done };
}

describe.skipIf(libc === undefined)("an alarm", () => {
  test("never rings before its time", async () => {
    const { due, done } = await rings(20_000, () => false);
    expect(done.map(({ what }) => what)).toEqual(["ring"]);
    expect(done[0]?.at).toBeGreaterThanOrEqual(due);
  });

  test("has its prelude before, where it wants one", async () => {
    const asked: Instant[] = [];
    const { due, done } = await rings(20_000, (at) => asked.push(at) > 0);
    expect(done.map(({ what }) => what)).toEqual(["prelude", "ring"]);
    expect(done[1]?.at).toBeGreaterThanOrEqual(due);
    expect(new Set(asked)).toEqual(new Set([due]));
  });

  test("has none that it no longer wants when it is time for it", async () => {
    let asked = 0;
    const { done } = await rings(20_000, () => asked++ === 0);
    expect(asked).toBeGreaterThan(1);
    expect(done.map(({ what }) => what)).toEqual(["ring"]);
  });

  test("leaves no time for one where it is close", async () => {
    const { done } = await rings(us(2_000), () => true);
    expect(done.map(({ what }) => what)).toEqual(["ring"]);
  });
});
