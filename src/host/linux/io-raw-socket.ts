/**
 * IPv4 packets of one protocol each, through the package raw-socket: the one module that knows it (1.8.1).
 *
 * It has no layer 2. Packets are sent as the node made them (IP_HDRINCL), in frames of the kernel's: from the interface's own
 * MAC, so no router may have a virtual one. Whatever is no such packet, gratuitous ARP above all, goes out by a packet
 * socket of koffi, which is there in any case: clients that go on sending to the old master's MAC would be an outage, and no
 * package is worth that. It hears what the kernel's stack lets through: rp_filter and the firewall have their say.
 */
import type { Io, IoResult, PacketPort } from "./io.ts";
import type { Libc } from "./libc.ts";
import { Membership } from "./membership.ts";
import { loadOptional } from "./optional.ts";
import { type PacketCounts, PacketSocket, refuse, type Wanted } from "./packet.ts";

/** What of raw-socket is used. */
export interface RawSocketPackage {
  createSocket(options: { readonly protocol: number; readonly bufferSize: number }): RawSocket;
}

interface RawSocket {
  /** Each packet with its IPv4 header, in a buffer that is used again. */
  on(event: "message", heard: (packet: Uint8Array) => void): void;
  on(event: "error", failed: (error: Error) => void): void;
  setOption(level: number, option: number, value: number): void;
  setOption(level: number, option: number, value: Uint8Array, length: number): void;
  close(): void;
  /**
   * The native half. The queue in front of it would send an advert a turn of the event loop later: after its gratuitous ARP,
   * and a farewell never. Both throw the words of strerror(3).
   */
  readonly wrap: {
    send(bytes: Uint8Array, offset: number, length: number, to: string, sent: () => void): void;
    recv(into: Uint8Array, heard: () => void): void;
  };
}

const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const IPPROTO_IP = 0;
const IP_HDRINCL = 3;
const IP_MULTICAST_LOOP = 34;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERNET_HEADER = 14;
const IPV4_HEADER = 20;
const LARGEST = 65_536;
/** More packets than the kernel keeps for one socket unless it is told to. */
const WAITING = 1_024;
const NOTHING_THERE = "Resource temporarily unavailable";
const ABSENT = "No such device";

const CAUTION =
  "io: raw-socket has no layer 2: IPv4 adverts go by it, gratuitous ARP by a packet socket of koffi; the firewall has to " +
  "let protocol 112 in";

export function openRawSocket(libc: Libc): IoResult {
  const loaded = loadOptional("raw-socket", "g++, make and python3");
  return loaded.ok ? { ok: true, io: rawSocketIo(libc, loaded.exports as RawSocketPackage) } : loaded;
}

export function rawSocketIo(libc: Libc, made: RawSocketPackage): Io {
  return {
    whileUp: false,
    caution: CAUTION,
    open: ({ index, name }, wanted, heard) => {
      const port = new RawSocketPort(libc, index, heard);
      try {
        for (const { ethertype, protocol } of wanted) {
          if (ethertype === ETHERTYPE_IPV4 && protocol !== undefined) port.listen(made, name, protocol);
        }
        // Of this interface's group the kernel gives every raw socket what comes in (IP_MULTICAST_ALL).
        port.join(wanted);
      } catch (error) {
        port.close();
        if (error instanceof Error && error.message === ABSENT) return undefined;
        throw error;
      }
      return port;
    },
  };
}

class RawSocketPort implements PacketPort {
  private readonly counts: PacketCounts = { received: 0, dropped: undefined, sent: 0, refused: new Map() };
  /** By the protocol of its packets. */
  private readonly sockets = new Map<number, RawSocket>();
  /** Hears nothing: for what no raw socket can send. */
  private readonly frames: PacketSocket;
  private membership: Membership | undefined;

  constructor(
    private readonly libc: Libc,
    readonly index: number,
    private readonly heard: (frame: Uint8Array) => void,
  ) {
    this.frames = new PacketSocket(libc, index, [], () => undefined);
  }

  listen(made: RawSocketPackage, name: string, protocol: number): void {
    const socket = made.createSocket({ protocol, bufferSize: LARGEST });
    this.sockets.set(protocol, socket);
    const device = Buffer.from(`${name}\0`);
    socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, device, device.length);
    socket.setOption(IPPROTO_IP, IP_HDRINCL, 1);
    // Own packets are not heard, as by the default.
    socket.setOption(IPPROTO_IP, IP_MULTICAST_LOOP, 0);
    discard(socket);
    socket.on("message", (packet) => this.take(socket, packet));
    socket.on("error", (error) => {
      // The package has closed it, or will hear nothing: better no router than a deaf one.
      if (error.message !== NOTHING_THERE) fail(error);
    });
  }

  join(wanted: readonly Wanted[]): void {
    const joins = wanted.filter(({ ethertype }) => ethertype === ETHERTYPE_IPV4).flatMap((one) => one.joins ?? []);
    this.membership = new Membership(this.libc, this.index, joins);
  }

  send(frame: Uint8Array): boolean {
    const packet = packetIn(frame);
    const socket = packet === undefined ? undefined : this.sockets.get(packet[9] ?? 0);
    if (packet === undefined || socket === undefined) return this.frames.send(frame);
    try {
      socket.wrap.send(packet, 0, packet.length, packet.subarray(16, 20).join("."), () => undefined);
      this.counts.sent++;
      return true;
    } catch (error) {
      refuse(this.counts.refused, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  refreshCounts(): PacketCounts {
    const { received, sent, refused } = this.counts;
    const frames = this.frames.refreshCounts();
    return {
      received,
      dropped: undefined,
      sent: sent + frames.sent,
      refused: new Map([...refused, ...frames.refused]),
    };
  }

  close(): void {
    // Sending by a closed one would open it again.
    const sockets = [...this.sockets.values()];
    this.sockets.clear();
    for (const socket of sockets) socket.close();
    this.membership?.close();
    this.frames.close();
  }

  private take(socket: RawSocket, packet: Uint8Array): void {
    if (this.sockets.get(packet[9] ?? 0) !== socket || packet.length < IPV4_HEADER) return;
    this.counts.received++;
    try {
      this.heard(frameOf(packet));
    } catch (error) {
      // The package makes an event of it, of which nobody would hear.
      fail(error);
    }
  }
}

/** Ends the process as an exception of a callback does. */
function fail(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

/** Until it was bound to its interface it has heard all of them. */
function discard(socket: RawSocket): void {
  const buffer = Buffer.alloc(LARGEST);
  try {
    for (let count = 0; count < WAITING; count++) socket.wrap.recv(buffer, () => undefined);
  } catch (error) {
    if (!(error instanceof Error) || error.message !== NOTHING_THERE) throw error;
  }
}

/** The IPv4 packet of an untagged frame, without padding; undefined where there is none. */
function packetIn(frame: Uint8Array): Uint8Array | undefined {
  if (frame.length < ETHERNET_HEADER + IPV4_HEADER || frame[12] !== 0x08 || frame[13] !== 0x00) return undefined;
  const length = ((frame[16] ?? 0) << 8) | (frame[17] ?? 0);
  return length < IPV4_HEADER ? undefined : frame.subarray(ETHERNET_HEADER, ETHERNET_HEADER + length);
}

/**
 * The frame that a packet may have come in. Its destination is taken to have been what RFC 1112 §6.4 says of a group's
 * address; of another destination, and of the source, nothing is known and nothing is assumed: zeros.
 */
export function frameOf(packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER + packet.length);
  const [first = 0, second = 0, third = 0, fourth = 0] = packet.subarray(16, 20);
  if (first >>> 4 === 0xe) frame.set([0x01, 0x00, 0x5e, second & 0x7f, third, fourth]);
  frame.set([0x08, 0x00], 12);
  frame.set(packet, ETHERNET_HEADER);
  return frame;
}
