/** hotpair beside Debian's FRR (zebra and vrrpd) on one wire, in network namespaces. */
import { describe, test } from "vitest";
import * as checksum from "./support/checksums.ts";
import { Contest, type Variant } from "./support/contest.ts";
import { lacking } from "./support/lacking.ts";
import * as scenario from "./support/scenarios.ts";

const missing = lacking("frr", "tshark");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;
const base: Variant = { peer: "frr", family: "ipv4", version: 3, virtualMac: true };
const six: Variant = { ...base, family: "ipv6" };
const two: Variant = { ...base, version: 2 };

const VARIANTS: Readonly<Record<string, Variant>> = {
  IPv4: base,
  "IPv6 (its adverts lack the link-local address)": six,
};

describe.skipIf(missing !== undefined)(`beside FRR${skipped}`, { concurrent: true }, () => {
  describe.each(Object.entries(VARIANTS))("%s", (_, variant) => {
    test("joins a better master as backup, and is silent", () => Contest.run(variant, scenario.joinsAsLower));
    test("preempts a lower master, which yields at once", () => Contest.run(variant, scenario.preempts));
    test("yields to a better router's first advert", () => Contest.run(variant, scenario.isPreempted));
    test("stopped, has the peer take over in its skew time, and answers clients until then", () =>
      Contest.run(variant, scenario.hands));
    test("takes over in skew time, not earlier, when the peer is stopped", () =>
      Contest.run(variant, scenario.isHanded));
    test("takes over after Active_Down_Interval, not earlier, when the peer is killed", () =>
      Contest.run(variant, scenario.survives));
    test("killed, has the peer take over in its skew time and leaves nothing behind", () =>
      Contest.run(variant, scenario.isKilled));
  });

  describe("who may be master", () => {
    test("without preempt obeys a lower master until that one leaves", () =>
      Contest.run(base, scenario.doesNotPreempt));
    test("stays master when the better peer may not preempt", () => Contest.run(base, scenario.isNotPreempted));
    test("yields to an equal with the higher address (§6.4.3)", () => Contest.run(base, scenario.tiebreak, "a"));
    test("has an equal with the lower address yield (§6.4.3)", () => Contest.run(base, scenario.tiebreak, "b"));
  });

  describe("what need not agree", () => {
    test("waits for a master by the master's interval, and keeps its own when it is master", () =>
      Contest.run(base, scenario.learnsInterval));
    test("is waited for by its own interval", () => Contest.run(base, scenario.isWaitedFor));
    test("obeys a master with other addresses, and says so", () =>
      Contest.run(base, (contest) => scenario.obeysOtherAddresses(contest, ["10.99.0.254/24", "10.99.0.253/24"])));
  });

  describe("the checksum of version 3 over IPv4, left to hotpair", () => {
    test("is the peer's form from the first advert on when the peer was heard before", () =>
      Contest.run(base, checksum.followsThePeer));
    test("is misread once when hotpair was master first: then it is the peer's", () =>
      Contest.run(base, checksum.isMisreadOnce));
  });

  describe("version 2", () => {
    test("joins a better master as backup, and is silent", () => Contest.run(two, scenario.joinsAsLower));
    test("takes over in the skew time of RFC 3768, not earlier, when the peer is stopped", () =>
      Contest.run(two, scenario.isHanded));
  });
});
