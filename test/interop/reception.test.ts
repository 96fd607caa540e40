/** Right and wrong adverts on a real wire, and whatever else comes with their protocol number. */
import { describe, expect, test } from "vitest";
import { type Mac, macFrom } from "../../src/core/addr.ts";
import { Daemon } from "./support/daemon.ts";
import { Injector } from "./support/injector.ts";
import { lacking } from "./support/lacking.ts";
import { addressOf, configOf, INTERVAL, NOBODYS, ROWS } from "./support/matrix.ts";
import { BETTER, betterThan, Mutants, TARGETS } from "./support/mutants.ts";
import { sh } from "./support/namespaces.ts";
import { Site } from "./support/site.ts";
import { unreadable } from "./support/verdict.ts";
import { now } from "./support/wire.ts";

const missing = lacking("tshark");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;

function macIn(namespace: string): Mac {
  const text = sh("ip", ["netns", "exec", namespace, "cat", "/sys/class/net/e0/address"]).trim();
  return macFrom(Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16)));
}

describe.skipIf(missing !== undefined)(`adverts on the wire${skipped}`, () => {
  test("55–79, 91–95 · row by row: a backup takes over in spite of what is to be dropped, a master stands by; what is right is obeyed by both", async () => {
    const site = await Site.open(["a"]);
    let injector: Injector | undefined;
    let daemon: Daemon | undefined;
    try {
      injector = new Injector(site.namespaces.b);
      const mac = macIn(site.namespaces.a);
      const rows = ROWS.map((row, i) => {
        const placed = { vrid: i + 1, address: addressOf(row, i + 1), mac };
        return { ...row, name: `r${placed.vrid}`, placed, octets: row.frame(placed) };
      });
      const obeyed = rows.filter(({ drop }) => drop === undefined);
      const dropped = rows.filter(({ drop }) => drop !== undefined);
      injector.each(
        INTERVAL / 2,
        dropped.map(({ octets }) => octets),
      );
      const silence = injector.each(
        INTERVAL / 2,
        obeyed.map(({ octets }) => octets),
      );
      daemon = await Daemon.start(
        site.namespaces.a,
        rows.map((row) => configOf(row, row.placed)),
      );
      // The backup's oracle: who drops what it hears takes over. Version 2 takes the longest, 3.6 s.
      await daemon.is("those that hear nothing right are masters", (found) =>
        dropped.every(({ name, title, kind }) => waitsFor(`${kind}: ${title}`, found[name]?.state === "master")),
      );
      let found = await daemon.routers();
      for (const { name, title, kind } of obeyed) {
        const row = found[name];
        expect(row?.counters.advertsReceived, `${kind}: ${title}`).toBeGreaterThan(2);
        expect(row?.counters.dropped, `${kind}: ${title}`).toEqual({});
      }
      // As masters they yield to the first that is right.
      silence();
      await daemon.is("they are masters when it is silent", (now) =>
        obeyed.every(({ name }) => now[name]?.state === "master"),
      );
      for (const { octets } of obeyed) injector.send(octets);
      await daemon.is("they yield to it", (now) =>
        obeyed.every(({ name }) => now[name]?.state === "backup" && now[name]?.reason === "higher-priority"),
      );
      // Meanwhile the others were masters that heard what they have to drop.
      found = await daemon.routers();
      for (const { name, title, kind, drop } of dropped) {
        const row = found[name];
        const what = `${kind}: ${title}`;
        expect(row?.state, what).toBe("master");
        expect(row?.peers, what).toEqual([]);
        expect(row?.counters, what).toMatchObject({ advertsReceived: 0, masterTransitions: 1, asserts: 0 });
        const counted = drop === undefined || NOBODYS.has(drop) ? [] : [drop];
        expect(Object.keys(row?.counters.dropped ?? {}), what).toEqual(counted);
      }
      const said = saysSeldom(daemon);
      const reasons = new Set(dropped.flatMap(({ drop }) => (drop === "unheard" || drop === undefined ? [] : drop)));
      expect([...said].sort()).toEqual([...reasons].sort());
      expect(daemon.stderr).toBe("");
      expect(site.wire.of("bad-advert", "a")).toEqual([]);
      expect(unreadable(site.wire, "a")).toEqual([]);
    } catch (error) {
      if (error instanceof Error) error.message += `\nit waited for ${pending}\n${daemon?.stderr}`;
      throw error;
    } finally {
      injector?.close();
      await daemon?.close();
      await site.close();
    }
  });

  test("72 · 20,000 frames that are wrong somewhere change no state, break nothing, and are a bounded number of lines", async () => {
    const site = await Site.open(["a"]);
    let injector: Injector | undefined;
    let daemon: Daemon | undefined;
    try {
      injector = new Injector(site.namespaces.b);
      const backups = TARGETS.filter(({ name }) => name.startsWith("backup"));
      injector.each(INTERVAL / 2, backups.map(betterThan));
      const interval = `${INTERVAL}ms`;
      const files = TARGETS.map(({ name, vrid, addresses }) => ({ name, vrid, addresses, interval, interface: "e0" }));
      daemon = await Daemon.start(site.namespaces.a, files, false);
      await daemon.is("each is what its name says", inPlace);
      const before = await daemon.routers();
      const began = now();
      const mutants = new Mutants(0x5eed);
      let received = 0;
      while (received < 20_000) {
        for (let batch = 0; batch < 20; batch++) {
          for (let i = 0; i < 50; i++) injector.send(mutants.next());
          // The kernel keeps some 250 frames for a process that is not run just now.
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        const { interfaces } = (await daemon.host()) as unknown as {
          interfaces: readonly { readonly received: number }[];
        };
        received = interfaces[0]?.received ?? 0;
      }
      const seconds = (now() - began) / 1e6;
      const after = await daemon.routers();
      expect(inPlace(after)).toBe(true);
      for (const { name } of TARGETS) {
        const { counters, peers, reason } = after[name] ?? {};
        expect({ name, reason, transitions: counters?.masterTransitions }).toEqual({
          name,
          reason: before[name]?.reason,
          transitions: before[name]?.counters.masterTransitions,
        });
        // Nobody but the better router was believed.
        expect(peers?.map(({ address, priority }) => `${address} ${priority}`)).toEqual(
          backups.some((one) => one.name === name)
            ? [`${BETTER[TARGETS.find((one) => one.name === name)?.family ?? "ipv4"]} 200`]
            : [],
        );
        expect(counters?.asserts).toBe(0);
        const counted = Object.values(counters?.dropped ?? {}).reduce((sum, count) => sum + count, 0);
        expect(counted).toBeGreaterThan(1_000);
      }
      // cli/journal.ts: a line each ten seconds for one reason.
      const lines = daemon.stdout.split("\n").filter((line) => / dropped /.test(line));
      expect(lines.length).toBeGreaterThan(5);
      expect(lines.length).toBeLessThanOrEqual(REASONS * (1 + Math.ceil(seconds / 10)));
      expect(daemon.stdout.split("\n").length - lines.length).toBeLessThan(20);
      expect(daemon.stderr).toBe("");
      for (const { vrid, name } of TARGETS.filter((one) => !backups.includes(one))) {
        const times = site.wire
          .adverts("a")
          .flatMap(({ at, facts }) => (facts.vrid === vrid && at > began ? [at] : []));
        const gaps = times.slice(1).map((at, i) => at - (times[i] ?? at));
        // No backup's down timer would have fired.
        expect(Math.max(...gaps), `${name}: microseconds between two adverts`).toBeLessThan(3 * INTERVAL * 1_000);
        expect(times.length).toBeGreaterThan(Math.floor((seconds * 1_000) / INTERVAL / 2));
      }
      expect(unreadable(site.wire, "a")).toEqual([]);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${daemon?.stderr}\n${daemon?.stdout}`;
      throw error;
    } finally {
      injector?.close();
      await daemon?.close();
      await site.close();
    }
  });
});

/** Reasons for a drop that there are: docs/vrrp-reasons.md. */
const REASONS = 24;

function inPlace(routers: Readonly<Record<string, { readonly state: string }>>): boolean {
  return TARGETS.every(({ name }) => name.startsWith(routers[name]?.state ?? "-"));
}

/** For a failure's message. */
let pending = "";

function waitsFor(what: string, so: boolean): boolean {
  if (!so) pending = what;
  return so;
}

/** Drops of one interface and reason are said once a second at most. @returns the reasons */
function saysSeldom(daemon: Daemon): ReadonlySet<string> {
  const last = new Map<string, number>();
  const drops = daemon.lines.filter(({ type }) => type === "vrrp.drop");
  expect(drops.length).toBeGreaterThan(0);
  for (const line of drops) {
    const reason = String(line["reason"]);
    const at = Number(line["t"]);
    expect(at - (last.get(reason) ?? -2), reason).toBeGreaterThanOrEqual(1);
    last.set(reason, at);
  }
  return new Set(last.keys());
}
