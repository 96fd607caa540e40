/** What the machine knows that tells the kernel's bridge what to do. */
import type { Mac } from "../../src/core/addr.ts";
import type { Output, Port } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { BridgeApartWish, BridgePortWish, BridgeStationWish } from "../../src/node/host.ts";
import type { MuxState } from "../lacp/events.ts";
import type { MacEvent } from "./events.ts";

export interface DriverConfig {
  /** Name of the kernel's bridge: that of the routed port of its VLAN. */
  readonly bridge: string;
  readonly vlan: number;
  /** Stations that are known at most. */
  readonly table: number;
  /** `links`: the interfaces of a bundle; undefined for a port that is an interface itself. */
  readonly ports: readonly { readonly name: string; readonly links: readonly string[] | undefined }[];
}

type Wish = BridgePortWish | BridgeStationWish | BridgeApartWish;
export type DriverOutput = { readonly kind: "apply"; readonly change: Wish };

export interface Station {
  readonly mac: Mac;
  /** The bridge's port; a bundle's name is one. */
  port: string;
  /** This switch has heard it itself; its M-LAG peer has said that it has. */
  local: boolean;
  peer: boolean;
  /** What the kernel was given of it; undefined where it has heard it itself, or has nothing. */
  given: { readonly port: string; readonly ages: boolean } | undefined;
}

export interface Driven {
  config: DriverConfig;
  ports: ReadonlyMap<string, Port>;
  /** By interface: what was wished for last. */
  readonly wishes: Map<string, BridgePortWish>;
  /** By interface of a bundle. */
  readonly mux: Map<string, MuxState>;
  /** Names of ports that carry. */
  readonly up: Set<string>;
  running: boolean;
  /** Names of ports where nothing is learned, and where nothing passes. */
  readonly deaf: Set<string>;
  readonly closed: Set<string>;
  readonly stations: Map<Mac, Station>;
  /** By port: where its stations are found while it is down. */
  readonly instead: Map<string, string>;
  /** Stations that the kernel has lost a moment ago, and when they are gone: the earliest first. */
  readonly fading: Map<Mac, Instant>;
  /** Stations that there was no room for. */
  unlearned: number;
  /** Of the input that is worked on. */
  now: Instant;
  out: Output<MacEvent, Wish>[];
}

/** All that a port of the bridge is to the kernel. */
export function interfacesOf({ config }: Driven, name: string): readonly string[] {
  const port = config.ports.find((one) => one.name === name);
  return port === undefined ? [] : (port.links ?? [name]);
}

/** The interface by which a station behind a port is reached now; undefined while the port is down. */
export function wayOut(state: Driven, name: string): string | undefined {
  if (!state.up.has(name)) return undefined;
  return interfacesOf(state, name).find((port) => state.wishes.get(port)?.distributes === true);
}

export function portOf({ config }: Driven, port: string): string | undefined {
  return config.ports.find(({ name, links }) => (links ?? [name]).includes(port))?.name;
}
