/**
 * The unit of every wire: an Ethernet frame without FCS. Its header is parsed once and shared by every hop;
 * its octets are made when somebody asks for them. A frame never changes: tagging gives a second frame.
 */
import { u16, u32 } from "./bytes.ts";

export const ETHERNET_HEADER = 14;
export const TAG_SIZE = 4;
/** IEEE 802.1Q C-TAG. */
export const TPID = 0x8100;

/** Addresses and type of a frame, as numbers: what relays look at. Shared by all frames of a flow. */
export class FrameHeader {
  /** Octets 0–1 of the destination. */
  readonly dstHi: number;
  /** Octets 2–5 of the destination, as a signed 32-bit integer (a table key, not a quantity). */
  readonly dstLo: number;
  readonly srcHi: number;
  readonly srcLo: number;
  /** Spread over 32 bits, for tables. */
  readonly dstHash: number;
  readonly srcHash: number;
  /** EtherType behind the outer 802.1Q tag, or an 802.3 length below 0x600. */
  readonly type: number;
  /** Group bit of the destination: multicast or broadcast. */
  readonly group: boolean;

  constructor(bytes: Uint8Array) {
    this.dstHi = u16(bytes, 0);
    this.dstLo = u32(bytes, 2) | 0;
    this.srcHi = u16(bytes, 6);
    this.srcLo = u32(bytes, 8) | 0;
    this.dstHash = hashMac(this.dstHi, this.dstLo);
    this.srcHash = hashMac(this.srcHi, this.srcLo);
    const outer = u16(bytes, 12);
    this.type = outer === TPID ? u16(bytes, 16) : outer;
    this.group = (this.dstHi & 0x0100) !== 0;
  }
}

/** Mixes 48 bits into 32 (Murmur3 finaliser). */
export function hashMac(hi: number, lo: number): number {
  let h = lo ^ Math.imul(hi, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Makes the octets of a frame that was sent without them: a flow's template and the frame's number. */
export interface FrameSource {
  /** @param sequence the number given to `Frame.lazy` */
  bytesOf(sequence: number): Uint8Array;
}

export class Frame {
  private made: Uint8Array | undefined;
  /** The same frame with or without its tag, kept so that tag and untag cost one object for a whole path. */
  private twin: Frame | undefined;

  private constructor(
    readonly header: FrameHeader,
    /** Octets on the wire, without FCS and without padding to 60. */
    readonly size: number,
    /** 802.1Q tag control information, 0…0xffff, or -1 for an untagged frame. */
    readonly tci: number,
    readonly source: FrameSource | Frame | undefined,
    readonly sequence: number,
    bytes: Uint8Array | undefined,
  ) {
    this.made = bytes;
    this.twin = undefined;
  }

  /**
   * A frame of received or encoded octets, at least 14 of them; they must not change from here on.
   * @param sequence its number in a capture, for machines that say which frame they mean
   * @param size octets that it had on the wire, where a capture has cut it
   */
  static of(bytes: Uint8Array, sequence = 0, size = bytes.length): Frame {
    const header = new FrameHeader(bytes);
    const tci = bytes.length >= ETHERNET_HEADER + TAG_SIZE && u16(bytes, 12) === TPID ? u16(bytes, 14) : -1;
    return new Frame(header, size, tci, undefined, sequence, bytes);
  }

  /** An untagged frame whose octets are made on demand. */
  static lazy(header: FrameHeader, size: number, source: FrameSource, sequence: number): Frame {
    return new Frame(header, size, -1, source, sequence, undefined);
  }

  get bytes(): Uint8Array {
    this.made ??= this.source instanceof Frame ? retag(this.source, this.tci) : this.make();
    return this.made;
  }

  /** VLAN identifier of the outer tag, 0 for none (a priority tag counts as none: IEEE 802.1Q §6.9.1). */
  get vid(): number {
    return this.tci < 0 ? 0 : this.tci & 0xfff;
  }

  /** Where the payload of `header.type` begins. */
  get payload(): number {
    return this.tci < 0 ? ETHERNET_HEADER : ETHERNET_HEADER + TAG_SIZE;
  }

  /** This frame with `tci` as its outer tag (replacing one that is there). */
  tagged(tci: number): Frame {
    if (this.tci === tci) return this;
    if (this.twin?.tci === tci) return this.twin;
    const made = new Frame(
      this.header,
      this.tci < 0 ? this.size + TAG_SIZE : this.size,
      tci,
      this,
      this.sequence,
      undefined,
    );
    if (this.tci < 0) made.twin = this;
    this.twin = made;
    return made;
  }

  /** This frame without its outer tag; one that carried two has the inner one then. */
  untagged(): Frame {
    if (this.tci < 0) return this;
    if (this.twin !== undefined && this.twin.tci < 0) return this.twin;
    // A second tag below is the outer one now, for everybody who looks at the frame: it is parsed again.
    if (this.header.type === TPID) return Frame.of(retag(this, -1));
    const made = new Frame(this.header, this.size - TAG_SIZE, -1, this, this.sequence, undefined);
    made.twin = this;
    this.twin = made;
    return made;
  }

  private make(): Uint8Array {
    return (this.source as FrameSource).bytesOf(this.sequence);
  }
}

function retag(from: Frame, tci: number): Uint8Array {
  const old = from.bytes;
  const rest = old.subarray(from.tci < 0 ? 12 : 16);
  const bytes = new Uint8Array(12 + (tci < 0 ? 0 : TAG_SIZE) + rest.length);
  bytes.set(old.subarray(0, 12));
  if (tci >= 0) bytes.set([TPID >>> 8, TPID & 0xff, tci >>> 8, tci & 0xff], 12);
  bytes.set(rest, tci < 0 ? 12 : 16);
  return bytes;
}
