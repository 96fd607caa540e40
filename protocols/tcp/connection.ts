/**
 * One connection, and what it sends: RFC 9293 §3.10, retransmission after RFC 6298. `reception.ts` is the other half.
 * Options but MSS, urgent data and delayed ACKs are not done.
 * DEPARTS from RFC 5681: no congestion window. The peer link is one hop and the window is small; what counts is that a
 * session recovers within its heartbeats.
 */
import type { Ip } from "../../src/core/addr.ts";
import { EMPTY } from "../../src/core/bytes.ts";
import { after, type Duration, type Instant, ms, NEVER, sec } from "../../src/core/time.ts";
import { createStream, encodeTcp, FLAG, type TcpSegment, type TcpStream } from "./codec.ts";

/** Octets that may be under way in one direction: without window scaling, the most the header can say. */
export const WINDOW = 65_535;
/** Octets that wait to be sent or acknowledged; beyond, the connection is given up. */
export const MAX_QUEUED = 4 << 20;
/** RFC 6298 (2.1). */
const INITIAL_RTO: Duration = sec(1);
/**
 * Where doubling ends. DEPARTS from RFC 6298 (2.5), which says 60 s: a session that hears nothing for 3 s is lost
 * anyway, and there is no congestion to make way for.
 */
const MAX_BACKOFF: Duration = ms(500);
/** Of data and FIN, each after an RTO; of SYN. */
export const MAX_RETRIES = 8;
export const MAX_SYN_RETRIES = 2;

export type ConnectionState =
  | "synSent"
  | "synReceived"
  | "established"
  | "finWait1"
  | "finWait2"
  | "closeWait"
  | "closing"
  | "lastAck"
  | "timeWait"
  | "closed";

export interface Connection {
  readonly local: Ip;
  readonly peer: Ip;
  readonly localPort: number;
  readonly peerPort: number;
  /** Made by the peer's SYN. */
  readonly passive: boolean;
  state: ConnectionState;
  /** SND.UNA, SND.NXT, SND.WND and ISS of RFC 9293 §3.3.1. */
  readonly first: number;
  unacknowledged: number;
  next: number;
  window: number;
  /** Octets of payload in one segment. */
  mss: number;
  /** What was given to be sent and is not acknowledged: from `unacknowledged` on. */
  queue: Uint8Array[];
  queued: number;
  /** The user has ended the stream, or the peer has; and the FIN's sequence number once it is sent. */
  ending: boolean;
  finSent: number | undefined;
  /** RCV.NXT is its `next`. */
  readonly stream: TcpStream;
  /** Sequence number of the peer's FIN. */
  finHeard: number | undefined;
  rto: Duration;
  /** RFC 6298 (2.2); undefined before the first measurement. */
  smoothed: number | undefined;
  variation: number;
  timed: { readonly sequence: number; readonly at: Instant } | undefined;
  /** Of the retransmission, or of the end of a closing state. */
  due: Instant;
  retries: number;
  duplicates: number;
  /** Losses up to here are being repaired: RFC 6582 §3.2. */
  recover: number | undefined;
  /** When what is first was sent again last. */
  repaired: Instant;
}

/** What became of an input. */
export interface Outcome {
  /** Octets that are in order now. */
  readonly chunks: readonly Uint8Array[];
  /** The connection has just been established; it has ended, and why. */
  readonly opened: boolean;
  readonly ended: "refused" | "reset" | "timeout" | "closed" | undefined;
}

export const NOTHING_NEW: Outcome = { chunks: [], opened: false, ended: undefined };

/** Segments on their way out, as IP payloads. */
export type Out = Uint8Array[];

/** a - b of sequence numbers, modulo 2^32 (RFC 9293 §3.4). */
export function ahead(a: number, b: number): number {
  return (a - b) | 0;
}

export function plus(sequence: number, octets: number): number {
  return (sequence + octets) >>> 0;
}

/** RFC 9293 §3.7.1: without the option; with it, an Ethernet's. */
function mssOf(ip: Ip, known: boolean): number {
  if (ip.includes(":")) return known ? 1440 : 1220;
  return known ? 1460 : 536;
}

interface Ends {
  readonly local: Ip;
  readonly peer: Ip;
  readonly localPort: number;
  readonly peerPort: number;
}

function create(ends: Ends, first: number, passive: boolean): Connection {
  return {
    ...ends,
    passive,
    state: passive ? "synReceived" : "synSent",
    first,
    unacknowledged: first,
    next: plus(first, 1),
    window: 0,
    mss: mssOf(ends.peer, false),
    queue: [],
    queued: 0,
    ending: false,
    finSent: undefined,
    stream: createStream(),
    finHeard: undefined,
    rto: INITIAL_RTO,
    smoothed: undefined,
    variation: 0,
    timed: undefined,
    due: NEVER,
    retries: 0,
    duplicates: 0,
    recover: undefined,
    repaired: NEVER,
  };
}

/** RFC 9293 §3.10.1, active OPEN. */
export function connect(ends: Ends, first: number, now: Instant, out: Out): Connection {
  const connection = create(ends, first, false);
  connection.timed = { sequence: connection.next, at: now };
  sendFirst(connection, now, out);
  return connection;
}

/** RFC 9293 §3.10.7.2: a SYN for a listener. */
export function accept(ends: Ends, first: number, syn: TcpSegment, now: Instant, out: Out): Connection {
  const connection = create(ends, first, true);
  heardSyn(connection, syn);
  connection.timed = { sequence: connection.next, at: now };
  sendFirst(connection, now, out);
  return connection;
}

export function heardSyn(connection: Connection, syn: TcpSegment): void {
  connection.stream.next = plus(syn.sequence, 1);
  connection.window = syn.window;
  connection.mss = Math.max(64, Math.min(syn.mss ?? mssOf(connection.peer, false), mssOf(connection.peer, true)));
}

export function emit(connection: Connection, flags: number, sequence: number, payload: Uint8Array, out: Out): void {
  const { local, peer, localPort, peerPort, stream } = connection;
  const syn = (flags & FLAG.syn) !== 0;
  const segment: TcpSegment = {
    sourcePort: localPort,
    destinationPort: peerPort,
    sequence,
    acknowledgment: stream.next ?? 0,
    flags: stream.next === undefined ? flags : flags | FLAG.ack,
    window: WINDOW,
    ...(syn ? { mss: mssOf(local, true) } : {}),
    payload,
  };
  out.push(encodeTcp(segment, { source: local, destination: peer }));
}

export function acknowledge(connection: Connection, out: Out): void {
  emit(connection, FLAG.ack, connection.next, EMPTY, out);
}

/** RST in a synchronised state: RFC 9293 §3.10.5. */
export function abort(connection: Connection, out: Out): void {
  if (connection.state !== "closed" && connection.state !== "timeWait" && connection.stream.next !== undefined) {
    emit(connection, FLAG.rst, connection.next, EMPTY, out);
  }
  connection.state = "closed";
  connection.due = NEVER;
}

/** RFC 9293 §3.10.7.1: the answer to a segment that belongs to no connection. */
export function refuse(segment: TcpSegment, local: Ip, peer: Ip, out: Out): void {
  if ((segment.flags & FLAG.rst) !== 0) return;
  const acked = (segment.flags & FLAG.ack) !== 0;
  const length = segment.payload.length + ((segment.flags & FLAG.syn) !== 0 ? 1 : 0);
  const answer: TcpSegment = {
    sourcePort: segment.destinationPort,
    destinationPort: segment.sourcePort,
    sequence: acked ? segment.acknowledgment : 0,
    acknowledgment: acked ? 0 : plus(segment.sequence, length),
    flags: acked ? FLAG.rst : FLAG.rst | FLAG.ack,
    window: 0,
    payload: EMPTY,
  };
  out.push(encodeTcp(answer, { source: local, destination: peer }));
}

/** Gives octets to be sent; false when MAX_QUEUED would be passed. They must not change from here on. */
export function give(connection: Connection, octets: Uint8Array, now: Instant, out: Out): boolean {
  if (connection.queued + octets.length > MAX_QUEUED) return false;
  connection.queue.push(octets);
  connection.queued += octets.length;
  transmit(connection, now, out);
  return true;
}

/** RFC 9293 §3.10.4: a FIN behind what was given. */
export function end(connection: Connection, now: Instant, out: Out): void {
  connection.ending = true;
  transmit(connection, now, out);
}

/** Octets of the queue at `offset` from `unacknowledged`. */
function gather({ queue }: Connection, offset: number, length: number): Uint8Array {
  let skip = offset;
  let i = 0;
  for (let part = queue[0]; part !== undefined && skip >= part.length; part = queue[i]) {
    skip -= part.length;
    i++;
  }
  const first = queue[i] ?? EMPTY;
  if (skip + length <= first.length) return first.subarray(skip, skip + length);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; i++, skip = 0) {
    const part = (queue[i] ?? EMPTY).subarray(skip, skip + length - at);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const SENDING: ReadonlySet<ConnectionState> = new Set(["established", "closeWait"]);

/** Sends what the window allows. */
export function transmit(connection: Connection, now: Instant, out: Out): void {
  if (!SENDING.has(connection.state)) return;
  for (;;) {
    const flight = ahead(connection.next, connection.unacknowledged);
    const length = Math.min(connection.queued - flight, connection.window - flight, connection.mss);
    if (length <= 0) break;
    const last = flight + length === connection.queued;
    emit(connection, last ? FLAG.psh : 0, connection.next, gather(connection, flight, length), out);
    connection.next = plus(connection.next, length);
    // Behind a hole the time of the repair would be measured, too.
    if (connection.recover === undefined) connection.timed ??= { sequence: connection.next, at: now };
  }
  if (connection.ending && ahead(connection.next, connection.unacknowledged) === connection.queued) {
    emit(connection, FLAG.fin, connection.next, EMPTY, out);
    connection.finSent = connection.next;
    connection.next = plus(connection.next, 1);
    connection.state = connection.state === "established" ? "finWait1" : "lastAck";
  }
  // With a closed window the timer sends the probe: RFC 9293 §3.8.6.1.
  if (connection.due === NEVER && (connection.next !== connection.unacknowledged || connection.queued > 0)) {
    connection.due = after(now, connection.rto);
  }
}

/** Sends again what is the first to be acknowledged. */
export function sendFirst(connection: Connection, now: Instant, out: Out): void {
  const { state, queued, unacknowledged, finSent } = connection;
  if (state === "synSent" || state === "synReceived") emit(connection, FLAG.syn, connection.first, EMPTY, out);
  else if (queued > 0) {
    // At least one octet, into a closed window too.
    const length = Math.max(1, Math.min(queued, connection.window, connection.mss));
    emit(connection, FLAG.psh, unacknowledged, gather(connection, 0, length), out);
    if (connection.next === unacknowledged) connection.next = plus(unacknowledged, length);
  } else if (finSent !== undefined) emit(connection, FLAG.fin, finSent, EMPTY, out);
  connection.repaired = now;
  connection.due = after(now, connection.rto);
}

/** To be called when `due` has come. */
export function expire(connection: Connection, now: Instant, out: Out): Outcome {
  if (connection.due > now) return NOTHING_NEW;
  if (connection.state === "timeWait" || connection.state === "finWait2") {
    connection.state = "closed";
    connection.due = NEVER;
    return NOTHING_NEW;
  }
  const handshake = connection.state === "synSent" || connection.state === "synReceived";
  if (++connection.retries > (handshake ? MAX_SYN_RETRIES : MAX_RETRIES)) {
    abort(connection, out);
    return { ...NOTHING_NEW, ended: "timeout" };
  }
  // RFC 6298 (5.5); Karn's algorithm, §3: what was sent twice is not timed.
  connection.rto = Math.min(connection.rto * 2, Math.max(MAX_BACKOFF, connection.rto)) as Duration;
  connection.timed = undefined;
  connection.recover = connection.next;
  sendFirst(connection, now, out);
  return NOTHING_NEW;
}
