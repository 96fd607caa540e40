import { describe, expect, test } from "vitest";
import { type Faults, foldFaults, isWhole, noFaults } from "../../src/core/faults.ts";
import { done, said } from "../support/entries.ts";

function standing(...commands: readonly { readonly verb: string; readonly [key: string]: unknown }[]): Faults {
  const faults = noFaults();
  for (const command of commands) foldFaults(faults, done(1, command));
  return faults;
}

describe("the network is whole", () => {
  test.each([
    ["cut", { verb: "cut", link: "core" }, { verb: "heal", link: "core" }],
    ["one side of a link", { verb: "cut", link: "core", side: "a:e" }, { verb: "heal", link: "core", side: "a:e" }],
    ["loss", { verb: "loss", link: "core", ratio: { numerator: 1, denominator: 2 } }, { verb: "loss", link: "core" }],
    ["a filter", { verb: "filter", link: "core", filter: {} }, { verb: "filter", link: "core" }],
    ["a pause", { verb: "pause", node: "a" }, { verb: "resume", node: "a" }],
    ["no power", { verb: "power-off", node: "a" }, { verb: "power-on", node: "a" }],
    ["an order to stop", order({ verb: "stop" }), order({ verb: "start" })],
    ["a suspended M-LAG", order({ verb: "suspend", id: 1 }), order({ verb: "restore", id: 1 })],
    ["maintenance", order({ verb: "maintenance", on: true }), order({ verb: "maintenance", on: false })],
    ["a tracked object that is down", order({ verb: "track", up: false }), order({ verb: "track", up: true })],
  ])("not with %s, and again when that ends", (_, begin, end) => {
    expect(isWhole(standing(begin))).toBe(false);
    expect(isWhole(standing(begin, end))).toBe(true);
  });

  test("as long as nothing but a delay, a priority or a rate changes", () => {
    const faults = standing({ verb: "delay", link: "core", delay: 1 }, order({ verb: "priority", priority: 9 }));
    expect(isWhole(faults)).toBe(true);
  });

  test("a link that is healed is whole, whatever was done to one of its sides", () => {
    const side = { verb: "cut", link: "core", side: "a:e" };
    expect(isWhole(standing(side, { verb: "heal", link: "core" }))).toBe(true);
    expect(isWhole(standing(side, { verb: "heal", link: "cor" }))).toBe(false);
    expect(isWhole(standing({ verb: "cut", link: "core" }, { verb: "heal", link: "core", side: "a:e" }))).toBe(false);
  });

  test("a node that starts has forgotten what it was ordered, and does not stand still", () => {
    expect(isWhole(standing(order({ verb: "stop" }), { verb: "power-on", node: "a" }))).toBe(true);
    expect(isWhole(standing(order({ verb: "stop" }), { verb: "power-on", node: "b" }))).toBe(false);
    expect(isWhole(standing({ verb: "pause", node: "a" }, { verb: "power-on", node: "a" }))).toBe(true);
  });

  test("what nodes say of themselves does not matter", () => {
    const faults = noFaults();
    expect(foldFaults(faults, said(1, "a", { type: "cut" }))).toBe(false);
    expect(isWhole(faults)).toBe(true);
  });
});

function order(command: { readonly verb: string; readonly [key: string]: unknown }) {
  return { verb: "command", node: "a", to: "vrrp", command };
}
