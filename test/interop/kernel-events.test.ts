/**
 * What happens to interfaces and addresses under a running daemon, by hand or by accident, while it is master or backup:
 * each is handled, said with its reason, and nothing is left when it ends. Four routers on one interface go through it
 * together: IPv4 and IPv6, with a virtual MAC and without.
 */
import { describe, expect, test } from "vitest";
import { Daemon } from "./support/daemon.ts";
import { forge, Injector } from "./support/injector.ts";
import { lacking } from "./support/lacking.ts";
import { end, indexOf, ipBatch, processesIn, sh, until } from "./support/namespaces.ts";
import { ownAddress, Site } from "./support/site.ts";
import { unreadable } from "./support/verdict.ts";
import { now } from "./support/wire.ts";

const missing = lacking("tshark");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;

const ROUTERS = [
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
const FOUR = ROUTERS.filter(({ family }) => family === "ipv4");
type Router = (typeof ROUTERS)[number];
const INTERVAL = 100;

/** The address that clients ask for. */
function addressOf({ addresses }: Router): string {
  return addresses[addresses.length - 1] ?? "";
}

/** Adverts that keep all routers backups, and are heard as longer than a busy machine stops this process. */
function betters(routers: readonly Router[] = ROUTERS): readonly Uint8Array[] {
  return routers.map(({ vrid, family, addresses }) => {
    const source = ownAddress("b", family, "link");
    return forge({ vrid, priority: 200, source, addresses: addresses.map(bare), interval: 1_000 });
  });
}

function bare(prefix: string): string {
  return prefix.split("/")[0] ?? "";
}

class Case {
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
    for (const { vrid } of routers) {
      await until("it is in the log", () => this.daemon.changes(vrid, since).length >= changes.length);
      expect(this.daemon.changes(vrid, since)).toEqual(changes);
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

describe.skipIf(missing !== undefined)(`on interfaces that others change${skipped}`, { concurrent: true }, () => {
  test("a master's addresses that somebody removes are back at once and announced again; no failover, one line each", () =>
    Case.run(async (one) => {
      const { daemon } = one;
      await daemon.all("master");
      const since = daemon.lines.length;
      for (const router of ROUTERS) {
        const from = now();
        one.ip(`address del ${addressOf(router)} dev ${one.device(router)}`);
        await until(`${addressOf(router)} is back`, () => one.has(router));
        await one.announced(router, from);
      }
      one.steady(since);
      await one.said(/somebody took \S+ away, which is put back/g, ROUTERS.length);
    }));

  test("a master's devices that somebody deletes, switches off, renames or gives another MAC are put right; no failover", () =>
    Case.run(async (one) => {
      const { daemon, site } = one;
      await daemon.all("master");
      const since = daemon.lines.length;
      const devices = ROUTERS.filter((each) => each["virtual-mac"]).map((router) => ({
        router,
        name: one.device(router),
        mac: `00:00:5e:00:0${router.family === "ipv4" ? 1 : 2}:${router.vrid.toString(16)}`,
      }));
      const deeds = {
        deleted: (name: string) => `link del ${name}`,
        switched: (name: string) => `link set ${name} down`,
        gave: (name: string) => `link set ${name} address 02:00:00:00:00:${name.slice(4, 6)}`,
        renamed: (name: string) => `link set ${name} name x${name}`,
      };
      const show = (name: string) => sh("ip", ["-n", one.namespace, "-br", "link", "show", "dev", name]);
      for (const [word, deed] of Object.entries(deeds)) {
        const from = now();
        one.ip(...devices.map(({ name }) => deed(name)));
        for (const { router, name, mac } of devices) {
          await one.announced(router, from);
          await until(
            `${name} is whole again, which somebody ${word}`,
            () => one.has(router) && show(name).includes(mac),
          );
        }
        await one.said(new RegExp(`somebody ${word} `, "g"), devices.length);
        // What happens within a second of it is put right, and not said.
        await until("it can be said again", () => now() - from > 1_100_000);
      }
      one.steady(since);
      expect(site.wire.adverts("a").filter(({ facts }) => facts.priority === 0)).toEqual([]);
    }));

  test("killed after its devices were made anew it leaves nothing either: its guardian knows them", () =>
    Case.run(async (one) => {
      const { daemon } = one;
      await daemon.all("master");
      const since = now();
      for (const router of ROUTERS.filter((each) => each["virtual-mac"])) {
        one.ip(`link del ${one.device(router)}`);
        await one.announced(router, since);
        await until("it is there again", () => one.has(router));
      }
      // Whoever answers has told its guardian before.
      await daemon.routers();
      end(daemon.pid, "SIGKILL");
    }));

  test("a backup's device is put right likewise, and addresses that somebody puts there do not stay and make no master", () =>
    Case.run(async (one) => {
      const { daemon } = one;
      await one.standBy();
      const since = daemon.lines.length;
      for (const router of ROUTERS) {
        one.ip(`address add ${addressOf(router)} dev ${one.device(router)}`);
        await until(`${addressOf(router)} is gone again`, () => !one.has(router));
        await daemon.says(new RegExp(`vrid ${router.vrid} .*${addressOf(router)} on `));
      }
      const [four] = FOUR;
      if (four === undefined) throw new Error("there are routers for IPv4");
      const name = one.device(four);
      one.ip(`link del ${name}`);
      await until(`${name} is there again`, () => sh("ip", ["-n", one.namespace, "-br", "link"]).includes(name));
      one.ip(`address add ${addressOf(four)} dev e0`);
      await daemon.says(/the interface itself has 10\.99\.0\.51/);
      one.ip(`address del ${addressOf(four)} dev e0`);
      one.steady(since);
      expect(one.site.wire.adverts("a")).toEqual([]);
      const rows = await daemon.routers();
      expect(rows["four"]?.primary).toBe(ownAddress("a", "ipv4"));
    }));

  test("an interface that goes down puts its routers in fault and takes the addresses off; up, they are backups for a whole down interval", () =>
    Case.run(async (one) => {
      const { daemon, site } = one;
      await daemon.all("master");
      let since = daemon.lines.length;
      one.ip("link set e0 down");
      await daemon.all("fault");
      // It has taken the link-local address along: that is no other reason.
      await one.went(ROUTERS, since, ["fault: interface-down"]);
      for (const router of ROUTERS) expect(one.has(router)).toBe(false);
      since = daemon.lines.length;
      const from = now();
      one.ip("link set e0 up", `address replace ${ownAddress("a", "ipv6", "link")}/64 dev e0 nodad`);
      await daemon.all("master");
      await one.went(FOUR, since, ["backup: interface-up", "master: master-timeout"]);
      for (const router of ROUTERS) expect(one.has(router)).toBe(true);
      const first = site.wire.adverts("a").find(({ at }) => at > from);
      expect((first?.at ?? 0) - from).toBeGreaterThan(3 * INTERVAL * 1_000);
    }));

  test("an interface that loses its carrier puts its routers in fault; one that has it again makes them backups", () =>
    Case.run(async (one) => {
      const { daemon, site } = one;
      await one.standBy();
      let since = daemon.lines.length;
      ipBatch(site.namespaces.bridge, ["link set dev a down"]);
      await daemon.all("fault");
      await one.went(ROUTERS, since, ["fault: interface-down"]);
      since = daemon.lines.length;
      ipBatch(site.namespaces.bridge, ["link set dev a up"]);
      await daemon.all("backup");
      await one.went(ROUTERS, since, ["backup: interface-up"]);
    }));

  test("an interface that is deleted is a fault; one that comes under its name is taken, with everything that it needs", () =>
    Case.run(async (one) => {
      const { daemon, site } = one;
      await daemon.all("master");
      const since = daemon.lines.length;
      one.ip("link del e0");
      await daemon.is("all are out", (rows) => Object.values(rows).every(({ state }) => state !== "master"));
      await one.went(ROUTERS, since, ["fault: interface-down"]);
      const from = now();
      await plugIn(site);
      await daemon.all("master");
      for (const router of ROUTERS) expect(one.has(router)).toBe(true);
      // The new one has the settings without which it would answer with its own MAC.
      expect(sh("ip", ["netns", "exec", one.namespace, "cat", "/proc/sys/net/ipv4/conf/e0/arp_ignore"])).toBe("1\n");
      for (const router of ROUTERS) await one.announced(router, from);
    }));

  test("an interface that comes late is waited for", () =>
    Case.run(
      async (one) => {
        const { daemon, site } = one;
        await daemon.all("initialize");
        await plugIn(site);
        await daemon.all("master");
        for (const router of ROUTERS) expect(one.has(router)).toBe(true);
      },
      ROUTERS,
      ({ namespaces }) => ipBatch(namespaces.a, ["link del e0"]),
    ));

  test("an interface that comes and goes faster than anybody can look does no harm", () =>
    Case.run(async (one) => {
      const { daemon, site } = one;
      await daemon.all("master");
      one.ip("link del e0");
      const flap = ["link add e0 type veth peer name e9", "link set e0 up", "link del e0"];
      one.ip(...Array.from({ length: 40 }, () => flap).flat());
      await daemon.all("fault");
      await plugIn(site);
      await daemon.all("master");
      for (const router of ROUTERS) expect(one.has(router)).toBe(true);
    }));

  test("an interface that is renamed is gone, with nothing left on it; renamed back, it is there", () =>
    Case.run(async (one) => {
      const { daemon } = one;
      await daemon.all("master");
      let since = daemon.lines.length;
      one.ip("link set e0 down", "link set e0 name e7", "link set e7 up");
      await daemon.is("all are out", (rows) => Object.values(rows).every(({ state }) => state !== "master"));
      await one.went(FOUR, since, ["fault: interface-down"]);
      await until("nothing of it is left", () => {
        const there = sh("ip", ["-n", one.namespace, "-o", "address"]);
        return !ROUTERS.some((router) => there.includes(` ${addressOf(router)} `)) && !there.includes("vr4");
      });
      expect(sh("ip", ["netns", "exec", one.namespace, "cat", "/proc/sys/net/ipv4/conf/e7/arp_ignore"])).toBe("0\n");
      since = daemon.lines.length;
      const own = ownAddress("a", "ipv6", "link");
      one.ip("link set e7 down", "link set e7 name e0", "link set e0 up", `address replace ${own}/64 dev e0 nodad`);
      await daemon.all("master");
      for (const router of ROUTERS) expect(one.has(router)).toBe(true);
    }));

  test("an interface with another MAC: adverts and announcements of routers without a virtual one come from it", () =>
    Case.run(async (one) => {
      const { daemon, site } = one;
      await daemon.all("master");
      const since = daemon.lines.length;
      const from = now();
      one.ip("link set e0 address 02:00:00:00:00:42");
      const fromIt = (vrid: number) =>
        site.wire.first(
          `an advert for ${vrid} from the new MAC`,
          ({ facts, bytes }) => facts.kind === "advert" && facts.vrid === vrid && bytes[6] === 2 && bytes[11] === 0x42,
          from,
        );
      for (const router of ROUTERS.filter((each) => !each["virtual-mac"])) {
        await fromIt(router.vrid);
        await one.announced(router, from);
      }
      one.steady(since);
    }));

  test("an interface that leaves a bridge of this host is not gone", () =>
    Case.run(
      async (one) => {
        const { daemon } = one;
        await daemon.all("master");
        const since = daemon.lines.length;
        // A bridge takes whole frames off its ports; what is ours hears them before it.
        one.ip("link add br9 type bridge", "link set e0 master br9", "link set e0 nomaster", "link del br9");
        await one.site.wire.rounds("a", 10);
        one.steady(since);
        expect((await daemon.routers())["four-plain"]?.state).toBe("master");
      },
      FOUR.filter((router) => !router["virtual-mac"]),
    ));

  test("a primary address that is removed: the peers are told, from it; back, it starts; another one: adverts come from that", () =>
    Case.run(async (one) => {
      const { daemon, site } = one;
      await daemon.all("master");
      let since = daemon.lines.length;
      let from = now();
      const own = ownAddress("a", "ipv4");
      one.ip(`address del ${own}/24 dev e0`);
      for (const { vrid } of FOUR) {
        const zero = await site.wire.advert("a", (advert) => advert.vrid === vrid && advert.priority === 0, from);
        expect(zero.facts.source).toBe(own);
      }
      await daemon.is("they wait for an address", (rows) =>
        FOUR.every(({ name }) => rows[name]?.state === "initialize"),
      );
      await one.went(FOUR, since, ["initialize: no-address"]);
      for (const router of FOUR) await until("it is off", () => !one.has(router));
      since = daemon.lines.length;
      one.ip(`address add ${own}/24 dev e0`);
      await daemon.all("master");
      await one.went(FOUR, since, ["backup: address-added", "master: master-timeout"]);
      since = daemon.lines.length;
      from = now();
      // The kernel takes the other addresses of a network along with its primary one, our plain one among them.
      one.ip("address add 10.98.0.2/24 dev e0", `address del ${own}/24 dev e0`);
      for (const router of FOUR) {
        await site.wire.advert("a", ({ vrid, source }) => vrid === router.vrid && source === "10.98.0.2", from);
        await until(`${addressOf(router)} is there`, () => one.has(router));
      }
      one.steady(since);
      one.ip(`address add ${own}/24 dev e0`, "address del 10.98.0.2/24 dev e0");
    }));

  test("adverts from its own address and another MAC are never obeyed, but counted and said: own-address", () =>
    Case.run(async (one) => {
      const { daemon, injector } = one;
      const own = ({ vrid, family, addresses }: Router) =>
        forge({
          vrid,
          priority: 255,
          source: ownAddress("a", family, "link"),
          addresses: addresses.map(bare),
          interval: 40_000,
        });
      const silence = injector.each(INTERVAL, ROUTERS.map(own));
      // As backups they take over in spite of them, as masters they remain.
      await daemon.all("master");
      const since = daemon.lines.length;
      await daemon.is("they are counted", (rows) =>
        Object.values(rows).every(({ counters }) => (counters.dropped["own-address"] ?? 0) > 10),
      );
      silence();
      one.steady(since);
      for (const row of Object.values(await daemon.routers())) {
        expect(row.counters.advertsReceived).toBe(0);
        expect(row.peers).toEqual([]);
      }
      const said = daemon.lines.filter(({ type }) => type === "vrrp.drop");
      expect(new Set(said.map((line) => line["reason"]))).toEqual(new Set(["own-address"]));
    }));

  test("news of the kernel that were too many to be kept are asked for anew: nothing that happened meanwhile is missed", () =>
    Case.run(async (one) => {
      const { daemon } = one;
      const [four, plain] = FOUR;
      if (four === undefined || plain === undefined) throw new Error("there are routers for IPv4");
      await daemon.all("master");
      end(daemon.pid, "SIGSTOP");
      one.ip("link add full type bridge");
      const round = Array.from({ length: 500 }, (_, i) => `address add 172.16.${i >> 8}.${i & 255}/32 dev full`);
      const flood = [...round, "address flush dev full"];
      one.ip(...Array.from({ length: 12 }, () => flood).flat());
      one.ip(`link del ${one.device(four)}`, `address del ${addressOf(plain)} dev e0`, "link del full");
      end(daemon.pid, "SIGCONT");
      for (const router of FOUR) await until(`${addressOf(router)} is back`, () => one.has(router));
      expect((await daemon.host())["overruns"]).toBeGreaterThan(0);
      await daemon.all("master");
    }, FOUR));
});

/** The cable of station a again, as `Site` had laid it. */
async function plugIn(site: Site): Promise<void> {
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
