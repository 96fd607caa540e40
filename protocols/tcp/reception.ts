/**
 * One connection, and what it hears: RFC 9293 §3.10.7, round-trip times after RFC 6298, fast retransmit and partial
 * ACKs after RFC 6582.
 */
import { after, type Duration, type Instant, ms, NEVER, sec, since } from "../../src/core/time.ts";
import { arrive, FLAG, MAX_HELD, MAX_SEGMENTS, type TcpSegment } from "./codec.ts";
import {
  acknowledge,
  ahead,
  type Connection,
  heardSyn,
  NOTHING_NEW,
  type Out,
  type Outcome,
  plus,
  refuse,
  sendFirst,
  transmit,
  WINDOW,
} from "./connection.ts";

/** DEPARTS from RFC 6298 (2.4), which says 1 s: as Linux has it, for a link of microseconds. */
const MIN_RTO: Duration = ms(200);
/** RFC 6298 (2.4) allows a maximum. */
const MAX_RTO: Duration = sec(4);
/** DEPARTS from RFC 9293 §3.4.2, which says 4 minutes: every connection has a port of its own, drawn at random. */
const TIME_WAIT: Duration = sec(2);
/** RFC 9293 §3.8.6.1 would wait for ever for the peer's FIN. */
const FIN_WAIT: Duration = sec(10);
/** RFC 5681 §3.2. */
const DUPLICATES = 3;

/** A segment of this connection: RFC 9293 §3.10.7.3, §3.10.7.4. */
export function receive(connection: Connection, segment: TcpSegment, now: Instant, out: Out): Outcome {
  return connection.state === "synSent"
    ? receiveInSynSent(connection, segment, now, out)
    : receiveSynchronized(connection, segment, now, out);
}

function receiveInSynSent(connection: Connection, segment: TcpSegment, now: Instant, out: Out): Outcome {
  const acked = (segment.flags & FLAG.ack) !== 0;
  if (acked && segment.acknowledgment !== connection.next) {
    refuse(segment, connection.local, connection.peer, out);
    return NOTHING_NEW;
  }
  if ((segment.flags & FLAG.rst) !== 0) {
    if (!acked) return NOTHING_NEW;
    connection.state = "closed";
    connection.due = NEVER;
    return { ...NOTHING_NEW, ended: "refused" };
  }
  if ((segment.flags & FLAG.syn) === 0) return NOTHING_NEW;
  heardSyn(connection, segment);
  if (!acked) {
    // RFC 9293 §3.5, simultaneous initiation: both have sent a SYN.
    connection.state = "synReceived";
    sendFirst(connection, now, out);
    return NOTHING_NEW;
  }
  connection.state = "established";
  advance(connection, segment.acknowledgment, now);
  acknowledge(connection, out);
  return { ...NOTHING_NEW, opened: true };
}

/** RFC 9293 §3.10.7.4, the four cases of acceptability, as overlap with the window. */
function acceptable(connection: Connection, segment: TcpSegment): boolean {
  const at = ahead(segment.sequence, connection.stream.next ?? 0);
  const length = segment.payload.length + ((segment.flags & FLAG.fin) !== 0 ? 1 : 0);
  return at < WINDOW && (length === 0 ? at >= 0 : at + length > 0);
}

function receiveSynchronized(connection: Connection, segment: TcpSegment, now: Instant, out: Out): Outcome {
  const { flags } = segment;
  if (connection.state === "closed") return NOTHING_NEW;
  if (!acceptable(connection, segment) || (flags & FLAG.syn) !== 0) {
    // RFC 5961 §4.2: a SYN here is answered, never believed.
    if ((flags & FLAG.rst) === 0) acknowledge(connection, out);
    return NOTHING_NEW;
  }
  if ((flags & FLAG.rst) !== 0) {
    // RFC 5961 §3.2: only the exact sequence number resets.
    if (segment.sequence !== connection.stream.next) {
      acknowledge(connection, out);
      return NOTHING_NEW;
    }
    const ended = connection.state === "synReceived" ? "refused" : "reset";
    connection.state = "closed";
    connection.due = NEVER;
    return { ...NOTHING_NEW, ended };
  }
  if ((flags & FLAG.ack) === 0) return NOTHING_NEW;
  let opened = false;
  if (connection.state === "synReceived") {
    if (segment.acknowledgment !== plus(connection.first, 1)) {
      refuse(segment, connection.local, connection.peer, out);
      return NOTHING_NEW;
    }
    connection.state = "established";
    opened = true;
  }
  if (ahead(segment.acknowledgment, connection.next) > 0) {
    acknowledge(connection, out);
    return { ...NOTHING_NEW, opened };
  }
  heardAcknowledgment(connection, segment, now, out);
  const taken = take(connection, segment, now, out);
  transmit(connection, now, out);
  return { chunks: taken.chunks, opened, ended: taken.closed ? "closed" : undefined };
}

function heardAcknowledgment(connection: Connection, segment: TcpSegment, now: Instant, out: Out): void {
  const { acknowledgment } = segment;
  const progress = ahead(acknowledgment, connection.unacknowledged);
  if (progress > 0) {
    const repairing = connection.recover !== undefined && ahead(connection.recover, acknowledgment) > 0;
    advance(connection, acknowledgment, now);
    connection.window = segment.window;
    // RFC 6582 §3.2 step 3: a partial ACK names the next hole.
    if (repairing) sendFirst(connection, now, out);
    else connection.recover = undefined;
    if (connection.finSent !== undefined && acknowledgment === plus(connection.finSent, 1))
      finAcknowledged(connection, now);
  } else if (progress === 0) {
    const idle = segment.payload.length === 0 && segment.window === connection.window;
    connection.window = segment.window;
    const flight = ahead(connection.next, connection.unacknowledged);
    if (!idle || flight === 0 || (segment.flags & FLAG.fin) !== 0) return;
    // RFC 5827 §3.2: with few segments under way three duplicates never come.
    const enough = Math.max(1, Math.min(DUPLICATES, Math.ceil(flight / connection.mss) - 1));
    if (++connection.duplicates < enough) return;
    // RFC 8985 §6.2 in small: what was sent again a round trip ago, and is missed still, was lost again.
    const lostAgain = since(connection.repaired, now) >= (connection.smoothed ?? connection.rto);
    if (connection.recover === undefined || lostAgain) {
      connection.recover = connection.next;
      connection.timed = undefined;
      sendFirst(connection, now, out);
    }
  }
}

function finAcknowledged(connection: Connection, now: Instant): void {
  connection.due = NEVER;
  if (connection.state === "finWait1") {
    connection.state = "finWait2";
    connection.due = after(now, FIN_WAIT);
  } else if (connection.state === "closing") {
    connection.state = "timeWait";
    connection.due = after(now, TIME_WAIT);
  } else if (connection.state === "lastAck") connection.state = "closed";
}

/** SND.UNA moves on. */
function advance(connection: Connection, acknowledgment: number, now: Instant): void {
  let octets = ahead(acknowledgment, connection.unacknowledged);
  if (connection.unacknowledged === connection.first) octets--; // the SYN
  connection.unacknowledged = acknowledgment;
  octets = Math.min(octets, connection.queued);
  connection.queued -= octets;
  for (let first = connection.queue[0]; octets > 0 && first !== undefined; first = connection.queue[0]) {
    if (first.length > octets) {
      connection.queue[0] = first.subarray(octets);
      break;
    }
    octets -= first.length;
    connection.queue.shift();
  }
  connection.retries = 0;
  connection.duplicates = 0;
  const { timed } = connection;
  if (timed !== undefined && ahead(acknowledgment, timed.sequence) >= 0) {
    measure(connection, since(timed.at, now));
    connection.timed = undefined;
  }
  connection.due = connection.next === acknowledgment ? NEVER : after(now, connection.rto);
}

/** RFC 6298 (2.2), (2.3). */
function measure(connection: Connection, time: Duration): void {
  if (connection.smoothed === undefined) {
    connection.smoothed = time;
    connection.variation = time / 2;
  } else {
    connection.variation = 0.75 * connection.variation + 0.25 * Math.abs(connection.smoothed - time);
    connection.smoothed = 0.875 * connection.smoothed + 0.125 * time;
  }
  const rto = Math.round(connection.smoothed + 4 * connection.variation);
  connection.rto = Math.max(MIN_RTO, Math.min(rto, MAX_RTO)) as Duration;
}

/** Payload and FIN. */
function take(
  connection: Connection,
  segment: TcpSegment,
  now: Instant,
  out: Out,
): { readonly chunks: readonly Uint8Array[]; readonly closed: boolean } {
  const { stream } = connection;
  const length = segment.payload.length;
  const fin = (segment.flags & FLAG.fin) !== 0;
  if (length === 0 && !fin) return { chunks: [], closed: false };
  if (fin) connection.finHeard = plus(segment.sequence, length);
  // What finds no room behind a gap is sent again: nothing in order is ever given up.
  const inOrder = ahead(segment.sequence, stream.next ?? 0) <= 0;
  const held = stream.held.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const room = stream.held.length < MAX_SEGMENTS && held + length <= MAX_HELD;
  const chunks = length > 0 && (inOrder || room) ? arrive(stream, segment).bytes : [];
  const finished = connection.finHeard !== undefined && stream.next === connection.finHeard;
  if (finished) stream.next = plus(connection.finHeard ?? 0, 1);
  acknowledge(connection, out);
  return { chunks, closed: finished && peerEnded(connection, now) };
}

/** RFC 9293 §3.10.7.4, eighth: the peer's FIN. This end has nothing more to say then. */
function peerEnded(connection: Connection, now: Instant): boolean {
  connection.finHeard = undefined;
  if (connection.state === "established") {
    connection.state = "closeWait";
    connection.ending = true;
    return true;
  }
  if (connection.state === "finWait1") {
    connection.state = "closing";
  } else if (connection.state === "finWait2") {
    connection.state = "timeWait";
    connection.due = after(now, TIME_WAIT);
  }
  return false;
}
