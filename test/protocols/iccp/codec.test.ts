import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeIccp,
  encodeIccp,
  type IccpMessage,
  type IccpValue,
  MESSAGE,
  messageSize,
  readTlvs,
} from "../../../protocols/iccp/codec.ts";
import { ip4From, ip6From, macFrom } from "../../../src/core/addr.ts";
import { fromHex, toHex } from "../../../src/core/bytes.ts";
import { type Json, sidecars } from "../../support/ground-truth.ts";

const octet = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 0xffff });
const long = fc.integer({ min: 0, max: 0xffffffff });
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const mac = bytes(6).map((b) => macFrom(b));
const ip4 = bytes(4).map((b) => ip4From(b));
const ip6 = bytes(16).map((b) => ip6From(b));
const name = fc.string({ unit: fc.constantFrom(..."PortChannel0123456789"), maxLength: 20 });
const neighbour = <T>(address: fc.Arbitrary<T>) =>
  fc.record({ operation: octet, flags: octet, learned: octet, interface: name, address, mac });
const macEntry = fc.record({ operation: octet, type: octet, mac, vlan: word, interface: name });
const value: fc.Arbitrary<IccpValue> = fc.oneof(
  fc.record({ kind: fc.constant("senderName" as const), name }),
  fc.record({ kind: fc.constant("nak" as const), status: long, rejected: long }),
  fc.record({ kind: fc.constant("disconnectCode" as const), status: long }),
  fc.record({ kind: fc.constant("rgId" as const), rg: long }),
  fc.record({ kind: fc.constant("systemConfig" as const), system: mac, priority: word, node: octet }),
  fc.record({
    kind: fc.constant("aggregatorConfig" as const),
    roId: bytes(8),
    aggregator: word,
    mac,
    key: word,
    memberPriority: word,
    flags: octet,
    name,
  }),
  fc.record({
    kind: fc.constant("aggregatorState" as const),
    partnerSystem: mac,
    partnerPriority: word,
    partnerKey: word,
    aggregator: word,
    key: word,
    state: octet,
  }),
  fc.record({ kind: fc.constant("syncRequest" as const), request: word, scope: word, aggregator: word, key: word }),
  fc.record({ kind: fc.constant("syncData" as const), request: word, flags: word }),
  fc.record({ kind: fc.constantFrom("heartbeat" as const, "warmBoot" as const), octet }),
  fc.record({ kind: fc.constant("capability" as const), supported: fc.boolean(), major: octet, minor: octet }),
  fc.record({
    kind: fc.constant("portChannel" as const),
    aggregator: word,
    name,
    l3Mode: octet,
    address: ip4,
    portChannel: word,
    vlans: fc.array(word, { maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant("peerLink" as const), name, type: octet }),
  fc.record({ kind: fc.constant("arpList" as const), entries: fc.array(neighbour(ip4), { maxLength: 3 }) }),
  fc.record({ kind: fc.constant("ndList" as const), entries: fc.array(neighbour(ip6), { maxLength: 3 }) }),
  fc.record({ kind: fc.constant("macList" as const), entries: fc.array(macEntry, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant("interfaceUp" as const), type: octet, isolation: octet, interface: word }),
  fc.record({ kind: fc.constant("other" as const), type: fc.constant(0x2abc), bytes: fc.uint8Array({ maxLength: 9 }) }),
);
const message: fc.Arbitrary<IccpMessage> = fc.record({
  unknownBit: fc.boolean(),
  type: fc.constantFrom(...Object.values(MESSAGE)),
  id: long,
  parameters: fc.array(fc.record({ unknownBit: fc.boolean(), forwardBit: fc.boolean(), value }), { maxLength: 4 }),
});

function octets(hex: string): Uint8Array {
  return fromHex(hex) ?? expect.fail(`not hex: ${hex}`);
}

/** Every message that a sidecar lists, as hex. */
const recorded = sidecars().flatMap(({ iccp_messages: all = [] }) =>
  (all as readonly Json[]).map((m) => String(m["hex"])),
);

describe("ICCP codec (RFC 7275 §6; SONiC iccpd)", () => {
  it("gives back every message that it encodes", () => {
    fc.assert(
      fc.property(message, (sent) => {
        const encoded = encodeIccp(sent);
        expect(messageSize(encoded)).toBe(encoded.length);
        const decoded = decodeIccp(encoded);
        if (!decoded.ok) expect.fail(decoded.reason);
        expect(decoded.value).toEqual(sent);
      }),
    );
  });

  it("knows every parameter of recorded sessions, and writes each message back octet by octet", () => {
    for (const hex of recorded) {
      const decoded = decodeIccp(octets(hex));
      if (!decoded.ok) expect.fail(`${hex}: ${decoded.reason}`);
      expect(
        decoded.value.parameters.map((parameter) => parameter.value.kind),
        hex,
      ).not.toContain("other");
      expect(toHex(encodeIccp(decoded.value))).toBe(hex);
    }
    expect(recorded.length).toBeGreaterThan(200);
  });

  it("reads an ND entry as iccpd lays it out", () => {
    const interfaceName = `566c616e313030${"00".repeat(13)}`;
    const entry = `010000${interfaceName}00${"20010db8010000000000000000000050"}${"00aabbccdd02"}0000`;
    const nd = decodeIccp(octets(`0703004200000020${"0005000400000001"}103a00320001${entry}`));
    if (!nd.ok) expect.fail(nd.reason);
    expect(nd.value.parameters[1]?.value).toEqual({
      kind: "ndList",
      entries: [
        {
          operation: 1,
          flags: 0,
          learned: 0,
          interface: "Vlan100",
          address: "2001:db8:100::50",
          mac: "00:aa:bb:cc:dd:02",
        },
      ],
    });
  });

  it("refuses what does not fit, each under its own reason", () => {
    const reason = (hex: string) => {
      const decoded = decodeIccp(octets(hex));
      return decoded.ok ? "ok" : decoded.reason;
    };
    expect(reason("0703")).toBe("length");
    expect(reason("07030011000000030005000400000001003a0001")).toBe("length");
    expect(reason("0703000200000001")).toBe("message-length");
    expect(reason("07ff000400000001")).toBe("message-type");
    expect(reason("07030009000000010005000401")).toBe("tlv-length");
    expect(reason("0703000b0000000100050003000001")).toBe("tlv-length");
    expect(reason(`0703000e00000001${"1038"}0006${"000301020304"}`)).toBe("list-length");
    expect(reason(`0703003200000001${"0036"}002a${"00".repeat(21)}c8${"00".repeat(20)}`)).toBe("name-length");
  });

  it("reads the disconnect cause of RFC 7275, whose type SONiC took for its heartbeat, as it stands", () => {
    const decoded = decodeIccp(octets("0703000b00000001003a0003414243"));
    if (!decoded.ok) expect.fail(decoded.reason);
    expect(decoded.value.parameters[0]?.value.kind).toBe("other");
  });

  it("throws on no octets", () => {
    const mutated = fc.tuple(fc.constantFrom(...recorded), word, octet, word);
    fc.assert(
      fc.property(mutated, ([hex, at, change, length]) => {
        const spoilt = octets(hex);
        spoilt[at % spoilt.length] = change;
        const cut = spoilt.subarray(0, length % (spoilt.length + 1));
        for (const part of [spoilt, cut]) {
          expect(typeof decodeIccp(part).ok).toBe("boolean");
          expect(Array.isArray(readTlvs(part))).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
