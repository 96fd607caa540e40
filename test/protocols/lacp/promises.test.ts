/** The invariants are broken by logs that break them, and expectations are refused by what is not so. */
import { describe, expect, it } from "vitest";
import { expect as expectable } from "../../../protocols/lacp/expect.ts";
import { invariants } from "../../../protocols/lacp/invariants.ts";
import type { Entry } from "../../../src/core/log.ts";
import { instant } from "../../../src/core/time.ts";
import type { Invariant } from "../../../src/core/view.ts";
import { breaches } from "../../support/entries.ts";
import { configOf } from "../../support/lacp.ts";

const NODES = [{ node: "sw1", lacp: configOf({ name: "agg1", members: ["p1", "p2"], rate: "fast" }) }];

function entry(node: string, event: object, kind = "event"): Entry {
  const what = kind === "event" ? { kind, event } : { kind, to: "world", command: event };
  return { at: instant(5_000_000), node, way: "out", what } as Entry;
}

/** Node n's port p, whose partner is port q of node m. */
function port(n: number, p: number, m: number, q: number, mux: string, reason = "carrying"): Entry {
  const end = (node: number, number: number) => ({
    system: `02:00:00:00:00:0${node}`,
    key: 1,
    port: number,
    state: "0x3f",
  });
  const event = { type: "lacp.port", port: `p${p}`, bundle: "agg1", receive: "current", mux, reason };
  return entry(`sw${n}`, { ...event, selected: "selected", actor: end(n, p), partner: end(m, q) });
}

/** What each invariant says of the log. */
function verdicts(...log: readonly Entry[]): (string | undefined)[] {
  return invariants(NODES).map(({ view, broken }) =>
    broken(log.reduce((folded, one) => view.fold(folded, one), view.initial())),
  );
}

describe("lacp-distributes-to-collectors", () => {
  it("is broken by a port that sends to one that does not collect, and by nothing less", () => {
    expect(verdicts(port(1, 1, 2, 7, "distributing"), port(2, 7, 1, 1, "attached", "silent"))[0]).toBe(
      "sw1:p1 distributes to sw2:p7, which is attached (silent)",
    );
    expect(verdicts(port(1, 1, 2, 7, "distributing"), port(2, 7, 1, 1, "collecting"))[0]).toBeUndefined();
    expect(verdicts(port(1, 1, 2, 7, "collecting"), port(2, 7, 1, 1, "attached"))[0]).toBeUndefined();
    expect(verdicts(port(1, 1, 2, 7, "distributing"))[0]).toBeUndefined();
  });

  it("is not broken by a node that stands still or has no power", () => {
    const log = [port(1, 1, 2, 7, "distributing"), port(2, 7, 1, 1, "attached")];
    expect(verdicts(...log, entry("world", { verb: "pause", node: "sw1" }, "command"))[0]).toBeUndefined();
    expect(verdicts(...log, entry("world", { verb: "power-off", node: "sw1" }, "command"))[0]).toBeUndefined();
    const resumed = [...log, ...["pause", "resume"].map((verb) => entry("world", { verb, node: "sw1" }, "command"))];
    expect(verdicts(...resumed)[0]).toContain("sw1:p1 distributes");
  });

  it("gives silence its time: 4 s where all are fast, 91 s otherwise", () => {
    expect(invariants(NODES)[0]?.settle).toBe(4_000_000);
    const slow = { node: "sw2", lacp: configOf({ name: "agg1", members: ["p1"] }) };
    expect(invariants([...NODES, slow])[0]?.settle).toBe(91_000_000);
    expect(invariants([{ node: "host" }])).toEqual([]);
  });
});

describe("lacp-distributes-to-collectors, over a link that loses frames", () => {
  const [promise] = invariants(NODES) as [Invariant<unknown>];
  const later = (at: number, one: Entry): Entry => ({ ...one, at: instant(at * 1e6) });
  const far = (at: number, mux: string, reason = "carrying") => later(at, port(2, 7, 1, 1, mux, reason));
  const near = later(9, port(1, 1, 2, 7, "distributing"));

  it("each silence is borne for the time that it takes to notice it", () => {
    const log = [10, 13, 16, 19].flatMap((at) => [far(at, "attached", "silent"), far(at + 2, "distributing")]);
    expect(breaches(promise, 30, near, ...log)).toEqual([]);
  });

  it("one that lasts longer is not, whatever its reason is meanwhile", () => {
    const log = [far(10, "attached", "silent"), far(12, "attached", "partner-out-of-sync"), far(20, "collecting")];
    expect(breaches(promise, 30, near, ...log)).toEqual([
      "14..20: sw1:p1 distributes to sw2:p7, which is attached (partner-out-of-sync)",
    ]);
  });
});

it("lacp-one-partner is broken by a bundle that carries to two systems", () => {
  expect(verdicts(port(1, 1, 2, 1, "distributing"), port(1, 2, 3, 1, "distributing"))[1]).toBe(
    "sw1 agg1 carries to 02:00:00:00:00:02 by p1 and to 02:00:00:00:00:03 by p2",
  );
  expect(verdicts(port(1, 1, 2, 1, "distributing"), port(1, 2, 3, 1, "attached"))[1]).toBeUndefined();
});

describe("expectations", () => {
  const view = [
    port(1, 1, 2, 1, "distributing"),
    port(1, 2, 2, 2, "attached", "partner-out-of-sync"),
    entry("sw1", { type: "lacp.bundle", bundle: "agg1", up: true, members: 1, reason: "member-joined" }),
  ].reduce((folded, one) => expectable.view.fold(folded, one), expectable.view.initial());
  const judge = (fields: object, node = "sw1") =>
    expectable.judge(view, { node, subject: "agg1", fields: { ...fields } });

  it.each([
    [{ up: true, members: 1, reason: "member-joined" }, true],
    [{ up: false }, false],
    [{ members: 2 }, false],
    [{ reason: "fallback" }, false],
    [{ port: "p1", mux: "distributing", receive: "current", "port-reason": "carrying" }, true],
    [{ port: "p2", mux: "distributing" }, false],
    [{ mux: "distributing" }, false],
    [{ receive: "current" }, true],
  ])("%j: %s", (fields, ok) => {
    expect(judge(fields).ok).toBe(ok);
  });

  it("of a node that has said nothing only that its bundle is down is true", () => {
    expect(judge({ up: false, members: 0 }, "sw9").ok).toBe(true);
    expect(judge({ up: true }, "sw9")).toEqual({ ok: false, detail: "it has never been up" });
    expect(judge({ port: "p1", mux: "detached" }, "sw9").ok).toBe(false);
    expect(judge({ port: "p2", mux: "waiting" }).detail).toBe(
      "p2 is current and attached since 5.000000 s (partner-out-of-sync)",
    );
  });
});
