/** What is said in this node's place should its process die, and what its links' interfaces have to do with it. */
import { describe, expect, it } from "vitest";
import { kernel as bridgeKernel } from "../../../protocols/bridge/driver.ts";
import { decodeLacpdu, STATE } from "../../../protocols/lacp/codec.ts";
import { kernel } from "../../../protocols/lacp/farewell.ts";
import { ms } from "../../../src/core/time.ts";
import type { Farewell } from "../../../src/node/protocol.ts";
import { OTHER, PEER, Solo } from "../../support/lacp.ts";

const S = 1_000_000;
const FAST = { name: "agg1", members: ["p1", "p2"], rate: "fast" };
const farewells = (self: Solo) => kernel.farewells(self.state as never);
const said = ({ frames }: Farewell) => decodeLacpdu((frames[0] ?? new Uint8Array()).subarray(14));
const source = (frame: Uint8Array | undefined) =>
  [...(frame ?? []).slice(6, 12)].map((octet) => octet.toString(16).padStart(2, "0")).join(":");

describe("a farewell", () => {
  it("is one LACPDU for each link that carries, without SYNC, COLLECTING and DISTRIBUTING", () => {
    const self = new Solo(FAST);
    self.links("p1", "p2");
    expect(farewells(self)).toEqual([]);
    self.agree("p1");
    const [one, ...others] = farewells(self);
    expect(others).toEqual([]);
    if (one === undefined) throw new Error("no farewell");
    expect(one).toMatchObject({ key: "bridge p1", port: "p1", packets: [], successor: [], within: ms(400) });
    const last = self.pdus("p1").at(-1)?.pdu;
    expect(said(one)).toEqual({
      ok: true,
      value: { ...last, actor: { ...last?.actor, state: STATE.activity | STATE.shortTimeout | STATE.aggregation } },
    });
    expect(one.frames[0]?.length).toBe(124);
    expect(source(one.frames[0])).toBe("02:00:00:00:01:01");
  });

  it("has the key of the wish that the bridge makes for that port", () => {
    const self = new Solo(FAST);
    self.agree("p1", "p2");
    const node = { node: "dut", lacp: [{ name: "agg1", members: [{ port: "p1" }, { port: "p2" }] }] };
    const config = { ports: ["agg1"], vlans: new Map([[1, { tagged: [], untagged: ["agg1"] }]]) };
    const wishes = bridgeKernel.prepares(config as never, node);
    expect(farewells(self).map(({ key }) => key)).toEqual(wishes.map((wish) => bridgeKernel.key(wish)));
    expect(wishes.map((wish) => kernel.key(wish))).toEqual(wishes.map((wish) => bridgeKernel.key(wish)));
  });

  it("is the same object while nothing in it has changed, and another one when something has", () => {
    const self = new Solo(FAST);
    self.agree("p1", "p2");
    const [one, two] = farewells(self);
    self.chat(["p1", "p2"], self.now + 5 * S);
    expect(farewells(self)[0]).toBe(one);
    self.command({ verb: "rate", rate: "slow" });
    expect(farewells(self)[0]).not.toBe(one);
    self.say("p2", { state: 0x3d });
    expect(farewells(self)[1]).not.toBe(two);
    self.link("p2", false);
    expect(farewells(self).map(({ port }) => port)).toEqual(["p1"]);
  });

  it("is there while a drained link still collects, and no longer", () => {
    const self = new Solo(FAST);
    self.agree("p1");
    self.command({ verb: "drain" });
    expect(farewells(self)).toHaveLength(1);
    self.run(self.now + 400_000);
    expect(farewells(self)).toEqual([]);
  });

  it("is not for a link that carries without a partner", () => {
    const self = new Solo({ ...FAST, fallback: { mode: "static", timeout: "1s" } });
    self.links("p1", "p2");
    self.run(5 * S);
    expect(self.reason("p1")).toBe("fallback");
    expect(farewells(self)).toEqual([]);
  });
});

describe("a link and its interface", () => {
  const news = (port: string, mac: string) => ({ type: "ip.addresses", port, mac, up: true, addresses: [] });

  it("sends from the address that its interface has now: LACPDUs, markers, farewells", () => {
    const self = new Solo(FAST);
    self.agree("p1", "p2");
    const sent = self.frames.length;
    self.hear(news("p1", OTHER));
    // The partner need not hear of it, and does not agree anew.
    expect(self.frames.length).toBe(sent);
    self.chat(["p1", "p2"], self.now + 3 * S);
    self.link("p2", false);
    const after = self.frames.slice(sent);
    const of = (port: string) => new Set(after.filter((one) => one.port === port).map(({ pdu }) => source(pdu)));
    expect([...of("p1")]).toEqual([OTHER]);
    expect([...of("p2")]).toEqual(["02:00:00:00:01:02"]);
    expect(source(farewells(self)[0]?.frames[0])).toBe(OTHER);
    expect(self.states("p1")).toBe("current distributing");
  });

  it("keeps its last address while the interface is gone, and takes no notice of other interfaces", () => {
    const self = new Solo(FAST);
    self.hear(news("p1", OTHER));
    self.hear(news("p1", "00:00:00:00:00:00"));
    self.hear(news("eth9", PEER));
    expect(self.port("p1").mac).toBe(OTHER);
    expect(self.bundle().system).not.toBe(OTHER);
  });

  it("gives a node without interfaces its system identifier when the first one comes", () => {
    const self = new Solo({ ...FAST, system: "00:00:00:00:00:00" });
    self.links("p1");
    self.hear(news("p1", OTHER));
    self.run(S);
    expect(self.pdus("p1").at(-1)?.pdu.actor.system).toBe(OTHER);
    self.hear(news("p2", PEER));
    expect(self.bundle().system).toBe(OTHER);
  });

  it("IEEE 802.1AX clause 1 · L42 · is no link of a bundle while it is half duplex, and says so to its partner", () => {
    const self = new Solo(FAST);
    self.plug("p1", { duplex: "full" });
    self.plug("p2", { duplex: "half" });
    self.chat(["p1", "p2"], 3 * S);
    expect([self.states("p1"), self.states("p2"), self.reason("p2")]).toEqual([
      "current distributing",
      "current detached",
      "half-duplex",
    ]);
    expect(self.pdus("p2").at(-1)?.pdu.actor.state).toBe(STATE.activity | STATE.shortTimeout);
    self.plug("p2", { duplex: "full" });
    self.chat(["p1", "p2"], self.now + 3 * S);
    expect(self.states("p2")).toBe("current distributing");
    // Whose duplex nobody knows is taken as it is: most virtual interfaces.
    self.plug("p2", {});
    self.chat(["p1", "p2"], self.now + 3 * S);
    expect(self.states("p2")).toBe("current distributing");
  });

  it("nobody waits for one that is half duplex, and it carries nothing without a partner either", () => {
    const self = new Solo({ ...FAST, fallback: { mode: "static", timeout: "4s" } });
    self.plug("p2", { duplex: "half" });
    self.plug("p1", { duplex: "full" });
    self.say("p1", { state: 0x0f, of: { state: 0x07 } });
    expect(self.states("p1")).toBe("current collecting");
    self.run(20 * S);
    expect([self.reason("p1"), self.reason("p2")]).toEqual(["fallback", "half-duplex"]);
  });
});
