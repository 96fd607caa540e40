/** hotpair beside Debian's keepalived on one wire, in network namespaces. */
import { describe, expect, test } from "vitest";
import * as checksum from "./support/checksums.ts";
import { Contest, type Variant } from "./support/contest.ts";
import { lacking } from "./support/lacking.ts";
import * as scenario from "./support/scenarios.ts";
import { ownAddress } from "./support/site.ts";

const missing = lacking("keepalived", "tshark");
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;
const base: Variant = { peer: "keepalived", family: "ipv4", version: 3, virtualMac: true };
const plain: Variant = { ...base, virtualMac: false };
const six: Variant = { ...base, family: "ipv6" };
const two: Variant = { ...base, version: 2 };

const VARIANTS: Readonly<Record<string, Variant>> = {
  "IPv4, virtual MAC": base,
  "IPv4, the interface's own MAC": plain,
  "IPv6, virtual MAC": six,
};

describe.skipIf(missing !== undefined)(`beside keepalived${skipped}`, { concurrent: true }, () => {
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

  describe("with a virtual MAC here and none there, as both come by default", () => {
    const run = (body: (contest: Contest) => Promise<void>) =>
      Contest.run(base, (contest) => body(contest.among({}, { virtualMac: false })));
    test("preempts a lower master, which yields at once", () => run(scenario.preempts));
    test("stopped, has the peer take over in its skew time, and answers clients until then", () => run(scenario.hands));
    test("cut off, the better peer is followed, and is the only master again when healed", () =>
      run(scenario.isCutOff));
  });

  describe("who may be master", () => {
    test("without preempt obeys a lower master until that one leaves", () =>
      Contest.run(base, scenario.doesNotPreempt));
    test("stays master when the better peer may not preempt", () => Contest.run(base, scenario.isNotPreempted));
    test("yields to an equal with the higher address (§6.4.3)", () => Contest.run(base, scenario.tiebreak, "a"));
    test("has an equal with the lower address yield (§6.4.3)", () => Contest.run(base, scenario.tiebreak, "b"));
    test("IPv6: yields to an equal with the higher link-local address", () => Contest.run(six, scenario.tiebreak, "a"));
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
    test("is misread once by a peer without a virtual MAC: the client finds back", () =>
      Contest.run(base, (contest) => checksum.isMisreadOnce(contest.among({}, { virtualMac: false }))));
  });

  describe("version 2", () => {
    test("joins a better master as backup, and is silent", () => Contest.run(two, scenario.joinsAsLower));
    test("preempts a lower master, which yields at once", () => Contest.run(two, scenario.preempts));
    test("stopped, has the peer take over in its skew time, and answers clients until then", () =>
      Contest.run(two, scenario.hands));
    test("takes over in the skew time of RFC 3768, not earlier, when the peer is stopped", () =>
      Contest.run(two, scenario.isHanded));
  });

  describe("unicast", () => {
    const family = "ipv4";
    const ours = { unicast: { own: ownAddress("a", family), peer: ownAddress("b", family) } };
    const theirs = { unicast: { own: ownAddress("b", family), peer: ownAddress("a", family) } };
    const run = (body: (contest: Contest) => Promise<void>) =>
      Contest.run(plain, async (contest) => {
        await body(contest.among(ours, theirs));
        const sent = contest.wire.adverts().map(({ facts }) => facts.destination);
        expect(sent.filter((one) => one !== ours.unicast.own && one !== ours.unicast.peer)).toEqual([]);
      });
    test("joins a better master as backup, and is silent", () => run(scenario.joinsAsLower));
    test("preempts a lower master, which yields at once", () => run(scenario.preempts));
    test("stopped, has the peer take over in its skew time, and answers clients until then", () => run(scenario.hands));
    test("takes over after Active_Down_Interval, not earlier, when the peer is killed", () => run(scenario.survives));
  });
});
