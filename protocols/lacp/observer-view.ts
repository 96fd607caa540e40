/** What the observer says, in words for the timeline of a capture. */
import type { Event } from "../../src/core/machine.ts";
import type { LacpSeen } from "./observer-events.ts";

/** Undefined for what a machine of our own says, and for what is no news. */
export function describeSeen(event: Event): string | undefined {
  if (!event.type.startsWith("lacp.") || !("frame" in event)) return undefined;
  const seen = event as Exclude<LacpSeen, { readonly type: "anomaly" }>;
  switch (seen.type) {
    case "lacp.port": {
      const { actor, partner, reason, port, news } = seen;
      if (!news) return undefined;
      const who = `${actor.system} port ${actor.port} (${port})`;
      if (reason === "not-heard") return `${who}: not heard any more`;
      const what = reason === "carrying" ? "carrying" : `${seen.receive}, ${seen.mux}: ${reason}`;
      return `${who} to ${partner.system} port ${partner.port}: ${what}`;
    }
    case "lacp.bundle":
      return `bundle ${seen.bundle}: ${seen.up ? "up" : "down"}, ${linksCarry(seen.members)} (${seen.reason})`;
    case "lacp.drop":
      return `slow protocol frame dropped: ${seen.reason}`;
  }
}

function linksCarry(members: number): string {
  return members === 1 ? "1 link carries" : `${members} links carry`;
}
