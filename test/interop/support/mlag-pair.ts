/** Two daemons as an M-LAG pair: a namespace each, a cable for the peer link, one for the keepalive, one for all else. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionStatus } from "../../../protocols/iccp/status.ts";
import type { MemberStatus, PairStatus } from "../../../protocols/mlag/status.ts";
import { fromHex } from "../../../src/core/bytes.ts";
import { openLibc } from "../../../src/host/linux/libc.ts";
import { PacketSocket } from "../../../src/host/linux/packet.ts";
import type { StatusRow } from "../../../src/node/protocol.ts";
import { Daemon, type NodeFile } from "./daemon.ts";
import { indexOf, ipBatch, makeNamespace, onLeaving, removeNamespace, sh, until, within } from "./namespaces.ts";

export type Side = "a" | "b";
const SIDES = ["a", "b"] as const;
const OTHER = { a: "b", b: "a" } as const;
/** The last octet of each side's addresses; the lower is primary. */
const HOST = { a: 1, b: 2 } as const;
const PRIORITY = { a: 100, b: 200 } as const;
const CABLES = ["peer", "ka", "e0"] as const;
let count = 0;

export interface PairOptions {
  /** Whether the kernel has the keepalive's addresses as well. */
  readonly kernel?: boolean;
  readonly family?: "ipv4" | "ipv6";
  /** What stands under `mlag` besides, or otherwise. */
  readonly mlag?: Partial<Record<Side, object>>;
  /** What else a file has. */
  readonly more?: Partial<Record<Side, object>>;
}

export class Pair {
  private readonly daemons: Partial<Record<Side, Daemon>> = {};
  private readonly captures: Capture[] = [];
  /** What daemons that are no more have said. */
  private past = "";

  private constructor(
    readonly namespaces: Readonly<Record<Side, string>>,
    private readonly options: PairOptions,
    private readonly directory: string,
  ) {}

  static async run(options: PairOptions, body: (pair: Pair) => Promise<void>): Promise<void> {
    const directory = mkdtempSync(join(tmpdir(), "hp-it-"));
    const forget = onLeaving(() => rmSync(directory, { recursive: true, force: true }));
    const id = ++count;
    const namespaces = { a: makeNamespace(`${id}ma`), b: makeNamespace(`${id}mb`) };
    const pair = new Pair(namespaces, options, directory);
    try {
      pair.lay();
      await body(pair);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${pair.story()}`;
      throw error;
    } finally {
      for (const capture of pair.captures) await capture.close();
      for (const daemon of Object.values(pair.daemons)) await daemon.close();
      for (const name of Object.values(namespaces)) removeNamespace(name);
      rmSync(directory, { recursive: true, force: true });
      forget();
    }
  }

  private lay(): void {
    const { a, b } = this.namespaces;
    ipBatch(
      a,
      // Of a cable whose ends have one index the kernel tells a loss of carrier up to a second late (linkwatch).
      CABLES.map(
        (name, i) => `link add ${name} index ${10 + i} type veth peer name ${name} index ${20 + i} netns ${b}`,
      ),
    );
    for (const side of SIDES) {
      const kernel = this.options.kernel === true ? [`address add ${this.address(side)} dev ka nodad`] : [];
      ipBatch(this.namespaces[side], [
        // A link of a bundle, and who is at its other end.
        "link add p1 type veth peer name host",
        ...[...CABLES, "p1", "host"].map((name) => `link set ${name} up`),
        `address add 192.0.2.${HOST[side]}/24 dev e0`,
        ...kernel,
      ]);
    }
  }

  private address(side: Side, length = true): string {
    const prefix = this.options.family === "ipv6" ? ["2001:db8:99::", "/64"] : ["10.99.0.", "/29"];
    return `${prefix[0]}${HOST[side]}${length ? prefix[1] : ""}`;
  }

  file(side: Side): NodeFile {
    const { mlag = {}, more = {} } = this.options;
    return {
      node: side,
      bridge: { ports: ["agg1", "peer"] },
      lacp: [{ name: "agg1", members: ["p1"] }],
      mlag: {
        domain: 10,
        priority: PRIORITY[side],
        "peer-link": "peer",
        keepalive: {
          port: "ka",
          address: this.address(side),
          peer: this.address(OTHER[side], false),
          interval: "100ms",
          timeout: "600ms",
          hold: "200ms",
        },
        members: [{ port: "agg1", id: 1 }],
        heartbeat: "300ms",
        "split-grace": "200ms",
        "restore-delay": "200ms",
        ...mlag[side],
      },
      ...more[side],
    };
  }

  async start(...sides: readonly Side[]): Promise<void> {
    await Promise.all(
      sides.map(async (side) => {
        this.daemons[side] = await Daemon.be(this.file(side), this.namespaces[side]);
      }),
    );
  }

  /** The one of this side that runs, or ran last. */
  daemon(side: Side): Daemon {
    const daemon = this.daemons[side];
    if (daemon === undefined) throw new Error(`${side} was not started`);
    return daemon;
  }

  /** Gives back what is left of it, so that another one can be started. */
  async forget(side: Side): Promise<void> {
    const daemon = this.daemon(side);
    this.past += `--- ${side}, before\n${daemon.stdout}${daemon.stderr}`;
    delete this.daemons[side];
    await daemon.close();
  }

  /** Waits until it is so of the row of this switch. */
  shows(side: Side, what: string, so: (pair: PairStatus) => boolean): Promise<void> {
    return this.daemon(side).shows(`${side}: ${what}`, (rows) => so(pairOf(rows)));
  }

  async pair(side: Side): Promise<PairStatus> {
    return pairOf(await this.daemon(side).rows());
  }

  async member(side: Side): Promise<MemberStatus> {
    return find<MemberStatus>(await this.daemon(side).rows(), "mlag.member");
  }

  async session(side: Side): Promise<SessionStatus> {
    return find<SessionStatus>(await this.daemon(side).rows(), "iccp.session");
  }

  /** Both paths are up, and both know what they are. */
  async settles(): Promise<void> {
    for (const side of SIDES) {
      await this.shows(
        side,
        "session, keepalive and role",
        ({ session, keepalive, state }) =>
          session.up && keepalive.up && state === (side === "a" ? "primary" : "secondary"),
      );
    }
  }

  /** Waits until so many more messages of the session were heard. */
  async beats(side: Side, times: number): Promise<void> {
    const enough = (await this.session(side)).counters.received + times;
    await this.daemon(side).shows(`${side}: ${times} heartbeats`, (rows) => {
      return find<SessionStatus>(rows, "iccp.session").counters.received >= enough;
    });
  }

  /** Sends a frame, in hex, out of an interface of a side. */
  inject(side: Side, name: string, hex: string): void {
    const bytes = fromHex(hex);
    if (bytes === undefined) throw new Error(`${hex} is no hex`);
    const opened = openLibc();
    if (!opened.ok) throw new Error(opened.message);
    const namespace = this.namespaces[side];
    const index = indexOf(namespace, name);
    const socket = within(namespace, () => new PacketSocket(opened.libc, index, [], () => {}));
    socket.send(bytes);
    socket.close();
  }

  /** The cable at its end in a; without carrier at both. */
  plug(cable: (typeof CABLES)[number], plugged: boolean): void {
    ipBatch(this.namespaces.a, [`link set ${cable} ${plugged ? "up" : "down"}`]);
  }

  /** Lines of the log of this type: what each says. */
  said(side: Side, type: string): readonly Readonly<Record<string, unknown>>[] {
    return this.daemon(side).lines.filter((line) => line.type === type);
  }

  /** Captures what passes an interface of a side, from now on. */
  async capture(side: Side, name: string): Promise<Capture> {
    const capture = new Capture(this.namespaces[side], name, join(this.directory, `${side}-${name}.pcap`));
    this.captures.push(capture);
    await capture.begins();
    return capture;
  }

  /** Rules of the kernel. */
  rules(side: Side): string {
    return sh("ip", ["netns", "exec", this.namespaces[side], "nft", "list", "ruleset"]);
  }

  private story(): string {
    const now = SIDES.map(
      (side) => `--- ${side}\n${this.daemons[side]?.stdout ?? ""}${this.daemons[side]?.stderr ?? ""}`,
    );
    return [this.past, ...now].join("\n");
  }
}

function pairOf(rows: readonly StatusRow[]): PairStatus {
  return find<PairStatus>(rows, "mlag.pair");
}

function find<Row extends StatusRow>(rows: readonly StatusRow[], type: Row["type"]): Row {
  const row = rows.find((one) => one.type === type);
  if (row === undefined) throw new Error(`no row ${type}`);
  return row as Row;
}

/** tcpdump to a file. */
export class Capture {
  private readonly child: ChildProcess;
  private stderr = "";
  private over = false;

  constructor(
    namespace: string,
    name: string,
    readonly file: string,
  ) {
    const words = ["-i", name, "-w", file, "-U", "-Z", "root", "--immediate-mode"];
    this.child = spawn("ip", ["netns", "exec", namespace, "tcpdump", ...words], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.child.stderr?.setEncoding("utf8").on("data", (part: string) => {
      this.stderr += part;
    });
    this.child.once("exit", () => {
      this.over = true;
    });
  }

  begins(): Promise<void> {
    return until("tcpdump listens", () => this.stderr.includes("listening on"));
  }

  /** A file with all that has passed. */
  async finish(): Promise<Uint8Array> {
    await this.close();
    return readFileSync(this.file);
  }

  /** Whether a frame that fits has passed, so far. */
  sees(filter: string): boolean {
    return this.frames(filter).length > 0;
  }

  /** What tshark says of each frame that fits, one line each. */
  frames(filter: string, ...fields: readonly string[]): readonly string[] {
    const shown = fields.length === 0 ? [] : ["-T", "fields", ...fields.flatMap((field) => ["-e", field])];
    return sh("tshark", ["-n", "-r", this.file, "-Y", filter, ...shown])
      .split("\n")
      .filter((line) => line !== "");
  }

  async close(): Promise<void> {
    if (!this.over) this.child.kill("SIGINT");
    await until("tcpdump ends", () => this.over);
  }
}
