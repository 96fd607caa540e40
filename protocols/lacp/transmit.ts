/**
 * The Transmit machine: IEEE 802.1AX §6.4.16.
 *
 *   NTT, LACP enabled, not in "none" of the periodic machine   an LACPDU, unless TX_LIMIT left within the last second
 *   NTT, otherwise                                             NTT := 0
 *
 * Its content is made when it leaves: what was to be said and has changed since is never said. What is not urgent waits
 * TX_SETTLE for more, so that a whole negotiation fits into the limit.
 */
import { Frame } from "../../src/core/frame.ts";
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import { ETHERTYPE, ethernet } from "../ethernet/codec.ts";
import { encodeLacpdu, LACP_VERSION, SLOW_GROUP, STATE } from "./codec.ts";
import { actorOf, FAST_PERIODIC, type LacpPort, lacpEnabled, put, type Turn, TX_LIMIT } from "./state.ts";

export function runTransmit(turn: Turn, port: LacpPort): void {
  if (!port.ntt) return;
  if (!port.up || !lacpEnabled(port) || port.periodic === "none") {
    port.ntt = false;
    port.urgent = false;
    return;
  }
  if (transmitDeadline(port) > turn.now) return;
  port.ntt = false;
  port.urgent = false;
  transmit(turn, port, lacpduFrame(port));
}

function transmit(turn: Turn, port: LacpPort, frame: Frame): void {
  if (port.sent.length === TX_LIMIT) port.sent.shift();
  port.sent.push(turn.now);
  port.counters.transmitted++;
  put(turn, { kind: "send", port: port.port, frame });
}

/** The last LACPDU of a port that speaks. DEPARTS: whatever was sent before it, for there is nothing after it. */
export function transmitLast(turn: Turn, port: LacpPort): void {
  if (port.up && lacpEnabled(port) && port.periodic !== "none") transmit(turn, port, lacpduFrame(port, CARRIES));
}

/** What a port says that its partner is to send nothing more to. */
export const CARRIES = STATE.synchronization | STATE.collecting | STATE.distributing;

/** When what is to be said may be said; NEVER when nothing is. */
export function transmitDeadline(port: LacpPort): Instant {
  if (!port.ntt) return NEVER;
  const [oldest] = port.sent;
  const allowed = port.sent.length < TX_LIMIT || oldest === undefined ? 0 : after(oldest, FAST_PERIODIC);
  const settled = port.urgent ? 0 : port.settleAt;
  return Math.max(allowed, settled) as Instant;
}

/** @param without bits of the state that are cleared */
export function lacpduFrame(port: LacpPort, without = 0): Frame {
  // Collector_Max_Delay 0: frames are handed on as they come (IEEE 802.1AX §6.2.3).
  const actor = actorOf(port);
  const said = without === 0 ? actor : { ...actor, state: actor.state & ~without };
  const pdu = { version: LACP_VERSION, actor: said, partner: port.partner, collectorMaxDelay: 0 };
  return Frame.of(ethernet(SLOW_GROUP, port.mac, ETHERTYPE.slow, encodeLacpdu(pdu)));
}
