/** What the pair shares, as records: stations and neighbours, each with what either switch says of it. */
import type { Ip, Mac } from "../../src/core/addr.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import type { Item, MacItem, NeighbourItem, TableName } from "../iccp/events.ts";
import type { Role } from "./events.ts";

/** Claims of one switch on stations. More stay with the switch that heard them. */
export const MAX_MACS = 65_536;
/** Claims of one switch on neighbours of one family. */
export const MAX_NEIGHBOURS = 65_536;

/** What one switch says of a station: where it has heard it. */
export interface MacClaim {
  /** M-LAG id; 0 for an orphan port of that switch. */
  readonly id: number;
  /** Of the switch itself: it stays while the switch is there, and is right against what was heard. */
  readonly permanent: boolean;
  /** The newer one of two is right. */
  readonly sequence: number;
}

/** What one switch says of an IP neighbour: it has heard from it. */
export interface NeighbourClaim {
  readonly mac: Mac;
  readonly sequence: number;
}

/** An entry of a shared table. Each side changes only what it says itself: what the other holds of it is never ahead. */
export interface Claimed<Claim> {
  readonly vlan: number;
  /** Over VLAN and address, 32 bit. */
  readonly hash: number;
  /** What the peer has been told, or will be when there is one. */
  mine: Claim | undefined;
  /** What the peer has told. */
  theirs: Claim | undefined;
  /** The synchronisation in which `theirs` was said last. */
  round: number;
}

export interface MacRecord extends Claimed<MacClaim> {
  readonly mac: Mac;
  /** Where the bridge was told that the peer has it. */
  placed: string | undefined;
  /** Sequence of what the peer had said when the session was lost: the bridge takes the station over as of then. */
  lent: number | undefined;
  /** When it moved lately. */
  moves: readonly Instant[];
}

/** `theirs` stays when the session is lost, until the next one has told which are left. */
export interface NeighbourRecord extends Claimed<NeighbourClaim> {
  readonly address: Ip;
  /** What the IP stack of this node has been told. */
  offered: Mac | undefined;
}

export interface Table<Entry> {
  readonly entries: Map<string, Entry>;
  /** Claims in it. */
  mine: number;
  theirs: number;
}

/** A part of the peer's tables that it is asked to say anew. `buckets`: see audit.ts; none and VLAN 0 for all. */
export interface Repair {
  /** Undefined for all tables. */
  readonly table: TableName | undefined;
  readonly vlan: number;
  readonly buckets: readonly number[];
}

/** From the peer's `syncBegin` to its `syncEnd`. */
export interface Sync {
  readonly of: Repair;
  readonly heard: Record<TableName, number>;
  /** Entries that were not as they are said now. */
  changed: number;
}

export interface Tables {
  readonly mac: Table<MacRecord>;
  readonly arp: Table<NeighbourRecord>;
  readonly nd: Table<NeighbourRecord>;
  /** Lamport's clock: above everything that was seen. */
  sequence: number;
  /** The role by which words of equal sequence were judged. */
  judgedAs: Role | undefined;
  /** The list at the end of `tells`, which grows with the input that is being seen to. */
  list: { readonly item: Item; readonly entries: (MacItem | NeighbourItem)[] } | undefined;
  /** Counts synchronisations that this node has said, and those that it has heard. */
  syncs: number;
  round: number;
  sync: Sync | undefined;
  /** Asked of the peer, in the order in which it answers. */
  readonly repairs: Repair[];
  auditAt: Instant;
  /** Of the audit that is coming in: VLANs that have been spoken of. */
  readonly audited: Record<TableName, Set<number>>;
  /** Entries that were found different from what the peer said, and corrected. */
  drifted: number;
}

export function newTables(): Tables {
  const table = <Entry>(): Table<Entry> => ({ entries: new Map<string, Entry>(), mine: 0, theirs: 0 });
  return {
    mac: table(),
    arp: table(),
    nd: table(),
    sequence: 0,
    judgedAs: undefined,
    list: undefined,
    syncs: 0,
    round: 0,
    sync: undefined,
    repairs: [],
    auditAt: NEVER,
    audited: { mac: new Set(), arp: new Set(), nd: new Set() },
    drifted: 0,
  };
}

/** FNV-1a over the UTF-16 units, mixed: neighbouring addresses are far from each other. */
export function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
}

/** Murmur3's finaliser: every bit of a number depends on all others. */
export function mix(n: number): number {
  let h = Math.imul(n ^ (n >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Sequence numbers of 32 bits, compared as RFC 1982 does. */
export function newer(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function stamp(tables: Tables): number {
  tables.sequence = (tables.sequence + 1) >>> 0;
  return tables.sequence;
}

/** A word of the peer has come: what is said from now on is newer. */
export function witness(tables: Tables, sequence: number): void {
  if (newer(sequence, tables.sequence)) tables.sequence = sequence;
}

/**
 * A switch counts from its time: what it says after a reboot is newer than what it said before, as far as its clock goes on.
 * @param now microseconds; the count has milliseconds
 */
export function countFrom(tables: Tables, now: Instant): void {
  witness(tables, Math.floor(now / 1_000) >>> 0);
}
