/** Planned work, announced restarts, standstills, and what is shown of waits. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MaintenanceCommand } from "../../../protocols/mlag/config.ts";
import * as core from "../../../protocols/mlag/core.ts";
import { announceRestart, demote } from "../../../protocols/mlag/grace.ts";
import { orderMaintenance, partnerRate } from "../../../protocols/mlag/maintenance.ts";
import { type Name, Pair } from "./pair.ts";

const FULL = "a1+ a2+ b1+ b2+";

function settled(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  return new Pair(options).boot().until(10);
}

function order(pair: Pair, name: Name, more: Partial<MaintenanceCommand> = {}): Pair {
  const command: MaintenanceCommand = { verb: "maintenance", on: true, of: "reboot", force: false, ...more };
  return pair.do(name, (state, now) => orderMaintenance(state, command, now));
}

const answers = (pair: Pair) =>
  pair.lines.flatMap(({ event }) =>
    event.type === "mlag.maintenance" ? [`${event.refused ? "refused" : "done"} ${event.reason}: ${event.detail}`] : [],
  );

describe("maintenance", () => {
  it.each(["reboot", "peer-link"] as const)(
    "M82: (%s) nothing speaks against it: members drain, and the peer has all",
    (of) => {
      const pair = order(settled(), "a", { of }).until(11);
      expect(answers(pair)).toEqual(["done operator: "]);
      expect([pair.roles, pair.carrying]).toEqual(["secondary primary", "a1- a2- b1+ b2+"]);
      // The work on the peer link costs nobody anything then.
      if (of === "peer-link") pair.setPeerLink(false).until(20).setPeerLink(true).until(25);
      expect(pair.carrying).toBe("a1- a2- b1+ b2+");
      order(pair, "a", { of, on: false }).after(1);
      expect(pair.carrying).toBe(FULL);
    },
  );

  it.each<[string, (pair: Pair) => void, string]>([
    [
      "the keepalive is down",
      (pair) => pair.setKeepalive(false).until(20),
      "no-keepalive: the keepalive is down: a loss of the peer link would be taken for one of the peer",
    ],
    [
      "an M-LAG has one leg",
      (pair) => pair.setCable("b", 2, false).until(20),
      "single-leg: M-LAG 2 has only the half here",
    ],
    [
      "a partner uses slow LACP",
      (pair) => pair.do("a", (state) => partnerRate(state, "agg1", "p1", true)),
      "slow-partner: the partner of M-LAG 1 uses slow LACP on p1: it would miss this switch for 90 s",
    ],
    [
      "there is no peer",
      (pair) => pair.power("b", false).until(12),
      "no-peer: there is no session with a peer that could take over; M-LAG 1 has only the half here; M-LAG 2 has only the half here",
    ],
  ])("M82: it is refused while %s, with the reason, and done by force", (_what, harm, words) => {
    for (const of of ["reboot", "peer-link"] as const) {
      const pair = settled();
      harm(pair);
      const before = pair.carrying;
      order(pair, "a", { of }).after(1);
      expect([pair.carrying, pair.a.core.maintenance]).toEqual([before, false]);
      expect(answers(pair)).toEqual([`refused ${words}`]);
      order(pair, "a", { of, force: true }).after(1);
      expect(pair.a.core.maintenance).toBe(true);
      expect(answers(pair)[1]).toBe(`done operator: ${words.slice(words.indexOf(": ") + 2)}`);
    }
  });

  it("M82: a partner that asks for fast LACP after all is no reason any more, and the way back is never refused", () => {
    const pair = settled().do("a", (state) => partnerRate(state, "agg1", "p1", true));
    pair.do("a", (state) => partnerRate(state, "agg1", "p1", false));
    order(pair, "a").until(11).setKeepalive(false).until(20);
    order(pair, "a", { on: false }).after(1);
    expect([answers(pair), pair.carrying]).toEqual([["done operator: ", "done operator: "], FULL]);
  });
});

describe("an orderly leave", () => {
  it("M26: partners leave the members before they are suspended; then nothing runs; `start` brings all back", () => {
    const pair = settled().do("a", (state, now) => core.leave(state, "upgrade", now));
    expect([pair.b.core.goodbye, pair.a.bundles.get(1)]).toMatchObject([undefined, { hold: true, suspended: false }]);
    pair.after(0.1);
    // Said while members drain: the peer knows before anything happens.
    expect([pair.b.core.goodbye, pair.a.bundles.get(1)?.up, pair.a.core.running]).toEqual(["upgrade", true, true]);
    pair.after(0.4);
    expect([pair.carrying, pair.a.core.running]).toEqual(["a1- a2- b1+ b2+", false]);
    expect(pair.member("a", 1)).toMatchObject({ state: "suspended", reason: "leaving" });
    pair.power("a", false).after(0.01);
    expect(pair.b.core.role).toBe("primary");
    const back = settled()
      .do("a", (state, now) => core.leave(state, "shutdown", now))
      .after(1);
    back.do("a", core.start).after(5);
    expect(back.carrying).toBe(FULL);
  });
});

describe("an announced restart", () => {
  const restart = (pair: Pair) => pair.do("a", announceRestart).after(0.01);

  it("M63, row 21: within the grace no role, no member, no isolation and no station changes on either side", () => {
    const pair = settled().speak("a", "orphan", "02:aa:00:00:00:01").speak("b", "agg1", "02:aa:00:00:00:02").until(12);
    const isolations = pair.isolations.length;
    restart(pair).disconnect(29).until(41);
    expect(pair.stations("b").get("02:aa:00:00:00:01")).toMatchObject({ port: "peer" });
    pair.until(60);
    expect(pair.carrying).toBe(FULL);
    const said = pair.lines.filter(({ at, event }) => at > 12 && !["mlag.keepalive"].includes(event.type));
    expect(said.map(({ node, event }) => `${node} ${event.type} ${"reason" in event ? event.reason : ""}`)).toEqual([
      "a mlag.session restart",
      "b mlag.session restart",
      "a mlag.session restart",
      "b mlag.session restart",
    ]);
    expect(pair.isolations).toHaveLength(isolations);
    expect(pair.stations("b").get("02:aa:00:00:00:01")).toMatchObject({ port: "peer" });
    expect(pair.roles).toBe("primary secondary");
  });

  it("M63: a restart that takes longer than the grace is what any loss is", () => {
    const pair = restart(settled()).disconnect(60).until(39.9);
    expect(pair.carrying).toBe(FULL);
    pair.until(45);
    expect(pair.story("mlag.session", 30)).toEqual(
      ["40.01 a down session-lost", "40.0105 b down session-lost"].map((line) =>
        expect.stringContaining(line.slice(6)),
      ),
    );
    expect(pair.carrying).toBe("a1+ a2+ b1- b2-");
    const dead = restart(settled()).power("a", false).until(60);
    expect([dead.b.core.role, dead.carrying]).toEqual(["primary", "a1- a2- b1+ b2+"]);
  });

  it("M63: a peer link that loses carrier is no restart, whatever was announced", () => {
    const pair = restart(settled()).setPeerLink(false).after(1);
    expect(pair.carrying).toBe("a1+ a2+ b1- b2-");
  });

  it("M63: without a word nothing is borne: the session is lost", () => {
    const pair = settled().disconnect(5).after(1);
    expect(pair.carrying).toBe("a1+ a2+ b1- b2-");
  });
});

describe("a standstill", () => {
  it("M14, row 23: a primary that stood still gives the role away and holds its members until the pair has agreed anew", () => {
    const pair = settled().do("a", (state, now) => {
      demote(state, now);
      core.settle(state, now);
    });
    expect(pair.a.bundles.get(1)?.hold).toBe(true);
    pair.after(1);
    expect([pair.roles, pair.carrying]).toEqual(["secondary primary", "a1- a2- b1+ b2+"]);
    expect(pair.story("mlag.role", 10)[0]).toBe("10 a secondary stalled");
    pair.after(3);
    expect(pair.carrying).toBe(FULL);
  });

  it("M14: one without a peer goes on, and one that has announced it, too", () => {
    const alone = settled()
      .do("b", (state, now) => core.leave(state, "shutdown", now))
      .after(1)
      .power("b", false)
      .after(1);
    alone.do("a", (state, now) => {
      demote(state, now);
      core.settle(state, now);
    });
    expect(alone.after(1).carrying).toBe("a1+ a2+ b1- b2-");
    const announced = settled().do("a", announceRestart);
    announced.do("a", (state, now) => {
      demote(state, now);
      core.settle(state, now);
    });
    expect([announced.after(1).roles, announced.carrying]).toEqual(["primary secondary", FULL]);
  });
});

describe("what is shown of waits and of isolation", () => {
  it("M60: a member that waits says until when", () => {
    const pair = new Pair({ both: { "restore-delay": "20s" } }).boot().until(5);
    expect(pair.member("a", 1)).toMatchObject({ reason: "restore-delay", until: 20_020_500 });
    pair.until(21);
    expect(pair.member("a", 1)?.until).toBeUndefined();
    const alone = new Pair().power("a", true).until(5);
    expect(alone.member("a", 1)).toMatchObject({ reason: "start", until: 240_000_000 });
  });

  it("M62: a member that is dampened says until when, and by which penalty", () => {
    const pair = settled({ both: { "restore-delay": "8s" } });
    for (let i = 0; i < 4; i++) pair.setPeerLink(false).after(3).setPeerLink(true).after(3);
    const said = pair.member("b", 1);
    expect(said).toMatchObject({ reason: "dampened", until: expect.any(Number) });
    expect(said?.detail).toMatch(/^penalty \d{4} for losses of the session; members return at 750$/);
    pair.until((said?.until ?? 0) / 1e6 - 0.1);
    expect(pair.carrying).toBe("a1+ a2+ b1- b2-");
    expect(pair.after(1).carrying).toBe(FULL);
  });

  it("M56, M57: what a conflict of partners is about names both", () => {
    const stranger = { system: "02:cc:00:00:00:99" as never, priority: 32_768, key: 1 };
    const two = settled()
      .do("b", (state, now) => core.partnerChanged(state, "agg1", stranger, now))
      .until(12);
    expect(two.member("b", 1)?.detail).toBe(
      "02:cc:00:00:00:99 (priority 32768, key 1) here, 02:cc:00:00:00:01 (priority 32768, key 1) at the peer",
    );
    const first = { ...stranger, system: "02:cc:00:00:00:01" as never };
    const twice = settled().do("b", (state, now) => core.partnerChanged(state, "agg2", first, now));
    twice.do("a", (state, now) => core.partnerChanged(state, "agg2", first, now)).until(12);
    expect(twice.member("b", 2)?.detail).toBe("02:cc:00:00:00:01 (priority 32768, key 1) is on M-LAG 1 and on M-LAG 2");
  });

  it("M33: isolation is said as wanted, installed, and acknowledged, of both sides", () => {
    const pair = settled();
    const last = (name: Name) =>
      pair.isolations.findLast(({ node, event }) => node === name && "id" in event && event.id === 1);
    for (const name of ["a", "b"] as const) {
      expect(last(name)?.event).toMatchObject({
        wanted: true,
        installed: "all",
        asked: true,
        acknowledged: true,
        peerWanted: true,
        peerInstalled: true,
      });
    }
    pair.setCable("a", 1, false).after(1);
    expect(last("b")?.event).toMatchObject({ wanted: false, installed: "none" });
    expect(last("a")?.event).toMatchObject({ wanted: true, installed: "all", asked: false, acknowledged: false });
  });

  it("M30: the alarm for an acknowledgement that did not come is over when it comes", () => {
    const pair = settled().setCable("a", 1, false).after(1);
    let late: (() => void) | undefined;
    pair.passes = (item) => {
      if (item.kind !== "isolateAck") return true;
      late = () => pair.do("a", (state, now) => core.heardItems(state, [item], now));
      return false;
    };
    pair.setCable("a", 1, true).until(13);
    expect(pair.story("mlag.alarm", 11)).toEqual(["12.001 a isolation-cap true"]);
    late?.();
    expect(pair.story("mlag.alarm", 11)).toEqual(["12.001 a isolation-cap true", "13 a isolation-cap false"]);
  });
});

describe("for any six of orders and faults, at any distance", () => {
  const name = fc.constantFrom<Name>("a", "b");
  const act = fc.oneof(
    fc.record({ kind: fc.constant("maintenance" as const), name, on: fc.boolean(), force: fc.boolean() }),
    fc.record({ kind: fc.constantFrom("leave", "start", "restart", "stall", "preempt", "power"), name }),
    fc.record({ kind: fc.constant("disconnect" as const), seconds: fc.constantFrom(0.1, 5, 40) }),
    fc.record({ kind: fc.constantFrom("peer-link", "keepalive"), up: fc.boolean() }),
  );
  const wait = fc.constantFrom(0, 0.0004, 0.01, 0.25, 4, 9, 30);

  function apply(pair: Pair, one: typeof act extends fc.Arbitrary<infer A> ? A : never): void {
    if ("seconds" in one) pair.disconnect(one.seconds);
    else if ("on" in one) order(pair, one.name, { on: one.on, force: one.force });
    else if ("up" in one) one.kind === "keepalive" ? pair.setKeepalive(one.up) : pair.setPeerLink(one.up);
    else if (one.kind === "power") pair.power(one.name, !pair.side(one.name).alive);
    else
      pair.do(one.name, (state, now) => {
        if (one.kind === "leave") core.leave(state, "upgrade", now);
        else if (one.kind === "start") core.start(state, now);
        else if (one.kind === "restart") announceRestart(state, now);
        else if (one.kind === "stall") demote(state, now);
        else core.preempt(state, now);
        core.settle(state, now);
      });
  }

  it("M26, M63, M82, M14: when all is whole again and nobody holds back, there is one primary and all halves carry", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ act, wait }), { minLength: 1, maxLength: 6 }), (acts) => {
        const pair = settled({ both: { "auto-recovery": "20s" } });
        for (const one of acts) {
          apply(pair, one.act);
          pair.after(one.wait);
        }
        pair.after(45).setPeerLink(true).setKeepalive(true).power("a", true).power("b", true);
        for (const side of ["a", "b"] as const) order(pair.do(side, core.start), side, { on: false });
        pair.after(120);
        expect([...pair.roles.split(" ")].sort()).toEqual(["primary", "secondary"]);
        expect(pair.carrying).toBe(FULL);
      }),
      { numRuns: 200 },
    );
  });
});
