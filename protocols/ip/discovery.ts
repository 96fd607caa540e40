/** ARP and ND as they come in: what is learned of them, and what is answered. */
import { contains, type Ip, type Ip6, type Mac, multicastMac } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Path } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import { arpFrame, arpReply, decodeArp, REPLY, REQUEST } from "../arp/codec.ts";
import {
  ALL_NODES,
  advertisement,
  encodeNd,
  linkLayer,
  ND_HOP_LIMIT,
  type NeighbourAdvertisement,
  type NeighbourSolicitation,
  ndFrame,
  receiveNd,
} from "../nd/codec.ts";
import { ipPacket, PROTOCOL } from "./codec.ts";
import { packetFrame } from "./events.ts";
import { learn } from "./neighbours.ts";
import { sendOwn } from "./output.ts";
import { filtered, type Interface, type Local, lose, type Stack } from "./state.ts";

/** RFC 826 "Packet Reception". */
export function receiveArp(stack: Stack, on: Interface, frame: Frame, now: Instant, path: Path): void {
  const decoded = decodeArp(frame.bytes, frame.payload);
  if (!decoded.ok) {
    lose(stack, on.port, decoded.reason, path);
    return;
  }
  const arp = decoded.value;
  if (arp.operation !== REQUEST && arp.operation !== REPLY) {
    lose(stack, on.port, "arp-op", path);
    return;
  }
  const asked = on.local.get(arp.targetIp);
  if (on.local.has(arp.senderIp)) {
    // RFC 5227 §2.4: somebody else uses this node's address; its claim is not believed.
    filtered(stack, "address-conflict");
    return;
  }
  // RFC 5227 §1.1: a probe has no sender address. An address of another network would never be looked up here.
  if (on.addresses.some((prefix) => contains(prefix, arp.senderIp))) {
    const answer = arp.operation === REPLY && asked !== undefined;
    learn(stack, on, { address: arp.senderIp, mac: arp.senderMac, answer, create: asked !== undefined }, now, path);
  }
  if (arp.operation !== REQUEST || asked === undefined) return;
  // RFC 9568 §8.1.2: for a virtual router's address the virtual MAC, in the packet and around it.
  path.down(on.port, arpFrame(arpReply(arp, macOf(on, asked)), arp.senderMac));
}

/** An ICMPv6 message of neighbour discovery. */
export function receiveDiscovery(
  stack: Stack,
  on: Interface,
  message: Uint8Array,
  packet: { readonly source: Ip; readonly destination: Ip; readonly ttl: number },
  now: Instant,
  path: Path,
): void {
  const around = { source: packet.source as Ip6, destination: packet.destination as Ip6, ttl: packet.ttl };
  const received = receiveNd(message, around);
  if (!received.ok) {
    lose(stack, on.port, `nd-${received.reason}`, path);
    return;
  }
  const nd = received.value;
  if (nd.kind === "solicitation") solicited(stack, on, nd, around.source, now, path);
  else if (nd.kind === "advertisement") advertised(stack, on, nd, now, path);
  // Addresses and routes come from the configuration: router advertisements change nothing here.
}

/** RFC 4861 §7.2.3, §7.2.4. */
function solicited(stack: Stack, on: Interface, nd: NeighbourSolicitation, asker: Ip6, now: Instant, path: Path): void {
  const local = on.local.get(nd.target);
  if (local === undefined) return;
  const unknown = asker === "::";
  const theirs = linkLayer(nd, "source-link-layer");
  if (!unknown && theirs !== undefined) {
    learn(stack, on, { address: asker, mac: theirs, answer: false, create: true }, now, path);
  }
  const mac = macOf(on, local);
  const router = on.forwarding || local.virtual !== undefined;
  const answer = advertisement(nd.target, mac, { router, solicited: !unknown, override: true });
  if (unknown) {
    const to = { source: nd.target, destination: ALL_NODES };
    path.down(on.port, ndFrame(answer, to, multicastMac(ALL_NODES), mac));
  } else if (theirs !== undefined) {
    path.down(on.port, ndFrame(answer, { source: nd.target, destination: asker }, theirs, mac));
  } else {
    const payload = encodeNd(answer, nd.target, asker);
    const ip = { source: nd.target, destination: asker, protocol: PROTOCOL.icmpv6, ttl: ND_HOP_LIMIT, payload };
    sendOwn(stack, packetFrame(ipPacket(ip)), asker, on, now, path);
  }
}

/** RFC 4861 §7.2.5. */
function advertised(stack: Stack, on: Interface, nd: NeighbourAdvertisement, now: Instant, path: Path): void {
  if (on.local.has(nd.target)) {
    filtered(stack, "address-conflict");
    return;
  }
  const known = on.neighbours.get(nd.target);
  if (known === undefined) return;
  const theirs = linkLayer(nd, "target-link-layer");
  if (known.link === undefined) {
    if (theirs === undefined) return;
    learn(stack, on, { address: nd.target, mac: theirs, answer: nd.solicited, create: false }, now, path);
    return;
  }
  const mac: Mac = theirs ?? known.mac;
  if (!nd.override && mac !== known.mac) {
    // Without override another MAC is not believed, but the known one is in doubt.
    if (known.state === "reachable") known.state = "stale";
    return;
  }
  learn(stack, on, { address: nd.target, mac, answer: nd.solicited, create: false }, now, path);
}

function macOf(on: Interface, local: Local): Mac {
  return local.virtual?.station.mac ?? on.station.mac;
}
