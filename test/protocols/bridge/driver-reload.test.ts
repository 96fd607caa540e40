/** Another file while the machine runs that tells the kernel's bridge what to do. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import { changes, drivenBy, driver } from "../../../protocols/bridge/driver.ts";
import { type LacpConfig, schema } from "../../../protocols/lacp/config.ts";
import type { Mac } from "../../../src/core/addr.ts";
import { Log } from "../../../src/core/log.ts";
import { mount } from "../../../src/core/machine.ts";
import { instant } from "../../../src/core/time.ts";
import type { BridgePortWish } from "../../../src/node/host.ts";
import { Node } from "../../../src/node/node.ts";

interface File {
  readonly ports: readonly string[];
  /** By bundle: its links. */
  readonly bundles?: Readonly<Record<string, readonly string[]>>;
  readonly vlan?: number;
}

function bridgeOf({ ports, vlan = 1 }: File) {
  return bridgeSchema.parse({ vlans: { [vlan]: { untagged: ports } } });
}

function settingsOf(file: File) {
  const lacp: LacpConfig = schema.parse(
    Object.entries(file.bundles ?? {}).map(([name, members]) => ({ name, members })),
  );
  return drivenBy(bridgeOf(file), { node: "n", lacp });
}

class Bench {
  readonly wishes: BridgePortWish[] = [];
  /** By port: what was wished for last. */
  readonly standing = new Map<string, BridgePortWish>();
  private readonly node: Node;
  private readonly machine;

  constructor(file: File) {
    const host = { apply: (_: Node, change: unknown) => this.take(change as BridgePortWish), wake: () => {} };
    this.node = new Node({ name: "n", id: 0, seed: 1, mac: () => "02:00:00:00:00:01" as Mac }, host, new Log());
    this.machine = mount(driver, settingsOf(file), this.node);
    this.node.mount([this.machine]);
    this.node.step({ kind: "command", to: "*", command: { verb: "start" } }, instant(0));
  }

  private take(wish: BridgePortWish): void {
    this.wishes.push(wish);
    if (wish.present) this.standing.set(wish.port, wish);
    else this.standing.delete(wish.port);
  }

  mux(port: string, mux: string): void {
    const event = { type: "lacp.port", port, mux };
    this.node.step({ kind: "heard", event }, instant(0));
  }

  configure(file: File): readonly BridgePortWish[] {
    const before = this.wishes.length;
    this.node.reconfigure(this.machine, settingsOf(file), instant(0));
    return this.wishes.slice(before);
  }
}

const OPEN = { collects: true, distributes: true, present: true };
const GONE = { collects: false, distributes: false, floods: false, present: false };

test("the same file, and another order of ports, change nothing", () => {
  const file = { ports: ["agg1", "h0", "h1"], bundles: { agg1: ["p1", "p2"] } };
  const bench = new Bench(file);
  bench.mux("p1", "distributing");
  expect(bench.configure(file)).toEqual([]);
  expect(bench.configure({ ...file, ports: ["h1", "agg1", "h0"] })).toEqual([]);
});

test("a link that is gone is given up first, then another one has the floods", () => {
  const bench = new Bench({ ports: ["agg1"], bundles: { agg1: ["p1", "p2"] } });
  bench.mux("p1", "distributing");
  bench.mux("p2", "distributing");
  const wishes = bench.configure({ ports: ["agg1"], bundles: { agg1: ["p2", "p3"] } });
  expect(wishes).toMatchObject([
    { port: "p1", bundle: "agg1", ...GONE },
    { port: "p3", bundle: "agg1", collects: false, distributes: false, present: true },
    { port: "p2", bundle: "agg1", ...OPEN, floods: true },
  ]);
  // What LACP has said of a link that was gone is not true of one that has come back.
  const again = bench.configure({ ports: ["agg1"], bundles: { agg1: ["p1", "p2", "p3"] } });
  expect(again).toMatchObject([{ port: "p1", collects: false, distributes: false, floods: false, present: true }]);
});

test("a link becomes a port of the bridge's own, and the other way round", () => {
  const bench = new Bench({ ports: ["agg1"], bundles: { agg1: ["p1", "p2"] } });
  const plain = bench.configure({ ports: ["agg1", "p2"], bundles: { agg1: ["p1"] } });
  expect(plain).toMatchObject([{ port: "p2", ...OPEN, floods: true }]);
  expect(plain[0]).not.toHaveProperty("bundle");
  const back = bench.configure({ ports: ["agg1"], bundles: { agg1: ["p1", "p2"] } });
  expect(back).toMatchObject([{ port: "p2", bundle: "agg1", collects: false, distributes: false, present: true }]);
});

test("another VLAN is another bridge: every port is wished for there", () => {
  const bench = new Bench({ ports: ["h0", "h1"] });
  expect(bench.configure({ ports: ["h0", "h1"], vlan: 7 })).toMatchObject([
    { port: "h0", bridge: "vlan7", ...OPEN },
    { port: "h1", bridge: "vlan7", ...OPEN },
  ]);
});

test("while it is stopped nothing is wished for that is new", () => {
  const bench = new Bench({ ports: ["h0"] });
  bench.configure({ ports: ["h0", "h1"] });
  expect([...bench.standing.keys()]).toEqual(["h0", "h1"]);
});

const MUXES = ["detached", "attached", "collecting", "distributing", "collecting-distributing"];
const LINKS = ["p1", "p2", "p3", "p4"];

test("any sequence of files and of what LACP says ends where the last one alone leads", () => {
  const file = fc
    .record({ owners: fc.array(fc.constantFrom("agg1", "agg2", "own", "-"), { minLength: 4, maxLength: 4 }) })
    .map(({ owners }): File => {
      const of = (name: string) => LINKS.filter((_, i) => owners[i] === name);
      const bundles = Object.fromEntries(
        ["agg1", "agg2"].map((name) => [name, of(name)]).filter(([, all]) => all?.length),
      );
      return { ports: [...Object.keys(bundles), ...of("own"), "h0"], bundles };
    });
  const said = fc.array(fc.tuple(fc.constantFrom(...LINKS), fc.constantFrom(...MUXES)), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(fc.tuple(file, said), { minLength: 2, maxLength: 6 }), said, (steps, last) => {
      const [[first] = [{ ports: ["h0"] }], ...others] = steps;
      const bench = new Bench(first);
      for (const [next, muxes] of others) {
        for (const [port, mux] of muxes) bench.mux(port, mux);
        bench.configure(next);
      }
      const end = others.at(-1)?.[0] ?? first;
      const fresh = new Bench(end);
      for (const one of [bench, fresh]) {
        // LACP says anew what a link is that has come.
        for (const port of LINKS) one.mux(port, "detached");
        for (const [port, mux] of last) one.mux(port, mux);
      }
      const sorted = ({ standing }: Bench) => [...standing.values()].sort((a, b) => (a.port < b.port ? -1 : 1));
      expect(sorted(bench)).toEqual(sorted(fresh));
    }),
    { numRuns: 300 },
  );
});

test("in words: what comes, what leaves, and another bridge", () => {
  const from = bridgeOf({ ports: ["agg1", "h0"] });
  expect(changes(from, from)).toEqual([]);
  expect(changes(from, bridgeOf({ ports: ["agg1", "h1"], vlan: 7 }))).toEqual([
    "bridge: vlan1 is left for vlan7",
    "bridge: h0 leaves",
    "bridge: h1 joins",
  ]);
});
