import fc from "fast-check";
import { expect, test } from "vitest";
import { earliestOf, enter, hurry, nextDue, type Waiting } from "../../../protocols/vrrp/deadlines.ts";
import { instant, NEVER } from "../../../src/core/time.ts";

test("whatever moves earlier or later: no deadline is missed, and each item is found once it is due", () => {
  const move = fc.tuple(fc.nat(19), fc.option(fc.nat(1_000), { nil: undefined }));
  fc.assert(
    fc.property(fc.array(fc.array(move, { maxLength: 8 }), { maxLength: 40 }), (rounds) => {
      const heap: Waiting[] = [];
      const items = Array.from({ length: 20 }, (): Waiting => ({ due: NEVER, queued: NEVER, place: 0 }));
      for (const item of items) enter(heap, item);
      let now = 0;
      for (const round of rounds) {
        for (const [index, after] of round) {
          const item = items[index];
          if (item === undefined) continue;
          item.due = after === undefined ? NEVER : instant(now + after);
          hurry(heap, item);
        }
        expect(earliestOf(heap)).toBeLessThanOrEqual(Math.min(...items.map(({ due }) => due)));
        now += 200;
        const due = new Set(items.filter((item) => item.due <= now));
        for (let item = nextDue(heap, instant(now)); item !== undefined; item = nextDue(heap, instant(now))) {
          expect(due.delete(item)).toBe(true);
          item.due = NEVER;
        }
        expect(due.size).toBe(0);
      }
    }),
  );
});
