/** What goes wrong around a bundle: partners that talk nonsense, a daemon that is killed, operators who change things. */
import { describe, expect, test } from "vitest";
import { LINES } from "../../cli/ration.ts";
import { createRng } from "../../src/core/rng.ts";
import { fuzzed, Hostile } from "./support/hostile.ts";
import { lacking } from "./support/lacking.ts";
import { end, ipBatch, sh, until } from "./support/namespaces.ts";
import type { Stream } from "./support/stream.ts";
import { BRIDGE, PARTNER, SPARE, TABLE, Trunk } from "./support/trunk.ts";
import { now } from "./support/wire.ts";

const missing = lacking("tshark", "nft", "ovs-vswitchd");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;
const CHANGES = 200;
const FUZZED = 20_000;
/** Lines of one kind that the log may have of a partner that says something else each time, however often it does. */
const MOST = 2 * LINES;
/** Milliseconds. */
const GONE = 3_000;

describe.skipIf(missing !== undefined)(`a bundle in trouble${skipped}`, () => {
  test("a partner that is another system each time costs a bounded number of lines, and the other link nothing", () =>
    Trunk.run(SPARE, async (trunk) => {
      await trunk.carry(["1"]);
      const hostile = new Hostile(trunk, "2");
      try {
        const streams = await passing(trunk);
        await until("hotpair speaks on the link", () => trunk.lacpdus("ours", "2").length > 0);
        const line = trunk.daemon.lines.length;
        const systems = Array.from({ length: CHANGES }, (_, i) => `02:66:00:00:00:${i.toString(16).padStart(2, "0")}`);
        await hostile.say(
          systems.map((system) => hostile.agreeing(system)),
          1,
        );
        expect((await trunk.explain("p2")).reason).toBe("other-partner");
        await undisturbed(trunk, streams, line);
        // It says nothing more: what became of it is in the log, although much before that is not.
        await trunk.are({ 1: "carrying", 2: "no-partner" });
      } finally {
        hostile.close();
      }
    }));

  test(`${FUZZED} LACPDUs with fields made anew cost a bounded number of lines, and the other link nothing`, () =>
    Trunk.run(SPARE, async (trunk) => {
      await trunk.carry(["1"]);
      const hostile = new Hostile(trunk, "2");
      try {
        const streams = await passing(trunk);
        await until("hotpair speaks on the link", () => trunk.lacpdus("ours", "2").length > 0);
        const line = trunk.daemon.lines.length;
        const rng = createRng(20_260);
        const sample = hostile.agreeing("02:66:00:00:00:01");
        const before = await received(trunk);
        await hostile.say(
          Array.from({ length: FUZZED }, () => fuzzed(sample, rng, PARTNER)),
          50,
        );
        const after = await received(trunk);
        expect(after.received - before.received + after.dropped - before.dropped).toBeGreaterThan(0.9 * FUZZED);
        await undisturbed(trunk, streams, line);
      } finally {
        hostile.close();
      }
    }));

  test("a link alone with a partner that is another system each time costs a bounded number of lines, too", () =>
    Trunk.run({}, async (trunk) => {
      const hostile = new Hostile(trunk, "2");
      try {
        await until("hotpair speaks on the link", () => trunk.lacpdus("ours", "2").length > 0);
        const line = trunk.daemon.lines.length;
        const systems = Array.from({ length: CHANGES }, (_, i) => `02:66:00:00:00:${i.toString(16).padStart(2, "0")}`);
        for (const system of systems) await hostile.say([hostile.agreeing(system)], 1);
        await trunk.are({ 2: "no-partner" });
        bounded(trunk, line);
      } finally {
        hostile.close();
      }
    }));

  test("killed, it leaves neither bridge nor rules behind and nothing of others changed, and starts anew", () => {
    let before = "";
    const others = (trunk: Trunk) => {
      ipBatch(trunk.near, [
        "link add br9 type bridge",
        "link add name own type veth peer name own2",
        "link set own master br9",
      ]);
      nft(trunk, "table bridge operator { chain forward { type filter hook forward priority 10; accept; }; }");
      before = kernelOf(trunk);
    };
    return Trunk.run({ bond: {}, before: others }, async (trunk) => {
      await trunk.carry();
      await passing(trunk);
      const killed = performance.now();
      end(trunk.daemon.pid, "SIGKILL");
      await until("bridge and rules are gone", () => kernelOf(trunk) === before);
      expect(performance.now() - killed).toBeLessThanOrEqual(GONE);
      await trunk.restart();
      await trunk.carry();
      await passing(trunk);
      await trunk.daemon.stop();
      await until("its guardian has gone", () => trunk.quiet());
      expect(kernelOf(trunk)).toBe(before);
    });
  });

  test.each(["stopped", "killed"])("%s, it leaves a bridge that was there before as it was", (how) => {
    let before = "";
    const theirs = (trunk: Trunk) => {
      ipBatch(trunk.near, [
        `link add ${BRIDGE} type bridge ageing_time 7700 stp_state 0`,
        `link set ${BRIDGE} addrgenmode none up`,
        ...["p1", "p2", "host"].map((port) => `link set ${port} master ${BRIDGE}`),
      ]);
      before = kernelOf(trunk);
    };
    return Trunk.run({ bond: {}, before: theirs }, async (trunk) => {
      await trunk.carry();
      const streams = await passing(trunk);
      for (const one of streams) await one.stop();
      for (const one of streams) expect(one.count()).toMatchObject({ duplicated: 0, returned: 0 });
      if (how === "killed") end(trunk.daemon.pid, "SIGKILL");
      else await trunk.daemon.stop();
      await until("its guardian has gone", () => trunk.quiet());
      expect(kernelOf(trunk)).toBe(before);
    });
  });

  test("puts rules back that somebody flushes, as they were", () =>
    Trunk.run(SPARE, async (trunk) => {
      await trunk.carry(["1"]);
      await trunk.are({ 2: "no-partner" });
      const streams = await passing(trunk);
      const rules = () =>
        sh("ip", ["netns", "exec", trunk.near, "nft", "-s", "list", "ruleset"]).replaceAll(/\s+/g, " ");
      const before = rules();
      sh("ip", ["netns", "exec", trunk.near, "nft", "flush", "ruleset"]);
      await until("they are back", () => rules() === before);
      await trunk.daemon.says(new RegExp(`table bridge ${TABLE} was removed by somebody; it is put back`));
      for (const one of streams) await one.arrives();
      for (const one of streams) expect(one.count()).toMatchObject({ duplicated: 0, returned: 0 });
    }));

  test("makes a bridge anew that somebody deletes, and puts ports back that somebody takes out", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const streams = await passing(trunk);
      const whole = portsOf(trunk);
      for (const deed of [`link del ${BRIDGE}`, ...["p1", "p2", "host"].map((port) => `link set ${port} nomaster`)]) {
        ipBatch(trunk.near, [deed]);
        await until(`it is put right: ${deed}`, () => portsOf(trunk) === whole);
        for (const one of streams) await one.arrives();
      }
      for (const one of streams) await one.stop();
      for (const one of streams) expect(one.count()).toMatchObject({ duplicated: 0, returned: 0 });
    }));

  test("says of a port that somebody puts into another bridge that it is there, and leaves it", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const streams = await passing(trunk);
      ipBatch(trunk.near, ["link add br9 type bridge", "link set br9 addrgenmode none up", "link set p1 master br9"]);
      await trunk.daemon.says(/^p1: it is a port of br9: it is left as it is/m);
      const begin = now();
      for (const one of streams) await one.goesOn(300);
      for (const one of streams) expect(one.count(begin)).toMatchObject({ duplicated: 0, returned: 0 });
      expect(sh("ip", ["-n", trunk.near, "-o", "link", "show", "dev", "p1"])).toContain(" master br9 ");
    }));
});

/** Streams either way that arrive. */
async function passing(trunk: Trunk): Promise<readonly Stream[]> {
  const streams = trunk.bothWays();
  for (const one of streams) await one.arrives();
  return streams;
}

/** The first link has not noticed anything since that line; the second has cost no more than a few. */
async function undisturbed(trunk: Trunk, streams: readonly Stream[], line: number): Promise<void> {
  for (const one of streams) {
    await one.stop();
    expect(one.count()).toMatchObject({ lost: 0, duplicated: 0, returned: 0 });
  }
  expect(trunk.events("1", line).filter(({ reason }) => reason !== "carrying")).toEqual([]);
  bounded(trunk, line);
}

/** Since that line the log has said only so much of each kind, and nothing was wrong but that there would have been more. */
function bounded({ daemon }: Trunk, line: number): void {
  const kinds = new Map<string, number>();
  for (const { type, port } of daemon.lines.slice(line)) {
    const kind = `${type} ${String(port)}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  for (const [kind, count] of kinds) expect(count, kind).toBeLessThanOrEqual(MOST);
  const strange = daemon.stderr.split("\n").filter((text) => text !== "" && !text.includes(" more lines in 10 s, "));
  expect(strange).toEqual([]);
}

/** What came in by the second link. */
async function received(trunk: Trunk): Promise<{ readonly received: number; readonly dropped: number }> {
  const { interfaces } = (await trunk.daemon.host()) as {
    readonly interfaces?: readonly {
      readonly interface: string;
      readonly received: number;
      readonly dropped: number;
    }[];
  };
  return interfaces?.find((one) => one.interface === "p2") ?? { received: 0, dropped: 0 };
}

function nft({ near }: Trunk, text: string): void {
  sh("ip", ["netns", "exec", near, "nft", "-f", "-"], text);
}

/** Devices with their bridges, how ports of bridges are set, and rules. */
function kernelOf({ near }: Trunk): string {
  const links = JSON.parse(sh("ip", ["-n", near, "-d", "-j", "link", "show"])) as readonly Link[];
  const rules = sh("ip", ["netns", "exec", near, "nft", "-s", "list", "ruleset"]);
  const plain = links.map(({ ifname, master, group, linkinfo }) => {
    const { info_kind: kind, info_slave_data: { flood, mcast_flood, bcast_flood, learning, state } = {} } =
      linkinfo ?? {};
    const ageing = linkinfo?.info_data?.ageing_time;
    return { ifname, master, group, kind, ageing, flood, mcast_flood, bcast_flood, learning, state };
  });
  return JSON.stringify({ links: plain, rules });
}

interface Link {
  readonly ifname: string;
  readonly master?: string;
  readonly group?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly ageing_time?: number };
    readonly info_slave_data?: {
      readonly flood?: boolean;
      readonly mcast_flood?: boolean;
      readonly bcast_flood?: boolean;
      readonly learning?: boolean;
      readonly state?: string;
    };
  };
}

/** Of the bridge: its ports, and which of them have the floods. */
function portsOf({ near }: Trunk): string {
  const links = JSON.parse(sh("ip", ["-n", near, "-d", "-j", "link", "show"])) as readonly Link[];
  const ports = links.filter(({ master }) => master === BRIDGE);
  return JSON.stringify(ports.map(({ ifname, linkinfo }) => [ifname, linkinfo?.info_slave_data?.bcast_flood]));
}
