import { expect, it } from "vitest";
import { AssertionError, assert, unreachable } from "../../src/core/assert.ts";
import { type Command, type Env, type Machine, mount, NOTHING, type Port } from "../../src/core/machine.ts";
import { drop, ok } from "../../src/core/result.ts";
import { createRng } from "../../src/core/rng.ts";
import { instant } from "../../src/core/time.ts";

interface Ticker {
  readonly name: string;
  ticks: number;
}

const ticker: Machine<string, Ticker, Command> = {
  name: "ticker",
  ports: (name) => ({ owns: [`${name}0`], uses: ["eth0", "eth1"] }),
  init: (name, env) => ({ name: `${env.node}/${name}`, ticks: 0 }),
  step(state, input) {
    if (input.kind !== "timer") return NOTHING;
    state.ticks++;
    return [{ kind: "event", event: { type: "ticker.tick" } }];
  },
  deadline: (state) => instant(state.ticks * 10),
};

function bench(): Env {
  const ports: Port[] = [];
  return {
    node: "sw1",
    port(name) {
      const known = ports.find((port) => port.name === name);
      if (known !== undefined) return known;
      const port = { name, index: ports.length };
      ports.push(port);
      return port;
    },
    mac: () => "02:00:00:01:00:00" as never,
    rng: (owner) => createRng(1, "sw1", owner),
  };
}

it("a mounted machine has the ports that its configuration names, and a state of its own", () => {
  const env = bench();
  const a = mount(ticker, "a", env);
  const b = mount(ticker, "b", env);
  expect([a.owns, a.uses].map((ports) => ports.map(({ name }) => name))).toEqual([["a0"], ["eth0", "eth1"]]);
  expect(b.uses).toEqual(a.uses);
  expect(b.uses[0]).toBe(a.uses[0]);
  expect(b.owns[0]).not.toBe(a.owns[0]);
  expect(a.step({ kind: "timer" }, instant(0))).toEqual([{ kind: "event", event: { type: "ticker.tick" } }]);
  expect([a.state, b.state]).toEqual([
    { name: "sw1/a", ticks: 1 },
    { name: "sw1/b", ticks: 0 },
  ]);
  expect([a.deadline(), b.deadline()]).toEqual([10, 0]);
});

it("a machine without ports of one kind is mounted without them", () => {
  const mounted = mount({ ...ticker, ports: () => ({}) }, "a", bench());
  expect([mounted.owns, mounted.uses, mounted.relay]).toEqual([[], [], undefined]);
});

it("programmer's errors are thrown under a name of their own, the world's are values", () => {
  expect(() => assert(false, "two owners")).toThrow(AssertionError);
  expect(() => assert(true, "never")).not.toThrow();
  expect(() => unreachable("other" as never)).toThrow('unexpected "other"');
  expect([ok(5), drop("short")]).toEqual([
    { ok: true, value: 5 },
    { ok: false, reason: "short" },
  ]);
});
