/** A pcapng file that grows as packets come. */
import { closeSync, openSync, writeSync } from "node:fs";
import { type InterfaceToWrite, type PacketToWrite, PcapngWriter } from "./write.ts";

/** Why the file could not be written; what came before stands in it, as far as the disk took it. */
export interface SinkError {
  readonly path: string;
  readonly message: string;
}

/**
 * Writes synchronously, a piece at a time: a simulation runs faster than a disk writes, and there must be no queue
 * between them. After the first error nothing more is written.
 */
export class CaptureSink {
  /** The first thing that went wrong. */
  error: SinkError | undefined = undefined;
  private fd: number | undefined;
  private readonly writer: PcapngWriter;

  /** Makes the file, or empties one that is there. */
  constructor(
    readonly path: string,
    application?: string,
  ) {
    this.fd = this.tried(() => openSync(path, "w"));
    this.writer = new PcapngWriter((piece) => this.put(piece), application);
  }

  addInterface(link: InterfaceToWrite): number {
    return this.writer.addInterface(link);
  }

  packet(packet: PacketToWrite): void {
    if (this.error === undefined) this.writer.packet(packet);
  }

  /** Writes what is left and closes the file. @returns the error, this call's or an earlier one. */
  close(): SinkError | undefined {
    this.writer.flush();
    const { fd } = this;
    this.fd = undefined;
    if (fd !== undefined) this.tried(() => closeSync(fd));
    return this.error;
  }

  private put(piece: Uint8Array): void {
    const { fd } = this;
    if (fd === undefined || this.error !== undefined) return;
    this.tried(() => {
      for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at);
    });
  }

  private tried<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.error ??= { path: this.path, message: error instanceof Error ? error.message : String(error) };
      return undefined;
    }
  }
}
