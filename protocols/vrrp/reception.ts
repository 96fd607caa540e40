/** From a frame to an advert that a router acts on, or to the one reason why it is dropped (RFC 9568 §7.1). */
import { ipBytes, isLinkLocal } from "../../src/core/addr.ts";
import { EMPTY, equalBytes } from "../../src/core/bytes.ts";
import type { Frame } from "../../src/core/frame.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { formatDuration, type Instant, instant, NEVER, sec, ZERO } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { ipLayout, ipPacketAt } from "../ip/codec.ts";
import { factsOf } from "../ip/events.ts";
import { type Authenticated, authenticate, note } from "./authentication.ts";
import {
  type Advert,
  type AdvertPacket,
  type AdvertV2,
  AUTHENTICATION_HEADER,
  type DecodedAdvert,
  decodeAdvert,
  OWNER,
  VRRP_PROTOCOL,
} from "./codec.ts";
import type { DropReason, VrrpMismatchEvent } from "./events.ts";
import { authentication, groupOf } from "./frames.ts";
import { forgetFrames, hearAdvert } from "./router.ts";
import {
  addressSet,
  type DropRecord,
  type Interface,
  MAX_PEERS_KEPT,
  type Peer,
  put,
  type Remembered,
  type Router,
  type Table,
  type Turn,
  tableOf,
} from "./state.ts";
import { catchUp, countAdvert } from "./timing.ts";

/** Drops of one interface and reason are said at most this often; all are counted. */
const QUIET = sec(1);
/** Things said about one peer; the memory is emptied when full. */
const MAX_SAID = 64;

/** 01:00:5e:00:00:12 and 33:33:00:00:00:12, as `FrameHeader` has them. */
const GROUP_4 = { hi: 0x0100, lo: 0x5e000012 } as const;
const GROUP_6 = { hi: 0x3333, lo: 0x00000012 } as const;

/** Whether a frame may hold an advert for this node: cheap, and without making the octets of other traffic. */
export function mayBeAdvert(face: Interface | undefined, frame: Frame): boolean {
  if (face === undefined || face.routers.length === 0) return false;
  const { header } = frame;
  const { type, group } = header;
  const six = type === ETHERTYPE.ipv6;
  if (!six && type !== ETHERTYPE.ipv4) return false;
  // Another VLAN's frames are for its own interface.
  if (frame.vid !== 0) return false;
  if (group) {
    const { hi, lo } = header.dstHi === GROUP_6.hi ? GROUP_6 : GROUP_4;
    return header.dstHi === hi && header.dstLo === lo;
  }
  // A frame whose octets have not been made is other traffic's: adverts come as octets.
  if (!face.unicast || factsOf(frame) !== undefined) return false;
  return frame.bytes[frame.payload + (six ? 6 : 9)] === VRRP_PROTOCOL;
}

export function receive(turn: Turn, face: Interface, frame: Frame): void {
  const { bytes, payload: at } = frame;
  const table = frame.header.type === ETHERTYPE.ipv6 ? face.ipv6 : face.ipv4;
  // Where the VRID stands when nothing is unusual; the slow path looks properly.
  const vrid = bytes[table.family === "ipv6" ? at + 41 : at + ((bytes[at] ?? 0) & 15) * 4 + 1] ?? 0;
  for (let router = table.routers[vrid]; router !== undefined; router = router.twin) {
    const { last } = router;
    if (last !== undefined && (last.frame === frame || equalBytes(last.bytes, bytes))) {
      if (last.steady) {
        last.repeats++;
        last.heard = turn.now;
      } else {
        accept(turn, router, last);
      }
      return;
    }
  }
  const stranger = table.strangers[vrid];
  // Other people's routers: said when they are new, counted each time.
  if (stranger !== undefined && equalBytes(stranger, bytes)) dropsOf(face, "vrid").count++;
  else judge(turn, face, table, frame);
}

/** Everything that is the same for identical octets has been decided; what is left is to act on them. */
function accept(turn: Turn, router: Router, heard: Remembered): void {
  if (!listens(router)) return;
  const { advert, checksumForms } = heard;
  countAdvert(router, heard, 1, turn.now);
  followForm(turn, router, advert, checksumForms[0], checksumForms.length);
  const settled = hearAdvert(turn, router, advert.priority, advert.interval, heard.order);
  heard.steady = settled && router.last === heard;
}

/** One that has left in an orderly way listens for whoever takes its place. */
function listens({ state, lingerUntil }: Router): boolean {
  return state === "backup" || state === "master" || lingerUntil !== NEVER;
}

/** `checksum: auto`: as the last peer does it, so that a peer that knows one form only hears this router. */
function followForm(turn: Turn, router: Router, advert: Advert, form: Router["form"] | undefined, forms: number): void {
  if (router.config.checksum !== "auto" || advert.version === 2 || router.config.family === "ipv6") return;
  if (forms !== 1 || form === undefined || router.form === form) return;
  router.form = form;
  forgetFrames(turn, router);
}

function judge(turn: Turn, face: Interface, table: Table, frame: Frame): void {
  const opened = open(table, frame);
  if (opened === undefined) return;
  if (!opened.ok) {
    lose(turn, face, table, undefined, opened.reason);
    return;
  }
  const packet = opened.value;
  const vrid = packet.payload[1];
  const first = vrid === undefined ? undefined : table.routers[vrid];
  const reason = examine(turn, table, packet, first, frame);
  if (reason !== undefined) lose(turn, face, table, vrid, reason, first);
}

/** The IP packet of a frame; undefined when it is of another protocol. */
function open(table: Table, frame: Frame): Result<AdvertPacket, DropReason> | undefined {
  const { bytes, payload: at } = frame;
  const layout = ipLayout(bytes, at);
  if (!layout.ok || layout.value.family !== table.family) return drop("ip");
  const { protocol, fragment } = layout.value;
  if (protocol === AUTHENTICATION_HEADER) return drop("auth");
  if (protocol !== VRRP_PROTOCOL) return undefined;
  return fragment ? drop("fragment") : ok(ipPacketAt(bytes, at, layout.value));
}

/** Finds the router that the packet is for and lets it act; otherwise says why none does. */
function examine(
  turn: Turn,
  table: Table,
  packet: AdvertPacket,
  first: Router | undefined,
  frame: Frame,
): DropReason | undefined {
  if (packet.source === table.primary) return "own-address";
  const decoded = decodeAdvert(packet, first === undefined ? table.version : spoken(first), maySign(first));
  if (!decoded.ok) return decoded.reason;
  if (first === undefined) {
    table.strangers[decoded.value.advert.vrid] = frame.bytes;
    return "vrid";
  }
  let misaddressed: DropReason | undefined;
  for (let router: Router | undefined = first; router !== undefined; router = router.twin) {
    const reason = addressing(router, packet);
    if (reason === undefined) return admit(turn, router, packet, decoded.value, frame);
    misaddressed ??= reason;
  }
  return misaddressed;
}

function spoken(router: Router): 2 | 3 | undefined {
  return router.config.migration ? undefined : router.config.version;
}

/** Whether a trailer is no mistake: some router of this VRID knows what it is, or it is other people's business. */
function maySign(first: Router | undefined): boolean {
  for (let router = first; router !== undefined; router = router.twin) {
    if (router.config.authentication !== undefined) return true;
  }
  return first === undefined;
}

/** A multicast router hears the group only; one with peers hears them only, and only when they write to it. */
function addressing(router: Router, packet: AdvertPacket): DropReason | undefined {
  const { source, destination } = packet;
  const { peers, family } = router.config;
  const wanted = peers.length > 0 ? tableOf(router).primary : groupOf(family);
  if (destination !== wanted) return "destination";
  if (peers.length > 0 && !peers.includes(source)) return "source";
  return source === "0.0.0.0" || source === "::" ? "source" : undefined;
}

/** What depends on this router's configuration; what passes is remembered and acted on. */
function admit(
  turn: Turn,
  router: Router,
  packet: AdvertPacket,
  decoded: DecodedAdvert,
  frame: Frame,
): DropReason | undefined {
  if (!listens(router)) return undefined;
  catchUp(router);
  const { advert, checksumForms, trailer } = decoded;
  const known = router.peers.get(packet.source);
  if (trailer !== undefined && router.config.authentication === undefined) return "length";
  const believed = authenticate(router, packet, trailer, known, turn);
  if (typeof believed === "string") return believed;
  const same = addressSet(advert.addresses) === router.addressSet;
  const reason = refusal(turn, router, advert, same, known);
  if (reason !== undefined) {
    if (reason === "address-list") router.counters.addressListMismatches++;
    return reason;
  }
  const peer = known ?? newPeer(router, packet);
  peer.priority = advert.priority;
  peer.interval = advert.interval;
  peer.version = advert.version;
  peer.checksumForms = checksumForms;
  peer.virtualMac = isVirtual(frame, router);
  note(peer, believed);
  const order = compareOctets(ipBytes(packet.source), tableOf(router).primaryBytes);
  mention(turn, router, peer, advert, same, checksumForms);
  mentionAuthentication(turn, router, peer, believed);
  const since = { heard: turn.now, repeats: 0, steady: false };
  if (believed !== undefined) router.counters.authenticated++;
  const again = believed === undefined ? frame : undefined;
  const bytes = again?.bytes ?? EMPTY;
  // Not spread together of two halves: every advert that repeats is compared with it, and that form is read slower.
  router.last = { frame: again, bytes, advert, checksumForms, order, sameAddresses: same, peer, ...since };
  accept(turn, router, router.last);
  return undefined;
}

function refusal(
  turn: Turn,
  router: Router,
  advert: Advert,
  same: boolean,
  peer: Peer | undefined,
): DropReason | undefined {
  const { config } = router;
  if (advert.version === 2) return refusal2(turn, router, advert, same, peer);
  // Erratum 8300 of RFC 9568 §5.2.9.
  const [first] = advert.addresses;
  const strict = config.family === "ipv6" && config.firstAddress === "link-local";
  return strict && (first === undefined || !isLinkLocal(first)) ? "first-address" : undefined;
}

function refusal2(
  turn: Turn,
  router: Router,
  advert: AdvertV2,
  same: boolean,
  peer: Peer | undefined,
): DropReason | undefined {
  const { config } = router;
  const { authType, authData } = authentication(config.password);
  // RFC 3768 §5.3.6; RFC 2338 §7.1 where a password is configured.
  if (advert.authType !== authType) return "auth";
  if (authType === 1 && !equalBytes(authData, advert.authData)) return "auth";
  // RFC 9568 §8.4.2: version 2 is ignored from a router that is also heard in version 3.
  if (config.migration) {
    const span = peer === undefined ? 0 : 3 * peer.interval;
    return peer !== undefined && turn.now - peer.heardV3 <= span ? "migration" : undefined;
  }
  // RFC 3768 §7.1.
  if (advert.interval !== config.interval) return "interval-mismatch";
  return !same && advert.priority !== OWNER ? "address-list" : undefined;
}

/** RFC 9568 §7.2, §7.3: whether it came from 00-00-5E-00-01-VRID, or 02 in place of 01 for IPv6. */
function isVirtual({ bytes }: Frame, { config }: Router): boolean {
  const family = config.family === "ipv4" ? 1 : 2;
  return (
    bytes[6] === 0 &&
    bytes[7] === 0 &&
    bytes[8] === 0x5e &&
    bytes[9] === 0 &&
    bytes[10] === family &&
    bytes[11] === config.vrid
  );
}

function newPeer(router: Router, packet: AdvertPacket): Peer {
  if (router.peers.size >= MAX_PEERS_KEPT) {
    let oldest: Peer | undefined;
    for (const peer of router.peers.values()) if (oldest === undefined || peer.heard < oldest.heard) oldest = peer;
    if (oldest !== undefined) router.peers.delete(oldest.address);
  }
  const peer: Peer = {
    address: packet.source,
    priority: 0,
    interval: router.config.interval,
    version: 3,
    checksumForms: [],
    virtualMac: false,
    heard: instant(0),
    adverts: 0,
    since: instant(0),
    run: 0,
    runInterval: ZERO,
    heardV3: instant(Number.NEGATIVE_INFINITY),
    keyId: undefined,
    sequence: undefined,
    said: new Set(),
  };
  router.peers.set(packet.source, peer);
  return peer;
}

/** Says, once for each peer and value, what does not agree but is obeyed (RFC 9568 §7.1, §8.3.2). */
function mention(
  turn: Turn,
  router: Router,
  peer: Peer,
  advert: Advert,
  same: boolean,
  forms: readonly Router["form"][],
): void {
  const { config } = router;
  if (advert.interval !== config.interval && !(config.migration && advert.version === 2)) {
    say(turn, router, peer, "interval", formatDuration(config.interval), formatDuration(advert.interval));
  }
  if (!same) say(turn, router, peer, "address-list", router.addressSet, addressSet(advert.addresses));
  if (advert.priority === OWNER && router.base === OWNER) say(turn, router, peer, "owner-conflict", "255", "255");
  if (config.checksum === "auto" || advert.version === 2 || config.family === "ipv6") return;
  const ours = config.checksum === "rfc9568" ? "message" : "pseudo-header";
  if (!forms.includes(ours)) say(turn, router, peer, "checksum", ours, forms.join(" "));
}

/** What is taken now and will not be: unsigned adverts once all are to be signed, clocks that drift on. */
function mentionAuthentication(turn: Turn, router: Router, peer: Peer, found: Authenticated | undefined): void {
  const { authentication } = router.config;
  if (authentication === undefined) return;
  const { mode, replay, window } = authentication;
  if (found === undefined) say(turn, router, peer, "authentication", mode, "unsigned");
  else if (replay === "time" && Math.abs(found.ahead) > window / 2)
    say(turn, router, peer, "clock", `window ${formatDuration(window)}`, found.ahead > 0 ? "ahead" : "behind");
}

function say(
  turn: Turn,
  router: Router,
  peer: Peer,
  what: VrrpMismatchEvent["what"],
  ours: string,
  theirs: string,
): void {
  const key = `${what} ${theirs}`;
  if (peer.said.has(key)) return;
  if (peer.said.size >= MAX_SAID) peer.said.clear();
  peer.said.add(key);
  const { interface: name, vrid, family } = router.config;
  put(turn, {
    kind: "event",
    event: { type: "vrrp.mismatch", interface: name, vrid, family, peer: peer.address, what, ours, theirs },
  });
}

function lose(
  turn: Turn,
  face: Interface,
  table: Table,
  vrid: number | undefined,
  reason: DropReason,
  router?: Router,
): void {
  if (router !== undefined) router.counters.dropped[reason] = (router.counters.dropped[reason] ?? 0) + 1;
  const record = dropsOf(face, reason);
  record.count++;
  if (turn.now < record.quietUntil) return;
  record.quietUntil = (turn.now + QUIET) as Instant;
  const { family } = table;
  const event = { type: "vrrp.drop", interface: face.port.name, family, reason, count: record.count } as const;
  put(turn, { kind: "event", event: vrid === undefined ? event : { ...event, vrid } });
}

function dropsOf(face: Interface, reason: DropReason): DropRecord {
  const known = face.drops.get(reason);
  if (known !== undefined) return known;
  const record = { count: 0, quietUntil: instant(0) };
  face.drops.set(reason, record);
  return record;
}

/** RFC 9568 §6.4.3: unsigned, network order. */
function compareOctets(a: Uint8Array, b: Uint8Array | undefined): number {
  if (b === undefined) return 0;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
