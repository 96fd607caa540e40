/** Addresses as branded canonical text: what is compared, logged, tested and read is one and the same. */
import { equalBytes, HEX, Writer } from "./bytes.ts";

declare const brand: unique symbol;

/** Six lower-case hex octets: "00:00:5e:00:01:33". */
export type Mac = string & { readonly [brand]: "mac" };
/** Dotted decimal. */
export type Ip4 = string & { readonly [brand]: "ip4" };
/** RFC 5952 text. */
export type Ip6 = string & { readonly [brand]: "ip6" };
export type Ip = Ip4 | Ip6;

export type Family = "ipv4" | "ipv6";

/** An interface address: the address and the length of its network prefix. */
export interface Prefix {
  readonly address: Ip;
  readonly length: number;
}

export const BROADCAST = "ff:ff:ff:ff:ff:ff" as Mac;

/** Reads six hex octets separated by ":" or "-"; undefined for anything else. */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}$/.test(text)) return undefined;
  return text.toLowerCase().replaceAll("-", ":") as Mac;
}

export function macFrom(bytes: Uint8Array, at = 0): Mac {
  return `${HEX[bytes[at] ?? 0]}:${HEX[bytes[at + 1] ?? 0]}:${HEX[bytes[at + 2] ?? 0]}:${HEX[bytes[at + 3] ?? 0]}:${
    HEX[bytes[at + 4] ?? 0]
  }:${HEX[bytes[at + 5] ?? 0]}` as Mac;
}

export function macBytes(mac: Mac): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let i = 0; i < 6; i++) bytes[i] = Number.parseInt(mac.slice(3 * i, 3 * i + 2), 16);
  return bytes;
}

/** Reads dotted decimal without leading zeros; undefined for anything else. */
export function parseIp4(text: string): Ip4 | undefined {
  if (!/^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/.test(text)) return undefined;
  return /(?:^|\.)0\d/.test(text) ? undefined : (text as Ip4);
}

/** Reads any RFC 4291 §2.2 form (no zone) and gives the canonical one; undefined for anything else. */
export function parseIp6(text: string): Ip6 | undefined {
  const halves = text.split("::");
  if (halves.length > 2 || !/^[0-9a-fA-F:.]+$/.test(text)) return undefined;
  // The dotted form stands for the last 32 bits only.
  if (halves.length === 2 && halves[0]?.includes(".")) return undefined;
  const head = groups(halves[0] ?? "");
  const tail = halves.length === 2 ? groups(halves[1] ?? "") : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const writer = new Writer(16);
  for (const group of [...head, ...new Array<number>(missing).fill(0), ...tail]) writer.u16(group);
  return ip6From(writer.bytes);
}

function groups(text: string): number[] | undefined {
  if (text === "") return [];
  const result: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const ip4 = i === parts.length - 1 ? parseIp4(part) : undefined;
      if (ip4 === undefined) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = ip4.split(".").map(Number);
      result.push(a * 256 + b, c * 256 + d);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      result.push(Number.parseInt(part, 16));
    }
  }
  return result;
}

export function parseIp(text: string): Ip | undefined {
  return text.includes(":") ? parseIp6(text) : parseIp4(text);
}

export function ip4From(bytes: Uint8Array, at = 0): Ip4 {
  return `${bytes[at] ?? 0}.${bytes[at + 1] ?? 0}.${bytes[at + 2] ?? 0}.${bytes[at + 3] ?? 0}` as Ip4;
}

/** RFC 5952 §4: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as "::". */
export function ip6From(bytes: Uint8Array, at = 0): Ip6 {
  let bestAt = -1;
  let bestLength = 1;
  let run = 0;
  const group: number[] = [];
  for (let i = 0; i < 8; i++) {
    const value = ((bytes[at + 2 * i] ?? 0) << 8) | (bytes[at + 2 * i + 1] ?? 0);
    group.push(value);
    run = value === 0 ? run + 1 : 0;
    if (run > bestLength) {
      bestLength = run;
      bestAt = i - run + 1;
    }
  }
  // RFC 5952 §5: an IPv4-mapped address keeps its dotted part.
  if (bestAt === 0 && bestLength === 5 && group[5] === 0xffff) return `::ffff:${ip4From(bytes, at + 12)}` as Ip6;
  const text = (from: number, to: number) =>
    group
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(":");
  if (bestAt < 0) return text(0, 8) as Ip6;
  return `${text(0, bestAt)}::${text(bestAt + bestLength, 8)}` as Ip6;
}

/** An address from its 4 or 16 octets. */
export function ipFrom(bytes: Uint8Array, family: Family, at = 0): Ip {
  return family === "ipv4" ? ip4From(bytes, at) : ip6From(bytes, at);
}

export function familyOf(ip: Ip): Family {
  return ip.includes(":") ? "ipv6" : "ipv4";
}

/** The 4 or 16 octets in network order. */
export function ipBytes(ip: Ip): Uint8Array {
  if (!ip.includes(":")) return Uint8Array.from(ip.split("."), Number);
  const [head = "", tail] = ip.split("::");
  const left = groups(head) ?? [];
  const right = tail === undefined ? [] : (groups(tail) ?? []);
  const writer = new Writer(16);
  for (const g of left) writer.u16(g);
  writer.zero(16 - 2 * (left.length + right.length));
  for (const g of right) writer.u16(g);
  return writer.bytes;
}

/** Unsigned, network octet order (RFC 9568 §6.4.3): negative when a is lower, 0 when equal. One family only. */
export function compareIp(a: Ip, b: Ip): number {
  if (a === b) return 0;
  const x = ipBytes(a);
  const y = ipBytes(b);
  for (let i = 0; i < x.length; i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Reads "192.0.2.254/24" or "fe80::51/64"; undefined for anything else. */
export function parsePrefix(text: string): Prefix | undefined {
  const [first = "", second, more] = text.split("/");
  const address = parseIp(first);
  if (address === undefined || second === undefined || more !== undefined || !/^\d{1,3}$/.test(second))
    return undefined;
  const length = Number(second);
  return length <= (familyOf(address) === "ipv4" ? 32 : 128) ? { address, length } : undefined;
}

export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}

/** Whether `ip` lies in the network of `prefix`. */
export function contains(prefix: Prefix, ip: Ip): boolean {
  if (familyOf(prefix.address) !== familyOf(ip)) return false;
  const a = ipBytes(prefix.address);
  const b = ipBytes(ip);
  const whole = prefix.length >>> 3;
  if (!equalBytes(a.subarray(0, whole), b.subarray(0, whole))) return false;
  const rest = prefix.length & 7;
  return rest === 0 || ((a[whole] ?? 0) ^ (b[whole] ?? 0)) >>> (8 - rest) === 0;
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(ip: Ip): boolean {
  if (ip.includes(":")) return ip.startsWith("ff") && ip.indexOf(":") === 4;
  const first = Number(ip.slice(0, ip.indexOf(".")));
  return first >= 224 && first < 240;
}

/** fe80::/10. */
export function isLinkLocal(ip: Ip): boolean {
  return /^fe[89ab][0-9a-f]:/.test(ip);
}

/** The Ethernet group of an IP group: RFC 1112 §6.4, RFC 2464 §7. */
export function multicastMac(group: Ip): Mac {
  const b = ipBytes(group);
  return macFrom(
    b.length === 4
      ? Uint8Array.of(0x01, 0x00, 0x5e, (b[1] ?? 0) & 0x7f, b[2] ?? 0, b[3] ?? 0)
      : Uint8Array.of(0x33, 0x33, b[12] ?? 0, b[13] ?? 0, b[14] ?? 0, b[15] ?? 0),
  );
}
