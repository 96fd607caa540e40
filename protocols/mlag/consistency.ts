/**
 * What the files of the two peers must have in common (type 1), should have (type 2), and carry VLAN by VLAN: as items of
 * the session, and their comparison. Running peers and the check before a commit both go by these two functions.
 *
 *   type 1   what makes the halves two systems, or two bundles, to a host    the secondary's halves give way
 *   VLAN     how a member carries a VLAN                                     neither half carries the VLAN
 *   type 2   what makes the switches behave differently                      an alarm
 */
import { formatDuration } from "../../src/core/time.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { ConsistencyItem } from "../iccp/events.ts";
import type { MlagConfig } from "./config.ts";

/** VLANs that one item speaks of: their numbers as text fit into its value, however scattered they are. */
const BLOCK = 64;
const LAST_VLAN = 4094;
/** Differences of one comparison that are acted on and said; the type 1 ones come first. */
export const MAX_MISMATCHES = 4_096;

/** As far as other protocols' parts of the file are needed here. */
export interface Bridge {
  readonly ports: readonly string[];
  readonly vlans: ReadonlyMap<number, { readonly tagged: readonly string[]; readonly untagged: readonly string[] }>;
  readonly ageing?: MlagConfig["drain"];
  readonly table?: number;
}
export interface Bundle {
  readonly name: string;
  readonly members?: readonly { readonly port: string }[];
  readonly key?: number;
  readonly active?: boolean;
  readonly individual?: boolean;
  readonly fallback?: string;
  readonly fast?: boolean;
  readonly minLinks?: number;
  readonly maxLinks?: number;
  readonly hash?: string;
}
interface Router {
  readonly interface: string;
  readonly vrid: number;
  readonly family?: string;
}

export function mlagOf(node: NodeConfig): MlagConfig | undefined {
  return node["mlag"] as MlagConfig | undefined;
}

export function bridgeOf(node: NodeConfig): Bridge | undefined {
  return node["bridge"] as Bridge | undefined;
}

export function bundlesOf(node: NodeConfig): readonly Bundle[] {
  return (node["lacp"] ?? []) as readonly Bundle[];
}

/** Where in a file something stands. */
export type FilePath = readonly (string | number)[];

interface Parts {
  readonly mlag: MlagConfig;
  readonly bridge: Bridge | undefined;
}
interface GlobalRow {
  readonly name: string;
  readonly type: 1 | 2;
  readonly path: FilePath;
  /** Undefined where the file has nothing to compare. */
  readonly of: (parts: Parts) => string | undefined;
}
interface MemberRow {
  readonly name: string;
  readonly type: 1 | 2;
  /** The key of the bundle. */
  readonly key: string;
  readonly of: (bundle: Bundle) => string | undefined;
}

const own = (name: string, type: 1 | 2, of: (config: MlagConfig) => string): GlobalRow => ({
  name,
  type,
  path: ["mlag", ...name.split(" ")],
  of: ({ mlag }) => of(mlag),
});

/** Of the whole switch. */
const GLOBAL: readonly GlobalRow[] = [
  own("system", 1, ({ system }) => system),
  own("system-priority", 1, ({ systemPriority }) => String(systemPriority)),
  own("split", 2, ({ split }) => split),
  own("gateway", 2, ({ gateway }) => gateway),
  own("split-grace", 2, ({ splitGrace }) => formatDuration(splitGrace)),
  own("restore-delay", 2, ({ restoreDelay }) => formatDuration(restoreDelay)),
  own("auto-recovery", 2, ({ autoRecovery }) => formatDuration(autoRecovery)),
  own("drain", 2, ({ drain }) => formatDuration(drain)),
  own("heartbeat", 2, ({ heartbeat }) => formatDuration(heartbeat)),
  own("suspend-persist", 2, ({ suspendPersist }) => String(suspendPersist)),
  own("keepalive interval", 2, ({ keepalive }) => formatDuration(keepalive.interval)),
  own("keepalive timeout", 2, ({ keepalive }) => formatDuration(keepalive.timeout)),
  own("keepalive hold", 2, ({ keepalive }) => formatDuration(keepalive.hold)),
  {
    name: "bridge ageing",
    type: 2,
    path: ["bridge", "ageing"],
    of: ({ bridge }) => (bridge?.ageing === undefined ? undefined : formatDuration(bridge.ageing)),
  },
  { name: "bridge table", type: 2, path: ["bridge", "table"], of: ({ bridge }) => text(bridge?.table) },
];

/** Of each member. What the standard or vendors take for one bundle is type 1 (Cisco: lag-id, mode). */
const MEMBER: readonly MemberRow[] = [
  { name: "lacp key", type: 1, key: "key", of: ({ key }) => text(key) },
  { name: "lacp mode", type: 1, key: "mode", of: ({ active }) => word(active, "active", "passive") },
  { name: "lacp individual", type: 1, key: "individual", of: ({ individual }) => text(individual) },
  // One half that carries frames without LACP, and one that does not: the host gets floods twice, or half of its frames.
  { name: "lacp fallback", type: 1, key: "fallback", of: ({ fallback }) => fallback },
  { name: "lacp rate", type: 2, key: "rate", of: ({ fast }) => word(fast, "fast", "slow") },
  { name: "lacp min-links", type: 2, key: "min-links", of: ({ minLinks }) => text(minLinks) },
  { name: "lacp max-links", type: 2, key: "max-links", of: ({ maxLinks }) => text(maxLinks) },
  { name: "lacp hash", type: 2, key: "hash", of: ({ hash }) => hash },
];
/** That there is an M-LAG of this id. */
const EXISTS = "member";
const CARRIED = ["tagged", "untagged"] as const;
type Carried = (typeof CARRIED)[number];

function text(value: number | boolean | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

function word(value: boolean | undefined, yes: string, no: string): string | undefined {
  return value === undefined ? undefined : value ? yes : no;
}

/** What this node tells its peer; nothing for a node without M-LAG. */
export function consistencyItems(node: NodeConfig): readonly ConsistencyItem[] {
  const mlag = mlagOf(node);
  if (mlag === undefined) return [];
  const bridge = bridgeOf(node);
  const items: ConsistencyItem[] = [];
  const put = (id: number, type: 1 | 2, name: string, value: string | undefined, vlan = 0) => {
    if (value !== undefined) items.push({ id, vlan, type, name, value });
  };
  for (const { name, type, of } of GLOBAL) put(0, type, name, of({ mlag, bridge }));
  for (const { interface: port, vrid, family = "" } of (node["vrrp"] ?? []) as readonly Router[]) {
    const vlan = Number(/^vlan(\d+)$/.exec(port)?.[1] ?? 0);
    if (vlan !== 0) put(0, 2, `vrrp ${vrid} ${family}`.trimEnd(), "present", vlan);
  }
  carriedBy(bridge, mlag.peerLink, (vlan, name, value) => put(0, 2, name, value, vlan));
  for (const { id, port } of mlag.members) {
    put(id, 2, EXISTS, "present");
    const bundle = bundlesOf(node).find((one) => one.name === port);
    for (const { name, type, of } of MEMBER) put(id, type, name, bundle === undefined ? undefined : of(bundle));
    // By VLAN: what only one has is compared, too.
    carriedBy(bridge, port, (vlan, name, value) => put(id, 1, name, value, vlan));
  }
  return items;
}

function carriedBy(
  bridge: Bridge | undefined,
  port: string,
  put: (vlan: number, name: Carried, value: string) => void,
): void {
  const vlans = [...(bridge?.vlans ?? [])].sort(([a], [b]) => a - b);
  for (const name of CARRIED) {
    const blocks = new Map<number, number[]>();
    for (const [vid, members] of vlans) {
      if (!members[name].includes(port)) continue;
      const block = blocks.get(Math.floor(vid / BLOCK)) ?? [];
      blocks.set(Math.floor(vid / BLOCK), block);
      block.push(vid);
    }
    for (const block of blocks.values()) put(block[0] ?? 0, name, rangesOf(block));
  }
}

/** "10-12,20", of numbers in ascending order. */
export function rangesOf(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; i++) {
    const first = numbers[i];
    while (numbers[i + 1] === (numbers[i] ?? 0) + 1) i++;
    parts.push(first === numbers[i] ? `${first}` : `${first}-${numbers[i]}`);
  }
  return parts.join(",");
}

/** What a peer wrote: text that is no VLAN means none. */
function vlansOf(ranges: string): number[] {
  const found: number[] = [];
  for (const part of ranges.split(",")) {
    const [, from, to = from] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
    for (let vid = Number(from); vid <= Math.min(Number(to), LAST_VLAN); vid++) if (vid > 0) found.push(vid);
  }
  return found;
}

/** Something that is not the same on both. */
export interface Mismatch {
  /** M-LAG id; 0 for the whole switch. */
  readonly id: number;
  readonly type: 1 | 2 | "vlan";
  readonly name: string;
  /** Of `vlan`, and of what there is for each VLAN; else empty. */
  readonly vlans: readonly number[];
  readonly here: string;
  readonly there: string;
}

interface Side {
  readonly values: ReadonlyMap<string, ConsistencyItem>;
  readonly ids: ReadonlySet<number>;
  /** By M-LAG id (0: the peer link), then VLAN. */
  readonly carried: ReadonlyMap<number, ReadonlyMap<number, Carried>>;
}

function sideOf(items: readonly ConsistencyItem[]): Side {
  const values = new Map<string, ConsistencyItem>();
  const carried = new Map<number, Map<number, Carried>>();
  const ids = new Set<number>();
  for (const item of items) {
    const { id, name, vlan, value } = item;
    const how = CARRIED.find((one) => one === name);
    if (how === undefined) {
      values.set(`${id} ${vlan} ${name}`, item);
      if (name === EXISTS) ids.add(id);
      continue;
    }
    const vlans = carried.get(id) ?? new Map<number, Carried>();
    carried.set(id, vlans);
    for (const vid of vlansOf(value)) vlans.set(vid, how);
  }
  return { values, ids, carried };
}

const NONE = "none";

/**
 * Where two lists differ; type 1 first. Of an M-LAG that only one has, only that is said. A type 1 item that only one has
 * is no difference: the other's version does not know it.
 */
export function mismatches(mine: readonly ConsistencyItem[], theirs: readonly ConsistencyItem[]): readonly Mismatch[] {
  const [here, there] = [sideOf(mine), sideOf(theirs)];
  const shared = (id: number) => id === 0 || (here.ids.has(id) && there.ids.has(id));
  const found: Mismatch[] = [];
  for (const key of new Set([...here.values.keys(), ...there.values.keys()])) {
    const [a, b] = [here.values.get(key), there.values.get(key)];
    const item = a ?? b;
    if (item === undefined || a?.value === b?.value) continue;
    const { id, type, name, vlan } = item;
    if (name === EXISTS ? id === 0 : !shared(id)) continue;
    if (type === 1 && (a === undefined || b === undefined)) continue;
    const vlans = vlan === 0 ? [] : [vlan];
    found.push({ id, type, name, vlans, here: a?.value ?? NONE, there: b?.value ?? NONE });
  }
  for (const id of [0, ...here.ids]) if (shared(id)) found.push(...differentVlans(id, here, there));
  const order = { 1: 0, vlan: 1, 2: 2 } as const;
  found.sort((a, b) => order[a.type] - order[b.type] || a.id - b.id);
  return found.slice(0, MAX_MISMATCHES);
}

/** One for all VLANs that differ in the same way. */
function differentVlans(id: number, here: Side, there: Side): readonly Mismatch[] {
  const [mine, theirs] = [here.carried.get(id), there.carried.get(id)];
  const groups = new Map<string, { readonly here: string; readonly there: string; readonly vlans: number[] }>();
  for (const vid of [...new Set([...(mine?.keys() ?? []), ...(theirs?.keys() ?? [])])].sort((a, b) => a - b)) {
    const [a, b] = [mine?.get(vid) ?? NONE, theirs?.get(vid) ?? NONE];
    if (a === b) continue;
    const group = groups.get(`${a} ${b}`) ?? { here: a, there: b, vlans: [] };
    groups.set(`${a} ${b}`, group);
    group.vlans.push(vid);
  }
  const name = id === 0 ? "peer-link" : "vlan";
  return [...groups.values()].map((group) => ({ id, type: id === 0 ? 2 : "vlan", name, ...group }));
}

/** As the log names it: "M-LAG 1: lacp key". */
export function subjectOf({ id, name, vlans }: Mismatch): string {
  const which = vlans.length === 0 ? "" : `${vlans.length === 1 ? "VLAN" : "VLANs"} ${rangesOf(vlans)}`;
  const what = name === "vlan" ? which : [name, which].filter((part) => part !== "").join(", ");
  return id === 0 ? what : `M-LAG ${id}: ${what}`;
}

/** "M-LAG 1: lacp key: 1 here, 2 at the peer". */
export function describeMismatch(mismatch: Mismatch): string {
  return `${subjectOf(mismatch)}: ${mismatch.here} here, ${mismatch.there} at the peer`;
}

/** Where the file of a node has what differs. */
export function pathOf(node: NodeConfig, { id, name }: Mismatch): FilePath {
  const mlag = mlagOf(node);
  if (id === 0) {
    const row = GLOBAL.find((one) => one.name === name);
    if (row !== undefined) return row.path;
    return name === "peer-link" ? ["mlag", name] : name.startsWith("vrrp") ? ["vrrp"] : ["mlag"];
  }
  const index = mlag?.members.findIndex((member) => member.id === id) ?? -1;
  const port = mlag?.members[index]?.port;
  const bundle = bundlesOf(node).findIndex((one) => one.name === port);
  const row = MEMBER.find((one) => one.name === name);
  if (index < 0) return ["mlag", "members"];
  if (row !== undefined && bundle >= 0) return ["lacp", bundle, row.key];
  return ["mlag", "members", index, name === "vlan" ? "port" : "id"];
}
