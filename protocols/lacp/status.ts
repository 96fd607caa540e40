/** What an operator sees of running bundles: one row each, and the row in words. */
import type { Mac } from "../../src/core/addr.ts";
import type { Duplex } from "../../src/core/machine.ts";
import { formatDuration, type Instant, NEVER, sec, since, toSeconds, us } from "../../src/core/time.ts";
import type { Status, StatusRow } from "../../src/node/protocol.ts";
import { ago } from "../../src/node/spans.ts";
import { STATE } from "./codec.ts";
import type { BundleReason, MuxState, PortReason, ReceiveState } from "./events.ts";
import { kindOf, partnerPort, quirksOf } from "./partner.ts";
import { portCause, portReason } from "./reason.ts";
import {
  actorOf,
  type Bundle,
  collects,
  DRAIN_TIME,
  distributes,
  FAST_PERIODIC,
  has,
  type LacpPort,
  type LacpState,
  LONG_TIMEOUT,
  type Selected,
  SHORT_TIMEOUT,
} from "./state.ts";

/** Times in seconds; those of timers from now on, those of the past from now back. */
export interface BundleStatus extends StatusRow {
  readonly type: "lacp.bundle";
  readonly up: boolean;
  /** Links that frames are distributed to. */
  readonly members: number;
  /** Of the last change of either, and how long ago that was; absent where there was none. */
  readonly reason: BundleReason;
  readonly since?: number;
  readonly enabled: boolean;
  readonly draining: boolean;
  readonly system: Mac;
  /** Of the system: lower decides which links stand by. */
  readonly priority: number;
  readonly key: number;
  /** What the partner is asked for. */
  readonly rate: "fast" | "slow";
  /** How long a partner is believed that falls silent with carrier: the timeout that this end has asked for. */
  readonly exposure: number;
  readonly partner?: PartnerStatus;
  readonly ports: readonly PortStatus[];
}

export interface PartnerStatus {
  readonly system: Mac;
  readonly key: number;
  readonly priority: number;
  /** By its defaults; absent where they are nobody's. */
  readonly likely?: string;
  readonly quirks: readonly string[];
}

export interface PortStatus {
  readonly port: string;
  readonly up: boolean;
  /** Bits per second; absent where nobody knows. */
  readonly speed?: number;
  readonly duplex?: Duplex;
  readonly receive: ReceiveState;
  readonly mux: MuxState;
  readonly selected: Selected;
  readonly reason: PortReason;
  readonly cause?: string;
  readonly since: number;
  /** Its number in LACPDUs. */
  readonly number: number;
  readonly priority: number;
  /** Bits of the state that this end says, and that its partner has said; none where nobody was heard. */
  readonly actor: readonly StateWord[];
  readonly partner: readonly StateWord[];
  readonly partnerSystem?: Mac;
  readonly partnerKey?: number;
  readonly partnerPort?: number;
  /** How long ago an LACPDU came; absent where none has. */
  readonly heard?: number;
  /** When the partner is no longer believed unless it is heard. */
  readonly expires?: number;
  /** How often an end was out of sync for a minute: IEEE 802.1AX §6.4.17. */
  readonly churns: { readonly actor: number; readonly partner: number };
  readonly counters: {
    readonly received: number;
    readonly transmitted: number;
    readonly markers: number;
    readonly answered: number;
    readonly responses: number;
  };
  readonly drops: Readonly<Record<string, number>>;
}

/** IEEE 802.1AX §6.4.2.3 m, from the lowest bit. */
const WORDS = {
  activity: STATE.activity,
  "short-timeout": STATE.shortTimeout,
  aggregation: STATE.aggregation,
  "in-sync": STATE.synchronization,
  collecting: STATE.collecting,
  distributing: STATE.distributing,
  defaulted: STATE.defaulted,
  expired: STATE.expired,
} as const;
type StateWord = keyof typeof WORDS;

function spelled(state: number): readonly StateWord[] {
  return (Object.keys(WORDS) as StateWord[]).filter((word) => has(state, WORDS[word]));
}

export const status: Status = {
  rows: (state: LacpState, now) => state.bundles.map((bundle) => rowOf(bundle, now)),
  // A link that is drained collects until its partner has stopped sending, or for a while after it was told: within a second.
  holds: ({ bundles }: LacpState) =>
    bundles
      .filter(({ members, draining }) =>
        members.some((port) => collects(port) || distributes(port) || (draining && port.ntt)),
      )
      .map(({ config }) => ({ name: config.name, within: us(FAST_PERIODIC + DRAIN_TIME) })),
  columns: ["BUNDLE", "STATE", "WHY", "SINCE", "LINKS", "SYSTEM", "KEY", "RATE", "PARTNER"],
  cells: (row) => cells(row as BundleStatus),
  details: (row) => details(row as BundleStatus),
};

function rowOf(bundle: Bundle, now: Instant): BundleStatus {
  const { config, fast, changed } = bundle;
  const partner = partnerPort(bundle)?.partner;
  const kind = partner === undefined ? undefined : kindOf(partner);
  return {
    type: "lacp.bundle",
    name: config.name,
    up: bundle.up,
    members: bundle.distribution.links.length,
    reason: bundle.reason,
    ...(changed === NEVER ? {} : { since: toSeconds(since(changed, now)) }),
    enabled: bundle.enabled,
    draining: bundle.draining,
    system: bundle.system,
    priority: bundle.systemPriority,
    key: bundle.key,
    rate: fast ? "fast" : "slow",
    exposure: toSeconds(fast ? SHORT_TIMEOUT : LONG_TIMEOUT),
    ...(partner === undefined
      ? {}
      : {
          partner: {
            system: partner.system,
            key: partner.key,
            priority: partner.systemPriority,
            ...(kind === undefined ? {} : { likely: kind }),
            quirks: quirksOf(bundle, partner),
          },
        }),
    ports: bundle.members.map((port) => portOf(port, now)),
  };
}

function portOf(port: LacpPort, now: Instant): PortStatus {
  const { partner, counters, heardAt, currentWhile, speed, duplex } = port;
  const cause = portCause(port);
  const known = !has(port.state, STATE.defaulted);
  const { received, transmitted, markers, answered, responses, dropped } = counters;
  return {
    port: port.port.name,
    up: port.up,
    ...(speed === 0 ? {} : { speed }),
    ...(duplex === undefined ? {} : { duplex }),
    receive: port.receive,
    mux: port.mux,
    selected: port.selected,
    reason: portReason({ now }, port),
    ...(cause === undefined ? {} : { cause }),
    since: toSeconds(since(port.changed, now)),
    number: actorOf(port).port,
    priority: port.priority,
    actor: spelled(port.state),
    partner: known ? spelled(partner.state) : [],
    ...(known ? { partnerSystem: partner.system, partnerKey: partner.key, partnerPort: partner.port } : {}),
    ...(heardAt === NEVER ? {} : { heard: toSeconds(since(heardAt, now)) }),
    ...(port.receive === "current" ? { expires: toSeconds(since(now, currentWhile)) } : {}),
    churns: { actor: port.actorChurn.count, partner: port.partnerChurn.count },
    counters: { received, transmitted, markers, answered, responses },
    drops: Object.fromEntries([...dropped].map(([reason, { count }]) => [reason, count])),
  };
}

// --- in words ---

function cells(row: BundleStatus): readonly string[] {
  const { partner } = row;
  return [
    row.name,
    row.up ? "up" : "down",
    row.reason,
    row.since === undefined ? "-" : ago(row.since),
    `${row.members} of ${row.ports.length}`,
    row.system,
    String(row.key),
    row.rate,
    partner === undefined ? "-" : `${partner.system} key ${partner.key}`,
  ];
}

function details(row: BundleStatus): readonly string[] {
  const { partner, exposure, enabled, draining } = row;
  const how = `${enabled ? "" : "stopped; "}${draining ? "draining; " : ""}`;
  const lines = [`${how}a partner that falls silent with carrier is believed for ${formatDuration(sec(exposure))}`];
  if (partner !== undefined) {
    const { system, priority, key, likely } = partner;
    const guess = likely === undefined ? "" : `: by its defaults ${likely}`;
    lines.push(`partner ${system}, priority ${priority}, key ${key}${guess}`);
    for (const quirk of partner.quirks) lines.push(`    it ${quirk}`);
  }
  for (const port of row.ports) lines.push(...portLines(port, partner));
  return lines;
}

function portLines(port: PortStatus, partner: PartnerStatus | undefined): readonly string[] {
  const { reason, cause, receive, mux, speed, heard, partnerPort: far, counters, churns } = port;
  const why = `${reason}${cause === undefined ? "" : ` (${cause})`}`;
  const fast = speed === undefined ? "" : `, ${speed / 1e6} Mb/s`;
  const last = heard === undefined ? "nobody heard" : `heard ${ago(heard)} ago`;
  const end = far === undefined ? "" : `, its port ${far}`;
  const lines = [`${port.port}: ${why} for ${ago(port.since)}, ${receive}, ${mux}${fast}, ${last}${end}`];
  if (port.partnerSystem !== undefined && (port.partnerSystem !== partner?.system || port.partnerKey !== partner.key)) {
    lines.push(`    its partner is ${port.partnerSystem}, key ${port.partnerKey}`);
  }
  lines.push(`    says ${port.actor.join(" ") || "nothing"}; hears ${port.partner.join(" ") || "nothing"}`);
  const drops = Object.entries(port.drops).map(([word, count]) => `${word} ${count}`);
  const churned = churns.actor + churns.partner === 0 ? "" : `; out of sync for a minute: ${churnWords(churns)}`;
  lines.push(
    `    LACPDUs: ${counters.transmitted} sent, ${counters.received} received; markers: ${counters.markers} sent, ` +
      `${counters.answered} answered, ${counters.responses} answers given${churned}` +
      `${drops.length === 0 ? "" : `; dropped: ${drops.join(", ")}`}`,
  );
  return lines;
}

function churnWords({ actor, partner }: PortStatus["churns"]): string {
  return `this end ${actor} times, its partner ${partner}`;
}
