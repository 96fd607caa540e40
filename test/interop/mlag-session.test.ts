/** An M-LAG pair on real interfaces, in network namespaces: the session, the keepalive, and what either's end means. */
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { CaptureReader } from "../../src/capture/read.ts";
import { replayPackets } from "../support/replay.ts";
import { Daemon } from "./support/daemon.ts";
import { lacking } from "./support/lacking.ts";
import { Pair, type PairOptions } from "./support/mlag-pair.ts";
import { end, processesIn, sh, until } from "./support/namespaces.ts";

const missing = lacking("tshark", "nft");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;
/** Lines that a refusal may make in two seconds: one a second and reason, and each attempt's own. */
const LINES = 12;

describe.skipIf(missing !== undefined)(`an M-LAG pair${skipped}`, () => {
  const FORMS: Readonly<Record<string, PairOptions>> = {
    "IPv4 that the kernel has not": {},
    "IPv4 that the kernel has, too": { kernel: true },
    "IPv6 that the kernel has not": { family: "ipv6" },
    "IPv6 that the kernel has, too": { family: "ipv6", kernel: true },
  };
  test.each(Object.entries(FORMS))("has both paths and its roles within 5 s, keepalive over %s", (_, options) =>
    Pair.run(options, async (pair) => {
      const peer = await pair.capture("a", "peer");
      const host = await pair.capture("b", "host");
      await pair.start("a", "b");
      await pair.settles();
      for (const side of ["a", "b"] as const) {
        const at = (type: string) => Number(pair.said(side, type)[0]?.["t"]);
        const started = at("command");
        for (const type of ["mlag.session", "mlag.keepalive", "mlag.role"]) expect(at(type) - started).toBeLessThan(5);
      }
      const role = { reason: "lower-priority", situation: "paired", alone: false };
      expect(await pair.pair("a")).toMatchObject({ state: "primary", ...role });
      expect(await pair.pair("b")).toMatchObject({ state: "secondary", ...role });
      expect(await pair.session("b")).toMatchObject({ state: "operational", dialect: "native", reason: "established" });
      // From here on both are there to be answered.
      const ka = await pair.capture("a", "ka");
      await pair.beats("a", 8);
      const octets = await peer.finish();
      await ka.finish();
      await host.finish();
      expect(ka.frames("udp.dstport == 3200").length).toBeGreaterThan(10);
      expect(ka.frames("icmp || icmpv6.type <= 4"), "a kernel's complaints").toEqual([]);
      expect(ka.frames("_ws.malformed")).toEqual([]);
      expect(peer.frames("tcp.port == 8888 && vlan.id == 4094").length).toBeGreaterThan(10);
      expect(peer.frames("vlan && vlan.id != 4094"), "frames of other VLANs").toEqual([]);
      expect(
        peer.frames("_ws.malformed || (tcp.analysis.retransmission && !tcp.flags.syn) || tcp.flags.reset == 1"),
      ).toEqual([]);
      expect(host.frames("vlan"), "what the bridge passes of it").toEqual([]);
      const seen = replayPackets(new CaptureReader().push(octets)) as unknown as { type: string; up?: boolean }[];
      expect(seen.filter(({ type }) => type === "iccp.session").map(({ up }) => up)).toEqual([true]);
      expect(seen.filter(({ type }) => type === "anomaly")).toEqual([]);
    }),
  );

  test("of equal priorities the one with the lower system MAC is primary; what is signed on both paths is believed", () => {
    const mlag = { priority: 7, authentication: [{ "key-id": 1, secret: "a secret of both of them" }] };
    return Pair.run({ mlag: { a: mlag, b: mlag } }, async (pair) => {
      await pair.start("a", "b");
      await pair.shows("a", "a role", ({ state }) => state !== "none");
      await pair.shows("b", "a role", ({ state }) => state !== "none");
      const [a, b] = [await pair.pair("a"), await pair.pair("b")];
      expect([a.state, b.state]).toEqual(a.system < b.system ? ["primary", "secondary"] : ["secondary", "primary"]);
      expect([a.reason, b.reason]).toEqual(["lower-mac", "lower-mac"]);
      expect(sh("ip", ["-n", pair.namespaces.a, "-o", "link"])).toContain(a.system);
      for (const side of ["a", "b"] as const) {
        await pair.shows(side, "keepalive", ({ keepalive }) => keepalive.up);
        expect(await pair.session(side)).toMatchObject({ state: "operational", signed: true });
        expect((await pair.pair(side)).counters.dropped).toEqual({});
      }
    });
  });

  test("nobody behind another port speaks in the control VLAN, and the bridge learns nothing from the peer link", () =>
    Pair.run({ more: { a: { bridge: { ports: ["agg1", "peer", "e0"] } } } }, async (pair) => {
      await pair.start("a", "b");
      await pair.settles();
      const peer = await pair.capture("b", "peer");
      // b's e0 is no port of its bridge: what is sent there comes in by e0 of a.
      const forged = "ffffffffffff02000000beef";
      pair.inject("b", "e0", `${forged}81000ffe88b5${"00".repeat(46)}`);
      pair.inject("b", "e0", `${forged}88b5${"00".repeat(46)}`);
      await until("what is no VLAN's is passed on", () => peer.sees("eth.src == 02:00:00:00:be:ef"));
      expect(peer.frames("eth.src == 02:00:00:00:be:ef", "vlan.id", "eth.type")).toEqual(["\t0x88b5"]);
      // Nor does what comes by the peer link there leave by another port. Where stations are the session tells.
      const beyond = await pair.capture("b", "e0");
      pair.inject("b", "peer", `ffffffffffff02000000bee181000ffe88b5${"00".repeat(46)}`);
      pair.inject("b", "peer", `ffffffffffff02000000bee288b5${"00".repeat(46)}`);
      await until("what is no VLAN's is passed on", () => beyond.sees("eth.src == 02:00:00:00:be:e2"));
      expect(beyond.sees("eth.src == 02:00:00:00:be:e1")).toBe(false);
      const learned = sh("bridge", ["-n", pair.namespaces.a, "fdb", "show", "dev", "peer"]);
      expect(learned).not.toMatch(/02:00:00:00:be:e[12]/);
    }));

  test("the keepalive's cable is cut, and back", () =>
    Pair.run({}, async (pair) => {
      await pair.start("a", "b");
      await pair.settles();
      pair.plug("ka", false);
      for (const side of ["a", "b"] as const) {
        await pair.shows(side, "no keepalive, and an alarm", ({ keepalive, alarms, session }) => {
          return !keepalive.up && session.up && alarms.some(({ alarm }) => alarm === "degraded");
        });
        expect((await pair.pair(side)).keepalive.reason).toBe("keepalive-link-down");
      }
      pair.plug("ka", true);
      await pair.settles();
      for (const side of ["a", "b"] as const) expect((await pair.pair(side)).alarms).toEqual([]);
      expect(pair.said("a", "mlag.session"), "the session has noticed nothing").toHaveLength(1);
    }));

  test("the peer link is cut while the keepalive is up: the secondary knows that the primary lives, and leaves it the hosts", () =>
    Pair.run({}, async (pair) => {
      await pair.start("a", "b");
      await pair.settles();
      pair.plug("peer", false);
      await pair.shows("b", "the peer is alive", ({ situation }) => situation === "peer-alive");
      expect(await pair.pair("b")).toMatchObject({
        state: "secondary",
        session: { up: false, reason: "peer-link-down" },
        keepalive: { up: true, reason: "answered", proven: true },
      });
      await pair
        .daemon("b")
        .shows("why its half is out", (rows) =>
          rows.some(
            ({ type, state, reason }) => type === "mlag.member" && state === "suspended" && reason === "peer-alive",
          ),
        );
      expect(await pair.pair("a")).toMatchObject({ state: "primary", situation: "peer-alive" });
      expect((await pair.member("a")).state).not.toBe("suspended");
      pair.plug("peer", true);
      await pair.settles();
      await pair.shows("b", "it is a pair again", ({ situation }) => situation === "paired");
    }));

  test("a peer link of two cables: the session outlives either", () => {
    const bundles = ["agg1: p1", "agg9: peer e0"].map((words) => {
      const [name, members = ""] = words.split(": ");
      return { name, members: members.split(" "), rate: "fast" };
    });
    const more = { bridge: { ports: ["agg1", "agg9"] }, lacp: bundles };
    const mlag = { "peer-link": "agg9" };
    return Pair.run({ more: { a: more, b: more }, mlag: { a: mlag, b: mlag } }, async (pair) => {
      await pair.start("a", "b");
      await pair.settles();
      for (const cable of ["peer", "e0"] as const) {
        await until("both links carry", () => pair.said("a", "lacp.bundle").at(-1)?.["members"] === 2);
        pair.plug(cable, false);
        await until("one does", () => pair.said("b", "lacp.bundle").at(-1)?.["members"] === 1);
        await pair.beats("b", 8);
        pair.plug(cable, true);
      }
      expect(pair.said("a", "mlag.session")).toHaveLength(1);
      expect(pair.said("b", "mlag.session")).toHaveLength(1);
    });
  });

  test("one is killed: the other notices on both paths and takes its place; nothing of it is left, and it returns", () =>
    Pair.run({}, async (pair) => {
      await pair.start("a", "b");
      await pair.settles();
      const before = (await pair.session("b")).epoch;
      end(pair.daemon("a").pid, "SIGKILL");
      await pair.shows("b", "the peer is gone", ({ state, alone, keepalive }) => {
        return state === "primary" && alone && !keepalive.up;
      });
      expect(await pair.pair("b")).toMatchObject({ situation: "silent", keepalive: { reason: "keepalive-timeout" } });
      await until("its guardian has gone", () => processesIn(pair.namespaces.a).length === 0);
      expect(pair.rules("a")).not.toContain("hotpair");
      await pair.forget("a");
      await pair.start("a");
      await pair.shows("b", "a new session", ({ session, keepalive }) => session.up && keepalive.up);
      await pair.shows("a", "a role", ({ state }) => state === "secondary");
      expect((await pair.session("b")).epoch).not.toBe(before);
    }));

  test("one is stopped: it says goodbye on its way, and leaves nothing behind", () =>
    Pair.run({}, async (pair) => {
      await pair.start("a", "b");
      await pair.settles();
      await pair.daemon("a").stop();
      await pair.shows("b", "its peer has left", ({ situation }) => situation === "departed");
      expect(await pair.pair("b")).toMatchObject({
        state: "primary",
        alone: true,
        reason: "peer-goodbye",
        session: { up: false, reason: "peer-goodbye" },
      });
      expect(await pair.session("b")).toMatchObject({ reason: "goodbye" });
      await until("its guardian has gone", () => processesIn(pair.namespaces.a).length === 0);
      expect(pair.rules("a")).not.toContain("hotpair");
    }));

  test("a peer with another key is refused on both paths, with the reason, and says no more than once a second", () => {
    const keys = (secret: string) => ({ authentication: [{ "key-id": 1, secret }] });
    const mlag = { a: keys("the secret that is right"), b: keys("the secret that is wrong") };
    return Pair.run({ mlag }, async (pair) => {
      await pair.start("a", "b");
      for (const side of ["a", "b"] as const) {
        await pair.shows(side, "signatures that do not fit", ({ counters }) => {
          return (counters.dropped["keepalive-signature"] ?? 0) > 20;
        });
        const { keepalive, session, state } = await pair.pair(side);
        expect({ keepalive: keepalive.up, session: session.up, state }).toEqual({
          keepalive: false,
          session: false,
          state: "none",
        });
        expect(pair.said(side, "mlag.drop").length).toBeLessThan(LINES);
        expect(pair.said(side, "iccp.session").length).toBeLessThan(LINES);
      }
      const reasons = (["a", "b"] as const)
        .flatMap((side) => pair.said(side, "iccp.session"))
        .map((one) => one["reason"]);
      expect(reasons).toContain("authentication");
      for (const side of ["a", "b"] as const) expect(pair.daemon(side).stdout).not.toContain("the secret that");
    });
  });

  test("a peer with another address than is expected is refused on both paths, with the reason", () => {
    const keepalive = { port: "ka", address: "10.99.0.3/29", peer: "10.99.0.1", interval: "100ms", timeout: "600ms" };
    return Pair.run({ mlag: { b: { keepalive } } }, async (pair) => {
      await pair.start("a", "b");
      await pair.shows("a", "another address", ({ counters }) => (counters.dropped["keepalive-address"] ?? 0) > 15);
      expect(await pair.pair("a")).toMatchObject({ session: { up: false }, keepalive: { up: false }, state: "none" });
      expect(await pair.pair("b")).toMatchObject({ session: { up: false }, keepalive: { up: false }, state: "none" });
      expect(pair.said("a", "mlag.drop").length).toBeLessThan(LINES);
    });
  });

  test("virtual routers that speak to single peers beside it, in one file: each goes its own way", () => {
    const vrrp = (priority: number, peer: string) => ({
      vrrp: [
        {
          interface: "e0",
          vrid: 51,
          priority,
          interval: "100ms",
          addresses: ["192.0.2.254/24"],
          peers: [peer],
          "virtual-mac": false,
        },
      ],
    });
    return Pair.run({ more: { a: vrrp(150, "192.0.2.2"), b: vrrp(100, "192.0.2.1") } }, async (pair) => {
      const wire = await pair.capture("a", "e0");
      await pair.start("a", "b");
      await pair.settles();
      const is = (side: "a" | "b", state: string) =>
        pair
          .daemon(side)
          .shows(`${side}: its router is ${state}`, (rows) =>
            rows.some((row) => row.type === "vrrp.router" && row["state"] === state),
          );
      await is("a", "master");
      await is("b", "backup");
      await pair.beats("a", 8);
      await wire.finish();
      expect(wire.frames("vrrp && ip.dst == 192.0.2.2").length).toBeGreaterThan(5);
      end(pair.daemon("a").pid, "SIGKILL");
      await is("b", "master");
      await pair.shows("b", "the peer is gone", ({ state, alone }) => state === "primary" && alone);
    });
  });

  test("a reload that changes it, or is to begin it, is refused in one line and changes nothing", () =>
    Pair.run({}, async (pair) => {
      await pair.start("a", "b");
      await pair.settles();
      const { mlag, ...rest } = pair.file("a");
      const refused = async (file: object, line: RegExp) => {
        pair.daemon("a").rewrite(stringify(file));
        end(pair.daemon("a").pid, "SIGHUP");
        await pair.daemon("a").says(line);
        expect(pair.daemon("a").stderr.match(new RegExp(line, "gm"))).toHaveLength(1);
      };
      await refused({ ...rest, mlag: { ...(mlag as object), heartbeat: "2s" } }, /mlag: found a change, allowed/);
      await refused(rest, /mlag: found nothing, allowed/);
      await pair.beats("a", 4);
      expect(pair.said("a", "mlag.session")).toHaveLength(1);
      await pair.daemon("b").stop();
      await pair.forget("b");
      const alone = await Daemon.be({ node: "b", vrrp: [] }, pair.namespaces.b);
      try {
        // Once it answers it reads its file again; before, SIGHUP ends it.
        expect(await alone.rows()).toEqual([]);
        alone.rewrite(stringify({ ...pair.file("b"), vrrp: [] }));
        end(alone.pid, "SIGHUP");
        await alone.says(/mlag: found a change, allowed while it runs: none; restart it/);
      } finally {
        await alone.close();
      }
    }));
});
