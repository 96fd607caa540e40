import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeEthernet } from "../../../protocols/ethernet/codec.ts";
import {
  decodeIp,
  decreaseTtl,
  encodeIp,
  type IpPacket,
  ipFrame,
  ipLayout,
  ipPacket,
  isFragment,
  MAX_EXTENSIONS,
  PROTOCOL,
  upperChecksum,
  upperChecksumFits,
} from "../../../protocols/ip/codec.ts";
import { type Ip4, type Ip6, ip4From, ip6From, type Mac, parseIp } from "../../../src/core/addr.ts";
import { fromHex, onesSum, setU16, toHex } from "../../../src/core/bytes.ts";
import { recordsOf, sidecars } from "../../support/ground-truth.ts";

const octet = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 0xffff });
const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ip4From(bytes));
const ip6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => ip6From(bytes));
const payload = fc.uint8Array({ maxLength: 64 });
const packet4: fc.Arbitrary<IpPacket> = fc.record({
  family: fc.constant("ipv4" as const),
  source: ip4,
  destination: ip4,
  ttl: octet,
  protocol: octet,
  trafficClass: octet,
  identification: word,
  dontFragment: fc.boolean(),
  moreFragments: fc.boolean(),
  fragmentOffset: fc.integer({ min: 0, max: 0x1fff }).map((n) => n * 8),
  options: fc.integer({ min: 0, max: 10 }).map((n) => new Uint8Array(4 * n).fill(1)),
  payload,
});
const STEPPED: readonly number[] = [0, 43, 44, 51, 60];
const extension = fc.oneof(
  fc.record({
    type: fc.constantFrom(0, 43, 60),
    content: fc.integer({ min: 1, max: 4 }).map((n) => new Uint8Array(8 * n - 2)),
  }),
  // Atomic (RFC 6946): a real fragment ends the chain.
  fc.record({ type: fc.constant(44), content: fc.constant(Uint8Array.of(0, 0, 1, 2, 3, 4)) }),
  fc.record({ type: fc.constant(51), content: fc.integer({ min: 2, max: 7 }).map((n) => new Uint8Array(4 * n + 2)) }),
);
const packet6: fc.Arbitrary<IpPacket> = fc.record({
  family: fc.constant("ipv6" as const),
  source: ip6,
  destination: ip6,
  ttl: octet,
  protocol: octet.filter((protocol) => !STEPPED.includes(protocol)),
  trafficClass: octet,
  flowLabel: fc.integer({ min: 0, max: 0xfffff }),
  extensions: fc.array(extension, { maxLength: MAX_EXTENSIONS }),
  payload,
});
const packet = fc.oneof(packet4, packet6);

const S4 = "192.0.2.1" as Ip4;
const D4 = "224.0.0.18" as Ip4;
const S6 = "fe80::1" as Ip6;
const D6 = "ff02::12" as Ip6;

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex.replaceAll(" ", "")) ?? expect.fail(`not hex: ${hex}`);
}

function decoded(bytes: Uint8Array): IpPacket {
  const result = decodeIp(bytes);
  return result.ok ? result.value : expect.fail(result.reason);
}

describe("IP codec (RFC 791 §3.1, RFC 8200 §3, §4)", () => {
  it("gives back every packet that it encodes, in exactly its own octets", () => {
    fc.assert(
      fc.property(packet, (value) => {
        const bytes = encodeIp(value);
        const back = decoded(bytes);
        expect(toHex(back.payload)).toBe(toHex(value.payload));
        expect({ ...back, payload: 0 }).toEqual({ ...value, payload: 0 });
        expect(toHex(encodeIp(back))).toBe(toHex(bytes));
      }),
    );
  });

  it("writes every sound recorded packet back octet by octet", async () => {
    let packets = 0;
    for (const { file } of sidecars()) {
      for (const record of await recordsOf(file)) {
        const frame = record.interface.linkType === 1 ? decodeEthernet(record.bytes) : undefined;
        if (frame?.ok !== true || (frame.value.type !== 0x0800 && frame.value.type !== 0x86dd)) continue;
        const read = decodeIp(frame.value.payload);
        if (!read.ok) continue;
        const bytes = encodeIp(read.value);
        const where = `${file} #${record.number}`;
        expect(toHex(bytes), where).toBe(toHex(frame.value.payload.subarray(0, bytes.length)));
        packets++;
      }
    }
    expect(packets).toBeGreaterThan(3400);
  });

  it("throws on no octets", () => {
    const first = fc.constantFrom(0x45, 0x46, 0x4f, 0x60);
    fc.assert(
      fc.property(first, fc.uint8Array({ maxLength: 120 }), (byte, rest) => {
        const result = decodeIp(Uint8Array.of(byte, ...rest));
        expect(typeof result.ok).toBe("boolean");
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => typeof decodeIp(bytes).ok === "boolean"));
  });

  it("leaves the padding of the frame out of the payload", () => {
    const bytes = encodeIp(ipPacket({ source: S4, destination: D4, protocol: 112, payload: Uint8Array.of(1, 2, 3) }));
    const padded = new Uint8Array(46);
    padded.set(bytes);
    expect([...decoded(padded).payload]).toEqual([1, 2, 3]);
  });

  it("refuses an IPv4 packet whose header checksum, header length or total length is wrong", () => {
    const good = encodeIp(ipPacket({ source: S4, destination: D4, protocol: 112, payload: new Uint8Array(8) }));
    const spoilt = (at: number, value: number) => {
      const bytes = good.slice();
      bytes[at] = value;
      return decodeIp(bytes);
    };
    expect(spoilt(11, 0xff)).toEqual({ ok: false, reason: "header-checksum" });
    expect(spoilt(0, 0x44)).toEqual({ ok: false, reason: "header-length" });
    expect(spoilt(3, 19)).toEqual({ ok: false, reason: "header-length" });
    expect(spoilt(3, 29)).toEqual({ ok: false, reason: "length" });
    expect(spoilt(0, 0x55)).toEqual({ ok: false, reason: "version" });
    expect(decodeIp(good.subarray(0, 19))).toEqual({ ok: false, reason: "short" });
    expect(decodeIp(new Uint8Array(0))).toEqual({ ok: false, reason: "short" });
  });

  it("takes a packet that the capture cut, when told how long it was", () => {
    const bytes = encodeIp(ipPacket({ source: S4, destination: D4, protocol: 112, payload: new Uint8Array(12) }));
    const cut = decodeIp(bytes.subarray(0, 26), bytes.length);
    if (!cut.ok) expect.fail(cut.reason);
    expect(cut.value.payload.length).toBe(6);
    expect(decodeIp(bytes.subarray(0, 26))).toEqual({ ok: false, reason: "length" });
  });

  it("refuses an IPv6 packet whose payload length, or whose extension header, lies beyond the end", () => {
    const chain = [{ type: PROTOCOL.destinationOptions, content: new Uint8Array(6) }];
    const fields = { source: S6, destination: D6, protocol: 112, payload: new Uint8Array(4), extensions: chain };
    const good = encodeIp(ipPacket(fields));
    const longer = good.slice();
    setU16(longer, 4, 13);
    expect(decodeIp(longer)).toEqual({ ok: false, reason: "length" });
    const wide = good.slice();
    wide[41] = 1;
    expect(decodeIp(wide)).toEqual({ ok: false, reason: "extension" });
    const missing = encodeIp(ipPacket({ ...fields, extensions: [], protocol: 60, payload: new Uint8Array(0) }));
    expect(decodeIp(missing).ok).toBe(false);
  });

  it("steps over at most MAX_EXTENSIONS extension headers", () => {
    const one = { type: PROTOCOL.destinationOptions, content: new Uint8Array(6) };
    const chain = new Array<typeof one>(MAX_EXTENSIONS).fill(one);
    const value = ipPacket({
      source: S6,
      destination: D6,
      protocol: 112,
      payload: new Uint8Array(4),
      extensions: chain,
    });
    expect(decoded(encodeIp(value)).protocol).toBe(112);
    const more = ipPacket({ source: S6, destination: D6, protocol: 60, payload: new Uint8Array(8), extensions: chain });
    expect(decodeIp(encodeIp(more))).toEqual({ ok: false, reason: "extension" });
  });

  it("knows a fragment from a whole packet, and an atomic fragment for a whole one (RFC 6946)", () => {
    const fields = { source: S4, destination: D4, protocol: 112, payload: new Uint8Array(8) };
    expect(isFragment(ipPacket(fields))).toBe(false);
    expect(isFragment(ipPacket({ ...fields, dontFragment: true }))).toBe(false);
    expect(isFragment(ipPacket({ ...fields, moreFragments: true }))).toBe(true);
    expect(isFragment(ipPacket({ ...fields, fragmentOffset: 8 }))).toBe(true);
    const six = (offset: number) => ({
      ...fields,
      source: S6,
      destination: D6,
      extensions: [{ type: PROTOCOL.fragment, content: Uint8Array.of(0, offset, 0, 0, 0, 7) }],
    });
    expect([0, 1, 16].map((offset) => isFragment(ipPacket(six(offset))))).toEqual([false, true, true]);
    const layout = ipLayout(encodeIp(ipPacket(six(16))));
    expect(layout.ok && [layout.value.fragment, layout.value.fragmentOffset]).toEqual([true, 16]);
  });

  it("finds the same parts without making a value", () => {
    fc.assert(
      fc.property(packet, fc.integer({ min: 0, max: 20 }), (value, at) => {
        const bytes = encodeIp(value);
        const shifted = new Uint8Array(at + bytes.length);
        shifted.set(bytes, at);
        const layout = ipLayout(shifted, at);
        if (!layout.ok) expect.fail(layout.reason);
        const { family, ttl, protocol, upper, end, fragment } = layout.value;
        const { family: f, ttl: t, protocol: p } = value;
        expect({ family, ttl, protocol, fragment }).toEqual({
          family: f,
          ttl: t,
          protocol: p,
          fragment: isFragment(value),
        });
        expect(toHex(shifted.subarray(upper, end))).toBe(toHex(value.payload));
      }),
    );
  });

  it("takes one from the TTL and keeps the header checksum right (RFC 1624 §3)", () => {
    fc.assert(
      fc.property(packet, (value) => {
        const ttl = Math.max(2, value.ttl);
        const bytes = encodeIp({ ...value, ttl });
        decreaseTtl(bytes, 0);
        expect(decoded(bytes).ttl).toBe(ttl - 1);
        const wanted = encodeIp({ ...value, ttl: ttl - 1 });
        // 0000 and ffff are the same number in ones' complement.
        if (value.family === "ipv4") expect(onesSum(bytes, 0, ((bytes[0] ?? 0) % 16) * 4)).toBe(0xffff);
        else expect(toHex(bytes)).toBe(toHex(wanted));
      }),
    );
  });

  it("sums the pseudo-header as recorded packets do (RFC 768, RFC 8200 §8.1)", () => {
    // keepalived over IPv6: VRID 61, priority 150, fe80::100 and 2001:db8:51::100.
    const advert = bytesOf("313d9602 00640ba2 fe800000000000000000000000000100 20010db8005100000000000000000100");
    expect(upperChecksumFits({ source: S6, destination: D6, protocol: 112 }, advert)).toBe(true);
    setU16(advert, 6, 0);
    expect(upperChecksum({ source: S6, destination: D6, protocol: 112 }, advert)).toBe(0x0ba2);
  });

  it("makes a whole frame in one go", () => {
    const value = ipPacket({ source: S4, destination: D4, protocol: 112, payload: Uint8Array.of(1, 2), ttl: 255 });
    const frame = ipFrame("01:00:5e:00:00:12" as Mac, "00:00:5e:00:01:33" as Mac, value);
    expect(toHex(frame)).toBe(`01005e00001200005e0001330800${toHex(encodeIp(value))}`);
    expect(parseIp(value.source)).toBe(S4);
  });
});
