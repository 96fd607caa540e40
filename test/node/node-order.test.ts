/** What machines say to each other and when, their alarms, their loops, and who reads along. */
import { describe, expect, it } from "vitest";
import type { Output } from "../../src/core/machine.ts";
import { instant, NEVER } from "../../src/core/time.ts";
import { NodeBench as Bench } from "../support/node-bench.ts";
import { numbered, numberOf, type ProbeConfig, Recorder } from "../support/probe.ts";

const all = () => true;
const say = (type: string): Output => ({ kind: "event", event: { type } });
const wish = (type: string): Output => ({ kind: "apply", change: { type } });

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
    expect(order).toEqual(["a: command", "b: x.one", "c: x.one", "b: x.two", "c: x.two", "a: x.answer", "c: x.answer"]);
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
    const floors = Array.from(
      { length: 30 },
      (_, i): ProbeConfig => ({
        name: `floor${i}`,
        uses: [`p${i}`],
        owns: [`p${i + 1}`],
        relay(state, port, frame, path) {
          if (port.name === `p${i}`) path.up(state.env.port(`p${i + 1}`), frame);
          else path.down(state.env.port(`p${i}`), frame);
          return false;
        },
      }),
    );
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
