/** The guardian's work once the daemon is gone: farewell, wait for a successor, give back. */

import type { Condition } from "../../node/protocol.ts";
import { GivingBack } from "./giving-back.ts";
import type { Holding, Packet } from "./holdings.ts";
import { CallFailed, type Libc, SOCK_FLAGS, SOCK_RAW } from "./libc.ts";
import { PacketSocket, type Wanted } from "./packet.ts";
import { openRawIp, type RawIp, socketAddress } from "./raw-ip.ts";
import { Rtnl } from "./rtnl.ts";
import { writeSysctl } from "./sysctl.ts";

const AF_PACKET = 17;
/** Of this host itself, there in every network namespace. */
const LOOPBACK = 1;
/** The way out is full: tried again so many times, a millisecond apart. */
const FULL = new Set(["EAGAIN", "ENOBUFS"]);
const TRIES = 20;

interface Parcel {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly to: Uint8Array;
  readonly what: string;
}

export class Release {
  private readonly rtnl: Rtnl;
  private readonly frames: number;
  private readonly raw: RawIp;

  /**
   * Everything that it needs is opened here, long before.
   * @param trouble is told, in words, what could not be done
   */
  constructor(
    private readonly libc: Libc,
    private readonly trouble: (text: string) => void,
  ) {
    // Bound to nothing and with protocol 0 it hears nothing: an idle guardian costs no time.
    this.frames = libc.socket(AF_PACKET, SOCK_RAW | SOCK_FLAGS, 0);
    this.raw = openRawIp(libc);
    this.rtnl = new Rtnl(libc, () => undefined);
    // What is run for the first time takes milliseconds; so the first time is now.
    new PacketSocket(libc, LOOPBACK, [], () => undefined).close();
    this.farewell([]);
  }

  /** Sends all that there is to be said, in this instant. */
  farewell(all: readonly Holding[]): void {
    const held: Parcel[] = [];
    for (const { key, index, farewell, packets } of all) {
      for (const frame of farewell) {
        const parcel = { fd: this.frames, bytes: frame, to: linkAddress(index, frame), what: key };
        if (!this.post(parcel)) held.push(parcel);
      }
      for (const packet of packets ?? []) {
        const parcel = this.parcel(packet, index, key);
        if (parcel !== undefined && !this.post(parcel)) held.push(parcel);
      }
    }
    this.again(held, TRIES);
  }

  /** Makes the settings without which a successor would be disturbed. */
  hush(all: readonly Holding[]): void {
    for (const { key, first } of all) {
      for (const { path, value } of first ?? []) {
        if (!writeSysctl(path, value)) this.trouble(`${key}: the kernel does not take net/${path} = ${value}`);
      }
    }
  }

  /** Waits as every holding wants, and gives it back. @returns in words how many waited for what */
  async undo(all: readonly Holding[]): Promise<string> {
    const giving = new GivingBack(this.rtnl, all, this.trouble);
    const listeners: PacketSocket[] = [];
    const counts = { heard: 0, late: 0 };
    const waits: Promise<void>[] = [];
    for (const [index, holdings] of byIndex(all)) {
      const waiting = new Map<Holding, (heard: boolean) => void>();
      for (const holding of holdings) {
        waits.push(
          wait(holding, (answer) => waiting.set(holding, answer)).then((heard) => {
            waiting.delete(holding);
            counts[heard ? "heard" : "late"]++;
            giving.give(holding);
          }),
        );
      }
      const listener = this.listen(index, holdings, (frame) => {
        for (const [{ successor }, answer] of waiting) if (matches(frame, successor)) answer(true);
      });
      if (listener !== undefined) listeners.push(listener);
    }
    await Promise.all(waits);
    for (const listener of listeners) listener.close();
    await giving.finished();
    return `${counts.heard} to a successor that was heard, ${counts.late} when their time was over`;
  }

  private listen(
    index: number,
    holdings: readonly Holding[],
    heard: (frame: Uint8Array) => void,
  ): PacketSocket | undefined {
    const wanted = union(holdings);
    if (wanted.length === 0) return undefined;
    try {
      return new PacketSocket(this.libc, index, wanted, heard);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      this.trouble(`no successor can be heard on interface ${index}: ${error.message}`);
      return undefined;
    }
  }

  private parcel({ family, destination, bytes }: Packet, index: number, what: string): Parcel | undefined {
    const fd = family === "ipv4" ? this.raw.four : this.raw.six;
    return fd === undefined ? undefined : { fd, bytes, to: socketAddress(destination, index), what };
  }

  /** @returns false when it may be tried again */
  private post({ fd, bytes, to, what }: Parcel): boolean {
    try {
      this.libc.sendto(fd, bytes, to);
      return true;
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (FULL.has(error.code)) return false;
      this.trouble(`the farewell of ${what} does not leave: ${error.message}`);
      return true;
    }
  }

  private again(held: readonly Parcel[], tries: number): void {
    if (held.length === 0) return;
    if (tries === 0) {
      this.trouble(`${held.length} farewells do not leave: the way out is full`);
      return;
    }
    setTimeout(() => {
      this.again(
        held.filter((parcel) => !this.post(parcel)),
        tries - 1,
      );
    }, 1);
  }
}

/** True when a successor was heard, false when the time is over. */
function wait({ successor, within }: Holding, register: (answer: (heard: boolean) => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    // Upwards: rather a millisecond late than early.
    const timer = setTimeout(resolve, Math.ceil(within / 1_000), false);
    if (successor.length === 0) return;
    register((heard) => {
      clearTimeout(timer);
      resolve(heard);
    });
  });
}

export function matches(frame: Uint8Array, conditions: readonly Condition[]): boolean {
  return conditions.every(({ offset, octet, not }) => {
    const found = frame[offset];
    return found !== undefined && (found === octet) !== (not === true);
  });
}

function byIndex(all: readonly Holding[]): Map<number, Holding[]> {
  const found = new Map<number, Holding[]>();
  for (const holding of all) {
    const there = found.get(holding.index);
    if (there === undefined) found.set(holding.index, [holding]);
    else there.push(holding);
  }
  return found;
}

/** What holdings of one interface want, the same only once: of two hundred routers most want the same. */
function union(holdings: readonly Holding[]): readonly Wanted[] {
  const found = new Map<string, Wanted>();
  for (const { successor, wanted } of holdings) {
    if (successor.length === 0) continue;
    for (const one of wanted) found.set(`${one.ethertype} ${one.protocol} ${one.groups.map(String)}`, one);
  }
  return [...found.values()];
}

/** struct sockaddr_ll. */
function linkAddress(index: number, frame: Uint8Array): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  // The frame's own EtherType, in network order in both.
  address.set(frame.subarray(12, 14), 2);
  view.setInt32(4, index, true);
  return address;
}
