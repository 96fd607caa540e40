/** hotpair beside hotpair on one wire, in network namespaces: what both ends promise. */
import { describe, expect, test } from "vitest";
import { Contest, type Variant } from "./support/contest.ts";
import { lacking } from "./support/lacking.ts";
import * as scenario from "./support/scenarios.ts";

const missing = lacking("tshark");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;
const base: Variant = { peer: "hotpair", family: "ipv4", version: 3, virtualMac: true };
const plain: Variant = { ...base, virtualMac: false };
const six: Variant = { ...base, family: "ipv6" };

const VARIANTS: Readonly<Record<string, Variant>> = {
  "IPv4, virtual MAC": base,
  "IPv4, the interface's own MAC": plain,
  "IPv6, virtual MAC": six,
  "IPv6, the interface's own MAC": { ...six, virtualMac: false },
};

describe.skipIf(missing !== undefined)(`beside hotpair${skipped}`, { concurrent: true }, () => {
  describe.each(Object.entries(VARIANTS))("%s", (_, variant) => {
    test("a lower router joins as backup, and is silent", () => Contest.run(variant, scenario.joinsAsLower));
    test("a better router preempts, and the lower one yields at once", () => Contest.run(variant, scenario.preempts));
    test("a stopped master is followed in skew time, and answers clients until then", () =>
      Contest.run(variant, scenario.hands));
    test("a killed master is followed in skew time and leaves nothing behind", () =>
      Contest.run(variant, scenario.isKilled));
  });

  test("cut off, a master is followed after Active_Down_Interval, not earlier, and is the only one again when healed", () =>
    Contest.run(base, scenario.isCutOff));
  test("the same without a virtual MAC: the client finds back", () => Contest.run(plain, scenario.isCutOff));
  test("of equals the one with the higher address is master (§6.4.3)", () => Contest.run(base, scenario.tiebreak));
  test("without preempt a better router obeys a lower master until that one leaves", () =>
    Contest.run(base, scenario.doesNotPreempt));
  test("adverts have RFC 9568's checksum as long as nobody speaks otherwise (§5.2.8)", () =>
    Contest.run(base, async (contest) => {
      await scenario.preempts(contest);
      for (const { facts } of contest.wire.adverts()) expect(facts.forms).toEqual(["message"]);
    }));
  test.each([base, six])("switches are told which group a router wants, $family (§5.1.1.2, §5.1.2.2)", (variant) =>
    Contest.run(variant, scenario.joinsGroup),
  );
});
