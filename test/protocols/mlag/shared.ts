/** What two sides of a pair hold of each other, to be compared. */
import type { Reported } from "../../../protocols/mlag/events.ts";
import type { MlagState } from "../../../protocols/mlag/state.ts";
import type { Pair } from "./pair.ts";

const TABLES = ["mac", "arp", "nd"] as const;

/** "mac 1 02:aa:00:00:00:01 {id: 1, …}": all claims of a side, or of its peer as the side holds them. */
export function claims({ tables }: MlagState, whose: "mine" | "theirs"): string[] {
  const lines: string[] = [];
  for (const name of TABLES) {
    for (const [key, entry] of tables[name].entries) {
      const claim = entry[whose];
      if (claim !== undefined) lines.push(`${name} ${key} ${Object.entries(claim).sort().join(" ")}`);
    }
  }
  return lines.sort();
}

/** What one bridge has and the other does not, or has elsewhere than it follows from the one. */
export function differences(pair: Pair): string[] {
  const found: string[] = [];
  const [a, b] = [pair.stations("a"), pair.stations("b")];
  for (const mac of new Set([...a.keys(), ...b.keys()])) {
    const [here = "none", there = "none"] = [a.get(mac)?.port, b.get(mac)?.port];
    const fine = here.startsWith("agg") ? here === there : ["orphan peer", "peer orphan"].includes(`${here} ${there}`);
    if (!fine) found.push(`${mac} ${here} ${there}`);
  }
  return found;
}

/** Whether the counts are those of the entries. */
export function counted({ tables }: MlagState): boolean {
  return TABLES.every((name) => {
    const { entries, mine, theirs } = tables[name];
    const all = [...entries.values()];
    return (
      all.filter((entry) => entry.mine !== undefined).length === mine &&
      all.filter((entry) => entry.theirs !== undefined).length === theirs
    );
  });
}

/** "1 suspended peer-alive": an event, without when and where. */
export function inWords(event: Reported): string {
  return `${wordOf(event)} ${"reason" in event ? event.reason : "active" in event ? event.active : ""}`;
}

function wordOf(event: Reported): string {
  if ("state" in event) return `${event.id} ${event.state}`;
  if ("role" in event) return event.role;
  if ("up" in event) return event.up ? "up" : "down";
  if ("table" in event) return `${event.table} ${event.vlan} ${event.entries}`;
  return "alarm" in event ? event.alarm : event.type;
}
