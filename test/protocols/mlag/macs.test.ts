/** Stations of a pair: what one bridge hears, both know. */
import { describe, expect, it } from "vitest";
import { heardHere, heardThere, judgeAgain, ownAddress } from "../../../protocols/mlag/macs.ts";
import { mac } from "../../support/probe.ts";
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

  it("M40: a switch's own address is right against what is heard, wherever it is heard, and goes only with the switch", () => {
    const own = mac("02:00:00:00:00:0b");
    const pair = settled()
      .do("b", (state) => ownAddress(state, 1, own, true))
      .after(1);
    expect(pair.stations("a").get(own)).toMatchObject({ port: "peer", peer: true });
    // Somebody at the other switch says that he has it.
    pair.speak("a", "agg1", own).after(1);
    expect(pair.stations("a").get(own)).toMatchObject({ port: "peer", local: false, peer: true });
    pair.after(200);
    expect(pair.stations("a").get(own)?.port).toBe("peer");
    pair.do("b", (state) => ownAddress(state, 1, own, false)).after(1);
    expect(pair.stations("a").has(own)).toBe(false);
  });

  it("M41: a station that moved while the session was lost is where it spoke last, also when the switch was rebooted", () => {
    const pair = settled().speak("b", "agg1", A).after(1).power("b", false).after(5).power("b", true);
    pair.until(pair.now / 1e6 + 0.01);
    pair.setPeerLink(false).after(3).speak("b", "agg2", A).after(1).setPeerLink(true).after(1);
    expect(where(pair)).toBe("a agg2 peer, b agg2 local");
  });

  it("M42: words of one moment are judged anew when the roles change that decide between them", () => {
    const pair = settled().speak("b", "agg2", A).after(1);
    const { tables } = pair.b.core;
    const sequence = tables.mac.entries.get(`1 ${A}`)?.mine?.sequence ?? 0;
    const word = { vlan: 1, mac: mac(A), id: 1, permanent: false, sequence, present: true };
    pair.do("b", (state, now) => {
      state.role = "primary";
      judgeAgain(state);
      heardThere(state, [word], now);
    });
    expect(pair.stations("b").get(A)).toEqual({ port: "agg2", local: true, peer: false });
    pair.do("b", (state) => {
      state.role = "secondary";
      judgeAgain(state);
    });
    expect(pair.stations("b").get(A)).toEqual({ port: "agg1", local: false, peer: true });
  });

  it("M49: two words that did not arrive are found by both audits, and both sides conclude the same from them", () => {
    const pair = settled();
    pair.passes = (item) => item.kind !== "macs";
    pair.speak("a", "agg1", A).speak("b", "agg2", A).after(1);
    expect(where(pair)).toBe("a agg1 local, b agg2 local");
    pair.passes = () => true;
    expect(where(pair.after(30))).toBe("a agg1 local, b agg1 peer");
  });

  it("M50: what was behind the peer link, and what the peer no longer has after a loss, is swept when it has said all", () => {
    const pair = settled().speak("b", "orphan", A).speak("b", "orphan", "02:aa:00:00:00:02").after(1);
    pair.breakSession();
    // While there is no session, what is known stays known.
    expect(where(pair)).toBe("a peer local, b orphan local");
    pair.b.bridge.table.age(pair.now / 1e3, () => true);
    for (const { mac: station } of pair.b.core.tables.mac.entries.values()) {
      const gone = {
        type: "mac.aged",
        vlan: 1,
        mac: station,
        port: "orphan",
        origin: "local",
        reason: "ageing",
      } as const;
      if (station === A) pair.do("b", (state, now) => heardHere(state, gone, now));
    }
    pair.after(1);
    expect(where(pair)).toBe("a none, b none");
    expect(pair.stations("a").get("02:aa:00:00:00:02")).toMatchObject({ port: "peer", local: false, peer: true });
  });

  it("M45: a switch that returns without a VLAN has no station in it, and the other forgets those that it had there", () => {
    const pair = settled();
    const event = { type: "mac.learned", vlan: 1, mac: mac(A), port: "orphan", origin: "local" } as const;
    pair.do("b", (state, now) => heardHere(state, event, now)).after(1);
    expect(where(pair)).toBe("a peer peer, b none");
    pair.power("b", false).after(1).power("b", true).after(1);
    expect(where(pair)).toBe("a none, b none");
  });
});
