/** The key `lacp` of a node's file, the lines of a lab that speak of it, and what is said in words. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import { schema } from "../../../protocols/lacp/config.ts";
import { BUNDLE_REASONS, LACP_DROPS, type LacpEvent, PORT_REASONS } from "../../../protocols/lacp/events.ts";
import { lacpProtocol } from "../../../protocols/lacp/index.ts";
import { compileLab } from "../../../src/host/sim/topology.ts";

const lab = (lacp: string, more = "", expectations = "") => `
name: one
nodes:
  sw: { lacp: ${lacp}${more} }
  other: { lacp: [{ name: bond0, members: [x1], system: '02:00:00:00:00:99' }] }
links: [{ id: one, ends: [sw:p1, other:x1] }]
script: [{ at: 1s, cut: one }]
${expectations === "" ? "" : `expect: [${expectations}]`}
`;

function problems(lacp: string, more = "", expectations = ""): string[] {
  const compiled = compileLab(lab(lacp, more, expectations), "lab.yaml", protocols);
  return compiled.ok ? [] : compiled.problems.map(({ message }) => message);
}

describe("the file", () => {
  it("takes the forms of the interface document, with the defaults of the standard", () => {
    const [one, two] = schema.parse([
      { name: "agg1", members: ["p1"], rate: "fast" },
      { name: "bond0", members: ["e1", { port: "e2", priority: 5 }] },
    ]);
    expect(one).toMatchObject({
      name: "agg1",
      fast: true,
      active: true,
      key: 1,
      systemPriority: 32_768,
      minLinks: 1,
      fallback: "none",
    });
    expect(two).toMatchObject({
      fast: false,
      key: 2,
      members: [
        { port: "e1", priority: 32_768 },
        { port: "e2", priority: 5 },
      ],
      aggregateWait: 2_000_000,
      hash: "layer2",
    });
  });

  it("takes every key", () => {
    const all = {
      name: "agg1",
      members: ["p1", "p2"],
      mode: "passive",
      rate: "slow",
      key: 65_535,
      priority: 0,
      "system-priority": 65_535,
      system: "02-00-00-00-00-01",
      "min-links": 1,
      "max-links": 2,
      individual: true,
      control: "coupled",
      "aggregate-wait": "0s",
      "wait-to-restore": "10m",
      fallback: { mode: "static" },
      hash: "layer3+4",
      resilient: false,
      flush: "0s",
    };
    expect(schema.parse([all])[0]).toMatchObject({
      coupled: true,
      fallback: "static",
      fallbackTimeout: 90_000_000,
      system: "02:00:00:00:00:01",
    });
    expect(schema.parse([{ ...all, fallback: "individual" }])[0]).toMatchObject({ fallback: "individual" });
  });

  it.each([
    ["[{ name: agg1, members: [] }]", "", /members|>=1|at least/i],
    ["[{ name: agg1, members: [p1], rate: quick }]", "", /quick|fast/],
    ["[{ name: agg1, members: [p1], key: 0 }]", "", "found 0, allowed: a key of 1 to 65535"],
    ["[{ name: agg1, members: [p1, p1] }]", "", /found p1, which is in agg1 already/],
    ["[{ name: agg1, members: [p1] }, { name: agg1, members: [p2] }]", "", /found agg1 twice/],
    ["[{ name: agg1, members: [p1], key: 2 }, { name: agg2, members: [p2] }]", "", /found 2, which agg1 has already/],
    ["[{ name: agg1, members: [p1], min-links: 2 }]", "", /found 2, allowed: at most 1/],
    ["[{ name: agg1, members: [p1, p2], min-links: 2, individual: true }]", "", /found 2, allowed: at most 1/],
    ["[{ name: agg1, members: [p1] }, { name: agg2, members: [agg1] }]", "", /found agg1, which is a bundle/],
    ["[{ name: agg1, members: [p1] }]", ", bridge: { ports: [p1, agg1] }", /found p1, which bridge uses/],
    [
      "[{ name: agg1, members: [p1] }]",
      ", interfaces: { p1: { addresses: [10.0.0.1/24] } }",
      /found p1, which interfaces uses/,
    ],
  ])("%s%s is refused, and it is said why", (lacp, more, message) => {
    expect(problems(lacp, more).join("\n")).toMatch(message);
  });

  it("two nodes that say one system are warned of, not refused", () => {
    expect(problems("[{ name: agg1, members: [p1], system: '02:00:00:00:00:99' }]")).toEqual([]);
    const bundle = schema.parse([{ name: "agg1", members: ["p1"], system: "02:00:00:00:00:99" }]);
    const found = lacpProtocol.compare?.([
      { node: "a", lacp: bundle },
      { node: "b", lacp: bundle },
    ]);
    expect(found).toMatchObject([{ node: "b", path: ["lacp", 0, "system"], warning: true }]);
  });

  it("an expectation must name a bundle and a member that are there", () => {
    const good = "[{ name: agg1, members: [p1] }]";
    expect(
      problems(good, "", "{ at: 0s, node: sw, lacp: agg1, up: false, members: 0, port: p1, mux: detached }"),
    ).toEqual([]);
    expect(problems(good, "", "{ at: 0s, node: sw, lacp: agg9, up: true }").join()).toMatch(
      /found agg9, allowed: a bundle \(agg1\)/,
    );
    expect(problems(good, "", "{ at: 0s, node: sw, lacp: agg1, port: p9, mux: detached }").join()).toMatch(
      /found p9, allowed: a member \(p1\)/,
    );
  });
});

describe("words", () => {
  it("every reason is explained in docs/lacp-reasons.md", () => {
    const text = readFileSync(new URL("../../../docs/lacp-reasons.md", import.meta.url), "utf8");
    for (const reason of [...PORT_REASONS, ...BUNDLE_REASONS, ...LACP_DROPS]) expect(text).toContain(`\`${reason}\``);
  });

  it("every event has its line in the timeline", () => {
    const end = { system: "02:00:00:00:00:01", key: 1, port: 1, state: "0x3f" };
    const events = [
      {
        type: "lacp.port",
        port: "p1",
        bundle: "agg1",
        receive: "current",
        mux: "waiting",
        selected: "standby",
        actor: end,
        partner: end,
        reason: "hold",
        cause: "split",
      },
      { type: "lacp.bundle", bundle: "agg1", up: true, members: 2, reason: "member-joined" },
      { type: "lacp.partner", bundle: "agg1" },
      { type: "lacp.partner", bundle: "agg1", system: "02:00:00:00:00:01", priority: 1, key: 2 },
      { type: "lacp.churn", port: "p1", bundle: "agg1", side: "actor", churned: true, count: 1 },
      { type: "lacp.drop", port: "p1", reason: "length", count: 3 },
    ] as unknown as LacpEvent[];
    expect(events.map((event) => lacpProtocol.describe?.(event))).toEqual([
      "p1 of agg1: current, waiting (hold: split)",
      "agg1: up, 2 links carry (member-joined)",
      "agg1: no partner",
      "agg1: partner 02:00:00:00:00:01, priority 1, key 2",
      "p1 of agg1: this end is out of sync for a minute",
      "p1: slow protocol frame dropped (length), 3 so far",
    ]);
    expect(lacpProtocol.describe?.({ type: "vrrp.state" })).toBeUndefined();
  });
});
