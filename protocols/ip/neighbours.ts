/**
 * The neighbour cache and address resolution, one for ARP and ND: RFC 4861 §7.2, §7.3; RFC 826; RFC 1122 §2.3.2.
 * DEPARTS from RFC 4861 §7.3.3: an entry in use that was not confirmed for REACHABLE_TIME is asked at once, without
 * the DELAY of 5 s, for no upper layer here could confirm it meanwhile; and REACHABLE_TIME is not drawn at random.
 */
import {
  BROADCAST,
  contains,
  familyOf,
  type Ip,
  type Ip4,
  type Ip6,
  type Mac,
  multicastMac,
} from "../../src/core/addr.ts";
import type { Path } from "../../src/core/machine.ts";
import { after, type Instant, instant, NEVER, since } from "../../src/core/time.ts";
import { arpFrame, arpRequest } from "../arp/codec.ts";
import type { PeerNeighbour } from "../mlag/events.ts";
import { ndFrame, solicitation, solicitedNode } from "../nd/codec.ts";
import { type IpNeighbour, NO_MAC } from "./events.ts";
import {
  type Interface,
  lose,
  MAX_NEIGHBOURS,
  MAX_SOLICITATIONS,
  MAX_WAITING,
  type Neighbour,
  REACHABLE_TIME,
  RETRANSMIT_TIME,
  type Stack,
  type Waiting,
} from "./state.ts";
import { setMac, transmit } from "./transmit.ts";

/** Sends to a neighbour, or asks for it and lets the packet wait. */
export function sendTo(stack: Stack, on: Interface, address: Ip, packet: Waiting, now: Instant, path: Path): void {
  const known = on.neighbours.get(address);
  if (known?.link !== undefined) {
    if (known.state === "reachable" && since(known.confirmed, now) >= REACHABLE_TIME) known.state = "stale";
    if (known.state === "stale") {
      known.state = "probe";
      begin(stack, on, known, now, path);
    }
    transmit(on, known, packet, path);
    return;
  }
  const neighbour = known ?? create(stack, on, address, now, path);
  if (neighbour === undefined) {
    lose(stack, on.port, "neighbours-full", path);
    return;
  }
  neighbour.waiting.push(packet);
  if (neighbour.waiting.length > MAX_WAITING) {
    neighbour.waiting.shift();
    lose(stack, on.port, "waiting-full", path);
  }
  if (known === undefined) begin(stack, on, neighbour, now, path);
}

/** A new entry without a MAC; undefined when all others are being asked. */
function create(stack: Stack, on: Interface, address: Ip, now: Instant, path: Path): Neighbour | undefined {
  if (on.neighbours.size >= MAX_NEIGHBOURS) {
    // Entries move to the end when they are confirmed: the first that nobody waits for is the oldest.
    let oldest: Neighbour | undefined;
    for (const neighbour of on.neighbours.values()) {
      if (stack.asking.has(neighbour)) continue;
      oldest = neighbour;
      break;
    }
    if (oldest === undefined) return undefined;
    on.neighbours.delete(oldest.address);
    retract(on, oldest, path);
  }
  const neighbour: Neighbour = {
    address,
    state: "incomplete",
    mac: NO_MAC,
    said: false,
    foreign: false,
    confirmed: now,
    asked: 0,
    next: NEVER,
    waiting: [],
    link: undefined,
    forwardedBy: new Map(),
    sentBy: new Map(),
  };
  on.neighbours.set(address, neighbour);
  return neighbour;
}

function begin(stack: Stack, on: Interface, neighbour: Neighbour, now: Instant, path: Path): void {
  neighbour.asked = 0;
  stack.asking.set(neighbour, on);
  ask(stack, on, neighbour, now, path);
}

/** RFC 4861 §7.2.2: a multicast question for a new address, §7.3.3: a unicast one to confirm a known MAC. */
function ask(stack: Stack, on: Interface, neighbour: Neighbour, now: Instant, path: Path): void {
  neighbour.asked++;
  neighbour.next = after(now, RETRANSMIT_TIME);
  if (neighbour.next < stack.alarm) stack.alarm = neighbour.next;
  const { address, mac } = neighbour;
  const own = on.station.mac;
  const source = sourceFor(on, address);
  // An interface without an address of the family has no route that could lead here.
  if (source === undefined) return;
  if (familyOf(address) === "ipv4") {
    const destination = neighbour.state === "probe" ? mac : BROADCAST;
    path.down(on.port, arpFrame(arpRequest(own, source as Ip4, address as Ip4), destination));
    return;
  }
  const target = address as Ip6;
  const destination = neighbour.state === "probe" ? target : solicitedNode(target);
  const link = neighbour.state === "probe" ? mac : multicastMac(destination);
  path.down(on.port, ndFrame(solicitation(target, own), { source: source as Ip6, destination }, link, own));
}

/** This interface's address to speak to `address` with: the one whose network holds it, else the family's first. */
export function sourceFor(on: Interface, address: Ip): Ip | undefined {
  const family = familyOf(address);
  let first: Ip | undefined;
  for (const prefix of on.addresses) {
    if (familyOf(prefix.address) !== family) continue;
    if (contains(prefix, address)) return prefix.address;
    first ??= prefix.address;
  }
  return first;
}

export interface Learned {
  readonly address: Ip;
  readonly mac: Mac;
  /** An answer to this node's question; otherwise the neighbour said it of its own accord, or while asking. */
  readonly answer: boolean;
  /** Whether to make an entry where there is none. */
  readonly create: boolean;
}

/** Takes in that a neighbour is at a MAC, and sends what has waited for it. */
export function learn(stack: Stack, on: Interface, what: Learned, now: Instant, path: Path): void {
  const { address, mac, answer } = what;
  const neighbour = on.neighbours.get(address) ?? (what.create ? create(stack, on, address, now, path) : undefined);
  if (neighbour === undefined) return;
  const changed = neighbour.link === undefined || neighbour.mac !== mac;
  if (changed) setMac(on, neighbour, mac);
  stack.unanswered?.delete(address);
  if (changed || neighbour.foreign || !neighbour.said) {
    neighbour.foreign = false;
    if (stack.saysNeighbours) tell(on, neighbour, path);
  }
  if (!answer && !changed) return;
  neighbour.state = answer ? "reachable" : "stale";
  neighbour.confirmed = now;
  stack.asking.delete(neighbour);
  on.neighbours.delete(address);
  on.neighbours.set(address, neighbour);
  release(on, neighbour, path);
}

function release(on: Interface, neighbour: Neighbour, path: Path): void {
  const { waiting } = neighbour;
  if (waiting.length === 0) return;
  neighbour.waiting = [];
  for (const packet of waiting) transmit(on, neighbour, packet, path);
}

export interface Failure {
  readonly on: Interface;
  readonly neighbour: Neighbour;
}

/** Asks again where no answer came; after MAX_SOLICITATIONS the entry goes, with what waited for it. */
export function askAgain(stack: Stack, now: Instant, path: Path): readonly Failure[] {
  const failures: Failure[] = [];
  for (const [neighbour, on] of [...stack.asking]) {
    if (neighbour.next > now) continue;
    if (neighbour.asked < MAX_SOLICITATIONS) {
      ask(stack, on, neighbour, now, path);
      continue;
    }
    giveUp(stack, on, neighbour, path);
    failures.push({ on, neighbour });
  }
  stack.alarm = earliest(stack);
  return failures;
}

function earliest(stack: Stack): Instant {
  let first: number = NEVER;
  for (const { next } of stack.asking.keys()) if (next < first) first = next;
  return instant(first);
}

/** Gives an entry up, with what waits for it. */
function giveUp(stack: Stack, on: Interface, neighbour: Neighbour, path: Path): void {
  stack.asking.delete(neighbour);
  on.neighbours.delete(neighbour.address);
  retract(on, neighbour, path);
  for (let i = 0; i < neighbour.waiting.length; i++) lose(stack, on.port, "no-neighbour", path);
}

/** Empties the cache of an interface that went down; what waited is lost. */
export function flush(stack: Stack, on: Interface, path: Path): void {
  for (const neighbour of [...on.neighbours.values()]) giveUp(stack, on, neighbour, path);
}

/** Forgets one address: it has become this node's own, or is no longer. */
export function forgetAddress(stack: Stack, on: Interface, address: Ip, path: Path): void {
  const neighbour = on.neighbours.get(address);
  if (neighbour !== undefined) giveUp(stack, on, neighbour, path);
}

// --- what an M-LAG pair shares ---

/** Only what is known in a VLAN means the same at the peer: not what is on the way to it, nor the keepalive's network. */
const VLAN_PORT = /^vlan\d+$/;

/** Says that a neighbour was heard here. */
function tell(on: Interface, neighbour: Neighbour, path: Path): void {
  if (!VLAN_PORT.test(on.port.name)) return;
  neighbour.said = true;
  const { address, mac } = neighbour;
  path.say({ type: "ip.neighbour", port: on.port.name, address, mac, present: true } as IpNeighbour);
}

function retract(on: Interface, neighbour: Neighbour, path: Path): void {
  if (!neighbour.said) return;
  neighbour.said = false;
  const { address, mac } = neighbour;
  path.say({ type: "ip.neighbour", port: on.port.name, address, mac, present: false } as IpNeighbour);
}

/** Somebody wants to hear of neighbours: of those that have been heard already, first. */
export function sayNeighbours(stack: Stack, path: Path): void {
  stack.saysNeighbours = true;
  for (const on of stack.interfaces) {
    for (const neighbour of on.neighbours.values()) {
      if (neighbour.link !== undefined && !neighbour.foreign && !neighbour.said) tell(on, neighbour, path);
    }
  }
}

/**
 * What the M-LAG peer has heard: a stale entry, used at once and confirmed as any other. What was heard here stands against
 * it; an address of this node, or of another network, is nobody's neighbour here.
 */
export function takeIn(stack: Stack, change: PeerNeighbour, now: Instant, path: Path): void {
  const on = stack.interfaces.find(({ port }) => port.name === change.port);
  const { address, mac, present } = change;
  if (on === undefined || !on.up || !stack.running) return;
  const known = on.neighbours.get(address);
  if (!present) {
    if (known?.foreign === true && known.mac === mac) giveUp(stack, on, known, path);
    return;
  }
  if (known?.link !== undefined && !known.foreign) return;
  if (on.local.has(address) || mac === on.station.mac || isGroup(mac)) return;
  if (!on.addresses.some((prefix) => contains(prefix, address))) return;
  const neighbour = known ?? create(stack, on, address, now, path);
  if (neighbour === undefined || (neighbour.link !== undefined && neighbour.mac === mac)) return;
  setMac(on, neighbour, mac);
  neighbour.foreign = true;
  neighbour.state = "stale";
  neighbour.confirmed = now;
  stack.asking.delete(neighbour);
  release(on, neighbour, path);
}

function isGroup(mac: Mac): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) !== 0;
}
