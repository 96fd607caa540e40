import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeUdp, encodeUdp } from "../../../protocols/udp/codec.ts";
import type { Ip } from "../../../src/core/addr.ts";
import { setU16, toHex, u16 } from "../../../src/core/bytes.ts";
import { capturedPackets } from "../../support/captured.ts";

const V4 = { source: "192.0.2.1" as Ip, destination: "192.0.2.2" as Ip };
const V6 = { source: "2001:db8::1" as Ip, destination: "2001:db8::2" as Ip };
const port = fc.integer({ min: 0, max: 0xffff });
const datagram = fc.record({ sourcePort: port, destinationPort: port, payload: fc.uint8Array({ maxLength: 300 }) });
const between = fc.constantFrom(V4, V6);

describe("UDP codec (RFC 768)", () => {
  it("gives back every datagram that it encodes", () => {
    fc.assert(
      fc.property(datagram, between, (value, ip) => {
        expect(decodeUdp(encodeUdp(value, ip), ip)).toEqual({ ok: true, value });
      }),
    );
  });

  it("throws on no octets", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        between,
        (bytes, ip) => typeof decodeUdp(bytes, ip).ok === "boolean",
      ),
    );
  });

  it("writes every captured datagram back octet by octet", () => {
    let whole = 0;
    for (const { where, ip } of capturedPackets(17)) {
      const decoded = decodeUdp(ip.payload, ip);
      if (!decoded.ok) continue;
      expect(toHex(encodeUdp(decoded.value, ip)), where).toBe(toHex(ip.payload.subarray(0, u16(ip.payload, 4))));
      whole++;
    }
    expect(whole).toBeGreaterThan(100);
  });

  it("refuses any change of one bit: the checksum covers datagram and addresses", () => {
    const bytes = encodeUdp({ sourcePort: 1, destinationPort: 2, payload: Uint8Array.of(1, 2, 3) }, V4);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const other = bytes.slice();
      other[bit >>> 3] = (other[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decodeUdp(other, V4).ok).toBe(false);
    }
    expect(decodeUdp(bytes, { ...V4, destination: "192.0.2.3" as Ip })).toEqual({ ok: false, reason: "checksum" });
  });

  it("takes a checksum of zero as none over IPv4, and refuses it over IPv6 (RFC 8200 §8.1)", () => {
    const value = { sourcePort: 1, destinationPort: 2, payload: Uint8Array.of(1), unchecked: true } as const;
    expect(decodeUdp(encodeUdp(value, V4), V4)).toEqual({ ok: true, value });
    expect(decodeUdp(encodeUdp(value, V6), V6)).toEqual({ ok: false, reason: "checksum" });
  });

  it("sends a computed zero as all ones (RFC 768)", () => {
    // The payload is chosen so that the sum is 0xffff.
    const payload = new Uint8Array(2);
    const bytes = encodeUdp({ sourcePort: 1, destinationPort: 2, payload }, V4);
    setU16(payload, 0, u16(bytes, 6));
    const zero = encodeUdp({ sourcePort: 1, destinationPort: 2, payload }, V4);
    expect(u16(zero, 6)).toBe(0xffff);
    expect(decodeUdp(zero, V4).ok).toBe(true);
  });

  it("names a length that does not fit", () => {
    const bytes = encodeUdp({ sourcePort: 1, destinationPort: 2, payload: Uint8Array.of(1) }, V4);
    expect(decodeUdp(bytes.subarray(0, 7), V4)).toEqual({ ok: false, reason: "length" });
    expect(decodeUdp(bytes.subarray(0, 8), V4)).toEqual({ ok: false, reason: "length" });
    setU16(bytes, 4, 7);
    expect(decodeUdp(bytes, V4)).toEqual({ ok: false, reason: "length" });
  });

  it("leaves out what stands behind the datagram's own length", () => {
    const bytes = encodeUdp({ sourcePort: 1, destinationPort: 2, payload: Uint8Array.of(7) }, V4);
    const padded = new Uint8Array(bytes.length + 5);
    padded.set(bytes);
    expect(decodeUdp(padded, V4)).toMatchObject({ ok: true, value: { payload: Uint8Array.of(7) } });
  });
});
