/** What the peers' files have in common: as the check before a commit says it, and as running peers act on it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import type { ConsistencyItem } from "../../../protocols/iccp/events.ts";
import { schema as lacpSchema } from "../../../protocols/lacp/config.ts";
import { changeItems } from "../../../protocols/mlag/agreement.ts";
import { compare } from "../../../protocols/mlag/check.ts";
import { mlagSchema } from "../../../protocols/mlag/config.ts";
import { consistencyItems, describeMismatch, mismatches, rangesOf } from "../../../protocols/mlag/consistency.ts";
import { settle } from "../../../protocols/mlag/core.ts";
import { mlagProtocol } from "../../../protocols/mlag/index.ts";
import type { MlagMachineState } from "../../../protocols/mlag/machine.ts";
import { Log } from "../../../src/core/log.ts";
import { Node } from "../../../src/node/node.ts";
import type { NodeConfig } from "../../../src/node/protocol.ts";
import { mac } from "../../support/probe.ts";
import { type Name, Pair } from "./pair.ts";

interface File {
  readonly mlag?: object;
  readonly bridge?: object;
  /** Of the bundle agg1. */
  readonly lacp?: object;
  readonly vrrp?: readonly object[];
}

const VLANS = {
  1: { untagged: ["agg1", "agg2", "orphan", "peer"] },
  10: { tagged: ["agg1", "agg2", "peer"] },
  20: { tagged: ["agg1", "agg2", "peer"] },
};

function fileOf(name: Name, { mlag = {}, bridge = {}, lacp = {}, vrrp = [] }: File): NodeConfig {
  const [own, peer] = name === "a" ? [1, 2] : [2, 1];
  const keepalive = { port: "ka", address: `10.99.0.${own}/30`, peer: `10.99.0.${peer}` };
  const members = [1, 2].map((id) => ({ port: `agg${id}`, id }));
  return {
    node: name,
    mlag: mlagSchema.parse({ domain: 10, "peer-link": "peer", keepalive, members, "restore-delay": "2s", ...mlag }),
    bridge: bridgeSchema.parse({ vlans: VLANS, ageing: "60s", ...bridge }),
    lacp: lacpSchema.parse([
      { name: "agg1", members: ["p1"], ...lacp },
      { name: "agg2", members: ["p2"] },
    ]),
    vrrp,
  };
}

/** The two of them running for 12 s. */
function running(a: File, b: File): Pair {
  const items = { a: consistencyItems(fileOf("a", a)), b: consistencyItems(fileOf("b", b)) };
  const bridges = { a: { vlans: VLANS, ...a.bridge }, b: { vlans: VLANS, ...b.bridge } };
  return new Pair({ a: a.mlag ?? {}, b: b.mlag ?? {}, items, bridges }).boot().until(12);
}

/** Which VLANs a port of a side is in, as its bridge has them. */
function vlansOf(pair: Pair, name: Name, port: string): number[] {
  const { index } = pair[name].port(port);
  return pair[name].bridge.vlans.flatMap((vlan) => (vlan?.byPort[index] === undefined ? [] : [vlan.vid]));
}

const alarms = (pair: Pair, name: Name) =>
  pair.lines.flatMap(({ node, event }) =>
    node === name && event.type === "mlag.alarm" && event.active ? [`${event.alarm} ${event.detail}`] : [],
  );

describe("what is compared", () => {
  it("two files that differ in what is each switch's own are in agreement", () => {
    const [a, b] = [fileOf("a", { mlag: { priority: 100 } }), fileOf("b", { mlag: { priority: 200 } })];
    expect(mismatches(consistencyItems(a), consistencyItems(b))).toEqual([]);
  });

  it.each<[File, string]>([
    [{ mlag: { "system-priority": 1 } }, "1 system-priority: 32768 here, 1 at the peer"],
    [{ lacp: { key: 7 } }, "1 M-LAG 1: lacp key: 1 here, 7 at the peer"],
    [{ lacp: { mode: "passive" } }, "1 M-LAG 1: lacp mode: active here, passive at the peer"],
    [{ lacp: { individual: true } }, "1 M-LAG 1: lacp individual: false here, true at the peer"],
    [{ lacp: { fallback: "static" } }, "1 M-LAG 1: lacp fallback: none here, static at the peer"],
    [{ lacp: { rate: "fast" } }, "2 M-LAG 1: lacp rate: slow here, fast at the peer"],
    [{ lacp: { hash: "layer3+4" } }, "2 M-LAG 1: lacp hash: layer2 here, layer3+4 at the peer"],
    [{ lacp: { "min-links": 2 } }, "2 M-LAG 1: lacp min-links: 1 here, 2 at the peer"],
    [{ mlag: { split: "dual-active" } }, "2 split: sysid-fallback here, dual-active at the peer"],
    [{ mlag: { "restore-delay": "9s" } }, "2 restore-delay: 2s here, 9s at the peer"],
    [{ bridge: { ageing: "99s" } }, "2 bridge ageing: 60s here, 99s at the peer"],
    [{ bridge: { table: 99 } }, "2 bridge table: 16384 here, 99 at the peer"],
    [
      { vrrp: [{ interface: "vlan10", vrid: 5, family: "ipv4" }] },
      "2 vrrp 5 ipv4, VLAN 10: none here, present at the peer",
    ],
    [{ mlag: { members: [{ port: "agg1", id: 1 }] } }, "2 M-LAG 2: member: present here, none at the peer"],
  ])("%j", (other, expected) => {
    const found = mismatches(consistencyItems(fileOf("a", {})), consistencyItems(fileOf("b", other)));
    expect(found.map((one) => `${one.type} ${describeMismatch(one)}`)).toEqual([expected]);
  });

  it("VLANs come as ranges, whatever they are, and are compared one by one", () => {
    const vids = fc.uniqueArray(fc.integer({ min: 1, max: 4094 }), { maxLength: 200 });
    const vlans = (list: readonly number[]) => ({
      ...VLANS,
      ...Object.fromEntries(list.map((vid) => [vid, { tagged: ["agg1", "agg2", "peer"] }])),
    });
    fc.assert(
      fc.property(vids, vids, (mine, theirs) => {
        const [a, b] = [
          fileOf("a", { bridge: { vlans: vlans(mine) } }),
          fileOf("b", { bridge: { vlans: vlans(theirs) } }),
        ];
        const found = mismatches(consistencyItems(a), consistencyItems(b)).filter(
          ({ id, type }) => id === 1 && type === "vlan",
        );
        const how = (node: NodeConfig, vid: number) => {
          const { vlans: all } = node["bridge"] as {
            vlans: ReadonlyMap<number, { tagged: string[]; untagged: string[] }>;
          };
          const one = all.get(vid);
          return one?.tagged.includes("agg1") ? "tagged" : one?.untagged.includes("agg1") ? "untagged" : "none";
        };
        const all = new Set([1, 10, 20, ...mine, ...theirs]);
        const expected = [...all].filter((vid) => how(a, vid) !== how(b, vid)).sort((x, y) => x - y);
        expect(found.flatMap(({ vlans: some }) => some).sort((x, y) => x - y)).toEqual(expected);
        for (const { value } of [...consistencyItems(a), ...consistencyItems(b)])
          expect(value.length).toBeLessThan(256);
      }),
      { numRuns: 60 },
    );
  });

  it("a peer's list in which VLANs are no VLANs is none of VLANs", () => {
    const base = consistencyItems(fileOf("a", {}));
    const odd = ["", "x", "0", "4095-9999", "20-10", "1-99999", "-1"].map(
      (value, vlan): ConsistencyItem => ({ id: 1, vlan, type: 1, name: "tagged", value }),
    );
    const theirs = [...base.filter(({ name, id }) => id !== 1 || name !== "tagged"), ...odd];
    expect(mismatches(base, theirs).map(({ vlans }) => rangesOf(vlans))).toEqual(["10,20"]);
  });

  it("a type 1 item that only one version knows stops nobody", () => {
    const base = consistencyItems(fileOf("a", {}));
    const news: ConsistencyItem = { id: 1, vlan: 0, type: 1, name: "of tomorrow", value: "x" };
    expect(mismatches(base, [...base, news])).toEqual([]);
  });
});

describe("between running peers", () => {
  it("M51, row 15: of an M-LAG with a type 1 mismatch only the secondary's half stops, and says what differs", () => {
    const pair = running({}, { lacp: { key: 7 } });
    expect(pair.carrying).toBe("a1+ a2+ b1- b2+");
    expect(pair.member("b", 1)).toMatchObject({
      state: "suspended",
      reason: "consistency",
      detail: "M-LAG 1: lacp key: 7 here, 1 at the peer",
    });
    expect(pair.member("a", 1)).toMatchObject({ state: "active-partial", local: true });
    expect(alarms(pair, "a")).toEqual(["type-1-mismatch M-LAG 1: lacp key: 1 here, 7 at the peer"]);
  });

  it("M51: the secondary's half stays where the primary does not hear the host, and gives way when it does", () => {
    const pair = running({}, { lacp: { mode: "passive" } });
    pair.setCable("a", 1, false).until(14);
    expect(pair.carrying).toBe("a1- a2+ b1+ b2+");
    pair.setCable("a", 1, true).until(16);
    expect(pair.carrying).toBe("a1+ a2+ b1- b2+");
  });

  it("M52: a type 1 mismatch of the switches stops all of the secondary's halves, and none of the primary's", () => {
    const pair = running({}, { mlag: { "system-priority": 1 } });
    expect(pair.carrying).toBe("a1+ a2+ b1- b2-");
    expect([pair.member("b", 1)?.reason, pair.member("b", 2)?.reason]).toEqual(["consistency", "consistency"]);
    expect(pair.member("b", 2)?.detail).toBe("system-priority: 1 here, 32768 at the peer");
  });

  it("M53, row 16: only VLANs that differ stop on a member, at both; all others go on", () => {
    const only = { ...VLANS, 20: { tagged: ["agg2", "peer"], untagged: ["agg1"] }, 1: { untagged: ["agg2", "peer"] } };
    const pair = running({}, { bridge: { vlans: { ...only, 30: { tagged: ["agg1"] } } } });
    expect(pair.carrying).toBe("a1+ a2+ b1+ b2+");
    for (const name of ["a", "b"] as const) {
      expect(vlansOf(pair, name, "agg1")).toEqual([10]);
      expect(vlansOf(pair, name, "agg2")).toEqual([1, 10, 20]);
    }
    expect(alarms(pair, "a")).toEqual([
      "vlan-mismatch M-LAG 1: VLAN 1: untagged here, none at the peer",
      "vlan-mismatch M-LAG 1: VLAN 20: tagged here, untagged at the peer",
      "vlan-mismatch M-LAG 1: VLAN 30: none here, tagged at the peer",
    ]);
    // Without a peer there is nobody to be in agreement with.
    pair.power("b", false).until(60);
    expect(vlansOf(pair, "a", "agg1")).toEqual([1, 10, 20]);
  });

  it("M54: a type 2 mismatch raises an alarm on both sides, and nothing else", () => {
    const pair = running({}, { bridge: { ageing: "61s" }, mlag: { split: "dual-active" } });
    expect(pair.carrying).toBe("a1+ a2+ b1+ b2+");
    expect(alarms(pair, "b")).toEqual([
      "type-2-mismatch split: dual-active here, sysid-fallback at the peer",
      "type-2-mismatch bridge ageing: 61s here, 60s at the peer",
    ]);
    expect(alarms(pair, "a")).toHaveLength(2);
  });

  it.each<[string, File]>([
    ["of a member", { lacp: { key: 7 } }],
    ["of the switch", { mlag: { "system-priority": 1 } }],
    ["of VLANs", { bridge: { vlans: { ...VLANS, 20: { tagged: ["agg2", "peer"] } } } }],
    ["of type 2", { bridge: { ageing: "61s" } }],
  ])("M55: a mismatch %s that is corrected is gone in 5 s, and nobody has to do anything", (_what, wrong) => {
    const pair = running({}, wrong);
    pair.do("b", (state, now) => {
      changeItems(state, consistencyItems(fileOf("b", {})));
      settle(state, now);
    });
    pair.after(4.9);
    expect(pair.carrying).toBe("a1+ a2+ b1+ b2+");
    expect(vlansOf(pair, "a", "agg1")).toEqual([1, 10, 20]);
    const open = pair.story("mlag.alarm", 12).map((line) => line.split(" ").slice(1).join(" "));
    expect(open).toHaveLength(2);
    for (const line of open) expect(line).toMatch(/^[ab] (type-[12]|vlan)-mismatch false$/);
  });

  it("a list that is cut into messages is compared when all of it has come", () => {
    const pair = new Pair().boot().until(5);
    const items = consistencyItems(fileOf("a", {}));
    const differ = consistencyItems(fileOf("b", { lacp: { key: 7 } }));
    pair.do("a", (state, now) => {
      changeItems(state, items);
      settle(state, now);
    });
    pair.do("b", (state) => {
      state.agreement.items = differ;
    });
    pair.after(0.01);
    pair.do("b", (state, now) => settle(state, now));
    const before = pair.a.core.agreement.theirs;
    pair.do("b", (state) => {
      const count: ConsistencyItem = { id: 0, vlan: 0, type: 2, name: "items", value: String(differ.length) };
      for (const entry of [count, ...differ.slice(0, -1)]) state.tells.push({ kind: "consistency", entries: [entry] });
    });
    pair.after(0.01);
    expect([before, pair.a.core.agreement.theirs]).toEqual([undefined, undefined]);
    pair.do("b", (state) => void state.tells.push({ kind: "consistency", entries: differ.slice(-1) }));
    pair.after(0.01);
    expect(pair.a.core.agreement.theirs).toEqual(differ);
    expect(alarms(pair, "a")).toEqual(["type-1-mismatch M-LAG 1: lacp key: 1 here, 7 at the peer"]);
  });
});

describe("M58: the check before a commit", () => {
  const change = fc.record({
    mlag: fc.record(
      {
        split: fc.constantFrom("sysid-fallback", "dual-active"),
        "system-priority": fc.constantFrom(1, 2),
        drain: fc.constantFrom("100ms", "200ms"),
      },
      { requiredKeys: [] },
    ),
    lacp: fc.record(
      {
        key: fc.constantFrom(1, 7),
        rate: fc.constantFrom("fast", "slow"),
        fallback: fc.constantFrom("none", "static"),
      },
      { requiredKeys: [] },
    ),
    bridge: fc.record(
      {
        ageing: fc.constantFrom("60s", "70s"),
        vlans: fc.constantFrom(VLANS, { ...VLANS, 30: { tagged: ["agg1", "peer"] } }, { 1: VLANS[1], 10: VLANS[10] }),
      },
      { requiredKeys: [] },
    ),
  });

  it("says of any two files what the switches say and do when they run with them", () => {
    fc.assert(
      fc.property(change, change, (a, b) => {
        const [first, second] = [fileOf("a", a), fileOf("b", b)];
        const said = compare([first, second]);
        const pair = running(a, b);
        // Both peers come to the same result, and the check to theirs.
        expect(said).toHaveLength(alarms(pair, "b").length);
        expect(alarms(pair, "a")).toHaveLength(alarms(pair, "b").length);
        expect(said.every(({ warning, node }) => warning && node === "b")).toBe(true);
        const about = (word: string) => said.filter(({ message }) => message.includes(word)).length;
        const raised = (word: string) => alarms(pair, "b").filter((line) => line.startsWith(word)).length;
        expect(about("will carry no frames") + about("no member of the secondary")).toBe(raised("type-1"));
        expect(about("neither half")).toBe(raised("vlan"));
        const stopped = (id: number) => (pair.member("b", id)?.reason === "consistency" ? "-" : "+");
        expect(pair.carrying).toBe(`a1+ a2+ b1${stopped(1)} b2${stopped(2)}`);
        const all = about("no member of the secondary") > 0;
        expect(stopped(2)).toBe(all ? "-" : "+");
        expect(stopped(1)).toBe(all || about("half of M-LAG 1 will carry no") > 0 ? "-" : "+");
      }),
      { numRuns: 60 },
    );
  });

  it("points at what differs in the file", () => {
    const other = fileOf("b", { lacp: { key: 7 }, bridge: { ageing: "61s" }, mlag: { split: "dual-active" } });
    const paths = compare([fileOf("a", {}), other]).map(({ path }) => path.join("."));
    expect(paths).toEqual(["lacp.0.key", "mlag.split", "bridge.ageing"]);
  });

  it("the machine is mounted with the items of its file", () => {
    const file = fileOf("a", {});
    const node = new Node(
      { name: "a", id: 1, seed: 1, mac: () => mac("02:00:00:00:00:01") },
      { apply() {}, wake() {} },
      new Log(),
    );
    const [mounted] = mlagProtocol.mount?.(file["mlag"] as never, file, node) ?? [];
    const state = mounted?.state as MlagMachineState | undefined;
    expect(state?.core.agreement.items).toEqual(consistencyItems(file));
  });
});
