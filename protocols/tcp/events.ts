/** What a session over TCP is to its node: a port whose link is the connection and whose frames are octets. */
import type { Ip } from "../../src/core/addr.ts";
import { ETHERNET_HEADER, Frame } from "../../src/core/frame.ts";

/** The port of a session; up while it is connected. The machine `tcp` owns it. */
export function tcpPort(session: string): string {
  return `tcp:${session}`;
}

/** A session that some machine of this node wants; there is one peer and at most one connection. */
export interface TcpSessionConfig {
  /** The session's port is `tcpPort(name)`. */
  readonly name: string;
  /** An address of this node; the session rests while no interface that is up has it. */
  readonly local: Ip;
  /** The only host that may take part. */
  readonly peer: Ip;
  /** The port that the listening side listens on. */
  readonly port: number;
  readonly role: "connect" | "listen";
}

/**
 * A piece of the stream. The unit of every port is a frame, so a chunk stands behind an empty Ethernet header.
 * Downwards, a chunk without octets ends the session: what was sent before is delivered, then the connection is closed;
 * the port is down at once.
 */
export function chunkFrame(octets: Uint8Array): Frame {
  const bytes = new Uint8Array(ETHERNET_HEADER + octets.length);
  bytes.set(octets, ETHERNET_HEADER);
  return Frame.of(bytes);
}

/** The octets of a chunk: a view. */
export function chunkOf(frame: Frame): Uint8Array {
  return frame.bytes.subarray(ETHERNET_HEADER);
}

/**
 * Why a session is as it is. `connected`; `no-address`: no interface that is up has the local address (carrier lost);
 * `refused`: the peer answered with RST; `timeout`: it did not answer; `reset`: RST in mid-session; `closed`: by the
 * peer's FIN; `ended`: by this node's own wish; `replaced`: the peer came with a new connection;
 * `overrun`: more octets than MAX_QUEUED wait to be sent; `stopped`.
 */
export type TcpSessionReason =
  | "connected"
  | "no-address"
  | "refused"
  | "timeout"
  | "reset"
  | "closed"
  | "ended"
  | "replaced"
  | "overrun"
  | "stopped";

/** Said when the session's port goes up or down, and when an attempt fails for another reason than before. */
export interface TcpSession {
  readonly type: "tcp.session";
  readonly session: string;
  readonly peer: Ip;
  readonly up: boolean;
  readonly reason: TcpSessionReason;
}

/** So many octets wait to be sent that the sender should hold back (true), or no longer (false). */
export interface TcpPressure {
  readonly type: "tcp.pressure";
  readonly session: string;
  readonly pressed: boolean;
}

export type TcpEvent = TcpSession | TcpPressure;
