/**
 * Virtual addresses on the kernel: with a virtual MAC on a macvlan of their own, without one on the interface itself. The
 * macvlan stands ready while another router is master: switched on, for that takes the kernel some 20 ms, but without an
 * address and without forwarding, with IPv6 without all of it, so that it answers nobody and passes nothing on (RFC 9568
 * §6.4.2).
 */
import { type Family, formatPrefix, type Ip, ipBytes, macBytes } from "../../core/addr.ts";
import type { Change } from "../../core/machine.ts";
import type { VirtualWish } from "../../node/host.ts";
import type { Datapath, Undoing } from "./datapath.ts";
import { SHIELDED, type Shield } from "./firewall.ts";
import type { Undo } from "./holdings.ts";
import type { LinuxHost } from "./host.ts";
import type { Request } from "./netlink.ts";
import { type Order, orderOf, Refused } from "./rtnl.ts";
import { file, readSysctl, type Saved, Switch, Sysctls, writeSysctl } from "./sysctl.ts";
import { address, type Complain, type Device, given, type Held, ours, same, Upkeep } from "./upkeep.ts";

/** Linux takes 15 octets of a name. The index makes it one of its interface's; the family has routers of its own. */
function deviceName({ vrid, family }: VirtualWish, index: number): string {
  return `${family === "ipv4" ? "vr4" : "vr6"}.${vrid}.${index}`;
}

/** Group of devices that are removed together; no other process has our number. */
const DEVICES = 0x69000000 + process.pid;
const EXISTS = 17;
const NO_DEVICE = 19;
const GONE = new Set([2, NO_DEVICE, 99]); // ENOENT, ENODEV, EADDRNOTAVAIL

/** No interface has such an index. */
const NOWHERE = 0x7fff_fff0;
const NOTHING = {
  device: undefined,
  on: undefined,
  ready: undefined,
  hushed: false,
  forwards: false,
  forgotten: false,
  quietUntil: 0,
  doubled: false,
} as const;

export class VirtualAddresses implements Datapath {
  readonly types = ["ip.virtual"];
  private readonly held = new Map<string, Held>();
  private readonly sysctls = new Sysctls();
  private readonly upkeep: Upkeep;
  private readonly noDevice: Device = {
    name: "",
    index: NOWHERE,
    below: NOWHERE,
    gate: new Switch("/dev/null"),
    shielded: false,
  };
  private retired = false;

  constructor(
    private readonly host: LinuxHost,
    private readonly complain: Complain,
    private readonly shield: Shield,
  ) {
    this.upkeep = new Upkeep(host, this.held, complain, {
      take: (held) => this.take(held),
      prepare: (held) => this.prepare(held.key, held.wish),
      abandon: (held, device) => this.abandon(held, device),
      carryOut: (port, requests) => this.carryOut(port, requests),
      changes: (port, request) => this.changes(port, request),
    });
  }

  apply(key: string, change: Change): void {
    const wish = change as VirtualWish;
    const held = this.heldFor(key, wish);
    held.wish = wish;
    if (wish.present && wish.leaving !== true) this.take(held);
    else if (wish.present) this.hush(held);
    else this.give(held);
    this.shield.note(key, wish.present ? wish : undefined);
    if (!wish.present && held.forgotten) this.remove(held);
  }

  /** Its router is no more: what was made for it goes, once its addresses are given up. */
  forget(key: string): void {
    const held = this.held.get(key);
    if (held === undefined) return;
    held.forgotten = true;
    if (!held.wish.present) this.remove(held);
  }

  /** Makes the devices of routers that may become master, so that taking over is quick; removes what a crash has left. */
  prepare(key: string, change: Change): void {
    const wish = { ...(change as VirtualWish), present: false };
    const held = this.heldFor(key, wish);
    held.forgotten = false;
    // What a master has is its machine's to say; of another the guardian is told what it may come to.
    if (!held.wish.present) held.wish = wish;
    const below = this.host.interfaces.named(wish.port);
    if (below === undefined) return;
    this.sweep(held, below.index);
    const device = wish.mac === undefined ? undefined : this.device(held, below.index);
    this.ready(held, device?.index ?? below.index);
  }

  rehearse(change: Change): void {
    const wish = change as VirtualWish;
    this.put({ key: "", wish, ...NOTHING }, wish.mac === undefined ? undefined : this.noDevice, NOWHERE);
  }

  retire(): void {
    this.retired = true;
  }

  keys(): Iterable<string> {
    return this.held.keys();
  }

  /** What takes all of it back that is there for this key, or is about to be. */
  undo(key: string): Undoing | undefined {
    const held = this.held.get(key);
    if (held === undefined) return undefined;
    const { device, wish } = held;
    const index = device?.index ?? this.host.interfaces.named(wish.port)?.index;
    if (index === undefined) return undefined;
    // Those of a backup, too: what is not there is not missed, and a takeover need not wait until the guard knows of it.
    const steps: Undo[] = ours(wish).map((one) => {
      return { kind: "address", index, address: ipBytes(one.address), length: one.length };
    });
    if (device !== undefined) steps.push({ kind: "link", index: device.index, name: device.name });
    const needed = new Set(this.needs(held).map(([path]) => path));
    for (const { path, value } of this.sysctls.saved())
      if (needed.has(path)) steps.push({ kind: "sysctl", path, value });
    if (!wish.accept) steps.push(this.shield.undo);
    return { port: wish.port, first: silence(wish, device), steps };
  }

  private heldFor(key: string, wish: VirtualWish): Held {
    const known = this.held.get(key);
    if (known !== undefined) return known;
    const held: Held = { key, wish, ...NOTHING };
    this.held.set(key, held);
    return held;
  }

  /** Whether this address of an interface is one of ours. */
  holds(port: string, address: Ip): boolean {
    for (const { wish, on } of this.held.values()) {
      if (on === undefined || wish.port !== port || wish.mac !== undefined) continue;
      if (on.addresses.some((one) => one.address === address)) return true;
    }
    return false;
  }

  lose(name: string): readonly string[] {
    return this.upkeep.lose(name);
  }

  review(name: string): readonly string[] {
    return this.retired ? [] : this.upkeep.review(name);
  }

  /** The device is no longer ours to use: it goes, if it is there, and so do the settings that it needed. */
  private abandon(held: Held, device: Device): void {
    const { port } = held.wish;
    const { interfaces } = this.host;
    const moved = interfaces.at(device.below)?.name ?? port;
    for (const [path] of this.needs(held)) this.sysctls.release(path, path.replace(`/${port}/`, `/${moved}/`));
    if (interfaces.at(device.index) !== undefined) this.carryOut(port, [{ kind: "delete-link", index: device.index }]);
    device.gate.close();
    held.device = undefined;
  }

  /** Takes everything away that was made. */
  close(): void {
    const devices = [...this.held.values()].flatMap((held) => this.release(held) ?? []);
    this.noDevice.gate.close();
    // The kernel takes some 20 ms to remove one device, and hardly longer for a whole group.
    for (const { index } of devices) this.carryOut("", [{ kind: "group-link", index, group: DEVICES }]);
    if (devices.length > 0) this.carryOut("", [{ kind: "delete-group", group: DEVICES }]);
  }

  private remove(held: Held): void {
    const device = this.release(held);
    if (device !== undefined) this.carryOut(held.wish.port, [{ kind: "delete-link", index: device.index }]);
  }

  /** Gives up everything but the device, which it returns. */
  private release(held: Held): Device | undefined {
    const { device } = held;
    this.held.delete(held.key);
    this.give(held);
    if (device !== undefined) {
      for (const [path] of this.needs(held)) this.sysctls.release(path);
      device.gate.close();
    }
    held.device = undefined;
    return device;
  }

  private take(held: Held): void {
    const { wish } = held;
    const below = this.host.interfaces.named(wish.port);
    if (below === undefined) return;
    const device = wish.mac === undefined ? undefined : this.device(held, below.index);
    if (wish.mac !== undefined && device === undefined) return;
    this.put(held, device, device?.index ?? below.index);
    if (held.hushed) for (const { path } of silence(wish, device)) writeSysctl(path, ANSWERS);
    held.hushed = false;
    if (device === undefined) return;
    // A look at the setting takes as long as all of this together.
    setImmediate(() => {
      const before = held.forwards;
      this.lookForForwarding(held);
      if (held.on?.index === device.index && held.forwards !== before) forward(wish, device, held.forwards);
    });
  }

  /** Gives the kernel the addresses that are wished for, and takes back those that no longer are. */
  private put(held: Held, device: Device | undefined, index: number): void {
    const { wish, on } = held;
    const wanted = ours(wish);
    if (on?.index === index) {
      const old = on.addresses.filter((one) => !wanted.some((other) => same(one, other)));
      const away = old.map((one) => address("delete-address", index, one));
      this.carryOut(wish.port, [...wanted.map((one) => given(wish, index, one)), ...away]);
    } else {
      device?.gate.write(OPEN[wish.family](held.forwards));
      this.obey(wish.port, this.ready(held, index));
    }
    held.on = { index, addresses: wanted };
  }

  /** What putting all of its addresses on this interface takes: put together while there is time. */
  private ready(held: Held, index: number): Order {
    const { ready, wish } = held;
    const { accept, addresses } = wish;
    if (ready?.index === index && ready.addresses === addresses && ready.accept === accept) return ready.order;
    const requests = ours(wish).flatMap((one): readonly Request[] => {
      const add = given(wish, index, one);
      // Linux makes the route of an IPv6 address a moment after the address, and between would forward, or ask for, what is
      // for the address itself. With the device that is switched off goes the route.
      const own = wish.family === "ipv6" && wish.mac !== undefined;
      return own ? [{ kind: "add-local-route", index, address: add.address }, add] : [add];
    });
    const order = orderOf(requests);
    held.ready = { index, addresses, accept, order };
    return order;
  }

  private lookForForwarding(held: Held): void {
    held.forwards = readSysctl(forwarding(held.wish.family, held.wish.port)) === "1";
  }

  /**
   * Another is about to announce the addresses. The kernel would answer its gratuitous ARP with the virtual MAC, and the
   * switch between them would send everything here again.
   */
  private hush(held: Held): void {
    const { device, wish } = held;
    held.hushed = true;
    for (const { path, value } of silence(wish, device)) writeSysctl(path, value);
  }

  private give(held: Held): void {
    const { on, device, wish } = held;
    held.on = undefined;
    if (on === undefined) return;
    const away: Request[] = on.addresses.map((one) => address("delete-address", on.index, one));
    if (device === undefined) {
      this.carryOut(wish.port, away);
      return;
    }
    const { index, gate } = device;
    // Off meanwhile: leaving its groups an interface says so (RFC 3810 §6.1), and bridges would look for the MAC here.
    this.carryOut(wish.port, [{ kind: "set-up", index, up: false }, ...away]);
    gate.write(SHUT[wish.family]);
    if (this.retired || held.forgotten) return;
    this.carryOut(wish.port, [{ kind: "set-up", index, up: true }]);
  }

  private device(held: Held, below: number): Device | undefined {
    const { wish } = held;
    const device = held.device ?? this.make(held, below);
    if (device === undefined || device.shielded === !wish.accept) return device;
    const group = wish.accept ? 0 : SHIELDED;
    device.shielded = this.carryOut(wish.port, [{ kind: "group-link", index: device.index, group }]) && !wish.accept;
    return device;
  }

  private make(held: Held, below: number): Device | undefined {
    const { wish } = held;
    if (wish.mac === undefined) return undefined;
    const name = deviceName(wish, below);
    const requests: Request[] = [{ kind: "add-macvlan", name, on: below, mac: macBytes(wish.mac) }];
    if (!this.carryOut(wish.port, requests)) return undefined;
    const index = this.host.rtnl.indexOf(name);
    if (index === undefined) {
      // An interface that has gone meanwhile is no riddle.
      if (this.host.rtnl.indexOf(wish.port) !== undefined) {
        this.complain(wish.port, `the kernel has no ${name}, which it was told to make`);
      }
      return undefined;
    }
    const gate = new Switch(file(gateOf(wish.family, name)));
    held.device = { name, index, below, gate, shielded: false };
    this.lookForForwarding(held);
    // Before it is switched on for the first time: no address of its own making, no test for duplicates.
    for (const [path, value] of ownSettings(wish.family, name)) writeSysctl(path, value);
    if (wish.family === "ipv6") forward(wish, held.device, held.forwards);
    gate.write(SHUT[wish.family]);
    this.carryOut(wish.port, [{ kind: "set-up", index, up: true }]);
    for (const [path, value] of this.needs(held)) {
      const wrong = this.sysctls.need(path, value);
      if (wrong !== undefined) this.complain(wish.port, wrong);
    }
    return held.device;
  }

  /** Settings of the interface below and of all: research of which the README's operator page tells. */
  private needs({ wish, device }: Held): readonly (readonly [string, string])[] {
    if (device === undefined || wish.family !== "ipv4") return [];
    // Who-has for the virtual address is answered by the macvlan alone: the effective rp_filter is the larger of both.
    return [
      [`ipv4/conf/${wish.port}/arp_ignore`, "1"],
      [`ipv4/conf/${wish.port}/arp_filter`, "1"],
      // Who answers from the virtual address asks for its client by ARP too: never with that address and its own MAC.
      [`ipv4/conf/${wish.port}/arp_announce`, "2"],
      ["ipv4/conf/all/rp_filter", "0"],
    ];
  }

  /** What an earlier process has left: a device of our name, and our addresses on the interface itself. */
  private sweep(held: Held, below: number): void {
    const { wish } = held;
    if (held.device === undefined && wish.mac !== undefined) {
      const left = this.host.rtnl.indexOf(deviceName(wish, below));
      if (left !== undefined) this.carryOut(wish.port, [{ kind: "delete-link", index: left }]);
    }
    if (held.on !== undefined || wish.mac !== undefined) return;
    const there = this.host.interfaces.at(below)?.addresses ?? [];
    const left = ours(wish).filter((one) => there.some((other) => other.address === one.address));
    const gone = left.filter((one) => this.changes(wish.port, address("delete-address", below, one)));
    if (gone.length === 0) return;
    this.upkeep.mention(held, `found ${gone.map(formatPrefix).join(" ")} on the interface, where it does not stay`);
  }

  /** @returns whether anything is other than before by it */
  private changes(port: string, request: Request): boolean {
    try {
      this.host.rtnl.carryOut(orderOf([request]));
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!harmless(error)) this.complain(port, error.message);
      return false;
    }
  }

  /** What is there already, or gone already, is as it should be. @returns whether all of it is */
  private carryOut(port: string, requests: readonly Request[]): boolean {
    return this.obey(port, orderOf(requests));
  }

  private obey(port: string, order: Order): boolean {
    try {
      this.host.rtnl.carryOut(order);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (harmless(error)) return true;
      this.complain(port, error.message);
      return false;
    }
  }
}

/** It is as it should be already; or there is no such device any more, and the kernel's news will say so. */
function harmless({ request, errno }: Refused): boolean {
  const removes = request.kind.startsWith("delete-") || request.kind === "group-link";
  if ((removes && GONE.has(errno)) || (request.kind === "add-address" && errno === EXISTS)) return true;
  return ("index" in request || "on" in request) && errno === NO_DEVICE;
}

/**
 * The setting by which a device is a backup's or a master's. IPv4: whether it forwards. IPv6: whether there is IPv6 at all. Where
 * there is, Linux says what the device listens to (RFC 3810 §6.1) whenever it is switched on: with the virtual MAC from a
 * backup, and switches would look for the master here.
 */
function gateOf(family: Family, name: string): string {
  return family === "ipv4" ? forwarding(family, name) : `ipv6/conf/${name}/disable_ipv6`;
}

const OPEN = { ipv4: (forwards: boolean) => (forwards ? "1" : "0"), ipv6: () => "0" } as const;
const SHUT = { ipv4: "0", ipv6: "1" } as const;

/** arp_ignore: answer for what is on the interface that was asked; for nothing. */
const ANSWERS = "1";
const NEVER_ANSWERS = "8";

function silence({ family }: VirtualWish, device: Device | undefined): readonly Saved[] {
  if (device === undefined || family !== "ipv4") return [];
  return [{ path: `ipv4/conf/${device.name}/arp_ignore`, value: NEVER_ANSWERS }];
}

function forwarding(family: Family, name: string): string {
  return `${family}/conf/${name}/forwarding`;
}

function forward({ family }: VirtualWish, { name }: Device, on: boolean): void {
  writeSysctl(forwarding(family, name), on ? "1" : "0");
}

function ownSettings(family: Family, name: string): readonly (readonly [string, string])[] {
  return [
    // What has no IPv6 says nothing of what it listens to.
    ...(family === "ipv4" ? [[`ipv6/conf/${name}/disable_ipv6`, "1"] as const] : []),
    // Linux has the routes of a new address a moment later than the address. An answer that comes in between is lost, and
    // without this a client would be asked again after a second.
    [`${family}/neigh/${name}/retrans_time_ms`, "30"],
    [`ipv6/conf/${name}/addr_gen_mode`, "1"],
    [`ipv6/conf/${name}/accept_dad`, "0"],
    [`ipv6/conf/${name}/dad_transmits`, "0"],
    [`ipv6/conf/${name}/accept_ra`, "0"],
    [`ipv6/conf/${name}/autoconf`, "0"],
    [`ipv4/conf/${name}/arp_ignore`, "1"],
    [`ipv4/conf/${name}/arp_filter`, "0"],
    // Gratuitous ARP of the next master comes from an address that is still ours: an answer would have bridges look here.
    [`ipv4/conf/${name}/accept_local`, "0"],
    [`ipv4/conf/${name}/rp_filter`, "0"],
  ];
}
