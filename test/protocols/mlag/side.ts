/** One switch of a pair in the tests: its core, its keepalive, its bridge, and what its bundles have been told. */
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import { type BridgeState, bridge } from "../../../protocols/bridge/machine.ts";
import type { MlagConfig } from "../../../protocols/mlag/config.ts";
import { type KeepaliveState, newKeepalive } from "../../../protocols/mlag/keepalive.ts";
import { initialState, type MlagState } from "../../../protocols/mlag/state.ts";
import type { Mac } from "../../../src/core/addr.ts";
import type { Env, Port } from "../../../src/core/machine.ts";
import { createRng } from "../../../src/core/rng.ts";

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
  private ports: Port[] = [];
  readonly bundles = new Map<number, Bundle>();
  constructor(
    readonly name: Name,
    readonly config: MlagConfig,
    private readonly bridgePorts: readonly string[],
    private readonly system: Mac,
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
    for (const bundle of this.bundles.values()) {
      Object.assign(bundle, { hold: true, suspended: false, system: undefined, up: false });
    }
  }

  private freshBridge(): BridgeState {
    this.ports = [];
    return bridge.init(bridgeSchema.parse({ ports: this.bridgePorts, ageing: "60s" }), this.env());
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
