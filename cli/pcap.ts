/** The frames of a world as a capture: one interface a link, each frame as its sender put it on the wire. */
import type { CaptureSink } from "../src/capture/sink.ts";
import type { Reader } from "../src/core/log.ts";
import type { World } from "../src/host/sim/world.ts";

/** A reader that writes what nodes send; virtual time starts at the epoch. */
export function captureLinks(world: World, sink: CaptureSink): Reader {
  const numbers = new Map<string, number>();
  for (const link of world.links.values()) {
    const description = link.ends.map((end) => `${end.nodeName}:${end.port.name}`).join(" - ");
    numbers.set(link.id, sink.addInterface({ name: link.id, description }));
  }
  return {
    everything: true,
    read({ at, node, what }) {
      if (what.kind !== "send") return;
      const end = world.end(node, what.port.name);
      const number = end === undefined ? undefined : numbers.get(end.link.id);
      if (end === undefined || number === undefined) return;
      const seconds = Math.floor(at / 1_000_000);
      sink.packet({
        interface: number,
        seconds,
        nanoseconds: (at - seconds * 1_000_000) * 1_000,
        bytes: what.frame.bytes,
        comment: `from ${node}:${what.port.name}${end.link.up ? "" : ", lost: the link is down"}`,
      });
    },
  };
}
