/** What another process has to know to give back what this one holds: put together anew whenever anything of it changes. */
import { ip4From, ip6From, ipBytes } from "../../core/addr.ts";
import type { Change } from "../../core/machine.ts";
import { type Instant, ZERO } from "../../core/time.ts";
import type { AnyProtocol, Farewell, Kernel, NodeConfig } from "../../node/protocol.ts";
import type { Datapath } from "./datapath.ts";
import type { Holding, Packet } from "./holdings.ts";
import type { LinuxHost } from "./host.ts";
import type { Wanted } from "./packet.ts";

/** Who gives back what is held should this process die; undefined: it is held no longer. */
export type Guard = (key: string, holding: Holding | undefined) => void;

export class Keeping {
  /** The farewells that the guard was told last. */
  private readonly told = new Map<string, Farewell | undefined>();
  private readonly waiting = new Set<string>();
  private closed = false;

  constructor(
    private readonly host: LinuxHost,
    private readonly kernels: readonly Kernel[],
    private readonly datapaths: readonly Datapath[],
    private readonly wanted: (port: string) => readonly Wanted[],
    private readonly guard: Guard,
  ) {}

  /** Which thing a wish is about. */
  keyOf(wish: Change): string | undefined {
    return this.kernels.find((one) => one.wish === wish.type)?.key(wish);
  }

  refresh(key: string): void {
    this.tell(key, this.farewells().get(key));
  }

  /** When the network has been told. Whoever takes over for hundreds at once looks once for all of them. */
  refreshSoon(key: string): void {
    if (this.waiting.size === 0) setImmediate(() => this.flush());
    this.waiting.add(key);
  }

  /** Nothing more is told. */
  close(): void {
    this.closed = true;
  }

  private flush(): void {
    const keys = [...this.waiting];
    this.waiting.clear();
    if (this.closed) return;
    const farewells = this.farewells();
    for (const key of keys) this.tell(key, farewells.get(key));
  }

  private tell(key: string, farewell: Farewell | undefined): void {
    this.told.set(key, farewell);
    this.guard(key, this.holding(key, farewell));
  }

  /** What changes without a wish: how peers want their checksum, the address that adverts come from. */
  review(): void {
    const farewells = this.farewells();
    for (const datapath of this.datapaths) {
      for (const key of datapath.keys()) {
        const farewell = farewells.get(key);
        if (farewell !== this.told.get(key)) this.tell(key, farewell);
      }
    }
  }

  /** Whether a wish will come with the timer of this time, unless something is heard before. */
  imminent(at: Instant): boolean {
    return this.kernels.some(({ machine, practice }) => {
      const state = practice === undefined ? undefined : this.host.node.machine(machine)?.state;
      return state !== undefined && practice?.imminent(state as never, at) === true;
    });
  }

  private farewells(): ReadonlyMap<string, Farewell> {
    const found = new Map<string, Farewell>();
    for (const { machine, farewells } of this.kernels) {
      const state = this.host.node.machine(machine)?.state;
      // The protocol's own machine has made this state.
      if (state !== undefined) for (const one of farewells(state as never)) found.set(one.key, one);
    }
    return found;
  }

  private holding(key: string, farewell: Farewell | undefined): Holding | undefined {
    const undo = this.datapaths.map((one) => one.undo(key)).find((one) => one !== undefined);
    const index = undo === undefined ? undefined : this.host.interfaces.named(undo.port)?.index;
    if (undo === undefined || index === undefined) return undefined;
    if (undo.steps.length === 0 && farewell === undefined) return undefined;
    return {
      key,
      index,
      farewell: farewell?.frames ?? [],
      packets: (farewell?.packets ?? []).map(packetOf),
      successor: farewell?.successor ?? [],
      within: farewell?.within ?? ZERO,
      // A successor is heard without a tag, and not by UDP.
      wanted: this.wanted(undo.port).filter(({ vlan, port }) => vlan === undefined && port === undefined),
      first: undo.first,
      undo: undo.steps,
    };
  }
}

/** By key, what the machines of a node with this configuration may wish for. */
export function wishesOf(protocols: readonly AnyProtocol[], config: NodeConfig): ReadonlyMap<string, Change> {
  const wishes = new Map<string, Change>();
  for (const { key, holds } of protocols) {
    const own = key === undefined ? undefined : config[key];
    if (own === undefined || holds === undefined) continue;
    for (const wish of holds.prepares(own as never, config)) wishes.set(holds.key(wish), wish);
  }
  return wishes;
}

function packetOf(bytes: Uint8Array): Packet {
  const six = (bytes[0] ?? 0) >>> 4 === 6;
  const destination = ipBytes(six ? ip6From(bytes, 24) : ip4From(bytes, 16));
  return { family: six ? "ipv6" : "ipv4", destination, bytes };
}
