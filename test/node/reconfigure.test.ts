import { describe, expect, test } from "vitest";
import type { Mac } from "../../src/core/addr.ts";
import { Frame } from "../../src/core/frame.ts";
import { type Entry, Log } from "../../src/core/log.ts";
import { type Env, type Input, type Machine, mount } from "../../src/core/machine.ts";
import { type Instant, instant, NEVER } from "../../src/core/time.ts";
import { Node } from "../../src/node/node.ts";

interface Config {
  readonly ports: readonly string[];
  readonly at: Instant;
}

interface Fact {
  readonly type: "heard.on";
  readonly port: string;
}

/** Listens on its ports, says which frames and links it was given, and wants its timer when its configuration says so. */
const listener: Machine<Config, { config: Config }, never, Fact> = {
  name: "listener",
  ports: ({ ports }) => ({ uses: ports }),
  init: (config: Config, _env: Env) => ({ config }),
  claims: () => true,
  step: (_state, input: Input<never>) => {
    if (input.kind !== "frame" && input.kind !== "link") return [];
    return [{ kind: "event", event: { type: "heard.on", port: `${input.kind} ${input.port.name}` } }];
  },
  deadline: ({ config }) => config.at,
  reconfigure: (state, config) => {
    state.config = config;
    return [{ kind: "event", event: { type: "heard.on", port: `now ${config.ports.join(" ")}` } }];
  },
};

function bench(first: Config) {
  const entries: Entry[] = [];
  const wakes: number[] = [];
  const log = new Log();
  log.follow({ everything: false, read: (entry) => entries.push(entry) });
  const host = { apply: () => {}, wake: (_: Node, at: Instant) => void wakes.push(at) };
  const node = new Node({ name: "n", id: 0, seed: 1, mac: () => "02:00:00:00:00:01" as Mac }, host, log);
  const machine = mount(listener, first, node);
  node.mount([machine]);
  const said = () =>
    entries.splice(0).map(({ what }) => (what.kind === "event" ? (what.event as Fact).port : what.kind));
  return { node, machine, wakes, said };
}

const frame = () => Frame.of(new Uint8Array(60));
const now = instant(5);

describe("another configuration of a machine that runs", () => {
  test("brings ports that the host has to put wires under, and frees those that nobody uses any more", () => {
    const { node, machine, said } = bench({ ports: ["a", "b"], at: NEVER });
    for (const name of ["a", "b"]) {
      node.attach(node.port(name), { transmit: () => {} });
      node.step({ kind: "link", port: node.port(name), up: true }, now);
    }
    said();
    const { fresh, unused } = node.reconfigure(machine, { ports: ["b", "c"], at: NEVER }, now);
    expect(fresh.map(({ name }) => name)).toEqual(["c"]);
    expect(unused.map(({ name }) => name)).toEqual(["a"]);
    expect(said()).toEqual(["command", "now b c"]);
    for (const name of ["a", "b", "c"]) node.deliver(node.port(name), frame(), now);
    expect(said()).toEqual(["frame b", "frame c"]);
  });

  test("tells a machine that a port is up when it comes back after it was gone", () => {
    const { node, machine, said } = bench({ ports: ["a"], at: NEVER });
    const port = node.port("a");
    node.attach(port, { transmit: () => {} });
    node.step({ kind: "link", port, up: true }, now);
    node.reconfigure(machine, { ports: [], at: NEVER }, now);
    expect(node.reconfigure(machine, { ports: ["a"], at: NEVER }, now).fresh).toEqual([port]);
    said();
    node.step({ kind: "link", port, up: true }, now);
    expect(said()).toEqual(["link", "link a"]);
  });

  test("has the host woken when the new one says so", () => {
    const { node, machine, wakes } = bench({ ports: [], at: NEVER });
    node.reconfigure(machine, { ports: [], at: instant(70) }, now);
    expect(wakes).toEqual([70]);
  });

  test("leaves a port to the machines that still use it", () => {
    const { node, machine, said } = bench({ ports: ["a"], at: NEVER });
    node.mount([mount({ ...listener, name: "other" }, { ports: ["a"], at: NEVER }, node)]);
    expect(node.reconfigure(machine, { ports: [], at: NEVER }, now).unused).toEqual([]);
    said();
    node.deliver(node.port("a"), frame(), now);
    expect(said()).toEqual(["frame a"]);
  });
});

interface Owning {
  readonly owns: readonly string[];
  readonly uses: readonly string[];
}

/** Says that its ports are up as soon as it has them, and that they are down before it gives them up. */
const owner: Machine<Owning, { owns: readonly string[]; readonly env: Env }, never, Fact> = {
  name: "owner",
  ports: ({ owns, uses }) => ({ owns, uses }),
  init: ({ owns }, env) => ({ owns, env }),
  step: (_state, input: Input<never>) => {
    if (input.kind !== "link") return [];
    const words = [input.port.name, input.up ? "up" : "down", input.speed, input.duplex];
    return [{ kind: "event", event: { type: "heard.on", port: `owner ${words.join(" ")}`.trim() } }];
  },
  deadline: () => NEVER,
  reconfigure: (state, { owns }) => {
    const before = state.owns;
    state.owns = owns;
    const gone = before.filter((name) => !owns.includes(name)).map((name) => ({ name, up: false }));
    const come = owns.filter((name) => !before.includes(name)).map((name) => ({ name, up: true }));
    return [...gone, ...come].map(({ name, up }) => ({ kind: "link", port: state.env.port(name), up }) as const);
  },
};

describe("another configuration of a machine that is ports to others", () => {
  const said: string[] = [];
  const made = (first: Owning) => {
    said.length = 0;
    const log = new Log();
    log.follow({
      everything: false,
      read: ({ what }) => {
        if (what.kind === "event") said.push((what.event as Fact).port);
      },
    });
    const host = { apply: () => {}, wake: () => {} };
    const node = new Node({ name: "n", id: 0, seed: 1, mac: () => "02:00:00:00:00:01" as Mac }, host, log);
    const [below, above] = [mount(owner, first, node), mount(listener, { ports: ["agg1", "agg2"], at: NEVER }, node)];
    node.mount([below, above]);
    return { node, below };
  };

  test("makes the new ones its own, and frees those that it is no more", () => {
    const { node, below } = made({ owns: ["agg1"], uses: [] });
    node.reconfigure(below, { owns: ["agg1", "agg2"], uses: [] }, now);
    expect([said.splice(0), node.isUp(node.port("agg2"))]).toEqual([["link agg2"], true]);
    node.reconfigure(below, { owns: ["agg2"], uses: [] }, now);
    // It was never up.
    expect([said.splice(0), below.owns.map(({ name }) => name)]).toEqual([[], ["agg2"]]);
    node.reconfigure(below, { owns: [], uses: [] }, now);
    expect(said.splice(0)).toEqual(["link agg2"]);
    expect(node.wires()).toEqual(["agg1", "agg2"]);
    const other = mount(owner, { owns: ["agg2"], uses: [] }, node);
    expect(() => node.mount([other])).not.toThrow();
    expect(() => node.reconfigure(below, { owns: ["agg2"], uses: [] }, now)).toThrow("two owners");
  });

  test("tells of a port that others use already that it is up, how fast, and whether both ends may send at once", () => {
    const { node, below } = made({ owns: [], uses: [] });
    node.attach(node.port("agg1"), { transmit: () => {}, speed: 1_000, duplex: "half" });
    node.step({ kind: "link", port: node.port("agg1"), up: true }, now);
    said.length = 0;
    expect(node.reconfigure(below, { owns: [], uses: ["agg1", "x"] }, now).fresh.map(({ name }) => name)).toEqual([
      "x",
    ]);
    expect(said.splice(0)).toEqual(["owner agg1 up 1000 half"]);
    node.reconfigure(below, { owns: [], uses: ["agg1"] }, now);
    expect(said).toEqual([]);
  });
});
