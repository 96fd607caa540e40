import { isIP, isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareIp,
  contains,
  familyOf,
  formatPrefix,
  type Ip,
  ip4From,
  ip6From,
  ipBytes,
  ipFrom,
  isLinkLocal,
  isMulticast,
  macBytes,
  macFrom,
  multicastMac,
  type Prefix,
  parseIp,
  parseIp4,
  parseIp6,
  parseMac,
  parsePrefix,
} from "../../src/core/addr.ts";

const ip = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;
const octets = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
/** Addresses with runs of zeros, as real ones have. */
const ip6Octets = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((g) => [g >>> 8, g & 0xff])));

describe("IPv6 text (RFC 5952)", () => {
  it.each([
    // §4.1: no leading zeros.
    ["2001:0db8::0001", "2001:db8::1"],
    // §4.2.1: shortened as much as possible.
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8::0:1", "2001:db8::1"],
    // §4.2.2: one group of zeros alone is written out.
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    // §4.2.3: the longest run; the first of equals.
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    // §4.3: lower case.
    ["2001:DB8::ABCD", "2001:db8::abcd"],
    // §5: a well-known prefix keeps its dotted part.
    ["0:0:0:0:0:ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["::ffff:c000:201", "::ffff:192.0.2.1"],
    ["::ffff:0:0", "::ffff:0.0.0.0"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::1.2.3.4", "::102:304"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1::", "1::"],
    ["fe80:0:0:0:0:0:0:51", "fe80::51"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
  ])("%s is written %s", (text, canonical) => {
    expect(parseIp6(text)).toBe(canonical);
    expect(parseIp6(canonical)).toBe(canonical);
  });

  it.each([
    "",
    ":",
    ":::",
    "1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "1::2::3",
    ":1::2",
    "1::2:",
    "12345::",
    "g::",
    "::1%eth0",
    "::1.2.3",
    "::1.2.3.256",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "1:2.3.4.5::6",
    "1.2.3.4",
    " ::1",
    "::1\n",
    "1:2:3:4:5:6:7:1.2.3.4",
  ])("%j is refused", (text) => {
    expect(parseIp6(text)).toBeUndefined();
  });

  it("every address goes from octets to text and back, and the text is its own canonical form", () => {
    fc.assert(
      fc.property(ip6Octets, (bytes) => {
        const text = ip6From(bytes);
        expect(ipBytes(text)).toEqual(bytes);
        expect(parseIp6(text)).toBe(text);
        expect(isIPv6(text)).toBe(true);
        const long = Array.from({ length: 8 }, (_, i) =>
          (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
        );
        expect(parseIp6(long.join(":").toUpperCase())).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it("accepts exactly what node:net accepts, zones aside", () => {
    const piece = fc.constantFrom("0", "1", "ff", "2001", "abcde", ":", ":", "::", ".", "1.2.3.4", "");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        expect([text, parseIp6(text) !== undefined]).toEqual([text, isIPv6(text)]);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("IPv4 text", () => {
  it.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.0.0.1",
    "01.2.3.4",
    "1.2.3.04",
    "00.0.0.0",
    "1.2.3.4 ",
    "1..2.3",
    "0x1.2.3.4",
    "1.2.3.4.",
  ])("%j is refused", (text) => {
    expect(parseIp4(text)).toBeUndefined();
  });

  it("every address goes from octets to text and back", () => {
    fc.assert(
      fc.property(octets(4), (bytes) => {
        const text = ip4From(bytes);
        expect([parseIp4(text), isIPv4(text)]).toEqual([text, true]);
        expect(ipBytes(text)).toEqual(bytes);
      }),
    );
  });

  it("accepts exactly what node:net accepts", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("0", "1", "25", "5", "99", ".", "."), { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        expect([text, parseIp4(text) !== undefined]).toEqual([text, isIPv4(text)]);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("both families", () => {
  it("parseIp, familyOf and ipFrom tell them apart", () => {
    expect([parseIp("10.0.0.1"), parseIp("FE80::1"), parseIp("sw1")]).toEqual(["10.0.0.1", "fe80::1", undefined]);
    expect([familyOf(ip("10.0.0.1")), familyOf(ip("::ffff:10.0.0.1"))]).toEqual(["ipv4", "ipv6"]);
    expect(ipFrom(Uint8Array.of(9, 10, 0, 0, 1), "ipv4", 1)).toBe("10.0.0.1");
    expect(isIP(ipFrom(new Uint8Array(16), "ipv6"))).toBe(6);
  });

  it.each([
    ["10.0.0.2", "200.0.0.1"],
    ["9.255.255.255", "10.0.0.0"],
    ["127.255.255.255", "128.0.0.0"],
    ["10.0.0.9", "10.0.0.10"],
    ["0.0.0.0", "255.255.255.255"],
    ["fe80::9", "fe80::10"],
    ["7fff::", "8000::"],
    ["fe80::1", "fe80:0:0:1::"],
  ])("%s is lower than %s: unsigned, in network order (RFC 9568 §6.4.3)", (low, high) => {
    expect(compareIp(ip(low), ip(high))).toBeLessThan(0);
    expect(compareIp(ip(high), ip(low))).toBeGreaterThan(0);
    expect(compareIp(ip(low), ip(low))).toBe(0);
  });

  it("orders IPv4 addresses as their 32 bits", () => {
    fc.assert(
      fc.property(octets(4), octets(4), (a, b) => {
        const number = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
        expect(Math.sign(compareIp(ip4From(a), ip4From(b)))).toBe(Math.sign(number(a) - number(b)));
      }),
    );
  });
});

describe("prefixes", () => {
  it.each(["10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "fe80::/129", "10.0.0.1/-1", "10.0.0.1/8/8", "10.0.0.1/a", "/8"])(
    "%j is refused",
    (text) => {
      expect(parsePrefix(text)).toBeUndefined();
    },
  );

  it("keeps the address beside the length", () => {
    expect(prefix("192.0.2.254/24")).toEqual({ address: "192.0.2.254", length: 24 });
    expect(formatPrefix(prefix("FE80::51/64"))).toBe("fe80::51/64");
  });

  it.each([
    ["192.0.2.254/24", "192.0.2.1", true],
    ["192.0.2.254/24", "192.0.3.1", false],
    ["10.0.0.128/25", "10.0.0.129", true],
    ["10.0.0.128/25", "10.0.0.127", false],
    ["10.99.0.1/30", "10.99.0.2", true],
    ["10.99.0.1/30", "10.99.0.4", false],
    ["0.0.0.0/0", "255.1.2.3", true],
    ["10.0.0.1/32", "10.0.0.1", true],
    ["10.0.0.1/32", "10.0.0.0", false],
    ["2001:db8::/33", "2001:db8:7fff::1", true],
    ["2001:db8::/33", "2001:db8:8000::1", false],
    ["::/0", "10.0.0.1", false],
    ["::1/128", "::1", true],
  ])("%s contains %s: %s", (net, address, expected) => {
    expect(contains(prefix(net), ip(address))).toBe(expected);
  });

  it("contains exactly the addresses that agree in the first bits", () => {
    const bits = (bytes: Uint8Array) => [...bytes].map((b) => b.toString(2).padStart(8, "0")).join("");
    fc.assert(
      fc.property(octets(4), octets(4), fc.nat(32), fc.nat(32), (a, b, length, common) => {
        for (let i = 0; i < common; i++) {
          const bit = 0x80 >>> (i & 7);
          b[i >>> 3] = ((b[i >>> 3] ?? 0) & ~bit) | ((a[i >>> 3] ?? 0) & bit);
        }
        expect(contains({ address: ip4From(a), length }, ip4From(b))).toBe(
          bits(a).slice(0, length) === bits(b).slice(0, length),
        );
      }),
    );
  });
});

describe("groups", () => {
  it.each([
    ["224.0.0.18", "01:00:5e:00:00:12"],
    ["239.255.255.250", "01:00:5e:7f:ff:fa"],
    ["224.129.1.2", "01:00:5e:01:01:02"],
    ["ff02::12", "33:33:00:00:00:12"],
    ["ff02::1:ff00:51", "33:33:ff:00:00:51"],
  ])("the Ethernet group of %s is %s (RFC 1112 §6.4, RFC 2464 §7)", (group, mac) => {
    expect(multicastMac(ip(group))).toBe(mac);
  });

  it.each([
    ["223.255.255.255", false],
    ["224.0.0.0", true],
    ["239.255.255.255", true],
    ["240.0.0.0", false],
    ["255.255.255.255", false],
    ["ff02::1", true],
    ["ff00::", true],
    ["ff::1", false],
    ["ff0::1", false],
    ["fe80::1", false],
  ])("%s is a group: %s (224.0.0.0/4, ff00::/8)", (address, expected) => {
    expect(isMulticast(ip(address))).toBe(expected);
  });

  it.each([
    ["fe80::1", true],
    ["febf::1", true],
    ["fec0::1", false],
    ["fe7f::1", false],
    ["fe8::1", false],
    ["169.254.0.1", false],
  ])("%s is link-local: %s (fe80::/10)", (address, expected) => {
    expect(isLinkLocal(ip(address))).toBe(expected);
  });
});

describe("MAC addresses", () => {
  it("go from octets to text and back", () => {
    fc.assert(
      fc.property(octets(6), (bytes) => {
        const text = macFrom(bytes);
        expect(parseMac(text)).toBe(text);
        expect(macBytes(text)).toEqual(bytes);
      }),
    );
  });

  it("are read with colons or hyphens, in any case, and written in one way", () => {
    expect(parseMac("00-00-5E-00-01-FF")).toBe("00:00:5e:00:01:ff");
    expect(parseMac("00:00:5E:00:01:ff")).toBe("00:00:5e:00:01:ff");
    expect(macFrom(Uint8Array.of(9, 0, 1, 2, 3, 4, 5), 1)).toBe("00:01:02:03:04:05");
  });

  it.each([
    "",
    "00:00:5e:00:01",
    "00:00:5e:00:01:00:00",
    "00:00-5e:00:01:00",
    "0:0:5e:0:1:0",
    "00005e000100",
    "00:00:5e:00:01:0g",
  ])("%j is refused", (text) => {
    expect(parseMac(text)).toBeUndefined();
  });
});
