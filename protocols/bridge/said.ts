/** What the bridge says of its stations. */
import type { Output } from "../../src/core/machine.ts";
import type { MacEvent } from "./events.ts";
import type { BridgeState } from "./machine.ts";
import type { Station } from "./table.ts";

/** Says what is gone: of each station that which this switch had itself, or, where it had none, what its peer had. */
export function aged(state: BridgeState, gone: readonly Station[], reason: MacEvent["reason"]): Output<MacEvent>[] {
  return gone.map((station) => {
    const origin = station.local ? "local" : "peer";
    return said("mac.aged", station, nameOf(state, station.port), origin, reason);
  });
}

export function said(
  type: MacEvent["type"],
  { vlan, mac }: Pick<MacEvent, "vlan" | "mac">,
  port: string,
  origin: MacEvent["origin"],
  reason?: MacEvent["reason"],
): Output<MacEvent> {
  const event = { type, vlan, mac, port, origin };
  return { kind: "event", event: reason === undefined ? event : { ...event, reason } };
}

export function nameOf(state: BridgeState, port: number): string {
  return state.ports[port]?.name ?? "";
}
