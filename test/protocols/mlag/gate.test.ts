/** The gate of a half (M30), and who carries for a host without LACP (row 19). Times in milliseconds. */
import { describe, expect, it } from "vitest";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import { acknowledged, gate, isGated, noteEnd, yields } from "../../../protocols/mlag/gate.ts";
import { type Half, initialState, type MlagState } from "../../../protocols/mlag/state.ts";
import { instant } from "../../../src/core/time.ts";
import { mac } from "../../support/probe.ts";

const CONFIG = mlagSchema.parse({
  domain: 1,
  "peer-link": "peer",
  keepalive: { port: "ka", address: "10.0.0.1/30", peer: "10.0.0.2" },
  members: [{ port: "agg1", id: 1 }],
});
const PARTNER = { system: mac("02:cc:00:00:00:01"), priority: 1, key: 1 };

/** A half in a session, wanted, whose only link says `word`. */
class Gate {
  readonly state: MlagState = initialState(CONFIG, mac("02:00:00:00:00:01"));
  readonly half: Half;

  constructor(word?: Parameters<typeof noteEnd>[2]) {
    const [half] = this.state.halves;
    if (half === undefined) throw new Error("no half");
    this.half = half;
    this.state.session = true;
    half.partner = PARTNER;
    if (word !== undefined) noteEnd(half, "p1", word);
  }

  at(ms: number, change: Partial<Half> = {}, wanted = true): string {
    Object.assign(this.half, change);
    gate(this.state, this.half, wanted, instant(ms * 1_000));
    return this.half.gate;
  }

  ack(ms: number): void {
    acknowledged(this.state, this.half, instant(ms * 1_000));
  }

  /** What the peer has been asked for, in order. */
  get asked(): readonly boolean[] {
    return this.state.tells.flatMap((item) => (item.kind === "isolate" ? [item.isolated] : []));
  }
}

describe("the gate", () => {
  it("M30: is asked for when a partner is heard, and taken back when it falls silent", () => {
    const one = new Gate("heard");
    expect([one.at(0), isGated(one.state, one.half)]).toEqual(["asked", true]);
    one.ack(1);
    expect([one.at(1), isGated(one.state, one.half)]).toEqual(["open", false]);
    noteEnd(one.half, "p1", "silent");
    expect(one.at(2)).toBe("closed");
    expect(one.asked).toEqual([true, false]);
  });

  it("M30: the peer need not isolate for a half whose partner stands by: after 100 ms, and after 3 s where it agrees", () => {
    for (const [word, patience] of [
      ["heard", 100],
      ["in-sync", 3_000],
    ] as const) {
      const one = new Gate(word);
      one.at(0);
      one.ack(1);
      expect([one.at(1), one.at(patience), one.at(patience + 1)]).toEqual(["open", "open", "lapsed"]);
      expect(one.asked).toEqual([true, false]);
      // Ready all the same: when the partner comes, nobody waits for anything.
      expect(isGated(one.state, one.half)).toBe(false);
      expect(one.at(9_000, { collects: true })).toBe("asked");
      expect([one.asked.at(-1), isGated(one.state, one.half)]).toEqual([true, false]);
    }
  });

  it("a partner that agrees while it is waited for is waited for longer", () => {
    const one = new Gate("heard");
    one.at(0);
    one.ack(1);
    one.at(1);
    noteEnd(one.half, "p1", "in-sync");
    expect([one.at(50), one.at(2_000), one.at(3_049), one.at(3_050)]).toEqual(["open", "open", "open", "lapsed"]);
  });

  it("a half that was told to wait does so, though lacp said that it was up before it heard of it", () => {
    const one = new Gate("in-sync");
    expect(one.at(0, { up: true, hold: true })).toBe("asked");
    expect(isGated(one.state, one.half)).toBe(true);
    one.ack(1);
    expect([one.at(1), isGated(one.state, one.half)]).toEqual(["open", false]);
  });

  it("a half that carries is not held for it, and goes on without an answer", () => {
    const one = new Gate("in-sync");
    expect([one.at(0, { up: true, hold: false }), isGated(one.state, one.half)]).toEqual(["asked", false]);
    expect([one.at(999), one.at(1_000), one.half.capped]).toEqual(["asked", "open", true]);
  });
});

describe("row 19: a host without LACP", () => {
  it("is asked for as one with LACP is: a fallback is a partner to the gate", () => {
    for (const mode of ["individual", "static"] as const) expect(new Gate(mode).at(0)).toBe("asked");
    expect(new Gate("silent").at(0)).toBe("closed");
  });

  it("individual: the secondary's half stays out while the primary's carries, or is about to; static: both carry", () => {
    const found = (word: "individual" | "static", change: Partial<Half>, role: "primary" | "secondary") => {
      const one = new Gate(word);
      Object.assign(one.half, { partner: undefined, ...change });
      one.state.role = role;
      return yields(one.state, one.half);
    };
    expect(found("individual", { peer: "up" }, "secondary")).toBe(true);
    expect(found("individual", { peer: "down", peerAsks: true }, "secondary")).toBe(true);
    expect(found("individual", { peer: "down" }, "secondary")).toBe(false);
    expect(found("individual", { peer: "up" }, "primary")).toBe(false);
    expect(found("static", { peer: "up" }, "secondary")).toBe(false);
    // The host does speak LACP, on the other half: whoever hears none is the one that is wrong.
    expect(found("individual", { peer: "up", peerPartner: PARTNER }, "primary")).toBe(true);
  });
});
