/** Ours and a peer on one wire: what every scenario starts with, and what must be so at the end of each. */
import { expect } from "vitest";
import { virtualMac } from "../../../protocols/vrrp/codec.ts";
import type { Family } from "../../../src/core/addr.ts";
import { ipBatch, processesIn, sysctl, until } from "./namespaces.ts";
import { Site } from "./site.ts";
import { addressesIn, linksIn, type Plan, type Speaker, type SpeakerKind } from "./speakers.ts";
import { answerers, claims, downInterval, type Loss, longestDispute, lossOf, skewTime, unreadable } from "./verdict.ts";
import { now, type Station } from "./wire.ts";

export interface Variant {
  readonly peer: SpeakerKind;
  readonly family: Family;
  readonly version: 2 | 3;
  readonly virtualMac: boolean;
}

export const VRID = 51;
const ADDRESSES: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ["10.99.0.254/24"],
  ipv6: ["fe80::51/64", "2001:db8:99::fe/64"],
};
/** How much later than by its timers a router may act on a machine with more to do, in microseconds. */
export const LATE = 500_000;
/** The clock of the wire and a router's timer begin at the two ends of one cable. */
export const EARLY = 1_000;
/** One advert of the old master may have been under way, or waiting for its process to be run. */
const DISPUTE = 200_000;

/** Contests mostly wait; more at once would be too much for two cores. */
const AT_ONCE = 3;
let playing = 0;
const queue: (() => void)[] = [];

async function room(): Promise<void> {
  if (playing >= AT_ONCE) await new Promise<void>((resolve) => queue.push(resolve));
  else playing++;
}

/** The place goes to whoever has waited longest. */
function leave(): void {
  const next = queue.shift();
  if (next === undefined) playing--;
  else next();
}

export class Contest {
  private always: { readonly ours: Partial<Plan>; readonly theirs: Partial<Plan> } = { ours: {}, theirs: {} };

  private constructor(
    readonly variant: Variant,
    readonly site: Site,
    readonly ourStation: "a" | "b",
  ) {}

  /** Runs a scenario, then looks at what every scenario promises; nothing stays behind. */
  static async run(variant: Variant, scenario: (contest: Contest) => Promise<void>, ours: "a" | "b" = "a") {
    await room();
    try {
      await Contest.play(variant, scenario, ours);
    } finally {
      leave();
    }
  }

  private static async play(variant: Variant, scenario: (contest: Contest) => Promise<void>, ours: "a" | "b") {
    const site = await Site.open();
    // As gateways have it. With IPv6, Linux then says from each interface that is switched on that it listens to all routers.
    const { a, b } = site.namespaces;
    for (const router of [a, b]) sysctl(router, { "ipv4.ip_forward": 1, "ipv6.conf.all.forwarding": 1 });
    const contest = new Contest(variant, site, ours);
    try {
      await scenario(contest);
      contest.readable();
    } catch (error) {
      if (error instanceof Error) error.message += `\n${site.story()}`;
      throw error;
    } finally {
      await site.close();
    }
  }

  get wire() {
    return this.site.wire;
  }

  get theirStation(): "a" | "b" {
    return this.ourStation === "a" ? "b" : "a";
  }

  /** Milliseconds: version 2 knows whole seconds only. */
  get interval(): number {
    return this.variant.version === 2 ? 1_000 : 100;
  }

  /** The address that clients ask for. */
  get address(): string {
    return ADDRESSES[this.variant.family].at(-1) ?? "";
  }

  get mac(): string {
    return virtualMac(this.variant.family, VRID);
  }

  /** From here on each side's routers are also so. */
  among(ours: Partial<Plan>, theirs: Partial<Plan>): this {
    this.always = { ours, theirs };
    return this;
  }

  ours(plan: Partial<Plan> = {}): Promise<Speaker> {
    const { peer, family, version } = this.variant;
    const own = { ...this.always.ours, ...plan };
    const more = {
      // A backup of theirs knows RFC 5798's form only, and is silent: nothing tells a first master so.
      ...(peer !== "hotpair" && family === "ipv4" && version === 3 ? { checksum: "pseudo-header" } : {}),
      ...(peer === "frr" && family === "ipv6" ? { "first-address": "any" } : {}),
      ...own.more,
    };
    return this.site.start(this.ourStation, "hotpair", { ...this.plan(own), more });
  }

  theirs(plan: Partial<Plan> = {}): Promise<Speaker> {
    return this.site.start(this.theirStation, this.variant.peer, this.plan({ ...this.always.theirs, ...plan }));
  }

  /** Resolves when ours listens as backup. */
  async standsBy(ours: Speaker): Promise<void> {
    await ours.says(/→ backup/);
  }

  /** Resolves when a silent peer listens, where it says so: on a busy machine its process may take a second to start. */
  async listens(peer: Speaker): Promise<void> {
    if (peer.kind === "hotpair") await this.standsBy(peer);
  }

  /** The client begins to ask, once somebody answers. */
  async client(): Promise<void> {
    await this.site.probe(this.address);
    await this.site.asked(25);
  }

  /** Time in which a master has to be silent before a backup of this priority takes over: microseconds. */
  down(priority: number, interval = this.interval): number {
    return downInterval(this.variant.version, priority, interval * 1_000);
  }

  skew(priority: number, interval = this.interval): number {
    return skewTime(this.variant.version, priority, interval * 1_000);
  }

  /** Settled: the station has gone on to say so, and the client to ask. */
  async settles(station: Station): Promise<void> {
    await this.wire.rounds(station, this.variant.version === 2 ? 2 : 6);
    await this.site.asked(25);
  }

  /** Adverts of a station that claim the mastership. */
  claimed(station: Station, since = 0): number {
    return this.wire.adverts(station).filter(({ at, facts }) => at >= since && facts.priority > 0).length;
  }

  /** One master at all times but the moment in which one follows the other. */
  oneMaster(since = 0, allowed = DISPUTE): void {
    const all = claims(this.wire, this.down(1)).filter(({ to }) => to >= since);
    const cut = all.map((claim) => ({ ...claim, from: Math.max(since, claim.from) }));
    expect(longestDispute(cut), "microseconds with two masters").toBeLessThanOrEqual(allowed);
  }

  loss(since = 0): Loss {
    return lossOf(this.wire, this.site.sent, since);
  }

  /** From now on this station alone answers the client; of ours the client has learned the MAC that is configured. */
  async answersAlone(station: Station): Promise<void> {
    await this.site.asked(5);
    const since = now();
    await this.site.asked(25);
    await this.wire.first(`an answer of ${station}`, (seen) => seen.facts.kind === "echo-reply", since);
    const { by, macs } = answerers(this.wire, since);
    expect(by, "who answers").toEqual([station]);
    // A master of theirs asks for the client's MAC with the virtual address and the interface's own MAC.
    if (station === this.theirStation && this.variant.peer !== "hotpair") return;
    // The first requests may still go where another was a moment ago: one without a virtual MAC has been master between.
    if (this.variant.virtualMac) expect(macs.at(-1), "the MAC that the client has learned").toBe(this.mac);
    else expect(macs).not.toContain(this.mac);
  }

  /** No question for a virtual address was answered by this station, and it announced none. */
  keptSilent(station: Station): void {
    const texts = ADDRESSES[this.variant.family].map((text) => text.split("/")[0]);
    for (const kind of ["resolution", "announcement"] as const) {
      const said = this.wire.of(kind, station).filter(({ facts }) => texts.includes(facts.address));
      expect(said.map(({ facts }) => facts)).toEqual([]);
    }
  }

  /** Whether the virtual addresses are on interfaces of the station. */
  holds(station: "a" | "b"): boolean {
    return addressesIn(this.site.namespaces[station]).includes(` ${this.address.split("/")[0]}/`);
  }

  /** Resolves when none of ours is left on the station: no address, no device, no process. */
  async clean(station: "a" | "b"): Promise<void> {
    const name = this.site.namespaces[station];
    const left = () => [linksIn(name), this.holds(station) ? "address" : "", processesIn(name).join(" ")].join("|");
    await until("nothing is left", () => left() === "||");
  }

  /** Takes a station's cable out of the bridge, or puts it back: it notices nothing. */
  plug(station: Station, plugged: boolean): void {
    ipBatch(this.site.namespaces.bridge, [
      plugged ? `link set dev ${station} master br0` : `link set dev ${station} nomaster`,
    ]);
  }

  /** Everything that we sent can be read by others, and is taken by a receiver. */
  private readable(): void {
    expect(this.wire.of("bad-advert", this.ourStation)).toEqual([]);
    expect(unreadable(this.wire, this.ourStation)).toEqual([]);
    if (this.variant.peer === "hotpair") expect(unreadable(this.wire, this.theirStation)).toEqual([]);
  }

  private plan(own: Partial<Plan>): Plan {
    const { family, version } = this.variant;
    return {
      vrid: VRID,
      version,
      priority: 100,
      interval: this.interval,
      addresses: ADDRESSES[family],
      preempt: true,
      virtualMac: this.variant.virtualMac,
      ...own,
    };
  }
}
