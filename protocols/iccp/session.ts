/**
 * One session with the other switch: from the TCP connection to operational, and how it ends. RFC 7275 §6.2 without
 * LDP, as SONiC's iccpd does it; `epoch` and `echo` are ours. The states are drawn in the README; what is heard is
 * `hearing.ts`' part.
 */

import { EMPTY } from "../../src/core/bytes.ts";
import type { Output, Port } from "../../src/core/machine.ts";
import { after, type Duration, type Instant, NEVER, sec } from "../../src/core/time.ts";
import { chunkFrame } from "../tcp/events.ts";
import { connects, MESSAGE } from "./codec.ts";
import type { IccpConfig, IccpDropReason, IccpEvent, IccpReason, IccpState } from "./events.ts";
import { itemsFrame } from "./events.ts";
import { cutItem, itemSize } from "./item-codec.ts";
import type { Item } from "./items.ts";
import { encodeMessage, type Hello, type Message } from "./message.ts";
import type { IccpValue } from "./parameters.ts";
import { begin, createSonic, type Sonic, tell } from "./sonic.ts";

export const VERSION = { major: 1, minor: 0 } as const;
/** Bits of what this end can do beyond the first version: none yet. */
export const FEATURES = 0;
export const HEARTBEAT: Duration = sec(1);
export const MULTIPLIER = 3;
/** iccpd sends a heartbeat every other second and gives up after 15 s. */
export const SONIC_MULTIPLIER = 15;
/** From the connection to operational. */
export const HANDSHAKE: Duration = sec(5);
export const MAX_ASKED = 64;
/** Between two `iccp.drop` of one reason. */
const QUIET: Duration = sec(1);
/** Octets of items that are gathered into one message. */
const FULL = 32_768;

interface Drop {
  count: number;
  quietUntil: Instant;
}

export interface Session {
  readonly config: IccpConfig;
  readonly tcp: Port;
  readonly port: Port;
  bootId: number;
  state: IccpState;
  dialect: "native" | "sonic" | "none";
  epoch: number;
  /** Of the last message that was sent in this epoch, and of the last that was heard; the last that the peer echoed. */
  sent: number;
  heard: number;
  echoed: number;
  peer: Hello | undefined;
  peerEpoch: number;
  /** Message id of RFC 7275 §6.1.1: a count that never begins anew. */
  id: number;
  /** The beginning of a message whose rest has not come: less than MAX_MESSAGE octets. */
  rest: Uint8Array;
  sonic: Sonic | undefined;
  handshakeAt: Instant;
  heartbeatAt: Instant;
  /** Whether the last timer was the one between two heartbeats. */
  halfway: boolean;
  /** Whether the last answer took longer than an eighth of a heartbeat. */
  slow: boolean;
  /** When a message was heard last; when that heartbeat was sent which the peer is known to have heard last. */
  heardAt: Instant;
  echoAt: Instant;
  /** Heartbeats that the peer has not echoed: at most MAX_ASKED, the oldest makes room. */
  asked: { readonly sequence: number; readonly at: Instant }[];
  /** What the peer said of its leaving. */
  leaving: boolean;
  /** The last attempt was ended by this end, for a reason of its own. */
  refusing: boolean;
  /** What was said last: not said again. */
  said: string;
  /** The same, for whoever asks. */
  why: { readonly reason: IccpReason; readonly detail: string; readonly at: Instant };
  readonly drops: Map<IccpDropReason, Drop>;
}

export type IccpOutput = Output<IccpEvent>;

/** One input; what goes down comes out first, for answers to what goes up have later sequence numbers. */
export class Turn {
  readonly down: IccpOutput[] = [];
  readonly rest: IccpOutput[] = [];
  constructor(readonly now: Instant) {}

  finish(): readonly IccpOutput[] {
    return [...this.down, ...this.rest];
  }
}

const NONE: readonly never[] = [];

// --- sending ---

interface ToSend {
  readonly values?: readonly IccpValue[];
  readonly items?: readonly Item[];
  readonly hello?: boolean;
  readonly heartbeat?: "ask" | "answer";
}

export function send(turn: Turn, session: Session, type: Message["type"], what: ToSend): void {
  const { config, peerEpoch, heard, bootId } = session;
  const { values = NONE, items = NONE, heartbeat } = what;
  const unknown = session.dialect === "none" && config.dialect !== "sonic";
  const native = session.dialect === "native" || unknown;
  const hello =
    native && what.hello === true ? { ...VERSION, features: FEATURES, system: config.system, bootId } : undefined;
  if (native) session.sent++;
  const envelope = { epoch: session.epoch, sequence: session.sent, echoEpoch: peerEpoch, echoSequence: heard };
  const domain: IccpValue = { kind: "rgId", rg: config.domain };
  session.id = (session.id + 1) >>> 0;
  const message: Message = {
    type,
    id: session.id,
    values: type === MESSAGE.capability ? values : [domain, ...values],
    items,
    ...(hello === undefined ? {} : { hello }),
    ...(native ? { envelope } : {}),
    ...(heartbeat === undefined ? {} : { heartbeat }),
  };
  const octets = encodeMessage(message, native ? config.keys?.[0] : undefined);
  turn.down.push({ kind: "send", port: session.tcp, frame: chunkFrame(octets) });
}

/** What the user tells the peer. */
export function sendItems(turn: Turn, session: Session, items: readonly Item[]): void {
  if (session.state !== "operational") {
    count(turn, session, "down");
    return;
  }
  if (session.sonic !== undefined) {
    sendValues(turn, session, tell(session.sonic, items));
    return;
  }
  let batch: Item[] = [];
  let size = 0;
  for (const item of items.flatMap(cutItem)) {
    if (item.kind === "peer") continue;
    const octets = itemSize(item);
    if (batch.length > 0 && size + octets > FULL) {
      send(turn, session, MESSAGE.rgApplicationData, { items: batch });
      batch = [];
      size = 0;
    }
    batch.push(item);
    size += octets + 4;
  }
  if (batch.length > 0) send(turn, session, MESSAGE.rgApplicationData, { items: batch });
}

/** iccpd reads the first parameter behind the RG id only. */
export function sendValues(turn: Turn, session: Session, values: readonly IccpValue[]): void {
  for (const value of values) send(turn, session, MESSAGE.rgApplicationData, { values: [value] });
}

export function handUp(turn: Turn, session: Session, items: readonly Item[]): void {
  if (items.length > 0) turn.rest.push({ kind: "send", port: session.port, frame: itemsFrame(items) });
}

// --- what is said ---

function say(turn: Turn, session: Session, up: boolean, reason: IccpReason, detail: string): void {
  const text = `${up} ${reason} ${detail}`;
  if (session.said === text && !up) return;
  session.said = text;
  session.why = { reason, detail, at: turn.now };
  const { config, dialect, epoch } = session;
  const common = { session: config.name, peer: config.peer, up, dialect, epoch, reason, detail };
  turn.rest.push({ kind: "event", event: { type: "iccp.session", ...common } });
}

export function count(turn: Turn, session: Session, reason: IccpDropReason): void {
  const drop = session.drops.get(reason) ?? { count: 0, quietUntil: turn.now };
  session.drops.set(reason, drop);
  drop.count++;
  if (turn.now < drop.quietUntil) return;
  drop.quietUntil = after(turn.now, QUIET);
  const event = { type: "iccp.drop" as const, session: session.config.name, reason, count: drop.count };
  turn.rest.push({ kind: "event", event });
}

// --- beginning and end ---

/** The TCP connection stands. */
export function connected(turn: Turn, session: Session): void {
  session.state = "initialized";
  session.dialect = "none";
  session.epoch = (session.epoch + 1) >>> 0;
  session.sent = 0;
  session.heard = 0;
  session.echoed = 0;
  session.asked = [];
  session.peer = undefined;
  session.peerEpoch = 0;
  session.rest = EMPTY;
  session.sonic = undefined;
  session.leaving = false;
  session.handshakeAt = after(turn.now, HANDSHAKE);
  const capability: IccpValue = { kind: "capability", supported: true, major: 1, minor: 0 };
  send(turn, session, MESSAGE.capability, { values: [capability], hello: true });
  session.state = "capabilitySent";
}

/** The TCP connection is gone; why is said by `transportSaid`. */
export function disconnected(turn: Turn, session: Session): void {
  if (session.state === "operational") turn.rest.push({ kind: "link", port: session.port, up: false });
  rest(session);
}

function rest(session: Session): void {
  session.state = "nonexistent";
  session.handshakeAt = NEVER;
  session.heartbeatAt = NEVER;
  session.heardAt = NEVER;
  session.echoAt = NEVER;
  session.rest = EMPTY;
  session.sonic = undefined;
}

/** What the transport says of itself; the session's own reasons, which ended the transport, come first. */
export function transportSaid(turn: Turn, session: Session, up: boolean, reason: IccpReason): void {
  if (up || session.state !== "nonexistent" || reason === "ended") return;
  // After a failure of the session's own, closing by the peer is its echo.
  if (session.refusing && (reason === "closed" || reason === "reset") && !session.leaving) return;
  session.refusing = false;
  say(turn, session, false, session.leaving ? "goodbye" : reason, "");
  session.leaving = false;
}

/** The session ends by this end's decision. */
export function fail(turn: Turn, session: Session, reason: IccpReason, detail: string): void {
  if (session.state === "nonexistent") return;
  if (session.state === "operational") turn.rest.push({ kind: "link", port: session.port, up: false });
  rest(session);
  session.refusing = true;
  say(turn, session, false, reason, detail);
  turn.down.push({ kind: "send", port: session.tcp, frame: chunkFrame(EMPTY) });
}

export function reject(turn: Turn, session: Session, status: number, rejected: number): void {
  send(turn, session, MESSAGE.rgNotification, { values: [{ kind: "nak", status, rejected }] });
}

export function operational(turn: Turn, session: Session): void {
  const { config, dialect, peer, peerEpoch, epoch } = session;
  session.state = "operational";
  session.refusing = false;
  session.handshakeAt = NEVER;
  session.heardAt = turn.now;
  session.echoAt = dialect === "native" ? turn.now : NEVER;
  session.heartbeatAt = after(turn.now, Math.round((config.heartbeat ?? HEARTBEAT) / 2) as Duration);
  session.halfway = false;
  session.slow = false;
  if (dialect === "sonic") session.sonic = createSonic(config, connects(config.local, config.peer));
  beat(turn, session);
  if (session.sonic !== undefined) sendValues(turn, session, begin(session.sonic));
  turn.rest.push({ kind: "link", port: session.port, up: true });
  say(turn, session, true, "established", peer === undefined ? "" : `version ${peer.major}.${peer.minor}`);
  const item: Item = {
    kind: "peer",
    dialect: dialect === "native" ? "native" : "sonic",
    system: peer?.system ?? ("00:00:00:00:00:00" as Hello["system"]),
    epoch,
    peerEpoch,
    bootId: peer?.bootId ?? 0,
    features: (peer?.features ?? 0) & FEATURES,
  };
  handUp(turn, session, [item]);
}

// --- time ---

function beat(turn: Turn, session: Session): void {
  if (session.dialect === "native") {
    send(turn, session, MESSAGE.rgApplicationData, { heartbeat: "ask" });
    session.asked.push({ sequence: session.sent, at: turn.now });
    if (session.asked.length > MAX_ASKED) session.asked.shift();
  } else send(turn, session, MESSAGE.rgApplicationData, { values: [{ kind: "heartbeat", octet: 0xff }] });
}

/** When nothing was heard for too long. */
function silentAt({ config, dialect, heardAt }: Session): Instant {
  const multiplier = config.multiplier ?? (dialect === "sonic" ? SONIC_MULTIPLIER : MULTIPLIER);
  return after(heardAt, ((config.heartbeat ?? HEARTBEAT) * multiplier) as Duration);
}

/**
 * When the peer is found not to hear this end: an eighth of a heartbeat before it gives up for that reason itself. One
 * that is silent altogether is not known to be deaf.
 */
function oneWayAt({ config, echoAt, heardAt }: Session): Instant {
  const heartbeat = config.heartbeat ?? HEARTBEAT;
  const due = after(echoAt, Math.round(heartbeat * ((config.multiplier ?? MULTIPLIER) - 0.125)) as Duration);
  return heardAt + 1.5 * heartbeat < due ? NEVER : due;
}

/** What the peer has heard of this end. */
export function echoed(turn: Turn, session: Session, sequence: number): void {
  const { asked } = session;
  session.echoed = sequence;
  for (let first = asked[0]; first !== undefined && ((sequence - first.sequence) | 0) >= 0; first = asked[0]) {
    session.echoAt = first.at;
    session.slow = turn.now - first.at > (session.config.heartbeat ?? HEARTBEAT) / 8;
    asked.shift();
  }
}

export function dueAt(session: Session): Instant {
  return Math.min(session.handshakeAt, session.heartbeatAt, silentAt(session), oneWayAt(session)) as Instant;
}

export function timers(turn: Turn, session: Session): void {
  const { now } = turn;
  const { config } = session;
  // Silence first: who hears nothing cannot know whether it is heard.
  if (silentAt(session) <= now) fail(turn, session, "heartbeat-timeout", "");
  else if (oneWayAt(session) <= now)
    fail(turn, session, "one-way", `the peer heard ${session.echoed} of ${session.sent}`);
  else if (session.handshakeAt <= now) fail(turn, session, "handshake-timeout", session.state);
  else if (session.heartbeatAt <= now) {
    const half = Math.round((config.heartbeat ?? HEARTBEAT) / 2) as Duration;
    // One that stood still does not make up for what it has missed.
    session.heartbeatAt = after(session.heartbeatAt, half);
    if (session.heartbeatAt <= now) session.heartbeatAt = after(now, half);
    session.halfway = !session.halfway;
    // Between two heartbeats one more where answers are slow: over a long and lossy path each is a chance to recover.
    if (!session.halfway || session.asked.length > 0 || session.slow) beat(turn, session);
  }
}
