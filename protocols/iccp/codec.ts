/**
 * ICCP messages (RFC 7275 §6) as SONiC's iccpd sends them: directly on TCP port 8888, without an LDP PDU around them.
 *
 *   message                                  parameter TLV
 *   0  U 1, type 15                          0  U 1, F 1, type 14
 *   2  length 2: octets from 4 on            2  length 2: octets of the value
 *   4  message id 4                          4  value; `parameters.ts` has the layouts
 *   8  parameters
 */
import { type Ip, ipBytes } from "../../src/core/addr.ts";
import { Reader, u16, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { parameterType, putValue, valueSize } from "./encode.ts";
import { decodeValue, type IccpValue, type IccpValueReason } from "./parameters.ts";

export { type AuthenticationKey, SIGNATURE, sign, verify } from "./authentication.ts";
export { decodeOwn, type OwnValue, ownName } from "./own.ts";
export {
  decodeValue,
  type IccpValue,
  type IccpValueReason,
  type MacEntry,
  NAME_SIZE,
  type NeighbourEntry,
  PARAMETER,
} from "./parameters.ts";

/** The port of SONiC's iccpd. */
export const ICCP_PORT = 8888;
const HEADER = 8;
const TLV_HEADER = 4;
/** Octets of the longest message: its length field counts from the message id on. */
export const MAX_MESSAGE = 4 + 0xffff;

export const MESSAGE = {
  capability: 0x0202,
  rgConnect: 0x0700,
  rgDisconnect: 0x0701,
  rgNotification: 0x0702,
  rgApplicationData: 0x0703,
} as const;

export type IccpMessageType = (typeof MESSAGE)[keyof typeof MESSAGE];

export interface IccpParameter {
  /** U: whoever does not know the type leaves it out in silence. */
  readonly unknownBit: boolean;
  /** F: whoever does not know the type passes it on all the same. */
  readonly forwardBit: boolean;
  readonly value: IccpValue;
}

export interface IccpMessage {
  readonly unknownBit: boolean;
  readonly type: IccpMessageType;
  /** 32 bit. */
  readonly id: number;
  readonly parameters: readonly IccpParameter[];
}

/** A message that is not whole; a length that has no room for the id; a type that is not one of MESSAGE. */
export type IccpReason = "length" | "message-length" | "message-type" | IccpValueReason;

/**
 * Octets of the message at `at`, for cutting a stream into messages.
 * @returns undefined while its length has not come; 0 when it cannot be a message, and the stream is lost with it
 */
export function messageSize(bytes: Uint8Array, at = 0): number | undefined {
  if (bytes.length < at + 4) return undefined;
  const length = u16(bytes, at + 2);
  return length < HEADER - 4 ? 0 : 4 + length;
}

export function isMessageType(type: number): type is IccpMessageType {
  return type === MESSAGE.capability || (type >= MESSAGE.rgConnect && type <= MESSAGE.rgApplicationData);
}

/** Reads one whole message; octets behind it are not looked at. */
export function decodeIccp(bytes: Uint8Array): Result<IccpMessage, IccpReason> {
  const size = messageSize(bytes);
  if (size === 0) return drop("message-length");
  if (size === undefined || bytes.length < size) return drop("length");
  const reader = new Reader(bytes, 0, size);
  const first = reader.u16();
  const type = first & 0x7fff;
  if (!isMessageType(type)) return drop("message-type");
  reader.skip(2);
  const id = reader.u32();
  const parameters: IccpParameter[] = [];
  while (reader.left > 0) {
    const tlv = nextTlv(reader);
    if (tlv === undefined) return drop("tlv-length");
    const value = decodeValue(tlv.type, tlv.value);
    if (!value.ok) return value;
    parameters.push({ unknownBit: tlv.unknownBit, forwardBit: tlv.forwardBit, value: value.value });
  }
  return ok({ unknownBit: (first & 0x8000) !== 0, type, id, parameters });
}

/** A parameter as it stands. */
export interface Tlv {
  readonly unknownBit: boolean;
  readonly forwardBit: boolean;
  /** 14 bit. */
  readonly type: number;
  /** A view. */
  readonly value: Uint8Array;
}

function nextTlv(reader: Reader): Tlv | undefined {
  const first = reader.u16();
  const value = reader.view(reader.u16());
  if (reader.short) return undefined;
  return { unknownBit: (first & 0x8000) !== 0, forwardBit: (first & 0x4000) !== 0, type: first & 0x3fff, value };
}

/** The parameters of a message as far as they are whole: for showing, never for deciding. */
export function readTlvs(message: Uint8Array): readonly Tlv[] {
  const size = messageSize(message) ?? 0;
  const reader = new Reader(message, Math.min(HEADER, message.length), Math.min(size, message.length));
  const tlvs: Tlv[] = [];
  while (reader.left > 0) {
    const tlv = nextTlv(reader);
    if (tlv === undefined) break;
    tlvs.push(tlv);
  }
  return tlvs;
}

/** @param message whose parameters take at most 65,531 octets */
export function encodeIccp(message: IccpMessage): Uint8Array {
  const { parameters } = message;
  const size = parameters.reduce((sum, { value }) => sum + TLV_HEADER + valueSize(value), HEADER);
  const writer = new Writer(size)
    .u16((message.unknownBit ? 0x8000 : 0) | message.type)
    .u16(size - 4)
    .u32(message.id);
  for (const { unknownBit, forwardBit, value } of parameters) {
    writer.u16((unknownBit ? 0x8000 : 0) | (forwardBit ? 0x4000 : 0) | parameterType(value)).u16(valueSize(value));
    putValue(writer, value);
  }
  return writer.bytes;
}

/**
 * Whether the end with the address `local` is the one that connects, and is iccpd's "active": the lower of both as
 * iccpd compares IPv4 addresses, octet-reversed (as a little-endian machine reads them). IPv6, which iccpd does not
 * speak, in network order. Addresses of one family, and not equal.
 */
export function connects(local: Ip, peer: Ip): boolean {
  const mine = ipBytes(local);
  const theirs = ipBytes(peer);
  if (mine.length === 4) {
    mine.reverse();
    theirs.reverse();
  }
  for (let i = 0; i < mine.length; i++) {
    const difference = (mine[i] ?? 0) - (theirs[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
