/** What leaves by a link and what is taken from it; the codec's own tests are beside this file. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ETHERTYPE, ethernet } from "../../../protocols/ethernet/codec.ts";
import { decodeLacpdu, encodeLacpdu, SLOW_GROUP } from "../../../protocols/lacp/codec.ts";
import type { Mac } from "../../../src/core/addr.ts";
import { Frame } from "../../../src/core/frame.ts";
import { macOf, OTHER, PEER, SELF, Solo } from "../../support/lacp.ts";

const ONE = { name: "agg1", members: ["p1"], rate: "fast" };
const good = (self: Solo) => {
  const actor = { systemPriority: 65_535, system: PEER, key: 15, portPriority: 255, port: 9, state: 0x0f };
  const partner = { systemPriority: 32_768, system: SELF, key: 1, portPriority: 32_768, port: 1, state: 0x07 };
  return { self, bytes: encodeLacpdu({ version: 1, actor, partner, collectorMaxDelay: 0 }) };
};

describe("LACPDUs", () => {
  it("L01 L02 · 124 octets; go to 01:80:c2:00:00:02 with EtherType 0x8809, subtype 1, version 1, from the port's own address", () => {
    const self = new Solo(ONE);
    const frames: Frame[] = [];
    self.node.attach(self.node.port("p1"), { transmit: (frame) => frames.push(frame) });
    self.link("p1");
    self.run(2_000_000);
    expect(frames.length).toBeGreaterThan(1);
    for (const { bytes } of frames) {
      expect(bytes.length).toBe(124);
      expect([...bytes.subarray(0, 6)]).toEqual([0x01, 0x80, 0xc2, 0, 0, 2]);
      expect([...bytes.subarray(6, 12)]).toEqual([2, 0, 0, 0, 1, 1]);
      expect([...bytes.subarray(12, 16)]).toEqual([0x88, 0x09, 1, 1]);
    }
    expect(macOf("p1")).not.toBe(SELF);
  });

  it("L03 L04 · reserved octets, other versions and TLVs behind the collector's change nothing (§6.4.12)", () => {
    const { self: plain, bytes } = good(new Solo(ONE));
    plain.link("p1");
    plain.receive("p1", bytes);
    const reserved = [17, 18, 19, 37, 38, 39].map((at) => at + 2);
    const other = bytes.slice();
    for (const at of [
      ...reserved,
      ...Array.from({ length: 12 }, (_, i) => 46 + i),
      ...Array.from({ length: 50 }, (_, i) => 60 + i),
    ])
      other[at] = 0xa5;
    for (const version of [0, 2, 0xf1, 255]) {
      other[1] = version;
      const { self } = good(new Solo(ONE));
      self.link("p1");
      self.receive("p1", other);
      expect(self.port("p1").partner).toEqual(plain.port("p1").partner);
      expect(self.states("p1")).toBe("current collecting");
    }
  });

  it("L05 L06 · what is too short or of another subtype is counted under its reason and does not count as heard", () => {
    const { self, bytes } = good(new Solo(ONE));
    self.link("p1");
    self.receive("p1", bytes.subarray(0, 109));
    self.receive("p1", Uint8Array.of(3, 0, 0));
    self.receive("p1", new Uint8Array(0));
    expect(self.states("p1")).toBe("expired detached");
    expect(self.events.filter(({ type }) => type === "lacp.drop")).toMatchObject([
      { reason: "length", count: 1 },
      { reason: "subtype", count: 1 },
    ]);
    expect(self.port("p1").counters.dropped.get("length")?.count).toBe(2);
  });

  it("L06 · any octets at all are taken without a throw, and the alarm never rings without end", () => {
    const self = new Solo(ONE);
    self.link("p1");
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 130 }),
        fc.integer({ min: 0, max: 2_000_000 }),
        (octets, wait) => {
          self.receive("p1", octets);
          if (octets.length > 0) self.receive("p1", Uint8Array.of(1, ...octets));
          self.receive("p1", Uint8Array.of(2, ...octets));
          self.run(self.now + wait);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("L07 · a tagged slow protocol frame is none, and is counted (802.3 Annex 57A)", () => {
    const { self, bytes } = good(new Solo(ONE));
    self.link("p1");
    const tagged = Frame.of(ethernet(SLOW_GROUP, PEER, ETHERTYPE.slow, bytes)).tagged(10);
    self.arrive("p1", tagged.bytes);
    self.arrive("p1", ethernet("02:00:00:00:00:77" as Mac, PEER, ETHERTYPE.slow, bytes));
    expect(self.states("p1")).toBe("expired detached");
    expect(self.node.drops.get("slow-protocol")).toBe(2);
  });

  it("L08 · every actor state against every state of ours is taken, and comes back in the partner's half", () => {
    for (let state = 0; state < 256; state++) {
      for (const ours of ["listening", "agreed", "defaulted", "expired"]) {
        const self = new Solo(ONE);
        if (ours === "agreed" || ours === "expired") self.agree("p1");
        else self.link("p1");
        if (ours === "expired") self.run(self.now + 4_000_000);
        if (ours === "defaulted") self.run(4_000_000);
        const before = self.now;
        self.say("p1", { state });
        self.run(before + 1_500_000);
        expect(self.port("p1").receive).toBe("current");
        // Sync is what we make of it (recordPDU); all else is what was said.
        expect(self.port("p1").partner.state & ~8).toBe(state & ~8);
        const carries = self.states("p1").endsWith("distributing");
        expect(carries).toBe((state & 0x18) === 0x18);
        for (let other = 0; other < 256; other += 15) {
          self.say("p1", { state, of: { state: other } });
          self.run(self.now + 100_000);
        }
      }
    }
  });

  it("L09 · our own LACPDU back on the same port is recognised, said, and never carries", () => {
    const self = new Solo(ONE);
    self.link("p1");
    for (let second = 1; second <= 8; second++) {
      const last = self.pdus("p1").at(-1);
      if (last !== undefined) self.receive("p1", encodeLacpdu(last.pdu));
      self.run(second * 1_000_000);
    }
    expect(self.states("p1")).toBe("current detached");
    expect(self.reason("p1")).toBe("loopback");
    expect(self.bundle().up).toBe(false);
  });

  it("L10 · two own ports on one cable do not aggregate", () => {
    const self = new Solo({ ...ONE, members: ["p1", "p2"] });
    self.node.attach(self.node.port("p1"), { transmit: (frame) => queue.push(["p2", frame]) });
    self.node.attach(self.node.port("p2"), { transmit: (frame) => queue.push(["p1", frame]) });
    const queue: [string, Frame][] = [];
    self.links("p1", "p2");
    for (let tick = 1; tick <= 500; tick++) {
      self.run(tick * 10_000);
      for (const [port, frame] of queue.splice(0)) self.arrive(port, frame.bytes);
    }
    expect([self.states("p1"), self.states("p2")]).toEqual(["current detached", "current detached"]);
    expect([self.reason("p1"), self.reason("p2")]).toEqual(["loopback", "loopback"]);
  });

  it("what is sent decodes to the port's state", () => {
    const self = new Solo({ ...ONE, system: OTHER, "system-priority": 7, priority: 9, key: 11 });
    self.agree("p1");
    const last = self.pdus("p1").at(-1);
    expect(last?.pdu.actor).toMatchObject({ system: OTHER, systemPriority: 7, portPriority: 9, key: 11, port: 1 });
    expect(decodeLacpdu(encodeLacpdu(last?.pdu ?? never()))).toEqual({ ok: true, value: last?.pdu });
  });
});

function never(): never {
  throw new Error("nothing was sent");
}
