/** One switch of a pair in the tests: its core, its keepalive, its bridge, and what its bundles have been told. */
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import { type BridgeState, bridge } from "../../../protocols/bridge/machine.ts";
import type { ConsistencyItem } from "../../../protocols/iccp/events.ts";
import { type MlagConfig, mlagSchema } from "../../../protocols/mlag/config.ts";
import { type KeepaliveState, newKeepalive } from "../../../protocols/mlag/keepalive.ts";
import { initialState, type MlagState } from "../../../protocols/mlag/state.ts";
import type { Mac } from "../../../src/core/addr.ts";
import type { Env, Port } from "../../../src/core/machine.ts";
import { createRng } from "../../../src/core/rng.ts";
import { mac } from "../../support/probe.ts";

export type Name = "a" | "b";

/** What the bundle of one half has been told, and what it does. */
export interface Bundle {
  cable: boolean;
  hold: boolean;
  suspended: boolean;
  system: Mac | undefined;
  offset: number;
  up: boolean;
}

/** One switch. */
export class Side {
  core: MlagState;
  path: KeepaliveState;
  bridge: BridgeState;
  alive = false;
  /** When its last item is with the peer, in microseconds. */
  arrival = 0;
  /** What its IP stack has been told of neighbours: by interface and address. */
  readonly offered = new Map<string, Mac>();
  private ports: Port[] = [];
  readonly bundles = new Map<number, Bundle>();
  constructor(
    readonly name: Name,
    readonly config: MlagConfig,
    private readonly bridgePorts: readonly string[],
    private readonly system: Mac,
    private readonly bridgeFile: object = {},
  ) {
    for (const { id } of config.members) {
      const told = { hold: true, suspended: false, system: undefined, offset: 0, up: false };
      this.bundles.set(id, { cable: true, ...told });
    }
    this.core = initialState(config, system);
    this.path = newKeepalive(createRng(1, name));
    this.bridge = this.freshBridge();
  }

  /** As after a reboot. */
  reset(boot: number): void {
    this.core = initialState(this.config, this.system);
    this.path = newKeepalive(createRng(boot, this.name));
    this.bridge = this.freshBridge();
    this.offered.clear();
    for (const bundle of this.bundles.values()) {
      Object.assign(bundle, { hold: true, suspended: false, system: undefined, up: false });
    }
  }

  /** @param now milliseconds */
  stations(now: number): Map<string, { port: string; local: boolean; peer: boolean }> {
    const { ports, table } = this.bridge;
    const found = new Map<string, { port: string; local: boolean; peer: boolean }>();
    for (const { mac: station, port, local, peer, fixed } of table.entries(now)) {
      if (!fixed) found.set(station, { port: ports[port]?.name ?? "", local, peer });
    }
    return found;
  }

  private freshBridge(): BridgeState {
    this.ports = [];
    return bridge.init(bridgeSchema.parse({ ports: this.bridgePorts, ageing: "60s", ...this.bridgeFile }), this.env());
  }

  private env(): Env {
    return {
      node: this.name,
      port: (name) => this.port(name),
      mac: () => this.system,
      rng: (owner) => createRng(1, this.name, owner),
    };
  }

  port(name: string): Port {
    const known = this.ports.find((port) => port.name === name);
    if (known !== undefined) return known;
    const port = { name, index: this.ports.length };
    this.ports.push(port);
    return port;
  }
}

export interface PairOptions {
  readonly a?: object;
  readonly b?: object;
  readonly both?: object;
  readonly ids?: readonly number[];
  /** What each side has of its file for the comparison. */
  readonly items?: Readonly<Record<Name, readonly ConsistencyItem[]>>;
  /** More of each side's key `bridge`. */
  readonly bridges?: Readonly<Record<Name, object>>;
}

/** As the options have it; side a has the better priority and the lower address. */
export function makeSide(name: Name, { a, b, both, ids = [1, 2], items, bridges }: PairOptions): Side {
  const own = { a: { number: 1, more: a }, b: { number: 2, more: b } }[name];
  const members = ids.map((id) => ({ port: `agg${id}`, id }));
  const keepalive = { port: "ka", address: `10.99.0.${own.number}/30`, peer: `10.99.0.${3 - own.number}` };
  const priority = 100 * own.number;
  const base = { domain: 10, priority, "peer-link": "peer", keepalive, members, "restore-delay": "2s" };
  const config = { ...mlagSchema.parse({ ...base, ...both, ...own.more }), items: items?.[name] ?? [] };
  const ports = [...members.map(({ port }) => port), "orphan", "peer"];
  return new Side(name, config, ports, mac(`02:00:00:00:00:0${name}`), bridges?.[name]);
}
