/**
 * Where a frame of a capture was seen: one port for each interface and VLAN of the capture, "eth0" or "eth0.10", and what
 * is behind the tags as an Ethernet frame. A capture without names has the port "capture".
 *
 * Other link layers are turned into Ethernet: the source address is the one that a cooked header gives, and 0 where
 * the capture has none; the destination is broadcast for packets that were marked so, and else 0. A cooked header of
 * version 2 tells the device apart too: each is a port of its own, "any#2".
 */

import { LINK_ETHERNET, LINK_SLL, LINK_SLL2, readLink } from "../../capture/links.ts";
import { setU16, u16, u32 } from "../../core/bytes.ts";
import { ETHERNET_HEADER, Frame, TAG_SIZE, TPID } from "../../core/frame.ts";
import type { Port } from "../../core/machine.ts";

/** Ports in one replay; the frames of further ones are counted and not looked at. */
export const MAX_PORTS = 4096;

const SERVICE_TAG = 0x88a8;
const OLD_SERVICE_TAG = 0x9100;
/** Outermost tags that are stepped over; a frame with more is not looked at. */
const MAX_TAGS = 4;
const SLL_SOURCE = 6;
const SLL2_SOURCE = 12;
const BROADCAST_PACKET = 1;

/** The interface of a record, as far as it matters here. */
export interface Tap {
  readonly index: number;
  readonly name: string | undefined;
  readonly linkType: number;
}

interface Wire {
  readonly name: string;
  readonly port: Port | undefined;
  /** By VLAN identifier, of the next tag inwards. */
  readonly vlans: Map<number, Wire>;
}

/** Why a packet is not given to anybody. */
export type Unseen = "link-type" | "too-short" | "too-many-ports";

export class Ports {
  /** Set by `find`: where, what, and if there is nothing, why. */
  port: Port | undefined = undefined;
  frame: Frame | undefined = undefined;
  unseen: Unseen | undefined = undefined;
  private readonly wires: (Wire | undefined)[] = [];
  private readonly devices = new Map<string, Wire>();
  private readonly names = new Map<string, Port>();

  /** @param open makes the port of that name, once each */
  constructor(private readonly open: (name: string) => Port) {}

  get size(): number {
    return this.names.size;
  }

  /**
   * Takes a packet apart as far as its port; results are in the fields: no object a packet beyond the frame.
   * @param wire octets that it had on the wire, without a frame check sequence
   */
  find(tap: Tap, bytes: Uint8Array, wire: number, sequence: number): void {
    this.port = undefined;
    this.frame = undefined;
    this.unseen = undefined;
    if (tap.linkType === LINK_ETHERNET) this.ethernet(this.wireOf(tap), bytes, wire, sequence);
    else this.other(tap, bytes, wire, sequence);
  }

  private wireOf(tap: Tap): Wire {
    const known = this.wires[tap.index];
    if (known !== undefined) return known;
    const wire = this.newWire(tap.name ?? (tap.index === 0 ? "capture" : `capture${tap.index}`));
    this.wires[tap.index] = wire;
    return wire;
  }

  private newWire(name: string): Wire {
    let port = this.names.get(name);
    if (port === undefined && this.names.size < MAX_PORTS) {
      port = this.open(name);
      this.names.set(name, port);
    }
    return { name, port, vlans: new Map() };
  }

  private ethernet(wire: Wire, bytes: Uint8Array, length: number, sequence: number): void {
    if (bytes.length < ETHERNET_HEADER) {
      this.unseen = "too-short";
      return;
    }
    const type = u16(bytes, 12);
    if (type === TPID || type === SERVICE_TAG || type === OLD_SERVICE_TAG) {
      this.tagged(wire, bytes, length, sequence);
    } else {
      this.give(wire, Frame.of(bytes, sequence, length));
    }
  }

  private tagged(outer: Wire, bytes: Uint8Array, length: number, sequence: number): void {
    let wire = outer;
    let at = 12;
    let type = u16(bytes, at);
    for (let tags = 0; type === TPID || type === SERVICE_TAG || type === OLD_SERVICE_TAG; tags++) {
      if (tags === MAX_TAGS || at + TAG_SIZE + 2 > bytes.length) {
        this.unseen = "too-short";
        return;
      }
      wire = this.vlanOf(wire, u16(bytes, at + 2) & 0xfff);
      at += TAG_SIZE;
      type = u16(bytes, at);
    }
    // One customer tag is left where it is: whoever looks at the payload finds it behind the tag, without a copy.
    if (at === 12 + TAG_SIZE && u16(bytes, 12) === TPID) this.give(wire, Frame.of(bytes, sequence, length));
    else this.give(wire, Frame.of(without(bytes, 12, at), sequence, length - (at - 12)));
  }

  /** IEEE 802.1Q §6.9.1: identifier 0 names no VLAN. */
  private vlanOf(wire: Wire, vid: number): Wire {
    if (vid === 0) return wire;
    let inner = wire.vlans.get(vid);
    if (inner === undefined) {
      inner = this.newWire(`${wire.name}.${vid}`);
      wire.vlans.set(vid, inner);
    }
    return inner;
  }

  private other(tap: Tap, bytes: Uint8Array, length: number, sequence: number): void {
    const { kind, etherType, payloadOffset, reason } = readLink(tap.linkType, bytes);
    if (kind === "unknown" || etherType === undefined) {
      this.unseen = reason === "length" ? "too-short" : "link-type";
      return;
    }
    const made = new Uint8Array(ETHERNET_HEADER + bytes.length - payloadOffset);
    if (tap.linkType === LINK_SLL && u16(bytes, 4) === 6) made.set(bytes.subarray(SLL_SOURCE, SLL_SOURCE + 6), 6);
    if (tap.linkType === LINK_SLL2 && bytes[11] === 6) made.set(bytes.subarray(SLL2_SOURCE, SLL2_SOURCE + 6), 6);
    const broadcast = tap.linkType === LINK_SLL ? u16(bytes, 0) : tap.linkType === LINK_SLL2 ? bytes[10] : undefined;
    if (broadcast === BROADCAST_PACKET) made.fill(0xff, 0, 6);
    setU16(made, 12, etherType);
    made.set(bytes.subarray(payloadOffset), ETHERNET_HEADER);
    const wire = tap.linkType === LINK_SLL2 ? this.deviceOf(tap, u32(bytes, 4)) : this.wireOf(tap);
    this.ethernet(wire, made, length - payloadOffset + ETHERNET_HEADER, sequence);
  }

  private deviceOf(tap: Tap, index: number): Wire {
    const key = `${tap.index} ${index}`;
    let wire = this.devices.get(key);
    if (wire === undefined) {
      wire = this.newWire(`${this.wireOf(tap).name}#${index}`);
      // Beyond the maximum nothing is remembered either.
      if (wire.port !== undefined) this.devices.set(key, wire);
    }
    return wire;
  }

  private give(wire: Wire, frame: Frame): void {
    this.port = wire.port;
    this.frame = frame;
    if (wire.port === undefined) this.unseen = "too-many-ports";
  }
}

function without(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const made = new Uint8Array(bytes.length - (to - from));
  made.set(bytes.subarray(0, from));
  made.set(bytes.subarray(to), from);
  return made;
}
