/** A port of a node: who has it, who uses it, and what lies under it. */
import type { Event, Input, Mounted, Port } from "../core/machine.ts";
import type { Wire } from "./host.ts";

export interface NodePort extends Port {
  /** The machine that provides the port; undefined for one with a wire. */
  owner: Mounted | undefined;
  /**
   * The first machine that is asked about a frame from below, and the others: those that say which frames are theirs,
   * then those that take what is nobody's, each in configuration order. Most ports have one user.
   */
  first: Mounted | undefined;
  others: readonly Mounted[];
  /** What the host put under it. */
  wire: Wire | undefined;
  up: boolean;
}

export function linkInput(port: NodePort): Input {
  const { wire, up } = port;
  const { speed, duplex } = wire ?? {};
  return {
    kind: "link",
    port,
    up,
    ...(speed === undefined ? {} : { speed }),
    ...(duplex === undefined ? {} : { duplex }),
  };
}

interface Dropped extends Event {
  readonly type: "drop";
  readonly interface: string;
  readonly reason: string;
}

export function dropped(port: Port, reason: string): Dropped {
  return { type: "drop", interface: port.name, reason };
}
