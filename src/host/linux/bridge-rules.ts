/**
 * What may pass through the ports of the kernel's bridge that are links of bundles: a table of nftables. The kernel's own
 * state of a port would not do: it goes to forwarding by itself whenever carrier comes, and knows no direction.
 */
import type { BridgePortWish } from "../../node/host.ts";
import type { NodeConfig } from "../../node/protocol.ts";
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
}

/** Sets of names of interfaces that change while machines run. */
export const GATES = ["collecting", "distributing"] as const;
export type Gate = (typeof GATES)[number];

export class BridgeRules implements Part {
  readonly table: Table;
  private readonly sets: NftSets;
  /** Links of bundles, and which of them are one bundle's. */
  private links: readonly BridgePortWish[] = [];
  private readonly open: Readonly<Record<Gate, Set<string>>> = { collecting: new Set(), distributing: new Set() };

  constructor(private readonly options: BridgeRulesOptions) {
    const { libc, node, guard, watch, log } = options;
    const name = `hotpair-${node}-bridge`;
    const rules = () => rulesFor(this.table.title, this.links, this.open);
    this.table = new Table({ family: "bridge", name, key: "bridge-rules", rules, guard, watch, log });
    this.sets = new NftSets(libc, name);
  }

  /** Closes what a configuration has LACP decide about, before any machine is at work under it. */
  async secure(config: NodeConfig): Promise<string | undefined> {
    const before = this.links;
    this.links = [...this.options.wishes(config)].filter(({ bundle }) => bundle !== undefined);
    const wrong = await this.settle();
    if (wrong === undefined) return undefined;
    this.links = before;
    return `a bundle in a bridge needs nftables: ${wrong}`;
  }

  configure(): void {}

  /** Has frames pass, or no longer pass; the kernel does so when this returns. */
  let(gate: Gate, port: string, passes: boolean): void {
    const open = this.open[gate];
    if (open.has(port) === passes) return;
    if (passes) open.add(port);
    else open.delete(port);
    this.tell(gate, port, passes);
  }

  async close(): Promise<void> {
    this.links = [];
    for (const gate of GATES) this.open[gate].clear();
    await this.table.close();
    this.sets.close();
  }

  private async settle(): Promise<string | undefined> {
    const before = GATES.map((gate) => new Set(this.open[gate]));
    const wrong = await this.table.settle();
    if (wrong !== undefined || !this.table.made) return wrong;
    // What machines have decided while nft ran.
    for (const [i, gate] of GATES.entries()) {
      const was = before[i] ?? new Set<string>();
      const is = this.open[gate];
      for (const port of new Set([...was, ...is]))
        if (was.has(port) !== is.has(port)) this.tell(gate, port, is.has(port));
    }
    return undefined;
  }

  private tell(gate: Gate, port: string, present: boolean): void {
    if (!this.table.made) return;
    const errno = this.sets.change({ set: gate, names: [port], present });
    if (errno === 0) return;
    this.options.log(
      `table ${this.table.title} does not take ${port} in ${gate}: errno ${errno}; all of it is made anew`,
    );
    void this.table.review();
  }
}

/** The whole table in one transaction. LACPDUs do not come by: they are for the port itself (IEEE 802.1Q §8.6.3). */
function rulesFor(title: string, links: readonly BridgePortWish[], open: Readonly<Record<Gate, Set<string>>>): string {
  if (links.length === 0) return "";
  const quoted = (names: Iterable<string>) => [...names].map((name) => `"${name}"`);
  const apart = links.flatMap(({ port, bundle }) =>
    links
      .filter((other) => other.bundle === bundle && other.port !== port)
      .map((other) => `"${port}" . "${other.port}"`),
  );
  const sets = [
    ["links", "ifname", quoted(links.map(({ port }) => port))],
    ["collecting", "ifname", quoted(open.collecting)],
    ["distributing", "ifname", quoted(open.distributing)],
    ["apart", "ifname . ifname", apart],
  ] as const;
  const filled = sets.flatMap(([set, , elements]) => [
    `flush set ${title} ${set}`,
    ...(elements.length === 0 ? [] : [`add element ${title} ${set} { ${elements.join(", ")} }`]),
  ]);
  const chains = ["prerouting", "forward", "postrouting"];
  return `table ${title} {
${sets.map(([set, type]) => `  set ${set} { type ${type}; }`).join("\n")}
  counter not-collecting { }
  counter not-distributing { }
${chains.map((one) => `  chain ${one} { type filter hook ${one} priority 0; policy accept; }`).join("\n")}
}
${filled.join("\n")}
${chains.map((one) => `flush chain ${title} ${one}`).join("\n")}
table ${title} {
  chain prerouting { iifname @links iifname != @collecting counter name "not-collecting" drop; }
  chain forward { iifname . oifname @apart drop; }
  chain postrouting { oifname @links oifname != @distributing counter name "not-distributing" drop; }
}
`;
}
