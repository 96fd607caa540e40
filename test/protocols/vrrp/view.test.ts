import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { schema } from "../../../protocols/vrrp/config.ts";
import { STATE_REASONS, type VrrpEvent } from "../../../protocols/vrrp/events.ts";
import { expect as expectable } from "../../../protocols/vrrp/expect.ts";
import { invariants, oneMaster } from "../../../protocols/vrrp/invariants.ts";
import { vrrpTable, describe as words } from "../../../protocols/vrrp/view.ts";
import { type Entry, WORLD } from "../../../src/core/log.ts";
import { instant, sec } from "../../../src/core/time.ts";
import type { Invariant } from "../../../src/core/view.ts";
import type { NodeConfig } from "../../../src/node/protocol.ts";
import { given } from "../../support/vrrp.ts";

type State = "initialize" | "backup" | "master" | "fault";

function said(node: string, from: State, to: State, at = 0): Entry {
  const event = {
    type: "vrrp.state",
    interface: "eth0",
    vrid: 10,
    family: "ipv4",
    from,
    to,
    priority: 100,
    reason: "startup",
  };
  return { at: instant(at), node, way: "out", what: { kind: "event", event: event as VrrpEvent } };
}

function world(verb: string, more: object): Entry {
  return { at: instant(0), node: WORLD, way: "in", what: { kind: "command", to: WORLD, command: { verb, ...more } } };
}

const nodes: readonly NodeConfig[] = ["gw1", "gw2"].map((node) => ({ node, vrrp: schema.parse([given()]) }));

function judge(invariant: Invariant<unknown>, ...entries: Entry[]): string | undefined {
  const view = entries.reduce((state, entry) => invariant.view.fold(state, entry), invariant.view.initial());
  return invariant.broken(view);
}

describe("the table", () => {
  test("has who is what, since when and why", () => {
    const entries = [said("gw1", "initialize", "backup"), said("gw1", "backup", "master", 3_609_375)];
    const table = entries.reduce((state, entry) => vrrpTable.fold(state, entry), vrrpTable.initial());
    expect([...table.values()]).toEqual([
      {
        node: "gw1",
        interface: "eth0",
        family: "ipv4",
        vrid: 10,
        state: "master",
        priority: 100,
        reason: "startup",
        since: 3_609_375,
      },
    ]);
  });

  test("forgets what a node without power was", () => {
    const entries = [
      said("gw1", "backup", "master"),
      said("gw2", "initialize", "backup"),
      world("power-off", { node: "gw1" }),
    ];
    const table = entries.reduce((state, entry) => vrrpTable.fold(state, entry), vrrpTable.initial());
    expect([...table.values()].map(({ node }) => node)).toEqual(["gw2"]);
  });
});

describe("one master", () => {
  const [promise] = invariants(nodes);
  const two = [said("gw1", "backup", "master"), said("gw2", "backup", "master")];

  test("is kept by one master and a backup, and by routers that cannot run", () => {
    expect(
      promise && judge(promise, said("gw1", "backup", "master"), said("gw2", "initialize", "backup")),
    ).toBeUndefined();
    expect(promise && judge(promise, said("gw1", "backup", "fault"))).toBeUndefined();
  });

  test("is broken by two masters, and by backups alone", () => {
    expect(promise && judge(promise, ...two)).toBe("vrid 10 in 192.0.2.0/24 has 2 masters: gw1, gw2");
    expect(promise && judge(promise, said("gw1", "master", "backup"))).toMatch(/no master among 1 backup/);
  });

  test("holds no more while a link is cut, but is asked for again when it heals; strictly it is always asked for", () => {
    const cut = world("cut", { link: "core" });
    expect(promise && judge(promise, cut, ...two)).toBeUndefined();
    expect(promise && judge(promise, cut, ...two, world("heal", { link: "core" }))).toMatch(/2 masters/);
    expect(judge(oneMaster(nodes, { strict: true }), cut, ...two)).toMatch(/2 masters/);
  });

  test("is not broken by a node that lost its power as master", () => {
    expect(promise && judge(promise, ...two, world("power-off", { node: "gw1" }))).toBeUndefined();
  });

  test("waits for an election by default, and for what is asked otherwise", () => {
    expect(promise?.settle).toBe(sec(4));
    expect(oneMaster(nodes, { settle: sec(9) }).settle).toBe(sec(9));
  });

  test("the same VRID in another network is another virtual router", () => {
    const apart = nodes.map((node, i) => ({ ...node, vrrp: schema.parse([given({ addresses: [`10.0.${i}.1/24`] })]) }));
    expect(judge(oneMaster(apart), ...two)).toBeUndefined();
  });

  test("only the named VRID is watched", () => {
    expect(judge(oneMaster(nodes, { vrid: 11 }), ...two)).toBeUndefined();
  });
});

describe("expectations of a lab", () => {
  const view = [said("gw1", "backup", "master", 5), said("gw2", "initialize", "backup")].reduce(
    (state, entry) => vrrpTable.fold(state, entry),
    vrrpTable.initial(),
  );
  const claim = (node: string, state: State) => ({ node, subject: 10, fields: { state } });

  test("hold when the router is in that state, and say what it is otherwise", () => {
    expect(expectable.judge(view, claim("gw1", "master")).ok).toBe(true);
    expect(expectable.judge(view, claim("gw2", "master"))).toEqual({
      ok: false,
      detail: "it is backup on eth0 since 0.000000 s, priority 100 (startup)",
    });
    expect(expectable.judge(view, claim("gw3", "initialize")).ok).toBe(true);
    expect(expectable.judge(view, claim("gw3", "master")).ok).toBe(false);
  });

  test("name a VRID that exists", () => {
    expect(expectable.check?.({ node: "gw1", subject: 10, fields: {} }, nodes)).toEqual([]);
    expect(expectable.check?.({ node: "gw1", subject: 11, fields: {} }, nodes)[0]?.message).toMatch(
      /found 11, .*\(10\)/,
    );
  });

  test("promise one master", () => {
    const promise = expectable.promises?.["one-master"]?.({ subject: 10, fields: {} }, nodes);
    expect(promise && judge(promise, said("gw1", "backup", "master"), said("gw2", "backup", "master"))).toMatch(
      /2 masters/,
    );
  });
});

describe("words", () => {
  test("every event of the machine has some, and other protocols' have none", () => {
    expect(words({ type: "bridge.learned" })).toBeUndefined();
    const { what } = said("gw1", "backup", "master");
    expect(what.kind === "event" && words(what.event)).toBe(
      "eth0 vrid 10 ipv4: backup → master, priority 100 (startup)",
    );
    const drop = { type: "vrrp.drop", interface: "eth0", family: "ipv4", reason: "ttl", count: 3 } as const;
    expect(words(drop)).toBe("eth0 ipv4: advert dropped (ttl), 3 so far");
  });

  test("every reason of a change is explained in the docs", () => {
    const page = readFileSync(new URL("../../../docs/vrrp-reasons.md", import.meta.url), "utf8");
    for (const reason of STATE_REASONS) expect(page).toContain(`\`${reason}\``);
  });
});
