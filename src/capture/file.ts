/** Captures from files and standard input: constant memory, read no faster than the packets are used. */
import { createReadStream } from "node:fs";
import process from "node:process";
import { Gunzipper, isGzip, joined } from "./gunzip.ts";
import { CaptureReader } from "./read.ts";
import type { CaptureError, CaptureFault, CaptureRecord } from "./record.ts";

/** Octets read at once. */
const CHUNK = 262_144;

/** Packets in the order of the file. Only the last batch may have an error, which comes after its packets. */
export interface CaptureBatch {
  readonly records: readonly CaptureRecord[];
  readonly error: CaptureError | undefined;
}

/**
 * Reads a pcap or pcapng capture, either also compressed with gzip (known by its first octets, not by a name).
 * @param source a path, "-" for standard input, or the octets themselves
 * @returns batches of the packets that one piece of the file completed. Whatever is wrong with the file is the `error`
 * of the last one; nothing is thrown.
 */
export async function* readCapture(
  source: string | AsyncIterable<Uint8Array>,
): AsyncGenerator<CaptureBatch, void, undefined> {
  const reader = new CaptureReader();
  const octets = typeof source === "string" ? octetsOf(source) : source;
  for await (const piece of uncompressed(caught(octets))) {
    let records: readonly CaptureRecord[] = [];
    if (piece instanceof Uint8Array) records = reader.push(piece);
    else reader.fail(piece.kind, piece.message);
    const { error } = reader;
    if (records.length > 0 || error !== undefined) yield { records, error };
    if (error !== undefined) return;
  }
  const error = reader.end();
  if (error !== undefined) yield { records: [], error };
}

/** Octets, or why there are no more. */
type Piece = Uint8Array | Stop;

interface Stop {
  readonly kind: CaptureFault;
  readonly message: string;
}

function octetsOf(path: string): AsyncIterable<Uint8Array> {
  return path === "-" ? process.stdin : createReadStream(path, { highWaterMark: CHUNK });
}

/** Turns what a stream throws into a value. */
async function* caught(source: AsyncIterable<Uint8Array>): AsyncGenerator<Piece, void, undefined> {
  let failure: unknown;
  try {
    yield* source;
    return;
  } catch (error) {
    failure = error;
  }
  yield { kind: "unreadable", message: `cannot be read: ${failure instanceof Error ? failure.message : failure}` };
}

async function* uncompressed(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece, void, undefined> {
  /** Octets in wait for a second one; undefined once it is known what they begin. */
  let start: Uint8Array | undefined = new Uint8Array(0);
  let gunzip: Gunzipper | undefined;
  try {
    for await (const piece of pieces) {
      let chunk = piece;
      if (start !== undefined && chunk instanceof Uint8Array) {
        chunk = joined(start, chunk);
        start = chunk.length < 2 ? chunk : undefined;
        if (start !== undefined) continue;
        if (isGzip(chunk)) gunzip = new Gunzipper();
      }
      if (gunzip === undefined || !(chunk instanceof Uint8Array)) yield chunk;
      else yield* gunzip.push(chunk);
    }
    if (start !== undefined) yield start;
    if (gunzip !== undefined) yield* gunzip.end();
  } finally {
    gunzip?.close();
  }
}
