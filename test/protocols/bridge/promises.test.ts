/** Where stations are, as views and labs have it; and that no frame circles. */
import { describe, expect, it } from "vitest";
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import { expect as expectable } from "../../../protocols/bridge/expect.ts";
import { invariants } from "../../../protocols/bridge/invariants.ts";
import { type LoopWatch, newLoopWatch, noteMove } from "../../../protocols/bridge/loops.ts";
import { stationTable, describe as words } from "../../../protocols/bridge/view.ts";
import { Frame } from "../../../src/core/frame.ts";
import type { Entry } from "../../../src/core/log.ts";
import type { Event, Path, Port } from "../../../src/core/machine.ts";
import { instant } from "../../../src/core/time.ts";
import { breaches, done, named, said } from "../../support/entries.ts";
import { problemsOf, runLab } from "../../support/lab.ts";
import { mac as mac48 } from "../../support/probe.ts";
import { A, ethernet } from "./bench.ts";

const MAC = "02:00:00:03:00:00";
const ALL = "ff:ff:ff:ff:ff:ff";

function mac(type: "learned" | "moved" | "aged", port: string, origin = "local", node = "sw1"): Entry {
  return said(3, node, { type: `mac.${type}`, vlan: 10, mac: MAC, port, origin });
}

function rows(...log: readonly Entry[]): readonly string[] {
  const table = log.reduce((folded, entry) => stationTable.fold(folded, entry), stationTable.initial());
  return [...(table.get("sw1") ?? new Map()).values()].map(
    ({ port, local, peer }) => `${port}${local ? " local" : ""}${peer ? " peer" : ""}`,
  );
}

describe("the table", () => {
  it("has who said so, and loses a station when both have aged it (M39)", () => {
    expect(rows(mac("learned", "p1"))).toEqual(["p1 local"]);
    expect(rows(mac("learned", "p1"), mac("learned", "p1", "peer"))).toEqual(["p1 local peer"]);
    expect(rows(mac("learned", "p1"), mac("learned", "p1", "peer"), mac("aged", "p1"))).toEqual(["p1 peer"]);
    const both = [mac("learned", "p1"), mac("learned", "p1", "peer"), mac("aged", "p1", "peer")];
    expect(rows(...both)).toEqual(["p1 local"]);
    expect(rows(...both, mac("aged", "p1"))).toEqual([]);
    expect(rows(mac("aged", "p1"))).toEqual([]);
  });

  it("a station that moves is had only by who says so", () => {
    expect(rows(mac("learned", "p1"), mac("learned", "p1", "peer"), mac("moved", "p2"))).toEqual(["p2 local"]);
    expect(rows(mac("learned", "p1"), mac("moved", "peer", "peer"))).toEqual(["peer peer"]);
  });

  it("what only the peer had is forgotten with it, and so is all without power", () => {
    const adopted = said(4, "sw1", { type: "mlag.adopt" });
    expect(rows(mac("learned", "p1", "peer"), adopted)).toEqual([]);
    expect(rows(mac("learned", "p1"), mac("learned", "p1", "peer"), adopted)).toEqual(["p1 local"]);
    expect(rows(mac("learned", "p1"), done(5, { verb: "power-off", node: "sw1" }))).toEqual([]);
    expect(rows(mac("learned", "p1"), done(5, { verb: "power-off", node: "sw2" }))).toEqual(["p1 local"]);
  });
});

describe("expectations", () => {
  const view = [mac("learned", "p1"), mac("learned", "p1", "peer", "sw2")].reduce(
    (folded, entry) => expectable.view.fold(folded, entry),
    expectable.view.initial(),
  );
  const judge = (fields: object, node = "sw1") =>
    expectable.judge(view, { node, subject: 10, fields: { mac: MAC, ...fields } });

  it.each([
    [{ port: "p1" }, true],
    [{ port: "p2" }, false],
    [{ port: "p1", origin: "local" }, true],
    [{ port: "p1", origin: "both" }, false],
    [{ known: true }, true],
    [{ known: false }, false],
    [{ mac: "02:00:00:04:00:00", known: false }, true],
    [{ mac: "02:00:00:04:00:00", port: "p1" }, false],
    [{ mac: "02:00:00:04:00:00", port: "p1", known: false }, false],
  ])("%j: %s", (fields, ok) => {
    expect(judge(fields).ok).toBe(ok);
  });

  it("say where it is, and who has it", () => {
    expect(judge({ port: "p2" }).detail).toBe("it is behind p1, heard here");
    expect(judge({ origin: "peer" }, "sw2")).toEqual({ ok: true, detail: "it is behind p1, told by the M-LAG peer" });
    expect(judge({ port: "p2" }, "sw9").detail).toBe("it is not in the table");
  });

  it("are refused for what the switch does not have", () => {
    const node = { node: "sw1", bridge: bridgeSchema.parse({ ports: ["p1", "p2"] }) };
    const check = (subject: number, fields: object) =>
      expectable.check?.({ node: "sw1", subject, fields: { ...fields } }, [node, { node: "host" }]) ?? [];
    expect(check(1, { mac: MAC, port: "p1" })).toEqual([]);
    expect(check(1, { mac: MAC, port: "vlan1" })).toEqual([]);
    expect(check(1, { mac: MAC, port: "p11" })).toEqual([
      { path: ["port"], message: 'found p11, allowed: a port of VLAN 1 (p1, p2, vlan1) (did you mean "p1"?)' },
    ]);
    expect(check(2, { mac: MAC })).toEqual([{ path: ["bridge"], message: "found 2, allowed: a VLAN of sw1 (1)" }]);
    expect(check(1, { port: "p1" }).map(({ message }) => message)).toEqual([
      "found no station, allowed: `mac` with its address",
    ]);
    const [foreign] = expectable.check?.({ node: "host", subject: 1, fields: {} }, [node, { node: "host" }]) ?? [];
    expect(foreign?.message).toBe("found host, allowed: a node with a bridge");
  });
});

describe("no-loop", () => {
  const promise = named(invariants([{ node: "sw1", bridge: {} }]), "no-loop");
  const back = { vlan: 10, mac: MAC, port: "p1" };

  it("is broken by a frame that comes back, once the network has settled", () => {
    expect(breaches(promise, 9, said(0.9, "sw1", { type: "bridge.loop", ...back }))).toEqual([]);
    expect(breaches(promise, 9, said(3, "sw1", { type: "bridge.loop", ...back }))).toEqual([
      `3..3: a frame of ${MAC} in VLAN 10 came to sw1 again, by p1`,
    ]);
    expect(breaches(promise, 9, said(3, "sw1", { type: "bridge.returned", ...back }))).toEqual([
      `3..3: a frame that sw1 sent as ${MAC} in VLAN 10 came back to it by p1`,
    ]);
    expect(breaches(promise, 9, said(3, "h", { type: "ip.returned", port: "bond0", mac: MAC }))).toEqual([
      `3..3: a frame that h sent as ${MAC} came back to it by bond0`,
    ]);
    expect(breaches(promise, 9, mac("moved", "p2"), mac("moved", "p1"))).toEqual([]);
  });

  it("is for labs with a bridge", () => {
    expect(invariants([{ node: "host" }])).toEqual([]);
  });

  it("every fact of a frame that circles has words", () => {
    expect(words({ type: "bridge.loop", ...back } as never)).toMatch(/circles: it came in by p1 again/);
    expect(words({ type: "bridge.returned", ...back } as never)).toMatch(/has come back by p1/);
    expect(words({ type: "ip.returned" })).toBeUndefined();
  });
});

describe("a frame that circles", () => {
  const port: Port = { name: "p1", index: 0 };
  const lines: string[] = [];
  const path = { say: ({ type }: Event) => lines.push(type) } as unknown as Path;
  const move = (loops: LoopWatch, frame: Frame, at: number) => {
    lines.length = 0;
    noteMove(loops, 10, port, frame, instant(at), path);
    return [...lines];
  };

  it("is one that moves its sender twice, whatever tags it has had since, and is said ten times a second at most", () => {
    const loops = newLoopWatch();
    const frame = Frame.of(ethernet(ALL, A).bytes);
    expect(move(loops, frame, 0)).toEqual([]);
    expect(move(loops, frame.tagged(10), 1_000)).toEqual(["bridge.loop"]);
    expect(move(loops, frame.tagged(10).tagged(20), 2_000)).toEqual([]);
    expect(move(loops, frame, 101_000)).toEqual(["bridge.loop"]);
  });

  it("is not the next one of the same sender, with the same octets", () => {
    const loops = newLoopWatch();
    expect(move(loops, Frame.of(ethernet(ALL, A).bytes), 0)).toEqual([]);
    expect(move(loops, Frame.of(ethernet(ALL, A).bytes), 1_000)).toEqual([]);
  });

  it.each(["00:00:5e:00:01:0a", "00:00:5e:00:02:0a"])(
    "RFC 9568 §7.3: is not the advert of %s, which is sent again and again",
    (virtual) => {
      const loops = newLoopWatch();
      const advert = Frame.of(ethernet(ALL, mac48(virtual)).bytes);
      expect([move(loops, advert, 0), move(loops, advert, 1_000_000)]).toEqual([[], []]);
    },
  );
});

/** Three switches in a ring, or in a row; a host on two of them. */
const ring = (third: string) => `
nodes:
  s1: { bridge: { ports: [h, a, b] }, interfaces: { vlan1: { addresses: [10.0.0.9/24] } } }
  s2: { bridge: { ports: [h, a, b] } }
  s3: { bridge: { ports: [a, b] } }
  h1: { interfaces: { eth0: { addresses: [10.0.0.1/24] } } }
  h2: { interfaces: { eth0: { addresses: [10.0.0.2/24] } } }
links:
  - { id: h1, ends: [h1:eth0, s1:h] }
  - { id: h2, ends: [h2:eth0, s2:h] }
  - { id: s12, ends: [s1:a, s2:b], delay: 100us, rate: 1Gbps }
  - { id: s23, ends: [s2:a, s3:b], delay: 100us, rate: 1Gbps }
  ${third}
traffic:
  - { id: web, from: h1, to: 10.0.0.2, rate: 10pps, size: 128, start: 2s, stop: 3s }
  - { id: own, from: s1, to: 10.0.0.2, rate: 10pps, size: 128, start: 2s, stop: 3s }
`;

describe("in a lab", () => {
  it("a ring of switches breaks no-loop: frames circle and come back to who sent them", () => {
    const { result, log } = runLab(ring("- { id: s31, ends: [s3:a, s1:b], delay: 100us, rate: 1Gbps }"));
    expect(result.ok).toBe(false);
    expect(result.violations.map(({ name }) => name)).toContain("no-loop");
    const types = new Set(log.map(({ what }) => (what.kind === "event" ? what.event.type : "")));
    expect([...types]).toEqual(expect.arrayContaining(["bridge.loop", "bridge.returned", "ip.returned"]));
    // Thousands of frames circle for five seconds; three switches and two hosts say so ten times a second at most.
    const facts = log.filter(({ what }) => what.kind === "event" && /loop|returned/.test(what.event.type));
    expect(facts.length).toBeGreaterThan(20);
    expect(facts.length).toBeLessThanOrEqual(5 * 2 * 10 * 8);
  });

  it("the same switches in a row keep it, and each knows where the hosts are", () => {
    const expected = `
expect:
  - { at: 3s, node: s1, bridge: 1, mac: 02:00:00:04:00:01, port: h, origin: local }
  - { at: 3s, node: s2, bridge: 1, mac: 02:00:00:04:00:01, port: b }
  - { at: 3s, node: s2, bridge: 1, mac: 02:00:00:77:00:01, known: false }
`;
    const { result, log } = runLab(ring("") + expected);
    expect([result.violations, result.verdicts.filter(({ ok }) => !ok)]).toEqual([[], []]);
    expect(result.watched).toContain("no-loop");
    expect(log.filter(({ what }) => what.kind === "event" && /loop|returned/.test(what.event.type))).toEqual([]);
  });

  it("a lab that names a port that the VLAN does not have is refused", () => {
    const line = "expect: [{ at: 1s, node: s1, bridge: 1, mac: 02:00:00:04:00:01, port: q }]";
    expect(problemsOf(ring("") + line)).toEqual(["found q, allowed: a port of VLAN 1 (h, a, b, vlan1)"]);
  });
});
