import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeEthernet,
  ETHERTYPE,
  type EthernetFrame,
  encodeEthernet,
  ethernet,
  isTag,
  LAST_LENGTH,
  LLC,
} from "../../../protocols/ethernet/codec.ts";
import { type Mac, macFrom } from "../../../src/core/addr.ts";
import { EMPTY, toHex } from "../../../src/core/bytes.ts";
import { recordsOf, sidecars } from "../../support/ground-truth.ts";

const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFrom(bytes));
const tag = fc.record({
  tpid: fc.constantFrom(ETHERTYPE.ctag, ETHERTYPE.stag, 0x9100),
  pcp: fc.integer({ min: 0, max: 7 }),
  dei: fc.boolean(),
  vid: fc.integer({ min: 0, max: 4095 }),
});
const ends = { destination: mac, source: mac, tags: fc.array(tag, { maxLength: 12 }) };
const typed = fc.record({
  ...ends,
  type: fc.integer({ min: 0x600, max: 0xffff }).filter((type) => !isTag(type)),
  payload: fc.uint8Array({ maxLength: 100 }),
  trailer: fc.constant(EMPTY),
});
const counted = fc.record({
  ...ends,
  type: fc.constant(LLC),
  payload: fc.uint8Array({ maxLength: 100 }),
  trailer: fc.uint8Array({ maxLength: 50 }),
});

const A = "02:00:00:00:00:0a" as Mac;
const B = "02:00:00:00:00:0b" as Mac;

describe("Ethernet codec (IEEE 802.3 §3.2, IEEE 802.1Q §9)", () => {
  it("gives back every frame that it encodes, with any number of tags", () => {
    fc.assert(
      fc.property(fc.oneof(typed, counted), (frame: EthernetFrame) => {
        const decoded = decodeEthernet(encodeEthernet(frame));
        if (!decoded.ok) expect.fail(decoded.reason);
        const { payload, trailer, ...rest } = decoded.value;
        const { payload: payloadSent, trailer: trailerSent, ...restSent } = frame;
        expect(rest).toEqual(restSent);
        expect([toHex(payload), toHex(trailer)]).toEqual([toHex(payloadSent), toHex(trailerSent)]);
      }),
    );
  });

  it("writes every recorded Ethernet frame back octet by octet", async () => {
    let frames = 0;
    for (const { file } of sidecars()) {
      for (const record of await recordsOf(file)) {
        if (record.interface.linkType !== 1 || record.capturedLength < record.length) continue;
        const where = `${file} #${record.number}`;
        const decoded = decodeEthernet(record.bytes);
        if (!decoded.ok) expect.fail(`${where}: ${decoded.reason}`);
        expect(toHex(encodeEthernet(decoded.value)), where).toBe(toHex(record.bytes));
        frames++;
      }
    }
    expect(frames).toBeGreaterThan(7000);
  });

  it("throws on no octets", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => typeof decodeEthernet(bytes).ok === "boolean"));
  });

  it("keeps the padding of an 802.3 frame out of its payload", () => {
    const bytes = new Uint8Array(60);
    bytes.set([0, 3, 0x42, 0x42, 3], 12);
    const decoded = decodeEthernet(bytes);
    if (!decoded.ok) expect.fail(decoded.reason);
    expect(toHex(decoded.value.payload)).toBe("424203");
    expect(decoded.value.trailer.length).toBe(43);
  });

  it("refuses a header or a tag that is not whole as short", () => {
    const whole = encodeEthernet({
      destination: A,
      source: B,
      tags: [{ tpid: 0x8100, pcp: 0, dei: false, vid: 10 }],
      type: 0x0800,
      payload: EMPTY,
      trailer: EMPTY,
    });
    for (let length = 0; length < whole.length; length++) {
      expect(decodeEthernet(whole.subarray(0, length)), String(length)).toEqual({ ok: false, reason: "short" });
    }
  });

  it("refuses a length beyond the end, unless it is the capture that ended early", () => {
    const bytes = ethernet(A, B, 40, new Uint8Array(10));
    expect(decodeEthernet(bytes)).toEqual({ ok: false, reason: "length" });
    expect(decodeEthernet(bytes, 54).ok).toBe(true);
  });

  it("refuses 1501 to 1535, which is neither a length nor a type", () => {
    for (const value of [LAST_LENGTH + 1, 0x5ff]) {
      expect(decodeEthernet(ethernet(A, B, value, new Uint8Array(1600)))).toEqual({ ok: false, reason: "type" });
    }
    expect(decodeEthernet(ethernet(A, B, LAST_LENGTH, new Uint8Array(LAST_LENGTH))).ok).toBe(true);
    expect(decodeEthernet(ethernet(A, B, 0x600, EMPTY)).ok).toBe(true);
  });
});
