/**
 * What carries frames between the node and a real interface. The default calls the kernel through koffi; two packages of
 * others can take its place. Frames only: netlink, the alarm, packets through the kernel's own stack, the guardian and its
 * farewells go through koffi whatever carries frames.
 */
import { openCap } from "./io-cap.ts";
import { openRawSocket } from "./io-raw-socket.ts";
import { CallFailed, type Libc } from "./libc.ts";
import { ABSENT, type PacketCounts, PacketSocket, type Wanted } from "./packet.ts";

export const IO_NAMES = ["koffi", "cap", "raw-socket"] as const;
export type IoName = (typeof IO_NAMES)[number];

/** Frames of one interface, in and out. */
export interface PacketPort {
  /** Of the interface. */
  readonly index: number;
  /** False when the frame has not left; it is counted. */
  send(frame: Uint8Array): boolean;
  refreshCounts(): PacketCounts;
  close(): void;
}

/** The interface that a port is for, as it is now. */
export interface Below {
  readonly index: number;
  readonly name: string;
}

export interface Io {
  /** It is to be closed when its interface goes down, and opened again when that is back. */
  readonly whileUp: boolean;
  /** What whoever chose it has to know, said at each start. */
  readonly caution?: string;
  /**
   * @param heard is given octets of its own; an exception of it ends the process
   * @returns undefined when the interface has gone, or down, meanwhile: news of it are under way
   */
  open(on: Below, wanted: readonly Wanted[], heard: (frame: Uint8Array) => void): PacketPort | undefined;
}

export type IoResult = { readonly ok: true; readonly io: Io } | { readonly ok: false; readonly message: string };

/** `message`: what is missing and what to do about it. */
export function openIo(name: IoName, libc: Libc): IoResult {
  switch (name) {
    case "koffi":
      return { ok: true, io: { whileUp: false, open: packetSocketIo(libc) } };
    case "cap":
      return openCap(libc);
    case "raw-socket":
      return openRawSocket(libc);
  }
}

function packetSocketIo(libc: Libc): Io["open"] {
  return ({ index }, wanted, heard) => {
    const sockets: PacketSocket[] = [];
    try {
      for (const vlan of new Set([undefined, ...wanted.map((one) => one.vlan)])) {
        const own = wanted.filter((one) => one.vlan === vlan);
        sockets.push(new PacketSocket(libc, index, own, heard, vlan));
      }
    } catch (error) {
      for (const socket of sockets) socket.close();
      if (!(error instanceof CallFailed) || !ABSENT.has(error.code)) throw error;
      return undefined;
    }
    const [first, ...others] = sockets;
    return first === undefined || others.length === 0 ? first : new Several(first, others);
  };
}

/** Sockets for one interface: the kernel shows tags to a filter only, so each VLAN has one of its own. */
class Several implements PacketPort {
  constructor(
    /** The one that sends, with tags or without. */
    private readonly first: PacketSocket,
    private readonly others: readonly PacketSocket[],
  ) {}

  get index(): number {
    return this.first.index;
  }

  send(frame: Uint8Array): boolean {
    return this.first.send(frame);
  }

  refreshCounts(): PacketCounts {
    const { received, dropped, sent, refused } = this.first.refreshCounts();
    const counts = { received, dropped: dropped ?? 0, sent, refused };
    for (const other of this.others) {
      const more = other.refreshCounts();
      counts.received += more.received;
      counts.dropped += more.dropped ?? 0;
    }
    return counts;
  }

  close(): void {
    for (const socket of [this.first, ...this.others]) socket.close();
  }
}
