import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCapture } from "../../src/capture/file.ts";
import { CaptureReader } from "../../src/capture/read.ts";
import type { CaptureRecord } from "../../src/capture/record.ts";
import { type Outcome, printed, readAll } from "./build.ts";
import { captureFiles, octetsOf } from "./fixtures.ts";

const formats = captureFiles.filter((name) => name.startsWith("fmt-") && !name.endsWith(".gz"));
const corpus = formats.map(octetsOf);

describe.each(formats)("%s", (file) => {
  const bytes = octetsOf(file);
  const whole = readAll(bytes);
  const print = printed(whole);

  it("gives the same packets and the same error when it comes in two pieces, wherever it is split", () => {
    for (let at = 0; at <= bytes.length; at++) expect(printed(readAll(bytes, [at]))).toBe(print);
  });

  it("gives the same octet by octet, and in random pieces", () => {
    const everywhere = Array.from({ length: bytes.length }, (_, i) => i);
    expect(printed(readAll(bytes, everywhere))).toBe(print);
    const cut = fc.uniqueArray(fc.nat({ max: bytes.length }), { maxLength: 40 });
    fc.assert(
      fc.property(cut, (cuts) => {
        expect(
          readAll(
            bytes,
            cuts.toSorted((a, b) => a - b),
          ),
        ).toEqual(whole);
      }),
    );
  });

  it("cut at any octet gives the packets that end before the cut, and at most one error", () => {
    let before = 0;
    for (let length = 0; length <= bytes.length; length++) {
      const { records, error } = readAll(bytes.slice(0, length));
      const first = { records: whole.records.slice(0, records.length), error };
      expect(printed({ records, error })).toBe(printed(first));
      expect(records.length).toBeGreaterThanOrEqual(before);
      if (error !== undefined) expect(error.frames).toBe(records.length);
      before = records.length;
    }
    expect(before).toBe(whole.records.length);
  });
});

/** Some octets changed, taken out or put in; then cut. */
const mutated = fc
  .record({
    base: fc.constantFrom(...corpus),
    edits: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        value: fc.nat({ max: 255 }),
        kind: fc.nat({ max: 9 }),
      }),
      { maxLength: 8 },
    ),
    keep: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.boolean(),
  })
  .map(({ base, edits, keep, cut }) => {
    const octets = [...base];
    for (const { at, value, kind } of edits) {
      const index = Math.floor(at * octets.length);
      if (kind === 8) octets.splice(index, 1);
      else if (kind === 9) octets.splice(index, 0, value);
      else octets[index] = value;
    }
    return Uint8Array.from(cut ? octets.slice(0, Math.floor(keep * octets.length)) : octets);
  });

/** What must hold of any outcome, whatever the octets. */
function sound({ records, error }: Outcome): void {
  for (const [i, record] of records.entries()) {
    expect(record.number).toBe(i + 1);
    expect(Number.isInteger(record.seconds)).toBe(true);
    expect(record.nanoseconds >= 0 && record.nanoseconds < 1e9).toBe(true);
    expect(record.bytes.length).toBeLessThanOrEqual(record.capturedLength);
  }
  if (error !== undefined) expect(error.frames).toBe(records.length);
}

it("never throws on damaged octets, and gives the same in one piece and in several", () => {
  fc.assert(
    fc.property(mutated, fc.array(fc.nat({ max: 1500 }), { maxLength: 6 }), (bytes, places) => {
      const whole = readAll(bytes);
      sound(whole);
      const cuts = places.filter((at) => at <= bytes.length).sort((a, b) => a - b);
      expect(printed(readAll(bytes, cuts))).toBe(printed(whole));
    }),
    { numRuns: 4_000 },
  );
});

it("never throws on octets that are none, behind any header", () => {
  const head = fc.constantFrom(...corpus.map((bytes) => bytes.slice(0, 48)));
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      const reader = new CaptureReader();
      const records = [...reader.push(start.slice()), ...reader.push(rest.slice())];
      sound({ records, error: reader.end() });
    }),
    { numRuns: 4_000 },
  );
});

it("never throws on damaged gzip", async () => {
  const packed = captureFiles.filter((name) => name.endsWith(".gz")).map(octetsOf);
  const damaged = fc
    .tuple(fc.constantFrom(...packed), fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), { maxLength: 4 }))
    .map(([base, edits]) => {
      const bytes = base.slice();
      for (const [at, value] of edits) if (at >= 2 && at < bytes.length) bytes[at] = value;
      return bytes;
    });
  await fc.assert(
    fc.asyncProperty(damaged, fc.nat({ max: 400 }), async (bytes, length) => {
      async function* source() {
        yield bytes.subarray(0, length);
        yield bytes.subarray(length);
      }
      const records: CaptureRecord[] = [];
      let error: Outcome["error"];
      for await (const batch of readCapture(source())) {
        expect(error).toBeUndefined();
        records.push(...batch.records);
        error = batch.error;
      }
      sound({ records, error });
    }),
    { numRuns: 500 },
  );
});
