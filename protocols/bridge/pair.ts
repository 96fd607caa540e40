/** What a bridge does for an M-LAG: isolation, stations that the peer knows, detours around a half that is down. */
import { macBytes } from "../../src/core/addr.ts";
import { NOTHING, type Output, type Port } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { BridgeMac, ToBridge } from "../mlag/events.ts";
import type { MacEvent } from "./events.ts";
import { gatewaysOf } from "./gateway.ts";
import type { BridgeState } from "./machine.ts";
import { aged, nameOf, said } from "./said.ts";
import { FIXED, FULL, NONE } from "./table.ts";
import { exclude } from "./vlans.ts";

/** What holds for the frames that come in by one port. */
export interface PortRules {
  /** Nothing is learned from them. */
  deaf: boolean;
  /** By port index, whether they leave there: undefined or OPEN, FLOODS_CLOSED, CLOSED. */
  readonly closed: number[];
}

const OPEN = 0;
/** Groups and unknown stations are kept back. */
const FLOODS_CLOSED = 1;
/** Everything is. */
export const CLOSED = 2;

/** What the M-LAG machine of this node has decided. Names that are no port of this bridge mean nothing to it. */
export function hear(state: BridgeState, event: ToBridge, now: Instant): readonly Output<MacEvent>[] {
  switch (event.type) {
    case "mlag.isolate": {
      const from = portOf(state, event.from);
      const to = portOf(state, event.to);
      if (from !== undefined && to !== undefined) {
        const how = event.only === "floods" ? FLOODS_CLOSED : CLOSED;
        rulesOf(state, from).closed[to.index] = event.isolated ? how : OPEN;
      }
      return NOTHING;
    }
    case "mlag.learning": {
      const port = portOf(state, event.port);
      if (port !== undefined) rulesOf(state, port).deaf = !event.learning;
      return NOTHING;
    }
    case "mlag.redirect": {
      const port = portOf(state, event.port);
      if (port === undefined) return NOTHING;
      state.instead[port.index] = event.via === undefined ? undefined : portOf(state, event.via);
      return !detours(state, port) && isDown(state, port) ? flush(state, port, now) : NOTHING;
    }
    case "mlag.mac":
      return event.present ? place(state, event) : withdraw(state, event);
    case "mlag.adopt":
      return adopt(state, now);
    case "mlag.vlans": {
      const port = portOf(state, event.port);
      const vids = new Set(event.excluded);
      return port === undefined ? NOTHING : exclude(state, port, (vid) => vids.has(vid), now);
    }
    case "mlag.orphan": {
      const port = portOf(state, event.port);
      return port === undefined ? NOTHING : exclude(state, port, () => event.suspended, now);
    }
    case "mlag.sweep": {
      const port = portOf(state, event.port);
      return port === undefined ? NOTHING : forgetHeard(state, port, now);
    }
    case "mlag.gateway": {
      const routed = portOf(state, event.port);
      const vlan = routed === undefined ? undefined : state.untagged[routed.index];
      if (vlan !== undefined && vlan.routed.port === routed) {
        vlan.gateway = gatewaysOf(event, routed, portOf(state, event.peerLink));
      }
      return NOTHING;
    }
  }
}

/** The peer has not said so: what was heard behind the port to it is no longer there. What it has said stays. */
function forgetHeard(state: BridgeState, port: Port, now: Instant): Output<MacEvent>[] {
  return aged(
    state,
    state.table.age(Math.floor(now / 1_000), (_age, index) => index === port.index),
    "peer-aged",
  );
}

/** The stations behind a port that went down; the peer takes back itself what it said of some. */
export function flush(state: BridgeState, port: Port, now: Instant): Output<MacEvent>[] {
  return aged(
    state,
    state.table.age(Math.floor(now / 1_000), (_age, index) => index === port.index),
    "link-down",
  );
}

/** What only the peer had is this switch's own now; behind a port that is down there is nobody. */
function adopt(state: BridgeState, now: Instant): readonly Output<MacEvent>[] {
  const ms = Math.floor(now / 1_000);
  const lost = state.ports.map((port) => port !== undefined && !detours(state, port) && isDown(state, port));
  const gone = aged(
    state,
    state.table.remove(ms, (index) => lost[index] === true),
    "link-down",
  );
  const taken = state.table
    .adopt(ms)
    .map((station) => said("mac.learned", station, nameOf(state, station.port), "local"));
  return [...gone, ...taken];
}

function detours(state: BridgeState, port: Port): boolean {
  return state.instead[port.index] !== undefined;
}

function place(state: BridgeState, { vlan, mac, port: name }: BridgeMac): readonly Output<MacEvent>[] {
  const port = portOf(state, name);
  if (port === undefined || state.vlans[vlan]?.byPort[port.index] === undefined) return NOTHING;
  const before = state.table.place(vlan, macBytes(mac), port.index);
  if (before === FIXED) return NOTHING;
  if (before === FULL) {
    state.unlearned++;
    return NOTHING;
  }
  const moved = before !== NONE && before !== port.index;
  return [said(moved ? "mac.moved" : "mac.learned", { vlan, mac }, name, "peer")];
}

function withdraw(state: BridgeState, { vlan, mac }: BridgeMac): readonly Output<MacEvent>[] {
  const port = state.table.withdraw(vlan, macBytes(mac));
  return port === NONE ? NOTHING : [said("mac.aged", { vlan, mac }, nameOf(state, port), "peer", "peer-aged")];
}

function rulesOf(state: BridgeState, port: Port): PortRules {
  state.rules ??= [];
  const known = state.rules[port.index];
  if (known !== undefined) return known;
  const rules: PortRules = { deaf: false, closed: [] };
  state.rules[port.index] = rules;
  return rules;
}

function portOf(state: BridgeState, name: string): Port | undefined {
  return state.ports.find((port) => port?.name === name);
}

function isDown(state: BridgeState, port: Port): boolean {
  // A routed port is the bridge's own: it has no carrier, and is up while a port of its VLAN is.
  const vlan = state.untagged[port.index];
  return vlan?.routed.port === port ? !vlan.routed.up : state.carrier[port.index] !== true;
}
