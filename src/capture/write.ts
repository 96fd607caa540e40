/** Writes pcapng: little-endian, nanoseconds, one interface a link. The blocks' layouts stand in `pcapng.ts`. */
import { assert } from "../core/assert.ts";
import { EPB_FLAGS, IF_DESCRIPTION, IF_NAME, IF_TSRESOL, OPT_COMMENT, SHB_USERAPPL } from "./options.ts";
import { BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, SECTION_HEADER } from "./pcapng.ts";
import { MAX_CAPTURED, MAX_COMMENT, MAX_INTERFACES, MAX_NAME } from "./record.ts";
import { nanosecondWords } from "./ticks.ts";

/** Octets that are gathered before they are handed on. */
const CHUNK = 262_144;
/** At least what a packet takes beside octets and comment: 32 of block, 8 of flags, options' heads, padding. */
const OVERHEAD = 64;
/** The last nanosecond that the format's 64 bits hold falls in this second: year 2554. */
export const MAX_SECONDS = 18_446_744_073;

export interface InterfaceToWrite {
  /** At most MAX_NAME octets of UTF-8 are written. */
  readonly name: string;
  readonly description?: string;
  /** LINKTYPE_ number; Ethernet when absent. */
  readonly linkType?: number;
  /** Octets captured of each packet at most; 0 (no limit) when absent. Nothing is cut here. */
  readonly snapLength?: number;
}

export interface PacketToWrite {
  /** What `addInterface` returned. */
  readonly interface: number;
  /** Since 1970-01-01 00:00 UTC: 0 … MAX_SECONDS - 1. */
  readonly seconds: number;
  /** 0 … 999 999 999. */
  readonly nanoseconds: number;
  /** At most MAX_CAPTURED octets. */
  readonly bytes: Uint8Array;
  /** Octets on the wire, when `bytes` are fewer. */
  readonly length?: number | undefined;
  readonly direction?: "in" | "out" | undefined;
  /** At most MAX_COMMENT octets of UTF-8 are written. */
  readonly comment?: string | undefined;
}

const UTF8 = new TextEncoder();

/** Hands on a pcapng file in pieces of up to CHUNK octets (more for a packet that is larger). No I/O. */
export class PcapngWriter {
  private buffer = new Uint8Array(CHUNK);
  private view = new DataView(this.buffer.buffer);
  private at = 0;
  private interfaces = 0;

  /**
   * @param emit is given each piece, which is its own from then on
   * @param application named in the file as its writer
   */
  constructor(
    private readonly emit: (piece: Uint8Array) => void,
    application?: string,
  ) {
    const start = this.begin(SECTION_HEADER);
    this.u32(BYTE_ORDER_MAGIC);
    this.u16(1);
    this.u16(0);
    // The section's length: not known beforehand.
    this.u32(0xffff_ffff);
    this.u32(0xffff_ffff);
    if (application !== undefined) {
      this.textOption(SHB_USERAPPL, application, MAX_NAME);
      this.u32(0);
    }
    this.close(start);
  }

  /** @returns the number that packets name it by, from 0. At most MAX_INTERFACES. */
  addInterface(link: InterfaceToWrite): number {
    assert(this.interfaces < MAX_INTERFACES, "a capture has at most MAX_INTERFACES interfaces");
    this.room(2 * MAX_NAME + OVERHEAD);
    const start = this.begin(INTERFACE_DESCRIPTION);
    this.u16(link.linkType ?? 1);
    this.u16(0);
    this.u32(link.snapLength ?? 0);
    this.textOption(IF_NAME, link.name, MAX_NAME);
    if (link.description !== undefined) this.textOption(IF_DESCRIPTION, link.description, MAX_NAME);
    this.u16(IF_TSRESOL);
    this.u16(1);
    // 10^-9 seconds, and three octets of padding.
    this.u32(9);
    this.u32(0);
    this.close(start);
    this.interfaces += 1;
    return this.interfaces - 1;
  }

  packet(packet: PacketToWrite): void {
    const { bytes, seconds, nanoseconds, comment, direction } = packet;
    assert(packet.interface >= 0 && packet.interface < this.interfaces, "the interface has been added");
    assert(bytes.length <= MAX_CAPTURED, "a packet has at most MAX_CAPTURED octets");
    assert(seconds >= 0 && seconds < MAX_SECONDS, "the time is within the format's range");
    this.room(bytes.length + OVERHEAD + (comment === undefined ? 0 : Math.min(MAX_COMMENT, 3 * comment.length)));
    const [high, low] = nanosecondWords(seconds, nanoseconds);
    const start = this.begin(ENHANCED_PACKET);
    this.u32(packet.interface);
    this.u32(high);
    this.u32(low);
    this.u32(bytes.length);
    this.u32(packet.length ?? bytes.length);
    this.buffer.set(bytes, this.at);
    this.pad(bytes.length);
    if (comment !== undefined) this.textOption(OPT_COMMENT, comment, MAX_COMMENT);
    if (direction !== undefined) {
      this.u16(EPB_FLAGS);
      this.u16(4);
      this.u32(direction === "in" ? 1 : 2);
    }
    if (comment !== undefined || direction !== undefined) this.u32(0);
    this.close(start);
  }

  /** Hands on what has been gathered; more may follow. */
  flush(): void {
    if (this.at === 0) return;
    const piece = this.buffer.subarray(0, this.at);
    this.buffer = new Uint8Array(CHUNK);
    this.view = new DataView(this.buffer.buffer);
    this.at = 0;
    this.emit(piece);
  }

  private room(size: number): void {
    if (this.at + size <= this.buffer.length) return;
    this.flush();
    if (size <= this.buffer.length) return;
    this.buffer = new Uint8Array(size);
    this.view = new DataView(this.buffer.buffer);
  }

  private begin(type: number): number {
    const start = this.at;
    this.u32(type);
    this.at += 4;
    return start;
  }

  private close(start: number): void {
    const length = this.at + 4 - start;
    this.view.setUint32(start + 4, length, true);
    this.u32(length);
  }

  private u16(value: number): void {
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }

  private u32(value: number): void {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** Steps over `length` octets that were written at the cursor, and zeroes up to the next word. */
  private pad(length: number): void {
    const next = this.at + ((length + 3) & ~3);
    this.buffer.fill(0, this.at + length, next);
    this.at = next;
  }

  private textOption(code: number, text: string, most: number): void {
    this.u16(code);
    // Whole characters only: encodeInto stops before one that does not fit.
    const { written } = UTF8.encodeInto(text, this.buffer.subarray(this.at + 2, this.at + 2 + most));
    this.u16(written);
    this.pad(written);
  }
}
