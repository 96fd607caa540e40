/** What the M-LAG machine says, in words for the timeline. */
import type { Event } from "../../src/core/machine.ts";
import type { MlagEvent } from "./events.ts";

/** Undefined for what only the node's own machines are told. */
export function describe(event: Event): string | undefined {
  if (!event.type.startsWith("mlag.")) return undefined;
  const said = event as MlagEvent;
  switch (said.type) {
    case "mlag.session":
      return `peer session ${said.epoch}: ${said.up ? "up" : "down"} (${said.reason})`;
    case "mlag.role": {
      const place = said.alone ? ", in place of a peer that is gone" : "";
      return `M-LAG role: ${said.role}${place} (${said.reason})`;
    }
    case "mlag.keepalive":
      return `keepalive: ${said.up ? "up" : "down"} (${said.reason})`;
    case "mlag.member": {
      const halves = `here ${said.local ? "up" : "down"}, at the peer ${said.peer ? "up" : "down"}`;
      return `M-LAG ${said.id} (${said.port}): ${said.state}, ${halves} (${said.reason}${about(said)})`;
    }
    case "mlag.orphan":
      return `orphan ${said.port}: ${said.suspended ? "suspended" : "in service"} (${said.reason}${about(said)})`;
    case "mlag.maintenance": {
      const what = `maintenance (${said.of}) ${said.on ? "on" : "off"}`;
      if (said.refused) return `${what} refused (${said.reason}): ${said.detail}`;
      return said.detail === "" ? what : `${what}, by force: ${said.detail}`;
    }
    case "mlag.alarm":
      return `alarm ${said.alarm} ${said.active ? "raised" : "over"}: ${said.detail}`;
    case "mlag.drift": {
      const where = said.vlan === 0 ? said.table : `${said.table}, VLAN ${said.vlan}`;
      return `shared table (${where}): ${said.entries} ${said.entries === 1 ? "entry" : "entries"} (${said.reason})`;
    }
    case "mlag.drop":
      return `keepalive message dropped (${said.reason}), ${said.count} so far`;
    default:
      return undefined;
  }
}

/** ": both sides' values, until 12.5s". */
function about({ detail, until }: { readonly detail?: string; readonly until?: number }): string {
  const ends = until === undefined ? "" : `, until ${until / 1e6}s`;
  return (detail === undefined ? "" : `: ${detail}`) + ends;
}
