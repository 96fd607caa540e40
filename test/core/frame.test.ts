import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/core/bytes.ts";
import { Frame, FrameHeader, hashMac } from "../../src/core/frame.ts";

const hex = (text: string) => fromHex(text.replaceAll(" ", "")) as Uint8Array;

const DST = "0180c2 000001";
const SRC = "02aabb ccddee";
const UNTAGGED = `${DST} ${SRC} 0800 4500 0001`;
/** Priority 5, drop eligible, VLAN 10. */
const TAGGED = `${DST} ${SRC} 8100 b00a 0800 4500 0001`;
const DOUBLE = `${DST} ${SRC} 8100 2014 8100 600a 0800 4500 0001`;

const text = (frame: Frame) => toHex(frame.bytes);
const plain = (octets: string) => octets.replaceAll(" ", "");

/** Whatever way a frame came about, it is what its octets say. */
function isWhatItsOctetsSay(frame: Frame): void {
  const read = Frame.of(frame.bytes);
  expect([frame.tci, frame.vid, frame.size, frame.payload]).toEqual([read.tci, read.vid, read.size, read.payload]);
  expect(frame.header).toEqual(read.header);
}

describe("a frame's header", () => {
  it("has the addresses as numbers: 16 bits, then 32 signed ones", () => {
    const { header } = Frame.of(hex(UNTAGGED));
    expect([header.dstHi, header.dstLo]).toEqual([0x0180, 0xc2000001 | 0]);
    expect([header.srcHi, header.srcLo]).toEqual([0x02aa, 0xbbccddee | 0]);
    expect([header.dstHash, header.srcHash]).toEqual([
      hashMac(header.dstHi, header.dstLo),
      hashMac(header.srcHi, header.srcLo),
    ]);
  });

  it.each([
    ["ffffffffffff", true],
    ["01005e000012", true],
    ["333300000012", true],
    ["02aabbccddee", false],
    ["00005e000101", false],
    ["fe0000000000", false],
  ])("%s is a group: %s, by the lowest bit of the first octet", (mac, group) => {
    expect(Frame.of(hex(`${mac} ${SRC} 0800`)).header.group).toBe(group);
  });

  it("has the type behind the outer tag, or the length of an 802.3 frame", () => {
    expect(Frame.of(hex(UNTAGGED)).header.type).toBe(0x0800);
    expect(Frame.of(hex(TAGGED)).header.type).toBe(0x0800);
    expect(Frame.of(hex(DOUBLE)).header.type).toBe(0x8100);
    expect(Frame.of(hex(`${DST} ${SRC} 0027 4242 03`)).header.type).toBe(0x27);
  });

  it("is parsed once and shared by the frame with and without its tag", () => {
    const frame = Frame.of(hex(UNTAGGED));
    expect(frame.tagged(10).header).toBe(frame.header);
    expect(frame.tagged(10).untagged().header).toBe(frame.header);
  });

  it("hashes spread: 4096 consecutive addresses fill most of 4096 places, as random numbers would (63 %)", () => {
    const places = new Set(Array.from({ length: 4096 }, (_, i) => hashMac(0x0210, i) & 4095));
    expect(places.size).toBeGreaterThan(2450);
    expect(places.size).toBeLessThan(2730);
  });
});

describe("the 802.1Q tag", () => {
  it("is read from the octets", () => {
    const tagged = Frame.of(hex(TAGGED));
    expect([tagged.tci, tagged.vid, tagged.payload, tagged.size]).toEqual([0xb00a, 10, 18, 22]);
    const untagged = Frame.of(hex(UNTAGGED));
    expect([untagged.tci, untagged.vid, untagged.payload, untagged.size]).toEqual([-1, 0, 14, 18]);
  });

  it("a priority tag has VLAN 0, which counts as none (IEEE 802.1Q §6.9.1)", () => {
    const frame = Frame.of(hex(`${DST} ${SRC} 8100 e000 0800 45`));
    expect([frame.vid, frame.tci]).toEqual([0, 0xe000]);
    expect(text(frame.untagged())).toBe(plain(`${DST} ${SRC} 0800 45`));
  });

  it("can be added and taken off; the octets follow", () => {
    const frame = Frame.of(hex(UNTAGGED));
    expect(text(frame.tagged(0xb00a))).toBe(plain(TAGGED));
    expect(frame.tagged(0xb00a).size).toBe(frame.size + 4);
    expect(text(Frame.of(hex(TAGGED)).untagged())).toBe(plain(UNTAGGED));
    expect(text(frame)).toBe(plain(UNTAGGED));
  });

  it("costs one object for a whole path: tag and untag give the twin back", () => {
    const frame = Frame.of(hex(UNTAGGED));
    const tagged = frame.tagged(10);
    expect(tagged.untagged()).toBe(frame);
    expect(frame.tagged(10)).toBe(tagged);
    expect(frame.untagged()).toBe(frame);
    expect(tagged.tagged(10)).toBe(tagged);
    const received = Frame.of(hex(TAGGED));
    expect(received.untagged().tagged(0xb00a)).toBe(received);
  });

  it("is replaced by another one, not stacked", () => {
    const frame = Frame.of(hex(TAGGED)).tagged(20);
    expect(text(frame)).toBe(plain(`${DST} ${SRC} 8100 0014 0800 4500 0001`));
    expect(text(frame.untagged())).toBe(plain(UNTAGGED));
  });

  it("leaves the inner tag as the outer one when it is taken off a frame with two", () => {
    const frame = Frame.of(hex(DOUBLE));
    expect(frame.vid).toBe(20);
    const inner = frame.untagged();
    expect([inner.vid, inner.tci, inner.header.type]).toEqual([10, 0x600a, 0x0800]);
    expect(text(inner)).toBe(plain(`${DST} ${SRC} 8100 600a 0800 4500 0001`));
    expect(text(inner.untagged())).toBe(plain(UNTAGGED));
    expect(text(frame.tagged(30))).toBe(plain(`${DST} ${SRC} 8100 001e 8100 600a 0800 4500 0001`));
    expect(text(frame)).toBe(plain(DOUBLE));
  });

  it("after any tagging and untagging, a frame is what its octets say", () => {
    const start = fc.constantFrom(UNTAGGED, TAGGED, DOUBLE).map((octets) => Frame.of(hex(octets)));
    const steps = fc.array(fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 3 })), { maxLength: 8 });
    fc.assert(
      fc.property(start, steps, (first, tcis) => {
        let frame = first;
        for (const tci of tcis) {
          const before = text(frame);
          const next = tci < 0 ? frame.untagged() : frame.tagged(tci);
          if (tci >= 0) expect(next.tci).toBe(tci);
          isWhatItsOctetsSay(next);
          expect(text(frame)).toBe(before);
          frame = next;
        }
      }),
    );
  });

  it("that is cut off is no tag: the frame is read to its end and no further", () => {
    const frame = Frame.of(hex(`${DST} ${SRC} 8100 00`));
    expect([frame.tci, frame.size, frame.payload]).toEqual([-1, 15, 14]);
  });
});

describe("octets on demand", () => {
  const source = (calls: number[]) => ({
    bytesOf(sequence: number) {
      calls.push(sequence);
      return hex(`${UNTAGGED} ${sequence.toString(16).padStart(4, "0")}`);
    },
  });

  it("are made when somebody asks, once, with the frame's own number", () => {
    const calls: number[] = [];
    const frame = Frame.lazy(new FrameHeader(hex(UNTAGGED)), 20, source(calls), 7);
    const tagged = frame.tagged(10);
    expect(calls).toEqual([]);
    expect(text(tagged)).toBe(plain(`${DST} ${SRC} 8100 000a 0800 4500 0001 0007`));
    expect([text(frame), text(frame)]).toEqual([plain(`${UNTAGGED} 0007`), plain(`${UNTAGGED} 0007`)]);
    expect(calls).toEqual([7]);
    expect([frame.sequence, tagged.sequence, tagged.untagged()]).toEqual([7, 7, frame]);
    isWhatItsOctetsSay(tagged);
  });
});
