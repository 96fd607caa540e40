/** Planned work with real LACP, bridges and sessions: two switches, two hosts with a bond, an orphan on each switch. */
import { describe, expect, it } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import type { MlagEvent } from "../../../protocols/mlag/events.ts";
import { type Instant, instant } from "../../../src/core/time.ts";
import { LabRun } from "../../../src/host/sim/lab-run.ts";
import { compileLab } from "../../../src/host/sim/topology.ts";

interface Options {
  readonly script: readonly string[];
  readonly end: string;
  /** More under the key `mlag` of both. */
  readonly mlag?: string;
  /** More under the bundles of sw2. */
  readonly bundle?: string;
  /** Of the bond of h1. */
  readonly bond?: string;
  /** "h1-o2", …: default: all to all. */
  readonly flows?: readonly string[];
  readonly rate?: string;
  readonly start?: string;
  readonly ageing?: string;
  /** When the session of sw1 begins anew. */
  readonly reset?: Instant;
}

const sw = (name: 1 | 2, { mlag = "", bundle = "", ageing = "300s" }: Options) => `
  sw${name}:
    bridge: { ports: [agg1, agg2, o, peer], ageing: ${ageing} }
    lacp:
      - { name: agg1, members: [p1], rate: fast${name === 2 ? bundle : ""} }
      - { name: agg2, members: [p2], rate: fast }
    mlag:
      domain: 10
      priority: ${name}00
      peer-link: peer
      keepalive: { port: ka, address: 10.99.0.${name}/30, peer: 10.99.0.${3 - name} }
      members: [{ port: agg1, id: 1 }, { port: agg2, id: 2 }]
      restore-delay: 2s
      ${mlag}`;

const HOSTS = { h1: "10.0.0.1", h2: "10.0.0.2", o1: "10.0.0.11", o2: "10.0.0.12" } as const;

type Host = keyof typeof HOSTS;
const NAMES = Object.keys(HOSTS) as Host[];
const ALL = NAMES.flatMap((from) => NAMES.filter((to) => to !== from).map((to) => `${from}-${to}`));

function flow(id: string, { rate = "2kpps", start = "8s", end }: Options): string {
  const [from, to] = id.split("-") as [Host, Host];
  return `  - { id: ${id}, from: ${from}, to: ${HOSTS[to]}, rate: ${rate}, size: 100, start: ${start}, stop: ${end} }`;
}

const lab = (options: Options) => `
name: planned
nodes:${sw(1, options)}${sw(2, options)}
  h1: { lacp: [{ name: bond0, members: [e1, e2], ${options.bond ?? "rate: fast"} }], interfaces: { bond0: { addresses: [10.0.0.1/24] } } }
  h2: { lacp: [{ name: bond0, members: [e1, e2], rate: fast }], interfaces: { bond0: { addresses: [10.0.0.2/24] } } }
  o1: { interfaces: { eth0: { addresses: [10.0.0.11/24] } } }
  o2: { interfaces: { eth0: { addresses: [10.0.0.12/24] } } }
links:
  - { id: h1-sw1, ends: [h1:e1, sw1:p1], delay: 20us, rate: 10Gbps }
  - { id: h1-sw2, ends: [h1:e2, sw2:p1], delay: 90us, rate: 10Gbps }
  - { id: h2-sw1, ends: [h2:e1, sw1:p2], delay: 50us, rate: 10Gbps }
  - { id: h2-sw2, ends: [h2:e2, sw2:p2], delay: 10us, rate: 10Gbps }
  - { id: o1, ends: [o1:eth0, sw1:o], delay: 5us }
  - { id: o2, ends: [o2:eth0, sw2:o], delay: 5us }
  - { id: peer, ends: [sw1:peer, sw2:peer], delay: 100us, rate: 40Gbps }
  - { id: ka, ends: [sw1:ka, sw2:ka], delay: 200us }
traffic:
${(options.flows ?? ALL).map((id) => flow(id, options)).join("\n")}
script:
${options.script.map((line) => `  - ${line}`).join("\n")}
  - { at: ${options.end}, heal: o1 }
`;

function run(options: Options) {
  const compiled = compileLab(lab(options), "lab.yaml", protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  const one = new LabRun(compiled.lab, protocols);
  const said: (MlagEvent & { readonly at: number; readonly node: string })[] = [];
  one.log.follow({
    everything: false,
    read: ({ at, node, what }) => {
      if (what.kind === "event" && what.event.type.startsWith("mlag."))
        said.push({ ...(what.event as MlagEvent), at, node });
    },
  });
  one.start();
  if (options.reset !== undefined) {
    one.world.schedule(options.reset * 1_000, { verb: "command", node: "sw1", to: "iccp", command: { verb: "reset" } });
  }
  one.run();
  const { flows } = one.finish();
  const harm = flows
    .filter(({ lost, duplicated }) => lost + duplicated > 0)
    .map(({ id, lost, duplicated }) => `${id}: lost ${lost}, twice ${duplicated}`);
  const members = (node: string, id: number) =>
    said.flatMap((event) =>
      event.type === "mlag.member" && event.node === node && event.id === id
        ? [`${event.at / 1e6} ${event.state} ${event.reason}`]
        : [],
    );
  return { said, flows, harm, members, world: one.world };
}

const NOTHING: readonly string[] = [];
const maintenance = (node: number, at: string, on: boolean) =>
  `{ at: ${at}, command: { node: sw${node}, mlag: { verb: maintenance, on: ${on} } } }`;

describe("planned work loses no frame, in any of twelve directions, and none comes twice", () => {
  it.each([1, 2])("M82: drain of sw%d for maintenance, and its return", (node) => {
    const script = [maintenance(node, "10s", true), maintenance(node, "10.6s", false)];
    const { harm, members, flows } = run({ script, start: "9.7s", end: "11.2s", rate: "20kpps" });
    expect(
      members(`sw${node}`, 1)
        .slice(-3)
        .map((line) => line.split(" ").slice(1).join(" ")),
    ).toEqual(["suspended maintenance", "active-partial isolation-pending", "active-full local-up"]);
    expect(flows.map(({ sent }) => sent)).toEqual(ALL.map(() => 30_000));
    expect(harm).toEqual(NOTHING);
    // Late is at most what was on the way around when the short way opened: 0.2 ms of a flow.
    for (const { reordered } of flows) expect(reordered).toBeLessThanOrEqual(4);
  });

  it.each([1, 2])(
    "M30: of what is flooded nothing comes twice or back, and what is lost is lost while LACP agrees: sw%d",
    (node) => {
      const script = [maintenance(node, "10s", true), maintenance(node, "10.3s", false)];
      // Stations that are silent for so long that every frame for them is flooded.
      const some = { flows: ["o1-h1", "o2-h2"], ageing: "1ms", rate: "10kpps" };
      const { flows, world } = run({ script, ...some, start: "9.9s", end: "10.6s" });
      for (const { lost, duplicated } of flows) {
        expect(duplicated).toBe(0);
        // Half a millisecond. A flood cannot be told from one that the host itself has sent by the half that goes or comes.
        expect(lost).toBeLessThanOrEqual(5);
      }
      for (const sw of ["sw1", "sw2"]) expect(world.end(sw, "o")?.sent).toBeGreaterThan(6_500);
    },
  );

  it.each([1, 2])("M82: the peer link is taken away and put back while sw%d is in maintenance for it", (node) => {
    const of = (at: string, on: boolean) => maintenance(node, at, on).replace("} }", ", of: peer-link } }");
    const script = [of("10s", true), "{ at: 10.5s, cut: peer }", "{ at: 13s, heal: peer }", of("14s", false)];
    // Its orphan has no other way than the peer link.
    const flows = ALL.filter((id) => !id.includes(`o${node}`));
    const { harm, members } = run({ script, flows, end: "18s" });
    expect(harm).toEqual(NOTHING);
    expect(members(`sw${node}`, 1).at(-1)).toMatch(/active-full local-up$/);
  });

  it.each([1, 2])("M26: sw%d leaves in an orderly way, and loses its power a second later", (node) => {
    const leave = `{ at: 10s, command: { node: sw${node}, mlag: { verb: leave, cause: reboot } } }`;
    const script = [leave, `{ at: 11s, power-off: sw${node} }`, `{ at: 13s, power-on: sw${node} }`];
    // The orphan of the switch goes with it.
    const flows = ALL.filter((id) => !id.includes(`o${node}`));
    const { harm, said } = run({ script, flows, end: "20s" });
    expect(harm).toEqual(NOTHING);
    const role = said.find(({ type, node: of, at }) => type === "mlag.role" && of === `sw${3 - node}` && at >= 10e6);
    expect(role).toMatchObject(node === 1 ? { role: "primary", reason: "peer-goodbye" } : {});
  });
});

describe("the same on whole nodes", () => {
  const reasons = (members: readonly string[]) => members.map((line) => line.split(" ").slice(1).join(" "));

  it("M82: what a partner asks for by LACP is known: a slow one has the maintenance refused, until it is forced", () => {
    const force = maintenance(1, "11s", true).replace("on: true", "on: true, force: true");
    const options = { script: [maintenance(1, "10s", true), force], end: "12s", flows: ["o2-h1"], bond: "rate: slow" };
    const { said, harm } = run(options);
    expect(said.flatMap((event) => (event.type === "mlag.maintenance" ? [event] : []))).toMatchObject([
      { at: 10e6, refused: true, reason: "slow-partner" },
      { at: 11e6, refused: false, reason: "operator", detail: expect.stringContaining("M-LAG 1 uses slow LACP on p1") },
    ]);
    expect(harm).toEqual(NOTHING);
  });

  it("M51, M53: a bundle and a VLAN that differ: the secondary's half stops, and its host loses nothing", () => {
    const { members, said, harm } = run({ script: [], end: "12s", bundle: ", key: 7" });
    expect(reasons(members("sw2", 1)).at(-1)).toBe("suspended consistency");
    expect(reasons(members("sw1", 1)).at(-1)).toMatch(/^active-partial/);
    expect(said.some((event) => event.type === "mlag.alarm" && event.alarm === "type-1-mismatch")).toBe(true);
    expect(harm).toEqual(NOTHING);
  });

  it("M63: the session is begun anew in an announced restart, and no frame and no role is lost by it", () => {
    const script = ["{ at: 10s, command: { node: sw1, mlag: { verb: restart } } }"];
    const { said, harm } = run({ script, end: "20s", reset: instant(10_100_000) });
    const news = said.filter(
      ({ type, at }) => at >= 10e6 && ["mlag.session", "mlag.role", "mlag.member"].includes(type),
    );
    expect(news.map((event) => ("up" in event ? `${event.node} ${event.up} ${event.reason}` : event.type))).toEqual(
      expect.arrayContaining(["sw1 false restart", "sw2 false restart", "sw1 true restart", "sw2 true restart"]),
    );
    expect(news).toHaveLength(4);
    expect(harm).toEqual(NOTHING);
  });

  it("M14: a primary that stood still for longer than its peer waits is secondary when it goes on, and holds its members", () => {
    const script = ["{ at: 10s, pause: sw1 }", "{ at: 14s, resume: sw1 }"];
    const { said, members } = run({ script, end: "30s", flows: ["h1-h2"] });
    expect(said.find(({ at, node, type }) => at >= 14e6 && node === "sw1" && type === "mlag.role")).toMatchObject({
      at: 14e6,
      role: "secondary",
      reason: "stalled",
    });
    const after = members("sw1", 1).filter((line) => Number(line.split(" ")[0]) >= 14);
    expect(after[0]).toMatch(/^14 (inactive|active-partial) (restore-delay|session-lost|local-down)/);
    expect(reasons(after).at(-1)).toBe("active-full local-up");
  });

  it("M64: a listed orphan is cut off with the secondary, and only it, and has its service again after its delay", () => {
    const script = ["{ at: 10s, cut: peer }", "{ at: 12s, heal: peer }"];
    const mlag = "orphans: { suspend: [o], restore-delay: 1s }";
    const { said, world } = run({ script, mlag, end: "16s", flows: ["o1-h1", "o2-h2"] });
    const orphans = said.flatMap((event) =>
      event.type === "mlag.orphan"
        ? [`${event.node} ${event.suspended} ${event.reason} ${Math.floor(event.at / 1e5) / 10}`]
        : [],
    );
    expect(orphans).toEqual(["sw2 true peer-alive 10", "sw2 true restore-delay 12", "sw2 false restored 13"]);
    expect(world.end("sw1", "o")).toBeDefined();
  });
});
