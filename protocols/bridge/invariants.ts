/** What bridges promise about the log: no frame circles. */
import { sec } from "../../src/core/time.ts";
import type { Invariant } from "../../src/core/view.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { IpReturned } from "../ip/events.ts";
import type { LoopEvent } from "./events.ts";

/** Frames that were on their way at the disturbance have arrived, and the halves of an M-LAG know of each other. */
const SETTLE = sec(1);

const noLoop: Invariant<unknown> = {
  name: "no-loop",
  source: "IEEE 802.1Q §8.1.2 (loops of bridges are not tolerated); M25, M32",
  settle: SETTLE,
  view: { initial: () => undefined, fold: (view) => view },
  broken: () => undefined,
  moment: (_view, { node, what }) => {
    if (what.kind !== "event") return undefined;
    const event = what.event as LoopEvent | IpReturned;
    switch (event.type) {
      case "bridge.loop":
        return `a frame of ${event.mac} in VLAN ${event.vlan} came to ${node} again, by ${event.port}`;
      case "bridge.returned":
        return `a frame that ${node} sent as ${event.mac} in VLAN ${event.vlan} came back to it by ${event.port}`;
      case "ip.returned":
        return `a frame that ${node} sent as ${event.mac} came back to it by ${event.port}`;
      default:
        return undefined;
    }
  },
};

/** For every lab with a bridge. */
export function invariants(nodes: readonly NodeConfig[]): readonly Invariant<unknown>[] {
  return nodes.some((node) => node["bridge"] !== undefined) ? [noLoop] : [];
}
