/**
 * The second path: hellos say that this node lives; a probe asks, and only its answer proves that the peer lived after the
 * question. What was on its way when the peer lost its power proves nothing.
 *
 * A message counts when it is newer than the newest of the same life of its sender. One of another life is answered by a
 * question of its own: the peer has started anew, or somebody plays an old recording, and only the peer can answer.
 */
import { next32, type Rng } from "../../src/core/rng.ts";
import { after, type Instant, ms, NEVER, sec } from "../../src/core/time.ts";
import { verify } from "../iccp/codec.ts";
import { decodeKeepalive, hex32, type Keepalive, signatureOf } from "./codec.ts";
import { keepaliveHeard, keepaliveLost } from "./core.ts";
import type { KeepaliveDropReason } from "./events.ts";
import { rankOf } from "./roles.ts";
import { type MlagState, sooner } from "./state.ts";

/** Between probes while it is to be decided whether the peer lives. */
export const PROBE_INTERVAL = ms(200);
/** Between two `mlag.drop` of one reason. */
const QUIET = sec(1);
const NO_NONCE = "0000000000000000";

interface Drop {
  count: number;
  quietUntil: Instant;
}

export interface KeepaliveState {
  readonly rng: Rng;
  /** The path's port has carrier, and the machine runs. */
  open: boolean;
  /** Of this node's life, from its first opening. */
  boot: number;
  sequence: number;
  /** The newest message of the peer's life that is known. */
  peer: { boot: number; sequence: number } | undefined;
  /** The question to one of another life; undefined where none is open. */
  challenge: string | undefined;
  challengeAt: Instant;
  helloAt: Instant;
  probeAt: Instant;
  /** Of the questions since the last loss; no answer to an older one counts. */
  nonce: string;
  /** The loss that they are about. */
  about: Instant;
  /** Messages for the wire. */
  sends: Keepalive[];
  /** Messages that were not acted on. */
  readonly drops: Map<KeepaliveDropReason, Drop>;
}

export function newKeepalive(rng: Rng): KeepaliveState {
  return {
    rng,
    open: false,
    boot: 0,
    sequence: 0,
    peer: undefined,
    challenge: undefined,
    challengeAt: 0 as Instant,
    helloAt: NEVER,
    probeAt: NEVER,
    nonce: NO_NONCE,
    about: NEVER,
    sends: [],
    drops: new Map(),
  };
}

function send(core: MlagState, path: KeepaliveState, kind: Keepalive["kind"], nonce: string): void {
  path.sequence = (path.sequence + 1) >>> 0;
  const { config, system } = core;
  const { sequence } = path;
  path.sends.push({
    kind,
    domain: config.domain,
    sequence,
    system,
    priority: config.priority,
    rank: rankOf(core),
    nonce,
    boot: path.boot,
  });
}

export function openPath(core: MlagState, path: KeepaliveState, open: boolean, now: Instant): void {
  if (path.open === open) return;
  path.open = open;
  // A device that comes back has the same generator: only the time tells its lives apart.
  if (open && path.boot === 0) path.boot = (next32(path.rng) + Math.imul(now % 2 ** 32, 0x9e37_79b1)) >>> 0 || 1;
  path.helloAt = open ? now : NEVER;
  if (!open) keepaliveLost(core, "keepalive-link-down", now);
  tick(core, path, now);
}

/** Sends what is due, and notices silence. */
export function tick(core: MlagState, path: KeepaliveState, now: Instant): void {
  if (core.keepalive && now >= after(core.heardAt, core.config.keepalive.timeout)) {
    keepaliveLost(core, "keepalive-timeout", now);
  }
  if (!path.open) return;
  if (now >= path.helloAt) {
    send(core, path, "hello", NO_NONCE);
    path.helloAt = after(now, core.config.keepalive.interval);
  }
  ask(core, path, now);
}

function ask(core: MlagState, path: KeepaliveState, now: Instant): void {
  if (core.lostAt === NEVER || core.proven || core.goodbye !== undefined) {
    path.probeAt = NEVER;
    return;
  }
  // Another loss, or silence after an answer: the old answers do not count any more.
  if (path.about !== core.lostAt || path.probeAt === NEVER) {
    path.about = core.lostAt;
    path.nonce = hex32(next32(path.rng)) + hex32(next32(path.rng));
    path.probeAt = now;
  }
  if (now < path.probeAt) return;
  send(core, path, "probe", path.nonce);
  const often = core.situation === "deciding" ? PROBE_INTERVAL : core.config.keepalive.interval;
  path.probeAt = after(now, often);
}

/** A datagram's payload: read, judged, and acted on, or dropped under one reason. */
export function receiveOctets(core: MlagState, path: KeepaliveState, octets: Uint8Array, now: Instant): void {
  const decoded = decodeKeepalive(octets);
  if (!decoded.ok) {
    lose(core, path, decoded.reason, now);
    return;
  }
  const { keys } = core.config;
  const wrong = keys.length === 0 ? undefined : verify(octets, signatureOf(octets), keys);
  if (wrong === undefined) receive(core, path, decoded.value, now);
  else lose(core, path, `keepalive-${wrong}`, now);
}

export function receive(core: MlagState, path: KeepaliveState, message: Keepalive, now: Instant): void {
  const { kind, domain, system, priority, rank, nonce, boot } = message;
  if (domain !== core.config.domain) {
    lose(core, path, "keepalive-domain", now);
    return;
  }
  if (system === core.system) {
    lose(core, path, "keepalive-own", now);
    return;
  }
  const asked = path.probeAt !== NEVER && path.about === core.lostAt && nonce === path.nonce;
  const answers = kind === "answer" && asked;
  if (!answers && !isFresh(core, path, message, now)) return;
  path.peer = { boot, sequence: newest(path, message) };
  path.challenge = undefined;
  if (kind === "probe") send(core, path, "answer", nonce);
  keepaliveHeard(core, { system, priority, rank }, answers, now);
  tick(core, path, now);
}

function newest({ peer }: KeepaliveState, { boot, sequence }: Keepalive): number {
  return peer?.boot === boot && ((sequence - peer.sequence) | 0) < 0 ? peer.sequence : sequence;
}

/** Whether it is newer than all that was heard; one of another life has to answer first. */
function isFresh(core: MlagState, path: KeepaliveState, message: Keepalive, now: Instant): boolean {
  const { peer, challenge } = path;
  if (peer === undefined) return true;
  if (message.boot === peer.boot) {
    if (((message.sequence - peer.sequence) | 0) > 0) return true;
    lose(core, path, "keepalive-replayed", now);
    return false;
  }
  if (message.kind === "answer" && challenge !== undefined && message.nonce === challenge) return true;
  // The first of a new life is no cause for alarm: who does not answer is.
  if (challenge === undefined) count(path, "keepalive-stale", now);
  else lose(core, path, "keepalive-stale", now);
  if (path.open && now >= path.challengeAt) {
    path.challenge ??= hex32(next32(path.rng)) + hex32(next32(path.rng));
    path.challengeAt = after(now, PROBE_INTERVAL);
    send(core, path, "probe", path.challenge);
  }
  return false;
}

/** Counts a message that is not acted on; said at most once a second and reason. */
export function lose(core: MlagState, path: KeepaliveState, reason: KeepaliveDropReason, now: Instant): void {
  const drop = count(path, reason, now);
  if (now < drop.quietUntil) return;
  drop.quietUntil = after(now, QUIET);
  core.says.push({ type: "mlag.drop", reason, count: drop.count });
}

export function keepaliveDeadline(core: MlagState, path: KeepaliveState): Instant {
  const silence = core.keepalive ? after(core.heardAt, core.config.keepalive.timeout) : NEVER;
  return path.open ? sooner(silence, sooner(path.helloAt, path.probeAt)) : silence;
}

function count({ drops }: KeepaliveState, reason: KeepaliveDropReason, now: Instant): Drop {
  const drop = drops.get(reason) ?? { count: 0, quietUntil: now };
  drops.set(reason, drop);
  drop.count++;
  return drop;
}
