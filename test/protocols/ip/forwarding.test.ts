import { describe, expect, it } from "vitest";
import { decodeIcmp, encodeIcmp } from "../../../protocols/icmp/codec.ts";
import { decodeIp, ipFrame, ipPacket, PROTOCOL } from "../../../protocols/ip/codec.ts";
import { factsOf, type PacketSource, packetFrame } from "../../../protocols/ip/events.ts";
import { MAX_ERRORS_A_SECOND } from "../../../protocols/ip/state.ts";
import type { Ip, Ip6 } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { Frame, FrameHeader } from "../../../src/core/frame.ts";
import { below, createRng } from "../../../src/core/rng.ts";
import { sec } from "../../../src/core/time.ts";
import { mac, macsOf, packetIn, Rig, segment } from "../../support/ip.ts";

const STRANGER = mac("02:00:00:00:00:99");

/** a (10.0.1.2, 2001:db8:1::2) — left: router :right — b (10.0.2.2, 2001:db8:2::2) */
function threeNodes() {
  const a = new Rig("a", {
    eth0: { addresses: ["10.0.1.2/24", "2001:db8:1::2/64"], gateway: ["10.0.1.1", "2001:db8:1::1"] },
  });
  const router = new Rig("router", {
    left: { addresses: ["10.0.1.1/24", "2001:db8:1::1/64"] },
    right: { addresses: ["10.0.2.1/24", "2001:db8:2::1/64"], routes: [{ to: "10.9.0.0/16", via: "10.0.2.2" }] },
  });
  const b = new Rig("b", {
    eth0: { addresses: ["10.0.2.2/24", "2001:db8:2::2/64"], gateway: ["10.0.2.1", "2001:db8:2::1"] },
  });
  const left = segment([a, "eth0"], [router, "left"]);
  const right = segment([router, "right"], [b, "eth0"]);
  return { a, router, b, left, right };
}

function ping(source: string, destination: string, ttl = 64): Frame {
  const ips = { source: source as Ip, destination: destination as Ip };
  const payload = encodeIcmp({ kind: "echo-request", identifier: 7, sequence: 1, data: Uint8Array.of(1, 2, 3) }, ips);
  const protocol = source.includes(":") ? PROTOCOL.icmpv6 : PROTOCOL.icmp;
  return packetFrame(ipPacket({ ...ips, protocol, ttl, payload }));
}

const icmpIn = (frame: Frame | undefined) => {
  const packet = packetIn(frame);
  const message = decodeIcmp(packet.payload, packet);
  return message.ok ? { from: packet.source, ttl: packet.ttl, ...message.value } : message;
};

describe("echo", () => {
  it("a link-local destination is on the link of the source, whatever other links there are (RFC 4291 §2.5.6)", () => {
    const a = new Rig("a", {
      eth0: { addresses: ["fe80::a/64"] },
      eth1: { addresses: ["fe80::b/64"] },
    });
    a.sent = [];
    a.send(ping("fe80::b", "fe80::2"));
    a.send(ping("fe80::a", "fe80::3"));
    expect(a.sent.map(({ port }) => port)).toEqual(["eth1", "eth0"]);
  });

  it.each([
    ["10.0.1.2", "10.0.1.1"],
    ["2001:db8:1::2", "2001:db8:1::1"],
  ])("%s is answered by %s (RFC 1122 §3.2.2.6, RFC 4443 §4.2)", (from, to) => {
    const { a } = threeNodes();
    a.send(ping(from, to));
    expect(a.received.map(icmpIn)).toEqual([
      { from: to, ttl: 64, kind: "echo-reply", identifier: 7, sequence: 1, data: Uint8Array.of(1, 2, 3) },
    ]);
  });

  it.each([
    ["10.0.1.2", "10.0.2.2"],
    ["2001:db8:1::2", "2001:db8:2::2"],
  ])("%s reaches %s behind the router and back, each way one hop shorter", (from, to) => {
    const { a, left } = threeNodes();
    a.send(ping(from, to));
    expect(a.received.map(icmpIn)).toMatchObject([{ from: to, ttl: 63, kind: "echo-reply" }]);
    for (const frame of left) expect(decodeIp(frame.bytes.subarray(14)).ok || frame.header.type === 0x0806).toBe(true);
  });

  it("is answered on every address of the node, whichever interface it comes in", () => {
    const { a } = threeNodes();
    a.send(ping("10.0.1.2", "10.0.2.1"));
    expect(a.received.map(icmpIn)).toMatchObject([{ from: "10.0.2.1", kind: "echo-reply" }]);
  });

  it("of a node to itself crosses no link", () => {
    const { a, left } = threeNodes();
    a.send(ping("10.0.1.2", "10.0.1.2"));
    expect(a.received.map(icmpIn)).toMatchObject([{ kind: "echo-reply" }]);
    expect(left).toEqual([]);
  });

  it("to all nodes of a link is answered over IPv6, and not as an IPv4 broadcast", () => {
    const r = new Rig("r", { eth0: { addresses: ["10.0.0.1/24", "2001:db8::1/64"] } });
    const to = (destination: string, link: string, source: string) => {
      const frame = ping(source, destination);
      r.arrive("eth0", ipFrame(mac(link), STRANGER, packetIn(frame)));
    };
    to("10.0.0.255", "ff:ff:ff:ff:ff:ff", "10.0.0.9");
    expect(r.take()).toEqual([]);
    to("ff02::1", "33:33:00:00:00:01", "2001:db8::9");
    expect(r.take().length).toBe(1);
  });
});

describe("forwarding", () => {
  it("takes the longest prefix (RFC 1812 §5.2.4.3)", () => {
    const r = new Rig("r", {
      one: { addresses: ["10.0.1.1/24"], gateway: "10.0.1.9" },
      two: {
        addresses: ["10.0.2.1/24"],
        routes: [
          { to: "10.9.0.0/16", via: "10.0.2.9" },
          { to: "10.9.9.0/24", via: "10.0.2.8" },
        ],
      },
    });
    const asked = (destination: string) => {
      r.send(ping("10.0.1.1", destination));
      return r.take().map(({ port, frame }) => `${port} ${toHex(frame.bytes.subarray(38, 42))}`);
    };
    expect(asked("10.9.9.7")).toEqual(["two 0a000208"]);
    expect(asked("10.9.1.7")).toEqual(["two 0a000209"]);
    expect(asked("192.0.2.1")).toEqual(["one 0a000109"]);
    expect(asked("10.0.2.77")).toEqual(["two 0a00024d"]);
  });

  it("decreases TTL and hop limit by one and keeps the IPv4 header checksum right (RFC 1812 §5.3.1, RFC 1624)", () => {
    for (const ttl of [2, 64, 255]) {
      const { a, right, b } = threeNodes();
      const seen: number[] = [];
      const before = b.up.bind(b);
      b.up = (port, frame) => {
        seen.push(packetIn(frame).ttl);
        before(port, frame);
      };
      const data = { protocol: 253, ttl, payload: Uint8Array.of(1) };
      a.send(packetFrame(ipPacket({ source: "10.0.1.2" as Ip, destination: "10.0.2.2" as Ip, ...data })));
      a.send(packetFrame(ipPacket({ source: "2001:db8:1::2" as Ip, destination: "2001:db8:2::2" as Ip, ...data })));
      expect(seen).toEqual([ttl - 1, ttl - 1]);
      expect(right.length).toBeGreaterThan(2);
    }
  });

  it.each([
    ["10.0.1.2", "10.0.2.2", "10.0.1.1"],
    ["2001:db8:1::2", "2001:db8:2::2", "2001:db8:1::1"],
  ])("with TTL 1 ends at the router, which tells %s so (RFC 1812 §5.3.1, RFC 4443 §3.3)", (from, to, router) => {
    const { a, router: r, b } = threeNodes();
    a.send(ping(from, to, 1));
    expect(b.received).toEqual([]);
    expect(r.drops).toEqual({ ttl: 1 });
    const [error] = a.received.map(icmpIn);
    expect(error).toMatchObject({ from: router, kind: "time-exceeded", code: 0 });
    const original = error !== undefined && "original" in error ? decodeIp(error.original) : undefined;
    expect(original).toMatchObject({ ok: true, value: { source: from, destination: to, ttl: 1 } });
  });

  it("to a network that nobody knows is answered as unreachable (RFC 1812 §5.2.7.1, RFC 4443 §3.1)", () => {
    const { a, router } = threeNodes();
    a.send(ping("10.0.1.2", "192.0.2.1"));
    a.send(ping("2001:db8:1::2", "2001:db8:ffff::1"));
    expect(a.received.map(icmpIn)).toMatchObject([
      { kind: "unreachable", code: 0 },
      { kind: "unreachable", code: 0 },
    ]);
    expect(router.drops).toEqual({ "no-route": 2 });
  });

  it("to a neighbour that does not answer is lost after three questions, and the sender is told (RFC 1812 §5.2.7.1)", () => {
    const { a, router } = threeNodes();
    a.send(ping("10.0.1.2", "10.0.2.77"));
    router.wait(sec(2));
    expect(a.received).toEqual([]);
    router.wait(sec(1));
    expect(a.received.map(icmpIn)).toMatchObject([{ from: "10.0.1.1", kind: "unreachable", code: 1 }]);
    expect(router.losses).toEqual({ "no-neighbour": 1 });
  });

  it(`says no more than ${MAX_ERRORS_A_SECOND} errors a second (RFC 4443 §2.4 (f))`, () => {
    const { a, router } = threeNodes();
    for (let i = 0; i < MAX_ERRORS_A_SECOND + 5; i++) a.send(ping("10.0.1.2", "192.0.2.1"));
    expect(a.received.length).toBe(MAX_ERRORS_A_SECOND);
    expect(router.drops).toEqual({ "no-route": MAX_ERRORS_A_SECOND + 5, "icmp-limit": 5 });
    router.wait(sec(1));
    a.send(ping("10.0.1.2", "192.0.2.1"));
    expect(a.received.length).toBe(MAX_ERRORS_A_SECOND + 1);
  });

  it("says no error about an error, or to a sender that is not one host (RFC 1122 §3.2.2, RFC 4443 §2.4 (e))", () => {
    const { a, router } = threeNodes();
    const ips = { source: "10.0.1.2" as Ip, destination: "192.0.2.1" as Ip };
    const error = { kind: "unreachable", code: 1, parameter: 0, original: new Uint8Array(28) } as const;
    a.send(packetFrame(ipPacket({ ...ips, protocol: PROTOCOL.icmp, payload: encodeIcmp(error, ips) })));
    router.arrive("left", ipFrame(router.macOf("left"), STRANGER, packetIn(ping("0.0.0.0", "192.0.2.1"))));
    router.arrive("left", ipFrame(router.macOf("left"), STRANGER, packetIn(ping("10.0.1.2", "127.0.0.1"))));
    expect(a.received).toEqual([]);
    expect(router.drops).toEqual({ "no-route": 1, martian: 2 });
  });

  it("is never done with link-local, multicast or broadcast packets (RFC 4291 §2.5.6, RFC 3927 §2.7, RFC 1812 §5.3.4)", () => {
    const { router, b, right } = threeNodes();
    const arrive = (source: string, destination: string, link: string = router.macOf("left")) =>
      router.arrive("left", ipFrame(mac(link), STRANGER, packetIn(ping(source, destination))));
    arrive("fe80::9", "2001:db8:2::2");
    arrive("2001:db8:1::9", "fe80::9");
    arrive("169.254.1.1", "10.0.2.2");
    expect(router.drops).toEqual({ "link-local": 3 });
    arrive("10.0.1.9", "239.1.1.1");
    expect(router.drops).toMatchObject({ "not-for-us": 1 });
    arrive("10.0.1.9", "10.0.2.2", "ff:ff:ff:ff:ff:ff");
    expect(router.drops).toMatchObject({ "link-broadcast": 1 });
    arrive("239.1.1.1", "10.0.2.2");
    expect(router.drops).toMatchObject({ martian: 1 });
    expect(right).toEqual([]);
    expect(b.received).toEqual([]);
  });

  it("is not done by a host with one interface, nor where the file says no", () => {
    const host = new Rig("h", { eth0: { addresses: ["10.0.0.1/24"], gateway: "10.0.0.9" } });
    host.arrive("eth0", ipFrame(host.macOf("eth0"), STRANGER, packetIn(ping("10.0.0.9", "192.0.2.1"))));
    expect(host.drops).toEqual({ "not-for-us": 1 });
    const two = { eth0: { addresses: ["10.0.0.1/24"], forwarding: false }, eth1: { addresses: ["10.0.1.1/24"] } };
    const quiet = new Rig("q", two);
    quiet.arrive("eth0", ipFrame(quiet.macOf("eth0"), STRANGER, packetIn(ping("10.0.0.9", "10.0.1.9"))));
    expect(quiet.drops).toEqual({ "not-for-us": 1 });
    expect(quiet.take()).toEqual([]);
  });

  it("stops when the link on the way goes down, and goes on when it is back", () => {
    const { a, router, b } = threeNodes();
    router.link("right", false);
    a.send(ping("10.0.1.2", "10.0.2.2"));
    expect(a.received.map(icmpIn)).toMatchObject([{ kind: "unreachable" }]);
    router.link("right", true);
    a.send(ping("10.0.1.2", "10.0.2.2"));
    expect(a.received.map(icmpIn)).toMatchObject([{ kind: "unreachable" }, { kind: "echo-reply" }]);
    expect(b.losses).toEqual({});
  });
});

describe("what comes in", () => {
  const rig = () => new Rig("r", { eth0: { addresses: ["10.0.0.1/24", "2001:db8::1/64"] } });
  const datagram = ipPacket({
    source: "10.0.0.9" as Ip,
    destination: "10.0.0.1" as Ip,
    protocol: PROTOCOL.udp,
    payload: new Uint8Array(8),
  });

  it("goes up on the port ip when it is for this node, as the frame that it was", () => {
    const r = rig();
    const frame = Frame.of(ipFrame(r.macOf("eth0"), STRANGER, datagram));
    r.arrive("eth0", frame);
    expect(r.received).toEqual([frame]);
  });

  it("stays outside when it is for another MAC or VLAN, or of another protocol of the link", () => {
    const r = rig();
    r.arrive("eth0", ipFrame(STRANGER, STRANGER, datagram));
    r.arrive("eth0", Frame.of(ipFrame(r.macOf("eth0"), STRANGER, datagram)).tagged(10));
    const lldp = ipFrame(r.macOf("eth0"), STRANGER, datagram);
    lldp.set([0x88, 0xcc], 12);
    r.arrive("eth0", lldp);
    expect(r.received).toEqual([]);
    expect(r.drops).toEqual({});
    expect(r.losses).toEqual({ "other-mac": 1 });
  });

  it("is left to others when it is VRRP", () => {
    const r = rig();
    r.arrive("eth0", ipFrame(r.macOf("eth0"), STRANGER, { ...datagram, protocol: PROTOCOL.vrrp }));
    r.arrive("eth0", ipFrame(mac("01:00:5e:00:00:12"), STRANGER, { ...datagram, protocol: PROTOCOL.vrrp }));
    expect(r.received).toEqual([]);
    expect(r.losses).toEqual({});
  });

  it("is dropped and counted by reason when it is malformed, and changes nothing", () => {
    const r = rig();
    const good = ipFrame(r.macOf("eth0"), STRANGER, datagram);
    const broken = (at: number, value: number) => {
      const bytes = good.slice();
      bytes[at] = value;
      r.arrive("eth0", bytes);
    };
    broken(14, 0x55);
    broken(14, 0x44);
    broken(24, 0);
    broken(17, 200);
    r.arrive("eth0", good.subarray(0, 20));
    expect(r.drops).toEqual({
      "ip-version": 1,
      "ip-header-length": 1,
      "ip-header-checksum": 1,
      "ip-length": 1,
      "ip-short": 1,
    });
    expect(r.received).toEqual([]);
  });

  it("throws on no octets", () => {
    const r = rig();
    const rng = createRng(1, "fuzz");
    const seeds = [
      ipFrame(r.macOf("eth0"), STRANGER, packetIn(ping("10.0.0.9", "10.0.0.1"))),
      ipFrame(r.macOf("eth0"), STRANGER, packetIn(ping("2001:db8::9", "2001:db8::1"))),
    ];
    for (let i = 0; i < 20_000; i++) {
      const bytes = (seeds[i % 2] as Uint8Array).slice();
      for (let k = below(rng, 4); k >= 0; k--) bytes[12 + below(rng, bytes.length - 12)] = below(rng, 256);
      r.arrive("eth0", bytes.subarray(0, 14 + below(rng, bytes.length)));
    }
    r.wait(sec(100));
    expect(Object.keys(r.losses).length).toBeGreaterThan(5);
  });
});

describe("packets whose octets are made on demand", () => {
  it("arrive the same as packets of octets, over a router, in both families", () => {
    for (const [from, to] of [
      ["10.0.1.2", "10.0.2.2"],
      ["2001:db8:1::2", "2001:db8:2::2"],
    ] as const) {
      const packet = ipPacket({
        source: from as Ip,
        destination: to as Ip6,
        protocol: 253,
        payload: Uint8Array.of(1, 2, 3),
      });
      const template = packetFrame(packet).bytes;
      const source: PacketSource = {
        packet: {
          family: packet.family,
          source: packet.source,
          destination: packet.destination,
          protocol: 253,
          ttl: 64,
          maker: { bytesOf: () => template },
        },
        bytesOf: () => template.slice(),
      };
      const run = (frame: Frame) => {
        const { a, b, left, right } = threeNodes();
        for (let i = 0; i < 3; i++) a.send(frame);
        return { up: b.received, left, right };
      };
      const lazy = run(Frame.lazy(new FrameHeader(template), template.length, source, 1));
      const eager = run(Frame.of(template));
      const shape = (frames: Frame[]) =>
        frames.slice(-3).map((frame) => ({ size: frame.size, type: frame.header.type, packet: packetIn(frame) }));
      expect(shape(lazy.up)).toEqual(shape(eager.up));
      expect(shape(lazy.left)).toEqual(shape(eager.left));
      expect(shape(lazy.right)).toEqual(shape(eager.right));
      expect(lazy.up.every((frame) => factsOf(frame)?.ttl === 63 && packetIn(frame).ttl === 63)).toBe(true);
      for (const frame of [...lazy.left, ...lazy.right]) {
        // What relays read of the header is what the octets say.
        expect(new FrameHeader(frame.bytes)).toEqual(frame.header);
        expect(frame.bytes.length).toBe(frame.size);
        expect(macsOf(frame).source).toMatch(/^02:/);
      }
    }
  });
});
