/**
 * The control plane alone, as ns3/bench.cc --mode=vrrp: groups of routers on a bridge each, adverts every second.
 * Here every advert is a real packet, encoded and decoded, and every router a whole node with its IP stack.
 * One JSON line on stdout.
 */
import { protocols } from "../protocols/index.ts";
import { instant } from "../src/core/time.ts";
import { LabRun } from "../src/host/sim/lab-run.ts";
import { compileLab } from "../src/host/sim/topology.ts";

export interface VrrpBench {
  readonly groups: number;
  /** Routers of a group: 2 … 200. */
  readonly per: number;
  readonly virtualSeconds: number;
  /** All groups on one bridge in place of one each. */
  readonly shared: boolean;
}

/** Virtual seconds in which the masters are elected: not measured. */
const ELECTION = 10;

function lab({ groups, per, shared }: VrrpBench): string {
  const nodes: Record<string, unknown> = {};
  const links: unknown[] = [];
  const ports: string[] = [];
  for (let g = 0; g < groups; g++) {
    for (let k = 0; k < per; k++) {
      const name = `r${g}-${k}`;
      const network = `10.${Math.floor(g / 250)}.${g % 250}`;
      const vrid = (g % 255) + 1;
      nodes[name] = {
        interfaces: { eth0: { addresses: [`${network}.${k + 2}/8`] } },
        vrrp: [{ interface: "eth0", vrid, priority: 200 - k, addresses: [`${network}.1/8`] }],
      };
      const port = shared ? `p${g}-${k}` : `p${k}`;
      ports.push(port);
      links.push({
        id: name,
        ends: [`${name}:eth0`, `${shared ? "sw" : `sw${g}`}:${port}`],
        delay: "1us",
        rate: "10Gbps",
      });
    }
    if (!shared) nodes[`sw${g}`] = { bridge: { ports: Array.from({ length: per }, (_, k) => `p${k}`) } };
  }
  if (shared) nodes.sw = { bridge: { ports } };
  return JSON.stringify({ name: "bench", nodes, links });
}

export function run(options: VrrpBench) {
  const compiled = compileLab(lab(options), "bench", protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const end = instant((ELECTION + options.virtualSeconds) * 1_000_000);
  const lab_ = new LabRun(compiled.lab, protocols, { end });
  let masters = 0;
  lab_.log.follow({
    everything: false,
    read({ what }) {
      if (what.kind === "event" && what.event.type === "vrrp.state" && "to" in what.event && what.event.to === "master")
        masters++;
    },
  });
  lab_.start();
  lab_.run(instant(ELECTION * 1_000_000));
  const { events, frames } = lab_.world;
  const cpuBefore = process.cpuUsage();
  const wallBefore = process.hrtime.bigint();
  lab_.run();
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
    frames: lab_.world.frames - frames,
    events: lab_.world.events - events,
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
