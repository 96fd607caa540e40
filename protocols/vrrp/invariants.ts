/** What VRRP promises about the log: exactly one master for each virtual router, but for the time of an election. */
import { type Family, formatPrefix, ipBytes, ipFrom, isLinkLocal } from "../../src/core/addr.ts";
import { WORLD } from "../../src/core/log.ts";
import { type Duration, sec, us } from "../../src/core/time.ts";
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

interface Watched {
  readonly table: VrrpTable;
  /** Faults that stand: "cut core", "pause gw1". */
  readonly faults: Set<string>;
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
}

/** The virtual routers that the nodes share. */
function shared(nodes: readonly NodeConfig[], options: OneMaster): readonly Shared[] {
  const sharing = new Map<string, Shared>();
  for (const node of nodes) {
    for (const router of routersOf(node)) {
      if (options.vrid !== undefined && options.vrid !== router.vrid) continue;
      if (options.family !== undefined && options.family !== router.family) continue;
      const identity = identityOf(router);
      const group = sharing.get(identity) ?? { identity, keys: [], settle: 0 };
      sharing.set(identity, group);
      group.keys.push(rowKey(node.node, router.interface, router.family, router.vrid));
      // Three intervals and the longest skew: the interval itself, or a second in version 2 (RFC 3768 §6.1).
      const skew = router.version === 2 ? sec(1) : router.interval;
      group.settle = Math.max(group.settle, 3 * router.interval + skew);
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
    view: watched,
    broken: (view) => {
      const { table, faults } = view as Watched;
      if (faults.size > 0 && options.strict !== true) return undefined;
      for (const { identity, keys } of all) {
        const wrong = judge(identity, table, keys);
        if (wrong !== undefined) return wrong;
      }
      return undefined;
    },
  };
}

/** For every lab: while no fault stands, each virtual router has one master. */
export function invariants(nodes: readonly NodeConfig[]): readonly Invariant<unknown>[] {
  return shared(nodes, {}).length === 0 ? [] : [oneMaster(nodes)];
}

function judge(identity: string, table: VrrpTable, keys: readonly string[]): string | undefined {
  const masters: string[] = [];
  let backups = 0;
  for (const key of keys) {
    const row = table.get(key);
    if (row?.state === "master") masters.push(row.node);
    else if (row?.state === "backup") backups++;
  }
  if (masters.length > 1) return `${identity} has ${masters.length} masters: ${masters.join(", ")}`;
  return masters.length === 0 && backups > 0 ? `${identity} has no master among ${backups} backups` : undefined;
}

const watched: View<unknown> = {
  initial: (): Watched => ({ table: vrrpTable.initial(), faults: new Set() }),
  fold: (view, entry) => {
    const { table, faults } = view as Watched;
    vrrpTable.fold(table, entry);
    if (entry.node === WORLD && entry.what.kind === "command") noteFault(faults, entry.what.command);
    return view;
  },
};

/** What the world's commands leave standing. */
function noteFault(faults: Set<string>, command: object): void {
  const { verb, link, node, side, ratio, filter } = command as Readonly<Record<string, unknown>>;
  const set = (name: string, stands: boolean) => (stands ? faults.add(name) : faults.delete(name));
  switch (verb) {
    case "cut":
    case "heal":
      set(`cut ${String(link)} ${side === undefined ? "" : String(side)}`, verb === "cut");
      break;
    case "loss":
      set(`loss ${String(link)}`, ratio !== undefined);
      break;
    case "filter":
      set(`filter ${String(link)}`, filter !== undefined);
      break;
    case "pause":
    case "resume":
    case "power-on":
    case "power-off":
      set(`pause ${String(node)}`, verb === "pause");
      break;
  }
}
