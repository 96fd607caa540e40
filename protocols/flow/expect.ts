/** How a lab speaks of its traffic beyond limits: `{ always: no-blackhole, flow: web, settle: 4s }`. */
import type { Expectable } from "../../src/node/protocol.ts";
import { name } from "../../src/node/units.ts";
import { noBlackholeFor } from "./invariants.ts";

export const expect: Expectable = {
  subject: name.describe("The flow that is meant; default: all."),
  // What is so of a flow at one time is a matter of its limits, which a lab's file has its own line for.
  fields: {},
  view: { initial: () => undefined, fold: (view) => view },
  judge: () => ({ ok: false, detail: "a flow has no state of its own" }),
  promises: {
    "no-blackhole": (claim, nodes) => noBlackholeFor(claim.subject as string | undefined, nodes),
  },
};
