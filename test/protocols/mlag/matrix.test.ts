/**
 * The behaviour of a pair, failure by failure ("row"), and its checklist (M). At the level of decisions: what frames do is
 * the labs' part.
 */
import { describe, expect, it } from "vitest";
import * as core from "../../../protocols/mlag/core.ts";
import { Pair } from "./pair.ts";

/** Both up, both members on both sides, everything at rest. */
function settled(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  return new Pair(options).boot().until(10);
}

const FULL = "a1+ a2+ b1+ b2+";

describe("sessions and roles", () => {
  it("M03: the lower priority is primary; of equal ones the lower system MAC", () => {
    expect(settled().roles).toBe("primary secondary");
    expect(settled({ a: { priority: 300 } }).roles).toBe("secondary primary");
    expect(settled({ both: { priority: 100 } }).roles).toBe("primary secondary");
    expect(settled({ both: { priority: 100 } }).story("mlag.role")[0]).toMatch(/primary lower-mac|secondary lower-mac/);
  });

  it("M04: who is primary stays so when a better one joins; the command takes the role, without a member that moves", () => {
    const pair = new Pair({ both: { "auto-recovery": "5s" } }).power("b", true).until(10);
    expect([pair.roles, pair.carrying]).toEqual(["- primary", "a1- a2- b1+ b2+"]);
    pair.power("a", true).until(20);
    expect([pair.roles, pair.carrying]).toEqual(["secondary primary", FULL]);
    const before = pair.lines.length;
    pair.do("a", core.preempt).until(25);
    expect([pair.roles, pair.carrying]).toEqual(["primary secondary", FULL]);
    expect(pair.lines.slice(before).map(({ node, event }) => `${node} ${event.type}`)).toEqual([
      "a mlag.role",
      "b mlag.role",
    ]);
  });

  it("M05: while the session is up both are primary for one way over the peer link at most", () => {
    let both = 0;
    let since: number | undefined;
    const pair = new Pair();
    pair.watch = () => {
      const twice = pair.a.core.session && pair.b.core.session && pair.roles === "primary primary";
      if (twice) since ??= pair.now;
      else since = undefined;
      if (since !== undefined) both = Math.max(both, pair.now - since);
    };
    pair.boot().until(10);
    for (let i = 0; i < 3; i++) pair.do("b", core.preempt).after(1).do("a", core.preempt).after(1);
    pair.do("a", (state, now) => core.setMaintenance(state, true, now)).after(1);
    pair.do("b", core.preempt).do("a", core.preempt).after(1);
    expect(both).toBeLessThanOrEqual(500);
  });

  it("M06, M07: the system id is the domain's on both sides through join, leave and change of roles, port numbers differ", () => {
    const pair = settled();
    const ids = () =>
      [pair.a, pair.b].map(({ bundles }) => [...bundles.values()].map(({ system, offset }) => `${system} ${offset}`));
    const expected = [
      ["02:4d:4c:00:00:0a 0", "02:4d:4c:00:00:0a 0"],
      ["02:4d:4c:00:00:0a 32768", "02:4d:4c:00:00:0a 32768"],
    ];
    expect(ids()).toEqual(expected);
    pair.do("b", core.preempt).after(1);
    expect(ids()).toEqual(expected);
    pair.power("b", false).after(20);
    expect(ids()).toEqual(expected);
    pair.power("b", true).after(10);
    expect(ids()).toEqual(expected);
  });
});

describe("a member", () => {
  it("row 2, M28: all links of a half are cut: the peer lifts isolation within 100 ms, and its frames take the peer link", () => {
    const pair = settled();
    expect([pair.b.core.halves[0]?.isolated, pair.a.core.halves[0]?.redirected]).toEqual(["all", true]);
    pair.setCable("a", 1, false).after(0.1);
    expect(pair.b.core.halves.map(({ isolated }) => isolated)).toEqual(["none", "all"]);
    expect(pair.member("a", 1)).toMatchObject({
      state: "active-partial",
      local: false,
      peer: true,
      reason: "local-down",
    });
    expect(pair.member("b", 1)).toMatchObject({
      state: "active-partial",
      local: true,
      peer: false,
      reason: "peer-down",
    });
    expect(pair.carrying).toBe("a1- a2+ b1+ b2+");
  });

  it("row 3, M30: a half that returns carries only after the peer has installed isolation and said so", () => {
    const pair = settled().setCable("a", 1, false).after(1);
    const seen: string[] = [];
    pair.watch = () => {
      const [here, there] = [pair.a.core.halves[0], pair.b.core.halves[0]];
      const word = `${here?.gate} ${there?.isolated} ${here?.up ? "up" : "down"}`;
      if (seen.at(-1) !== word) seen.push(word);
    };
    pair.setCable("a", 1, true).after(1);
    expect(seen).toEqual([
      "closed none down",
      "asked none down",
      "asked floods down",
      "open floods down",
      "open floods up",
      "open all up",
    ]);
    expect(pair.carrying).toBe(FULL);
  });

  it("M30: a peer that does not acknowledge costs one second, and is named", () => {
    const pair = settled().setCable("a", 1, false).after(1);
    pair.passes = ({ kind }) => kind !== "isolateAck";
    pair.setCable("a", 1, true).until(11.95);
    expect(pair.carrying).toBe("a1- a2+ b1+ b2+");
    pair.until(12.1);
    expect(pair.carrying).toBe(FULL);
    expect(pair.story("mlag.alarm", 11)).toEqual(["12.001 a isolation-cap true"]);
  });

  it("M27, M33: isolation stands on each side while the other's half carries, and both can show it", () => {
    const pair = settled();
    for (const side of [pair.a, pair.b]) {
      expect(side.core.halves.map(({ isolated, gate }) => `${isolated} ${gate}`)).toEqual(["all open", "all open"]);
    }
  });
});

describe("the peer link is lost", () => {
  it("row 4, M17, M18: the secondary asks on the other path, drains, and suspends; the primary stays as it is", () => {
    const pair = settled().setPeerLink(false).until(11);
    expect(pair.carrying).toBe("a1+ a2+ b1- b2-");
    const story = pair.story("mlag.member", 10).filter((line) => line.includes("suspended"));
    // A round trip on the keepalive path, and 170 ms for the host to leave.
    expect(story).toEqual(["10.172 b 1 suspended peer-alive", "10.172 b 2 suspended peer-alive"]);
    expect(pair.story("mlag.role", 10)).toEqual([]);
    expect(pair.member("b", 1)?.cause).toEqual({ type: "mlag.keepalive", at: 10_002_000 });
  });

  it("row 8, M18: a peer that died with the link never makes the secondary suspend, whatever was on its way", () => {
    const pair = settled();
    // A hello leaves the primary at 10 s, and is still on the wire when its power goes.
    pair.power("a", false).until(17.9);
    expect(pair.story("mlag.keepalive", 10)).toHaveLength(1);
    expect(pair.carrying).toBe("a1- a2- b1+ b2+");
    expect(pair.story("mlag.member", 10).some((line) => line.includes("suspended"))).toBe(false);
    expect(pair.story("mlag.role", 10)).toEqual([]);
    pair.until(20);
    expect(pair.story("mlag.role", 10)).toEqual(["18 b primary peer-dead"]);
    expect(pair.carrying).toBe("a1- a2- b1+ b2+");
  });

  it("row 8: when the secondary dies nothing changes at the primary", () => {
    const pair = settled().power("b", false).until(40);
    expect([pair.story("mlag.role", 10), pair.carrying]).toEqual([[], "a1+ a2+ b1- b2-"]);
    expect(pair.a.bundles.get(1)?.system).toBe("02:4d:4c:00:00:0a");
  });

  it("row 5, M16: the keepalive alone is lost: an alarm within its timeout, and nothing else", () => {
    const pair = settled().setKeepalive(false).until(30);
    expect(pair.story("mlag.keepalive", 10)).toHaveLength(2);
    expect(
      pair.lines.filter(({ at, event }) => at > 10 && event.type !== "mlag.keepalive" && event.type !== "mlag.alarm"),
    ).toEqual([]);
    expect(pair.story("mlag.alarm", 10).map((line) => line.split(" ").slice(1).join(" "))).toEqual([
      "a degraded true",
      "b degraded true",
    ]);
    expect(pair.carrying).toBe(FULL);
  });

  it.each([
    ["sysid-fallback", "a1+ a2+ b1- b2-", "02:00:00:00:00:0b"],
    ["dual-active", FULL, "02:4d:4c:00:00:0a"],
    ["secondary-suspend", "a1+ a2+ b1- b2-", "02:4d:4c:00:00:0a"],
  ])("rows 6 and 7, M19, M20, M23: both paths lost, the keepalive first, with %s: %s", (split, carrying, system) => {
    const pair = settled({ both: { split } }).setKeepalive(false).until(20).setPeerLink(false);
    // split-grace is 1 s.
    pair.until(20.9);
    expect(pair.carrying).toBe(FULL);
    pair.until(25);
    expect(pair.carrying).toBe(carrying);
    expect(pair.b.bundles.get(1)?.system).toBe(system);
    // M21: the primary neither suspends nor changes its id.
    expect(pair.a.bundles.get(1)).toMatchObject({
      system: "02:4d:4c:00:00:0a",
      hold: false,
      suspended: false,
      up: true,
    });
    expect(pair.story("mlag.role", 20)).toEqual(["21 b primary split"]);
    expect(pair.story("mlag.alarm", 20)).toContain("21 b split true");
  });

  it.each(["sysid-fallback", "dual-active", "secondary-suspend"])(
    "M22: a split (%s) heals: the primary stays, its members do not move, and all halves carry again",
    (split) => {
      const pair = settled({ both: { split } }).setKeepalive(false).until(20).setPeerLink(false).until(30);
      let moved = false;
      pair.watch = () => {
        for (const { up } of pair.a.bundles.values()) moved ||= !up;
      };
      pair.setPeerLink(true).until(40);
      expect([pair.roles, pair.carrying, moved]).toEqual(["primary secondary", FULL, false]);
      expect([...pair.b.bundles.values()].map(({ system }) => system)).toEqual(Array(2).fill("02:4d:4c:00:00:0a"));
    },
  );

  it("row 25, M81: the primary dies after the secondary has suspended: it returns in hold and timeout, without a delay", () => {
    const pair = settled().setPeerLink(false).until(15).power("a", false).until(15.1);
    expect(pair.carrying).toBe("a1- a2- b1- b2-");
    pair.until(23.1);
    expect(pair.carrying).toBe("a1- a2- b1+ b2+");
    const persistent = settled({ both: { "suspend-persist": true } })
      .setPeerLink(false)
      .until(15)
      .power("a", false)
      .until(60);
    expect(persistent.carrying).toBe("a1- a2- b1- b2-");
    expect(persistent.member("b", 1)).toMatchObject({ state: "suspended", reason: "peer-alive" });
  });

  it("the keepalive returns in a split: the one that took over gives way to the primary that lives", () => {
    const pair = settled({ both: { split: "dual-active" } });
    pair.setKeepalive(false).until(20).setPeerLink(false).until(25).setKeepalive(true).until(30);
    expect([pair.roles, pair.carrying]).toEqual(["primary secondary", "a1+ a2+ b1- b2-"]);
    expect(pair.member("b", 2)).toMatchObject({ state: "suspended", reason: "peer-alive" });
  });

  it("M26: a goodbye makes the survivor primary at once, with the pair's id, and no time is waited for", () => {
    const pair = settled();
    pair.do("a", (state, now) => core.leave(state, "reboot", now)).after(0.002);
    pair.power("a", false).after(0.001);
    expect([pair.b.core.role, pair.carrying]).toEqual(["primary", "a1- a2- b1+ b2+"]);
    expect(pair.story("mlag.role", 10)).toEqual(["10.0005 b primary peer-goodbye", "10.001 a secondary leaving"]);
    pair.until(60);
    expect([pair.carrying, pair.b.bundles.get(1)?.system]).toEqual(["a1- a2- b1+ b2+", "02:4d:4c:00:00:0a"]);
  });
});

describe("start and return", () => {
  it("row 9, M59: a peer that returns carries after session, complete tables, and the restore delay, in this order", () => {
    const pair = settled().power("b", false).until(20).power("b", true).until(30);
    expect(pair.carrying).toBe(FULL);
    const seen = pair.lines
      .filter(({ at, node, event }) => at >= 20 && node === "b" && (event.type !== "mlag.member" || event.id === 1))
      .map(({ at, event }) => `${at} ${event.type} ${"reason" in event ? event.reason : ""}`);
    expect(seen.filter((line) => !line.includes("keepalive"))).toEqual([
      "20 mlag.member start",
      "20.02 mlag.session hello",
      "20.02 mlag.member syncing",
      "20.0205 mlag.role sticky",
      "20.0205 mlag.member restore-delay",
      "22.0205 mlag.member isolation-pending",
      "22.0265 mlag.member local-up",
    ]);
  });

  it("row 10, M61: a switch whose peer never comes carries alone after auto-recovery; a peer that comes cancels it", () => {
    const alone = new Pair({ both: { "auto-recovery": "240s" } }).power("a", true).until(239.9);
    expect(alone.carrying).toBe("a1- a2- b1- b2-");
    alone.until(241);
    expect([alone.carrying, alone.story("mlag.role")]).toEqual(["a1+ a2+ b1- b2-", ["240 a primary auto-recovery"]]);
    const late = new Pair().power("a", true).until(200).power("b", true).until(201);
    expect(late.carrying).toBe("a1- a2- b1- b2-");
    late.until(203);
    expect([late.carrying, late.roles]).toEqual([FULL, "primary secondary"]);
  });

  it("both start without a peer link, and see each other on the other path: one carries, the better", () => {
    const pair = new Pair({ both: { "auto-recovery": "10s" } }).setPeerLink(false).boot().until(20);
    expect([pair.carrying, pair.roles]).toEqual(["a1+ a2+ b1- b2-", "primary secondary"]);
  });

  it("row 11, M62: ten flaps of the peer link in a minute: a member changes twice, and waits for the penalty to decay", () => {
    const pair = settled({ both: { "restore-delay": "8s" } }).until(15);
    const start = pair.lines.length;
    for (let i = 0; i < 10; i++) pair.setPeerLink(false).after(3).setPeerLink(true).after(3);
    pair.after(60);
    const states = pair.lines.slice(start).flatMap(({ node, event }) => {
      return node === "b" && event.type === "mlag.member" && event.id === 1 ? [event.local] : [];
    });
    const changes = states.filter((up, i) => up !== (states[i - 1] ?? true));
    expect(changes).toEqual([false, true]);
    expect(pair.lines.some(({ event }) => event.type === "mlag.member" && event.reason === "dampened")).toBe(true);
    expect(pair.carrying).toBe(FULL);
  });
});

describe("operators", () => {
  it("maintenance hands the role over, drains all members, and gives them back when it ends", () => {
    const pair = settled()
      .do("a", (state, now) => core.setMaintenance(state, true, now))
      .until(11);
    expect([pair.roles, pair.carrying]).toEqual(["secondary primary", "a1- a2- b1+ b2+"]);
    expect(pair.member("a", 1)).toMatchObject({ state: "suspended", reason: "maintenance" });
    pair.do("a", (state, now) => core.setMaintenance(state, false, now)).until(12);
    expect([pair.roles, pair.carrying]).toEqual(["secondary primary", FULL]);
  });

  it("the pair's other switch does not suspend when the link to one in maintenance is lost", () => {
    const pair = settled()
      .do("a", (state, now) => core.setMaintenance(state, true, now))
      .until(11)
      .setPeerLink(false)
      .until(12);
    expect(pair.carrying).toBe("a1- a2- b1+ b2+");
    const later = settled()
      .setPeerLink(false)
      .until(12)
      .do("a", (state, now) => core.setMaintenance(state, true, now))
      .until(15);
    expect(later.carrying).toBe("a1- a2- b1+ b2+");
  });

  it("one member is taken out of service by command, drained first, and put back", () => {
    const pair = settled().do("a", (state, now) => core.setStopped(state, 2, true, now));
    pair.after(0.1);
    expect(pair.a.bundles.get(2)).toMatchObject({ hold: true, suspended: false });
    pair.after(0.9);
    expect([pair.carrying, pair.member("a", 2)?.reason]).toEqual(["a1+ a2- b1+ b2+", "operator"]);
    pair.do("a", (state, now) => core.setStopped(state, 2, false, now)).after(1);
    expect(pair.carrying).toBe(FULL);
  });
});

describe("partners", () => {
  const stranger = { system: "02:cc:00:00:00:99" as never, priority: 32_768, key: 1 };

  it("row 17, M56: halves that are cabled to two hosts: the secondary's gives way, the primary's goes on", () => {
    const pair = settled()
      .do("b", (state, now) => core.partnerChanged(state, "agg1", stranger, now))
      .until(12);
    expect(pair.carrying).toBe("a1+ a2+ b1- b2+");
    expect(pair.member("b", 1)).toMatchObject({ state: "suspended", reason: "partner-mismatch" });
    const right = { ...stranger, system: "02:cc:00:00:00:01" as never };
    pair.do("b", (state, now) => core.partnerChanged(state, "agg1", right, now)).until(14);
    expect(pair.carrying).toBe(FULL);
  });

  it("row 18, M57: one host on two M-LAGs: the one with the higher id gives way on both sides", () => {
    const pair = settled();
    const first = { ...stranger, system: "02:cc:00:00:00:01" as never };
    pair.do("b", (state, now) => core.partnerChanged(state, "agg2", first, now));
    pair.do("a", (state, now) => core.partnerChanged(state, "agg2", first, now)).until(12);
    for (const name of ["a", "b"] as const)
      expect(pair.member(name, 2)).toMatchObject({ state: "suspended", reason: "duplicate-partner" });
    expect(pair.carrying).toBe("a1+ a2- b1+ b2-");
  });
});
