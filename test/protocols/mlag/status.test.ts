/** What `hotpair status` shows of a pair: the rows of machines in a lab, and the table that they make. */
import { describe, expect, it } from "vitest";
import { statusLines } from "../../../cli/status.ts";
import { protocols } from "../../../protocols/index.ts";
import { instant, sec } from "../../../src/core/time.ts";
import { LabRun } from "../../../src/host/sim/lab-run.ts";
import { compileLab } from "../../../src/host/sim/topology.ts";
import type { StatusRow } from "../../../src/node/protocol.ts";
import { pairLab, type ScriptLine } from "../../support/mlag-lab.ts";
import { shoutProtocol } from "../../support/shout.ts";

/** As the control socket has them: through JSON. */
function rowsOf(lines: readonly ScriptLine[], seconds: number, name: string): readonly StatusRow[] {
  const all = [...protocols, shoutProtocol];
  const compiled = compileLab(pairLab(lines, seconds, "sysid-fallback"), "pair.yaml", all);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const end = instant(sec(seconds));
  const run = new LabRun(compiled.lab, all, { end });
  run.start();
  run.run();
  const node = run.world.node(name);
  return protocols.flatMap(({ name: to, status }) => {
    const state = status === undefined ? undefined : node?.machine(to)?.state;
    // What its bundles say is theirs.
    const rows = state === undefined || to === "lacp" ? [] : (status?.rows(state as never, end) ?? []);
    return rows.map((row) => ({ to, ...(JSON.parse(JSON.stringify(row)) as StatusRow) }));
  });
}

function text(rows: readonly StatusRow[]): readonly string[] {
  const started = new Date("2026-01-02T03:04:05Z");
  const alarm = { count: 0, last: 0, worst: 0, mean: 0, beyond: 0 };
  const host = { pid: 1, started: started.toISOString(), interfaces: [], alarm, drops: {} };
  return statusLines({ node: "sw1", t: 0, rows, host }, protocols, started).map((line) => line.text);
}

describe("the status of a pair", () => {
  it("that is whole", () => {
    const rows = rowsOf([], 6, "sw1");
    expect(rows.map(({ type }) => type)).toEqual(["iccp.session", "mlag.pair", "mlag.member", "mlag.member"]);
    expect(text(rows)).toEqual([
      "sw1: pid 1, up 0s",
      "",
      "SESSION  PEER                STATE        WHY          SINCE  DIALECT  HEARD",
      "mlag     fe80::4d4c:a:a63:2  operational  established  6.0s   native   100ms ago",
      "    from fe80::4d4c:a:a63:1, heartbeat 100ms, not signed; messages: 130 sent, 132 received",
      "    version 1.0",
      "",
      "M-LAG  PORT  STATE        WHY             SINCE  HERE        AT THE PEER",
      "pair   peer  primary      lower-priority  6.0s   session up  paired",
      "    domain 10, priority 100, system 02:00:00:01:00:00, to partners 02:4d:4c:00:00:0a; peer 02:00:00:02:00:00, priority 200",
      "    peer link peer: up; session 1: up (hello) for 6.0s",
      "    keepalive ka: up (heard) for 6.0s, 10.99.0.1/30 to 10.99.0.2 each 100ms, heard 100ms ago",
      "    shared: mac 1 here, 3 at the peer; arp 0 here, 0 at the peer; nd 0 here, 0 at the peer; 0 corrected by audits",
      "1      agg1  active-full  peer-up         5.0s   up          up",
      "    partner 02:00:00:03:00:00 over 1 link, 02:00:00:03:00:00 at the peer, isolated from the peer link (all)",
      "2      agg2  active-full  peer-up         5.0s   up          up",
      "    partner 02:00:00:04:00:00 over 1 link, 02:00:00:04:00:00 at the peer, isolated from the peer link (all)",
      "",
      "timers late by: 0.00ms last, 0.00ms mean, 0.00ms worst (of 0)",
    ]);
  });

  it("whose peer link is cut: the secondary knows that the primary lives, and says why its members are out", () => {
    const [session, pair, member] = rowsOf([{ at: 5, what: "cut: peer" }], 6, "sw2");
    expect(session).toMatchObject({ state: "nonexistent", reason: "no-address" });
    expect(pair).toMatchObject({
      state: "secondary",
      situation: "peer-alive",
      session: { up: false, reason: "peer-link-down" },
      keepalive: { up: true, reason: "answered", proven: true },
      peerLink: { port: "peer", up: false },
    });
    expect(member).toMatchObject({ state: "suspended", reason: "peer-alive", local: false, peer: false });
  });

  it("without the keepalive: an alarm, until it is back", () => {
    const cut = { at: 4, what: "cut: ka" };
    const [, pair] = rowsOf([cut], 6, "sw1");
    expect(pair).toMatchObject({
      keepalive: { up: false, reason: "keepalive-link-down" },
      alarms: [{ alarm: "degraded" }],
    });
    const [, healed] = rowsOf([cut, { at: 5, what: "heal: ka" }], 6, "sw1");
    expect(healed).toMatchObject({ keepalive: { up: true, reason: "heard" }, alarms: [] });
  });
});
