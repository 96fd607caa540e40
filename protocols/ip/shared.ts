/**
 * MACs of the M-LAG peer for which this node routes, too (protocols/mlag/gateway.ts). What is for the peer itself, and
 * what this node has no way for, is sent on to the MAC that it came for: the same packet in a frame from this interface.
 */

import { type Ip, isMulticast, type Mac } from "../../src/core/addr.ts";
import type { Frame, FrameHeader } from "../../src/core/frame.ts";
import type { Path } from "../../src/core/machine.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import type { Gateway } from "../mlag/events.ts";
import { linkOnly } from "./output.ts";
import { routeTo } from "./routes.ts";
import { type Interface, type NextHop, type Shared, type Stack, station } from "./state.ts";
import { linkTo, transmit } from "./transmit.ts";

export function setShared(stack: Stack, { port, macs, addresses }: Gateway): void {
  const on = stack.interfaces.find((one) => one.port.name === port);
  if (on === undefined) return;
  on.shared = macs.length === 0 ? undefined : macs.map((mac) => sharedOf(on, mac));
  on.peerAddresses = addresses;
  stack.peerAddresses.clear();
  for (const one of stack.interfaces) for (const address of one.peerAddresses) stack.peerAddresses.add(address);
}

function sharedOf(on: Interface, mac: Mac): Shared {
  const hop = (family: "ipv4" | "ipv6"): NextHop => ({
    link: linkTo(on, mac, family),
    forwardedBy: new Map(),
    sentBy: new Map(),
  });
  return { station: station(mac), hops: { ipv4: hop("ipv4"), ipv6: hop("ipv6") } };
}

export function sharedMac({ shared }: Interface, { dstHi, dstLo }: FrameHeader): Shared | undefined {
  if (shared === undefined) return undefined;
  for (const one of shared) if (one.station.hi === dstHi && one.station.lo === dstLo) return one;
  return undefined;
}

/** Sends a packet on that came for a MAC of the peer and is not for this node to route; false for any other. */
export function leave(
  stack: Stack,
  on: Interface,
  frame: Frame,
  { destination }: { readonly destination: Ip },
  path: Path,
): boolean {
  const shared = sharedMac(on, frame.header);
  if (shared === undefined || isRouted(stack, on, destination)) return false;
  const family = frame.header.type === ETHERTYPE.ipv4 ? "ipv4" : "ipv6";
  transmit(on, shared.hops[family], { frame, from: undefined }, path);
  return true;
}

function isRouted(stack: Stack, on: Interface, destination: Ip): boolean {
  if (!on.forwarding || stack.peerAddresses.has(destination)) return false;
  if (linkOnly(destination) || isMulticast(destination)) return false;
  return routeTo(stack, destination) !== undefined;
}
