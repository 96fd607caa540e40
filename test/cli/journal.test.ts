import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isManaged, type Journal, type JournalOptions, openJournal, priorityOf } from "../../cli/journal.ts";
import { flush } from "../../cli/output.ts";
import { protocols } from "../../protocols/index.ts";
import type { Entry } from "../../src/core/log.ts";
import type { Event } from "../../src/core/machine.ts";
import { instant } from "../../src/core/time.ts";

const written: string[] = [];
const told: string[] = [];

beforeEach(() => {
  written.length = 0;
  told.length = 0;
  vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
  vi.spyOn(process.stderr, "write").mockImplementation((text) => told.push(String(text)) > 0);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const of = { interface: "eth0", vrid: 10, family: "ipv4" };

function said(event: Event & Readonly<Record<string, unknown>>): Entry {
  return { at: instant(1_500_000), node: "gw1", way: "out", what: { kind: "event", event } };
}

const taken = said({ type: "vrrp.state", ...of, from: "backup", to: "master", priority: 100, reason: "preempt" });
const lost = (reason: string, count: number) => said({ type: "vrrp.drop", ...of, reason, count });

let journal: Journal;

function open(how: Omit<JournalOptions, "protocols">): Journal {
  journal = openJournal({ ...how, protocols });
  return journal;
}

function lines(): string[] {
  journal.flush();
  void flush();
  return written.join("").split("\n").slice(0, -1);
}

describe("the log of a daemon", () => {
  test("is a line a transition, with its reason and the time of day", () => {
    open({ json: false, managed: false }).reader.read(taken);
    expect(lines()).toEqual([
      expect.stringMatching(
        /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}eth0 vrid 10 ipv4: backup → master, priority 100 \(preempt\)$/,
      ),
    ]);
  });

  test("has no time but a priority where journald reads it (sd-daemon(3))", () => {
    open({ json: false, managed: true });
    journal.reader.read(taken);
    journal.reader.read(lost("ttl", 1));
    journal.tell("reload: nothing was changed", true);
    expect(lines()[0]).toBe("<5>eth0 vrid 10 ipv4: backup → master, priority 100 (preempt)");
    expect(lines()[1]).toMatch(/^<4>/);
    expect(told).toEqual(["<4>reload: nothing was changed\n"]);
    expect(isManaged({ INVOCATION_ID: "1" })).toBe(true);
    expect(isManaged({})).toBe(false);
  });

  test("has no lines for links that are connections: their sessions speak for them", () => {
    const link = (name: string): Entry => {
      return { at: instant(1), node: "gw1", way: "out", what: { kind: "link", port: { name, index: 1 }, up: true } };
    };
    open({ json: false, managed: true });
    for (const name of ["eth0", "tcp:mlag", "peer.4094"]) journal.reader.read(link(name));
    expect(lines()).toEqual(["<6>eth0: link up", "<6>peer.4094: link up"]);
  });

  test.each([
    [4, { type: "mlag.session", up: false }],
    [5, { type: "mlag.session", up: true }],
    [5, { type: "mlag.role", role: "primary" }],
    [4, { type: "mlag.alarm", active: true }],
  ])("wakes an operator for what a pair loses: priority %d for %o", (priority, event) => {
    expect(priorityOf(said(event))).toBe(priority);
  });

  test("is one JSON object a line with --json, with the time in both forms", () => {
    open({ json: true, managed: true }).reader.read(taken);
    expect(lines().map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        t: 1.5,
        node: "gw1",
        type: "vrrp.state",
        ...of,
        from: "backup",
        to: "master",
        priority: 100,
        reason: "preempt",
        time: expect.any(String),
      },
    ]);
  });

  test("says a drop of one kind once in ten seconds, with how many there were", () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { reader } = open({ json: false, managed: true });
    for (let i = 1; i <= 10; i++) {
      reader.read(lost("ttl", i));
      if (i === 5) reader.read(lost("checksum", 1));
      vi.advanceTimersByTime(1_000);
    }
    reader.read(lost("ttl", 11));
    expect(lines()).toEqual([
      "<4>eth0 vrid 10 ipv4: advert dropped (ttl), 1 so far",
      "<4>eth0 vrid 10 ipv4: advert dropped (checksum), 1 so far",
      "<4>eth0 vrid 10 ipv4: advert dropped (ttl), 11 so far",
    ]);
  });

  test("loses lines for a reader that is too slow, and says how many: a router waits for nobody", () => {
    const { reader } = open({ json: false, managed: true });
    const backlog = vi.spyOn(process.stdout, "writableLength", "get").mockReturnValue(2 << 20);
    reader.read(taken);
    reader.read(taken);
    expect(lines()).toEqual([]);
    backlog.mockReturnValue(0);
    reader.read(taken);
    expect(lines()).toHaveLength(1);
    expect(told).toEqual([expect.stringContaining("2 lines of the log are lost")]);
  });

  test("is written once the network has been served: nothing in the turn in which it happens", async () => {
    open({ json: false, managed: true }).reader.read(taken);
    void flush();
    expect(written).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    void flush();
    expect(written.join("")).toMatch(/backup → master/);
  });

  test("takes a fault and a lost link for more than a handover", () => {
    expect(priorityOf(said({ type: "vrrp.state", to: "fault" }))).toBe(4);
    expect(priorityOf(said({ type: "vrrp.state", to: "backup" }))).toBe(5);
    expect(priorityOf({ ...taken, what: { kind: "link", port: { name: "eth0", index: 0 }, up: false } })).toBe(4);
    expect(priorityOf(said({ type: "vrrp.priority" }))).toBe(6);
  });
});
