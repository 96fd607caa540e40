/**
 * Two M-LAG cores with real bridges, in virtual time: a session over the peer link, a keepalive path, and hosts that do
 * what LACP partners do. What the wires carry is values; the machines' own tests have the octets.
 */
import type { MacEvent } from "../../../protocols/bridge/events.ts";
import { bridge } from "../../../protocols/bridge/machine.ts";
import type { Item } from "../../../protocols/iccp/events.ts";
import type { Keepalive } from "../../../protocols/mlag/codec.ts";
import * as core from "../../../protocols/mlag/core.ts";
import type { MemberEvent, MlagEvent, Reported, ToBridge } from "../../../protocols/mlag/events.ts";
import { keepaliveDeadline, openPath, receive, tick } from "../../../protocols/mlag/keepalive.ts";
import { heardHere } from "../../../protocols/mlag/macs.ts";
import type { MlagState } from "../../../protocols/mlag/state.ts";
import type { Mac } from "../../../src/core/addr.ts";
import type { Event, Output, Path } from "../../../src/core/machine.ts";
import { type Instant, instant } from "../../../src/core/time.ts";
import { mac } from "../../support/probe.ts";
import { ethernet } from "../bridge/bench.ts";
import { inWords } from "./shared.ts";
import { type Bundle, makeSide, type Name, type PairOptions, type Side } from "./side.ts";

/** Microseconds. */
const SESSION_SETUP = 20_000;
const PEER_LINK_DELAY = 500;
const KEEPALIVE_DELAY = 1_000;
const LACP_UP = 5_000;
/** As measured with a Linux bond: so long it takes to leave a half that says SYNC = 0. */
const LACP_LEAVES = 170_000;

export type { Name } from "./side.ts";

const OTHER = { a: "b", b: "a" } as const;

export interface Line {
  /** Seconds. */
  readonly at: number;
  readonly node: Name;
  readonly event: Reported;
}

export class Pair {
  now = 0;
  readonly a: Side;
  readonly b: Side;
  readonly lines: Line[] = [];
  /** What was said of isolation. */
  readonly isolations: Line[] = [];
  peerLink = true;
  keepalive = true;
  /** Answers and hellos that are lost: for tests of one direction. */
  mute: Name | undefined;
  /** Items that reach the peer; default: all. */
  passes: (item: Item) => boolean = () => true;
  /** Time between items that were sent at once, in microseconds; default: they come together. */
  apart = 0;
  private queue: { at: number; order: number; run: () => void }[] = [];
  private order = 0;
  private connection = 0;
  private connected = false;
  private boots = 1;
  /** By M-LAG id: the system id that the host has chosen. */
  private readonly chosen = new Map<number, Mac>();
  /** Called after every input, with the pair at rest between two inputs. */
  watch: (() => void) | undefined;

  constructor(options: PairOptions = {}) {
    this.a = makeSide("a", options);
    this.b = makeSide("b", options);
  }

  side(name: Name): Side {
    return this[name];
  }

  // --- what happens to the pair ---

  power(name: Name, on: boolean): this {
    const side = this[name];
    if (side.alive === on) return this;
    side.alive = on;
    if (!on) for (const id of side.bundles.keys()) this.memberState(side, id, false);
    this.wires();
    if (on) {
      this.boots++;
      side.reset(this.boots);
      for (const port of side.bridge.ports)
        if (port !== undefined) this.bridgeLink(side, port.name, port.name === "orphan");
      this.step(side, () => core.start(side.core, this.t));
      this.step(side, () => core.peerLinkChanged(side.core, this.carrier(), this.t));
      this.step(side, () => openPath(side.core, side.path, this.keepalive, this.t));
      for (const id of side.bundles.keys()) this.greet(side, id);
    }
    this.tellCarrier();
    return this;
  }

  boot(): this {
    return this.power("a", true).power("b", true);
  }

  setPeerLink(up: boolean): this {
    if (this.peerLink === up) return this;
    this.peerLink = up;
    this.wires();
    this.tellCarrier();
    return this;
  }

  /** The session fails while the link carries on; it is set up anew. */
  breakSession(): this {
    return this.disconnect(0);
  }

  /** The session ends for so many seconds, while the wire is whole. */
  disconnect(seconds: number): this {
    this.connection++;
    this.connected = false;
    for (const side of [this.a, this.b]) this.step(side, () => core.sessionLost(side.core, "session-lost", this.t));
    const mine = this.connection;
    this.at(seconds * 1e6, () => {
      if (mine === this.connection) this.wires();
    });
    return this;
  }

  /** The path in the middle: the ends keep their carrier. */
  setKeepalive(up: boolean): this {
    this.keepalive = up;
    return this;
  }

  setCable(name: Name, id: number, up: boolean): this {
    const bundle = this.bundle(this[name], id);
    if (bundle.cable === up) return this;
    bundle.cable = up;
    if (up) this.greet(this[name], id);
    else {
      this.memberState(this[name], id, false);
      this.step(this[name], () => core.partnerChanged(this[name].core, `agg${id}`, undefined, this.t));
    }
    return this;
  }

  /** An input of its own. */
  do(name: Name, input: (state: MlagState, now: Instant) => void): this {
    this.step(this[name], () => input(this[name].core, this.t));
    return this;
  }

  /** A host speaks: the bridge of that side learns it. */
  speak(name: Name, port: string, station: string): this {
    const side = this[name];
    if (!side.alive) return this;
    const said: Event[] = [];
    const path: Path = { up() {}, down() {}, drop() {}, say: (event) => void said.push(event) };
    const frame = ethernet("ff:ff:ff:ff:ff:ff", station);
    this.step(side, () => {
      bridge.relay?.(side.bridge, side.port(port), frame, this.t, path);
      for (const event of said) heardHere(side.core, event as MacEvent, this.t);
    });
    return this;
  }

  /** Runs on to `seconds`. */
  until(seconds: number): this {
    const end = Math.round(seconds * 1e6);
    for (let steps = 0; ; steps++) {
      const next = this.next();
      if (next === undefined || next.at > end) break;
      if (steps > 100_000) throw new Error(`no end of steps at ${this.now}`);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
    return this;
  }

  after(seconds: number): this {
    return this.until(this.now / 1e6 + seconds);
  }

  // --- what can be seen of it ---

  /** "a1+ a2- b1+ b2+": which halves carry. */
  get carrying(): string {
    const words = (["a", "b"] as const).flatMap((name) =>
      [...this[name].bundles].map(([id, { up }]) => `${name}${id}${up ? "+" : "-"}`),
    );
    return words.join(" ");
  }

  get roles(): string {
    return `${this.a.core.role ?? "-"} ${this.b.core.role ?? "-"}`;
  }

  /** The last that was said of the member. */
  member(name: Name, id: number): MemberEvent | undefined {
    return this.lines
      .filter((line) => line.node === name)
      .map(({ event }) => event)
      .findLast((event): event is MemberEvent => event.type === "mlag.member" && event.id === id);
  }

  /** "20.5 a suspended peer-alive": what was said of one M-LAG, or all. */
  story(type: Reported["type"], from = 0): string[] {
    return this.lines
      .filter(({ at, event }) => event.type === type && at >= from)
      .map(({ at, node, event }) => `${at} ${node} ${inWords(event)}`.trimEnd());
  }

  /** The stations of a side: "02:aa… agg1 local+peer". Stations behind the peer link and own ports are by what they are. */
  stations(name: Name): Map<string, { port: string; local: boolean; peer: boolean }> {
    return this[name].stations(this.now / 1e3);
  }

  // --- the machinery ---

  get t(): Instant {
    return instant(this.now);
  }

  private carrier(): boolean {
    return this.peerLink && this.a.alive && this.b.alive;
  }

  /** The session ends with the wire; it is set up again when there is one. */
  private wires(): void {
    this.connection++;
    this.connected = false;
    const mine = this.connection;
    if (!this.carrier()) return;
    this.at(SESSION_SETUP, () => {
      if (mine !== this.connection) return;
      this.connected = true;
      for (const side of [this.a, this.b]) this.step(side, () => core.sessionUp(side.core, this.t));
    });
  }

  private tellCarrier(): void {
    for (const side of [this.a, this.b]) {
      if (!side.alive) continue;
      this.bridgeLink(side, "peer", this.carrier());
      this.step(side, () => core.peerLinkChanged(side.core, this.carrier(), this.t));
    }
  }

  private at(wait: number, run: () => void): void {
    this.order++;
    this.queue.push({ at: this.now + wait, order: this.order, run });
  }

  private next(): { at: number; run: () => void } | undefined {
    let first: { at: number; order: number; run: () => void } | undefined;
    for (const one of this.queue) {
      if (first === undefined || one.at < first.at || (one.at === first.at && one.order < first.order)) first = one;
    }
    const queued = first;
    for (const side of [this.a, this.b]) {
      if (!side.alive) continue;
      const due = Math.min(
        core.coreDeadline(side.core),
        keepaliveDeadline(side.core, side.path),
        bridge.deadline(side.bridge),
      );
      if (first === undefined || due < first.at) {
        if (due === Number.POSITIVE_INFINITY) continue;
        first = { at: due, order: 0, run: () => this.step(side, () => this.timer(side)) };
      }
    }
    if (first === undefined || first !== queued) return first;
    return {
      at: first.at,
      run: () => {
        this.queue = this.queue.filter((one) => one !== queued);
        queued.run();
      },
    };
  }

  private timer(side: Side): void {
    this.bridgeSaid(side, bridge.step(side.bridge, { kind: "timer" }, this.t));
    core.settle(side.core, this.t);
  }

  /** One input of a living side, and all that comes of it. */
  private step(side: Side, input: () => void): void {
    if (!side.alive) return;
    input();
    tick(side.core, side.path, this.t);
    for (let event = side.core.says.shift(); event !== undefined; event = side.core.says.shift())
      this.carryOut(side, event);
    const items = side.core.tells.splice(0).filter(this.passes);
    if (items.length > 0) this.transmit(side, items);
    for (const message of side.path.sends.splice(0)) this.transmitKeepalive(side, message);
    this.watch?.();
  }

  private transmit(side: Side, items: Item[]): void {
    const mine = this.connection;
    if (!this.connected) return;
    const peer = this[OTHER[side.name]];
    for (const part of this.apart === 0 ? [items] : items.map((item) => [item])) {
      side.arrival = Math.max(this.now + PEER_LINK_DELAY, side.arrival + this.apart);
      this.at(side.arrival - this.now, () => {
        if (mine === this.connection) this.step(peer, () => core.heardItems(peer.core, part, this.t));
      });
    }
  }

  private transmitKeepalive(side: Side, message: Keepalive): void {
    const peer = this[OTHER[side.name]];
    if (!this.keepalive || this.mute === side.name) return;
    this.at(KEEPALIVE_DELAY, () => {
      if (this.keepalive) this.step(peer, () => receive(peer.core, peer.path, message, this.t));
    });
  }

  private carryOut(side: Side, event: MlagEvent): void {
    switch (event.type) {
      case "mlag.system":
      case "mlag.hold":
      case "mlag.suspend":
        this.tellBundle(side, event);
        break;
      case "mlag.isolate":
      case "mlag.learning":
      case "mlag.redirect":
      case "mlag.mac":
      case "mlag.adopt":
      case "mlag.sweep":
      case "mlag.gateway":
      case "mlag.vlans":
        this.bridgeSaid(side, bridge.step(side.bridge, { kind: "heard", event: event as ToBridge }, this.t));
        break;
      case "mlag.orphan":
        this.lines.push({ at: this.now / 1e6, node: side.name, event });
        this.bridgeSaid(side, bridge.step(side.bridge, { kind: "heard", event }, this.t));
        break;
      case "mlag.isolation":
        this.isolations.push({ at: this.now / 1e6, node: side.name, event });
        break;
      case "mlag.drop":
      case "mlag.neighbours":
        break;
      case "mlag.neighbour":
        if (event.present) side.offered.set(`${event.port} ${event.address}`, event.mac);
        else side.offered.delete(`${event.port} ${event.address}`);
        break;
      default:
        this.lines.push({ at: this.now / 1e6, node: side.name, event });
    }
  }

  private bridgeSaid(side: Side, outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (output.kind === "event") heardHere(side.core, output.event as MacEvent, this.t);
    }
  }

  private bridgeLink(side: Side, port: string, up: boolean): void {
    const outputs = bridge.step(side.bridge, { kind: "link", port: side.port(port), up }, this.t);
    this.step(side, () => this.bridgeSaid(side, outputs));
  }

  // --- LACP and its partner ---

  private bundle(side: Side, id: number): Bundle {
    const bundle = side.bundles.get(id);
    if (bundle === undefined) throw new Error(`no M-LAG ${id}`);
    return bundle;
  }

  private tellBundle(side: Side, event: MlagEvent & { readonly bundle: string }): void {
    const id = Number(event.bundle.slice(3));
    const bundle = this.bundle(side, id);
    if (event.type === "mlag.system") {
      bundle.offset = event.portOffset;
      if (bundle.system !== event.system && bundle.up) this.memberState(side, id, false);
      bundle.system = event.system;
    } else if (event.type === "mlag.suspend") {
      bundle.suspended = event.suspended;
      if (bundle.suspended) this.memberState(side, id, false);
    } else if (event.type === "mlag.hold") {
      bundle.hold = event.hold;
      if (event.hold && bundle.up) {
        this.at(LACP_LEAVES, () => {
          if (bundle.hold && bundle.up) this.memberState(side, id, false);
        });
      }
    }
    this.negotiate(side, id);
  }

  /** The host says who it is. */
  private greet(side: Side, id: number): void {
    this.at(1_000, () => {
      if (!side.alive || !this.bundle(side, id).cable) return;
      const partner = { system: mac(`02:cc:00:00:00:0${id}`), priority: 32_768, key: 1 };
      this.step(side, () => core.partnerChanged(side.core, `agg${id}`, partner, this.t));
      this.negotiate(side, id);
    });
  }

  private negotiate(side: Side, id: number): void {
    const bundle = this.bundle(side, id);
    const { system } = bundle;
    const could = () => {
      const chosen = this.chosen.get(id);
      const known = chosen === undefined || chosen === bundle.system;
      return side.alive && bundle.cable && !bundle.hold && !bundle.suspended && bundle.system === system && known;
    };
    if (bundle.up || !could()) return;
    this.at(LACP_UP, () => {
      if (!bundle.up && could()) this.memberState(side, id, true);
    });
  }

  private memberState(side: Side, id: number, up: boolean): void {
    const bundle = this.bundle(side, id);
    if (bundle.up === up) return;
    bundle.up = up;
    if (up && bundle.system !== undefined) this.chosen.set(id, bundle.system);
    const others = [this.a, this.b].some((one) => one.alive && this.bundle(one, id).up);
    if (!others) {
      // Without a link in its choice the host looks around again.
      this.chosen.delete(id);
      for (const one of [this.a, this.b]) this.negotiate(one, id);
    }
    this.at(0, () => {
      if (!side.alive || bundle.up !== up) return;
      this.bridgeLink(side, `agg${id}`, up);
      this.step(side, () => core.memberChanged(side.core, `agg${id}`, up, up ? 1 : 0, this.t));
    });
  }
}
