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
      return `M-LAG ${said.id} (${said.port}): ${said.state}, ${halves} (${said.reason})`;
    }
    case "mlag.alarm":
      return `alarm ${said.alarm} ${said.active ? "raised" : "over"}: ${said.detail}`;
    case "mlag.drop":
      return `keepalive message dropped (${said.reason}), ${said.count} so far`;
    default:
      return undefined;
  }
}
