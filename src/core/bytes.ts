/**
 * Reading and writing network byte order. Only `Uint8Array` and `subarray`: bytes are copied once, at the socket.
 */

/** A cursor whose `short` is sticky: read on without checks, look once at the end. Reads past the end give 0. */
export class Reader {
  short = false;
  constructor(
    readonly bytes: Uint8Array,
    public offset = 0,
    readonly end = bytes.length,
  ) {}

  get left(): number {
    return this.end - this.offset;
  }

  u8(): number {
    const at = this.take(1);
    return at < 0 ? 0 : (this.bytes[at] ?? 0);
  }

  u16(): number {
    const at = this.take(2);
    return at < 0 ? 0 : u16(this.bytes, at);
  }

  /** Unsigned 32 bit. */
  u32(): number {
    const at = this.take(4);
    return at < 0 ? 0 : u32(this.bytes, at);
  }

  /** A view of the next `length` octets (no copy); empty when they are not there. */
  view(length: number): Uint8Array {
    const at = this.take(length);
    return at < 0 ? EMPTY : this.bytes.subarray(at, at + length);
  }

  /** A view of what is left. */
  rest(): Uint8Array {
    return this.view(this.end - this.offset);
  }

  skip(length: number): void {
    this.take(length);
  }

  private take(length: number): number {
    const at = this.offset;
    if (length < 0 || at + length > this.end) {
      this.short = true;
      this.offset = this.end;
      return -1;
    }
    this.offset = at + length;
    return at;
  }
}

export const EMPTY = new Uint8Array(0);

/** A cursor over a buffer of exactly the encoded size: one allocation a message. */
export class Writer {
  offset: number;
  readonly bytes: Uint8Array;
  constructor(size: number | Uint8Array, offset = 0) {
    this.bytes = typeof size === "number" ? new Uint8Array(size) : size;
    this.offset = offset;
  }

  u8(value: number): this {
    this.bytes[this.offset++] = value;
    return this;
  }

  u16(value: number): this {
    this.bytes[this.offset++] = value >>> 8;
    this.bytes[this.offset++] = value;
    return this;
  }

  u32(value: number): this {
    this.bytes[this.offset++] = value >>> 24;
    this.bytes[this.offset++] = value >>> 16;
    this.bytes[this.offset++] = value >>> 8;
    this.bytes[this.offset++] = value;
    return this;
  }

  put(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.offset);
    this.offset += bytes.length;
    return this;
  }

  /** Reserved octets: zero on transmission. */
  zero(length: number): this {
    this.bytes.fill(0, this.offset, this.offset + length);
    this.offset += length;
    return this;
  }
}

/** The unsigned 16 bits at `at`; the caller has checked that they are there. */
export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** The unsigned 32 bits at `at`; the caller has checked that they are there. */
export function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) * 0x10000 + u16(bytes, at + 2)) >>> 0;
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * The 16-bit ones' complement sum of RFC 1071, not yet complemented; `start` continues an earlier even-length part.
 * A sum over data that holds its own correct checksum is 0xffff.
 */
export function onesSum(bytes: Uint8Array, from = 0, to = bytes.length, start = 0): number {
  let sum = start;
  let i = from;
  for (; i + 1 < to; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  if (i < to) sum += (bytes[i] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** The internet checksum of RFC 1071 as it is written into a header. */
export function internetChecksum(bytes: Uint8Array, from = 0, to = bytes.length, start = 0): number {
  return ~onesSum(bytes, from, to, start) & 0xffff;
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Two lower-case digits of each octet. */
export const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

/** Reads an even number of hex digits; undefined for anything else. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
