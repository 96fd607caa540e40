/** What the observer says, in words for the timeline of a capture. */
import type { Event } from "../../src/core/machine.ts";
import type { IccpSeen, SeenStation } from "./observer-events.ts";

/** Stations that a line names. */
const NAMED = 3;

export function describeSeen(event: Event): string | undefined {
  if (!event.type.startsWith("iccp.")) return undefined;
  const seen = event as Exclude<IccpSeen, { readonly type: "anomaly" }>;
  const detail = "detail" in seen && seen.detail !== "" ? `: ${seen.detail}` : "";
  switch (seen.type) {
    case "iccp.session":
      return `session ${seen.session} (${seen.dialect}): ${seen.up ? "up" : "down"} (${seen.reason}${detail})`;
    case "iccp.role":
      return `${seen.from} is ${seen.role === "none" ? "of no role" : seen.role}, priority ${seen.priority}, ${seen.system}`;
    case "iccp.port": {
      const partner = seen.partner === undefined ? "" : `, partner ${seen.partner}`;
      return `${seen.from}: M-LAG ${seen.name ?? seen.id} is ${seen.state}${partner}`;
    }
    case "iccp.isolation": {
      const what = seen.isolated ? "isolation" : "no isolation";
      return `${seen.from} ${seen.acknowledged ? "confirms" : "asks for"} ${what} of M-LAG ${seen.id}`;
    }
    case "iccp.stations": {
      const more = seen.entries.length > NAMED ? ` and ${seen.entries.length - NAMED} more` : "";
      return `${seen.from}: ${seen.table} ${seen.entries.slice(0, NAMED).map(station).join(", ")}${more}`;
    }
    case "iccp.sync":
      return `${seen.from}: ${seen.complete ? "has said all that it knows" : "says all that it knows"}`;
    case "iccp.goodbye":
      return `${seen.from} says goodbye (${seen.cause})`;
    case "iccp.drop":
      return `${seen.from}: message dropped (${seen.reason}${detail})`;
  }
}

function station({ mac, vlan, address, id, port, present }: SeenStation): string {
  const where = port ?? (id === undefined ? undefined : id === 0 ? "an orphan port" : `M-LAG ${id}`);
  const at = where === undefined ? "" : ` at ${where}`;
  const who = address === undefined ? mac : `${address} is ${mac}`;
  return `${present ? "" : "no longer "}${who} in VLAN ${vlan}${at}`;
}
