/** A frame that came on an interface: whom it is for, and what becomes of it. */
import { BROADCAST, type Family, type Ip, ipFrom, isMulticast, macBytes } from "../../src/core/addr.ts";
import { u16, u32 } from "../../src/core/bytes.ts";
import type { Frame, FrameHeader } from "../../src/core/frame.ts";
import type { Path } from "../../src/core/machine.ts";
import { ok, type Result } from "../../src/core/result.ts";
import { type Instant, ms } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { decodeIcmp } from "../icmp/codec.ts";
import { isNd } from "../nd/codec.ts";
import { type IpReason, ipLayout, PROTOCOL } from "./codec.ts";
import { receiveArp, receiveDiscovery } from "./discovery.ts";
import { factsOf, type IpReturned } from "./events.ts";
import { answerEcho, sayError } from "./icmp.ts";
import { sourceFor } from "./neighbours.ts";
import { forward } from "./output.ts";
import { leave, sharedMac } from "./shared.ts";
import { filtered, type Interface, type Local, lose, type Stack } from "./state.ts";

/** Destination of 01:00:5e:00:00:01, all hosts: RFC 1112 §4. */
const ALL_HOSTS_LO = 0x5e000001;
const LIMITED_BROADCAST = "255.255.255.255";
const BROADCAST_HI = u16(macBytes(BROADCAST), 0);
const BROADCAST_LO = u32(macBytes(BROADCAST), 2) | 0;

/** Between two words of one interface about frames that came back. */
const RETURNS_SAID = ms(100);

interface Received {
  readonly family: Family;
  readonly source: Ip;
  readonly destination: Ip;
  readonly protocol: number;
  readonly ttl: number;
}

/** What the header says, without octets where the frame's maker says it. */
export function readPacket(frame: Frame): Result<Received, IpReason> {
  const facts = factsOf(frame);
  if (facts !== undefined) return ok(facts);
  const { bytes } = frame;
  const layout = ipLayout(bytes, frame.payload);
  if (!layout.ok) return layout;
  const { family, protocol, ttl, source, destination } = layout.value;
  const ips = { source: ipFrom(bytes, family, source), destination: ipFrom(bytes, family, destination) };
  return ok({ family, protocol, ttl, ...ips });
}

/** What an interface does with a frame from its link. */
export function receive(stack: Stack, on: Interface, frame: Frame, now: Instant, path: Path): void {
  const { type } = frame.header;
  if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6 && type !== ETHERTYPE.arp) return;
  if (frame.header.srcLo === on.station.lo && frame.header.srcHi === on.station.hi) returned(on, now, path);
  if (frame.vid !== 0 || !forInterface(stack, on, frame.header, path)) return;
  if (type === ETHERTYPE.arp) receiveArp(stack, on, frame, now, path);
  else receiveIp(stack, on, frame, now, path);
}

/** The node's own frame. What it says is true whatever way it came: it is taken as any other. */
function returned(on: Interface, now: Instant, path: Path): void {
  if (now - on.returned < RETURNS_SAID) return;
  on.returned = now;
  const event: IpReturned = { type: "ip.returned", port: on.port.name, mac: on.station.mac };
  path.say(event);
}

/** The filter of the interface: its MACs, the groups that it listens to, broadcast. */
function forInterface(stack: Stack, on: Interface, header: FrameHeader, path: Path): boolean {
  const { dstHi, dstLo } = header;
  if (header.group) {
    if (dstHi === BROADCAST_HI && dstLo === BROADCAST_LO) return true;
    return dstHi === 0x3333 ? on.groups.has(dstLo) : dstHi === 0x0100 && dstLo === ALL_HOSTS_LO;
  }
  if (on.station.hi === dstHi && on.station.lo === dstLo) return true;
  for (const { station, present } of on.virtuals) {
    if (station.hi !== dstHi || station.lo !== dstLo) continue;
    if (present || sharedMac(on, header) !== undefined) return true;
    // RFC 9568 §6.4.2: a backup discards packets sent to the virtual router's MAC.
    lose(stack, on.port, "virtual-router-absent", path);
    return false;
  }
  if (sharedMac(on, header) !== undefined) return true;
  filtered(stack, "other-mac");
  return false;
}

function receiveIp(stack: Stack, on: Interface, frame: Frame, now: Instant, path: Path): void {
  const read = readPacket(frame);
  if (!read.ok) {
    lose(stack, on.port, `ip-${read.reason}`, path);
    return;
  }
  const packet = read.value;
  if (isMulticast(packet.source) || packet.source === LIMITED_BROADCAST) {
    // RFC 1122 §3.2.1.3, RFC 4291 §2.7: a group is nobody's source.
    lose(stack, on.port, "martian", path);
    return;
  }
  const { destination } = packet;
  const local = on.local.get(destination) ?? stack.local.get(destination);
  if (local !== undefined) {
    deliver(stack, on, local, frame, packet, now, path);
  } else if (on.shared !== undefined && leave(stack, on, frame, packet, path)) {
    return;
  } else if (frame.header.group) {
    receiveGroup(stack, on, frame, packet, now, path);
  } else if (isMulticast(destination) || !on.forwarding) {
    lose(stack, on.port, "not-for-us", path);
  } else {
    const reason = forward(stack, on, frame, packet, now, path);
    if (reason === undefined) return;
    lose(stack, on.port, reason, path);
    if (reason === "ttl" || reason === "no-route") sayError(stack, on, frame, reason, now, path);
  }
}

/** A packet of this node to itself; false when the destination is another's. */
export function loopBack(stack: Stack, frame: Frame, packet: Received, now: Instant, path: Path): boolean {
  const local = stack.local.get(packet.destination);
  const on = local === undefined ? undefined : stack.byPort[local.port.index];
  if (local === undefined || on === undefined) return false;
  deliver(stack, on, local, frame, packet, now, path);
  return true;
}

/** A packet to an address of this node. */
function deliver(
  stack: Stack,
  on: Interface,
  local: Local,
  frame: Frame,
  packet: Received,
  now: Instant,
  path: Path,
): void {
  if (frame.header.group) {
    // RFC 1122 §3.3.6: an address of one host in a frame for many.
    lose(stack, on.port, "link-broadcast", path);
    return;
  }
  const { virtual } = local;
  if (virtual !== undefined && !virtual.accept && !isDiscovery(frame, packet)) {
    // RFC 9568 §6.4.3: Accept_Mode false, and neighbour discovery is taken all the same.
    lose(stack, on.port, "accept-mode", path);
    return;
  }
  if (packet.protocol === PROTOCOL.icmp || packet.protocol === PROTOCOL.icmpv6) {
    receiveIcmp(stack, on, packet.destination, frame, packet, now, path);
  } else if (packet.protocol !== PROTOCOL.vrrp) {
    path.up(stack.ipPort, frame);
  }
}

function receiveGroup(stack: Stack, on: Interface, frame: Frame, packet: Received, now: Instant, path: Path): void {
  const { destination } = packet;
  if (!isMulticast(destination) && !on.broadcasts.has(destination)) {
    // RFC 1812 §5.3.4: what came as a broadcast is not forwarded.
    lose(stack, on.port, "link-broadcast", path);
  } else if (packet.protocol === PROTOCOL.icmpv6) {
    receiveIcmp(stack, on, undefined, frame, packet, now, path);
  } else {
    // RFC 1122 §3.2.2.6: an echo request to a group may go unanswered. No machine above listens to groups.
    filtered(stack, "group");
  }
}

function isDiscovery(frame: Frame, packet: Received): boolean {
  if (packet.protocol !== PROTOCOL.icmpv6) return false;
  const layout = ipLayout(frame.bytes, frame.payload);
  return layout.ok && isNd(frame.bytes.subarray(layout.value.upper, layout.value.end));
}

/** @param own the address that was asked; undefined when it was a group */
function receiveIcmp(
  stack: Stack,
  on: Interface,
  own: Ip | undefined,
  frame: Frame,
  packet: Received,
  now: Instant,
  path: Path,
): void {
  const layout = ipLayout(frame.bytes, frame.payload);
  if (!layout.ok) {
    lose(stack, on.port, `ip-${layout.reason}`, path);
    return;
  }
  if (layout.value.fragment) {
    lose(stack, on.port, "fragment", path);
    return;
  }
  const message = frame.bytes.subarray(layout.value.upper, layout.value.end);
  if (packet.family === "ipv6" && isNd(message)) {
    receiveDiscovery(stack, on, message, packet, now, path);
    return;
  }
  if ((packet.protocol === PROTOCOL.icmp) !== (packet.family === "ipv4")) {
    lose(stack, on.port, "not-for-us", path);
    return;
  }
  const decoded = decodeIcmp(message, packet);
  if (!decoded.ok) {
    lose(stack, on.port, `icmp-${decoded.reason}`, path);
  } else if (decoded.value.kind === "echo-request") {
    // RFC 4443 §4.2: an echo request to an IPv6 group is answered from an address of the interface.
    const from = own ?? sourceFor(on, packet.source);
    if (from !== undefined) answerEcho(stack, on, decoded.value, from, packet.source, now, path);
  } else if (own === undefined) {
    filtered(stack, "group");
  } else {
    path.up(stack.ipPort, frame);
  }
}
