/** Whole Ethernet frames of one interface: packet(7). The kernel sorts out what nobody wants before it is woken up for it. */
import type { Ip } from "../../core/addr.ts";
import { EMPTY, setU16 } from "../../core/bytes.ts";
import { TAG_SIZE, TPID } from "../../core/frame.ts";
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
const PACKET_MR_PROMISC = 1;
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
  /** Of UDP, the port that datagrams are sent to. */
  readonly port?: number;
  /** Only frames with this VLAN's tag; absent: only those without one. */
  readonly vlan?: number;
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
   * @param wanted all of it without a VLAN, or all of it of `vlan`
   * @param heard is given octets of its own
   */
  constructor(
    private readonly libc: Libc,
    readonly index: number,
    wanted: readonly Wanted[],
    private readonly heard: (frame: Uint8Array) => void,
    private readonly vlan?: number,
  ) {
    // Protocol 0: nothing arrives before the filter is in its place.
    this.fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_FLAGS, 0);
    try {
      attach(libc, this.fd, filterOf(wanted, vlan));
      libc.setsockopt(this.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1));
      for (const group of wanted.flatMap(({ groups }) => groups)) {
        libc.setsockopt(this.fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership(index, PACKET_MR_MULTICAST, group));
      }
      // A node's address in a VLAN of its own need not be the interface's.
      if (vlan !== undefined)
        libc.setsockopt(this.fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership(index, PACKET_MR_PROMISC, EMPTY));
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
        this.heard(this.vlan === undefined ? frame.slice() : tagged(frame, this.vlan));
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
function membership(index: number, type: number, group: Uint8Array): Uint8Array {
  const request = new Uint8Array(16);
  const view = new DataView(request.buffer);
  view.setInt32(0, index, true);
  view.setUint16(4, type, true);
  view.setUint16(6, group.length, true);
  request.set(group, 8);
  return request;
}

/** The frame with the tag that the kernel has taken off it; its priority is not known any more. */
function tagged(frame: Uint8Array, vlan: number): Uint8Array {
  const whole = new Uint8Array(frame.length + TAG_SIZE);
  whole.set(frame.subarray(0, 12));
  setU16(whole, 12, TPID);
  setU16(whole, 14, vlan);
  whole.set(frame.subarray(12), 16);
  return whole;
}

// --- the filter: classic BPF, linux/filter.h ---

const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const LOAD_HALF = 0x28; // BPF_LD | BPF_H | BPF_ABS
const LOAD_BYTE = 0x30; // BPF_LD | BPF_B | BPF_ABS
const LOAD_LENGTH = 0xb1; // BPF_LDX | BPF_B | BPF_MSH: the length of IPv4's header into X
const LOAD_BEHIND = 0x48; // BPF_LD | BPF_H | BPF_IND: at X + k
const EXCLUSIVE_OR = 0xa4; // BPF_ALU | BPF_XOR | BPF_K
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

/**
 * What is wanted passes whole, all else is dropped; so is what another VLAN's interface is for. VLAN 0 is none (IEEE
 * 802.1Q).
 */
export function filterOf(wanted: readonly Wanted[], vlan = 0): readonly Instruction[] {
  return [
    { code: LOAD_WORD, k: VLAN_TAG },
    { code: EXCLUSIVE_OR, k: vlan },
    { code: JUMP_ANY, k: VLAN_ID, otherwise: 1 },
    { code: RETURN, k: 0 },
    ...wanted.flatMap((one) => {
      const block = [...testsOf(one), { code: RETURN, k: LARGEST }];
      const last = block.length - 1;
      return block.map((test, i) => (test.code === JUMP_EQUAL ? { ...test, otherwise: last - i } : test));
    }),
    { code: RETURN, k: 0 },
  ];
}

/** All of these have to be so; offsets are those of a frame without a tag. */
function testsOf({ ethertype, protocol, port }: Wanted): readonly Instruction[] {
  const tests: Instruction[] = [
    { code: LOAD_HALF, k: 12 },
    { code: JUMP_EQUAL, k: ethertype },
  ];
  const four = ethertype === ETHERTYPE_IPV4;
  // Protocol of IPv4, next header of IPv6.
  if (protocol !== undefined) tests.push({ code: LOAD_BYTE, k: four ? 23 : 20 }, { code: JUMP_EQUAL, k: protocol });
  if (port === undefined) return tests;
  // UDP's destination port stands behind its source port: RFC 768.
  if (four) tests.push({ code: LOAD_LENGTH, k: 14 }, { code: LOAD_BEHIND, k: 16 });
  else tests.push({ code: LOAD_HALF, k: 56 });
  return [...tests, { code: JUMP_EQUAL, k: port }];
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
