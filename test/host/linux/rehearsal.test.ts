/** The understudy: a takeover whenever one is asked for, of one router however many there are, and nobody else notices. */
import { describe, expect, test } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import type { Change } from "../../../src/core/machine.ts";
import { Understudy } from "../../../src/host/linux/rehearsal.ts";
import { compileNodeFile } from "../../../src/node/node-file.ts";

const ROUTERS = [
  "{ interface: eth0, vrid: 51, addresses: [192.0.2.254/24] }",
  "{ interface: eth0, vrid: 52, interval: 40s, group: both, addresses: [192.0.2.253/24] }",
];

function understudy(...routers: readonly string[]) {
  const compiled = compileNodeFile(`node: gw1\nvrrp: [${routers.join()}]\n`, "gw1.yaml", protocols);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  const wishes: string[] = [];
  let sent = 0;
  const note = (change: Change) => {
    const { vrid, present, leaving } = change as unknown as { vrid: number; present: boolean; leaving?: boolean };
    wishes.push(`${vrid} ${leaving === true ? "leaving" : present ? "present" : "absent"}`);
  };
  const actor = new Understudy(protocols, compiled.node, () => ({ transmit: () => sent++ }), note);
  return { actor, wishes, sent: () => sent };
}

describe("an understudy", () => {
  test.each(ROUTERS)("takes over each time it is asked to: %s", (router) => {
    const { actor, wishes, sent } = understudy(router);
    const vrid = /5[12]/.exec(router)?.[0];
    expect(wishes).toEqual([]);
    for (let time = 0; time < 3; time++) {
      actor.takeOver();
      expect(wishes.splice(0)).toEqual([`${vrid} present`]);
      expect(sent()).toBeGreaterThan(0);
      actor.wait();
      expect(wishes.splice(0)).toEqual([`${vrid} leaving`, `${vrid} absent`]);
    }
  });

  test("plays one router, for it has little time", () => {
    const { actor, wishes } = understudy(...ROUTERS);
    actor.takeOver();
    expect(wishes).toEqual(["51 present"]);
  });

  test("has nothing to do where nothing is taken over", () => {
    const { actor, wishes } = understudy();
    actor.takeOver();
    actor.wait();
    expect(wishes).toEqual([]);
  });
});
