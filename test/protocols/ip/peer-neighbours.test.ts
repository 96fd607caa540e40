/** What the stack says of its neighbours to an M-LAG, and what it takes from the peer: M46, M47. */
import { describe, expect, it } from "vitest";
import { arpFrame, arpReply, arpRequest, decodeArp, gratuitousArp } from "../../../protocols/arp/codec.ts";
import { ipPacket } from "../../../protocols/ip/codec.ts";
import { packetFrame } from "../../../protocols/ip/events.ts";
import { MAX_NEIGHBOURS } from "../../../protocols/ip/state.ts";
import { advertisement, ndFrame } from "../../../protocols/nd/codec.ts";
import { type Ip, type Ip4, type Ip6, ip4From, type Mac } from "../../../src/core/addr.ts";
import { ms, sec } from "../../../src/core/time.ts";
import { mac, macsOf, Rig } from "../../support/ip.ts";

const HOST = mac("02:aa:00:00:00:01");
const OTHER = mac("02:aa:00:00:00:02");
const OWN = "10.0.0.1" as Ip4;
const OWN6 = "2001:db8::1" as Ip6;
const A = "10.0.0.9" as Ip4;
const B = "10.0.0.8" as Ip4;
const A6 = "2001:db8::9" as Ip6;

function bare(): Rig {
  const own = ["10.0.0.1/24", "2001:db8::1/64"];
  return new Rig("sw", { vlan10: { addresses: own }, ka: { addresses: ["10.99.0.1/30"] } });
}

function rig(): Rig {
  const r = bare();
  r.hear({ type: "mlag.neighbours" });
  r.events = [];
  return r;
}

function send(r: Rig, destination: Ip): void {
  const source = destination.includes(":") ? OWN6 : OWN;
  r.send(packetFrame(ipPacket({ source, destination, protocol: 253, payload: Uint8Array.of(1) })));
}

function answer(r: Rig, address: Ip4 = A, from: Mac = HOST, port = "vlan10", own: Ip4 = OWN): void {
  r.arrive(port, arpFrame(arpReply(arpRequest(r.macOf(port), own, address), from), r.macOf(port)));
}

function tell(r: Rig, address: Ip = A, from: Mac = HOST, present = true): void {
  r.hear({ type: "mlag.neighbour", port: "vlan10", address, mac: from, present });
}

/** "+ vlan10 10.0.0.9 02:…": what was said since the last call. */
function said(r: Rig): string[] {
  const events = r.events as unknown as { type: string; port: string; address: Ip; mac: Mac; present: boolean }[];
  r.events = [];
  return events
    .filter(({ type }) => type === "ip.neighbour")
    .map(({ port, address, mac: at, present }) => `${present ? "+" : "-"} ${port} ${address} ${at}`);
}

function known(r: Rig, address: Ip): string {
  const entry = r.state.interfaces.find(({ port }) => port.name === "vlan10")?.neighbours.get(address);
  return entry === undefined ? "none" : `${entry.state} ${entry.mac}`;
}

describe("what is said", () => {
  it("M46: a neighbour is said once, when it is heard, and again only at another MAC", () => {
    const r = rig();
    send(r, A);
    answer(r);
    expect(said(r)).toEqual([`+ vlan10 ${A} ${HOST}`]);
    answer(r);
    expect(said(r)).toEqual([]);
    r.arrive("vlan10", arpFrame(gratuitousArp(OTHER, A), mac("ff:ff:ff:ff:ff:ff")));
    expect(said(r)).toEqual([`+ vlan10 ${A} ${OTHER}`]);
  });

  it("M46: ND, too", () => {
    const r = rig();
    send(r, A6);
    const found = advertisement(A6, HOST, { router: false, solicited: true, override: true });
    r.arrive("vlan10", ndFrame(found, { source: A6, destination: OWN6 }, r.macOf("vlan10"), HOST));
    expect(said(r)).toEqual([`+ vlan10 ${A6} ${HOST}`]);
  });

  it("M46: nothing is said of an interface that is in no VLAN", () => {
    const r = rig();
    const there = "10.99.0.2" as Ip4;
    r.send(
      packetFrame(
        ipPacket({ source: "10.99.0.1" as Ip4, destination: there, protocol: 253, payload: new Uint8Array(1) }),
      ),
    );
    answer(r, there, HOST, "ka", "10.99.0.1" as Ip4);
    expect(said(r)).toEqual([]);
  });

  it("nothing is said before a machine wants it; then what is known is", () => {
    const r = bare();
    send(r, A);
    answer(r);
    expect(said(r)).toEqual([]);
    r.hear({ type: "mlag.neighbours" });
    expect(said(r)).toEqual([`+ vlan10 ${A} ${HOST}`]);
  });

  it("an entry that is given up, flushed or makes room is taken back", () => {
    const r = rig();
    send(r, A);
    answer(r);
    r.wait(sec(31));
    send(r, A);
    said(r);
    r.wait(sec(4));
    expect(said(r)).toEqual([`- vlan10 ${A} ${HOST}`]);

    send(r, A);
    answer(r);
    said(r);
    r.link("vlan10", false);
    expect(said(r)).toEqual([`- vlan10 ${A} ${HOST}`]);

    const full = new Rig("sw", { vlan10: { addresses: ["10.0.0.1/16"] } });
    full.hear({ type: "mlag.neighbours" });
    for (let i = 0; i <= MAX_NEIGHBOURS; i++) {
      const address = ip4From(Uint8Array.of(10, 0, 1 + (i >> 8), i & 0xff));
      send(full, address);
      answer(full, address);
    }
    expect(said(full).filter((line) => line.startsWith("-"))).toEqual([`- vlan10 10.0.1.0 ${HOST}`]);
  });
});

describe("what is taken from the peer", () => {
  it("M47: an entry of the peer is used at once, confirmed by a unicast question, and never said back as the peer's", () => {
    const r = rig();
    tell(r);
    expect([known(r, A), said(r)]).toEqual([`stale ${HOST}`, []]);
    send(r, A);
    const [question, packet, ...more] = r.take();
    expect(more).toEqual([]);
    expect(question && decodeArp(question.frame.bytes, 14).ok).toBe(true);
    expect(macsOf(question?.frame).destination).toBe(HOST);
    expect(macsOf(packet?.frame).destination).toBe(HOST);
    answer(r);
    expect([known(r, A), said(r)]).toEqual([`reachable ${HOST}`, [`+ vlan10 ${A} ${HOST}`]]);
  });

  it("M47: packets that wait for a neighbour leave as soon as the peer says where it is", () => {
    const r = rig();
    send(r, A);
    r.take();
    tell(r);
    expect(r.take().map(({ frame }) => macsOf(frame).destination)).toEqual([HOST]);
    r.wait(sec(5));
    expect([r.take(), r.losses["no-neighbour"]]).toEqual([[], undefined]);
  });

  it("what was heard here stands, whatever the peer says and takes back", () => {
    const r = rig();
    send(r, A);
    answer(r);
    tell(r, A, OTHER);
    expect(known(r, A)).toBe(`reachable ${HOST}`);
    tell(r, A, HOST, false);
    expect(known(r, A)).toBe(`reachable ${HOST}`);
  });

  it("what only the peer had goes with its word, and one that does not answer is given up", () => {
    const r = rig();
    tell(r);
    tell(r, A, HOST, false);
    expect(known(r, A)).toBe("none");
    tell(r, B);
    send(r, B);
    r.wait(ms(3_500));
    expect([known(r, B), said(r)]).toEqual(["none", []]);
  });

  it("M46: this node's own address, its own MAC, a group and another network are nobody's neighbour", () => {
    const r = rig();
    tell(r, OWN);
    tell(r, A, r.macOf("vlan10"));
    tell(r, A, mac("01:00:5e:00:00:01"));
    tell(r, "10.9.9.9" as Ip);
    r.hear({ type: "mlag.neighbour", port: "vlan11", address: A, mac: HOST, present: true });
    expect(r.state.interfaces.map(({ neighbours }) => neighbours.size)).toEqual([0, 0]);
  });

  it("another MAC of the peer's replaces the peer's", () => {
    const r = rig();
    tell(r);
    tell(r, A, OTHER);
    expect(known(r, A)).toBe(`stale ${OTHER}`);
  });
});
