/** The MACs under which an M-LAG switch routes, its own and its peer's: where in a VLAN they are, seen from a port. */
import { type Mac, macBytes } from "../../src/core/addr.ts";
import { u16, u32 } from "../../src/core/bytes.ts";
import type { FrameHeader } from "../../src/core/frame.ts";
import type { Port } from "../../src/core/machine.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import type { Gateway } from "../mlag/events.ts";
import { NONE } from "./table.ts";

/** Of one VLAN. Lists are pairs of octets 0–1 and 2–5, as `FrameHeader` has them; a handful, looked at one by one. */
export interface Gateways {
  readonly routed: Port;
  readonly peerLink: Port;
  readonly own: Int32Array;
  readonly shared: Int32Array;
}

export function gatewaysOf({ own, macs }: Gateway, routed: Port, peerLink: Port | undefined): Gateways | undefined {
  if (peerLink === undefined || (own.length === 0 && macs.length === 0)) return undefined;
  return { routed, peerLink, own: wordsOf(own), shared: wordsOf(macs) };
}

function wordsOf(macs: readonly Mac[]): Int32Array {
  const words = new Int32Array(2 * macs.length);
  for (const [i, mac] of macs.entries()) {
    const bytes = macBytes(mac);
    words[2 * i] = u16(bytes, 0);
    words[2 * i + 1] = u32(bytes, 2) | 0;
  }
  return words;
}

/**
 * The port index behind which the destination is for a frame from `port`; NONE where the table says it.
 *
 * A MAC of a virtual router that is master here is up at the switch itself, whatever a second master makes the table
 * believe. A shared one is so for packets of hosts (what ARP says to it is the peer's alone); for what the stack sends
 * on to the peer, and for what the peer sends, it is behind the peer link: what has crossed that to a shared MAC ends
 * (`same-port`), and no frame goes back and forth, whatever either switch believes of the other.
 */
export function placeOf({ routed, peerLink, own, shared }: Gateways, port: Port, header: FrameHeader): number {
  if (holds(own, header)) return port === routed ? NONE : routed.index;
  const { type } = header;
  if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return NONE;
  if (!holds(shared, header)) return NONE;
  return port === routed || port === peerLink ? peerLink.index : routed.index;
}

function holds(words: Int32Array, { dstHi, dstLo }: FrameHeader): boolean {
  for (let i = 0; i < words.length; i += 2) if (words[i + 1] === dstLo && words[i] === dstHi) return true;
  return false;
}
