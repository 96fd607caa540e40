/** The log as lines for people: when, which node, what and why. */
import { type Entry, WORLD } from "../src/core/log.ts";
import { formatInstant } from "../src/core/time.ts";
import { worldWords } from "../src/host/sim/ground.ts";
import type { WorldCommand } from "../src/host/sim/world.ts";
import type { AnyProtocol } from "../src/node/protocol.ts";
import { paint } from "./output.ts";

const TIME_WIDTH = 12;

/** One entry as a line; undefined for one that the timeline leaves out. */
export function timelineLine(entry: Entry, protocols: readonly AnyProtocol[], nodeWidth: number): string | undefined {
  const text = entryWords(entry, protocols);
  if (text === undefined) return undefined;
  const time = formatInstant(entry.at).padStart(TIME_WIDTH);
  const node = entry.node.padEnd(nodeWidth);
  return `${paint("dim", time)}  ${entry.node === WORLD ? paint("yellow", node) : paint("cyan", node)}  ${text}`;
}

/** An entry in words, without when and where; undefined for one that the timeline leaves out. */
export function entryWords(entry: Entry, protocols: readonly AnyProtocol[]): string | undefined {
  const { what } = entry;
  if (what.kind === "command") {
    if (entry.node === WORLD) return worldWords(what.command as WorldCommand);
    return what.command.verb === "start" ? undefined : `${what.to}: ${what.command.verb}`;
  }
  // That links come up when everything is switched on is no news.
  if (what.kind === "link" && entry.at > 0) return `${what.port.name}: link ${what.up ? "up" : "down"}`;
  if (what.kind !== "event") return undefined;
  for (const protocol of protocols) {
    const text = protocol.describe?.(what.event);
    if (text !== undefined) return text;
  }
  return undefined;
}
