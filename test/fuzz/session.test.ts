/**
 * The peer session and the keepalive under bad input. Each mutated message is taken, or dropped under exactly one reason,
 * or ends the session with the reason said; the octets of a stream come out as they went in, or the connection ends; and
 * whatever stands on the wire, two peers that have a session have the same one. HOTPAIR_FUZZ sets the number of mutants.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeIccp, encodeIccp } from "../../protocols/iccp/codec.ts";
import { type Item, overhear, type Streams } from "../../protocols/iccp/events.ts";
import { decodeItem, encodeItems, ITEM } from "../../protocols/iccp/item-codec.ts";
import { decodeMessage } from "../../protocols/iccp/message.ts";
import { decodeIp } from "../../protocols/ip/codec.ts";
import { encodeKeepalive, type Keepalive } from "../../protocols/mlag/codec.ts";
import { mlagSchema } from "../../protocols/mlag/config.ts";
import * as core from "../../protocols/mlag/core.ts";
import { KEEPALIVE_DROPS } from "../../protocols/mlag/events.ts";
import { newKeepalive, openPath, receiveOctets } from "../../protocols/mlag/keepalive.ts";
import { initialState } from "../../protocols/mlag/state.ts";
import { arrive, createStream, decodeTcp, FLAG, type TcpSegment } from "../../protocols/tcp/codec.ts";
import { accept, type Connection } from "../../protocols/tcp/connection.ts";
import { chunkFrame } from "../../protocols/tcp/events.ts";
import { receive } from "../../protocols/tcp/reception.ts";
import { macFrom } from "../../src/core/addr.ts";
import { EMPTY, toHex } from "../../src/core/bytes.ts";
import { below, createRng, type Rng } from "../../src/core/rng.ts";
import { instant } from "../../src/core/time.ts";
import type { CapturedPacket } from "../../src/host/replay/replay.ts";
import { ip, MILLISECOND, mac, SECOND } from "../protocols/iccp/bench.ts";
import { GOLDEN, octets } from "../protocols/iccp/golden.ts";
import { record } from "../protocols/iccp/recorded.ts";

const ROUNDS = Number(process.env["HOTPAIR_FUZZ"] ?? 100_000);

/** Octets changed, cut, drawn out, or with another message's middle in them. */
function mutate(rng: Rng, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let out = bytes.slice();
  for (let i = below(rng, 4); i > 0 && out.length > 0; i--) out[below(rng, out.length)] = below(rng, 256);
  const kind = below(rng, 6);
  if (kind === 0) out = out.slice(0, below(rng, out.length + 1));
  if (kind === 1) out = Uint8Array.of(...out, ...other.subarray(0, below(rng, 60)));
  if (kind === 2) out.set(other.subarray(0, Math.min(other.length, out.length, 8 + below(rng, 30))));
  return out;
}

const ENTRY = { vlan: 10, mac: mac("02:aa:00:00:00:01"), id: 4, sequence: 9, present: true, permanent: false };
const NEIGHBOUR = { vlan: 10, mac: mac("02:aa:00:00:00:01"), sequence: 9, present: true };
const ITEMS: readonly Item[] = [
  {
    kind: "role",
    role: "primary",
    priority: 1,
    system: ENTRY.mac,
    lacpSystem: ENTRY.mac,
    sticky: true,
    preempt: false,
  },
  { kind: "isolate", id: 4, isolated: true, request: 7 },
  { kind: "macs", entries: [ENTRY, ENTRY] },
  { kind: "arps", entries: [{ ...NEIGHBOUR, address: ip("10.0.0.9") }] },
  { kind: "nds", entries: [{ ...NEIGHBOUR, address: ip("fd00::9") }] },
  { kind: "consistency", entries: [{ id: 4, vlan: 0, type: 1, name: "mtu", value: "9000" }] },
  { kind: "digests", entries: [{ table: "mac", vlan: 10, bucket: 3, count: 2, digest: 77 }] },
  { kind: "repair", table: "mac", vlan: 10, buckets: [1, 2, 3] },
  { kind: "syncEnd", sync: 1, macs: 2, arps: 3, nds: 4 },
  { kind: "goodbye", cause: "reboot" },
];

describe("codecs", () => {
  it(`${ROUNDS} mutants of recorded messages: what SONiC's dialect reads it writes back, the rest has one reason`, () => {
    const seeds = Object.values(GOLDEN).map(octets);
    const rng = createRng(20_261_121, "sonic");
    const found = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const seed = seeds[below(rng, seeds.length)] ?? expect.fail();
      const bytes = mutate(rng, seed, seeds[below(rng, seeds.length)] ?? seed);
      const decoded = decodeIccp(bytes);
      const reason = decoded.ok ? "read" : decoded.reason;
      found.set(reason, (found.get(reason) ?? 0) + 1);
      if (!decoded.ok || round % 16 !== 0) continue;
      const again = decodeIccp(encodeIccp(decoded.value));
      expect(again).toEqual(decoded);
    }
    expect([...found.values()].reduce((sum, count) => sum + count, 0)).toBe(ROUNDS);
    for (const reason of [
      "read",
      "length",
      "message-length",
      "message-type",
      "tlv-length",
      "list-length",
      "name-length",
    ]) {
      expect(found.get(reason), reason).toBeGreaterThan(0);
    }
  });

  it(`${ROUNDS} mutants of our own items: read or refused, and what is read is written back as itself`, () => {
    const types = Object.values(ITEM);
    const seeds = ITEMS.map((item) => ({ type: ITEM[item.kind], bytes: encodeItems([item]).subarray(4) }));
    const rng = createRng(20_261_121, "items");
    const found = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const seed = seeds[below(rng, seeds.length)] ?? expect.fail();
      const other = seeds[below(rng, seeds.length)] ?? seed;
      const type = below(rng, 8) === 0 ? (types[below(rng, types.length)] ?? 0) : seed.type;
      const decoded = decodeItem(type, mutate(rng, seed.bytes, other.bytes)) ?? expect.fail();
      const reason = decoded.ok ? "read" : decoded.reason;
      found.set(reason, (found.get(reason) ?? 0) + 1);
      if (!decoded.ok || round % 16 !== 0) continue;
      const again = decodeItem(type, encodeItems([decoded.value]).subarray(4));
      expect(again).toEqual(decoded);
    }
    expect([...found.keys()].sort()).toEqual(["item-length", "item-list", "item-value", "read"]);
  });

  it("any octets whatever are a message or a reason", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeMessage(bytes).ok).toBeTypeOf("boolean");
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("keepalive", () => {
  const peer = macFrom(Uint8Array.of(2, 0, 0, 0, 0, 10));
  const message = (sequence: number): Keepalive => ({
    kind: "hello",
    domain: 10,
    sequence,
    system: peer,
    priority: 100,
    rank: 2,
    nonce: "0000000000000000",
    boot: 5,
  });

  it.each([false, true])(`${ROUNDS} mutants, signed: %s: each counts, or is dropped under one reason`, (signed) => {
    const secret = "a secret of some length";
    const config = mlagSchema.parse({
      domain: 10,
      "peer-link": "peer",
      keepalive: { port: "ka", address: "10.99.0.2/30", peer: "10.99.0.1" },
      authentication: signed ? [{ "key-id": 1, secret }] : [],
    });
    const key = signed ? { id: 1, secret: new TextEncoder().encode(secret) } : undefined;
    const state = initialState(config, mac("02:00:00:00:00:0b"));
    const path = newKeepalive(createRng(1, "fuzz"));
    core.start(state, instant(0));
    openPath(state, path, true, instant(0));
    const rng = createRng(20_261_121, "keepalive");
    const found = new Map<string, number>();
    let spoilt = 0;
    const rounds = signed ? ROUNDS / 10 : ROUNDS;
    for (let round = 1; round <= rounds; round++) {
      const now = instant(round);
      const bytes = encodeKeepalive(message(round), key);
      const mutant = mutate(rng, bytes, encodeKeepalive(message(round >> 1)));
      const lost = () => [...path.drops.values()].reduce((sum, { count }) => sum + count, 0);
      const [before, heard] = [lost(), state.heardAt];
      receiveOctets(state, path, mutant, now);
      const drops = lost() - before;
      // Exactly one of the two.
      if (drops + Number(state.heardAt === now && heard !== now) !== 1) expect.fail(`round ${round}: ${toHex(mutant)}`);
      if (drops === 0 && toHex(mutant) !== toHex(bytes)) spoilt++;
      const word = drops === 0 ? "taken" : "dropped";
      found.set(word, (found.get(word) ?? 0) + 1);
      state.says = [];
      path.sends = [];
    }
    expect(found.get("taken")).toBeGreaterThan(rounds / 100);
    expect(found.get("dropped")).toBeGreaterThan(rounds / 4);
    for (const reason of path.drops.keys()) expect(KEEPALIVE_DROPS).toContain(reason);
    // With a signature nothing that was touched counts.
    if (signed) expect(spoilt).toBe(0);
  });
});

const OCTETS = Uint8Array.from({ length: 5_000 }, (_, i) => (i * 131) & 0xff);

interface Move {
  readonly at: number;
  readonly size: number;
}

const moves = fc.array(fc.record({ at: fc.nat(4_999), size: fc.integer({ min: 1, max: 1_460 }) }), { maxLength: 40 });

function segment(sequence: number, payload: Uint8Array, flags: number = FLAG.ack): TcpSegment {
  const ports = { sourcePort: 40_000, destinationPort: 8888 };
  return { ...ports, sequence: sequence >>> 0, acknowledgment: 0, flags, window: 65_535, payload };
}

/** Every octet once at least, in some order, after pieces that overlap it. */
function deal(pieces: readonly Move[], order: readonly number[]): TcpSegment[] {
  const whole: Move[] = [];
  for (let at = 0; at < OCTETS.length; at += 500) whole.push({ at, size: 500 });
  const all = [...pieces, ...whole];
  const shuffled = all.map((move, i) => ({ move, key: order[i % order.length] ?? i })).sort((a, b) => a.key - b.key);
  return shuffled.map(({ move: { at, size } }) => segment(1_000 + at, OCTETS.subarray(at, at + size)));
}

describe("TCP", () => {
  it("a bystander has the stream whole, however it was cut, doubled and mixed", () => {
    fc.assert(
      fc.property(moves, fc.array(fc.nat(), { minLength: 1 }), (pieces, order) => {
        const stream = createStream();
        arrive(stream, segment(999, EMPTY, FLAG.syn));
        const out = deal(pieces, order).flatMap((one) => arrive(stream, one).bytes);
        expect(toHex(Uint8Array.from(out.flatMap((part) => [...part])))).toBe(toHex(OCTETS));
      }),
      { numRuns: 200 },
    );
  });

  it("a connection has it, too, or what is missing is sent again; strangers' segments change nothing or reset it", () => {
    const ends = { local: ip("10.0.0.2"), peer: ip("10.0.0.1"), localPort: 8888, peerPort: 40_000 };
    const wild = fc.record({ at: fc.nat(0xffffffff), ack: fc.nat(0xffffffff), flags: fc.nat(0x3f), size: fc.nat(100) });
    fc.assert(
      fc.property(
        moves,
        fc.array(fc.nat(), { minLength: 1 }),
        fc.array(wild, { maxLength: 10 }),
        (pieces, order, others) => {
          const connection: Connection = accept(ends, 77, segment(999, EMPTY, FLAG.syn), instant(0), []);
          const acknowledgment = 78;
          receive(connection, { ...segment(1_000, EMPTY), acknowledgment }, instant(1), []);
          const got: number[] = [];
          let ended = false;
          const all = [...deal(pieces, order), ...deal([], [0])];
          for (const [i, one] of all.entries()) {
            const stranger = others[i];
            if (stranger !== undefined) {
              const { at, ack, flags, size } = stranger;
              // Nobody guesses a sequence number within the window: RFC 5961 §1.
              const away = 1_000 + OCTETS.length + 70_000 + (at % 0x7fff_0000);
              const guess = { ...segment(away, OCTETS.subarray(0, size), flags), acknowledgment: ack };
              ended ||= receive(connection, guess, instant(2), []).ended !== undefined;
            }
            const outcome = receive(connection, { ...one, acknowledgment }, instant(2), []);
            for (const chunk of outcome.chunks) got.push(...chunk);
          }
          expect(ended).toBe(false);
          expect(connection.state).toBe("established");
          expect(toHex(Uint8Array.from(got))).toBe(toHex(OCTETS));
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** The messages of one end in a capture. */
function wordsOf(source: string, packets: readonly CapturedPacket[]): Uint8Array[] {
  const streams: Streams = new Map();
  return packets.flatMap(({ bytes }, t) => {
    const packet = decodeIp(bytes.subarray(14));
    const segmentSeen = packet.ok && packet.value.protocol === 6 ? decodeTcp(packet.value.payload) : undefined;
    if (!packet.ok || segmentSeen?.ok !== true || packet.value.source !== source) return [];
    return overhear(streams, packet.value, segmentSeen.value, false, t / 1e3).messages.map((one) => one.slice());
  });
}

describe("a session, end to end", () => {
  const keys = [{ id: 7, secret: new TextEncoder().encode("the secret of this pair") }];
  const told: Item = { kind: "macs", entries: [ENTRY] };

  it("M09 M12: the octets of a live session with some changed: both ends have one session, and the same, or none", () => {
    const rng = createRng(20_261_121, "wire");
    const reasons = new Set<string>();
    for (const own of [[], keys]) {
      for (let round = 0; round < 30; round++) {
        const { pair, packets } = record({ seed: round + 1, a: { keys: own }, b: { keys: own } });
        pair.run(SECOND);
        pair.tell("b", told);
        pair.run(MILLISECOND);
        // Of the peer's own words only a signature keeps changed octets away.
        const words = own.length === 0 ? Object.values(GOLDEN).map(octets) : wordsOf("10.0.0.2", packets());
        const word = words[below(rng, words.length)] ?? expect.fail();
        const mutant = mutate(rng, word, words[below(rng, words.length)] ?? word);
        const now = instant(Math.floor(pair.world.now / 1_000));
        const wire = pair.world.node("a") ?? expect.fail();
        wire.deliver(wire.port("tcp:peer"), chunkFrame(mutant), now);
        for (let i = 0; i < 12; i++) {
          pair.run(SECOND / 2);
          pair.tell("b", told);
        }
        pair.run(10 * SECOND);
        const [one] = pair.state("a").sessions;
        const [two] = pair.state("b").sessions;
        // Both are in the session whose epochs the other one names.
        expect([one?.state, one?.peerEpoch, two?.peerEpoch]).toEqual(["operational", two?.epoch, one?.epoch]);
        const drops = Object.keys(pair.drops("a"));
        const ends = pair.reasons("a").filter((reason) => reason.startsWith("down"));
        for (const reason of [...drops, ...ends]) reasons.add(reason);
        // Nothing of it was taken for a word of the peer's: only what was told has come.
        const macs = pair.heard("a").flatMap((item) => (item.kind === "macs" ? item.entries : []));
        for (const entry of macs) expect(entry).toEqual(ENTRY);
      }
    }
    expect(reasons.size).toBeGreaterThan(2);
  });

  it("M09: what was recorded of an earlier session, played into a later one, is dropped and not believed", () => {
    const { pair, packets } = record();
    pair.run(SECOND);
    pair.tell("b", { kind: "macs", entries: [{ ...ENTRY, vlan: 666 }] });
    pair.run(SECOND);
    const recorded = wordsOf("10.0.0.2", packets());
    expect(recorded.length).toBeGreaterThan(4);
    pair.world.command({ verb: "command", node: "a", to: "iccp", command: { verb: "reset" } });
    pair.run(10 * SECOND);
    const before = pair.heard("a").length;
    const port = pair.world.node("a")?.port("tcp:peer") ?? expect.fail();
    for (const chunk of recorded) {
      const now = instant(Math.floor(pair.world.now / 1_000));
      pair.world.node("a")?.deliver(port, chunkFrame(chunk), now);
      pair.run(MILLISECOND);
    }
    expect(pair.drops("a")["stale-epoch"]).toBeGreaterThanOrEqual(recorded.length - 1);
    expect(
      pair
        .heard("a")
        .slice(before)
        .filter(({ kind }) => kind === "macs"),
    ).toEqual([]);
    expect(pair.up("a")).toBe(true);
  });
});
