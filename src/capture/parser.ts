/** What the formats have in common. */
import type { CaptureError, CaptureFault, CaptureRecord } from "./record.ts";

/** A stretch of the capture. The view is over the same octets: one a chunk, not one a packet. */
export interface Stretch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the first of these octets stands in the capture. */
  readonly base: number;
}

/** Reads one format out of stretches. */
export interface FormatParser {
  /** How many octets, from where the last `parse` stopped, it takes to get on. Never more than MAX_BLOCK. */
  need: number;
  error: CaptureError | undefined;
  /**
   * Appends every whole packet to `out`.
   * @returns where it stopped. Given exactly `need` octets it uses all of them, or asks for more, or fails.
   */
  parse(stretch: Stretch, from: number, out: CaptureRecord[]): number;
  /** The error when the capture ends `left` unused octets behind octet `offset`; undefined if it may end there. */
  ending(offset: number, left: number): CaptureError | undefined;
}

export function stretchOf(bytes: Uint8Array, base: number): Stretch {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), base };
}

export function fault(kind: CaptureFault, message: string, offset: number, frames: number): CaptureError {
  const after = frames === 0 ? "before the first frame" : `after frame ${frames}`;
  return { kind, message: `${message} (at octet ${offset}, ${after})`, offset, frames };
}

export function cutShort(where: string, offset: number, frames: number): CaptureError {
  return fault("truncated", `the file is cut short in ${where}`, offset, frames);
}
