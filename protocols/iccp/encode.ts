/** The other half of `parameters.ts`: how values are written. */
import { ipBytes, macBytes } from "../../src/core/addr.ts";
import type { Writer } from "../../src/core/bytes.ts";
import {
  ARP_ENTRY,
  type IccpValue,
  MAC_ENTRY,
  NAME_SIZE,
  ND_ENTRY,
  PARAMETER,
  PORT_CHANNEL,
  SIZES,
} from "./parameters.ts";

/** The type that names a value's layout. */
export function parameterType(value: IccpValue): number {
  return value.kind === "other" ? value.type : PARAMETER[value.kind];
}

/** Octets of the value. */
export function valueSize(value: IccpValue): number {
  switch (value.kind) {
    case "senderName":
      return value.name.length;
    case "portChannel":
      return PORT_CHANNEL + 2 * value.vlans.length;
    case "arpList":
      return 2 + ARP_ENTRY * value.entries.length;
    case "ndList":
      return 2 + ND_ENTRY * value.entries.length;
    case "macList":
      return 2 + MAC_ENTRY * value.entries.length;
    case "other":
      return value.bytes.length;
    default:
      return SIZES[value.kind] ?? 0;
  }
}

export function putValue(writer: Writer, value: IccpValue): void {
  switch (value.kind) {
    case "senderName":
      putText(writer, value.name, value.name.length);
      break;
    case "nak":
      writer.u32(value.status).u32(value.rejected);
      break;
    case "disconnectCode":
      writer.u32(value.status);
      break;
    case "rgId":
      writer.u32(value.rg);
      break;
    case "systemConfig":
      writer.put(macBytes(value.system)).u16(value.priority).u8(value.node);
      break;
    case "aggregatorConfig":
      writer.put(value.roId).u16(value.aggregator).put(macBytes(value.mac)).u16(value.key).u16(value.memberPriority);
      writer.u8(value.flags).u8(value.name.length);
      putText(writer, value.name, NAME_SIZE);
      break;
    case "aggregatorState":
      writer.put(macBytes(value.partnerSystem)).u16(value.partnerPriority).u16(value.partnerKey);
      writer.u16(value.aggregator).u16(value.key).u8(value.state);
      break;
    case "syncRequest":
      writer.u16(value.request).u16(value.scope).u16(value.aggregator).u16(value.key);
      break;
    case "syncData":
      writer.u16(value.request).u16(value.flags);
      break;
    case "heartbeat":
    case "warmBoot":
      writer.u8(value.octet);
      break;
    case "capability":
      writer
        .u16(value.supported ? 0x8000 : 0)
        .u8(value.major)
        .u8(value.minor);
      break;
    case "peerLink":
      putText(writer, value.name, NAME_SIZE);
      writer.u8(value.type);
      break;
    case "interfaceUp":
      writer.u8(value.type).u8(value.isolation).u16(value.interface);
      break;
    case "other":
      writer.put(value.bytes);
      break;
    default:
      putList(writer, value);
  }
}

function putList(
  writer: Writer,
  value: Extract<IccpValue, { kind: "portChannel" | "arpList" | "ndList" | "macList" }>,
): void {
  if (value.kind === "portChannel") {
    writer.u16(value.aggregator);
    putText(writer, value.name, NAME_SIZE);
    writer.u8(value.name.length).u8(value.l3Mode).put(ipBytes(value.address).reverse());
    writer.u16(value.portChannel).u16(value.vlans.length);
    for (const vlan of value.vlans) writer.u16(vlan);
    return;
  }
  writer.u16(value.entries.length);
  if (value.kind === "macList") {
    for (const entry of value.entries) {
      writer.u8(entry.operation).u8(entry.type).put(macBytes(entry.mac)).u16(entry.vlan);
      putText(writer, entry.interface, NAME_SIZE);
    }
    return;
  }
  for (const entry of value.entries) {
    writer.u8(entry.operation).u8(entry.flags).u8(entry.learned);
    putText(writer, entry.interface, NAME_SIZE);
    writer.zero(1).put(ipBytes(entry.address)).put(macBytes(entry.mac)).zero(2);
  }
}

function putText(writer: Writer, value: string, size: number): void {
  for (let i = 0; i < size; i++) writer.u8(i < value.length ? value.charCodeAt(i) & 0xff : 0);
}
