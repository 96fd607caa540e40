/** The key `interfaces` of a node's file. */
import * as z from "zod";
import {
  contains,
  familyOf,
  formatPrefix,
  type Ip,
  ipBytes,
  isLinkLocal,
  isMulticast,
  type Prefix,
} from "../../src/core/addr.ts";
import type { NodeConfig, Problem } from "../../src/node/protocol.ts";
import { ip, portName, prefix } from "../../src/node/units.ts";

export const MAX_INTERFACES = 4096;
export const MAX_ADDRESSES = 256;
export const MAX_ROUTES = 4096;

const route = z.strictObject({
  to: prefix.meta({ description: "The network to reach: 203.0.113.0/24, 2001:db8:9::/48, 0.0.0.0/0." }),
  via: ip.meta({ description: "The next hop, a neighbour on this interface." }),
});

const interfaceSchema = z
  .strictObject({
    addresses: z
      .array(prefix)
      .max(MAX_ADDRESSES)
      .default([])
      .meta({ description: "Addresses with their prefix lengths; the first of a family is its primary address." }),
    gateway: z
      .union([ip.transform((one) => [one]), z.array(ip).min(1).max(2)])
      .default([])
      .meta({ description: "Default gateway; a list of two where both families have one." }),
    routes: z.array(route).max(MAX_ROUTES).default([]).meta({ description: "Further networks behind this interface." }),
    forwarding: z.boolean().optional().meta({
      description:
        "Whether packets that arrive here are forwarded. Default: yes where more than one interface has addresses.",
    }),
  })
  .meta({ description: "One interface of the IP stack. An IPv6 link-local address is made unless one is given." });

export const interfacesSchema = z
  .record(portName, interfaceSchema)
  .refine((all) => Object.keys(all).length <= MAX_INTERFACES, {
    error: `allowed: at most ${MAX_INTERFACES} interfaces`,
  })
  .meta({ description: "Interfaces with IP addresses, by port." });

export interface InterfaceConfig extends z.output<typeof interfaceSchema> {
  /**
   * A machine of this node needs it for itself, and no file says it: it is in this stack also where the kernel has all
   * others. `shared`: the kernel has an interface of this name as well, and its host says which addresses that has.
   */
  readonly own?: "alone" | "shared";
}
export type InterfacesConfig = Readonly<Record<string, InterfaceConfig>>;

/**
 * RFC 1812 §2.2.8.1 leaves it to the operator; a node between two networks is taken for a router. An interface that is
 * said not to forward is none of the two.
 */
export function forwards(config: InterfacesConfig, name: string): boolean {
  const between = Object.values(config).filter((one) => one.addresses.length > 0 && one.forwarding !== false);
  return config[name]?.forwarding ?? between.length > 1;
}

/** What is wrong within one node. */
export function checkInterfaces(config: InterfacesConfig): readonly Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  for (const [name, { addresses, gateway, routes }] of Object.entries(config)) {
    for (const [i, address] of addresses.entries()) {
      const path = [name, "addresses", i];
      const wrong = notForHost(address);
      if (wrong !== undefined) problems.push({ path, message: `found ${formatPrefix(address)}, which is ${wrong}` });
      // A link-local address may stand on every interface: RFC 4291 §2.5.6.
      const key = isLinkLocal(address.address) ? `${name} ${address.address}` : address.address;
      const other = seen.get(key);
      if (other !== undefined) {
        problems.push({
          path,
          message: `found ${address.address}, which is on ${other} already; allowed: once in a node`,
        });
      }
      seen.set(key, name);
    }
    for (const [i, via] of gateway.entries()) {
      if (!reachable(addresses, via))
        problems.push({ path: [name, "gateway"], message: unreachableHop(via, addresses) });
      if (gateway.findIndex((one) => familyOf(one) === familyOf(via)) !== i) {
        problems.push({ path: [name, "gateway"], message: `found ${via}, allowed: one gateway for each family` });
      }
    }
    for (const [i, { to, via }] of routes.entries()) {
      const path = [name, "routes", i, "via"];
      if (familyOf(to.address) !== familyOf(via)) {
        problems.push({ path, message: `found ${via}, allowed: an address of the family of ${formatPrefix(to)}` });
      } else if (!reachable(addresses, via)) {
        problems.push({ path, message: unreachableHop(via, addresses) });
      }
    }
  }
  return problems;
}

function reachable(addresses: readonly Prefix[], via: Ip): boolean {
  return isLinkLocal(via) || addresses.some((address) => contains(address, via) && address.address !== via);
}

function unreachableHop(via: Ip, addresses: readonly Prefix[]): string {
  const networks = addresses.filter(({ address }) => familyOf(address) === familyOf(via)).map(formatPrefix);
  const allowed = networks.length === 0 ? "an address of a family that the interface has" : networks.join(" or ");
  return `found ${via}, allowed: another node in a network of this interface (${allowed})`;
}

/** Why no interface can have this address; undefined when it can. */
function notForHost({ address, length }: Prefix): string | undefined {
  if (isMulticast(address)) return "a multicast address";
  const bytes = ipBytes(address);
  if (bytes.every((octet) => octet === 0)) return "the unspecified address";
  if (familyOf(address) === "ipv6") return address === "::1" ? "the loopback address" : undefined;
  if (bytes[0] === 127) return "a loopback address";
  // RFC 3021: a network of two addresses has neither of the two special ones.
  if (length >= 31) return undefined;
  const host = [...bytes].reduce((value, octet) => value * 256 + octet, 0) % 2 ** (32 - length);
  if (host === 0) return "the address of the network itself";
  return host === 2 ** (32 - length) - 1 ? "the broadcast address of its network" : undefined;
}

/** Addresses that two nodes have. */
export function compareInterfaces(
  nodes: readonly NodeConfig[],
): readonly (Problem & { readonly node: string; readonly warning: boolean })[] {
  const problems: (Problem & { readonly node: string; readonly warning: boolean })[] = [];
  const seen = new Map<string, string>();
  for (const node of nodes) {
    const interfaces = (node["interfaces"] ?? {}) as InterfacesConfig;
    for (const [name, { addresses }] of Object.entries(interfaces)) {
      for (const [i, { address }] of addresses.entries()) {
        if (isLinkLocal(address)) continue;
        const other = seen.get(address);
        if (other !== undefined && other !== node.node) {
          const message = `found ${address}, which ${other} has already; allowed: an address of one node only`;
          problems.push({ node: node.node, path: ["interfaces", name, "addresses", i], message, warning: false });
        } else {
          seen.set(address, node.node);
        }
      }
    }
  }
  return problems;
}
