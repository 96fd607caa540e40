import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schema, type VrrpConfig } from "../../../protocols/vrrp/config.ts";
import { changes } from "../../../protocols/vrrp/configure.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { ms, sec } from "../../../src/core/time.ts";
import { Bench, type Given, given, given6 } from "../../support/vrrp.ts";

const OTHER = given({ vrid: 20, addresses: ["192.0.2.20/24"] });

/** A bench whose routers are master of their own accord. */
function masters(...routers: readonly Given[]): Bench {
  const bench = new Bench(routers).wait(sec(5));
  bench.take();
  return bench;
}

/** Adverts of one virtual router from now on: when, and which octets. */
function advertsOf(bench: Bench, vrid: number, from: number): string[] {
  return bench
    .adverts()
    .filter(({ advert, at }) => advert?.vrid === vrid && at >= from)
    .map(({ at, frame }) => `${at} ${toHex(frame.bytes)}`);
}

describe("a router that a reload does not change", () => {
  /** Whatever happens to the other: comes, goes, changes. */
  const reloads: readonly [string, readonly Given[]][] = [
    ["the same file", [given(), OTHER]],
    ["the other order", [OTHER, given()]],
    ["another one leaves", [given()]],
    ["another one comes", [given(), OTHER, given({ vrid: 30, addresses: ["192.0.2.30/24"] })]],
    ["another one changes its VRID", [given(), { ...OTHER, vrid: 21 }]],
    [
      "another one changes its interval and addresses",
      [given(), { ...OTHER, interval: "100ms", addresses: ["192.0.2.21/24"] }],
    ],
    ["another one goes over to version 2", [given(), { ...OTHER, version: 2 }]],
    ["another one moves to another interface", [given(), { ...OTHER, interface: "eth1" }]],
  ];

  test.each(reloads)("sends the same octets at the same times: %s", (_, routers) => {
    const undisturbed = masters(given(), OTHER);
    const reloaded = masters(given(), OTHER);
    const from = reloaded.now;
    // In the middle of an interval.
    undisturbed.wait(ms(400)).wait(sec(4));
    reloaded.wait(ms(400)).configure(routers).wait(sec(4));
    const wanted = advertsOf(undisturbed, 10, from);
    expect(wanted.length).toBeGreaterThan(3);
    expect(advertsOf(reloaded, 10, from)).toEqual(wanted);
  });

  test("as a backup keeps its down timer, and what it has learned of its master", () => {
    const bench = new Bench([given(), OTHER]).hear(200, { interval: 10 });
    const at = bench.router().downAt;
    bench
      .wait(ms(50))
      .configure([given(), { ...OTHER, priority: 7 }])
      .wait(ms(0));
    expect(bench.router()).toMatchObject({ state: "backup", downAt: at, masterInterval: ms(100) });
    expect([...bench.router().peers.keys()]).toEqual(["192.0.2.1"]);
  });

  test("keeps the priority that an operator has given it", () => {
    const bench = masters(given()).command({ verb: "priority", priority: 42 });
    bench.configure([given(), OTHER]).wait(sec(1));
    expect(bench.router().priority).toBe(42);
    bench.configure([given({ priority: 43 }), OTHER]).wait(sec(1));
    expect(bench.router().priority).toBe(43);
  });
});

describe("a router that can take a change as it is", () => {
  test("says another priority at once, and stays master", () => {
    const bench = masters(given()).wait(ms(300));
    bench.configure([given({ priority: 77 })]).wait(ms(0));
    expect(bench.said()).toEqual(["priority 100 → 77 command", "advert 77"]);
    expect(bench.router().state).toBe("master");
  });

  test("says another interval at once, so that no backup waits for three short ones", () => {
    const bench = masters(given({ interval: "100ms" })).wait(ms(30));
    const { now } = bench;
    bench.configure([given({ interval: "10s" })]).wait(ms(50));
    expect(bench.lastAdvert()).toMatchObject({ at: now, advert: { interval: sec(10) } });
    bench.take();
    bench.wait(sec(9));
    expect(bench.said()).toEqual([]);
    bench.wait(sec(1));
    expect(bench.said()).toEqual(["advert 100"]);
  });

  test("gives an added address to the host, says it in its advert, and announces it alone (RFC 9568 §6.4.1)", () => {
    const bench = masters(given()).wait(ms(300));
    bench.configure([given({ addresses: ["192.0.2.254/24", "192.0.2.253/24"] })]).wait(ms(0));
    expect(bench.said()).toEqual(["apply present", "advert 100", "garp 192.0.2.253"]);
    expect(bench.lastAdvert().advert?.addresses).toEqual(["192.0.2.254", "192.0.2.253"]);
    const wish = bench.outputs.findLast(({ output }) => output.kind === "apply")?.output;
    expect(wish).toMatchObject({
      change: { present: true, addresses: [{ address: "192.0.2.254" }, { address: "192.0.2.253" }] },
    });
  });

  test("repeats the announcement as configured", () => {
    const bench = masters(given()).wait(ms(300));
    const announce = { repeat: 2, every: "200ms" };
    bench.configure([given({ announce, addresses: ["192.0.2.254/24", "192.0.2.253/24"] })]).wait(ms(450));
    const announced = bench.said().filter((line) => line === "garp 192.0.2.253");
    expect(announced).toHaveLength(3);
  });

  test("takes an address away without a word of it on the wire but its advert", () => {
    const two = ["192.0.2.254/24", "192.0.2.253/24"];
    const bench = masters(given({ addresses: two })).wait(ms(300));
    bench.configure([given()]).wait(ms(0));
    expect(bench.said()).toEqual(["apply present", "advert 100"]);
    expect(bench.lastAdvert().advert?.addresses).toEqual(["192.0.2.254"]);
  });

  test("answers or no longer answers as accept says, without an advert", () => {
    const bench = masters(given()).wait(ms(300));
    bench.configure([given({ accept: false })]).wait(ms(0));
    expect(bench.said()).toEqual(["apply present"]);
  });

  test("goes into fault for what it tracks from now on, when that is down", () => {
    const bench = masters(given()).wait(ms(300));
    bench.configure([given({ track: { interfaces: [{ name: "eth1" }] } })]).wait(ms(0));
    expect(bench.said()).toContain("master → fault tracking");
    bench.link("eth1", true).wait(ms(0));
    expect(bench.said()).toContain("fault → backup tracking");
    bench.configure([given()]).link("eth1", false).wait(ms(0));
    expect(bench.router().state).toBe("backup");
  });

  test("learns of a tracked object that is new, and forgets one that is not tracked any more", () => {
    const bench = masters(given());
    bench.configure([given({ track: { objects: [{ name: "probe", weight: -50 }] } })]).wait(ms(0));
    bench.command({ verb: "track", name: "probe", up: false }).wait(ms(0));
    expect(bench.router().priority).toBe(50);
    bench.configure([given()]).wait(ms(0));
    expect(bench.router().priority).toBe(100);
    expect(bench.state.objects.size).toBe(0);
  });

  test("takes the next advert as its new configuration says, not as the last one was taken", () => {
    const bench = new Bench([given()]).hearEach(ms(100), 3, 200, { interval: 10 });
    bench.configure([given({ addresses: ["192.0.2.254/24", "192.0.2.253/24"] })]).take();
    bench.hear(200, { interval: 10 });
    expect(bench.said()).toEqual(["mismatch address-list 192.0.2.254"]);
    expect(bench.router().peers.get("192.0.2.1" as never)?.adverts).toBe(4);
  });

  test("no longer preempts with preempt: false", () => {
    const bench = new Bench([given({ preempt: { delay: "5s" } })]).hearEach(sec(1), 3, 50);
    expect(bench.router().preemptAt).toBeLessThan(Number.POSITIVE_INFINITY);
    bench.configure([given({ preempt: false })]).hearEach(sec(1), 10, 50);
    expect(bench.router().state).toBe("backup");
  });

  test("tells hosts when it ceases to be their router: lifetime 0 (RFC 4861 §6.2.5)", () => {
    const bench = masters(given6({ "router-advertisement": { interval: "10s" } }));
    bench.configure([given6()]).wait(sec(20));
    const said = bench.said().filter((line) => !line.startsWith("advert "));
    expect(said).toEqual(["router-advertisement"]);
  });
});

describe("a router that has to start again", () => {
  test.each([
    ["version", { version: 2 }],
    ["virtual-mac", { "virtual-mac": false }],
    ["peers", { peers: ["192.0.2.9"] }],
    ["group", { group: "both" }],
    ["owner", { priority: 255 }],
  ])("says priority 0 first, gives its addresses up, and elects afresh: %s", (_, more) => {
    const bench = masters(given()).wait(ms(300));
    bench.configure([given(more)]).wait(ms(0));
    const said = bench.said();
    expect(said.slice(0, 3)).toEqual(["advert 0", "master → initialize reconfigured", "apply absent"]);
    expect(said.some((line) => line.endsWith("startup") || line.endsWith("owner"))).toBe(true);
    bench.wait(sec(5));
    expect(bench.router()).toMatchObject({ state: "master" });
    expect(bench.state.routers).toHaveLength(1);
  });

  test("under another VRID leaves the old one with priority 0, which is answered for until somebody takes it", () => {
    const bench = masters(given()).wait(ms(300));
    bench.configure([given({ vrid: 11 })]).wait(ms(0));
    expect(bench.said()).toEqual([
      "advert 0",
      "master → initialize shutdown",
      "apply leaving",
      "initialize → backup startup",
    ]);
    expect(bench.state.routers).toHaveLength(2);
    bench.hear(50).wait(ms(0));
    expect(bench.said()).toEqual(["apply absent"]);
    expect(bench.state.routers).toHaveLength(1);
  });
});

describe("a router that a reload takes away", () => {
  test("says priority 0, and answers for a second at most", () => {
    const bench = masters(given(), OTHER).wait(ms(300));
    bench.configure([OTHER]).take();
    bench.command({ verb: "start" }).command({ verb: "priority", vrid: 10, priority: 200 }).wait(ms(990));
    expect(bench.said().filter((line) => line.startsWith("apply"))).toEqual([]);
    bench.wait(ms(20));
    expect(bench.said()).toContain("apply absent");
    expect(bench.state.routers.map(({ config }) => config.vrid)).toEqual([20]);
    bench.wait(sec(5));
    expect(advertsOf(bench, 10, bench.now - sec(5))).toEqual([]);
  });

  test("and gives back at once starts like a new one, and holds its addresses then", () => {
    const bench = masters(given()).wait(ms(300));
    bench.configure([]).configure([given()]).wait(sec(5));
    expect(bench.router().state).toBe("master");
    expect(bench.said().filter((line) => line.startsWith("apply"))).toEqual([
      "apply leaving",
      "apply absent",
      "apply present",
    ]);
  });

  test("is no longer heard of: its adverts are those of a stranger", () => {
    const bench = new Bench([given(), OTHER]);
    bench.configure([OTHER]).take();
    bench.hear(200);
    expect(bench.said()).toEqual(["drop vrid"]);
  });

  test("and a stranger's VRID that a reload configures is heard from its next advert on", () => {
    const bench = new Bench([OTHER]).hear(200).hear(200);
    bench.configure([given(), OTHER]).link("eth0", true).wait(ms(0)).hear(200);
    expect(bench.router().peers.size).toBe(1);
  });
});

describe("any two configurations", () => {
  const one = fc.record({
    vrid: fc.integer({ min: 1, max: 3 }),
    priority: fc.constantFrom(1, 100, 254, 255),
    interface: fc.constantFrom("eth0", "eth1"),
    interval: fc.constantFrom("1s", "2s"),
    version: fc.constantFrom(2, 3),
    preempt: fc.boolean(),
    "virtual-mac": fc.boolean(),
    group: fc.constantFrom(undefined, "a"),
  });
  const file = fc
    .uniqueArray(one, { maxLength: 4, selector: (each) => `${each.interface} ${each.vrid}` })
    .map((list) => list.map((each) => ({ ...each, addresses: [`192.0.2.${100 + each.vrid}/24`] })));

  test("end in the same routers, tables and heap as a start with the second", () => {
    fc.assert(
      fc.property(file, file, fc.integer({ min: 0, max: 8_000 }), (first, second, wait) => {
        const bench = new Bench(first).wait(ms(wait)).configure(second);
        for (const name of ["eth0", "eth1"]) bench.link(name, true).addresses(name);
        bench.wait(sec(30));
        const fresh = new Bench(second);
        for (const name of ["eth0", "eth1"]) fresh.link(name, true).addresses(name);
        fresh.wait(sec(30));
        expect(shape(bench)).toEqual(shape(fresh));
      }),
      { numRuns: 200 },
    );
  });

  test("differ in words exactly when they differ", () => {
    fc.assert(
      fc.property(file, file, (first, second) => {
        const [a, b] = [schema.parse(first), schema.parse(second)];
        expect(changes(a, a)).toEqual([]);
        const sorted = (config: VrrpConfig) => config.map((router) => JSON.stringify(router)).sort();
        expect(changes(a, b).length > 0).toBe(JSON.stringify(sorted(a)) !== JSON.stringify(sorted(b)));
      }),
    );
  });

  test("are told in a line for each router", () => {
    const from = schema.parse([given(), OTHER, given({ vrid: 30, addresses: ["192.0.2.30/24"] })]);
    const to = schema.parse([
      given({ priority: 150, interval: "100ms" }),
      { ...OTHER, version: 2 },
      given({ vrid: 40, addresses: ["192.0.2.40/24"] }),
    ]);
    expect(changes(from, to)).toEqual([
      "eth0-10 (eth0 vrid 10 ipv4): priority 100 → 150, interval 1s → 100ms",
      "eth0-20 (eth0 vrid 20 ipv4): version 3 → 2; leaves (priority 0) and starts again",
      "eth0-40 (eth0 vrid 40 ipv4): starts",
      "eth0-30 (eth0 vrid 30 ipv4): leaves (priority 0)",
    ]);
  });
});

function shape({ state }: Bench) {
  return {
    routers: state.routers.map(({ config, state: name, priority, group }) => [
      config.interface,
      config.vrid,
      config.version,
      name,
      priority,
      group?.members.length,
    ]),
    heap: new Set(
      state.heap.map(({ config, place }) => `${config.interface} ${config.vrid} ${state.heap[place]?.config.vrid}`),
    ).size,
    tables: [...state.byName.values()]
      .filter(({ routers }) => routers.length > 0)
      .map(
        ({ port, ipv4 }) =>
          `${port.name} ${ipv4.version} ${ipv4.routers.flatMap((router) => router?.config.vrid ?? [])}`,
      )
      .sort(),
  };
}
