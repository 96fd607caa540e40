/**
 * Frames that circle, seen where it costs nothing in a network without loops: at a station that moves, and at an address
 * of the switch itself.
 */
import { macFrom } from "../../src/core/addr.ts";
import { Frame } from "../../src/core/frame.ts";
import type { Path, Port } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import { ms } from "../../src/core/time.ts";
import type { LoopEvent } from "./events.ts";

/** Between two words of one kind. */
const QUIET = ms(100);

export interface LoopWatch {
  /** What the latest frame that moved its sender was when it was sent, whatever tags it has had since. */
  mover: Frame | undefined;
  loopSaid: number;
  returnSaid: number;
}

export function newLoopWatch(): LoopWatch {
  return { mover: undefined, loopSaid: Number.NEGATIVE_INFINITY, returnSaid: Number.NEGATIVE_INFINITY };
}

/** A station has moved by this frame. One that does so twice has crossed the switch twice at least. */
export function noteMove(loops: LoopWatch, vlan: number, port: Port, frame: Frame, now: Instant, path: Path): void {
  if (isVirtual(frame)) return;
  const sent = asSent(frame);
  const again = sent === loops.mover;
  loops.mover = sent;
  if (!again || now - loops.loopSaid < QUIET) return;
  loops.loopSaid = now;
  say("bridge.loop", vlan, port, frame, path);
}

/** A frame with an address of the switch itself as its source. */
export function noteReturn(loops: LoopWatch, vlan: number, port: Port, frame: Frame, now: Instant, path: Path): void {
  if (now - loops.returnSaid < QUIET) return;
  loops.returnSaid = now;
  say("bridge.returned", vlan, port, frame, path);
}

/** RFC 9568 §7.3: a virtual router's MAC moves with its master, who may send one and the same advert again and again. */
function isVirtual({ header: { srcHi, srcLo } }: Frame): boolean {
  return srcHi === 0x0000 && (srcLo >>> 8 === 0x5e0001 || srcLo >>> 8 === 0x5e0002);
}

/** A link with more than two ends gives all of them one frame; on the way tags come and go. */
function asSent(frame: Frame): Frame {
  let sent = frame;
  while (sent.source instanceof Frame) sent = sent.source;
  return sent;
}

function say(type: LoopEvent["type"], vlan: number, port: Port, { header }: Frame, path: Path): void {
  const { srcHi: hi, srcLo: lo } = header;
  const mac = macFrom(Uint8Array.of(hi >>> 8, hi, lo >>> 24, lo >>> 16, lo >>> 8, lo));
  const event: LoopEvent = { type, vlan, mac, port: port.name };
  path.say(event);
}
