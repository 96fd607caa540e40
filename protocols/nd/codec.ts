/**
 * IPv6 neighbour discovery: RFC 4861 §4.1–4.4, options §4.6; preference of routers RFC 4191 §2.2.
 *
 *       router solicitation 133   router advertisement 134      solicitation 135   advertisement 136
 *   0   type, code 0, checksum 2
 *   4   reserved 4                hop limit 1; M O · prf 2 ···  reserved 4         R S O ·····, reserved 3
 *   6                             router lifetime 2 (s)
 *   8   options                   reachable time 4 (ms)         target 16          target 16
 *  12                             retransmission timer 4 (ms)
 *  16                             options
 *  24                                                           options            options
 *
 *   option: type 1 | length 1, in 8 octets | content
 *   prefix information (type 3): length 1 | L A ······ 1 | valid 4 (s) | preferred 4 (s) | reserved 4 | prefix 16
 */
import {
  type Ip6,
  ip6From,
  ipBytes,
  isLinkLocal,
  isMulticast,
  type Mac,
  macBytes,
  macFrom,
} from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import { setU16, u16, u32, Writer } from "../../src/core/bytes.ts";
import { Frame } from "../../src/core/frame.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { ipFrame, ipPacket, PROTOCOL, upperChecksum, upperChecksumFits } from "../ip/codec.ts";

export type NdOption =
  | { readonly kind: "source-link-layer" | "target-link-layer"; readonly mac: Mac }
  | {
      readonly kind: "prefix";
      readonly prefix: Ip6;
      readonly length: number;
      readonly onLink: boolean;
      readonly autonomous: boolean;
      /** Seconds; 0xffffffff is for ever. */
      readonly valid: number;
      readonly preferred: number;
    }
  | { readonly kind: "mtu"; readonly mtu: number }
  /** Any other type, or one of the above with an unusual length. */
  | { readonly kind: "other"; readonly type: number /** 6, 14, 22 … octets. */; readonly bytes: Uint8Array };

interface Options {
  readonly options: readonly NdOption[];
}

export interface RouterSolicitation extends Options {
  readonly kind: "router-solicitation";
}

export interface RouterAdvertisement extends Options {
  readonly kind: "router-advertisement";
  readonly hopLimit: number;
  readonly managed: boolean;
  readonly other: boolean;
  readonly preference: "low" | "medium" | "high";
  /** Seconds; 0 is "not a default router". */
  readonly lifetime: number;
  /** Milliseconds; 0 is unspecified. */
  readonly reachable: number;
  readonly retransmission: number;
}

export interface NeighbourSolicitation extends Options {
  readonly kind: "solicitation";
  readonly target: Ip6;
}

export interface NeighbourAdvertisement extends Options {
  readonly kind: "advertisement";
  readonly target: Ip6;
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
}

export type NdMessage = RouterSolicitation | RouterAdvertisement | NeighbourSolicitation | NeighbourAdvertisement;

/** Cut short; not one of the four types; an option of length 0 or beyond the end. */
export type NdFormReason = "length" | "type" | "option-length";
/** And what the validity rules forbid: RFC 4861 §6.1.1, §6.1.2, §7.1.1, §7.1.2. */
export type NdReason =
  | NdFormReason
  | "ttl"
  | "checksum"
  | "icmp-code"
  | "target"
  | "na-solicited-multicast"
  | "unspecified-source"
  | "router-source";

export const ALL_NODES = "ff02::1" as Ip6;
export const ALL_ROUTERS = "ff02::2" as Ip6;
/** RFC 4861: what proves that a message has not crossed a router. */
export const ND_HOP_LIMIT = 255;

const TYPE = {
  "router-solicitation": 133,
  "router-advertisement": 134,
  solicitation: 135,
  advertisement: 136,
} as const;
/** Octets in front of the options. */
const FIXED: Readonly<Record<number, number>> = { 133: 8, 134: 16, 135: 24, 136: 24 };
const OPTION = { sourceLinkLayer: 1, targetLinkLayer: 2, prefix: 3, mtu: 5 } as const;
/** RFC 4191 §2.2: the reserved value 2 is read as medium. */
const PREFERENCES = ["medium", "high", "medium", "low"] as const;

/** Whether the ICMPv6 message is one of neighbour discovery. */
export function isNd(bytes: Uint8Array): boolean {
  return FIXED[bytes[0] ?? 0] !== undefined;
}

/** Reads an ICMPv6 message for its form alone: no checksum, no code, no validity rules. */
export function decodeNd(bytes: Uint8Array): Result<NdMessage, NdFormReason> {
  const fixed = FIXED[bytes[0] ?? 0];
  if (bytes.length === 0) return drop("length");
  if (fixed === undefined) return drop("type");
  if (bytes.length < fixed) return drop("length");
  const options = decodeOptions(bytes, fixed);
  return options.ok ? ok(fixedPart(bytes, options.value)) : options;
}

/** The part in front of the options, for tools that show what they can of a broken message. */
export function decodeNdFixed(bytes: Uint8Array): Result<NdMessage, "length" | "type"> {
  const fixed = FIXED[bytes[0] ?? 0];
  if (bytes.length === 0) return drop("length");
  if (fixed === undefined) return drop("type");
  return bytes.length < fixed ? drop("length") : ok(fixedPart(bytes, []));
}

function fixedPart(bytes: Uint8Array, options: readonly NdOption[]): NdMessage {
  switch (bytes[0]) {
    case TYPE["router-solicitation"]:
      return { kind: "router-solicitation", options };
    case TYPE["router-advertisement"]: {
      const flags = bytes[5] ?? 0;
      return {
        kind: "router-advertisement",
        hopLimit: bytes[4] ?? 0,
        managed: (flags & 0x80) !== 0,
        other: (flags & 0x40) !== 0,
        preference: PREFERENCES[(flags >>> 3) & 3] ?? "medium",
        lifetime: u16(bytes, 6),
        reachable: u32(bytes, 8),
        retransmission: u32(bytes, 12),
        options,
      };
    }
    case TYPE.solicitation:
      return { kind: "solicitation", target: ip6From(bytes, 8), options };
    default: {
      const flags = bytes[4] ?? 0;
      return {
        kind: "advertisement",
        target: ip6From(bytes, 8),
        router: (flags & 0x80) !== 0,
        solicited: (flags & 0x40) !== 0,
        override: (flags & 0x20) !== 0,
        options,
      };
    }
  }
}

function decodeOptions(bytes: Uint8Array, from: number): Result<readonly NdOption[], "option-length"> {
  const options: NdOption[] = [];
  for (let at = from; at < bytes.length; ) {
    const size = (bytes[at + 1] ?? 0) * 8;
    // RFC 4861 §4.6: a length of 0 is silently discarded with its packet.
    if (size === 0 || at + size > bytes.length) return drop("option-length");
    options.push(decodeOption(bytes, at, size));
    at += size;
  }
  return ok(options);
}

function decodeOption(bytes: Uint8Array, at: number, size: number): NdOption {
  const type = bytes[at] ?? 0;
  if (type === OPTION.sourceLinkLayer && size === 8) return { kind: "source-link-layer", mac: macFrom(bytes, at + 2) };
  if (type === OPTION.targetLinkLayer && size === 8) return { kind: "target-link-layer", mac: macFrom(bytes, at + 2) };
  if (type === OPTION.mtu && size === 8) return { kind: "mtu", mtu: u32(bytes, at + 4) };
  if (type === OPTION.prefix && size === 32) {
    const flags = bytes[at + 3] ?? 0;
    return {
      kind: "prefix",
      prefix: ip6From(bytes, at + 16),
      length: bytes[at + 2] ?? 0,
      onLink: (flags & 0x80) !== 0,
      autonomous: (flags & 0x40) !== 0,
      valid: u32(bytes, at + 4),
      preferred: u32(bytes, at + 8),
    };
  }
  return { kind: "other", type, bytes: bytes.subarray(at + 2, at + size) };
}

/** The IPv6 packet around a message. */
export interface Around {
  readonly source: Ip6;
  readonly destination: Ip6;
  readonly ttl: number;
}

/** Reads a message that came in a packet, and applies the validity rules: what a node may act on. */
export function receiveNd(bytes: Uint8Array, packet: Around): Result<NdMessage, NdReason> {
  if (packet.ttl !== ND_HOP_LIMIT) return drop("ttl");
  if (!upperChecksumFits({ ...packet, protocol: PROTOCOL.icmpv6 }, bytes)) return drop("checksum");
  if (isNd(bytes) && (bytes[1] ?? 0) !== 0) return drop("icmp-code");
  const decoded = decodeNd(bytes);
  if (!decoded.ok) return decoded;
  const reason = invalid(decoded.value, packet);
  return reason === undefined ? decoded : drop(reason);
}

function invalid(message: NdMessage, packet: Around): NdReason | undefined {
  const unspecified = packet.source === "::";
  switch (message.kind) {
    case "router-solicitation":
      // RFC 4861 §6.1.1
      return unspecified && linkLayer(message, "source-link-layer") !== undefined ? "unspecified-source" : undefined;
    case "router-advertisement":
      // RFC 4861 §6.1.2
      return isLinkLocal(packet.source) ? undefined : "router-source";
    case "solicitation":
      // RFC 4861 §7.1.1
      if (isMulticast(message.target)) return "target";
      if (!unspecified) return undefined;
      if (!packet.destination.startsWith("ff02::1:ff")) return "unspecified-source";
      return linkLayer(message, "source-link-layer") !== undefined ? "unspecified-source" : undefined;
    case "advertisement":
      // RFC 4861 §7.1.2
      if (isMulticast(message.target)) return "target";
      return isMulticast(packet.destination) && message.solicited ? "na-solicited-multicast" : undefined;
  }
}

/** The link-layer address in an option of that kind; undefined without one. */
export function linkLayer(message: NdMessage, kind: "source-link-layer" | "target-link-layer"): Mac | undefined {
  for (const option of message.options) if (option.kind === kind) return option.mac;
  return undefined;
}

/** The whole ICMPv6 message, checksum included. */
export function encodeNd(message: NdMessage, source: Ip6, destination: Ip6): Uint8Array {
  const type = TYPE[message.kind];
  const size = message.options.reduce((sum, option) => sum + optionSize(option), FIXED[type] ?? 0);
  const writer = new Writer(size).u8(type).u8(0).u16(0);
  switch (message.kind) {
    case "router-solicitation":
      writer.u32(0);
      break;
    case "router-advertisement": {
      const preference = { medium: 0, high: 0x08, low: 0x18 }[message.preference];
      writer.u8(message.hopLimit).u8((message.managed ? 0x80 : 0) | (message.other ? 0x40 : 0) | preference);
      writer.u16(message.lifetime).u32(message.reachable).u32(message.retransmission);
      break;
    }
    case "solicitation":
      writer.u32(0).put(ipBytes(message.target));
      break;
    case "advertisement":
      writer.u8((message.router ? 0x80 : 0) | (message.solicited ? 0x40 : 0) | (message.override ? 0x20 : 0));
      writer.zero(3).put(ipBytes(message.target));
      break;
  }
  for (const option of message.options) putOption(writer, option);
  setU16(writer.bytes, 2, upperChecksum({ source, destination, protocol: PROTOCOL.icmpv6 }, writer.bytes));
  return writer.bytes;
}

function optionSize(option: NdOption): number {
  if (option.kind === "prefix") return 32;
  return option.kind === "other" ? 2 + option.bytes.length : 8;
}

function putOption(writer: Writer, option: NdOption): void {
  switch (option.kind) {
    case "source-link-layer":
      writer.u8(OPTION.sourceLinkLayer).u8(1).put(macBytes(option.mac));
      break;
    case "target-link-layer":
      writer.u8(OPTION.targetLinkLayer).u8(1).put(macBytes(option.mac));
      break;
    case "mtu":
      writer.u8(OPTION.mtu).u8(1).u16(0).u32(option.mtu);
      break;
    case "prefix":
      writer.u8(OPTION.prefix).u8(4).u8(option.length);
      writer.u8((option.onLink ? 0x80 : 0) | (option.autonomous ? 0x40 : 0));
      writer.u32(option.valid).u32(option.preferred).u32(0).put(ipBytes(option.prefix));
      break;
    case "other": {
      const length = (2 + option.bytes.length) / 8;
      assert(Number.isInteger(length) && length > 0 && length < 256, "ND option of an impossible length");
      writer.u8(option.type).u8(length).put(option.bytes);
      break;
    }
  }
}

/** The solicited-node group of an address: RFC 4291 §2.7.1. */
export function solicitedNode(address: Ip6): Ip6 {
  const group = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);
  group.set(ipBytes(address).subarray(13), 13);
  return ip6From(group);
}

/** The link-local address made of a MAC: RFC 4291 §2.5.6, modified EUI-64 of RFC 2464 §4. */
export function linkLocalOf(mac: Mac): Ip6 {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  return ip6From(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f));
}

/** Who has `target`? Asked by the node at `mac`, which can be reached there (RFC 4861 §7.2.2). */
export function solicitation(target: Ip6, mac: Mac): NeighbourSolicitation {
  return { kind: "solicitation", target, options: [{ kind: "source-link-layer", mac }] };
}

/** The answer to a solicitation, or without being asked; a target link-layer address is always with it. */
export function advertisement(
  target: Ip6,
  mac: Mac,
  flags: { readonly router: boolean; readonly solicited: boolean; readonly override: boolean },
): NeighbourAdvertisement {
  return { kind: "advertisement", target, ...flags, options: [{ kind: "target-link-layer", mac }] };
}

/**
 * The announcement that a virtual router's `address` is at `mac`: R=1, S=0, O=1 to all nodes
 * (RFC 4861 §7.2.6, RFC 9568 §6.4.2).
 */
export function unsolicitedAdvertisement(address: Ip6, mac: Mac): NeighbourAdvertisement {
  return advertisement(address, mac, { router: true, solicited: false, override: true });
}

/** A whole frame with hop limit 255. */
export function ndFrame(message: NdMessage, ip: Omit<Around, "ttl">, destination: Mac, source: Mac): Frame {
  const payload = encodeNd(message, ip.source, ip.destination);
  const packet = ipPacket({ ...ip, protocol: PROTOCOL.icmpv6, ttl: ND_HOP_LIMIT, payload });
  return Frame.of(ipFrame(destination, source, packet));
}
