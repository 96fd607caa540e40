/** What a pair promises about the log. */
import type { Invariant } from "../../src/core/view.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import { tablesEqual } from "./equal-tables.ts";
import { oneSystemId } from "./one-system.ts";
import { pairsOf } from "./sides.ts";

/** For every lab with a pair. */
export function invariants(nodes: readonly NodeConfig[]): readonly Invariant<unknown>[] {
  return pairsOf(nodes).length === 0 ? [] : [tablesEqual(nodes), oneSystemId(nodes)];
}
