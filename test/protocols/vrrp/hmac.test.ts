import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Advert,
  type AdvertPacket,
  type Carrier,
  decodeAdvert,
  encodeAdvert,
  readAdvert,
} from "../../../protocols/vrrp/codec.ts";
import {
  type HmacKey,
  isAfter,
  isSignedWith,
  isTrailer,
  microsecondsBetween,
  nextSequence,
  readTrailer,
  type Sequence,
  sequenceAt,
  signAdvert,
  TRAILER_SIZE,
} from "../../../protocols/vrrp/hmac.ts";
import { familyOf } from "../../../src/core/addr.ts";
import { fromHex, toHex } from "../../../src/core/bytes.ts";
import { sec } from "../../../src/core/time.ts";
import { ip } from "../../support/vrrp.ts";

const key: HmacKey = { id: 1, secret: Uint8Array.from({ length: 32 }, (_, i) => i) };
const sequence: Sequence = { seconds: 0x68000000, rest: 0x80000000 };

interface Vector {
  readonly advert: Advert;
  readonly carrier: Carrier;
  readonly payload: string;
}

const advert = (address: string): Advert => ({
  version: 3,
  vrid: 51,
  priority: 200,
  interval: sec(1),
  reserved: 0,
  addresses: [ip(address)],
});

/** The images of the draft's appendix: a key of the octets 0 to 31, VRID 51, priority 200. */
const FOUR: Vector = {
  advert: advert("192.0.2.100"),
  carrier: { source: ip("198.51.100.10"), destination: ip("192.0.2.10"), checksum: "message" },
  payload: "3133c80100644402c00002640101000068000000800000001b84bc4e8e43892dc6d98448f8ee2265",
};
const SIX: Vector = {
  advert: advert("fe80::100"),
  carrier: { source: ip("fe80::10"), destination: ip("fe80::20"), checksum: "pseudo-header" },
  payload: "3133c8010064a2e9fe800000000000000000000000000100010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78",
};
const BOTH = [
  ["IPv4", FOUR],
  ["IPv6", SIX],
] as const;

function octets(text: string): Uint8Array {
  return fromHex(text) ?? new Uint8Array(0);
}

function packet(payload: Uint8Array, { source, destination }: Carrier): AdvertPacket {
  return { family: familyOf(source), source, destination, ttl: 255, payload };
}

/** What stands before the trailer. */
function messageOf(payload: Uint8Array): Uint8Array {
  return payload.subarray(0, payload.length - TRAILER_SIZE);
}

function verifies(payload: Uint8Array, source = SIX.carrier.source): boolean {
  return isSignedWith(messageOf(payload), source, key, payload.subarray(payload.length - TRAILER_SIZE));
}

describe("the vectors of draft-cassen-vrrp-auth-hmac", () => {
  test.each(BOTH)("%s: signed octet for octet, checksum and all", (_name, { advert: given, carrier, payload }) => {
    const trailer = signAdvert(encodeAdvert(given, carrier), carrier.source, key, sequence);
    expect(toHex(encodeAdvert(given, carrier, trailer))).toBe(payload);
  });

  test.each(BOTH)("%s: read and verified", (_name, { advert: given, carrier, payload }) => {
    const decoded = decodeAdvert(packet(octets(payload), carrier), 3, true);
    if (!decoded.ok || decoded.value.trailer === undefined) return expect.fail("a signed advert");
    expect(decoded.value.advert).toEqual(given);
    expect(decoded.value.checksumForms).toContain(carrier.checksum);
    expect(readTrailer(decoded.value.trailer)).toMatchObject({ keyId: 1, sequence });
    expect(verifies(octets(payload), carrier.source)).toBe(true);
    expect(readAdvert(octets(payload), familyOf(carrier.source))?.trailer).toMatchObject({ keyId: 1, sequence });
  });

  test("the pseudo-header form over IPv4 leaves the trailer out too, its length included", () => {
    const carrier: Carrier = { ...FOUR.carrier, checksum: "pseudo-header" };
    const plain = encodeAdvert(FOUR.advert, carrier);
    const trailer = signAdvert(plain, carrier.source, key, sequence);
    const signed = encodeAdvert(FOUR.advert, carrier, trailer);
    expect(signed.subarray(0, plain.length)).toEqual(plain);
    const decoded = decodeAdvert(packet(signed, carrier), 3, true);
    expect(decoded.ok && decoded.value.checksumForms).toEqual(["pseudo-header"]);
  });

  test.each([
    ["VRID", 1],
    ["priority", 2],
    ["interval", 5],
    ["last octet of the address", 23],
    ["type", 24],
    ["key id", 25],
    ["seconds", 28],
    ["fraction", 32],
    ["counter", 35],
    ["HMAC", 36],
    ["last octet of the HMAC", 51],
  ])("one bit of the %s, and it does not verify", (_name, at) => {
    const changed = octets(SIX.payload);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(verifies(changed)).toBe(false);
  });

  test("the checksum is not signed; the source address and the secret are what it was signed with", () => {
    const changed = octets(SIX.payload);
    changed[6] = 0;
    changed[7] = 0;
    expect(verifies(changed)).toBe(true);
    expect(verifies(changed, ip("fe80::11"))).toBe(false);
    const other = { id: 1, secret: key.secret.slice().fill(9, 31) };
    expect(isSignedWith(messageOf(changed), SIX.carrier.source, other, changed.subarray(24))).toBe(false);
  });
});

describe("octets behind the last address", () => {
  const payload = octets(FOUR.payload);

  test("are `length` for whoever knows no trailers", () => {
    expect(decodeAdvert(packet(payload, FOUR.carrier))).toEqual({ ok: false, reason: "length" });
    expect(decodeAdvert(packet(payload, FOUR.carrier), 3)).toEqual({ ok: false, reason: "length" });
  });

  test.each([
    ["one octet less", (bytes: Uint8Array) => bytes.slice(0, -1)],
    ["one octet more", (bytes: Uint8Array) => Uint8Array.of(...bytes, 0)],
    ["another type", (bytes: Uint8Array) => bytes.with(12, 2)],
    ["reserved bits", (bytes: Uint8Array) => bytes.with(15, 1)],
  ])("are `length` where they are no trailer: %s", (_name, change) => {
    expect(decodeAdvert(packet(change(payload), FOUR.carrier), 3, true)).toEqual({ ok: false, reason: "length" });
  });

  test("are `length` in version 2", () => {
    const two: Advert = {
      version: 2,
      vrid: 51,
      priority: 200,
      interval: sec(1),
      authType: 0,
      authData: new Uint8Array(8),
      addresses: [ip("192.0.2.100")],
    };
    const signed = encodeAdvert(two, FOUR.carrier, payload.subarray(12));
    expect(decodeAdvert(packet(signed, FOUR.carrier), undefined, true)).toEqual({ ok: false, reason: "length" });
  });

  test("of any kind are read without a throw, and what is read as a trailer is one", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (more) => {
        const bytes = Uint8Array.of(...payload.subarray(0, 12), ...more);
        const decoded = decodeAdvert(packet(bytes, FOUR.carrier), 3, true);
        expect(decoded.ok).toBe(more.length === 0 || isTrailer(bytes, 12));
        readAdvert(bytes, "ipv4");
      }),
    );
  });
});

describe("sequences", () => {
  const part = fc.oneof(
    fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  const any: fc.Arbitrary<Sequence> = fc.record({ seconds: part, rest: part });
  const whole = ({ seconds, rest }: Sequence) => (BigInt(seconds) << 32n) | BigInt(rest);

  test("RFC 1982 §3.2 with 64 bits: later is what is ahead by less than half of the circle", () => {
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(isAfter(a, b)).toBe(BigInt.asIntN(64, whole(a) - whole(b)) > 0n);
      }),
      { numRuns: 5_000 },
    );
    expect(isAfter({ seconds: 0, rest: 0 }, { seconds: 0xffffffff, rest: 0xffffffff })).toBe(true);
  });

  test("the draft's own is half a second after 0x68000000 s", () => {
    expect(sequenceAt(0x68000000 * 1_000_000 + 500_000)).toEqual(sequence);
    expect(microsecondsBetween(sequence, sequenceAt(0x68000000 * 1_000_000 - 1_000_000))).toBe(1_500_000);
  });

  test("the one after is always later while clocks go anywhere within the window", () => {
    const utc = fc.integer({ min: 1_000_000_000, max: 1_000_000_000 + 5_000_000 });
    fc.assert(
      fc.property(fc.array(utc, { maxLength: 50 }), (times) => {
        let last: Sequence | undefined;
        for (const time of times) {
          const next = nextSequence(last, time, sec(5));
          if (last !== undefined) expect(isAfter(next, last)).toBe(true);
          last = next;
        }
      }),
    );
  });

  test("a clock that stands still counts up, over the ends of both halves", () => {
    const last: Sequence = { seconds: 0xffffffff, rest: 0xffffffff };
    expect(nextSequence(last, (2 ** 32 - 1) * 1_000_000, undefined)).toEqual({ seconds: 0, rest: 0 });
    const first = nextSequence(undefined, 1_000_000, undefined);
    expect(nextSequence(first, 1_000_000, undefined)).toEqual({ seconds: 1, rest: 1 });
  });

  test("a clock set back by more than the window: afresh where times are compared, on and on where they are not", () => {
    const last = sequenceAt(3_600_000_000);
    expect(nextSequence(last, 1_000_000, sec(5))).toEqual({ seconds: 1, rest: 0 });
    expect(nextSequence(last, 1_000_000, undefined)).toEqual({ seconds: 3_600, rest: 1 });
    expect(nextSequence(last, 3_596_000_000, sec(5))).toEqual({ seconds: 3_600, rest: 1 });
  });
});
