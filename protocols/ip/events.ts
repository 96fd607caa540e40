/** What the IP stack says to the machines of its node, and what it hears from them. */
import type { Family, Ip, Mac } from "../../src/core/addr.ts";
import { Frame, type FrameSource } from "../../src/core/frame.ts";
import type { VirtualWish } from "../../src/node/host.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import { type IpPacket, ipFrame } from "./codec.ts";
import type { InterfacesConfig } from "./config.ts";

/** The port that the stack owns: machines that send and receive whole IP packets use it (README, "The port ip"). */
export const IP_PORT = "ip";
/**
 * The port of the kernel's stack, on a host that has one: beside it this stack has only the interfaces that a machine
 * needs for itself, and hands down what none of them leads to. No interface of a kernel has such a name.
 */
export const KERNEL_PORT = "kernel/ip";

/**
 * The addresses of one interface, said when the stack starts and whenever they or the link change.
 * A router's primary IPv4 address is the first of that family; there is one link-local address when IPv6 is on.
 */
export interface IpAddresses {
  readonly type: "ip.addresses";
  /** Name of the interface. */
  readonly port: string;
  readonly mac: Mac;
  readonly up: boolean;
  /** "192.0.2.1/24", "fe80::1/64": in the order of the configuration, an automatic link-local address last. */
  readonly addresses: readonly string[];
}

/** A neighbour did not answer: packets that waited for it are lost. Said once for each failed resolution. */
export interface IpUnresolved {
  readonly type: "ip.unresolved";
  readonly port: string;
  readonly address: string;
  /** Packets that were waiting and are lost. */
  readonly lost: number;
  readonly reason: "no-neighbour";
}

/** A frame that this node has sent has come back to it: it circles. Said at most every 100 ms for each interface. */
export interface IpReturned {
  readonly type: "ip.returned";
  readonly port: string;
  readonly mac: Mac;
}

/**
 * A neighbour was heard at a MAC, or another one than before, or its entry is gone. Said of interfaces of VLANs only
 * (vlan10), and only once a machine has said `mlag.neighbours`; never of what came by `mlag.neighbour`.
 */
export interface IpNeighbour {
  readonly type: "ip.neighbour";
  readonly port: string;
  readonly address: Ip;
  readonly mac: Mac;
  readonly present: boolean;
}

/**
 * A real host has put the addresses of a virtual router back that somebody else had taken away: whoever asked for them
 * meanwhile has had no answer, or another's.
 */
export interface IpRestored {
  readonly type: "ip.restored";
  readonly port: string;
  readonly vrid: number;
  readonly family: Family;
}

export type IpEvent = IpAddresses | IpUnresolved | IpReturned | IpNeighbour;

/** What a virtual router wishes; in the simulator the stack itself does what this says. */
export type IpVirtual = VirtualWish;

/**
 * What is known of a packet whose octets have not been made: enough to receive, route and forward it.
 * It says the same as the octets do.
 */
export interface PacketFacts {
  readonly family: Family;
  readonly source: Ip;
  readonly destination: Ip;
  readonly protocol: number;
  readonly ttl: number;
  /** Who makes the packet: the sending machine's own object, whatever the packet has crossed since. */
  readonly maker: FrameSource;
}

/** A frame source that says what its packets are. `bytesOf` gives fresh octets: the caller may change them. */
export interface PacketSource extends FrameSource {
  readonly packet: PacketFacts;
}

/** The facts of a frame that a `PacketSource` made, tagged or not; undefined for one that came as octets. */
export function factsOf(frame: Frame): PacketFacts | undefined {
  return sourceOf(frame)?.packet;
}

/** The `PacketSource` of a frame, tagged or not. */
export function sourceOf(frame: Frame): PacketSource | undefined {
  let { source } = frame;
  while (source instanceof Frame) source = source.source;
  return source !== undefined && "packet" in source ? (source as PacketSource) : undefined;
}

/**
 * A frame for the port "ip": an IP packet behind an Ethernet header without addresses, which the stack fills in.
 * @param packet a whole packet, with its source address and checksums
 */
export function packetFrame(packet: IpPacket): Frame {
  return Frame.of(ipFrame(NO_MAC, NO_MAC, packet));
}

/** The Ethernet header of `packetFrame`, for makers of lazy frames. */
export const NO_MAC = "00:00:00:00:00:00" as Mac;

/** Whether an interface of this node has the address by configuration; a virtual router's is no interface's. */
export function hasAddress(node: NodeConfig, address: Ip): boolean {
  const interfaces = (node["interfaces"] ?? {}) as InterfacesConfig;
  return Object.values(interfaces).some(({ addresses }) => addresses.some((one) => one.address === address));
}
