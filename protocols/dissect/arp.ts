/** ARP for people: also packets that no host would act on. */
import { ip4From, macFrom } from "../../src/core/addr.ts";
import { u16 } from "../../src/core/bytes.ts";
import { decodeArp, REPLY } from "../arp/codec.ts";
import { type ArpFields, judged, type Layers, type Part } from "./types.ts";

export function dissectArp(part: Part): Layers {
  const { bytes } = part;
  const arp = bytes.length < 8 ? {} : { arp: fieldsOf(bytes) };
  const inverse = arp.arp?.op === 8 || arp.arp?.op === 9;
  const head = { proto: inverse ? "Inverse ARP" : "ARP", ...arp };
  const decoded = decodeArp(bytes);
  if (!decoded.ok) return { ...head, ...judged(part, "drop", decoded.reason) };
  return { ...head, ...(decoded.value.operation > REPLY ? judged(part, "ignore", "arp-op") : judged(part, "accept")) };
}

/** RFC 826: the addresses are as long as the packet says. */
function fieldsOf(bytes: Uint8Array): ArpFields {
  const hardware = bytes[4] ?? 0;
  const protocol = bytes[5] ?? 0;
  const whole = bytes.length >= 8 + 2 * (hardware + protocol);
  const mac = (at: number) => (whole && u16(bytes, 0) === 1 && hardware === 6 ? macFrom(bytes, at) : null);
  const ip = (at: number) => (whole && u16(bytes, 2) === 0x0800 && protocol === 4 ? ip4From(bytes, at) : null);
  const spa = ip(8 + hardware);
  const target = 8 + hardware + protocol;
  const tpa = ip(target + hardware);
  return {
    op: u16(bytes, 6),
    sha: mac(8),
    spa,
    tha: mac(target),
    tpa,
    gratuitous: spa !== null && spa === tpa,
  };
}
