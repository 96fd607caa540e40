/** Every reason of every list leads somewhere, and what is not as it should be says what ends it. */
import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { BUNDLE_REASONS, PORT_REASONS } from "../../protocols/lacp/events.ts";
import { MLAG_REASONS } from "../../protocols/mlag/events.ts";
import { STATE_REASONS } from "../../protocols/vrrp/events.ts";
import type { Event } from "../../src/core/machine.ts";
import { type Instant, sec } from "../../src/core/time.ts";
import { History } from "../../src/node/past.ts";
import { asked, flawOf, labOf, type Told } from "../support/explain.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");
const lab = labOf(read("topologies/mlag-pair.yaml"), "mlag-pair.yaml");

/** A log in which all nodes start, and one of them then says this. */
function saying(node: string, ...events: readonly Event[]): Told {
  const history = new History();
  const say = (at: number, who: string, event: Event) =>
    history.read({ at: sec(at) as number as Instant, node: who, way: "out", what: { kind: "event", event } });
  for (const one of lab.nodes) say(0, one.node, { type: "node.on" });
  for (const event of events) say(10, node, event);
  return asked(lab, history);
}

type Said = Event & Readonly<Record<string, unknown>>;
const event = (said: Said): Event => said;

/** The words in the first column of a page's tables, and those that a line names between commas. */
function documented(page: string): string[] {
  const rows = read(page)
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  return rows.flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`([a-z-]+)`/g)].map((match) => match[1] ?? ""));
}

describe("M77: every reason of M-LAG", () => {
  it("is in the list that the docs explain", () => {
    const words = documented("docs/mlag-reasons.md");
    for (const reason of MLAG_REASONS) expect(words, reason).toContain(reason);
  });

  test.each(MLAG_REASONS)("%s: of a member that is suspended", (reason) => {
    const member = { id: 1, port: "agg1", local: false, peer: true, state: "suspended", reason };
    const why = saying("sw2", event({ type: "mlag.member", ...member })).why("sw2:agg1", 11);
    expect(why).toMatchObject({ state: "suspended", reason, since: 10_000_000 });
    expect(flawOf(why)).toBeUndefined();
  });

  test.each(MLAG_REASONS)("%s: of a member that is held, through the order to do so", (reason) => {
    const order = event({ type: "mlag.hold", bundle: "agg1", hold: true, reason });
    const port = { port: "p1", bundle: "agg1", receive: "current", mux: "waiting", selected: "standby", cause: reason };
    const held = event({ type: "lacp.port", ...port, reason: "hold" });
    const why = saying("sw2", order, held).why("sw2:p1", 11);
    expect(why.chain[0]).toMatchObject({ type: "mlag.hold", reason });
    expect(why.ends).toMatch(/^when M-LAG no longer withholds agreement: ./);
    expect(flawOf(why)).toBeUndefined();
  });

  test.each(MLAG_REASONS)("%s: of a role, a session and a keepalive", (reason) => {
    const said = saying(
      "sw2",
      event({ type: "mlag.session", up: false, epoch: 1, reason }),
      event({ type: "mlag.keepalive", up: false, reason }),
      event({ type: "mlag.role", role: "primary", priority: 200, alone: true, reason }),
    );
    for (const [part, state] of Object.entries({ session: "down", keepalive: "down", role: "primary" })) {
      const why = said.why(`sw2:${part}`, 11);
      expect(why).toMatchObject({ state, reason, ends: expect.stringMatching(/./) });
      expect(flawOf(why)).toBeUndefined();
    }
  });

  it("a part of which nothing has been said yet is in no state, and says what it waits for", () => {
    const quiet = saying("sw2");
    for (const part of ["role", "session", "agg1"]) {
      expect(quiet.why(`sw2:${part}`, 11)).toMatchObject({ state: "none", reason: "start", since: 0 });
      expect(quiet.why(`sw2:${part}`, 11).ends).toContain("at 240.000000 s without the peer (auto-recovery)");
    }
    expect(quiet.why("sw2:keepalive", 11)).toMatchObject({ state: "down", reason: "start" });
  });
});

describe("M77: every reason of LACP", () => {
  test.each(PORT_REASONS)("%s: of a port", (reason) => {
    const ends = { actor: {}, partner: {}, receive: "current", mux: "attached", selected: "selected" };
    const why = saying("srv1", event({ type: "lacp.port", port: "e1", bundle: "bond0", ...ends, reason })).why(
      "srv1:e1",
      11,
    );
    const up = reason === "carrying" || reason === "fallback";
    expect(why).toMatchObject({ state: up ? "up" : "down", reason, since: 10_000_000 });
    expect(flawOf(why)).toBeUndefined();
  });

  test.each(BUNDLE_REASONS)("%s: of a bundle", (reason) => {
    for (const up of [true, false]) {
      const said = event({ type: "lacp.bundle", bundle: "bond0", up, members: up ? 1 : 0, reason });
      const why = saying("srv1", said).why("srv1:bond0", 11);
      expect(why).toMatchObject({ state: up ? "up" : "down", reason });
      expect(flawOf(why)).toBeUndefined();
    }
  });
});

describe("M77: every reason of VRRP", () => {
  test.each(STATE_REASONS)("%s: of a router", (reason) => {
    for (const to of ["initialize", "backup", "master", "fault"]) {
      const router = { interface: "vlan1", vrid: 10, family: "ipv4", from: "backup", priority: 100 };
      const why = saying("sw2", event({ type: "vrrp.state", ...router, to, reason })).why("sw2:vrrp10", 11);
      expect(why).toMatchObject({ state: to, reason, since: 10_000_000 });
      expect(flawOf(why)).toBeUndefined();
    }
  });
});

describe("M77: every entry of a table", () => {
  const station = { vlan: 1, mac: "02:00:00:03:00:00", port: "agg1" };
  const learned = (origin: string) => event({ type: "mac.learned", ...station, origin });
  const aged = (origin: string, reason: string) => event({ type: "mac.aged", ...station, origin, reason });
  const why = (...events: readonly Event[]) => saying("sw2", ...events).why("sw2:mac/02:00:00:03:00:00", 11);

  it("is there because it was heard, by whom, and until when", () => {
    expect(why(learned("local"))).toMatchObject({ state: "agg1", reason: "heard" });
    expect(why(learned("peer"))).toMatchObject({ state: "agg1", reason: "peer-heard" });
    expect(why(learned("local")).ends).toContain("300s");
  });

  it("that has aged here stays while the peer has it, and says so", () => {
    const kept = why(learned("peer"), learned("local"), aged("local", "ageing"));
    expect(kept).toMatchObject({ state: "agg1", reason: "kept-by-peer" });
    expect(kept.chain[0]).toMatchObject({
      type: "mac.learned",
      text: expect.stringContaining("heard at the M-LAG peer"),
    });
    expect(flawOf(kept)).toBeUndefined();
  });

  test.each(["ageing", "link-down", "peer-aged"])("is gone: %s", (reason) => {
    const gone = why(learned("local"), aged("local", reason));
    expect(gone).toMatchObject({ state: "gone", reason, ends: "when a frame from it comes in" });
    expect(flawOf(gone)).toBeUndefined();
  });
});

describe("a history", () => {
  it("keeps so many facts of one kind, and says when an explanation would need older ones", () => {
    const history = new History();
    const fact = (at: number, node: string, said: Said) =>
      history.read({ at: at as Instant, node, way: "out", what: { kind: "event", event: said } });
    for (const { node } of lab.nodes) fact(0, node, { type: "node.on" });
    const mac = (n: number) =>
      `02:00:00:${[n >> 16, n >> 8, n].map((octet) => (octet & 255).toString(16).padStart(2, "0")).join(":")}`;
    for (let n = 1; n <= 100_000; n++)
      fact(n, "sw1", { type: "mac.learned", vlan: 1, mac: mac(n), port: "agg1", origin: "local" });
    const told = asked(lab, history);
    expect(history.of("sw1", "mac.learned").facts.length).toBeLessThanOrEqual(65_536);
    expect(told.why(`sw1:mac/${mac(100_000)}`, 1)).toMatchObject({ reason: "heard" });
    expect(told.why(`sw1:mac/${mac(1)}`, 1)).toMatchObject({ reason: "never-heard", incomplete: true });
  });
});
