import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeIcmp, encodeIcmp, type IcmpMessage } from "../../../protocols/icmp/codec.ts";
import type { Ip } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { capturedPackets } from "../../support/captured.ts";

const V4 = { source: "192.0.2.1" as Ip, destination: "192.0.2.2" as Ip };
const V6 = { source: "2001:db8::1" as Ip, destination: "2001:db8::2" as Ip };
const u16 = fc.integer({ min: 0, max: 0xffff });
const octet = fc.integer({ min: 0, max: 255 });
const rest = fc.uint8Array({ maxLength: 200 });
const message: fc.Arbitrary<IcmpMessage> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("echo-request" as const, "echo-reply" as const),
    identifier: u16,
    sequence: u16,
    data: rest,
  }),
  fc.record({
    kind: fc.constantFrom("unreachable" as const, "time-exceeded" as const),
    code: octet,
    parameter: fc.integer({ min: 0, max: 0xffffffff }),
    original: rest,
  }),
  // Types that have no kind of their own in either family.
  fc.record({ kind: fc.constant("other" as const), type: fc.integer({ min: 140, max: 255 }), code: octet, body: rest }),
);
const between = fc.constantFrom(V4, V6);

describe("ICMP codec (RFC 792, RFC 4443)", () => {
  it("gives back every message that it encodes", () => {
    fc.assert(
      fc.property(message, between, (value, ip) => {
        expect(decodeIcmp(encodeIcmp(value, ip), ip)).toEqual({ ok: true, value });
      }),
    );
  });

  it("throws on no octets", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        between,
        (bytes, ip) => typeof decodeIcmp(bytes, ip).ok === "boolean",
      ),
    );
  });

  it("reads every captured echo, and writes every captured message back octet by octet", () => {
    let echoes = 0;
    for (const { where, ip, said } of capturedPackets(1, 58)) {
      const decoded = decodeIcmp(ip.payload, ip);
      if (!decoded.ok) continue;
      expect(toHex(encodeIcmp(decoded.value, ip)), where).toBe(toHex(ip.payload));
      const info = /^Echo \(ping\) (request|reply) +id=0x([0-9a-f]+), seq=(\d+)/.exec(String(said["info"]));
      if (info === null) continue;
      expect(decoded.value, where).toMatchObject({
        kind: `echo-${info[1]}`,
        identifier: Number.parseInt(info[2] ?? "", 16),
        sequence: Number(info[3]),
      });
      echoes++;
    }
    expect(echoes).toBeGreaterThan(10);
  });

  it("refuses a message whose checksum does not fit; IPv6 has the addresses in it (RFC 4443 §2.3)", () => {
    const echo: IcmpMessage = { kind: "echo-request", identifier: 1, sequence: 2, data: Uint8Array.of(3) };
    const four = encodeIcmp(echo, V4);
    const six = encodeIcmp(echo, V6);
    expect(decodeIcmp(four, { ...V4, destination: "192.0.2.9" as Ip }).ok).toBe(true);
    expect(decodeIcmp(six, { ...V6, destination: "2001:db8::9" as Ip })).toEqual({ ok: false, reason: "checksum" });
    four[4] = 9;
    expect(decodeIcmp(four, V4)).toEqual({ ok: false, reason: "checksum" });
  });

  it("takes an echo with a code for something else", () => {
    const value = { kind: "other", type: 8, code: 1, body: Uint8Array.of(0, 0, 0, 0) } as const;
    expect(decodeIcmp(encodeIcmp(value, V4), V4)).toEqual({ ok: true, value });
  });
});
