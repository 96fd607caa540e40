/**
 * Stations of the kernel's bridge. What it hears it has by itself, and tells; what the M-LAG peer has heard it is given, and
 * so is what it has forgotten too early: with a link that goes it forgets all that was behind it, but through the peer the
 * stations are still there.
 */
import type { Mac } from "../../src/core/addr.ts";
import { type Instant, ms } from "../../src/core/time.ts";
import type { KernelStation } from "../../src/node/host.ts";
import type { BridgeMac, BridgeRedirect } from "../mlag/events.ts";
import { type Driven, portOf, type Station, wayOut } from "./driver-state.ts";
import type { MacEvent } from "./events.ts";

/**
 * What the kernel has lost with a link is told before the loss of the link is, or with it, or found again behind another
 * link: only what is still lost after this time has aged.
 */
const FADE = ms(100);

/** The kernel has heard a station, or has it no longer. */
export function heardByKernel(state: Driven, { mac, port, present, given }: KernelStation): void {
  const name = portOf(state, port);
  const station = state.stations.get(mac);
  if (name === undefined || given) return;
  if (!present) {
    if (station?.local === true && (station.given?.port === port || station.port === name)) lost(state, station);
    return;
  }
  // What was given is told, too. In time a station that is behind the same port is not told again.
  if (station?.given?.port === port) return;
  state.fading.delete(mac);
  if (station === undefined) {
    if (state.stations.size >= state.config.table) {
      state.unlearned++;
      return;
    }
    state.stations.set(mac, { mac, port: name, local: true, peer: false, given: undefined });
    say(state, "mac.learned", mac, name, "local");
    return;
  }
  station.given = undefined;
  if (station.port !== name) {
    station.port = name;
    station.local = true;
    station.peer = false;
    say(state, "mac.moved", mac, name, "local");
  } else if (!station.local) {
    station.local = true;
    say(state, "mac.learned", mac, name, "local");
  }
}

function lost(state: Driven, station: Station): void {
  station.given = undefined;
  state.fading.set(station.mac, (state.now + FADE) as Instant);
}

/** What has not been found again has aged. */
export function fade(state: Driven): void {
  for (const [mac, at] of state.fading) {
    if (at > state.now) return;
    state.fading.delete(mac);
    const station = state.stations.get(mac);
    if (station?.local === true) forget(state, station, "ageing");
  }
}

/** This switch has it no longer; the peer may. */
function forget(state: Driven, station: Station, reason: MacEvent["reason"]): void {
  station.local = false;
  say(state, "mac.aged", station.mac, station.port, "local", reason);
  if (station.peer) settle(state, station);
  else remove(state, station);
}

function remove(state: Driven, station: Station): void {
  give(state, station, undefined);
  state.stations.delete(station.mac);
  state.fading.delete(station.mac);
}

/** The peer has it. */
export function place(state: Driven, { mac, port }: BridgeMac): void {
  if (!state.config.ports.some(({ name }) => name === port)) return;
  const known = state.stations.get(mac);
  if (known === undefined && state.stations.size >= state.config.table) {
    state.unlearned++;
    return;
  }
  const station = known ?? { mac, port, local: false, peer: false, given: undefined };
  state.stations.set(mac, station);
  const moved = station.port !== port;
  if (moved) {
    station.port = port;
    station.local = false;
    state.fading.delete(mac);
  }
  station.peer = true;
  settle(state, station);
  say(state, moved ? "mac.moved" : "mac.learned", mac, port, "peer");
}

/** The peer has it no longer. */
export function withdraw(state: Driven, { mac }: BridgeMac): void {
  const station = state.stations.get(mac);
  if (station?.peer !== true) return;
  station.peer = false;
  if (station.local) {
    settle(state, station);
    return;
  }
  remove(state, station);
  say(state, "mac.aged", mac, station.port, "peer", "peer-aged");
}

/** The peer is gone: what only it had is this switch's own now; behind a port that is down there is nobody. */
export function adopt(state: Driven): void {
  for (const station of [...state.stations.values()]) {
    const { peer } = station;
    station.peer = false;
    if (reach(state, station.port) === undefined) {
      if (station.local) forget(state, station, "link-down");
      else remove(state, station);
    } else if (peer) {
      if (!station.local) {
        station.local = true;
        say(state, "mac.learned", station.mac, station.port, "local");
      }
      settle(state, station);
    }
  }
}

/** The peer has not said so: what was heard behind the port to it is no longer there. */
export function sweep(state: Driven, port: string): void {
  for (const station of [...state.stations.values()]) {
    if (station.port === port && station.local) forget(state, station, "peer-aged");
  }
}

/** Where the stations behind a port are found while it is down, from now on. */
export function redirect(state: Driven, { port, via }: BridgeRedirect): void {
  if (via === undefined) state.instead.delete(port);
  else state.instead.set(port, via);
  linkChanged(state, port);
}

/** Other ports, or other links of them: where a station was may be no port any more. */
export function review(state: Driven): void {
  const names = new Set(state.config.ports.map(({ name }) => name));
  for (const name of state.up) if (!names.has(name)) state.up.delete(name);
  for (const station of [...state.stations.values()]) {
    if (names.has(station.port)) settle(state, station);
    else if (station.local) forget(state, station, "link-down");
    else remove(state, station);
  }
}

/** A port has come up or gone down: its stations are reached otherwise, or not at all. */
export function linkChanged(state: Driven, port: string): void {
  const gone = !state.up.has(port) && !state.instead.has(port);
  for (const station of [...state.stations.values()]) {
    if (station.port !== port) continue;
    if (gone && station.local) forget(state, station, "link-down");
    else settle(state, station);
  }
  // Others may be reached by this one.
  for (const [from, via] of state.instead) if (via === port && !state.up.has(from)) linkChanged(state, from);
}

/** Another link of a bundle carries: what was given to the kernel may be behind the one that went. */
export function linkMoved(state: Driven, bundle: string): void {
  if (!state.up.has(bundle)) return;
  for (const station of state.stations.values()) if (station.port === bundle) settle(state, station);
}

function reach(state: Driven, port: string): string | undefined {
  const { instead } = state;
  const via = instead.get(port);
  return wayOut(state, port) ?? (via === undefined ? undefined : wayOut(state, via));
}

/** Gives the kernel what it does not have by itself, and takes back what it has by itself, or can no longer use. */
function settle(state: Driven, station: Station): void {
  const to = reach(state, station.port);
  if (to === undefined) {
    give(state, station, undefined);
    return;
  }
  const own = portOf(state, to) === station.port;
  const heard = own && station.local && station.given === undefined && !state.fading.has(station.mac);
  if (heard) return;
  state.fading.delete(station.mac);
  give(state, station, { port: to, ages: station.local });
}

function give(state: Driven, station: Station, given: Station["given"]): void {
  const { mac, given: before } = station;
  if (before?.port === given?.port && before?.ages === given?.ages) return;
  station.given = given;
  if (given !== undefined) {
    state.out.push({ kind: "apply", change: { type: "bridge.station", mac, ...given, present: true } });
  } else if (before !== undefined) {
    state.out.push({ kind: "apply", change: { type: "bridge.station", mac, ...before, present: false } });
  }
}

function say(
  state: Driven,
  type: MacEvent["type"],
  mac: Mac,
  port: string,
  origin: MacEvent["origin"],
  reason?: MacEvent["reason"],
): void {
  const event = { type, vlan: state.config.vlan, mac, port, origin };
  state.out.push({ kind: "event", event: reason === undefined ? event : { ...event, reason } });
}
