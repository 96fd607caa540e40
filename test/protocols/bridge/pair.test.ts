/** What a bridge does for an M-LAG: isolation, stations of the peer, detours. M numbers are those of the checklist. */
import { describe, expect, it } from "vitest";
import { mac } from "../../support/probe.ts";
import { A, B, Bench, C, ethernet, OWN } from "./bench.ts";

const PAIR = { ports: ["agg1", "agg2", "orphan", "peer"] };
const ALL = "ff:ff:ff:ff:ff:ff";

function isolate(bench: Bench, to: string, isolated = true): void {
  bench.hear({ type: "mlag.isolate", from: "peer", to, isolated });
}

function tell(bench: Bench, address: string, port: string, present = true): void {
  bench.hear({ type: "mlag.mac", vlan: 1, mac: mac(address), port, present });
}

function deaf(bench: Bench): Bench {
  bench.hear({ type: "mlag.learning", port: "peer", learning: false });
  return bench;
}

describe("isolation", () => {
  it("M27: a frame from the peer link does not leave on an isolated member, flooded or known", () => {
    const bench = deaf(new Bench(PAIR));
    bench.receive("agg1", ethernet(ALL, A));
    isolate(bench, "agg1");
    isolate(bench, "agg2");
    expect(bench.receive("peer", ethernet(ALL, B))).toEqual(["orphan"]);
    expect(bench.receive("peer", ethernet(A, B))).toEqual([]);
    expect(bench.drops).toEqual({ isolated: 1 });
  });

  it("M28: once it is lifted for a member, frames from the peer link leave there again", () => {
    const bench = deaf(new Bench(PAIR));
    bench.receive("agg1", ethernet(ALL, A));
    isolate(bench, "agg1");
    isolate(bench, "agg2");
    isolate(bench, "agg1", false);
    expect(bench.receive("peer", ethernet(ALL, B))).toEqual(["agg1", "orphan"]);
    expect(bench.receive("peer", ethernet(A, B))).toEqual(["agg1"]);
  });

  it("while the peer's half is about to come, floods are kept back and the known host is still reached", () => {
    const bench = deaf(new Bench(PAIR));
    bench.receive("agg1", ethernet(ALL, A));
    bench.hear({ type: "mlag.isolate", from: "peer", to: "agg1", isolated: true, only: "floods" });
    expect(bench.receive("peer", ethernet(ALL, B))).toEqual(["agg2", "orphan"]);
    expect(bench.receive("peer", ethernet(C, B))).toEqual(["agg2", "orphan"]);
    expect(bench.receive("peer", ethernet(A, B))).toEqual(["agg1"]);
  });

  it("M29: frames from elsewhere, and frames to orphan ports, pass as ever", () => {
    const bench = deaf(new Bench(PAIR));
    bench.receive("orphan", ethernet(ALL, C));
    for (const to of ["agg1", "agg2"]) isolate(bench, to);
    expect(bench.receive("agg1", ethernet(ALL, A))).toEqual(["agg2", "orphan", "peer"]);
    expect(bench.receive("orphan", ethernet(ALL, C))).toEqual(["agg1", "agg2", "peer"]);
    expect(bench.receive("peer", ethernet(C, B))).toEqual(["orphan"]);
  });

  it("the node itself still gets what comes over the peer link", () => {
    const bench = new Bench({ vlans: { 10: { untagged: ["agg1"], tagged: ["peer"] } } }, [10]);
    isolate(bench, "agg1");
    expect(bench.receive("peer", ethernet(ALL, B, "000a"))).toEqual(["vlan10"]);
  });

  it("names that are no port of the bridge mean nothing", () => {
    const bench = new Bench(PAIR);
    isolate(bench, "agg9");
    bench.hear({ type: "mlag.isolate", from: "ka", to: "agg1", isolated: true });
    bench.hear({ type: "mlag.redirect", port: "agg9", via: "peer" });
    tell(bench, A, "agg9");
    expect(bench.receive("peer", ethernet(ALL, B))).toEqual(["agg1", "agg2", "orphan"]);
    expect(bench.events()).toEqual(["learned B peer 1"]);
  });
});

describe("stations that the peer has", () => {
  it("M35: one that the peer told of is reached by its port alone", () => {
    const bench = new Bench(PAIR);
    tell(bench, A, "agg1");
    expect(bench.receive("orphan", ethernet(A, B))).toEqual(["agg1"]);
    expect(bench.events()).toEqual(["peer learned A agg1 1", "learned B orphan 1"]);
  });

  it("M36: an orphan of the peer is behind the peer link", () => {
    const bench = deaf(new Bench(PAIR));
    tell(bench, A, "peer");
    expect(bench.receive("agg1", ethernet(A, B))).toEqual(["peer"]);
  });

  it("M44: nothing is learned from the peer link while the session tells where stations are", () => {
    const bench = deaf(new Bench(PAIR));
    bench.receive("agg1", ethernet(ALL, A));
    bench.receive("peer", ethernet(ALL, A));
    bench.receive("peer", ethernet(ALL, B));
    expect(bench.events()).toEqual(["learned A agg1 1"]);
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg1"]);
    bench.hear({ type: "mlag.learning", port: "peer", learning: true });
    bench.receive("peer", ethernet(ALL, B));
    expect(bench.events()).toEqual(["learned C orphan 1", "learned B peer 1"]);
  });

  it("a frame with the switch's own address is dropped where nothing is learned, too", () => {
    const bench = deaf(new Bench({ vlans: { 10: { untagged: ["agg1"], tagged: ["peer"] } } }, [10]));
    expect(bench.receive("peer", ethernet(ALL, OWN, "000a"))).toEqual([]);
    expect(bench.drops).toEqual({ "own-address": 1 });
  });

  it("M39: an entry is gone when both have aged it, whoever is the first", () => {
    const bench = new Bench({ ...PAIR, ageing: "10s" });
    bench.receive("agg1", ethernet(ALL, A));
    tell(bench, A, "agg1");
    tell(bench, B, "agg2");
    bench.receive("agg2", ethernet(ALL, B));
    bench.events();
    bench.at(5);
    tell(bench, B, "agg2", false);
    bench.at(20);
    const gone = ["aged A agg1 1 ageing", "aged B agg2 1 ageing", "peer aged B agg2 1 peer-aged"];
    expect(bench.events().sort()).toEqual(gone);
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg1"]);
    expect(bench.receive("orphan", ethernet(B, C))).toEqual(["agg1", "agg2", "peer"]);
    tell(bench, A, "agg1", false);
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg1", "agg2", "peer"]);
  });

  it("M39: one that is heard on both sides says so once, and traffic on one side keeps it", () => {
    const bench = new Bench({ ...PAIR, ageing: "10s" });
    tell(bench, A, "agg1");
    for (let t = 0; t < 40; t += 5) {
      bench.at(t);
      bench.receive("agg1", ethernet(ALL, A));
    }
    expect(bench.events()).toEqual(["peer learned A agg1 1", "learned A agg1 1"]);
    tell(bench, A, "agg1", false);
    bench.at(44);
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg1"]);
    bench.at(45);
    expect(bench.events()).toEqual(["peer aged A agg1 1 peer-aged", "learned C orphan 1", "aged A agg1 1 ageing"]);
  });

  it("M41: the later word wins: the peer's over what was heard, a frame over what the peer said", () => {
    const bench = new Bench({ ...PAIR, ageing: "10s" });
    bench.receive("orphan", ethernet(ALL, A));
    tell(bench, A, "agg1");
    expect(bench.receive("agg2", ethernet(A, B))).toEqual(["agg1"]);
    bench.receive("agg2", ethernet(ALL, A));
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg2"]);
    expect(bench.events()).toEqual([
      "learned A orphan 1",
      "peer moved A agg1 1",
      "learned B agg2 1",
      "moved A agg2 1",
      "learned C orphan 1",
    ]);
    tell(bench, A, "agg1", false);
    expect([bench.events(), bench.receive("orphan", ethernet(A, C))]).toEqual([[], ["agg2"]]);
  });

  it("the switch's own address is nobody else's, whatever the peer says", () => {
    const bench = new Bench(PAIR, [1]);
    tell(bench, OWN, "peer");
    expect(bench.receive("agg1", ethernet(OWN, A))).toEqual(["vlan1"]);
    expect(bench.events()).toEqual(["learned A agg1 1"]);
  });

  it("a full table takes none of the peer's either, and counts them", () => {
    const bench = new Bench({ ...PAIR, table: 16 });
    for (let i = 0; i < 18; i++) tell(bench, `02:bb:00:00:00:${(16 + i).toString(16)}`, "agg1");
    expect([bench.state.table.count, bench.state.unlearned]).toEqual([17, 2]);
  });

  it("M38: when the peer is gone, what only it knew stays usable and ages from then on", () => {
    const bench = new Bench({ ...PAIR, ageing: "10s" });
    tell(bench, A, "agg1");
    bench.receive("agg2", ethernet(ALL, B));
    bench.at(8);
    bench.hear({ type: "mlag.adopt" });
    bench.at(17.999);
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg1"]);
    bench.at(18);
    expect(bench.events()).toEqual([
      "peer learned A agg1 1",
      "learned B agg2 1",
      "learned A agg1 1",
      "aged B agg2 1 ageing",
      "learned C orphan 1",
      "aged A agg1 1 ageing",
    ]);
  });
});

describe("a half that is down", () => {
  it("M37: its stations are reached through the peer at once, and by itself after its return, without a flood", () => {
    const bench = deaf(new Bench(PAIR));
    bench.receive("agg1", ethernet(ALL, A));
    bench.hear({ type: "mlag.redirect", port: "agg1", via: "peer" });
    expect(bench.receive("agg2", ethernet(A, B))).toEqual(["agg1"]);
    bench.link("agg1", false);
    expect(bench.receive("agg2", ethernet(A, B))).toEqual(["peer"]);
    expect(bench.receive("peer", ethernet(A, C))).toEqual([]);
    bench.link("agg1", true);
    expect(bench.receive("agg2", ethernet(A, B))).toEqual(["agg1"]);
    expect(bench.events()).toEqual(["learned A agg1 1", "learned B agg2 1"]);
    expect(bench.drops).toEqual({ "same-port": 1 });
  });

  it("without a peer to go through its stations are forgotten, also when the peer goes later", () => {
    const bench = new Bench(PAIR);
    bench.receive("agg1", ethernet(ALL, A));
    bench.receive("agg2", ethernet(ALL, B));
    bench.hear({ type: "mlag.redirect", port: "agg1", via: "peer" });
    bench.events();
    bench.link("agg1", false);
    bench.link("agg2", false);
    expect(bench.events()).toEqual(["aged B agg2 1 link-down"]);
    bench.hear({ type: "mlag.redirect", port: "agg1" });
    expect(bench.events()).toEqual(["aged A agg1 1 link-down"]);
  });

  it("what the peer has behind such a port stays until the peer takes it back, or is gone itself", () => {
    const bench = new Bench(PAIR);
    for (const station of [A, B]) tell(bench, station, "agg1");
    bench.receive("agg1", ethernet(ALL, A));
    bench.link("agg1", false);
    bench.link("agg1", true);
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg1"]);
    tell(bench, A, "agg1", false);
    expect(bench.receive("orphan", ethernet(A, C))).toEqual(["agg1", "agg2", "peer"]);
    bench.link("agg1", false);
    bench.events();
    bench.hear({ type: "mlag.adopt" });
    expect(bench.events()).toEqual(["peer aged B agg1 1 link-down"]);
  });

  it("a virtual MAC of this switch itself stays behind its routed port when the peer is gone: no flood reaches two masters", () => {
    const bench = new Bench(PAIR, [1]);
    bench.send("vlan1", ethernet(ALL, C));
    expect(bench.events()).toEqual(["learned C vlan1 1"]);
    bench.hear({ type: "mlag.adopt" });
    expect(bench.events()).toEqual([]);
    expect(bench.receive("agg1", ethernet(C, A))).toEqual(["vlan1"]);
  });

  it("with the peer link down as well there is no way", () => {
    const bench = new Bench(PAIR);
    bench.receive("agg1", ethernet(ALL, A));
    bench.hear({ type: "mlag.redirect", port: "agg1", via: "peer" });
    bench.link("agg1", false);
    bench.link("peer", false);
    expect(bench.receive("agg2", ethernet(A, B))).toEqual([]);
    expect(bench.drops).toEqual({ "port-down": 1 });
  });
});
