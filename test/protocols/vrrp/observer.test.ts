import { describe, expect, test } from "vitest";
import { vrrpObserver } from "../../../protocols/vrrp/observer.ts";
import type { ObserverEvent } from "../../../protocols/vrrp/observer-events.ts";
import { MAX_SAID, MAX_SPEAKERS } from "../../../protocols/vrrp/observer-state.ts";
import { Frame } from "../../../src/core/frame.ts";
import type { Env, Port } from "../../../src/core/machine.ts";
import { below, createRng } from "../../../src/core/rng.ts";
import { type Instant, instant, ms, sec, toSeconds } from "../../../src/core/time.ts";
import { advertFrame, captureOf, type Sent, steady, together } from "../../support/adverts.ts";
import { recordsOf, sidecars } from "../../support/ground-truth.ts";
import { only, replayPackets } from "../../support/replay.ts";

const A = "192.0.2.1";
const B = "192.0.2.2";
const C = "192.0.2.3";

const masters = (seen: ReturnType<typeof replayPackets>) =>
  only(seen, "vrrp.master").map(({ address, reason, frame }) => [address, reason, frame]);
const kinds = (seen: ReturnType<typeof replayPackets>) => only(seen, "anomaly").map(({ kind }) => kind);

/** The machine alone. */
function bench(port = "eth0") {
  const one: Port = { name: port, index: 0 };
  const env = { node: "n", port: () => one, rng: () => createRng(1) } as unknown as Env;
  return { state: vrrpObserver.init({ port }, env), port: one };
}

describe("the reasons of a change of master", () => {
  test("higher-priority: the better router's advert while the old master is alive; also when the old one lowered its own", () => {
    const preempted = together(
      steady({ at: 0, from: A, priority: 100 }, 3),
      steady({ at: 2500, from: B, priority: 101 }, 2),
    );
    expect(masters(replayPackets(preempted))).toEqual([
      [A, "first-seen", 1],
      [B, "higher-priority", 4],
    ]);
    const lowered = captureOf(
      { at: 0, from: A, priority: 150 },
      { at: 1000, from: A, priority: 80 },
      { at: 1700, from: B, priority: 100 },
    );
    const seen = replayPackets(lowered);
    expect(masters(seen)).toEqual([
      [A, "first-seen", 1],
      [B, "higher-priority", 3],
    ]);
    expect(kinds(seen)).toEqual(["priority-change"]);
  });

  test("master-timeout: nobody for three intervals, whatever the priority of the new one (RFC 9568 §6.4.2)", () => {
    for (const priority of [1, 100, 150, 254]) {
      const at = 2000 + 3000 + Math.ceil(((256 - priority) * 1000) / 256);
      const seen = replayPackets(together(steady({ at: 0, from: A, priority: 150 }, 3), [{ at, from: B, priority }]));
      expect(masters(seen)[1]).toEqual([B, "master-timeout", 4]);
      expect(only(seen, "vrrp.master")[1]).toMatchObject({ previous: A, gap: (at - 2000) / 1000 });
    }
  });

  test("priority-zero: after a release, whoever comes before the down interval is over (RFC 9568 §6.4.2)", () => {
    const released = [...steady({ at: 0, from: A, priority: 150 }, 3), { at: 2300, from: A, priority: 0 }];
    const seen = replayPackets(together(released, [{ at: 2900, from: B, priority: 100 }]));
    expect(masters(seen)[1]).toEqual([B, "priority-zero", 5]);
    expect(only(seen, "vrrp.released")).toMatchObject([{ address: A, frame: 4 }]);
    const late = replayPackets(together(released, [{ at: 9000, from: B, priority: 100 }]));
    expect(masters(late)[1]).toEqual([B, "master-timeout", 5]);
    expect(only(late, "vrrp.silent")).toMatchObject([{ address: A, since: 2.3, frame: 4, reason: "priority-zero" }]);
  });

  test("a capture that begins with a release knows that there was a master", () => {
    const seen = replayPackets(captureOf({ at: 0, from: A, priority: 0 }, { at: 600, from: B, priority: 100 }));
    expect(masters(seen)).toEqual([[B, "priority-zero", 2]]);
  });

  test("address-tiebreak: of equal priorities the higher address in network order wins (RFC 9568 §6.4.3)", () => {
    const low = "192.0.2.9";
    const high = "192.0.2.100";
    const seen = replayPackets(captureOf({ at: 0, from: low, priority: 100 }, { at: 500, from: high, priority: 100 }));
    expect(masters(seen)[1]).toEqual([high, "address-tiebreak", 2]);
    const other = replayPackets(captureOf({ at: 0, from: high, priority: 100 }, { at: 900, from: low, priority: 100 }));
    expect(masters(other)).toHaveLength(1);
  });

  test("a lower router that takes over too soon is master once the old one is overdue, from its first advert on", () => {
    const seen = replayPackets(
      together(steady({ at: 0, from: A, priority: 150 }, 4), steady({ at: 4200, from: B, priority: 100 }, 6)),
    );
    expect(masters(seen)).toEqual([
      [A, "first-seen", 1],
      [B, "master-timeout", 5],
    ]);
    expect(kinds(seen)).toEqual(["early-takeover"]);
    const cut = replayPackets(
      together(steady({ at: 0, from: A, priority: 150 }, 4), steady({ at: 4200, from: B, priority: 100 }, 2)),
    );
    expect(masters(cut)).toEqual(masters(seen));
  });

  test("each interface, VLAN, family, VRID and version has masters of its own", () => {
    const seen = replayPackets(
      captureOf(
        { at: 0, from: A, priority: 100 },
        { at: 1, from: B, priority: 200, vrid: 52 },
        { at: 2, from: "fe80::3", priority: 200 },
        { at: 3, from: A, priority: 200, version: 2 },
      ),
    );
    expect(only(seen, "vrrp.master").map(({ reason }) => reason)).toEqual(new Array(4).fill("first-seen"));
  });
});

describe("silence", () => {
  test("said three intervals and the largest skew after the last advert, not sooner (RFC 9568 §6.1)", () => {
    for (const [version, interval, down] of [
      [3, sec(1), 3_996_094],
      [3, ms(10), 39_961],
      [2, sec(2), 6_996_094],
    ] as const) {
      const { state, port } = bench();
      const frame = Frame.of(advertFrame({ at: 0, from: A, priority: 100, version, interval }), 1);
      vrrpObserver.step(state, { kind: "frame", port, frame }, instant(0));
      expect(vrrpObserver.deadline(state)).toBe(down);
      expect(vrrpObserver.step(state, { kind: "timer" }, (down - 1) as Instant)).toEqual([]);
      const said = vrrpObserver.step(state, { kind: "timer" }, down as Instant);
      expect(said).toMatchObject([{ event: { type: "vrrp.silent", address: A, frame: 1, reason: "master-timeout" } }]);
      expect(vrrpObserver.deadline(state)).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test("the same router again after it: it is the master again, and that is said", () => {
    const seen = replayPackets(captureOf({ at: 0, from: A, priority: 100 }, { at: 8000, from: A, priority: 100 }));
    expect(seen.map(({ type }) => type)).toEqual(["vrrp.master", "vrrp.silent", "vrrp.master"]);
    expect(seen[1]?.t).toBeCloseTo(3.996094, 6);
    expect(only(seen, "vrrp.master")[1]).toMatchObject({ address: A, reason: "master-timeout", frame: 2 });
  });

  test("nothing is said after the last packet of a capture", () => {
    expect(replayPackets(captureOf({ at: 0, from: A, priority: 100 })).map(({ type }) => type)).toEqual([
      "vrrp.master",
    ]);
  });
});

describe("two masters", () => {
  test("an old master's advert in flight during a handover is none; one that goes on is", () => {
    const handover = (late: number) =>
      replayPackets(
        together(steady({ at: 0, from: A, priority: 100 }, 3), steady({ at: 2990, from: B, priority: 150 }, 3), [
          { at: 2990 + late, from: A, priority: 100 },
        ]),
      );
    expect(only(handover(10), "vrrp.duplicate-master")).toEqual([]);
    expect(only(handover(240), "vrrp.duplicate-master")).toEqual([]);
    expect(only(handover(300), "vrrp.duplicate-master")).toMatchObject([
      { addresses: [A, B], rightful: B, frame: 4, since: 2.99 },
    ]);
    expect(masters(handover(300))).toHaveLength(2);
  });

  test("its end: when all but one were silent for their down interval, with the time of the last advert", () => {
    const seen = replayPackets(
      together(steady({ at: 0, from: A, priority: 150 }, 20), steady({ at: 5100, from: B, priority: 100 }, 4)),
    );
    expect(only(seen, "vrrp.duplicate-master")).toMatchObject([{ since: 5.1, rightful: A }]);
    expect(only(seen, "vrrp.duplicate-end")).toMatchObject([{ remaining: [A], since: 5.1, until: 8.1 }]);
    expect(only(seen, "vrrp.duplicate-end")[0]?.t).toBeCloseTo(8.1 + 3.996094, 5);
    expect(masters(seen)).toHaveLength(1);
  });

  test("a third one that joins is said again, with all of them", () => {
    const seen = replayPackets(
      together(
        steady({ at: 0, from: A, priority: 150 }, 9),
        steady({ at: 2100, from: B, priority: 100 }, 6),
        steady({ at: 4200, from: C, priority: 90 }, 4),
      ),
    );
    expect(only(seen, "vrrp.duplicate-master").map(({ addresses }) => addresses)).toEqual([
      [A, B],
      [A, B, C],
    ]);
  });

  test("a router that preempts again soon after it had yielded is no second one", () => {
    const seen = replayPackets(
      together(
        steady({ at: 0, from: A, priority: 150 }, 3),
        [{ at: 3000, from: A, priority: 80 }],
        steady({ at: 3300, from: B, priority: 100 }, 4),
        steady({ at: 6900, from: A, priority: 150 }, 3),
      ),
    );
    expect(only(seen, "vrrp.duplicate-master")).toEqual([]);
    expect(masters(seen).map(([address, reason]) => [address, reason])).toEqual([
      [A, "first-seen"],
      [B, "higher-priority"],
      [A, "higher-priority"],
    ]);
  });

  test("a router that sends both versions (RFC 9568 §8.4) is one router", () => {
    const seen = replayPackets(
      together(steady({ at: 0, from: A, priority: 150 }, 5), steady({ at: 1, from: A, priority: 150, version: 2 }, 5)),
    );
    expect(only(seen, "vrrp.duplicate-master")).toEqual([]);
    expect(kinds(seen)).toEqual(["version"]);
  });
});

describe("what is odd is said once", () => {
  const odd: readonly [string, Sent[], string[]][] = [
    [
      "another address list",
      [
        ...steady({ at: 0, from: A, priority: 150, addresses: ["192.0.2.9"] }, 1),
        ...steady({ at: 4000, from: B, priority: 100 }, 3),
      ],
      ["address-list"],
    ],
    [
      "another interval",
      [{ at: 0, from: A, priority: 150 }, ...steady({ at: 4000, from: B, priority: 100, interval: sec(2) }, 3)],
      ["interval"],
    ],
    [
      "two owners",
      [{ at: 0, from: A, priority: 255 }, ...steady({ at: 4000, from: B, priority: 255 }, 3)],
      ["owner-conflict"],
    ],
    [
      "another checksum form",
      [{ at: 0, from: A, priority: 150 }, ...steady({ at: 4000, from: B, priority: 100, checksum: "message" }, 3)],
      ["checksum"],
    ],
    [
      "version 2 beside version 3",
      [...steady({ at: 0, from: A, priority: 150 }, 3), ...steady({ at: 100, from: B, priority: 100, version: 2 }, 3)],
      ["version"],
    ],
    [
      "unicast, to two peers",
      [0, 1000, 2000].flatMap((at) => [B, C].map((to) => ({ at, from: A, priority: 100, to }))),
      ["unicast", "unicast"],
    ],
    [
      "another source MAC for the same address",
      [{ at: 0, from: A, priority: 100 }, ...steady({ at: 1000, from: A, priority: 100, mac: "02:00:00:00:00:77" }, 3)],
      ["source-mac"],
    ],
    [
      "a run-time change of the interval",
      [{ at: 0, from: A, priority: 100 }, ...steady({ at: 1000, from: A, priority: 100, interval: ms(500) }, 3)],
      ["interval-change"],
    ],
    ["adverts from behind a router", steady({ at: 0, from: A, priority: 100, ttl: 254 }, 5), ["ttl"]],
    [
      "every frame twice",
      steady({ at: 0, from: A, priority: 100 }, 4).flatMap((one) => [one, { ...one, at: one.at + 0.2 }]),
      ["copies"],
    ],
  ];
  test.each(odd)("%s", (_name, sent, expected) => {
    expect(kinds(replayPackets(together(sent)))).toEqual(expected);
  });

  test("late adverts: the 1st, 2nd, 4th, 8th, …, with how many are missing", () => {
    const sent = Array.from({ length: 20 }, (_, i) => ({ at: i * 2000, from: A, priority: 100 }));
    const late = only(replayPackets(captureOf(...sent)), "anomaly");
    expect(late.map(({ kind, frame }) => [kind, frame])).toEqual([2, 3, 5, 9, 17].map((frame) => ["late", frame]));
    expect(late[0]?.detail).toContain("about 1 missing");
    const inTime = Array.from({ length: 20 }, (_, i) => ({ at: i * 1490, from: A, priority: 100 }));
    expect(kinds(replayPackets(captureOf(...inTime)))).toEqual([]);
  });
});

describe("the machine", () => {
  test("the short way for adverts that say nothing new says the same as the long one, on every capture", async () => {
    for (const { file, ...sidecar } of sidecars()) {
      if (sidecar["kind"] !== "vrrp") continue;
      const records = (await recordsOf(file)).filter(
        ({ interface: tap, bytes }) => tap.linkType === 1 && bytes.length >= 14 && bytes[12] !== 0x81,
      );
      const plain = replayPackets(records);
      const { state, port } = bench("capture");
      const slow: ObserverEvent[] = [];
      const origin = records[0];
      let last = 0;
      const keep = (outputs: ReturnType<typeof vrrpObserver.step>) => {
        for (const output of outputs) if (output.kind === "event") slow.push(output.event);
      };
      for (const record of records) {
        if (origin === undefined) break;
        const frame = Frame.of(record.bytes, record.number, record.length);
        const now = Math.max(
          last,
          (record.seconds - origin.seconds) * 1e6 + Math.round((record.nanoseconds - origin.nanoseconds) / 1000),
        );
        last = now;
        while (vrrpObserver.deadline(state) <= now)
          keep(vrrpObserver.step(state, { kind: "timer" }, vrrpObserver.deadline(state)));
        keep(vrrpObserver.step(state, { kind: "frame", port, frame }, instant(now)));
      }
      keep(vrrpObserver.step(state, { kind: "command", to: "*", command: { verb: "stop" } }, instant(last)));
      const fast = plain
        .filter((event) => "interface" in event && event.interface === "capture")
        .map(({ t: _, ...event }) => event);
      expect([file, slow]).toEqual([file, fast]);
    }
  });

  test("repeated adverts cost no step: only a new one is handed on", () => {
    const { state, port } = bench();
    const path = { up() {}, down() {}, drop() {}, say() {} };
    const offer = (priority: number, at: number) => {
      const frame = Frame.of(advertFrame({ at: 0, from: A, priority }), 1);
      const handed = vrrpObserver.relay?.(state, port, frame, sec(at) as number as Instant, path);
      if (handed === true) vrrpObserver.step(state, { kind: "frame", port, frame }, sec(at) as number as Instant);
      return handed;
    };
    expect([offer(100, 0), offer(100, 1), offer(100, 2), offer(90, 3), offer(90, 4)]).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
  });

  test("bounded: a flood of speakers is forgotten, the silent ones first, and what was said too", () => {
    const { state, port } = bench();
    for (let i = 0; i < 2_000; i++) {
      const from = `198.51.${i >> 8}.${i & 255}`;
      if (from.endsWith(".0.0")) continue;
      const frame = Frame.of(
        advertFrame({ at: 0, from, priority: 100, mac: "02:00:00:00:00:01", addresses: [`10.0.${i >> 8}.${i & 255}`] }),
        i,
      );
      vrrpObserver.step(state, { kind: "frame", port, frame }, sec(10 * i) as number as Instant);
    }
    const watched = state.ipv4[51];
    expect(watched?.speakers.length).toBe(MAX_SPEAKERS);
    expect(watched?.said.size).toBeLessThanOrEqual(MAX_SAID);
    expect(watched?.speakers.at(-1)?.address).toBe("198.51.7.207");
    expect(state.heap).toHaveLength(1);
  });

  test("never throws, whatever the octets behind an Ethernet header", () => {
    const { state, port } = bench();
    const rng = createRng(7, "fuzz");
    const whole = advertFrame({ at: 0, from: A, priority: 100 });
    for (let i = 0; i < 20_000; i++) {
      const bytes = whole.slice(0, 14 + below(rng, whole.length - 13));
      for (let n = below(rng, 4); n > 0; n--) bytes[12 + below(rng, bytes.length - 12)] = below(rng, 256);
      if (below(rng, 3) === 0) bytes.set([0x86, 0xdd], 12);
      const frame = Frame.of(bytes, i, bytes.length + below(rng, 3));
      vrrpObserver.step(state, { kind: "frame", port, frame }, ms(i) as number as Instant);
    }
    expect(toSeconds(vrrpObserver.deadline(state))).toBeGreaterThan(0);
  });
});
