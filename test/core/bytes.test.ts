import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  equalBytes,
  fromHex,
  internetChecksum,
  onesSum,
  Reader,
  setU16,
  toHex,
  u16,
  u32,
  Writer,
} from "../../src/core/bytes.ts";

const octets = (max = 100) => fc.uint8Array({ maxLength: max });

describe("Reader", () => {
  it("reads in network byte order and without sign", () => {
    const reader = new Reader(Uint8Array.of(0xff, 0x80, 0x01, 0xfe, 0xdc, 0xba, 0x98, 7, 8, 9));
    expect([reader.u8(), reader.u16(), reader.u32()]).toEqual([0xff, 0x8001, 0xfedcba98]);
    expect(reader.left).toBe(3);
    expect(reader.view(2)).toEqual(Uint8Array.of(7, 8));
    expect(reader.rest()).toEqual(Uint8Array.of(9));
    expect(reader.short).toBe(false);
  });

  it("once short it stays short, and all that follows is zero and empty", () => {
    const reader = new Reader(Uint8Array.of(1, 2, 3));
    expect(reader.u32()).toBe(0);
    expect(reader.short).toBe(true);
    expect([reader.u8(), reader.u16(), reader.view(1).length, reader.rest().length, reader.left]).toEqual([
      0, 0, 0, 0, 0,
    ]);
    expect(reader.short).toBe(true);
  });

  it("ends where it is told to, not where the buffer does", () => {
    const reader = new Reader(Uint8Array.of(1, 2, 3, 4), 1, 3);
    expect(reader.u16()).toBe(0x0203);
    expect(reader.short).toBe(false);
    expect(reader.u8()).toBe(0);
    expect(reader.short).toBe(true);
  });

  it("a negative length, as a hostile length field gives, is short and moves nothing back", () => {
    const reader = new Reader(Uint8Array.of(1, 2, 3), 2);
    expect(reader.view(-1).length).toBe(0);
    expect([reader.short, reader.left]).toEqual([true, 0]);
    const other = new Reader(Uint8Array.of(1, 2, 3), 2);
    other.skip(-2);
    expect([other.short, other.u8()]).toEqual([true, 0]);
  });

  it("a view is a view: no octet is copied", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(new Reader(bytes).view(2).buffer).toBe(bytes.buffer);
  });

  it("never throws, whatever it is asked for, and never goes past its end", () => {
    fc.assert(
      fc.property(octets(20), fc.array(fc.integer({ min: -3, max: 12 })), (bytes, lengths) => {
        const reader = new Reader(bytes);
        for (const length of lengths) {
          const fits = !reader.short && length >= 0 && length <= reader.left;
          expect(reader.view(length).length).toBe(fits ? length : 0);
          expect(reader.offset).toBeLessThanOrEqual(bytes.length);
          if (!fits && !(reader.short && length === 0)) expect(reader.short).toBe(true);
        }
      }),
    );
  });
});

describe("Writer", () => {
  it("fills a buffer of exactly the size, in network byte order", () => {
    const writer = new Writer(12).u8(1).u16(0x0203).u32(0xfffefdfc).put(Uint8Array.of(9, 8)).zero(3);
    expect(toHex(writer.bytes)).toBe("010203fffefdfc0908000000");
    expect(writer.offset).toBe(12);
  });

  it("zero() overwrites what was there, and writing begins at the offset", () => {
    const bytes = new Uint8Array(4).fill(0xaa);
    new Writer(bytes, 1).zero(2);
    expect(toHex(bytes)).toBe("aa0000aa");
  });

  it("what it writes, Reader reads back", () => {
    fc.assert(
      fc.property(fc.nat(0xff), fc.nat(0xffff), fc.nat(0xffffffff), octets(9), (a, b, c, d) => {
        const reader = new Reader(new Writer(7 + d.length).u8(a).u16(b).u32(c).put(d).bytes);
        expect([reader.u8(), reader.u16(), reader.u32(), reader.rest()]).toEqual([a, b, c, d]);
        expect(reader.short).toBe(false);
      }),
    );
  });

  it("u16, u32 and setU16 agree with a DataView", () => {
    const bytes = Uint8Array.of(0x80, 0xff, 0x00, 0x01, 0x7f);
    const view = new DataView(bytes.buffer);
    expect([u16(bytes, 0), u16(bytes, 3), u32(bytes, 0), u32(bytes, 1)]).toEqual([
      view.getUint16(0),
      view.getUint16(3),
      view.getUint32(0),
      view.getUint32(1),
    ]);
    setU16(bytes, 2, 0xabcd);
    expect(view.getUint16(2)).toBe(0xabcd);
  });
});

describe("the internet checksum (RFC 1071)", () => {
  it("gives the sum of RFC 1071 §3's example: 00 01 f2 03 f4 f5 f6 f7 make ddf2", () => {
    const example = fromHex("0001f203f4f5f6f7") as Uint8Array;
    expect(onesSum(example)).toBe(0xddf2);
    expect(internetChecksum(example)).toBe(0x220d);
  });

  it("an odd last octet counts as if a zero octet followed (RFC 1071 §4.1)", () => {
    expect(onesSum(Uint8Array.of(0x01, 0x02, 0x03))).toBe(onesSum(Uint8Array.of(0x01, 0x02, 0x03, 0x00)));
    expect(onesSum(Uint8Array.of(0xff))).toBe(0xff00);
    expect(internetChecksum(new Uint8Array(0))).toBe(0xffff);
  });

  /** Word by word with the end-around carry of every addition: slow and plain. */
  function reference(bytes: Uint8Array): number {
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) {
      sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
      if (sum > 0xffff) sum -= 0xffff;
    }
    return sum;
  }

  it("agrees with the plain way for any octets", () => {
    fc.assert(fc.property(octets(1_600), (bytes) => void expect(onesSum(bytes)).toBe(reference(bytes))));
  });

  it("is the same in parts of even length as in one piece", () => {
    fc.assert(
      fc.property(octets(200), fc.nat(100), (bytes, half) => {
        const cut = Math.min(2 * half, bytes.length & ~1);
        expect(onesSum(bytes, cut, bytes.length, onesSum(bytes, 0, cut))).toBe(onesSum(bytes));
        expect(onesSum(bytes.subarray(cut), 0, undefined, onesSum(bytes.subarray(0, cut)))).toBe(onesSum(bytes));
      }),
    );
  });

  it("data that holds its own checksum sums up to ffff, and no longer when a bit flips", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 64 }), fc.nat(), fc.nat(7), (bytes, where, bit) => {
        bytes.set([0, 0], 2);
        setU16(bytes, 2, internetChecksum(bytes));
        expect(onesSum(bytes)).toBe(0xffff);
        const at = where % bytes.length;
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        expect(onesSum(bytes)).not.toBe(0xffff);
      }),
    );
  });

  it("folds as often as it takes: 64 KiB of ff is ffff", () => {
    expect(onesSum(new Uint8Array(65_536).fill(0xff))).toBe(0xffff);
    expect(onesSum(Uint8Array.of(0xff, 0xff), 0, 2, 0xffff_ffff)).toBe(0xffff);
  });
});

describe("hex", () => {
  it("goes there and back for any octets", () => {
    fc.assert(fc.property(octets(), (bytes) => void expect(fromHex(toHex(bytes))).toEqual(bytes)));
  });

  it.each(["0", "0g", "00 11", "0x00", "é0"])("refuses %j", (text) => {
    expect(fromHex(text)).toBeUndefined();
  });

  it("reads both cases and the empty text", () => {
    expect(fromHex("aBcD")).toEqual(Uint8Array.of(0xab, 0xcd));
    expect(fromHex("")).toEqual(new Uint8Array(0));
  });
});

it("equalBytes compares length and every octet", () => {
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3))).toBe(false);
});
