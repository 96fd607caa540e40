import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arrive, createStream, decodeTcp, FLAG, MAX_SEGMENTS, type TcpSegment } from "../../../protocols/tcp/codec.ts";
import { EMPTY, toHex, Writer } from "../../../src/core/bytes.ts";

function segment(sequence: number, payload: Uint8Array, flags: number = FLAG.ack): TcpSegment {
  const ports = { sourcePort: 40000, destinationPort: 8888 };
  return { ...ports, sequence: sequence >>> 0, acknowledgment: 0, flags, window: 0, payload };
}

/** A stream of 60 octets from `first`, which may lie just before the wrap of sequence numbers. */
const OCTETS = Uint8Array.from({ length: 60 }, (_, i) => i);

function collect(first: number, segments: readonly TcpSegment[]): string {
  const stream = createStream();
  arrive(stream, segment(first - 1, EMPTY, FLAG.syn));
  return segments.map((one) => arrive(stream, one).bytes.map(toHex).join("")).join("");
}

describe("TCP streams as a bystander sees them (RFC 9293 §3.4)", () => {
  it("puts segments in order whatever their sizes, overlaps, repetitions and order, across the wrap too", () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 1, max: 30 }));
    fc.assert(
      fc.property(
        fc.array(range, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(1000, 0xffffffe0, 0xffffffff, 0),
        (ranges, first) => {
          // The whole is there at the end, so every octet has come at least once.
          const parts = [...ranges, [0, 60] as const].map(([at, size]) =>
            segment(first + at, OCTETS.subarray(at, at + size)),
          );
          expect(collect(first, parts)).toBe(toHex(OCTETS));
        },
      ),
    );
  });

  it("holds what lies beyond a gap until the gap is filled, and delivers nothing twice", () => {
    const stream = createStream();
    arrive(stream, segment(99, EMPTY, FLAG.syn));
    expect(arrive(stream, segment(103, Uint8Array.of(4, 5))).bytes).toEqual([]);
    expect(arrive(stream, segment(100, Uint8Array.of(1, 2, 3))).bytes.map(toHex)).toEqual(["010203", "0405"]);
    expect(arrive(stream, segment(100, Uint8Array.of(1, 2, 3, 4, 5))).bytes).toEqual([]);
  });

  it("gives a gap up when more than MAX_SEGMENTS wait behind it, and says that it begins anew", () => {
    const stream = createStream();
    arrive(stream, segment(0, EMPTY, FLAG.syn));
    for (let i = 0; i < MAX_SEGMENTS; i++) {
      expect(arrive(stream, segment(10 + i, Uint8Array.of(i))).bytes).toEqual([]);
    }
    const { bytes, fresh, gap } = arrive(stream, segment(10 + MAX_SEGMENTS, Uint8Array.of(255)));
    expect(bytes.length).toBe(MAX_SEGMENTS + 1);
    expect([fresh, gap]).toEqual([true, 9]);
    expect(stream.held).toEqual([]);
  });

  it("begins at the first segment that it sees, and anew at each SYN", () => {
    const stream = createStream();
    expect(arrive(stream, segment(5000, Uint8Array.of(1)))).toEqual({ bytes: [Uint8Array.of(1)], fresh: true, gap: 0 });
    expect(arrive(stream, segment(70, EMPTY, FLAG.syn)).fresh).toBe(true);
    expect(arrive(stream, segment(71, Uint8Array.of(2)))).toEqual({ bytes: [Uint8Array.of(2)], fresh: false, gap: 0 });
  });
});

describe("TCP header (RFC 9293 §3.1)", () => {
  it("reads ports, sequence, flags and payload behind the options", () => {
    const bytes = new Writer(26)
      .u16(40000)
      .u16(8888)
      .u32(7)
      .u32(9)
      .u16(0x6018)
      .u16(512)
      .u32(0)
      .u32(0)
      .u16(0xabcd).bytes;
    const decoded = decodeTcp(bytes);
    if (!decoded.ok) expect.fail(decoded.reason);
    const { payload, ...header } = decoded.value;
    expect(toHex(payload)).toBe("abcd");
    const wanted = {
      sourcePort: 40000,
      destinationPort: 8888,
      sequence: 7,
      acknowledgment: 9,
      flags: 0x18,
      window: 512,
    };
    expect(header).toEqual(wanted);
  });

  it("refuses what is cut, and a data offset that cannot be", () => {
    const bytes = new Uint8Array(20);
    expect(decodeTcp(bytes.subarray(0, 19))).toEqual({ ok: false, reason: "length" });
    for (const offset of [0, 4, 6, 15]) {
      bytes[12] = offset << 4;
      expect(decodeTcp(bytes)).toEqual({ ok: false, reason: "data-offset" });
    }
  });
});
