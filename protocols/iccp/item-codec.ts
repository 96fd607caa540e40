/**
 * Our own TLVs in messages of RFC 7275 §6: one for each item. Their types lie where neither RFC 7275 nor iccpd has any.
 * Lists have no count: it follows from the length. Reserved octets are zero, and not looked at.
 *
 *   3f10  role: role 1, flags 1 (1 sticky, 2 preempt), priority 2, system 6, LACP system 6
 *   3f11  port state: id 2, state 1, flags 1 (1 isolation wanted, 2 installed), members up 2, members 2, actor key 2,
 *         partner system 6, its priority 2, its key 2
 *   3f12  isolate, 3f13 isolate ACK: id 2, isolated 1, reserved 1, request 4
 *   3f14  MACs: VLAN 2, flags 1 (1 present, 2 permanent), reserved 1, MAC 6, id 2, sequence 4 each
 *   3f15  ARP, 3f16 ND: VLAN 2, flags 1 (1 present), reserved 1, MAC 6, sequence 4, address 4 or 16 each
 *   3f17  consistency: id 2, VLAN 2, type 1, name length 1, value length 1, name, value each
 *   3f18  digests: table 1, reserved 1, VLAN 2, bucket 2, count 4, digest 4 each
 *   3f19  repair: table 1, reserved 1, VLAN 2, buckets 2 each
 *   3f1a  sync begin: sync 4
 *   3f1b  sync end: sync 4, MACs 4, ARP 4, ND 4
 *   3f1c  goodbye: cause 1
 *   3f1e  gateway: VLAN 2, reserved 2, MAC 6, then length 1 (4 or 16) and address each
 *   3f1d  peer (only behind the port of a session, in recordings): dialect 1, reserved 1, system 6, epoch 4,
 *         peer's epoch 4, boot id 4, features 4
 */
import { ipBytes, ipFrom, macBytes, macFrom } from "../../src/core/addr.ts";
import { Reader, Writer } from "../../src/core/bytes.ts";
import { drop, ok, type Result } from "../../src/core/result.ts";
import { gatewaySize, putGateway, readGateway } from "./gateway-item.ts";
import {
  type ConsistencyItem,
  GOODBYE_CAUSES,
  type Item,
  type MacItem,
  type NeighbourItem,
  PORT_STATES,
  ROLES,
  TABLES,
} from "./items.ts";

export const ITEM = {
  role: 0x3f10,
  portState: 0x3f11,
  isolate: 0x3f12,
  isolateAck: 0x3f13,
  macs: 0x3f14,
  arps: 0x3f15,
  nds: 0x3f16,
  consistency: 0x3f17,
  digests: 0x3f18,
  repair: 0x3f19,
  syncBegin: 0x3f1a,
  syncEnd: 0x3f1b,
  goodbye: 0x3f1c,
  peer: 0x3f1d,
  gateway: 0x3f1e,
} as const satisfies Record<Item["kind"], number>;

const KINDS: ReadonlyMap<number, Item["kind"]> = new Map(
  Object.entries(ITEM).map(([kind, type]) => [type, kind as Item["kind"]]),
);

const SIZES: Partial<Record<Item["kind"], number>> = {
  role: 16,
  portState: 20,
  isolate: 8,
  isolateAck: 8,
  syncBegin: 4,
  syncEnd: 16,
  goodbye: 1,
  peer: 24,
};
const MAC_ENTRY = 16;
const ARP_ENTRY = 18;
const ND_ENTRY = 30;
const DIGEST_ENTRY = 14;
const CONSISTENCY_HEADER = 7;
const TLV_HEADER = 4;

/** Entries of one list in one message; a longer list is cut. At most 30,000 octets. */
export const MAX_ENTRIES = 1000;
/** Octets of a name or value of a consistency item. */
export const MAX_TEXT = 255;

/** A value longer or shorter than its type's; a list that does not come out even; a value without a meaning. */
export type ItemReason = "item-length" | "item-list" | "item-value";

const texts = { encoder: new TextEncoder(), decoder: new TextDecoder("utf-8", { ignoreBOM: true }) };

export function itemType(item: Item): number {
  return ITEM[item.kind];
}

/** Octets of the value. */
export function itemSize(item: Item): number {
  switch (item.kind) {
    case "macs":
      return MAC_ENTRY * item.entries.length;
    case "arps":
      return ARP_ENTRY * item.entries.length;
    case "nds":
      return ND_ENTRY * item.entries.length;
    case "digests":
      return DIGEST_ENTRY * item.entries.length;
    case "consistency":
      return item.entries.reduce((sum, one) => sum + CONSISTENCY_HEADER + utf8(one.name) + utf8(one.value), 0);
    case "repair":
      return 4 + 2 * item.buckets.length;
    case "gateway":
      return gatewaySize(item);
    default:
      return SIZES[item.kind] ?? 0;
  }
}

function utf8(text: string): number {
  return octetsOf(text).length;
}

/** Longer texts are cut: they are for people. */
function octetsOf(text: string): Uint8Array {
  const octets = texts.encoder.encode(text);
  if (octets.length <= MAX_TEXT) return octets;
  // Not in the middle of a character: its other octets begin with the bits 10.
  let end = MAX_TEXT;
  while (((octets[end] ?? 0) & 0xc0) === 0x80) end--;
  return octets.subarray(0, end);
}

export function putItem(writer: Writer, item: Item): void {
  switch (item.kind) {
    case "role":
      writer.u8(ROLES.indexOf(item.role)).u8((item.sticky ? 1 : 0) | (item.preempt ? 2 : 0));
      writer.u16(item.priority).put(macBytes(item.system)).put(macBytes(item.lacpSystem));
      break;
    case "portState":
      writer.u16(item.id).u8(PORT_STATES.indexOf(item.state));
      writer.u8((item.isolationWanted ? 1 : 0) | (item.isolationInstalled ? 2 : 0));
      writer.u16(item.membersUp).u16(item.members).u16(item.actorKey);
      writer.put(macBytes(item.partnerSystem)).u16(item.partnerPriority).u16(item.partnerKey);
      break;
    case "isolate":
    case "isolateAck":
      writer
        .u16(item.id)
        .u8(item.isolated ? 1 : 0)
        .zero(1)
        .u32(item.request);
      break;
    case "repair":
      writer.u8(TABLES.indexOf(item.table)).zero(1).u16(item.vlan);
      for (const bucket of item.buckets) writer.u16(bucket);
      break;
    case "gateway":
      putGateway(writer, item);
      break;
    case "syncBegin":
      writer.u32(item.sync);
      break;
    case "syncEnd":
      writer.u32(item.sync).u32(item.macs).u32(item.arps).u32(item.nds);
      break;
    case "goodbye":
      writer.u8(GOODBYE_CAUSES.indexOf(item.cause));
      break;
    case "peer":
      writer.u8(item.dialect === "native" ? 1 : 0).zero(1);
      writer.put(macBytes(item.system)).u32(item.epoch).u32(item.peerEpoch).u32(item.bootId).u32(item.features);
      break;
    default:
      putList(writer, item);
  }
}

function putList(writer: Writer, item: Extract<Item, { readonly entries: unknown }>): void {
  switch (item.kind) {
    case "macs":
      for (const one of item.entries) {
        writer.u16(one.vlan).u8((one.present ? 1 : 0) | (one.permanent ? 2 : 0));
        writer.zero(1).put(macBytes(one.mac)).u16(one.id).u32(one.sequence);
      }
      break;
    case "arps":
    case "nds":
      for (const one of item.entries) {
        writer
          .u16(one.vlan)
          .u8(one.present ? 1 : 0)
          .zero(1);
        writer.put(macBytes(one.mac)).u32(one.sequence).put(ipBytes(one.address));
      }
      break;
    case "digests":
      for (const one of item.entries) {
        writer.u8(TABLES.indexOf(one.table)).zero(1).u16(one.vlan).u16(one.bucket).u32(one.count).u32(one.digest);
      }
      break;
    case "consistency":
      for (const one of item.entries) {
        const name = octetsOf(one.name);
        const value = octetsOf(one.value);
        writer.u16(one.id).u16(one.vlan).u8(one.type).u8(name.length).u8(value.length).put(name).put(value);
      }
      break;
  }
}

/** Reads the value of a TLV; undefined for a type that is not one of ITEM. */
export function decodeItem(type: number, bytes: Uint8Array): Result<Item, ItemReason> | undefined {
  const kind = KINDS.get(type);
  if (kind === undefined) return undefined;
  const size = SIZES[kind];
  if (size !== undefined && bytes.length !== size) return drop("item-length");
  const reader = new Reader(bytes);
  switch (kind) {
    case "role":
      return role(reader);
    case "portState":
      return portState(reader);
    case "isolate":
    case "isolateAck": {
      const id = reader.u16();
      const isolated = reader.u16() >>> 8 === 1;
      return ok({ kind, id, isolated, request: reader.u32() });
    }
    case "gateway":
      return readGateway(reader);
    case "syncBegin":
      return ok({ kind, sync: reader.u32() });
    case "syncEnd":
      return ok({ kind, sync: reader.u32(), macs: reader.u32(), arps: reader.u32(), nds: reader.u32() });
    case "goodbye": {
      const cause = GOODBYE_CAUSES[reader.u8()];
      return cause === undefined ? drop("item-value") : ok({ kind, cause });
    }
    case "peer": {
      const dialect = reader.u16() >>> 8 === 1 ? "native" : "sonic";
      const system = macFrom(reader.view(6));
      const epochs = { epoch: reader.u32(), peerEpoch: reader.u32() };
      return ok({ kind, dialect, system, ...epochs, bootId: reader.u32(), features: reader.u32() });
    }
    default:
      return decodeList(kind, reader);
  }
}

function role(reader: Reader): Result<Item, ItemReason> {
  const name = ROLES[reader.u8()];
  const flags = reader.u8();
  if (name === undefined) return drop("item-value");
  const priority = reader.u16();
  const system = macFrom(reader.view(6));
  const lacpSystem = macFrom(reader.view(6));
  const [sticky, preempt] = [(flags & 1) !== 0, (flags & 2) !== 0];
  return ok({ kind: "role", role: name, priority, system, lacpSystem, sticky, preempt });
}

function portState(reader: Reader): Result<Item, ItemReason> {
  const id = reader.u16();
  const state = PORT_STATES[reader.u8()];
  const flags = reader.u8();
  if (state === undefined) return drop("item-value");
  return ok({
    kind: "portState",
    id,
    state,
    isolationWanted: (flags & 1) !== 0,
    isolationInstalled: (flags & 2) !== 0,
    membersUp: reader.u16(),
    members: reader.u16(),
    actorKey: reader.u16(),
    partnerSystem: macFrom(reader.view(6)),
    partnerPriority: reader.u16(),
    partnerKey: reader.u16(),
  });
}

type ListKind = "macs" | "arps" | "nds" | "consistency" | "digests" | "repair";

function decodeList(kind: ListKind, reader: Reader): Result<Item, ItemReason> {
  switch (kind) {
    case "macs": {
      const entries = even(reader, MAC_ENTRY, macEntry);
      return entries === undefined ? drop("item-list") : ok({ kind, entries });
    }
    case "arps":
    case "nds": {
      const size = kind === "arps" ? ARP_ENTRY : ND_ENTRY;
      const entries = even(reader, size, (one) => neighbourEntry(one, kind === "nds"));
      return entries === undefined ? drop("item-list") : ok({ kind, entries });
    }
    case "digests": {
      const entries = even(reader, DIGEST_ENTRY, (one) => {
        const table = TABLES[one.u16() >>> 8];
        const place = { vlan: one.u16(), bucket: one.u16() };
        const sums = { count: one.u32(), digest: one.u32() };
        return table === undefined ? undefined : { table, ...place, ...sums };
      });
      if (entries === undefined) return drop("item-list");
      const known = entries.filter((entry) => entry !== undefined);
      return known.length < entries.length ? drop("item-value") : ok({ kind, entries: known });
    }
    case "repair": {
      const table = TABLES[reader.u16() >>> 8];
      const vlan = reader.u16();
      if (reader.short) return drop("item-length");
      if (table === undefined) return drop("item-value");
      const buckets = even(reader, 2, (one) => one.u16());
      return buckets === undefined ? drop("item-list") : ok({ kind, table, vlan, buckets });
    }
    case "consistency":
      return consistency(reader);
  }
}

/** Entries of one size; undefined when they do not come out even. */
function even<T>(reader: Reader, size: number, entry: (reader: Reader) => T): T[] | undefined {
  if (reader.left % size !== 0) return undefined;
  const entries: T[] = [];
  while (reader.left > 0) entries.push(entry(reader));
  return entries;
}

function macEntry(reader: Reader): MacItem {
  const vlan = reader.u16();
  const flags = reader.u8();
  reader.skip(1);
  const mac = macFrom(reader.view(6));
  const present = (flags & 1) !== 0;
  const permanent = (flags & 2) !== 0;
  return { vlan, mac, id: reader.u16(), sequence: reader.u32(), present, permanent };
}

function neighbourEntry(reader: Reader, wide: boolean): NeighbourItem {
  const vlan = reader.u16();
  const flags = reader.u8();
  reader.skip(1);
  const mac = macFrom(reader.view(6));
  const sequence = reader.u32();
  const address = ipFrom(reader.view(wide ? 16 : 4), wide ? "ipv6" : "ipv4");
  return { vlan, address, mac, sequence, present: (flags & 1) !== 0 };
}

function consistency(reader: Reader): Result<Item, ItemReason> {
  const entries: ConsistencyItem[] = [];
  while (reader.left > 0) {
    const id = reader.u16();
    const vlan = reader.u16();
    const type = reader.u8();
    const nameSize = reader.u8();
    const valueSize = reader.u8();
    const name = textOf(reader.view(nameSize));
    const value = textOf(reader.view(valueSize));
    if (reader.short) return drop("item-list");
    if ((type !== 1 && type !== 2) || name === undefined || value === undefined) return drop("item-value");
    entries.push({ id, vlan, type, name, value });
  }
  return ok({ kind: "consistency", entries });
}

/** Undefined when the octets are not UTF-8. */
function textOf(octets: Uint8Array): string | undefined {
  const text = texts.decoder.decode(octets);
  const again = texts.encoder.encode(text);
  return again.length === octets.length && again.every((octet, i) => octet === octets[i]) ? text : undefined;
}

/** The items as TLVs behind `before` zero octets. */
export function encodeItems(items: readonly Item[], before = 0): Uint8Array {
  const size = items.reduce((sum, item) => sum + TLV_HEADER + itemSize(item), before);
  const writer = new Writer(size, before);
  for (const item of items) {
    writer.u16(itemType(item)).u16(itemSize(item));
    putItem(writer, item);
  }
  return writer.bytes;
}

/** Reads what `encodeItems` wrote, up to the first thing that is no item. */
export function decodeItems(bytes: Uint8Array): readonly Item[] {
  const reader = new Reader(bytes);
  const items: Item[] = [];
  while (reader.left > 0) {
    const type = reader.u16();
    const value = reader.view(reader.u16());
    const item = reader.short ? undefined : decodeItem(type, value);
    if (item?.ok !== true) break;
    items.push(item.value);
  }
  return items;
}

/** The same items with lists that fit into messages. */
export function cutItem(item: Item): readonly Item[] {
  if (!("entries" in item) || item.entries.length <= MAX_ENTRIES) {
    // Consistency entries are longer than others.
    if (item.kind !== "consistency" || item.entries.length <= MAX_CONSISTENCY) return [item];
  }
  switch (item.kind) {
    case "macs":
      return pieces(item.entries, MAX_ENTRIES).map((entries) => ({ kind: item.kind, entries }));
    case "arps":
    case "nds":
      return pieces(item.entries, MAX_ENTRIES).map((entries) => ({ kind: item.kind, entries }));
    case "digests":
      return pieces(item.entries, MAX_ENTRIES).map((entries) => ({ kind: item.kind, entries }));
    case "consistency":
      return pieces(item.entries, MAX_CONSISTENCY).map((entries) => ({ kind: item.kind, entries }));
    default:
      return [item];
  }
}

/** Consistency entries in one message: at most 51,700 octets. */
const MAX_CONSISTENCY = 100;

function pieces<T>(entries: readonly T[], size: number): T[][] {
  const cut: T[][] = [];
  for (let at = 0; at < entries.length; at += size) cut.push(entries.slice(at, at + size));
  return cut;
}
