/** Ports that an M-LAG takes out of VLANs of their file, and puts back. */
import { describe, expect, it } from "vitest";
import { A, B, Bench, C, ethernet } from "./bench.ts";

const ALL = "ff:ff:ff:ff:ff:ff";
const TRUNK = {
  vlans: {
    1: { untagged: ["agg1", "agg2", "peer"] },
    10: { tagged: ["agg1", "agg2", "peer"] },
    20: { tagged: ["agg1", "peer"] },
  },
};
const V10 = "000a";
const V20 = "0014";

function exclude(bench: Bench, port: string, excluded: readonly number[]): void {
  bench.hear({ type: "mlag.vlans", port, excluded });
}

describe("M53: VLANs that a member is not to carry", () => {
  it("nothing of them comes in or goes out there, and all others pass as ever", () => {
    const bench = new Bench(TRUNK, [10]);
    exclude(bench, "agg1", [10]);
    expect(bench.receive("agg1", ethernet(ALL, A, V10))).toEqual([]);
    expect(bench.receive("agg2", ethernet(ALL, B, V10))).toEqual(["peer tagged 000a", "vlan10"]);
    expect(bench.drops).toEqual({ vlan: 1 });
    expect(bench.receive("agg1", ethernet(ALL, A))).toEqual(["agg2", "peer"]);
    expect(bench.receive("agg1", ethernet(ALL, A, V20))).toEqual(["peer tagged 0014"]);
    exclude(bench, "agg1", [1]);
    expect(bench.receive("agg1", ethernet(ALL, A))).toEqual([]);
    expect(bench.receive("agg1", ethernet(ALL, A, V10))).toEqual(["agg2 tagged 000a", "peer tagged 000a", "vlan10"]);
  });

  it("stations there are forgotten, in these VLANs only", () => {
    const bench = new Bench(TRUNK);
    bench.receive("agg1", ethernet(ALL, A, V10));
    bench.receive("agg1", ethernet(ALL, A, V20));
    bench.receive("agg2", ethernet(ALL, B, V10));
    bench.events();
    exclude(bench, "agg1", [10]);
    expect(bench.events()).toEqual(["aged A agg1 10 link-down"]);
    exclude(bench, "agg1", [10]);
    expect(bench.events()).toEqual([]);
    expect(bench.receive("agg2", ethernet(A, B, V10))).toEqual(["peer tagged 000a"]);
    expect(bench.receive("peer", ethernet(A, C, V20))).toEqual(["agg1 tagged 0014"]);
  });

  it("put back, all is as it was: the order of a flood, and the carrier that changed meanwhile", () => {
    const bench = new Bench(TRUNK, [10]);
    const before = bench.receive("agg2", ethernet(ALL, B, V10));
    exclude(bench, "agg1", [1, 10, 20]);
    bench.link("agg1", false);
    exclude(bench, "agg1", []);
    expect(bench.receive("agg2", ethernet(ALL, B, V10))).toEqual(["peer tagged 000a", "vlan10"]);
    bench.link("agg1", true);
    expect(bench.receive("agg2", ethernet(ALL, B, V10))).toEqual(before);
    exclude(bench, "agg1", [10]);
    bench.link("agg1", false);
    bench.link("agg1", true);
    exclude(bench, "agg1", []);
    expect(bench.receive("agg2", ethernet(ALL, B, V10))).toEqual(before);
    expect(bench.receive("agg1", ethernet(ALL, A))).toEqual(["agg2", "peer"]);
  });

  it("a VLAN without any port left has no routed port either", () => {
    const bench = new Bench({ vlans: { 20: { tagged: ["agg1"] }, 1: { untagged: ["peer"] } } }, [20]);
    expect(bench.links.at(-1)).toBe("link vlan20 up");
    exclude(bench, "agg1", [20]);
    expect(bench.links.at(-1)).toBe("link vlan20 down");
    exclude(bench, "agg1", []);
    expect(bench.links.at(-1)).toBe("link vlan20 up");
  });

  it("a station that only the peer has stays as the peer has said it, and nothing of a bridge that has no such port changes", () => {
    const bench = new Bench(TRUNK);
    bench.hear({ type: "mlag.mac", vlan: 10, mac: A as never, port: "agg1", present: true });
    bench.events();
    exclude(bench, "agg1", [10]);
    exclude(bench, "agg9", [10]);
    expect(bench.events()).toEqual([]);
    exclude(bench, "agg1", []);
    expect(bench.receive("agg2", ethernet(A, B, V10))).toEqual(["agg1 tagged 000a"]);
  });
});

describe("M64: an orphan port out of service", () => {
  it("takes nothing in and lets nothing out, until it is back", () => {
    const bench = new Bench(TRUNK);
    const orphan = (suspended: boolean) =>
      bench.hear({ type: "mlag.orphan", port: "agg2", suspended, reason: suspended ? "peer-alive" : "restored" });
    bench.receive("agg2", ethernet(ALL, B));
    orphan(true);
    expect(bench.receive("agg2", ethernet(ALL, B))).toEqual([]);
    expect(bench.receive("agg2", ethernet(ALL, B, V10))).toEqual([]);
    expect(bench.receive("agg1", ethernet(B, A))).toEqual(["peer"]);
    orphan(false);
    expect(bench.receive("agg1", ethernet(ALL, A))).toEqual(["agg2", "peer"]);
    expect(bench.receive("agg2", ethernet(A, B))).toEqual(["agg1"]);
  });
});
