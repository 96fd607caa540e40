/** Ports without M-LAG: always served, unless the operator has them go with the members. */
import { describe, expect, it } from "vitest";
import { check } from "../../../protocols/mlag/check.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import type { NodeConfig } from "../../../src/node/protocol.ts";
import { type Name, Pair } from "./pair.ts";

const LISTED = { orphans: { suspend: ["orphan"], "restore-delay": "3s" } };

function settled(both: object): Pair {
  return new Pair({ both }).boot().until(10);
}

/** Whether the port is in its VLAN, as the bridge has it. */
function serves(pair: Pair, name: Name): boolean {
  const { index } = pair[name].port("orphan");
  return pair[name].bridge.vlans[1]?.byPort[index]?.up === true;
}

const story = (pair: Pair, from = 0) =>
  pair.lines.flatMap(({ at, node, event }) => {
    if (event.type !== "mlag.orphan" || at < from) return [];
    const until = event.until === undefined ? "" : ` until ${event.until / 1e6}`;
    return [`${at} ${node} ${event.suspended ? "out" : "in"} ${event.reason}${until}`];
  });

describe("when the peer link is lost", () => {
  it("M29: an orphan stays in service on both sides when nobody has listed it", () => {
    const pair = settled({}).setPeerLink(false).until(20);
    expect([pair.carrying, serves(pair, "a"), serves(pair, "b")]).toEqual(["a1+ a2+ b1- b2-", true, true]);
  });

  it("M64, row 4: a listed orphan goes with the secondary's members, and returns after its own delay", () => {
    const pair = settled(LISTED).setPeerLink(false).until(20);
    expect([serves(pair, "a"), serves(pair, "b")]).toEqual([true, false]);
    // A round trip on the keepalive path proves that the peer is alive.
    expect(story(pair)).toEqual(["10.002 b out peer-alive"]);
    pair.speak("b", "orphan", "02:aa:00:00:00:01").after(0.01);
    expect(pair.stations("b").has("02:aa:00:00:00:01")).toBe(false);
    pair.setPeerLink(true).until(30);
    expect(story(pair, 20)).toEqual(["20.0305 b out restore-delay until 23.0305", "23.0305 b in restored"]);
    expect(serves(pair, "b")).toBe(true);
    pair.speak("b", "orphan", "02:aa:00:00:00:01").after(0.01);
    expect(pair.stations("b").get("02:aa:00:00:00:01")?.port).toBe("orphan");
  });

  it("M60: the delays of orphans and members are independent", () => {
    const late = settled({ orphans: { suspend: ["orphan"], "restore-delay": "9s" } })
      .setPeerLink(false)
      .until(20);
    late.setPeerLink(true).until(26);
    expect([late.carrying, serves(late, "b")]).toEqual(["a1+ a2+ b1+ b2+", false]);
    late.until(30);
    expect(serves(late, "b")).toBe(true);
    // Cisco's default: at once.
    const prompt = settled({ orphans: { suspend: ["orphan"] } })
      .setPeerLink(false)
      .until(20)
      .setPeerLink(true)
      .until(21);
    expect([prompt.carrying, serves(prompt, "b")]).toEqual(["a1+ a2+ b1- b2-", true]);
  });

  it("row 25: the primary dies, too: the orphan is back with the members, and no delay is waited for", () => {
    const pair = settled(LISTED).setPeerLink(false).until(15).power("a", false).until(23.1);
    expect([pair.carrying, serves(pair, "b")]).toEqual(["a1- a2- b1+ b2+", true]);
    const persistent = settled({ ...LISTED, "suspend-persist": true })
      .setPeerLink(false)
      .until(15);
    persistent.power("a", false).until(60);
    expect([persistent.carrying, serves(persistent, "b")]).toEqual(["a1- a2- b1- b2-", false]);
  });

  it("both paths are lost: it goes where the members do", () => {
    const lost = (split: string) =>
      settled({ ...LISTED, split })
        .setKeepalive(false)
        .until(20)
        .setPeerLink(false)
        .until(25);
    expect(serves(lost("secondary-suspend"), "b")).toBe(false);
    expect(serves(lost("dual-active"), "b")).toBe(true);
  });

  it("a peer that says goodbye takes no orphan with it", () => {
    const pair = settled(LISTED).power("a", false).until(60);
    expect([story(pair), serves(pair, "b")]).toEqual([[], true]);
  });
});

it("a listed port is a port of the bridge, once, and neither a member nor the peer link", () => {
  const keepalive = { port: "ka", address: "10.99.0.1/30", peer: "10.99.0.2" };
  const messages = (suspend: readonly string[]) => {
    const members = [{ port: "agg1", id: 1 }];
    const mlag = mlagSchema.parse({ domain: 10, "peer-link": "peer", keepalive, members, orphans: { suspend } });
    const node: NodeConfig = { node: "sw1", mlag, bridge: { ports: ["agg1", "p7", "peer"] }, lacp: [{ name: "agg1" }] };
    return check(mlag, node).map(({ path, message }) => `${path.join(".")}: ${message}`);
  };
  expect(messages(["p7"])).toEqual([]);
  expect(messages(["p8", "agg1", "peer", "p7", "p7"])).toEqual([
    "orphans.suspend.0: found p8, allowed: a port of the bridge (agg1, p7, peer)",
    "orphans.suspend.1: found agg1, allowed: a port that is no member",
    "orphans.suspend.2: found peer, allowed: another port than the peer link",
    "orphans.suspend.4: found p7 twice, allowed: once",
  ]);
});
