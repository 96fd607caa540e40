/** MACs of the M-LAG peer for which a node routes, too: what it routes, and what it sends on as it came. */
import { describe, expect, it } from "vitest";
import { arpFrame, arpRequest } from "../../../protocols/arp/codec.ts";
import { decodeIcmp } from "../../../protocols/icmp/codec.ts";
import { type IpPacket, ipFrame, ipPacket, PROTOCOL } from "../../../protocols/ip/codec.ts";
import { factsOf, type PacketSource } from "../../../protocols/ip/events.ts";
import { advertisement, decodeNd, ndFrame, solicitation } from "../../../protocols/nd/codec.ts";
import type { Ip, Ip4, Ip6, Mac } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { Frame, FrameHeader } from "../../../src/core/frame.ts";
import { mac, macsOf, packetIn, Rig, type Sent } from "../../support/ip.ts";

const HOST = mac("02:00:00:00:00:99");
const HOST4 = "10.0.1.9" as Ip4;
const HOST6 = "2001:db8:1::9" as Ip6;
const FAR4 = "10.0.2.9" as Ip4;
const FAR6 = "2001:db8:2::9" as Ip6;
const FAR = mac("02:00:00:00:00:88");
const VIP4 = "10.0.1.254" as Ip4;
const VIP6 = "fe80::1:fe" as Ip6;
const PEER4 = "10.0.1.2" as Ip4;
const PEER6 = "2001:db8:1::2" as Ip6;
const VIRTUAL4 = mac("00:00:5e:00:01:0a");
const VIRTUAL6 = mac("00:00:5e:00:02:0a");
const PEER = mac("02:00:00:00:77:01");
const MACS = [VIRTUAL4, VIRTUAL6, PEER];

/** A backup whose peer is master on the left. */
function backup(left: object = {}): Rig {
  const rig = new Rig("r", {
    left: { addresses: ["10.0.1.1/24", "2001:db8:1::1/64"], ...left },
    right: { addresses: ["10.0.2.1/24", "2001:db8:2::1/64"] },
  });
  const virtual = { type: "ip.virtual", port: "left", vrid: 10, accept: true, present: false } as const;
  rig.hear({ ...virtual, family: "ipv4", addresses: [{ address: VIP4, length: 24 }], mac: VIRTUAL4 });
  share(rig, MACS);
  // So it knows where the far host is.
  rig.arrive("right", arpFrame(arpRequest(FAR, FAR4, "10.0.2.1" as Ip4), rig.macOf("right")));
  send(rig, VIRTUAL4, packet(FAR4));
  return rig;
}

function share(rig: Rig, macs: readonly Mac[]): void {
  const addresses = macs.length === 0 ? [] : [PEER4, PEER6, "fe80::2" as Ip, VIP4, VIP6];
  rig.hear({ type: "mlag.gateway", port: "left", peerLink: "peer", own: [], macs, addresses });
}

function packet(destination: Ip, ttl = 64, protocol: number = PROTOCOL.udp): IpPacket {
  const source = destination.includes(":") ? HOST6 : HOST4;
  return ipPacket({ source, destination, protocol, ttl, payload: new Uint8Array(8) });
}

function send(rig: Rig, link: Mac, what: IpPacket): Sent[] {
  rig.arrive("left", ipFrame(link, HOST, what));
  return rig.take();
}

/** Where it went, under which MACs, with which TTL. */
function words({ port, frame }: Sent, rig: Rig): string {
  const { source, destination } = macsOf(frame);
  const names = new Map<string, string>([
    [rig.macOf("left"), "left"],
    [rig.macOf("right"), "right"],
    [FAR, "far"],
  ]);
  return `${port} ${names.get(source) ?? source} > ${names.get(destination) ?? destination} ${packetIn(frame).ttl}`;
}

describe("a packet to a MAC of the peer", () => {
  it.each(MACS)("M65: for somebody else is routed, and its TTL goes down by one: to %s", (link) => {
    const rig = backup();
    expect(send(rig, link, packet(FAR4)).map((sent) => words(sent, rig))).toEqual(["right right > far 63"]);
  });

  it("M65: over IPv6 as well, when the neighbour has answered", () => {
    const rig = backup();
    const [asked] = send(rig, VIRTUAL6, packet(FAR6));
    const nd = decodeNd(packetIn(asked?.frame).payload);
    expect([asked?.port, nd.ok && nd.value.kind]).toEqual(["right", "solicitation"]);
    const between = { source: FAR6, destination: "2001:db8:2::1" as Ip6 };
    const answer = advertisement(FAR6, FAR, { router: false, solicited: true, override: true });
    rig.arrive("right", ndFrame(answer, between, rig.macOf("right"), FAR));
    const routed = rig.take().filter(({ frame }) => packetIn(frame).protocol === PROTOCOL.udp);
    expect(routed.map((sent) => words(sent, rig))).toEqual(["right right > far 63"]);
  });

  it.each([
    [VIRTUAL4, VIP4],
    [PEER, PEER4],
    [VIRTUAL6, VIP6],
    [PEER, PEER6],
    [VIRTUAL4, PEER4],
    [PEER, "fe80::2" as Ip],
    [PEER, "fe80::3" as Ip],
    [PEER, "169.254.0.3" as Ip],
  ])("M65: for the peer itself is sent on as it came: to %s for %s", (link, destination) => {
    const rig = backup();
    for (const ttl of [255, 64, 1]) {
      const sent = send(rig, link, packet(destination, ttl));
      expect(sent.map((one) => words(one, rig))).toEqual([`left left > ${link} ${ttl}`]);
      expect(packetIn(sent[0]?.frame)).toEqual(packet(destination, ttl));
    }
    expect(rig.losses).toEqual({});
  });

  it("keeps all octets of a packet that was made without them, too", () => {
    const rig = backup();
    const whole = ipFrame(VIRTUAL4, HOST, packet(VIP4));
    const facts = { family: "ipv4", source: HOST4, destination: VIP4, protocol: PROTOCOL.udp, ttl: 64 } as const;
    const source: PacketSource = {
      get packet() {
        return { ...facts, maker: source };
      },
      bytesOf: () => whole.slice(),
    };
    rig.arrive("left", Frame.lazy(new FrameHeader(whole), whole.length, source, 7));
    const [sent] = rig.take();
    expect(factsOf(sent?.frame as Frame)).toEqual({ ...facts, maker: source });
    expect(toHex(sent?.frame.bytes ?? new Uint8Array())).toBe(
      toHex(ipFrame(VIRTUAL4, rig.macOf("left"), packet(VIP4))),
    );
  });

  it("for this node itself is taken", () => {
    const rig = backup();
    send(rig, VIRTUAL4, packet("10.0.1.1" as Ip));
    send(rig, PEER, packet("10.0.2.1" as Ip));
    expect(rig.received.map((frame) => packetIn(frame).destination)).toEqual(["10.0.1.1", "10.0.2.1"]);
  });

  it("that has no hop left is told so by this node, under its own address", () => {
    const rig = backup();
    rig.arrive("left", arpFrame({ ...arpRequest(HOST, HOST4, "10.0.1.1" as Ip4) }, rig.macOf("left")));
    rig.take();
    // A question whether the host is still there comes first.
    const error = send(rig, VIRTUAL4, packet(FAR4, 1)).at(-1);
    const { source, destination, payload } = packetIn(error?.frame);
    const message = decodeIcmp(payload, { source, destination });
    expect([source, destination, message.ok && message.value.kind]).toEqual(["10.0.1.1", HOST4, "time-exceeded"]);
  });

  it("for which this node has no way, or which it must not forward, is the peer's to decide", () => {
    const none = backup();
    expect(send(none, VIRTUAL4, packet("192.0.2.9" as Ip)).map((one) => words(one, none))).toEqual([
      `left left > ${VIRTUAL4} 64`,
    ]);
    const host = backup({ forwarding: false });
    expect(send(host, PEER, packet(FAR4)).map((one) => words(one, host))).toEqual([`left left > ${PEER} 64`]);
    none.link("right", false);
    expect(send(none, PEER, packet(FAR4)).map((one) => words(one, none))).toEqual([`left left > ${PEER} 64`]);
  });

  it("that is for a virtual address whose router is master here is taken", () => {
    const rig = backup();
    const own = { type: "ip.virtual", port: "right", vrid: 20, family: "ipv4", accept: true } as const;
    const addresses = [{ address: "10.0.2.254" as Ip, length: 24 }];
    rig.hear({ ...own, addresses, mac: mac("00:00:5e:00:01:14"), present: true });
    send(rig, VIRTUAL4, packet("10.0.2.254" as Ip));
    expect(rig.received).toHaveLength(1);
  });
});

it("nobody who asks for an address of the peer is answered", () => {
  const rig = backup();
  for (const target of [VIP4, PEER4])
    rig.arrive("left", arpFrame(arpRequest(HOST, HOST4, target), mac("ff:ff:ff:ff:ff:ff")));
  rig.arrive(
    "left",
    ndFrame(
      solicitation(VIP6, HOST),
      { source: HOST6, destination: "ff02::1:ff01:fe" as Ip6 },
      mac("33:33:ff:01:00:fe"),
      HOST,
    ),
  );
  expect(rig.take()).toEqual([]);
});

it("what is no longer shared is not received: RFC 9568 §6.4.2", () => {
  const rig = backup();
  share(rig, []);
  expect(send(rig, VIRTUAL4, packet(FAR4))).toEqual([]);
  expect(send(rig, PEER, packet(FAR4))).toEqual([]);
  expect(rig.losses).toEqual({ "virtual-router-absent": 1, "other-mac": 1 });
});

it("a name that is no interface means nothing", () => {
  const rig = backup();
  rig.hear({
    type: "mlag.gateway",
    port: "vlan99",
    peerLink: "peer",
    own: [],
    macs: MACS,
    addresses: ["10.0.2.9" as Ip],
  });
  expect(send(rig, VIRTUAL4, packet(FAR4))).toHaveLength(1);
});
