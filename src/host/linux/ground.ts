/** What a live host knows of its wires, for explanations: what its kernel says of them. What lies beyond nobody sees. */
import type { Ground } from "../../node/past.ts";

/** @param ports of the node, that are interfaces of the kernel */
export function liveGround(ports: () => readonly string[]): Ground {
  return {
    // No far end is known by name.
    ends: () => [],
    wires: () => ports(),
    carrier: (_past, node, port, up) => ({
      node,
      type: "kernel",
      text: up
        ? `the kernel says that ${port} is up`
        : `the kernel says that ${port} is gone, switched off or without carrier`,
    }),
    silence: (_past, { node, wires }) => ({
      node,
      type: "traffic",
      text: `nothing was heard on ${wires.join(", ")}; what became of the sender cannot be seen from here`,
    }),
    touched: () => undefined,
    order: () => undefined,
    still: () => undefined,
    words: ({ what }) => ({ type: what.kind, text: what.kind }),
  };
}
