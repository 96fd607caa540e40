import { describe, expect, test } from "vitest";
import { decodeArp } from "../../../protocols/arp/codec.ts";
import { decodeNd, linkLayer } from "../../../protocols/nd/codec.ts";
import { checksumFormsOf, encodedSize } from "../../../protocols/vrrp/codec.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { ms, sec } from "../../../src/core/time.ts";
import { Bench, given, given6, packetOf, type Sent } from "../../support/vrrp.ts";

/** The first advert of a master that was alone. */
function first(bench: Bench): Sent {
  bench.wait(sec(200));
  const [sent] = bench.adverts();
  if (sent === undefined) throw new Error("no advert");
  return sent;
}

const payload = (sent: Sent): Uint8Array => packetOf(sent.frame).payload;

describe("transmit", () => {
  test("1 · RFC 9568 §5.2.1, §5.2.2 · every advert begins with version 3, type 1", () => {
    const bench = new Bench([given()]).wait(sec(10)).command({ verb: "stop" });
    expect(bench.adverts().length).toBeGreaterThan(5);
    for (const sent of bench.adverts()) expect(payload(sent)[0]).toBe(0x31);
  });

  test("2 · RFC 9568 §5.2.3 · the second octet is the VRID", () => {
    for (const vrid of [1, 10, 255]) expect(payload(first(new Bench([given({ vrid })])))[1]).toBe(vrid);
  });

  test("3 · RFC 9568 §5.2.4 · the third octet is the effective priority, 0 only in the release", () => {
    const tracked = given({ priority: 150, track: { objects: [{ name: "nginx", weight: -60 }] } });
    const bench = new Bench([tracked]).wait(sec(10)).command({ verb: "track", name: "nginx", up: false });
    bench.wait(sec(3)).command({ verb: "stop" });
    const priorities = bench.adverts().map((sent) => payload(sent)[2]);
    expect(new Set(priorities.slice(0, 6))).toEqual(new Set([150]));
    expect(priorities.slice(-2)).toEqual([90, 0]);
    expect(priorities.filter((priority) => priority === 0)).toHaveLength(1);
  });

  test("4 · RFC 9568 §5.2.5 · the count is that of the addresses that follow", () => {
    for (const count of [1, 2, 20, 255]) {
      const addresses = Array.from({ length: count }, (_, i) => `198.51.${100 + (i >> 7)}.${i & 127}/24`);
      const sent = payload(first(new Bench([given({ addresses })])));
      expect(sent[3]).toBe(count);
      expect(sent).toHaveLength(8 + 4 * count);
    }
  });

  test("5 · RFC 9568 §5.2.6 · the reserved bits are 0 for every interval", () => {
    for (const interval of ["10ms", "1s", "40.95s"]) {
      expect((payload(first(new Bench([given({ interval })])))[4] ?? 0) >>> 4).toBe(0);
    }
  });

  test("6 · RFC 9568 §5.2.7 · the interval is this router's own, also after another was learned", () => {
    const bench = new Bench([given()]).hear(200, { interval: 400 }).wait(sec(20));
    expect(payload(bench.lastAdvert()).subarray(4, 6)).toEqual(Uint8Array.of(0, 100));
    expect(payload(first(new Bench([given({ interval: "40.95s" })]))).subarray(4, 6)).toEqual(
      Uint8Array.of(0x0f, 0xff),
    );
  });

  test("7 · RFC 9568 §5.2.8 · over IPv4 the checksum covers the message; in compatibility mode the pseudo-header too", () => {
    const forms = (checksum: string) => checksumFormsOf(packetOf(first(new Bench([given({ checksum })])).frame));
    expect(forms("auto")).toEqual(["message"]);
    expect(forms("rfc9568")).toEqual(["message"]);
    expect(forms("pseudo-header")).toEqual(["pseudo-header"]);
  });

  test("7 · `auto` follows the checksum form of the last valid advert of a peer", () => {
    const bench = new Bench([given({ priority: 200 })]).wait(sec(5));
    bench.hear(100, { checksum: "pseudo-header" }).wait(sec(2));
    expect(checksumFormsOf(packetOf(bench.lastAdvert().frame))).toEqual(["pseudo-header"]);
    bench.hear(100, { checksum: "message" }).wait(sec(2));
    expect(checksumFormsOf(packetOf(bench.lastAdvert().frame))).toEqual(["message"]);
  });

  test("8 · RFC 9568 §5.2.8 · over IPv6 the checksum covers the pseudo-header with next header 112", () => {
    expect(checksumFormsOf(packetOf(first(new Bench([given6({ checksum: "rfc9568" })])).frame))).toEqual([
      "pseudo-header",
    ]);
  });

  test("9 · RFC 9568 §5.2.9 · the addresses are sent in the order of the configuration", () => {
    const addresses = ["192.0.2.9/24", "192.0.2.3/24", "192.0.2.200/24"];
    const sent = first(new Bench([given({ addresses })]));
    expect(sent.advert?.addresses).toEqual(["192.0.2.9", "192.0.2.3", "192.0.2.200"]);
    expect(payload(first(new Bench([given6()])))).toHaveLength(encodedSize(3, "ipv6", 2));
  });

  test("10 · RFC 9568 §5.2.9 · an IPv6 advert begins with the virtual link-local address", () => {
    expect(first(new Bench([given6()])).advert?.addresses[0]).toBe("fe80::10");
  });

  test("11 · RFC 9568 §5.1.1.1 · the source is the primary address, not a virtual one that stands there too", () => {
    const bench = new Bench([given()], { idle: true }).link("eth0", true);
    bench.addresses("eth0", ["192.0.2.254/24", "192.0.2.7/24", "192.0.2.8/24"]);
    expect(packetOf(first(bench).frame).source).toBe("192.0.2.7");
    const owner = new Bench([given({ priority: 255 })], { idle: true }).link("eth0", true);
    owner.addresses("eth0", ["192.0.2.254/24", "192.0.2.7/24"]);
    expect(packetOf(first(owner).frame).source).toBe("192.0.2.254");
  });

  test("12–14, 16 · RFC 9568 §5.1.1, §7.2 · IPv4: group, TTL 255, protocol 112, virtual MAC, DSCP CS6", () => {
    const { frame, port } = first(new Bench([given()]));
    expect(packetOf(frame)).toMatchObject({ destination: "224.0.0.18", ttl: 255, protocol: 112, trafficClass: 0xc0 });
    expect(macFrom(frame.bytes, 0)).toBe("01:00:5e:00:00:12");
    expect(macFrom(frame.bytes, 6)).toBe("00:00:5e:00:01:0a");
    expect(port).toBe("eth0");
  });

  test("15, 16 · RFC 9568 §5.1.2, §7.2 · IPv6: link-local source, ff02::12, hop limit 255, next header 112", () => {
    const { frame } = first(new Bench([given6()]));
    const packet = { source: "fe80::2", destination: "ff02::12", ttl: 255, protocol: 112 };
    expect(packetOf(frame)).toMatchObject(packet);
    expect(macFrom(frame.bytes, 0)).toBe("33:33:00:00:00:12");
    expect(macFrom(frame.bytes, 6)).toBe("00:00:5e:00:02:0a");
  });

  test("without a virtual MAC frames leave from the interface's own", () => {
    const bench = new Bench([given({ "virtual-mac": false })]).wait(sec(4));
    expect(bench.sent.map(({ frame }) => macFrom(frame.bytes, 6))).toEqual(Array(2).fill("02:00:00:00:01:01"));
  });

  test("18 · RFC 9568 §4, §6 · IPv4 and IPv6 routers of one VRID are independent of each other", () => {
    const bench = new Bench([given(), given6()]).hearEach(sec(1), 6, 200);
    expect(bench.state.routers.map(({ state }) => state)).toEqual(["backup", "master"]);
  });

  test("an unchanged advert is the very same frame each time", () => {
    const bench = new Bench([given()]).wait(sec(20));
    const [one, ...others] = bench.adverts();
    expect(others.length).toBeGreaterThan(10);
    for (const other of others) expect(other.frame).toBe(one?.frame);
  });
});

describe("announcements", () => {
  test("22 · RFC 9568 §6.4.2 · on promotion the advert goes before addresses and gratuitous ARP", () => {
    const bench = new Bench([given()]);
    bench.take();
    expect(bench.wait(sec(4)).said()).toEqual([
      "advert 100",
      "apply present",
      "garp 192.0.2.254",
      "backup → master master-timeout",
    ]);
  });

  test("after priority 0, when the old master still answers, the addresses are there before the advert: make before break", () => {
    const bench = new Bench([given()]).hear(200).hear(0);
    bench.take();
    expect(bench.wait(sec(1)).said()).toEqual([
      "apply present",
      "advert 100",
      "garp 192.0.2.254",
      "backup → master priority-zero",
    ]);
  });

  test("the same over IPv6", () => {
    const bench = new Bench([given6()]).hear(0, { source: "fe80::1" });
    bench.take();
    expect(bench.wait(sec(1)).said().slice(0, 2)).toEqual(["apply present", "advert 100"]);
  });

  test.each(["priority 0", "preemption"])(
    "after %s the old master drops its addresses before a gratuitous ARP comes that it would answer with the virtual MAC",
    (how) => {
      const bench = new Bench([given()]);
      if (how === "priority 0") bench.hear(200, { virtualMac: true }).hear(0, { virtualMac: true });
      else bench.hear(99, { virtualMac: true });
      bench.wait(sec(4)).take();
      const at = (text: string) => bench.sent.find((one) => one.text.startsWith(text))?.at ?? 0;
      expect(at("garp") - at("advert 100")).toBe(5_000);
      // IPv6 has nothing that would be answered.
      const six = new Bench([given6()]).hear(0, { source: "fe80::1", virtualMac: true }).wait(sec(4));
      expect(six.sent.find(({ text }) => text.startsWith("na"))?.at).toBe(six.adverts()[0]?.at);
    },
  );

  test("83, 90 · RFC 9568 §6.4.2, erratum 7949 · one broadcast ARP for each IPv4 address, from the virtual MAC", () => {
    const addresses = ["192.0.2.254/24", "192.0.2.253/24", "192.0.2.252/24"];
    const bench = new Bench([given({ addresses })]).wait(sec(10));
    const arps = bench.sent.filter(({ text }) => text.startsWith("garp"));
    expect(arps).toHaveLength(3);
    for (const [i, { frame }] of arps.entries()) {
      const arp = decodeArp(frame.bytes, frame.payload);
      const address = addresses[i]?.slice(0, -3);
      expect(arp).toMatchObject({
        ok: true,
        value: { senderIp: address, targetIp: address, senderMac: "00:00:5e:00:01:0a" },
      });
      expect(macFrom(frame.bytes, 0)).toBe("ff:ff:ff:ff:ff:ff");
      expect(macFrom(frame.bytes, 6)).toBe("00:00:5e:00:01:0a");
    }
  });

  test("90 · further rounds of announcements come as configured, and then no more", () => {
    const bench = new Bench([given({ announce: { repeat: 2, every: "5s" } })]).wait(sec(60));
    const at = bench.sent.filter(({ text }) => text.startsWith("garp")).map(({ at }) => at);
    expect(at).toEqual([3_609_375, 8_609_375, 13_609_375]);
  });

  test("they are refreshed for as long as it is master, after those that are repeated", () => {
    const bench = new Bench([given({ announce: { repeat: 1, every: "5s", refresh: "60s" } })]).wait(sec(200));
    const garps = () => bench.sent.filter(({ text }) => text.startsWith("garp")).map(({ at }) => at);
    expect(garps()).toEqual([3_609_375, 8_609_375, 68_609_375, 128_609_375, 188_609_375]);
    bench.hear(200).wait(sec(3));
    bench.hear(200).wait(sec(3));
    expect(garps()).toHaveLength(5);
  });

  test("90 · the frames of a round keep the configured distance, while adverts go on", () => {
    const addresses = ["192.0.2.254/24", "192.0.2.253/24", "192.0.2.252/24"];
    const announce = { repeat: 1, every: "2s", gap: "400ms" };
    const bench = new Bench([given({ addresses, announce })]).wait(sec(10));
    const at = bench.sent.filter(({ text }) => text.startsWith("garp")).map(({ at }) => at - 3_609_375);
    expect(at).toEqual([0, 400_000, 800_000, 2_800_000, 3_200_000, 3_600_000]);
    expect(bench.adverts().map(({ at }) => at - 3_609_375)).toEqual([0, 1, 2, 3, 4, 5, 6].map((n) => n * 1_000_000));
  });

  test("84 · RFC 9568 §6.4.2 · one neighbour advertisement for each IPv6 address: R=1 S=0 O=1, to ff02::1, hop limit 255", () => {
    const bench = new Bench([given6()]).wait(sec(4));
    const nas = bench.sent.filter(({ text }) => text.startsWith("na"));
    expect(nas.map(({ text }) => text)).toEqual(["na fe80::10", "na 2001:db8::254"]);
    for (const { frame } of nas) {
      const packet = packetOf(frame);
      expect(packet).toMatchObject({ destination: "ff02::1", ttl: 255 });
      const nd = decodeNd(packet.payload);
      expect(nd).toMatchObject({ ok: true, value: { router: true, solicited: false, override: true } });
      if (nd.ok) expect(linkLayer(nd.value, "target-link-layer")).toBe("00:00:5e:00:02:0a");
      expect(macFrom(frame.bytes, 6)).toBe("00:00:5e:00:02:0a");
    }
  });

  test("86 · RFC 9568 §6.4.2, §6.4.3 · the master sends router advertisements from the virtual link-local, a backup none", () => {
    const bench = new Bench([given6({ "router-advertisement": { interval: "4s" } })]).wait(sec(13));
    const of = () => bench.sent.filter(({ text }) => text === "router-advertisement");
    expect(of().map(({ at }) => at)).toEqual([3_609_375, 7_609_375, 11_609_375]);
    expect(packetOf(of()[0]?.frame ?? bench.lastAdvert().frame).source).toBe("fe80::10");
    bench.hear(200, { source: "fe80::1" }).hearEach(ms(500), 40, 200, { source: "fe80::1" });
    expect(of()).toHaveLength(3);
  });
});
