/** A message to the kernel as it is put together (netlink(7)): integers in the machine's order, attributes padded to four octets. */
import { LITTLE } from "./libc.ts";

/** Grows as it is written; `open` and `close` nest attributes. */
export class Message {
  private bytes = new Uint8Array(128);
  private view = new DataView(this.bytes.buffer);
  private at = 0;

  u8(value: number): this {
    this.room(1);
    this.view.setUint8(this.at++, value);
    return this;
  }

  u16(value: number): this {
    this.room(2);
    this.view.setUint16(this.at, value, LITTLE);
    this.at += 2;
    return this;
  }

  u32(value: number): this {
    this.room(4);
    this.view.setUint32(this.at, value >>> 0, LITTLE);
    this.at += 4;
    return this;
  }

  put(octets: Uint8Array): this {
    this.room(octets.length);
    this.bytes.set(octets, this.at);
    this.at += octets.length;
    return this;
  }

  attribute(type: number, value: Uint8Array | number | string): this {
    const start = this.open(type);
    if (typeof value === "number") this.u32(value);
    else if (typeof value === "string") this.put(new TextEncoder().encode(value)).u8(0);
    else this.put(value);
    return this.close(start);
  }

  open(type: number): number {
    const start = this.at;
    this.u16(0).u16(type);
    return start;
  }

  close(start: number): this {
    this.view.setUint16(start, this.at - start, LITTLE);
    while (this.at % 4 !== 0) this.u8(0);
    return this;
  }

  finish(): Uint8Array {
    this.view.setUint32(0, this.at, LITTLE);
    return this.bytes.slice(0, this.at);
  }

  private room(octets: number): void {
    if (this.at + octets <= this.bytes.length) return;
    const grown = new Uint8Array(2 * this.bytes.length + octets);
    grown.set(this.bytes);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
}
