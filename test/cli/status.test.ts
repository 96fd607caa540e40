import { describe, expect, test } from "vitest";
import { type State, statusLines } from "../../cli/status.ts";
import { table } from "../../cli/table.ts";
import { protocols } from "../../protocols/index.ts";
import { status } from "../../protocols/vrrp/status.ts";
import { ms, sec } from "../../src/core/time.ts";
import { Bench, given, given6 } from "../support/vrrp.ts";

function rowsOf(bench: Bench): State["rows"] {
  // As the control socket has them: through JSON.
  return (JSON.parse(JSON.stringify(status.rows(bench.state as never, bench.now))) as State["rows"]).map((row) => ({
    ...row,
    to: "vrrp",
  }));
}

const STARTED = new Date("2026-01-02T03:04:05Z");

function text(bench: Bench, host: Partial<State["host"]> = {}): readonly string[] {
  const state: State = {
    node: "gw1",
    t: 0,
    rows: rowsOf(bench),
    host: {
      pid: 4711,
      started: STARTED.toISOString(),
      file: "/etc/hotpair/node.yaml",
      interfaces: [
        { interface: "eth0", up: true, received: 12, dropped: 0, sent: 34, refused: {} },
        { interface: "eth1", up: false, received: 0, dropped: 1, sent: 2, refused: { ENOBUFS: 3 } },
        { interface: "eth2", up: true, received: 0, sent: 0, refused: {} },
      ],
      alarm: { count: 9, last: 0.0001, worst: 0.0123, mean: 0.0002, beyond: 0 },
      drops: { "no-link": 2 },
      ...host,
    },
  };
  return statusLines(state, protocols, new Date(STARTED.getTime() + 3_725_000)).map((line) => line.text);
}

describe("the status of a backup", () => {
  const bench = new Bench([given({ name: "lan", priority: 100 })]);
  bench.hearEach(ms(100), 11, 200, { interval: 10 }).wait(ms(20));

  test("is a row under heads, in columns, then its peers and what was counted", () => {
    expect(text(bench)).toEqual([
      "gw1: pid 4711, up 1h2m, /etc/hotpair/node.yaml",
      "",
      "ROUTER  INTERFACE  VRID  FAMILY  STATE   WHY      SINCE  PRIORITY  MASTER           NEXT",
      "lan     eth0       10    ipv4    backup  startup  1.1s   100       192.0.2.1 (200)  takes over in 241ms",
      "    holds 192.0.2.254/24, sends from 192.0.2.2 each 1s, version 3, checksum message",
      "    peer 192.0.2.1: priority 200, each 100ms, version 3, checksum message, a MAC of its own, heard 120ms ago, lost 0 of 11 (0.0%)",
      "    adverts: 0 sent, 11 received; priority 0: 0 sent, 0 received; 0 times master",
      "",
      "eth0: up, 12 received, 0 dropped, 34 sent, none refused",
      "eth1: down, 0 received, 1 dropped, 2 sent, refused: ENOBUFS 3",
      "eth2: up, 0 received, unknown dropped, 0 sent, none refused",
      "frames that went nowhere: no-link 2",
      "timers late by: 0.10ms last, 0.20ms mean, 12.30ms worst (of 9)",
    ]);
  });

  test("counts adverts that only repeat the last one, which the machine notes and does not look at", () => {
    const [row] = rowsOf(bench);
    expect(row).toMatchObject({
      state: "backup",
      master: { address: "192.0.2.1", adverts: 11, heard: 0.12, run: { heard: 11, expected: 11, lost: 0 } },
      timers: { skewTime: 0.060938, downInterval: 0.360938 },
      counters: { advertsReceived: 11, intervalMismatches: 11 },
    });
  });
});

describe("the loss estimate", () => {
  test("is of what the peer's interval makes one expect, and survives a change of its priority", () => {
    const bench = new Bench([given()]);
    for (let i = 0; i < 20; i++) {
      if (i % 5 !== 3) bench.hear(i < 10 ? 200 : 150, { interval: 10 });
      bench.wait(ms(100));
    }
    expect(rowsOf(bench)[0]).toMatchObject({ peers: [{ run: { heard: 16, expected: 20, lost: 4 } }] });
  });

  test("begins afresh when a master comes back: nobody sends while others are master", () => {
    const bench = new Bench([given({ priority: 50 })]);
    bench.hearEach(sec(1), 5, 200).hearEach(sec(1), 20, 100, { source: "192.0.2.3" }).hearEach(sec(1), 3, 200);
    const [row] = rowsOf(bench) as unknown as [
      { peers: readonly { address: string; run: unknown; adverts: number }[] },
    ];
    const back = row.peers.find(({ address }) => address === "192.0.2.1");
    expect(back).toMatchObject({ adverts: 8, run: { heard: 3, expected: 3, lost: 0 } });
  });
});

describe("the status of a master", () => {
  test("says when its next advert is due, and what tracking and draining do to its priority", () => {
    const bench = new Bench([given({ track: { objects: [{ name: "probe", weight: -20 }] } })]).wait(sec(5));
    bench.command({ verb: "track", name: "probe", up: false }).wait(ms(10));
    const [row] = rowsOf(bench);
    expect(row).toMatchObject({ state: "master", reason: "master-timeout", priority: 80, base: 100, draining: false });
    expect(row && status.cells(row)).toContain("80 (100)");
    expect(row && status.cells(row).at(-1)).toMatch(/^advert in \d+ms$/);
    expect(status.holds(bench.state as never)).toEqual([{ name: "eth0-10", within: sec(4) }]);
    bench.command({ verb: "drain" });
    expect(rowsOf(bench)[0]).toMatchObject({ draining: true, priority: 1 });
  });

  test("of IPv6 says the form of checksum that it has to have, and its link-local address", () => {
    const [row] = rowsOf(new Bench([given6()]).wait(sec(5)));
    expect(row).toMatchObject({ family: "ipv6", checksum: "pseudo-header", primary: "fe80::2" });
  });

  test("leaves out what a reload has taken away, while that still answers", () => {
    const bench = new Bench([given(), given({ vrid: 20, addresses: ["192.0.2.20/24"] })]).wait(sec(5));
    bench.configure([given()]);
    expect(bench.state.routers).toHaveLength(2);
    expect(rowsOf(bench).map(({ name }) => name)).toEqual(["eth0-10"]);
  });
});

describe("what runs beside the machines", () => {
  const beside = (...rows: readonly State["rows"][number][]) => {
    const host = { pid: 1, started: STARTED.toISOString(), interfaces: [], drops: {} };
    const state = {
      node: "gw1",
      t: 0,
      rows,
      host: { ...host, alarm: { count: 0, last: 0, worst: 0, mean: 0, beyond: 0 } },
    };
    return statusLines(state, protocols, STARTED).slice(2, -2);
  };
  const looked = { type: "tracked", looks: 12, failures: 3, output: "" };

  test("something tracked: how it stands, why, how often it was looked at, and the last line that it wrote", () => {
    const script = { ...looked, kind: "script", name: "web", up: false, why: "exit code 1", took: 12_340 };
    const file = { ...looked, kind: "file", name: "load", up: false, value: 3, why: "its value is 3" };
    const process = { ...looked, kind: "process", name: "db", why: "not looked for yet" };
    const lines = beside({ ...script, output: "trying\nrefused\n" }, file, process);
    expect(lines).toEqual([
      { text: "script web: down (exit code 1), 12 looks, 3 of them bad, the last took 12.34ms", style: "bad" },
      { text: "    it wrote: refused", style: "detail" },
      { text: "file load: 3 (its value is 3), 12 looks, 3 of them bad", style: "row" },
      { text: "process db: not known (not looked for yet), 12 looks, 3 of them bad", style: "row" },
    ]);
  });

  test("hooks of a group: how many were told, what is being told, and the last failure with what it wrote", () => {
    const news = { type: "GROUP", name: "site", state: "MASTER", priority: 0 };
    const failure = { at: "2026-01-02T03:04:05.000Z", group: "site", news, generation: 7, attempt: 2 };
    const then = "retried";
    const failures = [{ ...failure, then, text: "exit code 3", output: "no such host\n" }];
    const current = { news, generation: 7, attempt: 3 };
    const counts = { waiting: 1, delivered: 4, skipped: 2, givenUp: 0 };
    expect(beside({ type: "hook", name: "site", group: "site", current, ...counts, failures })).toEqual([
      {
        text: "hook of site: 4 told, 1 waiting, 2 overtaken, 0 given up, MASTER is being told (attempt 3)",
        style: "row",
      },
      {
        text: "    last failure 2026-01-02T03:04:05.000Z: GROUP site MASTER, attempt 2: exit code 3, retried",
        style: "bad",
      },
      { text: "    it wrote: no such host", style: "detail" },
    ]);
    const [idle] = beside({ type: "hook", name: "lan", group: "lan", ...counts, givenUp: 1, failures: [] });
    expect(idle).toEqual({ text: "hook of lan: 4 told, 1 waiting, 2 overtaken, 1 given up", style: "bad" });
  });
});

test("a table has columns as wide as their widest cell, and no blanks at the end", () => {
  expect(
    table([
      ["A", "B", "C"],
      ["long", "", "x"],
      ["", "wide cell"],
    ]),
  ).toEqual(["A     B          C", "long             x", "      wide cell"]);
});
