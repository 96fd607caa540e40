/**
 * pcapng (draft-ietf-opsawg-pcapng): sections, each in its own byte order, of blocks
 *
 *    0  type   4  total length L   8  body, padded to 32 bits   L-4  total length again
 *
 *   section header 0a0d0d0a   8 byte-order magic 1a2b3c4d  12 major (1)  14 minor  16 section length  24 options
 *   interface description 1   8 link type  10 reserved  12 snapshot length  16 options
 *   enhanced packet 6         8 interface  12 time high  16 time low  20 captured  24 length  28 packet, options
 *   simple packet 3           8 original length  12 packet (of interface 0, cut to its snapshot length)
 *   packet 2 (obsolete)       8 interface (16)  10 drops (16)  then as the enhanced packet
 *
 * All other blocks are stepped over without being held in memory.
 */
import { interfaceOptions, packetOptions } from "./options.ts";
import { cutShort, type FormatParser, fault, type Stretch } from "./parser.ts";
import {
  type CaptureError,
  type CaptureFault,
  type CaptureInterface,
  type CaptureRecord,
  MAX_BLOCK,
  MAX_CAPTURED,
  MAX_INTERFACES,
  withoutFcs,
} from "./record.ts";
import { TickClock } from "./ticks.ts";

/** The same in both byte orders. */
export const SECTION_HEADER = 0x0a0d0d0a;
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const INTERFACE_DESCRIPTION = 1;
export const OBSOLETE_PACKET = 2;
export const SIMPLE_PACKET = 3;
export const ENHANCED_PACKET = 6;

/** The smallest total length of each block whose contents are read. */
const LEAST: Readonly<Record<number, number>> = {
  [SECTION_HEADER]: 28,
  [INTERFACE_DESCRIPTION]: 20,
  [OBSOLETE_PACKET]: 32,
  [SIMPLE_PACKET]: 16,
  [ENHANCED_PACKET]: 32,
};
/** Type, and the length at both ends. */
const LEAST_BLOCK = 12;

interface Source {
  readonly link: CaptureInterface;
  readonly clock: TickClock;
}

export class PcapngParser implements FormatParser {
  need = LEAST_BLOCK;
  error: CaptureError | undefined = undefined;
  private frames = 0;
  private little = true;
  private started = false;
  /** Of this section. */
  private sources: Source[] = [];
  private interfaceCount = 0;
  /** Octets yet to be stepped over of a block that is not read, up to its closing length; -1 outside such a block. */
  private skip = -1;
  private skipLength = 0;
  private blockOffset = 0;
  private seconds = 0;
  private nanoseconds = 0;

  parse(stretch: Stretch, from: number, out: CaptureRecord[]): number {
    const { bytes, view, base } = stretch;
    let at = from;
    for (;;) {
      if (this.skip >= 0) at = this.stepOver(stretch, at);
      if (this.skip >= 0 || this.error !== undefined) return at;
      const left = bytes.length - at;
      if (left < LEAST_BLOCK) {
        this.need = LEAST_BLOCK;
        return at;
      }
      this.blockOffset = base + at;
      const type = view.getUint32(at, this.little);
      if (type === SECTION_HEADER && !this.byteOrder(view, at)) return at;
      const length = view.getUint32(at + 4, this.little);
      const least = LEAST[type];
      if (length % 4 !== 0 || length > MAX_BLOCK || length < (least ?? LEAST_BLOCK)) {
        this.fail("bad-length", `a block of type ${hex(type)} claims a length of ${length}`);
        return at;
      }
      if (least === undefined) {
        this.skip = length - LEAST_BLOCK;
        this.skipLength = length;
        at += 8;
        continue;
      }
      if (left < length) {
        this.need = length;
        return at;
      }
      if (!this.closes(view, at + length - 4, length)) return at;
      this.block(type, stretch, at, length, out);
      if (this.error !== undefined) return at;
      at += length;
    }
  }

  ending(offset: number, left: number): CaptureError | undefined {
    if (this.skip >= 0) {
      const missing = `its last ${this.skip + 4 - left} octets are missing`;
      return cutShort(`a block: ${missing}`, this.blockOffset, this.frames);
    }
    if (left === 0 && this.started) return undefined;
    const part = this.started ? (left < LEAST_BLOCK ? "the header of a block" : "a block") : "the section header";
    return cutShort(`${part}: ${left} of ${this.need} octets are there`, offset, this.frames);
  }

  private fail(kind: CaptureFault, message: string): void {
    this.error = fault(kind, message, this.blockOffset, this.frames);
  }

  private stepOver({ bytes, view }: Stretch, from: number): number {
    const part = Math.min(this.skip, bytes.length - from);
    const at = from + part;
    this.skip -= part;
    this.need = this.skip > 0 ? 1 : 4;
    if (this.skip > 0 || bytes.length - at < 4) return at;
    if (!this.closes(view, at, this.skipLength)) return at;
    this.skip = -1;
    return at + 4;
  }

  private closes(view: DataView, at: number, length: number): boolean {
    const closing = view.getUint32(at, this.little);
    if (closing === length) return true;
    this.fail("bad-length", `a block begins with a length of ${length} and ends with one of ${closing}`);
    return false;
  }

  /** Every section header says anew in which byte order its section is. */
  private byteOrder(view: DataView, at: number): boolean {
    for (const little of [true, false]) {
      if (view.getUint32(at + 8, little) !== BYTE_ORDER_MAGIC) continue;
      this.little = little;
      return true;
    }
    this.fail("bad-block", `a section header has the byte-order magic ${hex(view.getUint32(at + 8, false))}`);
    return false;
  }

  private block(type: number, stretch: Stretch, at: number, length: number, out: CaptureRecord[]): void {
    const end = at + length - 4;
    if (type === ENHANCED_PACKET) this.packet(stretch, at, end, stretch.view.getUint32(at + 8, this.little), out);
    else if (type === OBSOLETE_PACKET) this.packet(stretch, at, end, stretch.view.getUint16(at + 8, this.little), out);
    else if (type === SIMPLE_PACKET) this.simplePacket(stretch, at, end, out);
    else if (type === INTERFACE_DESCRIPTION) this.interfaceDescription(stretch, at, end);
    else this.section(stretch, at);
  }

  private section({ view }: Stretch, at: number): void {
    const major = view.getUint16(at + 12, this.little);
    const minor = view.getUint16(at + 14, this.little);
    // Minor version 2 was written by some and means the same (draft-ietf-opsawg-pcapng §4.1).
    if (major !== 1 || (minor !== 0 && minor !== 2)) {
      this.fail("unsupported-version", `pcapng version ${major}.${minor} is not one that can be read (1.0 is)`);
      return;
    }
    this.started = true;
    this.sources = [];
  }

  private interfaceDescription({ view }: Stretch, at: number, end: number): void {
    if (this.sources.length >= MAX_INTERFACES) {
      this.fail("too-many-interfaces", `a section has more than ${MAX_INTERFACES} interfaces`);
      return;
    }
    const options = interfaceOptions(view, at + 16, end, this.little);
    if (typeof options === "string") {
      this.fail("bad-block", `interface ${this.sources.length} is not described rightly: ${options}`);
      return;
    }
    const link: CaptureInterface = {
      index: this.interfaceCount,
      name: options.name,
      linkType: view.getUint16(at + 8, this.little),
      snapLength: view.getUint32(at + 12, this.little),
      fcsLength: options.fcsLength,
    };
    this.sources.push({ link, clock: new TickClock(options.resolution, options.offset) });
    this.interfaceCount += 1;
  }

  private packet(stretch: Stretch, at: number, end: number, id: number, out: CaptureRecord[]): void {
    const { bytes, view } = stretch;
    const { little } = this;
    const source = this.source(id);
    const captured = view.getUint32(at + 20, little);
    const length = view.getUint32(at + 24, little);
    const data = at + 28;
    if (source === undefined || !this.fits(captured, end - data)) return;
    source.clock.set(view.getUint32(at + 12, little), view.getUint32(at + 16, little));
    this.seconds = source.clock.seconds;
    this.nanoseconds = source.clock.nanoseconds;
    const options = data + ((captured + 3) & ~3);
    let fcs = source.link.fcsLength;
    let direction: "in" | "out" | undefined;
    let comment: string | undefined;
    if (end - options >= 4) {
      const read = packetOptions(view, options, end, little);
      // epb_flags: bits 0–1 direction, bits 5–8 octets of FCS (0: not said).
      direction = (read.flags & 3) === 1 ? "in" : (read.flags & 3) === 2 ? "out" : undefined;
      fcs = (read.flags >>> 5) & 15 || fcs;
      comment = read.comment;
    }
    const kept = fcs === 0 ? captured : withoutFcs(captured, length, fcs);
    this.frames += 1;
    out.push({
      number: this.frames,
      seconds: this.seconds,
      nanoseconds: this.nanoseconds,
      length,
      capturedLength: captured,
      bytes: bytes.subarray(data, data + kept),
      interface: source.link,
      direction,
      comment,
    });
  }

  private simplePacket({ bytes, view }: Stretch, at: number, end: number, out: CaptureRecord[]): void {
    const link = this.source(0)?.link;
    if (link === undefined) return;
    const length = view.getUint32(at + 8, this.little);
    const data = at + 12;
    const captured = link.snapLength === 0 ? length : Math.min(length, link.snapLength);
    if (!this.fits(captured, end - data)) return;
    const kept = link.fcsLength === 0 ? captured : withoutFcs(captured, length, link.fcsLength);
    this.frames += 1;
    out.push({
      number: this.frames,
      seconds: this.seconds,
      nanoseconds: this.nanoseconds,
      length,
      capturedLength: captured,
      bytes: bytes.subarray(data, data + kept),
      interface: link,
      direction: undefined,
      comment: undefined,
    });
  }

  private source(id: number): Source | undefined {
    const source = this.sources[id];
    if (source === undefined) {
      const known = `its section has ${this.sources.length}`;
      this.fail("unknown-interface", `packet ${this.frames + 1} names interface ${id}; ${known}`);
    }
    return source;
  }

  private fits(captured: number, room: number): boolean {
    if (captured <= room && captured <= MAX_CAPTURED) return true;
    const most = captured > room ? `its block has room for ${room}` : `more than the ${MAX_CAPTURED} allowed`;
    this.fail("bad-length", `packet ${this.frames + 1} claims ${captured} captured octets; ${most}`);
    return false;
  }
}

function hex(word: number): string {
  return `0x${word.toString(16).padStart(8, "0")}`;
}
