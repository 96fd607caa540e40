/**
 * The second path: hellos say that this node lives; a probe asks, and only its answer proves that the peer lived after the
 * question. What was on its way when the peer lost its power proves nothing.
 */
import { next32, type Rng } from "../../src/core/rng.ts";
import { after, type Instant, ms, NEVER } from "../../src/core/time.ts";
import { hex32, type Keepalive } from "./codec.ts";
import { keepaliveHeard, keepaliveLost } from "./core.ts";
import { rankOf } from "./roles.ts";
import { type MlagState, sooner } from "./state.ts";

/** Between probes while it is to be decided whether the peer lives. */
export const PROBE_INTERVAL = ms(200);
const NO_NONCE = "0000000000000000";

export interface KeepaliveState {
  readonly rng: Rng;
  /** The path's port has carrier, and the machine runs. */
  open: boolean;
  sequence: number;
  helloAt: Instant;
  probeAt: Instant;
  /** Of the questions since the last loss; no answer to an older one counts. */
  nonce: string;
  /** The loss that they are about. */
  about: Instant;
  /** Messages for the wire. */
  sends: Keepalive[];
  /** Messages that were not acted on. */
  foreign: number;
}

export function newKeepalive(rng: Rng): KeepaliveState {
  return {
    rng,
    open: false,
    sequence: 0,
    helloAt: NEVER,
    probeAt: NEVER,
    nonce: NO_NONCE,
    about: NEVER,
    sends: [],
    foreign: 0,
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
  });
}

export function openPath(core: MlagState, path: KeepaliveState, open: boolean, now: Instant): void {
  if (path.open === open) return;
  path.open = open;
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

export function receive(core: MlagState, path: KeepaliveState, message: Keepalive, now: Instant): void {
  const { kind, domain, system, priority, rank, nonce } = message;
  // Another pair's, or this node's own that came back.
  if (domain !== core.config.domain || system === core.system) {
    path.foreign++;
    return;
  }
  if (kind === "probe") send(core, path, "answer", nonce);
  const answers = kind === "answer" && path.probeAt !== NEVER && path.about === core.lostAt && nonce === path.nonce;
  keepaliveHeard(core, { system, priority, rank }, answers, now);
  tick(core, path, now);
}

export function keepaliveDeadline(core: MlagState, path: KeepaliveState): Instant {
  const silence = core.keepalive ? after(core.heardAt, core.config.keepalive.timeout) : NEVER;
  return path.open ? sooner(silence, sooner(path.helloAt, path.probeAt)) : silence;
}
