/** What is wrong with the bundles of one node beyond one bundle's schema, and what disagrees between nodes. */
import type { NodeConfig, Problem } from "../../src/node/protocol.ts";
import type { BundleConfig, LacpConfig } from "./config.ts";
import { bundlesOf } from "./invariants.ts";

/** Paths begin at the value under the key `lacp`. */
export function check(config: LacpConfig, node: NodeConfig): readonly Problem[] {
  const problems: Problem[] = [];
  const names = new Set<string>();
  const members = new Map<string, string>();
  const keys = new Map<number, string>();
  for (const [i, bundle] of config.entries()) {
    const complain = (path: readonly (string | number)[], message: string) =>
      problems.push({ path: [i, ...path], message });
    if (names.has(bundle.name)) complain(["name"], `found ${bundle.name} twice, allowed: each bundle once`);
    names.add(bundle.name);
    const other = keys.get(bundle.key);
    if (other !== undefined) {
      complain(["key"], `found ${bundle.key}, which ${other} has already; allowed: a key of its own`);
    }
    keys.set(bundle.key, bundle.name);
    for (const [j, { port }] of bundle.members.entries()) {
      const owner = members.get(port);
      if (owner !== undefined) {
        complain(["members", j], `found ${port}, which is in ${owner} already; allowed: in one bundle, once`);
      }
      members.set(port, bundle.name);
      const user = userOf(node, port);
      if (user !== undefined) {
        const message = `found ${port}, which ${user} uses; allowed: a port that nothing but its bundle uses`;
        complain(["members", j], message);
      }
    }
    limits(bundle, complain);
  }
  for (const [i, bundle] of config.entries()) {
    for (const [j, { port }] of bundle.members.entries()) {
      if (!names.has(port)) continue;
      problems.push({ path: [i, "members", j], message: `found ${port}, which is a bundle; allowed: a link` });
    }
  }
  return problems;
}

function limits(bundle: BundleConfig, complain: (path: readonly string[], message: string) => void): void {
  const { minLinks, maxLinks, members, individual } = bundle;
  const most = individual ? 1 : Math.min(maxLinks, members.length);
  if (minLinks <= most) return;
  complain(["min-links"], `found ${minLinks}, allowed: at most ${most}, or the bundle is never up`);
}

/** Who else in the node's file uses the port. */
function userOf(node: NodeConfig, port: string): string | undefined {
  const bridge = node["bridge"] as { readonly ports?: readonly string[] } | undefined;
  if (bridge?.ports?.includes(port)) return "bridge";
  return port in ((node["interfaces"] ?? {}) as object) ? "interfaces" : undefined;
}

/** Two systems with one identifier are one system to their partners: right for an M-LAG pair, wrong otherwise. */
export function compare(
  nodes: readonly NodeConfig[],
): readonly (Problem & { readonly node: string; readonly warning: boolean })[] {
  const first = new Map<string, string>();
  return nodes.flatMap((node) =>
    bundlesOf(node).flatMap(({ system }, i) => {
      if (system === undefined) return [];
      const other = first.get(system) ?? node.node;
      first.set(system, other);
      if (other === node.node) return [];
      const message = `found ${system}, but ${other} has it too: their partners take them for one system`;
      return [{ node: node.node, path: ["lacp", i, "system"], message, warning: true }];
    }),
  );
}

/** A bundle is no interface of a kernel: its frames pass through a bridge, whose ports its links are. */
export function unable(config: LacpConfig, node: NodeConfig): readonly Problem[] {
  const { ports = [] } = (node["bridge"] ?? {}) as { readonly ports?: readonly string[] };
  return config.flatMap(({ name }, i) => {
    if (ports.includes(name)) return [];
    return { path: [i, "name"], message: `found ${name}, allowed on real interfaces: a port of the node's bridge` };
  });
}
