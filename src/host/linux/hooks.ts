/**
 * Notify hooks: programs that are told of each change of state. One ordered queue a group: a hook never overtakes an
 * earlier one of its group, and no group waits for another's. Each is told at least once, unless it fails so often that
 * it is given up, or a newer state has made it stale.
 */
import { type Duration, ms, sec, us } from "../../core/time.ts";
import { milliseconds } from "./milliseconds.ts";
import { type Ended, type Run, type Running, succeeded } from "./program.ts";

/** Of one group that wait. At the bound a newer state of the same name takes the place of an older one that waits. */
export const MAX_WAITING = 16;
/** Groups that are remembered; beyond, the longest idle one is forgotten. */
export const MAX_GROUPS = 4096;
/** Failures shown of a group: the last ones. */
const MAX_FAILURES = 8;
/** Between the first attempt and the second; doubled each time. */
const FIRST_RETRY = ms(500);
const LONGEST_RETRY = sec(30);

export interface Hook {
  /** Run without a shell; see `words`. keepalived's four words are added: TYPE NAME STATE PRIORITY. */
  readonly run: string;
  /** See `userOf`: without it nobody, when the daemon is root. */
  readonly user?: string | undefined;
  /** Of one attempt; then it is killed. */
  readonly timeout: Duration;
  /** 1…: after so many failures in a row it is given up. */
  readonly attempts: number;
}

/** What a hook is told. */
export interface News {
  readonly type: "INSTANCE" | "GROUP";
  readonly name: string;
  /** MASTER, BACKUP, FAULT, STOP. */
  readonly state: string;
  readonly priority: number;
  /** Goes into the JSON on stdin as it is. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
}

export interface HookFailure {
  /** Wall-clock time, ISO 8601. */
  readonly at: string;
  readonly group: string;
  readonly news: News;
  readonly generation: number;
  readonly attempt: number;
  /** retried: another attempt follows; given-up: it was the last; stale: a newer state of the same name waits. */
  readonly then: "retried" | "given-up" | "stale";
  /** For people: "exit code 1", "no answer within 10s". */
  readonly text: string;
  /** The last kibibyte that it wrote. */
  readonly output: string;
}

export interface HookStatus {
  readonly group: string;
  /** What runs now, or is tried again soon. */
  readonly current: { readonly news: News; readonly generation: number; readonly attempt: number } | undefined;
  readonly waiting: number;
  readonly delivered: number;
  /** Never told, because a newer state of the same name had come. */
  readonly skipped: number;
  readonly givenUp: number;
  readonly failures: readonly HookFailure[];
}

export interface HookOptions {
  /** Of the helper, so that the daemon never forks. */
  readonly run: Run;
  /** Stands in the JSON. */
  readonly node: string;
  /** Hears each failed attempt; there is at most one in `FIRST_RETRY` of a group that fails. */
  readonly failed: (failure: HookFailure) => void;
}

interface Told {
  readonly hook: Hook;
  readonly news: News;
  readonly generation: number;
  readonly at: string;
  attempt: number;
}

interface Queue {
  readonly group: string;
  waiting: Told[];
  /** Runs now, or waits for its next attempt. */
  current: Told | undefined;
  running: Running | undefined;
  retry: NodeJS.Timeout | undefined;
  delivered: number;
  skipped: number;
  givenUp: number;
  failures: HookFailure[];
}

export class HookQueues {
  private readonly queues = new Map<string, Queue>();
  /** Newer than those of an earlier run of this daemon, unless the wall clock was set back. */
  private generation = Date.now() * 1_000;
  private idle: (() => void) | undefined;
  private closed = false;

  constructor(private readonly options: HookOptions) {}

  /**
   * Has the hook told in its turn.
   * @param group what is kept in order: a sync group, or a router that is in none
   * @returns the generation, which stands in the JSON: higher for each later news, the same for each attempt
   */
  tell(group: string, hook: Hook, news: News): number {
    this.generation++;
    if (this.closed) return this.generation;
    const queue = this.queueOf(group);
    const told = { hook, news, generation: this.generation, at: new Date().toISOString(), attempt: 0 };
    queue.waiting.push(told);
    if (queue.waiting.length > MAX_WAITING) this.skipOne(queue);
    if (queue.current === undefined) this.next(queue);
    else this.skipRetried(queue);
    return told.generation;
  }

  status(): HookStatus[] {
    return [...this.queues.values()].map(({ group, current, waiting, delivered, skipped, givenUp, failures }) => ({
      group,
      current: current && { news: current.news, generation: current.generation, attempt: current.attempt },
      waiting: waiting.length,
      delivered,
      skipped,
      givenUp,
      failures: [...failures],
    }));
  }

  /**
   * Before the daemon ends: waits until every hook has been told its last state, at the most `bound`. States that have
   * passed are not told any more. After half of the time a hook that still runs is killed where others wait behind it.
   * @returns what was not told
   */
  async finish(bound: Duration): Promise<News[]> {
    for (const queue of this.queues.values()) {
      while (this.skipOne(queue));
      this.skipRetried(queue);
    }
    const half = setTimeout(() => {
      for (const { waiting, running } of this.queues.values()) if (waiting.length > 0) running?.stop(true);
    }, milliseconds(bound) / 2);
    let whole: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.idle = resolve;
      whole = setTimeout(resolve, milliseconds(bound));
      this.seeIdle();
    });
    clearTimeout(half);
    clearTimeout(whole);
    const left = [...this.queues.values()].flatMap(({ current, waiting }) =>
      current ? [current, ...waiting] : waiting,
    );
    this.close();
    return left.map(({ news }) => news);
  }

  /** Kills what runs, forgets what waits. */
  close(): void {
    this.closed = true;
    for (const { running, retry } of this.queues.values()) {
      clearTimeout(retry);
      running?.stop(true);
    }
    this.queues.clear();
  }

  private queueOf(group: string): Queue {
    const old = this.queues.get(group);
    if (old !== undefined) {
      // Last in the map: the longest idle ones are first.
      this.queues.delete(group);
      this.queues.set(group, old);
      return old;
    }
    if (this.queues.size >= MAX_GROUPS) {
      for (const { group: name, current } of this.queues.values()) {
        if (current !== undefined) continue;
        this.queues.delete(name);
        break;
      }
    }
    const queue: Queue = {
      group,
      waiting: [],
      current: undefined,
      running: undefined,
      retry: undefined,
      delivered: 0,
      skipped: 0,
      givenUp: 0,
      failures: [],
    };
    this.queues.set(group, queue);
    return queue;
  }

  /**
   * The oldest that waits and has a newer one of its name behind it. Without such, there are as many names as wait.
   * @returns whether there was one
   */
  private skipOne(queue: Queue): boolean {
    const { waiting } = queue;
    const stale = waiting.findIndex((told, i) => waiting.some((other, j) => j > i && same(other, told)));
    if (stale < 0) return false;
    waiting.splice(stale, 1);
    queue.skipped++;
    return true;
  }

  /** What is tried again later would only bring back a state that has passed. */
  private skipRetried(queue: Queue): void {
    const { current, retry, waiting } = queue;
    if (current === undefined || retry === undefined || !waiting.some((told) => same(told, current))) return;
    queue.skipped++;
    this.next(queue);
  }

  private next(queue: Queue): void {
    clearTimeout(queue.retry);
    queue.retry = undefined;
    queue.running = undefined;
    queue.current = queue.waiting.shift();
    if (queue.current !== undefined) this.attempt(queue, queue.current);
    else this.seeIdle();
  }

  private attempt(queue: Queue, told: Told): void {
    const { hook, news } = told;
    queue.retry = undefined;
    told.attempt++;
    queue.running = this.options.run(
      {
        run: hook.run,
        arguments: [news.type, news.name, news.state, String(news.priority)],
        user: hook.user,
        timeout: hook.timeout,
        input: this.json(told),
      },
      {
        ended: (how) => {
          queue.running = undefined;
          if (!this.closed) this.ended(queue, told, how);
        },
      },
    );
  }

  private json({ news, generation, attempt, at }: Told): string {
    const { type, name, state, priority, detail } = news;
    const { node } = this.options;
    return `${JSON.stringify({ ...detail, node, type, name, state, priority, generation, attempt, at })}\n`;
  }

  private ended(queue: Queue, told: Told, how: Ended): void {
    if (succeeded(how)) {
      queue.delivered++;
      this.next(queue);
      return;
    }
    const stale = queue.waiting.some((other) => same(other, told));
    const last = told.attempt >= told.hook.attempts || how.reason === "stopped";
    const then = stale ? "stale" : last ? "given-up" : "retried";
    const failure: HookFailure = {
      at: new Date().toISOString(),
      group: queue.group,
      news: told.news,
      generation: told.generation,
      attempt: told.attempt,
      then,
      text: how.text,
      output: how.output,
    };
    queue.failures = [...queue.failures, failure].slice(-MAX_FAILURES);
    if (then === "given-up") queue.givenUp++;
    if (then === "stale") queue.skipped++;
    this.options.failed(failure);
    if (then === "retried") {
      const wait = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** (told.attempt - 1));
      queue.retry = setTimeout(() => this.attempt(queue, told), milliseconds(us(wait)));
    } else {
      this.next(queue);
    }
  }

  private seeIdle(): void {
    if (this.idle === undefined) return;
    if ([...this.queues.values()].every(({ current }) => current === undefined)) this.idle();
  }
}

/** Of one router or group: only its newest state matters in the end. */
function same(a: Told, b: Told): boolean {
  return a.news.type === b.news.type && a.news.name === b.news.name;
}
