/** What the messages of an operational session say, in either dialect, as events; what is not new is not said again. */
import type { Item } from "./items.ts";
import type { Heard } from "./message.ts";
import type { SeenStation } from "./observer-events.ts";
import { judgeRoles, type SeenConnection, type SeenSide, type SeenTurn, say } from "./observer-state.ts";
import type { IccpValue } from "./parameters.ts";

interface Where {
  readonly turn: SeenTurn;
  readonly connection: SeenConnection;
  readonly side: SeenSide;
  readonly other: SeenSide;
}

const NOBODY = "00:00:00:00:00:00";

export function contentOf(
  turn: SeenTurn,
  connection: SeenConnection,
  side: SeenSide,
  other: SeenSide,
  message: Heard,
): void {
  const where = { turn, connection, side, other };
  for (const item of message.items) heardItem(where, item);
  for (const value of message.values) heardValue(where, value);
}

function from({ turn, connection, side }: Where) {
  return { session: connection.name, from: side.address, frame: turn.frame } as const;
}

/** Whether it is another than what was last said of it. */
function isNews({ side }: Where, about: string, what: string): boolean {
  if (side.said.get(about) === what) return false;
  side.said.set(about, what);
  return true;
}

function role(
  where: Where,
  role: "none" | "primary" | "secondary",
  priority: number,
  system: SeenStation["mac"],
): void {
  const { turn, side, other } = where;
  side.role = role;
  if (!isNews(where, "role", `${role} ${priority} ${system}`)) return;
  say(turn, { type: "iccp.role", ...from(where), role, priority, system });
  judgeRoles(turn, side, other);
}

function heardItem(where: Where, item: Item): void {
  const { turn, side } = where;
  switch (item.kind) {
    case "role":
      role(where, item.role, item.priority, item.system);
      break;
    case "portState": {
      const { id, state, partnerSystem: partner } = item;
      if (!isNews(where, `port ${id}`, `${state} ${partner}`)) break;
      say(turn, { type: "iccp.port", ...from(where), id, state, ...(partner === NOBODY ? {} : { partner }) });
      break;
    }
    case "isolate":
    case "isolateAck": {
      const { id, isolated } = item;
      say(turn, { type: "iccp.isolation", ...from(where), id, isolated, acknowledged: item.kind === "isolateAck" });
      break;
    }
    case "macs":
      stations(
        where,
        "mac",
        item.entries.map(({ vlan, mac, id, present }) => ({ vlan, mac, id, present })),
      );
      break;
    case "arps":
    case "nds": {
      const table = item.kind === "arps" ? "arp" : "nd";
      stations(
        where,
        table,
        item.entries.map(({ vlan, mac, address, present }) => ({ vlan, mac, address, present })),
      );
      break;
    }
    case "syncBegin":
    case "syncEnd":
      say(turn, { type: "iccp.sync", ...from(where), complete: item.kind === "syncEnd" });
      break;
    case "goodbye":
      side.goodbye = item.cause;
      say(turn, { type: "iccp.goodbye", ...from(where), cause: item.cause });
      break;
    default:
  }
}

function stations(where: Where, table: "mac" | "arp" | "nd", entries: readonly SeenStation[]): void {
  if (entries.length > 0) say(where.turn, { type: "iccp.stations", ...from(where), table, entries });
}

/** iccpd's states: up, down, disabled, under test. */
const STATES = ["up", "down", "disabled", "down"] as const;

function heardValue(where: Where, value: IccpValue): void {
  const { turn, side, connection } = where;
  switch (value.kind) {
    case "systemConfig":
      role(where, side === connection.sides[0] ? "primary" : "secondary", value.priority, value.system);
      break;
    case "aggregatorConfig":
      side.names.set(value.aggregator, value.name);
      break;
    case "aggregatorState": {
      const { aggregator: id, partnerSystem: partner } = value;
      const state = STATES[value.state] ?? "down";
      const name = side.names.get(id);
      if (!isNews(where, `port ${id}`, `${state} ${partner} ${name ?? ""}`)) break;
      const named = name === undefined ? {} : { name };
      say(turn, { type: "iccp.port", ...from(where), id, ...named, state, ...(partner === NOBODY ? {} : { partner }) });
      break;
    }
    case "interfaceUp": {
      const isolated = value.isolation === 1;
      say(turn, { type: "iccp.isolation", ...from(where), id: value.interface, isolated, acknowledged: true });
      break;
    }
    case "macList": {
      const entries = value.entries.map(({ vlan, mac, interface: port, operation }) => {
        return { vlan, mac, port, present: operation === 1 };
      });
      stations(where, "mac", entries);
      break;
    }
    case "arpList":
    case "ndList": {
      const entries = value.entries.map(({ interface: port, address, mac, operation }) => {
        return { vlan: vlanOf(port), mac, address, port, present: operation === 1 };
      });
      stations(where, value.kind === "arpList" ? "arp" : "nd", entries);
      break;
    }
    case "syncData":
      say(turn, { type: "iccp.sync", ...from(where), complete: value.flags !== 0 });
      break;
    case "warmBoot":
      side.goodbye = "upgrade";
      say(turn, { type: "iccp.goodbye", ...from(where), cause: "upgrade" });
      break;
    default:
  }
}

/** "Vlan100"; 0 for a routed port. */
function vlanOf(port: string): number {
  return Number(/^Vlan(\d{1,4})$/.exec(port)?.[1] ?? 0);
}
