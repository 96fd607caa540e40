/** The Mux machine: IEEE 802.1AX §6.4.15. Times in microseconds. */
import { describe, expect, it } from "vitest";
import { dataFrame, Solo } from "../../support/lacp.ts";

const S = 1_000_000;
const FAST = { name: "agg1", members: ["p1", "p2"], rate: "fast" };
const changes = (self: Solo) => self.events.filter(({ type }) => type === "lacp.bundle").length;

/** The frames that pass the port now: from the wire up, and from above onto the wire. */
function passes(self: Solo, name: string): string {
  const [up, down] = [self.up.length, self.data.length];
  self.arrive(name, dataFrame(1).bytes);
  self.send(dataFrame(2));
  return `${self.up.length > up ? "in" : ""}${self.data.slice(down).some(({ port }) => port === name) ? "out" : ""}`;
}

describe("the Mux machine", () => {
  it("L43 L45 · waits 2 s for a link with carrier that is silent, with Sync 0; then attaches with Sync 1", () => {
    const self = new Solo(FAST);
    self.links("p1", "p2");
    self.say("p1", { state: 0x07 });
    self.run(2 * S - 1);
    expect(self.states("p1")).toBe("current waiting");
    expect(self.pdus("p1").every(({ pdu }) => (pdu.actor.state & 8) === 0)).toBe(true);
    self.run(2 * S + 2_000);
    expect(self.states("p1")).toBe("current attached");
    expect(self.pdus("p1").at(-1)?.pdu.actor.state).toBe(0x0f);
  });

  it("L43 L44 · does not wait when all links with carrier agree, and they come together", () => {
    const self = new Solo({ ...FAST, members: ["p1", "p2", "p3"] });
    self.links("p1", "p2");
    self.say("p1", { state: 0x3f });
    self.run(1_000_000);
    expect([self.states("p1"), changes(self)]).toEqual(["current waiting", 0]);
    self.say("p2", { state: 0x3f });
    self.say("p1", { state: 0x3f });
    self.say("p2", { state: 0x3f });
    expect([self.states("p1"), self.states("p2")]).toEqual(["current distributing", "current distributing"]);
    expect(self.events.filter(({ type }) => type === "lacp.bundle")[0]).toMatchObject({ members: 2 });
  });

  it("L44 · does not wait for a link that has fallen silent, or that hears another system", () => {
    const silent = new Solo(FAST);
    silent.agree("p1", "p2");
    silent.chat(["p1"], silent.now + 4 * S);
    silent.link("p1", false);
    silent.link("p1");
    silent.say("p1", { state: 0x3f });
    silent.say("p1", { state: 0x3f });
    expect([silent.states("p1"), silent.port("p2").receive]).toEqual(["current distributing", "expired"]);
    const foreign = new Solo(FAST);
    foreign.links("p1", "p2");
    foreign.say("p1", { state: 0x07 });
    foreign.say("p2", { state: 0x07, key: 99 });
    expect(foreign.states("p1")).toBe("current attached");
  });

  it("L46 · coupled: Collecting and Distributing are one, and follow Partner.Sync", () => {
    const self = new Solo({ ...FAST, members: ["p1"], control: "coupled" });
    self.link("p1");
    for (const [state, expected] of [
      [0x07, "attached"],
      [0x0f, "collecting-distributing"],
      [0x07, "attached"],
      [0x3f, "collecting-distributing"],
    ] as const) {
      self.say("p1", { state });
      self.say("p1", { state });
      self.run(self.now + S);
      expect(self.port("p1").mux).toBe(expected);
      const bits = self.port("p1").state & 0x30;
      expect(bits).toBe(expected === "attached" ? 0 : 0x30);
    }
    for (const { pdu } of self.sent) expect([0, 0x30]).toContain(pdu.actor.state & 0x30);
  });

  it("L47 L50 · frames pass only where the mux is: none, in, in and out", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.link("p1");
    const seen: string[] = [];
    const look = () => seen.push(`${self.states("p1")}: ${passes(self, "p1")}`);
    look();
    self.say("p1", { state: 0x07 });
    look();
    self.say("p1", { state: 0x0f });
    look();
    self.say("p1", { state: 0x1f });
    look();
    self.say("p1", { state: 0x0f });
    look();
    self.say("p1", { state: 0x07 });
    look();
    self.run(self.now + 3 * S);
    look();
    self.run(self.now + 3 * S);
    look();
    expect(seen).toEqual([
      "expired detached: ",
      "current attached: ",
      "current collecting: in",
      "current distributing: inout",
      "current collecting: in",
      "current attached: ",
      "expired attached: ",
      "defaulted detached: ",
    ]);
    expect(self.node.drops.get("not-collecting")).toBe(5);
    expect(self.node.drops.get("not-distributing")).toBe(7);
  });

  it("L48 · Partner.Sync 0: not a frame leaves from that microsecond on, and the partner is told in it", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.agree("p1");
    self.chat(["p1"], 5 * S);
    expect(passes(self, "p1")).toBe("inout");
    self.say("p1", { state: 0x37 });
    expect(passes(self, "p1")).toBe("");
    expect(self.pdus("p1").at(-1)).toMatchObject({ at: self.now, pdu: { actor: { state: 0x0f } } });
  });

  it("L49 · UNSELECTED while it carries: detached within the same input", () => {
    for (const control of ["independent", "coupled"]) {
      const self = new Solo({ ...FAST, members: ["p1"], control });
      self.agree("p1");
      self.link("p2");
      self.command({ verb: "stop" });
      expect(self.port("p1").mux).toBe("detached");
      expect(self.port("p1").state & 0x38).toBe(0);
    }
  });

  it("L49 · STANDBY while it carries, coupled: waiting with Sync 0 within the same input", () => {
    const self = new Solo({ ...FAST, members: ["p1"], control: "coupled" });
    self.agree("p1");
    self.command({ verb: "drain" });
    expect(self.port("p1").mux).toBe("waiting");
    expect(self.port("p1").state & 0x38).toBe(0);
  });

  it("L71 · drained: stops sending at once with Sync 0, collects until the partner has stopped, and no longer", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.agree("p1");
    self.chat(["p1"], 5 * S);
    self.run(5_500_000);
    self.command({ verb: "drain" });
    expect(self.pdus("p1").at(-1)).toMatchObject({ at: self.now, pdu: { actor: { state: 0x17 } } });
    expect(passes(self, "p1")).toBe("in");
    self.run(self.now + 10_000);
    expect(passes(self, "p1")).toBe("in");
    self.say("p1", { state: 0x0f });
    expect(self.port("p1").mux).toBe("waiting");
    expect(passes(self, "p1")).toBe("");
    self.command({ verb: "start" });
    self.say("p1");
    expect(passes(self, "p1")).toBe("inout");
    // One that never stops is cut off after 400 ms; the limit of three LACPDUs a second has passed.
    self.run(self.now + S);
    self.command({ verb: "drain" });
    self.run(self.now + 399_999);
    expect(passes(self, "p1")).toBe("in");
    self.run(self.now + 1);
    expect(passes(self, "p1")).toBe("");
  });

  it("L71 · a drain that is called off goes on as if nothing had been", () => {
    const self = new Solo({ ...FAST, members: ["p1"] });
    self.agree("p1");
    self.command({ verb: "drain" });
    self.command({ verb: "start" });
    expect(self.port("p1").mux).toBe("distributing");
    expect(self.port("p1").state).toBe(0x3f);
  });

  it("L51 · wait-to-restore: a lost link carries w after it is heard again; a planned change waits for nothing", () => {
    for (const w of [0, 5]) {
      const self = new Solo({ ...FAST, "wait-to-restore": `${w}s` });
      self.agree("p1", "p2");
      self.chat(["p1", "p2"], self.now + 3 * S);
      self.link("p1", false);
      self.chat(["p2"], self.now + S);
      self.link("p1");
      self.chat(["p2"], self.now + 2 * S + 500_000);
      const back = self.now;
      self.say("p1");
      self.say("p1");
      if (w > 0) expect([self.port("p1").mux, self.reason("p1")]).toEqual(["waiting", "wait-to-restore"]);
      self.chat(["p1", "p2"], back + w * S - 1, S - 1);
      if (w > 0) expect(self.port("p1").mux).toBe("waiting");
      self.chat(["p1", "p2"], back + w * S + S + 1);
      expect(self.port("p1").mux).toBe("distributing");
      self.command({ verb: "drain" });
      self.say("p1", { state: 0x0f });
      self.command({ verb: "start" });
      self.say("p1");
      self.say("p1");
      expect(self.port("p1").mux).toBe("distributing");
    }
  });

  it("L52 · a normal start, coupled, says 0xc7, 0x07, 0x0f, 0x3f and nothing else", () => {
    const self = new Solo({ ...FAST, control: "coupled" });
    self.links("p1", "p2");
    self.run(500_000);
    self.say("p1", { state: 0x07, of: { state: 0 } });
    self.run(S);
    self.say("p2", { state: 0x07, of: { state: 0 } });
    self.run(2 * S);
    self.chat(["p1", "p2"], 6 * S);
    const states = self.pdus("p1").map(({ pdu }) => pdu.actor.state);
    expect([...new Set(states)]).toEqual([0xc7, 0x07, 0x0f, 0x3f]);
  });
});
