/**
 * The bridge where the kernel is one (Linux): this machine tells it which of its ports take and send frames. A bundle is no
 * interface there. Its links are ports of the bridge, of which one has the floods; between them nothing passes.
 */
import type { Change, Command, Machine, Output } from "../../src/core/machine.ts";
import { NOTHING } from "../../src/core/machine.ts";
import { NEVER } from "../../src/core/time.ts";
import type { BridgePortWish } from "../../src/node/host.ts";
import type { Kernel, NodeConfig, Problem } from "../../src/node/protocol.ts";
import type { LacpPortEvent, MuxState } from "../lacp/events.ts";
import type { BridgeConfig } from "./config.ts";

export interface DriverConfig {
  /** Name of the kernel's bridge: that of the routed port of its VLAN. */
  readonly bridge: string;
  readonly ports: readonly { readonly port: string; readonly bundle: string | undefined }[];
}

/** What of a node's file says which links a bundle has. */
type Bundles = readonly { readonly name: string; readonly members: readonly { readonly port: string }[] }[];

interface Driven {
  readonly config: DriverConfig;
  /** By interface: what was wished for last. */
  readonly wishes: Map<string, BridgePortWish>;
  /** By interface of a bundle: its mux. */
  readonly mux: Map<string, MuxState>;
  running: boolean;
}

export function drivenBy({ ports, vlans }: BridgeConfig, node: NodeConfig): DriverConfig {
  const bundles = (node["lacp"] ?? []) as Bundles;
  const [vid = 1] = vlans.keys();
  return {
    bridge: `vlan${vid}`,
    ports: ports.flatMap((name): DriverConfig["ports"] => {
      const bundle = bundles.find((one) => one.name === name);
      if (bundle === undefined) return [{ port: name, bundle: undefined }];
      return bundle.members.map(({ port }) => ({ port, bundle: name }));
    }),
  };
}

export const driver: Machine<DriverConfig, Driven, Command, never, LacpPortEvent, BridgePortWish> = {
  name: "bridge",
  hears: ["lacp.port"],
  ports: () => ({}),
  init: (config) => ({ config, wishes: new Map(), mux: new Map(), running: false }),
  step(state, input) {
    if (input.kind === "command") {
      if (input.command.verb !== "start" && input.command.verb !== "stop") return NOTHING;
      state.running = input.command.verb === "start";
      return settle(state);
    }
    if (input.kind !== "heard") return NOTHING;
    const { port, mux } = input.event;
    if (state.mux.get(port) === mux) return NOTHING;
    state.mux.set(port, mux);
    return settle(state);
  },
  deadline: () => NEVER,
};

/** What is wished for now and was not before; what is taken away comes first. */
function settle(state: Driven): readonly Output<never, BridgePortWish>[] {
  const flooding = new Set<string>();
  const changed: BridgePortWish[] = [];
  for (const { port, bundle } of state.config.ports) {
    const mux = state.mux.get(port);
    const collects = bundle === undefined || (mux !== undefined && COLLECTS.has(mux));
    const distributes = bundle === undefined || (mux !== undefined && DISTRIBUTES.has(mux));
    const floods = distributes && (bundle === undefined || !flooding.has(bundle));
    if (floods && bundle !== undefined) flooding.add(bundle);
    const wish = wishFor(state.config, port, bundle, { collects, distributes, floods, present: state.running });
    const before = state.wishes.get(port);
    if (before === undefined ? !wish.present : same(before, wish)) continue;
    state.wishes.set(port, wish);
    changed.push(wish);
  }
  return changed.sort((a, b) => weight(a) - weight(b)).map((change) => ({ kind: "apply", change }));
}

// IEEE 802.1AX §6.4.15: independent and coupled control.
const DISTRIBUTES: ReadonlySet<MuxState> = new Set(["distributing", "collecting-distributing"]);
const COLLECTS: ReadonlySet<MuxState> = new Set(["collecting", ...DISTRIBUTES]);

/** Two links of a bundle with the floods would bring them twice; none for a moment is a loss. */
function weight({ floods }: BridgePortWish): number {
  return floods ? 1 : 0;
}

function same(one: BridgePortWish, other: BridgePortWish): boolean {
  return (
    one.collects === other.collects &&
    one.distributes === other.distributes &&
    one.floods === other.floods &&
    one.present === other.present
  );
}

function wishFor(
  { bridge }: DriverConfig,
  port: string,
  bundle: string | undefined,
  how: Pick<BridgePortWish, "collects" | "distributes" | "floods" | "present">,
): BridgePortWish {
  return { type: "bridge.port", port, bridge, ...(bundle === undefined ? {} : { bundle }), ...how };
}

export const kernel: Kernel<BridgeConfig> = {
  machine: "bridge",
  wish: "bridge.port",
  prepares: (config, node) => {
    const driven = drivenBy(config, node);
    const nothing = { collects: false, distributes: false, floods: false, present: false };
    return driven.ports.map(({ port, bundle }) => wishFor(driven, port, bundle, nothing));
  },
  key: (wish: Change) => `bridge ${(wish as unknown as BridgePortWish).port}`,
  farewells: () => [],
};

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
