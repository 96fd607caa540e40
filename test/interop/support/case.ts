/** One daemon whose interface has things happen to it: four routers, IPv4 and IPv6, with a virtual MAC and without. */
import { expect } from "vitest";
import { Daemon } from "./daemon.ts";
import { forge, Injector } from "./injector.ts";
import { indexOf, ipBatch, processesIn, sh, until } from "./namespaces.ts";
import { ownAddress, Site } from "./site.ts";
import { unreadable } from "./verdict.ts";

export const ROUTERS = [
  { name: "four", vrid: 51, family: "ipv4", "virtual-mac": true, addresses: ["10.99.0.51/24"] },
  { name: "four-plain", vrid: 52, family: "ipv4", "virtual-mac": false, addresses: ["10.99.0.52/24"] },
  { name: "six", vrid: 53, family: "ipv6", "virtual-mac": true, addresses: ["fe80::53/64", "2001:db8:99::53/64"] },
  {
    name: "six-plain",
    vrid: 54,
    "virtual-mac": false,
    family: "ipv6",
    addresses: ["fe80::54/64", "2001:db8:99::54/64"],
  },
] as const;
export const FOUR = ROUTERS.filter(({ family }) => family === "ipv4");
export type Router = (typeof ROUTERS)[number];
export const INTERVAL = 100;

/** The address that clients ask for. */
export function addressOf({ addresses }: Router): string {
  return addresses[addresses.length - 1] ?? "";
}

/** Adverts that keep all routers backups, and are heard as longer than a busy machine stops this process. */
function betters(routers: readonly Router[] = ROUTERS): readonly Uint8Array[] {
  return routers.map(({ vrid, family, addresses }) => {
    const source = ownAddress("b", family, "link");
    return forge({ vrid, priority: 200, source, addresses: addresses.map(bare), interval: 1_000 });
  });
}

export function bare(prefix: string): string {
  return prefix.split("/")[0] ?? "";
}

export class Case {
  private constructor(
    readonly site: Site,
    readonly daemon: Daemon,
    readonly injector: Injector,
    readonly routers: readonly Router[],
    private readonly before: string,
  ) {}

  static async run(
    body: (one: Case) => Promise<void>,
    routers: readonly Router[] = ROUTERS,
    before?: (site: Site) => void,
  ) {
    const site = await Site.open(["a"]);
    let daemon: Daemon | undefined;
    let injector: Injector | undefined;
    try {
      injector = new Injector(site.namespaces.b);
      const initial = kernelOf(site.namespaces.a);
      before?.(site);
      const files = routers.map(({ family: _, ...router }) => ({
        ...router,
        interface: "e0",
        interval: `${INTERVAL}ms`,
      }));
      daemon = await Daemon.start(site.namespaces.a, files);
      const one = new Case(site, daemon, injector, routers, initial);
      await body(one);
      await one.leavesNothing();
      expect(site.wire.of("bad-advert", "a")).toEqual([]);
      expect(unreadable(site.wire, "a")).toEqual([]);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${site.story()}\n${daemon?.stderr}\n${daemon?.stdout}`;
      throw error;
    } finally {
      injector?.close();
      await daemon?.close();
      await site.close();
    }
  }

  get namespace(): string {
    return this.site.namespaces.a;
  }

  ip(...lines: readonly string[]): void {
    ipBatch(this.namespace, lines);
  }

  /** The device that a router's addresses are on. */
  device({ vrid, family, "virtual-mac": own }: Router): string {
    return own ? `vr${family === "ipv4" ? 4 : 6}.${vrid}.${indexOf(this.namespace, "e0")}` : "e0";
  }

  has(router: Router): boolean {
    const text = sh("ip", ["-n", this.namespace, "-o", "address", "show", "up"]);
    return text
      .split("\n")
      .some((line) => line.includes(` ${this.device(router)} `) && line.includes(` ${addressOf(router)} `));
  }

  /** All are backups of somebody else. */
  async standBy(): Promise<() => void> {
    const silence = this.injector.each(INTERVAL, betters(this.routers));
    await this.daemon.is("all are backups of the better one", (rows) =>
      this.routers.every(({ name }) => rows[name]?.state === "backup" && rows[name]?.master?.priority === 200),
    );
    return silence;
  }

  /** Announces its addresses to hosts, from the MAC that they are reached under. */
  announced(router: Router, since: number): Promise<unknown> {
    const address = bare(addressOf(router));
    const so = ({ facts }: { readonly facts: { readonly kind: string; readonly address?: unknown } }) =>
      facts.kind === "announcement" && facts.address === address;
    return this.site.wire.first(`${address} is announced`, so, since);
  }

  /** These were the changes of state since that line. */
  async went(routers: readonly Router[], since: number, changes: readonly string[]): Promise<void> {
    await this.began(routers, since, changes);
    for (const { vrid } of routers) expect(this.daemon.changes(vrid, since)).toEqual(changes);
  }

  /** The first ones: what comes of them is up to who is heard. */
  async began(routers: readonly Router[], since: number, changes: readonly string[]): Promise<void> {
    for (const { vrid } of routers) {
      await until("it is in the log", () => this.daemon.changes(vrid, since).length >= changes.length);
      expect(this.daemon.changes(vrid, since).slice(0, changes.length)).toEqual(changes);
    }
  }

  /** So many lines say so. */
  async said(pattern: RegExp, times: number): Promise<void> {
    const count = () => this.daemon.stderr.match(pattern)?.length ?? 0;
    await until(`it says ${pattern}`, () => count() >= times);
    expect(count(), String(pattern)).toBe(times);
  }

  /** No state was left since that line. */
  steady(since: number): void {
    for (const { vrid } of this.routers) expect(this.daemon.changes(vrid, since)).toEqual([]);
  }

  /** After SIGTERM, or what else it was ended by, the host is as it was. */
  private async leavesNothing(): Promise<void> {
    await this.daemon.stop();
    expect([143, null]).toContain(this.daemon.code);
    await until("its guardian has gone", () => processesIn(this.namespace).length === 0);
    expect(kernelOf(this.namespace)).toBe(this.before);
  }
}

/** Interfaces and addresses that have anything to do with it, and the settings that it changes. */
function kernelOf(namespace: string): string {
  const links = sh("ip", ["-n", namespace, "-br", "link"])
    .split("\n")
    .map((line) => line.split(/[ @]/)[0]);
  const addresses = sh("ip", ["-n", namespace, "-br", "address"]).match(/(10\.99\.0|2001:db8:99:)[\w:.]*5[1-4]\/\d+/g);
  const paths = ["all/rp_filter", ...["arp_ignore", "arp_filter", "arp_announce"].map((one) => `*0/${one}`)];
  const command = `cd /proc/sys/net/ipv4/conf && cat ${paths.join(" ")}`;
  const settings = sh("ip", ["netns", "exec", namespace, "sh", "-c", command]).replaceAll("\n", " ");
  return JSON.stringify({ links: links.filter((name) => name !== "" && name !== "lo").sort(), addresses, settings });
}

/** The cable of station a again, as `Site` had laid it. */
export async function plugIn(site: Site): Promise<void> {
  const { a, bridge } = site.namespaces;
  ipBatch(bridge, [
    `link add name a type veth peer name e0 netns ${a}`,
    "link set dev a master br0",
    "link set dev a addrgenmode none",
    "link set dev a up",
  ]);
  await site.wire.reopen("a");
  ipBatch(a, [
    "link set e0 addrgenmode none",
    "link set e0 up",
    `address add ${ownAddress("a", "ipv4")}/24 dev e0`,
    `address add ${ownAddress("a", "ipv6", "link")}/64 dev e0 nodad`,
    `address add ${ownAddress("a", "ipv6")}/64 dev e0 nodad`,
  ]);
}
