import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../cli/control.ts";
import type { BundleStatus } from "../../../protocols/lacp/status.ts";
import { HAS_NFT, lacking, Peer, sh, until } from "./guarded.ts";
import { type Entry, endAll, hotpair, Running } from "./running.ts";

const MISSING = lacking() ?? (HAS_NFT ? undefined : "nft is not installed");
/** Two switches with three cables between them, and a host behind each. */
const ONE = `hplc${process.pid}a`;
const TWO = `hplc${process.pid}b`;
const CABLES = ["p1", "p2", "p3"] as const;
/** IEEE 802, "local experimental EtherType 1". */
const DATA = { ethertype: 0x88b5, groups: [] };
const LACP = { ethertype: 0x8809, groups: [Uint8Array.of(1, 0x80, 0xc2, 0, 0, 2)] };

let directory: string;
const fileOf = (name: string) => join(directory, name);

interface Given {
  readonly members?: readonly string[];
  readonly rate?: "fast" | "slow";
  readonly more?: string;
}

function write(node: string, { members = ["p1", "p2"], rate = "fast", more = "" }: Given = {}): string {
  const bundle = `{ name: agg1, members: [${members.join(", ")}], rate: ${rate}${more} }`;
  writeFileSync(fileOf(`${node}.yaml`), `node: ${node}\nbridge: { ports: [agg1, h0] }\nlacp:\n  - ${bundle}\n`);
  return fileOf(`${node}.yaml`);
}

async function start(ns: string, node: string, given: Given = {}): Promise<Running> {
  const running = Running.begin(ns, fileOf(`${node}.sock`), write(node, given));
  await running.answers();
  return running;
}

const carries =
  (port: string, reason = "carrying") =>
  (entry: Entry) =>
    entry.type === "lacp.port" && entry["port"] === port && entry["reason"] === reason;

async function agreed(...running: readonly Running[]): Promise<void> {
  for (const one of running) for (const port of ["p1", "p2"]) await one.until(carries(port));
}

async function bundleOf(running: Running): Promise<BundleStatus> {
  return (await running.row("agg1")) as unknown as BundleStatus;
}

const mastersOf = (ns: string, port: string) => /master (\S+)/.exec(sh(`ip -n ${ns} -o link show ${port}`))?.[1];

function numbered(sequence: number): Uint8Array {
  const frame = new Uint8Array(64);
  frame.set([0x02, 0, 0, 0, 0, 0x11, 0x02, 0, 0, 0, 0, 0x22, 0x88, 0xb5]);
  new DataView(frame.buffer).setUint32(14, sequence);
  return frame;
}

const numbersOf = ({ heard }: Peer) =>
  heard.map(({ frame }) => new DataView(frame.buffer, frame.byteOffset).getUint32(14));

/** A thousand frames a second from the host behind the second switch to the one behind the first. */
class Traffic {
  readonly source = new Peer(TWO, "h1", []);
  readonly host = new Peer(ONE, "h1", [DATA]);
  readonly wires = CABLES.map((cable) => new Peer(ONE, cable, [DATA]));
  sent = 0;
  private readonly timer = setInterval(() => this.source.send(numbered(++this.sent)), 1);

  /** Until the host has heard so many more. */
  async flows(count = 50): Promise<void> {
    const enough = this.host.heard.length + count;
    await until(() => this.host.heard.length >= enough);
  }

  end(): void {
    clearInterval(this.timer);
    for (const one of [this.source, this.host, ...this.wires]) one.close();
  }
}

describe.skipIf(MISSING !== undefined)(
  `bundles that are operated${MISSING === undefined ? "" : `: ${MISSING}`}`,
  () => {
    let traffic: Traffic | undefined;

    beforeAll(() => {
      for (const ns of [ONE, TWO]) sh(`ip netns add ${ns}; ip -n ${ns} link set lo up`);
    });

    afterAll(() => {
      for (const ns of [ONE, TWO]) spawnSync("ip", ["netns", "del", ns]);
    });

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), "hotpair-"));
      for (const cable of CABLES) sh(`ip -n ${ONE} link add ${cable} type veth peer name ${cable} netns ${TWO}`);
      for (const ns of [ONE, TWO]) {
        sh(`ip -n ${ns} link add h0 type veth peer name h1`);
        for (const name of [...CABLES, "h0", "h1"]) sh(`ip -n ${ns} link set ${name} up`);
      }
    });

    afterEach(async () => {
      traffic?.end();
      traffic = undefined;
      await endAll();
      for (const ns of [ONE, TWO]) {
        for (const name of [...CABLES, "h0"]) spawnSync("ip", ["-n", ns, "link", "del", name]);
      }
      rmSync(directory, { recursive: true, force: true });
    });

    test("status: a table for people, one JSON object a bundle", async () => {
      const [sw1, sw2] = [await start(ONE, "sw1"), await start(TWO, "sw2", { rate: "slow" })];
      await agreed(sw1, sw2);
      const table = hotpair(ONE, "status", sw1.socket);
      expect(table).toMatchObject({ code: 0, stderr: "" });
      expect(table.stdout).toMatch(/^agg1\s+up\s+member-joined\s+\S+\s+2 of 2\s+\S+\s+1\s+fast\s+\S+ key 1$/m);
      expect(table.stdout).toMatch(/^ {4}a partner that falls silent with carrier is believed for 3s$/m);
      expect(table.stdout).toMatch(/it asks for slow LACPDUs/);
      expect(table.stdout).toMatch(
        /^ {4}p1: carrying for \S+, current, distributing, 10000 Mb\/s, heard \S+ ago, its port 1$/m,
      );
      const lines = hotpair(TWO, "status", sw2.socket, "--json").stdout.trimEnd().split("\n");
      const [bundle, host] = lines.map((line) => JSON.parse(line) as Json);
      expect(lines).toHaveLength(2);
      expect(bundle).toMatchObject({
        ...{ node: "sw2", type: "lacp.bundle", name: "agg1", up: true, members: 2, rate: "slow", exposure: 90 },
        ports: [
          { port: "p1", up: true, speed: 1e10, duplex: "full", reason: "carrying", partnerPort: 1 },
          { port: "p2", partner: expect.arrayContaining(["short-timeout", "in-sync", "collecting"]) },
        ],
      });
      expect(host).toMatchObject({ type: "host" });
      const before = sw1.entries.length;
      sh(`ip -n ${TWO} link set p2 down`);
      await sw1.until(carries("p2", "link-down"), before);
      expect(await bundleOf(sw1)).toMatchObject({ members: 1, reason: "member-left", ports: [{}, { up: false }] });
    });

    test("reload: a link comes and goes, the others carry on, and the kernel's bridge has what is in the file", async () => {
      const [sw1, sw2] = [await start(ONE, "sw1"), await start(TWO, "sw2", { members: [...CABLES] })];
      await agreed(sw1, sw2);
      traffic = new Traffic();
      await traffic.flows();
      const before = sw1.entries.length;
      write("sw1", { members: [...CABLES] });
      const words = "agg1: members p1 p2 → p1 p2 p3";
      expect(hotpair(ONE, "reload", "--dry-run", sw1.socket)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(words),
      });
      expect(mastersOf(ONE, "p3")).toBeUndefined();
      expect(hotpair(ONE, "reload", sw1.socket)).toMatchObject({ code: 0 });
      await sw1.until(carries("p3"));
      await sw2.until(carries("p3"));
      expect(mastersOf(ONE, "p3")).toBe("vlan1");
      const reloaded = sw1.entries.length;
      const heard = sw2.entries.length;
      write("sw1", { rate: "slow", more: ", min-links: 2" });
      expect(hotpair(ONE, "reload", sw1.socket)).toMatchObject({ code: 0 });
      // Its partner is told, and nothing of it is left.
      expect(await sw1.until(carries("p3", "removed"), reloaded)).toMatchObject({ mux: "detached" });
      await sw2.until(carries("p3", "partner-out-of-sync"), heard);
      expect(mastersOf(ONE, "p3")).toBeUndefined();
      const rules = () => sh(`ip netns exec ${ONE} nft list table bridge hotpair-sw1-bridge`);
      await until(() => !rules().includes('"p3"'));
      expect(rules()).toMatch(/set distributing \{[^}]*"p1",\s*"p2"/);
      expect(await bundleOf(sw1)).toMatchObject({ rate: "slow", exposure: 90, members: 2, up: true });
      await traffic.flows();
      // Not for a moment has a reload had p1 or p2 do anything else than carry.
      const others = sw1.entries.slice(before).filter(({ type, port }) => type === "lacp.port" && port !== "p3");
      expect(others.filter(({ reason }) => reason !== "carrying")).toEqual([]);
      const numbers = numbersOf(traffic.host);
      const last = numbers.at(-1) ?? 0;
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => last - numbers.length + 1 + i));
      expect(hotpair(ONE, "reload", sw1.socket).stdout).toBe("no change\n");
    });

    test("reload: bundles come to a node that has none, and a bundle leaves with its links", async () => {
      const sw2 = await start(TWO, "sw2");
      writeFileSync(fileOf("sw1.yaml"), "node: sw1\n");
      const sw1 = Running.begin(ONE, fileOf("sw1.sock"), fileOf("sw1.yaml"));
      await sw1.answers();
      write("sw1");
      expect(hotpair(ONE, "reload", sw1.socket)).toMatchObject({ code: 0 });
      await agreed(sw1, sw2);
      const from = sw2.entries.length;
      writeFileSync(fileOf("sw1.yaml"), "node: sw1\nbridge: { ports: [h0] }\nlacp: []\n");
      const { stdout, code } = hotpair(ONE, "reload", sw1.socket);
      expect([code, stdout]).toEqual([0, expect.stringMatching(/^agg1: leaves$[\s\S]*^bridge: agg1 leaves$/m)]);
      for (const port of ["p1", "p2"]) await sw2.until(carries(port, "partner-out-of-sync"), from);
      expect([mastersOf(ONE, "p1"), mastersOf(ONE, "h0")]).toEqual([undefined, "vlan1"]);
      expect(hotpair(ONE, "explain", sw1.socket, "agg1")).toMatchObject({ code: 2 });
    });

    test.each(["SIGTERM", "stop", "drain"])(
      "%s: partners are told first, and what they have sent till then arrives",
      async (how) => {
        const [sw1, sw2] = [await start(ONE, "sw1", { rate: "slow" }), await start(TWO, "sw2", { rate: "slow" })];
        await agreed(sw1, sw2);
        traffic = new Traffic();
        await traffic.flows();
        const from = sw2.entries.length;
        if (how === "SIGTERM") sw1.child.kill("SIGTERM");
        else expect(await sw1.ask(how)).toMatchObject({ ok: true });
        expect(await sw1.ended).toMatchObject({ code: how === "SIGTERM" ? 143 : 0 });
        for (const port of ["p1", "p2"]) await sw2.until(carries(port, "partner-out-of-sync"), from);
        expectNothingLost(traffic);
        expect(sh(`ip -n ${ONE} -br link`)).not.toContain("vlan1");
        expect(sh(`ip netns exec ${ONE} nft list ruleset`)).toBe("");
      },
    );

    test.each([
      ["SIGTERM", "priority-zero"],
      ["drain", "preempt"],
    ])("%s: what speaks over a bundle says goodbye before its links are drained", async (how, reason) => {
      const running: Running[] = [];
      for (const [ns, node, priority] of [
        [ONE, "sw1", 150],
        [TWO, "sw2", 100],
      ] as const) {
        const file = write(node, { rate: "slow", members: ["p1"] });
        const router = `{ interface: vlan1, vrid: 7, priority: ${priority}, interval: 100ms, addresses: [192.0.2.254/24] }`;
        appendFileSync(file, `vrrp:\n  - ${router}\n`);
        const one = Running.begin(ns, fileOf(`${node}.sock`), file, undefined, "--wait");
        await one.answers();
        await until(() => spawnSync("ip", ["-n", ns, "link", "show", "vlan1"]).status === 0);
        sh(`ip -n ${ns} address add 192.0.2.${priority}/24 dev vlan1`);
        running.push(one);
      }
      const [sw1, sw2] = running as [Running, Running];
      await Promise.all(running.map((one) => one.until(carries("p1"))));
      // Each may have been master before the links carried.
      while ((await sw1.row("vlan1-7"))["state"] !== "master" || (await sw2.row("vlan1-7"))["state"] !== "backup")
        await new Promise((resolve) => setTimeout(resolve, 20));
      const from = sw2.entries.length;
      if (how === "drain") expect(await sw1.ask("drain")).toMatchObject({ ok: true, kept: [] });
      else sw1.child.kill("SIGTERM");
      expect(await sw2.state(7, "master", from)).toMatchObject({ reason });
      await sw1.ended;
      await sw2.until(carries("p1", "partner-out-of-sync"), from);
    });

    test("kill -9: the partner is told at once, not after 90 s, and what it has sent till then arrives once", async () => {
      const [sw1, sw2] = [await start(ONE, "sw1", { rate: "slow" }), await start(TWO, "sw2", { rate: "slow" })];
      await agreed(sw1, sw2);
      traffic = new Traffic();
      await traffic.flows();
      const from = sw2.entries.length;
      const ear = new Peer(TWO, "p1", [LACP]);
      const killed = performance.now();
      sw1.child.kill("SIGKILL");
      await sw1.ended;
      // SYNC, COLLECTING and DISTRIBUTING are cleared in its last word.
      const last = await ear.hears((frame) => frame[14] === 1 && ((frame[32] ?? 0) & 0x38) === 0);
      ear.close();
      for (const port of ["p1", "p2"]) await sw2.until(carries(port, "partner-out-of-sync"), from);
      expect(last.at - killed).toBeLessThan(3_000);
      await until(() => !sh(`ip -n ${ONE} -br link`).includes("vlan1"));
      await until(() => sh(`ip netns exec ${ONE} nft list ruleset`) === "");
      expectNothingLost(traffic);
    });

    test("sends from the address that its interface has: after a change, and when the interface comes later", async () => {
      const mac = "02:00:00:00:00:77";
      const isFrom = (frame: Uint8Array) => frame[6] === 2 && frame[11] === 0x77;
      const sw1 = await start(ONE, "sw1");
      const ear = new Peer(TWO, "p1", [LACP]);
      sh(`ip -n ${ONE} link set p1 address ${mac}`);
      await ear.hears(isFrom);
      ear.close();
      const before = sw1.entries.length;
      sh(`ip -n ${ONE} link del p2`);
      await sw1.until(carries("p2", "link-down"), before);
      sh(`ip -n ${ONE} link add p2 address ${mac} type veth peer name p2 netns ${TWO}`);
      const other = new Peer(TWO, "p2", [LACP]);
      sh(`ip -n ${ONE} link set p2 up; ip -n ${TWO} link set p2 up`);
      await other.hears(isFrom);
      other.close();
    });
  },
);

/** All that came in by a cable was handed on, each once. */
function expectNothingLost({ host, wires }: Traffic): void {
  const arrived = wires.flatMap(numbersOf).sort((a, b) => a - b);
  expect(arrived.length).toBeGreaterThan(50);
  expect(numbersOf(host)).toEqual(arrived);
}
