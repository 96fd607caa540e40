/** The state of the stack of one node, its limits and the reasons for which packets are lost. */
import type { Family, Ip, Mac, Prefix } from "../../src/core/addr.ts";
import { macBytes } from "../../src/core/addr.ts";
import { u16, u32 } from "../../src/core/bytes.ts";
import type { Frame, FrameHeader } from "../../src/core/frame.ts";
import type { Path, Port } from "../../src/core/machine.ts";
import { type Duration, type Instant, ms, sec } from "../../src/core/time.ts";
import type { ArpReason } from "../arp/codec.ts";
import type { IcmpReason } from "../icmp/codec.ts";
import type { NdReason } from "../nd/codec.ts";
import type { IpReason } from "./codec.ts";
import type { PacketSource } from "./events.ts";

/** Entries of one interface's neighbour cache. The one confirmed longest ago makes room. */
export const MAX_NEIGHBOURS = 8192;
/** Packets that wait for one neighbour. RFC 4861 §7.2.2: the oldest makes room. */
export const MAX_WAITING = 64;
/** Destinations whose route is remembered; the memory is emptied when full. */
export const MAX_ROUTE_MEMORY = 4096;
/** Neighbours whose silence is said once; the memory is emptied when full. */
export const MAX_UNANSWERED = 64;
/** Rewritten sources that a neighbour remembers; emptied when full. */
export const MAX_REWRITES = 1024;
/** ICMP errors within one second (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8: a router limits them). */
export const MAX_ERRORS_A_SECOND = 100;

/** RFC 4861 §10; the same for ARP, for which RFC 1122 §2.3.2.1 asks for a timeout and a limit of about 1 a second. */
export const REACHABLE_TIME: Duration = sec(30);
export const RETRANSMIT_TIME: Duration = ms(1000);
export const MAX_SOLICITATIONS = 3;

/** Why a packet is lost. Explained in the README. */
export type Reason =
  | "not-running"
  | "other-mac"
  | "virtual-router-absent"
  | "link-broadcast"
  | "not-for-us"
  | "accept-mode"
  | "group"
  | "fragment"
  | "martian"
  | "link-local"
  | "ttl"
  | "no-route"
  | "no-neighbour"
  | "waiting-full"
  | "neighbours-full"
  | "icmp-limit"
  | "arp-op"
  | "address-conflict"
  | `ip-${IpReason}`
  | `icmp-${IcmpReason}`
  | `nd-${NdReason}`
  | ArpReason;

/** A unicast MAC as numbers, the form in which frames are compared. */
export interface Station {
  readonly mac: Mac;
  readonly hi: number;
  readonly lo: number;
}

export function station(mac: Mac): Station {
  const bytes = macBytes(mac);
  return { mac, hi: u16(bytes, 0), lo: u32(bytes, 2) | 0 };
}

/** What a virtual router on an interface wants: the last `ip.virtual` of its (vrid, family). */
export interface Virtual {
  readonly vrid: number;
  readonly family: Family;
  readonly addresses: readonly Prefix[];
  readonly station: Station;
  readonly accept: boolean;
  readonly present: boolean;
}

/** An address that this node answers for. */
export interface Local {
  readonly address: Ip;
  readonly port: Port;
  /** Set for a virtual router's address. */
  readonly virtual: Virtual | undefined;
}

export interface Waiting {
  readonly frame: Frame;
  /**
   * The interface on which it came when it is being forwarded: its TTL is to go down, and its sender is told when it
   * is lost. Undefined for this node's own.
   */
  readonly from: Interface | undefined;
}

/**
 * incomplete: asked, no answer yet, no MAC. reachable: confirmed within REACHABLE_TIME. stale: has a MAC that nobody
 * has confirmed lately. probe: in use again, being asked by unicast. RFC 4861 §7.3.2.
 */
export type NeighbourState = "incomplete" | "reachable" | "stale" | "probe";

export interface Neighbour {
  readonly address: Ip;
  state: NeighbourState;
  mac: Mac;
  /** Whether the other machines have been told of it: `ip.neighbour`. */
  said: boolean;
  /** It comes from the M-LAG peer, and has not been heard here. */
  foreign: boolean;
  /** Last confirmation. */
  confirmed: Instant;
  /** Solicitations sent since the state was entered; the next is due at `next`. */
  asked: number;
  next: Instant;
  waiting: Waiting[];
  /** The Ethernet header to it, 14 octets, and what relays read of it; undefined while there is no MAC. */
  link: { readonly bytes: Uint8Array; readonly header: FrameHeader } | undefined;
  /** Sources whose packets go to it, with its header in front: forwarded ones, and this node's own. */
  readonly forwardedBy: Map<PacketSource, PacketSource>;
  readonly sentBy: Map<PacketSource, PacketSource>;
}

/** Where frames go, with what was made for it. */
export type NextHop = Pick<Neighbour, "link" | "forwardedBy" | "sentBy">;

/** A MAC of the M-LAG peer for which this node routes, too: what it does not route goes on to that MAC. */
export interface Shared {
  readonly station: Station;
  readonly hops: Readonly<Record<Family, NextHop>>;
}

export interface Interface {
  readonly port: Port;
  readonly station: Station;
  readonly forwarding: boolean;
  /** Others are not told of its addresses here: they are told of the kernel's. */
  readonly quiet: boolean;
  /** As configured, and the link-local address. */
  readonly addresses: readonly Prefix[];
  up: boolean;
  virtuals: Virtual[];
  /** Undefined, and not an empty list, where there are none. */
  shared: readonly Shared[] | undefined;
  /** Of the M-LAG peer in this network: packets to them are the peer's. */
  peerAddresses: readonly Ip[];
  /** 255.255.255.255 and those of its networks. */
  readonly broadcasts: ReadonlySet<Ip>;
  /** Its addresses and those of the virtual routers present on it: what ARP and ND answer for. */
  readonly local: Map<Ip, Local>;
  /** Low 32 bits of the MACs of the IPv6 groups that it listens to. */
  readonly groups: Set<number>;
  readonly neighbours: Map<Ip, Neighbour>;
  /** When it was last said that a frame of this interface has come back to it. */
  returned: number;
}

export interface Route {
  readonly prefix: Prefix;
  readonly via: Ip | undefined;
  readonly interface: Interface;
}

export interface Stack {
  readonly ipPort: Port;
  /** Of the kernel's stack, beside which this one runs; undefined for one that is the node's only stack. */
  readonly kernel: Port | undefined;
  readonly interfaces: readonly Interface[];
  /** By the index of the port. */
  readonly byPort: readonly (Interface | undefined)[];
  /** Those of all interfaces but link-local ones: a packet to any of them is for the node, wherever it comes in. */
  readonly local: Map<Ip, Local>;
  /** Of the M-LAG peer, on all interfaces. */
  readonly peerAddresses: Set<Ip>;
  /** As configured, the longest prefix first. */
  readonly configured: readonly Route[];
  /** Those whose interface is up. */
  routes: readonly Route[];
  readonly remembered: Map<Ip, Route>;
  /**
   * Beside a kernel's stack: neighbours that were said not to answer, and have not since. A peer that is away for a day is
   * no news each three seconds.
   */
  readonly unanswered: Set<Ip> | undefined;
  /** Neighbours that are being asked. */
  readonly asking: Map<Neighbour, Interface>;
  running: boolean;
  /** Somebody wants to hear of neighbours. */
  saysNeighbours: boolean;
  /** When the next question is due, or earlier. */
  alarm: Instant;
  /** A frame that `relay` has seen to and hands to `step` for the sake of the deadline alone. */
  done: Frame | undefined;
  /** The second for which ICMP errors are counted, and how many there were. */
  errors: { second: number; count: number };
  /** Packets lost, by reason. */
  readonly drops: Map<Reason, number>;
}

/** Counts a lost packet, here and at the node. */
export function lose(stack: Stack, port: Port, reason: Reason, path: Path): void {
  stack.drops.set(reason, (stack.drops.get(reason) ?? 0) + 1);
  path.drop(port, reason);
}

/** Counts what an interface's filter keeps out: normal on a shared segment, no loss of the node's. */
export function filtered(stack: Stack, reason: Reason): void {
  stack.drops.set(reason, (stack.drops.get(reason) ?? 0) + 1);
}
