/** What a capture file holds, whatever its format: packets with their times, and where they were seen. */
import type { Instant } from "../core/time.ts";

/** The most octets of one packet that are read; more is taken for damage. libpcap's MAXIMUM_SNAPLEN. */
export const MAX_CAPTURED = 262_144;
/** The largest pcapng block that is read; more is taken for damage. The same limit as Wireshark's. */
export const MAX_BLOCK = 16_777_216;
/** Interfaces in one section of a pcapng file; a file with more is refused at the first that is too many. */
export const MAX_INTERFACES = 65_536;
/** Octets of an interface's name or of a packet's comment that are kept; longer ones are cut. */
export const MAX_NAME = 256;
export const MAX_COMMENT = 65_535;

/** Where packets were captured: an interface of a pcapng section, or the whole of a classic file. */
export interface CaptureInterface {
  /** From 0, counted through all sections of the file. */
  readonly index: number;
  readonly name: string | undefined;
  /** LINKTYPE_ number of the tcpdump group's registry: 1 Ethernet, 113 SLL, 276 SLL2, 101 raw IP. */
  readonly linkType: number;
  /** Octets captured of each packet at most, as the file says; 0 for no limit. Real files break it. */
  readonly snapLength: number;
  /** Octets of frame check sequence at the end of each packet; 0 when there is none or the file does not say. */
  readonly fcsLength: number;
}

export interface CaptureRecord {
  /** From 1, in the order of the file. */
  readonly number: number;
  /**
   * Seconds since 1970-01-01 00:00 UTC, rounded down; negative before it. A pcapng Simple Packet has no time: it is
   * given that of the packet before it, or 0.
   */
  readonly seconds: number;
  /** 0 … 999 999 999; what is finer in the file is cut off. */
  readonly nanoseconds: number;
  /** Octets on the wire, as the file says. */
  readonly length: number;
  /** Octets in the file: less than `length` when the packet was cut. Counts the frame check sequence. */
  readonly capturedLength: number;
  /** The octets in the file without the frame check sequence. A view that stays valid; it keeps its chunk alive. */
  readonly bytes: Uint8Array;
  readonly interface: CaptureInterface;
  readonly direction: "in" | "out" | undefined;
  /** Of a pcapng packet; several are joined by line feeds. */
  readonly comment: string | undefined;
}

/** Why reading ended before the end of the file, or could not begin. */
export type CaptureFault =
  /** The file cannot be opened or read. */
  | "unreadable"
  | "empty"
  | "not-a-capture"
  | "unsupported-version"
  /** The file ends within a packet, a block or a header. */
  | "truncated"
  /** A length that cannot be: too large, too small, or at odds with another. */
  | "bad-length"
  /** A pcapng block whose contents contradict the format. */
  | "bad-block"
  | "unknown-interface"
  | "too-many-interfaces"
  | "gzip-damaged";

export interface CaptureError {
  readonly kind: CaptureFault;
  /** What is wrong and where, for people. */
  readonly message: string;
  /** Octet of the (uncompressed) capture at which the damaged packet, block or header begins. */
  readonly offset: number;
  /** Whole packets before it; all of them were delivered. */
  readonly frames: number;
}

/** Nanoseconds since 1970 as decimal digits, exact. */
export function nanosecondsText(record: CaptureTime): string {
  const { seconds, nanoseconds } = record;
  if (seconds === 0) return String(nanoseconds);
  if (seconds > 0) return `${seconds}${String(nanoseconds).padStart(9, "0")}`;
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
}

/** A time of day, of a record or anything else. */
export type CaptureTime = Pick<CaptureRecord, "seconds" | "nanoseconds">;

/** The time of `record` after `origin` (usually the first of the file), to the nearest microsecond. */
export function timeAfter(origin: CaptureTime, record: CaptureTime): Instant {
  const fraction = Math.round((record.nanoseconds - origin.nanoseconds) / 1_000);
  return ((record.seconds - origin.seconds) * 1_000_000 + fraction) as Instant;
}

/** The same in seconds, with nanoseconds: exact as a double can be within a hundred days, for showing. */
export function secondsAfter(origin: CaptureTime, record: CaptureTime): number {
  const whole = record.seconds - origin.seconds;
  return (whole * 1_000_000_000 + (record.nanoseconds - origin.nanoseconds)) / 1_000_000_000;
}

/** How many of the captured octets are left when a frame check sequence of `fcs` octets is taken off the wire's end. */
export function withoutFcs(captured: number, length: number, fcs: number): number {
  const present = captured - (length - fcs);
  return captured - Math.max(0, Math.min(fcs, present, captured));
}
