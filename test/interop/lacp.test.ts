/** hotpair's bundles beside Open vSwitch: who negotiates what with whom, what passes meanwhile, and what a cut costs. */
import { describe, expect, test } from "vitest";
import { STATE } from "../../protocols/lacp/codec.ts";
import type { Mac } from "../../src/core/addr.ts";
import { lacking } from "./support/lacking.ts";
import { ipBatch, sh, shIn, until } from "./support/namespaces.ts";
import { Stream } from "./support/stream.ts";
import { BOND, FAR_IP, LINKS, PARTNER, SPARE, TABLE, Trunk } from "./support/trunk.ts";
import { now } from "./support/wire.ts";

const missing = lacking("tshark", "nft", "ping", "ovs-vswitchd");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;
/** Microseconds. */
const SECOND = 1_000_000;
/** IEEE 802.1AX §6.4.4: Short_Timeout_Time, and what a timer may be late by. */
const SILENCE = 3 * SECOND + 200_000;
/** Packets, a millisecond each, that a cut may cost. */
const CUT = 100;
/** No packet of a stream is lost, comes twice, or comes back. */
const ALL = { lost: 0, duplicated: 0, returned: 0 };
const KINDS: Readonly<Record<string, Mac | undefined>> = {
  "a known station": undefined,
  "a station that nobody knows": "02:00:00:00:0f:0f" as Mac,
  "a group": "01:00:5e:00:01:01" as Mac,
  everybody: "ff:ff:ff:ff:ff:ff" as Mac,
};

describe.skipIf(missing !== undefined)(`a bundle with Open vSwitch${skipped}`, () => {
  test("is agreed within a second on the first link, and on the second as soon as that is there", () =>
    Trunk.run({}, async (trunk) => {
      ipBatch(trunk.far, ["link set v2 down"]);
      await trunk.are({ 2: "link-down" });
      for (const link of LINKS) {
        const since = now();
        if (link === "1") await trunk.bond();
        else ipBatch(trunk.far, ["link set v2 up"]);
        const agreed = await trunk.agree([link], since);
        const [first] = trunk.lacpdus("theirs", link, since);
        expect(agreed - (first?.at ?? 0)).toBeLessThanOrEqual(SECOND);
        await trunk.carry(LINKS.slice(0, Number(link)));
      }
      expect((await trunk.ovs.bondState(BOND)).lacp).toBe("negotiated");
      // IEEE 802.1AX §6.4.15: nobody distributes who does not collect, or collects out of sync.
      const { synchronization, collecting, distributing } = STATE;
      const allowed = [0, synchronization, synchronization | collecting, synchronization | collecting | distributing];
      const said = trunk.lacpdus("ours").map(({ pdu }) => pdu.actor.state & (allowed.at(-1) ?? 0));
      expect(allowed).toEqual(expect.arrayContaining([...new Set(said)]));
    }));

  test("carries each frame once, either way, over two links and over one", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const ping = await shIn(trunk.host, "ping", "-c", "100", "-i", "0.01", "-w", "10", FAR_IP);
      expect(ping).toMatch(/100 packets transmitted, 100 received, 0% packet loss/);
      expect(ping).not.toMatch(/duplicates/);
      const [, back] = trunk.bothWays();
      await back.arrives();
      for (const links of [LINKS, ["1"]] as const) {
        if (links.length === 1) {
          ipBatch(trunk.far, ["link set v2 down"]);
          await trunk.carry(["1"]);
        }
        for (const [kind, mac] of Object.entries(KINDS)) {
          const { hostPoint: host, farPoint: far } = trunk;
          const streams = {
            "to the partner": trunk.keep(new Stream(host, far, mac)),
            "from the partner": trunk.keep(new Stream(far, host, mac)),
          };
          for (const one of Object.values(streams)) await one.goesOn(200);
          for (const [way, one] of Object.entries(streams)) {
            await one.stop();
            expect(one.count(), `${way}, for ${kind}, over ${links.length}`).toMatchObject(ALL);
          }
        }
      }
    }));

  test("lets nothing that comes by one link leave by the other", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const [one, other] = ["v1", "v2"].map((device) => ({ ...trunk.farPoint, namespace: trunk.far, device }));
      if (one === undefined || other === undefined) throw new Error("there are two links");
      for (const [kind, mac = trunk.farPoint.mac] of Object.entries(KINDS)) {
        const streams = { "1": trunk.keep(new Stream(one, other, mac)), "2": trunk.keep(new Stream(other, one, mac)) };
        for (const stream of Object.values(streams)) await stream.goesOn(200);
        for (const [link, stream] of Object.entries(streams)) {
          await stream.stop();
          expect(stream.count(), `by link ${link}, for ${kind}`).toMatchObject({ received: 0, returned: 0 });
        }
      }
    }));

  test("lets no data frame pass, either way, before LACP has agreed, and says why", () =>
    Trunk.run({ bond: { lacp: "off" }, everything: true }, async (trunk) => {
      const streams = trunk.bothWays();
      await trunk.are({ 1: "no-partner", 2: "no-partner" });
      for (const one of streams) await one.goesOn(500);
      for (const one of streams) expect(one.count(), "before LACP").toMatchObject({ received: 0, returned: 0 });
      for (const link of LINKS) expect(trunk.data("ours", link)).toEqual([]);
      expect(LINKS.flatMap((link) => trunk.data("theirs", link)).length).toBeGreaterThan(400);
      for (const subject of ["agg1", "p1", "p2"]) expect((await trunk.explain(subject)).reason).toBe("no-partner");
      const rules = sh("ip", ["netns", "exec", trunk.near, "nft", "list", "table", "bridge", TABLE]);
      expect(rules).toMatch(/counter not-collecting \{\s+packets [1-9]/);

      const since = now();
      await trunk.ovs.set("port", BOND, "lacp=active", "bond_mode=balance-tcp");
      await trunk.carry();
      for (const one of streams) await one.arrives();
      for (const link of LINKS) {
        const asked = trunk
          .lacpdus("theirs", link, since)
          .find(({ pdu }) => (pdu.actor.state & STATE.collecting) !== 0);
        for (const { at } of trunk.data("ours", link)) expect(at).toBeGreaterThan(asked?.at ?? Number.NaN);
      }
      for (const one of streams) await one.stop();
      for (const one of streams) expect(one.count()).toMatchObject({ duplicated: 0, returned: 0 });
    }));

  test("brings what the switch itself sends to all of them once, whichever link that takes", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const stream = trunk.keep(new Stream(trunk.ownPoint, trunk.farPoint, KINDS["everybody"]));
      await stream.arrives();
      const since = now();
      await stream.goesOn(300);
      await stream.stop();
      expect(stream.count(since)).toMatchObject(ALL);
    }));

  test("goes on over the other link when one is cut, with 100 ms of loss at most, and takes it back without a duplicate", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const streams = trunk.bothWays();
      for (const one of streams) await one.arrives();
      for (const link of LINKS) {
        let since = now();
        await shIn(trunk.far, "ip", "link", "set", `v${link}`, "down");
        for (const one of streams) await one.arrives();
        await trunk.carry(LINKS.filter((other) => other !== link));
        let until = now();
        for (const one of streams) {
          const { lost, longestGap, ...rest } = one.count(since, until - 50_000);
          expect(lost, `without link ${link}`).toBeLessThanOrEqual(CUT);
          expect(longestGap).toBeLessThanOrEqual(CUT);
          expect(rest).toMatchObject({ duplicated: 0, returned: 0 });
        }
        since = until;
        await shIn(trunk.far, "ip", "link", "set", `v${link}`, "up");
        await trunk.carry();
        for (const one of streams) await one.goesOn(200);
        for (const one of streams) await one.arrives();
        until = now();
        for (const one of streams)
          expect(one.count(since, until - 50_000), `with link ${link} again`).toMatchObject(ALL);
      }
    }));

  test("goes on over the other link, too, when the kernel has not told yet that this one is cut", () =>
    Trunk.run({ bond: {}, cards: true }, async (trunk) => {
      await trunk.carry();
      // Nothing comes back from there, or the bridge would learn from it.
      const stream = trunk.keep(new Stream(trunk.hostPoint, trunk.farPoint));
      await stream.arrives();
      for (const links of [["2"], LINKS] as const) {
        await shIn(trunk.far, "ip", "link", "set", "v1", links.length === 1 ? "down" : "up");
        await trunk.carry(links);
      }
      const since = now();
      await shIn(trunk.far, "ip", "link", "set", "v2", "down");
      await trunk.carry(["1"]);
      await stream.arrives();
      await stream.stop();
      const { lost, ...rest } = stream.count(since);
      expect(lost).toBeLessThanOrEqual(CUT);
      expect(rest).toMatchObject({ duplicated: 0, returned: 0 });
    }));

  test("leaves a link whose partner has fallen silent under carrier within 3.2 s, and takes it back", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const streams = trunk.bothWays();
      for (const one of streams) await one.arrives();
      const since = now();
      // Of what a packet socket sends: it receives before any rule is asked.
      const silence =
        "table netdev quiet { chain out { type filter hook egress device v2 priority 0; ether type 0x8809 drop; }; }";
      sh("ip", ["netns", "exec", trunk.far, "nft", "-f", "-"], silence);
      await trunk.are({ 1: "carrying", 2: "silent" });
      const last = trunk.lacpdus("theirs", "2").at(-1)?.at ?? 0;
      const left = trunk.lacpdus("ours", "2", since).find(({ pdu }) => (pdu.actor.state & STATE.distributing) === 0);
      expect((left?.at ?? Number.NaN) - last).toBeLessThanOrEqual(SILENCE);
      expect((left?.at ?? Number.NaN) - last).toBeGreaterThanOrEqual(3 * SECOND);
      expect((await trunk.explain("p2")).reason).toBe("silent");
      await trunk.are({ 2: "no-partner" });
      for (const one of streams) await one.arrives();
      for (const one of streams) {
        const { duplicated, returned } = one.count(since, now() - 50_000);
        // What is lost is the partner's: Open vSwitch sends on to a link that says Sync = 1, for the 3 s until it is defaulted.
        expect({ duplicated, returned }).toEqual({ duplicated: 0, returned: 0 });
      }
      sh("ip", ["netns", "exec", trunk.far, "nft", "delete", "table", "netdev", "quiet"]);
      await trunk.carry();
      for (const one of streams) await one.arrives();
    }));

  test.each([
    { mode: "active", lacp: "passive" },
    { mode: "passive", lacp: "active" },
    { mode: "active", lacp: "active", control: "coupled" },
  ] as const)("is agreed where hotpair is $mode and its partner $lacp $control", ({ lacp, ...ours }) =>
    Trunk.run({ lacp: ours, bond: { lacp } }, async (trunk) => {
      await trunk.carry();
      const streams = trunk.bothWays();
      for (const one of streams) await one.arrives();
      for (const one of streams) expect(one.count()).toMatchObject({ duplicated: 0, returned: 0 });
    }),
  );

  test("is not agreed where nobody begins", () =>
    Trunk.run({ lacp: { mode: "passive" }, bond: { lacp: "passive" } }, async (trunk) => {
      await trunk.are({ 1: "no-partner", 2: "no-partner" });
      const streams = trunk.bothWays();
      for (const one of streams) await one.goesOn(500);
      for (const one of streams) expect(one.count()).toMatchObject({ received: 0 });
      expect(trunk.lacpdus("ours")).toEqual([]);
    }));

  test("asks for an LACPDU each 30 s where its rate is slow, and sends as often as its partner asks", () =>
    Trunk.run({ lacp: { rate: "slow" }, bond: {} }, async (trunk) => {
      await trunk.carry();
      const since = now();
      const [toFar, toHost] = trunk.bothWays();
      await until("five further LACPDUs of ours", () => trunk.lacpdus("ours", "1", since).length >= 5);
      for (const link of LINKS) {
        const ours = trunk.lacpdus("ours", link, since);
        expect(ours.every(({ pdu }) => (pdu.actor.state & STATE.shortTimeout) === 0)).toBe(true);
        for (const [i, { at }] of ours.slice(1).entries()) {
          expect(at - (ours[i]?.at ?? 0)).toBeGreaterThan(0.8 * SECOND);
          expect(at - (ours[i]?.at ?? 0)).toBeLessThan(1.2 * SECOND);
        }
        expect(trunk.lacpdus("theirs", link, since)).toEqual([]);
      }
      for (const one of [toFar, toHost]) await one.stop();
      for (const one of [toFar, toHost]) expect(one.count()).toMatchObject(ALL);
    }));

  test("is agreed anew with a partner that has another system id", () =>
    Trunk.run({ bond: {} }, async (trunk) => {
      await trunk.carry();
      const streams = trunk.bothWays();
      for (const one of streams) await one.arrives();
      const other = PARTNER.replace("01", "99");
      const since = now();
      await trunk.ovs.set("port", BOND, `other_config:lacp-system-id="${other}"`);
      await until("both links have the new partner", () =>
        LINKS.every((link) => {
          const last = trunk.events(link).at(-1);
          return last?.reason === "carrying" && last.partner.system === other;
        }),
      );
      for (const one of streams) await one.arrives();
      const [first] = trunk.lacpdus("theirs", undefined, since).filter(({ pdu }) => pdu.actor.system === other);
      expect((await trunk.agree(LINKS, first?.at)) - (first?.at ?? 0)).toBeLessThanOrEqual(SECOND);
      for (const one of streams) await one.stop();
      for (const one of streams) expect(one.count()).toMatchObject({ duplicated: 0, returned: 0 });
    }));

  test("keeps a link out whose key is another than that of the link that carries, and says so", () =>
    Trunk.run(SPARE, async (trunk) => {
      await trunk.carry(["1"]);
      const streams = trunk.bothWays();
      for (const one of streams) await one.arrives();
      const since = now();
      await trunk.ovs.bridge("brg");
      await trunk.ovs.vsctl(
        ...["add-port", "brg", "v2", "--", "set", "port", "v2", "lacp=active", "other_config:lacp-time=fast"],
        ...[`other_config:lacp-system-id="${PARTNER}"`, "--", "set", "interface", "v2"],
        "other_config:lacp-aggregation-key=77",
      );
      await trunk.are({ 1: "carrying", 2: "other-partner" });
      expect(trunk.events("2").at(-1)?.partner).toMatchObject({ system: PARTNER, key: 77 });
      const why = await trunk.explain("p2");
      expect(why.reason).toBe("other-partner");
      for (const one of streams) await one.goesOn(200);
      for (const one of streams) await one.stop();
      for (const one of streams) expect(one.count(since)).toMatchObject(ALL);
    }));
});
