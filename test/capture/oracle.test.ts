import { createRequire } from "node:module";
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, type Order, pcapHeader, pcapRecord, readAll } from "./build.ts";
import { captureFiles, octetsOf } from "./fixtures.ts";

interface OraclePacket {
  readonly header: {
    readonly timestampSeconds: number;
    readonly timestampMicroseconds: number;
    readonly capturedLength: number;
    readonly originalLength: number;
  };
  readonly data: Uint8Array;
}

interface Oracle {
  on(event: "packet", listener: (packet: OraclePacket) => void): void;
  on(event: "end", listener: () => void): void;
  on(event: "error", listener: (error: Error) => void): void;
}

const { parse } = createRequire(import.meta.url)("pcap-parser") as { parse(input: Readable): Oracle };

/** What pcap-parser makes of a file. It drops a packet that is cut short, and says nothing of it. */
function oracle(bytes: Uint8Array): Promise<readonly OraclePacket[]> {
  return new Promise((resolve, reject) => {
    const packets: OraclePacket[] = [];
    const parser = parse(Readable.from([Buffer.from(bytes)]));
    parser.on("packet", (packet) => packets.push(packet));
    parser.on("error", reject);
    parser.on("end", () => resolve(packets));
  });
}

async function agree(bytes: Uint8Array): Promise<number> {
  const packets = await oracle(bytes);
  const { records } = readAll(bytes);
  expect(records.length).toBe(packets.length);
  for (const [i, { header, data }] of packets.entries()) {
    const record = records[i];
    const ours = record && [BigInt(record.seconds) * 1_000_000_000n + BigInt(record.nanoseconds)];
    // A fraction beyond 32 bits of nanoseconds is no time: see the fixture made for it.
    if (header.timestampMicroseconds < 4_294_967) {
      expect(ours).toEqual([
        BigInt(header.timestampSeconds) * 1_000_000_000n + BigInt(header.timestampMicroseconds) * 1_000n,
      ]);
    }
    expect([record?.capturedLength, record?.length]).toEqual([header.capturedLength, header.originalLength]);
    const kept = data.length - (record?.interface.fcsLength ?? 0);
    expect(Buffer.compare(record?.bytes ?? data, data.subarray(0, kept))).toBe(0);
  }
  return packets.length;
}

const classic = captureFiles.filter((name) => /^(d4c3b2a1|a1b2c3d4)/.test(Buffer.from(octetsOf(name)).toString("hex")));

describe("pcap-parser, which shares no code with the reader, agrees on", () => {
  it("the number of classic microsecond fixtures: there are some", () => expect(classic.length).toBeGreaterThan(100));

  it.each(classic)("%s", async (file) => {
    const count = await agree(octetsOf(file));
    expect(count).toBe(readAll(octetsOf(file)).records.length);
  });

  it("any classic microsecond file", async () => {
    const packet = fc.record({
      seconds: fc.nat({ max: 0xffff_ffff }),
      micros: fc.nat({ max: 999_999 }),
      bytes: fc.uint8Array({ maxLength: 80 }),
      length: fc.nat({ max: 70_000 }),
    });
    const order = fc.constantFrom<Order>("little", "big");
    await fc.assert(
      fc.asyncProperty(order, fc.array(packet, { maxLength: 12 }), async (endian, packets) => {
        const records = packets.map((p) => pcapRecord(endian, p.seconds, p.micros, p.bytes, p.length));
        expect(await agree(concat(pcapHeader(endian), ...records))).toBe(packets.length);
      }),
    );
  });
});
