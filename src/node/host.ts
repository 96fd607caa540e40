/** The clock and the wires under nodes. A host knows no protocol by name. */
import type { Frame } from "../core/frame.ts";
import type { Change, Port } from "../core/machine.ts";
import type { Instant } from "../core/time.ts";
import type { Node } from "./node.ts";

export interface Host {
  /** Puts a frame on the wire of a port that no machine owns. */
  send(node: Node, port: Port, frame: Frame): void;
  /** Carries out a wish. A host without a kernel does nothing: the node's own machines have heard it. */
  apply(node: Node, change: Change): void;
  /** Calls `node.step({ kind: "timer" })` at this time, in place of any time asked for before. */
  wake(node: Node, at: Instant): void;
}
