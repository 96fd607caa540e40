/** Nodes in virtual time, and what is done to them. Links have their own tests. */
import { describe, expect, it } from "vitest";
import { Log } from "../../../src/core/log.ts";
import { instant, NEVER } from "../../../src/core/time.ts";
import type { WorldCommand } from "../../../src/host/sim/world.ts";
import { World } from "../../../src/host/sim/world.ts";
import { on, receiver, sender, type Wiring, worldOf } from "../../support/pair.ts";
import { numbered, type ProbeConfig, Recorder } from "../../support/probe.ts";

const CABLE = [{ id: "ab", ends: ["a", "b"], delay: 5_000 }];

/** a sends every millisecond, b takes it. */
function pair(more: Partial<Wiring> = {}) {
  const recorder = new Recorder(false);
  const world = worldOf({ nodes: { a: sender(1_000), b: receiver }, links: CABLE, readers: [recorder], ...more });
  world.start();
  return { world, recorder };
}

const ms = (n: number) => n * 1_000_000;
const frames = (world: World, node = "b") => on(world, node).words.filter((word) => word.startsWith("frame"));
const links = (world: World, node: string) => on(world, node).words.filter((word) => word.startsWith("link"));
const power = (verb: "power-off" | "power-on", node: string): WorldCommand => ({ verb, node });
const waiting = (name: string, alarm: number, step?: ProbeConfig["step"]): ProbeConfig => ({
  name,
  alarm,
  ...(step && { step }),
});

describe("time", () => {
  it("machines see whole microseconds, rounded down", () => {
    const { world } = pair({ links: [{ id: "ab", ends: ["a", "b"], delay: 1_999 }] });
    world.run(ms(2));
    expect(on(world, "b").inputs.filter(({ input }) => input.kind === "frame")).toMatchObject([
      { at: 1 },
      { at: 1_001 },
    ]);
    expect([world.now, world.instant]).toEqual([2_000_000, 2_000]);
  });

  it("an alarm rings at its microsecond exactly, and NEVER does not ring", () => {
    const world = worldOf({ nodes: { a: waiting("x", 1_234), b: waiting("y", NEVER) }, links: [] });
    world.start();
    world.run(1_233_999);
    expect(on(world, "a").words).toEqual(["command start"]);
    world.run(1_234_000);
    expect([on(world, "a").words, on(world, "a").times]).toEqual([
      ["command start", "timer"],
      [0, 1_234],
    ]);
    expect(world.peek()).toBe(Number.POSITIVE_INFINITY);
    expect(on(world, "b").words).toEqual(["command start"]);
  });

  it("an alarm in the past rings at once, and one for now again and again", () => {
    let left = 3;
    const again = waiting("x", 0, (state, input, now) => {
      if (input.kind === "command") state.alarm = instant(now - 10);
      else if (--left > 0) state.alarm = now;
      return undefined;
    });
    const world = worldOf({ nodes: { a: again }, links: [] });
    world.run(ms(5));
    world.start();
    world.run(ms(5));
    expect([on(world, "a").words, on(world, "a").times]).toEqual([
      ["command start", "timer", "timer", "timer"],
      [5_000, 5_000, 5_000, 5_000],
    ]);
  });

  it("an alarm that is moved earlier, later or away rings when it was last set for, once", () => {
    const moved = waiting("x", 5_000, (state, input) => {
      if (input.kind === "command" && input.command.verb !== "start") state.alarm = instant(Number(input.command.verb));
      return undefined;
    });
    const world = worldOf({ nodes: { a: moved }, links: [] });
    const set = (at: number, to: number) =>
      world.schedule(at, { verb: "command", node: "a", to: "x", command: { verb: String(to) } });
    set(ms(1), 3_000);
    set(ms(2), 9_000);
    set(ms(10), 20_000);
    set(ms(11), Number.POSITIVE_INFINITY);
    set(ms(30), 40_000);
    set(ms(31), 35_000);
    world.start();
    world.run(ms(100));
    expect(
      on(world, "a")
        .inputs.filter(({ input }) => input.kind === "timer")
        .map(({ at }) => at),
    ).toEqual([9_000, 35_000]);
  });

  it("does not go back: a run to an earlier time leaves it", () => {
    const { world } = pair();
    world.run(ms(3));
    world.run(ms(1));
    expect(world.now).toBe(ms(3));
  });

  it("runOne runs one event at a time, as run does all", () => {
    const stepped = pair().world;
    let events = 0;
    while (stepped.runOne(ms(3))) events++;
    const { world } = pair();
    world.run(ms(3));
    expect([events, stepped.events, stepped.frames]).toEqual([world.events, world.events, 3]);
    const seen = (one: World) => [on(one, "b").words, on(one, "b").times];
    expect(seen(stepped)).toEqual(seen(world));
    expect(stepped.runOne(ms(3))).toBe(false);
    expect(stepped.peek()).toBe(3_005_000);
  });

  it("events at one time happen in the order in which they were caused", () => {
    const order: string[] = [];
    const noting = (name: string): ProbeConfig => waiting(name, 1_000, () => void order.push(name));
    const world = worldOf({ nodes: { b: noting("b"), a: noting("a"), c: noting("c") }, links: [] });
    world.start();
    order.length = 0;
    world.run(ms(1));
    expect(order).toEqual(["b", "a", "c"]);
  });
});

describe("an endless loop without delay", () => {
  it("is an error that names the cause, not a program that hangs", { timeout: 120_000 }, () => {
    const hub: ProbeConfig = {
      name: "hub",
      uses: ["eth0", "eth1"],
      relay(state, port, frame, path) {
        path.down(state.env.port(port.name === "eth0" ? "eth1" : "eth0"), frame);
        return false;
      },
    };
    const world = worldOf({
      nodes: { a: hub, b: hub },
      links: [
        { id: "one", ends: ["a:eth0", "b:eth1"] },
        { id: "two", ends: ["a:eth1", "b:eth0"] },
      ],
    });
    world.start();
    world.end("a", "eth0")?.transmit(numbered(1));
    expect(() => world.run(ms(1))).toThrow("events happen at one time: is there a forwarding loop in the topology?");
  });
});

describe("the log", () => {
  it("has every order to the world under the node world, with its time", () => {
    const { world, recorder } = pair();
    const script: WorldCommand[] = [
      { verb: "cut", link: "ab" },
      { verb: "heal", link: "ab", side: "a:eth0" },
      { verb: "loss", link: "ab", ratio: { numerator: 1, denominator: 10 } },
      { verb: "delay", link: "ab", delay: 7_000 },
      { verb: "pause", node: "a" },
      { verb: "resume", node: "a" },
    ];
    for (const [i, command] of script.entries()) world.schedule(ms(i), command);
    world.run(ms(10));
    const orders = recorder.entries.filter(({ node }) => node === "world");
    expect(orders.map(({ at, way, what }) => [at, way, what.kind === "command" && what.command])).toEqual(
      script.map((command, i) => [i * 1_000, "in", command]),
    );
  });

  it("orders of one time are carried out in the order in which they were scheduled", () => {
    const { world } = pair();
    world.schedule(ms(2), { verb: "cut", link: "ab" });
    world.schedule(ms(1), { verb: "cut", link: "ab" });
    world.schedule(ms(2), { verb: "heal", link: "ab" });
    world.run(ms(3));
    expect(links(world, "b")).toEqual(["link eth0 up", "link eth0 down", "link eth0 up"]);
  });

  it("has node.on and node.off of every device", () => {
    const { world, recorder } = pair();
    world.command(power("power-off", "a"));
    world.command(power("power-off", "a"));
    world.command(power("power-on", "a"));
    world.command(power("power-on", "a"));
    expect([recorder.events("a"), recorder.events("b")]).toEqual([["node.on", "node.off", "node.on"], ["node.on"]]);
  });

  it("a command reaches the machines that it names, and those of a node without power hear nothing", () => {
    const { world } = pair();
    const drain: WorldCommand = { verb: "command", node: "b", to: "receiver", command: { verb: "drain" } };
    world.command(drain);
    world.command({ ...drain, to: "sender" });
    expect(on(world, "b").words).toEqual(["command start", "link eth0 up", "command drain"]);
    world.command(power("power-off", "b"));
    expect(() => world.command(drain)).not.toThrow();
    world.command(power("power-on", "b"));
    expect(on(world, "b").words).toEqual(["command start", "link eth0 up"]);
  });
});

describe("names that do not exist are programmers' errors", () => {
  const cases: [string, WorldCommand, string][] = [
    ["a link", { verb: "cut", link: "nope" }, "there is no link nope"],
    ["a node", { verb: "power-off", node: "nope" }, "there is no node nope"],
    ["a side", { verb: "cut", link: "ab", side: "a:eth7" }, "a:eth7 is no end of ab"],
    ["the node of a command", { verb: "command", node: "nope", to: "x", command: { verb: "y" } }, "there is no node"],
  ];
  it.each(cases)("%s", (_what, command, message) => {
    expect(() => pair().world.command(command)).toThrow(message);
  });

  it("and so are names that are taken, ports on two links and orders for the past", () => {
    const { world } = pair();
    const ends = [
      { node: "a", port: "eth0" },
      { node: "b", port: "eth9" },
    ];
    expect(() => world.addNode("a", () => {})).toThrow("taken");
    expect(() => world.addNode("world", () => {})).toThrow("taken");
    expect(() => world.addLink({ id: "ab" }, [])).toThrow("taken");
    expect(() => world.addLink({ id: "other" }, ends)).toThrow("a:eth0 is on two links");
    world.run(ms(2));
    expect(() => world.schedule(ms(1), { verb: "cut", link: "ab" })).toThrow("already");
    expect([world.node("nope"), world.end("nope", "eth0"), world.nodes()]).toEqual([undefined, undefined, ["a", "b"]]);
  });
});

describe("cables and carrier", () => {
  it("come up when both sides have power; each side hears it once", () => {
    const { world, recorder } = pair();
    expect([links(world, "a"), links(world, "b")]).toEqual([["link eth0 up"], ["link eth0 up"]]);
    const ups = recorder.entries.filter(({ what }) => what.kind === "link");
    expect(ups.map(({ node, way }) => [node, way])).toEqual([
      ["b", "in"],
      ["a", "in"],
    ]);
  });

  it("a cut takes the carrier on both sides, healing gives it back, and the same again is nothing", () => {
    const { world } = pair();
    for (const verb of ["cut", "cut", "heal", "heal"] as const) world.command({ verb, link: "ab" });
    const seen = ["link eth0 up", "link eth0 down", "link eth0 up"];
    expect([links(world, "a"), links(world, "b")]).toEqual([seen, seen]);
  });

  it("a cut of one side keeps the carrier on both: a broken fibre, not a missing one", () => {
    const { world } = pair();
    world.run(ms(1) - 1);
    world.command({ verb: "cut", link: "ab", side: "a:eth0" });
    world.run(ms(3));
    world.command({ verb: "heal", link: "ab", side: "a:eth0" });
    world.run(ms(5) + 5_000);
    expect([links(world, "a"), links(world, "b")]).toEqual([["link eth0 up"], ["link eth0 up"]]);
    expect(frames(world)).toEqual(["frame eth0 0", "frame eth0 4", "frame eth0 5"]);
  });

  it("a segment has carrier as long as it is whole, whoever has power", () => {
    const world = worldOf({
      nodes: { a: receiver, b: receiver, c: receiver },
      links: [{ id: "lan", ends: ["a", "b", "c"] }],
    });
    world.start();
    world.command(power("power-off", "b"));
    expect(links(world, "a")).toEqual(["link eth0 up"]);
    world.command({ verb: "cut", link: "lan" });
    world.command(power("power-on", "b"));
    world.command({ verb: "heal", link: "lan" });
    expect([links(world, "a"), links(world, "b"), links(world, "c")]).toEqual([
      ["link eth0 up", "link eth0 down", "link eth0 up"],
      ["link eth0 up"],
      ["link eth0 up", "link eth0 down", "link eth0 up"],
    ]);
  });
});

it("a world without nodes and links is a world", () => {
  const world = new World({ seed: 1, log: new Log() });
  world.start();
  world.run(ms(1));
  expect([world.now, world.events, world.frames, world.peek()]).toEqual([ms(1), 0, 0, Number.POSITIVE_INFINITY]);
});
