/** A device of a world: the node, its links, and what becomes of it when it has no power or stands still. */
import { type Mac, macFrom } from "../../core/addr.ts";
import type { Frame } from "../../core/frame.ts";
import type { Command } from "../../core/machine.ts";
import type { Node } from "../../node/node.ts";
import type { End } from "./link.ts";

/** Frames that a paused node keeps for later, as a socket's receive buffer would; more are dropped as "paused". */
export const PAUSED_FRAMES = 1_024;

/** What waits for a node that stands still. */
interface Paused {
  readonly frames: { readonly end: End; readonly frame: Frame }[];
  /** Orders: as many as were given. */
  readonly commands: { readonly to: string; readonly command: Command }[];
  wake: boolean;
}

export interface Station {
  readonly name: string;
  readonly index: number;
  /** Puts the machines on a node that has just been switched on. */
  readonly build: (node: Node) => void;
  /** By port name, in the order of the links. */
  readonly ends: Map<string, End>;
  node: Node;
  on: boolean;
  /** Undefined while it runs. */
  paused: Paused | undefined;
}

/** Locally administered and readable: 02:00, the node's number (from 1), the port's (from 1; 0 for the node itself). */
export function stationMac(node: number, port: number): Mac {
  const n = node + 1;
  return macFrom(Uint8Array.of(0x02, 0x00, n >>> 8, n & 0xff, port >>> 8, port & 0xff));
}
