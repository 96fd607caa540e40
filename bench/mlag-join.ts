/**
 * A switch of an M-LAG pair joins while the other knows thousands of stations and goes on learning: the whole stack, from
 * bridge to bridge over a simulated peer link. One JSON line on stdout.
 */
import type { BridgeState } from "../protocols/bridge/machine.ts";
import { protocols } from "../protocols/index.ts";
import type { MlagMachineState } from "../protocols/mlag/machine.ts";
import { macBytes, macFrom } from "../src/core/addr.ts";
import { Frame } from "../src/core/frame.ts";
import { Log } from "../src/core/log.ts";
import { type Env, type Machine, mount, NOTHING, type Port } from "../src/core/machine.ts";
import { after, type Instant, ms, NEVER } from "../src/core/time.ts";
import { compileLab } from "../src/host/sim/topology.ts";
import { World } from "../src/host/sim/world.ts";
import { machinesOf } from "../src/node/machines.ts";

const SECOND = 1_000_000_000;
/** Frames in a millisecond: far below what the link takes. */
const BURST = 200;

interface Crowd {
  readonly port: Port;
  /** Stations that have spoken, and that are to. */
  spoken: number;
  goal: number;
  /** Stations a millisecond. */
  pace: number;
  nextAt: Instant;
}

type CrowdCommand =
  | { readonly verb: "speak"; readonly goal: number; readonly pace: number }
  | { readonly verb: "start" | "stop" };

/** The n-th station's word to a station on the same port: it is learned, and goes nowhere. */
function word(n: number): Frame {
  const bytes = new Uint8Array(60);
  bytes.set(macBytes(station(0)), 0);
  bytes.set(macBytes(station(n)), 6);
  bytes[12] = 0x88;
  bytes[13] = 0xb5;
  return Frame.of(bytes);
}

export function station(n: number) {
  return macFrom(Uint8Array.of(0x02, 0xaa, 0, n >>> 16, n >>> 8, n));
}

const crowd: Machine<string, Crowd, CrowdCommand> = {
  name: "crowd",
  ports: (port) => ({ uses: [port] }),
  init: (port, env: Env) => ({ port: env.port(port), spoken: 0, goal: 0, pace: 0, nextAt: NEVER }),
  claims: () => true,
  step(state, input, now) {
    if (input.kind === "command" && input.command.verb === "speak") {
      state.goal = input.command.goal;
      state.pace = input.command.pace;
      state.nextAt = now;
    }
    if (now < state.nextAt) return NOTHING;
    const until = Math.min(state.goal, state.spoken + state.pace);
    const words = [];
    for (; state.spoken < until; state.spoken++) {
      words.push({ kind: "send" as const, port: state.port, frame: word(state.spoken) });
    }
    state.nextAt = state.spoken < state.goal ? after(now, ms(1)) : NEVER;
    return words;
  },
  deadline: ({ nextAt }) => nextAt,
};

const lab = (table: number) => `
nodes:
  sw1:
    bridge: { ports: [agg1, orphan, peer], table: ${table} }
    lacp: [{ name: agg1, members: [p1] }]
    mlag:
      domain: 10
      peer-link: peer
      keepalive: { port: ka, address: 10.99.0.1/30, peer: 10.99.0.2 }
      members: [{ port: agg1, id: 1 }]
  sw2:
    bridge: { ports: [agg1, orphan, peer], table: ${table} }
    lacp: [{ name: agg1, members: [p1] }]
    mlag:
      domain: 10
      peer-link: peer
      keepalive: { port: ka, address: 10.99.0.2/30, peer: 10.99.0.1 }
      members: [{ port: agg1, id: 1 }]
  crowd: { interfaces: { e0: {} } }
links:
  - { id: peer, ends: [sw1:peer, sw2:peer], rate: 40Gbps, delay: 5us }
  - { id: ka, ends: [sw1:ka, sw2:ka], delay: 200us }
  - { id: crowd, ends: [crowd:e0, sw1:orphan], rate: 10Gbps, delay: 5us }
`;

/** sw1 knows `count` stations; sw2 is off. */
export class Join {
  readonly log = new Log();
  readonly world: World;
  /** Virtual nanoseconds at which sw2 had its session, and last heard of a station. */
  sessionAt = Number.NaN;
  /** Called after every event of the log. */
  watch: ((node: string, type: string) => void) | undefined;

  constructor(count: number) {
    const compiled = compileLab(lab(1 << 17), "join", protocols);
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
    this.world = new World({ seed: 1, log: this.log });
    for (const config of compiled.lab.nodes) {
      this.world.addNode(config.node, (node) => {
        node.mount(config.node === "crowd" ? [mount(crowd, "e0", node)] : machinesOf(protocols, config, node));
      });
    }
    for (const { options, ends } of compiled.lab.links) this.world.addLink(options, ends);
    this.log.follow({
      everything: false,
      read: ({ node, what }) => {
        if (what.kind !== "event") return;
        if (node === "sw2" && what.event.type === "mlag.session" && "up" in what.event && what.event.up === true) {
          this.sessionAt = this.world.now;
        }
        this.watch?.(node, what.event.type);
      },
    });
    this.world.start();
    this.world.command({ verb: "power-off", node: "sw2" });
    this.speak(count, BURST);
    this.run(1 + count / BURST / 1000);
  }

  /** Seconds. */
  run(time: number): void {
    this.world.run(this.world.now + Math.round(time * SECOND));
  }

  /** Stations speak up, so many a millisecond, until `goal` of them have spoken. */
  speak(goal: number, pace: number): void {
    const command = { verb: "speak", goal, pace } as CrowdCommand;
    this.world.command({ verb: "command", node: "crowd", to: "crowd", command });
  }

  powerOn(): void {
    this.world.command({ verb: "power-on", node: "sw2" });
  }

  /** The stations in a switch's bridge, without its own addresses; with them, how many. */
  stations(node: string): Set<string> {
    const found = new Set<string>();
    for (const { mac, fixed } of this.bridge(node).table.entries(this.world.now / 1e6)) if (!fixed) found.add(mac);
    return found;
  }

  count(node: string): number {
    return this.bridge(node).table.count;
  }

  private bridge(node: string): BridgeState {
    return this.world.node(node)?.machine("bridge")?.state as BridgeState;
  }

  mlag(node: string): MlagMachineState {
    return this.world.node(node)?.machine("mlag")?.state as MlagMachineState;
  }
}

export function run(count: number) {
  const join = new Join(count);
  join.powerOn();
  const cpuBefore = process.cpuUsage();
  const before = process.hrtime.bigint();
  let wall = 0;
  let cpu = 0;
  let last = 0;
  join.watch = (node, type) => {
    if (node !== "sw2" || type !== "mac.learned") return;
    last = join.world.now;
    if (join.count("sw2") < count) return;
    wall = Number(process.hrtime.bigint() - before) / 1e9;
    const { user, system } = process.cpuUsage(cpuBefore);
    cpu = (user + system) / 1e6;
  };
  join.run(8);
  return {
    tool: "hotpair",
    mode: "mlag-join",
    stations: count,
    synced: join.stations("sw2").size,
    virtual_s: (last - join.sessionAt) / SECOND,
    wall_s: wall,
    cpu_s: cpu,
    macs_per_s: count / wall,
    peak_kib: process.resourceUsage().maxRSS,
  };
}

function option(name: string, fallback: number): number {
  const text = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return text === undefined ? fallback : Number(text.slice(name.length + 3));
}

if (process.argv[1]?.endsWith("mlag-join.js")) {
  const count = option("macs", 32_000);
  const result = run(count);
  console.log(JSON.stringify(result));
  process.exitCode = result.synced === count ? 0 : 3;
}
