/** A small world in which much happens by chance and by order; the tests of determinism run it in many ways. */
import { bridge } from "../../protocols/bridge/machine.ts";
import { entryLine, Log, type Reader } from "../../src/core/log.ts";
import { type Env, type Mounted, mount } from "../../src/core/machine.ts";
import { below, type Rng } from "../../src/core/rng.ts";
import { instant, sec } from "../../src/core/time.ts";
import { World } from "../../src/host/sim/world.ts";
import { numbered, type Probe, probe } from "./probe.ts";

export interface Eventful {
  readonly seed: number;
  /** Milliseconds; default 200. */
  readonly length?: number;
  /** Adds a node and a link before all others, with chances of their own. */
  readonly stranger?: boolean;
  readonly readers?: readonly Reader[];
}

/** Sends a numbered frame from one of sixteen stations to another after a random wait, over and over. */
function chatter(env: Env): Mounted {
  const rng: Rng = env.rng("chatter");
  let sent = 0;
  return probe(
    {
      name: "chatter",
      uses: ["eth0"],
      claims: () => true,
      step(state: Probe, input, now) {
        if (input.kind === "frame") return [{ kind: "event", event: { type: "chatter.heard" } }];
        if (input.kind !== "timer" && input.kind !== "command") return undefined;
        state.alarm = instant(now + 200 + below(rng, 800));
        const [size, to, from] = [60 + below(rng, 200), below(rng, 16), below(rng, 16)];
        return [state.send("eth0", numbered(sent++, size, to, from))];
      },
    },
    env,
  );
}

function switching(env: Env): Mounted {
  const vlans = new Map([[10, { tagged: ["up"], untagged: ["p1", "p2"] }]]);
  return mount(bridge, { ports: ["up", "p1", "p2"], vlans, ageing: sec(300), table: 64 }, env);
}

/** Runs the world and gives it back. */
export function eventful({ seed, length = 200, stranger = false, readers = [] }: Eventful): World {
  const log = new Log();
  for (const reader of readers) log.follow(reader);
  const world = new World({ seed, log });
  const ends = (...names: readonly string[]) =>
    names.map((name) => ({ node: name.split(":")[0] ?? "", port: name.split(":")[1] ?? "eth0" }));
  if (stranger) {
    for (const name of ["x", "y"]) world.addNode(name, (node) => node.mount([chatter(node)]));
    world.addLink({ id: "strange", jitter: 90_000, loss: { numerator: 1, denominator: 3 } }, ends("x", "y"));
  }
  for (const name of ["sw1", "sw2"]) world.addNode(name, (node) => node.mount([switching(node)]));
  for (const name of ["h1", "h2", "h3", "h4"]) world.addNode(name, (node) => node.mount([chatter(node)]));
  world.addLink({ id: "h1", rate: 1e9, delay: 1_000 }, ends("h1", "sw1:p1"));
  world.addLink({ id: "h2", jitter: 20_000 }, ends("h2", "sw1:p2"));
  world.addLink({ id: "h3", loss: { numerator: 1, denominator: 10 } }, ends("h3", "sw2:p1"));
  world.addLink({ id: "h4", rate: 10e6, queue: 300 }, ends("h4", "sw2:p2"));
  const trunk = { id: "trunk", delay: 5_000, jitter: 300_000, loss: { numerator: 1, denominator: 20 } };
  world.addLink(trunk, ends("sw1:up", "sw2:up"));
  world.schedule(20e6, { verb: "cut", link: "trunk" });
  world.schedule(30e6, { verb: "heal", link: "trunk" });
  world.schedule(50e6, { verb: "power-off", node: "sw2" });
  world.schedule(60e6, { verb: "power-on", node: "sw2" });
  world.schedule(80e6, { verb: "pause", node: "h1" });
  world.schedule(90e6, { verb: "resume", node: "h1" });
  world.schedule(110e6, { verb: "cut", link: "h1", side: "h1:eth0" });
  world.start();
  world.run(length * 1e6);
  return world;
}

/** The log of everything as JSON lines. */
export function logOf(options: Omit<Eventful, "readers">): string {
  let text = "";
  const reader: Reader = {
    everything: true,
    read(entry) {
      text += `${JSON.stringify(entryLine(entry))}\n`;
    },
  };
  eventful({ ...options, readers: [reader] });
  return text;
}
