/**
 * Messages as a session sends and hears them: one framing, with SONiC's parameters, ours, or both.
 *
 *   3f00  hello (in Capability and RG Connect, where a foreign daemon leaves it out in silence): major 1, minor 1,
 *         reserved 2, features 4, system 6, boot id 4
 *   3f01  envelope, in every message of our own: epoch 4, sequence 4, echo of the peer's epoch 4 and sequence 4
 *   3f02  authentication, last in the message: key id 4, HMAC-SHA-256 32 over all octets before the code
 *   3f03  heartbeat: 1 asks for an answer, 2 is one
 *
 * All of them have the U bit. Parameters of our own without it must be understood.
 */
import { macBytes } from "../../src/core/addr.ts";
import { Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { type AuthenticationKey, SIGNATURE, sign } from "./authentication.ts";
import { decodeIccp, type IccpMessageType, type IccpReason } from "./codec.ts";
import { parameterType, putValue, valueSize } from "./encode.ts";
import { decodeItem, type ItemReason, itemSize, itemType, putItem } from "./item-codec.ts";
import type { Item } from "./items.ts";
import { type Envelope, type Hello, OWN, readEnvelope, readHello, SIZE } from "./own.ts";
import type { IccpValue } from "./parameters.ts";

export type { Envelope, Hello } from "./own.ts";

const HEADER = 8;
const TLV_HEADER = 4;
const U = 0x8000;
/** Types that are ours: the last 256 of 14 bits. */
const FIRST_OWN = 0x3f00;

export interface Message {
  readonly type: IccpMessageType;
  readonly id: number;
  /** Parameters of RFC 7275 and of SONiC, in order. */
  readonly values: readonly IccpValue[];
  readonly hello?: Hello;
  readonly envelope?: Envelope;
  readonly heartbeat?: "ask" | "answer";
  readonly items: readonly Item[];
}

export interface Heard extends Message {
  /** The octets of the message itself. */
  readonly octets: Uint8Array;
  /** Value of the last parameter, if it is the authentication. */
  readonly signature: Uint8Array | undefined;
  /** The first type of our own range that is not known and must be. */
  readonly unknown: number | undefined;
}

/** `own-format`: one of our own parameters of the wrong size, twice, or behind the authentication. */
export type MessageReason = IccpReason | ItemReason | "own-format";

/** @param octets one whole message */
export function decodeMessage(octets: Uint8Array): Result<Heard, MessageReason> {
  const decoded = decodeIccp(octets);
  if (!decoded.ok) return decoded;
  const { type, id, parameters } = decoded.value;
  const values: IccpValue[] = [];
  const items: Item[] = [];
  let hello: Hello | undefined;
  let envelope: Envelope | undefined;
  let heartbeat: Message["heartbeat"];
  let signature: Uint8Array | undefined;
  let unknown: number | undefined;
  for (const { value, unknownBit } of parameters) {
    if (signature !== undefined) return drop("own-format");
    if (value.kind !== "other" || value.type < FIRST_OWN) {
      values.push(value);
      continue;
    }
    const { bytes } = value;
    switch (value.type) {
      case OWN.hello:
        if (hello !== undefined || bytes.length !== SIZE.hello) return drop("own-format");
        hello = readHello(bytes);
        break;
      case OWN.envelope:
        if (envelope !== undefined || bytes.length !== SIZE.envelope) return drop("own-format");
        envelope = readEnvelope(bytes);
        break;
      case OWN.heartbeat:
        if (bytes.length !== SIZE.heartbeat) return drop("own-format");
        heartbeat = bytes[0] === 2 ? "answer" : "ask";
        break;
      case OWN.authentication:
        if (bytes.length !== SIGNATURE) return drop("own-format");
        signature = bytes;
        break;
      default: {
        const item = decodeItem(value.type, bytes);
        if (item === undefined) {
          if (!unknownBit) unknown ??= value.type;
        } else if (!item.ok) return item;
        else items.push(item.value);
      }
    }
  }
  const own = {
    ...(hello === undefined ? {} : { hello }),
    ...(envelope === undefined ? {} : { envelope }),
    ...(heartbeat === undefined ? {} : { heartbeat }),
  };
  return ok({ type, id, values, ...own, items, octets, signature, unknown });
}

/**
 * One message with its parameters in the order: SONiC's, hello, envelope, heartbeat, items, authentication.
 * @param key signs it
 * @param before octets to leave free in front of it
 */
export function encodeMessage(message: Message, key?: AuthenticationKey, before = 0): Uint8Array {
  const { values, hello, envelope, heartbeat, items } = message;
  let size = HEADER;
  for (const value of values) size += TLV_HEADER + valueSize(value);
  if (hello !== undefined) size += TLV_HEADER + SIZE.hello;
  if (envelope !== undefined) size += TLV_HEADER + SIZE.envelope;
  if (heartbeat !== undefined) size += TLV_HEADER + SIZE.heartbeat;
  for (const item of items) size += TLV_HEADER + itemSize(item);
  if (key !== undefined) size += TLV_HEADER + SIGNATURE;
  const writer = new Writer(before + size, before)
    .u16(message.type)
    .u16(size - 4)
    .u32(message.id);
  for (const value of values) {
    // RFC 7275 §6.2.2: the ICCP capability is sent with the U bit.
    writer.u16((value.kind === "capability" ? U : 0) | parameterType(value)).u16(valueSize(value));
    putValue(writer, value);
  }
  if (hello !== undefined) {
    writer.u16(U | OWN.hello).u16(SIZE.hello);
    writer.u8(hello.major).u8(hello.minor).zero(2).u32(hello.features).put(macBytes(hello.system)).u32(hello.bootId);
  }
  if (envelope !== undefined) {
    writer.u16(U | OWN.envelope).u16(SIZE.envelope);
    writer.u32(envelope.epoch).u32(envelope.sequence).u32(envelope.echoEpoch).u32(envelope.echoSequence);
  }
  if (heartbeat !== undefined) {
    writer
      .u16(U | OWN.heartbeat)
      .u16(SIZE.heartbeat)
      .u8(heartbeat === "answer" ? 2 : 1);
  }
  for (const item of items) {
    writer.u16(U | itemType(item)).u16(itemSize(item));
    putItem(writer, item);
  }
  if (key !== undefined) {
    writer
      .u16(U | OWN.authentication)
      .u16(SIGNATURE)
      .u32(key.id);
    sign(writer.bytes.subarray(before), key);
  }
  return writer.bytes;
}

/** The RG id of a message; undefined for one that has none. */
export function domainOf({ values }: Message): number | undefined {
  for (const value of values) if (value.kind === "rgId") return value.rg;
  return undefined;
}
