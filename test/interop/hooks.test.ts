/** Hooks and scripts that misbehave, beside a daemon at 20 ms that has none: on the wire the two are to look the same. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { lacking } from "./support/lacking.ts";
import { Site } from "./support/site.ts";
import type { Plan, Speaker } from "./support/speakers.ts";
import { now, type Station } from "./support/wire.ts";

const missing = lacking();
const HOTPAIR = fileURLToPath(new URL("../../cli/hotpair.mjs", import.meta.url));
/** Milliseconds. */
const INTERVAL = 20;
/** Adverts that are looked at. */
const ROUNDS = 300;
/** By which the two may differ on a machine that has much else to do: a daemon that waits itself is late in a third. */
const MARGIN = 0.05;

/** A hook and a script each; none ends by itself but the last. */
const NUISANCES = {
  hangs: "/bin/sh -c 'exec sleep 1000'",
  floods: "/bin/sh -c 'exec yes everything is awful'",
  fails: "/bin/sh -c 'echo no such host; exit 3'",
} as const;
const NAMES = Object.keys(NUISANCES) as (keyof typeof NUISANCES)[];

/** A fast router, and three slow ones for the hooks; VRIDs and addresses from `first` on. */
function plan(first: number, bad: boolean): Plan {
  const scripts = NAMES.map((name) => ({ name, run: NUISANCES[name], interval: "50ms", timeout: "200ms", weight: -1 }));
  return {
    vrid: first,
    version: 3,
    priority: 150,
    interval: INTERVAL,
    addresses: [`10.99.0.${first}/24`],
    preempt: true,
    virtualMac: true,
    more: bad ? { track: { scripts } } : {},
    others: NAMES.map((name, i) => ({
      name,
      interface: "e0",
      vrid: first + 1 + i,
      addresses: [`10.99.0.${first + 1 + i}/24`],
      ...(bad ? { notify: { run: NUISANCES[name], timeout: "1h" } } : {}),
    })),
  };
}

/** Kernel's times of the fast router's adverts since then. */
function times(site: Site, from: Station, vrid: number, since: number): number[] {
  return site.wire.adverts(from).flatMap(({ facts, at }) => (facts.vrid === vrid && at >= since ? [at] : []));
}

/** How many of the gaps between them are longer than an interval and a half, 0 to 1. */
function late(...of: Parameters<typeof times>): number {
  const all = times(...of);
  const gaps = all.slice(1).map((at, i) => at - (all[i] ?? at));
  return gaps.filter((gap) => gap > 1_500 * INTERVAL).length / gaps.length;
}

function status({ socket }: Speaker): string {
  return spawnSync(process.execPath, [HOTPAIR, "status", socket], { encoding: "utf8" }).stdout;
}

describe.skipIf(missing !== undefined)(
  `hooks and scripts that hang, flood and fail${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  () => {
    test("delay no advert, and are shown by status with what they wrote", async () => {
      const site = await Site.open();
      try {
        const plain = await site.start("b", "hotpair", plan(71, false));
        await site.wire.advert("b");
        const bad = await site.start("a", "hotpair", plan(51, true));
        // The slow routers are master: by then hooks have been told.
        await site.wire.advert("a", ({ vrid }) => vrid === 54);
        const since = now();
        await site.wire.rounds("a", ROUNDS / 2);
        await site.wire.rounds("a", ROUNDS / 2);
        const shown = status(bad);
        expect(status(plain)).not.toMatch(/hook of|^script/m);
        // Of a process that waits for a program, or reads all that one writes, there would be one for each run.
        expect(times(site, "a", 51, since).length).toBeGreaterThan(ROUNDS / 2);
        expect(late(site, "a", 51, since)).toBeLessThanOrEqual(late(site, "b", 71, since) + MARGIN);
        expect(shown).toMatch(/^script hangs: down \(no answer within 200ms\)/m);
        expect(shown).toMatch(/^script floods: down \(no answer within 200ms\).*\n +it wrote: everything is awful/m);
        expect(shown).toMatch(/^script fails: down \(exit code 3\).*\n +it wrote: no such host/m);
        expect(shown).toMatch(/^ +tracks script fails is down \(exit code 3\), weight -1: -1/m);
        expect(shown).toMatch(/^hook of hangs: 0 told, .* is being told \(attempt 1\)/m);
        expect(shown).toMatch(/^hook of floods: 0 told, .* is being told \(attempt 1\)/m);
        const failure =
          /^hook of fails: 0 told, .*\n +last failure .*: INSTANCE fails \w+, attempt \d: exit code 3, .*\n/m;
        expect(shown).toMatch(failure);
      } finally {
        await site.close();
      }
    });
  },
);
