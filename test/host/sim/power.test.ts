/** Devices that lose power, and devices that stand still. */
import { describe, expect, it } from "vitest";
import { instant, NEVER } from "../../../src/core/time.ts";
import type { World, WorldCommand } from "../../../src/host/sim/world.ts";
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

describe("power", () => {
  it("off: the far side of a cable loses the carrier, and what is under way is lost both ways", () => {
    const { world } = pair({ links: [{ id: "ab", ends: ["a", "b"], delay: 400_000 }] });
    world.end("b", "eth0")?.transmit(numbered(7));
    world.run(300_000);
    world.command(power("power-off", "a"));
    world.run(ms(10));
    expect([world.node("a"), links(world, "b"), frames(world)]).toEqual([
      undefined,
      ["link eth0 up", "link eth0 down"],
      [],
    ]);
    expect([world.end("a", "eth0")?.drops.cut, world.end("b", "eth0")?.drops.cut]).toEqual([1, 1]);
  });

  it("on again: a new device that remembers nothing, with the same name, addresses and links", () => {
    const { world } = pair();
    const before = world.node("a");
    const mac = before?.mac(before.port("eth0"));
    world.run(ms(2) + 500_000);
    expect(frames(world)).toEqual(["frame eth0 0", "frame eth0 1", "frame eth0 2"]);
    world.command(power("power-off", "a"));
    world.run(ms(10));
    world.command(power("power-on", "a"));
    world.run(ms(11) + 500_000);
    const node = world.node("a");
    expect(node).not.toBe(before);
    expect(node?.mac(node.port("eth0"))).toBe(mac);
    expect(frames(world).slice(3)).toEqual(["frame eth0 0", "frame eth0 1"]);
    expect(on(world, "a").words.slice(0, 2)).toEqual(["command start", "link eth0 up"]);
    expect(links(world, "b")).toEqual(["link eth0 up", "link eth0 down", "link eth0 up"]);
  });

  it("off: its timers do not ring, also not in the device that comes after it", () => {
    const world = worldOf({ nodes: { a: waiting("x", 5_000) }, links: [] });
    world.start();
    world.run(ms(1));
    world.command(power("power-off", "a"));
    world.run(ms(4));
    world.command(power("power-on", "a"));
    on(world, "a").alarm = NEVER;
    world.command({ verb: "command", node: "a", to: "x", command: { verb: "look" } });
    world.run(ms(20));
    expect(on(world, "a").words).toEqual(["command start", "command look"]);
  });

  it("on: an alarm that was set before and one that is set after ring each in their own device", () => {
    const late = waiting("x", 0, (state, input, now) => {
      if (input.kind === "command") state.alarm = instant(now + 5_000);
      return undefined;
    });
    const world = worldOf({ nodes: { a: late }, links: [] });
    world.start();
    world.run(ms(3));
    world.command(power("power-off", "a"));
    world.command(power("power-on", "a"));
    world.run(ms(20));
    expect(on(world, "a").times).toEqual([3_000, 8_000]);
  });

  it("a cut link stays cut over power off and on", () => {
    const { world } = pair();
    world.command({ verb: "cut", link: "ab" });
    world.command(power("power-off", "a"));
    world.command(power("power-on", "a"));
    expect(links(world, "a")).toEqual([]);
    world.command({ verb: "heal", link: "ab" });
    expect([links(world, "a"), links(world, "b")]).toEqual([
      ["link eth0 up"],
      ["link eth0 up", "link eth0 down", "link eth0 up"],
    ]);
  });

  it("addresses are readable and every port has its own; the node itself has another", () => {
    const { world } = pair();
    const node = world.node("b");
    expect([node?.mac(node.port("eth0")), node?.mac(node.port("vlan10"))]).toEqual([
      "02:00:00:02:00:01",
      "02:00:00:02:00:00",
    ]);
  });
});

describe("a node that stands still", () => {
  it("keeps what arrives and takes it when it goes on, at the time of that", () => {
    const { world } = pair();
    world.run(ms(1) + 500_000);
    world.command({ verb: "pause", node: "b" });
    world.run(ms(4) + 500_000);
    expect(frames(world).length).toBe(2);
    world.command({ verb: "resume", node: "b" });
    expect(
      on(world, "b")
        .inputs.slice(-3)
        .map(({ at }) => at),
    ).toEqual([4_500, 4_500, 4_500]);
    world.run(ms(5) + 500_000);
    expect(frames(world)).toEqual([0, 1, 2, 3, 4, 5].map((number) => `frame eth0 ${number}`));
    expect(links(world, "b")).toEqual(["link eth0 up"]);
  });

  it("keeps 1024 frames; more are dropped as paused, stamped with the time at which they are", () => {
    const facts = new Recorder(true);
    const { world } = pair({ nodes: { a: sender(1), b: receiver }, readers: [facts] });
    world.command({ verb: "pause", node: "b" });
    world.run(1_033_999);
    const node = world.node("b");
    expect([...(node?.drops ?? [])]).toEqual([["paused", 5]]);
    const drops = facts.entries.filter(({ what }) => what.kind === "event" && what.event.type === "drop");
    expect(drops.map(({ at }) => at)).toEqual([1_029, 1_030, 1_031, 1_032, 1_033]);
    world.command({ verb: "resume", node: "b" });
    expect(frames(world).length).toBe(1_024);
    expect(frames(world).at(-1)).toBe("frame eth0 1023");
    expect(world.end("b", "eth0")?.received).toBe(1_024);
  });

  it("sees to timers that ran out first, then to links, then to frames, then to orders", () => {
    const { world } = pair({ nodes: { a: sender(1_000), b: { ...receiver, alarm: 3_000 } } });
    world.run(ms(1) + 500_000);
    world.command({ verb: "pause", node: "b" });
    world.run(ms(2) + 500_000);
    world.command({ verb: "command", node: "b", to: "*", command: { verb: "drain" } });
    world.run(ms(5) + 500_000);
    world.command({ verb: "cut", link: "ab" });
    expect(on(world, "b").words.length).toBe(4);
    world.command({ verb: "resume", node: "b" });
    expect(on(world, "b").words.slice(4)).toEqual([
      "timer",
      "link eth0 down",
      "frame eth0 2",
      "frame eth0 3",
      "frame eth0 4",
      "frame eth0 5",
      "command drain",
    ]);
  });

  it("does not notice a link that was cut and healed meanwhile", () => {
    const { world } = pair();
    world.command({ verb: "pause", node: "b" });
    world.command({ verb: "cut", link: "ab" });
    world.command({ verb: "heal", link: "ab" });
    world.command({ verb: "resume", node: "b" });
    expect([links(world, "b"), links(world, "a")]).toEqual([
      ["link eth0 up"],
      ["link eth0 up", "link eth0 down", "link eth0 up"],
    ]);
  });

  it("keeps its carrier: the far side does not notice", () => {
    const { world } = pair();
    world.command({ verb: "pause", node: "a" });
    world.run(ms(5));
    expect([links(world, "b"), frames(world)]).toEqual([["link eth0 up"], []]);
  });

  it("a timer that is not due when it goes on rings at its time", () => {
    const world = worldOf({ nodes: { a: waiting("x", 5_000) }, links: [] });
    world.start();
    world.command({ verb: "pause", node: "a" });
    world.run(ms(2));
    world.command({ verb: "resume", node: "a" });
    world.run(ms(10));
    expect(on(world, "a").times).toEqual([0, 5_000]);
  });

  it("a timer that is late rings once, and the next one is counted from then", () => {
    const { world } = pair();
    world.run(500_000);
    world.command({ verb: "pause", node: "a" });
    world.run(ms(5) + 500_000);
    world.command({ verb: "resume", node: "a" });
    world.run(ms(7));
    expect(
      on(world, "a")
        .inputs.filter(({ input }) => input.kind === "timer")
        .map(({ at }) => at),
    ).toEqual([0, 5_500, 6_500]);
  });

  it("pausing twice is pausing once, and resuming what runs is nothing", () => {
    const { world } = pair();
    world.command({ verb: "resume", node: "b" });
    world.command({ verb: "pause", node: "b" });
    world.run(ms(1) + 500_000);
    world.command({ verb: "pause", node: "b" });
    world.command({ verb: "resume", node: "b" });
    expect(frames(world)).toEqual(["frame eth0 0", "frame eth0 1"]);
  });

  it("forgets what it kept when it loses power, and runs when it is switched on again", () => {
    const { world } = pair();
    world.command({ verb: "pause", node: "b" });
    world.run(ms(1) + 500_000);
    world.command(power("power-off", "b"));
    world.command({ verb: "resume", node: "b" });
    world.command(power("power-on", "b"));
    world.run(ms(2) + 500_000);
    expect(frames(world)).toEqual(["frame eth0 2"]);
  });
});
