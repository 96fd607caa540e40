/** The slow protocols for people: whatever of an LACPDU or marker is there. */
import { u32 } from "../../src/core/bytes.ts";
import { decodeLacpdu, decodeMarker, type LacpInfo, readLacpdu, readMarker, SLOW_SUBTYPE } from "../lacp/codec.ts";
import { hex, judged, type LacpEnd, type LacpShown, type Layers, type MarkerShown, type Part } from "./types.ts";

export function dissectSlow(part: Part): Layers {
  const { bytes } = part;
  const subtype = bytes[0];
  if (subtype === undefined) return { proto: "Slow Protocols", ...judged(part, "drop", "length") };
  switch (subtype) {
    case SLOW_SUBTYPE.lacp:
      return { proto: "LACP", slow_subtype: subtype, ...lacp(part) };
    case SLOW_SUBTYPE.marker:
      return { proto: "MARKER", slow_subtype: subtype, ...marker(part) };
    default:
      return { proto: nameOf(bytes, subtype), slow_subtype: subtype, ...judged(part, "ignore", "subtype") };
  }
}

function nameOf(bytes: Uint8Array, subtype: number): string {
  if (subtype === SLOW_SUBTYPE.oam) return "OAM";
  if (subtype !== SLOW_SUBTYPE.ossp) return "Slow Protocols";
  // ITU-T G.8264 §11.3.1: organisation 00-19-A7, subtype 1.
  return bytes.length >= 6 && u32(bytes, 1) === 0x0019a700 && bytes[5] === 1 ? "ESMC" : "OSSP";
}

function lacp(part: Part): Omit<Layers, "proto"> {
  const fields = readLacpdu(part.bytes);
  const shown: LacpShown = {
    ...(fields.version === undefined ? {} : { version: fields.version }),
    ...(fields.actor === undefined ? {} : { actor: endOf(fields.actor) }),
    ...(fields.partner === undefined ? {} : { partner: endOf(fields.partner) }),
    ...(fields.collectorMaxDelay === undefined ? {} : { collector_max_delay: fields.collectorMaxDelay }),
  };
  const decoded = decodeLacpdu(part.bytes);
  const verdict = decoded.ok ? judged(part, "accept") : judged(part, "drop", decoded.reason);
  return { ...(fields.version === undefined ? {} : { lacp: shown }), ...verdict };
}

function endOf(info: Partial<LacpInfo>): LacpEnd {
  return {
    ...(info.systemPriority === undefined ? {} : { sys_priority: info.systemPriority }),
    ...(info.system === undefined ? {} : { system: info.system }),
    ...(info.key === undefined ? {} : { key: info.key }),
    ...(info.portPriority === undefined ? {} : { port_priority: info.portPriority }),
    ...(info.port === undefined ? {} : { port: info.port }),
    ...(info.state === undefined ? {} : { state: hex(info.state, 2) }),
  };
}

const KINDS: ReadonlyMap<number, "information" | "response"> = new Map([
  [1, "information"],
  [2, "response"],
]);

function marker(part: Part): Omit<Layers, "proto"> {
  const { version, type, port, system, transaction } = readMarker(part.bytes);
  const shown: MarkerShown = {
    ...(version === undefined ? {} : { version }),
    ...(type === undefined ? {} : { tlv_type: type, kind: KINDS.get(type) ?? "unknown" }),
    ...(port === undefined ? {} : { port }),
    ...(system === undefined ? {} : { system }),
    ...(transaction === undefined ? {} : { transaction }),
  };
  const decoded = decodeMarker(part.bytes);
  const fields = version === undefined ? {} : { marker: shown };
  if (decoded.ok) return { ...fields, ...judged(part, "accept") };
  // A type that only a later version knows is not an error.
  return { ...fields, ...judged(part, decoded.reason === "tlv-type" ? "ignore" : "drop", decoded.reason) };
}
