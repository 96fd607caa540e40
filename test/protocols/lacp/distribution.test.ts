/** The Frame Distributor: IEEE 802.1AX §6.2.4, and the marker that keeps order, §6.5. Times in microseconds. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeMarker } from "../../../protocols/lacp/codec.ts";
import type { HashPolicy } from "../../../protocols/lacp/config.ts";
import { BUCKETS, bucketOf } from "../../../protocols/lacp/hash.ts";
import { Frame, hashMac } from "../../../src/core/frame.ts";
import { dataFrame, Solo } from "../../support/lacp.ts";

const S = 1_000_000;
const names = (n: number) => Array.from({ length: n }, (_, i) => `p${i + 1}`);
const bundle = (n: number, more: object = {}) => ({ name: "agg1", members: names(n), rate: "fast", ...more });
const POLICIES: readonly HashPolicy[] = ["layer2", "layer2+3", "layer3+4"];

interface Packet {
  readonly type: number;
  readonly tci?: number;
  readonly macs?: readonly [number, number];
  readonly ips?: readonly [number, number];
  readonly ports?: readonly [number, number];
  readonly protocol?: number;
  /** Flags and offset. */
  readonly fragment?: number;
  readonly options?: number;
}

/** A frame with just what hashes look at. */
function frameOf(packet: Packet): Frame {
  const { type, tci, macs = [1, 2], ips = [0x0a000001, 0x0a000002], ports = [1000, 80], protocol = 17 } = packet;
  const { fragment = 0, options = 0 } = packet;
  const bytes = new Uint8Array(120);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x0200);
  view.setUint32(2, macs[1]);
  view.setUint16(6, 0x0200);
  view.setUint32(8, macs[0]);
  let at = 12;
  if (tci !== undefined) {
    view.setUint16(12, 0x8100);
    view.setUint16(14, tci);
    at = 16;
  }
  view.setUint16(at, type);
  at += 2;
  if (type === 0x0800) {
    view.setUint8(at, 0x45 + options);
    view.setUint16(at + 6, fragment);
    view.setUint8(at + 9, protocol);
    view.setUint32(at + 12, ips[0]);
    view.setUint32(at + 16, ips[1]);
    at += 20 + 4 * options;
  } else if (type === 0x86dd) {
    view.setUint8(at, 0x60);
    view.setUint8(at + 6, protocol);
    view.setUint32(at + 8, 0x20010db8);
    view.setUint32(at + 20, ips[0]);
    view.setUint32(at + 24, 0x20010db8);
    view.setUint32(at + 36, ips[1]);
    at += 40;
  }
  view.setUint16(at, ports[0]);
  view.setUint16(at + 2, ports[1]);
  return Frame.of(bytes);
}

/** The formulas of hash.ts, written again in BigInt: what another implementation would compute from the documentation. */
function documented(packet: Packet, policy: HashPolicy): number {
  const M = 0xffff_ffffn;
  const mul = (a: bigint, b: bigint) => (a * b) & M;
  const mix = (x: bigint) => {
    let h = mul((x & M) ^ ((x & M) >> 16n), 0x85ebca6bn);
    h = mul(h ^ (h >> 13n), 0xc2b2ae35n);
    return h ^ (h >> 16n);
  };
  const mac = (low: number) => mix(BigInt(low) ^ mul(0x0200n, 0x9e3779b1n));
  const {
    type,
    macs = [1, 2],
    ips = [0x0a000001, 0x0a000002],
    ports = [1000, 80],
    protocol = 17,
    fragment = 0,
  } = packet;
  const layer2 = mac(macs[1]) ^ mac(macs[0]) ^ mix(BigInt(type));
  const six = type === 0x86dd;
  let h = layer2;
  if (policy !== "layer2" && (six || type === 0x0800)) {
    // Both addresses are 2001:db8::X here: the words XORed.
    const ip = (low: number) => (six ? 0x20010db8n : 0n) ^ BigInt(low);
    const addresses = ip(ips[1]) ^ mix(ip(ips[0]));
    const known = [6, 17, 132].includes(protocol) && (fragment & 0x3fff) === 0;
    const word = known ? (BigInt(ports[0]) << 16n) | BigInt(ports[1]) : 0n;
    h = policy === "layer2+3" ? mix(layer2 ^ addresses) : mix(addresses ^ mix(word));
  }
  return Number((h ^ (h >> 16n) ^ (h >> 8n)) & 255n);
}

/** Packets of every kind that hashes tell apart. */
function vectors(): Packet[] {
  const list: Packet[] = [];
  for (let i = 0; i < 12; i++) {
    const macs = [i * 7919, i * 104_729 + 1] as const;
    const ips = [0x0a000000 + i, 0xc0000200 + i * 31] as const;
    const ports = [1024 + i * 17, 443 + i] as const;
    list.push({ type: 0x0800, macs, ips, ports }, { type: 0x0800, macs, ips, ports, protocol: 6 });
    list.push({ type: 0x0800, macs, ips, ports, options: 3 }, { type: 0x0800, macs, ips, ports, protocol: 1 });
    list.push({ type: 0x0800, macs, ips, ports, fragment: 0x2000 }, { type: 0x0800, macs, ips, ports, fragment: 185 });
    list.push({ type: 0x86dd, macs, ips, ports }, { type: 0x86dd, macs, ips, ports, protocol: 132 });
    list.push({ type: 0x86dd, macs, ips, ports, protocol: 44 }, { type: 0x0800, macs, ips, ports, tci: 10 });
    list.push({ type: 0x0806, macs }, { type: 0x88b5, macs, tci: 0x2001 });
  }
  return list;
}

describe("hashes", () => {
  it.each(POLICIES)("L59 · %s: 144 vectors of all kinds fall where the documented formula says", (policy) => {
    const all = vectors();
    expect(all.length).toBeGreaterThanOrEqual(100);
    for (const packet of all)
      expect([packet, bucketOf(frameOf(packet), policy)]).toEqual([packet, documented(packet, policy)]);
    expect(hashMac(0x0200, 1)).not.toBe(hashMac(0x0200, 2));
  });

  it("L59 · some vectors in full, so that a change of the formula is seen", () => {
    const shown = vectors()
      .slice(12, 24)
      .map((packet) => POLICIES.map((policy) => bucketOf(frameOf(packet), policy)).join(" "));
    expect(shown).toMatchInlineSnapshot(`
      [
        "42 212 155",
        "42 212 155",
        "42 212 155",
        "42 212 1",
        "42 212 1",
        "42 212 1",
        "244 91 57",
        "244 91 57",
        "244 91 223",
        "42 212 155",
        "180 180 180",
        "96 96 96",
      ]
    `);
  });

  it("L63 · all fragments of a datagram, and its tagged twin, fall into one bucket", () => {
    for (const policy of POLICIES) {
      const buckets = [0x2000, 0x2000 | 185, 370].map((fragment, i) =>
        bucketOf(frameOf({ type: 0x0800, fragment, ports: [i * 999, i * 77] }), policy),
      );
      expect(new Set(buckets).size).toBe(1);
      expect(bucketOf(frameOf({ type: 0x0800, tci: 42 }), policy)).toBe(bucketOf(frameOf({ type: 0x0800 }), policy));
    }
  });

  it.each([2, 4, 8])("L65 · 100,000 random flows over %d links: within 5 % of the mean", (links) => {
    let seed = 1;
    const random = () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed;
    };
    for (const policy of POLICIES) {
      const counts = new Array<number>(links).fill(0);
      for (let i = 0; i < 100_000; i++) {
        const packet = {
          type: 0x0800,
          macs: [random(), random()],
          ips: [random(), random()],
          ports: [random() >>> 16, random() >>> 16],
        } as const;
        const link = bucketOf(frameOf(packet), policy) % links;
        counts[link] = (counts[link] ?? 0) + 1;
      }
      const mean = 100_000 / links;
      for (const count of counts) expect(Math.abs(count - mean) / mean).toBeLessThan(0.05);
    }
  });
});

describe("the distributor", () => {
  const table = (self: Solo) => self.bundle().distribution.table.map(({ port }) => port.name);

  it("L60 L64 · a flow keeps its link while the links stay, and a broadcast leaves once", () => {
    const self = new Solo(bundle(4));
    self.agree(...names(4));
    const flows = Array.from({ length: 50 }, (_, i) => dataFrame(i * 31));
    for (let round = 0; round < 2_000; round++)
      for (const frame of flows) self.node.down(self.node.port("agg1"), frame);
    expect(self.data.length).toBe(100_000);
    for (const frame of flows)
      expect(new Set(self.data.filter(({ pdu }) => pdu === frame).map(({ port }) => port)).size).toBe(1);
    expect(new Set(self.data.map(({ port }) => port)).size).toBe(4);
    const all = Frame.of(new Uint8Array(60).fill(0xff, 0, 6));
    const before = self.data.length;
    self.send(all);
    expect(self.data.length).toBe(before + 1);
  });

  it("L61 · a lost link moves its own buckets only; a link that joins takes its share and no more", () => {
    const self = new Solo(bundle(4, { flush: "0s" }));
    self.agree(...names(4));
    const first = table(self);
    const count = (links: readonly string[]) => names(4).map((name) => links.filter((link) => link === name).length);
    expect(count(first)).toEqual([64, 64, 64, 64]);
    self.link("p2", false);
    const second = table(self);
    for (const [b, link] of first.entries()) if (link !== "p2") expect(second[b]).toBe(link);
    expect(count(second).toSorted()).toEqual([0, 85, 85, 86]);
    self.link("p2");
    self.chat(names(4), self.now + 4 * S);
    const third = table(self);
    expect(count(third)).toEqual([64, 64, 64, 64]);
    expect(third.filter((link, b) => link !== second[b]).every((link) => link === "p2")).toBe(true);
  });

  it("L61 · without `resilient` bucket b is with link b mod n, whatever was before", () => {
    const self = new Solo(bundle(3, { resilient: false, flush: "0s" }));
    self.agree(...names(3));
    self.link("p1", false);
    expect(table(self)).toEqual(Array.from({ length: BUCKETS }, (_, b) => `p${(b % 2) + 2}`));
  });

  it("L62 · buckets that leave a link with carrier wait for its marker, then go in order; others do not wait", () => {
    const self = new Solo(bundle(2));
    self.agree("p1");
    self.link("p2");
    self.say("p2");
    self.say("p2");
    const moved = table(self).map((link) => link === "p2");
    expect(self.markers.map(({ port, pdu }) => [port, pdu.kind])).toEqual([["p1", "information"]]);
    const frames = Array.from({ length: 200 }, (_, i) => dataFrame(i * 13));
    for (const frame of frames) self.send(frame);
    const waits = (frame: Frame) => moved[bucketOf(frame, "layer2")] === true;
    expect(self.data.map(({ pdu }) => pdu)).toEqual(frames.filter((frame) => !waits(frame)));
    const [marker] = self.markers;
    if (marker !== undefined) self.receive("p1", encodeMarker({ ...marker.pdu, kind: "response" }));
    const late = self.data.filter(({ port }) => port === "p2").map(({ pdu }) => pdu);
    expect(late).toEqual(frames.filter(waits));
    expect(self.bundle().distribution.waiting).toBe(0);
  });

  it("L62 · a marker that is never answered is waited for 100 ms; a link that loses carrier is not waited for at all", () => {
    const self = new Solo(bundle(3));
    self.agree("p1", "p2");
    self.say("p1");
    self.say("p2");
    self.link("p3");
    self.say("p3");
    self.say("p3");
    const from = self.now;
    const frames = Array.from({ length: 100 }, (_, i) => dataFrame(i * 13));
    for (const frame of frames) self.send(frame);
    self.link("p1", false);
    expect(self.bundle().distribution.waiting).toBeGreaterThan(0);
    self.run(from + 99_999);
    expect(self.data.length).toBeLessThan(100);
    self.run(from + 100_000);
    expect(self.data.length).toBe(100);
  });

  it("what waits is bounded, and what finds no link is counted", () => {
    const self = new Solo(bundle(2));
    self.agree("p1");
    self.link("p2");
    self.say("p2");
    self.say("p2");
    const waiting = Array.from({ length: 4_000 }, (_, i) => dataFrame(i)).filter(
      (frame) => self.bundle().distribution.waits[bucketOf(frame, "layer2")] !== undefined,
    );
    let sent = 0;
    while (sent <= 4_096) {
      for (const frame of waiting) {
        self.node.down(self.node.port("agg1"), frame);
        sent++;
      }
    }
    expect(self.node.drops.get("flush-queue")).toBe(sent - 4_096);
    self.link("p1", false);
    self.link("p2", false);
    expect(self.bundle().distribution.lost + self.data.length).toBe(4_096);
  });

  it("L62 · no frame of a flow is sent before an earlier one of it has arrived, over any changes of the links", () => {
    const change = fc.record({
      link: fc.integer({ min: 1, max: 3 }),
      what: fc.constantFrom("down", "up", "unsync", "sync", "answer", "answer", "frames", "frames", "time"),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 5, maxLength: 60 }), (changes) => {
        const self = new Solo(bundle(3, { flush: "1s" }));
        self.agree(...names(3));
        const answered = new Set<number>();
        let number = 0;
        /** By flow: the link of its last frame, and whether a marker has come back on it since. */
        const last = new Map<number, string>();
        const sequences = new Map<number, number>();
        const owed = new Map<string, Set<number>>();
        let seen = 0;
        const look = () => {
          for (const { port, pdu } of self.data.slice(seen)) {
            const flow = pdu.bytes[5] ?? 0;
            const before = last.get(flow);
            if (before !== undefined && before !== port) {
              const clear = !self.port(before).up || !(owed.get(before)?.has(flow) ?? false);
              expect([flow, before, port, clear]).toEqual([flow, before, port, true]);
            }
            expect(pdu.sequence).toBeGreaterThan(sequences.get(flow) ?? -1);
            sequences.set(flow, pdu.sequence);
            last.set(flow, port);
            owed.set(port, (owed.get(port) ?? new Set()).add(flow));
          }
          seen = self.data.length;
        };
        for (const { link, what } of changes) {
          const name = `p${link}`;
          if (what === "down") {
            self.link(name, false);
            owed.delete(name);
          } else if (what === "up") self.link(name);
          else if (what === "unsync") self.say(name, { state: 0x37 });
          else if (what === "sync") self.say(name);
          else if (what === "time") self.run(self.now + 50_000);
          else if (what === "frames") for (let flow = 0; flow < 40; flow++) self.send(dataFrame(flow, number++));
          else {
            const marker = self.markers.findLast(({ port, pdu }) => port === name && !answered.has(pdu.transaction));
            if (marker !== undefined) {
              answered.add(marker.pdu.transaction);
              // Only what the newest marker is behind has arrived.
              owed.delete(name);
              self.receive(name, encodeMarker({ ...marker.pdu, kind: "response" }));
            }
          }
          look();
        }
      }),
      { numRuns: 300 },
    );
  });
});
