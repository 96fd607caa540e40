/**
 * Whether this process is on time for what it runs: a runtime with a garbage collector on a busy machine is late now and
 * then, and an interval that is shorter than that has peers take a master that lives for dead.
 */
import { formatDuration, us } from "../../core/time.ts";
import type { AnyProtocol, NodeConfig, Urgency } from "../../node/protocol.ts";
import type { Lateness } from "./alarm.ts";
import type { Part } from "./daemon.ts";

/** Alarms of one window that were too late: fewer are an accident, of which a machine's own events tell. */
const OFTEN = 3;
/** Milliseconds of a window; at its end at most one warning is said. */
const WINDOW = 60_000;

export interface PunctualityOptions {
  readonly protocols: readonly AnyProtocol[];
  readonly lateness: Lateness;
  readonly tell: (line: string, grave: boolean) => void;
}

export class Punctuality implements Part {
  private urgent: Urgency | undefined;
  private before = 0;
  private readonly window: NodeJS.Timeout;

  constructor(private readonly options: PunctualityOptions) {
    // A daemon that is refused what it needs ends without it.
    this.window = setInterval(() => this.look(), WINDOW).unref();
  }

  configure(config: NodeConfig): void {
    this.urgent = mostUrgent(this.options.protocols, config);
    const { lateness } = this.options;
    lateness.limit = this.urgent?.within ?? Number.POSITIVE_INFINITY;
    this.before = lateness.beyond;
  }

  /** At the end of each window. */
  look(): void {
    const { lateness, tell } = this.options;
    const times = lateness.beyond - this.before;
    this.before = lateness.beyond;
    if (times < OFTEN || this.urgent === undefined) return;
    const { name, within } = this.urgent;
    tell(
      `${times} timers were late by more than ${formatDuration(within)} within a minute (the worst so far by ` +
        `${formatDuration(us(Math.round(lateness.worst)))}): ${name} is too fast for this host as it is; give it a longer ` +
        "interval, or this process a better place in the scheduler (docs/operating.md)",
      true,
    );
  }

  close(): void {
    clearInterval(this.window);
  }
}

function mostUrgent(protocols: readonly AnyProtocol[], config: NodeConfig): Urgency | undefined {
  let first: Urgency | undefined;
  for (const { key, urgency } of protocols) {
    const own = key === undefined ? undefined : config[key];
    // The protocol's own schema has made it.
    const one = own === undefined ? undefined : urgency?.(own as never);
    if (one !== undefined && (first === undefined || one.within < first.within)) first = one;
  }
  return first;
}
