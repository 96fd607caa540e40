/**
 * What others do to what this process has put on the kernel: addresses that are taken away, devices that are deleted,
 * renamed, switched off or given another MAC, interfaces that go and come back. It is put back at once and said; a router
 * does not give its mastership up for it, and what others put where it must not be is removed.
 */
import { formatPrefix, ipBytes, macBytes, type Prefix } from "../../core/addr.ts";
import type { VirtualWish } from "../../node/host.ts";
import { monotonic } from "./alarm.ts";
import type { LinuxHost } from "./host.ts";
import type { KernelInterface } from "./interfaces.ts";
import type { Request } from "./netlink.ts";
import type { Order } from "./rtnl.ts";
import type { Switch } from "./sysctl.ts";

/** What others do to one thing that is held is said at most this often: microseconds. */
const QUIET = 1_000_000;

export interface Device {
  readonly name: string;
  readonly index: number;
  /** Of the interface below. */
  readonly below: number;
  /** The setting without which it does nothing for anybody. */
  readonly gate: Pick<Switch, "write" | "close">;
  /** The rules of the firewall take it for one of a router with `accept: false`. */
  shielded: boolean;
}

export interface Held {
  readonly key: string;
  wish: VirtualWish;
  device: Device | undefined;
  /** Index and addresses that the kernel was given. */
  on: { readonly index: number; readonly addresses: readonly Prefix[] } | undefined;
  /** What giving it its addresses will take, on the interface of this index. */
  ready: (Pick<VirtualWish, "addresses" | "accept"> & { readonly index: number; readonly order: Order }) | undefined;
  hushed: boolean;
  /** Whether the interface below forwards, as it was when somebody last looked. */
  forwards: boolean;
  /** Nothing stays ready for it once its addresses are given up. */
  forgotten: boolean;
  /** Until when nothing more is said of what others do to it. */
  quietUntil: number;
  /** That the interface itself has its addresses too was said. */
  doubled: boolean;
}

/** What went wrong, for the log. */
export type Complain = (port: string, what: string) => void;

/** How what is held is held. */
export interface Works {
  take(held: Held): void;
  prepare(held: Held): void;
  /** Gives its device up, wherever that is by now. */
  abandon(held: Held, device: Device): void;
  carryOut(port: string, requests: readonly Request[]): void;
  /** @returns whether anything is other than before by it */
  changes(port: string, request: Request): boolean;
}

export class Upkeep {
  constructor(
    private readonly host: LinuxHost,
    private readonly held: ReadonlyMap<string, Held>,
    private readonly complain: Complain,
    private readonly works: Works,
  ) {}

  /** What stood on an interface that has gone, or has another name now, is no more: with the device goes what was on it. */
  lose(name: string): readonly string[] {
    const below = this.host.interfaces.named(name)?.index;
    const lost = [...this.held.values()].filter(({ wish, device, on }) => {
      return wish.port === name && (device?.below ?? on?.index ?? below) !== below;
    });
    for (const held of lost) {
      const { device, on, wish } = held;
      if (device !== undefined) this.works.abandon(held, device);
      else if (on !== undefined && this.host.interfaces.at(on.index) !== undefined) {
        this.works.carryOut(
          wish.port,
          on.addresses.map((one) => address("delete-address", on.index, one)),
        );
      }
      held.on = undefined;
    }
    return lost.map(({ key }) => key);
  }

  /** What should be on an interface, or on a device of ours, is put back; what should not be is removed. */
  review(name: string): readonly string[] {
    const keys: string[] = [];
    for (const held of [...this.held.values()]) {
      if (held.wish.port !== name && held.device?.name !== name) continue;
      const below = this.host.interfaces.named(held.wish.port);
      if (below === undefined || held.forgotten) continue;
      keys.push(held.key);
      this.keepUp(held, below);
    }
    return keys;
  }

  private keepUp(held: Held, below: KernelInterface): void {
    const { wish, on } = held;
    this.lookForDoubles(held, below);
    const found = held.device === undefined ? undefined : this.mend(held, held.device);
    // One that goes on answering until another is heard takes nothing up again.
    if (wish.leaving === true && wish.present) return;
    if (!wish.present) {
      this.works.prepare(held);
      this.removeForeign(held);
      if (found !== undefined) this.mention(held, found);
      return;
    }
    const missing = held.on === undefined ? [] : this.putBack(held);
    if (on === undefined || held.on === undefined) this.works.take(held);
    const texts = missing.map(formatPrefix).join(" ");
    const what = found ?? (missing.length > 0 ? `somebody took ${texts} away, which is put back` : undefined);
    if (what === undefined) return;
    this.mention(held, what);
    const { port, vrid, family } = wish;
    const event = { type: "ip.restored", port, vrid, family };
    this.host.tell(event);
  }

  /** @returns what of the wanted addresses was not there */
  private putBack(held: Held): readonly Prefix[] {
    const { on, wish } = held;
    if (on === undefined) return [];
    const there = this.host.interfaces.at(on.index)?.addresses ?? [];
    const suspects = on.addresses.filter((one) => !there.some((other) => same(one, other)));
    // What was given a moment ago is not in the news yet: the kernel knows.
    return suspects.filter((one) => this.works.changes(wish.port, { ...given(wish, on.index, one), missing: true }));
  }

  /** Brings a device of ours in line. @returns what was wrong with it, in words */
  private mend(held: Held, device: Device): string | undefined {
    const { wish } = held;
    const { name, index } = device;
    const there = this.host.interfaces.at(index);
    // One that was made a moment ago is not in the news yet: the kernel knows.
    if (there === undefined && this.host.rtnl.indexOf(name) === index) return undefined;
    if (there?.name !== name) {
      this.works.abandon(held, device);
      held.on = undefined;
      return `somebody ${there === undefined ? "deleted" : "renamed"} ${name}, which is made again`;
    }
    if (there.mac !== wish.mac && wish.mac !== undefined) {
      const set = this.works.changes(wish.port, { kind: "set-mac", index, mac: macBytes(wish.mac) });
      return set ? `somebody gave ${name} the MAC address ${there.mac}; it has its own again` : undefined;
    }
    if (there.admin) return undefined;
    // One that is being deleted goes down first.
    const set = this.works.changes(wish.port, { kind: "set-up", index, up: true });
    return set ? `somebody switched ${name} off, which is switched on again` : undefined;
  }

  /** RFC 9568 §6.4.2: a backup does not answer for the addresses, whoever has put them there. */
  private removeForeign(held: Held): void {
    const { device, wish } = held;
    if (device === undefined) return;
    const there = this.host.interfaces.at(device.index)?.addresses ?? [];
    const wrong = ours(wish).filter((one) => there.some(({ address: ip }) => ip === one.address));
    const gone = wrong.filter((one) => this.works.changes(wish.port, address("delete-address", device.index, one)));
    if (gone.length === 0) return;
    this.mention(held, `somebody put ${gone.map(formatPrefix).join(" ")} on ${device.name}, where it does not stay`);
  }

  /** Of addresses that have a device of their own the interface must not have any: it would answer with its own MAC. */
  private lookForDoubles(held: Held, below: KernelInterface): void {
    const { wish } = held;
    if (wish.mac === undefined || wish.owned === true) return;
    const double = below.addresses.find(({ address: ip }) => wish.addresses.some((one) => one.address === ip));
    if (double !== undefined && !held.doubled) {
      this.complain(wish.port, `the interface itself has ${double.address}, and answers for it: take it away there`);
    }
    held.doubled = double !== undefined;
  }

  mention(held: Held, what: string): void {
    const now = monotonic();
    if (now < held.quietUntil) return;
    held.quietUntil = now + QUIET;
    this.complain(held.wish.port, `vrid ${held.wish.vrid} ${held.wish.family}: ${what}`);
  }
}

/** The addresses that are given and taken away: an owner's stay on its interface, whatever becomes of the router. */
export function ours({ addresses, owned, mac }: VirtualWish): readonly Prefix[] {
  return owned === true && mac === undefined ? [] : addresses;
}

/** An address as the kernel is to have it. */
export function given({ family, accept }: VirtualWish, index: number, one: Prefix) {
  // IPv6 would prefer the newest address for what the host itself sends; the answers to that are not accepted.
  return { ...address("add-address", index, one), deprecated: family === "ipv6" && !accept };
}

export function address<K extends "add-address" | "delete-address">(
  kind: K,
  index: number,
  { address: ip, length }: Prefix,
) {
  return { kind, index, address: ipBytes(ip), length };
}

export function same(one: Prefix, other: Prefix): boolean {
  return one.address === other.address && one.length === other.length;
}
