/**
 * The Marker protocol: IEEE 802.1AX §6.5. Whoever gets a marker answers it, behind all that it got before; whoever
 * gets the answer knows that nothing that it sent before is under way on that link.
 */
import { Frame } from "../../src/core/frame.ts";
import { after, NEVER } from "../../src/core/time.ts";
import { ETHERTYPE, ethernet } from "../ethernet/codec.ts";
import { encodeMarker, LACP_VERSION, type Marker, SLOW_GROUP } from "./codec.ts";
import { actorOf, type LacpPort, put, type Turn } from "./state.ts";

/** §6.5.4, Marker Responder: the same requester and transaction, from this port. */
export function respond(turn: Turn, port: LacpPort, marker: Marker): void {
  port.counters.responses++;
  send(turn, port, { ...marker, version: LACP_VERSION, kind: "response" });
}

/** Asks what is under way on the link; `flushUntil` is set until the answer, at most for the bundle's `flush`. */
export function mark(turn: Turn, port: LacpPort): void {
  turn.transactions = (turn.transactions + 1) >>> 0;
  port.transaction = turn.transactions;
  port.flushUntil = after(turn.now, port.bundle.config.flush);
  port.counters.markers++;
  const { system, port: number } = actorOf(port);
  send(turn, port, { version: LACP_VERSION, kind: "information", port: number, system, transaction: port.transaction });
}

/** Whether it answers the marker that this port waits for. */
export function isAnswer(port: LacpPort, marker: Marker): boolean {
  if (port.flushUntil === NEVER || marker.transaction !== port.transaction) return false;
  const { system, port: number } = actorOf(port);
  return marker.system === system && marker.port === number;
}

function send(turn: Turn, port: LacpPort, marker: Marker): void {
  const frame = Frame.of(ethernet(SLOW_GROUP, port.mac, ETHERTYPE.slow, encodeMarker(marker)));
  put(turn, { kind: "send", port: port.port, frame });
}
