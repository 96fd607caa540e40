import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  advertisement,
  decodeNd,
  decodeNdFixed,
  encodeNd,
  linkLayer,
  linkLocalOf,
  type NdMessage,
  type NdOption,
  ndFrame,
  receiveNd,
  solicitation,
  solicitedNode,
  unsolicitedAdvertisement,
} from "../../../protocols/nd/codec.ts";
import { type Ip6, ip6From, type Mac, macFrom, multicastMac } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { capturedPackets } from "../../support/captured.ts";

const SOURCE = "fe80::1" as Ip6;
const TARGET = "fe80::2" as Ip6;
const MAC = "02:00:00:00:00:01" as Mac;
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const ip6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => ip6From(bytes));
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFrom(bytes));
const option: fc.Arbitrary<NdOption> = fc.oneof(
  fc.record({ kind: fc.constantFrom("source-link-layer" as const, "target-link-layer" as const), mac }),
  fc.record({ kind: fc.constant("mtu" as const), mtu: u32 }),
  fc.record({
    kind: fc.constant("prefix" as const),
    prefix: ip6,
    length: fc.integer({ min: 0, max: 255 }),
    onLink: fc.boolean(),
    autonomous: fc.boolean(),
    valid: u32,
    preferred: u32,
  }),
  fc.record({
    kind: fc.constant("other" as const),
    type: fc.integer({ min: 6, max: 255 }),
    bytes: fc.integer({ min: 1, max: 4 }).chain((n) => fc.uint8Array({ minLength: 8 * n - 2, maxLength: 8 * n - 2 })),
  }),
);
const options = fc.array(option, { maxLength: 5 });
const message: fc.Arbitrary<NdMessage> = fc.oneof(
  fc.record({ kind: fc.constant("router-solicitation" as const), options }),
  fc.record({ kind: fc.constant("solicitation" as const), target: ip6, options }),
  fc.record({
    kind: fc.constant("advertisement" as const),
    target: ip6,
    router: fc.boolean(),
    solicited: fc.boolean(),
    override: fc.boolean(),
    options,
  }),
  fc.record({
    kind: fc.constant("router-advertisement" as const),
    hopLimit: fc.integer({ min: 0, max: 255 }),
    managed: fc.boolean(),
    other: fc.boolean(),
    preference: fc.constantFrom("low" as const, "medium" as const, "high" as const),
    lifetime: fc.integer({ min: 0, max: 0xffff }),
    reachable: u32,
    retransmission: u32,
    options,
  }),
);

const captured = capturedPackets(58).flatMap((frame) => {
  const type = frame.ip.payload[0] ?? 0;
  return frame.ip.family === "ipv6" && type >= 133 && type <= 136 ? [{ ...frame, ip: frame.ip }] : [];
});

describe("ND codec (RFC 4861 §4)", () => {
  it("gives back every message that it encodes", () => {
    fc.assert(
      fc.property(message, (value) => {
        expect(decodeNd(encodeNd(value, SOURCE, TARGET))).toEqual({ ok: true, value });
      }),
    );
  });

  it("throws on no octets", () => {
    const around = { source: SOURCE, destination: TARGET, ttl: 255 };
    const bytes = fc.tuple(fc.constantFrom(0, 133, 134, 135, 136), fc.uint8Array({ maxLength: 120 }));
    fc.assert(
      fc.property(bytes, ([type, tail]) => {
        const all = Uint8Array.of(type, ...tail);
        return typeof decodeNd(all).ok === "boolean" && typeof receiveNd(all, around).ok === "boolean";
      }),
    );
  });

  it("reads every captured message as its sidecar says, and writes it back octet by octet", () => {
    let whole = 0;
    for (const { where, ip, said, verdict } of captured) {
      const received = receiveNd(ip.payload, ip);
      const na = (said["icmpv6"] as { na?: Record<string, unknown> }).na;
      const fixed = decodeNdFixed(ip.payload);
      if (na !== undefined && fixed.ok) {
        const { target, router, solicited, override } = fixed.value as Extract<NdMessage, { kind: "advertisement" }>;
        const { target_lladdr: lladdr, ...flags } = na;
        // The sidecars' `router` is false throughout; tshark's own words in `info` tell the flag.
        flags["router"] = String(said["info"]).includes("(rtr");
        expect({ target, router, solicited, override }, where).toEqual(flags);
        const decoded = decodeNd(ip.payload);
        if (decoded.ok) expect(linkLayer(decoded.value, "target-link-layer"), where).toBe(lladdr);
      }
      if (verdict.expect === "drop") {
        expect(received, where).toEqual({ ok: false, reason: verdict.reason });
        continue;
      }
      if (!received.ok) expect.fail(`${where}: ${received.reason}`);
      expect(toHex(encodeNd(received.value, ip.source, ip.destination)), where).toBe(toHex(ip.payload));
      whole++;
    }
    expect(whole).toBeGreaterThan(300);
  });

  it("builds a virtual router's announcement: all nodes, hop limit 255, R=1 S=0 O=1, target link-layer address (§7.2.6)", () => {
    const vip = "fe80::100" as Ip6;
    const vmac = "00:00:5e:00:02:33" as Mac;
    const all = "ff02::1" as Ip6;
    const frame = ndFrame(
      unsolicitedAdvertisement(vip, vmac),
      { source: vip, destination: all },
      multicastMac(all),
      vmac,
    );
    expect(toHex(frame.bytes.subarray(0, 22))).toBe(`33330000000100005e00023386dd${"6000000000203aff"}`);
    const sent = receiveNd(frame.bytes.subarray(54), { source: vip, destination: all, ttl: 255 });
    expect(sent).toEqual({
      ok: true,
      value: {
        kind: "advertisement",
        target: vip,
        router: true,
        solicited: false,
        override: true,
        options: [{ kind: "target-link-layer", mac: vmac }],
      },
    });
  });

  it("knows the group and the address that are made of an address and a MAC (RFC 4291 §2.7.1, RFC 2464 §4)", () => {
    expect(solicitedNode("2001:db8:51::12:3456" as Ip6)).toBe("ff02::1:ff12:3456");
    expect(linkLocalOf("02:00:5e:10:20:30" as Mac)).toBe("fe80::5eff:fe10:2030");
  });
});

describe("ND validity (RFC 4861 §6.1, §7.1)", () => {
  const around = { source: SOURCE, destination: TARGET, ttl: 255 };
  const reasonOf = (value: NdMessage, ip: { source: Ip6; destination: Ip6; ttl: number } = around) => {
    const received = receiveNd(encodeNd(value, ip.source, ip.destination), ip);
    return received.ok ? "good" : received.reason;
  };
  const unspecified = { ...around, source: "::" as Ip6 };

  it("takes a message with hop limit 255 only (§7.1.1, §7.1.2)", () => {
    expect(reasonOf(solicitation(TARGET, MAC))).toBe("good");
    expect(reasonOf(solicitation(TARGET, MAC), { ...around, ttl: 254 })).toBe("ttl");
  });

  it("refuses a wrong checksum, a code, a target that is a group", () => {
    const bytes = encodeNd(solicitation(TARGET, MAC), SOURCE, TARGET);
    bytes[23] = 9;
    expect(receiveNd(bytes, around)).toEqual({ ok: false, reason: "checksum" });
    expect(reasonOf(solicitation("ff02::1" as Ip6, MAC))).toBe("target");
    expect(reasonOf(advertisement("ff02::1" as Ip6, MAC, { router: false, solicited: false, override: false }))).toBe(
      "target",
    );
  });

  it("refuses a solicited advertisement to a group (§7.1.2)", () => {
    const value = advertisement(SOURCE, MAC, { router: false, solicited: true, override: true });
    expect(reasonOf(value, { ...around, destination: "ff02::1" as Ip6 })).toBe("na-solicited-multicast");
  });

  it("refuses a question without a source that names a link-layer address, or goes to no solicited-node group (§7.1.1)", () => {
    const bare: NdMessage = { kind: "solicitation", target: TARGET, options: [] };
    expect(reasonOf(bare, { ...unspecified, destination: solicitedNode(TARGET) })).toBe("good");
    expect(reasonOf(bare, unspecified)).toBe("unspecified-source");
    expect(reasonOf(solicitation(TARGET, MAC), { ...unspecified, destination: solicitedNode(TARGET) })).toBe(
      "unspecified-source",
    );
  });

  it("takes router advertisements of link-local addresses only (§6.1.2)", () => {
    const value = { hopLimit: 64, managed: false, other: false, preference: "medium", lifetime: 1800 } as const;
    const ra: NdMessage = { kind: "router-advertisement", ...value, reachable: 0, retransmission: 0, options: [] };
    expect(reasonOf(ra)).toBe("good");
    expect(reasonOf(ra, { ...around, source: "2001:db8::1" as Ip6 })).toBe("router-source");
  });

  it("refuses options of length 0 and beyond the end, without reading on (§4.6)", () => {
    const bytes = encodeNd(solicitation(TARGET, MAC), SOURCE, TARGET);
    for (const length of [0, 2, 255]) {
      bytes[25] = length;
      expect(decodeNd(bytes)).toEqual({ ok: false, reason: "option-length" });
    }
  });
});
