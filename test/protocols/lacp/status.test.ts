/** What an operator sees of bundles. Times in microseconds, but in rows seconds. */
import { describe, expect, it } from "vitest";
import { encodeMarker } from "../../../protocols/lacp/codec.ts";
import { type BundleStatus, type PortStatus, status } from "../../../protocols/lacp/status.ts";
import { OTHER, PEER, type Saying, SELF, Solo } from "../../support/lacp.ts";

const S = 1_000_000;
const FAST = { name: "agg1", members: ["p1", "p2"], rate: "fast" };

function rowOf(self: Solo): BundleStatus {
  const [row] = status.rows(self.state as never, self.now);
  return row as BundleStatus;
}

function portOf(self: Solo, name: string): PortStatus {
  const found = rowOf(self).ports.find(({ port }) => port === name);
  if (found === undefined) throw new Error(`no port ${name}`);
  return found;
}

const holds = (self: Solo) => status.holds(self.state as never).map(({ name, within }) => [name, within]);

/** A bundle in agreement with a partner that says this of itself. */
function beside(said: Saying, bundle: object = FAST): Solo {
  const self = new Solo(bundle);
  self.links("p1", "p2");
  self.chat(["p1", "p2"], 5 * S, S, said);
  return self;
}

describe("a row", () => {
  it("has the bundle, its partner and its ports, each with both ends' states as words", () => {
    const self = new Solo(FAST);
    self.agree("p1", "p2");
    self.run(self.now + S / 2);
    const row = rowOf(self);
    expect(row).toMatchObject({
      ...{ type: "lacp.bundle", name: "agg1", up: true, members: 2, reason: "member-joined", system: SELF, key: 1 },
      ...{ rate: "fast", enabled: true, draining: false, priority: 32_768 },
      partner: { system: PEER, key: 15, priority: 65_535 },
    });
    const spelled = ["activity", "short-timeout", "aggregation", "in-sync", "collecting", "distributing"];
    expect(row.ports).toMatchObject([
      {
        ...{ port: "p1", up: true, receive: "current", mux: "distributing", selected: "selected", reason: "carrying" },
        ...{
          actor: spelled,
          partner: spelled,
          partnerSystem: PEER,
          partnerPort: 1,
          heard: 0.7,
          expires: 2.3,
          number: 1,
        },
        drops: {},
      },
      { port: "p2", number: 2, partnerPort: 2 },
    ]);
    expect(row.ports[0]?.counters).toMatchObject({ received: 2, answered: 0, responses: 0 });
    // Values of JSON, and nothing else.
    expect(JSON.parse(JSON.stringify(row))).toEqual(row);
  });

  it("has no partner, nobody heard and no speed where there is none", () => {
    const self = new Solo(FAST);
    const row = rowOf(self);
    expect(row).toMatchObject({ up: false, members: 0, reason: "no-member" });
    expect("partner" in row || "since" in row).toBe(false);
    expect(row.ports[0]).toMatchObject({ reason: "link-down", partner: [] });
    for (const field of ["heard", "speed", "partnerSystem", "expires"])
      expect(field in (row.ports[0] ?? {})).toBe(false);
  });

  it("says who withholds, what was dropped, and how fast a link is", () => {
    const self = new Solo(FAST);
    self.plug("p1", { speed: 10_000_000_000, duplex: "full" });
    self.say("p1", { state: 0x0f });
    self.hear({ type: "mlag.hold", bundle: "agg1", hold: true, reason: "restore-delay" });
    self.receive("p1", new Uint8Array([1, 2, 3]));
    self.receive("p1", encodeMarker({ version: 1, kind: "information", port: 1, system: PEER, transaction: 7 }));
    expect(portOf(self, "p1")).toMatchObject({
      ...{ speed: 10_000_000_000, reason: "hold", cause: "restore-delay", drops: { length: 1 } },
      counters: { received: 1, responses: 1 },
    });
  });

  it("does not change what it tells of", () => {
    const self = new Solo(FAST);
    self.agree("p1", "p2");
    const before = JSON.stringify(rowOf(self));
    expect(JSON.stringify(rowOf(self))).toBe(before);
  });
});

describe("how long a silent partner is believed", () => {
  // What it asks of us says how long it believes us, not how long we believe it.
  it.each([
    ["fast", 0x3d, 3],
    ["fast", 0x3f, 3],
    ["slow", 0x3d, 90],
    ["slow", 0x3f, 90],
  ])("rate %s, its state %i: %i s, and that is what happens", (rate, state, seconds) => {
    const self = beside({ state }, { ...FAST, rate });
    self.say("p1", { state });
    expect(rowOf(self).exposure).toBe(seconds);
    expect(portOf(self, "p1").expires).toBe(seconds);
    const heard = self.now;
    self.run(heard + seconds * S - 1);
    expect(portOf(self, "p1").reason).toBe("carrying");
    self.run(heard + seconds * S);
    expect(portOf(self, "p1")).toMatchObject({ reason: "silent", heard: seconds });
  });
});

describe("what the partner is likely to be", () => {
  it.each([
    ["Open vSwitch", { systemPriority: 65_534, portPriority: 65_535, key: 1 }],
    ["Open vSwitch", { systemPriority: 65_535, portPriority: 65_535, key: 1 }],
    ["Linux bonding", { systemPriority: 65_535, portPriority: 255, key: 15 }],
    ["teamd", { systemPriority: 65_535, portPriority: 255, key: 0 }],
    ["Cisco vPC", { systemPriority: 32_667, portPriority: 32_768, key: 32_790 }],
    ["a switch with the standard's defaults", { systemPriority: 32_768, portPriority: 32_768, key: 4 }],
    [undefined, { systemPriority: 100, portPriority: 65_535, key: 4 }],
    [undefined, { systemPriority: 65_535, portPriority: 255, key: 16 }],
  ])("%s", (kind, said) => {
    expect(rowOf(beside({ ...said, state: 0x3f })).partner?.likely).toBe(kind);
  });

  const quirks = (said: Saying, bundle?: object) => rowOf(beside(said, bundle)).partner?.quirks ?? [];

  it("Open vSwitch: no answer to markers, early frames", () => {
    const words = quirks({ systemPriority: 65_534, portPriority: 65_535, state: 0x3f }).join("\n");
    expect(words).toMatch(/does not answer markers.*wait 100ms/);
    expect(words).toContain("sends as soon as this end says SYNC");
    expect(words).not.toContain("slow");
  });

  it("of anybody: markers that were sent and not answered, until one is", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.agree("p2");
    expect(self.markers.length).toBeGreaterThan(0);
    expect(rowOf(self).partner?.quirks).toContainEqual(expect.stringMatching(/markers \(\d sent, none answered\)/));
    self.command({ verb: "priority", port: "p2", priority: 9 });
    const sent = self.markers.at(-1);
    if (sent === undefined) throw new Error("no marker");
    self.receive(sent.port, encodeMarker({ ...sent.pdu, kind: "response" }));
    self.say("p2", { state: 0x3f });
    expect(portOf(self, sent.port).counters.answered).toBe(1);
    expect(rowOf(self).partner?.quirks).toEqual(expect.not.arrayContaining([expect.stringContaining("markers")]));
  });

  it("slow at either end: who believes whom for 90 s", () => {
    expect(quirks({ state: 0x3d })).toContainEqual(
      expect.stringMatching(/asks for slow.*sends into the link for 90s$/),
    );
    expect(quirks({ state: 0x3f }, { ...FAST, rate: "slow" })).toContainEqual(
      expect.stringMatching(/is asked for slow .*believed for 90s; fast: 3s$/),
    );
  });

  it("a partner that is passive, one that does not aggregate, one that carries without SYNC", () => {
    expect(quirks({ state: 0x3e })).toContainEqual(expect.stringContaining("is passive"));
    expect(quirks({ state: 0x3b })).toContainEqual(expect.stringContaining("does not aggregate"));
    expect(quirks({ state: 0x37 })).toContainEqual(expect.stringContaining("without SYNC"));
  });
});

describe("what a drain waits for", () => {
  it("a bundle that carries, until its partner has stopped sending or 0.4 s are over", () => {
    const self = new Solo(FAST);
    expect(holds(self)).toEqual([]);
    self.agree("p1", "p2");
    self.run(self.now + S);
    expect(holds(self)).toEqual([["agg1", 1.4 * S]]);
    self.command({ verb: "drain" });
    const from = self.now;
    expect(rowOf(self)).toMatchObject({ draining: true, members: 0 });
    self.say("p1", { state: 0x07 });
    self.run(from + 400_000 - 1);
    // Its other link still takes what the partner sends.
    expect(holds(self)).toEqual([["agg1", 1.4 * S]]);
    self.run(from + 400_000);
    expect(holds(self)).toEqual([]);
  });

  it.each(["independent", "coupled"])(
    "%s: a partner that three LACPDUs were sent to is told a second later, and waited for",
    (control) => {
      const self = new Solo({ ...FAST, control });
      self.agree("p1");
      self.run(self.now + S);
      for (const rate of ["slow", "fast", "slow"]) self.command({ verb: "rate", rate });
      const from = self.now;
      const inSync = () => ((self.pdus("p1").at(-1)?.pdu.actor.state ?? 0) & 0x08) !== 0;
      self.command({ verb: "drain" });
      expect([inSync(), holds(self).length]).toEqual([true, 1]);
      self.run(from + S);
      expect(inSync()).toBe(false);
      self.say("p1", { state: 0x07 });
      expect(holds(self)).toEqual([]);
    },
  );
});

describe("in words", () => {
  const words = (self: Solo) => {
    const row = rowOf(self);
    return [status.cells(row).join(" | "), ...status.details(row)].join("\n");
  };

  it("a row has a cell for each column", () => {
    const self = new Solo(FAST);
    expect(status.cells(rowOf(self))).toHaveLength(status.columns.length);
    self.agree("p1", "p2");
    expect(status.cells(rowOf(self))).toHaveLength(status.columns.length);
  });

  it("says what carries, for whom, and what was said", () => {
    const self = beside({ state: 0x3f });
    const text = words(self);
    expect(text).toMatch(
      /^agg1 \| up \| member-joined \| \S+ \| 2 of 2 \| 02:00:00:00:00:aa \| 1 \| fast \| 02:00:00:00:00:bb key 15$/m,
    );
    expect(text).toContain("a partner that falls silent with carrier is believed for 3s");
    expect(text).toContain("partner 02:00:00:00:00:bb, priority 65535, key 15: by its defaults Linux bonding");
    expect(text).toMatch(/^p1: carrying for \S+, current, distributing, heard 1.0s ago, its port 1$/m);
    expect(text).toContain("says activity short-timeout aggregation in-sync collecting distributing; hears activity");
    expect(text).toMatch(/LACPDUs: \d+ sent, 5 received; markers: 0 sent, 0 answered, 0 answers given$/m);
  });

  it("says that it is stopped or drains, and whom a link hears that is another's", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.link("p2");
    self.say("p2", { system: OTHER, state: 0x3f });
    self.command({ verb: "drain" });
    expect(words(self)).toContain(`its partner is ${OTHER}, key 15`);
    expect(words(self)).toContain("draining; a partner");
    self.command({ verb: "stop" });
    expect(words(self)).toContain("stopped; draining; a partner");
  });
});
