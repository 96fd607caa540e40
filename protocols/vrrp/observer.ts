/**
 * A listener that never sends: it infers from the adverts on a port who is the master of which virtual router, and why,
 * and says what is odd. It knows no configuration, so it follows every VRID, family and version that it hears.
 */
import { ipBytes, isMulticast, macFrom } from "../../src/core/addr.ts";
import { onesSum } from "../../src/core/bytes.ts";
import type { Frame } from "../../src/core/frame.ts";
import { type Env, type Machine, NOTHING, type Output, type Port } from "../../src/core/machine.ts";
import type { Result } from "../../src/core/result.ts";
import { type Instant, instant } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { ipLayout, ipPacketAt } from "../ip/codec.ts";
import {
  type AdvertPacket,
  AUTHENTICATION_HEADER,
  type DecodedAdvert,
  decodeAdvert,
  insideAuthenticationHeader,
  VRRP_GROUP_4,
  VRRP_GROUP_6,
  VRRP_PROTOCOL,
  VRRP_TTL,
} from "./codec.ts";
import { earliestOf, nextDue } from "./deadlines.ts";
import { mentionChanges, mentionDisagreement, mentionLate, mentionMac, mentionUnicast } from "./observer-anomalies.ts";
import { beginsRun, conclude, expire, hearMaster, hearRelease } from "./observer-election.ts";
import type { ObserverEvent, VrrpBrokenEvent } from "./observer-events.ts";
import {
  copyWithin,
  electionOf,
  lateAfter,
  MAX_SPEAKERS,
  type ObserverState,
  type Speaker,
  say,
  type Turn,
  type Watched,
  watchedOf,
} from "./observer-state.ts";
import { addressSet } from "./state.ts";

export interface ObserverConfig {
  readonly port: string;
}

/** RFC 2338 §5.3.6: none, simple text password, IP authentication header. */
const LAST_AUTH_TYPE = 2;
const LONG_AGO: Instant = instant(Number.NEGATIVE_INFINITY);
/** 01:00:5e:00:00:12 and 33:33:00:00:00:12, as `FrameHeader` has them. */
const GROUP_4 = { hi: 0x0100, lo: 0x5e000012 } as const;
const GROUP_6 = { hi: 0x3333, lo: 0x00000012 } as const;

export const vrrpObserver: Machine<ObserverConfig, ObserverState, { readonly verb: string }, ObserverEvent> = {
  name: "vrrp-observer",
  ports: ({ port }) => ({ uses: [port] }),
  init: ({ port }, env: Env): ObserverState => ({
    port: env.port(port),
    ipv4: [],
    ipv6: [],
    heap: [],
    copiesSaid: false,
    ttlSaid: false,
  }),
  // An advert that says what the last one said moves a deadline later, which needs no output and no new alarm.
  relay: (state, _port: Port, frame, now) => mayBeAdvert(frame) && !isNothingNew(state, frame, now),
  step: (state, input, now) => {
    if (input.kind === "frame") return mayBeAdvert(input.frame) ? receive(state, input.frame, now) : NOTHING;
    const turn: Turn = { state, now, out: [] };
    if (input.kind === "timer") {
      for (let due = nextDue(state.heap, now); due !== undefined; due = nextDue(state.heap, now)) expire(turn, due);
    } else if (input.kind === "command" && input.command.verb === "stop") {
      for (const table of [state.ipv4, state.ipv6]) {
        for (const watched of table) if (watched !== undefined) conclude(turn, watched);
      }
    }
    return turn.out;
  },
  deadline: (state) => earliestOf(state.heap),
};

/** Cheap, and false for nearly everything else. */
function mayBeAdvert({ header, bytes, payload }: Frame): boolean {
  const { type, dstHi, dstLo } = header;
  if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return false;
  if (dstHi === GROUP_4.hi && dstLo === GROUP_4.lo) return true;
  if (dstHi === GROUP_6.hi && dstLo === GROUP_6.lo) return true;
  if (type === ETHERTYPE.ipv4) {
    const protocol = bytes[payload + 9];
    if (protocol === VRRP_PROTOCOL) return true;
    return protocol === AUTHENTICATION_HEADER && bytes[payload + headerSize(bytes, payload)] === VRRP_PROTOCOL;
  }
  return bytes[payload + 6] === VRRP_PROTOCOL;
}

function headerSize(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) & 0x0f) * 4;
}

/** Whether this is the sitting master saying in time what it said before, and nobody else has spoken since. */
function isNothingNew(state: ObserverState, frame: Frame, now: Instant): boolean {
  const { bytes, payload: at, header } = frame;
  const six = header.type === ETHERTYPE.ipv6;
  const vrid = bytes[six ? at + 41 : at + headerSize(bytes, at) + 1] ?? 0;
  const watched = (six ? state.ipv6 : state.ipv4)[vrid];
  const speaker = watched?.last;
  if (watched === undefined || speaker === undefined || watched.duplicate !== undefined) return false;
  const election = electionOf(watched, speaker.version);
  if (election.master !== speaker || election.vacant !== undefined) return false;
  const gap = now - speaker.heard;
  if (gap > lateAfter(speaker) || (gap <= copyWithin(speaker) && !state.copiesSaid)) return false;
  if (header.srcHi !== speaker.macHi || header.srcLo !== speaker.macLo) return false;
  if (!(six ? isSame6(speaker.packet, bytes, at) : isSame4(speaker.packet, bytes, at))) return false;
  speaker.heard = now;
  speaker.frame = frame.sequence;
  return true;
}

/** But for the identification and the header checksum, which has to be right. */
function isSame4(packet: Uint8Array, bytes: Uint8Array, at: number): boolean {
  if (bytes.length - at < packet.length) return false;
  for (let i = packet.length - 1; i >= 12; i--) if (packet[i] !== bytes[at + i]) return false;
  for (let i = 0; i < 10; i++) if (packet[i] !== bytes[at + i] && i !== 4 && i !== 5) return false;
  return onesSum(bytes, at, at + headerSize(bytes, at)) === 0xffff;
}

/** But for the traffic class and the flow label. */
function isSame6(packet: Uint8Array, bytes: Uint8Array, at: number): boolean {
  if (bytes.length - at < packet.length || (bytes[at] ?? 0) >>> 4 !== 6) return false;
  for (let i = packet.length - 1; i >= 4; i--) if (packet[i] !== bytes[at + i]) return false;
  return true;
}

function receive(state: ObserverState, frame: Frame, now: Instant): readonly Output<ObserverEvent>[] {
  const turn: Turn = { state, now, out: [] };
  const { bytes, payload: at, sequence } = frame;
  const family = frame.header.type === ETHERTYPE.ipv6 ? "ipv6" : "ipv4";
  const lose = (reason: VrrpBrokenEvent["reason"], vrid?: number) => {
    const event = { type: "vrrp.drop", interface: state.port.name, family, frame: sequence, reason } as const;
    say(turn, vrid === undefined ? event : { ...event, vrid });
    return turn.out;
  };
  const cut = bytes.length < frame.size;
  const found = ipLayout(bytes, at, frame.size);
  if (!found.ok || found.value.family !== family) return lose(cut && !found.ok ? "capture-cut" : "ip");
  const layout = found.value;
  // Only the group's address has brought it here.
  if (layout.protocol !== VRRP_PROTOCOL && layout.protocol !== AUTHENTICATION_HEADER) return NOTHING;
  const whole = ipPacketAt(bytes, at, layout);
  const inner = layout.protocol === VRRP_PROTOCOL ? whole : insideAuthenticationHeader(whole.payload);
  if (layout.fragment) return lose("fragment");
  if (layout.end > bytes.length) return lose("capture-cut", inner?.payload[1]);
  if (inner === undefined) return lose("auth");
  if (inner.protocol !== VRRP_PROTOCOL) return NOTHING;
  const packet: AdvertPacket = { ...whole, payload: inner.payload };
  const vrid = packet.payload[1];
  const decoded = judge(packet);
  if (!decoded.ok) {
    // CARP is another protocol with the same number.
    if (decoded.reason === "carp") return NOTHING;
    if (decoded.reason === "ttl" && !state.ttlSaid) mentionTtl(turn, packet, sequence);
    return lose(decoded.reason, vrid);
  }
  hear(turn, packet, decoded.value, frame, bytes.subarray(at, layout.end));
  return turn.out;
}

/** What any receiver would say, whatever it is configured for. */
function judge(packet: AdvertPacket): Result<DecodedAdvert, VrrpBrokenEvent["reason"]> {
  const { source, destination, family } = packet;
  // Whoever sends signed adverts has receivers that know the key; here they are believed.
  const decoded = decodeAdvert(packet, undefined, true);
  if (!decoded.ok) return decoded;
  const { advert } = decoded.value;
  const group = family === "ipv4" ? VRRP_GROUP_4 : VRRP_GROUP_6;
  if (destination === "255.255.255.255" || (isMulticast(destination) && destination !== group)) {
    return { ok: false, reason: "destination" };
  }
  if (source === "0.0.0.0" || source === "::" || isMulticast(source)) return { ok: false, reason: "source" };
  if (advert.version === 2 && advert.authType > LAST_AUTH_TYPE) return { ok: false, reason: "auth" };
  return decoded;
}

/** RFC 9568 §5.1.1.3: it cannot come from this link. Said once a port; each one is also dropped under its reason. */
function mentionTtl(turn: Turn, { source, ttl }: AdvertPacket, frame: number): void {
  turn.state.ttlSaid = true;
  const detail = `an advert of ${source} with TTL ${ttl} instead of ${VRRP_TTL}: it comes from behind a router, or is forged`;
  say(turn, { type: "anomaly", kind: "ttl", interface: turn.state.port.name, frame, detail });
}

function hear(turn: Turn, from: AdvertPacket, decoded: DecodedAdvert, frame: Frame, packet: Uint8Array): void {
  const { advert, checksumForms } = decoded;
  const { state } = turn;
  const { sequence, header } = frame;
  const watched = watchedOf(state, from.family, advert.vrid);
  const found = watched.speakers.find((one) => one.address === from.source && one.version === advert.version);
  if (found !== undefined && isCopy(turn, found, advert.priority, packet, sequence)) return;
  const speaker = found ?? newSpeaker(watched, from, decoded, frame);
  // So many are active at once that this one cannot be followed too.
  if (speaker === undefined) return;
  if (found !== undefined && (header.srcHi !== found.macHi || header.srcLo !== found.macLo)) {
    const before = macText(found.macHi, found.macLo);
    mentionMac(turn, watched, found, [before, macText(header.srcHi, header.srcLo)], sequence);
    found.macHi = header.srcHi;
    found.macLo = header.srcLo;
  }
  speaker.packet = packet.slice();
  if (advert.priority === 0) {
    hearRelease(turn, watched, speaker, sequence);
    return;
  }
  const begins = found === undefined || beginsRun(turn, watched, found);
  if (found !== undefined && !begins) {
    mentionLate(turn, watched, found, sequence);
    mentionChanges(turn, watched, found, advert, sequence);
  }
  speaker.priority = advert.priority;
  speaker.interval = advert.interval;
  speaker.addresses = addressSet(advert.addresses);
  speaker.forms = checksumForms;
  hearMaster(turn, watched, speaker, sequence, begins);
  mentionDisagreement(turn, watched, speaker, sequence);
  if (!isMulticast(from.destination)) mentionUnicast(turn, watched, speaker, from.destination, sequence);
}

/**
 * The same advert once more: a capture on several interfaces, or two taps. What came before a release and is seen after
 * it, out of order, counts as such too.
 */
function isCopy(turn: Turn, speaker: Speaker, priority: number, packet: Uint8Array, frame: number): boolean {
  if (turn.now - speaker.heard > copyWithin(speaker)) return false;
  if (speaker.released) return true;
  if (priority === 0 || !isSamePacket(speaker.packet, packet)) return false;
  if (!turn.state.copiesSaid) {
    turn.state.copiesSaid = true;
    const detail = `an advert of ${speaker.address} is in the capture twice (frame ${speaker.frame} too): copies are not counted`;
    say(turn, { type: "anomaly", kind: "copies", interface: turn.state.port.name, frame, detail });
  }
  speaker.heard = turn.now;
  return true;
}

function isSamePacket(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && ((a[0] ?? 0) >>> 4 === 4 ? isSame4(a, b, 0) : isSame6(a, b, 0));
}

function macText(hi: number, lo: number): string {
  return macFrom(Uint8Array.of(hi >>> 8, hi, lo >>> 24, lo >>> 16, lo >>> 8, lo));
}

function newSpeaker(watched: Watched, from: AdvertPacket, decoded: DecodedAdvert, frame: Frame): Speaker | undefined {
  const { advert, checksumForms } = decoded;
  const { speakers } = watched;
  if (speakers.length >= MAX_SPEAKERS && !forget(watched)) return undefined;
  const speaker: Speaker = {
    address: from.source,
    octets: ipBytes(from.source),
    version: advert.version,
    priority: advert.priority,
    interval: advert.interval,
    addresses: addressSet(advert.addresses),
    forms: checksumForms,
    macHi: frame.header.srcHi,
    macLo: frame.header.srcLo,
    packet: new Uint8Array(0),
    released: false,
    heard: LONG_AGO,
    frame: frame.sequence,
    runSince: LONG_AGO,
    runFrame: frame.sequence,
    aheadSince: LONG_AGO,
    aheadFrame: frame.sequence,
    late: 0,
  };
  speakers.push(speaker);
  return speaker;
}

/** Makes room: the one that was silent longest of those that nothing depends on. */
function forget(watched: Watched): boolean {
  const { speakers, duplicate, elections } = watched;
  let oldest: Speaker | undefined;
  for (const one of speakers) {
    if (duplicate?.members.includes(one) || elections.some(({ master }) => master === one)) continue;
    if (oldest === undefined || one.heard < oldest.heard) oldest = one;
  }
  if (oldest === undefined) return false;
  speakers.splice(speakers.indexOf(oldest), 1);
  if (watched.last === oldest) watched.last = undefined;
  return true;
}
