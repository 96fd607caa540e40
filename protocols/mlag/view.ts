/** How each switch of a pair is now: the log's M-LAG events folded into a table. */
import { type Entry, WORLD } from "../../src/core/log.ts";
import type { Command } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { View } from "../../src/core/view.ts";
import type {
  AlarmEvent,
  KeepaliveEvent,
  MaintenanceEvent,
  MemberEvent,
  MlagEvent,
  OrphanEvent,
  RoleEvent,
  SessionEvent,
} from "./events.ts";

interface Since {
  readonly since: Instant;
}

/** Of one switch. What it has not said yet is absent. */
export interface MlagRow {
  readonly node: string;
  session?: SessionEvent & Since;
  role?: RoleEvent & Since;
  keepalive?: KeepaliveEvent & Since;
  maintenance?: MaintenanceEvent & Since;
  /** By M-LAG id. */
  readonly members: Map<number, MemberEvent & Since>;
  /** Orphan ports that have been out of service, by name. */
  readonly orphans: Map<string, OrphanEvent & Since>;
  /** Alarms that are raised, by what they are and what they are about: one of a kind may be raised for each member. */
  readonly alarms: Map<string, AlarmEvent & Since>;
}

/** By node, in the order in which they were first heard of. */
export type MlagTable = Map<string, MlagRow>;

export const mlagTable: View<MlagTable> = {
  initial: () => new Map(),
  fold: (table, entry) => {
    const { what } = entry;
    if (what.kind === "event") {
      if (what.event.type.startsWith("mlag.")) foldEvent(table, entry, what.event as MlagEvent);
    } else if (entry.node === WORLD && what.kind === "command") {
      const { verb, node = "" } = what.command as Command & { readonly node?: string };
      // What has no power is in no state, and says nothing of it.
      if (verb === "power-off") table.delete(node);
    }
    return table;
  },
};

function foldEvent(table: MlagTable, { node, at }: Entry, event: MlagEvent): void {
  if (SHOWN.has(event.type)) foldRow(rowOf(table, node), event, at);
}

const SHOWN: ReadonlySet<string> = new Set<MlagEvent["type"]>([
  "mlag.session",
  "mlag.role",
  "mlag.keepalive",
  "mlag.maintenance",
  "mlag.member",
  "mlag.orphan",
  "mlag.alarm",
]);

export function newRow(node: string): MlagRow {
  return { node, members: new Map(), orphans: new Map(), alarms: new Map() };
}

/** What one switch has said changes what is known of it. */
export function foldRow(row: MlagRow, event: MlagEvent, since: Instant): void {
  switch (event.type) {
    case "mlag.session":
      row.session = { ...event, since };
      break;
    case "mlag.role":
      row.role = { ...event, since };
      break;
    case "mlag.keepalive":
      row.keepalive = { ...event, since };
      break;
    case "mlag.maintenance":
      if (!event.refused) row.maintenance = { ...event, since };
      break;
    case "mlag.member": {
      const before = row.members.get(event.id);
      // Another word about the same state does not make it newer.
      row.members.set(event.id, { ...event, since: before?.state === event.state ? before.since : since });
      break;
    }
    case "mlag.orphan":
      row.orphans.set(event.port, { ...event, since });
      break;
    case "mlag.alarm": {
      const key = `${event.alarm} ${event.detail}`;
      if (event.active) row.alarms.set(key, { ...event, since });
      else row.alarms.delete(key);
      break;
    }
    default:
  }
}

function rowOf(table: MlagTable, node: string): MlagRow {
  const known = table.get(node);
  if (known !== undefined) return known;
  const row = newRow(node);
  table.set(node, row);
  return row;
}
