/** Who is given what: frames, links, commands, and the ways through owned ports. */
import { describe, expect, it } from "vitest";
import type { Frame } from "../../src/core/frame.ts";
import type { Port } from "../../src/core/machine.ts";
import { instant } from "../../src/core/time.ts";
import { NodeBench as Bench } from "../support/node-bench.ts";
import { numbered, numberOf, type ProbeConfig, Recorder, stateOf } from "../support/probe.ts";

const all = () => true;

describe("dispatch", () => {
  it("asks the machines of a port in the order of the configuration; the first to claim a frame has it alone", () => {
    const asked: string[] = [];
    const machine = (name: string, port: string, wants: number): ProbeConfig => ({
      name,
      uses: [port],
      claims: (_port, frame) => {
        asked.push(name);
        return numberOf(frame) >= wants;
      },
    });
    const bench = new Bench([
      machine("b", "eth0", 2),
      { name: "no-claims", uses: ["eth0"] },
      machine("a", "eth0", 1),
      machine("c", "eth0", 0),
      machine("elsewhere", "eth1", 0),
    ]);
    bench.deliver("eth0", 2);
    bench.deliver("eth0", 1);
    expect(asked).toEqual(["b", "b", "a"]);
    expect(["b", "no-claims", "a", "c", "elsewhere"].map((name) => bench.words(name))).toEqual([
      ["frame eth0 2"],
      [],
      ["frame eth0 1"],
      [],
      [],
    ]);
  });

  it("every relay of a port is offered what nobody claims, and nothing else", () => {
    const relayed: string[] = [];
    const relay = (name: string): ProbeConfig => ({
      name,
      uses: ["eth0"],
      relay(_state, _port, frame) {
        relayed.push(`${name} ${numberOf(frame)}`);
        return false;
      },
    });
    const odd = (_port: Port, frame: Frame) => numberOf(frame) % 2 === 1;
    const bench = new Bench([relay("one"), { name: "claimer", uses: ["eth0"], claims: odd }, relay("two")]);
    bench.deliver("eth0", 1);
    bench.deliver("eth0", 2);
    expect(relayed).toEqual(["one 2", "two 2"]);
    expect(bench.words("claimer")).toEqual(["frame eth0 1"]);
  });

  it("a machine that names a port twice is offered a frame once", () => {
    const bench = new Bench([{ name: "a", uses: ["eth0", "eth0"], claims: all }]);
    bench.deliver("eth0", 1);
    expect(bench.words("a")).toEqual(["frame eth0 1"]);
  });

  it("a command goes to the machines of its name, or to all", () => {
    const bench = new Bench([{ name: "a" }, { name: "b" }, { name: "a" }]);
    bench.command("a", "drain");
    bench.command("*", "start");
    bench.command("nobody", "lost");
    expect(bench.node.machines.map((machine) => stateOf(machine).words)).toEqual([
      ["command drain", "command start"],
      ["command start"],
      ["command drain", "command start"],
    ]);
  });

  it("a change of a link reaches the machines of the port once; the same again is no change", () => {
    const bench = new Bench([{ name: "a", uses: ["eth0"] }]);
    for (const up of [false, true, true, false]) bench.link("eth0", up);
    expect(bench.words("a")).toEqual(["link eth0 up", "link eth0 down"]);
    expect(bench.node.isUp(bench.node.port("eth0"))).toBe(false);
  });

  it("what the host says is heard by those that asked for it", () => {
    const bench = new Bench([
      { name: "a", hears: ["host.address"] },
      { name: "b", hears: ["host.route"] },
    ]);
    bench.node.step({ kind: "heard", event: { type: "host.address" } }, instant(0));
    expect([bench.words("a"), bench.words("b")]).toEqual([["heard host.address"], []]);
  });

  it("ports of another node, and ports with two owners, are programmers' errors", () => {
    const bench = new Bench([{ name: "a", uses: ["eth0"] }]);
    const foreign: Port = { name: "eth0", index: 0 };
    expect(() => bench.node.isUp(foreign)).toThrow("eth0 is not one of sw1");
    expect(
      () =>
        new Bench([
          { name: "a", owns: ["vlan1"] },
          { name: "b", owns: ["vlan1"] },
        ]),
    ).toThrow("two owners");
  });
});

describe("owned ports", () => {
  const forward =
    (to: string): NonNullable<ProbeConfig["step"]> =>
    (state, input) =>
      input.kind === "frame" ? [state.send(to, input.frame)] : undefined;

  it("a send by the owner goes up to the users of the port", () => {
    const bench = new Bench([
      { name: "lacp", owns: ["agg1"], uses: ["p1"], claims: all, step: forward("agg1") },
      { name: "user", uses: ["agg1"], claims: all },
    ]);
    bench.deliver("p1", 3);
    expect(bench.words("user")).toEqual(["frame agg1 3"]);
    expect(bench.sent).toEqual([]);
  });

  it("a send by anybody else goes down to the owner, and from there to the wire", () => {
    const bench = new Bench([
      { name: "lacp", owns: ["agg1"], uses: ["p1"], claims: all, step: forward("p1") },
      { name: "user", uses: ["agg1"], step: (state) => [state.send("agg1", numbered(4))] },
    ]);
    bench.command("user", "go");
    expect(bench.words("lacp")).toEqual(["frame agg1 4"]);
    expect(bench.sent).toEqual(["p1 4"]);
  });

  it("are no wires, and are down until their owner says otherwise; its word reaches the users and the log", () => {
    const recorder = new Recorder(false);
    const bench = new Bench(
      [
        {
          name: "lacp",
          owns: ["agg1"],
          uses: ["p1"],
          step: (state, input) =>
            input.kind === "link" ? [{ kind: "link", port: state.env.port("agg1"), up: input.up }] : undefined,
        },
        { name: "user", uses: ["agg1"] },
      ],
      recorder,
    );
    expect(bench.node.wires()).toEqual(["p1"]);
    expect(bench.node.isUp(bench.node.port("agg1"))).toBe(false);
    bench.link("p1", true);
    bench.link("p1", false);
    expect(bench.words("user")).toEqual(["link agg1 up", "link agg1 down"]);
    expect(recorder.lines.filter((line) => line.includes("agg1"))).toEqual([
      '{"t":0,"node":"sw1","type":"link","port":"agg1","up":true}',
      '{"t":0,"node":"sw1","type":"link","port":"agg1","up":false}',
    ]);
  });

  it("only the owner says whether they are up", () => {
    const bench = new Bench([
      { name: "owner", owns: ["agg1"] },
      { name: "thief", step: (state) => [{ kind: "link", port: state.env.port("agg1"), up: true }] },
    ]);
    expect(() => bench.command("thief", "go")).toThrow("thief does not own agg1");
  });
});

describe("the data plane", () => {
  it("a relay that returns true has the frame handed to its step as well", () => {
    const bench = new Bench([{ name: "r", uses: ["eth0"], relay: (_s, _p, frame) => numberOf(frame) % 2 === 1 }]);
    for (const number of [1, 2, 3]) bench.deliver("eth0", number);
    expect(bench.words("r")).toEqual(["frame eth0 1", "frame eth0 3"]);
  });

  it("passes frames up, down and out, and counts those that go nowhere by their reason", () => {
    const bench = new Bench([
      {
        name: "bridge",
        owns: ["vlan1"],
        uses: ["p1", "p2", "loose"],
        relay(state, port, frame, path) {
          if (port.name === "vlan1") path.down(state.env.port("p1"), frame);
          else if (numberOf(frame) === 9) path.drop(port, "nine");
          else {
            path.up(state.env.port("vlan1"), frame);
            path.down(state.env.port("p2"), frame);
          }
          return false;
        },
      },
      {
        name: "host",
        uses: ["vlan1"],
        claims: all,
        step: (state, input) => (input.kind === "frame" ? [state.send("vlan1", numbered(100))] : undefined),
      },
    ]);
    for (const number of [1, 9, 2, 9]) bench.deliver("p1", number);
    expect(bench.words("host")).toEqual(["frame vlan1 1", "frame vlan1 2"]);
    expect(bench.sent).toEqual(["p1 100", "p2 1", "p1 100", "p2 2"]);
    expect([...bench.node.drops]).toEqual([["nine", 2]]);
  });

  it("a frame for a port without a wire is counted as no-link", () => {
    const bench = new Bench([{ name: "a", step: (state) => [state.send("nowhere", numbered(1))] }]);
    bench.command("a", "go");
    expect([...bench.node.drops]).toEqual([["no-link", 1]]);
  });

  it("what a relay says is heard as an event is: after the input, in order, and not by the speaker", () => {
    const order: string[] = [];
    const hearer = (name: string): ProbeConfig => ({
      name,
      hears: ["found"],
      step: (_s, input) => void (input.kind === "heard" && order.push(`${name} hears`)),
    });
    const bench = new Bench([
      {
        ...hearer("speaker"),
        uses: ["eth0"],
        relay(_s, _p, _f, path) {
          path.say({ type: "found" });
          order.push("relay is done");
          return false;
        },
      },
      hearer("one"),
      hearer("two"),
    ]);
    bench.deliver("eth0", 1);
    expect(order).toEqual(["relay is done", "one hears", "two hears"]);
  });

  it("a relay below a relay speaks for itself", () => {
    const bench = new Bench([
      {
        name: "above",
        uses: ["eth0"],
        hears: ["below.said", "above.said"],
        relay(state, _p, frame, path) {
          path.down(state.env.port("agg1"), frame);
          path.say({ type: "above.said" });
          return false;
        },
      },
      {
        name: "below",
        owns: ["agg1"],
        hears: ["below.said", "above.said"],
        relay(_s, _p, _f, path) {
          path.say({ type: "below.said" });
          return false;
        },
      },
    ]);
    bench.deliver("eth0", 1);
    expect(bench.words("above")).toEqual(["heard below.said"]);
    expect(bench.words("below")).toEqual(["heard above.said"]);
  });
});

it("a machine draws from a generator of its own: node and owner name it", () => {
  const bench = new Bench([]);
  expect(bench.node.rng("a")).toEqual(bench.node.rng("a"));
  expect(bench.node.rng("a")).not.toEqual(bench.node.rng("b"));
});
