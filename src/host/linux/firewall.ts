/**
 * Accept_Mode False (RFC 9568 §6.1): a master that does not own its addresses forwards through its virtual MAC and answers
 * ARP and neighbour solicitations, but takes no packet for itself that is addressed to them, whichever interface it comes
 * in by (§6.4.3). On Linux that is a table of nftables.
 *
 * A transition neither waits for a rule nor makes one. Rules are about addresses, and stand before these can be there: at
 * the start before any machine runs, on a reload before any machine hears of it (`secure`; nft runs beside the machines,
 * which send their adverts meanwhile). While another router is master the addresses are not on this host and nothing
 * matches. What a configuration no longer shields goes after it was taken on, what a router leaves behind when the kernel
 * has its addresses no more. In between the table has the rules of both: too many, never too few. Whoever flushes all
 * rules of the host takes these along: that is seen, and they are put back.
 */
import { familyOf, isLinkLocal } from "../../core/addr.ts";
import type { VirtualWish } from "../../node/host.ts";
import type { Listening, NodeConfig } from "../../node/protocol.ts";
import type { Part } from "./daemon.ts";
import type { Undo } from "./holdings.ts";
import { Table, type TableOptions } from "./nft-table.ts";

/** What carries out wishes tells of those that it has. */
export interface Shield {
  /** Removes every rule, for the guardian. */
  readonly undo: Undo;
  /** The addresses of a router are on the host, as wished for; undefined: they no longer are. */
  note(key: string, wish: VirtualWish | undefined): void;
}

export interface FirewallOptions extends Pick<TableOptions, "guard" | "watch" | "log"> {
  /** Of the node. */
  readonly node: string;
  /** What may be wished for under a configuration. */
  readonly wishes: (config: NodeConfig) => Iterable<VirtualWish>;
  /** What the node hears under a configuration. */
  readonly listens: (config: NodeConfig) => Iterable<Listening>;
}

/**
 * Group of devices whose link-local addresses are shielded. A rule can name neither these devices, because they come when
 * their interface does, nor the addresses alone: another interface may have the same one. A device that is being removed
 * is moved to another group of this range first, by the daemon (virtual.ts) or the guardian (giving-back.ts).
 */
export const SHIELDED = 0x6a000000;
const GROUPS = "0x68000000-0x6a000000";
/** An element of a set, after the set's name. */
type Element = string;

export class Firewall implements Part, Shield {
  private readonly table: Table;
  /** Of the configuration that runs, and of the one that is about to. */
  private configured: ReadonlySet<Element> = new Set();
  private coming: ReadonlySet<Element> = new Set();
  /** By router, of addresses that are on the host. */
  private readonly present = new Map<string, readonly Element[]>();

  constructor(private readonly options: FirewallOptions) {
    const { node, guard, watch, log } = options;
    const rules = () => rulesFor(this.table.title, this.wanted());
    this.table = new Table({ family: "inet", name: `hotpair-${node}`, key: "firewall", rules, guard, watch, log });
  }

  get undo(): Undo {
    return this.table.undo;
  }

  /**
   * Has the kernel drop what this configuration does not accept, besides all that it drops already. The first time it
   * also removes what an earlier process has left.
   * @returns what is wrong, in words: then no rule has changed
   */
  async secure(config: NodeConfig): Promise<string | undefined> {
    const { wishes, listens } = this.options;
    this.coming = new Set([...[...wishes(config)].flatMap(elementsOf), ...[...listens(config)].flatMap(datagramsOf)]);
    const wrong = await this.table.settle();
    if (wrong === undefined) return undefined;
    const who = [...this.coming].some(isDatagrams) ? "UDP that is the node's alone" : "a router with accept: false";
    this.coming = new Set();
    return `${who} needs nftables: ${wrong}`;
  }

  /** The configuration that was secured has been taken on. */
  configure(): void {
    this.configured = this.coming;
    this.coming = new Set();
    void this.table.review();
  }

  note(key: string, wish: VirtualWish | undefined): void {
    const before = this.present.get(key) ?? [];
    const now = wish === undefined ? [] : elementsOf(wish);
    if (now.length > 0) this.present.set(key, now);
    else this.present.delete(key);
    // Most routers come and go with rules that stay. In the middle of a transition nothing is run.
    const left = before.some((one) => !now.includes(one) && !this.configured.has(one));
    if (left) setImmediate(() => void this.table.review());
  }

  status(): Promise<readonly { readonly type: string; readonly [field: string]: unknown }[]> {
    const { made, title } = this.table;
    const addresses = this.wanted().filter((one) => !isDatagrams(one)).length;
    return Promise.resolve(made ? [{ type: "firewall", name: title, addresses }] : []);
  }

  /** After the addresses are gone. */
  async close(): Promise<void> {
    this.configured = new Set();
    this.coming = new Set();
    this.present.clear();
    await this.table.close();
  }

  private wanted(): readonly Element[] {
    return [...new Set([...this.configured, ...this.coming, ...[...this.present.values()].flat()])].sort();
  }
}

function elementsOf({ family, addresses, accept, mac, port }: VirtualWish): readonly Element[] {
  if (accept) return [];
  return addresses.map(({ address }) => {
    if (family === "ipv4") return `ipv4 ${address}`;
    if (!isLinkLocal(address)) return `ipv6 ${address}`;
    return mac === undefined ? `linklocal-interface ${address} . "${port}"` : `linklocal-device ${address}`;
  });
}

/**
 * Datagrams that the node takes off the wire itself. Whether the kernel has their address or not, its answer would be
 * wrong: "port unreachable" to the one, "time exceeded" or a second copy to the other.
 */
function datagramsOf({ on, datagrams }: Listening): readonly Element[] {
  if (on === undefined || datagrams === undefined) return [];
  const { to, port } = datagrams;
  return [`datagrams-${familyOf(to)} "${on}" . ${to} . ${port}`];
}

function isDatagrams(element: Element): boolean {
  return element.startsWith("datagrams-");
}

/**
 * Makes the table whatever is there of it, in one transaction, and keeps its counters. What the host sends to itself comes
 * in by "lo". A neighbour solicitation for an address goes to its group, but one that asks whether it is still there goes
 * to itself, and so does the answer to a solicitation that came from it (RFC 4861 §7.2.4, §7.3.1).
 */
function rulesFor(table: string, elements: readonly Element[]): string {
  if (elements.length === 0) return "";
  // Before connections are tracked.
  const early = elements.some(isDatagrams);
  const sets = [
    ["ipv4", "ipv4_addr"],
    ["ipv6", "ipv6_addr"],
    ["linklocal-device", "ipv6_addr"],
    ["linklocal-interface", "ipv6_addr . ifname"],
    ...(early ? DATAGRAMS : []),
  ] as const;
  const filled = sets.flatMap(([set]) => {
    const own = elements.filter((one) => one.startsWith(`${set} `)).map((one) => one.slice(set.length + 1));
    return [`flush set ${table} ${set}`, ...own.map((one) => `add element ${table} ${set} { ${one} }`)];
  });
  return `table ${table} {
  counter ipv4 { }
  counter ipv6 { }
${sets.map(([set, type]) => `  set ${set} { type ${type}; }`).join("\n")}
${early ? "  counter datagrams { }\n  chain prerouting { type filter hook prerouting priority -300; policy accept; }\n" : ""}\
  chain input { type filter hook input priority -1; policy accept; }
}
${filled.join("\n")}
flush chain ${table} input
${early ? `flush chain ${table} prerouting\n` : ""}\
table ${table} {
  chain input {
    iif "lo" accept
    ip daddr @ipv4 counter name "ipv4" drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip6 daddr @ipv6 counter name "ipv6" drop
    iifgroup ${GROUPS} ip6 daddr @linklocal-device counter name "ipv6" drop
    ip6 daddr . iifname @linklocal-interface counter name "ipv6" drop
  }
${early ? EARLY : ""}\
}
`;
}

const DATAGRAMS = [
  ["datagrams-ipv4", "ifname . ipv4_addr . inet_service"],
  ["datagrams-ipv6", "ifname . ipv6_addr . inet_service"],
] as const;

const EARLY = `  chain prerouting {
    iifname . ip daddr . udp dport @datagrams-ipv4 counter name "datagrams" drop
    iifname . ip6 daddr . udp dport @datagrams-ipv6 counter name "datagrams" drop
  }
`;
