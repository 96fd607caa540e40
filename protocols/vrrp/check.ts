/** What is wrong with the routers of one node beyond one router's schema, and what disagrees between nodes. */
import { contains, familyOf, formatPrefix, type Ip, isLinkLocal, type Prefix } from "../../src/core/addr.ts";
import { equalBytes } from "../../src/core/bytes.ts";
import { formatDuration } from "../../src/core/time.ts";
import type { NodeConfig, Problem } from "../../src/node/protocol.ts";
import { OWNER } from "./codec.ts";
import type { Authentication, RouterConfig, VrrpConfig } from "./config.ts";
import { identityOf, routersOf } from "./invariants.ts";

/** Paths begin at the value under the key `vrrp`. */
export function check(config: VrrpConfig, node: NodeConfig): readonly Problem[] {
  const problems: Problem[] = [];
  const ids = new Map<string, RouterConfig[]>();
  const addresses = new Map<string, string>();
  for (const [i, router] of config.entries()) {
    const key = `${router.interface} ${router.family} ${router.vrid}`;
    const others = ids.get(key) ?? [];
    if (others.some((other) => !disjoint(router.peers, other.peers))) {
      const message = `found VRID ${router.vrid} twice on ${router.interface} for ${router.family}, allowed: once (or with different unicast peers)`;
      problems.push({ path: [i, "vrid"], message });
    }
    ids.set(key, [...others, router]);
    for (const [j, { address }] of router.addresses.entries()) {
      const owner = addresses.get(`${router.interface} ${address}`);
      const path = [i, "addresses", j];
      if (owner !== undefined) {
        problems.push({ path, message: `found ${address}, which ${owner} has already; allowed: in one router only` });
      }
      addresses.set(`${router.interface} ${address}`, router.name);
      const own = interfaceAddresses(node, router.interface).some((prefix) => prefix.address === address);
      if (own && router.priority !== OWNER) {
        const message = `found ${address}, an address of ${router.interface} itself; allowed: only with priority 255 (RFC 9568 §5.2.4)`;
        problems.push({ path, message });
      }
    }
  }
  return [...problems, ...trackedTwice(config), ...groupHooks(config)];
}

/** Orders say what is tracked by its name alone, and it is looked at once for all routers: one name is one thing. */
function trackedTwice(config: VrrpConfig): Problem[] {
  const known = new Map<string, string>();
  return config.flatMap(({ tracked, scripts, files, processes }, i) => {
    const looks = { script: scripts, file: files, process: processes };
    const at = { script: 0, file: 0, process: 0 };
    return tracked.flatMap(({ kind, name }) => {
      if (kind === "interface") return [];
      const place = kind === "object" ? undefined : at[kind]++;
      const what = kind === "object" || place === undefined ? undefined : looks[kind][place];
      const text = JSON.stringify([kind, what]);
      const before = known.get(name);
      known.set(name, before ?? text);
      if (before === undefined || before === text) return [];
      const path = [i, "track", ...(place === undefined ? [] : [LISTS[kind as keyof typeof LISTS], place])];
      return {
        path,
        message: `found another ${kind} named ${name}, allowed: one thing of a name, the same everywhere`,
      };
    });
  });
}

const LISTS = { script: "scripts", file: "files", process: "processes" } as const;

/** A group is told once: by one hook. */
function groupHooks(config: VrrpConfig): Problem[] {
  const known = new Map<string, string>();
  return config.flatMap(({ group, notify }, i) => {
    if (group === undefined || notify?.group === undefined) return [];
    const { run: _, ...hook } = notify;
    const text = JSON.stringify(hook);
    const before = known.get(group) ?? text;
    known.set(group, before);
    const message = `found another hook of the group ${group}, allowed: the same in all its routers, or in one of them`;
    return before === text ? [] : { path: [i, "notify", "group"], message };
  });
}

function disjoint(a: readonly Ip[], b: readonly Ip[]): boolean {
  return a.length > 0 && b.length > 0 && !a.some((peer) => b.includes(peer));
}

function interfaceAddresses(node: NodeConfig, name: string): readonly Prefix[] {
  const interfaces = (node["interfaces"] ?? {}) as Readonly<Record<string, { readonly addresses?: readonly Prefix[] }>>;
  return interfaces[name]?.addresses ?? [];
}

type Difference = Problem & { readonly node: string; readonly warning: boolean };

/**
 * Two routers of one virtual router that are configured differently: all of it is said, none of it is refused.
 * A virtual address that another node has as its own without owning the router is a duplicate address, and refused.
 */
export function compare(nodes: readonly NodeConfig[]): readonly Difference[] {
  const differences: Difference[] = duplicates(nodes);
  const first = new Map<string, { readonly node: string; readonly router: RouterConfig }>();
  for (const node of nodes) {
    for (const [i, router] of routersOf(node).entries()) {
      const warn = (field: string, message: string) =>
        differences.push({ node: node.node, path: ["vrrp", i, field], message, warning: true });
      network(node, router, warn);
      const identity = identityOf(router);
      const other = first.get(identity);
      if (other === undefined) first.set(identity, { node: node.node, router });
      else against(router, other.router, other.node, warn);
    }
  }
  return differences;
}

function duplicates(nodes: readonly NodeConfig[]): Difference[] {
  const holders = new Map<string, NodeConfig>();
  for (const node of nodes) {
    for (const name of Object.keys((node["interfaces"] ?? {}) as object)) {
      for (const { address } of interfaceAddresses(node, name)) if (!isLinkLocal(address)) holders.set(address, node);
    }
  }
  const owns = (node: NodeConfig, address: Ip) =>
    routersOf(node).some((router) => router.priority === OWNER && router.addresses.some((a) => a.address === address));
  return nodes.flatMap((node) =>
    routersOf(node).flatMap((router, i) =>
      router.addresses.flatMap(({ address }, j) => {
        const holder = holders.get(address);
        if (holder === undefined || holder === node || owns(holder, address)) return [];
        const message = `found ${address}, which ${holder.node} has already; allowed: only if it is the owner there (priority 255)`;
        return [{ node: node.node, path: ["vrrp", i, "addresses", j], message, warning: false }];
      }),
    ),
  );
}

type Warn = (field: string, message: string) => void;

function network(node: NodeConfig, router: RouterConfig, warn: Warn): void {
  const own = interfaceAddresses(node, router.interface).filter(({ address }) => familyOf(address) === "ipv4");
  if (router.family !== "ipv4") return;
  if ("interfaces" in node && own.length === 0) {
    warn("interface", `found ${router.interface}, which has no IPv4 address: the router will never start`);
    return;
  }
  for (const { address } of router.addresses) {
    if (own.length > 0 && !own.some((prefix) => contains(prefix, address))) {
      warn("addresses", `found ${address}, outside of ${own.map(formatPrefix).join(" and ")} on ${router.interface}`);
    }
  }
}

function against(router: RouterConfig, other: RouterConfig, node: string, warn: Warn): void {
  if (router.version !== other.version && !router.migration && !other.migration) {
    warn(
      "version",
      `found ${router.version}, but ${node} has ${other.version}: neither hears the other, both are master`,
    );
  }
  if (router.interval !== other.interval) {
    const how = router.version === 2 ? "neither hears the other, both are master" : "a backup follows its master's";
    warn(
      "interval",
      `found ${formatDuration(router.interval)}, but ${node} has ${formatDuration(other.interval)}: ${how}`,
    );
  }
  const mine = router.addresses.map(formatPrefix).sort().join(", ");
  const theirs = other.addresses.map(formatPrefix).sort().join(", ");
  if (mine !== theirs) warn("addresses", `found ${mine}, but ${node} has ${theirs}`);
  if (router.priority === OWNER && other.priority === OWNER) {
    warn("priority", `found 255, but ${node} has 255 too: only one node can own the addresses`);
  }
  if (router.checksum !== other.checksum && router.checksum !== "auto" && other.checksum !== "auto") {
    warn("checksum", `found ${router.checksum}, but ${node} has ${other.checksum}`);
  }
  for (const message of unheard(router.authentication, other.authentication, node)) warn("authentication", message);
  if ((router.group === undefined) !== (other.group === undefined)) {
    const has = (group: string | undefined) => (group === undefined ? "no group" : `the group ${group}`);
    warn("group", `found ${has(router.group)}, but ${node} has ${has(other.group)}: only there others go over with it`);
  }
  if (router.peers.length > 0 !== other.peers.length > 0) {
    warn("peers", `found ${router.peers.length > 0 ? "unicast" : "multicast"}, but ${node} has the other`);
  }
}

/** Who will not believe whom; of secrets it is only said that they differ. */
function unheard(mine: Authentication | undefined, theirs: Authentication | undefined, node: string): string[] {
  const there = disbelief(mine, theirs, "there");
  const here = disbelief(theirs, mine, "here");
  return [
    ...(there === undefined ? [] : [`${node} drops what this router sends: ${there}`]),
    ...(here === undefined ? [] : [`this router drops what ${node} sends: ${here}`]),
  ];
}

/** @param where the receiver is, in words */
function disbelief(
  sender: Authentication | undefined,
  receiver: Authentication | undefined,
  where: string,
): string | undefined {
  const [key] = sender?.mode === "receive-only" ? [] : (sender?.keys ?? []);
  if (key === undefined) return receiver?.mode === "enforce" ? "it is unsigned (auth-missing)" : undefined;
  if (receiver === undefined) return `it is signed, and authentication is off ${where} (length)`;
  const known = receiver.keys.find(({ id }) => id === key.id);
  if (known === undefined) return `key ${key.id} is not known ${where} (auth-key)`;
  return equalBytes(known.secret, key.secret)
    ? undefined
    : `key ${key.id} has another secret ${where} (auth-signature)`;
}
