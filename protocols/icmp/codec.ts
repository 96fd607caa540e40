/**
 * ICMP echo and the two errors a forwarding node sends: RFC 792 (IPv4), RFC 4443 (IPv6).
 *
 *   0 | type           | 1 | code | 2 | checksum: message alone (IPv4), with pseudo-header (IPv6) |
 *   4 | echo: identifier 2, sequence 2; errors: unused, MTU or pointer                            |
 *   8 | echo: data; errors: as much of the packet that caused it as fits
 *
 *             IPv4  IPv6                    IPv4  IPv6
 *   request     8   128    unreachable        3     1
 *   reply       0   129    time exceeded     11     3
 */
import type { Family, Ip } from "../../src/core/addr.ts";
import { internetChecksum, onesSum, setU16, u16, u32, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { PROTOCOL, upperChecksum, upperChecksumFits } from "../ip/codec.ts";

const ICMP_HEADER = 8;

export interface IcmpEcho {
  readonly kind: "echo-request" | "echo-reply";
  /** 16 bit. */
  readonly identifier: number;
  /** 16 bit. */
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface IcmpError {
  readonly kind: "unreachable" | "time-exceeded";
  readonly code: number;
  /** Octets 4–7: zero, the next hop's MTU (RFC 1191), or what RFC 4884 puts there. */
  readonly parameter: number;
  /** The packet that caused it, from its IP header on, as much as is there. */
  readonly original: Uint8Array;
}

/** Any other type; also an echo with a code other than 0. */
export interface IcmpOther {
  readonly kind: "other";
  readonly type: number;
  readonly code: number;
  /** Octets 4 and on. */
  readonly body: Uint8Array;
}

export type IcmpMessage = IcmpEcho | IcmpError | IcmpOther;

/** The addresses of the packet around it. */
export interface Between {
  readonly source: Ip;
  readonly destination: Ip;
}

export type IcmpReason = "length" | "checksum";

type Known = IcmpEcho["kind"] | IcmpError["kind"];

const TYPES: Readonly<Record<Family, Readonly<Record<Known, number>>>> = {
  ipv4: { "echo-request": 8, "echo-reply": 0, unreachable: 3, "time-exceeded": 11 },
  ipv6: { "echo-request": 128, "echo-reply": 129, unreachable: 1, "time-exceeded": 3 },
};

const KINDS: Readonly<Record<Family, ReadonlyMap<number, Known>>> = {
  ipv4: kinds("ipv4"),
  ipv6: kinds("ipv6"),
};

function kinds(family: Family): ReadonlyMap<number, Known> {
  return new Map(Object.entries(TYPES[family]).map(([kind, type]) => [type, kind as Known]));
}

/** Codes of the errors that the stack sends. */
export const CODE = {
  ipv4: { noRoute: 0, hostUnreachable: 1, hopLimit: 0 },
  ipv6: { noRoute: 0, hostUnreachable: 3, hopLimit: 0 },
} as const;

function familyOf(ip: Between): Family {
  return ip.source.includes(":") ? "ipv6" : "ipv4";
}

/** Reads the payload of an IP packet of protocol 1 or next header 58. */
export function decodeIcmp(bytes: Uint8Array, ip: Between): Result<IcmpMessage, IcmpReason> {
  if (bytes.length < 4) return drop("length");
  const family = familyOf(ip);
  const fits =
    family === "ipv4" ? onesSum(bytes) === 0xffff : upperChecksumFits({ ...ip, protocol: PROTOCOL.icmpv6 }, bytes);
  if (!fits) return drop("checksum");
  const type = bytes[0] ?? 0;
  const code = bytes[1] ?? 0;
  const kind = KINDS[family].get(type);
  const echo = kind === "echo-request" || kind === "echo-reply";
  if (kind === undefined || (echo && code !== 0)) return ok({ kind: "other", type, code, body: bytes.subarray(4) });
  if (bytes.length < ICMP_HEADER) return drop("length");
  const data = bytes.subarray(ICMP_HEADER);
  return ok(
    echo
      ? { kind, identifier: u16(bytes, 4), sequence: u16(bytes, 6), data }
      : { kind, code, parameter: u32(bytes, 4), original: data },
  );
}

export function encodeIcmp(message: IcmpMessage, ip: Between): Uint8Array {
  const family = familyOf(ip);
  const writer = new Writer(icmpSize(message));
  switch (message.kind) {
    case "echo-request":
    case "echo-reply":
      writer.u8(TYPES[family][message.kind]).u8(0).u16(0);
      writer.u16(message.identifier).u16(message.sequence).put(message.data);
      break;
    case "unreachable":
    case "time-exceeded":
      writer.u8(TYPES[family][message.kind]).u8(message.code).u16(0);
      writer.u32(message.parameter).put(message.original);
      break;
    case "other":
      writer.u8(message.type).u8(message.code).u16(0).put(message.body);
      break;
  }
  sealIcmp(writer.bytes, 0, ip);
  return writer.bytes;
}

function icmpSize(message: IcmpMessage): number {
  if (message.kind === "other") return 4 + message.body.length;
  return ICMP_HEADER + ("data" in message ? message.data.length : message.original.length);
}

/** Puts the checksum into the message from `at` to the end of `bytes`; its checksum field must be zero. */
function sealIcmp(bytes: Uint8Array, at: number, ip: Between): void {
  const sum =
    familyOf(ip) === "ipv4"
      ? internetChecksum(bytes, at)
      : upperChecksum({ ...ip, protocol: PROTOCOL.icmpv6 }, bytes, at);
  setU16(bytes, at + 2, sum);
}
