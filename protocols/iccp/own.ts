/** The parameters of our own that are about the session itself; `message.ts` has their layouts. */
import { type Mac, macFrom } from "../../src/core/addr.ts";
import { Reader, u32 } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { SIGNATURE } from "./authentication.ts";
import { decodeItem, ITEM, type ItemReason } from "./item-codec.ts";
import type { Item } from "./items.ts";

export const OWN = { hello: 0x3f00, envelope: 0x3f01, authentication: 0x3f02, heartbeat: 0x3f03 } as const;
export const SIZE = { hello: 18, envelope: 16, heartbeat: 1 } as const;

export interface Hello {
  readonly major: number;
  readonly minor: number;
  readonly features: number;
  readonly system: Mac;
  readonly bootId: number;
}

/** 32 bits each. */
export interface Envelope {
  readonly epoch: number;
  /** The sender's count of messages in this epoch, from 1. */
  readonly sequence: number;
  /** What was heard last of the other side; 0 for nothing. */
  readonly echoEpoch: number;
  readonly echoSequence: number;
}

export function readHello(bytes: Uint8Array): Hello {
  const reader = new Reader(bytes);
  const version = { major: reader.u8(), minor: reader.u8() };
  reader.skip(2);
  const features = reader.u32();
  return { ...version, features, system: macFrom(reader.view(6)), bootId: reader.u32() };
}

export function readEnvelope(bytes: Uint8Array): Envelope {
  const reader = new Reader(bytes);
  const own = { epoch: reader.u32(), sequence: reader.u32() };
  return { ...own, echoEpoch: reader.u32(), echoSequence: reader.u32() };
}

/** A parameter of our own, for showing. */
export type OwnValue =
  | ({ readonly kind: "hello" } & Hello)
  | ({ readonly kind: "envelope" } & Envelope)
  /** Whether the code fits cannot be said without the secret. */
  | { readonly kind: "authentication"; readonly key: number }
  | { readonly kind: "heartbeat"; readonly asks: boolean }
  | Item;

const NAMES: ReadonlyMap<number, string> = new Map(
  [...Object.entries(OWN), ...Object.entries(ITEM)].map(([k, t]) => [t, k]),
);

/** The name of a type of our own. */
export function ownName(type: number): string | undefined {
  return NAMES.get(type);
}

/** Reads the value of a parameter of our own; undefined for another's. */
export function decodeOwn(type: number, bytes: Uint8Array): Result<OwnValue, ItemReason> | undefined {
  switch (type) {
    case OWN.hello:
      return bytes.length === SIZE.hello ? ok({ kind: "hello", ...readHello(bytes) }) : drop("item-length");
    case OWN.envelope:
      return bytes.length === SIZE.envelope ? ok({ kind: "envelope", ...readEnvelope(bytes) }) : drop("item-length");
    case OWN.authentication:
      return bytes.length === SIGNATURE ? ok({ kind: "authentication", key: u32(bytes, 0) }) : drop("item-length");
    case OWN.heartbeat:
      return bytes.length === SIZE.heartbeat ? ok({ kind: "heartbeat", asks: bytes[0] !== 2 }) : drop("item-length");
    default:
      return decodeItem(type, bytes);
  }
}
