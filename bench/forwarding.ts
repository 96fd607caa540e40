/**
 * The data plane alone, over the topologies of ns3/README.md: hosts on leaf bridges, unicast frames to one partner
 * exactly 1, 2 or 3 switch hops away, a frame per host every 100 µs. One JSON line on stdout.
 * Everything that a lab's bridge does is on: VLANs (untagged at the hosts, tagged on the trunks), learning and ageing,
 * queue limits, counters, drop reasons.
 */

import { bridgeSchema } from "../protocols/bridge/config.ts";
import { bridge } from "../protocols/bridge/machine.ts";
import { macBytes } from "../src/core/addr.ts";
import { Frame, FrameHeader, type FrameSource } from "../src/core/frame.ts";
import { Log } from "../src/core/log.ts";
import { type Machine, mount, NOTHING, type Output, type Port } from "../src/core/machine.ts";
import { type Instant, instant, NEVER, us } from "../src/core/time.ts";
import { World } from "../src/host/sim/world.ts";

const PERIOD = us(100);
const VLAN = 10;
/** As ns3/bench.cc: broadcasts 20 µs apart, then 50 ms of rest. */
const WARM_UP_STEP = 20;
const REST = 50_000;

interface HostConfig {
  readonly index: number;
  readonly partner: number;
  readonly size: number;
  readonly frames: number;
  readonly warmUp: Instant;
  readonly start: Instant;
}

/** Small and flat: at 512 hosts and more the processor's cache decides. */
class HostState implements FrameSource {
  sent = 0;
  next: Instant;
  delivered = 0;
  readonly header: FrameHeader;
  readonly port: Port;
  readonly config: HostConfig;

  constructor(config: HostConfig, port: Port) {
    this.config = config;
    this.port = port;
    this.next = config.warmUp;
    this.header = new FrameHeader(headerBytes(address(config.partner), address(config.index)));
  }

  bytesOf(sequence: number): Uint8Array {
    const all = new Uint8Array(this.config.size);
    all.set(headerBytes(address(this.config.partner), address(this.config.index)));
    new DataView(all.buffer).setUint32(14, sequence);
    return all;
  }
}

const address = (index: number) => Uint8Array.of(0x02, 0x10, index >>> 24, index >>> 16, index >>> 8, index);

function headerBytes(destination: Uint8Array, source: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(14);
  bytes.set(destination, 0);
  bytes.set(source, 6);
  bytes.set([0x08, 0x00], 12);
  return bytes;
}

/** A host that sends and counts raw frames, as the other side's does. */
const host: Machine<HostConfig, HostState> = {
  name: "host",
  ports: () => ({ uses: ["eth0"] }),
  init: (config, env) => new HostState(config, env.port("eth0")),
  relay(state, _port, frame) {
    if (!frame.header.group) state.delivered++;
    return false;
  },
  step(state, input, now): readonly Output[] {
    if (input.kind !== "timer" || now < state.next) return NOTHING;
    const { config, port } = state;
    if (now < config.start) {
      state.next = config.start;
      const bytes = new Uint8Array(config.size);
      bytes.set(headerBytes(macBytes("ff:ff:ff:ff:ff:ff" as never), address(config.index)));
      return [{ kind: "send", port, frame: Frame.of(bytes) }];
    }
    const frame = Frame.lazy(state.header, config.size, state, state.sent++);
    state.next = state.sent === config.frames ? NEVER : instant(config.start + state.sent * PERIOD);
    return [{ kind: "send", port, frame }];
  },
  deadline: (state) => state.next,
};

export interface Forwarding {
  readonly hosts: number;
  readonly hops: 1 | 2 | 3;
  readonly frames: number;
  readonly size: number;
}

export function leafSize(hosts: number): number {
  return hosts <= 8 ? 4 : hosts <= 64 ? 16 : 32;
}

function partnerOf(index: number, hops: number, perLeaf: number, leaves: number): number {
  const leaf = Math.floor(index / perLeaf);
  const place = index % perLeaf;
  if (hops === 1) return leaf * perLeaf + ((place + perLeaf / 2) % perLeaf);
  if (hops === 2) return (leaf ^ 1) * perLeaf + place;
  return ((leaf + 1) % leaves) * perLeaf + place;
}

function trunks(leaves: number, hops: number): [string, string][] {
  const pairs: [string, string][] = [];
  if (hops === 2) for (let l = 0; l + 1 < leaves; l += 2) pairs.push([`leaf${l}`, `leaf${l + 1}`]);
  else for (let l = 0; l < leaves; l++) pairs.push([`leaf${l}`, "spine"]);
  return pairs;
}

/** Builds the world; `count.delivered` grows as frames arrive. */
export function build(options: Forwarding): {
  world: World;
  start: number;
  target: number;
} {
  const { hosts, hops, size } = options;
  const perLeaf = leafSize(hosts);
  const leaves = Math.ceil(hosts / perLeaf);
  const world = new World({ seed: 1, log: new Log() });
  const start = hosts * WARM_UP_STEP + REST;
  const each = Math.floor(options.frames / hosts);
  const between = trunks(leaves, hops);
  for (let l = 0; l < leaves; l++) {
    const access = Array.from({ length: Math.min(perLeaf, hosts - l * perLeaf) }, (_, k) => `p${k}`);
    addBridge(world, `leaf${l}`, access, between.some((pair) => pair.includes(`leaf${l}`)) ? ["up"] : []);
  }
  if (hops !== 2)
    addBridge(
      world,
      "spine",
      [],
      between.map(([leaf]) => leaf),
    );
  for (let i = 0; i < hosts; i++) {
    const config: HostConfig = {
      index: i,
      partner: partnerOf(i, hops, perLeaf, leaves),
      size,
      frames: each,
      warmUp: instant(i * WARM_UP_STEP),
      start: instant(start + Math.floor((i * PERIOD) / hosts)),
    };
    world.addNode(`h${i}`, (node) => node.mount([mount(host, config, node)]));
    const leaf = `leaf${Math.floor(i / perLeaf)}`;
    const ends = [
      { node: `h${i}`, port: "eth0" },
      { node: leaf, port: `p${i % perLeaf}` },
    ];
    world.addLink({ id: `h${i}`, delay: 1_000, rate: 1e9, queue: 65_536 }, ends);
  }
  for (const [a, b] of between) {
    const ends = [
      { node: a, port: "up" },
      { node: b, port: b === "spine" ? a : "up" },
    ];
    world.addLink({ id: `${a}-${b}`, delay: 100, rate: 40e9, queue: 1 << 20 }, ends);
  }
  world.start();
  return { world, start: start * 1_000 - 1, target: each * hosts };
}

function addBridge(world: World, name: string, untagged: readonly string[], tagged: readonly string[]): void {
  const config = bridgeSchema.parse({ vlans: { [VLAN]: { untagged, tagged } } });
  world.addNode(name, (node) => node.mount([mount(bridge, config, node)]));
}

/** Runs to the last delivery; frames per host are sent every 100 µs, so the end is known. */
export function run(options: Forwarding) {
  const { world, start, target } = build(options);
  world.run(start);
  const eventsBefore = world.events;
  const cpuBefore = process.cpuUsage();
  const wallBefore = process.hrtime.bigint();
  const end = start + (target / options.hosts + 2) * 100_000;
  world.run(end);
  const wall = Number(process.hrtime.bigint() - wallBefore) / 1e9;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const delivered = deliveredIn(world, options.hosts);
  const frameHops = delivered * (options.hops + 1);
  return {
    tool: "hotpair",
    mode: "fwd",
    hosts: options.hosts,
    switch_hops: options.hops,
    frame_bytes: options.size,
    frames_delivered: delivered,
    complete: delivered === target,
    events: world.events - eventsBefore,
    wall_s: wall,
    cpu_s: cpuSeconds,
    frame_hops_per_s: frameHops / wall,
    frame_hops_per_cpu_s: frameHops / cpuSeconds,
    peak_kib: process.resourceUsage().maxRSS,
  };
}

function deliveredIn(world: World, hosts: number): number {
  let sum = 0;
  for (let i = 0; i < hosts; i++) {
    const state = world.node(`h${i}`)?.machine("host")?.state;
    if (state instanceof HostState) sum += state.delivered;
  }
  return sum;
}

function option(name: string, fallback: number): number {
  const text = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return text === undefined ? fallback : Number(text.slice(name.length + 3));
}

if (process.argv[1]?.endsWith("forwarding.js")) {
  const hops = option("hops", 3) as 1 | 2 | 3;
  const result = run({
    hosts: option("hosts", 64),
    hops,
    frames: option("frames", 1 << 20),
    size: option("size", 128),
  });
  console.log(JSON.stringify(result));
  process.exitCode = result.complete ? 0 : 3;
}
