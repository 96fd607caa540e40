import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeEthernet, ETHERTYPE } from "../../../protocols/ethernet/codec.ts";
import {
  decodeLacpdu,
  decodeMarker,
  encodeLacpdu,
  encodeMarker,
  type LacpInfo,
  PDU_SIZE,
  readLacpdu,
} from "../../../protocols/lacp/codec.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { type Json, recordsOf, sidecars, truthOf } from "../../support/ground-truth.ts";

const octet = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 0xffff });
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFrom(bytes));
const end = fc.record({ systemPriority: word, system: mac, key: word, portPriority: word, port: word, state: octet });
const lacpdu = fc.record({ version: octet, actor: end, partner: end, collectorMaxDelay: word });
const marker = fc.record({
  version: octet,
  kind: fc.constantFrom("information" as const, "response" as const),
  port: word,
  system: mac,
  transaction: fc.integer({ min: 0, max: 0xffffffff }),
});

/** Frames whose odd octets mean nothing to a receiver, so that they are not in the value. */
const ODD = /TLV length|terminator length|TLV type|reserved octets|port conversation|pad not zero|minimum frame/;

interface Slow {
  readonly where: string;
  readonly label: string;
  readonly expected: unknown;
  readonly truth: Json;
  readonly payload: Uint8Array;
}

/** Every recorded frame of the slow protocols. */
async function recorded(): Promise<readonly Slow[]> {
  const found: Slow[] = [];
  for (const { file, frames } of sidecars()) {
    if (!frames.some((frame) => "slow_subtype" in truthOf(frame))) continue;
    for (const record of await recordsOf(file)) {
      const frame = decodeEthernet(record.bytes);
      if (!frame.ok || frame.value.type !== ETHERTYPE.slow) continue;
      const said = frames[record.number - 1] ?? {};
      const where = `${file} #${record.number}`;
      const label = String(said["label"] ?? "");
      found.push({ where, label, expected: said["expect"], truth: truthOf(said), payload: frame.value.payload });
    }
  }
  return found;
}

function shown(info: LacpInfo): Json {
  const { systemPriority, system, key, portPriority, port, state } = info;
  const hex = `0x${state.toString(16).padStart(2, "0")}`;
  return { sys_priority: systemPriority, system, key, port_priority: portPriority, port, state: hex };
}

describe("LACPDU codec (IEEE 802.1AX §6.4.2.3)", () => {
  it("gives back every LACPDU that it encodes, always in 110 octets", () => {
    fc.assert(
      fc.property(lacpdu, (pdu) => {
        const bytes = encodeLacpdu(pdu);
        expect(bytes.length).toBe(PDU_SIZE);
        expect(decodeLacpdu(bytes)).toEqual({ ok: true, value: pdu });
      }),
    );
  });

  it("reads every recorded LACPDU as its sidecar says, and writes it back octet by octet", async () => {
    let whole = 0;
    for (const { where, label, expected, truth, payload } of await recorded()) {
      if (truth["slow_subtype"] !== 1) continue;
      const decoded = decodeLacpdu(payload);
      if (!decoded.ok) {
        expect([expected, decoded.reason], where).toSatisfy(
          ([verdict, reason]) => verdict !== "accept" && verdict !== undefined && reason === "length",
        );
        continue;
      }
      const { version, actor, partner, collectorMaxDelay } = decoded.value;
      const fields = { version, actor: shown(actor), partner: shown(partner), collector_max_delay: collectorMaxDelay };
      expect(fields, where).toEqual(truth["lacp"]);
      if (ODD.test(label)) continue;
      expect(toHex(encodeLacpdu(decoded.value)), where).toBe(toHex(payload.subarray(0, PDU_SIZE)));
      whole++;
    }
    expect(whole).toBeGreaterThan(2200);
  });

  it("does not validate version, TLV types and lengths, and reserved fields (IEEE 802.1AX §6.4.12)", () => {
    fc.assert(
      fc.property(
        lacpdu,
        fc.constantFrom(2, 3, 19, 20, 21, 22, 23, 40, 42, 43, 50, 58, 59, 100),
        octet,
        (pdu, at, value) => {
          const bytes = encodeLacpdu(pdu);
          bytes[at] = value;
          expect(decodeLacpdu(bytes)).toEqual({ ok: true, value: pdu });
        },
      ),
    );
  });

  it("refuses another subtype and a PDU that is not whole, and shows of the latter what is there", () => {
    const bytes = encodeLacpdu(fc.sample(lacpdu, { numRuns: 1, seed: 1 })[0] ?? expect.fail());
    expect(decodeLacpdu(Uint8Array.of(10, ...bytes.subarray(1)))).toEqual({ ok: false, reason: "subtype" });
    for (let length = 0; length < PDU_SIZE; length++) {
      expect(decodeLacpdu(bytes.subarray(0, length))).toEqual({ ok: false, reason: "length" });
    }
    const decoded = decodeLacpdu(bytes);
    if (!decoded.ok) expect.fail(decoded.reason);
    const { version, actor, partner } = decoded.value;
    expect(readLacpdu(bytes.subarray(0, 22))).toEqual({ version, actor });
    const { system, systemPriority } = partner;
    expect(readLacpdu(bytes.subarray(0, 32))).toEqual({ version, actor, partner: { system, systemPriority } });
    expect(readLacpdu(bytes)).toEqual(decoded.value);
  });
});

describe("Marker codec (IEEE 802.1AX §6.5.3.2)", () => {
  it("gives back every marker that it encodes, always in 110 octets", () => {
    fc.assert(
      fc.property(marker, (pdu) => {
        const bytes = encodeMarker(pdu);
        expect(bytes.length).toBe(PDU_SIZE);
        expect(decodeMarker(bytes)).toEqual({ ok: true, value: pdu });
      }),
    );
  });

  it("reads every recorded marker as its sidecar says, and writes it back octet by octet", async () => {
    let whole = 0;
    for (const { where, label, expected, truth, payload } of await recorded()) {
      if (truth["slow_subtype"] !== 2) continue;
      const decoded = decodeMarker(payload);
      if (!decoded.ok) {
        expect(expected === undefined || expected === "drop" || expected === "ignore", where).toBe(true);
        continue;
      }
      const { kind, ...fields } = decoded.value;
      const type = kind === "information" ? 1 : 2;
      expect({ ...fields, kind, tlv_type: type }, where).toEqual(truth["marker"]);
      if (ODD.test(label)) continue;
      expect(toHex(encodeMarker(decoded.value)), where).toBe(toHex(payload.subarray(0, PDU_SIZE)));
      whole++;
    }
    expect(whole).toBeGreaterThan(10);
  });
});

describe("slow protocol codecs", () => {
  it("throw on no octets", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.uint8Array({ maxLength: 130 }), (subtype, rest) => {
        const bytes = Uint8Array.of(subtype, ...rest);
        expect(typeof decodeLacpdu(bytes).ok).toBe("boolean");
        expect(typeof decodeMarker(bytes).ok).toBe("boolean");
      }),
    );
  });
});
