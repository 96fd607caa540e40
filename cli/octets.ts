/** A file or stdin as a stream of octets, opened far enough to know that it can be read and what it begins with. */
import { createReadStream } from "node:fs";
import { addAbortSignal } from "node:stream";
import { unreadable } from "./files.ts";
import { interrupted } from "./output.ts";

/** Octets read at once. */
const CHUNK = 262_144;

export interface Octets {
  /** As messages call it. */
  readonly name: string;
  /** The first of them; undefined for an empty file. */
  readonly first: number | undefined;
  /** All of them, once. */
  readonly stream: AsyncIterable<Uint8Array>;
}

/** @throws Failure when it cannot be opened or not even the first octets can be read. */
export async function openOctets(file: string): Promise<Octets> {
  const name = file === "-" ? "<stdin>" : file;
  const source: AsyncIterable<Uint8Array> =
    file === "-" ? addAbortSignal(interrupted, process.stdin) : createReadStream(file, { highWaterMark: CHUNK });
  const pieces = source[Symbol.asyncIterator]();
  const piece = await pieces.next().catch((error: unknown) => {
    interrupted.throwIfAborted();
    throw unreadable(name, error);
  });
  const head = piece.done === true ? undefined : piece.value;
  return { name, first: head?.[0], stream: rejoined(head, pieces) };
}

async function* rejoined(
  head: Uint8Array | undefined,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (head === undefined) return;
    yield head;
    for (let piece = await rest.next(); piece.done !== true; piece = await rest.next()) yield piece.value;
  } finally {
    // Whoever stops early closes the file.
    await rest.return?.();
  }
}
