/**
 * The Periodic Transmission machine: IEEE 802.1AX §6.4.13.
 *
 *   state     when                                                          does
 *   none      LACP or port disabled, or both ends passive                   nothing
 *   fast      Partner.Timeout = short                                       NTT every 1 s
 *   slow      Partner.Timeout = long                                        NTT every 30 s, and at once when it turns short
 */
import { after, NEVER } from "../../src/core/time.ts";
import { STATE } from "./codec.ts";
import { FAST_PERIODIC, has, type LacpPort, lacpEnabled, needToTransmit, SLOW_PERIODIC, type Turn } from "./state.ts";

export function runPeriodic(turn: Turn, port: LacpPort): void {
  const to = wanted(port);
  if (to !== port.periodic) {
    // IEEE 802.1AX: from slow to fast by PERIODIC_TX.
    if (port.periodic === "slow" && to === "fast") needToTransmit(turn, port, false);
    port.periodic = to;
    arm(turn, port);
  } else if (port.periodicAt <= turn.now) {
    needToTransmit(turn, port, true);
    arm(turn, port);
  }
}

function wanted(port: LacpPort): LacpPort["periodic"] {
  if (!port.up || !lacpEnabled(port)) return "none";
  if (!has(port.state | port.partner.state, STATE.activity)) return "none";
  return has(port.partner.state, STATE.shortTimeout) ? "fast" : "slow";
}

function arm(turn: Turn, port: LacpPort): void {
  if (port.periodic === "none") port.periodicAt = NEVER;
  else port.periodicAt = after(turn.now, port.periodic === "fast" ? FAST_PERIODIC : SLOW_PERIODIC);
}
