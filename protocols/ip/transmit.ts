/** The last step of every packet: the Ethernet header of its next hop in front, and out. */
import { type Family, familyOf, type Mac, macBytes } from "../../src/core/addr.ts";
import { setU16 } from "../../src/core/bytes.ts";
import { ETHERNET_HEADER, Frame, FrameHeader, TAG_SIZE } from "../../src/core/frame.ts";
import type { Path } from "../../src/core/machine.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { decreaseTtl } from "./checksum.ts";
import { type PacketFacts, type PacketSource, sourceOf } from "./events.ts";
import { type Interface, MAX_REWRITES, type Neighbour, type NextHop, type Waiting } from "./state.ts";

/** The packets of another source behind another Ethernet header, one hop older when they are forwarded. */
class Rewritten implements PacketSource {
  readonly packet: PacketFacts;
  private readonly origin: PacketSource;
  private readonly link: Uint8Array;
  private readonly hops: 0 | 1;

  constructor(origin: PacketSource, link: Uint8Array, hops: 0 | 1) {
    this.origin = origin;
    this.link = link;
    this.hops = hops;
    this.packet = hops === 0 ? origin.packet : { ...origin.packet, ttl: origin.packet.ttl - hops };
  }

  bytesOf(sequence: number): Uint8Array {
    const bytes = this.origin.bytesOf(sequence);
    bytes.set(this.link);
    if (this.hops === 1) decreaseTtl(bytes, ETHERNET_HEADER);
    return bytes;
  }
}

/** The Ethernet header of this interface to a MAC. */
export function linkTo(on: Interface, mac: Mac, family: Family): NonNullable<NextHop["link"]> {
  const bytes = new Uint8Array(ETHERNET_HEADER);
  bytes.set(macBytes(mac));
  bytes.set(macBytes(on.station.mac), 6);
  setU16(bytes, 12, family === "ipv4" ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6);
  return { bytes, header: new FrameHeader(bytes) };
}

/** Gives a neighbour its MAC: everything that was made for another one is forgotten. */
export function setMac(on: Interface, neighbour: Neighbour, mac: Mac): void {
  neighbour.mac = mac;
  neighbour.link = linkTo(on, mac, familyOf(neighbour.address));
  neighbour.forwardedBy.clear();
  neighbour.sentBy.clear();
}

/** Sends to a neighbour that has a MAC, or to a MAC that is known otherwise. */
export function transmit(on: Interface, to: NextHop, { frame, from }: Waiting, path: Path): void {
  const { link } = to;
  if (link === undefined) return;
  const source = sourceOf(frame);
  if (source === undefined) {
    const bytes = new Uint8Array(ETHERNET_HEADER + frame.size - frame.payload);
    bytes.set(link.bytes);
    bytes.set(frame.bytes.subarray(frame.payload), ETHERNET_HEADER);
    if (from !== undefined) decreaseTtl(bytes, ETHERNET_HEADER);
    path.down(on.port, Frame.of(bytes));
    return;
  }
  const made = from === undefined ? to.sentBy : to.forwardedBy;
  let rewritten = made.get(source);
  if (rewritten === undefined) {
    rewritten = new Rewritten(source, link.bytes, from === undefined ? 0 : 1);
    if (made.size >= MAX_REWRITES) made.clear();
    made.set(source, rewritten);
  }
  const size = frame.tci < 0 ? frame.size : frame.size - TAG_SIZE;
  path.down(on.port, Frame.lazy(link.header, size, rewritten, frame.sequence));
}
