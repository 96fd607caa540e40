/** A toy's frame: EtherType 0x88b5 (IEEE 802 local experimental), one octet of number. */
import { Frame } from "../../../src/core/frame.ts";
import { drop, ok, type Result } from "../../../src/core/result.ts";

export const HELLO_TYPE = 0x88b5;
const SIZE = 15;

export interface Hello {
  /** 0…255 */
  readonly number: number;
}

export function decodeHello(frame: Frame): Result<Hello, "short"> {
  const number = frame.bytes[frame.payload];
  return number === undefined ? drop("short") : ok({ number });
}

export function encodeHello(hello: Hello, source: Uint8Array): Frame {
  const bytes = new Uint8Array(SIZE).fill(0xff, 0, 6);
  bytes.set(source, 6);
  bytes.set([HELLO_TYPE >>> 8, HELLO_TYPE & 0xff, hello.number], 12);
  return Frame.of(bytes);
}
