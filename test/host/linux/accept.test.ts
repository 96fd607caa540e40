/** RFC 9568 §6.1, Accept_Mode, on real interfaces: a client beyond a bridge, two routers on it, a host behind the first. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../cli/control.ts";
import { HAS_NFT, lacking, sh, until } from "./guarded.ts";
import { endAll, HOTPAIR, hotpair, Running } from "./running.ts";

const HAS_PING = spawnSync("ping", ["-V"]).error === undefined;
const MISSING = lacking() ?? (HAS_NFT ? undefined : "nft is not installed") ?? (HAS_PING ? undefined : "no ping");
const CLIENT = `hpac${process.pid}c`;
const ONE = `hpac${process.pid}a`;
const TWO = `hpac${process.pid}b`;
const FAR = `hpac${process.pid}f`;
const ALL = [CLIENT, ONE, TWO, FAR];

const FOUR = "192.0.2.254";
const SIX = "2001:db8:2::fe";
const LINK = "fe80::51";
/** As the client says them. */
const VIRTUAL = [FOUR, SIX, `${LINK}%br0`];
/** The rules of somebody else. */
const OTHERS = "table inet other { chain input { type filter hook input priority 0; }; }";
const BEYOND = ["198.51.100.9", "2001:db8:3::9"];

let directory: string;

/** A router of each family. */
function routers(more: string, four: readonly string[] = [FOUR]): readonly string[] {
  const own = `interface: d0, vrid: 51, interval: 100ms, ${more}`;
  return [
    `{ name: four, ${own}, addresses: [${four.map((one) => `${one}/24`).join(", ")}] }`,
    `{ name: six, ${own}, addresses: ["${LINK}/64", "${SIX}/64"] }`,
  ];
}

function write(node: string, lines: readonly string[]): string {
  const file = join(directory, `${node}.yaml`);
  const list = lines.length === 0 ? " []\n" : `\n${lines.map((one) => `  - ${one}\n`).join("")}`;
  writeFileSync(file, `node: ${node}\nvrrp:${list}`);
  return file;
}

async function start(ns: string, node: string, lines: readonly string[], path?: string): Promise<Running> {
  return Running.start(ns, join(directory, `${node}.sock`), write(node, lines), path);
}

/** Resolves when both of its routers are master. */
async function reigns(running: Running): Promise<void> {
  for (const family of ["ipv4", "ipv6"]) {
    await running.until((entry) => entry["family"] === family && entry["to"] === "master");
  }
}

function reload(running: Running, node: string, lines: readonly string[]): string {
  write(node, lines);
  const { code, stdout, stderr } = hotpair(ONE, "reload", running.socket);
  expect(code, stderr).toBe(0);
  return stdout;
}

/** How many of three requests are answered. */
function answers(ns: string, address: string): number {
  const { stdout } = spawnSync("ip", ["netns", "exec", ns, ..."ping -q -n -c 3 -i 0.05 -W 0.3".split(" "), address]);
  return received(stdout.toString());
}

function received(text: string): number {
  const found = /(\d+) received/.exec(text)?.[1];
  if (found === undefined) throw new Error(`ping said: ${text}`);
  return Number(found);
}

function all(ns: string, addresses: readonly string[]): readonly number[] {
  return addresses.map((address) => answers(ns, address));
}

function ruleset(ns: string): string {
  return sh(`ip netns exec ${ns} nft list ruleset`);
}

/** Packets that the table's rules have dropped. */
function dropped(ns: string, node: string, counter: "ipv4" | "ipv6"): number {
  const text = sh(`ip netns exec ${ns} nft list counter inet hotpair-${node} ${counter} 2>&1 || true`);
  return Number(/packets (\d+)/.exec(text)?.[1] ?? 0);
}

/** A client that asks a thousand times a second, until it is told to stop and says how often it was answered. */
function asking(address: string): { stop(): Promise<number> } {
  const words = ["netns", "exec", CLIENT, "ping", "-q", "-n", "-i", "0.001", address];
  const child = spawn("ip", words, { stdio: ["ignore", "pipe", "ignore"] });
  let said = "";
  child.stdout.on("data", (octets: Buffer) => {
    said += octets.toString();
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  return {
    stop: async () => {
      child.kill("SIGINT");
      await ended;
      return received(said);
    },
  };
}

function lay(): void {
  for (const ns of ALL) {
    // No test for duplicates: link-local addresses are there at once.
    const off = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad";
    sh(`ip netns add ${ns}; ip netns exec ${ns} sh -c '${off}'; ip -n ${ns} link set lo up`);
  }
  sh(`ip -n ${CLIENT} link add br0 type bridge; ip -n ${CLIENT} link set br0 up`);
  for (const [ns, host] of [
    [ONE, 1],
    [TWO, 2],
  ] as const) {
    sh(`
      ip -n ${CLIENT} link add p${host} type veth peer name d0 netns ${ns}
      ip -n ${CLIENT} link set p${host} master br0 up
      ip -n ${ns} addr add 192.0.2.${host}/24 dev d0
      ip -n ${ns} addr add 2001:db8:2::${host}/64 dev d0 nodad
      ip -n ${ns} link set d0 up
      ip netns exec ${ns} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'`);
  }
  sh(`
    ip -n ${ONE} link add w0 type veth peer name w0 netns ${FAR}
    ip -n ${ONE} addr add 198.51.100.1/24 dev w0; ip -n ${ONE} addr add 2001:db8:3::1/64 dev w0 nodad
    ip -n ${FAR} addr add 198.51.100.9/24 dev w0; ip -n ${FAR} addr add 2001:db8:3::9/64 dev w0 nodad
    ip -n ${ONE} link set w0 up; ip -n ${FAR} link set w0 up
    ip -n ${FAR} route add default via 198.51.100.1; ip -n ${FAR} route add default via 2001:db8:3::1
    ip -n ${CLIENT} addr add 192.0.2.9/24 dev br0; ip -n ${CLIENT} addr add 2001:db8:2::9/64 dev br0 nodad
    ip -n ${CLIENT} route add default via ${FOUR}; ip -n ${CLIENT} route add default via ${LINK} dev br0
    ip netns exec ${ONE} nft '${OTHERS}'`);
}

const title = `a virtual router that does not accept${MISSING === undefined ? "" : ` (skipped: ${MISSING})`}`;

describe.skipIf(MISSING !== undefined)(title, () => {
  let others = "";

  beforeAll(() => {
    lay();
    others = ruleset(ONE);
  });

  afterAll(() => {
    for (const ns of ALL) spawnSync("ip", ["netns", "del", ns]);
  });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "hotpair-accept-"));
    sh(`ip -n ${CLIENT} neigh flush dev br0`);
  });

  afterEach(async () => {
    await endAll();
    rmSync(directory, { recursive: true, force: true });
  });

  test.each([true, false])(
    "takes no packet for its addresses as master, from no side, and answers ARP and \
neighbour solicitations, forwards, and hears itself (RFC 9568 §6.4.3; virtual MAC: %s)",
    async (virtual) => {
      const one = await start(ONE, "gw1", routers(`virtual-mac: ${virtual}, accept: false`));
      await reigns(one);
      expect(all(CLIENT, VIRTUAL)).toEqual([0, 0, 0]);
      expect(all(FAR, [FOUR, SIX])).toEqual([0, 0]);
      expect(dropped(ONE, "gw1", "ipv4")).toBe(6);
      expect(dropped(ONE, "gw1", "ipv6")).toBe(9);
      expect(all(ONE, [FOUR, SIX])).toEqual([3, 3]);
      // What it sends itself comes from addresses that it accepts.
      expect(all(ONE, ["192.0.2.9", "2001:db8:2::9"])).toEqual([3, 3]);
      const neighbours = sh(`ip -n ${CLIENT} neigh`);
      const own = /link\/ether (\S+)/.exec(sh(`ip -n ${ONE} link show d0`))?.[1];
      expect(neighbours).toContain(`${FOUR} dev br0 lladdr ${virtual ? "00:00:5e:00:01:33" : own} `);
      for (const address of [SIX, LINK]) {
        const mac = virtual ? "00:00:5e:00:02:33" : own;
        expect(neighbours).toContain(`${address} dev br0 lladdr ${mac} `);
        // RFC 4861 §7.3.1: whether it is still there is asked of the address itself.
        sh(`ip -n ${CLIENT} neigh replace ${address} lladdr ${mac} nud probe dev br0`);
        await until(() => sh(`ip -n ${CLIENT} neigh show ${address}`).includes("REACHABLE"));
      }
      expect(all(CLIENT, BEYOND)).toEqual([3, 3]);
      const { rows } = (await one.ask("state")) as unknown as { rows: readonly Json[] };
      expect(rows.map(({ type, accept }) => [type, accept])).toEqual([
        ["vrrp.router", false],
        ["vrrp.router", false],
        ["firewall", undefined],
      ]);
      expect(hotpair(ONE, "status", one.socket).stdout).toContain(`holds ${FOUR}/24 (accept: false), `);
      one.child.kill("SIGTERM");
      await one.ended;
      expect(ruleset(ONE)).toBe(others);
    },
  );

  test.each([true, false])(
    "goes over to accepting and back when a reload says so, as the master that it is \
(virtual MAC: %s)",
    async (virtual) => {
      const say = (accept: boolean) => routers(`virtual-mac: ${virtual}, accept: ${accept}`);
      const one = await start(ONE, "gw1", say(true));
      await reigns(one);
      expect(all(CLIENT, VIRTUAL)).toEqual([3, 3, 3]);
      expect(ruleset(ONE)).toBe(others);
      const from = one.entries.length;
      expect(reload(one, "gw1", say(false))).toContain("accept true → false");
      expect(all(CLIENT, VIRTUAL)).toEqual([0, 0, 0]);
      expect(reload(one, "gw1", say(true))).toContain("accept false → true");
      await until(() => ruleset(ONE) === others);
      expect(all(CLIENT, VIRTUAL)).toEqual([3, 3, 3]);
      expect(sh(`ip -n ${ONE} -6 addr`)).not.toContain("deprecated");
      expect(one.entries.slice(from).filter(({ type }) => type === "vrrp.state")).toEqual([]);
      expect(one.stderr).toBe("");
    },
  );

  test("shields an address that a reload adds before it is there, and gives up the rule with the address", async () => {
    const one = await start(ONE, "gw1", routers("accept: false"));
    await reigns(one);
    const added = "192.0.2.253";
    const client = asking(added);
    reload(one, "gw1", routers("accept: false", [FOUR, added]));
    await until(() => dropped(ONE, "gw1", "ipv4") > 200);
    reload(one, "gw1", routers("accept: false"));
    await until(() => !ruleset(ONE).includes(added));
    expect(sh(`ip -n ${ONE} addr`)).not.toContain(added);
    expect(await client.stop()).toBe(0);
    expect(ruleset(ONE)).toContain(FOUR);
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "lets not one packet through when another takes over from it (%s)",
    async (signal) => {
      const one = await start(ONE, "gw1", routers("priority: 200, accept: false"));
      await reigns(one);
      const two = await start(TWO, "gw2", routers("priority: 100, accept: false"));
      const clients = VIRTUAL.map(asking);
      const passed = (ns: string, node: string) =>
        until(() => dropped(ns, node, "ipv4") > 200 && dropped(ns, node, "ipv6") > 400);
      await passed(ONE, "gw1");
      one.child.kill(signal);
      await reigns(two);
      await one.ended;
      await passed(TWO, "gw2");
      await until(() => ruleset(ONE) === others);
      expect(sh(`ip -n ${ONE} addr`)).not.toMatch(/192\.0\.2\.254|fe80::51|vr[46]\./);
      expect(await Promise.all(clients.map((client) => client.stop()))).toEqual([0, 0, 0]);
    },
  );

  test("leaves no rule behind when a reload takes it away", async () => {
    const one = await start(ONE, "gw1", routers("accept: false"));
    await reigns(one);
    const [four = ""] = routers("accept: false");
    reload(one, "gw1", [four]);
    await until(() => !sh(`ip -n ${ONE} addr`).includes(SIX) && !ruleset(ONE).includes(SIX));
    expect(ruleset(ONE)).toContain(FOUR);
    reload(one, "gw1", []);
    await until(() => !sh(`ip -n ${ONE} addr`).includes(FOUR));
    await until(() => ruleset(ONE) === others);
  });

  test("puts its rules back when somebody removes all that there are", async () => {
    const one = await start(ONE, "gw1", routers("accept: false"));
    await reigns(one);
    for (const _ of [1, 2]) {
      sh(`ip netns exec ${ONE} nft flush ruleset; ip netns exec ${ONE} nft '${OTHERS}'`);
      await until(() => ruleset(ONE).includes(SIX));
      expect(all(CLIENT, VIRTUAL)).toEqual([0, 0, 0]);
    }
    await one.untilSaid("table inet hotpair-gw1 was removed by somebody; it is put back");
    one.child.kill("SIGTERM");
    await one.ended;
    expect(ruleset(ONE)).toBe(others);
  });

  test("removes what an earlier process has left, also where nothing is to be dropped any more", async () => {
    sh(`ip netns exec ${ONE} nft 'table inet hotpair-gw1 { chain input { type filter hook input priority 0;
      ip daddr ${FOUR} drop; }; }'`);
    const one = await start(ONE, "gw1", routers("accept: true"));
    await reigns(one);
    expect(ruleset(ONE)).toBe(others);
    expect(answers(CLIENT, FOUR)).toBe(3);
  });

  test("is refused where there is no nft, with what to install; others run without it", async () => {
    const file = write("gw1", routers("accept: false"));
    const words = [process.execPath, HOTPAIR, "run", file, "--socket", join(directory, "gw1.sock")];
    const { status, stderr } = spawnSync("ip", ["netns", "exec", ONE, "env", `PATH=${directory}`, ...words], {
      encoding: "utf8",
    });
    expect(status).toBe(3);
    expect(stderr).toContain(
      "a router with accept: false needs nftables: there is no program nft: install the package",
    );
    expect(sh(`ip -n ${ONE} link`)).not.toContain("vr4.");
    const one = await start(ONE, "gw1", routers("accept: true"), directory);
    await reigns(one);
    write("gw1", [...routers("accept: false"), "{ interface: d0, vrid: 9, addresses: [192.0.2.99/24] }"]);
    const refused = hotpair(ONE, "reload", one.socket);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("install the package nftables") });
    const { rows } = (await one.ask("state")) as unknown as { rows: readonly Json[] };
    expect(rows.map(({ name, state, accept }) => [name, state, accept])).toEqual([
      ["four", "master", true],
      ["six", "master", true],
    ]);
    expect(answers(CLIENT, FOUR)).toBe(3);
  });
});
