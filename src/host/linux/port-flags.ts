/** How a port of the kernel's bridge is set, as far as this process changes it: for leaving it as it was found. */
import { readFileSync } from "node:fs";

/** Which of FLAGS are on, a bit each. */
export type PortFlags = number;

/** Names under /sys/class/net/PORT/brport; their places are the bits of PortFlags. */
const FLAGS = ["learning", "unicast_flood", "multicast_flood", "broadcast_flood"] as const;
export const ALL_FLAGS: PortFlags = (1 << FLAGS.length) - 1;

/** Undefined for what is no port of a bridge. */
export function readPortFlags(port: string): PortFlags | undefined {
  try {
    const values = FLAGS.map((flag) => readFileSync(`/sys/class/net/${port}/brport/${flag}`, "utf8").trim());
    return values.reduce((bits, value, i) => (value === "1" ? bits | (1 << i) : bits), 0);
  } catch {
    // It has left the bridge, or is gone.
    return undefined;
  }
}

/** In the order of FLAGS. */
export function bitsOf(flags: PortFlags): readonly boolean[] {
  return FLAGS.map((_, i) => (flags & (1 << i)) !== 0);
}
