/** Where the stations are: the log's `mac.*` events as each switch's table. */
import { type Entry, WORLD } from "../../src/core/log.ts";
import type { Command, Event } from "../../src/core/machine.ts";
import type { View } from "../../src/core/view.ts";
import { type BridgeEvent, foldAdoption, foldStation, type MacEvent, type Stations } from "./events.ts";

/** By node. */
export type StationTable = Map<string, Stations>;

export const stationTable: View<StationTable> = {
  initial: () => new Map(),
  fold: (table, entry) => {
    const { what } = entry;
    if (what.kind === "event") foldEvent(table, entry, what.event);
    else if (entry.node === WORLD && what.kind === "command") {
      const { verb, node = "" } = what.command as Command & { readonly node?: string };
      // What has no power remembers nothing.
      if (verb === "power-off") table.delete(node);
    }
    return table;
  },
};

function foldEvent(table: StationTable, { node }: Entry, event: Event): void {
  const { type } = event;
  if (type === "mlag.adopt") foldAdoption(table.get(node) ?? new Map());
  if (type !== "mac.learned" && type !== "mac.moved" && type !== "mac.aged") return;
  let stations = table.get(node);
  if (stations === undefined) {
    stations = new Map();
    table.set(node, stations);
  }
  foldStation(stations, event as MacEvent);
}

/** An event in words, for the timeline. */
export function describe(event: Event): string | undefined {
  const said = event as BridgeEvent;
  switch (said.type) {
    case "mac.moved":
      return `${said.mac} moved to ${said.port} (VLAN ${said.vlan})`;
    case "mac.aged":
      return `${said.mac} left ${said.port} (VLAN ${said.vlan}): ${said.reason}`;
    case "bridge.loop":
      return `a frame of ${said.mac} (VLAN ${said.vlan}) circles: it came in by ${said.port} again`;
    case "bridge.returned":
      return `a frame of this switch (${said.mac}, VLAN ${said.vlan}) has come back by ${said.port}`;
    default:
      return undefined;
  }
}
