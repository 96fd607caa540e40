/** The clock and the wires under nodes. A host knows no protocol by name. */
import type { Frame } from "../core/frame.ts";
import type { Change } from "../core/machine.ts";
import type { Instant } from "../core/time.ts";
import type { Node } from "./node.ts";

export interface Host {
  /** Carries out a wish. A host without a kernel does nothing: the node's own machines have heard it. */
  apply(node: Node, change: Change): void;
  /** Calls `node.step({ kind: "timer" })` at this time, in place of any time asked for before; NEVER for not at all. */
  wake(node: Node, at: Instant): void;
}

/** What a host puts under a port that no machine owns. */
export interface Wire {
  /** Bits per second; absent where nobody knows. */
  readonly speed?: number | undefined;
  transmit(frame: Frame): void;
}
