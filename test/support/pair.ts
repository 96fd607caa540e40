/** Probes in worlds. */
import { Log } from "../../src/core/log.ts";
import { type Instant, instant } from "../../src/core/time.ts";
import type { LinkOptions } from "../../src/host/sim/link.ts";
import { World } from "../../src/host/sim/world.ts";
import { type AnyInput, numbered, type Probe, type ProbeConfig, probe, type Recorder, stateOf } from "./probe.ts";

/** Sends frame 0, 1, 2, … every `period` microseconds from its start on, by eth0. */
export function sender(period: number): ProbeConfig {
  return {
    name: "sender",
    uses: ["eth0"],
    claims: () => true,
    step(state: Probe, input: AnyInput, now: Instant) {
      if (input.kind === "command" && input.command.verb === "start") state.alarm = now;
      if (input.kind !== "timer") return undefined;
      state.alarm = instant(now + period);
      return [state.send("eth0", numbered(state.inputs.filter((one) => one.input.kind === "timer").length - 1))];
    },
  };
}

/** Takes what comes on eth0. */
export const receiver: ProbeConfig = { name: "receiver", uses: ["eth0"], claims: () => true };

export interface Wiring {
  readonly nodes: Readonly<Record<string, ProbeConfig>>;
  readonly links: readonly (LinkOptions & { readonly ends: readonly string[] })[];
  readonly seed?: number;
  readonly readers?: readonly Recorder[];
}

export function worldOf({ nodes, links, seed = 1, readers = [] }: Wiring): World {
  const log = new Log();
  for (const reader of readers) log.follow(reader);
  const world = new World({ seed, log });
  for (const [name, config] of Object.entries(nodes)) {
    world.addNode(name, (node) => node.mount([probe(config, node)]));
  }
  for (const { ends, ...options } of links) {
    world.addLink(
      options,
      ends.map((end) => {
        const [node = "", port = "eth0"] = end.split(":");
        return { node, port };
      }),
    );
  }
  return world;
}

/** The probe that runs on a node now. */
export function on(world: World, node: string): Probe {
  return stateOf(world.node(node)?.machines[0]);
}
