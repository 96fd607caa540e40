/**
 * What happens to interfaces and addresses under a running daemon, by hand or by accident, while it is master or backup:
 * each is handled, said with its reason, and nothing is left when it ends. Four routers on one interface go through it
 * together: IPv4 and IPv6, with a virtual MAC and without.
 */
import { describe, expect, test } from "vitest";
import { addressOf, bare, Case, FOUR, INTERVAL, plugIn, ROUTERS, type Router } from "./support/case.ts";
import { forge } from "./support/injector.ts";
import { lacking } from "./support/lacking.ts";
import { end, ipBatch, sh, sysctl, until } from "./support/namespaces.ts";
import { ownAddress } from "./support/site.ts";
import { now } from "./support/wire.ts";

const missing = lacking("tshark");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;

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
        const device = one.device(router);
        // It has no IPv6 at all until somebody gives it that. In these names "/" stands for a dot.
        if (router.name === "six")
          sysctl(one.namespace, { [`ipv6.conf.${device.replaceAll(".", "/")}.disable_ipv6`]: 0 });
        one.ip(`address add ${addressOf(router)} dev ${device}`);
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
      await one.began(ROUTERS, since, ["backup: interface-up"]);
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
