/**
 * A listener that never sends: from the LACPDUs of both ends of a wire it infers which systems are at its ends, how each
 * of them stands, which links carry, and what is odd. Several wires may be in one capture, on one interface or on several.
 */
import { type Mac, macFrom } from "../../src/core/addr.ts";
import { equalBytes } from "../../src/core/bytes.ts";
import type { Frame } from "../../src/core/frame.ts";
import { type Env, type Machine, NOTHING, type Output, type Port } from "../../src/core/machine.ts";
import { after, type Duration, formatDuration, type Instant, NEVER, sec, since } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { decodeLacpdu, decodeMarker, type Lacpdu, type LacpInfo, SLOW_SUBTYPE, STATE } from "./codec.ts";
import type { LacpEndSaid, MuxState, ReceiveState } from "./events.ts";
import type { LacpAnomalyKind, LacpSeen, SeenDrop, SeenPortEvent, SeenReason } from "./observer-events.ts";
import { bundleOf, createLinks, endKey, hearEnd, identityOf, isNobody, type Links } from "./observer-links.ts";

/** Ends of one interface that are followed; the one that was silent longest makes room. */
export const MAX_ENDS = 1024;
/** Oddities that are remembered as said; the memory is emptied when full: some are said again. */
const MAX_SAID = 1024;
/** IEEE 802.1AX §6.4.4: how long a partner waits. */
const SHORT_TIMEOUT: Duration = sec(3);
const LONG_TIMEOUT: Duration = sec(90);
/** IEEE 802.1AX §6.4.16: at most three LACPDUs in a second. */
const TX_LIMIT = 3;
const SECOND: Duration = sec(1);
/** Longer than a change takes to reach both links of a host. */
const SETTLED: Duration = sec(1);
/** Of an LACPDU: actor and partner information. */
const SAID = { from: 2, to: 42 } as const;

interface End {
  readonly mac: Mac;
  /** Its last word, and the octets of it. */
  said: SeenPortEvent;
  octets: Uint8Array;
  heard: Instant;
  frame: number;
  due: Instant;
  timeout: Duration;
  /** Since when it names this partner system. */
  partnerSince: Instant;
  /** When it spoke in the last second. */
  recent: Instant[];
}

export interface LacpObserverState {
  readonly port: Port;
  /** By hardware address and actor port. */
  readonly ends: Map<string, End>;
  readonly links: Links;
  readonly mentioned: Set<string>;
  alarm: Instant;
}

type Out = Output<LacpSeen>[];

interface Turn {
  readonly state: LacpObserverState;
  readonly now: Instant;
  readonly out: Out;
}

export interface LacpObserverConfig {
  readonly port: string;
}

/** A bundle's links may be on several interfaces: the observers of one capture fill one table. */
const tables = new WeakMap<Env, Links>();

function linksOf(env: Env): Links {
  const table = tables.get(env) ?? createLinks();
  tables.set(env, table);
  return table;
}

export const lacpObserver: Machine<LacpObserverConfig, LacpObserverState, { readonly verb: string }, LacpSeen> = {
  name: "lacp-observer",
  ports: ({ port }) => ({ uses: [port] }),
  init: ({ port }, env: Env): LacpObserverState => ({
    port: env.port(port),
    ends: new Map(),
    links: linksOf(env),
    mentioned: new Set(),
    alarm: NEVER,
  }),
  relay: (_state, _port, frame) => frame.header.type === ETHERTYPE.slow,
  step: (state, input, now) => {
    const turn: Turn = { state, now, out: [] };
    if (input.kind === "frame") {
      if (input.frame.header.type !== ETHERTYPE.slow) return NOTHING;
      receive(turn, input.frame);
    } else if (input.kind === "timer") {
      for (const end of state.ends.values()) if (end.due <= now) fallSilent(turn, end);
    } else return NOTHING;
    let alarm: Instant = NEVER;
    for (const { due } of state.ends.values()) if (due < alarm) alarm = due;
    state.alarm = alarm;
    return turn.out;
  },
  deadline: (state) => state.alarm,
};

function receive(turn: Turn, frame: Frame): void {
  const { bytes, sequence } = frame;
  const payload = bytes.subarray(frame.payload);
  const lose = (reason: SeenDrop["reason"]) =>
    say(turn, { type: "lacp.drop", ...where(turn), frame: sequence, reason });
  const subtype = payload[0];
  if (subtype !== undefined && subtype !== SLOW_SUBTYPE.lacp && subtype !== SLOW_SUBTYPE.marker) return;
  // IEEE 802.3 Annex 57A: slow protocols are not tagged.
  if (frame.tci >= 0) {
    lose("tagged");
    return;
  }
  const decoded = subtype === SLOW_SUBTYPE.marker ? decodeMarker(payload) : decodeLacpdu(payload);
  if (!decoded.ok) {
    // A payload of no octets has no subtype either.
    const reason = decoded.reason === "subtype" ? "length" : decoded.reason;
    lose(bytes.length < frame.size ? "capture-cut" : reason);
  } else if ("actor" in decoded.value) {
    hear(turn, decoded.value, payload.subarray(SAID.from, SAID.to), macFrom(bytes, 6), sequence);
  }
}

function where({ state }: Turn): { readonly interface: string } {
  return { interface: state.port.name };
}

function say(turn: Turn, event: LacpSeen): void {
  turn.out.push({ kind: "event", event });
}

/** Says an oddity once for each `about`. */
function mention(turn: Turn, kind: LacpAnomalyKind, about: string, frame: number, detail: string): void {
  const { mentioned } = turn.state;
  const key = `${kind} ${about}`;
  if (mentioned.has(key)) return;
  if (mentioned.size >= MAX_SAID) mentioned.clear();
  mentioned.add(key);
  say(turn, { type: "anomaly", kind, ...where(turn), frame, detail });
}

function hear(turn: Turn, pdu: Lacpdu, octets: Uint8Array, mac: Mac, frame: number): void {
  const { state, now } = turn;
  const id = `${mac} ${pdu.actor.port}`;
  const known = state.ends.get(id);
  const said = wordOf(state, pdu, mac, frame);
  const end = known ?? enter(state, id, said, octets, now);
  if (end === undefined) return;
  const news = known === undefined || end.said.reason === "not-heard" || !equalBytes(end.octets, octets);
  const before = end.said;
  if (known === undefined || before.partner.system !== said.partner.system) end.partnerSince = now;
  end.heard = now;
  end.frame = frame;
  // IEEE 802.1AX §6.4.14: it sends as often as it holds that its partner wants to hear it.
  const short = (pdu.partner.state & STATE.shortTimeout) !== 0;
  end.timeout = short ? SHORT_TIMEOUT : LONG_TIMEOUT;
  end.due = after(now, end.timeout);
  if (known !== undefined) mentionChanges(turn, before, said, frame);
  if (news) {
    const same = before.reason === said.reason && identityOf(before.partner) === identityOf(said.partner);
    end.said = { ...said, news: known === undefined || !same };
    end.octets = octets.slice();
    tell(turn, end.said);
  }
  const peer = partnerOf(state, end.said);
  // One that has been silent itself knows nothing of the other one yet.
  if (peer?.due === NEVER && before.reason !== "not-heard") mentionSilence(turn, peer, end);
  mentionLoop(turn, said, frame);
  mentionOthers(turn, end, frame);
  mentionHaste(turn, end, frame);
}

function enter(
  state: LacpObserverState,
  id: string,
  said: SeenPortEvent,
  octets: Uint8Array,
  now: Instant,
): End | undefined {
  const { ends } = state;
  if (ends.size >= MAX_ENDS) {
    const [oldest] = [...ends].filter(([, { due }]) => due === NEVER).sort(([, a], [, b]) => a.heard - b.heard);
    if (oldest === undefined) return undefined;
    ends.delete(oldest[0]);
  }
  const times = { heard: now, due: NEVER, timeout: SHORT_TIMEOUT, partnerSince: now, recent: [] };
  const end: End = { mac: said.port as Mac, said, octets: octets.slice(), frame: said.frame, ...times };
  ends.set(id, end);
  return end;
}

function wordOf(state: LacpObserverState, pdu: Lacpdu, mac: Mac, frame: number): SeenPortEvent {
  const actor = shown(pdu.actor);
  const partner = shown(pdu.partner);
  const bundle = bundleOf(actor, partner);
  const states = { receive: receiveOf(pdu.actor.state), mux: muxOf(pdu.actor.state) };
  const reason = reasonOf(pdu);
  return {
    type: "lacp.port",
    interface: state.port.name,
    port: mac,
    bundle,
    ...states,
    actor,
    partner,
    reason,
    news: true,
    frame,
  };
}

function shown({ system, key, port, state }: LacpInfo): LacpEndSaid {
  return { system, key, port, state: `0x${state.toString(16).padStart(2, "0")}` };
}

function receiveOf(bits: number): ReceiveState {
  return (bits & STATE.expired) !== 0 ? "expired" : (bits & STATE.defaulted) !== 0 ? "defaulted" : "current";
}

function muxOf(bits: number): MuxState {
  if ((bits & STATE.distributing) !== 0) return "distributing";
  if ((bits & STATE.collecting) !== 0) return "collecting";
  return (bits & STATE.synchronization) !== 0 ? "attached" : "detached";
}

/** The first of these that is so, as for a port of our own. */
function reasonOf({ actor, partner }: Lacpdu): SeenReason {
  const has = (bits: number, bit: number) => (bits & bit) !== 0;
  if (actor.system === partner.system) return "loopback";
  const nobody = isNobody(shown(partner)) || has(actor.state, STATE.defaulted);
  if (has(actor.state, STATE.expired)) return nobody ? "listening" : "silent";
  if (nobody) return "no-partner";
  const all = STATE.synchronization | STATE.collecting | STATE.distributing;
  if ((actor.state & all) === all) return "carrying";
  if (!has(actor.state, STATE.synchronization)) return "negotiating";
  if (!has(partner.state, STATE.synchronization)) return "partner-out-of-sync";
  return has(actor.state, STATE.collecting) && !has(partner.state, STATE.collecting)
    ? "partner-not-collecting"
    : "negotiating";
}

function tell(turn: Turn, said: SeenPortEvent): void {
  const { state, now } = turn;
  say(turn, said);
  for (const { flaps, ...change } of hearEnd(state.links, said, now)) {
    say(turn, { type: "lacp.bundle", ...change, frame: said.frame });
    if (!flaps) continue;
    const detail = `a link of ${change.bundle} has left for the third time in a minute`;
    say(turn, { type: "anomaly", kind: "flapping", ...where(turn), frame: said.frame, detail });
  }
}

/** Its partner would not have heard it for its timeout. */
function fallSilent(turn: Turn, end: End): void {
  const { said } = end;
  const peer = partnerOf(turn.state, said);
  end.due = NEVER;
  end.said = { ...said, reason: "not-heard", receive: "expired", news: true, frame: end.frame };
  tell(turn, end.said);
  if (peer !== undefined) mentionSilence(turn, end, peer);
}

/**
 * One end speaks on where the other one has fallen silent. Where the carrier is gone both fall silent within an interval,
 * which is a third of a timeout.
 */
function mentionSilence(turn: Turn, end: End, peer: End): void {
  const { now } = turn;
  // One that does not hear its partner may ask for other times than it goes by, as Linux does.
  if ((Number(end.said.actor.state) & STATE.expired) !== 0) return;
  if (peer.due === NEVER || now - peer.heard > peer.timeout / 2 || peer.heard - end.heard <= end.timeout / 3) return;
  const gap = formatDuration(since(end.heard, now));
  const detail = `nothing of ${nameOf(end.said)} for ${gap}, while ${nameOf(peer.said)} goes on: it is dumb, or stopped`;
  mention(turn, "silent-partner", `${endKey(end.said)} ${end.frame}`, end.frame, detail);
}

function nameOf({ port, actor }: SeenPortEvent): string {
  return `${actor.system} port ${actor.port} (${port})`;
}

/** The end on this interface that is named, and names this one. */
function partnerOf({ ends }: LacpObserverState, { actor, partner }: SeenPortEvent): End | undefined {
  const own = identityOf(actor);
  const other = identityOf(partner);
  for (const end of ends.values()) {
    if (identityOf(end.said.actor) === other && identityOf(end.said.partner) === own) return end;
  }
  return undefined;
}

function mentionChanges(turn: Turn, before: SeenPortEvent, said: SeenPortEvent, frame: number): void {
  const tellChange = (kind: LacpAnomalyKind, detail: string) =>
    say(turn, { type: "anomaly", kind, ...where(turn), frame, detail });
  const { system, key } = before.actor;
  if (system !== said.actor.system) {
    tellChange(
      "system-change",
      `port ${said.actor.port} (${said.port}) was of ${system}, is now of ${said.actor.system}`,
    );
  } else if (key !== said.actor.key) {
    tellChange("key-change", `${nameOf(said)}: key ${key}, now ${said.actor.key}`);
  }
}

function mentionLoop(turn: Turn, said: SeenPortEvent, frame: number): void {
  if (said.reason !== "loopback") return;
  const { actor, partner } = said;
  const itself = actor.port === partner.port ? "hears itself" : `is joined with its own port ${partner.port}`;
  mention(turn, "loopback", endKey(said), frame, `${nameOf(said)} ${itself}`);
}

/** Two ends with one name, or one system with two partners where it should have one. */
function mentionOthers(turn: Turn, end: End, frame: number): void {
  const { state, now } = turn;
  const { actor, partner, port } = end.said;
  for (const { said, due, partnerSince } of state.ends.values()) {
    if (said === end.said || due === NEVER || said.actor.system !== actor.system) continue;
    if (said.actor.port === actor.port && said.port !== port) {
      const detail = `${actor.system} has port ${actor.port} twice: ${[said.port, port].sort().join(" and ")}`;
      mention(turn, "duplicate-port", detail, frame, detail);
    }
    const settled = since(end.partnerSince, now) >= SETTLED && since(partnerSince, now) >= SETTLED;
    if (said.actor.key !== actor.key || said.partner.system === partner.system || !settled) continue;
    if (isNobody(partner) || isNobody(said.partner)) continue;
    const both = [said.partner.system, partner.system].sort().join(" and ");
    const detail = `${actor.system} key ${actor.key} hears two systems, ${both}: only one of them can be in its bundle`;
    mention(turn, "two-partners", detail, frame, detail);
  }
}

function mentionHaste(turn: Turn, end: End, frame: number): void {
  const { now } = turn;
  end.recent = [...end.recent.filter((at) => since(at, now) < SECOND), now].slice(-(TX_LIMIT + 1));
  if (end.recent.length <= TX_LIMIT) return;
  const detail = `${nameOf(end.said)} sends more than ${TX_LIMIT} LACPDUs in a second`;
  mention(turn, "tx-limit", endKey(end.said), frame, detail);
}
