/** Undoes gzip as the octets come, so that what is whole of a damaged file is delivered before its error. */
import { constants, createGunzip, type Gunzip } from "node:zlib";

/** Compressed octets a step. They grow at most 1032-fold, so a step never makes more than 17 MB. */
const STEP = 16_384;
/** The CRC and length at the end of a member: judged in a step of their own, after all data went out. */
const TRAILER = 8;
const OUTPUT = 131_072;

export function isGzip(first: Uint8Array): boolean {
  return first[0] === 0x1f && first[1] === 0x8b;
}

/** Why no more octets come. */
export interface GunzipStop {
  readonly kind: "truncated" | "gzip-damaged";
  readonly message: string;
}

export class Gunzipper {
  private readonly stream: Gunzip = createGunzip({ chunkSize: OUTPUT });
  private chunks: Uint8Array[] = [];
  private failure: NodeJS.ErrnoException | undefined = undefined;
  private readonly over: Promise<void>;
  /** The last octets that came; they wait in case that they are a trailer. */
  private held: Uint8Array = new Uint8Array(0);

  constructor() {
    this.stream.on("data", (chunk: Uint8Array) => this.chunks.push(chunk));
    this.over = new Promise((resolve) => {
      this.stream.on("end", resolve);
      this.stream.on("error", (error: NodeJS.ErrnoException) => {
        this.failure ??= error;
        resolve();
      });
    });
  }

  /** Takes the next compressed octets. A stop is the last that comes. */
  async *push(chunk: Uint8Array): AsyncGenerator<Uint8Array | GunzipStop, void, undefined> {
    const bytes = joined(this.held, chunk);
    const ready = Math.max(0, bytes.length - TRAILER);
    this.held = bytes.slice(ready);
    for (let at = 0; at < ready; at += STEP) yield* this.step(bytes.subarray(at, Math.min(ready, at + STEP)));
  }

  /** Says that the compressed octets end here. */
  async *end(): AsyncGenerator<Uint8Array | GunzipStop, void, undefined> {
    yield* this.step(this.held);
    this.stream.end();
    await this.over;
    yield* this.made();
  }

  close(): void {
    this.stream.destroy();
  }

  private async *step(bytes: Uint8Array): AsyncGenerator<Uint8Array | GunzipStop, void, undefined> {
    // The write calls back when its output is out, but not when the stream fails or is over before.
    await Promise.race([new Promise((resolve) => this.stream.write(bytes, resolve)), this.over]);
    yield* this.made();
  }

  private *made(): Generator<Uint8Array | GunzipStop, void, undefined> {
    const { chunks, failure } = this;
    this.chunks = [];
    yield* chunks;
    if (failure === undefined) return;
    if (failure.errno === constants.Z_BUF_ERROR) yield { kind: "truncated", message: "the gzip data is cut short" };
    else yield { kind: "gzip-damaged", message: `the gzip data is damaged: ${failure.message}` };
  }
}

export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
