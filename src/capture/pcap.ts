/**
 * Classic pcap (draft-ietf-opsawg-pcap), in the byte order of its writer.
 *
 *   file header, 24 octets                                record header, 16 octets
 *    0  magic  a1b2c3d4 microseconds, a1b23c4d nano-       0  seconds since 1970, unsigned
 *    4  major version, 16 bits: 2                          4  micro- or nanoseconds
 *    6  minor version, 16 bits: 4                          8  captured length
 *    8  two words of no use                               12  original length
 *   16  snapshot length                                   16  the packet, captured length octets
 *   20  FCS length in 16-bit words (4 bits), R, P (1: the length is given), 10 reserved, link type (16 bits)
 */
import { cutShort, type FormatParser, fault, type Stretch } from "./parser.ts";
import { type CaptureError, type CaptureInterface, type CaptureRecord, MAX_CAPTURED, withoutFcs } from "./record.ts";

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const SECOND = 1_000_000_000;
const FCS_PRESENT = 0x0400_0000;

interface Magic {
  readonly little: boolean;
  /** Nanoseconds in a unit of the record's fraction. */
  readonly unit: 1 | 1_000;
}

/** What the first four octets say; undefined when they do not begin a classic pcap. */
export function classicMagic(view: DataView): Magic | undefined {
  for (const little of [true, false]) {
    const magic = view.getUint32(0, little);
    if (magic === MICROSECONDS) return { little, unit: 1_000 };
    if (magic === NANOSECONDS) return { little, unit: 1 };
  }
  return undefined;
}

export class ClassicParser implements FormatParser {
  need = FILE_HEADER;
  error: CaptureError | undefined = undefined;
  private frames = 0;
  private link: CaptureInterface | undefined = undefined;
  private minor = 4;
  constructor(private readonly magic: Magic) {}

  parse(stretch: Stretch, from: number, out: CaptureRecord[]): number {
    if (this.link !== undefined) return this.records(stretch, from, this.link, out);
    if (stretch.bytes.length - from < FILE_HEADER) return from;
    this.link = this.header(stretch, from);
    if (this.error !== undefined) return from;
    return this.records(stretch, from + FILE_HEADER, this.link, out);
  }

  ending(offset: number, left: number): CaptureError | undefined {
    const found = `${left} of ${this.need} octets are there`;
    if (this.link === undefined) return cutShort(`the file header: ${found}`, offset, 0);
    if (left === 0) return undefined;
    const part = left < RECORD_HEADER ? "the header of packet" : "packet";
    return cutShort(`${part} ${this.frames + 1}: ${found}`, offset, this.frames);
  }

  private header({ view, base }: Stretch, from: number): CaptureInterface {
    const { little } = this.magic;
    const major = view.getUint16(from + 4, little);
    this.minor = view.getUint16(from + 6, little);
    if (major !== 2 || this.minor > 4) {
      const message = `pcap version ${major}.${this.minor} is not one that can be read (2.0 to 2.4 are)`;
      this.error = fault("unsupported-version", message, base + from, 0);
    }
    this.need = RECORD_HEADER;
    const network = view.getUint32(from + 20, little);
    return {
      index: 0,
      name: undefined,
      linkType: network & 0xffff,
      snapLength: view.getUint32(from + 16, little),
      fcsLength: (network & FCS_PRESENT) === 0 ? 0 : (network >>> 28) * 2,
    };
  }

  private records(stretch: Stretch, from: number, link: CaptureInterface, out: CaptureRecord[]): number {
    const { bytes, view } = stretch;
    const { little, unit } = this.magic;
    const end = bytes.length;
    let at = from;
    while (end - at >= RECORD_HEADER) {
      let captured = view.getUint32(at + 8, little);
      let length = view.getUint32(at + 12, little);
      // As libpcap: before version 2.3 the lengths stood the other way round, and in 2.3 some writers kept to that.
      if (this.minor < 3 || (this.minor === 3 && captured > length)) [captured, length] = [length, captured];
      if (captured > MAX_CAPTURED) {
        this.error = this.tooLong(captured, stretch.base + at);
        return at;
      }
      const data = at + RECORD_HEADER;
      const next = data + captured;
      if (next > end) {
        this.need = RECORD_HEADER + captured;
        return at;
      }
      let seconds = view.getUint32(at, little);
      let nanoseconds = view.getUint32(at + 4, little) * unit;
      if (nanoseconds >= SECOND) {
        // Invalid, but there are such files. The sum is meant; what does not fit 32 bits is lost, as in Wireshark.
        nanoseconds %= 0x1_0000_0000;
        seconds += Math.floor(nanoseconds / SECOND);
        nanoseconds %= SECOND;
      }
      const kept = link.fcsLength === 0 ? captured : withoutFcs(captured, length, link.fcsLength);
      this.frames += 1;
      out.push({
        number: this.frames,
        seconds,
        nanoseconds,
        length,
        capturedLength: captured,
        bytes: bytes.subarray(data, data + kept),
        interface: link,
        direction: undefined,
        comment: undefined,
      });
      at = next;
    }
    this.need = RECORD_HEADER;
    return at;
  }

  private tooLong(captured: number, offset: number): CaptureError {
    const most = `more than the ${MAX_CAPTURED} allowed`;
    const message = `packet ${this.frames + 1} claims ${captured} captured octets, ${most}`;
    return fault("bad-length", message, offset, this.frames);
  }
}
