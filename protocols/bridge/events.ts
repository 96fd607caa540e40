import type { Mac } from "../../src/core/addr.ts";
import type { Event } from "../../src/core/machine.ts";

/**
 * A station was found behind a port, or behind another one than before, or was not heard for the ageing time.
 * A switch of an M-LAG pair says so of what it heard itself (`origin` local) and of what its peer told it (peer): the
 * station is gone when it has aged for both.
 */
export interface MacEvent extends Event {
  readonly type: "mac.learned" | "mac.moved" | "mac.aged";
  readonly vlan: number;
  readonly mac: Mac;
  readonly port: string;
  /** Where the entry comes from: frames that this switch saw, or its M-LAG peer. */
  readonly origin: "local" | "peer";
  /** Why it is gone; only with `mac.aged`. */
  readonly reason?: "ageing" | "link-down" | "peer-aged";
}

/**
 * A frame circles. `bridge.loop`: one and the same frame has moved its sender to another port twice. `bridge.returned`:
 * a frame that the switch itself has sent has come back to it. Each is said at most every 100 ms.
 */
export interface LoopEvent extends Event {
  readonly type: "bridge.loop" | "bridge.returned";
  readonly vlan: number;
  /** The sender. */
  readonly mac: Mac;
  /** Where the frame came in this time. */
  readonly port: string;
}

export type BridgeEvent = MacEvent | LoopEvent;

/** Where one switch has a station. */
export interface StationRow {
  readonly vlan: number;
  readonly mac: Mac;
  port: string;
  /** Whether it has heard it itself, and whether its M-LAG peer has told it. One of them is so. */
  local: boolean;
  peer: boolean;
}

/** The stations of one switch, by `stationKey`. */
export type Stations = Map<string, StationRow>;

export function stationKey(vlan: number, mac: string): string {
  return `${vlan} ${mac}`;
}

/** What the events of one switch add up to. */
export function foldStation(stations: Stations, { type, vlan, mac, port, origin }: MacEvent): void {
  const key = stationKey(vlan, mac);
  const row = stations.get(key);
  if (type === "mac.aged") {
    if (row === undefined) return;
    row[origin] = false;
    if (!row.local && !row.peer) stations.delete(key);
  } else if (row === undefined || row.port !== port) {
    // Behind another port than before, what the other one had said is out of date.
    stations.set(key, { vlan, mac, port, local: origin === "local", peer: origin === "peer" });
  } else {
    row[origin] = true;
  }
}

/** The M-LAG peer is gone (`mlag.adopt`): what only it had is forgotten; the switch says of each what it keeps. */
export function foldAdoption(stations: Stations): void {
  for (const [key, row] of stations) {
    row.peer = false;
    if (!row.local) stations.delete(key);
  }
}
