import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCapture } from "../../src/capture/file.ts";
import { MAX_CAPTURED, MAX_COMMENT, MAX_NAME } from "../../src/capture/record.ts";
import { CaptureSink } from "../../src/capture/sink.ts";
import { type InterfaceToWrite, MAX_SECONDS, type PacketToWrite, PcapngWriter } from "../../src/capture/write.ts";
import { concat, readAll } from "./build.ts";
import { octetsOf } from "./fixtures.ts";
import { itWith, run } from "./tools.ts";

function written(links: readonly InterfaceToWrite[], packets: readonly PacketToWrite[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  const writer = new PcapngWriter((piece) => pieces.push(piece), "a test");
  for (const link of links) writer.addInterface(link);
  for (const packet of packets) writer.packet(packet);
  writer.flush();
  return concat(...pieces);
}

const names = fc.string({ maxLength: 20 }).filter((name) => !name.includes("\0"));
const link = fc.record({
  name: names,
  linkType: fc.constantFrom(1, 101, 113, 276),
  snapLength: fc.nat({ max: MAX_CAPTURED }),
});
const packet = fc.record({
  interface: fc.constantFrom(0, 1),
  seconds: fc.oneof(fc.nat(), fc.constantFrom(0, 0xffff_ffff, MAX_SECONDS - 1)),
  nanoseconds: fc.nat({ max: 999_999_999 }),
  bytes: fc.uint8Array({ maxLength: 100 }),
  length: fc.option(fc.nat({ max: 9_000 }), { nil: undefined }),
  direction: fc.constantFrom("in" as const, "out" as const, undefined),
  comment: fc.option(names, { nil: undefined }),
});

it("what is written is read again: times to the nanosecond, lengths, octets, directions, comments, interfaces", () => {
  fc.assert(
    fc.property(fc.tuple(link, link), fc.array(packet, { maxLength: 20 }), (links, packets) => {
      const { records, error } = readAll(written(links, packets));
      expect(error).toBeUndefined();
      const interfaces = links.map((l, index) => ({ ...l, index, fcsLength: 0 }));
      expect(records).toEqual(
        packets.map((p, i) => ({
          ...p,
          number: i + 1,
          length: p.length ?? p.bytes.length,
          capturedLength: p.bytes.length,
          interface: interfaces[p.interface],
        })),
      );
    }),
  );
});

it("cuts names and comments to their maximum at whole characters, and takes the largest packet", () => {
  const big = { interface: 0, seconds: 1, nanoseconds: 2, bytes: new Uint8Array(MAX_CAPTURED).fill(7) };
  const file = written([{ name: "ü".repeat(200) }], [{ ...big, comment: `a${"€".repeat(40_000)}` }, big]);
  const { records, error } = readAll(file);
  expect(error).toBeUndefined();
  expect(records[0]?.interface.name).toBe("ü".repeat(MAX_NAME / 2));
  expect(records[0]?.comment).toBe(`a${"€".repeat(Math.floor((MAX_COMMENT - 1) / 3))}`);
  expect(records.map((r) => r.bytes.length)).toEqual([MAX_CAPTURED, MAX_CAPTURED]);
});

it("hands on pieces of bounded size as they fill, and none twice", () => {
  const pieces: Uint8Array[] = [];
  const writer = new PcapngWriter((piece) => pieces.push(piece));
  writer.addInterface({ name: "eth0" });
  for (let i = 0; i < 10_000; i++) {
    writer.packet({ interface: 0, seconds: i, nanoseconds: 0, bytes: new Uint8Array(100).fill(i) });
  }
  expect(pieces.length).toBeGreaterThanOrEqual(4);
  writer.flush();
  writer.flush();
  for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(262_144);
  const { records } = readAll(concat(...pieces));
  expect(records.map((r) => [r.seconds, r.bytes[99]])).toEqual(Array.from({ length: 10_000 }, (_, i) => [i, i & 255]));
});

it("refuses what the format cannot hold", () => {
  const writer = new PcapngWriter(() => {});
  const fine = { interface: 0, seconds: 1, nanoseconds: 0, bytes: new Uint8Array(60) };
  expect(() => writer.packet(fine)).toThrow("interface");
  writer.addInterface({ name: "eth0" });
  writer.packet(fine);
  expect(() => writer.packet({ ...fine, seconds: -1 })).toThrow("range");
  expect(() => writer.packet({ ...fine, seconds: MAX_SECONDS })).toThrow("range");
  expect(() => writer.packet({ ...fine, bytes: new Uint8Array(MAX_CAPTURED + 1) })).toThrow("MAX_CAPTURED");
});

describe("a file", () => {
  let folder = "";
  let path = "";
  const frames = readAll(octetsOf("fmt-le-nsec.pcap")).records;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "capture-"));
    path = join(folder, "two-links.pcapng");
    const sink = new CaptureSink(path, "a test");
    sink.addInterface({ name: "left", description: "a:e1 – b:e1" });
    sink.addInterface({ name: "right", snapLength: 40 });
    for (const { number, seconds, nanoseconds, bytes } of frames) {
      const first = number === 1;
      sink.packet({
        interface: number % 2 === 1 ? 0 : 1,
        seconds,
        nanoseconds,
        bytes: number % 2 === 1 ? bytes : bytes.subarray(0, 40),
        length: bytes.length,
        ...(first ? { comment: "here it begins", direction: "out" as const } : {}),
      });
    }
    expect(sink.close()).toBeUndefined();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("holds what was put into it", async () => {
    const batches = [];
    for await (const batch of readCapture(path)) batches.push(batch);
    expect(batches.flatMap((b) => b.records.map((r) => [r.interface.name, r.length, r.capturedLength]))).toEqual(
      frames.map((f, i) => (i % 2 === 0 ? ["left", f.length, f.length] : ["right", f.length, 40])),
    );
    expect(batches.every((b) => b.error === undefined)).toBe(true);
  });

  itWith("tshark", "is read by tshark: interface, time, lengths, direction, comment and protocol", async () => {
    const fields = ["interface_name", "time_epoch", "len", "cap_len", "comment", "packet_flags_direction"];
    const args = fields.flatMap((field) => ["-e", `frame.${field}`]);
    const text = await run("tshark", ["-r", path, "-T", "fields", ...args, "-e", "eth.src"]);
    const rows = text.trimEnd().split("\n");
    expect(rows.length).toBe(frames.length);
    for (const [i, { seconds, nanoseconds, length, bytes }] of frames.entries()) {
      const time = `${seconds}.${String(nanoseconds).padStart(9, "0")}`;
      const cells = (rows[i] ?? "").split("\t");
      const own = i === 0 ? ["here it begins", "2"] : ["", ""];
      const name = i % 2 === 0 ? "left" : "right";
      expect([...cells.slice(0, 5), Number(cells[5] || "0")]).toEqual([
        name,
        time,
        String(length),
        String(i % 2 === 0 ? length : 40),
        own[0],
        Number(own[1]),
      ]);
      expect(cells[6]).toBe([...bytes.subarray(6, 12)].map((b) => b.toString(16).padStart(2, "0")).join(":"));
    }
  });

  itWith(
    "capinfos",
    "is accepted by capinfos: packets, interfaces, their names and resolution, the writer",
    async () => {
      const text = await run("capinfos", ["-M", path]);
      expect(text).toMatch(/File type:.* pcapng/);
      expect(text).toMatch(/Number of packets:\s+14/);
      expect(text).toMatch(/Number of interfaces in file:\s+2/);
      expect(text).toMatch(/Name = left/);
      expect(text).toMatch(/Description = a:e1 – b:e1/);
      expect(text).toMatch(/Name = right/);
      expect(text.match(/Time precision = nanoseconds \(9\)/g)?.length).toBe(2);
      expect(text).toMatch(/Capture application:\s+a test/);
      expect(text).toMatch(/Strict time order:\s+True/);
    },
  );

  itWith("capinfos", "without any packet or interface is accepted by capinfos", async () => {
    const empty = join(folder, "empty.pcapng");
    expect(new CaptureSink(empty).close()).toBeUndefined();
    expect(await run("capinfos", ["-M", empty])).toMatch(/Number of packets:\s+0/);
  });

  it("that cannot be made is an error with its path, and packets for it are dropped", () => {
    const sink = new CaptureSink(join(folder, "no", "such", "folder.pcapng"));
    sink.addInterface({ name: "eth0" });
    for (let i = 0; i < 10_000; i++) {
      sink.packet({ interface: 0, seconds: 0, nanoseconds: 0, bytes: new Uint8Array(100) });
    }
    const error = sink.close();
    expect(error?.path).toContain("folder.pcapng");
    expect(error?.message).toContain("ENOENT");
    expect(error).toBe(sink.error);
  });

  it.skipIf(!existsSync("/dev/full"))("on a full disk (/dev/full) is an error, and the run goes on", () => {
    const sink = new CaptureSink("/dev/full");
    sink.addInterface({ name: "eth0" });
    for (let i = 0; i < 10_000; i++) {
      sink.packet({ interface: 0, seconds: 0, nanoseconds: 0, bytes: new Uint8Array(100) });
    }
    expect(sink.error?.message).toContain("ENOSPC");
    expect(sink.close()).toBe(sink.error);
  });

  it("is whole on disk once closed, and not before the first piece is full", () => {
    const late = join(folder, "late.pcapng");
    const sink = new CaptureSink(late);
    sink.addInterface({ name: "eth0" });
    expect(readFileSync(late).length).toBe(0);
    sink.close();
    expect(readAll(readFileSync(late)).error).toBeUndefined();
    expect(readFileSync(late).length).toBeGreaterThan(28);
  });
});
