import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { us } from "../../../src/core/time.ts";
import {
  decodeAnswer,
  decodeOrder,
  encodeAnswer,
  encodeOrder,
  type Holding,
  LIMITS,
  type Order,
  type Undo,
} from "../../../src/host/linux/holdings.ts";
import { matches } from "../../../src/host/linux/release.ts";

const octets = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const index = fc.integer({ min: 1, max: 0x7fffffff });
const text = (maxLength: number) => fc.string({ minLength: 1, maxLength, unit: "grapheme" });

const undo: fc.Arbitrary<Undo> = fc.oneof(
  fc
    .tuple(index, fc.oneof(octets(4), octets(16)), fc.nat({ max: 32 }))
    .map(([at, address, length]) => ({ kind: "address", index: at, address, length }) as const),
  fc.record({ kind: fc.constant("link" as const), index, name: fc.string({ minLength: 1, maxLength: 15 }) }),
  fc.record({
    kind: fc.constant("bridge-port" as const),
    index,
    name: fc.string({ minLength: 1, maxLength: 15 }),
    flags: fc.nat({ max: 15 }),
  }),
  fc.record({
    kind: fc.constant("sysctl" as const),
    path: fc.constantFrom("ipv4/conf/eth0.7/arp_ignore", "ipv6/conf/..eth/accept_dad"),
    value: fc.string({ minLength: 1, maxLength: 64 }),
  }),
  fc.record({ kind: fc.constant("firewall" as const), text: text(200).filter(({ length }) => length < 1_000) }),
);

const holding: fc.Arbitrary<Holding> = fc.record(
  {
    key: fc.string({ minLength: 1, maxLength: 128 }),
    index,
    farewell: fc.array(octets(14, 100), { maxLength: 4 }),
    packets: fc.array(
      fc.oneof(
        fc.record({ family: fc.constant("ipv4" as const), destination: octets(4), bytes: octets(20, 60) }),
        fc.record({ family: fc.constant("ipv6" as const), destination: octets(16), bytes: octets(40, 60) }),
      ),
      { maxLength: 4 },
    ),
    successor: fc.array(
      fc.record(
        { offset: fc.nat({ max: 9_233 }), octet: fc.nat({ max: 255 }), not: fc.constant(true) },
        { requiredKeys: ["offset", "octet"] },
      ),
      { maxLength: 8 },
    ),
    within: fc.nat({ max: 60_000_000 }).map(us),
    wanted: fc.array(
      fc.record(
        {
          ethertype: fc.nat({ max: 0xffff }),
          protocol: fc.nat({ max: 255 }),
          groups: fc.array(octets(6), { maxLength: 3 }),
        },
        { requiredKeys: ["ethertype", "groups"] },
      ),
      { maxLength: 4 },
    ),
    undo: fc.array(undo, { maxLength: 6 }),
  },
  { requiredKeys: ["key", "index", "farewell", "successor", "within", "wanted", "undo"] },
) as fc.Arbitrary<Holding>;

const EXAMPLE: Holding = {
  key: "eth0 7",
  index: 3,
  farewell: [new Uint8Array(60).fill(0xab)],
  packets: [{ family: "ipv4", destination: Uint8Array.of(192, 0, 2, 2), bytes: new Uint8Array(20) }],
  successor: [{ offset: 15, octet: 0, not: true }],
  within: us(1_000_000),
  wanted: [{ ethertype: 0x0800, protocol: 112, groups: [Uint8Array.of(1, 0, 0x5e, 0, 0, 0x12)] }],
  undo: [{ kind: "link", index: 9, name: "vr4.7.3" }],
};

/** The order with one field of its JSON changed. */
function changed(fields: Readonly<Record<string, unknown>>) {
  const line = encodeOrder({ kind: "hold", holding: EXAMPLE });
  if (!line.ok) throw new Error(line.reason);
  const { hold } = JSON.parse(line.value) as { hold: Record<string, unknown> };
  return decodeOrder(JSON.stringify({ hold: { ...hold, ...fields } }));
}

describe("orders to the guardian", () => {
  test("every holding is one line that reads as the same holding", () => {
    fc.assert(
      fc.property(holding, (one) => {
        const line = encodeOrder({ kind: "hold", holding: one });
        if (!line.ok) throw new Error(line.reason);
        expect(line.value).not.toContain("\n");
        expect(decodeOrder(line.value)).toEqual({ ok: true, value: { kind: "hold", holding: one } });
      }),
      { numRuns: 200 },
    );
  });

  test("drop and goodbye too", () => {
    for (const order of [{ kind: "drop", key: "eth0 7" }, { kind: "goodbye" }] as const satisfies readonly Order[]) {
      const line = encodeOrder(order);
      expect(line.ok && decodeOrder(line.value)).toEqual({ ok: true, value: order });
    }
  });

  test("no text makes the reader throw, and none but an order is one", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        const result = decodeOrder(line);
        if (result.ok) expect(["drop", "goodbye"]).toContain(result.value.kind);
        decodeAnswer(line);
      }),
    );
  });

  test("what is beyond its bound is refused as a whole, with the field as the reason", () => {
    const frame = "00".repeat(60);
    expect(changed({}).ok).toBe(true);
    const refused: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
      [{ key: "" }, "bad-key"],
      [{ key: "x".repeat(LIMITS.key + 1) }, "bad-key"],
      [{ index: 0 }, "bad-index"],
      [{ index: 1.5 }, "bad-index"],
      [{ farewell: ["00".repeat(13)] }, "bad-farewell"],
      [{ farewell: ["0".repeat(61)] }, "bad-farewell"],
      [{ farewell: new Array(LIMITS.frames + 1).fill(frame) }, "bad-farewell"],
      [{ packets: [["ipv4", "00".repeat(16), frame]] }, "bad-packets"],
      [{ packets: [["ipv5", "00".repeat(4), frame]] }, "bad-packets"],
      [{ successor: [[LIMITS.offset + 1, 0]] }, "bad-successor"],
      [{ successor: [[0, 256]] }, "bad-successor"],
      [{ successor: [[0, 0, false]] }, "bad-successor"],
      [{ within: LIMITS.within + 1 }, "bad-within"],
      [{ within: -1 }, "bad-within"],
      [{ wanted: [{ ethertype: 0x10000, groups: [] }] }, "bad-wanted"],
      [{ wanted: [{ ethertype: 0x0800, groups: ["0102"] }] }, "bad-wanted"],
      [{ undo: [{ kind: "address", index: 1, address: "c0000201", length: 33 }] }, "bad-undo"],
      [{ undo: [{ kind: "link", index: 1, name: "sixteencharacter" }] }, "bad-undo"],
      [{ undo: [{ kind: "reboot" }] }, "bad-undo"],
    ];
    for (const [fields, reason] of refused) expect(changed(fields)).toEqual({ ok: false, reason });
  });

  test("a setting is one below /proc/sys/net", () => {
    for (const path of ["../kernel/panic", "ipv4/../../kernel/panic", "/etc/passwd", "ipv4//x", "."]) {
      expect(changed({ undo: [{ kind: "sysctl", path, value: "1" }] })).toEqual({ ok: false, reason: "bad-undo" });
    }
  });

  test("a line that the other side would not take is not written", () => {
    const undo: Undo[] = Array.from({ length: 20 }, () => ({ kind: "firewall", text: "x".repeat(LIMITS.firewall) }));
    expect(encodeOrder({ kind: "hold", holding: { ...EXAMPLE, undo } })).toEqual({ ok: false, reason: "too-long" });
    expect(decodeOrder("x".repeat(LIMITS.line + 1))).toEqual({ ok: false, reason: "too-long" });
  });
});

describe("answers of the guardian", () => {
  test("read as what was said; words are cut off at their bound", () => {
    expect(decodeAnswer(encodeAnswer({ kind: "ready", pid: 4_711 }))).toEqual({ kind: "ready", pid: 4_711 });
    const said = decodeAnswer(encodeAnswer({ kind: "trouble", text: "é\n".repeat(1_000) }));
    expect(said).toEqual({ kind: "trouble", text: "é\n".repeat(LIMITS.text / 2) });
    expect(decodeAnswer('{"ready":0}')).toBeUndefined();
  });
});

describe("a successor's frame", () => {
  test("is one of which all conditions are true", () => {
    const frame = Uint8Array.of(1, 2, 3);
    expect(
      matches(frame, [
        { offset: 0, octet: 1 },
        { offset: 2, octet: 3 },
      ]),
    ).toBe(true);
    expect(
      matches(frame, [
        { offset: 0, octet: 1 },
        { offset: 2, octet: 4 },
      ]),
    ).toBe(false);
    expect(matches(frame, [{ offset: 1, octet: 0, not: true }])).toBe(true);
    expect(matches(frame, [{ offset: 1, octet: 2, not: true }])).toBe(false);
  });

  test("does not end before one of them, whichever way that asks", () => {
    expect(matches(Uint8Array.of(1), [{ offset: 1, octet: 0 }])).toBe(false);
    expect(matches(Uint8Array.of(1), [{ offset: 1, octet: 0, not: true }])).toBe(false);
  });
});
