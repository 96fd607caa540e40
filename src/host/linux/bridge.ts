/**
 * Ports of the kernel's bridge. One that is there already is somebody's, and is taken as it is: its ports are in it. Otherwise
 * it is made, has the ports put in, and goes with the daemon.
 */
import { macBytes } from "../../core/addr.ts";
import type { Change } from "../../core/machine.ts";
import type { BridgeApartWish, BridgePortWish, BridgeStationWish } from "../../node/host.ts";
import type { BridgeRules } from "./bridge-rules.ts";
import { CarrierWatch } from "./carrier.ts";
import type { Datapath, Undoing } from "./datapath.ts";
import type { Undo } from "./holdings.ts";
import type { LinuxHost } from "./host.ts";
import type { Request } from "./netlink.ts";
import type { StationNews } from "./netlink-news.ts";
import { type PortFlags, readPortFlags } from "./port-flags.ts";
import { orderOf, Refused } from "./rtnl.ts";
import type { Complain } from "./upkeep.ts";

/** Hundredths of a second: IEEE 802.1Q table 8-6. */
const AGEING = 30_000;
/** ENODEV: the kernel's news will say so. ENOENT: a station that it has no longer. */
const GONE = new Set([2, 19]);

interface Held {
  wish: BridgePortWish;
  /** The interface and the bridge that it was last seen in, by index; 0 for none. */
  index: number;
  master: number;
  /** What the kernel was last told of it there. */
  told: Pick<BridgePortWish, "floods" | "learns"> | undefined;
  /** How somebody else's bridge had it; undefined where it is as found. */
  found: PortFlags | undefined;
  /** That it is not in the bridge was said. */
  doubted: boolean;
}

interface Made {
  readonly name: string;
  readonly index: number;
  /** It was there before. */
  readonly theirs: boolean;
}

export class KernelBridge implements Datapath {
  readonly types = ["bridge.port", "bridge.station", "bridge.apart"];
  private readonly held = new Map<string, Held>();
  private made: Made | undefined;
  private hears = false;
  /** Index of the one that was left for another, and is gone; 0 for none. */
  private left = 0;
  private readonly carrier: CarrierWatch;

  constructor(
    private readonly host: LinuxHost,
    private readonly complain: Complain,
    private readonly rules: BridgeRules,
  ) {
    this.carrier = new CarrierWatch(
      () => this.ports(),
      (port) => host.loseCarrier(port),
    );
  }

  apply(key: string, change: Change): void {
    switch (change.type) {
      case "bridge.station":
        this.place(change as BridgeStationWish);
        break;
      case "bridge.apart":
        this.rules.part(change as BridgeApartWish);
        break;
      default:
        this.applyPort(key, change);
    }
  }

  private place({ mac, port, ages, present }: BridgeStationWish): void {
    const index = this.host.interfaces.named(port)?.index;
    // With the interface went what was behind it.
    if (index === undefined) return;
    const station = { index, mac: macBytes(mac) };
    this.carryOut(port, [
      present ? { kind: "add-station", ...station, external: !ages } : { kind: "delete-station", ...station },
    ]);
  }

  private applyPort(key: string, change: Change): void {
    const held = this.heldFor(key, change);
    const { port, collects, distributes, floods, present } = held.wish;
    this.rules.let("collecting", port, present && collects);
    this.rules.let("distributing", port, present && distributes);
    this.rules.let("flooding", port, present && floods);
    this.settle(held);
  }

  prepare(key: string, change: Change): void {
    const known = this.held.get(key);
    this.carrier.start();
    // What its machine has wished for since stays so.
    this.settle(known ?? this.heldFor(key, change));
  }

  rehearse(): void {}

  forget(key: string): void {
    const held = this.held.get(key);
    if (held === undefined) return;
    this.held.delete(key);
    this.leave(held);
    if (this.made?.theirs === false && held.master === this.made.index)
      this.carryOut(held.wish.port, [{ kind: "set-master", index: held.index, master: 0 }]);
  }

  keys(): Iterable<string> {
    return this.held.keys();
  }

  undo(key: string): Undoing | undefined {
    const held = this.held.get(key);
    if (held === undefined || this.made === undefined) return undefined;
    const { name, index, theirs } = this.made;
    const { found, wish } = held;
    const port: Undo[] =
      found === undefined ? [] : [{ kind: "bridge-port", index: held.index, name: wish.port, flags: found }];
    // While its partner may still send, only the rules keep what comes by one link from leaving by another.
    const rules = wish.bundle === undefined ? [] : [this.rules.table.undo];
    const steps: Undo[] = [...(theirs ? port : [{ kind: "link", index, name } as const]), ...rules];
    return { port: wish.port, first: [], steps };
  }

  holds(): boolean {
    return false;
  }

  lose(name: string): readonly string[] {
    const index = this.host.interfaces.named(name)?.index;
    if (this.made?.name === name && this.made.index !== index) this.made = undefined;
    return [];
  }

  review(name: string): readonly string[] {
    const keys: string[] = [];
    for (const [key, held] of this.held) {
      if (held.wish.port !== name && held.wish.bridge !== name) continue;
      keys.push(key);
      this.settle(held);
    }
    return keys;
  }

  found(): readonly StationNews[] {
    if (this.made === undefined) return [];
    return this.host.rtnl.dump("stations").filter((one) => one.kind === "station");
  }

  retire(): void {}

  close(): void {
    this.carrier.close();
    for (const held of this.held.values()) this.leave(held);
    if (this.made?.theirs === false) this.carryOut(this.made.name, [{ kind: "delete-link", index: this.made.index }]);
    this.made = undefined;
  }

  /** A port of somebody else's bridge is set as it was. */
  private leave(held: Held): void {
    const { found, index } = held;
    held.found = undefined;
    if (found === undefined || held.master !== this.made?.index) return;
    this.carryOut(held.wish.port, [{ kind: "port-flags", index, flags: found }]);
  }

  private ports(): readonly string[] {
    return [...this.held.values()].map(({ wish }) => wish.port);
  }

  private heldFor(key: string, change: Change): Held {
    const wish = change as BridgePortWish;
    const known = this.held.get(key);
    if (known !== undefined) {
      known.wish = wish;
      return known;
    }
    const held: Held = { wish, index: 0, master: 0, told: undefined, found: undefined, doubted: false };
    this.held.set(key, held);
    return held;
  }

  /** Brings the kernel in line with what is wished for this port. */
  private settle(held: Held): void {
    const { wish } = held;
    const there = this.host.interfaces.named(wish.port);
    const bridge = this.bridge(wish.bridge);
    if (there === undefined || bridge === undefined) {
      held.index = 0;
      return;
    }
    if (held.index !== there.index || held.master !== there.master) {
      held.told = undefined;
      // Where it is now nothing was changed yet.
      held.found = undefined;
    }
    held.index = there.index;
    held.master = there.master;
    if (there.master !== bridge.index && !this.join(held, there.master, bridge)) return;
    const { told } = held;
    const { floods, learns, distributes } = wish;
    if (told?.floods === floods && told.learns === learns) return;
    // What was heard there is to be looked for elsewhere.
    const flush = !distributes && told?.floods !== false;
    held.told = { floods, learns };
    if (bridge.theirs) held.found ??= readPortFlags(wish.port);
    this.carryOut(wish.port, [{ kind: "bridge-port", index: held.index, floods, learns, flush }]);
  }

  private join(held: Held, master: number, bridge: Made): boolean {
    const { port } = held.wish;
    if (!bridge.theirs && (master === 0 || master === this.left)) {
      // Somebody who moves it to another bridge takes it out of this one first: what is said of that comes yet.
      if (master === 0 && this.masterNow(held.index) !== 0) return false;
      held.master = bridge.index;
      return this.carryOut(port, [{ kind: "set-master", index: held.index, master: bridge.index }]);
    }
    if (!held.doubted) {
      const other = this.host.interfaces.at(master)?.name;
      const found = other === undefined ? `in no bridge, and ${bridge.name} was there before` : `a port of ${other}`;
      this.complain(port, `it is ${found}: it is left as it is; ip link set ${port} master ${bridge.name}`);
    }
    held.doubted = true;
    return false;
  }

  /** As the kernel has it now, whatever its news were so far. */
  private masterNow(index: number): number | undefined {
    for (const news of this.host.rtnl.dump("links"))
      if (news.kind === "link" && news.index === index) return news.master;
    return undefined;
  }

  private bridge(name: string): Made | undefined {
    if (this.made?.name === name) return this.made;
    if (!this.hears) this.host.rtnl.hearStations();
    this.hears = true;
    this.left = this.made?.index ?? this.left;
    this.close();
    const index = this.host.rtnl.indexOf(name);
    if (index !== undefined) {
      const theirs = this.host.interfaces.at(index)?.group !== MADE;
      this.made = { name, index, theirs };
      return this.made;
    }
    if (!this.carryOut(name, [{ kind: "add-bridge", name, ageing: AGEING }])) return undefined;
    const fresh = this.host.rtnl.indexOf(name);
    if (fresh === undefined) return undefined;
    this.made = { name, index: fresh, theirs: false };
    this.carryOut(name, [
      { kind: "group-link", index: fresh, group: MADE },
      { kind: "set-up", index: fresh, up: true },
    ]);
    return this.made;
  }

  private carryOut(port: string, requests: readonly Request[]): boolean {
    try {
      this.host.rtnl.carryOut(orderOf(requests));
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!GONE.has(error.errno)) this.complain(port, error.message);
      return false;
    }
  }
}

/** Group of bridges that a daemon has made: the next one knows by it what a dead one has left. */
const MADE = 0x6b000000;
