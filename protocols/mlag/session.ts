/** What the peer session needs of the protocols below: the control VLAN, its addresses, TCP and ICCP. */
import { familyOf, type Ip, type Ip6, ip6From, ipBytes, multicastMac, type Prefix } from "../../src/core/addr.ts";
import type { Env } from "../../src/core/machine.ts";
import type { Listening, NodeConfig } from "../../src/node/protocol.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { connects, ICCP_PORT } from "../iccp/codec.ts";
import { CONTROL_VLAN, channelPort, type IccpConfig } from "../iccp/events.ts";
import { PROTOCOL } from "../ip/codec.ts";
import { solicitedNode } from "../nd/codec.ts";
import type { TcpSessionConfig } from "../tcp/events.ts";
import { KEEPALIVE_PORT } from "./codec.ts";
import type { MlagConfig } from "./config.ts";
import { bundlesOf } from "./consistency.ts";
import { SESSION, systemMac } from "./machine.ts";

/**
 * The link-local address of the peer with this keepalive address on the control VLAN: "ML", the domain, the last four
 * octets of the keepalive's. Both ends know both addresses from their own file alone.
 */
export function sessionAddress(domain: number, keepalive: Ip): Ip {
  const octets = new Uint8Array(16);
  octets.set([0xfe, 0x80], 0);
  octets.set([0x4d, 0x4c, domain >>> 8, domain & 0xff], 8);
  octets.set(ipBytes(keepalive).slice(-4), 12);
  return ip6From(octets);
}

function addresses({ domain, keepalive, session }: MlagConfig): { readonly local: Ip; readonly peer: Ip } {
  if (session !== undefined) return { local: session.address.address, peer: session.peer };
  const { address, peer } = keepalive;
  return { local: sessionAddress(domain, address.address), peer: sessionAddress(domain, peer) };
}

export function tcpSessions(config: MlagConfig): readonly TcpSessionConfig[] {
  const { local, peer } = addresses(config);
  const role = connects(local, peer) ? "connect" : "listen";
  return [{ name: SESSION, local, peer, port: ICCP_PORT, role }];
}

export function iccpSessions(config: MlagConfig, env: Env): readonly IccpConfig[] {
  const { domain, heartbeat, keys, members, peerLink } = config;
  const bundles = members.map(({ id, port }) => ({ id, name: port }));
  const own = { system: systemMac(env), heartbeat, keys, bundles, peerLink };
  return [{ name: SESSION, domain, ...addresses(config), ...own }];
}

/** What both paths take off real interfaces: address resolution, the session's segments, the keepalive's datagrams. */
export function listens(config: MlagConfig, node: NodeConfig): readonly Listening[] {
  const { keepalive, peerLink } = config;
  const { address } = keepalive.address;
  const { local } = addresses(config);
  const bundle = bundlesOf(node).find(({ name }) => name === peerLink);
  const links = bundle === undefined ? [peerLink] : (bundle.members ?? []).map(({ port }) => port);
  const session = [resolutionOf(local), { ...packetsOf(local, PROTOCOL.tcp), groups: [] }];
  const path: readonly Listening[] = [
    // Unlike a cable between two switches, this path may lead over others, which look for members of groups.
    { ...resolutionOf(address), ...(familyOf(address) === "ipv6" ? { joins: [solicitedNode(address as Ip6)] } : {}) },
    { ...packetsOf(address, PROTOCOL.udp), groups: [], datagrams: { to: address, port: KEEPALIVE_PORT } },
  ];
  return [
    ...links.flatMap((on) => session.map((one) => ({ ...one, on, vlan: CONTROL_VLAN }))),
    ...path.map((one) => ({ ...one, on: keepalive.port })),
  ];
}

function packetsOf(address: Ip, protocol: number) {
  return { ethertype: ETHERTYPE[familyOf(address)], protocol };
}

function resolutionOf(address: Ip): Listening {
  if (familyOf(address) === "ipv4") return { ethertype: ETHERTYPE.arp, groups: [] };
  return { ...packetsOf(address, PROTOCOL.icmpv6), groups: [multicastMac(solicitedNode(address as Ip6))] };
}

/** The node with the interfaces of both paths. Neither is a way for anybody's packets but the pair's own. */
export function withInterfaces(config: MlagConfig, node: NodeConfig): NodeConfig {
  const { keepalive, peerLink } = config;
  const channel: Prefix = config.session?.address ?? { address: addresses(config).local, length: 64 };
  const interfaceOf = (address: Prefix, own: "alone" | "shared") => ({
    addresses: [address],
    gateway: [],
    routes: [],
    forwarding: false,
    own,
  });
  const written = (node["interfaces"] ?? {}) as Readonly<Record<string, object>>;
  const interfaces = {
    ...written,
    [channelPort(peerLink)]: interfaceOf(channel, "alone"),
    [keepalive.port]: interfaceOf(keepalive.address, "shared"),
  };
  return { ...node, interfaces };
}
