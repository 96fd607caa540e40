/** What the peer session needs of the protocols below: the control VLAN, its addresses, TCP and ICCP. */
import { type Ip, ip6From, ipBytes, type Prefix } from "../../src/core/addr.ts";
import type { Env } from "../../src/core/machine.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import { connects, ICCP_PORT } from "../iccp/codec.ts";
import { channelPort, type IccpConfig } from "../iccp/events.ts";
import type { TcpSessionConfig } from "../tcp/events.ts";
import type { MlagConfig } from "./config.ts";
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

/** The node with the interfaces of both paths. Neither is a way for anybody's packets but the pair's own. */
export function withInterfaces(config: MlagConfig, node: NodeConfig): NodeConfig {
  const { keepalive, peerLink } = config;
  const channel: Prefix = config.session?.address ?? { address: addresses(config).local, length: 64 };
  const own = (address: Prefix) => ({ addresses: [address], gateway: [], routes: [], forwarding: false });
  const written = (node["interfaces"] ?? {}) as Readonly<Record<string, object>>;
  const interfaces = { ...written, [channelPort(peerLink)]: own(channel), [keepalive.port]: own(keepalive.address) };
  return { ...node, interfaces };
}
