import { describe, expect, it } from "vitest";
import { CaptureReader } from "../../src/capture/read.ts";
import { MAX_CAPTURED, MAX_INTERFACES, nanosecondsText } from "../../src/capture/record.ts";
import {
  block,
  concat,
  enhanced,
  halves,
  interfaceBlock,
  MICRO,
  NANO,
  type Order,
  option,
  pcapHeader,
  pcapRecord,
  readAll,
  repeated,
  section,
  text,
  words,
} from "./build.ts";

const FRAME = Uint8Array.from({ length: 61 }, (_, i) => i);
const ORDERS: readonly Order[] = ["little", "big"];
const octet = (value: number) => Uint8Array.of(value);

describe.each(ORDERS)("classic pcap, %s-endian", (order) => {
  it("reads microseconds and nanoseconds exactly, up to the last second of 2106", () => {
    for (const [magic, fraction, ns] of [
      [MICRO, 999_999, "4294967295999999000"],
      [NANO, 999_999_999, "4294967295999999999"],
    ] as const) {
      const { records, error } = readAll(
        concat(
          pcapHeader(order, magic),
          pcapRecord(order, 0xffff_ffff, fraction, FRAME),
          pcapRecord(order, 0, 0, FRAME),
        ),
      );
      expect(error).toBeUndefined();
      expect(records.map(nanosecondsText)).toEqual([ns, "0"]);
      expect(records[0]).toMatchObject({ number: 1, length: 61, capturedLength: 61, bytes: FRAME });
      expect(records[0]?.interface).toEqual({
        index: 0,
        name: undefined,
        linkType: 1,
        snapLength: 65_535,
        fcsLength: 0,
      });
    }
  });

  it("takes link type and FCS length out of the link type field, and the FCS off whole and off cut packets", () => {
    const { records } = readAll(
      concat(
        pcapHeader(order, MICRO, 0x2400_0001),
        pcapRecord(order, 1, 0, FRAME),
        pcapRecord(order, 1, 0, FRAME.subarray(0, 59), 61),
        pcapRecord(order, 1, 0, FRAME.subarray(0, 20), 61),
      ),
    );
    expect(records.map((r) => [r.interface.linkType, r.capturedLength, r.bytes.length])).toEqual([
      [1, 61, 57],
      [1, 59, 57],
      [1, 20, 20],
    ]);
    // The upper bits without the P bit say nothing (libpcap: LT_FCS_LENGTH_PRESENT).
    expect(readAll(concat(pcapHeader(order, MICRO, 0x2000_0001))).error).toBeUndefined();
    const [record] = readAll(concat(pcapHeader(order, MICRO, 0x2000_0001), pcapRecord(order, 1, 0, FRAME))).records;
    expect(record?.bytes).toEqual(FRAME);
  });

  it("reads the lengths of versions before 2.4 in the order that libpcap takes them", () => {
    const swapped = concat(words(order, 5, 0, 80, FRAME.length), FRAME);
    for (const minor of [2, 3]) {
      const { records } = readAll(concat(pcapHeader(order, MICRO, 1, [2, minor]), swapped));
      expect(records.map((r) => [r.capturedLength, r.length])).toEqual([[61, 80]]);
    }
    const straight = concat(pcapHeader(order, MICRO, 1, [2, 3]), pcapRecord(order, 5, 0, FRAME, 80));
    expect(readAll(straight).records.map((r) => [r.capturedLength, r.length])).toEqual([[61, 80]]);
  });

  it.each([
    [1, 4],
    [2, 5],
    [3, 0],
  ] as const)("refuses version %i.%i", (major, minor) => {
    const { error } = readAll(concat(pcapHeader(order, MICRO, 1, [major, minor]), pcapRecord(order, 1, 0, FRAME)));
    expect(error).toMatchObject({ kind: "unsupported-version", offset: 0, frames: 0 });
    expect(error?.message).toContain(`${major}.${minor}`);
  });

  it("believes no captured length above the cap, and takes one at the cap", () => {
    const whole = concat(pcapHeader(order), pcapRecord(order, 1, 0, new Uint8Array(MAX_CAPTURED)));
    expect(readAll(whole).records[0]?.bytes.length).toBe(MAX_CAPTURED);
    const { records, error } = readAll(concat(whole, words(order, 1, 0, MAX_CAPTURED + 1, 60)));
    expect(records.length).toBe(1);
    expect(error).toMatchObject({ kind: "bad-length", offset: whole.length, frames: 1 });
    expect(error?.message).toContain("packet 2 claims 262145 captured octets");
  });

  it("says of a cut file in which packet, at which octet and how much is there", () => {
    const first = concat(pcapHeader(order), pcapRecord(order, 1, 0, FRAME));
    const whole = concat(first, pcapRecord(order, 2, 0, FRAME));
    for (let length = first.length + 1; length < whole.length; length++) {
      const { records, error } = readAll(whole.slice(0, length));
      expect(records.length).toBe(1);
      expect(error).toMatchObject({ kind: "truncated", offset: first.length, frames: 1 });
      const there = length - first.length;
      const what = there < 16 ? `the header of packet 2: ${there} of 16` : `packet 2: ${there} of 77`;
      expect(error?.message).toBe(
        `the file is cut short in ${what} octets are there (at octet ${first.length}, after frame 1)`,
      );
    }
    for (let length = 4; length < 24; length++) {
      expect(readAll(whole.slice(0, length)).error).toMatchObject({ kind: "truncated", offset: 0, frames: 0 });
    }
  });
});

describe.each(ORDERS)("pcapng, %s-endian", (order) => {
  const name = (value: string) => option(order, 2, text(value));
  const resolution = (value: number) => option(order, 9, octet(value));
  const end = option(order, 0, new Uint8Array(0));
  const ethernet = interfaceBlock(order, 1, 0);

  it("gives each interface its name, link type and time resolution; microseconds when none is stated", () => {
    const { records, error } = readAll(
      concat(
        section(order),
        interfaceBlock(order, 1, 96, name("eth0"), end),
        interfaceBlock(order, 113, 0, name("any\0\0"), resolution(9), end),
        interfaceBlock(order, 101, 0, resolution(3)),
        interfaceBlock(order, 276, 0, resolution(0x80 | 20), end),
        enhanced(order, 0, 1_795_272_997_872_722n, FRAME, 90),
        enhanced(order, 1, 1_795_272_997_872_722_137n, FRAME),
        enhanced(order, 2, 1_795_273_001_461n, FRAME),
        enhanced(order, 3, (5n << 20n) + 7n, FRAME),
      ),
    );
    expect(error).toBeUndefined();
    expect(records.map(nanosecondsText)).toEqual([
      "1795272997872722000",
      "1795272997872722137",
      "1795273001461000000",
      "5000006675",
    ]);
    expect(records.map((r) => r.interface)).toEqual([
      { index: 0, name: "eth0", linkType: 1, snapLength: 96, fcsLength: 0 },
      { index: 1, name: "any", linkType: 113, snapLength: 0, fcsLength: 0 },
      { index: 2, name: undefined, linkType: 101, snapLength: 0, fcsLength: 0 },
      { index: 3, name: undefined, linkType: 276, snapLength: 0, fcsLength: 0 },
    ]);
    expect(records[0]).toMatchObject({ number: 1, length: 90, capturedLength: 61, bytes: FRAME });
  });

  it("adds if_tsoffset, and takes the FCS off by if_fcslen (bits, or octets as some write) or epb_flags", () => {
    const words64 =
      order === "little" ? words(order, 0xffff_fff6, 0xffff_ffff) : words(order, 0xffff_ffff, 0xffff_fff6);
    const flags = option(order, 2, words(order, (2 << 5) | 1));
    const { records } = readAll(
      concat(
        section(order),
        interfaceBlock(order, 1, 0, option(order, 14, words64), option(order, 13, octet(32))),
        interfaceBlock(order, 1, 0, option(order, 13, octet(4))),
        enhanced(order, 0, 25_000_001n, FRAME),
        enhanced(order, 1, 0n, FRAME),
        enhanced(order, 1, 0n, FRAME, 61, flags),
      ),
    );
    expect(records.map(nanosecondsText)).toEqual(["15000001000", "0", "0"]);
    expect(records.map((r) => [r.bytes.length, r.direction])).toEqual([
      [57, undefined],
      [57, undefined],
      [59, "in"],
    ]);
  });

  it("reads comments and direction, and steps over options that it does not know", () => {
    const { records } = readAll(
      concat(
        section(order),
        ethernet,
        enhanced(
          order,
          0,
          1n,
          FRAME,
          61,
          option(order, 1, text("first ü")),
          option(order, 0x8bad, new Uint8Array(7)),
          option(order, 2, words(order, 2)),
          option(order, 1, text("second")),
          end,
          option(order, 1, text("behind the end")),
        ),
        // An option that reaches beyond its block: the packet is whole all the same.
        enhanced(order, 0, 2n, FRAME, 61, option(order, 1, text("kept")), halves(order, 1, 400)),
      ),
    );
    expect(records.map((r) => [r.comment, r.direction])).toEqual([
      ["first ü\nsecond", "out"],
      ["kept", undefined],
    ]);
  });

  it("reads simple packets (interface 0, its snapshot length, the time of the packet before) and obsolete ones", () => {
    const { records, error } = readAll(
      concat(
        section(order),
        interfaceBlock(order, 1, 40),
        block(order, 3, concat(words(order, 61), FRAME.subarray(0, 40))),
        block(order, 2, concat(halves(order, 0, 9), words(order, 0, 1_500_000, 33, 61), FRAME.subarray(0, 33))),
        block(order, 3, concat(words(order, 30), FRAME.subarray(0, 30))),
      ),
    );
    expect(error).toBeUndefined();
    expect(records.map((r) => [nanosecondsText(r), r.length, r.capturedLength, r.bytes])).toEqual([
      ["0", 61, 40, FRAME.subarray(0, 40)],
      ["1500000000", 61, 33, FRAME.subarray(0, 33)],
      ["1500000000", 30, 30, FRAME.subarray(0, 30)],
    ]);
  });

  it("steps over unknown blocks, of every length, and begins anew with each section in its own byte order", () => {
    const other: Order = order === "little" ? "big" : "little";
    const { records, error } = readAll(
      concat(
        section(order),
        ...[0, 1, 4, 5, 8, 1000].map((length) => block(order, 0x8000_0b0b, new Uint8Array(length))),
        interfaceBlock(order, 1, 0, name("first")),
        enhanced(order, 0, 1n, FRAME),
        block(order, 5, new Uint8Array(300_000)),
        enhanced(order, 0, 2n, FRAME),
        section(other, 1, 2),
        interfaceBlock(other, 113, 0, option(other, 2, text("second"))),
        enhanced(other, 0, 3n, FRAME),
      ),
    );
    expect(error).toBeUndefined();
    expect(records.map((r) => [r.number, r.seconds, r.nanoseconds, r.interface.index, r.interface.name])).toEqual([
      [1, 0, 1000, 0, "first"],
      [2, 0, 2000, 0, "first"],
      [3, 0, 3000, 1, "second"],
    ]);
  });

  const packet = enhanced(order, 0, 1n, FRAME);
  const begun = concat(section(order), ethernet, packet);
  const ended = (length: number, closing: number) => concat(words(order, 99, length), words(order, closing));
  it.each([
    ["names an interface that its section lacks", enhanced(order, 7, 1n, FRAME), "unknown-interface"],
    ["names an interface of the section before", concat(section(order), packet), "unknown-interface"],
    [
      "is simple and its section has no interface",
      concat(section(order), block(order, 3, words(order, 0))),
      "unknown-interface",
    ],
    ["claims more octets than its block", block(order, 6, words(order, 0, 0, 0, 5, 5, 0)), "bad-length"],
    ["is in a block of a length that is no multiple of 4", words(order, 6, 34, 0, 0, 0, 0, 0, 0, 0), "bad-length"],
    ["is in a block too short for it", words(order, 6, 28, 0, 0, 0, 0, 28), "bad-length"],
    ["follows a block above the largest", ended(16_777_220, 0), "bad-length"],
    ["follows a block shorter than a block", ended(8, 8), "bad-length"],
    ["follows a block with two lengths", ended(12, 16), "bad-length"],
    ["follows a section of a version unknown", section(order, 2), "unsupported-version"],
    ["follows a section of a minor version unknown", section(order, 1, 1), "unsupported-version"],
    ["follows a section without byte order", words(order, 0x0a0d0d0a, 28, 0x1a2b3c4e, 0, 0, 0, 28), "bad-block"],
    [
      "follows an if_tsresol without value",
      interfaceBlock(order, 1, 0, option(order, 9, new Uint8Array(0))),
      "bad-block",
    ],
    ["follows an if_tsoffset too short", interfaceBlock(order, 1, 0, option(order, 14, octet(1))), "bad-block"],
    ["follows interface options without end", interfaceBlock(order, 1, 0, halves(order, 2, 80)), "bad-block"],
  ] as const)("a packet that %s ends the reading with an error", (_what, bad, kind) => {
    const { records, error } = readAll(concat(begun, bad, packet));
    expect(records.length).toBe(1);
    expect(error?.kind).toBe(kind);
    expect(error?.frames).toBe(1);
    // The damaged block stands first in `bad`, or behind a section header of 28 octets.
    expect([begun.length, begun.length + 28]).toContain(error?.offset);
    expect(error?.message).toMatch(/\(at octet \d+, after frame 1\)$/);
  });

  it("believes no captured length above the cap", () => {
    const large = enhanced(order, 0, 1n, new Uint8Array(MAX_CAPTURED + 1));
    expect(readAll(concat(begun, large)).error).toMatchObject({ kind: "bad-length", frames: 1, offset: begun.length });
  });

  it("refuses the interface that is one too many for a section, but not as many in the next", () => {
    const full = concat(section(order), repeated(ethernet, MAX_INTERFACES));
    expect(readAll(concat(full, full)).error).toBeUndefined();
    const { error } = readAll(concat(full, ethernet));
    expect(error).toMatchObject({ kind: "too-many-interfaces", offset: full.length, frames: 0 });
  });

  it("cut at any octet it yields the packets before the cut and says which block is not whole", () => {
    const skipped = block(order, 0x0bad, new Uint8Array(20));
    const parts = [section(order), ethernet, packet, skipped, packet];
    const ends = parts.map((_, i) => concat(...parts.slice(0, i + 1)).length);
    const whole = concat(...parts);
    for (let length = 4; length < whole.length; length++) {
      const { records, error } = readAll(whole.slice(0, length));
      const block = ends.filter((to) => to <= length).length;
      expect(records.length).toBe(block > 2 ? 1 : 0);
      if (ends.includes(length)) expect(error).toBeUndefined();
      else expect(error).toMatchObject({ kind: "truncated", offset: ends[block - 1] ?? 0, frames: records.length });
    }
  });
});

it.each([
  ["nothing", new Uint8Array(0), "empty"],
  ["three octets of a magic", Uint8Array.of(0xd4, 0xc3, 0xb2), "not-a-capture"],
  ["text", text("not a capture"), "not-a-capture"],
  ["gzip, which is undone before", Uint8Array.of(0x1f, 0x8b, 8, 0, 0), "not-a-capture"],
] as const)("%s is not a capture, and the error says so", (_what, bytes, kind) => {
  const { records, error } = readAll(bytes);
  expect(records).toEqual([]);
  expect(error).toMatchObject({ kind, offset: 0, frames: 0 });
});

it("after an error it yields nothing, and the first error stays", () => {
  const reader = new CaptureReader();
  expect(reader.push(text("not a capture"))).toEqual([]);
  const { error } = reader;
  expect(error?.kind).toBe("not-a-capture");
  expect(reader.push(concat(pcapHeader("little"), pcapRecord("little", 1, 0, FRAME)))).toEqual([]);
  reader.fail("unreadable", "gone");
  expect(reader.end()).toBe(error);
});

it("takes Buffers and gives plain views, which stay as they are when more is read", () => {
  const reader = new CaptureReader();
  const file = Buffer.from(concat(pcapHeader("little"), pcapRecord("little", 1, 0, FRAME)));
  const records = [file.subarray(0, 50), file.subarray(50, 60), file.subarray(60)].flatMap((b) => reader.push(b));
  const more = reader.push(Buffer.from(pcapRecord("little", 2, 0, FRAME.toReversed())));
  expect(records[0]?.bytes).toEqual(FRAME);
  expect(more[0]?.bytes).toEqual(FRAME.toReversed());
  expect(Object.getPrototypeOf(more[0]?.bytes)).toBe(Uint8Array.prototype);
});
