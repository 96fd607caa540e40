/** What LACP promises about the log. */
import { WORLD } from "../../src/core/log.ts";
import type { Command } from "../../src/core/machine.ts";
import { type Duration, sec, us, ZERO } from "../../src/core/time.ts";
import type { Invariant, View } from "../../src/core/view.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { LacpConfig } from "./config.ts";
import { LONG_TIMEOUT, SHORT_TIMEOUT } from "./state.ts";
import { type LacpTable, lacpTable, type PortRow } from "./view.ts";

export function bundlesOf(node: NodeConfig): LacpConfig {
  return (node["lacp"] ?? []) as LacpConfig;
}

export function invariants(nodes: readonly NodeConfig[]): readonly Invariant<unknown>[] {
  const bundles = nodes.flatMap(bundlesOf);
  if (bundles.length === 0) return [];
  return [heardAtFarEnd(bundles), onePartner];
}

const distributing = ({ mux }: PortRow) => mux === "distributing" || mux === "collecting-distributing";
const collecting = (row: PortRow) => distributing(row) || row.mux === "collecting";

/** The table, and what was found wrong with it when it last changed: much is said that is not of LACP. */
interface Watched {
  readonly table: LacpTable;
  /** Nodes that stand still: they send nothing, whatever they said last. */
  readonly paused: Set<string>;
  changed: boolean;
  broken: string | undefined;
}

const watched: View<Watched> = {
  initial: () => ({ table: lacpTable.initial(), paused: new Set(), changed: false, broken: undefined }),
  fold: (view, entry) => {
    const { what } = entry;
    lacpTable.fold(view.table, entry);
    if (what.kind === "event" && what.event.type === "lacp.port") view.changed = true;
    if (what.kind !== "command" || entry.node !== WORLD) return view;
    const { verb, node = "" } = what.command as Command & { readonly node?: string };
    if (verb === "pause") view.paused.add(node);
    else if (verb === "resume" || verb === "power-off") view.paused.delete(node);
    view.changed = true;
    return view;
  },
};

function promise(name: string, source: string, settle: Duration, find: (view: Watched) => string | undefined) {
  const broken = (view: Watched) => {
    if (view.changed) view.broken = find(view);
    view.changed = false;
    return view.broken;
  };
  return { name, source, settle, view: watched, broken } as Invariant<unknown>;
}

/** Nothing is distributed onto a link whose far end does not collect, but for the time that silence may take. */
function heardAtFarEnd(bundles: LacpConfig): Invariant<unknown> {
  // A one-way fault is noticed by the end that hears nothing; it may be the one that asked for the long timeout.
  const longest: number = bundles.every(({ fast }) => fast) ? SHORT_TIMEOUT : LONG_TIMEOUT;
  return promise(
    "lacp-distributes-to-collectors",
    "IEEE 802.1AX §6.4.15",
    us(longest + sec(1)),
    ({ table: { ports }, paused }) => {
      const ends = new Map<string, PortRow>();
      for (const row of ports.values()) ends.set(`${row.actor.system} ${row.actor.port}`, row);
      for (const row of ports.values()) {
        if (!distributing(row) || row.reason === "fallback" || paused.has(row.node)) continue;
        const far = ends.get(`${row.partner.system} ${row.partner.port}`);
        if (far === undefined || collecting(far)) continue;
        return `${row.node}:${row.port} distributes to ${far.node}:${far.port}, which is ${far.mux} (${far.reason})`;
      }
      return undefined;
    },
  );
}

/** All links of a bundle that carry frames end at one system, under one key. */
const onePartner = promise("lacp-one-partner", "IEEE 802.1AX §6.3.6", ZERO, ({ table: { ports } }) => {
  const seen = new Map<string, PortRow>();
  for (const row of ports.values()) {
    if (!distributing(row) || row.reason === "fallback") continue;
    const key = `${row.node} ${row.bundle}`;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, row);
    else if (first.partner.system !== row.partner.system || first.partner.key !== row.partner.key)
      return `${key} carries to ${first.partner.system} by ${first.port} and to ${row.partner.system} by ${row.port}`;
  }
  return undefined;
});
