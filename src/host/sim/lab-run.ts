/** Runs a lab: builds its world, lets it happen, judges it. What it finds are values; who prints them is not its matter. */
import { Log } from "../../core/log.ts";
import { type Instant, instant, NEVER } from "../../core/time.ts";
import { machinesOf } from "../../node/machines.ts";
import type { Node } from "../../node/node.ts";
import type { AnyProtocol, Flow, FlowRecord, Meter, NodeConfig } from "../../node/protocol.ts";
import type { Expectation, FlowExpectation } from "./expectation.ts";
import type { Lab } from "./topology.ts";
import { Fact, type Verdict, type Violation, Watch } from "./verdict.ts";
import { World } from "./world.ts";

export interface RunOptions {
  /** In place of the lab's own. */
  readonly seed?: number;
  /** When the run ends, in place of the lab's own time. */
  readonly end?: Instant;
}

/** What came out of a run. */
export interface RunResult {
  readonly flows: readonly FlowRecord[];
  readonly verdicts: readonly Verdict[];
  /** Promises that no line asked for and that every lab keeps. */
  readonly violations: readonly Violation[];
  /** Names of all promises that were watched, in alphabetical order. */
  readonly watched: readonly string[];
  readonly ok: boolean;
  readonly events: number;
  readonly frames: number;
  readonly end: Instant;
}

export class LabRun {
  readonly log = new Log();
  readonly world: World;
  readonly end: Instant;
  private readonly facts: Fact[] = [];
  private readonly watches: Watch[] = [];
  private readonly meter: Meter | undefined;
  /** Times at which a fact is due, ascending. */
  private readonly checkpoints: Instant[];

  constructor(
    readonly lab: Lab,
    private readonly protocols: readonly AnyProtocol[],
    options: RunOptions = {},
  ) {
    this.end = options.end ?? lab.end;
    this.world = new World({ seed: options.seed ?? lab.seed, log: this.log });
    const meter = protocols.find((protocol) => protocol.meter !== undefined)?.meter;
    this.meter = lab.traffic.length === 0 ? undefined : meter?.(lab.traffic, lab.nodes, this.end);
    for (const config of lab.nodes) this.world.addNode(config.node, (node) => this.build(node, config));
    for (const { options: link, ends } of lab.links) this.world.addLink(link, ends);
    this.watch();
    for (const { at, command } of lab.script) this.world.schedule(at * 1_000, command);
    const due = this.facts.map(({ expectation }) => expectation.until).filter((at) => at <= this.end);
    this.checkpoints = [...new Set(due)].sort((a, b) => a - b);
  }

  /** Switches everything on. Readers of the log that want the beginning follow it before. */
  start(): void {
    this.world.start();
  }

  /** Runs up to and including `until`, or to the end of the lab. */
  run(until: Instant = this.end): void {
    const limit = Math.min(until, this.end);
    while ((this.checkpoints[0] ?? NEVER) <= limit) {
      const at = this.checkpoints.shift() ?? instant(limit);
      // Whole microseconds are what a file can say: everything within this one belongs to it.
      this.world.run(at * 1_000 + 999);
      for (const fact of this.facts) if (fact.expectation.until === at) fact.settle(at);
    }
    this.world.run(limit * 1_000);
  }

  /** Judges what has happened; call it once, at the end. */
  finish(): RunResult {
    for (const watch of this.watches) watch.end(this.end);
    const verdicts = this.lab.expect.map((expectation) => this.judge(expectation));
    const violations = this.watches.filter((watch) => watch.expectation === undefined).flatMap((w) => w.violations);
    return {
      flows: this.lab.traffic.map((flow) => this.record(flow)),
      verdicts,
      violations,
      watched: [...new Set(this.watches.map(({ invariant }) => invariant.name))].sort(),
      ok: violations.length === 0 && verdicts.every((verdict) => verdict.ok),
      events: this.world.events,
      frames: this.world.frames,
      end: this.end,
    };
  }

  private build(node: Node, config: NodeConfig): void {
    node.mount(machinesOf(this.protocols, config, node));
    if (this.meter !== undefined) node.mount(this.meter.mount(config, node));
  }

  private watch(): void {
    for (const expectation of this.lab.expect) {
      if (expectation.kind === "flow") continue;
      const expectable = this.protocols.find(({ name }) => name === expectation.protocol)?.expect;
      if (expectable === undefined) continue;
      if (expectation.kind === "fact") {
        this.facts.push(new Fact(expectation, expectable));
      } else {
        const invariant = expectable.promises?.[expectation.promise]?.(expectation.claim, this.lab.nodes);
        if (invariant !== undefined) this.watches.push(new Watch(invariant, expectation.settle, expectation));
      }
    }
    const traffic = this.arriving();
    for (const protocol of this.protocols) {
      for (const invariant of protocol.invariants?.(this.lab.nodes, traffic) ?? []) {
        this.watches.push(new Watch(invariant));
      }
    }
    for (const reader of [...this.facts, ...this.watches]) this.log.follow(reader);
  }

  /** The flows that no line expects to be kept out. */
  private arriving(): readonly Flow[] {
    const { expect, traffic } = this.lab;
    const out = new Set(expect.map((one) => (one.kind === "flow" && one.atMost !== undefined ? one.flow : undefined)));
    return traffic.filter(({ id }) => !out.has(id));
  }

  private record(flow: Flow, from?: Instant, to?: Instant): FlowRecord {
    const meter = this.meter as Meter;
    return meter.record(flow.id, this.end, from, to);
  }

  private judge(expectation: Expectation): Verdict {
    switch (expectation.kind) {
      case "fact": {
        const fact = this.facts.find((one) => one.expectation === expectation) as Fact;
        return expectation.until > this.end ? fact.skip(this.end, this.end < this.lab.end) : fact.settle(this.end);
      }
      case "always":
        return this.judgeAlways(this.watches.find((watch) => watch.expectation === expectation) as Watch);
      case "flow":
        return this.judgeFlow(expectation);
    }
  }

  private judgeAlways(watch: Watch): Verdict {
    const { expectation, violations, total } = watch;
    const [first] = violations;
    const more = total > 1 ? ` (and ${total - 1} more times)` : "";
    const detail =
      first === undefined
        ? "held all the time"
        : `${first.detail} from ${first.from / 1e6} s to ${first.to / 1e6} s${more}`;
    return {
      type: "expect",
      ok: first === undefined,
      judged: true,
      text: expectation?.text ?? "",
      at: first?.from ?? this.end,
      detail,
      line: expectation?.line ?? 0,
    };
  }

  private judgeFlow(expectation: FlowExpectation): Verdict {
    const flow = this.lab.traffic.find(({ id }) => id === expectation.flow) as Flow;
    const record = this.record(flow, expectation.from, expectation.to);
    const faults = [
      over("lost", record.lost, expectation.lost),
      over("duplicated", record.duplicated, expectation.duplicated),
      over("reordered", record.reordered, expectation.reordered),
      over("seconds of the longest gap", record.longestGap, expectation.gap && expectation.gap / 1e6),
      expectation.received !== undefined && record.received < expectation.received
        ? `${record.received} received, at least ${expectation.received} expected`
        : undefined,
      over("received", record.received, expectation.atMost),
    ].filter((fault) => fault !== undefined);
    const { sent, received, lost, duplicated, reordered, longestGap } = record;
    const facts = `sent ${sent}, received ${received}, lost ${lost}, duplicated ${duplicated}, reordered ${reordered}, longest gap ${longestGap} s`;
    return {
      type: "expect",
      ok: faults.length === 0,
      judged: true,
      text: expectation.text,
      at: expectation.to ?? this.end,
      detail: faults.length === 0 ? facts : `${faults.join("; ")} (${facts})`,
      line: expectation.line,
    };
  }
}

function over(what: string, found: number, allowed: number | undefined): string | undefined {
  return allowed === undefined || found <= allowed ? undefined : `${found} ${what}, at most ${allowed} allowed`;
}
