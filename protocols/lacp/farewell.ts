/**
 * What has to be said in this node's place should its process die: that its links carry nothing more, so that their partners
 * stop using them now and not after three of the LACPDUs that they asked for. Made beforehand: then there is no time for it.
 */
import type { Change } from "../../src/core/machine.ts";
import type { BridgePortWish } from "../../src/node/host.ts";
import type { Farewell, Kernel } from "../../src/node/protocol.ts";
import type { LacpConfig } from "./config.ts";
import { collects, DRAIN_TIME, type LacpPort, type LacpState } from "./state.ts";
import { CARRIES, lacpduFrame } from "./transmit.ts";

/** The bridge's machine wishes for what this one decides: what is held in the kernel is a port of the bridge. */
export const kernel: Kernel<LacpConfig> = {
  machine: "lacp",
  wish: "bridge.port",
  prepares: () => [],
  key: (wish: Change) => keyOf((wish as BridgePortWish).port),
  farewells: (state: LacpState) => state.ports.flatMap((port) => farewellOf(port) ?? []),
};

function keyOf(port: string): string {
  return `bridge ${port}`;
}

/** What was made last for a port. */
const made = new WeakMap<LacpPort, Farewell>();

/** No frame of a partner says that it has stopped sending, so its last frames are taken for as long as in a drain. */
function farewellOf(port: LacpPort): Farewell | undefined {
  // Nobody listens to one that carries without a partner.
  if (!collects(port) || port.fallback) return undefined;
  const frame = lacpduFrame(port, CARRIES).bytes;
  const known = made.get(port);
  if (known?.frames[0] !== undefined && same(known.frames[0], frame)) return known;
  const { name } = port.port;
  const farewell = { key: keyOf(name), port: name, frames: [frame], packets: [], successor: [], within: DRAIN_TIME };
  made.set(port, farewell);
  return farewell;
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, i) => octet === other[i]);
}
