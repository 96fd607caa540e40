/** Which way a packet goes: connected networks, default gateways and configured routes; the longest prefix wins. */
import { contains, familyOf, type Ip, type Prefix, parsePrefix } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import type { InterfacesConfig } from "./config.ts";
import { type Interface, MAX_ROUTE_MEMORY, type Route, type Stack } from "./state.ts";

const DEFAULT = { ipv4: everywhere("0.0.0.0/0"), ipv6: everywhere("::/0") };

function everywhere(text: string): Prefix {
  const prefix = parsePrefix(text);
  assert(prefix !== undefined, `${text} is no prefix`);
  return prefix;
}

/** All routes of a configuration. Of two to the same network the one that stands first in the file is taken. */
export function routesOf(config: InterfacesConfig, interfaces: readonly Interface[]): readonly Route[] {
  const connected: Route[] = [];
  const configured: Route[] = [];
  for (const one of interfaces) {
    for (const prefix of one.addresses) connected.push({ prefix, via: undefined, interface: one });
    const { routes = [], gateway = [] } = config[one.port.name] ?? {};
    for (const { to, via } of routes) configured.push({ prefix: to, via, interface: one });
    for (const via of gateway) configured.push({ prefix: DEFAULT[familyOf(via)], via, interface: one });
  }
  // The sort is stable: connected networks come before configured ones of the same length.
  return [...connected, ...configured].sort((a, b) => b.prefix.length - a.prefix.length);
}

/** To be called when a link has changed: the routes of an interface that is down are no routes. */
export function refreshRoutes(stack: Stack): void {
  stack.routes = stack.configured.filter((route) => route.interface.up);
  stack.remembered.clear();
}

/** RFC 1812 §5.2.4.3: the longest prefix that holds the destination; undefined when there is none. */
export function routeTo(stack: Stack, destination: Ip): Route | undefined {
  const known = stack.remembered.get(destination);
  if (known !== undefined) return known;
  const found = stack.routes.find(({ prefix }) => contains(prefix, destination));
  if (found === undefined) return undefined;
  if (stack.remembered.size >= MAX_ROUTE_MEMORY) stack.remembered.clear();
  stack.remembered.set(destination, found);
  return found;
}
