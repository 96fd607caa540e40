/**
 * Ports that an M-LAG takes out of VLANs that their file has: out of some, because the peer's half does not carry them in
 * the same way, or out of all. The port leaves the VLAN's records, so that no frame asks whether it is there.
 */
import type { Output, Port } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { MacEvent } from "./events.ts";
import type { BridgeState, Exit, Vlan } from "./machine.ts";
import { aged } from "./said.ts";

/** What a port is taken out of, to be put back. */
export interface Aside {
  readonly vlan: Vlan;
  readonly exit: Exit;
  readonly untagged: boolean;
}

/** From now on the port is in all VLANs of its file but those of which `excluded` is true. */
export function exclude(
  state: BridgeState,
  port: Port,
  excluded: (vid: number) => boolean,
  now: Instant,
): Output<MacEvent>[] {
  const up = state.carrier[port.index] === true;
  const aside: Aside[] = [];
  for (const one of state.aside[port.index] ?? []) {
    if (excluded(one.vlan.vid)) aside.push(one);
    else putBack(state, one, up);
  }
  const gone = new Set<number>();
  for (const vlan of state.vlans) {
    const exit = vlan?.byPort[port.index];
    if (vlan === undefined || exit === undefined || !excluded(vlan.vid)) continue;
    aside.push({ vlan, exit, untagged: state.untagged[port.index] === vlan });
    takeOut(state, vlan, port);
    gone.add(vlan.vid);
  }
  state.aside[port.index] = aside.length === 0 ? undefined : aside;
  // What the peer has said of stations there stays as it said it.
  const flushed =
    gone.size === 0
      ? []
      : state.table.age(Math.floor(now / 1_000), (_age, index, vid) => index === port.index && gone.has(vid));
  return [...aged(state, flushed, "link-down"), ...routedPorts(state)];
}

function takeOut(state: BridgeState, vlan: Vlan, port: Port): void {
  vlan.byPort[port.index] = undefined;
  vlan.exits.splice(
    vlan.exits.findIndex((exit) => exit.port === port),
    1,
  );
  if (state.untagged[port.index] === vlan) state.untagged[port.index] = undefined;
}

function putBack(state: BridgeState, { vlan, exit, untagged }: Aside, up: boolean): void {
  const { port } = exit;
  exit.up = up;
  vlan.byPort[port.index] = exit;
  if (untagged) state.untagged[port.index] = vlan;
  // In the order of the ports, and the routed one last, as they were made.
  const at = vlan.exits.findIndex((other) => other === vlan.routed || other.port.index > port.index);
  vlan.exits.splice(at, 0, exit);
}

/** A routed port is up as long as one port of its VLAN is. */
export function routedPorts(state: BridgeState): Output<MacEvent>[] {
  const outputs: Output<MacEvent>[] = [];
  for (const vlan of state.vlans) {
    if (vlan === undefined) continue;
    const { routed } = vlan;
    const any = vlan.exits.some((exit) => exit !== routed && exit.up);
    if (any === routed.up) continue;
    routed.up = any;
    outputs.push({ kind: "link", port: routed.port, up: any });
  }
  return outputs;
}
