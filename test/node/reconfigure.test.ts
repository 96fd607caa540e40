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
