/** What a session hears: the stream cut into messages, and what each of them does to the session. */
import { EMPTY } from "../../src/core/bytes.ts";
import { verify } from "./authentication.ts";
import { MAX_MESSAGE, MESSAGE, messageSize } from "./codec.ts";
import { decodeMessage, domainOf, type Heard } from "./message.ts";
import {
  count,
  echoed,
  fail,
  handUp,
  operational,
  reject,
  type Session,
  send,
  sendValues,
  type Turn,
  VERSION,
} from "./session.ts";
import { heard as heardSonic } from "./sonic.ts";

/** RFC 7275 §12.4 and iccpd's use of it. */
const STATUS = { unknownDomain: 0x0001_0001, incompatibleVersion: 0x0001_0005, rejectedMessage: 0x0001_0006 } as const;

/** A piece of the stream: any number of messages, and parts of them. */
export function heardOctets(turn: Turn, session: Session, chunk: Uint8Array): void {
  let bytes = chunk;
  if (session.rest.length > 0) {
    bytes = new Uint8Array(session.rest.length + chunk.length);
    bytes.set(session.rest);
    bytes.set(chunk, session.rest.length);
  }
  let at = 0;
  while (session.state !== "nonexistent") {
    const size = messageSize(bytes, at);
    if (size === 0) {
      fail(turn, session, "malformed", `a message of no length after ${session.heard} others`);
      return;
    }
    if (size === undefined || at + size > bytes.length) break;
    heardMessage(turn, session, bytes.subarray(at, at + size));
    at += size;
  }
  session.rest = session.state === "nonexistent" ? EMPTY : bytes.slice(at, at + MAX_MESSAGE);
}

function heardMessage(turn: Turn, session: Session, octets: Uint8Array): void {
  const decoded = decodeMessage(octets);
  if (!decoded.ok) {
    count(turn, session, "format");
    return;
  }
  const message = decoded.value;
  const { config } = session;
  if (config.keys !== undefined && config.keys.length > 0) {
    const wrong = verify(octets, message.signature, config.keys);
    if (wrong !== undefined) {
      count(turn, session, wrong);
      // A peer that cannot sign never gets in; in an operational session it is somebody else's message.
      if (session.state !== "operational") fail(turn, session, "authentication", wrong);
      return;
    }
  }
  if (message.type === MESSAGE.capability) heardCapability(turn, session, message);
  else if (session.dialect === "none") count(turn, session, "unexpected");
  else if (session.dialect === "native") heardNative(turn, session, message);
  else heardForeign(turn, session, message);
}

function heardCapability(turn: Turn, session: Session, message: Heard): void {
  const { config } = session;
  const { hello, envelope } = message;
  if (session.state !== "capabilitySent") {
    // A second one, or that of another session: epochs and states stay as they are.
    count(turn, session, envelope === undefined || envelope.epoch === session.peerEpoch ? "replayed" : "stale-epoch");
    return;
  }
  const native = hello !== undefined && envelope !== undefined && config.dialect !== "sonic";
  if (!native && config.dialect === "native") {
    fail(turn, session, "dialect-mismatch", "the peer does not announce our own dialect");
    return;
  }
  session.dialect = native ? "native" : "sonic";
  if (native) {
    session.peer = hello;
    session.peerEpoch = envelope.epoch;
    session.heard = envelope.sequence;
    if (hello.major !== VERSION.major) {
      reject(turn, session, STATUS.incompatibleVersion, message.id);
      const versions = `${VERSION.major}.${VERSION.minor} here, ${hello.major}.${hello.minor} there`;
      fail(turn, session, "version-mismatch", versions);
      return;
    }
    if (hello.system === config.system) {
      fail(turn, session, "same-system", hello.system);
      return;
    }
  }
  session.state = "capabilityReceived";
  send(turn, session, MESSAGE.rgConnect, { values: [{ kind: "senderName", name: config.local }], hello: true });
  session.state = "connecting";
}

/** What every message of our own dialect must fit: epochs of both ends, and the next sequence number. */
function heardNative(turn: Turn, session: Session, message: Heard): void {
  const { envelope } = message;
  if (envelope === undefined) {
    count(turn, session, "format");
    return;
  }
  if (envelope.epoch !== session.peerEpoch || envelope.echoEpoch !== session.epoch) {
    // A NAK may come from a peer that has not taken over our epoch.
    if (message.type !== MESSAGE.rgNotification || envelope.epoch !== session.peerEpoch) {
      count(turn, session, "stale-epoch");
      return;
    }
  }
  const gap = (envelope.sequence - session.heard) | 0;
  if (gap <= 0) {
    count(turn, session, "replayed");
    return;
  }
  if (gap > 1) {
    fail(turn, session, "sequence", `${gap - 1} messages are missing after ${session.heard}`);
    return;
  }
  session.heard = envelope.sequence;
  if (session.state === "operational") session.heardAt = turn.now;
  if (((envelope.echoSequence - session.echoed) | 0) > 0 && ((session.sent - envelope.echoSequence) | 0) >= 0) {
    echoed(turn, session, envelope.echoSequence);
  }
  if (message.unknown !== undefined) {
    reject(turn, session, STATUS.rejectedMessage, message.id);
    fail(turn, session, "unknown-mandatory", `parameter ${message.unknown.toString(16)}`);
    return;
  }
  if (control(turn, session, message)) return;
  if (session.state !== "operational") {
    count(turn, session, "unexpected");
    return;
  }
  if (message.heartbeat === "ask") send(turn, session, MESSAGE.rgApplicationData, { heartbeat: "answer" });
  if (message.items.some(({ kind }) => kind === "goodbye")) session.leaving = true;
  handUp(
    turn,
    session,
    message.items.filter(({ kind }) => kind !== "peer"),
  );
}

function heardForeign(turn: Turn, session: Session, message: Heard): void {
  // Any message shows that iccpd lives.
  if (session.state === "operational") session.heardAt = turn.now;
  if (control(turn, session, message)) return;
  const { sonic } = session;
  if (session.state !== "operational" || sonic === undefined) {
    count(turn, session, "unexpected");
    return;
  }
  for (const value of message.values) {
    const { send: values, items } = heardSonic(sonic, value);
    if (items.some(({ kind }) => kind === "goodbye")) session.leaving = true;
    sendValues(turn, session, values);
    handUp(turn, session, items);
  }
}

/** Messages of RFC 7275 about the connection itself. @returns whether it was one, or ended the session */
function control(turn: Turn, session: Session, message: Heard): boolean {
  const { config } = session;
  const domain = domainOf(message);
  switch (message.type) {
    case MESSAGE.rgConnect:
      if (domain !== config.domain) {
        reject(turn, session, STATUS.unknownDomain, domain ?? 0);
        fail(turn, session, "domain-mismatch", `${config.domain} here, ${domain ?? "none"} there`);
      } else if (session.state === "connecting") operational(turn, session);
      else count(turn, session, "unexpected");
      return true;
    case MESSAGE.rgDisconnect:
      fail(turn, session, session.leaving ? "goodbye" : "closed", "the peer leaves the redundancy group");
      return true;
    case MESSAGE.rgNotification: {
      const nak = message.values.find((value) => value.kind === "nak");
      // iccpd says NAK to single parameters, too: of those only what is about the group ends the session.
      if (session.dialect === "sonic" && session.state === "operational" && nak?.status !== STATUS.unknownDomain)
        return true;
      fail(turn, session, "rejected", nak === undefined ? "" : `status ${nak.status.toString(16).padStart(8, "0")}`);
      return true;
    }
    default:
      if (domain === undefined || domain === config.domain) return false;
      count(turn, session, "unexpected");
      return true;
  }
}
