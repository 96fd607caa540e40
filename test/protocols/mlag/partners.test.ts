/** Whether both halves see one host, when that host changes its name: a pair behind it that falls back to its own. */
import { describe, expect, it } from "vitest";
import * as core from "../../../protocols/mlag/core.ts";
import { mac } from "../../support/probe.ts";
import { Pair } from "./pair.ts";

const FULL = "a1+ a2+ b1+ b2+";
const renamed = { system: mac("02:cc:00:00:00:99"), priority: 32_768, key: 1 };

function settled(): Pair {
  return new Pair({}).boot().until(10);
}

/** The half of that switch hears that its partner is called otherwise. */
function hears(pair: Pair, name: "a" | "b"): Pair {
  return pair.do(name, (state, now) => core.partnerChanged(state, "agg1", renamed, now));
}

describe("row 17", () => {
  it.each([
    ["a", "b"],
    ["b", "a"],
  ] as const)("a host that is renamed is heard of by %s first: no half leaves it", (first, second) => {
    const pair = hears(settled(), first).after(0.4);
    hears(pair, second).until(13);
    expect(pair.carrying).toBe(FULL);
    expect(pair.story("mlag.member", 10)).toEqual([]);
  });

  it("M56: two names for more than 500 ms are two hosts: the secondary's half drains and gives way", () => {
    const pair = hears(settled(), "b").until(10.499);
    expect(pair.b.bundles.get(1)).toMatchObject({ hold: false, suspended: false });
    pair.until(10.5);
    expect(pair.b.bundles.get(1)).toMatchObject({ hold: true, suspended: false });
    pair.until(10.8);
    expect([pair.carrying, pair.member("b", 1)?.reason]).toEqual(["a1+ a2+ b1- b2+", "partner-mismatch"]);
  });

  it("M56: a half that comes up with another host than its peer's is never borne", () => {
    const pair = settled().setCable("b", 1, false).until(11);
    pair.setCable("b", 1, true);
    hears(pair, "b").after(0.000_5);
    expect(pair.member("b", 1)).toMatchObject({ state: "suspended", reason: "partner-mismatch" });
    expect(pair.carrying).toBe("a1+ a2+ b1- b2+");
  });
});
