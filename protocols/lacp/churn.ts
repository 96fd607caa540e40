/**
 * The Churn Detection machines: IEEE 802.1AX §6.4.17, one for each end's Synchronization bit.
 *
 *   state     on entry                        leaves for
 *   monitor   timer := Churn_Detection_Time   no-churn (Sync = 1), churn (timer)
 *   churn     counted and said                no-churn (Sync = 1)
 *   no-churn                                  monitor (Sync = 0)
 *   any       port disabled: monitor, with the timer stopped until it is enabled
 */
import { after, NEVER } from "../../src/core/time.ts";
import { STATE } from "./codec.ts";
import { CHURN_DETECTION, type ChurnSide, has, type LacpPort, lacpEnabled, say, type Turn } from "./state.ts";

export function runChurn(turn: Turn, port: LacpPort): void {
  runSide(turn, port, port.actorChurn, "actor", port.state);
  runSide(turn, port, port.partnerChurn, "partner", port.partner.state);
}

function runSide(turn: Turn, port: LacpPort, side: ChurnSide, name: "actor" | "partner", state: number): void {
  if (!port.up || !lacpEnabled(port)) {
    if (side.state === "churn") tell(turn, port, side, name, false);
    side.state = "monitor";
    side.until = NEVER;
    return;
  }
  if (has(state, STATE.synchronization)) {
    if (side.state === "churn") tell(turn, port, side, name, false);
    side.state = "no-churn";
    side.until = NEVER;
  } else if (side.state === "no-churn" || (side.state === "monitor" && side.until === NEVER)) {
    side.state = "monitor";
    side.until = after(turn.now, CHURN_DETECTION);
  } else if (side.state === "monitor" && side.until <= turn.now) {
    side.state = "churn";
    side.until = NEVER;
    side.count++;
    tell(turn, port, side, name, true);
  }
}

function tell(turn: Turn, port: LacpPort, { count }: ChurnSide, side: "actor" | "partner", churned: boolean): void {
  say(turn, { type: "lacp.churn", port: port.port.name, bundle: port.bundle.config.name, side, churned, count });
}
