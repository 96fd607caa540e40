import { describe, expect, it } from "vitest";
import { type CaptureBatch, readCapture } from "../../src/capture/file.ts";
import { cookedJson, readLink } from "../../src/capture/links.ts";
import { type CaptureRecord, nanosecondsText, secondsAfter, timeAfter } from "../../src/capture/record.ts";
import { CAPTURES, captureFiles, type SidecarFrame, sidecarOf } from "./fixtures.ts";

async function readFile(file: string) {
  const records: CaptureRecord[] = [];
  const errors: CaptureBatch["error"][] = [];
  for await (const batch of readCapture(CAPTURES + file)) {
    records.push(...batch.records);
    if (batch.error !== undefined) errors.push(batch.error);
  }
  return { records, errors };
}

/** What of a record its sidecar states, under the sidecar's names. */
function stated(record: CaptureRecord, first: CaptureRecord, frame: SidecarFrame): object {
  return {
    n: record.number,
    ...(frame.t === undefined ? {} : { t: secondsAfter(first, record) }),
    ...(frame.ts_ns === undefined ? {} : { ts_ns: nanosecondsText(record) }),
    // Crafted frames state no length; in the others caplen stands only where the frame was cut.
    ...(frame.len === undefined ? {} : { len: record.length, caplen: record.capturedLength }),
    ...(frame.linktype === undefined ? {} : { linktype: record.interface.linkType }),
    ...(frame.interface === undefined ? {} : { interface: record.interface.name }),
    ...(frame.if === undefined ? {} : { if: record.interface.name }),
  };
}

function expected({ n, t, ts_ns, len, caplen, linktype, interface: name, if: port }: SidecarFrame): object {
  const all = { n, t, ts_ns, len, caplen: caplen ?? len, linktype, interface: name, if: port };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

const KINDS: Readonly<Record<string, readonly string[]>> = {
  truncated: ["truncated"],
  "bad record length": ["bad-length"],
  "unknown magic": ["not-a-capture"],
  "unknown interface": ["unknown-interface"],
  "not a capture file or truncated": ["empty", "not-a-capture", "truncated"],
};

it("finds the captures", () => expect(captureFiles.length).toBeGreaterThanOrEqual(142));

describe.each(captureFiles)("%s", (file) => {
  const sidecar = sidecarOf(file);

  it("has the frames, times, lengths and interfaces of its sidecar", async () => {
    const { records } = await readFile(file);
    expect(records.length).toBe(sidecar.frame_count);
    const [first] = records;
    const got = first && records.map((r, i) => stated(r, first, sidecar.frames[i] ?? { n: 0 }));
    expect(got ?? []).toEqual(sidecar.frames.map(expected));
    for (const [i, record] of records.entries()) {
      const t = sidecar.frames[i]?.t;
      // Nearest microsecond; -0.5 and 0.5 of one may go either way.
      if (first && t !== undefined) expect(Math.abs(timeAfter(first, record) - t * 1e6)).toBeLessThanOrEqual(0.501);
      const { fcsLength } = record.interface;
      expect(record.capturedLength - record.bytes.length).toBe(fcsLength);
    }
  });

  it("ends as its sidecar says: whole, cut short or in error, and then with one error that says where", async () => {
    const { records, errors } = await readFile(file);
    const { expect: wanted } = sidecar;
    if (wanted === undefined || wanted.read === "ok") {
      expect(errors).toEqual([]);
      return;
    }
    expect(errors.length).toBe(1);
    expect(KINDS[wanted.error ?? ""]).toContain(errors[0]?.kind);
    expect(errors[0]?.frames).toBe(wanted.frames_before);
    expect(records.length).toBe(wanted.frames_before);
  });

  it("has the link layer of its sidecar: cooked headers, and IP or ARP where they begin", async () => {
    const { records } = await readFile(file);
    for (const [i, record] of records.entries()) {
      const frame = sidecar.frames[i];
      const decode = frame?.decode ?? frame;
      const link = readLink(record.interface.linkType, record.bytes);
      if (decode?.eth !== undefined) expect(link.kind).toBe("ethernet");
      expect(link.cooked && cookedJson(link.cooked)).toEqual(decode?.sll);
      // What stands behind a VLAN tag or an 802.3 length is not the link header's.
      if (decode?.vlan !== undefined || (link.kind === "ethernet" && (link.etherType ?? 0) < 0x600)) continue;
      if (decode?.ip !== undefined) {
        expect(link.etherType).toBe(decode.ip.v === 4 ? 0x0800 : 0x86dd);
        // Crafted frames lie about their version on purpose.
        if (frame?.expect === undefined) expect((record.bytes[link.payloadOffset] ?? 0) >>> 4).toBe(decode.ip.v);
      }
      if (decode?.arp !== undefined) expect(link.etherType).toBe(0x0806);
    }
  });
});
