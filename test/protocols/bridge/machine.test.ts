/** IEEE 802.1Q as far as the bridge goes: 6.9 (tagging), 8.6 (forwarding), 8.7 (learning), 8.8 (ageing). */
import { describe, expect, it } from "vitest";
import { run } from "../../../bench/forwarding.ts";
import { macFrom } from "../../../src/core/addr.ts";
import { Frame } from "../../../src/core/frame.ts";
import { instant } from "../../../src/core/time.ts";
import { A, B, Bench, C, ethernet, OWN } from "./bench.ts";

const FLAT = { ports: ["p1", "p2", "p3"] };
const TRUNKED = {
  ports: ["p1", "p2", "p3", "up"],
  vlans: {
    10: { untagged: ["p1", "p2"], tagged: ["up"] },
    20: { untagged: ["p3"], tagged: ["up", "p2"] },
  },
};
const ALL = "ff:ff:ff:ff:ff:ff";

describe("forwarding (§8.6)", () => {
  it("an unknown address is flooded to all other ports; a known one goes to its port alone", () => {
    const bench = new Bench(FLAT);
    expect(bench.receive("p1", ethernet(B, A))).toEqual(["p2", "p3"]);
    expect(bench.receive("p2", ethernet(A, B))).toEqual(["p1"]);
    expect(bench.receive("p1", ethernet(B, A))).toEqual(["p2"]);
    expect(bench.drops).toEqual({});
  });

  it("broadcasts and groups are flooded, also when somebody has claimed the group as its source", () => {
    const bench = new Bench(FLAT);
    bench.receive("p2", ethernet(B, "01:00:5e:00:00:12"));
    expect(bench.receive("p1", ethernet(ALL, A))).toEqual(["p2", "p3"]);
    expect(bench.receive("p3", ethernet("01:00:5e:00:00:12", B))).toEqual(["p1", "p2"]);
    expect(bench.receive("p3", ethernet("33:33:00:00:00:01", B))).toEqual(["p1", "p2"]);
  });

  it("floods leave in the order of the ports, whatever the order of the lists", () => {
    const bench = new Bench({ ports: ["c", "a", "b"], vlans: { 1: { tagged: ["b", "a"], untagged: ["c"] } } });
    expect(bench.receive("c", ethernet(B, A))).toEqual(["a tagged 0001", "b tagged 0001"]);
  });

  it("a frame for a station behind the port where it came in stays there, counted", () => {
    const bench = new Bench(FLAT);
    bench.receive("p1", ethernet(B, A));
    expect(bench.receive("p1", ethernet(A, B))).toEqual([]);
    expect(bench.drops).toEqual({ "same-port": 1 });
  });

  it("a port that is down gets no floods", () => {
    const bench = new Bench(FLAT);
    bench.link("p2", false);
    expect(bench.receive("p1", ethernet(B, A))).toEqual(["p3"]);
  });

  it.each(Array.from({ length: 16 }, (_, i) => `01:80:c2:00:00:0${i.toString(16)}`))(
    "a frame to %s ends here (§8.6.3) and teaches nothing",
    (group) => {
      const bench = new Bench(FLAT);
      expect(bench.receive("p1", ethernet(group, A))).toEqual([]);
      expect([bench.drops, bench.events()]).toEqual([{ "reserved-group": 1 }, []]);
    },
  );

  it.each(["01:80:c2:00:00:10", "01:80:c2:00:00:21", "01:80:c2:00:01:00", "01:80:c3:00:00:00", "01:81:c2:00:00:00"])(
    "%s is beside the reserved range and is flooded",
    (group) => {
      expect(new Bench(FLAT).receive("p1", ethernet(group, A))).toEqual(["p2", "p3"]);
    },
  );
});

describe("learning (§8.7)", () => {
  it("a new source is learned and said once", () => {
    const bench = new Bench(FLAT);
    bench.receive("p1", ethernet(B, A));
    bench.receive("p1", ethernet(ALL, A));
    expect(bench.events()).toEqual(["learned A p1 1"]);
  });

  it("a station that is heard behind another port has moved: frames follow it", () => {
    const bench = new Bench(FLAT);
    bench.receive("p1", ethernet(ALL, A));
    bench.receive("p3", ethernet(ALL, A));
    expect(bench.receive("p2", ethernet(A, B))).toEqual(["p3"]);
    expect(bench.events()).toEqual(["learned A p1 1", "moved A p3 1", "learned B p2 1"]);
  });

  it("a group address as source is not learned; the frame goes on", () => {
    const bench = new Bench(FLAT);
    expect(bench.receive("p1", ethernet(B, "03:00:00:00:00:01"))).toEqual(["p2", "p3"]);
    expect(bench.events()).toEqual([]);
  });

  it("the same address in two VLANs is two stations", () => {
    const bench = new Bench(TRUNKED);
    bench.receive("p1", ethernet(ALL, A));
    bench.receive("p3", ethernet(ALL, A));
    expect(bench.events()).toEqual(["learned A p1 10", "learned A p3 20"]);
    expect(bench.receive("up", ethernet(A, B, "000a"))).toEqual(["p1"]);
    expect(bench.receive("up", ethernet(A, B, "0014"))).toEqual(["p3"]);
  });

  it("with a full table the others are not learned: they are reached by flooding, and counted", () => {
    const bench = new Bench({ ...FLAT, table: 16 });
    for (let i = 0; i < 16; i++)
      bench.receive("p1", ethernet(ALL, `02:bb:00:00:00:${i.toString(16).padStart(2, "0")}`));
    expect(bench.receive("p1", ethernet(ALL, A))).toEqual(["p2", "p3"]);
    expect(bench.receive("p2", ethernet(A, "02:bb:00:00:00:05"))).toEqual(["p1", "p3"]);
    expect(bench.receive("p3", ethernet("02:bb:00:00:00:05", A))).toEqual(["p2"]);
    expect([bench.state.unlearned, bench.state.table.count, bench.drops]).toEqual([2, 17, {}]);
    bench.at(300);
    bench.receive("p1", ethernet(ALL, A));
    expect(bench.receive("p2", ethernet(A, B))).toEqual(["p1"]);
  });
});

describe("ageing (§8.8)", () => {
  it("a station that was silent for the ageing time is forgotten, 300 s unless it is said", () => {
    const bench = new Bench(FLAT);
    bench.receive("p1", ethernet(ALL, A));
    bench.events();
    bench.at(299.999);
    expect([bench.receive("p2", ethernet(A, B)), bench.events()]).toEqual([["p1"], ["learned B p2 1"]]);
    bench.at(300);
    expect(bench.events()).toEqual(["aged A p1 1 ageing"]);
    expect(bench.receive("p2", ethernet(A, B))).toEqual(["p1", "p3"]);
  });

  it("whatever it sends keeps it: the time counts from the last frame", () => {
    const bench = new Bench({ ...FLAT, ageing: "10s" });
    for (let t = 0; t <= 45; t += 9) {
      bench.at(t);
      bench.receive("p1", ethernet(ALL, A));
    }
    expect(bench.events()).toEqual(["learned A p1 1"]);
    bench.at(54.999);
    expect(bench.events()).toEqual([]);
    bench.at(55);
    expect(bench.events()).toEqual(["aged A p1 1 ageing"]);
    bench.at(56);
    bench.receive("p1", ethernet(ALL, A));
    bench.at(65.999);
    expect(bench.events()).toEqual(["learned A p1 1"]);
    bench.at(66);
    expect(bench.events()).toEqual(["aged A p1 1 ageing"]);
  });

  it("each goes at its own time, and no timer waits for an empty table", () => {
    const bench = new Bench({ ...FLAT, ageing: "2s" });
    expect(bench.node.deadline()).toBe(Number.POSITIVE_INFINITY);
    for (const [i, from] of [A, B, C].entries()) {
      bench.at(i * 0.5);
      bench.receive("p1", ethernet(ALL, from));
    }
    bench.events();
    const seen: string[][] = [];
    for (const t of [2, 2.5, 3]) {
      bench.at(t);
      seen.push(bench.events());
    }
    expect(seen).toEqual([["aged A p1 1 ageing"], ["aged B p1 1 ageing"], ["aged C p1 1 ageing"]]);
    expect(bench.node.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("goes on working after 25 days, when milliseconds no longer fit into 31 bits", () => {
    const bench = new Bench(FLAT);
    for (const days of [24.85, 24.86, 49.7, 49.72, 1_000]) {
      const t = Math.round(days * 86_400);
      bench.at(t);
      bench.receive("p1", ethernet(ALL, A));
      bench.at(t + 299);
      expect([days, bench.receive("p2", ethernet(A, B)), bench.events()]).toEqual([
        days,
        ["p1"],
        ["learned A p1 1", "learned B p2 1"],
      ]);
      bench.at(t + 300);
      expect(bench.events()).toEqual(["aged A p1 1 ageing"]);
      bench.at(t + 599);
      expect(bench.events()).toEqual(["aged B p2 1 ageing"]);
    }
  });

  it("5,000 stations that were heard at 5,000 times cost 1,100 looks at the table, and none ages early or 10 ms late", () => {
    const bench = new Bench({ ...FLAT, ageing: "10s" });
    const heard = new Map<string, number>();
    for (let i = 0; i < 5_000; i++) {
      const station = macFrom(Uint8Array.of(0x02, 0xab, 0, 0, i >> 8, i));
      bench.now = i * 1_000;
      bench.receive("p1", ethernet(C, station));
      heard.set(station, i);
    }
    bench.events();
    const gone: number[] = [];
    let looks = 0;
    for (; bench.node.deadline() < 60e6; looks++) {
      bench.now = bench.node.deadline();
      bench.node.step({ kind: "timer" }, instant(bench.now));
      for (const line of bench.events()) gone.push(bench.now / 1e3 - (heard.get(line.split(" ")[1] ?? "") ?? 0));
    }
    expect(gone).toHaveLength(5_000);
    expect([Math.min(...gone), Math.max(...gone)]).toEqual([10_000, 10_009]);
    expect(looks).toBeLessThan(1_100);
  });

  it("the longest ageing time of the standard, 1,000,000 s, is kept", () => {
    const bench = new Bench({ ...FLAT, ageing: "1000000s" });
    bench.at(2_000_000);
    bench.receive("p1", ethernet(ALL, A));
    bench.at(2_999_999);
    expect(bench.receive("p2", ethernet(A, B))).toEqual(["p1"]);
    bench.at(3_000_000);
    expect(bench.events()).toEqual(["learned A p1 1", "learned B p2 1", "aged A p1 1 ageing"]);
  });

  it("a port that goes down takes its stations along, and no others", () => {
    const bench = new Bench(TRUNKED);
    bench.receive("up", ethernet(ALL, A, "000a"));
    bench.receive("up", ethernet(ALL, A, "0014"));
    bench.receive("p1", ethernet(ALL, B));
    bench.events();
    bench.link("up", false);
    expect(bench.events().sort()).toEqual(["aged A up 10 link-down", "aged A up 20 link-down"]);
    bench.link("up", true);
    expect(bench.receive("p2", ethernet(A, C))).toEqual(["p1", "up tagged 000a"]);
    expect(bench.receive("p2", ethernet(B, C))).toEqual(["p1"]);
  });
});

describe("VLANs (§6.9)", () => {
  it("a frame leaves untagged or tagged as the member says", () => {
    const bench = new Bench(TRUNKED);
    expect(bench.receive("p1", ethernet(ALL, A))).toEqual(["p2", "up tagged 000a"]);
    expect(bench.receive("p3", ethernet(ALL, B))).toEqual(["p2 tagged 0014", "up tagged 0014"]);
    expect(bench.receive("up", ethernet(ALL, C, "000a"))).toEqual(["p1", "p2"]);
    expect(bench.receive("up", ethernet(ALL, C, "0014"))).toEqual(["p2 tagged 0014", "p3"]);
  });

  it("priority and drop eligibility of a tag are kept where it leaves tagged", () => {
    const bench = new Bench(TRUNKED);
    expect(bench.receive("up", ethernet(ALL, A, "f014"))).toEqual(["p2 tagged f014", "p3"]);
    expect(bench.receive("p1", ethernet(ALL, B, "a000"))).toEqual(["p2", "up tagged a00a"]);
    expect(bench.receive("p1", ethernet(ALL, B, "b00a"))).toEqual(["p2", "up tagged b00a"]);
  });

  it.each([
    ["a VLAN that the port is not in", "p1", "0014"],
    ["a VLAN that nobody is in", "up", "001e"],
    ["the reserved VLAN 4095", "up", "0fff"],
    ["no tag, on a port that has only tagged VLANs", "up", undefined],
    ["a priority tag on such a port", "up", "a000"],
  ])("a frame of %s is dropped, counted, and teaches nothing", (_what, port, tag) => {
    const bench = new Bench(TRUNKED);
    expect(bench.receive(port, ethernet(ALL, A, tag))).toEqual([]);
    expect([bench.drops, bench.events()]).toEqual([{ vlan: 1 }, []]);
  });

  it("a port can be untagged in one VLAN and tagged in others", () => {
    const bench = new Bench(TRUNKED);
    expect(bench.receive("p2", ethernet(ALL, A))).toEqual(["p1", "up tagged 000a"]);
    expect(bench.receive("p2", ethernet(ALL, A, "0014"))).toEqual(["p3", "up tagged 0014"]);
  });

  it("of two tags the outer one counts; the inner one comes out where the outer is taken off", () => {
    const bench = new Bench(TRUNKED);
    const [outer, inner] = [ethernet(ALL, A, "0014").bytes, ethernet(ALL, A, "2007").bytes];
    const both = Frame.of(Uint8Array.of(...outer.subarray(0, 16), ...inner.subarray(12)));
    expect(bench.receive("up", both)).toEqual(["p2 tagged 0014", "p3 tagged 2007"]);
  });
});

describe("the routed port vlanN", () => {
  it("is up while one port of its VLAN is", () => {
    const bench = new Bench(TRUNKED, [10, 20]);
    for (const port of ["p1", "p2", "up"]) bench.link(port, false);
    bench.link("p1", true);
    bench.link("p3", false);
    bench.link("p3", true);
    expect(bench.links).toEqual([
      "link vlan10 up",
      "link vlan20 up",
      "link vlan10 down",
      "link vlan10 up",
      "link vlan20 down",
      "link vlan20 up",
    ]);
    expect(bench.node.isUp(bench.node.port("vlan10"))).toBe(true);
  });

  it("gets floods of its VLAN and frames to the switch itself, always untagged", () => {
    const bench = new Bench(TRUNKED, [10, 20]);
    expect(bench.receive("up", ethernet(ALL, A, "000a"))).toEqual(["p1", "p2", "vlan10"]);
    expect(bench.receive("up", ethernet(OWN, A, "000a"))).toEqual(["vlan10"]);
    expect(bench.receive("p3", ethernet(OWN, B))).toEqual(["vlan20"]);
    expect(bench.receive("p1", ethernet(A, B))).toEqual(["up tagged 000a"]);
  });

  it("sends into its VLAN as any member does", () => {
    const bench = new Bench(TRUNKED, [10, 20]);
    expect(bench.send("vlan10", ethernet(ALL, OWN))).toEqual(["p1", "p2", "up tagged 000a"]);
    bench.receive("p2", ethernet(ALL, A));
    expect(bench.send("vlan10", ethernet(A, OWN))).toEqual(["p2"]);
    expect(bench.send("vlan20", ethernet(A, OWN))).toEqual(["p2 tagged 0014", "p3", "up tagged 0014"]);
    expect(bench.events()).toEqual(["learned A p2 10"]);
  });

  it("a virtual router's address is learned behind it, and moves away with the mastership", () => {
    const bench = new Bench(TRUNKED, [10]);
    const virtual = "00:00:5e:00:01:0a";
    bench.send("vlan10", ethernet(ALL, virtual));
    expect(bench.receive("p1", ethernet(virtual, A))).toEqual(["vlan10"]);
    bench.receive("up", ethernet(ALL, virtual, "000a"));
    expect(bench.receive("p1", ethernet(virtual, A))).toEqual(["up tagged 000a"]);
    expect(bench.events().filter((line) => line.includes(virtual))).toEqual([
      `learned ${virtual} vlan10 10`,
      `moved ${virtual} up 10`,
    ]);
  });

  it("a frame from outside that carries the switch's own address is dropped and does not move it", () => {
    const bench = new Bench(TRUNKED, [10]);
    expect(bench.receive("p1", ethernet(ALL, OWN))).toEqual([]);
    expect(bench.receive("p2", ethernet(OWN, A))).toEqual(["vlan10"]);
    expect(bench.drops).toEqual({ "own-address": 1 });
    expect(bench.events()).toEqual(["bridge.returned own p1 10", "learned A p2 10"]);
  });

  it("the switch's own addresses never age, and have room beside a full table of 16", () => {
    const vlans = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [i + 1, { tagged: ["up", "p1"] }]));
    const bench = new Bench({ vlans, table: 16 }, [40]);
    for (let i = 0; i < 20; i++) {
      bench.receive("p1", ethernet(ALL, `02:bb:00:00:00:${i.toString(16).padStart(2, "0")}`, "0001"));
    }
    bench.at(86_400);
    expect(bench.receive("up", ethernet(OWN, A, "0028"))).toEqual(["vlan40"]);
  });
});

it.each([1, 2, 3] as const)("a fabric of bridges, %d hops: every frame of every host arrives", (hops) => {
  expect(run({ hosts: 8, hops, frames: 1_024, size: 128 })).toMatchObject({ frames_delivered: 1_024, complete: true });
});
