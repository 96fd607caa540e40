import { describe, expect, test } from "vitest";
import { check, compare } from "../../../protocols/vrrp/check.ts";
import { command, schema } from "../../../protocols/vrrp/config.ts";
import { changes } from "../../../protocols/vrrp/configure.ts";
import { type RouterStatus, status } from "../../../protocols/vrrp/status.ts";
import { ms, sec } from "../../../src/core/time.ts";
import { labOf, storyOf, told } from "../../support/explain.ts";
import { Bench, type Given, given } from "../../support/vrrp.ts";

const LOAD = "/run/load";

function tracking(file: Given, more: Given = {}): Bench {
  return new Bench([given({ priority: 150, track: { files: [{ name: "load", path: LOAD, ...file }] }, ...more })]);
}

const say = (bench: Bench, value: number) =>
  bench.command({ verb: "track", name: "load", up: value === 0, value }).wait(ms(0));

describe("a file that says a value, as keepalived's track_file (keepalived.conf(5))", () => {
  test.each([
    [-10, 3, 120],
    [10, 3, 180],
    [10, -3, 120],
    [-10, 0, 150],
    [1, 253, 254],
    [1, 2_000_000_000, 254],
    [-1, 253, 1],
    [127, -1, 23],
  ])("weight %d × value %d on priority 150: %d", (weight, value, priority) => {
    const bench = tracking({ content: "value", weight }).wait(sec(5));
    expect(bench.router()).toMatchObject({ priority: 150, state: "master" });
    expect(say(bench, value).router()).toMatchObject({ priority, state: "master" });
    expect(say(bench, 0).router()).toMatchObject({ priority: 150, state: "master" });
  });

  test.each([
    [-10, 26],
    [254, -1],
    [127, -2],
    [-1, 2_000_000_000],
  ])("weight %d × value %d is below -253: a fault, until it is not", (weight, value) => {
    const bench = tracking({ content: "value", weight }).wait(sec(5));
    bench.take();
    expect(say(bench, value).said()).toEqual(["advert 0", "master → fault tracking", "apply absent"]);
    expect(bench.router().priority).toBe(150);
    bench.take();
    expect(say(bench, 0).said()).toEqual(["fault → backup tracking"]);
  });

  test("without a weight any value but 0 is a fault", () => {
    const bench = tracking({ content: "value" }).wait(sec(5));
    expect(say(bench, 1).router().state).toBe("fault");
    expect(say(bench, 0).router().state).toBe("backup");
  });

  test("an owner of the addresses keeps 255, whatever it says", () => {
    const bench = tracking({ content: "value", weight: -10 }, { priority: 255 }).wait(sec(1));
    expect(say(bench, 20).router()).toMatchObject({ priority: 255, state: "master" });
  });

  test("a new value stands in an advert at once, with the reason that it has", () => {
    const bench = tracking({ content: "value", weight: -10 }).wait(sec(5));
    bench.take();
    expect(say(bench, 3).said()).toEqual(["priority 150 → 120 tracking", "advert 120"]);
    bench.wait(ms(20)).take();
    expect(say(bench, 4).said()).toEqual(["priority 120 → 110 tracking", "advert 110"]);
    bench.wait(ms(20)).take();
    expect(say(bench, 0).said()).toEqual(["priority 110 → 150 tracking", "advert 150"]);
    expect(say(bench, 0).said()).toEqual([]);
  });

  test("what several things add is one sum, kept within 1 to 254 as a whole", () => {
    const track = {
      files: [{ name: "load", path: LOAD, content: "value", weight: -100 }],
      processes: [{ name: "web", process: "nginx", weight: 100 }],
      interfaces: [{ name: "eth1", weight: 50 }],
    };
    const bench = new Bench([given({ priority: 150, track })]).wait(ms(0));
    expect(bench.router().priority).toBe(254);
    expect(say(bench, 2).router().priority).toBe(100);
    bench.command({ verb: "track", name: "web", up: false }).wait(ms(0));
    expect(bench.router().priority).toBe(1);
  });

  test("no value adds more than a weight could", () => {
    const files = [{ name: "load", path: LOAD, content: "value", weight: 1 }];
    const bench = new Bench([given({ priority: 1, track: { files, interfaces: [{ name: "eth1", weight: -100 }] } })]);
    bench.link("eth1", false);
    expect(say(bench, 1_000_000).router().priority).toBe(154);
  });

  test("a value that is not known yet adds nothing; without a weight it is a fault till then", () => {
    const unknown = { verb: "track", name: "load", up: false, value: undefined } as const;
    expect(tracking({ content: "value", weight: -10 }).command(unknown).router().priority).toBe(150);
    expect(tracking({ content: "value" }).command(unknown).router().state).toBe("fault");
  });
});

describe("a file that exists, and processes", () => {
  test("weigh as scripts do: down is down", () => {
    const bench = tracking({ weight: -50 });
    bench.command({ verb: "track", name: "load", up: false }).wait(ms(0));
    expect(bench.router().priority).toBe(100);
    const web = new Bench([given({ track: { processes: [{ name: "web", process: "nginx" }] } })]).wait(sec(5));
    expect(web.command({ verb: "track", name: "web", up: false }).router().state).toBe("fault");
  });
});

describe("`reverse`", () => {
  const moved = (bench: Bench, up: boolean) => bench.command({ verb: "track", name: "load", up }).wait(ms(0)).router();

  test("a file that must not be there: a fault while it is, or so much less", () => {
    const bench = tracking({ reverse: true });
    expect([false, true, false].map((up) => moved(bench, up).state)).toEqual(["backup", "fault", "backup"]);
    const weighed = tracking({ reverse: true, weight: -50 });
    expect([false, true, false].map((up) => moved(weighed, up).priority)).toEqual([150, 100, 150]);
    const more = tracking({ reverse: true, weight: 50 });
    expect([false, true].map((up) => moved(more, up).priority)).toEqual([200, 150]);
  });

  test("of a value its weight is turned round; without a weight 0 is the fault", () => {
    expect(say(tracking({ content: "value", weight: 10, reverse: true }), 3).router().priority).toBe(120);
    const bench = tracking({ content: "value", reverse: true });
    expect(say(bench, 3).router().state).toBe("backup");
    expect(say(bench, 0).router().state).toBe("fault");
  });

  test("is shown, and is each router's own matter", () => {
    const bench = tracking({ reverse: true });
    moved(bench, true);
    const [row] = status.rows(bench.state as never, bench.now) as RouterStatus[];
    expect(row && status.details(row)).toContain("tracks file load is up, weight 0 reversed: fault");
    const routers = schema.parse(
      [true, false].map((reverse, i) =>
        given({
          vrid: i + 1,
          addresses: [`192.0.2.${i + 1}/24`],
          track: { files: [{ name: "x", path: LOAD, reverse }] },
        }),
      ),
    );
    expect(check(routers, { node: "gw" })).toEqual([]);
  });
});

describe("the order `track`", () => {
  test("says up, a value, or both; of a value alone 0 is up", () => {
    const order = { verb: "track", name: "load" };
    expect(command.parse({ ...order, up: true })).toMatchObject({ up: true });
    expect(command.parse({ ...order, value: 0 })).toMatchObject({ up: true, value: 0 });
    expect(command.parse({ ...order, value: 3 })).toMatchObject({ up: false, value: 3 });
    expect(command.parse({ ...order, up: true, value: 3 })).toMatchObject({ up: true, value: 3 });
    expect(command.safeParse(order).error?.issues[0]?.message).toContain("found neither up nor value");
    expect(command.safeParse({ ...order, value: 2 ** 31 }).success).toBe(false);
  });
});

describe("in the file", () => {
  const problems = (more: Given) =>
    schema.safeParse([given(more)]).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];

  test("every default stands", () => {
    const [router] = schema.parse([
      given({
        group: "site",
        track: {
          scripts: [{ name: "s", run: "/bin/true", interval: "2s", user: "root:adm" }],
          files: [{ name: "f", path: LOAD }],
          processes: [{ name: "p", process: "nginx" }],
        },
        notify: { group: "/bin/true" },
      }),
    ]);
    expect(router).toMatchObject({
      scripts: [{ name: "s", timeout: sec(2), fall: 1, rise: 1, user: "root:adm" }],
      files: [{ name: "f", path: LOAD, content: "exists", interval: sec(1) }],
      processes: [{ name: "p", process: "nginx", quorum: 1, interval: sec(1), fall: 1, rise: 1 }],
      notify: { group: "/bin/true", timeout: sec(10), attempts: 5 },
    });
  });

  test.each<[Given, RegExp]>([
    [{ track: { files: [{ name: "f", path: "load" }] } }, /files\.0\.path: found "load", allowed: a path that begins/],
    [{ track: { files: [{ name: "f", path: LOAD, weight: -255 }] } }, /weight: found -255/],
    [{ track: { files: [{ name: "f", path: LOAD, content: "number" }] } }, /content/],
    [{ track: { processes: [{ name: "p", process: "x", weight: 254 }] } }, /weight: found 254/],
    [{ track: { processes: [{ name: "p", process: "x", quorum: 0 }] } }, /quorum: found 0/],
    [{ track: { scripts: [{ name: "s", run: "x", user: "a b" }] } }, /user: found "a b", allowed: USER or USER:GROUP/],
    [
      { track: { files: [{ name: "x", path: LOAD }], processes: [{ name: "x", process: "x" }] } },
      /processes\.0\.name: found "x" twice, allowed: each once/,
    ],
    [{ notify: {} }, /notify: found neither run nor group/],
    [{ notify: { group: "/bin/true" } }, /notify\.group: found a hook of a sync group, allowed: in a router that has/],
    [{ notify: { run: "/bin/true", timeout: "0s" } }, /notify\.timeout/],
    [{ notify: { run: "/bin/true", attempts: 0 } }, /notify\.attempts/],
  ])("%j is refused, at its place", (more, message) => {
    expect(problems(more).join("\n")).toMatch(message);
  });

  const checked = (...routers: Given[]) =>
    check(schema.parse(routers.map((more, i) => given({ vrid: i + 1, addresses: [`192.0.2.${i + 1}/24`], ...more }))), {
      node: "gw",
    }).map(({ path, message }) => `${path.join(".")}: ${message}`);

  test("what several routers track under one name is one thing", () => {
    const file = (more: Given = {}) => ({ track: { files: [{ name: "x", path: LOAD, ...more }] } });
    expect(checked(file(), file({ weight: -10 }))).toEqual([]);
    const other = [expect.stringMatching(/^1\.track\.files\.0: found another file named x/)];
    expect(checked(file(), file({ path: "/run/other" }))).toEqual(other);
    expect(checked(file(), file({ content: "value" }))).toEqual(other);
    expect(checked(file(), { track: { scripts: [{ name: "x", run: "/bin/true" }] } })).toEqual([
      expect.stringMatching(/^1\.track\.scripts\.0: found another script named x/),
    ]);
  });

  test("a group is told by one hook", () => {
    const told = (group: string, run: string) => ({ group, notify: { group: run } });
    expect(checked(told("a", "/x"), told("a", "/x"), told("b", "/y"), { group: "a" })).toEqual([]);
    expect(checked(told("a", "/x"), told("a", "/y"))).toEqual([
      expect.stringMatching(/^1\.notify\.group: found another hook of the group a/),
    ]);
  });

  test("a router that is in a sync group on one node only is told", () => {
    const node = (name: string, more: Given) => ({ node: name, vrrp: schema.parse([given(more)]) });
    expect(compare([node("gw1", { group: "site" }), node("gw2", { group: "lan" })])).toEqual([]);
    expect(compare([node("gw1", { group: "site" }), node("gw2", {})])).toMatchObject([
      { node: "gw2", path: ["vrrp", 0, "group"], message: expect.stringContaining("gw1 has the group site") },
    ]);
  });

  test("a reload says what it changes of them in words", () => {
    const [from, to] = [-10, -20].map((weight) =>
      schema.parse([
        given({
          track: { files: [{ name: "load", path: LOAD, weight }] },
          notify: { run: "/bin/a", user: weight === -20 ? "adm" : undefined },
        }),
      ]),
    );
    expect(changes(from ?? [], to ?? [])).toEqual([
      "eth0-10 (eth0 vrid 10 ipv4): tracked load (-10) → load (-20), " +
        "notify /bin/a (timeout 10s, attempts 5) → /bin/a as adm (timeout 10s, attempts 5)",
    ]);
  });
});

describe("status and explain", () => {
  test("status says of everything tracked how it stands, why, and what it adds", () => {
    const track = {
      interfaces: [{ name: "eth1", weight: -50 }],
      files: [{ name: "load", path: LOAD, content: "value", weight: -10 }],
      processes: [{ name: "web", process: "nginx" }],
    };
    const bench = new Bench([given({ priority: 150, track })]).wait(sec(5));
    say(bench, 3);
    bench.command({ verb: "track", name: "web", up: false, why: "0 running, wanted: 1" });
    const [row] = status.rows(bench.state as never, bench.now) as RouterStatus[];
    expect(row?.tracked).toEqual([
      { kind: "interface", name: "eth1", up: true, weight: -50, effect: 0 },
      { kind: "file", name: "load", up: false, value: 3, weight: -10, effect: -30 },
      { kind: "process", name: "web", up: false, weight: 0, effect: "fault", why: "0 running, wanted: 1" },
    ]);
    expect(row && status.details(row).filter((line) => line.startsWith("tracks"))).toEqual([
      "tracks interface eth1 is up, weight -50: no effect",
      "tracks file load says 3, weight -10: -30",
      "tracks process web is down (0 running, wanted: 1), weight 0: fault",
    ]);
  });

  const LAB = `nodes:
  gw1:
    interfaces: { eth0: { addresses: [10.0.0.2/24] } }
    vrrp:
      - interface: eth0
        vrid: 1
        priority: 150
        addresses: [10.0.0.1/24]
        track:
          files: [{ name: load, path: /run/load, content: value, weight: -10 }]
          processes: [{ name: web, process: nginx }]
  gw2:
    interfaces: { eth0: { addresses: [10.0.0.3/24] } }
    vrrp: [{ interface: eth0, vrid: 1, priority: 130, addresses: [10.0.0.1/24] }]
links: [{ id: lan, ends: [gw1:eth0, gw2:eth0] }]
script:
  - { at: 10s, command: { node: gw1, vrrp: { verb: track, name: load, value: 3 } } }
  - { at: 20s, command: { node: gw1, vrrp: { verb: track, name: load, value: 0 } } }
  - { at: 30s, command: { node: gw1, vrrp: { verb: track, name: web, up: false, why: 0 of 1 run } } }
`;

  test("a lab's script moves a value, and explain says what it did", () => {
    const { why } = told(labOf(LAB), 40);
    expect(why("gw1:vrrp1", 9)).toMatchObject({ state: "master" });
    const lower = why("gw1:vrrp1", 19);
    expect(lower).toMatchObject({ state: "backup", reason: "higher-priority" });
    const story = storyOf(lower).join("\n");
    expect(story).toContain("priority 150 → 120 (tracking): file load says 3: -30");
    expect(story).toContain("order to vrrp: track (name load, up false, value 3)");
    expect(why("gw1:vrrp1", 29)).toMatchObject({ state: "master" });
    const out = why("gw1:vrrp1", 39);
    expect(out).toMatchObject({ state: "fault", reason: "tracking", ends: "when process web is up" });
    expect(out.text).toContain("(tracking): process web is down (0 of 1 run): fault");
    expect(why("gw2:vrrp1", 39)).toMatchObject({ state: "master", reason: "priority-zero" });
  });
});
