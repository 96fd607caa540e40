/** What the stack does for a virtual router: RFC 9568 §6.4.2, §6.4.3, §8.1.2, §8.2.2. */
import { describe, expect, it } from "vitest";
import { arpFrame, arpReply, arpRequest, decodeArp, gratuitousArp } from "../../../protocols/arp/codec.ts";
import { decodeIcmp, encodeIcmp } from "../../../protocols/icmp/codec.ts";
import { ipFrame, ipPacket, PROTOCOL } from "../../../protocols/ip/codec.ts";
import { type IpVirtual, packetFrame } from "../../../protocols/ip/events.ts";
import { advertisement, ndFrame, receiveNd, solicitation, solicitedNode } from "../../../protocols/nd/codec.ts";
import { BROADCAST, type Ip, type Ip4, type Ip6, type Mac, multicastMac, type Prefix } from "../../../src/core/addr.ts";
import type { Frame } from "../../../src/core/frame.ts";
import { mac, macsOf, packetIn, Rig, type Sent } from "../../support/ip.ts";

const HOST = mac("02:00:00:00:00:99");
const HOST4 = "10.0.1.9" as Ip4;
const HOST6 = "2001:db8:1::9" as Ip6;
const VIP4 = "10.0.1.254" as Ip4;
const VIP6 = "2001:db8:1::fe" as Ip6;
const VMAC4 = mac("00:00:5e:00:01:0a");
const VMAC6 = mac("00:00:5e:00:02:0a");

const router = () =>
  new Rig("r", {
    left: { addresses: ["10.0.1.1/24", "2001:db8:1::1/64"] },
    right: { addresses: ["10.0.2.1/24", "2001:db8:2::1/64"] },
  });

function virtual(family: "ipv4" | "ipv6", present: boolean, accept = true): IpVirtual {
  const addresses: Prefix[] = family === "ipv4" ? [{ address: VIP4, length: 24 }] : [{ address: VIP6, length: 64 }];
  const own = family === "ipv4" ? VMAC4 : VMAC6;
  return { type: "ip.virtual", port: "left", vrid: 10, family, addresses, mac: own, accept, present };
}

const whoHas = (r: Rig, target: Ip4): void => r.arrive("left", arpFrame(arpRequest(HOST, HOST4, target), BROADCAST));

function solicit(r: Rig, target: Ip6): void {
  const group = solicitedNode(target);
  r.arrive(
    "left",
    ndFrame(solicitation(target, HOST), { source: HOST6, destination: group }, multicastMac(group), HOST),
  );
}

function ping(r: Rig, destination: Ip, link: Mac, port = "left"): void {
  const source = destination.includes(":") ? HOST6 : HOST4;
  const between = { source, destination };
  const payload = encodeIcmp({ kind: "echo-request", identifier: 1, sequence: 1, data: new Uint8Array(4) }, between);
  const protocol = destination.includes(":") ? PROTOCOL.icmpv6 : PROTOCOL.icmp;
  r.arrive(port, ipFrame(link, HOST, ipPacket({ ...between, protocol, payload })));
}

/** The IP packets among what was sent. */
const packets = (sent: readonly Sent[]) =>
  sent.filter(({ frame }) => frame.header.type !== 0x0806).map(({ frame }) => packetIn(frame));

const arpIn = (frame: Frame) => {
  const decoded = decodeArp(frame.bytes, 14);
  return decoded.ok ? decoded.value : decoded.reason;
};
const ndIn = (frame: Frame | undefined) => {
  const packet = packetIn(frame);
  const received = receiveNd(packet.payload, packet as typeof packet & { source: Ip6; destination: Ip6 });
  return received.ok ? received.value : received.reason;
};

describe("a master (RFC 9568 §6.4.3)", () => {
  it("80: answers an ARP request for the virtual address once, with the virtual MAC in it and around it (§8.1.2)", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    whoHas(r, VIP4);
    const sent = r.take();
    expect(sent.length).toBe(1);
    expect(sent.map(({ frame }) => macsOf(frame))).toEqual([{ source: VMAC4, destination: HOST }]);
    expect(sent.map(({ frame }) => arpIn(frame))).toEqual([arpReply(arpRequest(HOST, HOST4, VIP4), VMAC4)]);
  });

  it("80: answers for the interface's own address with the interface's MAC all the same", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    whoHas(r, "10.0.1.1" as Ip4);
    expect(r.take().map(({ frame }) => arpIn(frame))).toMatchObject([{ senderMac: r.macOf("left") }]);
  });

  it("80: answers on the virtual router's interface only", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    r.arrive("right", arpFrame(arpRequest(HOST, "10.0.2.9" as Ip4, VIP4), BROADCAST));
    expect(r.take()).toEqual([]);
  });

  it("84, 85: hears the solicited-node group and answers with R set and the virtual MAC (§8.2.2)", () => {
    const r = router();
    solicit(r, VIP6);
    expect(r.take()).toEqual([]);
    r.hear(virtual("ipv6", true));
    solicit(r, VIP6);
    const [reply, ...none] = r.take();
    expect(none).toEqual([]);
    expect(macsOf(reply?.frame)).toEqual({ source: VMAC6, destination: HOST });
    expect(ndIn(reply?.frame)).toEqual(advertisement(VIP6, VMAC6, { router: true, solicited: true, override: true }));
  });

  it("87: with Accept_Mode false answers no echo request to the virtual address, and neighbour discovery still", () => {
    const r = router();
    r.hear(virtual("ipv4", true, false));
    r.hear(virtual("ipv6", true, false));
    ping(r, VIP4, VMAC4);
    ping(r, VIP6, VMAC6);
    expect(r.take()).toEqual([]);
    expect(r.drops).toEqual({ "accept-mode": 2 });
    whoHas(r, VIP4);
    solicit(r, VIP6);
    // A confirmation goes to the address itself, not to its group.
    r.arrive("left", ndFrame(solicitation(VIP6, HOST), { source: HOST6, destination: VIP6 }, VMAC6, HOST));
    expect(r.take().length).toBe(3);
  });

  it("88: with Accept_Mode true answers echo requests to the virtual address, from that address", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    r.hear(virtual("ipv6", true));
    whoHas(r, VIP4);
    solicit(r, VIP6);
    r.take();
    ping(r, VIP4, VMAC4);
    ping(r, VIP6, VMAC6);
    const replies = packets(r.take()).filter(({ source }) => source === VIP4 || source === VIP6);
    expect(replies.map((packet) => [packet.source, decodeIcmp(packet.payload, packet)])).toMatchObject([
      [VIP4, { ok: true, value: { kind: "echo-reply" } }],
      [VIP6, { ok: true, value: { kind: "echo-reply" } }],
    ]);
  });

  it("88: answers them also when they come from behind it", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    r.arrive("right", arpFrame(arpRequest(HOST, "10.0.2.9" as Ip4, "10.0.2.1" as Ip4), BROADCAST));
    r.take();
    const between = { source: "10.0.2.9" as Ip, destination: VIP4 };
    const payload = encodeIcmp({ kind: "echo-request", identifier: 1, sequence: 1, data: new Uint8Array(4) }, between);
    r.arrive("right", ipFrame(r.macOf("right"), HOST, ipPacket({ ...between, protocol: PROTOCOL.icmp, payload })));
    const replies = r.take().filter(({ port, frame }) => port === "right" && frame.header.type === 0x0800);
    expect(packets(replies).map(({ source }) => source)).toEqual([VIP4]);
  });

  it("89: forwards frames sent to the virtual MAC", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    ping(r, "10.0.2.77" as Ip, VMAC4);
    const [question] = r.take();
    expect(question?.port).toBe("right");
    expect(question && arpIn(question.frame)).toMatchObject({ operation: 1, targetIp: "10.0.2.77" });
    expect(r.drops).toEqual({});
  });

  it("takes the virtual address for its own: it asks nobody for it", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    const packet = ipPacket({ source: "10.0.1.1" as Ip, destination: VIP4, protocol: 253, payload: new Uint8Array(1) });
    r.send(packetFrame(packet));
    expect(r.take()).toEqual([]);
    expect(r.received.length).toBe(1);
  });

  it("does not believe another router that announces its virtual address", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    r.arrive("left", arpFrame(gratuitousArp(mac("02:00:00:00:00:66"), VIP4), BROADCAST));
    expect(r.losses).toEqual({ "address-conflict": 1 });
    whoHas(r, VIP4);
    expect(r.take().map(({ frame }) => arpIn(frame))).toMatchObject([{ senderMac: VMAC4 }]);
  });

  it("uses the interface's MAC where the router has no virtual one", () => {
    const r = router();
    const { mac: _, ...bare } = virtual("ipv4", true);
    r.hear(bare as IpVirtual);
    whoHas(r, VIP4);
    expect(r.take().map(({ frame }) => arpIn(frame))).toMatchObject([{ senderMac: r.macOf("left"), senderIp: VIP4 }]);
  });
});

describe("a backup (RFC 9568 §6.4.2)", () => {
  it.each(["never a master", "a master before"])(
    "81: answers no ARP request for the virtual address (%s)",
    (history) => {
      const r = router();
      if (history === "a master before") r.hear(virtual("ipv4", true));
      r.hear(virtual("ipv4", false));
      whoHas(r, VIP4);
      expect(r.take()).toEqual([]);
    },
  );

  it("82: answers no neighbour solicitation for the virtual address", () => {
    const r = router();
    r.hear(virtual("ipv6", true));
    r.hear(virtual("ipv6", false));
    solicit(r, VIP6);
    expect(r.take()).toEqual([]);
  });

  it("89: discards frames sent to the virtual MAC, and counts them", () => {
    const r = router();
    r.hear(virtual("ipv4", false));
    ping(r, "10.0.2.77" as Ip, VMAC4);
    ping(r, VIP4, VMAC4);
    expect(r.take()).toEqual([]);
    expect(r.drops).toEqual({ "virtual-router-absent": 2 });
  });

  it("accepts no packets to the virtual address that come by its own MAC", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    r.hear(virtual("ipv4", false));
    ping(r, VIP4, r.macOf("left"));
    const sent = r.take().map(({ frame }) => frame.header.type);
    // Not its own any more: it forwards to whoever has it now.
    expect(sent).toEqual([0x0806]);
  });

  it("reaches the master's virtual address as any host does, and follows when the address moves", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    r.hear(virtual("ipv4", false));
    const packet = ipPacket({ source: "10.0.1.1" as Ip, destination: VIP4, protocol: 253, payload: new Uint8Array(1) });
    r.send(packetFrame(packet));
    r.arrive("left", arpFrame(gratuitousArp(VMAC4, VIP4), BROADCAST));
    expect(macsOf(r.take().at(-1)?.frame).destination).toBe(VMAC4);
  });

  it("keeps the routers of both families and of other numbers apart", () => {
    const r = router();
    r.hear(virtual("ipv4", true));
    r.hear(virtual("ipv6", false));
    r.hear({
      ...virtual("ipv4", false),
      vrid: 11,
      mac: mac("00:00:5e:00:01:0b"),
      addresses: [{ address: "10.0.1.253" as Ip, length: 24 }],
    });
    whoHas(r, VIP4);
    whoHas(r, "10.0.1.253" as Ip4);
    solicit(r, VIP6);
    expect(r.take().map(({ frame }) => frame.header.type)).toEqual([0x0806]);
  });
});

describe("the neighbours of a virtual router", () => {
  it("83: move the address that they know to the MAC of a gratuitous ARP", () => {
    const host = new Rig("h", { eth0: { addresses: ["10.0.1.9/24"], gateway: "10.0.1.254" } });
    const packet = ipPacket({
      source: HOST4,
      destination: "192.0.2.1" as Ip,
      protocol: 253,
      payload: new Uint8Array(1),
    });
    host.send(packetFrame(packet));
    host.arrive("eth0", arpFrame(arpReply(arpRequest(host.macOf("eth0"), HOST4, VIP4), HOST), host.macOf("eth0")));
    expect(macsOf(host.take().at(-1)?.frame).destination).toBe(HOST);
    host.arrive("eth0", arpFrame(gratuitousArp(VMAC4, VIP4), BROADCAST));
    host.send(packetFrame(packet));
    expect(host.take().map(({ frame }) => macsOf(frame).destination)).toContain(VMAC4);
  });
});
