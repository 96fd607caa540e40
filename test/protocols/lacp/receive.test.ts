/** The Receive machine: IEEE 802.1AX §6.4.12, §6.4.9. Times in microseconds. */
import { describe, expect, it } from "vitest";
import { OTHER, SELF, Solo } from "../../support/lacp.ts";

const FAST = { name: "agg1", members: ["p1"], rate: "fast" };
const SLOW = { ...FAST, rate: "slow" };
const S = 1_000_000;
const bit = (self: Solo, mask: number, name = "p1") => (self.port(name).state & mask) !== 0;
const DEFAULTED = 0x40;
const EXPIRED = 0x80;

describe("the Receive machine", () => {
  it("L11 · begins in port-disabled, UNSELECTED, with the defaults recorded", () => {
    const self = new Solo(FAST);
    expect(self.states("p1")).toBe("port-disabled detached");
    expect(self.port("p1").selected).toBe("unselected");
    expect(bit(self, DEFAULTED)).toBe(true);
    expect(self.port("p1").partner).toMatchObject({ system: "00:00:00:00:00:00", key: 0, port: 0 });
  });

  it("L12 · enabled: expired, Partner.Sync 0, Partner.Timeout short", () => {
    const self = new Solo(SLOW);
    self.link("p1");
    expect(self.states("p1")).toBe("expired detached");
    expect(bit(self, EXPIRED)).toBe(true);
    expect(self.port("p1").partner.state).toBe(0x02);
    expect(self.port("p1").currentWhile).toBe(3 * S);
  });

  it("L13 · nothing for 3 s: defaulted, Expired 0", () => {
    const self = new Solo(FAST);
    self.link("p1");
    self.run(3 * S - 1);
    expect(self.states("p1")).toBe("expired detached");
    self.run(3 * S);
    expect(self.states("p1")).toBe("defaulted detached");
    expect([bit(self, DEFAULTED), bit(self, EXPIRED)]).toEqual([true, false]);
  });

  it("L14 · an LACPDU leads to current from expired, defaulted and current", () => {
    for (const wait of [0, 4 * S]) {
      const self = new Solo(FAST);
      self.link("p1");
      self.run(wait);
      for (let i = 0; i < 2; i++) {
        self.say("p1", { state: 0x07 });
        expect(self.port("p1").receive).toBe("current");
        expect([bit(self, DEFAULTED), bit(self, EXPIRED)]).toEqual([false, false]);
      }
    }
  });

  it.each([
    ["fast", 3 * S],
    ["slow", 90 * S],
  ])("L15 L74 · rate %s: expired after %d µs of silence, and no longer carrying from then on", (rate, timeout) => {
    const self = new Solo({ ...FAST, rate });
    self.agree("p1");
    const heard = self.now;
    self.say("p1", { state: 0x3f });
    expect(self.states("p1")).toBe("current distributing");
    self.run(heard + timeout - 1);
    expect(self.states("p1")).toBe("current distributing");
    self.run(heard + timeout);
    expect(self.states("p1")).toBe("expired attached");
    expect(self.reason("p1")).toBe("silent");
    self.run(heard + timeout + 3 * S);
    expect(self.states("p1")).toBe("defaulted detached");
    expect(self.reason("p1")).toBe("no-partner");
    self.say("p1", { state: 0x3f });
    self.say("p1", { state: 0x3f });
    expect(self.states("p1")).toBe("current distributing");
  });

  it("L16 · a new rate is said at once and times the next LACPDU", () => {
    const self = new Solo(SLOW);
    self.agree("p1");
    self.run(self.now + S);
    const at = self.now;
    self.command({ verb: "rate", rate: "fast" });
    expect(self.pdus("p1", at)).toMatchObject([{ at, pdu: { actor: { state: 0x3f } } }]);
    self.say("p1", { state: 0x3f });
    self.run(at + 3 * S);
    expect(self.port("p1").receive).toBe("expired");
  });

  it("L17 · no carrier: disabled at once, Partner.Sync 0, and the partner is remembered", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.link("p1", false);
    expect(self.states("p1")).toBe("port-disabled detached");
    expect(self.bundle().up).toBe(false);
    expect(self.port("p1").partner).toMatchObject({ system: "02:00:00:00:00:bb", key: 15, port: 1 });
    expect(self.port("p1").partner.state & 8).toBe(0);
  });

  it("L18 · back with the same partner within 3 s: never defaulted", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.link("p1", false);
    self.run(self.now + S);
    const from = self.events.length;
    self.link("p1");
    self.run(self.now + 2 * S);
    self.say("p1", { state: 0x3f });
    self.say("p1", { state: 0x3f });
    expect(self.states("p1")).toBe("current distributing");
    const seen = self.events.slice(from).flatMap((event) => (event.type === "lacp.port" ? [event.receive] : []));
    expect(seen).toContain("expired");
    expect(seen).not.toContain("defaulted");
  });

  it("L19 · port_moved: the partner's port is heard on another port, and the old one forgets it", () => {
    const self = new Solo({ ...FAST, members: ["p1", "p2"] });
    self.agree("p1");
    self.link("p1", false);
    expect(self.port("p1").partner.port).toBe(1);
    self.link("p2");
    self.say("p2", { port: 1 });
    expect(self.port("p1").partner.port).toBe(0);
    expect(bit(self, DEFAULTED)).toBe(true);
  });

  it.each([
    ["port", { port: 99 }],
    ["port priority", { portPriority: 99 }],
    ["system", { system: OTHER }],
    ["system priority", { systemPriority: 99 }],
    ["key", { key: 99 }],
    ["aggregation", { state: 0x3b }],
  ])(
    "L20 L38 · another %s of the partner: UNSELECTED, and nothing is carried before it is attached again",
    (_what, change) => {
      const self = new Solo({ ...FAST, members: ["p1", "p2"] });
      self.agree("p1");
      self.link("p2"); // silent: attaching again takes the whole wait
      expect(self.states("p1")).toBe("current distributing");
      self.say("p1", change);
      expect(self.states("p1")).toBe("current waiting");
      self.run(self.now + S);
      expect(self.states("p1")).toBe("current waiting");
    },
  );

  it("L20 · a change of Sync, Collecting, Distributing or Activity alone is no other partner", () => {
    for (const state of [0x37, 0x2f, 0x1f, 0x3e]) {
      const self = new Solo(FAST);
      self.agree("p1");
      self.say("p1", { state });
      expect(self.port("p1").selected).toBe("selected");
      expect(self.port("p1").mux).not.toBe("detached");
    }
  });

  it("L21 · defaulted is UNSELECTED where a partner had been recorded", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.run(self.now + 3 * S + 1_000);
    expect(self.port("p1").selected).toBe("selected");
    self.run(self.now + 3 * S);
    expect(self.states("p1")).toBe("defaulted detached");
    expect(self.port("p1").selected).toBe("unselected");
  });

  it.each([
    ["Sync is not said", { state: 0x37 }],
    ["it holds another system of us", { of: { system: OTHER } }],
    ["it holds another port of us", { of: { port: 7 } }],
    ["it holds another key of us", { of: { key: 7 } }],
    ["it holds us as individual", { of: { state: 0x3b } }],
    ["neither is active", { state: 0x3e, of: { state: 0x3e } }],
  ])("L22 · Partner.Sync stays 0 when %s", (_why, said) => {
    const self = new Solo({ ...FAST, mode: "passive" });
    self.link("p1");
    self.say("p1", { state: 0x3f, ...said });
    expect(self.port("p1").partner.state & 8).toBe(0);
    self.say("p1", { state: 0x3f });
    expect(self.port("p1").partner.state & 8).toBe(8);
  });

  it("L22 · an individual partner is in sync whatever it holds of us", () => {
    const self = new Solo(FAST);
    self.link("p1");
    self.say("p1", { state: 0x3b, of: { system: OTHER, port: 9 } });
    expect(self.port("p1").partner.state & 8).toBe(8);
  });

  it("L23 L25 · what the partner holds wrongly of us is said again; Collecting to Expired do not count", () => {
    for (const [of, expected] of [
      [{ system: OTHER }, 1],
      [{ systemPriority: 1 }, 1],
      [{ key: 9 }, 1],
      [{ portPriority: 9 }, 1],
      [{ port: 9 }, 1],
      [{ state: 0x3e }, 1],
      [{ state: 0x3d }, 1],
      [{ state: 0x3b }, 1],
      [{ state: 0x37 }, 1],
      [{ state: 0x0f }, 0],
      [{ state: 0xff }, 0],
    ] as const) {
      const self = new Solo(FAST);
      self.agree("p1");
      self.chat(["p1"], self.now + 5 * S);
      const from = self.now + 200_000;
      self.run(from);
      self.say("p1", { state: 0x3f, of });
      self.run(from + 10_000);
      expect(self.pdus("p1", from).length).toBe(expected);
    }
  });

  it("L24 · stopped: lacp-disabled, nothing is sent or carried; started, it is as new", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    const at = self.now;
    self.command({ verb: "stop", bundle: "agg1" });
    self.chat(["p1"], at + 5 * S);
    expect(self.states("p1")).toBe("lacp-disabled detached");
    expect(self.reason("p1")).toBe("stopped");
    expect(self.pdus("p1", at)).toEqual([]);
    self.command({ verb: "start", bundle: "agg1" });
    self.say("p1", { state: 0x3f });
    self.say("p1", { state: 0x3f });
    expect(self.states("p1")).toBe("current distributing");
    expect(self.bundle().system).toBe(SELF);
  });
});
