/** What the kernel's bridge is told: its ports, and stations that it has not heard itself. */
import { describe, expect, test } from "vitest";
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import { drivenBy, driver, kernel, unable } from "../../../protocols/bridge/driver.ts";
import type { Mac } from "../../../src/core/addr.ts";
import type { Env, Output } from "../../../src/core/machine.ts";
import { type Instant, instant, NEVER } from "../../../src/core/time.ts";

const STATION = "02:00:00:00:00:99" as Mac;
const OTHER = "02:00:00:00:00:98" as Mac;
/** agg1 has two links, agg2 one; host and peer are interfaces themselves. */
const NODE = {
  node: "sw1",
  lacp: [
    { name: "agg1", members: [{ port: "p1" }, { port: "p2" }] },
    { name: "agg2", members: [{ port: "q1" }] },
  ],
};

class Bench {
  now: Instant = instant(0);
  private readonly config;
  private readonly state;

  constructor(table = 16_384) {
    const ports: string[] = [];
    const env: Env = {
      node: "sw1",
      port: (name: string) => {
        if (!ports.includes(name)) ports.push(name);
        return { name, index: ports.indexOf(name) };
      },
      mac: () => "02:00:00:00:00:01" as Mac,
    } as unknown as Env;
    this.config = drivenBy(bridgeSchema.parse({ ports: ["agg1", "agg2", "host", "peer"], table }), NODE);
    this.state = driver.init(this.config, env);
  }

  command(verb: string): string[] {
    return this.take(driver.step(this.state, { kind: "command", to: "*", command: { verb } }, this.now));
  }

  start(): this {
    this.command("start");
    return this;
  }

  hear(event: object): string[] {
    return this.take(driver.step(this.state, { kind: "heard", event: event as never }, this.now));
  }

  link(name: string, up: boolean): string[] {
    const port = this.state.ports.get(name);
    if (port === undefined) throw new Error(name);
    return this.take(driver.step(this.state, { kind: "link", port, up }, this.now));
  }

  mux(port: string, bundle: string, mux: string): string[] {
    return this.hear({ type: "lacp.port", port, bundle, mux });
  }

  /** Both links of agg1 and the one of agg2 carry, all is up, and nobody has said anything yet. */
  static carrying(table?: number): Bench {
    const bench = new Bench(table).start();
    for (const name of ["host", "peer"]) bench.link(name, true);
    for (const port of ["p1", "p2"]) bench.mux(port, "agg1", "distributing");
    bench.mux("q1", "agg2", "distributing");
    for (const name of ["agg1", "agg2"]) bench.link(name, true);
    return bench;
  }

  wait(ms: number): string[] {
    const until = instant(this.now + ms * 1_000);
    const said: string[] = [];
    for (let due = driver.deadline(this.state); due !== NEVER && due <= until; due = driver.deadline(this.state)) {
      this.now = due;
      said.push(...this.take(driver.step(this.state, { kind: "timer" }, this.now)));
    }
    this.now = until;
    return said;
  }

  heard(port: string, mac: Mac = STATION, present = true): string[] {
    return this.hear({ type: "kernel.station", port, mac, present, given: false });
  }

  peerSays(port: string, present = true, mac: Mac = STATION): string[] {
    return this.hear({ type: "mlag.mac", vlan: 1, mac, port, present });
  }

  private take(outputs: readonly Output[]): string[] {
    return (outputs as unknown as readonly Record<string, Record<string, unknown>>[]).map(words);
  }
}

function words(output: Record<string, Record<string, unknown>>): string {
  const { event, change } = output;
  if (event !== undefined) {
    const { type, port, origin, reason } = event;
    return [type, port, origin, reason].filter((one) => one !== undefined).join(" ");
  }
  const { type, port, from, to, apart, ages, present } = change ?? {};
  if (type === "bridge.apart") return `apart ${from} ${to} ${apart}`;
  if (type === "bridge.station")
    return present === true ? `give ${port}${ages === true ? " ageing" : ""}` : `take ${port}`;
  const on = ["collects", "distributes", "floods", "learns"].filter((key) => change?.[key] === true);
  return `port ${port}: ${present === true ? on.join(" ") : "absent"}`;
}

describe("ports", () => {
  test("an interface passes everything from the start, a link of a bundle nothing", () => {
    const bench = new Bench();
    expect(bench.mux("p1", "agg1", "waiting")).toEqual([]);
    const started = bench.command("start");
    expect(started).toContain("port host: collects distributes floods learns");
    expect(started).toContain("port p1: learns");
  });

  test.each([
    ["detached", "learns"],
    ["waiting", "learns"],
    ["attached", "learns"],
    ["collecting", "collects learns"],
    ["distributing", "collects distributes floods learns"],
    ["collecting-distributing", "collects distributes floods learns"],
  ])("IEEE 802.1AX §6.4.15: in %s a link has: %s", (mux, has) => {
    const bench = new Bench().start();
    bench.mux("p1", "agg1", mux === "detached" ? "waiting" : "detached");
    const said = bench.mux("p1", "agg1", mux);
    // What it is from the start is not said again.
    expect(said).toEqual(has === "learns" ? [] : [`port p1: ${has}`]);
  });

  test("one link of a bundle has the floods; the next has them when it goes, and at no time both", () => {
    const bench = Bench.carrying();
    expect(bench.mux("p1", "agg1", "detached")).toEqual([
      "port p1: learns",
      "port p2: collects distributes floods learns",
    ]);
    // Who has them keeps them.
    expect(bench.mux("p1", "agg1", "distributing")).toEqual(["port p1: collects distributes learns"]);
  });

  test("what M-LAG keeps out of service passes nothing, where it says so nothing is learned", () => {
    const bench = Bench.carrying();
    expect(bench.hear({ type: "mlag.orphan", port: "host", suspended: true })).toEqual(["port host: learns"]);
    expect(bench.hear({ type: "mlag.learning", port: "peer", learning: false })).toEqual([
      "port peer: collects distributes floods",
    ]);
    expect(bench.hear({ type: "mlag.vlans", port: "agg2", excluded: [1] })).toEqual(["port q1: learns"]);
    expect(bench.hear({ type: "mlag.vlans", port: "agg2", excluded: [] })).toEqual([
      "port q1: collects distributes floods learns",
    ]);
  });

  test("isolation is about each link of a bundle", () => {
    const bench = Bench.carrying();
    const isolate = { type: "mlag.isolate", from: "peer", to: "agg1" };
    expect(bench.hear({ ...isolate, isolated: true, only: "floods" })).toEqual([
      "apart peer p1 floods",
      "apart peer p2 floods",
    ]);
    expect(bench.hear({ ...isolate, isolated: true })).toEqual(["apart peer p1 all", "apart peer p2 all"]);
    expect(bench.hear({ ...isolate, isolated: false })).toEqual(["apart peer p1 none", "apart peer p2 none"]);
  });

  test("the host is told beforehand of every port, and that nothing passes yet", () => {
    const wishes = kernel.prepares(bridgeSchema.parse({ ports: ["agg1", "host"] }), NODE);
    const nothing = { bridge: "vlan1", collects: false, distributes: false, floods: false, present: false };
    expect(wishes).toEqual([
      { type: "bridge.port", port: "p1", bundle: "agg1", learns: true, ...nothing },
      { type: "bridge.port", port: "p2", bundle: "agg1", learns: true, ...nothing },
      { type: "bridge.port", port: "host", learns: true, ...nothing },
    ]);
    expect(wishes.map((wish) => kernel.key(wish))).toEqual(["bridge p1", "bridge p2", "bridge host"]);
  });

  test("a file with more than one VLAN, or with tags, is refused on real interfaces", () => {
    const config = bridgeSchema.parse({ ports: ["a"], vlans: { 10: { tagged: ["b"] }, 20: { untagged: ["c"] } } });
    expect(unable(config).map(({ path }) => path.join("."))).toEqual(expect.arrayContaining(["vlans.10.tagged"]));
    expect(unable(config).length).toBeGreaterThan(1);
    expect(unable(bridgeSchema.parse({ ports: ["a"] }))).toEqual([]);
  });
});

describe("stations", () => {
  test("what the kernel hears is told, once for each port", () => {
    const bench = Bench.carrying();
    expect(bench.heard("p1")).toEqual(["mac.learned agg1 local"]);
    expect(bench.heard("p2")).toEqual([]);
    expect(bench.heard("host")).toEqual(["mac.moved host local"]);
    expect(bench.heard("unknown")).toEqual([]);
  });

  test("what it has lost for a moment is still there; what it does not find again has aged", () => {
    const bench = Bench.carrying();
    bench.heard("p1");
    expect(bench.heard("p1", STATION, false)).toEqual([]);
    expect(bench.wait(50)).toEqual([]);
    expect(bench.heard("p2")).toEqual([]);
    expect(bench.wait(500)).toEqual([]);
    bench.heard("p2", STATION, false);
    expect(bench.wait(100)).toEqual(["mac.aged agg1 local ageing"]);
  });

  test("what the peer has heard the kernel is given; taken back it is gone", () => {
    const bench = Bench.carrying();
    expect(bench.peerSays("agg1")).toEqual(["give p1", "mac.learned agg1 peer"]);
    expect(bench.peerSays("peer", true, OTHER)).toEqual(["give peer", "mac.learned peer peer"]);
    expect(bench.peerSays("agg1", false)).toEqual(["take p1", "mac.aged agg1 peer peer-aged"]);
  });

  test("M14: it is forgotten when both have not heard it for the ageing time", () => {
    const bench = Bench.carrying();
    bench.heard("p1");
    expect(bench.peerSays("agg1")).toEqual(["mac.learned agg1 peer"]);
    bench.heard("p1", STATION, false);
    expect(bench.wait(100)).toEqual(["mac.aged agg1 local ageing", "give p1"]);
    expect(bench.peerSays("agg1", false)).toEqual(["take p1", "mac.aged agg1 peer peer-aged"]);
  });

  test("with the half of an M-LAG its stations are behind the peer link, and afterwards where they were", () => {
    const bench = Bench.carrying();
    bench.heard("q1");
    bench.hear({ type: "mlag.redirect", port: "agg2", via: "peer" });
    // As the kernel has it: the table first, then the link.
    bench.heard("q1", STATION, false);
    expect(bench.mux("q1", "agg2", "detached")).toEqual(["port q1: learns", "give peer ageing"]);
    expect([...bench.link("agg2", false), ...bench.wait(1_000)]).toEqual([]);
    bench.mux("q1", "agg2", "distributing");
    expect(bench.link("agg2", true)).toEqual(["give q1 ageing"]);
    // The kernel tells what it was given, too.
    expect(bench.heard("q1")).toEqual([]);
    expect(bench.wait(1_000)).toEqual([]);
  });

  test("without the peer a port that is down has no stations", () => {
    const bench = Bench.carrying();
    bench.heard("q1");
    bench.heard("q1", STATION, false);
    bench.mux("q1", "agg2", "detached");
    expect(bench.link("agg2", false)).toEqual(["mac.aged agg2 local link-down"]);
    expect(bench.wait(1_000)).toEqual([]);
  });

  test("when the peer is gone, what only it had is this switch's own; behind a port that is down there is nobody", () => {
    const bench = Bench.carrying();
    bench.peerSays("agg1");
    bench.peerSays("peer", true, OTHER);
    bench.link("peer", false);
    expect(bench.hear({ type: "mlag.adopt" })).toEqual(["mac.learned agg1 local", "give p1 ageing"]);
  });

  test("a station that moves to where the peer has heard it is no longer this switch's", () => {
    const bench = Bench.carrying();
    bench.heard("host");
    expect(bench.peerSays("peer")).toEqual(["give peer", "mac.moved peer peer"]);
    expect(bench.heard("host")).toEqual(["mac.moved host local"]);
  });

  test("another link of the bundle takes what was given over", () => {
    const bench = Bench.carrying();
    bench.peerSays("agg1");
    expect(bench.mux("p1", "agg1", "detached")).toContain("give p2");
  });

  test("beyond the size of the table nothing is learned, and nothing is given", () => {
    const bench = Bench.carrying(16);
    const macs = Array.from({ length: 40 }, (_, i) => `02:00:00:00:01:${i.toString(16).padStart(2, "0")}` as Mac);
    expect(macs.flatMap((mac) => bench.heard("host", mac))).toHaveLength(16);
    expect(bench.peerSays("peer")).toEqual([]);
  });
});
