/** What is wrong with the M-LAG of one node beyond its schema, and what disagrees between the two peers. */
import { contains, familyOf, formatPrefix } from "../../src/core/addr.ts";
import { type Duration, formatDuration, us } from "../../src/core/time.ts";
import type { NodeConfig, Problem } from "../../src/node/protocol.ts";
import type { MlagConfig } from "./config.ts";

/** As far as another protocol's part of the file is needed here. */
interface Bridge {
  readonly ports: readonly string[];
  readonly vlans: ReadonlyMap<number, { readonly tagged: readonly string[]; readonly untagged: readonly string[] }>;
}
interface Bundle {
  readonly name: string;
}

export function mlagOf(node: NodeConfig): MlagConfig | undefined {
  return node["mlag"] as MlagConfig | undefined;
}

function bridgeOf(node: NodeConfig): Bridge | undefined {
  return node["bridge"] as Bridge | undefined;
}

/** Paths begin at the value under the key `mlag`. */
export function check(config: MlagConfig, node: NodeConfig): readonly Problem[] {
  const problems: Problem[] = [];
  const say = (path: Problem["path"], found: string, allowed: string) =>
    problems.push({ path, message: `found ${found}, allowed: ${allowed}` });
  const { peerLink, members } = config;
  const bridge = bridgeOf(node);
  const ports = bridge?.ports ?? [];
  const listed = ports.length === 0 ? "none: the node has no bridge" : ports.join(", ");
  if (!ports.includes(peerLink)) say(["peer-link"], peerLink, `a port of the bridge (${listed})`);
  for (const [i, { port, id }] of members.entries()) {
    if (port === peerLink) say(["members", i, "port"], port, "another port than the peer link");
    else if (!ports.includes(port)) say(["members", i, "port"], port, `a port of the bridge (${listed})`);
    else if (!bundlesOf(node).includes(port)) {
      // A host sends to both halves at once only when LACP tells it that they are one.
      say(["members", i, "port"], port, "a bundle under `lacp`");
    }
    if (members.findIndex((other) => other.port === port) !== i) say(["members", i, "port"], `${port} twice`, "once");
    if (members.findIndex((other) => other.id === id) !== i) say(["members", i, "id"], `${id} twice`, "once");
  }
  checkKeepalive(config, ports, say);
  return problems;
}

function bundlesOf(node: NodeConfig): readonly string[] {
  return ((node["lacp"] ?? []) as readonly Bundle[]).map(({ name }) => name);
}

function checkKeepalive(
  { keepalive, peerLink }: MlagConfig,
  ports: readonly string[],
  say: (path: Problem["path"], found: string, allowed: string) => void,
): void {
  const { port, address, peer, interval, timeout } = keepalive;
  // The path exists to tell a dead peer from a dead peer link.
  if (port === peerLink) say(["keepalive", "port"], port, "another port than the peer link");
  else if (ports.includes(port)) say(["keepalive", "port"], `${port}, a port of the bridge`, "a port of its own");
  if (familyOf(peer) !== familyOf(address.address)) {
    say(["keepalive", "peer"], peer, `an address of the family of ${address.address}`);
  } else if (peer === address.address) {
    say(["keepalive", "peer"], `${peer}, this node's own address`, "the peer's address");
  } else if (!contains(address, peer)) {
    say(["keepalive", "peer"], peer, `an address in the network of ${formatPrefix(address)}`);
  }
  if (timeout <= 2 * interval) {
    const least = formatDuration(us(2 * interval));
    say(["keepalive", "timeout"], formatDuration(timeout), `more than two intervals (${least})`);
  }
}

type Difference = Problem & { readonly node: string; readonly warning: boolean };

/** Two nodes with one domain are a pair; what must be the same on both is compared with the first of them. */
export function compare(nodes: readonly NodeConfig[]): readonly Difference[] {
  const differences: Difference[] = [];
  const pairs = new Map<number, NodeConfig[]>();
  for (const node of nodes) {
    const config = mlagOf(node);
    if (config === undefined) continue;
    const pair = [...(pairs.get(config.domain) ?? []), node];
    pairs.set(config.domain, pair);
    const say = (path: Problem["path"], message: string, warning = true) =>
      differences.push({ node: node.node, path: ["mlag", ...path], message, warning });
    const [first] = pair;
    const other = first === undefined ? undefined : mlagOf(first);
    if (pair.length > 2) {
      const names = pair.slice(0, 2).map((one) => one.node);
      say(["domain"], `found domain ${config.domain}, which ${names.join(" and ")} are already`, false);
    } else if (pair.length === 2 && first !== undefined && other !== undefined) {
      against(config, other, first.node, say);
      vlans(node, first, say);
    }
  }
  for (const [domain, pair] of pairs) {
    const [alone] = pair;
    if (pair.length > 1 || alone === undefined || nodes.length === 1) continue;
    const message = `found domain ${domain} on no other node: nothing is its peer`;
    differences.push({ node: alone.node, path: ["mlag", "domain"], message, warning: true });
  }
  return differences;
}

type Say = (path: Problem["path"], message: string, warning?: boolean) => void;

function against(config: MlagConfig, other: MlagConfig, node: string, say: Say): void {
  if (config.system !== other.system) {
    say(["system"], `found ${config.system}, but ${node} has ${other.system}: to LACP they are two systems`);
  }
  if (config.systemPriority !== other.systemPriority) {
    const theirs = `${node} has ${other.systemPriority}`;
    say(["system-priority"], `found ${config.systemPriority}, but ${theirs}: to LACP they are two systems`);
  }
  if (config.split !== other.split) say(["split"], `found ${config.split}, but ${node} has ${other.split}`);
  const durations: readonly (readonly [string, Duration, Duration])[] = [
    ["restore-delay", config.restoreDelay, other.restoreDelay],
    ["heartbeat", config.heartbeat, other.heartbeat],
  ];
  for (const [name, mine, theirs] of durations) {
    if (mine === theirs) continue;
    say([name], `found ${formatDuration(mine)}, but ${node} has ${formatDuration(theirs)}`);
  }
  for (const [i, { id, port }] of config.members.entries()) {
    if (other.members.some((member) => member.id === id)) continue;
    say(["members", i, "id"], `found ${id} (${port}), which ${node} does not have: its hosts are on one switch only`);
  }
  const [mine, theirs] = [config.keepalive, other.keepalive];
  if (mine.peer !== theirs.address.address) {
    say(["keepalive", "peer"], `found ${mine.peer}, but ${node} has ${theirs.address.address}`, false);
  }
  if (theirs.peer !== mine.address.address) {
    say(["keepalive", "address"], `found ${mine.address.address}, but ${node} expects ${theirs.peer}`, false);
  }
}

/** A VLAN that only one half carries reaches the host on half of its frames. */
function vlans(node: NodeConfig, first: NodeConfig, say: Say): void {
  const [mine, theirs] = [mlagOf(node), mlagOf(first)];
  for (const [i, { id, port }] of (mine?.members ?? []).entries()) {
    const there = theirs?.members.find((member) => member.id === id)?.port;
    if (there === undefined) continue;
    const [here, other] = [carried(bridgeOf(node), port), carried(bridgeOf(first), there)];
    if (here === other) continue;
    say(["members", i, "port"], `found ${port} in VLANs ${here}, but ${first.node} has ${there} in VLANs ${other}`);
  }
  const [here, there] = [carried(bridgeOf(node), mine?.peerLink), carried(bridgeOf(first), theirs?.peerLink)];
  if (here !== there) say(["peer-link"], `found it in VLANs ${here}, but ${first.node} has it in VLANs ${there}`);
}

/** The VLANs of a port as text: "1 untagged, 10, 20". */
function carried(bridge: Bridge | undefined, port: string | undefined): string {
  const names: string[] = [];
  for (const [vid, { tagged, untagged }] of [...(bridge?.vlans ?? [])].sort(([a], [b]) => a - b)) {
    if (port !== undefined && untagged.includes(port)) names.push(`${vid} untagged`);
    else if (port !== undefined && tagged.includes(port)) names.push(String(vid));
  }
  return names.length === 0 ? "none" : names.join(", ");
}
