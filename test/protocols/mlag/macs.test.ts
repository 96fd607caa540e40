/** Stations of a pair: what one bridge hears, both know. */
import { describe, expect, it } from "vitest";
import { Pair } from "./pair.ts";

const A = "02:aa:00:00:00:01";

function settled(): Pair {
  return new Pair().boot().until(10);
}

function where(pair: Pair): string {
  return (["a", "b"] as const)
    .map((name) => {
      const found = pair.stations(name).get(A);
      const who = found === undefined ? "" : ` ${found.local ? "local" : ""}${found.peer ? "peer" : ""}`;
      return `${name} ${found?.port ?? "none"}${who}`;
    })
    .join(", ");
}

describe("synchronisation", () => {
  it("M35: a station of an M-LAG is on the same M-LAG at the other within 50 ms", () => {
    expect(where(settled().speak("a", "agg1", A).after(0.05))).toBe("a agg1 local, b agg1 peer");
  });

  it("M36: an orphan's station is behind the peer link at the other", () => {
    expect(where(settled().speak("b", "orphan", A).after(0.05))).toBe("a peer peer, b orphan local");
  });

  it("M39: heard on both sides, aged on one, gone when aged on both", () => {
    const pair = settled().speak("a", "agg1", A).until(40).speak("b", "agg1", A).until(50);
    expect(where(pair)).toBe("a agg1 localpeer, b agg1 localpeer");
    expect(where(pair.until(71))).toBe("a agg1 peer, b agg1 local");
    expect(where(pair.until(101))).toBe("a none, b none");
  });

  it.each([
    ["orphan to M-LAG", "a", "orphan", "b", "agg2", "a agg2 peer, b agg2 local"],
    ["M-LAG to M-LAG", "a", "agg1", "b", "agg2", "a agg2 peer, b agg2 local"],
    ["orphan to orphan of the other", "a", "orphan", "b", "orphan", "a peer peer, b orphan local"],
    ["M-LAG to orphan", "a", "agg1", "a", "orphan", "a orphan local, b peer peer"],
  ] as const)("M41: a move from %s ends equal on both", (_what, from, port, to, other, expected) => {
    const pair = settled().speak(from, port, A).after(1).speak(to, other, A).after(1);
    expect(where(pair)).toBe(expected);
  });

  it("M42: heard at both at the same moment on different ports: the primary is right, on both", () => {
    expect(where(settled().speak("a", "agg1", A).speak("b", "agg2", A).after(1))).toBe("a agg1 local, b agg1 peer");
    expect(where(settled().speak("b", "orphan", A).speak("a", "orphan", A).after(1))).toBe(
      "a orphan local, b peer peer",
    );
  });

  it("M42: five moves in ten seconds are an alarm", () => {
    const pair = settled();
    for (let i = 0; i < 7; i++) pair.speak("a", i % 2 === 0 ? "agg1" : "orphan", A).after(0.5);
    expect(pair.story("mlag.alarm").filter((line) => line.includes(" a "))).toEqual(["12.5 a mac-flap true"]);
  });

  it("M38: the peer dies: what only it knew on an M-LAG stays, and ages", () => {
    const pair = settled().speak("b", "agg1", A).until(20).power("b", false).until(40);
    expect(where(pair)).toMatch(/^a agg1 local,/);
    expect(where(pair.until(79.9))).toMatch(/^a agg1 local,/);
    expect(where(pair.until(80.1))).toMatch(/^a none,/);
  });

  it("M37: while a half is down its stations stay, and the traffic of the other half keeps them", () => {
    const pair = settled().speak("a", "agg1", A).after(1).setCable("a", 1, false);
    for (let i = 0; i < 4; i++) pair.speak("b", "agg1", A).after(30);
    expect(where(pair)).toBe("a agg1 peer, b agg1 local");
  });

  it("M50: a peer that returns gets all stations, and keeps none of an earlier session that nobody has", () => {
    const pair = settled().speak("a", "agg1", A).until(20).power("b", false).until(30).power("b", true).until(31);
    expect(where(pair)).toBe("a agg1 local, b agg1 peer");
    expect(where(pair.until(71))).toBe("a none, b none");
  });

  it("M43: 16,000 stations, all that a bridge takes by default, are in the first words to a joining peer", () => {
    const pair = new Pair({ a: { "auto-recovery": "5s" } }).power("a", true).until(10);
    for (let i = 0; i < 16_000; i++) {
      const tail = [i >> 8, i & 0xff].map((octet) => octet.toString(16).padStart(2, "0")).join(":");
      pair.speak("a", "agg1", `02:bb:00:00:${tail}`);
    }
    pair.power("b", true).until(11);
    expect(pair.stations("b").size).toBe(16_000);
  });
});
