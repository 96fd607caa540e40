/** What VRRP promises about the log: exactly one master for each virtual router, but for the time of an election. */
import { type Family, formatPrefix, ipBytes, ipFrom, isLinkLocal } from "../../src/core/addr.ts";
import { type Faults, foldFaults, noFaults } from "../../src/core/faults.ts";
import { WORLD } from "../../src/core/log.ts";
import { after, type Duration, type Instant, NEVER, sec, us } from "../../src/core/time.ts";
import type { Invariant, View } from "../../src/core/view.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { RouterConfig, VrrpConfig } from "./config.ts";
import { rowKey, type VrrpTable, vrrpTable } from "./view.ts";

export interface OneMaster {
  /** Only virtual routers of this VRID, of this family. */
  readonly vrid?: number | undefined;
  readonly family?: Family | undefined;
  /** How long none or two are borne; by default what an election takes. */
  readonly settle?: Duration | undefined;
  /**
   * Whether it is also broken while a fault stands (a link cut or lossy, a filter, a paused node): a partition makes two
   * masters by design, so this is for labs that say so.
   */
  readonly strict?: boolean;
}

/** What is wrong with one virtual router, and from when on that is a breach. */
interface Wrong {
  readonly detail: string;
  readonly from: Instant;
}

interface Watched {
  readonly table: VrrpTable;
  readonly faults: Faults;
  /** By identity. */
  readonly wrong: Map<string, Wrong>;
}

/** The routers of one node's configuration. */
export function routersOf(node: NodeConfig): VrrpConfig {
  return (node["vrrp"] ?? []) as VrrpConfig;
}

/** What makes two routers one virtual router: VRID, family and network; two segments may use a VRID twice. */
export function identityOf(router: RouterConfig): string {
  const { addresses, vrid, family } = router;
  const prefix = addresses.find(({ address }) => !isLinkLocal(address)) ?? addresses[0];
  if (prefix === undefined) return `vrid ${vrid} ${family}`;
  const bytes = ipBytes(prefix.address);
  for (let bit = prefix.length; bit < bytes.length * 8; bit++) {
    bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) & ~(0x80 >>> (bit & 7));
  }
  return `vrid ${vrid} in ${formatPrefix({ address: ipFrom(bytes, family), length: prefix.length })}`;
}

interface Shared {
  readonly identity: string;
  readonly keys: string[];
  settle: number;
  /** Whoever has to yield has heard the other's advert by then: two masters for so long are the protocol's own way. */
  bears: number;
}

/** The virtual routers that the nodes share. */
function shared(nodes: readonly NodeConfig[], options: OneMaster): readonly Shared[] {
  const sharing = new Map<string, Shared>();
  for (const node of nodes) {
    for (const router of routersOf(node)) {
      if (options.vrid !== undefined && options.vrid !== router.vrid) continue;
      if (options.family !== undefined && options.family !== router.family) continue;
      const identity = identityOf(router);
      const group = sharing.get(identity) ?? { identity, keys: [], settle: 0, bears: 0 };
      sharing.set(identity, group);
      group.keys.push(rowKey(node.node, router.interface, router.family, router.vrid));
      // Three intervals and the longest skew: the interval itself, or a second in version 2 (RFC 3768 §6.1).
      const skew = router.version === 2 ? sec(1) : router.interval;
      group.settle = Math.max(group.settle, 3 * router.interval + skew);
      group.bears = Math.max(group.bears, router.interval);
    }
  }
  return [...sharing.values()];
}

/** Exactly one master for each virtual router that the nodes share and the options mean. */
export function oneMaster(nodes: readonly NodeConfig[], options: OneMaster = {}): Invariant<unknown> {
  const all = shared(nodes, options);
  const longest = all.reduce((most, { settle }) => Math.max(most, settle), 0);
  return {
    name: "one-master",
    source: "RFC 9568 §6.4",
    settle: options.settle ?? us(longest),
    view: watching(all),
    broken: (view) => {
      const { faults } = view as Watched;
      if ((faults.links.size > 0 || faults.paused.size > 0) && options.strict !== true) return undefined;
      return first(view as Watched)?.detail;
    },
    from: (view) => first(view as Watched)?.from ?? NEVER,
  };
}

/** What is a breach first. */
function first({ wrong }: Watched): Wrong | undefined {
  let found: Wrong | undefined;
  for (const one of wrong.values()) if (found === undefined || one.from < found.from) found = one;
  return found;
}

/** For every lab: while no fault stands, each virtual router has one master. */
export function invariants(nodes: readonly NodeConfig[]): readonly Invariant<unknown>[] {
  return shared(nodes, {}).length === 0 ? [] : [oneMaster(nodes)];
}

function judge({ identity, keys, bears }: Shared, table: VrrpTable, now: Instant): Wrong | undefined {
  const masters: string[] = [];
  let backups = 0;
  for (const key of keys) {
    const row = table.get(key);
    if (row?.state === "master") masters.push(row.node);
    else if (row?.state === "backup") backups++;
  }
  if (masters.length > 1) {
    return { detail: `${identity} has ${masters.length} masters: ${masters.join(", ")}`, from: after(now, us(bears)) };
  }
  if (masters.length > 0 || backups === 0) return undefined;
  return { detail: `${identity} has no master among ${backups} backups`, from: now };
}

function watching(all: readonly Shared[]): View<unknown> {
  return {
    initial: (): Watched => ({ table: vrrpTable.initial(), faults: noFaults(), wrong: new Map() }),
    fold: (view, entry) => {
      const { table, faults, wrong } = view as Watched;
      vrrpTable.fold(table, entry);
      foldFaults(faults, entry);
      const { what } = entry;
      const changes = what.kind === "event" ? what.event.type === "vrrp.state" : entry.node === WORLD;
      if (!changes) return view;
      for (const group of all) {
        const now = judge(group, table, entry.at);
        const before = wrong.get(group.identity);
        if (now === undefined) wrong.delete(group.identity);
        else if (now.detail !== before?.detail) wrong.set(group.identity, now);
      }
      return view;
    },
  };
}
