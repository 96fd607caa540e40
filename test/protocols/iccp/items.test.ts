import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sign, verify } from "../../../protocols/iccp/authentication.ts";
import { MESSAGE } from "../../../protocols/iccp/codec.ts";
import { type Item, itemsFrame, itemsOf } from "../../../protocols/iccp/events.ts";
import {
  cutItem,
  decodeItem,
  decodeItems,
  encodeItems,
  ITEM,
  MAX_ENTRIES,
} from "../../../protocols/iccp/item-codec.ts";
import { GOODBYE_CAUSES, PORT_STATES, ROLES, TABLES } from "../../../protocols/iccp/items.ts";
import { decodeMessage, encodeMessage, type Message } from "../../../protocols/iccp/message.ts";
import { ip4From, ip6From, macFrom } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { Frame } from "../../../src/core/frame.ts";

const word = fc.integer({ min: 0, max: 0xffff });
const long = fc.integer({ min: 0, max: 0xffffffff });
const octetsOf = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const mac = octetsOf(6).map((b) => macFrom(b));
const flag = fc.boolean();
const text = fc.string({ unit: "grapheme", maxLength: 30 });
const list = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 5 });
const kind = <K extends string>(...kinds: readonly [K, ...K[]]) => fc.constantFrom(...kinds);
const neighbour = <T>(address: fc.Arbitrary<T>) =>
  fc.record({ vlan: word, address, mac, sequence: long, present: flag });

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({
    kind: kind("role"),
    role: fc.constantFrom(...ROLES),
    priority: word,
    system: mac,
    lacpSystem: mac,
    sticky: flag,
    preempt: flag,
  }),
  fc.record({
    kind: kind("portState"),
    id: word,
    state: fc.constantFrom(...PORT_STATES),
    isolationWanted: flag,
    isolationInstalled: flag,
    membersUp: word,
    members: word,
    actorKey: word,
    partnerSystem: mac,
    partnerPriority: word,
    partnerKey: word,
  }),
  fc.record({ kind: kind("isolate", "isolateAck"), id: word, isolated: flag, request: long }),
  fc.record({
    kind: kind("macs"),
    entries: list(fc.record({ vlan: word, mac, id: word, sequence: long, present: flag, permanent: flag })),
  }),
  fc.record({ kind: kind("arps"), entries: list(neighbour(octetsOf(4).map((b) => ip4From(b)))) }),
  fc.record({ kind: kind("nds"), entries: list(neighbour(octetsOf(16).map((b) => ip6From(b)))) }),
  fc.record({
    kind: kind("consistency"),
    entries: list(
      fc.record({ id: word, vlan: word, type: fc.constantFrom(1 as const, 2 as const), name: text, value: text }),
    ),
  }),
  fc.record({
    kind: kind("digests"),
    entries: list(
      fc.record({ table: fc.constantFrom(...TABLES), vlan: word, bucket: word, count: long, digest: long }),
    ),
  }),
  fc.record({ kind: kind("repair"), table: fc.constantFrom(...TABLES), vlan: word, buckets: list(word) }),
  fc.record({
    kind: kind("gateway"),
    vlan: word,
    mac,
    addresses: list(
      fc.oneof(
        octetsOf(4).map((b) => ip4From(b)),
        octetsOf(16).map((b) => ip6From(b)),
      ),
    ),
  }),
  fc.record({ kind: kind("syncBegin"), sync: long }),
  fc.record({ kind: kind("syncEnd"), sync: long, macs: long, arps: long, nds: long }),
  fc.record({ kind: kind("goodbye"), cause: fc.constantFrom(...GOODBYE_CAUSES) }),
  fc.record({
    kind: kind("peer"),
    dialect: kind("native", "sonic"),
    system: mac,
    epoch: long,
    peerEpoch: long,
    bootId: long,
    features: long,
  }),
);

const message: fc.Arbitrary<Message> = fc.record(
  {
    type: fc.constantFrom(...Object.values(MESSAGE)),
    id: long,
    values: list(fc.record({ kind: kind("rgId"), rg: long })),
    hello: fc.record({ major: fc.nat(255), minor: fc.nat(255), features: long, system: mac, bootId: long }),
    envelope: fc.record({ epoch: long, sequence: long, echoEpoch: long, echoSequence: long }),
    heartbeat: kind("ask", "answer"),
    items: list(item),
  },
  { requiredKeys: ["type", "id", "values", "items"] },
);

describe("our own parameters", () => {
  it("what is encoded decodes to the same value, and what was decoded encodes to the same octets", () => {
    fc.assert(
      fc.property(list(item), (items) => {
        const octets = encodeItems(items);
        const read = decodeItems(octets);
        expect(read).toEqual(items);
        expect(encodeItems(read)).toEqual(octets);
      }),
    );
  });

  it("the layout of each stands as documented", () => {
    const one = (value: Item) => toHex(encodeItems([value]));
    const system = macFrom(Uint8Array.of(2, 0, 0, 0, 0, 1));
    const lacpSystem = macFrom(Uint8Array.of(2, 0x4d, 0x4c, 0, 0, 10));
    const role = { kind: "role", role: "secondary", priority: 200, system, lacpSystem } as const;
    expect(one({ ...role, sticky: true, preempt: false })).toBe("3f100010020100c8020000000001024d4c00000a");
    expect(one({ kind: "isolate", id: 7, isolated: true, request: 9 })).toBe("3f12000800070100" + "00000009");
    const entry = { vlan: 100, mac: system, id: 4, sequence: 0x01020304, present: true, permanent: false };
    expect(one({ kind: "macs", entries: [entry] })).toBe("3f14001000640100020000000001000401020304");
    expect(one({ kind: "goodbye", cause: "reboot" })).toBe("3f1c000101");
    const addresses = [ip4From(Uint8Array.of(10, 0, 0, 1))];
    expect(one({ kind: "gateway", vlan: 100, mac: system, addresses })).toBe(
      "3f1e000f0064000002000000000104" + "0a000001",
    );
    expect(one({ kind: "consistency", entries: [{ id: 1, vlan: 0, type: 2, name: "mtu", value: "9000" }] })).toBe(
      "3f17000e000100000203046d747539303030",
    );
  });

  it("any octets are read without a throw, and refused lengths name themselves", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(ITEM)), fc.uint8Array({ maxLength: 80 }), (type, octets) => {
        const read = decodeItem(type, octets);
        if (read?.ok === false) expect(["item-length", "item-list", "item-value"]).toContain(read.reason);
      }),
      { numRuns: 2000 },
    );
    expect(decodeItem(ITEM.macs, new Uint8Array(15))).toEqual({ ok: false, reason: "item-list" });
    expect(decodeItem(ITEM.role, new Uint8Array(9))).toEqual({ ok: false, reason: "item-length" });
    expect(decodeItem(ITEM.gateway, new Uint8Array(9))).toEqual({ ok: false, reason: "item-length" });
    expect(decodeItem(ITEM.gateway, Uint8Array.of(0, 1, 0, 0, 2, 0, 0, 0, 0, 1, 4, 10, 0, 0))).toEqual({
      ok: false,
      reason: "item-list",
    });
    expect(decodeItem(ITEM.goodbye, Uint8Array.of(99))).toEqual({ ok: false, reason: "item-value" });
  });

  it("a list that is too long for a message is cut without losing or moving an entry", () => {
    const entries = Array.from({ length: 2 * MAX_ENTRIES + 1 }, (_, i) => ({
      table: "mac" as const,
      vlan: 1,
      bucket: i,
      count: 0,
      digest: 0,
    }));
    const cut = cutItem({ kind: "digests", entries });
    expect(cut).toHaveLength(3);
    expect(cut.flatMap((piece) => (piece.kind === "digests" ? piece.entries : []))).toEqual(entries);
  });

  it("a frame of the session's port carries items as they are, and as octets in a recording", () => {
    fc.assert(
      fc.property(list(item), (items) => {
        const frame = itemsFrame(items);
        expect(itemsOf(frame)).toBe(items);
        expect(itemsOf(Frame.of(frame.bytes))).toEqual(items);
      }),
    );
  });
});

describe("messages with our own parameters in RFC 7275's framing", () => {
  const key = { id: 3, secret: Uint8Array.of(1, 2, 3) };

  it("what is encoded decodes to the same message, signed or not", () => {
    fc.assert(
      fc.property(message, fc.boolean(), (given, signed) => {
        const octets = encodeMessage(given, signed ? key : undefined);
        const read = decodeMessage(octets);
        if (!read.ok) return expect.fail(read.reason);
        const { octets: _, signature, unknown, ...rest } = read.value;
        expect(rest).toEqual(given);
        expect(unknown).toBeUndefined();
        expect(verify(octets, signature, [key])).toBe(signed ? undefined : "unsigned");
        expect(encodeMessage(rest, signed ? key : undefined)).toEqual(octets);
      }),
    );
  });

  it("any octets, and any change to a message, are read without a throw", () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(20), (given, where, flip, less) => {
        const octets = encodeMessage(given, key);
        const at = where % octets.length;
        octets[at] = (octets[at] ?? 0) ^ flip;
        decodeMessage(octets);
        decodeMessage(octets.subarray(0, Math.max(0, octets.length - less)));
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
        decodeMessage(octets);
      }),
    );
  });

  it("any changed octet of a signed message is found", () => {
    const octets = encodeMessage({ type: MESSAGE.rgApplicationData, id: 1, values: [], items: [] }, key);
    for (let at = 0; at < octets.length; at++) {
      const changed = octets.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      const read = decodeMessage(changed);
      if (read.ok) expect(verify(changed, read.value.signature, [key])).not.toBeUndefined();
    }
    const again = octets.slice();
    sign(again, key);
    expect(again).toEqual(octets);
  });
});
