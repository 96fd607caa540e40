/** Who is what now: the log's VRRP events folded into a table. */
import type { Family } from "../../src/core/addr.ts";
import { type Entry, WORLD } from "../../src/core/log.ts";
import type { Command, Event } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { View } from "../../src/core/view.ts";
import type { StateReason, VrrpEvent, VrrpStateName } from "./events.ts";

export interface VrrpRow {
  readonly node: string;
  readonly interface: string;
  readonly family: Family;
  readonly vrid: number;
  state: VrrpStateName;
  priority: number;
  /** Of the last change of state. */
  reason: StateReason;
  since: Instant;
}

/** By `rowKey`, in the order in which they were first heard of. */
export type VrrpTable = Map<string, VrrpRow>;

export function rowKey(node: string, name: string, family: Family, vrid: number): string {
  return `${node} ${name} ${family} ${vrid}`;
}

export const vrrpTable: View<VrrpTable> = {
  initial: () => new Map(),
  fold: (table, entry) => {
    if (entry.what.kind === "event" && entry.what.event.type.startsWith("vrrp.")) {
      foldEvent(table, entry, entry.what.event as VrrpEvent);
    } else if (entry.node === WORLD && entry.what.kind === "command") {
      const command = entry.what.command as Command & { readonly node?: string };
      // What has no power is in no state, and says nothing of it.
      if (command.verb === "power-off") {
        for (const [key, row] of table) if (row.node === command.node) table.delete(key);
      }
    }
    return table;
  },
};

function foldEvent(table: VrrpTable, entry: Entry, event: VrrpEvent): void {
  if (event.type !== "vrrp.state" && event.type !== "vrrp.priority") return;
  const key = rowKey(entry.node, event.interface, event.family, event.vrid);
  const row = table.get(key);
  if (event.type === "vrrp.priority") {
    if (row !== undefined) row.priority = event.priority;
    return;
  }
  const { interface: name, family, vrid, to: state, priority, reason } = event;
  if (row === undefined) {
    table.set(key, { node: entry.node, interface: name, family, vrid, state, priority, reason, since: entry.at });
  } else {
    row.state = state;
    row.priority = priority;
    row.reason = reason;
    row.since = entry.at;
  }
}

/** An event in words, for the timeline. */
export function describe(event: Event): string | undefined {
  if (!event.type.startsWith("vrrp.")) return undefined;
  const said = event as VrrpEvent;
  const vrid = said.vrid === undefined ? "" : ` vrid ${said.vrid}`;
  const who = `${said.interface}${vrid} ${said.family}`;
  switch (said.type) {
    case "vrrp.state":
      return `${who}: ${said.from} → ${said.to}, priority ${said.priority} (${said.reason})`;
    case "vrrp.priority":
      return `${who}: priority ${said.from} → ${said.priority} (${said.reason})`;
    case "vrrp.drop":
      return `${who}: advert dropped (${said.reason}), ${said.count} so far`;
    case "vrrp.mismatch":
      if (said.what === "clock")
        return `${who}: the clock of ${said.peer} is ${said.theirs}, beyond half of the ${said.ours}`;
      if (said.what === "authentication")
        return `${who}: ${said.peer} sends unsigned adverts, taken in mode ${said.ours}`;
      return `${who}: ${said.peer} has another ${said.what}: ${said.theirs}, ours ${said.ours}`;
    case "vrrp.stalled":
      return `${who}: not run for ${said.late} s`;
    case "vrrp.blocked":
      return `${who}: its master is silent, but sync group ${said.group} has members that still hear theirs`;
  }
}
