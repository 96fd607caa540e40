/** What a wire does to frames. */
import { describe, expect, it } from "vitest";
import { Log } from "../../../src/core/log.ts";
import type { LinkOptions } from "../../../src/host/sim/link.ts";
import { World } from "../../../src/host/sim/world.ts";
import { numbered, numberOf, probe } from "../../support/probe.ts";

interface Arrival {
  /** Nanoseconds. */
  readonly at: number;
  readonly number: number;
}

/** Hosts h0, h1, … on one link. */
class Bench {
  readonly world: World;
  readonly arrivals = new Map<string, Arrival[]>();

  constructor(link: Omit<LinkOptions, "id">, hosts = 2, seed = 1) {
    this.world = new World({ seed, log: new Log() });
    for (let i = 0; i < hosts; i++) {
      const name = `h${i}`;
      this.arrivals.set(name, []);
      this.world.addNode(name, (node) =>
        node.mount([
          probe(
            {
              name: "host",
              uses: ["eth0"],
              relay: (_state, _port, frame) => {
                this.arrivals.get(name)?.push({ at: this.world.now, number: numberOf(frame) });
                return false;
              },
            },
            node,
          ),
        ]),
      );
    }
    const ends = Array.from({ length: hosts }, (_, i) => ({ node: `h${i}`, port: "eth0" }));
    this.world.addLink({ ...link, id: "wire" }, ends);
    this.world.start();
  }

  /** Sends from h0 at once. */
  send(number: number, size = 60, from = "h0"): void {
    this.world.end(from, "eth0")?.transmit(numbered(number, size));
  }

  at(host = "h1"): number[] {
    return (this.arrivals.get(host) ?? []).map(({ at }) => at);
  }

  numbers(host = "h1"): number[] {
    return (this.arrivals.get(host) ?? []).map(({ number }) => number);
  }

  drops(host = "h0") {
    return this.world.end(host, "eth0")?.drops;
  }
}

const MS = 1e6;

describe("delay", () => {
  it("a frame arrives after exactly the delay, in both directions", () => {
    const bench = new Bench({ delay: 5_000 });
    bench.world.run(100);
    bench.send(1);
    bench.send(2, 60, "h1");
    bench.world.run(5_099);
    expect(bench.at()).toEqual([]);
    bench.world.run(5_100);
    expect([bench.at("h1"), bench.at("h0")]).toEqual([[5_100], [5_100]]);
  });

  it("changes at once when it is told to; what is under way keeps its time", () => {
    const bench = new Bench({ delay: 5_000 });
    bench.send(1);
    bench.world.command({ verb: "delay", link: "wire", delay: 9_000 });
    bench.send(2);
    bench.world.run(MS);
    expect(bench.at()).toEqual([5_000, 9_000]);
  });

  it("that shrinks lets no later frame overtake what is under way or waits to be sent", () => {
    const bench = new Bench({ delay: 5_000, rate: 1e6 });
    for (let number = 1; number <= 3; number++) bench.send(number);
    bench.world.command({ verb: "delay", link: "wire", delay: 100 });
    bench.send(4);
    bench.world.run(10 * MS);
    bench.send(5);
    bench.world.run(20 * MS);
    expect(bench.numbers()).toEqual([1, 2, 3, 4, 5]);
    // 84 octets at 1 Mb/s are 672 µs: the fourth waits behind the third, the fifth has the wire for itself.
    expect(bench.at().map((at) => at / 1_000)).toEqual([677, 1_349, 2_021, 2_688.1, 10_672.1]);
  });

  it("that shrinks on a wire without a rate: the later frame arrives together with the earlier one", () => {
    const bench = new Bench({ delay: 5_000 });
    bench.send(1);
    bench.world.command({ verb: "delay", link: "wire", delay: 100 });
    bench.send(2);
    bench.world.run(MS);
    expect([bench.numbers(), bench.at()]).toEqual([
      [1, 2],
      [5_000, 5_000],
    ]);
  });

  it("without delay and rate a frame arrives at the same time, after what happens now", () => {
    const bench = new Bench({});
    bench.send(1, 1_514);
    expect(bench.at()).toEqual([]);
    bench.world.run(0);
    expect(bench.at()).toEqual([0]);
  });
});

describe("rate", () => {
  it.each([
    [1e9, 60, 672],
    [1e9, 128, 1_216],
    [1e9, 1_514, 12_304],
    [100e6, 60, 6_720],
    [10e6, 1_514, 1_230_400],
    [10e9, 1_514, 1_231],
    [40e9, 60, 17],
    [40e9, 1_514, 308],
    [100e9, 60, 7],
  ])("at %d bit/s a frame of %d octets and its 24 of overhead take %d ns, rounded up", (rate, size, time) => {
    const bench = new Bench({ rate, delay: 100 });
    bench.send(1, size);
    bench.world.run(10 * MS);
    expect(bench.at()).toEqual([100 + time]);
  });

  it("frames below 60 octets are padded by the sender (IEEE 802.3 §3.2.8): 84 octets on the wire", () => {
    const bench = new Bench({ rate: 1e9 });
    bench.send(1, 20);
    bench.world.run(MS);
    expect(bench.at()).toEqual([672]);
  });

  it("frames that are sent at once go one after the other", () => {
    const bench = new Bench({ rate: 1e9, delay: 1_000 });
    for (let i = 1; i <= 3; i++) bench.send(i);
    bench.world.run(MS);
    expect(bench.at()).toEqual([1_672, 2_344, 3_016]);
    bench.send(4);
    bench.world.run(2 * MS);
    expect(bench.at().at(-1)).toBe(MS + 1_672);
  });

  it.each([
    [40e9, 60, 16.8],
    [40e9, 128, 30.4],
    [100e9, 60, 6.72],
    [10e9, 85, 87.2],
  ])(
    "at %d bit/s a thousand frames of %d octets back to back take %d ns each: nothing is lost to rounding",
    (rate, size, each) => {
      const bench = new Bench({ rate });
      for (let i = 0; i < 1_000; i++) bench.send(i, size);
      bench.world.run(MS);
      expect(bench.at()).toEqual(Array.from({ length: 1_000 }, (_, i) => Math.ceil((i + 1) * each - 1e-6)));
    },
  );

  it("an hour of back-to-back frames keeps the rate", () => {
    const bench = new Bench({ rate: 40e9 });
    bench.world.run(3_600e9);
    for (let i = 0; i < 5_000; i++) bench.send(i, 128);
    bench.world.run(3_601e9);
    expect(bench.at().at(-1)).toBe(3_600e9 + 5_000 * 30.4);
  });

  it("directions do not wait for each other", () => {
    const bench = new Bench({ rate: 1e9 });
    bench.send(1);
    bench.send(2, 60, "h1");
    bench.world.run(MS);
    expect([bench.at("h0"), bench.at("h1")]).toEqual([[672], [672]]);
  });
});

describe("queue limit", () => {
  it("a frame that finds more than the limit before it is dropped as queue; the next one finds room again", () => {
    // On the wire each is 84 octets: three fill 252.
    const bench = new Bench({ rate: 1e9, queue: 252 });
    for (let i = 1; i <= 6; i++) bench.send(i);
    bench.world.run(672);
    bench.send(7);
    bench.world.run(MS);
    expect(bench.numbers()).toEqual([1, 2, 3, 4, 7]);
    expect(bench.drops()).toMatchObject({ queue: 2, loss: 0, cut: 0, down: 0 });
    expect(bench.world.end("h0", "eth0")).toMatchObject({ sent: 5, octets: 300 });
    expect(bench.world.end("h1", "eth0")).toMatchObject({ received: 5 });
  });

  it("is 1 MiB unless it is said, and in each direction of its own", () => {
    const bench = new Bench({ rate: 1e9 });
    const fits = Math.floor(2 ** 20 / (1_000 + 24)) + 1;
    for (let i = 0; i < fits + 10; i++) bench.send(i, 1_000);
    bench.send(1, 1_000, "h1");
    bench.world.run(100 * MS);
    expect([bench.at("h1").length, bench.drops()?.queue, bench.at("h0").length]).toEqual([fits, 10, 1]);
  });
});

describe("loss", () => {
  it.each([
    [1, 10],
    [1, 100],
    [1, 2],
  ])(
    "of %d in %d frames: as many are lost as chance says, within five sigma, and counted",
    (numerator, denominator) => {
      const bench = new Bench({ loss: { numerator, denominator } });
      const n = 20_000;
      for (let i = 0; i < n; i++) bench.send(i);
      bench.world.run(0);
      const p = numerator / denominator;
      const lost = n - bench.at().length;
      expect(Math.abs(lost - n * p)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)));
      expect(bench.drops()?.loss).toBe(lost);
      expect(bench.world.end("h0", "eth0")?.sent).toBe(n);
    },
  );

  it("of all frames loses all, of none loses none, and ends when it is told to", () => {
    const bench = new Bench({});
    const loss = (ratio: { numerator: number; denominator: number } | undefined, number: number) => {
      bench.world.command({ verb: "loss", link: "wire", ratio });
      bench.send(number);
    };
    loss({ numerator: 1, denominator: 1 }, 1);
    loss({ numerator: 0, denominator: 1 }, 2);
    loss(undefined, 3);
    bench.world.run(0);
    expect(bench.numbers()).toEqual([2, 3]);
  });

  it("a lost frame has taken its time on the wire", () => {
    const bench = new Bench({ rate: 1e9, loss: { numerator: 1, denominator: 1 } });
    bench.send(1);
    bench.world.command({ verb: "loss", link: "wire", ratio: undefined });
    bench.send(2);
    bench.world.run(MS);
    expect(bench.at()).toEqual([1_344]);
  });
});

describe("jitter", () => {
  const sample = (jitter: number, n = 3_000) => {
    const bench = new Bench({ delay: 1_000, jitter });
    const sent: number[] = [];
    for (let i = 0; i < n; i++) {
      bench.world.run(i * 10 * (jitter + 1));
      sent.push(bench.world.now);
      bench.send(i);
    }
    bench.world.run(bench.world.now + 10 * jitter + MS);
    return bench.at().map((at, i) => at - (sent[i] ?? 0) - 1_000);
  };

  it.each([1, 500, 50_000, 5_000_000_000])("adds 0 … %d ns, both included, evenly", (jitter) => {
    const extra = sample(jitter);
    expect(extra.length).toBe(3_000);
    expect(Math.min(...extra)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...extra)).toBeLessThanOrEqual(jitter);
    const mean = extra.reduce((sum, one) => sum + one, 0) / extra.length;
    const sigma = Math.sqrt((jitter * (jitter + 2)) / 12 / extra.length);
    expect(Math.abs(mean - jitter / 2)).toBeLessThan(5 * sigma);
  });

  it("keeps the order of the frames of one direction, and its bound", () => {
    const bench = new Bench({ delay: 1_000, jitter: 100_000 });
    for (let i = 0; i < 2_000; i++) {
      bench.world.run(i * 100);
      bench.send(i);
    }
    bench.world.run(10 * MS);
    expect(bench.numbers()).toEqual(Array.from({ length: 2_000 }, (_, i) => i));
    for (const [i, at] of bench.at().entries()) {
      expect(at).toBeGreaterThanOrEqual(i * 100 + 1_000);
      expect(at).toBeLessThanOrEqual(i * 100 + 101_000);
    }
  });
});

describe("filters", () => {
  it("keep off what they match, of one sender or of all, until they are taken away", () => {
    const bench = new Bench({});
    const even = { matches: (frame: Parameters<typeof numberOf>[0]) => numberOf(frame) % 2 === 0 };
    const say = (filter: { from?: string; matches: typeof even.matches } | undefined) =>
      bench.world.command({ verb: "filter", link: "wire", filter, text: "even" });
    const both = () => {
      for (const number of [1, 2]) {
        bench.send(number);
        bench.send(number, 60, "h1");
      }
      bench.world.run(0);
      const heard = [bench.numbers("h0"), bench.numbers("h1")];
      for (const list of bench.arrivals.values()) list.length = 0;
      return heard;
    };
    say({ ...even, from: "h0" });
    expect(both()).toEqual([[1, 2], [1]]);
    say(even);
    expect(both()).toEqual([[1], [1]]);
    say(undefined);
    expect(both()).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect([bench.drops("h0")?.filter, bench.drops("h1")?.filter]).toEqual([2, 1]);
  });
});

describe("cut and heal", () => {
  it("a cut loses what is under way and what is sent, both counted", () => {
    const bench = new Bench({ delay: 10_000 });
    bench.send(1);
    bench.world.run(5_000);
    bench.world.command({ verb: "cut", link: "wire" });
    bench.send(2);
    bench.world.run(20_000);
    bench.world.command({ verb: "heal", link: "wire" });
    bench.send(3);
    bench.world.run(MS);
    expect(bench.numbers()).toEqual([3]);
    expect([bench.drops("h1")?.cut, bench.drops("h0")?.down]).toEqual([1, 1]);
  });

  it("what a cut lost is lost even when the link is whole again before it would have arrived", () => {
    const bench = new Bench({ delay: 10_000 });
    bench.send(1);
    bench.world.command({ verb: "cut", link: "wire" });
    bench.world.command({ verb: "heal", link: "wire" });
    bench.send(2);
    bench.world.run(MS);
    expect(bench.numbers()).toEqual([2]);
  });

  it("what waited to be sent is gone with the cut: after it the wire is free", () => {
    const bench = new Bench({ rate: 10e6 });
    for (let i = 0; i < 500; i++) bench.send(i, 1_000);
    bench.world.command({ verb: "cut", link: "wire" });
    bench.world.command({ verb: "heal", link: "wire" });
    bench.send(500);
    bench.world.run(1_000 * MS);
    expect([bench.numbers(), bench.at()]).toEqual([[500], [67_200]]);
  });

  it("with a side, only what that end sends is lost from now on", () => {
    const bench = new Bench({ delay: 1_000 });
    bench.send(1);
    bench.world.command({ verb: "cut", link: "wire", side: "h0:eth0" });
    bench.send(2);
    bench.send(3, 60, "h1");
    bench.world.run(10_000);
    expect([bench.numbers("h1"), bench.numbers("h0")]).toEqual([[1], [3]]);
    expect(bench.drops("h0")?.loss).toBe(1);
    bench.world.command({ verb: "heal", link: "wire", side: "h0:eth0" });
    bench.send(4);
    bench.world.run(20_000);
    expect(bench.numbers("h1")).toEqual([1, 4]);
  });

  it("healing the whole link heals its sides, too", () => {
    const bench = new Bench({});
    bench.world.command({ verb: "cut", link: "wire", side: "h0:eth0" });
    bench.world.command({ verb: "heal", link: "wire" });
    bench.send(1);
    bench.world.run(0);
    expect(bench.numbers()).toEqual([1]);
  });
});

describe("a segment of more than two ends", () => {
  it("carries a frame to all other ends at one time", () => {
    const bench = new Bench({ delay: 2_000, rate: 1e9 }, 4);
    bench.send(1, 60, "h2");
    bench.world.run(MS);
    expect(["h0", "h1", "h2", "h3"].map((host) => bench.at(host))).toEqual([[2_672], [2_672], [], [2_672]]);
    expect(bench.world.frames).toBe(3);
  });

  it("can be cut and healed as a whole, or for one end", () => {
    const bench = new Bench({ delay: 2_000 }, 3);
    bench.send(1);
    bench.world.command({ verb: "cut", link: "wire" });
    bench.world.command({ verb: "heal", link: "wire" });
    bench.world.command({ verb: "cut", link: "wire", side: "h1:eth0" });
    bench.send(2);
    bench.send(3, 60, "h1");
    bench.world.run(MS);
    expect(["h0", "h1", "h2"].map((host) => bench.numbers(host))).toEqual([[], [2], [2]]);
    expect(bench.drops("h0")?.cut).toBe(1);
  });

  it("goes on without an end that lost power, whose own frames under way are lost", () => {
    const bench = new Bench({ delay: 2_000 }, 3);
    bench.send(1);
    bench.send(2, 60, "h1");
    bench.world.command({ verb: "power-off", node: "h1" });
    bench.world.run(MS);
    expect(["h0", "h1", "h2"].map((host) => bench.numbers(host))).toEqual([[], [], [1]]);
    expect([bench.drops("h1")?.cut, bench.drops("h1")?.down]).toEqual([1, 1]);
  });
});
