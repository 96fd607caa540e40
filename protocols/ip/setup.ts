/** The stack as its configuration makes it, and what changes when a link or a virtual router does. */
import {
  familyOf,
  formatPrefix,
  type Ip,
  type Ip6,
  ip4From,
  ipBytes,
  isLinkLocal,
  macBytes,
  multicastMac,
  type Prefix,
} from "../../src/core/addr.ts";
import { u32 } from "../../src/core/bytes.ts";
import type { Env, Path, Port } from "../../src/core/machine.ts";
import { NEVER } from "../../src/core/time.ts";
import { ALL_NODES, ALL_ROUTERS, linkLocalOf, solicitedNode } from "../nd/codec.ts";
import { forwards, type InterfacesConfig } from "./config.ts";
import { IP_PORT, type IpAddresses, type IpVirtual } from "./events.ts";
import { flush, forgetAddress } from "./neighbours.ts";
import { refreshRoutes, routesOf } from "./routes.ts";
import { type Interface, type Local, type Stack, station, type Virtual } from "./state.ts";

/** @param kernel the port of the kernel's stack, where this one runs beside it */
export function createStack(config: InterfacesConfig, env: Env, kernel?: Port): Stack {
  const interfaces = Object.keys(config).map((name) => createInterface(config, name, env, kernel !== undefined));
  const byPort: (Interface | undefined)[] = [];
  for (const one of interfaces) byPort[one.port.index] = one;
  const stack: Stack = {
    ipPort: env.port(IP_PORT),
    kernel,
    interfaces,
    byPort,
    local: new Map(),
    peerAddresses: new Set(),
    configured: routesOf(config, interfaces),
    routes: [],
    remembered: new Map(),
    unanswered: kernel === undefined ? undefined : new Set(),
    asking: new Map(),
    running: false,
    saysNeighbours: false,
    alarm: NEVER,
    done: undefined,
    errors: { second: 0, count: 0 },
    drops: new Map(),
  };
  refreshLocals(stack);
  return stack;
}

function createInterface(config: InterfacesConfig, name: string, env: Env, beside: boolean): Interface {
  const port = env.port(name);
  const own = station(env.mac(port));
  const given = config[name]?.addresses ?? [];
  // RFC 4291 §2.8: every interface has a link-local address; beside a kernel's stack it is the kernel's.
  const automatic: Prefix = { address: linkLocalOf(own.mac), length: 64 };
  return {
    port,
    station: own,
    forwarding: forwards(config, name),
    quiet: beside && config[name]?.own === "shared",
    addresses: beside || given.some(({ address }) => isLinkLocal(address)) ? given : [...given, automatic],
    up: false,
    virtuals: [],
    shared: undefined,
    peerAddresses: [],
    broadcasts: new Set(["255.255.255.255" as Ip, ...given.flatMap(broadcastOf)]),
    local: new Map(),
    groups: new Set(),
    neighbours: new Map(),
    returned: Number.NEGATIVE_INFINITY,
  };
}

/** RFC 1122 §3.2.1.3 (d); a network of one or two addresses has none (RFC 3021). */
function broadcastOf({ address, length }: Prefix): readonly Ip[] {
  if (familyOf(address) !== "ipv4" || length >= 31) return [];
  const bytes = ipBytes(address);
  for (let bit = length; bit < 32; bit++) bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) | (0x80 >>> (bit & 7));
  return [ip4From(bytes)];
}

/** Works out anew for which addresses and groups the node listens. */
function refreshLocals(stack: Stack): void {
  stack.local.clear();
  for (const on of stack.interfaces) {
    on.local.clear();
    on.groups.clear();
    listen(on, ALL_NODES);
    if (on.forwarding) listen(on, ALL_ROUTERS);
    for (const { address } of on.addresses) addLocal(stack, on, { address, port: on.port, virtual: undefined });
    for (const virtual of on.virtuals) {
      if (!virtual.present) continue;
      for (const { address } of virtual.addresses) addLocal(stack, on, { address, port: on.port, virtual });
    }
  }
}

function addLocal(stack: Stack, on: Interface, local: Local): void {
  const { address } = local;
  on.local.set(address, local);
  if (familyOf(address) === "ipv6") listen(on, solicitedNode(address as Ip6));
  if (!isLinkLocal(address)) stack.local.set(address, local);
}

function listen(on: Interface, group: Ip6): void {
  on.groups.add(u32(macBytes(multicastMac(group)), 2) | 0);
}

/** Takes over what a virtual router wants. */
export function setVirtual(stack: Stack, change: IpVirtual, path: Path): void {
  const on = stack.interfaces.find(({ port }) => port.name === change.port);
  if (on === undefined) return;
  const { vrid, family, addresses, mac, accept, present } = change;
  const virtual: Virtual = {
    vrid,
    family,
    addresses,
    station: mac === undefined ? on.station : station(mac),
    accept,
    present,
  };
  on.virtuals = [...on.virtuals.filter((other) => other.vrid !== vrid || other.family !== family), virtual];
  refreshLocals(stack);
  // Whoever had the addresses so far has them no more.
  for (const { address } of addresses) forgetAddress(stack, on, address, path);
}

/** A link went up or down: RFC 1812 §5.3.12.1, its networks can no longer be reached. */
export function setLink(stack: Stack, on: Interface, up: boolean, path: Path): void {
  on.up = up;
  refreshRoutes(stack);
  if (!up) flush(stack, on, path);
}

export function addressesOf(on: Interface): IpAddresses {
  return {
    type: "ip.addresses",
    port: on.port.name,
    mac: on.station.mac,
    up: on.up,
    addresses: on.addresses.map(formatPrefix),
  };
}
