/** An M-LAG pair on the kernel's bridges beside Open vSwitch: what passes, and what a cut, a death and a return cost. */
import { describe, expect, test } from "vitest";
import type { Mac } from "../../src/core/addr.ts";
import { DualHomed, SIDES } from "./support/dual-homed.ts";
import { lacking } from "./support/lacking.ts";
import { until } from "./support/namespaces.ts";
import { Stream, type StreamCount } from "./support/stream.ts";
import { now } from "./support/wire.ts";

const missing = lacking("tshark", "nft", "ovs-vswitchd");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;
/** No packet is lost, comes twice, or comes back. */
const ALL = { lost: 0, duplicated: 0, returned: 0 };
/** Packets, a millisecond each: carrier is looked at each 25 ms, and a busy machine has other things to do. */
const CUT = 100;

/** What is for all ports, over the peer link, too. */
const FLOODS: Readonly<Record<string, Mac>> = {
  "a group": "01:00:5e:00:01:01" as Mac,
  everybody: "ff:ff:ff:ff:ff:ff" as Mac,
  "a station that nobody knows": "02:00:00:00:0f:0f" as Mac,
};

/** What of both streams was lost while `act` was done and until all arrives again. */
async function during(streams: readonly Stream[], act: () => void | Promise<void>): Promise<readonly StreamCount[]> {
  for (const one of streams) await one.arrives();
  const since = now();
  await act();
  for (const one of streams) await one.goesOn(300);
  for (const one of streams) await one.arrives();
  const end = now() - 50_000;
  return streams.map((one) => one.count(since, end));
}

describe.skipIf(missing !== undefined)(`an M-LAG pair with Open vSwitch${skipped}`, () => {
  test("is one switch to the bond: everything arrives once, whichever link it takes, and both tables have both hosts", () =>
    DualHomed.run(async (pair) => {
      await pair.start(...SIDES);
      await pair.carries();
      const streams = pair.bothWays();
      const [alone, far] = [pair.point("alone", "e0", "10.97.0.1"), pair.point("far", "brf", "10.97.0.2")];
      for (const count of await during(streams, () => undefined)) expect(count).toMatchObject(ALL);
      for (const one of streams) await one.stop();
      for (const [what, mac] of Object.entries(FLOODS)) {
        const floods = [new Stream(alone, far, mac), new Stream(far, alone, mac)].map((one) => pair.keep(one));
        for (const count of await during(floods, () => undefined)) expect(count, what).toMatchObject(ALL);
        for (const one of floods) await one.stop();
      }
      for (const side of SIDES) {
        await until(`${side} has both hosts`, () => {
          const stations = pair.stations(side);
          const host = stations.get(alone.mac);
          return stations.get(far.mac) === "p1" && host === (side === "a" ? "host" : "peer");
        });
      }
    }));

  test("a cut half costs 100 ms at most, and its return nothing twice", () =>
    DualHomed.run(async (pair) => {
      await pair.start(...SIDES);
      await pair.carries();
      const streams = pair.bothWays();
      for (const [link, side] of [
        ["v1", "a"],
        ["v2", "b"],
      ] as const) {
        const cut = await during(streams, async () => {
          pair.plug("far", link, false);
          await pair.member(side, "active-partial");
        });
        for (const { lost, longestGap, ...rest } of cut) {
          expect(lost, `without ${link}`).toBeLessThanOrEqual(CUT);
          expect(longestGap).toBeLessThanOrEqual(CUT);
          expect(rest).toMatchObject({ duplicated: 0, returned: 0 });
        }
        const healed = await during(streams, async () => {
          pair.plug("far", link, true);
          await pair.carries();
        });
        for (const count of healed) expect(count, `with ${link} again`).toMatchObject({ duplicated: 0, returned: 0 });
      }
    }));

  test("with the peer link cut the secondary leaves within 500 ms, because the keepalive says that the primary lives", () =>
    DualHomed.run(async (pair) => {
      await pair.start(...SIDES);
      await pair.carries();
      const streams = pair.bothWays();
      const cut = await during(streams, async () => {
        pair.plug("a", "peer", false);
        await pair.member("b", "suspended");
      });
      const lines = pair.daemon("b").lines.filter((line) => line.type === "mlag.member");
      const lost = pair.daemon("b").lines.findLast((line) => line.type === "mlag.session" && line["up"] === false);
      const out = lines.find((line) => line["state"] === "suspended");
      expect(out).toMatchObject({ reason: "peer-alive" });
      expect(Number(out?.["t"]) - Number(lost?.["t"])).toBeLessThanOrEqual(0.5);
      for (const { lost: packets, ...rest } of cut) {
        // What Open vSwitch sends to the secondary until it has heard that nobody takes it there.
        expect(packets).toBeLessThanOrEqual(500);
        expect(rest).toMatchObject({ duplicated: 0, returned: 0 });
      }
      const healed = await during(streams, async () => {
        pair.plug("a", "peer", true);
        await pair.carries();
      });
      for (const count of healed) expect(count).toMatchObject({ duplicated: 0, returned: 0 });
    }));

  test("kill -9 of the secondary: flows that must move do within a second, nothing is left of it; back, nothing comes twice", () =>
    DualHomed.run(async (pair) => {
      await pair.start(...SIDES);
      await pair.carries();
      const streams = pair.bothWays();
      const killed = await during(streams, async () => {
        pair.kill("b");
        await pair.pair("a", "the session is lost", ({ session }) => !session.up);
      });
      for (const { longestGap, ...rest } of killed) {
        expect(longestGap).toBeLessThanOrEqual(1_000);
        expect(rest).toMatchObject({ duplicated: 0, returned: 0 });
      }
      await until("nothing is left", () => pair.left("b") === "");
      const back = await during(streams, async () => {
        await pair.start("b");
        await pair.carries();
      });
      for (const count of back) expect(count).toMatchObject({ duplicated: 0, returned: 0 });
    }));

  test("a secondary that is stopped leaves without a loss", () =>
    DualHomed.run(async (pair) => {
      await pair.start(...SIDES);
      await pair.carries();
      const streams = pair.bothWays();
      const stopped = await during(streams, () => pair.daemon("b").stop());
      for (const count of stopped) expect(count).toMatchObject(ALL);
      expect(pair.left("b")).toBe("");
    }));
});
