import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Advert,
  type AdvertPacket,
  AUTHENTICATION_HEADER,
  type Carrier,
  checksumFormsOf,
  decodeAdvert,
  encodeAdvert,
  insideAuthenticationHeader,
  isCarp,
  readAdvert,
  VRRP_GROUP_4,
  VRRP_GROUP_6,
  virtualMac,
} from "../../../protocols/vrrp/codec.ts";
import { type Ip, ipBytes, ipFrom } from "../../../src/core/addr.ts";
import { fromHex, toHex } from "../../../src/core/bytes.ts";
import { cs, sec } from "../../../src/core/time.ts";

const ip = (text: string): Ip => text as Ip;
const hex = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array(0);

const message: Carrier = { source: ip("192.0.2.1"), destination: VRRP_GROUP_4, checksum: "message" };
const pseudo: Carrier = { ...message, checksum: "pseudo-header" };
const six: Carrier = { source: ip("fe80::1"), destination: VRRP_GROUP_6, checksum: "message" };

function v3(priority: number, intervalCs: number, ...addresses: string[]): Advert {
  return { version: 3, vrid: 10, priority, interval: cs(intervalCs), reserved: 0, addresses: addresses.map(ip) };
}

function v2(authType: number, authText: string): Advert {
  const authData = new Uint8Array(8);
  authData.set(new TextEncoder().encode(authText));
  return { version: 2, vrid: 10, priority: 200, interval: sec(1), authType, authData, addresses: [ip("192.0.2.254")] };
}

function packet(payload: Uint8Array, carrier = message): AdvertPacket {
  const family = carrier.source.includes(":") ? "ipv6" : "ipv4";
  return { family, source: carrier.source, destination: carrier.destination, ttl: 255, payload };
}

/** Prints what `decodeAdvert` says of a good message-form advert after `change` has been at its octets. */
function reasonAfter(
  change: (bytes: Uint8Array) => Uint8Array,
  from = encodeAdvert(v3(200, 100, "192.0.2.254"), message),
) {
  const decoded = decodeAdvert(packet(change(from.slice())));
  return decoded.ok ? "accept" : decoded.reason;
}

/** Sets octets and makes the checksum right again. */
function resealed(bytes: Uint8Array, ...changes: readonly (readonly [number, number])[]): Uint8Array {
  for (const [at, value] of changes) bytes[at] = value;
  bytes[6] = 0;
  bytes[7] = 0;
  let sum = 0;
  for (const [i, byte] of bytes.entries()) sum += i % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes[6] = (~sum >>> 8) & 0xff;
  bytes[7] = ~sum & 0xff;
  return bytes;
}

const GOLDEN: readonly (readonly [string, Advert, Carrier, string])[] = [
  ["v3 IPv4, pseudo-header", v3(200, 100, "192.0.2.254"), pseudo, "310ac8010064a100c00002fe"],
  ["v3 IPv4, message", v3(200, 100, "192.0.2.254"), message, "310ac80100644391c00002fe"],
  [
    "v3 IPv4, three addresses, 4095 cs, pseudo-header",
    v3(255, 4095, "192.0.2.254", "192.0.2.253", "192.0.2.252"),
    pseudo,
    "310aff030fffd460c00002fec00002fdc00002fc",
  ],
  [
    "v3 IPv4, three addresses, 4095 cs, message",
    v3(255, 4095, "192.0.2.254", "192.0.2.253", "192.0.2.252"),
    message,
    "310aff030fff76f9c00002fec00002fdc00002fc",
  ],
  ["v3 IPv4, priority 0, pseudo-header", v3(0, 100, "192.0.2.254"), pseudo, "310a000100646901c00002fe"],
  ["v3 IPv4, priority 0, message", v3(0, 100, "192.0.2.254"), message, "310a000100640b92c00002fe"],
  [
    "v3 IPv4 unicast, pseudo-header",
    v3(200, 100, "192.0.2.254"),
    { ...pseudo, destination: ip("192.0.2.2") },
    "310ac8010064bf10c00002fe",
  ],
  ["v2 without authentication", v2(0, ""), message, "210ac801000153f4c00002fe0000000000000000"],
  ["v2 with a password", v2(1, "secret"), message, "210ac801010116a8c00002fe7365637265740000"],
  [
    "v3 IPv6",
    v3(200, 100, "fe80::10", "2001:db8::254"),
    six,
    "310ac8020064d9c1fe80000000000000000000000000001020010db8000000000000000000000254",
  ],
  [
    "v3 IPv6, priority 0",
    v3(0, 100, "fe80::10", "2001:db8::254"),
    six,
    "310a00020064a1c2fe80000000000000000000000000001020010db8000000000000000000000254",
  ],
];

describe("golden payloads", () => {
  test.each(GOLDEN)("%s is written and read octet for octet", (_name, advert, carrier, expected) => {
    expect(toHex(encodeAdvert(advert, carrier))).toBe(expected);
    const decoded = decodeAdvert(packet(hex(expected), carrier));
    expect(decoded.ok && decoded.value.advert).toEqual(advert);
  });

  test("the vector of draft-cassen-vrrp-auth-hmac is the message form", () => {
    const advert: Advert = { ...v3(200, 100, "192.0.2.100"), vrid: 51 } as Advert;
    const carrier = { ...message, source: ip("198.51.100.10") };
    expect(toHex(encodeAdvert(advert, carrier))).toBe("3133c80100644402c0000264");
  });
});

describe("what a receiver refuses, in the order of RFC 9568 §7.1", () => {
  const good = encodeAdvert(v3(200, 100, "192.0.2.254"), message);

  test("§7.1 · TTL other than 255 is `ttl`, even when everything else is wrong too", () => {
    for (const ttl of [0, 1, 64, 254]) {
      expect(decodeAdvert({ ...packet(new Uint8Array(0)), ttl })).toEqual({ ok: false, reason: "ttl" });
    }
  });

  test("§7.1 · a version other than 2 and 3 is `version`, and so is version 2 over IPv6", () => {
    for (const version of [0, 1, 4, 15])
      expect(reasonAfter((b) => resealed(b, [0, (version << 4) | 1]))).toBe("version");
    const two = encodeAdvert(v2(0, ""), message);
    expect(decodeAdvert(packet(two, six))).toEqual({ ok: false, reason: "version" });
  });

  test("§7.1 · a receiver of one version refuses the other as `version`", () => {
    expect(decodeAdvert(packet(good), 2)).toEqual({ ok: false, reason: "version" });
    expect(decodeAdvert(packet(encodeAdvert(v2(0, ""), message)), 3)).toEqual({ ok: false, reason: "version" });
    expect(decodeAdvert(packet(good), 3).ok).toBe(true);
  });

  test("§5.2.2 · every type but 1 is `type`", () => {
    for (const type of [0, 2, 3, 15]) expect(reasonAfter((b) => resealed(b, [0, 0x30 | type]))).toBe("type");
  });

  test("§7.1 · a packet that ends before its last address is `length`", () => {
    for (let size = 1; size < good.length; size++) expect(reasonAfter((b) => b.subarray(0, size))).toBe("length");
    expect(reasonAfter((b) => resealed(b, [3, 2]))).toBe("length");
    expect(reasonAfter((b) => resealed(b, [3, 255]))).toBe("length");
    expect(reasonAfter(() => new Uint8Array(0))).toBe("length");
  });

  test("octets behind the last address are `length`", () => {
    expect(reasonAfter((b) => resealed(Uint8Array.of(...b, 0, 0, 0, 0)))).toBe("length");
  });

  test("erratum 8299 · a count of 0 is `count-zero`, with and without an address behind it", () => {
    expect(reasonAfter((b) => resealed(b, [3, 0]))).toBe("count-zero");
    expect(reasonAfter((b) => resealed(b.slice(0, 8), [3, 0]))).toBe("count-zero");
  });

  test("§5.2.8 · a checksum that fits neither form is `checksum`", () => {
    expect(reasonAfter((b) => b.with(7, (b[7] ?? 0) ^ 1))).toBe("checksum");
    expect(reasonAfter((b) => b.with(10, (b[10] ?? 0) ^ 0x40))).toBe("checksum");
  });

  test("§5.2.8 · over IPv6 the message alone does not do", () => {
    const bytes = resealed(encodeAdvert(v3(200, 100, "fe80::10"), six));
    expect(decodeAdvert(packet(bytes, six))).toEqual({ ok: false, reason: "checksum" });
  });

  test("RFC 3768 §5.3.8 · over version 2 the pseudo-header does not do", () => {
    const bytes = encodeAdvert(v2(0, ""), message);
    // 192.0.2.1, 224.0.0.18, protocol 112, 20 octets: what the pseudo-header adds to the sum.
    const added = 0xc000 + 0x0201 + 0xe000 + 0x0012 + 112 + 20;
    let sum = (~(((bytes[6] ?? 0) << 8) | (bytes[7] ?? 0)) & 0xffff) + added;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    const wrong = bytes.with(6, (~sum >>> 8) & 0xff).with(7, ~sum & 0xff);
    expect(checksumFormsOf(packet(wrong))).toEqual(["pseudo-header"]);
    expect(decodeAdvert(packet(wrong))).toEqual({ ok: false, reason: "checksum" });
  });

  test("§5.2.3 · virtual router 0 is `vrid`", () => {
    expect(reasonAfter((b) => resealed(b, [1, 0]))).toBe("vrid");
  });

  test("erratum 8301 · an interval of 0 is `interval-zero`, whatever the reserved bits say", () => {
    expect(reasonAfter((b) => resealed(b, [4, 0], [5, 0]))).toBe("interval-zero");
    expect(reasonAfter((b) => resealed(b, [4, 0xf0], [5, 0]))).toBe("interval-zero");
  });

  test("RFC 3768 §7.1 · a version-2 interval of 0 matches nobody's", () => {
    const two = encodeAdvert(v2(0, ""), message);
    expect(reasonAfter((b) => resealed(b, [5, 0]), two)).toBe("interval-mismatch");
  });

  test("73 · RFC 9568 §5.2.6 · reserved bits are kept, not part of the interval, and written as 0", () => {
    const decoded = decodeAdvert(packet(resealed(good.slice(), [4, 0xf0])));
    expect(decoded.ok && decoded.value.advert).toEqual({ ...v3(200, 100, "192.0.2.254"), reserved: 15 });
    if (decoded.ok) expect(encodeAdvert(decoded.value.advert, message)).toEqual(good);
  });

  test("CARP, which shares group and first octet with version 2, is `carp`; a version-3 advert of its size is not", () => {
    const carp = hex(`2133640700010000${"00".repeat(28)}`);
    expect(isCarp(carp)).toBe(true);
    expect(decodeAdvert(packet(carp))).toEqual({ ok: false, reason: "carp" });
    const seven = encodeAdvert(v3(9, 100, ...Array.from({ length: 7 }, (_, i) => `192.0.2.${i}`)), message);
    expect(seven).toHaveLength(36);
    expect(isCarp(seven)).toBe(false);
  });
});

describe("which checksum an advert has", () => {
  test("each form is told apart over IPv4", () => {
    const advert = v3(200, 100, "192.0.2.254");
    expect(checksumFormsOf(packet(encodeAdvert(advert, message)))).toEqual(["message"]);
    expect(checksumFormsOf(packet(encodeAdvert(advert, pseudo)))).toEqual(["pseudo-header"]);
    expect(checksumFormsOf(packet(hex("310ac8")))).toEqual([]);
  });

  test("both fit when the pseudo-header sums to nothing", () => {
    const carrier: Carrier = { source: ip("255.255.255.131"), destination: ip("0.0.0.0"), checksum: "message" };
    // 0xffff + 0xff83 + 112 + 12 ≡ 0 in ones' complement.
    const bytes = encodeAdvert(v3(200, 100, "192.0.2.254"), carrier);
    expect(checksumFormsOf(packet(bytes, carrier))).toEqual(["pseudo-header", "message"]);
  });
});

describe("fields for showing", () => {
  test("every prefix of an advert shows the fields that are there whole", () => {
    const bytes = encodeAdvert(v3(200, 100, "192.0.2.254"), pseudo);
    expect(readAdvert(new Uint8Array(0), "ipv4")).toBeUndefined();
    expect(readAdvert(bytes.subarray(0, 4), "ipv4")).toEqual({
      version: 3,
      type: 1,
      vrid: 10,
      priority: 200,
      count: 1,
    });
    expect(readAdvert(bytes.subarray(0, 6), "ipv4")).toMatchObject({ intervalCs: 100, reserved: 0 });
    expect(readAdvert(bytes.subarray(0, 11), "ipv4")).not.toHaveProperty("addresses");
    expect(readAdvert(bytes, "ipv4")).toMatchObject({ checksum: 0xa100, addresses: ["192.0.2.254"] });
  });

  test("version 2 shows seconds, authentication type and data", () => {
    const fields = readAdvert(encodeAdvert(v2(1, "secret"), message), "ipv4");
    expect(fields).toMatchObject({ version: 2, intervalS: 1, authType: 1, addresses: ["192.0.2.254"] });
    expect(new TextDecoder().decode(fields?.authData)).toBe("secret\0\0");
  });

  test("an authentication header gives what it wraps, and nothing when it is cut", () => {
    const inner = encodeAdvert(v2(2, ""), message);
    const wrapped = Uint8Array.of(112, 4, 0, 0, ...new Uint8Array(20), ...inner);
    expect(insideAuthenticationHeader(wrapped)).toEqual({ protocol: 112, payload: inner });
    expect(insideAuthenticationHeader(wrapped.subarray(0, 23))).toBeUndefined();
    expect(insideAuthenticationHeader(new Uint8Array(0))).toBeUndefined();
    expect(AUTHENTICATION_HEADER).toBe(51);
  });
});

describe("symmetry", () => {
  const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => ipFrom(b, "ipv4"));
  const ip6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => ipFrom(b, "ipv6"));
  const common = { vrid: fc.integer({ min: 1, max: 255 }), priority: fc.integer({ min: 0, max: 255 }) };
  const three = (address: fc.Arbitrary<Ip>): fc.Arbitrary<Advert> =>
    fc.record({
      version: fc.constant<3>(3),
      ...common,
      interval: fc.integer({ min: 1, max: 4095 }).map(cs),
      reserved: fc.constant(0),
      addresses: fc.array(address, { minLength: 1, maxLength: 255 }),
    });
  const two: fc.Arbitrary<Advert> = fc.record({
    version: fc.constant<2>(2),
    ...common,
    interval: fc.integer({ min: 1, max: 255 }).map(sec),
    authType: fc.integer({ min: 0, max: 255 }),
    authData: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    addresses: fc.array(ip4, { minLength: 1, maxLength: 255 }),
  });
  const checksum = fc.constantFrom<Carrier["checksum"]>("message", "pseudo-header");
  const carrier4 = fc.record({ source: ip4, destination: ip4, checksum });
  const carrier6 = fc.record({ source: ip6, destination: ip6, checksum });

  test.each([
    ["version 3 over IPv4", fc.tuple(three(ip4), carrier4)],
    ["version 3 over IPv6", fc.tuple(three(ip6), carrier6)],
    ["version 2", fc.tuple(two, carrier4)],
  ] as const)("what is written is read back: %s", (_name, values) => {
    fc.assert(
      fc.property(values, ([advert, carrier]) => {
        const bytes = encodeAdvert(advert, carrier);
        const decoded = decodeAdvert(packet(bytes, carrier));
        expect(decoded.ok && decoded.value.advert).toEqual(advert);
        if (advert.version === 3 && carrier.source.includes(".") && decoded.ok) {
          expect(decoded.value.checksumForms).toContain(carrier.checksum);
        }
      }),
    );
  });

  test("no octets make it throw, and what it takes it writes again", () => {
    const any = fc.tuple(fc.uint8Array({ maxLength: 64 }), fc.boolean(), fc.integer({ min: 0, max: 2 }));
    fc.assert(
      fc.property(any, ([bytes, sixth, how]) => {
        if (bytes.length > 0 && how > 0) bytes[0] = how === 1 ? 0x31 : 0x21;
        const carrier = sixth ? six : message;
        readAdvert(bytes, sixth ? "ipv6" : "ipv4");
        insideAuthenticationHeader(bytes);
        const decoded = decodeAdvert(packet(bytes, carrier));
        if (!decoded.ok) return;
        const [form = "message"] = decoded.value.checksumForms;
        const again = encodeAdvert(decoded.value.advert, { ...carrier, checksum: form });
        expect(decodeAdvert(packet(again, carrier)).ok).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("every octet of an encoded advert is written, whatever the buffer held before", () => {
    const bytes = encodeAdvert(v2(0, ""), message);
    expect([...bytes.subarray(12)]).toEqual(new Array(8).fill(0));
    expect(ipBytes(ip("192.0.2.254"))).toEqual(bytes.subarray(8, 12));
  });
});

test("16 · RFC 9568 §7.3 · the virtual MAC ends in family and VRID", () => {
  expect(virtualMac("ipv4", 10)).toBe("00:00:5e:00:01:0a");
  expect(virtualMac("ipv6", 255)).toBe("00:00:5e:00:02:ff");
});
