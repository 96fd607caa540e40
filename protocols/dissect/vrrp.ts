/** VRRP and CARP for people, and what receivers of either version do with an advert. */
import { isMulticast } from "../../src/core/addr.ts";
import { onesSum, toHex, u16 } from "../../src/core/bytes.ts";
import {
  checksumFormsOf,
  decodeAdvert,
  isCarp,
  readAdvert,
  type Trailer,
  VRRP_GROUP_4,
  VRRP_GROUP_6,
} from "../vrrp/codec.ts";
import type { Carried } from "./carried.ts";
import {
  type CarpFields,
  hex,
  isCut,
  type Layers,
  type Reason,
  type VersionedVerdict,
  type VrrpFields,
} from "./types.ts";

/** RFC 2338 §5.3.6: none, simple text password, IP authentication header. */
const LAST_AUTH_TYPE = 2;
const UTF8 = new TextDecoder();

export function dissectVrrp(packet: Carried): Layers {
  const vrrp = fieldsOf(packet);
  return { proto: "VRRP", ...(vrrp === undefined ? {} : { vrrp }), rx: verdict(packet) };
}

function fieldsOf(packet: Carried): VrrpFields | undefined {
  const { payload, family } = packet;
  const fields = readAdvert(payload.bytes, family);
  if (fields === undefined) return undefined;
  const { version, type, vrid, priority, count, intervalCs, intervalS, authType, authData, reserved } = fields;
  return {
    version,
    type,
    ...(vrid === undefined ? {} : { vrid }),
    ...(priority === undefined ? {} : { priority }),
    ...(count === undefined ? {} : { count }),
    ...(intervalCs === undefined ? {} : { adv_cs: intervalCs }),
    ...(intervalS === undefined ? {} : { adv_s: intervalS }),
    ...(authType === undefined ? {} : { auth_type: authType }),
    ...(authType === 1 && authData !== undefined ? { auth_string: textOf(authData) } : {}),
    ...(reserved === undefined ? {} : { reserved }),
    ...(fields.addresses === undefined ? {} : { addresses: fields.addresses }),
    ...(fields.trailer === undefined ? {} : { trailer: trailerOf(fields.trailer) }),
    ...(fields.checksum === undefined ? {} : checksumOf(packet, version, fields.checksum)),
  };
}

function trailerOf({ keyId, sequence: { seconds, rest }, hmac }: Trailer): NonNullable<VrrpFields["trailer"]> {
  const time = (seconds + (rest >>> 16) / 0x10000).toFixed(6);
  return { key: keyId, sequence: hexDigits(seconds) + hexDigits(rest), time, hmac: toHex(hmac) };
}

function hexDigits(word: number): string {
  return word.toString(16).padStart(8, "0");
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return UTF8.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

type Checksum = Pick<VrrpFields, "checksum" | "checksum_status" | "checksum_covers">;

function checksumOf(packet: Carried, version: number, value: number): Checksum {
  const checksum = hex(value, 4);
  if (isCut(packet.payload)) return { checksum, checksum_status: "unverified" };
  const forms = checksumFormsOf({ ...packet, payload: packet.payload.bytes });
  const usual = forms.includes(version === 3 ? "pseudo-header" : "message");
  return {
    checksum,
    checksum_status: packet.fault === "fragment" ? "unverified" : usual ? "good" : "bad",
    checksum_covers: forms.map((form) => (form === "pseudo-header" ? "pseudo-header+message" : form)),
  };
}

/** For a receiver that has this VRID configured for this family and VLAN, and is not the address owner. */
function verdict(packet: Carried): VersionedVerdict {
  const { payload, destination } = packet;
  const cut: { reason?: Reason } = isCut(payload) ? { reason: "capture-cut" } : {};
  const common = packet.fault ?? (isForeignGroup(destination) ? "destination" : undefined);
  if (common !== undefined) return { v3: "drop", v3_reason: common, v2: "drop", v2_reason: common, ...cut };
  if (isCarp(payload.bytes)) return { v3: "ignore", v2: "ignore", reason: "carp" };
  const v3 = reasonOf(packet, 3);
  const v2 = reasonOf(packet, 2);
  return {
    ...(v3 === undefined ? { v3: "accept" } : { v3: "drop", v3_reason: v3 }),
    ...(v2 === undefined ? { v2: "accept" } : { v2: "drop", v2_reason: v2 }),
    ...cut,
  };
}

function reasonOf(packet: Carried, version: 2 | 3): Reason | undefined {
  const decoded = decodeAdvert({ ...packet, payload: packet.payload.bytes }, version);
  if (!decoded.ok) return decoded.reason;
  const { advert } = decoded.value;
  // RFC 3768 §7.1: the type must be the one configured locally; beyond these three none can be.
  return advert.version === 2 && advert.authType > LAST_AUTH_TYPE ? "auth" : undefined;
}

/** Unicast is for configured peers; of the groups, RFC 9568 §5.1.1.2 and §5.1.2.2 name one each. */
function isForeignGroup(destination: Carried["destination"]): boolean {
  return isMulticast(destination) && destination !== VRRP_GROUP_4 && destination !== VRRP_GROUP_6;
}

/**
 * CARP as ucarp and OpenBSD send it:
 * ```
 *  0 version 4, type 4   1 VHID   2 advskew   3 authlen   4 demote   5 advbase   6–7 checksum   8–15 counter   16–35 HMAC
 * ```
 */
export function dissectCarp(packet: Carried): Layers {
  const { bytes } = packet.payload;
  const [first = 0, vhid = 0, advskew = 0, authlen = 0, demote = 0, advbase = 0] = bytes;
  const carp: CarpFields = {
    version: first >>> 4,
    type: first & 0x0f,
    vhid,
    advskew,
    authlen,
    demote,
    advbase,
    checksum: hex(u16(bytes, 6), 4),
    counter: toHex(bytes.subarray(8, 16)),
    hmac_sha1: toHex(bytes.subarray(16, 36)),
    checksum_status: onesSum(bytes) === 0xffff ? "good" : "bad",
  };
  return { proto: "CARP", carp, rx: verdict(packet) };
}
