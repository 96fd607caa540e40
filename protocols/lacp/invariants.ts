/** What LACP promises about the log. */
import { type Entry, WORLD } from "../../src/core/log.ts";
import type { Command } from "../../src/core/machine.ts";
import { after, type Duration, type Instant, instant, NEVER, sec, us, ZERO } from "../../src/core/time.ts";
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
  /** When it did. */
  at: Instant;
  broken: Breach | undefined;
}

interface Breach {
  /** What is wrong, whatever the reason: as long as that is the same, so is the breach. */
  readonly what: string;
  readonly words: string;
  readonly since: Instant;
}

const watched: View<Watched> = {
  initial: () => ({ table: lacpTable.initial(), paused: new Set(), changed: false, at: instant(0), broken: undefined }),
  fold: (view, entry) => {
    const { what } = entry;
    lacpTable.fold(view.table, entry);
    if (what.kind === "event" && what.event.type === "lacp.port") note(view, entry);
    if (what.kind !== "command" || entry.node !== WORLD) return view;
    const { verb, node = "" } = what.command as Command & { readonly node?: string };
    if (verb === "pause") view.paused.add(node);
    else if (verb === "resume" || verb === "power-off") view.paused.delete(node);
    note(view, entry);
    return view;
  },
};

function note(view: Watched, { at }: Entry): void {
  view.changed = true;
  view.at = at;
}

type Find = (view: Watched) => Pick<Breach, "what" | "words"> | undefined;

/** @param patience for how long each breach is borne */
function promise(name: string, source: string, settle: Duration, patience: Duration, find: Find): Invariant<unknown> {
  const look = (view: Watched) => {
    if (view.changed) {
      const found = find(view);
      const since = found?.what === view.broken?.what ? view.broken?.since : undefined;
      view.broken = found === undefined ? undefined : { ...found, since: since ?? view.at };
    }
    view.changed = false;
    return view.broken;
  };
  const broken = (view: Watched) => look(view)?.words;
  const from = (view: Watched) => after(look(view)?.since ?? NEVER, patience);
  return { name, source, settle, view: watched, broken, from } as Invariant<unknown>;
}

/** Nothing is distributed onto a link whose far end does not collect, but for the time that silence may take. */
function heardAtFarEnd(bundles: LacpConfig): Invariant<unknown> {
  // A one-way fault is noticed by the end that hears nothing; it may be the one that asked for the long timeout.
  const longest: number = bundles.every(({ fast }) => fast) ? SHORT_TIMEOUT : LONG_TIMEOUT;
  const silence = us(longest + sec(1));
  return promise(
    "lacp-distributes-to-collectors",
    "IEEE 802.1AX §6.4.15",
    silence,
    // A link that loses frames is silent again and again; and no end knows at once what the other has just decided.
    silence,
    ({ table: { ports }, paused }) => {
      const ends = new Map<string, PortRow>();
      for (const row of ports.values()) ends.set(`${row.actor.system} ${row.actor.port}`, row);
      for (const row of ports.values()) {
        if (!distributing(row) || row.reason === "fallback" || paused.has(row.node)) continue;
        const far = ends.get(`${row.partner.system} ${row.partner.port}`);
        if (far === undefined || collecting(far)) continue;
        const what = `${row.node}:${row.port} distributes to ${far.node}:${far.port}`;
        return { what, words: `${what}, which is ${far.mux} (${far.reason})` };
      }
      return undefined;
    },
  );
}

/** All links of a bundle that carry frames end at one system, under one key. */
const onePartner = promise("lacp-one-partner", "IEEE 802.1AX §6.3.6", ZERO, ZERO, ({ table: { ports } }) => {
  const seen = new Map<string, PortRow>();
  for (const row of ports.values()) {
    if (!distributing(row) || row.reason === "fallback") continue;
    const key = `${row.node} ${row.bundle}`;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, row);
    else if (first.partner.system !== row.partner.system || first.partner.key !== row.partner.key) {
      const what = `${key} carries to ${first.partner.system} by ${first.port} and to ${row.partner.system} by ${row.port}`;
      return { what, words: what };
    }
  }
  return undefined;
});
