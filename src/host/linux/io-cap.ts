/**
 * Frames by libpcap, through the package cap: the one module that knows it (0.2.1).
 *
 * Rules that hold here: libuv goes on knowing the poll handle that lies inside of a `Cap`, closed or not, so none may be
 * collected; one that was closed cannot be opened again, and neither sends nor closes one whose `open` has failed. Its
 * interface going down ends the process by an assertion, unless it was closed by then; hence `whileUp`: the kernel's news
 * come first as long as the event loop keeps up.
 */
import type { Io, IoResult, PacketPort } from "./io.ts";
import type { Libc } from "./libc.ts";
import { Membership } from "./membership.ts";
import { loadOptional } from "./optional.ts";
import { type PacketCounts, refuse, type Wanted } from "./packet.ts";

/** What of cap is used. */
export interface CapPackage {
  readonly Cap: new () => Cap;
}

interface Cap {
  /** Promiscuous, whatever one wants. @returns the kind of link */
  open(device: string, filter: string, bufferSize: number, buffer: Uint8Array): string;
  /** Throws libpcap's words. */
  send(frame: Uint8Array, length: number): void;
  close(): void;
  /** That many octets lie in the buffer. */
  on(event: "packet", heard: (length: number) => void): void;
}

/** Octets of libpcap's ring, of which each frame may take 64 KiB: a frame of each of 255 routers. */
const RING = 1 << 24;
const LARGEST = 65_536;
/** Words of libpcap for an interface that was there a moment ago. */
const ABSENT = /not up|no such device/i;
const ETHERTYPE_IPV4 = 0x0800;

const CAUTION =
  "io: cap ends this process when an interface goes down and that is noticed late (SIGABRT): the guardian then says so " +
  "to the peers and takes everything back; interfaces are promiscuous";

export function openCap(libc: Libc): IoResult {
  const loaded = loadOptional("cap", "g++, make, python3 and libpcap-dev");
  return loaded.ok ? { ok: true, io: capIo(libc, loaded.exports as CapPackage) } : loaded;
}

export function capIo(libc: Libc, { Cap }: CapPackage): Io {
  return {
    whileUp: true,
    caution: CAUTION,
    open: ({ index, name }, wanted, heard) => {
      const cap = new Cap();
      kept.push(cap);
      const buffer = new Uint8Array(LARGEST);
      try {
        cap.open(name, expressionOf(wanted), RING, Buffer.from(buffer.buffer));
      } catch (error) {
        if (error instanceof Error && ABSENT.test(error.message)) return undefined;
        throw error;
      }
      return new CapPort(libc, index, cap, buffer, wanted, heard);
    },
  };
}

/** Some hundred octets for each time that an interface came up. */
const kept: Cap[] = [];

class CapPort implements PacketPort {
  private readonly counts: PacketCounts = { received: 0, dropped: undefined, sent: 0, refused: new Map() };
  private readonly membership: Membership;
  private open = true;

  constructor(
    libc: Libc,
    readonly index: number,
    private readonly cap: Cap,
    buffer: Uint8Array,
    wanted: readonly Wanted[],
    heard: (frame: Uint8Array) => void,
  ) {
    cap.on("packet", (length) => {
      if (!this.open) return;
      this.counts.received++;
      heard(buffer.slice(0, length));
    });
    // A promiscuous interface takes the group's frames; switches are still to be told who wants them.
    const joins = wanted.flatMap((one) => one.joins ?? []);
    this.membership = new Membership(libc, index, joins);
  }

  send(frame: Uint8Array): boolean {
    // Without its handle the package would have libpcap follow a null pointer.
    if (!this.open) return false;
    try {
      this.cap.send(frame, frame.length);
      this.counts.sent++;
      return true;
    } catch (error) {
      refuse(this.counts.refused, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  refreshCounts(): PacketCounts {
    return this.counts;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.cap.close();
    this.membership.close();
  }
}

/**
 * What is wanted, for libpcap's compiler. `inbound`: own frames are not heard, as by the default. libpcap 1.10 runs the
 * first frame of a handle through the filter by itself, which cannot tell its direction, and so loses it: an advert of a
 * peer, of which an election stands two. Frames with a VLAN tag come with it, and the node passes over them.
 */
export function expressionOf(wanted: readonly Wanted[]): string {
  const terms = wanted.map(({ ethertype, protocol }) => {
    const type = `ether[12:2] = ${ethertype}`;
    // Protocol of IPv4, next header of IPv6.
    const at = ethertype === ETHERTYPE_IPV4 ? 23 : 20;
    return protocol === undefined ? `(${type})` : `(${type} and ether[${at}] = ${protocol})`;
  });
  return `inbound and (${terms.join(" or ")})`;
}
