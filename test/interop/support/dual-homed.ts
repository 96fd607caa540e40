/**
 * An M-LAG pair of hotpair and a host with a foot in each: an Open vSwitch bond, which knows nothing of two switches. A second
 * host stands on the first switch alone.
 *
 *   alone:e0 --- a:host (vlan1) p1 ----- v1 far (bond) brf
 *                a:peer, a:ka            v2
 *                   |      |             |
 *                b:peer, b:ka (vlan1) p1 -
 */
import type { MemberStatus, PairStatus } from "../../../protocols/mlag/status.ts";
import type { StatusRow } from "../../../src/node/protocol.ts";
import { Daemon, type NodeFile } from "./daemon.ts";
import { end, ipBatch, makeNamespace, processesIn, removeNamespace, sh, until } from "./namespaces.ts";
import { Ovs } from "./ovs.ts";
import { type Point, pointOf, Stream } from "./stream.ts";

export const SIDES = ["a", "b"] as const;
export type Side = (typeof SIDES)[number];
const OTHER = { a: "b", b: "a" } as const;
/** The last octet of each side's addresses; the lower is primary. */
const NUMBER = { a: 1, b: 2 } as const;
const BOND = "bond0";
const FAR_BRIDGE = "brf";
/** Of the bridge that hotpair makes. */
const BRIDGE = "vlan1";
let count = 0;

export class DualHomed {
  private readonly id = ++count;
  private readonly namespaces = {
    a: makeNamespace(`${this.id}dha`),
    b: makeNamespace(`${this.id}dhb`),
    far: makeNamespace(`${this.id}dhf`),
    alone: makeNamespace(`${this.id}dho`),
  };
  private readonly daemons: Partial<Record<Side, Daemon>> = {};
  private readonly streams: Stream[] = [];
  private ovs: Ovs | undefined;
  private past = "";

  static async run(body: (pair: DualHomed) => Promise<void>): Promise<void> {
    const pair = new DualHomed();
    try {
      await pair.open();
      await body(pair);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${pair.story()}`;
      throw error;
    } finally {
      await pair.close();
    }
  }

  private async open(): Promise<void> {
    const { a, b, far, alone } = this.namespaces;
    // Of a cable whose ends have one index the kernel tells a loss of carrier up to a second late (linkwatch).
    const cables = [
      ["peer", "peer", b],
      ["ka", "ka", b],
      ["p1", "v1", far],
      ["host", "e0", alone],
    ] as const;
    ipBatch(
      a,
      cables.map(
        ([name, other, there], i) =>
          `link add ${name} index ${30 + i} type veth peer name ${other} index ${50 + i} netns ${there}`,
      ),
    );
    ipBatch(b, [`link add p1 index 40 type veth peer name v2 index 60 netns ${far}`]);
    // The kernel's own IPv6 would speak on links before they are in the bridge.
    const on = (name: string) => [`link set ${name} addrgenmode none`, `link set ${name} up`];
    ipBatch(a, ["peer", "ka", "p1", "host"].flatMap(on));
    ipBatch(b, ["peer", "ka", "p1"].flatMap(on));
    ipBatch(far, ["v1", "v2"].flatMap(on));
    ipBatch(alone, [...on("e0"), "address add 10.97.0.1/24 dev e0"]);
    this.ovs = await Ovs.start(far);
    await this.ovs.bridge(FAR_BRIDGE);
    ipBatch(far, [...on(FAR_BRIDGE), `address add 10.97.0.2/24 dev ${FAR_BRIDGE}`]);
    const bond = { ports: ["v1", "v2"], lacp: "active", system: "02:0b:00:00:00:01" } as const;
    await this.ovs.bond(FAR_BRIDGE, BOND, bond);
  }

  private file(side: Side): NodeFile {
    return {
      node: `dh${this.id}${side}`,
      bridge: { ports: ["agg1", "peer", ...(side === "a" ? ["host"] : [])] },
      lacp: [{ name: "agg1", members: ["p1"], rate: "fast" }],
      mlag: {
        domain: this.id,
        priority: 100 * NUMBER[side],
        "peer-link": "peer",
        keepalive: {
          port: "ka",
          address: `10.99.0.${NUMBER[side]}/30`,
          peer: `10.99.0.${NUMBER[OTHER[side]]}`,
          interval: "100ms",
          timeout: "600ms",
          hold: "200ms",
        },
        members: [{ port: "agg1", id: 1 }],
        heartbeat: "300ms",
        "restore-delay": "500ms",
      },
    };
  }

  async start(...sides: readonly Side[]): Promise<void> {
    await Promise.all(
      sides.map(async (side) => {
        const old = this.daemons[side];
        if (old !== undefined) {
          this.past += `--- ${side}, before\n${old.stdout}${old.stderr}`;
          await old.close();
        }
        this.daemons[side] = await Daemon.be(this.file(side), this.namespaces[side]);
      }),
    );
  }

  daemon(side: Side): Daemon {
    const daemon = this.daemons[side];
    if (daemon === undefined) throw new Error(`${side} was not started`);
    return daemon;
  }

  /** Both halves carry, and Open vSwitch uses both. */
  async carries(): Promise<void> {
    for (const side of SIDES) await this.member(side, "active-full");
    await this.ovs?.is("both links of the bond are in use", BOND, ({ members }) =>
      members.every(({ attached, mayEnable }) => attached && mayEnable),
    );
  }

  member(side: Side, state: MemberStatus["state"]): Promise<void> {
    return this.shows<MemberStatus>(side, "mlag.member", `its half is ${state}`, (row) => row.state === state);
  }

  pair(side: Side, what: string, so: (row: PairStatus) => boolean): Promise<void> {
    return this.shows<PairStatus>(side, "mlag.pair", what, so);
  }

  private shows<Row extends StatusRow>(
    side: Side,
    type: string,
    what: string,
    so: (row: Row) => boolean,
  ): Promise<void> {
    return this.daemon(side).shows(`${side}: ${what}`, (rows) => {
      const row = rows.find((one) => one.type === type);
      return row !== undefined && so(row as Row);
    });
  }

  /** From the host that is alone to the one that has a foot in each, and back. */
  bothWays(): readonly [there: Stream, back: Stream] {
    const [from, to] = [this.point("alone", "e0", "10.97.0.1"), this.point("far", FAR_BRIDGE, "10.97.0.2")];
    const streams = [new Stream(from, to), new Stream(to, from)] as const;
    this.streams.push(...streams);
    return streams;
  }

  point(where: "alone" | "far", device: string, ip: string): Point {
    const namespace = this.namespaces[where];
    const mac = /link\/ether (\S+)/.exec(sh("ip", ["-n", namespace, "-o", "link", "show", "dev", device]))?.[1] ?? "";
    return pointOf(namespace, device, mac, ip);
  }

  keep(stream: Stream): Stream {
    this.streams.push(stream);
    return stream;
  }

  /** A cable at its end in `where`: without carrier at both. */
  plug(where: "a" | "b" | "far", cable: string, plugged: boolean): void {
    ipBatch(this.namespaces[where], [`link set ${cable} ${plugged ? "up" : "down"}`]);
  }

  /** kill -9. */
  kill(side: Side): void {
    for (const pid of processesIn(this.namespaces[side])) {
      if (pid === this.nodeOf(side)) end(pid, "SIGKILL");
    }
  }

  private nodeOf(side: Side): number {
    // What was started is `ip`, which became the daemon.
    return this.daemon(side).pid;
  }

  /** What of ours a switch has: bridge, table of rules. */
  left(side: Side): string {
    const namespace = this.namespaces[side];
    const links = sh("ip", ["-n", namespace, "-br", "link"]).includes(BRIDGE) ? BRIDGE : "";
    return links + sh("ip", ["netns", "exec", namespace, "nft", "list", "tables"]).trim();
  }

  /** Stations of a switch's bridge and the port of each, without what the kernel has for itself. */
  stations(side: Side): ReadonlyMap<string, string> {
    const lines = sh("bridge", ["-n", this.namespaces[side], "fdb", "show", "br", BRIDGE]).split("\n");
    const found = lines.flatMap((line) => {
      const [, mac, port] = /^(\S+) dev (\S+) (?!.*(?:permanent|self))/.exec(line) ?? [];
      return mac === undefined || port === undefined ? [] : [[mac, port] as const];
    });
    return new Map(found);
  }

  private story(): string {
    const now = SIDES.map(
      (side) => `--- ${side}\n${this.daemons[side]?.stdout ?? ""}${this.daemons[side]?.stderr ?? ""}`,
    );
    return [this.past, ...now].join("\n");
  }

  private async close(): Promise<void> {
    for (const stream of this.streams) stream.close();
    for (const daemon of Object.values(this.daemons)) await daemon.close();
    await this.ovs?.close();
    await until("no process is left", () => SIDES.every((side) => processesIn(this.namespaces[side]).length === 0));
    for (const name of Object.values(this.namespaces)) removeNamespace(name);
  }
}
