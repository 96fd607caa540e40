/** Reads pcap and pcapng, pushed to it in pieces of any size. No I/O; `file.ts` brings the octets, gzip undone. */

import { type FormatParser, fault, type Stretch, stretchOf } from "./parser.ts";
import { ClassicParser, classicMagic } from "./pcap.ts";
import { PcapngParser, SECTION_HEADER } from "./pcapng.ts";
import type { CaptureError, CaptureFault, CaptureRecord } from "./record.ts";

const MAGIC = 4;
const NO_RECORDS: readonly CaptureRecord[] = [];

export class CaptureReader {
  /** Set once, when no more can be read; all packets before it have been delivered. */
  error: CaptureError | undefined = undefined;
  private parser: FormatParser | undefined = undefined;
  /** The beginning of something that the next pieces complete. It doubles as octets come, never on a file's word. */
  private held = new Uint8Array(0);
  private heldLength = 0;
  private frames = 0;
  /** Where in the capture the next octet to be parsed stands. */
  private offset = 0;

  /**
   * Takes the next octets, which are the reader's from then on: packets are views of them.
   * @returns the packets that they complete; none after an error.
   */
  push(chunk: Uint8Array): readonly CaptureRecord[] {
    if (this.error !== undefined || chunk.length === 0) return NO_RECORDS;
    const out: CaptureRecord[] = [];
    let at = this.heldLength === 0 ? 0 : this.complete(chunk, out);
    if (at < chunk.length && this.error === undefined) {
      // A plain view: a Buffer's subarray is slower and is no Uint8Array to those who compare.
      const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const stretch = stretchOf(bytes, this.offset - at);
      at = this.parse(stretch, at, out);
      if (this.error === undefined) this.hold(bytes.subarray(at));
    }
    this.frames += out.length;
    return out;
  }

  /** Says that no more octets can be had, and why. */
  fail(kind: CaptureFault, message: string): void {
    this.error ??= fault(kind, message, this.offset, this.frames);
  }

  /** Says that the file ends here. @returns the error, this call's or an earlier one. */
  end(): CaptureError | undefined {
    this.error ??= this.atEnd();
    return this.error;
  }

  private atEnd(): CaptureError | undefined {
    if (this.parser === undefined) {
      return this.heldLength === 0
        ? { kind: "empty", message: "the file is empty: not even a header is there", offset: 0, frames: 0 }
        : fault("not-a-capture", `not a capture file: it has only ${this.heldLength} octets`, 0, 0);
    }
    return this.parser.ending(this.offset, this.heldLength);
  }

  /** Fills what is held from the chunk, no further than needed. @returns how much of the chunk that took. */
  private complete(chunk: Uint8Array, out: CaptureRecord[]): number {
    let at = 0;
    while (this.heldLength > 0 && this.error === undefined) {
      const part = Math.min((this.parser?.need ?? MAGIC) - this.heldLength, chunk.length - at);
      this.hold(chunk.subarray(at, at + part));
      at += part;
      if (this.heldLength < (this.parser?.need ?? MAGIC)) return at;
      const stretch = stretchOf(this.held.subarray(0, this.heldLength), this.offset);
      if (this.parse(stretch, 0, out) > 0) {
        // The packets are views of what was held: it is theirs now.
        this.held = new Uint8Array(0);
        this.heldLength = 0;
      }
    }
    return at;
  }

  private parse(stretch: Stretch, from: number, out: CaptureRecord[]): number {
    if (this.parser === undefined) {
      if (stretch.bytes.length - from < MAGIC) return from;
      this.parser = this.formatOf(stretch.view);
    }
    if (this.parser === undefined) return from;
    const stop = this.parser.parse(stretch, from, out);
    this.offset += stop - from;
    this.error = this.parser.error;
    return stop;
  }

  private formatOf(view: DataView): FormatParser | undefined {
    if (view.getUint32(0) === SECTION_HEADER) return new PcapngParser();
    const magic = classicMagic(view);
    if (magic !== undefined) return new ClassicParser(magic);
    const found = view.getUint32(0).toString(16).padStart(8, "0");
    this.error = fault("not-a-capture", `not a pcap, pcapng or gzip file: it begins with ${found}`, 0, 0);
    return undefined;
  }

  private hold(bytes: Uint8Array): void {
    const length = this.heldLength + bytes.length;
    if (length > this.held.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * this.held.length, this.parser?.need ?? MAGIC)));
      grown.set(this.held.subarray(0, this.heldLength));
      this.held = grown;
    }
    this.held.set(bytes, this.heldLength);
    this.heldLength = length;
  }
}
