/** At any moment of a run the tool can say why each port, role and session is as it is, and what ends it. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import type { Explanation } from "../../src/node/explain.ts";
import { flawOf, labOf, storyOf, type Told, told } from "../support/explain.ts";

const topology = (name: string) => readFileSync(new URL(`../../topologies/${name}`, import.meta.url), "utf8");

/** The lab without what it expects and, where that is not asked for, without traffic. */
function bare(text: string, script: readonly string[]): string {
  const kept = text.slice(0, text.search(/^traffic:/m));
  return `${kept}script:\n${script.map((line) => `  - ${line}`).join("\n")}\n`;
}

const PAIR = topology("mlag-pair.yaml");

describe("the M-LAG pair", () => {
  const pair: Told = told(labOf(PAIR, "mlag-pair.yaml"));
  const line = (text: string) => PAIR.split("\n").findIndex((one) => one.includes(text)) + 1;

  it("M77: a suspended port leads to the cut of the peer link, over the answer that proved the peer alive", () => {
    const why = pair.why("sw2:agg1", 21.5);
    expect(why).toMatchObject({ state: "suspended", reason: "peer-alive", since: 20_000_400, incomplete: false });
    expect(storyOf(why)).toEqual([
      "20.0004 sw2 agg1: SYNC is withheld (peer-alive)",
      "20.0004 sw2 keepalive: the peer answered a question asked after the loss (answered)",
      "20 sw2 peer session 1: down (peer-link-down)",
      "20 sw2 peer: link down",
      `20 world cut peer (line ${line("cut: peer")})`,
    ]);
    expect(why.ends).toContain("restore-delay (2s) is over; or when the peer is silent on the keepalive for timeout");
  });

  it("M77: a host's port that its partner holds back leads through that switch to the same cut", () => {
    const why = pair.why("srv1:e2", 21.5);
    expect(why).toMatchObject({ state: "down", reason: "partner-out-of-sync" });
    expect(why.chain.map(({ node, type }) => `${node} ${type}`)).toEqual([
      "sw2 lacp.port",
      "sw2 mlag.suspend",
      "sw2 mlag.hold",
      "sw2 mlag.keepalive",
      "sw2 mlag.session",
      "sw2 link",
      "world world.cut",
    ]);
    expect(why.ends).toMatch(
      /^when sw2 puts the link into its bundle \(SYNC\): when M-LAG takes .*: when the peer link/,
    );
  });

  it("M77: what stays up is told why, and a bundle that lost a link which one", () => {
    expect(storyOf(pair.why("srv1:bond0", 12)).at(-1)).toBe(`10 world cut srv1-sw2 (line ${line("cut: srv1-sw2")})`);
    expect(pair.why("sw1:agg1", 12)).toMatchObject({ state: "active-partial", reason: "peer-down" });
    expect(storyOf(pair.why("sw1:agg1", 12)).slice(0, 2)).toEqual([
      "10 sw2 p1 of agg1: port-disabled, detached (link-down)",
      "10 sw2 p1: link down",
    ]);
  });

  it("M77: half of an M-LAG whose links are the matter is explained by its links, from when they are as they are", () => {
    const why = pair.why("sw2:agg1", 12);
    expect(why).toMatchObject({ state: "down", reason: "link-down", since: 10_000_000 });
    expect(why.ends).toBe("when its wire is whole and the far end has power");
  });

  it("M77: a switch that returns says when restore-delay is over", () => {
    const why = pair.why("sw1:agg1", 51);
    expect(why).toMatchObject({ reason: "restore-delay", ends: "when restore-delay (2s) is over, at 52.000000 s" });
    expect(storyOf(why).at(-1)).toBe(`50 world power-on sw1 (line ${line("power-on")})`);
    expect(pair.why("sw1:p1", 51).ends).toContain("at 52.000000 s");
  });

  it("M77: a node without power says so of everything that it has", () => {
    for (const subject of pair.subjects.filter((one) => one.startsWith("sw1:"))) {
      expect(pair.why(subject, 40)).toMatchObject({ state: "off", reason: "power-off", since: 35_000_000 });
    }
  });

  it("M77: a gateway that took over names the master that is gone", () => {
    expect(storyOf(pair.why("sw2:vrrp10", 41))).toEqual([
      "35 sw1 sw1 has no power",
      `35 world power-off sw1 (line ${line("power-off")})`,
    ]);
  });

  it("M77: an entry that the peer has told leads to the frame that the peer heard", () => {
    const why = pair.why("sw2:mac/02:00:00:03:00:00", 12);
    expect(why).toMatchObject({ state: "agg1", reason: "peer-heard" });
    expect(why.chain.map(({ node, type }) => `${node} ${type}`)).toEqual(["sw1 mac.learned", "sw1 traffic"]);
    expect(pair.why("sw2:mac/02:00:00:00:00:99", 12)).toMatchObject({ state: "unknown", reason: "never-heard" });
  });

  it("a word that stands for one thing today stands for it at every time: before the start of the run, too", () => {
    for (const subject of pair.subjects) expect(flawOf(pair.why(subject, 0)), subject).toBeUndefined();
  });
});

/** Without places in a file that no one has. */
function unplaced(why: Explanation): string[] {
  return storyOf(why).map((line) => line.replace(/ \(line \d+\)$/, ""));
}

describe("faults that nobody sees on the port", () => {
  const story = (script: readonly string[], subject: string, at: number) =>
    unplaced(told(labOf(bare(PAIR, script)), at).why(subject, at));

  it("a link that carries nothing in one direction is found behind the silence", () => {
    const script = ["{ at: 10s, cut: srv1-sw2, side: srv1:e2 }"];
    expect(story(script, "sw2:p1", 14)).toEqual(["10 world cut srv1-sw2 (only what srv1:e2 sends)"]);
  });

  it("a filter that keeps LACPDUs off is found, and not the one that was lifted", () => {
    const script = [
      "{ at: 8s, filter: { link: srv1-sw2, drop: { ethertype: 0x0800 } } }",
      "{ at: 9s, filter: { link: srv1-sw2, drop: nothing } }",
      "{ at: 10s, filter: { link: srv1-sw2, drop: { ethertype: 0x8809 } } }",
    ];
    expect(story(script, "sw2:p1", 14)).toEqual(["10 world filter on srv1-sw2: ethertype 34825"]);
  });

  it("a peer that stands still is found behind the session that timed out", () => {
    const why = told(labOf(bare(PAIR, ["{ at: 10s, pause: sw1 }"])), 20).why("sw2:session", 20);
    expect(why).toMatchObject({ state: "down", reason: "session-lost" });
    expect(unplaced(why).at(-1)).toBe("10 world pause sw1");
  });

  it("a switch that stands still is what it was, and that is said with it", () => {
    const run = told(labOf(bare(PAIR, ["{ at: 10s, pause: sw1 }", "{ at: 15s, resume: sw1 }"])), 20);
    expect(run.why("sw1:agg1", 12)).toMatchObject({ state: "active-full" });
    expect(run.why("sw1:agg1", 12).text).toMatch(/; sw1 stands still since 10\.000000 s$/);
    expect(run.why("sw1:agg1", 16).text).not.toContain("stands still");
  });

  it("an order of the operator is the root of what it brought about", () => {
    const script = ["{ at: 10s, command: { node: sw2, mlag: { verb: suspend, id: 1 } } }"];
    const why = told(labOf(bare(PAIR, script)), 12).why("sw2:agg1", 12);
    expect(why).toMatchObject({ state: "suspended", reason: "operator", ends: "when an operator says restore" });
    expect(unplaced(why).at(-1)).toBe('10 world sw2: mlag {"verb":"suspend","id":1}');
  });

  it("after both paths are lost each port leads to the cut that was the last of them", () => {
    const script = ["{ at: 10s, cut: ka }", "{ at: 20s, cut: peer }"];
    const run = told(labOf(bare(PAIR, script)), 40);
    expect(unplaced(run.why("sw2:role", 40)).at(-1)).toBe("20 world cut peer");
    expect(unplaced(run.why("srv1:e2", 40)).at(-1)).toBe("20 world cut peer");
    expect(run.why("srv1:e2", 40)).toMatchObject({ state: "down", reason: "other-partner" });
  });
});

/** The lab is in order 5 s after its start: whatever has not been so for a second later is somebody's doing. */
function blameless({ state, since, at, chain }: Explanation): string | undefined {
  const root = chain.at(-1)?.type ?? "";
  const bad = ["down", "off", "suspended", "inactive", "active-partial", "initialize", "fault"].includes(state);
  return bad && since > 5_000_000 && at - since > 1_000_000 && !root.startsWith("world.")
    ? `${state} is nobody's doing, but ${root}'s`
    : undefined;
}

describe("any fault, at any moment", () => {
  const at = fc.integer({ min: 1, max: 300 }).map((tenths) => `at: ${tenths * 100}ms`);
  const link = fc.constantFrom("srv1-sw1", "srv1-sw2", "srv2-sw1", "srv2-sw2", "peer", "ka");
  const side = fc.constantFrom("srv1:e1", "sw1:p1");
  const node = fc.constantFrom("sw1", "sw2", "srv1");
  const sw = fc.constantFrom("sw1", "sw2");
  const orders = [
    "lacp: { verb: drain }",
    "lacp: { verb: start }",
    "lacp: { verb: stop, bundle: agg1 }",
    "lacp: { verb: key, bundle: agg2, key: 9 }",
    "vrrp: { verb: stop }",
    "vrrp: { verb: start }",
    "vrrp: { verb: drain }",
    "vrrp: { verb: priority, vrid: 10, priority: 200 }",
    "mlag: { verb: preempt }",
    "mlag: { verb: suspend, id: 1 }",
    "mlag: { verb: restore, id: 1 }",
    "mlag: { verb: maintenance, on: true }",
    "mlag: { verb: maintenance, on: false }",
  ];
  const fault = fc.oneof(
    fc.tuple(fc.constantFrom("cut", "heal"), link).map(([verb, name]) => `${verb}: ${name}`),
    fc.tuple(fc.constantFrom("cut", "heal"), side).map(([verb, end]) => `${verb}: srv1-sw1, side: "${end}"`),
    fc
      .tuple(link, fc.constantFrom("1/2", "0%", "100%"))
      .map(([name, ratio]) => `loss: { link: ${name}, ratio: ${ratio} }`),
    fc
      .tuple(link, fc.constantFrom("all", "nothing", "{ ethertype: 0x8809 }"))
      .map(([name, drop]) => `filter: { link: ${name}, drop: ${drop} }`),
    fc
      .tuple(fc.constantFrom("power-off", "power-on", "pause", "resume"), node)
      .map(([verb, name]) => `${verb}: ${name}`),
    fc.tuple(sw, fc.constantFrom(...orders)).map(([name, order]) => `command: { node: ${name}, ${order} }`),
  );
  const scripts = fc.array(fc.tuple(at, fault), { minLength: 1, maxLength: 8 });

  it("M77: every port of every node has a reason, a chain that ends where something was done, and an end to wait for", () => {
    fc.assert(
      fc.property(
        scripts,
        fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 8, maxLength: 8 }),
        (lines, times) => {
          const script = lines.map(([when, what]) => `{ ${when}, ${what} }`);
          const run = told(labOf(bare(PAIR, script)), 40);
          for (const time of [...times, 40_000]) {
            for (const subject of run.subjects) {
              const why = run.why(subject, time / 1_000);
              const flaw = flawOf(why) ?? blameless(why);
              expect(flaw, `${subject} at ${time} ms: ${JSON.stringify(why)}`).toBeUndefined();
            }
          }
        },
      ),
      { numRuns: 30, seed: 77 },
    );
  });
});

const labs = readdirSync(new URL("../../topologies/", import.meta.url)).filter((file) => file.endsWith(".yaml"));

describe("every lab", () => {
  // Traffic says nothing of why a port is as it is, and takes most of a run's time.
  test.each(labs)(
    "%s: whatever it shows can be explained, before, between and after the lines of its script",
    (file) => {
      const lab = { ...labOf(topology(file), file), traffic: [], expect: [] };
      const run = told(lab);
      const turns = lab.script.map(({ at }) => at / 1e6);
      const times = new Set([0, 1, ...turns.flatMap((at) => [at - 0.5, at, at + 0.5, at + 4]), lab.end / 1e6]);
      const some = run.subjects.filter((_, i) => i % Math.ceil(run.subjects.length / 60) === 0);
      for (const time of times) {
        if (time < 0 || time > lab.end / 1e6) continue;
        for (const subject of some) expect(flawOf(run.why(subject, time)), `${subject} at ${time} s`).toBeUndefined();
      }
    },
  );
});
