import { describe, expect, test } from "vitest";
import { ms, sec, us } from "../../../src/core/time.ts";
import { Bench, given } from "../../support/vrrp.ts";

const states = (bench: Bench) => bench.state.routers.map(({ state }) => state);

describe("tracking", () => {
  const nginx = (weight: number, priority = 150) =>
    given({ priority, track: { objects: [{ name: "nginx", weight }] } });
  const track = (bench: Bench, up: boolean) => bench.command({ verb: "track", name: "nginx", up });

  test.each([
    [-60, 150, 150, 90],
    [60, 150, 210, 150],
    [-253, 150, 150, 1],
    [253, 150, 254, 150],
    [-60, 255, 255, 255],
  ])("weight %d on priority %d: %d while it is up, %d while it is down", (weight, priority, up, down) => {
    const bench = new Bench([nginx(weight, priority)]);
    expect(bench.router().priority).toBe(up);
    expect(track(bench, false).wait(ms(0)).router().priority).toBe(down);
    expect(track(bench, true).wait(ms(0)).router().priority).toBe(up);
  });

  test("weight 0: down means fault, with a release; up again means a start as backup", () => {
    const bench = new Bench([nginx(0)]).wait(sec(4));
    bench.take();
    expect(track(bench, false).said()).toEqual(["advert 0", "master → fault tracking", "apply absent"]);
    expect(bench.wait(sec(9)).said()).toEqual([]);
    expect(track(bench, true).wait(ms(0)).said()).toEqual(["fault → backup tracking"]);
  });

  test("an interface without a weight: its loss is a fault of the router", () => {
    const bench = new Bench([given({ track: { interfaces: [{ name: "eth1" }] } })]).wait(sec(4));
    bench.take();
    expect(bench.link("eth1", false).said()).toEqual(["advert 0", "master → fault tracking", "apply absent"]);
    expect(bench.link("eth1", true).wait(ms(0)).said()).toEqual(["fault → backup tracking"]);
  });

  test("an interface with a weight lowers the priority, and the next advert says so at once", () => {
    const bench = new Bench([given({ priority: 150, track: { interfaces: [{ name: "eth1", weight: -50 }] } })]);
    bench.wait(sec(4)).take();
    expect(bench.link("eth1", false).said()).toEqual(["priority 150 → 100 tracking", "advert 100"]);
  });

  test("interfaces that come up one after the other in one instant cause no passing fault", () => {
    const bench = new Bench([given({ track: { interfaces: [{ name: "eth1" }] } })], { idle: true });
    bench.link("eth0", true).addresses().link("eth1", true).wait(ms(0));
    expect(bench.said()).toEqual(["initialize → backup startup"]);
  });

  test("a tracked interface that never comes up is a fault, and says so", () => {
    const bench = new Bench([given({ track: { interfaces: [{ name: "eth1" }] } })], { idle: true });
    expect(bench.link("eth0", true).addresses().wait(sec(9)).said()).toEqual(["initialize → fault tracking"]);
  });

  test("what nobody tracks is ignored", () => {
    const bench = new Bench([nginx(-60)]);
    bench.take();
    expect(bench.command({ verb: "track", name: "apache", up: false }).wait(ms(0)).said()).toEqual([]);
  });
});

describe("sync groups", () => {
  const pair = () => [given({ group: "lan" }), given({ interface: "eth1", vrid: 11, group: "lan" })];

  test("members become master together, when the last of them can", () => {
    const bench = new Bench(pair()).hear(200).wait(ms(1)).hear(200, { port: "eth1", vrid: 11 });
    bench.wait(us(3_609_374 + 1));
    expect(states(bench)).toEqual(["master", "master"]);
    const promoted = bench.take().filter((line) => line.includes("→ master"));
    expect(promoted.map((line) => line.split(" ")[0])).toEqual(["3.610375", "3.610375"]);
  });

  test("a member does not take over while another still hears its master, and says that it is blocked", () => {
    const bench = new Bench(pair()).hearEach(sec(1), 10, 200, { port: "eth1", vrid: 11 });
    expect(states(bench)).toEqual(["backup", "backup"]);
    expect(bench.said()).toContain("vrrp.blocked");
  });

  test("a member that hears its master again no longer wants to take over", () => {
    const bench = new Bench(pair()).hearEach(sec(1), 5, 200, { port: "eth1", vrid: 11 });
    // eth0 has been silent for longer than the down interval; now its master is back, and eth1's falls silent.
    bench.hearEach(sec(1), 10, 200);
    expect(states(bench)).toEqual(["backup", "backup"]);
  });

  test("one member's fault is the whole group's: the others release and stay out until it is over", () => {
    const bench = new Bench(pair()).wait(sec(5));
    bench.take();
    bench.link("eth0", false);
    expect(bench.said()).toEqual([
      "master → fault interface-down",
      "apply absent",
      "advert 0",
      "master → fault sync-group",
      "apply absent",
    ]);
    expect(bench.wait(sec(9)).said()).toEqual([]);
    bench.link("eth0", true).wait(ms(0));
    expect(bench.said()).toEqual(["fault → backup interface-up", "fault → backup sync-group"]);
  });

  test("a member that yields takes the others along, with a release so that the peer's group is whole at once", () => {
    const bench = new Bench(pair()).wait(sec(5));
    bench.take();
    expect(bench.hear(200).said()).toEqual([
      "master → backup higher-priority",
      "apply absent",
      "advert 0",
      "master → backup sync-group",
      "apply absent",
    ]);
  });

  test("a member that is stopped no longer holds the others back", () => {
    const bench = new Bench(pair()).command({ verb: "stop", vrid: 11 }).wait(sec(5));
    expect(states(bench)).toEqual(["master", "initialize"]);
  });
});

describe("97 · a process that was not run in time", () => {
  test("a backup listens for one interval of its master before it takes its place", () => {
    const bench = new Bench([given()]).hear(200).stall(sec(10));
    bench.take();
    bench.wait(us(0));
    expect(bench.said()).toEqual(["stalled 6.390625"]);
    expect(bench.wait(ms(500)).hear(200).wait(ms(3_609)).said()).toEqual([]);
    expect(bench.router().state).toBe("backup");
  });

  test.each([
    ["the same", 200],
    ["another", 201],
  ])(
    "a backup that reads %s advert of its master before it looks at its timer says so too, once",
    (_what, priority) => {
      const bench = new Bench([given()]).hear(200).stall(sec(10));
      bench.take();
      bench.hear(priority).wait(us(0)).hear(priority).wait(sec(1));
      expect(bench.said()).toEqual(["stalled 6.390625"]);
      expect(bench.hearEach(sec(1), 9, priority).said()).toEqual([]);
    },
  );

  test("a backup whose master is really gone takes over after that interval", () => {
    const bench = new Bench([given()]).hear(200).stall(sec(10)).wait(ms(999));
    expect(bench.router().state).toBe("backup");
    expect(bench.wait(ms(1)).router().state).toBe("master");
    expect(bench.adverts()[0]?.at).toBe(sec(11));
  });

  test("a timer that is late by less than half an interval is not a stall", () => {
    const bench = new Bench([given()]).stall(us(3_609_375 + 499_999)).wait(us(0));
    expect(bench.router().state).toBe("master");
    expect(bench.said().filter((line) => line.startsWith("stalled"))).toEqual([]);
  });

  test("a master that was stalled advertises, announces itself afresh, and yields at once to a better one", () => {
    const bench = new Bench([given()]).wait(sec(4)).stall(sec(10));
    bench.take();
    bench.wait(us(0));
    expect(bench.said()).toEqual(["advert 100", "stalled 9.390625", "garp 192.0.2.254"]);
    expect(bench.hear(200).said()).toEqual(["master → backup higher-priority", "apply absent"]);
  });
});

test("255 routers on one interface run their elections apart", () => {
  const routers = Array.from({ length: 255 }, (_, i) =>
    given({ vrid: i + 1, priority: 1 + (i % 254), addresses: [`198.51.100.${i}/24`] }),
  );
  const bench = new Bench(routers).wait(sec(10));
  expect(new Set(states(bench))).toEqual(new Set(["master"]));
  const [one] = bench.state.routers;
  bench.hear(254, { vrid: 1 });
  expect(one?.state).toBe("backup");
  expect(states(bench).filter((state) => state === "master")).toHaveLength(254);
  expect(bench.adverts().length).toBeGreaterThan(255 * 6);
});
