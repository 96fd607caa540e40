/** What the observers say of a capture. */

import { protocols } from "../../protocols/index.ts";
import type { ObserverEvent } from "../../protocols/vrrp/observer-events.ts";
import { Log } from "../../src/core/log.ts";
import { toSeconds } from "../../src/core/time.ts";
import { type CapturedPacket, Replay } from "../../src/host/replay/replay.ts";

export type Seen = ObserverEvent & { readonly t: number };

/** Feeds packets to everything that observes; what is said, in order. */
export function replayPackets(packets: Iterable<CapturedPacket>): Seen[] {
  const log = new Log();
  const seen: Seen[] = [];
  log.follow({
    everything: false,
    read: ({ at, what }) => {
      if (what.kind === "event") seen.push({ ...(what.event as ObserverEvent), t: toSeconds(at) });
    },
  });
  const replay = new Replay({
    log,
    observe: (port, env) => protocols.flatMap((protocol) => protocol.observe?.(port, env) ?? []),
  });
  for (const packet of packets) replay.feed(packet);
  replay.end();
  return seen;
}

/** Those of one type. */
export function only<T extends ObserverEvent["type"]>(seen: readonly Seen[], type: T): Extract<Seen, { type: T }>[] {
  return seen.filter((event): event is Extract<Seen, { type: T }> => event.type === type);
}
