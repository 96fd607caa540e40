/**
 * LACPDU and Marker PDU, the payload of EtherType 0x8809 (IEEE 802.1AX §6.4.2.3, §6.5.3.2): always 110 octets.
 *
 *      LACPDU                                          information TLV (actor 1, partner 2), 20 octets
 *   0  subtype 1                                        0  type        1  length 20
 *   1  version                                          2  system priority 2
 *   2  actor information, 20                            4  system 6
 *  22  partner information, 20                         10  key 2
 *  42  collector TLV: type 3, length 16,               12  port priority 2
 *      max delay 2 (10 µs), reserved 12                14  port 2
 *  58  terminator: type 0, length 0                    16  state 1
 *  60  reserved 50                                     17  reserved 3
 *
 *      Marker PDU
 *   0  subtype 2           6  requester system 6
 *   1  version            12  transaction 4
 *   2  type 1 or 2        16  pad 2
 *   3  length 16          18  terminator: type 0, length 0
 *   4  requester port 2   20  reserved 90
 *
 * What a receiver may check: IEEE 802.1AX §6.4.12 says that it shall not validate version, TLV types and reserved
 * fields, and may validate lengths. We read the fields at their fixed places and ask only that they are all there; what
 * a version 2 puts behind the collector TLV is not looked at.
 */
import { type Mac, macBytes, macFrom } from "../../src/core/addr.ts";
import { Reader, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";

/** IEEE 802.3 Annex 57A: subtypes of the slow protocols. */
export const SLOW_SUBTYPE = { lacp: 1, marker: 2, oam: 3, ossp: 10 } as const;
/** 01-80-C2-00-00-02. */
export const SLOW_GROUP = "01:80:c2:00:00:02" as Mac;
/** Octets of either PDU. */
export const PDU_SIZE = 110;
/** What is sent (IEEE 802.1AX §6.4.2.3). */
export const LACP_VERSION = 1;
/** Octets up to the end of a marker's own TLV: shorter frames than PDU_SIZE are in use. */
const MARKER_SIZE = 18;

/** Bits of the state octet (IEEE 802.1AX §6.4.2.3 m). */
export const STATE = {
  activity: 0x01,
  shortTimeout: 0x02,
  aggregation: 0x04,
  synchronization: 0x08,
  collecting: 0x10,
  distributing: 0x20,
  defaulted: 0x40,
  expired: 0x80,
} as const;

/** What an LACPDU says about one end of the link. */
export interface LacpInfo {
  /** 16 bit; lower is better. */
  readonly systemPriority: number;
  readonly system: Mac;
  readonly key: number;
  /** 16 bit; lower is better. */
  readonly portPriority: number;
  readonly port: number;
  /** Bits of STATE. */
  readonly state: number;
}

export interface Lacpdu {
  readonly version: number;
  readonly actor: LacpInfo;
  readonly partner: LacpInfo;
  /** In units of 10 µs. */
  readonly collectorMaxDelay: number;
}

export interface Marker {
  readonly version: number;
  readonly kind: "information" | "response";
  readonly port: number;
  readonly system: Mac;
  /** 32 bit; chosen by the requester. */
  readonly transaction: number;
}

/** Shorter than the PDU; another slow protocol; a marker that is neither information nor response. */
export type SlowReason = "length" | "subtype" | "tlv-type";

/** Reads the payload of EtherType 0x8809. */
export function decodeLacpdu(payload: Uint8Array): Result<Lacpdu, SlowReason> {
  if (payload.length === 0) return drop("length");
  if (payload[0] !== SLOW_SUBTYPE.lacp) return drop("subtype");
  if (payload.length < PDU_SIZE) return drop("length");
  const reader = new Reader(payload, 1);
  const version = reader.u8();
  const actor = information(reader);
  const partner = information(reader);
  reader.skip(2);
  return ok({ version, actor, partner, collectorMaxDelay: reader.u16() });
}

function information(reader: Reader): LacpInfo {
  reader.skip(2);
  const info = {
    systemPriority: reader.u16(),
    system: macFrom(reader.view(6)),
    key: reader.u16(),
    portPriority: reader.u16(),
    port: reader.u16(),
    state: reader.u8(),
  };
  reader.skip(3);
  return info;
}

export function encodeLacpdu(pdu: Lacpdu): Uint8Array {
  const writer = new Writer(PDU_SIZE).u8(SLOW_SUBTYPE.lacp).u8(pdu.version);
  putInformation(writer, 1, pdu.actor);
  putInformation(writer, 2, pdu.partner);
  return writer.u8(3).u8(16).u16(pdu.collectorMaxDelay).bytes;
}

function putInformation(writer: Writer, type: number, info: LacpInfo): void {
  writer.u8(type).u8(20).u16(info.systemPriority).put(macBytes(info.system)).u16(info.key);
  writer.u16(info.portPriority).u16(info.port).u8(info.state).zero(3);
}

/** Reads the payload of EtherType 0x8809. */
export function decodeMarker(payload: Uint8Array): Result<Marker, SlowReason> {
  if (payload.length === 0) return drop("length");
  if (payload[0] !== SLOW_SUBTYPE.marker) return drop("subtype");
  if (payload.length < MARKER_SIZE) return drop("length");
  const reader = new Reader(payload, 1);
  const version = reader.u8();
  const type = reader.u8();
  if (type !== 1 && type !== 2) return drop("tlv-type");
  reader.skip(1);
  return ok({
    version,
    kind: type === 1 ? "information" : "response",
    port: reader.u16(),
    system: macFrom(reader.view(6)),
    transaction: reader.u32(),
  });
}

export function encodeMarker(marker: Marker): Uint8Array {
  const writer = new Writer(PDU_SIZE).u8(SLOW_SUBTYPE.marker).u8(marker.version);
  writer.u8(marker.kind === "information" ? 1 : 2).u8(16);
  return writer.u16(marker.port).put(macBytes(marker.system)).u32(marker.transaction).bytes;
}

/** Whatever fields of an LACPDU are there, whole or cut: for showing, never for deciding. */
export interface LacpFields {
  readonly version?: number;
  readonly actor?: Partial<LacpInfo>;
  readonly partner?: Partial<LacpInfo>;
  readonly collectorMaxDelay?: number;
}

/** Reads any payload of subtype 1 as far as it goes. */
export function readLacpdu(payload: Uint8Array): LacpFields {
  const delay = fieldAt(payload, 44, 2);
  return {
    ...(payload.length > 1 ? { version: payload[1] ?? 0 } : {}),
    ...(payload.length >= 6 ? { actor: readInformation(payload, 2) } : {}),
    ...(payload.length >= 26 ? { partner: readInformation(payload, 22) } : {}),
    ...(delay === undefined ? {} : { collectorMaxDelay: delay }),
  };
}

function readInformation(payload: Uint8Array, at: number): Partial<LacpInfo> {
  const systemPriority = fieldAt(payload, at + 2, 2);
  const key = fieldAt(payload, at + 10, 2);
  const portPriority = fieldAt(payload, at + 12, 2);
  const port = fieldAt(payload, at + 14, 2);
  const state = fieldAt(payload, at + 16, 1);
  return {
    ...(systemPriority === undefined ? {} : { systemPriority }),
    ...(payload.length >= at + 10 ? { system: macFrom(payload, at + 4) } : {}),
    ...(key === undefined ? {} : { key }),
    ...(portPriority === undefined ? {} : { portPriority }),
    ...(port === undefined ? {} : { port }),
    ...(state === undefined ? {} : { state }),
  };
}

/** Whatever fields of a marker PDU are there. */
export interface MarkerFields {
  readonly version?: number;
  /** 1 information, 2 response. */
  readonly type?: number;
  readonly port?: number;
  readonly system?: Mac;
  readonly transaction?: number;
}

/** Reads any payload of subtype 2 as far as it goes. */
export function readMarker(payload: Uint8Array): MarkerFields {
  const port = fieldAt(payload, 4, 2);
  const transaction = fieldAt(payload, 12, 4);
  return {
    ...(payload.length > 1 ? { version: payload[1] ?? 0 } : {}),
    ...(payload.length > 2 ? { type: payload[2] ?? 0 } : {}),
    ...(port === undefined ? {} : { port }),
    ...(payload.length >= 12 ? { system: macFrom(payload, 6) } : {}),
    ...(transaction === undefined ? {} : { transaction }),
  };
}

function fieldAt(payload: Uint8Array, at: number, size: 1 | 2 | 4): number | undefined {
  if (payload.length < at + size) return undefined;
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + (payload[at + i] ?? 0);
  return value;
}
