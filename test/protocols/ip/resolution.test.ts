import { describe, expect, it } from "vitest";
import { arpFrame, arpReply, arpRequest, decodeArp, gratuitousArp } from "../../../protocols/arp/codec.ts";
import { ipPacket } from "../../../protocols/ip/codec.ts";
import { packetFrame } from "../../../protocols/ip/events.ts";
import { MAX_NEIGHBOURS, MAX_WAITING } from "../../../protocols/ip/state.ts";
import {
  advertisement,
  ndFrame,
  receiveNd,
  solicitation,
  solicitedNode,
  unsolicitedAdvertisement,
} from "../../../protocols/nd/codec.ts";
import { BROADCAST, type Ip, type Ip4, type Ip6, ip4From, type Mac, multicastMac } from "../../../src/core/addr.ts";
import type { Frame } from "../../../src/core/frame.ts";
import { ms, sec } from "../../../src/core/time.ts";
import { mac, macsOf, packetIn, Rig } from "../../support/ip.ts";

const PEER = mac("02:00:00:00:00:99");
const OTHER = mac("02:00:00:00:00:98");
const OWN4 = "10.0.0.1" as Ip4;
const PEER4 = "10.0.0.2" as Ip4;
const OWN6 = "2001:db8::1" as Ip6;
const PEER6 = "2001:db8::2" as Ip6;

const rig = () => new Rig("r", { eth0: { addresses: ["10.0.0.1/24", "2001:db8::1/64"] } });
const datagram = (destination: Ip, text = 0): Frame => {
  const source = destination.includes(":") ? OWN6 : OWN4;
  return packetFrame(ipPacket({ source, destination, protocol: 253, payload: Uint8Array.of(text) }));
};
const arpOf = ({ frame }: { frame: Frame }) => {
  const decoded = decodeArp(frame.bytes, 14);
  return decoded.ok ? decoded.value : undefined;
};
const ndOf = (frame: Frame | undefined) => {
  const packet = packetIn(frame);
  const received = receiveNd(packet.payload, packet as typeof packet & { source: Ip6; destination: Ip6 });
  return received.ok ? received.value : received.reason;
};
const answer = (r: Rig, from: Mac = PEER) => {
  const request = arpRequest(r.macOf("eth0"), OWN4, PEER4);
  r.arrive("eth0", arpFrame(arpReply(request, from), r.macOf("eth0")));
};
const stateOf = (r: Rig, ip: Ip) => r.state.interfaces[0]?.neighbours.get(ip)?.state;

describe("ARP resolution (RFC 826, RFC 1122 §2.3.2)", () => {
  it("asks by broadcast, keeps the packet, and sends it to the MAC that answers", () => {
    const r = rig();
    r.send(datagram(PEER4, 7));
    const [request, ...none] = r.take();
    expect(none).toEqual([]);
    expect(request && macsOf(request.frame)).toEqual({ source: r.macOf("eth0"), destination: BROADCAST });
    expect(request && arpOf(request)).toEqual(arpRequest(r.macOf("eth0"), OWN4, PEER4));
    answer(r);
    const [packet] = r.take();
    expect(macsOf(packet?.frame)).toEqual({ source: r.macOf("eth0"), destination: PEER });
    expect(packetIn(packet?.frame)).toMatchObject({ destination: PEER4, payload: Uint8Array.of(7), ttl: 64 });
  });

  it("answers a request for its address by unicast, and knows the asker from then on", () => {
    const r = rig();
    r.arrive("eth0", arpFrame(arpRequest(PEER, PEER4, OWN4), BROADCAST));
    const [reply] = r.take();
    expect(macsOf(reply?.frame)).toEqual({ source: r.macOf("eth0"), destination: PEER });
    expect(reply && arpOf(reply)).toEqual(arpReply(arpRequest(PEER, PEER4, OWN4), r.macOf("eth0")));
    r.send(datagram(PEER4));
    expect(macsOf(r.take().at(-1)?.frame).destination).toBe(PEER);
  });

  it("answers nothing for addresses that are not its own", () => {
    const r = rig();
    r.arrive("eth0", arpFrame(arpRequest(PEER, PEER4, "10.0.0.77" as Ip4), BROADCAST));
    expect(r.take()).toEqual([]);
    expect(r.state.interfaces[0]?.neighbours.size).toBe(0);
  });

  it("answers a probe and learns nothing of it (RFC 5227 §1.1)", () => {
    const r = rig();
    r.arrive("eth0", arpFrame(arpRequest(PEER, "0.0.0.0" as Ip4, OWN4), BROADCAST));
    expect(r.take().map(arpOf)).toMatchObject([{ operation: 2, senderIp: OWN4, targetIp: "0.0.0.0" }]);
    expect(r.state.interfaces[0]?.neighbours.size).toBe(0);
  });

  it("asks once a second and no more than three times; then the packets are lost as no-neighbour", () => {
    const r = rig();
    r.send(datagram(PEER4));
    r.send(datagram(PEER4));
    expect(r.take().length).toBe(1);
    r.wait(ms(999));
    expect(r.take().length).toBe(0);
    r.wait(ms(1));
    expect(r.take().length).toBe(1);
    r.wait(sec(1));
    expect(r.take().length).toBe(1);
    r.wait(sec(10));
    expect(r.take().length).toBe(0);
    expect(r.losses).toEqual({ "no-neighbour": 2 });
    expect(r.events.at(-1)).toEqual({
      type: "ip.unresolved",
      port: "eth0",
      address: PEER4,
      lost: 2,
      reason: "no-neighbour",
    });
    r.send(datagram(PEER4));
    expect(r.take().length).toBe(1);
  });

  it(`keeps the last ${MAX_WAITING} packets for a neighbour (RFC 4861 §7.2.2: the oldest makes room)`, () => {
    const r = rig();
    for (let i = 0; i < MAX_WAITING + 3; i++) r.send(datagram(PEER4, i));
    r.take();
    answer(r);
    const payloads = r.take().map(({ frame }) => packetIn(frame).payload[0]);
    expect(payloads).toEqual(Array.from({ length: MAX_WAITING }, (_, i) => i + 3));
    expect(r.drops).toEqual({ "waiting-full": 3 });
  });

  it("confirms an entry that is in use after 30 s by a unicast question, and sends on meanwhile", () => {
    const r = rig();
    r.send(datagram(PEER4));
    answer(r);
    r.take();
    r.wait(ms(29_999));
    r.send(datagram(PEER4));
    expect(r.take().length).toBe(1);
    r.wait(ms(1));
    r.send(datagram(PEER4));
    const [probe, packet] = r.take();
    expect(macsOf(probe?.frame).destination).toBe(PEER);
    expect(probe && arpOf(probe)).toEqual(arpRequest(r.macOf("eth0"), OWN4, PEER4));
    expect(macsOf(packet?.frame).destination).toBe(PEER);
    answer(r);
    r.wait(sec(5));
    expect(r.take()).toEqual([]);
    expect(stateOf(r, PEER4)).toBe("reachable");
  });

  it("forgets a neighbour that answers no confirmation", () => {
    const r = rig();
    r.send(datagram(PEER4));
    answer(r);
    r.wait(sec(31));
    r.send(datagram(PEER4));
    r.take();
    r.wait(sec(3));
    expect(r.take().length).toBe(2);
    expect(stateOf(r, PEER4)).toBeUndefined();
    r.send(datagram(PEER4));
    expect(macsOf(r.take()[0]?.frame).destination).toBe(BROADCAST);
  });

  it("asks nobody who is not spoken to", () => {
    const r = rig();
    r.send(datagram(PEER4));
    answer(r);
    r.take();
    r.wait(sec(3600));
    expect(r.take()).toEqual([]);
  });

  it("moves an address that it knows to the MAC of a gratuitous ARP, and makes no entry of one that it does not", () => {
    const r = rig();
    r.arrive("eth0", arpFrame(gratuitousArp(OTHER, PEER4), BROADCAST));
    expect(stateOf(r, PEER4)).toBeUndefined();
    r.send(datagram(PEER4));
    answer(r);
    r.arrive("eth0", arpFrame(gratuitousArp(OTHER, PEER4), BROADCAST));
    r.take();
    r.send(datagram(PEER4));
    expect(r.take().map(({ frame }) => macsOf(frame).destination)).toContain(OTHER);
    expect(r.state.interfaces[0]?.neighbours.get(PEER4)?.mac).toBe(OTHER);
  });

  it("sends what waits when a gratuitous ARP names the neighbour first", () => {
    const r = rig();
    r.send(datagram(PEER4, 5));
    r.take();
    r.arrive("eth0", arpFrame(gratuitousArp(OTHER, PEER4), BROADCAST));
    expect(r.take().map(({ frame }) => packetIn(frame).payload[0])).toEqual([5]);
  });

  it("counts broken and foreign ARP by reason, and believes nobody who claims its own address", () => {
    const r = rig();
    const frame = arpFrame({ ...arpRequest(PEER, PEER4, OWN4), operation: 9 }, BROADCAST);
    r.arrive("eth0", frame);
    r.arrive("eth0", frame.bytes.subarray(0, 30));
    r.arrive("eth0", arpFrame(arpRequest(PEER, OWN4, PEER4), BROADCAST));
    expect(r.drops).toEqual({ "arp-op": 1, length: 1 });
    expect(r.state.drops.get("address-conflict")).toBe(1);
    expect(r.take()).toEqual([]);
  });

  it(`holds ${MAX_NEIGHBOURS} neighbours; the one confirmed longest ago makes room`, () => {
    const r = new Rig("r", { eth0: { addresses: ["10.0.0.1/8"] } });
    const nth = (n: number) => ip4From(Uint8Array.of(10, 1 + (n >> 16), (n >> 8) & 255, n & 255));
    for (let n = 0; n <= MAX_NEIGHBOURS; n++) {
      r.arrive("eth0", arpFrame(arpRequest(PEER, nth(n), OWN4), r.macOf("eth0")));
    }
    expect(r.state.interfaces[0]?.neighbours.size).toBe(MAX_NEIGHBOURS);
    expect(stateOf(r, nth(0))).toBeUndefined();
    expect(stateOf(r, nth(1))).toBe("stale");
    expect(stateOf(r, nth(MAX_NEIGHBOURS))).toBe("stale");
  });
});

describe("ND resolution (RFC 4861 §7.2, §7.3)", () => {
  const advertised = (r: Rig, flags: { solicited: boolean; override: boolean }, from: Mac) =>
    r.arrive(
      "eth0",
      ndFrame(
        advertisement(PEER6, from, { router: false, ...flags }),
        { source: PEER6, destination: OWN6 },
        r.macOf("eth0"),
        from,
      ),
    );

  it("asks the solicited-node group, and sends what waited to the MAC that answers (§7.2.2, §7.2.5)", () => {
    const r = rig();
    r.send(datagram(PEER6, 7));
    const [question] = r.take();
    const group = solicitedNode(PEER6);
    expect(macsOf(question?.frame)).toEqual({ source: r.macOf("eth0"), destination: multicastMac(group) });
    expect(packetIn(question?.frame)).toMatchObject({ source: OWN6, destination: group, ttl: 255 });
    expect(ndOf(question?.frame)).toEqual(solicitation(PEER6, r.macOf("eth0")));
    advertised(r, { solicited: true, override: true }, PEER);
    expect(r.take().map(({ frame }) => packetIn(frame).payload[0])).toEqual([7]);
    expect(stateOf(r, PEER6)).toBe("reachable");
  });

  it("answers a solicitation with S=1 O=1 and its link-layer address, and knows the asker (§7.2.3, §7.2.4)", () => {
    const r = rig();
    const group = solicitedNode(OWN6);
    r.arrive(
      "eth0",
      ndFrame(solicitation(OWN6, PEER), { source: PEER6, destination: group }, multicastMac(group), PEER),
    );
    const [reply, ...none] = r.take();
    expect(none).toEqual([]);
    expect(macsOf(reply?.frame)).toEqual({ source: r.macOf("eth0"), destination: PEER });
    expect(packetIn(reply?.frame)).toMatchObject({ source: OWN6, destination: PEER6, ttl: 255 });
    expect(ndOf(reply?.frame)).toEqual(
      advertisement(OWN6, r.macOf("eth0"), { router: false, solicited: true, override: true }),
    );
    expect(stateOf(r, PEER6)).toBe("stale");
  });

  it("answers a node that looks for duplicates to all nodes with S=0 (§7.2.4)", () => {
    const r = rig();
    const group = solicitedNode(OWN6);
    const question = { kind: "solicitation", target: OWN6, options: [] } as const;
    r.arrive("eth0", ndFrame(question, { source: "::" as Ip6, destination: group }, multicastMac(group), PEER));
    const [reply] = r.take();
    expect(packetIn(reply?.frame)).toMatchObject({ source: OWN6, destination: "ff02::1" });
    expect(ndOf(reply?.frame)).toMatchObject({ solicited: false, override: true });
  });

  it("resolves an asker that names no link-layer address before it answers (§7.2.4)", () => {
    const r = rig();
    const question = { kind: "solicitation", target: OWN6, options: [] } as const;
    r.arrive("eth0", ndFrame(question, { source: PEER6, destination: OWN6 }, r.macOf("eth0"), PEER));
    expect(ndOf(r.take()[0]?.frame)).toEqual(solicitation(PEER6, r.macOf("eth0")));
    advertised(r, { solicited: true, override: true }, PEER);
    expect(ndOf(r.take()[0]?.frame)).toMatchObject({ kind: "advertisement", target: OWN6, solicited: true });
  });

  it("makes no entry of an advertisement that it did not wait for (§7.2.5)", () => {
    const r = rig();
    advertised(r, { solicited: true, override: true }, PEER);
    expect(stateOf(r, PEER6)).toBeUndefined();
  });

  it("takes another MAC with the override flag only; without it the known one is in doubt (§7.2.5)", () => {
    const r = rig();
    r.send(datagram(PEER6));
    advertised(r, { solicited: true, override: true }, PEER);
    advertised(r, { solicited: true, override: false }, OTHER);
    expect(r.state.interfaces[0]?.neighbours.get(PEER6)).toMatchObject({ mac: PEER, state: "stale" });
    advertised(r, { solicited: true, override: false }, PEER);
    expect(stateOf(r, PEER6)).toBe("reachable");
    const all = "ff02::1" as Ip6;
    const takeover = ndFrame(
      unsolicitedAdvertisement(PEER6, OTHER),
      { source: PEER6, destination: all },
      multicastMac(all),
      OTHER,
    );
    r.arrive("eth0", takeover);
    expect(r.state.interfaces[0]?.neighbours.get(PEER6)).toMatchObject({ mac: OTHER, state: "stale" });
  });

  it("probes by unicast and gives up after three questions (§7.3.3)", () => {
    const r = rig();
    r.send(datagram(PEER6));
    advertised(r, { solicited: true, override: true }, PEER);
    r.wait(sec(31));
    r.take();
    r.send(datagram(PEER6));
    const [probe] = r.take();
    expect(macsOf(probe?.frame).destination).toBe(PEER);
    expect(packetIn(probe?.frame).destination).toBe(PEER6);
    r.wait(sec(4));
    expect(r.take().length).toBe(2);
    expect(stateOf(r, PEER6)).toBeUndefined();
  });

  it("counts what breaks the rules of §7.1 and changes nothing", () => {
    const r = rig();
    const group = solicitedNode(OWN6);
    const good = ndFrame(solicitation(OWN6, PEER), { source: PEER6, destination: group }, multicastMac(group), PEER);
    const low = good.bytes.slice();
    low[21] = 254;
    const broken = good.bytes.slice();
    broken[80] = (broken[80] ?? 0) ^ 1;
    r.arrive("eth0", low);
    r.arrive("eth0", broken);
    expect(r.drops).toEqual({ "nd-ttl": 1, "nd-checksum": 1 });
    expect(r.take()).toEqual([]);
    expect(r.state.interfaces[0]?.neighbours.size).toBe(0);
  });

  it("has a link-local address made of the MAC, and answers for it (RFC 4291 §2.8)", () => {
    const r = rig();
    const own = r.state.interfaces[0]?.addresses.at(-1)?.address as Ip6;
    expect(own).toMatch(/^fe80::ff:fe00:/);
    const group = solicitedNode(own);
    r.arrive(
      "eth0",
      ndFrame(solicitation(own, PEER), { source: PEER6, destination: group }, multicastMac(group), PEER),
    );
    expect(ndOf(r.take()[0]?.frame)).toMatchObject({ target: own });
  });
});

describe("a link that goes down", () => {
  it("empties the cache, loses what waits, and says so", () => {
    const r = rig();
    r.send(datagram(PEER4));
    r.link("eth0", false);
    expect(r.losses).toEqual({ "no-neighbour": 1 });
    expect(r.events.at(-1)).toMatchObject({ type: "ip.addresses", port: "eth0", up: false });
    r.take();
    r.send(datagram(PEER4));
    expect(r.losses).toEqual({ "no-neighbour": 1, "no-route": 1 });
    r.wait(sec(10));
    expect(r.take()).toEqual([]);
    r.link("eth0", true);
    r.send(datagram(PEER4));
    expect(r.take().length).toBe(1);
  });
});
