/**
 * Ethernet II and IEEE 802.3, with any number of VLAN tags.
 *
 *      0        6       12      14                16 …
 *     +--------+--------+-------+-----------------+- - - - - - -+--------------+---------+- - - - -
 *     | dst 6  | src 6  | TPID 2| PCP 3 DEI 1 VID 12| more tags | type/length 2| payload | trailer
 *     +--------+--------+-------+-----------------+- - - - - - -+--------------+---------+- - - - -
 *
 * IEEE 802.3 §3.2.6: a last field of at least 0x600 is a type; up to 1500 it is the length of the payload, and what
 * stands behind that is padding. IEEE 802.1Q §9.3, 9.4: the tags. The frame check sequence is not part of the frame.
 */
import { type Mac, macBytes, macFrom } from "../../src/core/addr.ts";
import { EMPTY, u16, Writer } from "../../src/core/bytes.ts";
import { ETHERNET_HEADER, TAG_SIZE, TPID } from "../../src/core/frame.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";

export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  ctag: TPID,
  ipv6: 0x86dd,
  slow: 0x8809,
  stag: 0x88a8,
  lldp: 0x88cc,
} as const;

/** `type` of an IEEE 802.3 frame: its payload begins with an LLC header and has its own length. */
export const LLC = 0;
/** Smallest value that is a type (IEEE 802.3 §3.2.6). */
export const FIRST_TYPE = 0x600;
/** Largest value that is a length. */
export const LAST_LENGTH = 1500;

export interface Tag {
  /** 0x8100 (C-TAG), 0x88a8 (S-TAG), or the 0x9100 that came before the latter. */
  readonly tpid: number;
  /** Priority code point, 0…7. */
  readonly pcp: number;
  /** Drop eligible indicator. */
  readonly dei: boolean;
  /** 0…4095; 0 is a priority tag, which names no VLAN. */
  readonly vid: number;
}

export interface EthernetFrame {
  readonly destination: Mac;
  readonly source: Mac;
  /** Outermost first. */
  readonly tags: readonly Tag[];
  /** EtherType, or LLC. */
  readonly type: number;
  /** A view. Behind an EtherType it goes on to the end of the frame, padding included. */
  readonly payload: Uint8Array;
  /** Behind the payload of an 802.3 frame; empty behind an EtherType. */
  readonly trailer: Uint8Array;
}

/** Fewer octets than the header and its tags need; a length beyond the end; 1501…1535, which is neither. */
export type EthernetReason = "short" | "length" | "type";

export function isTag(type: number): boolean {
  return type === TPID || type === ETHERTYPE.stag || type === 0x9100;
}

/** @param wire octets that the frame had on the wire, where a capture has cut it */
export function decodeEthernet(bytes: Uint8Array, wire = bytes.length): Result<EthernetFrame, EthernetReason> {
  if (bytes.length < ETHERNET_HEADER) return drop("short");
  const tags: Tag[] = [];
  let at = ETHERNET_HEADER;
  let type = u16(bytes, 12);
  for (; isTag(type); at += TAG_SIZE) {
    if (at + TAG_SIZE > bytes.length) return drop("short");
    const tci = u16(bytes, at);
    tags.push({ tpid: type, pcp: tci >>> 13, dei: (tci & 0x1000) !== 0, vid: tci & 0xfff });
    type = u16(bytes, at + 2);
  }
  const frame = { destination: macFrom(bytes), source: macFrom(bytes, 6), tags };
  if (type >= FIRST_TYPE) return ok({ ...frame, type, payload: bytes.subarray(at), trailer: EMPTY });
  if (type > LAST_LENGTH) return drop("type");
  if (at + type > wire) return drop("length");
  const payload = bytes.subarray(at, at + type);
  return ok({ ...frame, type: LLC, payload, trailer: bytes.subarray(at + type) });
}

/** Octets of a header with so many tags. */
export function ethernetSize(tags = 0): number {
  return ETHERNET_HEADER + TAG_SIZE * tags;
}

/** Writes addresses, tags and `type`; for an 802.3 frame the caller gives the length of its payload as the type. */
export function writeEthernet(
  writer: Writer,
  destination: Mac,
  source: Mac,
  type: number,
  tags: readonly Tag[] = [],
): Writer {
  writer.put(macBytes(destination)).put(macBytes(source));
  for (const tag of tags) writer.u16(tag.tpid).u16((tag.pcp << 13) | (tag.dei ? 0x1000 : 0) | tag.vid);
  return writer.u16(type);
}

/** Not padded to 60 octets: that is the interface's part. */
export function encodeEthernet(frame: EthernetFrame): Uint8Array {
  const { destination, source, tags, payload, trailer } = frame;
  const writer = new Writer(ethernetSize(tags.length) + payload.length + trailer.length);
  const type = frame.type === LLC ? payload.length : frame.type;
  return writeEthernet(writer, destination, source, type, tags).put(payload).put(trailer).bytes;
}

/** An untagged Ethernet II frame. */
export function ethernet(destination: Mac, source: Mac, type: number, payload: Uint8Array): Uint8Array {
  const writer = new Writer(ETHERNET_HEADER + payload.length);
  return writeEthernet(writer, destination, source, type).put(payload).bytes;
}
