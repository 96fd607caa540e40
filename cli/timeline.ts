/** The log as lines for people: when, which node, what and why. */
import { type Entry, WORLD } from "../src/core/log.ts";
import { formatDuration, formatInstant, us } from "../src/core/time.ts";
import type { WorldCommand } from "../src/host/sim/world.ts";
import type { AnyProtocol } from "../src/node/protocol.ts";
import { paint } from "./output.ts";

const TIME_WIDTH = 12;

/** One entry as a line; undefined for one that the timeline leaves out. */
export function timelineLine(entry: Entry, protocols: readonly AnyProtocol[], nodeWidth: number): string | undefined {
  const text = words(entry, protocols);
  if (text === undefined) return undefined;
  const time = formatInstant(entry.at).padStart(TIME_WIDTH);
  const node = entry.node.padEnd(nodeWidth);
  return `${paint("dim", time)}  ${entry.node === WORLD ? paint("yellow", node) : paint("cyan", node)}  ${text}`;
}

function words(entry: Entry, protocols: readonly AnyProtocol[]): string | undefined {
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

function worldWords(command: WorldCommand): string {
  switch (command.verb) {
    case "cut":
    case "heal":
      return `${command.verb} ${command.link}${command.side === undefined ? "" : ` (only what ${command.side} sends)`}`;
    case "loss": {
      const { ratio } = command;
      return `loss on ${command.link}: ${ratio === undefined ? "none" : `${ratio.numerator}/${ratio.denominator}`}`;
    }
    case "delay":
      return `delay of ${command.link}: ${formatDuration(us(command.delay / 1_000))}`;
    case "filter":
      return `filter on ${command.link}: ${command.text}`;
    case "power-off":
    case "power-on":
    case "pause":
    case "resume":
      return `${command.verb} ${command.node}`;
    case "command":
      return `${command.node}: ${command.to} ${JSON.stringify(command.command)}`;
  }
}
