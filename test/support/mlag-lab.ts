/**
 * An M-LAG pair for tests that look at every frame: two hosts with a bond to both switches, an orphan at each. All four
 * shout to everybody; timers are short.
 */
import { protocols } from "../../protocols/index.ts";
import { LabRun } from "../../src/host/sim/lab-run.ts";
import { compileLab } from "../../src/host/sim/topology.ts";
import { type ShoutHeard, type ShoutSent, shoutProtocol } from "./shout.ts";

export const SPLITS = ["sysid-fallback", "secondary-suspend", "dual-active"] as const;
export const STATIONS = ["h1", "h2", "o1", "o2"] as const;
/** Seconds at the end in which all that is shouted must reach everybody whom it can reach, once. */
export const WATCH = 0.5;

export interface ScriptLine {
  /** Seconds. */
  readonly at: number;
  /** "cut: peer". */
  readonly what: string;
}

/** @param end when the last line of the script is, in seconds */
export function pairLab(lines: readonly ScriptLine[], end: number, split: string): string {
  const keepalive = (address: string, peer: string) =>
    `{ port: ka, address: ${address}/30, peer: ${peer}, interval: 100ms, timeout: 400ms, hold: 200ms }`;
  const node = (name: string, priority: number, path: string) => `  ${name}:
    bridge: { ports: [agg1, agg2, orphan, peer] }
    lacp: [{ name: agg1, members: [p1], rate: fast }, { name: agg2, members: [p2], rate: fast }]
    mlag:
      domain: 10
      priority: ${priority}
      peer-link: peer
      keepalive: ${path}
      members: [{ port: agg1, id: 1 }, { port: agg2, id: 2 }]
      split: ${split}
      split-grace: 200ms
      restore-delay: 500ms
      auto-recovery: 2s
      heartbeat: 100ms`;
  const host = (name: string) =>
    `  ${name}: { lacp: [{ name: bond0, members: [e1, e2], rate: fast }], shout: { port: bond0, every: 20ms } }`;
  const script = [...lines, { at: end, what: "loss: { link: ka, ratio: 0% }" }].sort((a, b) => a.at - b.at);
  return `
name: pair
nodes:
${node("sw1", 100, keepalive("10.99.0.1", "10.99.0.2"))}
${node("sw2", 200, keepalive("10.99.0.2", "10.99.0.1"))}
${host("h1")}
${host("h2")}
  o1: { shout: { port: eth0, every: 20ms } }
  o2: { shout: { port: eth0, every: 20ms } }
links:
  - { id: h1-sw1, ends: [h1:e1, sw1:p1], delay: 5us }
  - { id: h1-sw2, ends: [h1:e2, sw2:p1], delay: 5us }
  - { id: h2-sw1, ends: [h2:e1, sw1:p2], delay: 5us }
  - { id: h2-sw2, ends: [h2:e2, sw2:p2], delay: 5us }
  - { id: o1, ends: [o1:eth0, sw1:orphan], delay: 5us }
  - { id: o2, ends: [o2:eth0, sw2:orphan], delay: 5us }
  - { id: peer, ends: [sw1:peer, sw2:peer], delay: 50us }
  - { id: ka, ends: [sw1:ka, sw2:ka], delay: 200us }
script:
${script.map(({ at, what }) => `  - { at: ${Math.round(at * 1e6)}us, ${what} }`).join("\n")}
`;
}

export interface Drill {
  /** Times in seconds at which a frame came back to its sender. */
  readonly own: readonly number[];
  /** Times at which a frame came a second time to the same station. */
  readonly again: readonly number[];
  /** In the last WATCH: "h1 h2" where what h1 shouted reached h2, always; "h1 h2?" where some of it did. */
  readonly reached: ReadonlySet<string>;
  /** Links that carry in the bonds of h1 and h2. */
  readonly members: string;
  /** What each switch knows of the stations, in words that are the same on both. */
  readonly tables: readonly string[];
  /** LACP system ids that the switches' bundles have last taken. */
  readonly systems: ReadonlySet<string>;
}

/** Runs a `pairLab` to its `end` and looks at every frame. */
export function drill(lines: readonly ScriptLine[], end: number, split: string): Drill {
  const all = [...protocols, shoutProtocol];
  const compiled = compileLab(pairLab(lines, end, split), "pair.yaml", all);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const run = new LabRun(compiled.lab, all, { end: compiled.lab.script.at(-1)?.at ?? compiled.lab.end });
  const own: number[] = [];
  const again: number[] = [];
  const sent = new Map<string, string[]>();
  const heard = new Set<string>();
  const members = new Map<string, number>();
  const systems = new Map<string, string>();
  run.log.follow({
    everything: false,
    read: ({ at, node, what }) => {
      if (what.kind !== "event") return;
      const t = at / 1e6;
      const event = what.event as { readonly type: string; readonly bundle?: string };
      switch (event.type) {
        case "shout.sent": {
          // What is shouted in the last milliseconds is still under way at the end.
          if (t < end - WATCH || t > end - 0.01) break;
          const { from, number } = what.event as ShoutSent;
          sent.set(node, [...(sent.get(node) ?? []), `${from} ${number}`]);
          break;
        }
        case "shout.heard": {
          const { from, number, again: twice, own: back } = what.event as ShoutHeard;
          heard.add(`${from} ${number} ${node}`);
          if (back) own.push(t);
          else if (twice) again.push(t);
          break;
        }
        case "lacp.bundle":
          members.set(`${node} ${event.bundle}`, (event as unknown as { readonly members: number }).members);
          break;
        case "mlag.system":
          systems.set(`${node} ${event.bundle}`, (event as unknown as { readonly system: string }).system);
      }
    },
  });
  run.start();
  run.run();
  const reached = new Set<string>();
  for (const from of STATIONS) {
    for (const to of STATIONS) {
      const shouts = sent.get(from) ?? [];
      const arrived = shouts.filter((one) => heard.has(`${one} ${to}`)).length;
      if (arrived > 0) reached.add(`${from} ${to}${arrived === shouts.length ? "" : "?"}`);
    }
  }
  return {
    own,
    again,
    reached,
    members: ["h1 bond0", "h2 bond0"].map((name) => members.get(name) ?? 0).join(" "),
    tables: (["sw1", "sw2"] as const).map((name) => tableOf(run, name)),
    systems: new Set(systems.values()),
  };
}

interface BridgeTable {
  readonly table: { entries(now: number): Iterable<{ mac: string; port: number; fixed: boolean }> };
  readonly ports: readonly ({ readonly name: string } | undefined)[];
}

/** M-LAG ports by name, others by whose orphan it is. The switches' own addresses are left out. */
function tableOf(run: LabRun, name: "sw1" | "sw2"): string {
  const state = run.world.node(name)?.machine("bridge")?.state as BridgeTable | undefined;
  const other = name === "sw1" ? "sw2" : "sw1";
  const places: string[] = [];
  for (const { mac, port, fixed } of state?.table.entries(0) ?? []) {
    const at = state?.ports[port]?.name ?? "";
    if (fixed || /^02:00:00:0[12]:/.test(mac)) continue;
    places.push(`${mac} ${at === "peer" ? other : at === "orphan" ? name : at}`);
  }
  return places.sort().join(", ");
}
