/** VRRP benches on one wire (one for each interface name): every frame reaches the others after the delay of its pair. */
import { vrrp } from "../../protocols/vrrp/machine.ts";
import type { Frame } from "../../src/core/frame.ts";
import { type Duration, type Instant, instant } from "../../src/core/time.ts";
import { Bench, type Given } from "./vrrp.ts";

interface Arrival {
  readonly at: Instant;
  readonly to: number;
  readonly port: string;
  readonly frame: Frame;
}

export class Segment {
  now = instant(0);
  readonly benches: Bench[];
  private readonly arrivals: Arrival[] = [];
  private readonly isolated = new Set<number>();
  private readonly delays: readonly number[];

  /**
   * @param nodes the routers of each node; addresses are 192.0.2.N and fe80::N
   * @param delays microseconds, taken in turn by the pairs of nodes
   */
  constructor(nodes: readonly (readonly Given[])[], delays: readonly number[]) {
    this.delays = delays;
    this.benches = nodes.map((routers, i) => {
      const bench = new Bench(routers, { idle: true });
      bench.wire = (frame, port) => this.send(i, port, frame);
      for (const name of new Set(routers.map((router) => String(router["interface"])))) {
        bench.link(name, true).addresses(name, [`192.0.2.${i + 1}/24`, `fe80::${i + 1}/64`]);
      }
      return bench;
    });
  }

  /** Neither hears nor is heard, without noticing. */
  isolate(index: number, yes: boolean): void {
    if (yes) this.isolated.add(index);
    else this.isolated.delete(index);
  }

  run(time: Duration): void {
    const end = this.now + time;
    for (;;) {
      this.arrivals.sort((a, b) => a.at - b.at);
      const [arrival] = this.arrivals;
      const due = Math.min(...this.benches.map((bench) => vrrp.deadline(bench.state)));
      const next = Math.min(arrival?.at ?? Number.POSITIVE_INFINITY, due);
      if (next > end) break;
      this.setNow(Math.max(this.now, next));
      if (arrival !== undefined && arrival.at <= due) {
        this.arrivals.shift();
        const bench = this.benches[arrival.to];
        if (bench?.state.byName.get(arrival.port)?.up) bench.frame(arrival.frame, arrival.port);
      } else {
        for (const bench of this.benches) if (vrrp.deadline(bench.state) <= this.now) bench.input({ kind: "timer" });
      }
    }
    this.setNow(end);
  }

  /** Nodes whose first router is master. */
  masters(): number[] {
    return [...this.benches.keys()].filter((i) => this.benches[i]?.router().state === "master");
  }

  private setNow(time: number): void {
    this.now = instant(time);
    for (const bench of this.benches) bench.now = this.now;
  }

  private send(from: number, port: string, frame: Frame): void {
    for (const to of this.benches.keys()) {
      if (to === from || this.isolated.has(from) || this.isolated.has(to)) continue;
      const delay = this.delays[(from * 3 + to) % this.delays.length] ?? 1;
      this.arrivals.push({ at: (this.now + delay) as Instant, to, port, frame });
    }
  }
}
