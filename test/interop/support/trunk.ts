/**
 * A bundle of two links between hotpair and Open vSwitch, each in a namespace, and a host behind either: behind hotpair's
 * bridge in a namespace of its own, behind Open vSwitch its namespace's stack.
 *
 *   host:e0 --- host:near (bridge) p1 ===== v1 far (bond) brf
 *                                  p2 ===== v2
 */
import { expect } from "vitest";
import { decodeLacpdu, type Lacpdu, type LacpInfo, STATE } from "../../../protocols/lacp/codec.ts";
import type { LacpPortEvent } from "../../../protocols/lacp/events.ts";
import { Capture } from "./capture.ts";
import { Daemon, type Line, NODE } from "./daemon.ts";
import { ipBatch, makeNamespace, processesIn, removeNamespace, sh, until } from "./namespaces.ts";
import { type BondPlan, Ovs, type ShownLacp } from "./ovs.ts";
import { type Point, pointOf, Stream } from "./stream.ts";
import { unreadableIn } from "./verdict.ts";
import { pcapngOf } from "./wire.ts";

export const LINKS = ["1", "2"] as const;
export type LinkName = (typeof LINKS)[number];
/** Of the bond and its bridge at the far end. */
export const BOND = "bond0";
export const FAR_BRIDGE = "brf";
export const PARTNER = "02:0b:00:00:00:01";
export const HOST_IP = "10.98.0.1";
export const FAR_IP = "10.98.0.2";
/** Of the table that hotpair has its gates in. */
export const TABLE = `hotpair-${NODE}-bridge`;
/** Of the bridge that it makes. */
export const BRIDGE = "vlan1";

/** One frame on a link of the bundle. */
export interface Heard {
  readonly link: LinkName;
  readonly by: "ours" | "theirs";
  /** Microseconds since 1970. */
  readonly at: number;
  readonly bytes: Uint8Array;
  /** What it says, for an LACPDU. */
  readonly pdu: Lacpdu | undefined;
}

export interface TrunkPlan {
  /** Further keys of hotpair's bundle. */
  readonly lacp?: Readonly<Record<string, unknown>>;
  /** Of the bond; undefined for no bond as yet. */
  readonly bond?: Partial<BondPlan> | undefined;
  /** Before hotpair starts. */
  readonly before?: (trunk: Trunk) => void;
  /** Whether all frames of the links are looked at, and not LACPDUs alone. */
  readonly everything?: boolean;
  /** Whether the kernel tells changes of the links' carrier as of network cards: of several within a second the last. */
  readonly cards?: boolean;
}

/** The second link is somebody else's: in its place the bond has a port without carrier. */
export const SPARE: TrunkPlan = {
  bond: { ports: ["v1", "spare"] },
  before: ({ far }) => ipBatch(far, ["link add name spare type veth peer name spare2"]),
};

let count = 0;

export class Trunk {
  readonly near: string;
  readonly host: string;
  readonly far: string;
  readonly frames: Heard[] = [];
  private readonly captures: Capture[] = [];
  private readonly streams: Stream[] = [];
  private started: { readonly ovs: Ovs; daemon: Daemon } | undefined;

  private constructor(private readonly plan: TrunkPlan) {
    const id = ++count;
    this.near = makeNamespace(`${id}near`);
    this.host = makeNamespace(`${id}host`);
    this.far = makeNamespace(`${id}far`);
  }

  static async run(plan: TrunkPlan, body: (trunk: Trunk) => Promise<void>): Promise<void> {
    const trunk = new Trunk(plan);
    try {
      await trunk.open();
      await body(trunk);
      await trunk.daemon.stop();
      await until("its guardian has gone", () => trunk.quiet());
      expect(trunk.unreadable()).toEqual([]);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${trunk.story()}`;
      throw error;
    } finally {
      await trunk.close();
    }
  }

  get ovs(): Ovs {
    return this.running.ovs;
  }

  get daemon(): Daemon {
    return this.running.daemon;
  }

  private get running(): { readonly ovs: Ovs; daemon: Daemon } {
    if (this.started === undefined) throw new Error("not started");
    return this.started;
  }

  private async open(): Promise<void> {
    ipBatch(this.near, [
      // A device whose peer's index is its own is to linkwatch (net/core/link_watch.c) what a network card is.
      ...LINKS.map((link) => {
        const far = this.plan.cards === true ? `index 10${link}` : `index 20${link}`;
        return `link add name p${link} index 10${link} type veth peer name v${link} ${far} netns ${this.far}`;
      }),
      `link add name host type veth peer name e0 netns ${this.host}`,
      // The kernel's own IPv6 would speak on links before they are in the bridge.
      ...["p1", "p2", "host"].flatMap((name) => [`link set ${name} addrgenmode none`, `link set ${name} up`]),
    ]);
    for (const [name, device] of [
      [this.far, "v1"],
      [this.far, "v2"],
      [this.host, "e0"],
    ] as const)
      ipBatch(name, [`link set ${device} addrgenmode none`, `link set ${device} up`]);
    ipBatch(this.host, [`address add ${HOST_IP}/24 dev e0`]);
    const ovs = await Ovs.start(this.far);
    await ovs.bridge(FAR_BRIDGE);
    ipBatch(this.far, [
      `link set ${FAR_BRIDGE} addrgenmode none`,
      `link set ${FAR_BRIDGE} up`,
      `address add ${FAR_IP}/24 dev ${FAR_BRIDGE}`,
    ]);
    for (const link of LINKS) {
      this.listen(this.far, `v${link}`, link, "ours");
      this.listen(this.near, `p${link}`, link, "theirs");
    }
    for (const capture of this.captures) await capture.listens();
    this.plan.before?.(this);
    this.started = { ovs, daemon: await this.startDaemon() };
    if (this.plan.bond !== undefined) await this.bond(this.plan.bond);
  }

  /** Makes the bond at the far end. */
  bond(plan: Partial<BondPlan> = {}): Promise<void> {
    return this.ovs.bond(FAR_BRIDGE, BOND, { ports: ["v1", "v2"], lacp: "active", system: PARTNER, ...plan });
  }

  private startDaemon(): Promise<Daemon> {
    return Daemon.run(this.near, {
      bridge: { ports: ["agg1", "host"] },
      lacp: [{ name: "agg1", members: ["p1", "p2"], rate: "fast", ...this.plan.lacp }],
    });
  }

  /** Another daemon in place of one that was killed. */
  async restart(): Promise<void> {
    await this.daemon.close();
    this.running.daemon = await this.startDaemon();
  }

  private listen(namespace: string, device: string, link: LinkName, by: Heard["by"]): void {
    const heard = (bytes: Uint8Array, at: number) => this.frames.push({ link, by, at, bytes, pdu: lacpduOf(bytes) });
    const filter = this.plan.everything === true ? "" : "ether proto 0x8809";
    this.captures.push(new Capture(namespace, device, heard, filter));
  }

  // --- what happens on the links ---

  lacpdus(by: Heard["by"], link?: LinkName, since = 0): readonly (Heard & { readonly pdu: Lacpdu })[] {
    return this.frames
      .filter((one): one is Heard & { readonly pdu: Lacpdu } => one.pdu !== undefined)
      .filter((one) => one.by === by && one.at >= since && (link === undefined || one.link === link))
      .sort((one, other) => one.at - other.at);
  }

  /** Frames other than slow protocols. */
  data(by: Heard["by"], link: LinkName): readonly Heard[] {
    return this.frames
      .filter((one) => one.by === by && one.link === link && !isSlow(one.bytes))
      .sort((one, other) => one.at - other.at);
  }

  /** When both ends have said on the link, after that time, that they collect and distribute; undefined: not yet. */
  agreedAt(link: LinkName, since = 0): number | undefined {
    const ours = this.lacpdus("ours", link, since).find(({ pdu }) => isOn(pdu.actor) && isInSync(pdu.partner));
    // It says that it is on before it has heard that we agree, and not again when it has.
    const theirs = this.lacpdus("theirs", link, since).find(
      ({ pdu }) => isOn(pdu.actor) && pdu.partner.system === ours?.pdu.actor.system,
    );
    return ours === undefined || theirs === undefined ? undefined : Math.max(ours.at, theirs.at);
  }

  /** Waits until both ends have said so of these links. @returns when the last of them had, in microseconds since 1970 */
  async agree(links: readonly LinkName[] = LINKS, since = 0): Promise<number> {
    const all = () => links.map((link) => this.agreedAt(link, since));
    await until(`links ${links.join(", ")} are agreed`, () => all().every((at) => at !== undefined));
    return Math.max(...all().map((at) => at ?? 0));
  }

  // --- what hotpair says ---

  /** What it said of the link, from that line of its log on. */
  events(link: LinkName, since = 0): readonly (LacpPortEvent & Line)[] {
    const mine = this.daemon.lines.slice(since).filter(({ type, port }) => type === "lacp.port" && port === `p${link}`);
    // The lines of that type are these events.
    return mine as unknown as (LacpPortEvent & Line)[];
  }

  reasonOf(link: LinkName): string | undefined {
    return this.events(link).at(-1)?.reason;
  }

  /** Waits until the links are for these reasons as they are. */
  async are(reasons: Readonly<Partial<Record<LinkName, string>>>): Promise<void> {
    const wanted = LINKS.filter((link) => reasons[link] !== undefined);
    await until(`the links are ${JSON.stringify(reasons)}`, () =>
      wanted.every((link) => this.reasonOf(link) === reasons[link]),
    );
  }

  /** Waits until these links, and no others, carry at both ends. */
  async carry(links: readonly LinkName[] = LINKS): Promise<void> {
    await until(`links ${links.join(", ")} carry`, () =>
      LINKS.every((link) => (this.reasonOf(link) === "carrying") === links.includes(link)),
    );
    await this.partner(`links ${links.join(", ")} carry`, ({ members }) => {
      return members.every(({ name, mayEnable }) => mayEnable === links.some((link) => name === `v${link}`));
    });
  }

  partner(what: string, so: (lacp: ShownLacp) => boolean): Promise<void> {
    return this.ovs.is(`the partner says: ${what}`, BOND, so);
  }

  /** What `hotpair explain` says of a subject. */
  async explain(subject: string): Promise<{ readonly reason: string; readonly text: string }> {
    const answer = await this.daemon.answer("explain", { subject });
    const [one] = (answer["explanations"] ?? []) as readonly { readonly reason: string; readonly text: string }[];
    if (one === undefined) throw new Error(`no explanation of ${subject}: ${JSON.stringify(answer)}`);
    return one;
  }

  // --- traffic ---

  get hostPoint(): Point {
    return pointOf(this.host, "e0", macOf(this.host, "e0"), HOST_IP);
  }

  /** The switch itself. */
  get ownPoint(): Point {
    return pointOf(this.near, BRIDGE, macOf(this.near, BRIDGE), "10.98.0.3");
  }

  get farPoint(): Point {
    return pointOf(this.far, FAR_BRIDGE, macOf(this.far, FAR_BRIDGE), FAR_IP);
  }

  /** A stream either way; both end with the site. */
  bothWays(): readonly [toFar: Stream, toHost: Stream] {
    const { hostPoint: host, farPoint: far } = this;
    return [this.keep(new Stream(host, far)), this.keep(new Stream(far, host))];
  }

  keep(stream: Stream): Stream {
    this.streams.push(stream);
    return stream;
  }

  // --- the end ---

  /** Whether neither a daemon nor its guardian is left. */
  quiet(): boolean {
    return processesIn(this.near).every((pid) => this.captures.some((capture) => capture.pid === pid));
  }

  /** What tshark cannot read of what hotpair has sent, or finds an error in. */
  private unreadable(): readonly string[] {
    const ours = this.lacpdus("ours");
    return ours.length === 0 ? [] : unreadableIn(pcapngOf("ours", ours));
  }

  private story(): string {
    const lines = this.frames
      .filter(({ pdu }) => pdu !== undefined)
      .sort((one, other) => one.at - other.at)
      .slice(-60)
      .map(({ at, by, link, pdu }) => `${(at / 1e6).toFixed(6)} ${by} ${link} ${words(pdu)}`);
    const { ovs, daemon } = this.started ?? {};
    const said = (text = "") => text.split("\n").slice(-60).join("\n");
    return [...lines, said(daemon?.stderr), said(daemon?.stdout), said(ovs?.output), this.kernel()].join("\n");
  }

  /** What the kernel has of the bridge. */
  private kernel(): string {
    const show = (...words: readonly string[]) => sh("ip", ["netns", "exec", this.near, ...words]);
    return [show("nft", "list", "ruleset"), show("bridge", "-d", "link"), show("bridge", "fdb")].join("\n");
  }

  private async close(): Promise<void> {
    for (const stream of this.streams) stream.close();
    await this.started?.daemon.close();
    await this.started?.ovs.close();
    for (const capture of this.captures) await capture.close();
    for (const name of [this.near, this.host, this.far]) removeNamespace(name);
  }
}

/** In sync, collecting, distributing. */
function isOn({ state }: LacpInfo): boolean {
  const on = STATE.synchronization | STATE.collecting | STATE.distributing;
  return (state & on) === on;
}

function isInSync({ state }: LacpInfo): boolean {
  return (state & STATE.synchronization) !== 0;
}

function isSlow(bytes: Uint8Array): boolean {
  return bytes[12] === 0x88 && bytes[13] === 0x09;
}

function lacpduOf(bytes: Uint8Array): Lacpdu | undefined {
  if (!isSlow(bytes)) return undefined;
  const pdu = decodeLacpdu(bytes.subarray(14));
  return pdu.ok ? pdu.value : undefined;
}

function words(pdu: Lacpdu | undefined): string {
  if (pdu === undefined) return "";
  return [pdu.actor, pdu.partner]
    .map(({ system, key, port, state }) => `${system} ${key} ${port} 0x${state.toString(16)}`)
    .join(" | ");
}

function macOf(namespace: string, device: string): string {
  const [link] = JSON.parse(sh("ip", ["-n", namespace, "-j", "link", "show", "dev", device])) as { address: string }[];
  return link?.address ?? "";
}
