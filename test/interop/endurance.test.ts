/** What a router on a real wire bears: floods, stalls, bad files; and what it answers as master and not as backup. */
import { describe, expect, test } from "vitest";
import { arpFrame, arpRequest } from "../../protocols/arp/codec.ts";
import { encodeIcmp } from "../../protocols/icmp/codec.ts";
import { ipFrame, ipPacket, PROTOCOL } from "../../protocols/ip/codec.ts";
import { ndFrame, solicitation, solicitedNode } from "../../protocols/nd/codec.ts";
import { virtualMac } from "../../protocols/vrrp/codec.ts";
import { BROADCAST, type Ip, type Ip4, type Ip6, macFrom, multicastMac } from "../../src/core/addr.ts";
import { Daemon } from "./support/daemon.ts";
import { FOREIGN, forge, Injector } from "./support/injector.ts";
import { lacking } from "./support/lacking.ts";
import { end, sysctl, until } from "./support/namespaces.ts";
import { ownAddress, Site } from "./support/site.ts";
import { unreadable } from "./support/verdict.ts";
import { now, type Seen } from "./support/wire.ts";

const missing = lacking("tshark");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;

const INTERVAL = 200;
/** No backup's down timer fires in less, in microseconds. */
const DOWN = 3 * INTERVAL * 1_000;
const VRID = 51;
const FOUR = { name: "four", vrid: VRID, addresses: ["10.99.0.51/24"] };
const SIX = { name: "six", vrid: VRID, addresses: ["fe80::51/64"] };
const OWN = ownAddress("a", "ipv4") as Ip4;

interface Scene {
  readonly site: Site;
  readonly daemon: Daemon;
  readonly injector: Injector;
}

async function scene(body: (one: Scene) => Promise<void>, before?: (namespace: string) => void): Promise<void> {
  const site = await Site.open(["a"]);
  let injector: Injector | undefined;
  let daemon: Daemon | undefined;
  try {
    injector = new Injector(site.namespaces.b);
    before?.(site.namespaces.a);
    const routers = [FOUR, SIX].map((one) => ({ ...one, interface: "e0", interval: `${INTERVAL}ms` }));
    daemon = await Daemon.start(site.namespaces.a, routers);
    await body({ site, daemon, injector });
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

/** Adverts of both routers from another. */
function adverts(priority: number, interval = INTERVAL): readonly Uint8Array[] {
  return [
    forge({ vrid: VRID, priority, interval, source: ownAddress("b", "ipv4"), addresses: ["10.99.0.51"] }),
    forge({ vrid: VRID, priority, interval, source: ownAddress("b", "ipv6", "link"), addresses: ["fe80::51"] }),
  ];
}

/** The longest time in microseconds between two adverts of a family. */
function longestGap(site: Site, family: string, since: number): number {
  const times = site.wire.adverts("a").filter(({ at, facts }) => at >= since && facts.family === family);
  return Math.max(...times.slice(1).map(({ at }, i) => at - (times[i]?.at ?? at)));
}

function saysStalled({ lines }: Daemon): Promise<void> {
  return until("it says that it stood still", () =>
    lines.some(({ type, late }) => type === "vrrp.stalled" && Number(late) > 0.3),
  );
}

function transitions(daemon: Daemon): Promise<readonly number[]> {
  return daemon.routers().then((rows) => Object.values(rows).map(({ counters }) => counters.masterTransitions));
}

describe.skipIf(missing !== undefined)(`what a router bears${skipped}`, () => {
  test("54 · a flood of a thousand losing adverts a second is answered a hundred times at most, and delays none", () =>
    scene(async ({ site, daemon, injector }) => {
      await daemon.all("master");
      const since = now();
      const losing = adverts(99);
      const heard = async () => Object.values(await daemon.routers()).map(({ counters }) => counters.advertsReceived);
      // Ten each ten milliseconds; a time that this process was not run in is not made up for.
      for (let round = 0; round % 20 !== 0 || Math.min(...(await heard())) < 1_000; round++) {
        const from = now();
        for (let i = 0; i < 10; i++) for (const frame of losing) injector.send(frame);
        await until("its time has come", () => now() - from >= 10_000);
      }
      await site.wire.rounds("a", 6);
      const seconds = (now() - since) / 1e6;
      for (const row of Object.values(await daemon.routers())) {
        expect(row.state).toBe("master");
        expect(row.counters.asserts).toBeGreaterThan(0);
        expect(row.counters.asserts).toBeLessThanOrEqual(seconds * 100 + 1);
        expect(longestGap(site, row.family, since)).toBeLessThan(DOWN);
      }
      expect(await transitions(daemon)).toEqual([1, 1]);
    }));

  test("97 · a backup that was stopped for longer than its down interval listens before it asserts, and says so", () =>
    scene(async ({ site, daemon, injector }) => {
      // Of an interval in which a busy machine runs this process, too: the down timer is that of the master heard.
      injector.each(INTERVAL / 4, adverts(200, 500));
      await daemon.is("backup of the better one", (rows) =>
        Object.values(rows).every(({ master }) => master?.priority === 200),
      );
      const before = await transitions(daemon);
      const since = now();
      end(daemon.pid, "SIGSTOP");
      await until("it was stopped for long", () => now() - since > 5 * DOWN);
      end(daemon.pid, "SIGCONT");
      await saysStalled(daemon);
      const heard = async () => Object.values(await daemon.routers()).map(({ counters }) => counters.advertsReceived);
      const [first = 0] = await heard();
      await daemon.is("it goes on listening", (rows) =>
        Object.values(rows).every(({ counters }) => counters.advertsReceived > first + 10),
      );
      expect(site.wire.adverts("a").filter(({ at }) => at >= since)).toEqual([]);
      expect(await transitions(daemon)).toEqual(before);
    }));

  test("97 · a master that was stopped yields at once to the one that took over, and says that it stood still", () =>
    scene(async ({ site, daemon, injector }) => {
      await daemon.all("master");
      end(daemon.pid, "SIGSTOP");
      const since = now();
      await until("others have taken over", () => now() - since > DOWN);
      injector.each(INTERVAL / 4, adverts(200));
      await until("it was stopped for long", () => now() - since > 2 * DOWN);
      const from = now();
      end(daemon.pid, "SIGCONT");
      await daemon.all("backup");
      // One each, if its timer was looked at before what it had not heard yet.
      expect(site.wire.adverts("a").filter(({ at }) => at >= from).length).toBeLessThanOrEqual(2);
      await saysStalled(daemon);
    }));

  test("97 · a master that was stopped and finds nobody in its place says so and announces itself afresh", () =>
    scene(async ({ site, daemon }) => {
      await daemon.all("master");
      end(daemon.pid, "SIGSTOP");
      const since = now();
      await until("it was stopped for long", () => now() - since > 2 * DOWN);
      end(daemon.pid, "SIGCONT");
      await site.wire.first("it announces itself", ({ facts }) => facts.kind === "announcement", since);
      await saysStalled(daemon);
      expect(await transitions(daemon)).toEqual([1, 1]);
    }));

  test("80–82, 85, 89 · a master answers for its addresses with the virtual MAC alone and forwards what comes for it; a backup does neither", () =>
    scene(
      async ({ site, daemon, injector }) => {
        await daemon.all("master");
        let since = now();
        const answers = await ask(site, injector, since);
        expect(answers).toEqual([
          `10.99.0.51 ${virtualMac("ipv4", VRID)} from ${virtualMac("ipv4", VRID)}`,
          // R: it forwards, and so is a router (RFC 4861 §4.4).
          `fe80::51 ${virtualMac("ipv6", VRID)} from ${virtualMac("ipv6", VRID)} R`,
        ]);
        injector.send(transit());
        await site.wire.first("it forwards", isTransit, since);
        injector.each(INTERVAL / 4, adverts(200, 1_000));
        await daemon.all("backup");
        since = now();
        injector.send(transit());
        expect(await ask(site, injector, since)).toEqual([]);
        expect(site.wire.frames.filter((seen) => seen.at >= since && isTransit(seen))).toEqual([]);
      },
      (namespace) =>
        sysctl(namespace, {
          "ipv4.ip_forward": 1,
          "ipv4.conf.all.rp_filter": 0,
          "ipv4.conf.e0.rp_filter": 0,
          "ipv6.conf.e0.forwarding": 1,
        }),
    ));

  test("100 · files that are not valid are refused one after the other, and no advert is late for it", () =>
    scene(async ({ site, daemon }) => {
      await daemon.all("master");
      const since = now();
      const bad = ["node: dut\nvrrp: [{ interface: e0 }]\n", "{", "node: other\n", ""];
      for (const [i, text] of bad.entries()) {
        daemon.rewrite(text);
        end(daemon.pid, "SIGHUP");
        await until(
          "it is refused",
          () =>
            daemon.stderr.split("nothing was changed").length > i + 1 || daemon.stderr.split("allowed: dut").length > 1,
        );
      }
      await site.wire.rounds("a", 6);
      for (const family of ["ipv4", "ipv6"]) expect(longestGap(site, family, since)).toBeLessThan(DOWN);
      expect(await transitions(daemon)).toEqual([1, 1]);
    }));
});

/** Asks for both virtual addresses. @returns who answered, once the question for its own address that came later was */
async function ask(site: Site, injector: Injector, since: number): Promise<readonly string[]> {
  const from = { ip: ownAddress("b", "ipv4") as Ip4, link: ownAddress("b", "ipv6", "link") as Ip6 };
  const who = (target: Ip4) => arpFrame(arpRequest(FOREIGN, from.ip, target), BROADCAST).bytes;
  const solicit = (target: Ip6) => {
    const to = solicitedNode(target);
    return ndFrame(solicitation(target, FOREIGN), { source: from.link, destination: to }, multicastMac(to), FOREIGN)
      .bytes;
  };
  injector.send(who("10.99.0.51" as Ip4));
  injector.send(solicit("fe80::51" as Ip6));
  const last = [OWN, ownAddress("a", "ipv6", "link")];
  injector.send(who(OWN));
  injector.send(solicit(last[1] as Ip6));
  for (const own of last) {
    await site.wire.first(
      `it answers for ${own}`,
      ({ facts }) => facts.kind === "resolution" && facts.address === own,
      since,
    );
  }
  const answers = site.wire
    .of("resolution", "a")
    .filter(({ at, facts }) => at >= since && !last.includes(facts.address));
  return answers.map(({ facts, bytes }) => {
    const router = bytes[12] === 0x86 && ((bytes[58] ?? 0) & 0x80) !== 0 ? " R" : "";
    return `${facts.address} ${facts.mac} from ${macFrom(bytes, 6)}${router}`;
  });
}

const CLIENT = ownAddress("client", "ipv4") as Ip;
const SOURCE = ownAddress("b", "ipv4") as Ip;

/** A packet for somebody else, to the virtual MAC. */
function transit(): Uint8Array {
  const between = { source: SOURCE, destination: CLIENT };
  const payload = encodeIcmp({ kind: "echo-request", identifier: 1, sequence: 77, data: new Uint8Array(8) }, between);
  return ipFrame(virtualMac("ipv4", VRID), FOREIGN, ipPacket({ ...between, protocol: PROTOCOL.icmp, payload }));
}

function isTransit({ facts }: Seen): boolean {
  return facts.kind === "echo-request" && facts.destination === CLIENT && facts.sequence === 77;
}
