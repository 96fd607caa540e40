import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createGzip, gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { readCapture } from "../../src/capture/file.ts";
import { CaptureReader } from "../../src/capture/read.ts";
import type { CaptureError, CaptureRecord } from "../../src/capture/record.ts";
import {
  concat,
  enhanced,
  interfaceBlock,
  pcapHeader,
  pcapRecord,
  printed,
  readAll,
  repeated,
  section,
  words,
} from "./build.ts";
import { CAPTURES, captureFiles, octetsOf } from "./fixtures.ts";

const folder = mkdtempSync(join(tmpdir(), "capture-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function collect(source: string | AsyncIterable<Uint8Array>) {
  const records: CaptureRecord[] = [];
  let error: CaptureError | undefined;
  for await (const batch of readCapture(source)) {
    expect(error).toBeUndefined();
    records.push(...batch.records);
    error = batch.error;
  }
  return { records, error };
}

const pieces = (...parts: readonly Uint8Array[]) => Readable.from(parts, { objectMode: true });
const frame = Uint8Array.from({ length: 60 }, (_, i) => i * 7);
const many = (count: number) =>
  concat(pcapHeader("little"), ...Array.from({ length: count }, (_, i) => pcapRecord("little", i, 0, frame)));

describe("gzip", () => {
  const plain = captureFiles.filter((name) => name.startsWith("fmt-") && !name.endsWith(".gz"));

  it.each(plain)("of %s gives the same packets and the same error, in whatever pieces", async (file) => {
    const bytes = octetsOf(file);
    const whole = printed(readAll(bytes));
    const packed = new Uint8Array(gzipSync(bytes));
    expect(printed(await collect(pieces(packed)))).toBe(whole);
    expect(printed(await collect(pieces(...Array.from(packed, (octet) => Uint8Array.of(octet)))))).toBe(whole);
  });

  it("is known by its first octets, not by the file's name, and may have several members", async () => {
    const bytes = octetsOf("fmt-le-usec.pcap");
    const path = join(folder, "no-such-ending.pcap");
    writeFileSync(path, concat(gzipSync(bytes.subarray(0, 500)), gzipSync(bytes.subarray(500))));
    expect(printed(await collect(path))).toBe(printed(readAll(bytes)));
  });

  it("that is cut short gives every packet whose octets are there, and then one error", async () => {
    const bytes = many(20_000);
    const packed = gzipSync(bytes);
    for (const share of [0.1, 0.5, 0.9]) {
      const { records, error } = await collect(pieces(packed.subarray(0, Math.floor(packed.length * share))));
      expect(records.length).toBeGreaterThan(20_000 * (share - 0.05));
      expect(error).toMatchObject({ kind: "truncated", frames: records.length });
    }
    for (const lost of [1, 4, 8]) {
      const { records, error } = await collect(pieces(packed.subarray(0, packed.length - lost)));
      expect(records.length).toBe(20_000);
      expect(error).toMatchObject({ kind: "truncated", frames: 20_000, offset: bytes.length });
      expect(error?.message).toContain("gzip data is cut short");
    }
  });

  it("with a wrong checksum gives every packet, and then the error", async () => {
    const packed = gzipSync(many(100));
    const at = packed.length - 5;
    packed[at] = (packed[at] ?? 0) ^ 0xff;
    const { records, error } = await collect(pieces(packed));
    expect(records.length).toBe(100);
    expect(error).toMatchObject({ kind: "gzip-damaged", frames: 100 });
  });

  it("that is only a magic number is cut short", async () => {
    expect((await collect(pieces(Uint8Array.of(0x1f, 0x8b)))).error).toMatchObject({ kind: "truncated", frames: 0 });
    expect((await collect(pieces(gzipSync(new Uint8Array(0))))).error?.kind).toBe("empty");
  });

  it("with octets behind its end is read to that end", async () => {
    const packed = concat(gzipSync(many(100)), new Uint8Array(100_000));
    const { records, error } = await collect(pieces(packed.subarray(0, 300), packed.subarray(300)));
    expect(records.length).toBe(100);
    expect(error).toBeUndefined();
  });
});

describe("files", () => {
  it('"-" is standard input', async () => {
    const own = Object.getOwnPropertyDescriptor(process, "stdin");
    try {
      const value = pieces(octetsOf("fmt-sll.pcap"));
      Object.defineProperty(process, "stdin", { configurable: true, value });
      expect(printed(await collect("-"))).toBe(printed(readAll(octetsOf("fmt-sll.pcap"))));
    } finally {
      if (own !== undefined) Object.defineProperty(process, "stdin", own);
    }
  });

  it("that are not there or are folders give an error that says so, and nothing is thrown", async () => {
    const missing = await collect(join(folder, "missing.pcap"));
    expect(missing.error).toMatchObject({ kind: "unreadable", offset: 0, frames: 0 });
    expect(missing.error?.message).toContain("ENOENT");
    expect((await collect(folder)).error?.message).toContain("EISDIR");
  });

  it("whose reading fails half-way give the packets before", async () => {
    async function* failing() {
      yield octetsOf("fmt-le-usec.pcap").slice(0, 500);
      throw new Error("the cable was pulled");
    }
    const { records, error } = await collect(failing());
    expect(records.length).toBe(readAll(octetsOf("fmt-le-usec.pcap").slice(0, 500)).records.length);
    expect(error).toMatchObject({ kind: "unreadable", frames: records.length });
    expect(error?.message).toContain("the cable was pulled");
  });

  it("may be left in the middle", async () => {
    const path = join(folder, "many.pcap");
    writeFileSync(path, many(20_000));
    let count = 0;
    for await (const { records } of readCapture(path)) {
      count += records.length;
      break;
    }
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(20_000);
  });

  it("are not read ahead of who uses the packets", async () => {
    let given = 0;
    async function* source() {
      yield pcapHeader("little");
      for (; given < 100; given++) yield pcapRecord("little", given, 0, frame);
    }
    let taken = 0;
    for await (const { records } of readCapture(source())) {
      taken += records.length;
      expect(given - taken).toBeLessThanOrEqual(1);
    }
    expect(taken).toBe(100);
  });

  it("come in batches: far fewer than packets", async () => {
    const path = join(folder, "batches.pcap");
    writeFileSync(path, many(20_000));
    let batches = 0;
    for await (const batch of readCapture(path)) batches += Math.sign(batch.records.length);
    expect(batches).toBeLessThan(20);
  });

  it("give the same as their octets in one piece", async () => {
    for (const file of captureFiles.filter((name) => name.startsWith("fmt-") && !name.endsWith(".gz"))) {
      expect(printed(await collect(CAPTURES + file))).toBe(printed(readAll(octetsOf(file))));
    }
  });
});

describe("memory", () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const inUse = () => {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const MEGABYTE = 1_000_000;

  /** The same packets, given again and again (a copy: the reader owns what it is given). */
  async function* endless(header: Uint8Array, packets: Uint8Array, total: number) {
    yield header.slice();
    // Pieces that no packet's length divides, so that most end within one.
    for (let sent = 0, at = 0; sent < total; sent += 65_521) {
      const piece = new Uint8Array(65_521);
      for (let filled = 0; filled < piece.length; ) {
        const part = packets.subarray(at, at + piece.length - filled);
        piece.set(part, filled);
        filled += part.length;
        at = (at + part.length) % packets.length;
      }
      yield piece;
    }
  }

  async function growth(source: AsyncIterable<Uint8Array>) {
    const before = inUse();
    let most = 0;
    let frames = 0;
    let next = 0;
    for await (const { records } of readCapture(source)) {
      frames += records.length;
      if (frames < next) continue;
      next = frames + 200_000;
      most = Math.max(most, inUse() - before);
    }
    return { most, frames };
  }

  const record = pcapRecord("little", 1, 2, frame);
  const thousands = repeated(record, 14_000);

  it("stays flat over 300 MB of classic pcap", async () => {
    const { most, frames } = await growth(endless(pcapHeader("little"), thousands, 300 * MEGABYTE));
    expect(frames).toBeGreaterThan((300 * MEGABYTE) / record.length - 2);
    expect(most).toBeLessThan(20 * MEGABYTE);
  });

  it("stays flat over 300 MB of pcapng", async () => {
    const packet = enhanced("little", 0, 5n, frame);
    const start = concat(section("little"), interfaceBlock("little", 1, 0));
    const packets = repeated(packet, 14_000);
    const { most, frames } = await growth(endless(start, packets, 300 * MEGABYTE));
    expect(frames).toBeGreaterThan((300 * MEGABYTE) / packet.length - 2);
    expect(most).toBeLessThan(20 * MEGABYTE);
  });

  it("stays bounded over 300 MB out of gzip, which here shrinks them to almost nothing", async () => {
    const plain = Readable.from(endless(pcapHeader("little"), thousands, 300 * MEGABYTE));
    const { most, frames } = await growth(plain.pipe(createGzip({ level: 1 })));
    expect(frames).toBeGreaterThan((300 * MEGABYTE) / record.length - 2);
    expect(most).toBeLessThan(40 * MEGABYTE);
  });

  it("is not taken on a file's word: thousands of large claims cost what came, not what is claimed", () => {
    const before = inUse();
    const claims = [
      concat(pcapHeader("little"), words("little", 1, 0, 262_144, 262_144)),
      concat(section("little"), words("little", 6, 16_777_216, 0)),
      concat(section("little"), words("little", 99, 16_777_216, 0)),
    ];
    const readers = Array.from({ length: 3_000 }, (_, i) => {
      const reader = new CaptureReader();
      reader.push(claims[i % 3]?.slice() ?? new Uint8Array(0));
      return reader;
    });
    expect(inUse() - before).toBeLessThan(10 * MEGABYTE);
    expect(readers.map((reader) => reader.end()?.kind)).toEqual(readers.map(() => "truncated"));
  });
});
