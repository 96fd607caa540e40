/** How promises are watched: what is excused, what is one breach, and from when to when it was one. */
import { describe, expect, it } from "vitest";
import { instant, sec } from "../../../src/core/time.ts";
import type { Invariant, View } from "../../../src/core/view.ts";
import { breaches, done, said } from "../../support/entries.ts";

const cut = (at: number) => done(at, { verb: "cut" });
const SETTLE = sec(2);

/** Of a state: broken between `bad` and `good`. */
const state: Invariant<unknown> = {
  name: "state",
  source: "test",
  settle: SETTLE,
  view: {
    initial: () => false,
    fold: (bad, { what }) => (what.kind === "event" ? what.event.type === "bad" : bad),
  },
  broken: (bad) => (bad === true ? "it is bad" : undefined),
};

describe("a state that must not be", () => {
  it("is a breach from when it is so, or from when its excuse ends, until it is so no more", () => {
    const log = [said(3, "n", { type: "bad" }), said(4, "n", { type: "good" })];
    expect(breaches(state, 9, ...log)).toEqual(["3..4: it is bad"]);
    expect(breaches(state, 9, said(1, "n", { type: "bad" }), said(4, "n", { type: "good" }))).toEqual([
      "2..4: it is bad",
    ]);
    expect(breaches(state, 9, said(1, "n", { type: "bad" }), said(2, "n", { type: "good" }))).toEqual([]);
    expect(breaches(state, 9, said(3, "n", { type: "bad" }))).toEqual(["3..9: it is bad"]);
  });

  it("is excused anew by each command to the world, which ends a breach that stood", () => {
    expect(breaches(state, 9, said(3, "n", { type: "bad" }), cut(5), said(6, "n", { type: "good" }))).toEqual([
      "3..5: it is bad",
    ]);
    expect(breaches(state, 9, said(3, "n", { type: "bad" }), cut(5))).toEqual(["3..5: it is bad", "7..9: it is bad"]);
  });
});

interface Late {
  readonly names: Map<string, number>;
}

/** Of many things, each of which may be wrong for a second. */
const patient: Invariant<unknown> = {
  name: "patient",
  source: "test",
  settle: SETTLE,
  view: {
    initial: (): Late => ({ names: new Map() }),
    fold: (late, { at, node, what }) => {
      if (what.kind === "event" && what.event.type === "late") late.names.set(node, at);
      else late.names.delete(node);
      return late;
    },
  } satisfies View<Late> as View<unknown>,
  broken: (view) => {
    const [first] = (view as Late).names.keys();
    return first === undefined ? undefined : `${first} is late`;
  },
  from: (view) => {
    const [first] = (view as Late).names.values();
    return instant((first ?? 0) + sec(1));
  },
};

describe("things of which each may be wrong for a while", () => {
  it("are no breach as long as none is wrong for longer, although one or the other always is", () => {
    const log = [];
    for (let i = 0; i < 20; i++) {
      log.push(said(3 + i / 2, `n${i}`, { type: "late" }), said(3.7 + i / 2, `n${i}`, { type: "in time" }));
    }
    expect(breaches(patient, 20, ...log.toSorted((a, b) => a.at - b.at))).toEqual([]);
  });

  it("are a breach by the one that is, from the end of its time, even when nothing more is said", () => {
    const log = [said(3, "slow", { type: "late" }), said(3.5, "quick", { type: "late" })];
    expect(breaches(patient, 9, ...log, said(3.9, "quick", { type: "in time" }))).toEqual(["4..9: slow is late"]);
    const recovered = [...log, said(6, "slow", { type: "in time" }), said(7, "quick", { type: "in time" })];
    expect(breaches(patient, 9, ...recovered)).toEqual(["4..6: slow is late", "4.5..7: quick is late"]);
  });

  it("have all the time of the settling, too", () => {
    expect(breaches(patient, 9, said(0, "slow", { type: "late" }), cut(3))).toEqual([
      "2..3: slow is late",
      "5..9: slow is late",
    ]);
  });
});

const moments: Invariant<unknown> = {
  name: "moments",
  source: "test",
  settle: SETTLE,
  view: { initial: () => undefined, fold: (view) => view },
  broken: () => undefined,
  moment: (_, { what, node }) => (what.kind === "event" && what.event.type === "bad" ? `${node} did it` : undefined),
};

describe("an event that must not be", () => {
  it("is a breach of no length, those in a row are one, and the first words are kept", () => {
    expect(breaches(moments, 9, said(3, "a", { type: "bad" }))).toEqual(["3..3: a did it"]);
    const row = [3, 3.9, 4.8].map((at, i) => said(at, `n${i}`, { type: "bad" }));
    expect(breaches(moments, 9, ...row)).toEqual(["3..4.8: n0 did it"]);
    expect(breaches(moments, 9, ...row, said(6, "z", { type: "bad" }))).toEqual([
      "3..4.8: n0 did it",
      "6..6: z did it",
    ]);
  });

  it("is excused while the network settles", () => {
    expect(breaches(moments, 9, said(1.9, "a", { type: "bad" }), cut(5), said(6, "a", { type: "bad" }))).toEqual([]);
  });

  it("of many only the first are kept, and the number of the others", () => {
    const log = Array.from({ length: 40 }, (_, i) => said(3 + 2 * i, `n${i}`, { type: "bad" }));
    const found = breaches(moments, 99, ...log);
    expect(found).toHaveLength(16);
    expect(found[15]).toBe("33..33: n15 did it (and 24 more times)");
  });
});
