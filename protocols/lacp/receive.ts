/**
 * The Receive machine: IEEE 802.1AX §6.4.12. One row a state; what is below is that table in code.
 *
 *   state          on entry                                                    leaves for
 *   initialize     Selected := UNSELECTED, recordDefault, Expired := 0,        port-disabled, at once
 *                  port_moved := 0
 *   port-disabled  Partner.Sync := 0                                           initialize (port_moved),
 *                                                                              expired / lacp-disabled (port enabled)
 *   lacp-disabled  Selected := UNSELECTED, recordDefault, Partner.Aggregation  port-disabled (LACP enabled)
 *                  := 0, Expired := 0
 *   expired        Partner.Sync := 0, Partner.Timeout := short,                current (LACPDU), defaulted (timer)
 *                  current_while := 3 s, Expired := 1
 *   defaulted      updateDefaultSelected, recordDefault, Expired := 0          current (LACPDU)
 *   current        updateSelected, updateNtt, recordPdu, Expired := 0,         current (LACPDU), expired (timer)
 *                  current_while := 3 s or 90 s by Actor.Timeout
 *   any            port disabled: port-disabled
 */
import { after, NEVER } from "../../src/core/time.ts";
import { type Lacpdu, type LacpInfo, STATE } from "./codec.ts";
import { deselect } from "./mux.ts";
import {
  actorOf,
  has,
  type LacpPort,
  LONG_TIMEOUT,
  lacpEnabled,
  lower,
  needToTransmit,
  partnerAdmin,
  raise,
  SHORT_TIMEOUT,
  type Turn,
} from "./state.ts";

/** BEGIN, and port_moved. */
export function initialize(turn: Turn, port: LacpPort): void {
  port.receive = "initialize";
  deselect(turn, port);
  recordDefault(port);
  lower(port, STATE.expired);
  port.portMoved = false;
  disable(port);
}

function disable(port: LacpPort): void {
  port.receive = "port-disabled";
  port.silent = false;
  port.currentWhile = NEVER;
  setPartner(port, port.partner.state & ~STATE.synchronization);
}

/** Carrier, LACP_Enabled or port_moved changed. */
export function reviewPort(turn: Turn, port: LacpPort): void {
  if (port.receive === "initialize") initialize(turn, port);
  if (!port.up) {
    if (port.receive !== "port-disabled") {
      disable(port);
      // Its other end hears nothing: whatever it was selected for is over.
      deselect(turn, port);
    }
    if (port.portMoved) initialize(turn, port);
    return;
  }
  if (!lacpEnabled(port)) {
    if (port.receive !== "lacp-disabled") disableLacp(turn, port);
    return;
  }
  if (port.receive === "port-disabled" || port.receive === "lacp-disabled") {
    expire(turn, port);
    // Not in the standard, which waits for the periodic timer: the partner learns at once that somebody is there.
    needToTransmit(turn, port, false);
  }
}

function disableLacp(turn: Turn, port: LacpPort): void {
  port.receive = "lacp-disabled";
  port.silent = false;
  port.currentWhile = NEVER;
  deselect(turn, port);
  recordDefault(port);
  setPartner(port, port.partner.state & ~STATE.aggregation);
  lower(port, STATE.expired);
}

function expire(turn: Turn, port: LacpPort): void {
  port.receive = "expired";
  setPartner(port, (port.partner.state & ~STATE.synchronization) | STATE.shortTimeout);
  port.currentWhile = after(turn.now, SHORT_TIMEOUT);
  raise(port, STATE.expired);
}

/** current_while is over. */
export function receiveTimer(turn: Turn, port: LacpPort): void {
  if (port.currentWhile > turn.now) return;
  port.currentWhile = NEVER;
  if (port.receive === "current") {
    expire(turn, port);
    port.silent = true;
    // Expired is no reason for NTT in the standard; but a partner that still hears us must stop sending.
    needToTransmit(turn, port, true);
  } else if (port.receive === "expired") {
    port.receive = "defaulted";
    // updateDefaultSelected: UNSELECTED when what is held differs from the administrative defaults.
    if (!sameLink(port.partner, partnerAdmin(port.bundle))) deselect(turn, port);
    recordDefault(port);
    lower(port, STATE.expired);
  }
}

/** An LACPDU for an enabled port. */
export function receiveLacpdu(turn: Turn, port: LacpPort, pdu: Lacpdu): void {
  port.counters.received++;
  if (port.receive !== "current" && port.receive !== "expired" && port.receive !== "defaulted") return;
  // updateSelected
  if (!sameLink(pdu.actor, port.partner)) deselect(turn, port);
  updateNtt(turn, port, pdu);
  if (port.receive !== "current" && port.lost) {
    port.restoreUntil = after(turn.now, port.bundle.config.waitToRestore);
    port.lost = false;
  }
  recordPdu(port, pdu);
  port.receive = "current";
  port.silent = false;
  port.heardAt = turn.now;
  port.currentWhile = after(turn.now, has(port.state, STATE.shortTimeout) ? SHORT_TIMEOUT : LONG_TIMEOUT);
  lower(port, STATE.expired);
  noteMoved(turn, port);
}

/** What makes two reports be about one link: all but the state, of which only Aggregation counts. */
function sameLink(a: LacpInfo, b: LacpInfo): boolean {
  return (
    a.port === b.port &&
    a.portPriority === b.portPriority &&
    a.system === b.system &&
    a.systemPriority === b.systemPriority &&
    a.key === b.key &&
    ((a.state ^ b.state) & STATE.aggregation) === 0
  );
}

const NTT_BITS = STATE.activity | STATE.shortTimeout | STATE.synchronization | STATE.aggregation;

/** IEEE 802.1AX §6.4.9, update_NTT: what the partner holds of us is not so. */
function updateNtt(turn: Turn, port: LacpPort, pdu: Lacpdu): void {
  const actor = actorOf(port);
  if (!sameLink(pdu.partner, actor) || ((pdu.partner.state ^ actor.state) & NTT_BITS) !== 0) {
    needToTransmit(turn, port, false);
  }
}

/** IEEE 802.1AX §6.4.9, recordPDU. */
function recordPdu(port: LacpPort, { actor, partner }: Lacpdu): void {
  const matched = sameLink(partner, actorOf(port)) || !has(actor.state, STATE.aggregation);
  const active =
    has(actor.state, STATE.activity) || (has(port.state, STATE.activity) && has(partner.state, STATE.activity));
  const inSync = has(actor.state, STATE.synchronization) && matched && active;
  port.partner = actor;
  if (!inSync) setPartner(port, actor.state & ~STATE.synchronization);
  lower(port, STATE.defaulted);
}

/** IEEE 802.1AX §6.4.9, recordDefault. DEPARTS: Partner.Sync stays 0; who wants a link without LACP says `fallback`. */
function recordDefault(port: LacpPort): void {
  port.partner = partnerAdmin(port.bundle);
  raise(port, STATE.defaulted);
}

function setPartner(port: LacpPort, state: number): void {
  if (port.partner.state !== state) port.partner = { ...port.partner, state };
}

/** IEEE 802.1AX §6.4.8, port_moved: the far end of a port without carrier was heard on this one. */
function noteMoved(turn: Turn, port: LacpPort): void {
  const { system, port: number } = port.partner;
  for (const other of turn.ports) {
    if (other === port || other.receive !== "port-disabled" || has(other.state, STATE.defaulted)) continue;
    if (other.partner.system !== system || other.partner.port !== number) continue;
    other.portMoved = true;
    initialize(turn, other);
  }
}
