/**
 * What may pass through the ports of the kernel's bridge, and what of them is the node's alone: a table of nftables. The
 * kernel's own state of a port would not do: it goes to forwarding by itself whenever carrier comes, and knows no direction.
 */
import type { BridgeApartWish, BridgePortWish } from "../../node/host.ts";
import type { Listening, NodeConfig } from "../../node/protocol.ts";
import type { Part } from "./daemon.ts";
import type { Libc } from "./libc.ts";
import { NftSets } from "./nft-sets.ts";
import { Table, type TableOptions } from "./nft-table.ts";

export interface BridgeRulesOptions extends Pick<TableOptions, "guard" | "watch" | "log"> {
  readonly libc: Libc;
  /** Of the node. */
  readonly node: string;
  /** What may be wished for under a configuration. */
  readonly wishes: (config: NodeConfig) => Iterable<BridgePortWish>;
  /** What the node hears under a configuration. */
  readonly listens: (config: NodeConfig) => Iterable<Listening>;
}

/**
 * Sets that change while machines run: of names of interfaces, or of two of them. What comes in by the first and would leave
 * by the second does not pass if it is `apart`; if they are `floods-apart`, what is for a group does not.
 */
const SETS = ["collecting", "distributing", "flooding", "apart", "floods-apart"] as const;
type SetName = (typeof SETS)[number];

export class BridgeRules implements Part {
  readonly table: Table;
  private readonly sets: NftSets;
  /** Ports of the bridge, and which of them are one bundle's. */
  private links: readonly BridgePortWish[] = [];
  private channels: readonly Channel[] = [];
  /** Elements by their names, joined. */
  private readonly elements: Readonly<Record<SetName, Map<string, readonly string[]>>> = {
    collecting: new Map(),
    distributing: new Map(),
    flooding: new Map(),
    apart: new Map(),
    "floods-apart": new Map(),
  };

  constructor(private readonly options: BridgeRulesOptions) {
    const { libc, node, guard, watch, log } = options;
    const name = `hotpair-${node}-bridge`;
    const rules = () => rulesFor(this.table.title, this.links, this.channels, this.elements);
    this.table = new Table({ family: "bridge", name, key: "bridge-rules", rules, guard, watch, log });
    this.sets = new NftSets(libc, name);
  }

  /** Closes what a configuration has LACP decide about, before any machine is at work under it. */
  async secure(config: NodeConfig): Promise<string | undefined> {
    const before = this.links;
    const { channels } = this;
    const links = [...this.options.wishes(config)];
    // What is no port any more is in the bridge until the machines have heard of it.
    const leaving = before.filter(({ port }) => !links.some((one) => one.port === port));
    this.links = [...links, ...leaving];
    this.channels = channelsOf(this.options.listens(config));
    const wrong = await this.settle();
    if (wrong === undefined) return undefined;
    const who = this.links.length > 0 ? "a bridge" : "a VLAN that is the node's alone";
    this.links = before;
    this.channels = channels;
    return `${who} needs nftables: ${wrong}`;
  }

  configure(config: NodeConfig): void {
    this.links = [...this.options.wishes(config)];
    void this.settle().then((wrong) => {
      if (wrong !== undefined) this.options.log(`table ${this.table.title} is not as it should be: ${wrong}`);
    });
  }

  /** Has frames come in or leave by a port, or no longer; the kernel does so when this returns. */
  let(way: "collecting" | "distributing" | "flooding", port: string, passes: boolean): void {
    this.set(way, [port], passes);
  }

  /** The same for those that come in by one port and would leave by another. */
  part({ from, to, apart }: BridgeApartWish): void {
    // What is taken away comes last: at no time does more pass than before and after.
    if (apart === "all") this.set("apart", [from, to], true);
    this.set("floods-apart", [from, to], apart === "floods");
    if (apart !== "all") this.set("apart", [from, to], false);
  }

  async close(): Promise<void> {
    this.links = [];
    this.channels = [];
    for (const set of SETS) this.elements[set].clear();
    await this.table.close();
    this.sets.close();
  }

  private set(set: SetName, names: readonly string[], present: boolean): void {
    const elements = this.elements[set];
    const key = names.join(" ");
    if (elements.has(key) === present) return;
    if (present) elements.set(key, names);
    else elements.delete(key);
    this.tell(set, names, present);
  }

  private async settle(): Promise<string | undefined> {
    const before = SETS.map((set) => new Map(this.elements[set]));
    const wrong = await this.table.settle();
    if (wrong !== undefined || !this.table.made) return wrong;
    // What machines have decided while nft ran.
    for (const [i, set] of SETS.entries()) {
      const was = before[i] ?? new Map<string, readonly string[]>();
      const is = this.elements[set];
      for (const [key, names] of new Map([...was, ...is])) {
        if (was.has(key) !== is.has(key)) this.tell(set, names, is.has(key));
      }
    }
    return undefined;
  }

  private tell(set: SetName, names: readonly string[], present: boolean): void {
    if (!this.table.made) return;
    const errno = this.sets.change({ set, names, present });
    if (errno === 0) return;
    const what = `${names.join(" . ")} in ${set}`;
    this.options.log(`table ${this.table.title} does not take ${what}: errno ${errno}; all of it is made anew`);
    void this.table.review();
  }
}

/** A VLAN of an interface that no bridge is to take or send. */
interface Channel {
  readonly on: string;
  readonly vlan: number;
}

function channelsOf(listens: Iterable<Listening>): readonly Channel[] {
  const found = new Map<string, Channel>();
  for (const { on, vlan } of listens) {
    if (on !== undefined && vlan !== undefined) found.set(`${on} ${vlan}`, { on, vlan });
  }
  return [...found.values()];
}

/**
 * NF_BR_PRI_FILTER_BRIDGED. At 0, NF_BR_PRI_BRNF, nothing is asked about forwarding where br_netfilter is loaded and the bridge
 * was made after the table: br_nf_hook_thresh (net/bridge/br_netfilter_hooks.c) passes over all of that priority.
 */
const PRIORITY = -200;

/** What the host itself sends to a group leaves by every port: br_flood (net/bridge/br_forward.c) does not ask their flags. */
const FOR_A_GROUP = "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00";

/** The whole table in one transaction. LACPDUs do not come by: they are for the port itself (IEEE 802.1Q §8.6.3). */
function rulesFor(
  title: string,
  links: readonly BridgePortWish[],
  channels: readonly Channel[],
  elements: Readonly<Record<SetName, ReadonlyMap<string, readonly string[]>>>,
): string {
  if (links.length === 0 && channels.length === 0) return "";
  const quoted = (all: Iterable<readonly string[]>) =>
    [...all].map((one) => one.map((name) => `"${name}"`).join(" . "));
  const bundled = links.filter(({ bundle }) => bundle !== undefined);
  const bundles = bundled.flatMap(({ port, bundle }) =>
    bundled.filter((other) => other.bundle === bundle && other.port !== port).map((other) => [port, other.port]),
  );
  const sets = [
    ["links", "ifname", quoted(links.map(({ port }) => [port]))],
    ["bundled", "ifname", quoted(bundled.map(({ port }) => [port]))],
    ["bundles", "ifname . ifname", quoted(bundles)],
    ["flooding", "ifname", quoted(elements.flooding.values())],
    ["collecting", "ifname", quoted(elements.collecting.values())],
    ["distributing", "ifname", quoted(elements.distributing.values())],
    ["apart", "ifname . ifname", quoted(elements.apart.values())],
    ["floods-apart", "ifname . ifname", quoted(elements["floods-apart"].values())],
  ] as const;
  const filled = sets.flatMap(([set, , own]) => [
    `flush set ${title} ${set}`,
    ...(own.length === 0 ? [] : [`add element ${title} ${set} { ${own.join(", ")} }`]),
  ]);
  // Before the bridge has learned their source; and nobody behind another port speaks there.
  const alone = (way: "iifname" | "oifname") =>
    channels.map(({ on, vlan }) => `${way} "${on}" vlan id ${vlan} counter name "not-for-bridge" drop; `).join("");
  const chains = ["prerouting", "forward", "output", "postrouting"];
  return `table ${title} {
${sets.map(([set, type]) => `  set ${set} { type ${type}; }`).join("\n")}
  counter not-collecting { }
  counter not-distributing { }
  counter not-flooding { }
  counter isolated { }
  counter not-for-bridge { }
${chains.map((one) => `  chain ${one} { type filter hook ${one} priority ${PRIORITY}; policy accept; }`).join("\n")}
}
${filled.join("\n")}
${chains.map((one) => `flush chain ${title} ${one}`).join("\n")}
table ${title} {
  chain prerouting { ${alone("iifname")}iifname @links iifname != @collecting counter name "not-collecting" drop; }
  chain forward {
    iifname . oifname @bundles drop
    iifname . oifname @apart counter name "isolated" drop
    iifname . oifname @floods-apart meta pkttype { broadcast, multicast } counter name "isolated" drop
  }
  chain output { oifname @bundled oifname != @flooding ${FOR_A_GROUP} counter name "not-flooding" drop; }
  chain postrouting { ${alone("oifname")}oifname @links oifname != @distributing counter name "not-distributing" drop; }
}
`;
}
