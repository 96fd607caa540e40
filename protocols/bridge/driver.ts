/**
 * The bridge where the kernel is one (Linux): this machine tells it which of its ports take and send frames, and where
 * stations are that it has not heard itself. A bundle is no interface there. Its links are ports of the bridge, of which one
 * has the floods; between them nothing passes.
 */
import type { Change, Command, Machine } from "../../src/core/machine.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import type { BridgePortWish, KernelStation } from "../../src/node/host.ts";
import type { Kernel, NodeConfig, Problem } from "../../src/node/protocol.ts";
import type { LacpPortEvent, MuxState } from "../lacp/events.ts";
import type { BridgeIsolate, ToBridge } from "../mlag/events.ts";
import type { BridgeConfig } from "./config.ts";
import { type Driven, type DriverConfig, type DriverOutput, interfacesOf } from "./driver-state.ts";
import * as stations from "./driver-stations.ts";
import type { MacEvent } from "./events.ts";

/** What of a node's file says which links a bundle has. */
type Bundles = readonly { readonly name: string; readonly members: readonly { readonly port: string }[] }[];
type Heard = LacpPortEvent | KernelStation | ToBridge;

/** The only one. */
function vlanOf({ vlans }: Pick<BridgeConfig, "vlans">): number {
  const [vlan = 1] = vlans.keys();
  return vlan;
}

function nameOf(config: Pick<BridgeConfig, "vlans">): string {
  return `vlan${vlanOf(config)}`;
}

export function drivenBy({ ports, vlans, table }: BridgeConfig, node: NodeConfig): DriverConfig {
  const bundles = (node["lacp"] ?? []) as Bundles;
  return {
    bridge: nameOf({ vlans }),
    vlan: vlanOf({ vlans }),
    table,
    ports: ports.map((name) => {
      const bundle = bundles.find((one) => one.name === name);
      return { name, links: bundle?.members.map(({ port }) => port) };
    }),
  };
}

export const driver: Machine<DriverConfig, Driven, Command, MacEvent, Heard, DriverOutput["change"]> = {
  name: "bridge",
  hears: [
    "lacp.port",
    "kernel.station",
    "mlag.isolate",
    "mlag.learning",
    "mlag.redirect",
    "mlag.mac",
    "mlag.adopt",
    "mlag.sweep",
    "mlag.orphan",
    "mlag.vlans",
  ],
  // A partner that is told that nothing more is sent, or taken, finds it so.
  hearsAtOnce: ["lacp.port"],
  ports: ({ ports }) => ({ uses: ports.map(({ name }) => name) }),
  init: (config, env) => ({
    config,
    ports: new Map(config.ports.map(({ name }) => [name, env.port(name)])),
    wishes: new Map(),
    mux: new Map(),
    up: new Set(),
    running: false,
    deaf: new Set(),
    closed: new Set(),
    stations: new Map(),
    instead: new Map(),
    fading: new Map(),
    unlearned: 0,
    now: 0 as Instant,
    out: [],
  }),
  step(state, input, now) {
    state.now = now;
    switch (input.kind) {
      case "command":
        if (input.command.verb === "start" || input.command.verb === "stop") {
          state.running = input.command.verb === "start";
          settle(state);
        }
        break;
      case "link":
        if (input.up) state.up.add(input.port.name);
        else state.up.delete(input.port.name);
        stations.linkChanged(state, input.port.name);
        break;
      case "timer":
        stations.fade(state);
        break;
      case "heard":
        hear(state, input.event);
        break;
      default:
        break;
    }
    return taken(state);
  },
  deadline: ({ fading }) => fading.values().next().value ?? NEVER,
  reconfigure(state, config, env, now) {
    state.now = now;
    const before = state.config;
    state.config = config;
    state.ports = new Map(config.ports.map(({ name }) => [name, env.port(name)]));
    const links = new Set(linksOf(config).map(({ port }) => port));
    for (const { port, bundle } of linksOf(before)) {
      if (links.has(port)) continue;
      state.mux.delete(port);
      if (state.wishes.delete(port)) state.out.push({ kind: "apply", change: wishFor(before, bundle, port, NOTHING) });
    }
    settle(state);
    stations.review(state);
    return taken(state);
  },
};

const NOTHING = { collects: false, distributes: false, floods: false, learns: true, present: false };

function taken(state: Driven): Driven["out"] {
  const { out } = state;
  state.out = [];
  return out;
}

function hear(state: Driven, event: Heard): void {
  switch (event.type) {
    case "lacp.port":
      if (state.mux.get(event.port) === event.mux) return;
      state.mux.set(event.port, event.mux);
      settle(state);
      stations.linkMoved(state, event.bundle);
      break;
    case "kernel.station":
      stations.heardByKernel(state, event);
      break;
    case "mlag.isolate":
      isolate(state, event);
      break;
    case "mlag.learning":
      change(state.deaf, event.port, !event.learning);
      settle(state);
      break;
    case "mlag.orphan":
      change(state.closed, event.port, event.suspended);
      settle(state);
      break;
    case "mlag.vlans":
      change(state.closed, event.port, event.excluded.includes(state.config.vlan));
      settle(state);
      break;
    case "mlag.redirect":
      stations.redirect(state, event);
      break;
    case "mlag.mac":
      if (event.vlan !== state.config.vlan) return;
      if (event.present) stations.place(state, event);
      else stations.withdraw(state, event);
      break;
    case "mlag.adopt":
      stations.adopt(state);
      break;
    case "mlag.sweep":
      stations.sweep(state, event.port);
      break;
    // The addresses of the pair's gateways are the kernel's own.
    case "mlag.gateway":
      break;
  }
}

function change(set: Set<string>, name: string, present: boolean): void {
  if (present) set.add(name);
  else set.delete(name);
}

function isolate(state: Driven, { from, to, isolated, only }: BridgeIsolate): void {
  const apart = isolated ? (only ?? "all") : "none";
  for (const one of interfacesOf(state, from)) {
    for (const other of interfacesOf(state, to)) {
      state.out.push({ kind: "apply", change: { type: "bridge.apart", from: one, to: other, apart } });
    }
  }
}

/** Every interface, with the name of the bundle that it is a link of. */
function linksOf({
  ports,
}: DriverConfig): readonly { readonly port: string; readonly name: string; readonly bundle?: string }[] {
  return ports.flatMap(
    ({ name, links }) => links?.map((port) => ({ port, name, bundle: name })) ?? [{ port: name, name }],
  );
}

/** What is wished for now and was not before. */
function settle(state: Driven): void {
  const changed: BridgePortWish[] = [];
  const flooding = floodersOf(state);
  for (const { port, name, bundle } of linksOf(state.config)) {
    const open = !state.closed.has(name);
    const collects = open && (bundle === undefined || is(state, port, COLLECTS));
    const distributes = open && (bundle === undefined || is(state, port, DISTRIBUTES));
    const floods = distributes && (bundle === undefined || flooding.get(bundle) === port);
    const how = { collects, distributes, floods, learns: !state.deaf.has(name), present: state.running };
    const wish = wishFor(state.config, bundle, port, how);
    const before = state.wishes.get(port);
    if (before === undefined ? !wish.present : same(before, wish)) continue;
    state.wishes.set(port, wish);
    changed.push(wish);
  }
  // Two links of a bundle with the floods would bring them twice; none for a moment is a loss.
  changed.sort((a, b) => Number(a.floods) - Number(b.floods));
  for (const one of changed) state.out.push({ kind: "apply", change: one });
}

/** By bundle, the link that has its floods: that which has them, as long as it distributes; each move may lose some. */
function floodersOf(state: Driven): ReadonlyMap<string, string> {
  const flooders = new Map<string, string>();
  for (const { port, bundle } of linksOf(state.config)) {
    if (bundle === undefined || !is(state, port, DISTRIBUTES)) continue;
    if (!flooders.has(bundle) || state.wishes.get(port)?.floods === true) flooders.set(bundle, port);
  }
  return flooders;
}

function is({ mux }: Driven, port: string, states: ReadonlySet<MuxState>): boolean {
  const now = mux.get(port);
  return now !== undefined && states.has(now);
}

// IEEE 802.1AX §6.4.15: independent and coupled control.
const DISTRIBUTES: ReadonlySet<MuxState> = new Set(["distributing", "collecting-distributing"]);
const COLLECTS: ReadonlySet<MuxState> = new Set(["collecting", ...DISTRIBUTES]);

type How = Pick<BridgePortWish, "collects" | "distributes" | "floods" | "learns" | "present">;
const SAID = ["collects", "distributes", "floods", "learns", "present", "bundle", "bridge"] as const;

function same(one: BridgePortWish, other: BridgePortWish): boolean {
  return SAID.every((key) => one[key] === other[key]);
}

function wishFor({ bridge }: DriverConfig, bundle: string | undefined, port: string, how: How): BridgePortWish {
  return { type: "bridge.port", port, bridge, ...(bundle === undefined ? {} : { bundle }), ...how };
}

export const kernel: Kernel<BridgeConfig> = {
  machine: "bridge",
  wish: "bridge.port",
  prepares: (config, node) => {
    const driven = drivenBy(config, node);
    return linksOf(driven).map(({ port, bundle }) => wishFor(driven, bundle, port, NOTHING));
  },
  key: (wish: Change) => `bridge ${(wish as BridgePortWish).port}`,
  farewells: () => [],
};

/** What another configuration changes, in words. Which links a bundle has is its own business. */
export function changes(from: BridgeConfig, to: BridgeConfig): readonly string[] {
  const [old, other] = [nameOf(from), nameOf(to)];
  return [
    ...(old === other ? [] : [`bridge: ${old} is left for ${other}`]),
    ...from.ports.filter((port) => !to.ports.includes(port)).map((port) => `bridge: ${port} leaves`),
    ...to.ports.filter((port) => !from.ports.includes(port)).map((port) => `bridge: ${port} joins`),
  ];
}

/** The kernel's bridge is told of ports, not of VLANs. */
export function unable({ vlans }: BridgeConfig): readonly Problem[] {
  const [first, ...others] = [...vlans];
  const problems = others.map(([vid]) => ({
    path: ["vlans", vid],
    message: "found a second VLAN, allowed on real interfaces: one, without tags",
  }));
  if (first === undefined || first[1].tagged.length === 0) return problems;
  const message = `found ${first[1].tagged.join(", ")}, allowed on real interfaces: none`;
  return [{ path: ["vlans", first[0], "tagged"], message }, ...problems];
}
