/**
 * The control plane alone, as ns3/bench.cc --mode=vrrp: groups of routers on a bridge each, adverts every second.
 * As there, a router is its protocol on a bare interface, without an IP stack; unlike there, every advert is a real
 * packet, encoded and decoded, and the whole state machine runs. One JSON line on stdout.
 */
import { bridgeSchema } from "../protocols/bridge/config.ts";
import { bridge } from "../protocols/bridge/machine.ts";
import type { IpAddresses } from "../protocols/ip/events.ts";
import { schema } from "../protocols/vrrp/config.ts";
import { vrrp } from "../protocols/vrrp/machine.ts";
import type { Mac } from "../src/core/addr.ts";
import { Log } from "../src/core/log.ts";
import { mount } from "../src/core/machine.ts";
import { World } from "../src/host/sim/world.ts";

export interface VrrpBench {
  readonly groups: number;
  /** Routers of a group: 1 … 200. */
  readonly per: number;
  readonly virtualSeconds: number;
  /** All groups on one bridge in place of one each. */
  readonly shared: boolean;
}

/** Virtual seconds in which the masters are elected: not measured. */
const ELECTION = 10;
const SECOND = 1_000_000_000;

function addSwitch(world: World, name: string, ports: readonly string[]): void {
  const config = bridgeSchema.parse({ ports });
  world.addNode(name, (node) => node.mount([mount(bridge, config, node)]));
}

function build({ groups, per, shared }: VrrpBench): { world: World; log: Log } {
  const log = new Log();
  const world = new World({ seed: 1, log });
  const routers: { name: string; address: string }[] = [];
  const ports: string[] = [];
  for (let g = 0; g < groups; g++) {
    const network = `10.${Math.floor(g / 250)}.${g % 250}`;
    if (!shared)
      addSwitch(
        world,
        `sw${g}`,
        Array.from({ length: per }, (_, k) => `p${k}`),
      );
    for (let k = 0; k < per; k++) {
      const name = `r${g}-${k}`;
      const config = schema.parse([
        { interface: "eth0", vrid: (g % 255) + 1, priority: 200 - k, addresses: [`${network}.1/8`] },
      ]);
      world.addNode(name, (node) => node.mount([mount(vrrp, config, node)]));
      routers.push({ name, address: `${network}.${k + 2}/8` });
      if (shared) ports.push(`p${g}-${k}`);
    }
  }
  if (shared) addSwitch(world, "sw", ports);
  for (const [i, { name }] of routers.entries()) {
    const port = shared ? (ports[i] ?? "") : `p${i % per}`;
    const node = shared ? "sw" : `sw${Math.floor(i / per)}`;
    world.addLink({ id: name, delay: 1_000, rate: 10e9 }, [
      { node: name, port: "eth0" },
      { node, port },
    ]);
  }
  world.start();
  for (const { name, address } of routers) {
    const mac = "02:00:00:00:00:01" as Mac;
    const event: IpAddresses = { type: "ip.addresses", port: "eth0", mac, up: true, addresses: [address] };
    world.node(name)?.step({ kind: "heard", event }, world.instant);
  }
  return { world, log };
}

export function run(options: VrrpBench) {
  const { world, log } = build(options);
  let masters = 0;
  log.follow({
    everything: false,
    read({ what }) {
      if (what.kind === "event" && what.event.type === "vrrp.state" && "to" in what.event && what.event.to === "master")
        masters++;
    },
  });
  world.run(ELECTION * SECOND);
  const { events, frames } = world;
  const cpuBefore = process.cpuUsage();
  const wallBefore = process.hrtime.bigint();
  world.run((ELECTION + options.virtualSeconds) * SECOND);
  const wall = Number(process.hrtime.bigint() - wallBefore) / 1e9;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  return {
    tool: "hotpair",
    mode: "vrrp",
    speakers: options.groups * options.per,
    shared: options.shared ? 1 : 0,
    virtual_s: options.virtualSeconds,
    masters,
    frames: world.frames - frames,
    events: world.events - events,
    wall_s: wall,
    cpu_s: cpuSeconds,
    virtual_per_wall: options.virtualSeconds / wall,
    virtual_per_cpu: options.virtualSeconds / cpuSeconds,
    peak_kib: process.resourceUsage().maxRSS,
  };
}

function option(name: string, fallback: number): number {
  const text = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return text === undefined ? fallback : Number(text.slice(name.length + 3));
}

if (process.argv[1]?.endsWith("vrrp.js")) {
  const options = {
    groups: option("groups", 500),
    per: option("per", 2),
    virtualSeconds: option("vsecs", 600),
    shared: option("shared", 0) === 1,
  };
  const result = run(options);
  console.log(JSON.stringify(result));
  // One election a group and no other: otherwise this is not the load that it claims to be.
  process.exitCode = result.masters === options.groups ? 0 : 3;
}
