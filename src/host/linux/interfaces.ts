/** The interfaces of this network namespace by name, as the kernel's news have them. */
import { formatPrefix, type Ip, ip4From, ip6From, type Mac, macFrom, type Prefix } from "../../core/addr.ts";
import type { AddressNews, LinkNews, News } from "./netlink-news.ts";

export interface KernelInterface {
  readonly index: number;
  name: string;
  mac: Mac;
  /** Switched on. */
  admin: boolean;
  /** Switched on, and with carrier. */
  up: boolean;
  /** "macvlan", …; "" for a plain one. */
  type: string;
  /** Index of the one below; 0 for none. */
  below: number;
  /** Index of the bridge that it is a port of; 0 for none. */
  master: number;
  group: number;
  /** In the order in which the kernel has them: the first of a family is its primary address. */
  addresses: readonly (Prefix & { readonly usable: boolean })[];
}

const NO_MAC = "00:00:00:00:00:00" as Mac;
/** Kinds of devices, as the kernel calls them. */
const MADE_ON_OTHERS = new Set(["bond", "bridge", "ipvlan", "macvlan", "macvtap", "team", "vlan", "vrf"]);

export class Interfaces {
  private readonly byIndex = new Map<number, KernelInterface>();

  /** @returns names of interfaces that are other than before, or gone, or new */
  learn(news: readonly News[]): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const one of news) {
      if (one.kind === "link") this.link(one, changed);
      else if (one.kind === "address") this.address(one, changed);
    }
    return changed;
  }

  /** Everything is to be learned anew. @returns all names that there were */
  forget(): ReadonlySet<string> {
    const names = new Set([...this.byIndex.values()].map(({ name }) => name));
    this.byIndex.clear();
    return names;
  }

  named(name: string): KernelInterface | undefined {
    for (const one of this.byIndex.values()) if (one.name === name) return one;
    return undefined;
  }

  at(index: number): KernelInterface | undefined {
    return this.byIndex.get(index);
  }

  /** The first that has the address. */
  withAddress(address: Ip): KernelInterface | undefined {
    for (const one of this.byIndex.values()) if (one.addresses.some((own) => own.address === address)) return one;
    return undefined;
  }

  /** Of all that nobody has made on others, hardware first: the same at each start, whatever guests and containers run. */
  lowestMac(): Mac | undefined {
    const own = [...this.byIndex.values()].filter(({ type, mac }) => !MADE_ON_OTHERS.has(type) && mac !== NO_MAC);
    const hardware = own.filter(({ type }) => type === "");
    return (hardware.length > 0 ? hardware : own).map(({ mac }) => mac).sort()[0];
  }

  names(): readonly string[] {
    return [...this.byIndex.values()].map(({ name }) => name);
  }

  /** An interface has no carrier any more, which the kernel has not told yet. @returns whether that is news here */
  loseCarrier(name: string): boolean {
    const known = this.named(name);
    if (known === undefined || !known.up) return false;
    known.up = false;
    return true;
  }

  private link(news: LinkNews, changed: Set<string>): void {
    const known = this.byIndex.get(news.index);
    if (news.gone) {
      this.byIndex.delete(news.index);
      changed.add(known?.name ?? news.name);
      return;
    }
    const { admin } = news;
    const up = admin && news.carrier;
    const mac = macFrom(news.mac.length === 6 ? news.mac : new Uint8Array(6));
    const { index, name, type, below, master, group } = news;
    if (known === undefined) {
      this.byIndex.set(index, { index, name, mac, admin, up, type, below, master, group, addresses: [] });
      changed.add(name);
      return;
    }
    const same = known.name === name && known.mac === mac && known.up === up;
    if (same && known.admin === admin && known.master === master) return;
    // One that was renamed is gone under its old name.
    changed.add(known.name).add(name);
    Object.assign(known, { name, mac, admin, up, type, below, master, group });
  }

  private address(news: AddressNews, changed: Set<string>): void {
    const known = this.byIndex.get(news.index);
    if (known === undefined) return;
    const address: Ip = news.address.length === 4 ? ip4From(news.address) : ip6From(news.address);
    const one = { address, length: news.length, usable: !news.tentative };
    const at = known.addresses.findIndex((other) => other.address === address && other.length === news.length);
    if (news.gone) {
      if (at < 0) return;
      known.addresses = known.addresses.filter((_, i) => i !== at);
    } else if (at < 0) {
      known.addresses = [...known.addresses, one];
    } else if (known.addresses[at]?.usable !== one.usable) {
      known.addresses = known.addresses.map((other, i) => (i === at ? one : other));
    } else {
      return;
    }
    changed.add(known.name);
  }
}

/** As text: "192.0.2.1/24". Those that the kernel is still testing for duplicates are left out, and those of `except`. */
export function usableAddresses({ addresses }: KernelInterface, except: (address: Ip) => boolean): readonly string[] {
  return addresses.filter(({ usable, address }) => usable && !except(address)).map(formatPrefix);
}
