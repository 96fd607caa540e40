/** MACs of the M-LAG peer whose packets this switch routes, too: from where they are taken, and from where never. */
import { expect, it } from "vitest";
import { Frame } from "../../../src/core/frame.ts";
import { mac } from "../../support/probe.ts";
import { A, Bench, ethernet } from "./bench.ts";

const VIRTUAL = "00:00:5e:00:01:0a";
const PEER = "02:00:00:02:00:00";
const PAIR = { vlans: { 10: { untagged: ["agg1", "agg2", "orphan"], tagged: ["peer"] } } };

/** A packet instead of the bench's own type. */
function packet(to: string, from: string, type = 0x0800, tag?: string): Frame {
  const bytes = ethernet(to, from, tag).bytes.slice();
  bytes.set([type >>> 8, type & 0xff], tag === undefined ? 12 : 16);
  return Frame.of(bytes);
}

function share(bench: Bench, ...macs: string[]): void {
  bench.hear({ type: "mlag.gateway", port: "vlan10", peerLink: "peer", own: [], macs: macs.map(mac), addresses: [] });
}

/** A backup: its peer is master, and has told where the MACs are. */
function backup(): Bench {
  const bench = new Bench(PAIR, [10]);
  bench.hear({ type: "mlag.learning", port: "peer", learning: false });
  for (const one of [VIRTUAL, PEER]) {
    bench.hear({ type: "mlag.mac", vlan: 10, mac: mac(one), port: "peer", present: true });
  }
  share(bench, VIRTUAL, PEER);
  return bench;
}

it("M65: packets of hosts to the virtual MAC and to the peer's go up, in both families; the host is learned", () => {
  const bench = backup();
  for (const to of [VIRTUAL, PEER]) {
    expect(bench.receive("agg1", packet(to, A))).toEqual(["vlan10"]);
    expect(bench.receive("orphan", packet(to, A, 0x86dd))).toEqual(["vlan10"]);
  }
  expect(bench.receive("agg2", packet(A, VIRTUAL.replace("0a", "0b")))).toEqual(["orphan"]);
});

it("what ARP says to the peer's MACs is for the peer", () => {
  const bench = backup();
  expect(bench.receive("agg1", packet(VIRTUAL, A, 0x0806))).toEqual(["peer tagged 000a"]);
  expect(bench.receive("agg1", packet(PEER, A, 0x0806))).toEqual(["peer tagged 000a"]);
});

it("what the switch itself sends to such a MAC goes to the peer, wherever the table has the MAC", () => {
  const bench = backup();
  expect(bench.send("vlan10", packet(VIRTUAL, "02:00:00:01:00:00"))).toEqual(["peer tagged 000a"]);
  bench.hear({ type: "mlag.mac", vlan: 10, mac: mac(VIRTUAL), port: "peer", present: false });
  expect(bench.send("vlan10", packet(VIRTUAL, "02:00:00:01:00:00"))).toEqual(["peer tagged 000a"]);
  bench.link("peer", false);
  expect(bench.send("vlan10", packet(VIRTUAL, "02:00:00:01:00:00"))).toEqual([]);
  expect(bench.drops).toEqual({ "port-down": 1 });
});

it("what comes over the peer link to such a MAC ends, known or not", () => {
  const bench = backup();
  expect(bench.receive("peer", packet(VIRTUAL, A, 0x0800, "000a"))).toEqual([]);
  bench.hear({ type: "mlag.mac", vlan: 10, mac: mac(PEER), port: "peer", present: false });
  expect(bench.receive("peer", packet(PEER, A, 0x86dd, "000a"))).toEqual([]);
  expect(bench.drops).toEqual({ "same-port": 2 });
});

it("the master's adverts, which come from the virtual MAC, pass and move nothing", () => {
  const bench = backup();
  bench.events();
  const advert = packet("01:00:5e:00:00:12", VIRTUAL, 0x0800, "000a");
  expect(bench.receive("peer", advert)).toEqual(["agg1", "agg2", "orphan", "vlan10"]);
  expect(bench.events()).toEqual([]);
  expect(bench.drops).toEqual({});
});

it("the virtual MAC of a master is its own, whatever a second master makes the table believe", () => {
  const bench = new Bench(PAIR, [10]);
  bench.hear({ type: "mlag.gateway", port: "vlan10", peerLink: "peer", own: [mac(VIRTUAL)], macs: [], addresses: [] });
  bench.send("vlan10", packet("01:00:5e:00:00:12", VIRTUAL));
  bench.receive("peer", packet("01:00:5e:00:00:12", VIRTUAL, 0x0800, "000a"));
  for (const type of [0x0800, 0x0806]) {
    expect(bench.receive("agg1", packet(VIRTUAL, A, type))).toEqual(["vlan10"]);
    expect(bench.receive("peer", packet(VIRTUAL, A, type, "000a"))).toEqual(["vlan10"]);
  }
});

it("what is no longer shared goes where the table says", () => {
  const bench = backup();
  share(bench, VIRTUAL);
  expect(bench.receive("agg1", packet(PEER, A))).toEqual(["peer tagged 000a"]);
  expect(bench.receive("agg1", packet(VIRTUAL, A))).toEqual(["vlan10"]);
  share(bench);
  expect(bench.receive("agg1", packet(VIRTUAL, A))).toEqual(["peer tagged 000a"]);
});

it("names that are no routed port, and a peer link that is none of the bridge's, mean nothing", () => {
  const bench = backup();
  share(bench);
  const macs = [mac(VIRTUAL)];
  for (const [port, peerLink] of [
    ["vlan11", "peer"],
    ["agg1", "peer"],
    ["vlan10", "ka"],
  ] as const) {
    bench.hear({ type: "mlag.gateway", port, peerLink, own: [], macs, addresses: [] });
  }
  expect(bench.receive("agg1", packet(VIRTUAL, A))).toEqual(["peer tagged 000a"]);
});
