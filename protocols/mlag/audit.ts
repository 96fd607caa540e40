/**
 * The tables as wholes: all of them at the start of a session, digests of them every AUDIT_INTERVAL, and what is said anew
 * because a digest differs.
 *
 * A digest is over what its sender has told so far, and is compared when all of that has come in, for the stream is in
 * order: what is on its way is in neither. A difference is therefore always one, and never a matter of timing.
 *
 * A VLAN's entries are the leaves of a binary tree, by their hash. A bucket is a node of that tree: 1 is the root, n has
 * the halves 2n and 2n + 1. The sender takes the level at which a bucket has about BUCKET_SIZE entries. VLAN 0, bucket 0
 * ends the audit of a table, with the number of its VLANs: the receiver knows then of which others it was not spoken.
 */
import { after, type Instant, NEVER, sec } from "../../src/core/time.ts";
import type { DigestItem, Item, TableName } from "../iccp/events.ts";
import { adopt, discardLent, itemOf, sweepMac } from "./macs.ts";
import { sweepNeighbour } from "./neighbours.ts";
import { type MlagState, say } from "./state.ts";
import { type Claimed, hashOf, type MacRecord, mix, type NeighbourRecord, type Repair, type Tables } from "./tables.ts";

/** A difference is to be found within 30 s of its making: this, the way and a retransmission. */
export const AUDIT_INTERVAL = sec(25);
/** Entries of a bucket, on average at most. */
const BUCKET_SIZE = 64;
/** Levels below the root: 256 buckets of a VLAN at most. */
const DEPTH = 8;
/** Repairs that the peer is asked for at once; other differences are found again by the next audit. */
const MAX_REPAIRS = 64;
const NAMES = ["mac", "arp", "nd"] as const;
const EVERYTHING: Repair = { table: undefined, vlan: 0, buckets: [] };

interface Sum {
  count: number;
  digest: number;
}

function entriesOf(tables: Tables, name: TableName): Iterable<MacRecord | NeighbourRecord> {
  return tables[name].entries.values();
}

/** Over all that is said of the entry: 32 bit. */
function digestOf(entry: MacRecord | NeighbourRecord, whose: "mine" | "theirs"): number {
  const claim = entry[whose];
  if (claim === undefined) return 0;
  const what = "id" in claim ? claim.id * 2 + Number(claim.permanent) : hashOf(claim.mac);
  return mix(mix(entry.hash ^ claim.sequence) + what);
}

/** The bucket of an entry on a level of the tree. */
function bucketOf({ hash }: Claimed<unknown>, level: number): number {
  return (1 << level) | ((hash >>> 1) >>> (31 - level));
}

function levelOf(bucket: number): number {
  return 31 - Math.clz32(bucket);
}

// --- the whole tables ---

/** For a peer that has just come: all that this switch has heard. */
export function tellAll(state: MlagState, now: Instant): void {
  discardLent(state);
  const { tables } = state;
  tables.sync = undefined;
  tables.repairs.length = 0;
  for (const name of NAMES) tables.audited[name].clear();
  tables.auditAt = after(now, AUDIT_INTERVAL);
  tellPart(state, EVERYTHING);
}

/** The session is lost: nobody stands in for what the peer has said. */
export function abandon(state: MlagState): void {
  const { tables } = state;
  tables.sync = undefined;
  tables.repairs.length = 0;
  tables.auditAt = NEVER;
  adopt(state);
}

/** Says a part of the tables anew, between marks. */
function tellPart(state: MlagState, part: Repair): void {
  const { tables, tells } = state;
  tables.syncs = (tables.syncs + 1) >>> 0;
  const sync = tables.syncs;
  const within = partOf(part);
  const counts = { macs: 0, arps: 0, nds: 0 };
  tells.push({ kind: "syncBegin", sync });
  for (const name of NAMES) {
    if (part.table !== undefined && part.table !== name) continue;
    const item = listOf(state, name, within);
    if (item.entries.length === 0) continue;
    counts[item.kind] = item.entries.length;
    tells.push(item);
  }
  tells.push({ kind: "syncEnd", sync, ...counts });
  tables.list = undefined;
}

type ListItem = Extract<Item, { readonly kind: "macs" | "arps" | "nds" }>;

function listOf(state: MlagState, name: TableName, within: (entry: Claimed<unknown>) => boolean): ListItem {
  const { tables } = state;
  if (name === "mac") {
    const entries = [];
    for (const entry of tables.mac.entries.values()) {
      if (entry.mine !== undefined && within(entry)) entries.push(itemOf(state, entry, 0));
    }
    return { kind: "macs", entries };
  }
  const entries = [];
  for (const entry of tables[name].entries.values()) {
    const { vlan, address, mine } = entry;
    if (mine !== undefined && within(entry)) entries.push({ vlan, address, ...mine, present: true });
  }
  return { kind: name === "arp" ? "arps" : "nds", entries };
}

/** Whether an entry is in the part of a table. */
function partOf({ vlan, buckets }: Repair): (entry: Claimed<unknown>) => boolean {
  if (vlan === 0) return () => true;
  if (buckets.length === 0) return (entry) => entry.vlan === vlan;
  const level = levelOf(buckets[0] ?? 1);
  const wanted = new Set(buckets);
  return (entry) => entry.vlan === vlan && wanted.has(bucketOf(entry, level));
}

/** From here on, what the peer says is a part of its tables, whole. */
export function syncBegins(state: MlagState): void {
  const { tables } = state;
  tables.round = (tables.round + 1) >>> 0;
  tables.sync = { of: tables.repairs.shift() ?? EVERYTHING, heard: { mac: 0, arp: 0, nd: 0 }, changed: 0 };
}

/** What the peer did not say now, it does not have: mark and sweep. */
export function syncEnds(state: MlagState, end: Extract<Item, { readonly kind: "syncEnd" }>, now: Instant): void {
  const { tables } = state;
  const { sync, round } = tables;
  if (sync === undefined) return;
  tables.sync = undefined;
  const { of: part, heard } = sync;
  const within = partOf(part);
  let swept = 0;
  for (const name of NAMES) {
    if (part.table !== undefined && part.table !== name) continue;
    for (const entry of [...entriesOf(tables, name)]) {
      if ((entry.theirs !== undefined && entry.round === round) || !within(entry)) continue;
      if (entry.theirs !== undefined) swept++;
      if ("placed" in entry) sweepMac(state, entry);
      else sweepNeighbour(state, entry);
    }
  }
  const { table, vlan } = part;
  if (table !== undefined) {
    const entries = sync.changed + swept;
    tables.drifted += entries;
    say(state, { type: "mlag.drift", table, vlan, entries, reason: "resent" }, now, "mlag.drift");
    return;
  }
  // Behind the peer link is what the peer has, and it has said all of it. SONiC's iccpd says its stations afterwards.
  if (!state.foreign) state.says.push({ type: "mlag.sweep", port: state.config.peerLink });
  const told: Record<TableName, number> = { mac: end.macs, arp: end.arps, nd: end.nds };
  for (const name of NAMES) {
    const entries = Math.abs(told[name] - heard[name]);
    if (entries === 0) continue;
    say(state, { type: "mlag.drift", table: name, vlan: 0, entries, reason: "count-differs" }, now, "mlag.session");
    ask(state, { table: name, vlan: 0, buckets: [] });
  }
}

// --- audit ---

/** Digests of all that the peer has been told, when they are due. */
export function audit(state: MlagState, now: Instant): void {
  const { tables } = state;
  if (!state.session || now < tables.auditAt) return;
  tables.auditAt = after(now, AUDIT_INTERVAL);
  // SONiC's dialect has no digests.
  if (state.foreign) return;
  const entries: DigestItem[] = [];
  for (const table of NAMES) {
    const sizes = new Map<number, number>();
    for (const { vlan, mine } of entriesOf(tables, table)) {
      if (mine !== undefined) sizes.set(vlan, (sizes.get(vlan) ?? 0) + 1);
    }
    const levels = new Map<number, number>();
    for (const [vlan, size] of sizes) {
      levels.set(vlan, Math.min(DEPTH, Math.max(0, Math.ceil(Math.log2(size / BUCKET_SIZE)))));
    }
    for (const [vlan, sums] of sumsOf(tables, table, "mine", levels)) {
      for (const [bucket, { count, digest }] of sums) entries.push({ table, vlan, bucket, count, digest });
    }
    entries.push({ table, vlan: 0, bucket: 0, count: sizes.size, digest: 0 });
  }
  state.tells.push({ kind: "digests", entries });
}

/** Sums over the buckets of those VLANs, on the level that each has: every bucket, also an empty one. */
function sumsOf(
  tables: Tables,
  table: TableName,
  whose: "mine" | "theirs",
  levels: ReadonlyMap<number, number>,
): Map<number, Map<number, Sum>> {
  const all = new Map<number, Map<number, Sum>>();
  for (const [vlan, level] of levels) {
    const sums = new Map<number, Sum>();
    for (let bucket = 1 << level; bucket < 2 << level; bucket++) sums.set(bucket, { count: 0, digest: 0 });
    all.set(vlan, sums);
  }
  for (const entry of entriesOf(tables, table)) {
    const level = levels.get(entry.vlan);
    if (level === undefined || entry[whose] === undefined) continue;
    const sum = all.get(entry.vlan)?.get(bucketOf(entry, level));
    if (sum === undefined) continue;
    sum.count++;
    sum.digest = (sum.digest + digestOf(entry, whose)) >>> 0;
  }
  return all;
}

/** What the peer holds to be told: compared with what has come in. */
export function heardDigests(state: MlagState, entries: readonly DigestItem[], now: Instant): void {
  const { tables } = state;
  for (const table of NAMES) {
    const levels = new Map<number, number>();
    let last: DigestItem | undefined;
    for (const entry of entries) {
      if (entry.table !== table) continue;
      if (entry.vlan === 0) last = entry;
      else if (entry.bucket >= 1 && entry.bucket < 2 << DEPTH) levels.set(entry.vlan, levelOf(entry.bucket));
    }
    if (levels.size === 0 && last === undefined) continue;
    const held = sumsOf(tables, table, "theirs", levels);
    const wrong = new Map<number, { buckets: number[]; entries: number }>();
    for (const { table: of, vlan, bucket, count, digest } of entries) {
      if (of !== table || vlan === 0) continue;
      tables.audited[table].add(vlan);
      const sum = held.get(vlan)?.get(bucket);
      if (sum === undefined || (sum.count === count && sum.digest === digest)) continue;
      const known = wrong.get(vlan) ?? { buckets: [], entries: 0 };
      known.buckets.push(bucket);
      known.entries += Math.max(1, Math.abs(sum.count - count));
      wrong.set(vlan, known);
    }
    if (last !== undefined) unspoken(state, table, wrong);
    for (const [vlan, { buckets, entries: least }] of wrong) differs(state, table, vlan, buckets, least, now);
  }
}

/** The end of an audit: VLANs in which the peer has nothing, and in which something of it is held here. */
function unspoken(
  { tables }: MlagState,
  table: TableName,
  wrong: Map<number, { buckets: number[]; entries: number }>,
): void {
  const audited = tables.audited[table];
  for (const { vlan, theirs } of entriesOf(tables, table)) {
    if (theirs === undefined || audited.has(vlan)) continue;
    const known = wrong.get(vlan) ?? { buckets: [1], entries: 0 };
    known.entries++;
    wrong.set(vlan, known);
  }
  audited.clear();
}

function differs(
  state: MlagState,
  table: TableName,
  vlan: number,
  buckets: readonly number[],
  entries: number,
  now: Instant,
): void {
  const { repairs } = state.tables;
  // Asked already, or to be found again.
  if (repairs.length >= MAX_REPAIRS || repairs.some((one) => one.table === table && one.vlan === vlan)) return;
  say(state, { type: "mlag.drift", table, vlan, entries, reason: "digest-differs" }, now, "mlag.session");
  ask(state, { table, vlan, buckets });
}

function ask(state: MlagState, part: Repair & { readonly table: TableName }): void {
  state.tables.repairs.push(part);
  state.tells.push({ kind: "repair", ...part });
}

/** The peer asks for a part of the tables. */
export function repair(state: MlagState, part: Extract<Item, { readonly kind: "repair" }>): void {
  tellPart(state, part);
}
