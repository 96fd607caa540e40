/** What is wrong with the M-LAG of one node beyond its schema, and what disagrees between the two peers. */
import { contains, familyOf, formatPrefix } from "../../src/core/addr.ts";
import { formatDuration, us } from "../../src/core/time.ts";
import type { NodeConfig, Problem } from "../../src/node/protocol.ts";
import type { MlagConfig } from "./config.ts";
import {
  bridgeOf,
  bundlesOf,
  consistencyItems,
  type Mismatch,
  mismatches,
  mlagOf,
  pathOf,
  rangesOf,
} from "./consistency.ts";

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
    else if (!bundlesOf(node).some(({ name }) => name === port)) {
      // A host sends to both halves at once only when LACP tells it that they are one.
      say(["members", i, "port"], port, "a bundle under `lacp`");
    }
    if (members.findIndex((other) => other.port === port) !== i) say(["members", i, "port"], `${port} twice`, "once");
    if (members.findIndex((other) => other.id === id) !== i) say(["members", i, "id"], `${id} twice`, "once");
  }
  for (const [i, port] of config.orphans.suspend.entries()) {
    const path = ["orphans", "suspend", i];
    if (port === peerLink) say(path, port, "another port than the peer link");
    else if (members.some((member) => member.port === port)) say(path, port, "a port that is no member");
    else if (!ports.includes(port)) say(path, port, `a port of the bridge (${listed})`);
    if (config.orphans.suspend.indexOf(port) !== i) say(path, `${port} twice`, "once");
  }
  checkKeepalive(config, ports, say);
  return problems;
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
    const refuse = (path: Problem["path"], message: string) =>
      differences.push({ node: node.node, path: ["mlag", ...path], message, warning: false });
    const [first] = pair;
    const other = first === undefined ? undefined : mlagOf(first);
    if (pair.length > 2) {
      const names = pair.slice(0, 2).map((one) => one.node);
      refuse(["domain"], `found domain ${config.domain}, which ${names.join(" and ")} are already`);
    } else if (pair.length === 2 && first !== undefined && other !== undefined) {
      reach(config, other, first.node, refuse);
      for (const mismatch of mismatches(consistencyItems(node), consistencyItems(first))) {
        const message = messageOf(mismatch, node, first);
        differences.push({ node: node.node, path: pathOf(node, mismatch), message, warning: true });
      }
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

/** Whether each peer's keepalive is for the other. */
function reach(
  config: MlagConfig,
  other: MlagConfig,
  node: string,
  refuse: (path: Problem["path"], message: string) => void,
): void {
  const [mine, theirs] = [config.keepalive, other.keepalive];
  if (mine.peer !== theirs.address.address) {
    refuse(["keepalive", "peer"], `found ${mine.peer}, but ${node} has ${theirs.address.address}`);
  }
  if (theirs.peer !== mine.address.address) {
    refuse(["keepalive", "address"], `found ${mine.address.address}, but ${node} expects ${theirs.peer}`);
  }
}

/** What differs, and what the running peers would do about it. */
function messageOf(mismatch: Mismatch, node: NodeConfig, first: NodeConfig): string {
  const { id, name, vlans, here, there } = mismatch;
  const port = (of: NodeConfig) => mlagOf(of)?.members.find((member) => member.id === id)?.port;
  if (name === "member") {
    const lone = "its hosts are on one switch only";
    return here === "none"
      ? `found no M-LAG ${id}, which ${first.node} has (${port(first)}): ${lone}`
      : `found ${id} (${port(node)}), which ${first.node} does not have: ${lone}`;
  }
  if (vlans.length === 0) return `found ${here}, but ${first.node} has ${there}${consequence(mismatch)}`;
  const carried = (how: string) => (how === "none" ? "not at all" : how);
  const which = name.startsWith("vrrp") ? `${name} in VLAN ${rangesOf(vlans)}` : `VLAN ${rangesOf(vlans)}`;
  return `found ${which} ${carried(here)}, but ${first.node} has it ${carried(there)}${consequence(mismatch)}`;
}

function consequence({ id, type }: Mismatch): string {
  switch (type) {
    case 1:
      return id === 0
        ? ": no member of the secondary will carry frames"
        : `: the secondary's half of M-LAG ${id} will carry no frames`;
    case "vlan":
      return `: neither half of M-LAG ${id} will carry it`;
    case 2:
      return "";
  }
}
