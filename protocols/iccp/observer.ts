/**
 * A listener that never sends: from recorded segments it puts the sessions' messages together, and says when a session is
 * up, what both ends say of roles, halves and stations, and what is odd. It knows no keys: signatures are not checked.
 */
import type { Frame } from "../../src/core/frame.ts";
import { type Env, type Machine, NOTHING, type Output } from "../../src/core/machine.ts";
import { after, type Duration, type Instant, NEVER, sec, toSeconds } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { ipLayout, ipPacketAt, PROTOCOL } from "../ip/codec.ts";
import { decodeTcp, FLAG, type TcpSegment } from "../tcp/codec.ts";
import { ICCP_PORT, MESSAGE } from "./codec.ts";
import { decodeMessage, domainOf, type Heard } from "./message.ts";
import { contentOf } from "./observer-content.ts";
import type { IccpSeen, SeenSessionReason } from "./observer-events.ts";
import {
  type IccpObserverState,
  odd,
  type SeenConnection,
  type SeenSide,
  type SeenTurn,
  say,
} from "./observer-state.ts";
import { overhear } from "./stream.ts";

/** Sessions of one interface that are followed; the one that was quiet longest makes room. */
export const MAX_SESSIONS = 64;
/** What each kind of daemon waits for. */
const NATIVE_SILENCE: Duration = sec(3);
const SONIC_SILENCE: Duration = sec(15);

export interface IccpObserverConfig {
  readonly port: string;
}

export const iccpObserver: Machine<IccpObserverConfig, IccpObserverState, { readonly verb: string }, IccpSeen> = {
  name: "iccp-observer",
  ports: ({ port }) => ({ uses: [port] }),
  init: ({ port }, env: Env) => ({ port: env.port(port), streams: new Map(), connections: new Map(), alarm: NEVER }),
  relay: (_state, _port, frame) => mayBeIccp(frame),
  step: (state, input, now) => {
    if (input.kind === "frame") {
      if (!mayBeIccp(input.frame)) return NOTHING;
      const turn: SeenTurn = { state, now, frame: input.frame.sequence, out: [] };
      receive(turn, input.frame);
      return finish(turn);
    }
    if (input.kind !== "timer") return NOTHING;
    const turn: SeenTurn = { state, now, frame: 0, out: [] };
    for (const connection of state.connections.values()) {
      if (connection.due > now) continue;
      const [a, b] = connection.sides;
      const silent = a.heard <= b.heard ? a : b;
      end(turn, connection, "heartbeat-timeout", `nothing of ${silent.address}`, connection.frame);
    }
    return finish(turn);
  },
  deadline: (state) => state.alarm,
};

function finish({ state, out }: SeenTurn): readonly Output<IccpSeen>[] {
  let alarm: Instant = NEVER;
  for (const { due } of state.connections.values()) if (due < alarm) alarm = due;
  state.alarm = alarm;
  return out;
}

/** Cheap, and false for nearly everything else. */
function mayBeIccp({ header, bytes, payload }: Frame): boolean {
  if (header.type === ETHERTYPE.ipv4) return bytes[payload + 9] === PROTOCOL.tcp;
  return header.type === ETHERTYPE.ipv6 && bytes[payload + 6] === PROTOCOL.tcp;
}

function receive(turn: SeenTurn, frame: Frame): void {
  const { bytes, payload: at } = frame;
  const layout = ipLayout(bytes, at, frame.size);
  if (!layout.ok || layout.value.fragment || layout.value.protocol !== PROTOCOL.tcp) return;
  const packet = ipPacketAt(bytes, at, layout.value);
  const decoded = decodeTcp(packet.payload);
  if (!decoded.ok) return;
  const segment = decoded.value;
  const { sourcePort, destinationPort } = segment;
  if (sourcePort !== ICCP_PORT && destinationPort !== ICCP_PORT) return;
  const connects = destinationPort === ICCP_PORT;
  const ends = connects ? [packet.source, packet.destination] : [packet.destination, packet.source];
  const dynamic = connects ? sourcePort : destinationPort;
  const connection = connectionOf(turn, ends[0] ?? "", ends[1] ?? "", dynamic);
  const [side, other] = connects ? connection.sides : [connection.sides[1], connection.sides[0]];
  const cut = layout.value.end > bytes.length;
  const heard = overhear(turn.state.streams, packet, segment, cut, toSeconds(turn.now));
  connection.frame = turn.frame;
  if ((segment.flags & FLAG.syn) !== 0) begin(connection, connects);
  if (heard.gap > 0) {
    odd(turn, "gap", `${heard.gap} octets of ${side.address} are not in the capture`);
    // Messages may be among them.
    side.epoch = undefined;
  }
  for (const message of heard.messages) hear(turn, connection, side, other, message);
  if (heard.lost && !heard.wasLost)
    lose(turn, connection, side, "message-length", "the stream cannot be cut into messages");
  flags(turn, connection, side, segment);
}

function connectionOf(turn: SeenTurn, client: string, server: string, dynamic: number): SeenConnection {
  const { connections } = turn.state;
  const key = `${client} ${server}`;
  const known = connections.get(key);
  // Another connection between the same two: the old one is over.
  if (known !== undefined && known.sides[0].port !== dynamic) {
    if (known.up) end(turn, known, "replaced", "", turn.frame);
    connections.delete(key);
  }
  const old = connections.get(key);
  if (old !== undefined) return old;
  const name = `${client} > ${server}`;
  const sides = [newSide(client, dynamic), newSide(server, ICCP_PORT)] as const;
  const lastSaid = known?.lastSaid ?? "";
  const fresh: SeenConnection = { name, sides, up: false, begun: false, lastSaid, frame: 0, due: NEVER, gaps: 0 };
  connections.set(key, fresh);
  const [oldest] = connections.keys();
  if (connections.size > MAX_SESSIONS && oldest !== undefined) connections.delete(oldest);
  return fresh;
}

function newSide(address: string, port: number): SeenSide {
  const unknown = { domain: undefined, signed: undefined, epoch: undefined, role: undefined, goodbye: undefined };
  const empty = { native: false, connected: false, sequence: 0, heard: 0 as Instant };
  return { address, port, ...unknown, ...empty, said: new Map(), names: new Map() };
}

function begin(connection: SeenConnection, connects: boolean): void {
  if (!connects) return;
  connection.begun = true;
  for (const side of connection.sides) {
    Object.assign(side, { domain: undefined, native: false, connected: false, epoch: undefined, goodbye: undefined });
    side.said.clear();
  }
}

function hear(turn: SeenTurn, connection: SeenConnection, side: SeenSide, other: SeenSide, octets: Uint8Array): void {
  const decoded = decodeMessage(octets);
  if (!decoded.ok) {
    lose(turn, connection, side, "format", decoded.reason);
    return;
  }
  const message = decoded.value;
  if (!isNext(turn, connection, side, message)) return;
  side.heard = turn.now;
  if (message.hello !== undefined || message.envelope !== undefined) side.native = true;
  side.domain = domainOf(message) ?? side.domain;
  const signed = message.signature !== undefined;
  if (side.signed === true && !signed) odd(turn, "unsigned", `a message of ${side.address} is not signed; others are`);
  side.signed = signed;
  if (message.type === MESSAGE.rgNotification) {
    const nak = message.values.find((value) => value.kind === "nak");
    refused(turn, connection, side, other, nak?.status);
    return;
  }
  if (message.type === MESSAGE.rgDisconnect) {
    end(
      turn,
      connection,
      side.goodbye === undefined ? "closed" : "goodbye",
      `${side.address} leaves the group`,
      turn.frame,
    );
    return;
  }
  if (message.type !== MESSAGE.capability) side.connected = true;
  if (!connection.up && side.connected && other.connected && side.domain === other.domain) establish(turn, connection);
  watch(connection);
  if (message.type === MESSAGE.rgApplicationData) contentOf(turn, connection, side, other, message);
}

/** In our own dialect: epochs and sequence numbers tell what is old, and what is missing. */
function isNext(turn: SeenTurn, connection: SeenConnection, side: SeenSide, { envelope, type }: Heard): boolean {
  if (envelope === undefined) return true;
  const { epoch, sequence } = envelope;
  if (side.epoch === undefined || type === MESSAGE.capability) {
    side.epoch = epoch;
    side.sequence = sequence;
    return true;
  }
  if (epoch !== side.epoch) {
    lose(turn, connection, side, "stale-epoch", `epoch ${epoch}, and not ${side.epoch}`);
    return false;
  }
  const gap = (sequence - side.sequence) | 0;
  if (gap <= 0) {
    lose(turn, connection, side, "replayed", `message ${sequence} after ${side.sequence}`);
    return false;
  }
  if (gap > 1) odd(turn, "sequence", `${gap - 1} messages of ${side.address} are missing after ${side.sequence}`);
  side.sequence = sequence;
  return true;
}

function lose(
  turn: SeenTurn,
  { name }: SeenConnection,
  { address }: SeenSide,
  reason: "format" | "stale-epoch" | "replayed" | "message-length",
  detail: string,
): void {
  say(turn, { type: "iccp.drop", session: name, from: address, reason, detail, frame: turn.frame });
}

function dialectOf({ sides }: SeenConnection): "native" | "sonic" | "none" {
  if (sides.every(({ native }) => native)) return "native";
  return sides.some(({ connected }) => connected) ? "sonic" : "none";
}

function establish(turn: SeenTurn, connection: SeenConnection): void {
  connection.up = true;
  const reason = connection.begun ? "established" : "first-seen";
  connection.lastSaid = "";
  const dialect = dialectOf(connection);
  const detail = `group ${connection.sides[0].domain ?? "unknown"}`;
  say(turn, { type: "iccp.session", session: connection.name, up: true, dialect, reason, detail, frame: turn.frame });
}

function refused(turn: SeenTurn, connection: SeenConnection, side: SeenSide, other: SeenSide, status = 0): void {
  const text = `status ${status.toString(16).padStart(8, "0")}`;
  // RFC 7275 §12.4: unknown redundancy group.
  if (status === 0x0001_0001) {
    const both = `${side.address} is in group ${side.domain ?? "?"}, ${other.address} in ${other.domain ?? "?"}`;
    end(turn, connection, "domain-mismatch", both, turn.frame);
  } else if (!connection.up) {
    end(turn, connection, "rejected", `${side.address} says NAK, ${text}`, turn.frame);
  }
}

function watch(connection: SeenConnection): void {
  const [a, b] = connection.sides;
  const silence = dialectOf(connection) === "native" ? NATIVE_SILENCE : SONIC_SILENCE;
  connection.due = connection.up ? after(a.heard < b.heard ? a.heard : b.heard, silence) : NEVER;
}

function flags(turn: SeenTurn, connection: SeenConnection, side: SeenSide, { flags: bits }: TcpSegment): void {
  const goodbye = connection.sides.find((one) => one.goodbye !== undefined);
  if ((bits & FLAG.rst) !== 0) {
    if (connection.up)
      end(turn, connection, goodbye === undefined ? "reset" : "goodbye", `by ${side.address}`, turn.frame);
  } else if ((bits & FLAG.fin) !== 0 && connection.up) {
    end(turn, connection, goodbye === undefined ? "closed" : "goodbye", `by ${side.address}`, turn.frame);
  }
}

function end(
  turn: SeenTurn,
  connection: SeenConnection,
  reason: SeenSessionReason,
  detail: string,
  frame: number,
): void {
  connection.due = NEVER;
  const dialect = dialectOf(connection);
  for (const side of connection.sides) {
    side.connected = false;
    side.role = undefined;
    side.said.clear();
  }
  const was = connection.up;
  connection.up = false;
  const text = `${reason} ${detail}`;
  if (!was && connection.lastSaid === text) return;
  say(turn, { type: "iccp.session", session: connection.name, up: false, dialect, reason, detail, frame });
  connection.lastSaid = text;
}
