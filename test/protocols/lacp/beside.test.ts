/** Churn (§6.4.17), Marker (§6.5), and what happens without a partner. Times in microseconds. */
import { describe, expect, it } from "vitest";
import { encodeMarker, type Marker } from "../../../protocols/lacp/codec.ts";
import { dataFrame, PEER, Solo } from "../../support/lacp.ts";

const S = 1_000_000;
const FAST = { name: "agg1", members: ["p1", "p2"], rate: "fast" };
const carrying = (self: Solo) => self.bundle().distribution.links.map(({ port }) => port.name);
const churns = (self: Solo) =>
  self.events.flatMap((event) =>
    event.type === "lacp.churn" ? [`${event.at / S} ${event.side} ${event.churned} ${event.count}`] : [],
  );

describe("the Churn machines", () => {
  it("L53 · an end that is out of sync for 60 s is churned and counted, until it is in sync", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.link("p1");
    self.chat(["p1"], 70 * S, S, { state: 0x07 });
    expect(churns(self)).toEqual(["60 partner true 1"]);
    self.say("p1", { state: 0x3f });
    expect(churns(self).at(-1)).toBe("70 partner false 1");
    self.command({ verb: "drain" });
    self.chat(["p1"], 140 * S, S, { state: 0x3f });
    expect(churns(self).at(-1)).toMatch(/^130 actor true 1$/);
    self.command({ verb: "start" });
    self.say("p1", { state: 0x3f });
    expect(churns(self).at(-1)).toBe("140 actor false 1");
    expect(self.port("p1").partnerChurn.count).toBe(1);
  });
});

describe("the Marker responder", () => {
  const marker: Marker = { version: 1, kind: "information", port: 0x1234, system: PEER, transaction: 0xdeadbeef };

  it("L54 · answers at once, with the same requester and transaction, in every state of the mux", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.link("p1");
    self.receive("p1", encodeMarker(marker));
    self.agree("p1");
    self.receive("p1", encodeMarker({ ...marker, transaction: 0 }));
    expect(self.markers).toEqual([
      { at: 0, port: "p1", pdu: { ...marker, kind: "response" } },
      { at: self.now, port: "p1", pdu: { ...marker, kind: "response", transaction: 0 } },
    ]);
  });

  it("L54 · a marker of another type is counted and not answered", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.link("p1");
    const octets = encodeMarker(marker);
    octets[2] = 9;
    self.receive("p1", octets);
    expect(self.markers).toEqual([]);
    expect(self.port("p1").counters.dropped.get("tlv-type")?.count).toBe(1);
  });

  it("L55 · a response that nobody waits for is counted, and changes nothing", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.agree("p1");
    const before = JSON.stringify(self.pdus("p1"));
    self.receive("p1", encodeMarker({ ...marker, kind: "response" }));
    expect(self.port("p1").counters.dropped.get("marker-unsolicited")?.count).toBe(1);
    expect(JSON.stringify(self.pdus("p1"))).toBe(before);
    expect(self.markers).toEqual([]);
  });
});

describe("fallback", () => {
  it("L56 · individual: after the timeout exactly one port carries, the next best takes over, an LACPDU ends it", () => {
    const self = new Solo({ ...FAST, fallback: { mode: "individual", timeout: "10s" } });
    self.links("p1", "p2");
    self.run(10 * S - 1);
    expect(carrying(self)).toEqual([]);
    self.run(10 * S);
    expect(carrying(self)).toEqual(["p1"]);
    expect(self.reason("p1")).toBe("fallback");
    self.arrive("p1", dataFrame(1).bytes);
    self.arrive("p2", dataFrame(2).bytes);
    expect(self.up.length).toBe(1);
    self.link("p1", false);
    expect(carrying(self)).toEqual(["p2"]);
    self.link("p1");
    self.say("p1", { state: 0x07 });
    expect(carrying(self)).toEqual([]);
    self.say("p2", { state: 0x07 });
    self.chat(["p1", "p2"], self.now + S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
  });

  it("L56 · static: all ports carry; the default timeout is 90 s", () => {
    const self = new Solo({ ...FAST, fallback: "static" });
    self.links("p1", "p2");
    self.run(90 * S - 1);
    expect(carrying(self)).toEqual([]);
    self.run(90 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
  });

  it("L57 · not while any port is current, or expired with a known partner", () => {
    const self = new Solo({ ...FAST, fallback: { mode: "static", timeout: "1s" } });
    self.links("p1", "p2");
    self.run(2 * S);
    self.say("p1", { state: 0x07 });
    self.run(5 * S - 1);
    expect([self.states("p1"), self.states("p2"), carrying(self)]).toEqual([
      "current attached",
      "defaulted detached",
      [],
    ]);
    self.run(8 * S - 1);
    expect(self.port("p1").receive).toBe("expired");
    expect(carrying(self)).toEqual([]);
    self.run(9 * S);
    expect(carrying(self)).toEqual(["p1", "p2"]);
  });

  it("L57 · not while M-LAG holds the bundle", () => {
    const self = new Solo({ ...FAST, fallback: { mode: "individual", timeout: "1s" } });
    self.links("p1");
    self.hear({ type: "mlag.hold", bundle: "agg1", hold: true, reason: "restore-delay" });
    self.run(20 * S);
    expect(carrying(self)).toEqual([]);
    // It says what it would do, and who withholds it.
    const said = self.events.findLast(({ type }) => type === "lacp.port");
    expect(said).toMatchObject({ fallback: "individual", reason: "hold", cause: "restore-delay" });
    self.hear({ type: "mlag.hold", bundle: "agg1", hold: false, reason: "restored" });
    expect(carrying(self)).toEqual(["p1"]);
  });

  it("L58 · without it a partner that is silent gets and gives not one data frame, however long", () => {
    const self = new Solo(FAST);
    self.links("p1", "p2");
    for (let minute = 1; minute <= 10; minute++) {
      self.run(minute * 60 * S);
      self.arrive("p1", dataFrame(minute).bytes);
      self.send(dataFrame(minute));
    }
    expect([self.up.length, self.data.length]).toEqual([0, 0]);
    expect(self.node.drops.get("not-collecting")).toBe(10);
  });
});
