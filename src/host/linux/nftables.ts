/** What others do to tables of nftables, as nfnetlink tells it (linux/netfilter/nf_tables.h): that one is removed. */
import { CallFailed, LITTLE, type Libc, SOCK_FLAGS, SOCK_RAW, type Watched } from "./libc.ts";

const AF_NETLINK = 16;
const NETLINK_NETFILTER = 12;
/** NFNLGRP_NFTABLES is the seventh group: one bit each. */
const GROUP = 1 << 6;
/** NFNL_SUBSYS_NFTABLES, NFT_MSG_DELTABLE. */
const TABLE_REMOVED = (10 << 8) | 2;
const NFTA_TABLE_NAME = 1;
const HEADER = 16;
/** struct nfgenmsg. */
const GENERAL = 4;
/** Octets of what the kernel gives in one piece. */
const PIECE = 1 << 16;

/**
 * Watches a table: `nft flush ruleset`, with which the rules of many a host begin to be loaded, removes it with all others.
 * @param gone is told that it was removed, or that this may have been missed among too many changes
 */
export function watchTable(libc: Libc, name: string, gone: (surely: boolean) => void): { close(): void } {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_FLAGS, NETLINK_NETFILTER);
  const address = new Uint8Array(12);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_NETLINK, LITTLE);
  view.setUint32(8, GROUP, LITTLE);
  libc.bind(fd, address);
  const piece = new Uint8Array(PIECE);
  const watched: Watched = libc.watch(fd, () => {
    try {
      for (let read = libc.recv(fd, piece); read !== undefined; read = libc.recv(fd, piece)) {
        if (removedTables(read).includes(name)) gone(true);
      }
    } catch (error) {
      if (!(error instanceof CallFailed) || error.code !== "ENOBUFS") throw error;
      gone(false);
    }
  });
  return {
    close: () => {
      watched.close();
      libc.close(fd);
    },
  };
}

/** Names in whatever the kernel says; it never throws. */
export function removedTables(bytes: Uint8Array): readonly string[] {
  const names: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = view.getUint32(at, LITTLE);
    const end = at + length;
    if (length < HEADER || end > bytes.length) break;
    if (view.getUint16(at + 4, LITTLE) === TABLE_REMOVED)
      names.push(...namesIn(bytes, view, at + HEADER + GENERAL, end));
    at += (length + 3) & ~3;
  }
  return names;
}

function namesIn(bytes: Uint8Array, view: DataView, from: number, end: number): readonly string[] {
  const names: string[] = [];
  for (let at = from; at + 4 <= end; ) {
    const length = view.getUint16(at, LITTLE);
    if (length < 4 || at + length > end) break;
    // A string ends with a zero.
    const text = bytes.subarray(at + 4, at + length - 1);
    if (view.getUint16(at + 2, LITTLE) === NFTA_TABLE_NAME) names.push(new TextDecoder().decode(text));
    at += (length + 3) & ~3;
  }
  return names;
}
