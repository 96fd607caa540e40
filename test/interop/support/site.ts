/** Two speakers and a client on one bridge, each in a namespace of its own, and the wire between them. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Family, type Ip, parsePrefix } from "../../../src/core/addr.ts";
import { ipBatch, makeNamespace, onLeaving, removeNamespace, sh, sysctl, until } from "./namespaces.ts";
import { Prober } from "./prober.ts";
import { INTERFACE, type Plan, Speaker, type SpeakerKind } from "./speakers.ts";
import { type Station, Wire } from "./wire.ts";

/** The host part of each station's addresses: `b` is the higher. */
const HOST: Readonly<Record<Station, number>> = { a: 2, b: 3, client: 9 };
let count = 0;

export function ownAddress(station: Station, family: Family, scope: "global" | "link" = "global"): string {
  if (family === "ipv4") return `10.99.0.${HOST[station]}`;
  return scope === "link" ? `fe80::${HOST[station]}` : `2001:db8:99::${HOST[station]}`;
}

export class Site {
  private readonly speakers: Speaker[] = [];
  private prober: Prober | undefined;

  private constructor(
    readonly namespaces: Readonly<Record<Station | "bridge", string>>,
    readonly wire: Wire,
    private readonly directory: string,
    private readonly called: () => void,
  ) {}

  /** @param heard whose frames are looked at */
  static async open(heard: readonly Station[] = ["a", "b", "client"]): Promise<Site> {
    const id = ++count;
    const directory = mkdtempSync(join(tmpdir(), "hp-it-"));
    // FRR's daemons are no root.
    chmodSync(directory, 0o755);
    const forget = onLeaving(() => rmSync(directory, { recursive: true, force: true }));
    const stations = ["a", "b", "client"] as const;
    const bridge = makeNamespace(`${id}w`);
    const namespaces = { bridge, a: "", b: "", client: "" };
    ipBatch(bridge, ["link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0", "link set br0 up"]);
    // Where br_netfilter is loaded a bridge drops packets whose header is wrong: here they have to arrive.
    const unfiltered = "for one in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $one ] || echo 0 > $one; done";
    sh("ip", ["netns", "exec", bridge, "sh", "-c", unfiltered]);
    for (const station of stations) {
      const own = makeNamespace(`${id}${station[0]}`);
      namespaces[station] = own;
      ipBatch(bridge, [
        `link add name ${station} type veth peer name ${INTERFACE} netns ${own}`,
        `link set dev ${station} master br0`,
        `link set dev ${station} addrgenmode none`,
        `link set dev ${station} up`,
      ]);
      ipBatch(own, [
        `link set ${INTERFACE} addrgenmode none`,
        `link set ${INTERFACE} up`,
        `address add ${ownAddress(station, "ipv4")}/24 dev ${INTERFACE}`,
        `address add ${ownAddress(station, "ipv6", "link")}/64 dev ${INTERFACE} nodad`,
        `address add ${ownAddress(station, "ipv6")}/64 dev ${INTERFACE} nodad`,
      ]);
    }
    // A Linux host passes over a second gratuitous ARP within a second; here takeovers follow one another faster.
    sysctl(namespaces.client, { [`ipv4.neigh.${INTERFACE}.locktime`]: 0, [`ipv6.neigh.${INTERFACE}.locktime`]: 0 });
    const wire = await Wire.open(bridge, heard);
    return new Site(namespaces, wire, directory, forget);
  }

  async start(station: "a" | "b", kind: SpeakerKind, plan: Plan): Promise<Speaker> {
    const directory = join(this.directory, `${station}${this.speakers.length}`);
    const speaker = await Speaker.start(kind, this.namespaces[station], directory, plan);
    this.speakers.push(speaker);
    return speaker;
  }

  /** The client begins to ask; resolves at its first answer. */
  async probe(prefix: string): Promise<Prober> {
    const target = parsePrefix(prefix)?.address as Ip;
    const source = ownAddress("client", target.includes(":") ? "ipv6" : "ipv4") as Ip;
    this.prober = new Prober(this.namespaces.client, source, target);
    await this.wire.first("an answer to the client", ({ facts }) => facts.kind === "echo-reply");
    return this.prober;
  }

  /** Waits until the client has asked this often again. */
  async asked(times: number): Promise<void> {
    const { prober } = this;
    if (prober === undefined) return;
    const enough = prober.sent.length + times;
    await until(`${times} probes`, () => prober.sent.length >= enough);
  }

  get sent(): Prober["sent"] {
    return this.prober?.sent ?? [];
  }

  story(): string {
    return `${this.wire.story()}\n${this.speakers.map(({ kind, output }) => `--- ${kind}\n${output}`).join("\n")}`;
  }

  async close(): Promise<void> {
    this.prober?.close();
    for (const speaker of this.speakers) await speaker.close();
    await this.wire.close();
    for (const name of Object.values(this.namespaces)) removeNamespace(name);
    rmSync(this.directory, { recursive: true, force: true });
    this.called();
  }
}
