/** Whole Ethernet frames of one interface: packet(7). The kernel sorts out what nobody wants before it is woken up for it. */
import type { Ip } from "../../core/addr.ts";
import { CallFailed, type Libc, SOCK_FLAGS, SOCK_RAW, type Watched } from "./libc.ts";
import { Membership } from "./membership.ts";

const AF_PACKET = 17;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_STATISTICS = 6;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_MULTICAST = 0;
const ETH_P_ALL = 0x0003;
/** Frames that are taken in one go, before timers get their turn. */
const BURST = 256;
/** Larger frames than any interface's. */
const LARGEST = 65_536;
/** Of a device that went down, was deleted, or came too late: others tell what becomes of it. */
export const ABSENT = new Set(["ENETDOWN", "ENODEV", "ENXIO"]);

/** Frames that somebody wants from an interface. */
export interface Wanted {
  /** EtherType; with `protocol`: IP's own, and only that of the packets. */
  readonly ethertype: number;
  /** IPv4 protocol, or the next header right behind IPv6's. */
  readonly protocol?: number;
  /** Group addresses that the interface has to take. */
  readonly groups: readonly Uint8Array[];
  /** The same as IP groups, where switches are to be told of them. */
  readonly joins?: readonly Ip[];
}

export interface PacketCounts {
  received: number;
  /** That the kernel had no room for; undefined where the backend cannot tell. */
  dropped: number | undefined;
  sent: number;
  /** That the kernel refused, by errno's name, or in words where the backend has only those. */
  readonly refused: Map<string, number>;
}

/** Counts what has not left, by the reason. */
export function refuse(refused: Map<string, number>, why: string): void {
  refused.set(why, (refused.get(why) ?? 0) + 1);
}

export class PacketSocket {
  readonly counts: PacketCounts & { dropped: number } = { received: 0, dropped: 0, sent: 0, refused: new Map() };
  private readonly fd: number;
  private readonly watched: Watched;
  private readonly membership: Membership;
  private readonly buffer = new Uint8Array(LARGEST);

  /**
   * @param index of the interface
   * @param heard is given octets of its own
   */
  constructor(
    private readonly libc: Libc,
    readonly index: number,
    wanted: readonly Wanted[],
    private readonly heard: (frame: Uint8Array) => void,
  ) {
    // Protocol 0: nothing arrives before the filter is in its place.
    this.fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_FLAGS, 0);
    try {
      attach(libc, this.fd, filterOf(wanted));
      libc.setsockopt(this.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1));
      for (const group of wanted.flatMap(({ groups }) => groups)) {
        libc.setsockopt(this.fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership(index, group));
      }
      libc.bind(this.fd, linkLayer(index));
    } catch (error) {
      libc.close(this.fd);
      throw error;
    }
    this.membership = new Membership(
      libc,
      index,
      wanted.flatMap(({ joins }) => joins ?? []),
    );
    this.watched = libc.watch(this.fd, (ok) => this.drain(ok));
  }

  /** False when the frame has not left: the interface is down, or its queue is full. It is counted. */
  send(frame: Uint8Array): boolean {
    try {
      this.libc.send(this.fd, frame);
      this.counts.sent++;
      return true;
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      refuse(this.counts.refused, error.code);
      return false;
    }
  }

  /** Takes in what the kernel has dropped since the last time. */
  refreshCounts(): PacketCounts {
    // struct tpacket_stats; reading it sets it to 0.
    const stats = this.libc.getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, 8);
    this.counts.dropped += new DataView(stats.buffer).getUint32(4, true);
    return this.counts;
  }

  close(): void {
    this.watched.close();
    this.membership.close();
    this.libc.close(this.fd);
  }

  private drain(ok: boolean): void {
    for (let count = 0; count < BURST; count++) {
      try {
        const frame = this.libc.recv(this.fd, this.buffer);
        if (frame === undefined) break;
        this.counts.received++;
        this.heard(frame.slice());
      } catch (error) {
        if (!(error instanceof CallFailed) || !ABSENT.has(error.code)) throw error;
        break;
      }
    }
    // A descriptor with an error is no longer watched: from the moment at which the interface is back it is to be.
    if (!ok) this.watched.restart();
  }
}

function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

/** struct sockaddr_ll. */
function linkLayer(index: number): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL, false);
  view.setInt32(4, index, true);
  return address;
}

/** struct packet_mreq. */
function membership(index: number, group: Uint8Array): Uint8Array {
  const request = new Uint8Array(16);
  const view = new DataView(request.buffer);
  view.setInt32(0, index, true);
  view.setUint16(4, PACKET_MR_MULTICAST, true);
  view.setUint16(6, group.length, true);
  request.set(group, 8);
  return request;
}

// --- the filter: classic BPF, linux/filter.h ---

const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const LOAD_HALF = 0x28; // BPF_LD | BPF_H | BPF_ABS
const LOAD_BYTE = 0x30; // BPF_LD | BPF_B | BPF_ABS
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_ANY = 0x45; // BPF_JMP | BPF_JSET | BPF_K: any of these bits
const RETURN = 0x06; // BPF_RET | BPF_K
/** SKF_AD_OFF + SKF_AD_VLAN_TAG: the kernel takes the tag off before a packet socket sees the frame; 0 where there was none. */
const VLAN_TAG = 0xfffff02c;
const VLAN_ID = 0x0fff;
const ETHERTYPE_IPV4 = 0x0800;

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Instructions that are skipped when the comparison fails. */
  readonly otherwise?: number;
}

/** What is wanted passes whole, all else is dropped; so is what another VLAN's interface is for. VLAN 0 is none (IEEE 802.1Q). */
export function filterOf(wanted: readonly Wanted[]): readonly Instruction[] {
  const program: Instruction[] = [
    { code: LOAD_WORD, k: VLAN_TAG },
    { code: JUMP_ANY, k: VLAN_ID, otherwise: 1 },
    { code: RETURN, k: 0 },
  ];
  for (const { ethertype, protocol } of wanted) {
    program.push({ code: LOAD_HALF, k: 12 });
    if (protocol === undefined) {
      program.push({ code: JUMP_EQUAL, k: ethertype, otherwise: 1 });
    } else {
      program.push({ code: JUMP_EQUAL, k: ethertype, otherwise: 3 });
      // Protocol of IPv4, next header of IPv6.
      program.push({ code: LOAD_BYTE, k: ethertype === ETHERTYPE_IPV4 ? 23 : 20 });
      program.push({ code: JUMP_EQUAL, k: protocol, otherwise: 1 });
    }
    program.push({ code: RETURN, k: LARGEST });
  }
  program.push({ code: RETURN, k: 0 });
  return program;
}

/** struct sock_fprog with its struct sock_filter[]: the kernel copies it at once, but reads it by its address. */
function attach(libc: Libc, fd: number, program: readonly Instruction[]): void {
  const { bytes, address } = libc.pinned(8 * program.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const [i, { code, k, otherwise }] of program.entries()) {
    view.setUint16(8 * i, code, true);
    view.setUint8(8 * i + 2, 0);
    view.setUint8(8 * i + 3, otherwise ?? 0);
    view.setUint32(8 * i + 4, k, true);
  }
  const whole = new Uint8Array(16);
  const head = new DataView(whole.buffer);
  head.setUint16(0, program.length, true);
  head.setBigUint64(8, address, true);
  libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, whole);
}
