/** Packets on their way out: this node's own, and those that it forwards. */
import { type Ip, isLinkLocal } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Path } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import { sendTo } from "./neighbours.ts";
import { routeTo } from "./routes.ts";
import { type Interface, lose, type Reason, type Stack } from "./state.ts";

/**
 * Sends a packet of this node to another one.
 * @param on the interface for a link-local destination; by its route where that says nothing
 */
export function sendOwn(
  stack: Stack,
  frame: Frame,
  destination: Ip,
  on: Interface | undefined,
  now: Instant,
  path: Path,
): void {
  if (on?.up === true && isLinkLocal(destination)) {
    sendTo(stack, on, destination, { frame, from: undefined }, now, path);
    return;
  }
  if (stack.local.has(destination)) {
    path.up(stack.ipPort, frame);
    return;
  }
  // A link-local destination that is on none of these links is on one of the kernel's.
  const elsewhere = stack.kernel !== undefined && isLinkLocal(destination);
  const route = elsewhere ? undefined : routeTo(stack, destination);
  if (route === undefined) {
    if (stack.kernel !== undefined) path.down(stack.kernel, frame);
    else lose(stack, stack.ipPort, "no-route", path);
    return;
  }
  sendTo(stack, route.interface, route.via ?? destination, { frame, from: undefined }, now, path);
}

export interface Crossing {
  readonly source: Ip;
  readonly destination: Ip;
  readonly ttl: number;
}

/**
 * Forwards a unicast packet: RFC 1812 §5.2.1, §5.3.1; RFC 8200 §3.
 * @returns why it could not be
 */
export function forward(
  stack: Stack,
  from: Interface,
  frame: Frame,
  packet: Crossing,
  now: Instant,
  path: Path,
): Extract<Reason, "ttl" | "no-route" | "link-local" | "martian"> | undefined {
  // RFC 4291 §2.5.6, RFC 3927 §2.7: such addresses mean something on their own link only.
  if (linkOnly(packet.destination) || linkOnly(packet.source)) return "link-local";
  if (onNoLink(packet.destination) || onNoLink(packet.source)) return "martian";
  if (packet.ttl <= 1) return "ttl";
  const route = routeTo(stack, packet.destination);
  if (route === undefined) return "no-route";
  sendTo(stack, route.interface, route.via ?? packet.destination, { frame, from }, now, path);
  return undefined;
}

/** RFC 1812 §5.3.7, RFC 4291 §2.5.2, §2.5.3: "this network", loopback, unspecified. */
function onNoLink(ip: Ip): boolean {
  return ip.startsWith("0.") || ip.startsWith("127.") || ip === "::" || ip === "::1";
}

export function linkOnly(ip: Ip): boolean {
  return isLinkLocal(ip) || ip.startsWith("169.254.");
}
