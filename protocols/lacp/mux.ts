/**
 * The Mux machine: IEEE 802.1AX §6.4.15, independent control and coupled control.
 *
 *   state         on entry                                        leaves for
 *   detached      Sync, Collecting, Distributing := 0, NTT        waiting (SELECTED or STANDBY)
 *   waiting       wait_while := Aggregate_Wait_Time               attached (SELECTED, Ready), detached (UNSELECTED)
 *   attached      Sync := 1, Collecting := 0, Distributing := 0,  collecting (SELECTED, Partner.Sync),
 *                 NTT                                             detached (UNSELECTED or STANDBY)
 *   collecting    Collecting := 1, Distributing := 0, NTT         distributing (and Partner.Collecting),
 *                                                                 attached (not SELECTED, or not Partner.Sync)
 *   distributing  Distributing := 1, NTT                          collecting (any of its conditions gone)
 *   coupled: attached → collecting-distributing (both := 1) and back, on Partner.Sync alone; a reload that changes the
 *   control leads from there to where the other one would be
 *
 * DEPARTS: Ready does not wait for Aggregate_Wait_Time when every link with carrier agrees already, hears another system,
 * or has fallen silent: nobody is waited for.
 * DEPARTS: wait-to-restore (802.1AX-2020: ATTACHED_WTR) is spent in `waiting`, with Sync = 0.
 * DEPARTS: under independent control a port that is put to STANDBY says Sync = 0 and stops distributing at once, but
 * collects until its partner has stopped distributing, at most DRAIN_TIME from when it was told, which the limit of LACPDUs
 * may put off: a planned change loses no frame.
 */
import { after, type Instant, instant, NEVER } from "../../src/core/time.ts";
import { STATE } from "./codec.ts";
import type { MuxState } from "./events.ts";
import {
  type Bundle,
  DRAIN_TIME,
  has,
  isHalfDuplex,
  type LacpPort,
  lower,
  needToTransmit,
  raise,
  type Turn,
} from "./state.ts";
import { transmitDeadline } from "./transmit.ts";

/** Steps of one port within one input; the longest way down and up again is shorter. */
const MAX_STEPS = 16;

/** Selected := UNSELECTED, and the mux follows at once: a port never changes its aggregator while it is attached. */
export function deselect(turn: Turn, port: LacpPort): void {
  port.selected = "unselected";
  port.fallback = false;
  runPort(turn, port);
}

/** Runs the mux of every port of the bundle until nothing changes. */
export function runMux(turn: Turn, bundle: Bundle): void {
  for (let round = 0; round < MAX_STEPS; round++) {
    let changed = false;
    for (const port of bundle.members) changed = runPort(turn, port) || changed;
    if (!changed) return;
  }
}

function runPort(turn: Turn, port: LacpPort): boolean {
  let changed = false;
  for (let step = 0; step < MAX_STEPS; step++) {
    const to = next(turn, port);
    if (to === port.mux) break;
    enter(turn, port, to);
    changed = true;
  }
  return changed;
}

function next(turn: Turn, port: LacpPort): MuxState {
  const { selected } = port;
  switch (port.mux) {
    case "detached":
      return selected === "unselected" ? "detached" : "waiting";
    case "waiting":
      if (selected === "unselected") return "detached";
      return selected === "selected" && ready(turn, port) ? "attached" : "waiting";
    case "attached":
      if (selected !== "selected") return "detached";
      if (!partnerInSync(port)) return "attached";
      return port.bundle.config.coupled ? "collecting-distributing" : "collecting";
    case "collecting-distributing":
      if (selected !== "selected" || !partnerInSync(port)) return "attached";
      if (port.bundle.config.coupled) return "collecting-distributing";
      return partnerCollects(port) ? "distributing" : "collecting";
    case "collecting":
      if (selected === "standby" && drains(turn, port)) return "collecting";
      if (selected !== "selected" || !partnerInSync(port)) return "attached";
      if (port.drainUntil !== NEVER) endDrain(turn, port);
      if (port.bundle.config.coupled) return "collecting-distributing";
      return partnerCollects(port) ? "distributing" : "collecting";
    case "distributing":
      if (selected !== "selected" || !partnerInSync(port) || !partnerCollects(port)) return "collecting";
      return port.bundle.config.coupled ? "collecting-distributing" : "distributing";
  }
}

function partnerInSync(port: LacpPort): boolean {
  return port.fallback || has(port.partner.state, STATE.synchronization);
}

function partnerCollects(port: LacpPort): boolean {
  return port.fallback || has(port.partner.state, STATE.collecting);
}

/** Whether the port goes on collecting although it is to leave; says so to the partner when that begins. */
function drains(turn: Turn, port: LacpPort): boolean {
  if (port.drainUntil === NEVER) {
    if (!partnerInSync(port) || port.fallback) return false;
    lower(port, STATE.synchronization);
    needToTransmit(turn, port, true);
    port.drainUntil = after(instant(Math.max(turn.now, transmitDeadline(port))), DRAIN_TIME);
  }
  return port.drainUntil > turn.now && has(port.partner.state, STATE.distributing) && port.receive === "current";
}

function endDrain(turn: Turn, port: LacpPort): void {
  port.drainUntil = NEVER;
  raise(port, STATE.synchronization);
  needToTransmit(turn, port, true);
}

const OFF = STATE.collecting | STATE.distributing;

function enter(turn: Turn, port: LacpPort, to: MuxState): void {
  const from = port.mux;
  port.mux = to;
  switch (to) {
    case "detached":
      lower(port, OFF | STATE.synchronization);
      needToTransmit(turn, port, from !== "waiting");
      break;
    case "waiting":
      port.waitUntil = after(turn.now, port.bundle.config.aggregateWait);
      break;
    case "attached":
      port.drainUntil = NEVER;
      lower(port, OFF);
      raise(port, STATE.synchronization);
      needToTransmit(turn, port, from !== "waiting");
      break;
    case "collecting":
      lower(port, STATE.distributing);
      raise(port, STATE.collecting);
      needToTransmit(turn, port, true);
      break;
    case "distributing":
      raise(port, STATE.distributing);
      needToTransmit(turn, port, false);
      break;
    case "collecting-distributing":
      raise(port, OFF);
      needToTransmit(turn, port, true);
      break;
  }
  // Lost is what did not leave by anybody's will: wait-to-restore is not for planned changes.
  if (from === "distributing" || from === "collecting-distributing") port.lost = port.receive !== "current";
}

/** Whether the port, and all that wait with it, may attach. */
function ready(turn: Turn, port: LacpPort): boolean {
  const { now } = turn;
  if (port.fallback) return true;
  const { members, config } = port.bundle;
  // A lost link is measured from the first LACPDU that comes back.
  if (port.restoreUntil > now || (port.lost && config.waitToRestore > 0)) return false;
  const waits = (one: LacpPort) => one.mux === "waiting" && one.selected === "selected" && one.restoreUntil <= now;
  if (members.every((one) => !waits(one) || one.waitUntil <= now)) return true;
  // Everybody with carrier is there, or will not come.
  return members.every((one) => !one.up || settled(turn, one));
}

function settled(turn: Turn, port: LacpPort): boolean {
  // Nobody waits for one that has fallen silent under carrier.
  if (port.silent) return true;
  if (port.selected === "selected") return port.mux !== "detached" && port.receive === "current";
  if (isHalfDuplex(port)) return true;
  if (port.obstacle === "other-speed") return port.receive === "current";
  // One that hears another system than the bundle's is not coming either.
  if (port.receive === "current" || port.receive === "defaulted") return true;
  return port.selected === "standby" || port.restoreUntil > turn.now;
}

/** When the mux wants to be looked at again; what is over is no such time. */
export function muxDeadline({ now }: Turn, port: LacpPort): Instant {
  if (port.drainUntil !== NEVER) return port.drainUntil;
  if (port.mux !== "waiting" || port.selected !== "selected") return NEVER;
  const wait = port.waitUntil > now ? port.waitUntil : NEVER;
  const restore = port.restoreUntil > now ? port.restoreUntil : NEVER;
  return wait < restore ? wait : restore;
}
