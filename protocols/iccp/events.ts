/**
 * A session with the other switch of an M-LAG pair, as its user sees it.
 *
 * The machine `iccp` owns a port for each session, `iccpPort(name)`. The port is up while the session is operational.
 * Its frames carry lists of items (`itemsFrame`, `itemsOf`), whatever the dialect on the wire:
 *
 *   down   what the user tells the peer; lists of any length are cut to messages here. Lost while the port is down.
 *   up     what the peer tells, in the order in which it was sent. The first frame after the port went up holds one
 *          item `peer`: dialect, epochs, identity, features. What follows belongs to that epoch and to no other.
 *
 * For bystanders, `overhear` gives the messages of recorded connections.
 *
 * The event `iccp.session` says the same for people and logs. It is heard after the port's `link` and after the frames
 * that came in the same instant: whoever uses the session goes by port and items.
 */
import type { Ip, Mac } from "../../src/core/addr.ts";
import { ETHERNET_HEADER, Frame, FrameHeader, type FrameSource } from "../../src/core/frame.ts";
import type { Duration } from "../../src/core/time.ts";
import type { AuthenticationKey } from "./authentication.ts";
import { decodeItems, encodeItems } from "./item-codec.ts";
import type { Item } from "./items.ts";

export type { AuthenticationKey } from "./authentication.ts";
export type {
  ConsistencyItem,
  DigestItem,
  GatewayItem,
  GoodbyeCause,
  Item,
  MacItem,
  NeighbourItem,
  PeerItem,
  PortStateItem,
  RoleItem,
  TableName,
} from "./items.ts";

export { MAX_STREAMS, type Overheard, overhear, type Streams } from "./stream.ts";

export function iccpPort(session: string): string {
  return `iccp:${session}`;
}

/** The VLAN of a peer link that carries the session; no bridge may use it there. */
export const CONTROL_VLAN = 4094;

/** The port of the control VLAN: an interface of the IP stack has the session's address on it. */
export function channelPort(peerLink: string): string {
  return `${peerLink}.${CONTROL_VLAN}`;
}

export interface ChannelConfig {
  /** Name of the port. */
  readonly peerLink: string;
}

/** A session as the machine that uses it configures it. */
export interface IccpConfig {
  /** Of the session, and of the TCP session below it: `tcpPort(name)`. */
  readonly name: string;
  /** RG id: 1 … 2^32-1, the same at both ends. */
  readonly domain: number;
  readonly local: Ip;
  readonly peer: Ip;
  /** This node's system MAC; must differ from the peer's. */
  readonly system: Mac;
  /** Between heartbeats; default 1 s. */
  readonly heartbeat?: Duration;
  /** Heartbeats that may be missing; default 3 (15 towards SONiC's iccpd, which sends every other second). */
  readonly multiplier?: number;
  /** `auto` (default): native where the peer announces it, else SONiC's. `native` refuses other peers. */
  readonly dialect?: "auto" | "native" | "sonic";
  /** Where there are any, every message is signed with the first, and what is signed with none of them is dropped. */
  readonly keys?: readonly AuthenticationKey[];
  /** M-LAG ids and the port channels' names that SONiC joins them by ("PortChannel10"). */
  readonly bundles?: readonly { readonly id: number; readonly name: string; readonly vlans?: readonly number[] }[];
  /** For SONiC: the name of the peer link. */
  readonly peerLink?: string;
}

/**
 * RFC 7275 §6.2 names the states CAPSENT, CAPREC, CONNECTING, OPERATIONAL; without LDP below, as SONiC does it:
 * nonexistent: no TCP connection. initialized: connected. capabilitySent, capabilityReceived; connecting: RG Connect
 * sent; operational: RG Connect received.
 */
export type IccpState =
  | "nonexistent"
  | "initialized"
  | "capabilitySent"
  | "capabilityReceived"
  | "connecting"
  | "operational";

/**
 * Why a session is up or down. `established`. Of the transport: `no-address`, `refused`, `timeout`, `reset`, `closed`,
 * `ended`, `replaced`, `overrun`, `stopped` (see tcp.session). Of the session: `startup`; `handshake-timeout`;
 * `heartbeat-timeout`: nothing was heard; `one-way`: the peer is heard but does not hear this node;
 * `domain-mismatch`, `version-mismatch`, `dialect-mismatch`, `same-system`; `rejected`: the peer said NAK;
 * `authentication`: the peer signs with no key of ours; `unknown-mandatory`: it said what must be known and is not;
 * `malformed`: the stream cannot be cut into messages; `sequence`: messages are missing; `goodbye`: it said so.
 */
export type IccpReason =
  | "startup"
  | "established"
  | "no-address"
  | "refused"
  | "timeout"
  | "reset"
  | "closed"
  | "ended"
  | "replaced"
  | "overrun"
  | "stopped"
  | "handshake-timeout"
  | "heartbeat-timeout"
  | "one-way"
  | "domain-mismatch"
  | "version-mismatch"
  | "dialect-mismatch"
  | "same-system"
  | "rejected"
  | "authentication"
  | "unknown-mandatory"
  | "malformed"
  | "sequence"
  | "goodbye";

/** Said when the session comes up or goes down, and when an attempt fails for another reason than the one before. */
export interface IccpSession {
  readonly type: "iccp.session";
  readonly session: string;
  readonly peer: Ip;
  readonly up: boolean;
  /** `none` before the peer has shown which it speaks. */
  readonly dialect: "native" | "sonic" | "none";
  /** Of this end: grows with every connection, and begins anywhere after a reboot. */
  readonly epoch: number;
  readonly reason: IccpReason;
  /** In words, what the reason is about: both domains, both versions, the unknown type. */
  readonly detail: string;
}

/** Messages that were not acted on; at most one a second and reason. */
export interface IccpDrop {
  readonly type: "iccp.drop";
  readonly session: string;
  readonly reason: IccpDropReason;
  /** Since the node started. */
  readonly count: number;
}

/**
 * `unsigned`, `unknown-key`, `signature`: see `IccpConfig.keys`; `replayed`: a sequence number that was heard before;
 * `stale-epoch`: of an earlier session; `format`: parameters that do not decode; `unexpected`: not in this state;
 * `down`: the user's items while the session is down.
 */
export type IccpDropReason =
  | "unsigned"
  | "unknown-key"
  | "signature"
  | "replayed"
  | "stale-epoch"
  | "format"
  | "unexpected"
  | "down";

export type IccpEvent = IccpSession | IccpDrop;

class ItemSource implements FrameSource {
  constructor(readonly items: readonly Item[]) {}

  /** As recordings show them: the items' native form behind an empty Ethernet header. */
  bytesOf(): Uint8Array {
    return encodeItems(this.items, ETHERNET_HEADER);
  }
}

const NO_ADDRESSES = new FrameHeader(new Uint8Array(ETHERNET_HEADER));

/** A list of items for the port of a session. Its octets are made only where somebody records them. */
export function itemsFrame(items: readonly Item[]): Frame {
  return Frame.lazy(NO_ADDRESSES, ETHERNET_HEADER, new ItemSource(items), 0);
}

/** The items of a frame; of one that came as octets, as far as they decode. */
export function itemsOf(frame: Frame): readonly Item[] {
  if (frame.source instanceof ItemSource) return frame.source.items;
  return decodeItems(frame.bytes.subarray(ETHERNET_HEADER));
}
