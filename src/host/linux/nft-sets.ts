/**
 * Elements of sets of nftables, changed by nfnetlink itself (linux/netfilter/nf_tables.h): a run of nft(8) takes
 * milliseconds, in which nothing else would happen here. The kernel has done it when the call returns.
 */
import { CallFailed, LITTLE, type Libc, SOCK_FLAGS, SOCK_RAW } from "./libc.ts";
import { Message } from "./netlink-message.ts";

const AF_NETLINK = 16;
const NETLINK_NETFILTER = 12;
/** NFNL_SUBSYS_NFTABLES. */
const SUBSYSTEM = 10;
const BATCH = { begin: 0x10, end: 0x11 } as const;
/** NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM. */
const ELEMENT = { add: 12, remove: 14 } as const;
// linux/netlink.h
const FLAG = { request: 1, ack: 4, create: 0x400 } as const;
const ERROR = 2;
const NESTED = 0x8000;
const NFTA_SET_ELEM_LIST = { table: 1, set: 2, elements: 3 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_DATA_VALUE = 1;
const NFPROTO_BRIDGE = 7;
const HEADER = 16;
/** IFNAMSIZ: names in sets are filled up with zeros. */
const NAME = 16;
const PIECE = 1 << 14;
/** ENOENT, EEXIST: it is as it should be already, or the table is being put back with what it should have. */
const HARMLESS = new Set([2, 17]);

/** One change: whether these names of interfaces, in this order, are an element of the set. */
export interface SetChange {
  readonly set: string;
  readonly names: readonly string[];
  readonly present: boolean;
}

export class NftSets {
  private readonly fd: number;
  private readonly buffer = new Uint8Array(PIECE);
  private sequence = 0;

  /** @param table of the family bridge */
  constructor(
    private readonly libc: Libc,
    private readonly table: string,
  ) {
    this.fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_FLAGS, NETLINK_NETFILTER);
    const address = new Uint8Array(12);
    new DataView(address.buffer).setUint16(0, AF_NETLINK, LITTLE);
    libc.bind(this.fd, address);
  }

  /**
   * All of it at once, or nothing: what is there already, or gone already, is no error.
   * @returns the kernel's errno where it refuses; 0 when it is done
   */
  change({ set, names, present }: SetChange): number {
    const first = this.sequence + 1;
    const octets = concat([
      general(BATCH.begin, FLAG.request, ++this.sequence, 0, SUBSYSTEM).finish(),
      this.element(set, names, present),
      general(BATCH.end, FLAG.request, ++this.sequence, 0, SUBSYSTEM).finish(),
    ]);
    this.libc.send(this.fd, octets);
    const errno = this.answer(first);
    return HARMLESS.has(errno) ? 0 : errno;
  }

  close(): void {
    this.libc.close(this.fd);
  }

  private element(set: string, names: readonly string[], present: boolean): Uint8Array {
    const type = (SUBSYSTEM << 8) | (present ? ELEMENT.add : ELEMENT.remove);
    const flags = FLAG.request | FLAG.ack | (present ? FLAG.create : 0);
    const message = general(type, flags, ++this.sequence, NFPROTO_BRIDGE, 0);
    message.attribute(NFTA_SET_ELEM_LIST.table, this.table).attribute(NFTA_SET_ELEM_LIST.set, set);
    const elements = message.open(NFTA_SET_ELEM_LIST.elements | NESTED);
    const element = message.open(NFTA_LIST_ELEM | NESTED);
    const key = message.open(NFTA_SET_ELEM_KEY | NESTED);
    message.attribute(NFTA_DATA_VALUE, keyOf(names));
    return message.close(key).close(element).close(elements).finish();
  }

  private answer(first: number): number {
    for (;;) {
      let piece: Uint8Array | undefined;
      try {
        piece = this.libc.recv(this.fd, this.buffer);
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        return -1;
      }
      if (piece === undefined) return -1;
      const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
      for (let at = 0; at + HEADER <= view.byteLength; ) {
        const length = view.getUint32(at, LITTLE);
        if (length < HEADER || at + length > view.byteLength) break;
        const own = view.getUint32(at + 8, LITTLE) >= first;
        if (own && view.getUint16(at + 4, LITTLE) === ERROR && length >= HEADER + 4)
          return -view.getInt32(at + HEADER, LITTLE);
        at += (length + 3) & ~3;
      }
    }
  }
}

/** struct nlmsghdr and struct nfgenmsg, whose resource is in network order. */
function general(type: number, flags: number, sequence: number, family: number, resource: number): Message {
  return new Message()
    .u32(0)
    .u16(type)
    .u16(flags)
    .u32(sequence)
    .u32(0)
    .u8(family)
    .u8(0)
    .u8(resource >>> 8)
    .u8(resource & 0xff);
}

function keyOf(names: readonly string[]): Uint8Array {
  const octets = new Uint8Array(NAME * names.length);
  for (const [i, name] of names.entries()) octets.set(new TextEncoder().encode(name).subarray(0, NAME - 1), i * NAME);
  return octets;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
