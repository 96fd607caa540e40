/** What the observer says, in words for the timeline. */
import type { Event } from "../../src/core/machine.ts";
import { formatDuration, formatInstant, type Instant, sec } from "../../src/core/time.ts";
import type { ObserverEvent } from "./observer-events.ts";

const TYPES: ReadonlySet<string> = new Set<ObserverEvent["type"]>([
  "vrrp.master",
  "vrrp.silent",
  "vrrp.released",
  "vrrp.duplicate-master",
  "vrrp.duplicate-end",
  "vrrp.drop",
  "anomaly",
]);

/** Undefined for an event that is not the observer's: only its own name a frame. */
export function describeObserved(event: Event): string | undefined {
  if (!TYPES.has(event.type) || !("frame" in event)) return undefined;
  const text = words(event as ObserverEvent);
  return text === undefined ? undefined : `${subject(event as ObserverEvent)}${text} [frame ${event.frame}]`;
}

function subject(event: ObserverEvent): string {
  if (!("interface" in event)) return "";
  const vrid = event.vrid === undefined ? "" : `vrid ${event.vrid} `;
  const family = event.family === undefined ? "" : `${event.family} `;
  return `${event.interface}  ${vrid}${family}`;
}

function words(event: ObserverEvent): string | undefined {
  switch (event.type) {
    case "vrrp.master": {
      const { address, priority, version, reason, previous, gap } = event;
      const before = previous === undefined ? "" : `, was ${previous}`;
      const nobody = gap === undefined || !hasGap(reason) ? "" : `, nobody for ${spell(gap)}`;
      return `master ${address} (version ${version}, priority ${priority})${before}: ${reason}${nobody}`;
    }
    case "vrrp.silent":
      return `NOBODY is master: ${event.address} ${
        event.reason === "priority-zero" ? "released" : "was last heard"
      } at ${at(event.since)}: ${event.reason}`;
    case "vrrp.released":
      return `${event.address} gives up (priority 0)`;
    case "vrrp.duplicate-master":
      return `DUPLICATE MASTER: ${event.addresses.join(" and ")} since ${at(event.since)}; rightful is ${event.rightful}`;
    case "vrrp.duplicate-end":
      return `one master again: ${
        event.remaining.join(", ") || "none of them"
      } left of ${event.addresses.join(" and ")}; ${at(event.since)} to ${at(event.until)}`;
    case "vrrp.drop":
      return `dropped: ${event.reason}`;
    case "anomaly":
      return `anomaly ${event.kind}: ${event.detail}`;
  }
}

/** Where the old master was missing for a while. */
function hasGap(reason: string): boolean {
  return reason === "master-timeout" || reason === "priority-zero";
}

function spell(seconds: number): string {
  return formatDuration(sec(seconds));
}

function at(seconds: number): string {
  return formatInstant(sec(seconds) as number as Instant);
}
