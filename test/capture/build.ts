/** Captures made octet by octet, in both byte orders, independent of the project's own writer. */
import { CaptureReader } from "../../src/capture/read.ts";
import type { CaptureError, CaptureRecord } from "../../src/capture/record.ts";

export type Order = "little" | "big";

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(bytes.length * times);
  for (let at = 0; at < all.length; at += bytes.length) all.set(bytes, at);
  return all;
}

export function words(order: Order, ...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, order === "little");
  return new Uint8Array(view.buffer);
}

export function halves(order: Order, ...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * values.length));
  for (const [i, value] of values.entries()) view.setUint16(2 * i, value, order === "little");
  return new Uint8Array(view.buffer);
}

function padded(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array(-bytes.length & 3));
}

export const MICRO = 0xa1b2c3d4;
export const NANO = 0xa1b23c4d;

export function pcapHeader(order: Order, magic = MICRO, network = 1, version: readonly [number, number] = [2, 4]) {
  return concat(words(order, magic), halves(order, ...version), words(order, 0, 0, 65_535, network));
}

export function pcapRecord(order: Order, seconds: number, fraction: number, bytes: Uint8Array, length = bytes.length) {
  return concat(words(order, seconds, fraction, bytes.length, length), bytes);
}

export function block(order: Order, type: number, body: Uint8Array): Uint8Array {
  const length = 12 + padded(body).length;
  return concat(words(order, type, length), padded(body), words(order, length));
}

export function option(order: Order, code: number, value: Uint8Array): Uint8Array {
  return concat(halves(order, code, value.length), padded(value));
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export function section(order: Order, major = 1, minor = 0): Uint8Array {
  return block(
    order,
    0x0a0d0d0a,
    concat(words(order, 0x1a2b3c4d), halves(order, major, minor), words(order, 0xffffffff, 0xffffffff)),
  );
}

export function interfaceBlock(order: Order, linkType: number, snapLength: number, ...options: readonly Uint8Array[]) {
  return block(order, 1, concat(halves(order, linkType, 0), words(order, snapLength), ...options));
}

export function enhanced(
  order: Order,
  id: number,
  ticks: bigint,
  bytes: Uint8Array,
  length = bytes.length,
  ...options: readonly Uint8Array[]
): Uint8Array {
  const [high, low] = [Number(ticks >> 32n), Number(ticks & 0xffffffffn)];
  return block(order, 6, concat(words(order, id, high, low, bytes.length, length), padded(bytes), ...options));
}

export interface Outcome {
  readonly records: readonly CaptureRecord[];
  readonly error: CaptureError | undefined;
}

/** Reads octets that come in pieces which end at `cuts`. */
export function readAll(bytes: Uint8Array, cuts: readonly number[] = []): Outcome {
  const reader = new CaptureReader();
  const records: CaptureRecord[] = [];
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    // A copy: the reader owns what it is given, and nothing may depend on the neighbouring octets.
    records.push(...reader.push(bytes.slice(from, to)));
    from = to;
  }
  return { records, error: reader.end() };
}

/** All that an outcome holds, as text: equal texts are equal outcomes, at a small part of a deep comparison's cost. */
export function printed({ records, error }: Outcome): string {
  const lines = records.map(({ bytes, interface: link, ...rest }) =>
    [...Object.values(rest), ...Object.values(link), bytes.join()].join(" "),
  );
  return [...lines, JSON.stringify(error)].join("\n");
}
