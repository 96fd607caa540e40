/** ICMPv6 and neighbour discovery for people. */
import type { Ip6 } from "../../src/core/addr.ts";
import { PROTOCOL, upperChecksumFits } from "../ip/codec.ts";
import { decodeNd, decodeNdFixed, isNd, linkLayer, type NdMessage, receiveNd } from "../nd/codec.ts";
import { type Carried, refused } from "./carried.ts";
import { type Icmpv6Fields, isCut, judged, type Layers, type NaFields, type NdFields } from "./types.ts";

/** RFC 4861 §4.5: of neighbour discovery too, but nothing that we act on. */
const REDIRECT = 137;

export function dissectIcmpv6(packet: Carried): Layers {
  const { payload } = packet;
  const { bytes } = payload;
  const type = bytes[0] ?? 0;
  const status = bytes.length < 4 ? {} : { checksum_status: statusOf(packet) };
  if (!isNd(bytes)) {
    return { proto: type === REDIRECT ? "ND" : "ICMPv6", icmpv6: { type, ...status }, ...refused(packet) };
  }
  const whole = decodeNd(bytes);
  const message = whole.ok ? whole : decodeNdFixed(bytes);
  const nd = message.ok ? shown(message.value) : undefined;
  const na = nd?.kind === "advertisement" ? { na: withoutKind(nd) } : {};
  return { proto: "ND", icmpv6: { type, ...status, ...na }, ...(nd === undefined ? {} : { nd }), ...verdict(packet) };
}

function statusOf(packet: Carried): NonNullable<Icmpv6Fields["checksum_status"]> {
  if (isCut(packet.payload) || packet.fault === "fragment") return "unverified";
  return upperChecksumFits({ ...packet, protocol: PROTOCOL.icmpv6 }, packet.payload.bytes) ? "good" : "bad";
}

function verdict(packet: Carried): Pick<Layers, "rx" | "reason"> {
  if (packet.fault !== undefined) return refused(packet);
  const { ttl, payload } = packet;
  // An ICMPv6 message in IPv6: the addresses are of that family.
  const around = { source: packet.source as Ip6, destination: packet.destination as Ip6, ttl };
  const received = receiveNd(payload.bytes, around);
  return received.ok ? { rx: "accept" } : judged(payload, "drop", received.reason);
}

function shown(message: NdMessage): NdFields {
  const { kind } = message;
  const source = linkLayer(message, "source-link-layer");
  const from = source === undefined ? {} : { source_lladdr: source };
  switch (kind) {
    case "advertisement": {
      const { target, router, solicited, override } = message;
      const mac = linkLayer(message, "target-link-layer");
      return { kind, target, router, solicited, override, ...(mac === undefined ? {} : { target_lladdr: mac }) };
    }
    case "solicitation":
      return { kind, target: message.target, ...from };
    case "router-solicitation":
      return { kind, ...from };
    case "router-advertisement":
      return { kind, hop_limit: message.hopLimit, lifetime: message.lifetime, ...from };
  }
}

function withoutKind(nd: NaFields & { readonly kind: string }): NaFields {
  const { kind: _kind, ...fields } = nd;
  return fields;
}
