/** What IP hands to the layers above it. */
import type { Ip } from "../../src/core/addr.ts";
import { judged, type Layers, type Part } from "./types.ts";

/** What the layers above need to know of an IP packet. */
export interface Carried {
  readonly family: "ipv4" | "ipv6";
  readonly source: Ip;
  readonly destination: Ip;
  readonly ttl: number;
  /** Behind options, extension and authentication headers. */
  readonly protocol: number;
  readonly payload: Part;
  /** Octets of the larger packet before this part of it. */
  readonly fragmentOffset: number;
  /** Why no receiver takes the packet, if so. */
  readonly fault: "ip" | "fragment" | undefined;
}

/** What is not for us: refused for its own faults, or left alone. */
export function refused(packet: Carried): Pick<Layers, "rx" | "reason"> {
  return packet.fault === undefined
    ? { rx: "ignore", reason: "not-vrrp" }
    : judged(packet.payload, "drop", packet.fault);
}
