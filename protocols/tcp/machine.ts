/** The TCP sessions of a node: who connects to whom, when again, and what the session's port is told. */
import { type Ip, ipBytes, parsePrefix } from "../../src/core/addr.ts";
import { u16 } from "../../src/core/bytes.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Env, Input, Machine, Output, Port } from "../../src/core/machine.ts";
import { NOTHING } from "../../src/core/machine.ts";
import { below, next32, type Rng } from "../../src/core/rng.ts";
import { after, type Duration, type Instant, ms, NEVER, sec, since } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { ipLayout, ipPacket, NETWORK_CONTROL, PROTOCOL } from "../ip/codec.ts";
import { factsOf, IP_PORT, type IpAddresses, packetFrame } from "../ip/events.ts";
import { decodeTcp, FLAG, type TcpSegment, tcpChecksumFits } from "./codec.ts";
import {
  abort,
  accept,
  type Connection,
  connect,
  end,
  expire,
  give,
  type Out,
  type Outcome,
  refuse,
} from "./connection.ts";
import { chunkFrame, chunkOf, type TcpEvent, type TcpSessionConfig, type TcpSessionReason, tcpPort } from "./events.ts";
import { receive } from "./reception.ts";

/** Between attempts to connect: doubled after each, and back to the least once a connection has lasted. */
export const LEAST_BACKOFF: Duration = ms(200);
export const MOST_BACKOFF: Duration = sec(5);
const LASTING: Duration = sec(10);
/** Of one session: in use, to be, and being closed. The oldest that is not in use makes room. */
export const MAX_CONNECTIONS = 4;
/** Where `tcp.pressure` is said, and where it is taken back: octets. */
export const PRESSED = 1 << 18;
export const RELIEVED = 1 << 16;
/** RFC 6335 §6: ports that nobody has registered. */
const DYNAMIC_PORTS = 49_152;

/** Why a segment is not acted on. */
type DropReason = "length" | "data-offset" | "checksum" | "fragment" | "no-address";

interface Session {
  readonly config: TcpSessionConfig;
  readonly port: Port;
  readonly localBytes: Uint8Array;
  readonly peerBytes: Uint8Array;
  readonly connections: Connection[];
  /** The one behind the session's port. */
  current: Connection | undefined;
  /** Whether an interface that is up has the local address. */
  reachable: boolean;
  connectAt: Instant;
  backoff: Duration;
  since: Instant;
  said: TcpSessionReason | undefined;
  pressed: boolean;
}

export interface TcpState {
  readonly ipPort: Port;
  readonly sessions: readonly Session[];
  readonly rng: Rng;
  /** By interface: the addresses of those that are up. */
  readonly addresses: Map<string, ReadonlySet<Ip>>;
  running: boolean;
  alarm: Instant;
  readonly drops: Map<DropReason, number>;
}

type Command = { readonly verb: "start" } | { readonly verb: "stop" };
type TcpOutput = Output<TcpEvent>;

export const tcpMachine: Machine<readonly TcpSessionConfig[], TcpState, Command, TcpEvent, IpAddresses> = {
  name: "tcp",
  hears: ["ip.addresses"],
  ports: (config) => ({ owns: config.map(({ name }) => tcpPort(name)), uses: [IP_PORT] }),
  init,
  claims: (state, port, frame) =>
    port === state.ipPort ? sessionOf(state, frame) !== undefined : state.sessions.some((one) => one.port === port),
  step,
  deadline: (state) => state.alarm,
};

function init(config: readonly TcpSessionConfig[], env: Env): TcpState {
  return {
    ipPort: env.port(IP_PORT),
    sessions: config.map((one) => ({
      config: one,
      port: env.port(tcpPort(one.name)),
      localBytes: ipBytes(one.local),
      peerBytes: ipBytes(one.peer),
      connections: [],
      current: undefined,
      reachable: false,
      connectAt: NEVER,
      backoff: LEAST_BACKOFF,
      since: NEVER,
      said: undefined,
      pressed: false,
    })),
    rng: env.rng("tcp"),
    addresses: new Map(),
    running: false,
    alarm: NEVER,
    drops: new Map(),
  };
}

function step(state: TcpState, input: Input<Command, IpAddresses>, now: Instant): readonly TcpOutput[] {
  const turn = new Turn(state, now);
  switch (input.kind) {
    case "frame":
      if (input.port === state.ipPort) fromNetwork(turn, input.frame);
      else fromUser(turn, input.port, input.frame);
      break;
    case "heard":
      addresses(turn, input.event);
      break;
    case "timer":
      for (const session of state.sessions) timers(turn, session);
      break;
    case "command":
      state.running = input.command.verb === "start";
      for (const session of state.sessions) refresh(turn, session);
      break;
    case "link":
      return NOTHING;
  }
  return turn.finish();
}

/** One input: what it brings about, segments first, so that answers to what goes up come after them. */
class Turn {
  readonly out: Out = [];
  private readonly packets: TcpOutput[] = [];
  private readonly rest: TcpOutput[] = [];

  constructor(
    readonly state: TcpState,
    readonly now: Instant,
  ) {}

  /** Sends the segments in `out` as packets of this session. */
  flush({ config: { local, peer } }: Session): void {
    for (const payload of this.out) {
      const usual = { source: local, destination: peer, protocol: PROTOCOL.tcp, trafficClass: NETWORK_CONTROL };
      // RFC 6864 §4.1: a packet that is never fragmented needs no identification.
      const packet = ipPacket({ ...usual, dontFragment: true, payload });
      this.packets.push({ kind: "send", port: this.state.ipPort, frame: packetFrame(packet) });
    }
    this.out.length = 0;
  }

  link(session: Session, up: boolean, reason: TcpSessionReason): void {
    this.rest.push({ kind: "link", port: session.port, up });
    this.say(session, up, reason);
  }

  say(session: Session, up: boolean, reason: TcpSessionReason): void {
    session.said = reason;
    const { name, peer } = session.config;
    this.rest.push({ kind: "event", event: { type: "tcp.session", session: name, peer, up, reason } });
  }

  pressure(session: Session): void {
    const queued = session.current?.queued ?? 0;
    const pressed = session.pressed ? queued > RELIEVED : queued > PRESSED;
    if (pressed === session.pressed) return;
    session.pressed = pressed;
    this.rest.push({ kind: "event", event: { type: "tcp.pressure", session: session.config.name, pressed } });
  }

  up(session: Session, octets: Uint8Array): void {
    this.rest.push({ kind: "send", port: session.port, frame: chunkFrame(octets) });
  }

  finish(): readonly TcpOutput[] {
    let alarm: Instant = NEVER;
    for (const { connections, connectAt } of this.state.sessions) {
      if (connectAt < alarm) alarm = connectAt;
      for (const { due } of connections) if (due < alarm) alarm = due;
    }
    this.state.alarm = alarm;
    return [...this.packets, ...this.rest];
  }
}

function lose(state: TcpState, reason: DropReason): void {
  state.drops.set(reason, (state.drops.get(reason) ?? 0) + 1);
}

/** The session that a packet may be of: by addresses and the listening side's port, without copies. */
function sessionOf(state: TcpState, frame: Frame): Session | undefined {
  if (factsOf(frame) !== undefined) return undefined;
  const { bytes, payload } = frame;
  const { type } = frame.header;
  if ((type !== ETHERTYPE.ipv4 || bytes[payload + 9] !== PROTOCOL.tcp) && type !== ETHERTYPE.ipv6) return undefined;
  const layout = ipLayout(bytes, payload);
  if (!layout.ok || layout.value.protocol !== PROTOCOL.tcp) return undefined;
  const { source, destination, upper } = layout.value;
  for (const session of state.sessions) {
    const { config, localBytes, peerBytes } = session;
    if (!same(bytes, source, peerBytes) || !same(bytes, destination, localBytes)) continue;
    // Towards the port of one that does not listen, too: its peer is refused.
    if (u16(bytes, upper + 2) === config.port) return session;
    if (config.role === "connect" && u16(bytes, upper) === config.port) return session;
  }
  return undefined;
}

function same(bytes: Uint8Array, at: number, other: Uint8Array): boolean {
  for (let i = 0; i < other.length; i++) if (bytes[at + i] !== other[i]) return false;
  return true;
}

// --- from below ---

function fromNetwork(turn: Turn, frame: Frame): void {
  const { state, now, out } = turn;
  const session = sessionOf(state, frame);
  const layout = ipLayout(frame.bytes, frame.payload);
  if (session === undefined || !layout.ok) return;
  const octets = frame.bytes.subarray(layout.value.upper, layout.value.end);
  const segment = decodeTcp(octets);
  const reason = faultOf(state, session, octets, layout.value.fragment);
  if (!segment.ok || reason !== undefined) {
    lose(state, segment.ok ? (reason ?? "length") : segment.reason);
    return;
  }
  const connection = session.connections.find(
    ({ localPort, peerPort }) => localPort === segment.value.destinationPort && peerPort === segment.value.sourcePort,
  );
  if (connection === undefined) {
    stranger(turn, session, segment.value);
    turn.flush(session);
    return;
  }
  const outcome = receive(connection, segment.value, now, out);
  turn.flush(session);
  happened(turn, session, connection, outcome);
}

function faultOf(
  { running }: TcpState,
  { config, reachable }: Session,
  octets: Uint8Array,
  fragment: boolean,
): DropReason | undefined {
  if (!running || !reachable) return "no-address";
  if (fragment) return "fragment";
  return tcpChecksumFits(octets, { source: config.peer, destination: config.local }) ? undefined : "checksum";
}

/** A segment of no connection: a SYN for a listener begins one, and the one in use stays until that is established. */
function stranger(turn: Turn, session: Session, segment: TcpSegment): void {
  const { config, connections } = session;
  const syn = (segment.flags & (FLAG.syn | FLAG.ack | FLAG.rst)) === FLAG.syn;
  if (!syn || config.role !== "listen") {
    refuse(segment, config.local, config.peer, turn.out);
    return;
  }
  makeRoom(turn, session);
  connections.push(accept(ends(session, segment.sourcePort), initial(turn), segment, turn.now, turn.out));
}

function makeRoom(turn: Turn, session: Session): void {
  const { connections } = session;
  if (connections.length < MAX_CONNECTIONS) return;
  const oldest = connections.findIndex((one) => one !== session.current);
  for (const one of connections.splice(oldest, 1)) abort(one, turn.out);
}

function ends(session: Session, dynamicPort: number) {
  const { local, peer, port, role } = session.config;
  return role === "listen"
    ? { local, peer, localPort: port, peerPort: dynamicPort }
    : { local, peer, localPort: dynamicPort, peerPort: port };
}

/** RFC 9293 §3.4.1: a clock of 4 us and what an outsider does not know. */
function initial({ state, now }: Turn): number {
  return (Math.floor(now / 4) + next32(state.rng)) >>> 0;
}

function happened(turn: Turn, session: Session, connection: Connection, outcome: Outcome): void {
  if (outcome.opened) opened(turn, session, connection);
  if (session.current === connection) for (const chunk of outcome.chunks) turn.up(session, chunk);
  if (outcome.ended !== undefined) failed(turn, session, connection, outcome.ended);
  else if (session.current === connection) turn.pressure(session);
  forget(session);
}

/** Connections that are no more. */
function forget(session: Session): void {
  const { connections } = session;
  for (let i = connections.length - 1; i >= 0; i--) if (connections[i]?.state === "closed") connections.splice(i, 1);
}

function opened(turn: Turn, session: Session, connection: Connection): void {
  const old = session.current;
  if (old !== undefined) {
    abort(old, turn.out);
    turn.flush(session);
    turn.link(session, false, "replaced");
  }
  session.current = connection;
  session.since = turn.now;
  session.pressed = false;
  session.connectAt = NEVER;
  turn.link(session, true, "connected");
}

function failed(turn: Turn, session: Session, connection: Connection, reason: TcpSessionReason): void {
  if (session.current === connection) {
    down(turn, session, reason);
  } else if (!connection.passive && session.current === undefined && connection.state === "closed") {
    // An attempt, and not one that its user has ended.
    if (connection.ending) return;
    if (session.said !== reason) turn.say(session, false, reason);
    tryLater(turn, session);
  }
}

/** The session's port goes down; the connection may live on until all of it is delivered. */
function down(turn: Turn, session: Session, reason: TcpSessionReason): void {
  session.current = undefined;
  session.pressed = false;
  if (since(session.since, turn.now) >= LASTING) session.backoff = LEAST_BACKOFF;
  turn.link(session, false, reason);
  tryLater(turn, session);
}

function tryLater(turn: Turn, session: Session): void {
  if (session.config.role !== "connect" || !session.reachable || !turn.state.running) return;
  session.connectAt = after(turn.now, session.backoff);
  session.backoff = Math.min(2 * session.backoff, MOST_BACKOFF) as Duration;
}

// --- from above ---

function fromUser(turn: Turn, port: Port, frame: Frame): void {
  const session = turn.state.sessions.find((one) => one.port === port);
  const connection = session?.current;
  if (session === undefined || connection === undefined) return;
  const octets = chunkOf(frame);
  if (octets.length === 0) {
    end(connection, turn.now, turn.out);
    turn.flush(session);
    down(turn, session, "ended");
    forget(session);
  } else if (give(connection, octets, turn.now, turn.out)) {
    turn.flush(session);
    turn.pressure(session);
  } else {
    abort(connection, turn.out);
    turn.flush(session);
    down(turn, session, "overrun");
    forget(session);
  }
}

// --- time, addresses, orders ---

function timers(turn: Turn, session: Session): void {
  const { now, out } = turn;
  for (const connection of [...session.connections]) {
    const outcome = expire(connection, now, out);
    turn.flush(session);
    happened(turn, session, connection, outcome);
  }
  if (session.connectAt > now) return;
  session.connectAt = NEVER;
  makeRoom(turn, session);
  const dynamic = DYNAMIC_PORTS + below(turn.state.rng, 0x1_0000 - DYNAMIC_PORTS);
  session.connections.push(connect(ends(session, dynamic), initial(turn), now, out));
  turn.flush(session);
}

/** The stack says an interface's addresses when they or its link change: carrier lost is address lost. */
function addresses(turn: Turn, event: IpAddresses): void {
  const known = event.up ? event.addresses.map((text) => parsePrefix(text)?.address) : [];
  turn.state.addresses.set(event.port, new Set(known.filter((address) => address !== undefined)));
  for (const session of turn.state.sessions) refresh(turn, session);
}

/**
 * DEPARTS from RFC 9293 §3.9.2.3, where a connection outlives a lost carrier: who uses the session wants to know at
 * once, and begins anew with a new epoch anyway.
 */
function refresh(turn: Turn, session: Session): void {
  const { running, addresses } = turn.state;
  const reachable = running && [...addresses.values()].some((known) => known.has(session.config.local));
  if (reachable === session.reachable) return;
  session.reachable = reachable;
  if (reachable) {
    session.backoff = LEAST_BACKOFF;
    if (session.config.role === "connect") session.connectAt = turn.now;
    return;
  }
  session.connectAt = NEVER;
  if (session.current !== undefined) down(turn, session, running ? "no-address" : "stopped");
  // Without a carrier an RST goes nowhere; the peer's own carrier or heartbeats tell it.
  session.connections.length = 0;
}
