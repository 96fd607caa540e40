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
import { isLinkLocal } from "../../core/addr.ts";
import { ZERO } from "../../core/time.ts";
import type { VirtualWish } from "../../node/host.ts";
import type { NodeConfig } from "../../node/protocol.ts";
import type { Part } from "./daemon.ts";
import type { Undo } from "./holdings.ts";
import type { Guard } from "./keeping.ts";
import { CallFailed } from "./libc.ts";
import { nft } from "./nft.ts";

/** What carries out wishes tells of those that it has. */
export interface Shield {
  /** Removes every rule, for the guardian. */
  readonly undo: Undo;
  /** The addresses of a router are on the host, as wished for; undefined: they no longer are. */
  note(key: string, wish: VirtualWish | undefined): void;
}

export interface FirewallOptions {
  /** Of the node; the table has its name, so that the next process finds what a dead one has left. */
  readonly node: string;
  /** What may be wished for under a configuration. */
  readonly wishes: (config: NodeConfig) => Iterable<VirtualWish>;
  readonly guard: Guard;
  /** Tells from now on when the table of this name is removed, or may have been. */
  readonly watch: (name: string, gone: (surely: boolean) => void) => { close(): void };
  readonly log: (line: string) => void;
}

/**
 * Group of devices whose link-local addresses are shielded. A rule can name neither these devices, because they come when
 * their interface does, nor the addresses alone: another interface may have the same one. A device that is being removed
 * is moved to another group of this range first, by the daemon (virtual.ts) or the guardian (giving-back.ts).
 */
export const SHIELDED = 0x6a000000;
const GROUPS = "0x68000000-0x6a000000";
/** Of the holding that is the table. */
const KEY = "firewall";
/** Of the host itself, there in every network namespace: the holding waits for nobody on it. */
const LOOPBACK = 1;

/** Milliseconds between looks while changes to others' rules are too many to be followed. */
const RECHECK = 1_000;

/** An element of a set, after the set's name. */
type Element = string;

export class Firewall implements Part, Shield {
  readonly undo: Undo;
  private readonly name: string;
  private readonly table: string;
  private readonly absence: string;
  /** Of the configuration that runs, and of the one that is about to. */
  private configured: ReadonlySet<Element> = new Set();
  private coming: ReadonlySet<Element> = new Set();
  /** By router, of addresses that are on the host. */
  private readonly present = new Map<string, readonly Element[]>();
  /** What the kernel has, in one line; undefined: nobody knows. */
  private stands: string | undefined;
  private made = false;
  /** Somebody has removed it since, or may have. */
  private lost = false;
  private watched: { close(): void } | undefined;
  private recheck: NodeJS.Timeout | undefined;
  /** One nft at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: FirewallOptions) {
    this.name = `hotpair-${options.node}`;
    this.table = `inet ${this.name}`;
    // That it is not there is no error, unlike with a mere `delete`.
    this.absence = `add table ${this.table}\ndelete table ${this.table}\n`;
    this.undo = { kind: "firewall", text: this.absence };
  }

  /**
   * Has the kernel drop what this configuration does not accept, besides all that it drops already. The first time it
   * also removes what an earlier process has left.
   * @returns what is wrong, in words: then no rule has changed
   */
  async secure(config: NodeConfig): Promise<string | undefined> {
    this.coming = new Set([...this.options.wishes(config)].flatMap(elementsOf));
    const wrong = await this.settle();
    if (wrong === undefined) return undefined;
    this.coming = new Set();
    return `a router with accept: false needs nftables: ${wrong}`;
  }

  /** The configuration that was secured has been taken on. */
  configure(): void {
    this.configured = this.coming;
    this.coming = new Set();
    void this.review();
  }

  note(key: string, wish: VirtualWish | undefined): void {
    const before = this.present.get(key) ?? [];
    const now = wish === undefined ? [] : elementsOf(wish);
    if (now.length > 0) this.present.set(key, now);
    else this.present.delete(key);
    // Most routers come and go with rules that stay. In the middle of a transition nothing is run.
    const left = before.some((one) => !now.includes(one) && !this.configured.has(one));
    if (left) setImmediate(() => void this.review());
  }

  status(): Promise<readonly { readonly type: string; readonly [field: string]: unknown }[]> {
    const shields = this.wanted().length;
    return Promise.resolve(this.made ? [{ type: "firewall", name: this.table, addresses: shields }] : []);
  }

  /** After the addresses are gone. */
  async close(): Promise<void> {
    this.configured = new Set();
    this.coming = new Set();
    this.present.clear();
    clearTimeout(this.recheck);
    await this.review();
  }

  /** `nft flush ruleset` takes the rules of all: then ours are put back. */
  private gone(surely: boolean): void {
    this.lost = true;
    if (surely) {
      this.options.log(`table ${this.table} was removed by somebody; it is put back`);
      void this.review();
    } else {
      this.recheck ??= setTimeout(() => {
        this.recheck = undefined;
        void this.review();
      }, RECHECK);
    }
  }

  private async review(): Promise<void> {
    const wrong = await this.settle();
    if (wrong !== undefined) this.options.log(`table ${this.table} is not as it should be: ${wrong}`);
  }

  private watch(): void {
    const { watch, log } = this.options;
    try {
      this.watched ??= watch(this.name, (surely) => this.gone(surely));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      log(`that somebody removes table ${this.table} would not be noticed: ${error.message}`);
    }
  }

  private unwatch(): void {
    this.watched?.close();
    this.watched = undefined;
  }

  private settle(): Promise<string | undefined> {
    const next = this.turn.then(() => this.carryOut());
    this.turn = next;
    return next;
  }

  private wanted(): readonly Element[] {
    return [...new Set([...this.configured, ...this.coming, ...[...this.present.values()].flat()])].sort();
  }

  private async carryOut(): Promise<string | undefined> {
    const elements = this.wanted();
    const words = elements.join(", ");
    if (words === this.stands && !(this.lost && this.made)) return undefined;
    this.lost = false;
    const { guard } = this.options;
    // It is the guardian's before it is the kernel's. With the steps of the routers it goes last.
    if (elements.length > 0 && !this.made) guard(KEY, holding(this.undo));
    const removes = elements.length === 0 || this.stands === undefined;
    if (removes) this.unwatch();
    const made = elements.length === 0 ? "" : rules(this.table, elements);
    const wrong = await nft(`${removes ? this.absence : ""}${made}`);
    if (wrong === undefined) {
      this.stands = words;
      this.made = elements.length > 0;
      // Only now: that it is removed on the way is our own doing.
      if (this.made) this.watch();
    } else {
      this.stands = undefined;
    }
    if (!this.made) guard(KEY, undefined);
    if (wrong === undefined || elements.length > 0 || this.made) return wrong;
    // Nobody needs a rule here, and who cannot have any has none left from an earlier process.
    this.stands = words;
    return undefined;
  }
}

function holding(undo: Undo) {
  return { key: KEY, index: LOOPBACK, farewell: [], successor: [], within: ZERO, wanted: [], undo: [undo] };
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
 * Makes the table whatever is there of it, in one transaction, and keeps its counters. What the host sends to itself comes
 * in by "lo". A neighbour solicitation for an address goes to its group, but one that asks whether it is still there goes
 * to itself, and so does the answer to a solicitation that came from it (RFC 4861 §7.2.4, §7.3.1).
 */
function rules(table: string, elements: readonly Element[]): string {
  const sets = [
    ["ipv4", "ipv4_addr"],
    ["ipv6", "ipv6_addr"],
    ["linklocal-device", "ipv6_addr"],
    ["linklocal-interface", "ipv6_addr . ifname"],
  ] as const;
  const filled = sets.flatMap(([set]) => {
    const own = elements.filter((one) => one.startsWith(`${set} `)).map((one) => one.slice(set.length + 1));
    return [`flush set ${table} ${set}`, ...own.map((one) => `add element ${table} ${set} { ${one} }`)];
  });
  return `table ${table} {
  counter ipv4 { }
  counter ipv6 { }
${sets.map(([set, type]) => `  set ${set} { type ${type}; }`).join("\n")}
  chain input { type filter hook input priority -1; policy accept; }
}
${filled.join("\n")}
flush chain ${table} input
table ${table} {
  chain input {
    iif "lo" accept
    ip daddr @ipv4 counter name "ipv4" drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip6 daddr @ipv6 counter name "ipv6" drop
    iifgroup ${GROUPS} ip6 daddr @linklocal-device counter name "ipv6" drop
    ip6 daddr . iifname @linklocal-interface counter name "ipv6" drop
  }
}
`;
}
