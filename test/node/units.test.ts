import { describe, expect, test } from "vitest";
import * as z from "zod";
import { ms, sec } from "../../src/core/time.ts";
import {
  bitRate,
  duration,
  durationWithin,
  end,
  integerWithin,
  ip,
  ip4,
  ip6,
  mac,
  nanoseconds,
  nodeName,
  octets,
  packetRate,
  portName,
  prefix,
  ratio,
} from "../../src/node/units.ts";

const interval = durationWithin(ms(10), sec(40.95));

describe("a text with a unit becomes a value of the engine", () => {
  test.each([
    [duration, "100ms", 100_000],
    [duration, "1.5s", 1_500_000],
    [duration, "2m", 120_000_000],
    [interval, "10ms", 10_000],
    [interval, "40.95s", 40_950_000],
    [nanoseconds, "5us", 5_000],
    [nanoseconds, "250ns", 250],
    [ip, "192.0.2.1", "192.0.2.1"],
    [ip, "2001:DB8:0:0::1", "2001:db8::1"],
    [ip4, "10.0.0.1", "10.0.0.1"],
    [ip6, "FE80::1", "fe80::1"],
    [prefix, "192.0.2.254/24", { address: "192.0.2.254", length: 24 }],
    [prefix, "fe80::51/64", { address: "fe80::51", length: 64 }],
    [mac, "00-00-5E-00-01-33", "00:00:5e:00:01:33"],
    [bitRate, "10Gbps", 10_000_000_000],
    [bitRate, "2.5Gbps", 2_500_000_000],
    [packetRate, "1000pps", 1_000],
    [packetRate, "10kpps", 10_000],
    [octets, "512kB", 512_000],
    [octets, "1MiB", 1_048_576],
    [ratio, "1/1000", { numerator: 1, denominator: 1_000 }],
    [ratio, "2/10", { numerator: 1, denominator: 5 }],
    [ratio, "0.5%", { numerator: 1, denominator: 200 }],
    [ratio, "100%", { numerator: 1, denominator: 1 }],
    [ratio, "0/7", { numerator: 0, denominator: 1 }],
    [end, "sw1:p1", { node: "sw1", port: "p1" }],
    [portName, "eth0.100", "eth0.100"],
    [nodeName, "gw-1", "gw-1"],
  ] as const)("%# %s", (schema, text, value) => {
    expect((schema as z.ZodType).parse(text)).toEqual(value);
  });
});

describe("a text that is none is refused with what was found and what is allowed", () => {
  test.each([
    [duration, "5 parsecs", 'found "5 parsecs", allowed: a duration in whole microseconds such as "100ms" or "1.5s"'],
    [duration, 5, 'found 5, allowed: a duration in whole microseconds such as "100ms" or "1.5s"'],
    [duration, "1ns", 'found "1ns", allowed: a duration in whole microseconds such as "100ms" or "1.5s"'],
    [interval, "41s", 'found "41s", allowed: 10ms to 40.95s, written as a duration such as "10ms" or "40.95s"'],
    [interval, "9ms", 'found "9ms", allowed: 10ms to 40.95s, written as a duration such as "10ms" or "40.95s"'],
    [nanoseconds, "0.5ns", 'found "0.5ns", allowed: a delay in whole nanoseconds such as "5us" or "250ns"'],
    [ip, "192.0.2.256", 'found "192.0.2.256", allowed: an IP address such as "192.0.2.1" or "2001:db8::1"'],
    [ip4, "::1", 'found "::1", allowed: an IPv4 address such as "192.0.2.1"'],
    [ip6, "1:2", 'found "1:2", allowed: an IPv6 address such as "2001:db8::1" or "fe80::1"'],
    [
      prefix,
      "10.0.0.1/33",
      'found "10.0.0.1/33", allowed: an address and the length of its prefix such as "192.0.2.254/24" or "fe80::51/64"',
    ],
    [mac, "00:00:5e", 'found "00:00:5e", allowed: a MAC address such as "02:00:00:00:00:01"'],
    [bitRate, "0bps", 'found "0bps", allowed: a rate in bits per second such as "10Gbps" or "100Mbps"'],
    [bitRate, "1000pps", 'found "1000pps", allowed: a rate in bits per second such as "10Gbps" or "100Mbps"'],
    [packetRate, "1Gbps", 'found "1Gbps", allowed: a rate in packets per second such as "1000pps" or "10kpps"'],
    [packetRate, "0.5pps", 'found "0.5pps", allowed: a rate in packets per second such as "1000pps" or "10kpps"'],
    [octets, "12", 'found "12", allowed: an amount of octets such as "512kB" or "1MiB"'],
    [ratio, "3/2", 'found "3/2", allowed: a ratio of at most 1 such as "1/1000" or "0.5%"'],
    [ratio, "1/0", 'found "1/0", allowed: a ratio of at most 1 such as "1/1000" or "0.5%"'],
    [ratio, "101%", 'found "101%", allowed: a ratio of at most 1 such as "1/1000" or "0.5%"'],
    [end, "sw1", 'found "sw1", allowed: NODE:PORT such as "sw1:p1"'],
    [end, "a:b:c", 'found "a:b:c", allowed: NODE:PORT such as "sw1:p1"'],
    [integerWithin(1, 255), 256, "found 256, allowed: an integer of 1 to 255"],
    [integerWithin(1, 255), 1.5, "found 1.5, allowed: an integer of 1 to 255"],
    [integerWithin(1, 255), "7", 'found "7", allowed: an integer of 1 to 255'],
    [duration, undefined, 'found nothing, allowed: a duration in whole microseconds such as "100ms" or "1.5s"'],
  ] as const)("%# %s", (schema, text, message) => {
    const result = (schema as z.ZodType).safeParse(text);
    expect(result.error?.issues.map((issue) => issue.message)).toEqual([message]);
  });

  test("names are as long as Linux allows and hold no colon, slash or blank", () => {
    for (const bad of ["a:b", "a/b", "a b", "", ".a", "sixteen-letters-", 10]) {
      expect(portName.safeParse(bad).success, String(bad)).toBe(false);
    }
    expect(portName.safeParse("fifteen-letters").success).toBe(true);
  });
});

test("every form reaches JSON Schema as a string with a pattern that its own examples match", () => {
  const forms = { duration, interval, nanoseconds, ip, ip4, ip6, prefix, mac, bitRate, packetRate, octets, ratio, end };
  for (const [key, schema] of Object.entries({ ...forms, portName, nodeName })) {
    const json = z.toJSONSchema(schema, { io: "input" }) as Record<string, unknown>;
    expect(json.type, key).toBe("string");
    const pattern = new RegExp(String(json.pattern), "u");
    for (const example of json.examples as string[]) {
      expect(example, key).toMatch(pattern);
      expect((schema as z.ZodType).safeParse(example).success, `${key} ${example}`).toBe(true);
    }
  }
});
