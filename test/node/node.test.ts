import { describe, expect, it } from "vitest";
import type { Frame } from "../../src/core/frame.ts";
import { Log } from "../../src/core/log.ts";
import type { Output, Port } from "../../src/core/machine.ts";
import { type Instant, instant, NEVER } from "../../src/core/time.ts";
import type { Host } from "../../src/node/host.ts";
import { Node } from "../../src/node/node.ts";
import { mac, numbered, numberOf, type ProbeConfig, probe, Recorder, stateOf } from "../support/probe.ts";

/** A host that keeps what it is asked for. */
class Bench implements Host {
  readonly log = new Log();
  readonly node: Node;
  readonly applied: string[] = [];
  readonly wakes: number[] = [];
  /** "eth0 5": frame 5 left by eth0. */
  readonly sent: string[] = [];

  constructor(machines: readonly ProbeConfig[], recorder?: Recorder) {
    if (recorder !== undefined) this.log.follow(recorder);
    const options = { name: "sw1", id: 0, seed: 1, mac: () => mac("02:00:00:01:00:00") };
    this.node = new Node(options, this, this.log);
    this.node.mount(machines.map((config) => probe(config, this.node)));
    for (const name of this.node.wires()) {
      this.node.attach(this.node.port(name), {
        transmit: (frame: Frame) => void this.sent.push(`${name} ${numberOf(frame)}`),
      });
    }
  }

  apply(_node: Node, change: { type: string }): void {
    this.applied.push(change.type);
  }

  wake(_node: Node, at: Instant): void {
    this.wakes.push(at);
  }

  deliver(port: string, number: number, now = 0): void {
    this.node.deliver(this.node.port(port), numbered(number), instant(now));
  }

  link(port: string, up: boolean, now = 0): void {
    this.node.step({ kind: "link", port: this.node.port(port), up }, instant(now));
  }

  command(to: string, verb: string, now = 0): void {
    this.node.step({ kind: "command", to, command: { verb } }, instant(now));
  }

  timer(now: number): void {
    this.node.step({ kind: "timer" }, instant(now));
  }

  words(name: string): string[] {
    return stateOf(this.node.machine(name)).words;
  }
}

const all = () => true;
const say = (type: string): Output => ({ kind: "event", event: { type } });
const wish = (type: string): Output => ({ kind: "apply", change: { type } });

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
    const bench = new Bench([{ name: "a", hears: ["host.address"] }, { name: "b", hears: ["host.route"] }]);
    bench.node.step({ kind: "heard", event: { type: "host.address" } }, instant(0));
    expect([bench.words("a"), bench.words("b")]).toEqual([["heard host.address"], []]);
  });

  it("ports of another node, and ports with two owners, are programmers' errors", () => {
    const bench = new Bench([{ name: "a", uses: ["eth0"] }]);
    const foreign: Port = { name: "eth0", index: 0 };
    expect(() => bench.node.isUp(foreign)).toThrow("eth0 is not one of sw1");
    expect(() => new Bench([{ name: "a", owns: ["vlan1"] }, { name: "b", owns: ["vlan1"] }])).toThrow("two owners");
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
    const bench = new Bench([
      { name: "r", uses: ["eth0"], relay: (_s, _p, frame) => numberOf(frame) % 2 === 1 },
    ]);
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

describe("what machines say to each other", () => {
  it("events are heard in the order in which they were said, after the input, and not by the speaker", () => {
    const order: string[] = [];
    const talker = (name: string, says: Record<string, readonly Output[]>): ProbeConfig => ({
      name,
      hears: ["x.one", "x.two", "x.answer"],
      step(_s, input) {
        const what = input.kind === "heard" ? input.event.type : input.kind;
        order.push(`${name}: ${what}`);
        return says[what];
      },
    });
    const bench = new Bench([
      talker("a", { command: [say("x.one"), say("x.two")] }),
      talker("b", { "x.one": [say("x.answer")] }),
      talker("c", {}),
    ]);
    bench.command("a", "go");
    expect(order).toEqual([
      "a: command",
      "b: x.one",
      "c: x.one",
      "b: x.two",
      "c: x.two",
      "a: x.answer",
      "c: x.answer",
    ]);
  });

  it("a wish is heard by the host and the siblings at once, before the next output of the same step", () => {
    const order: string[] = [];
    const recorder = new Recorder(false);
    const bench = new Bench(
      [
        {
          name: "vrrp",
          hears: ["ip.virtual"],
          step: (state, input) =>
            input.kind === "command" ? [wish("ip.virtual"), state.send("eth0", numbered(7))] : undefined,
        },
        {
          name: "ip",
          uses: ["eth0"],
          hears: ["ip.virtual"],
          step: (state, input) => {
            order.push(`${input.kind} with ${bench.sent.length} sent and ${bench.applied.length} applied`);
            return [state.send("eth0", numbered(1))];
          },
        },
      ],
      recorder,
    );
    bench.command("vrrp", "start");
    expect(order).toEqual(["heard with 0 sent and 1 applied"]);
    expect(bench.sent).toEqual(["eth0 1", "eth0 7"]);
    expect(bench.words("vrrp")).toEqual(["command start"]);
    expect(recorder.entries.map(({ what, way }) => [way, what.kind])).toEqual([
      ["in", "command"],
      ["out", "apply"],
    ]);
  });
});

describe("time", () => {
  it("the host is asked to wake the node at the earliest deadline, once for each change", () => {
    const bench = new Bench([
      { name: "a", alarm: 500 },
      { name: "b", alarm: 300 },
    ]);
    bench.command("*", "start");
    bench.command("*", "again");
    expect([bench.wakes, bench.node.deadline()]).toEqual([[300], 300]);
    bench.timer(300);
    expect([bench.words("a"), bench.words("b")]).toEqual([
      ["command start", "command again"],
      ["command start", "command again", "timer"],
    ]);
    bench.timer(500);
    expect(bench.wakes).toEqual([300, 500, NEVER]);
  });

  it("a timer that comes too early changes nothing", () => {
    const bench = new Bench([{ name: "a", alarm: 300 }]);
    bench.command("*", "start");
    bench.timer(299);
    expect([bench.words("a"), bench.wakes]).toEqual([["command start"], [300]]);
  });

  it("a timer that comes too late runs all that is due", () => {
    const bench = new Bench([
      { name: "a", alarm: 300 },
      { name: "b", alarm: 200 },
      { name: "c", alarm: 900 },
    ]);
    bench.timer(899);
    expect(["a", "b", "c"].map((name) => bench.words(name))).toEqual([["timer"], ["timer"], []]);
  });

  it("a machine that wants its timer again at the same time is woken again", () => {
    const bench = new Bench([
      {
        name: "twice",
        alarm: 100,
        step: (state, input, now) => {
          if (input.kind === "timer" && state.inputs.length < 3) state.alarm = now;
          return undefined;
        },
      },
    ]);
    bench.command("nobody", "look");
    for (let i = 0; i < 3; i++) bench.timer(100);
    expect(bench.wakes).toEqual([100, 100, 100, NEVER]);
  });

  it("an alarm that moves is logged for readers of everything, one that stays is not", () => {
    const recorder = new Recorder(true);
    const bench = new Bench([{ name: "a", alarm: 300, uses: ["eth0"], claims: all }], recorder);
    bench.deliver("eth0", 1, 10);
    bench.deliver("eth0", 2, 20);
    bench.timer(300);
    expect(recorder.lines.filter((line) => line.includes("alarm"))).toEqual([
      '{"t":0.00001,"node":"sw1","type":"alarm","at":0.0003}',
      '{"t":0.0003,"node":"sw1","type":"alarm","at":null}',
    ]);
  });
});

describe("loops between machines are caught, and the culprit is named", () => {
  it("when they answer each other's events for ever", () => {
    const echo = (name: string, hears: string, says: string): ProbeConfig => ({
      name,
      hears: [hears],
      step: () => [say(says)],
    });
    const bench = new Bench([echo("ping", "x.pong", "x.ping"), echo("pong", "x.ping", "x.pong")]);
    expect(() => bench.command("ping", "go")).toThrow("the machines of sw1 go round in circles at");
  });

  it("when a frame goes round through their steps", () => {
    const pass = (name: string, owns: string, to: string): ProbeConfig => ({
      name,
      owns: [owns],
      claims: all,
      step: (state, input) => (input.kind === "frame" ? [state.send(to, input.frame)] : [state.send(to, numbered(1))]),
    });
    const bench = new Bench([pass("a", "a0", "b0"), pass("b", "b0", "a0")]);
    expect(() => bench.command("a", "go")).toThrow("go round in circles");
  });

  it("when a frame goes round through their relays", () => {
    const pass = (name: string, owns: string, to: string): ProbeConfig => ({
      name,
      owns: [owns],
      uses: ["eth0"],
      relay(state, _p, frame, path) {
        path.down(state.env.port(to), frame);
        return false;
      },
    });
    const bench = new Bench([pass("a", "a0", "b0"), pass("b", "b0", "a0")]);
    expect(() => bench.deliver("eth0", 1)).toThrow("go round in circles");
  });

  it("when they wish for ever", () => {
    const bench = new Bench([
      { name: "a", hears: ["y"], step: () => [wish("x")] },
      { name: "b", hears: ["x"], step: () => [wish("y")] },
    ]);
    expect(() => bench.command("a", "go")).toThrow("go round in circles");
  });

  it("but a frame through thirty machines on top of each other is no loop", () => {
    const floors = Array.from({ length: 30 }, (_, i): ProbeConfig => ({
      name: `floor${i}`,
      uses: [`p${i}`],
      owns: [`p${i + 1}`],
      relay(state, port, frame, path) {
        if (port.name === `p${i}`) path.up(state.env.port(`p${i + 1}`), frame);
        else path.down(state.env.port(`p${i}`), frame);
        return false;
      },
    }));
    const bench = new Bench([
      ...floors,
      {
        name: "roof",
        uses: ["p30"],
        claims: all,
        step: (state, input) => (input.kind === "frame" ? [state.send("p30", numbered(8))] : undefined),
      },
    ]);
    bench.deliver("p0", 1);
    expect([bench.words("roof"), bench.sent]).toEqual([["frame p30 1"], ["p0 8"]]);
  });
});

describe("readers", () => {
  const machines = (): readonly ProbeConfig[] => [
    {
      name: "bridge",
      owns: ["vlan1"],
      uses: ["p1", "p2"],
      relay(state, port, frame, path) {
        if (numberOf(frame) === 3) {
          // Later than before: allowed without a word.
          state.alarm = instant(9_000);
          return false;
        }
        if (numberOf(frame) === 4) path.drop(port, "four");
        else if (port.name === "vlan1") path.down(state.env.port("p1"), frame);
        else path.up(state.env.port("vlan1"), frame);
        if (numberOf(frame) === 2) path.say({ type: "bridge.two" });
        return numberOf(frame) === 5;
      },
      alarm: 1_000,
      step: (state, input) => {
        if (input.kind === "timer") state.alarm = instant(5_000);
        return undefined;
      },
    },
    {
      name: "host",
      uses: ["vlan1"],
      hears: ["bridge.two"],
      claims: all,
      step: (state, input) =>
        input.kind === "frame" ? [state.send("vlan1", numbered(numberOf(input.frame) + 50))] : [wish("host.wish")],
    },
  ];

  function run(recorder?: Recorder): unknown {
    const bench = new Bench(machines(), recorder);
    bench.command("*", "start", 1);
    bench.link("p1", true, 2);
    for (const [i, number] of [1, 2, 3, 4, 5, 1].entries()) bench.deliver("p1", number, 10 + i);
    bench.timer(1_000);
    bench.link("p1", false, 2_000);
    const { sent, applied, wakes, node } = bench;
    return { sent, applied, wakes, drops: [...node.drops], words: [bench.words("bridge"), bench.words("host")] };
  }

  it("the same happens whether nobody reads, somebody reads facts, or somebody reads everything", () => {
    const alone = run();
    expect(alone).toMatchObject({ sent: ["p1 51", "p1 52", "p1 55", "p1 51"], drops: [["four", 1]] });
    expect(run(new Recorder(false))).toEqual(alone);
    expect(run(new Recorder(true))).toEqual(alone);
  });

  it("a reader of everything sees frames, sends, timers, alarms and drops; one of facts none of them", () => {
    const everything = new Recorder(true);
    const facts = new Recorder(false);
    run(everything);
    run(facts);
    const kinds = (recorder: Recorder) => [...new Set(recorder.entries.map(({ what }) => what.kind))].sort();
    expect(kinds(everything)).toEqual(["alarm", "apply", "command", "event", "frame", "link", "send", "timer"]);
    expect(kinds(facts)).toEqual(["apply", "command", "event", "link"]);
    expect(everything.events()).toEqual(["bridge.two", "drop"]);
    expect(facts.events()).toEqual(["bridge.two"]);
    expect(everything.lines).toContain('{"t":0.000013,"node":"sw1","type":"drop","interface":"p1","reason":"four"}');
    const order = everything.entries.filter(({ what }) => what.kind === "frame" || what.kind === "send").slice(0, 2);
    expect(order.map(({ way, what }) => [way, what.kind])).toEqual([
      ["in", "frame"],
      ["out", "send"],
    ]);
  });
});

it("a machine draws from a generator of its own: node and owner name it", () => {
  const bench = new Bench([]);
  expect(bench.node.rng("a")).toEqual(bench.node.rng("a"));
  expect(bench.node.rng("a")).not.toEqual(bench.node.rng("b"));
});
