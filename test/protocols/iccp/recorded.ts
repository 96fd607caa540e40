/** A capture of the wire between the two switches of the bench. */
import type { CapturedPacket } from "../../../src/host/replay/replay.ts";
import { type Options, Pair } from "./bench.ts";

export interface Recorded {
  readonly pair: Pair;
  /** What both have sent so far, numbered from 1. */
  readonly packets: () => CapturedPacket[];
}

export function record(options: Options = {}): Recorded {
  const pair = new Pair(options);
  const frames: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  pair.log.follow({
    everything: true,
    read: ({ at, what }) => {
      if (what.kind === "send" && what.port.name === "e0") frames.push({ at, bytes: what.frame.bytes });
    },
  });
  return { pair, packets: () => packetsOf(frames) };
}

export function packetsOf(frames: readonly { readonly at: number; readonly bytes: Uint8Array }[]): CapturedPacket[] {
  return frames.map(({ at, bytes }, i) => ({
    number: i + 1,
    seconds: Math.floor(at / 1e6),
    nanoseconds: (at % 1e6) * 1_000,
    length: bytes.length,
    bytes,
    interface: { index: 0, name: "eth0", linkType: 1, fcsLength: 0 },
  }));
}

export function timeOf({ seconds, nanoseconds }: CapturedPacket): number {
  return seconds * 1e6 + nanoseconds / 1_000;
}

/** The packets as they are then, in another order, with another number of them, tagged, … */
export function rearranged(
  packets: readonly CapturedPacket[],
  change: (packets: readonly CapturedPacket[]) => readonly CapturedPacket[],
): CapturedPacket[] {
  return packetsOf(change(packets).map((packet) => ({ at: timeOf(packet), bytes: packet.bytes })));
}
