/** hotpair with other people's packages under it, beside hotpair as it is by default: nobody on the wire can tell. */
import { describe, test } from "vitest";
import { IO_NAMES, openIo } from "../../src/host/linux/io.ts";
import { openLibc } from "../../src/host/linux/libc.ts";
import { Contest, type Variant } from "./support/contest.ts";
import { lacking } from "./support/lacking.ts";
import * as scenario from "./support/scenarios.ts";

const virtual: Variant = { peer: "hotpair", family: "ipv4", version: 3, virtualMac: true };
const plain: Variant = { ...virtual, virtualMac: false };
const six: Variant = { ...virtual, family: "ipv6" };
const VARIANTS: Readonly<Record<string, readonly Variant[]>> = { cap: [virtual, six], "raw-socket": [plain] };

function missing(name: string): string | undefined {
  const tools = lacking("tshark");
  const libc = openLibc();
  if (tools !== undefined || !libc.ok) return tools;
  const io = IO_NAMES.find((one) => one === name);
  const opened = io === undefined ? undefined : openIo(io, libc.libc);
  return opened?.ok === false ? opened.message : undefined;
}

describe.each(Object.entries(VARIANTS))("%s", (io, variants) => {
  const lacks = missing(io);
  const skipped = lacks === undefined ? "" : ` (skipped: ${lacks})`;

  describe.skipIf(lacks !== undefined)(`beside the default${skipped}`, { concurrent: true }, () => {
    const play = (variant: Variant, scene: (contest: Contest) => Promise<void>) =>
      Contest.run(variant, (contest) => scene(contest.among({ io }, {})));

    describe.each(variants)("$family, virtual MAC $virtualMac", (variant) => {
      test("joins as backup, and is silent", () => play(variant, scenario.joinsAsLower));
      test("takes over from a master that is cut off, when its time is over and not before, and yields when it is back", () =>
        play(variant, scenario.isCutOff));
      test("hands over when it is stopped, and answers clients until then", () => play(variant, scenario.hands));
      test("that is killed is followed in skew time, and leaves nothing behind", () =>
        play(variant, scenario.isKilled));
    });

    test("says at its start what it costs", () =>
      Contest.run(plain, async (contest) => {
        const ours = await contest.ours({ io });
        await ours.says(new RegExp(`^io: ${io} `, "m"));
        await contest.wire.advert("a");
      }));
  });
});
