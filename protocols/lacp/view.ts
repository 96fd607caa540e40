/** Which bundles and ports are how now: the log's LACP events folded into a table. */
import { type Entry, WORLD } from "../../src/core/log.ts";
import type { Command, Event } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { View } from "../../src/core/view.ts";
import type { LacpBundleEvent, LacpEvent, LacpPortEvent } from "./events.ts";

export interface PortRow extends LacpPortEvent {
  readonly node: string;
  readonly since: Instant;
}

export interface BundleRow extends LacpBundleEvent {
  readonly node: string;
  readonly since: Instant;
}

/** By node and name: "sw1 p1", in the order in which they were first heard of. */
export interface LacpTable {
  readonly ports: Map<string, PortRow>;
  readonly bundles: Map<string, BundleRow>;
}

export const lacpTable: View<LacpTable> = {
  initial: () => ({ ports: new Map(), bundles: new Map() }),
  fold: (table, entry) => {
    if (entry.what.kind === "event") {
      if (entry.what.event.type.startsWith("lacp.")) foldEvent(table, entry, entry.what.event as LacpEvent);
    } else if (entry.node === WORLD && entry.what.kind === "command") {
      const command = entry.what.command as Command & { readonly node?: string };
      // What has no power is in no state, and says nothing of it.
      if (command.verb === "power-off") {
        for (const rows of [table.ports, table.bundles]) {
          for (const [key, row] of rows) if (row.node === command.node) rows.delete(key);
        }
      }
    }
    return table;
  },
};

function foldEvent(table: LacpTable, { node, at }: Entry, event: LacpEvent): void {
  if (event.type === "lacp.port") table.ports.set(`${node} ${event.port}`, { ...event, node, since: at });
  else if (event.type === "lacp.bundle") table.bundles.set(`${node} ${event.bundle}`, { ...event, node, since: at });
}

/** An event in words, for the timeline. */
export function describe(event: Event): string | undefined {
  if (!event.type.startsWith("lacp.")) return undefined;
  const said = event as LacpEvent;
  switch (said.type) {
    case "lacp.port": {
      const cause = said.cause === undefined ? "" : `: ${said.cause}`;
      return `${said.port} of ${said.bundle}: ${said.receive}, ${said.mux} (${said.reason}${cause})`;
    }
    case "lacp.bundle":
      return `${said.bundle}: ${said.up ? "up" : "down"}, ${said.members} links carry (${said.reason})`;
    case "lacp.collecting":
      return undefined;
    case "lacp.partner":
      return said.system === undefined
        ? `${said.bundle}: no partner`
        : `${said.bundle}: partner ${said.system}, priority ${said.priority}, key ${said.key}`;
    case "lacp.churn": {
      const whose = said.side === "actor" ? "this end is" : "the partner is";
      return `${said.port} of ${said.bundle}: ${whose} ${said.churned ? "out of" : "no longer out of"} sync for a minute`;
    }
    case "lacp.drop":
      return `${said.port}: slow protocol frame dropped (${said.reason}), ${said.count} so far`;
  }
}
