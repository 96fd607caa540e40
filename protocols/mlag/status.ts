/** What an operator sees of an M-LAG pair: a row of this switch, one of each M-LAG and orphan port, and the rows in words. */
import { formatPrefix } from "../../src/core/addr.ts";
import { type Instant, NEVER, since, toSeconds } from "../../src/core/time.ts";
import type { Status, StatusRow } from "../../src/node/protocol.ts";
import { ago, seconds } from "../../src/node/spans.ts";
import { describeMismatch } from "./consistency.ts";
import type { KeepaliveDropReason } from "./events.ts";
import type { MlagMachineState } from "./machine.ts";
import type { Situation } from "./state.ts";

/** Times in seconds, from now back; `until` and `restore` from now on. */
interface Said {
  readonly up: boolean;
  readonly reason: string;
  readonly since?: number;
}

export interface PairStatus extends StatusRow {
  readonly type: "mlag.pair";
  readonly domain: number;
  readonly running: boolean;
  /** "none" before the first election. */
  readonly state: "primary" | "secondary" | "none";
  /** Primary in place of a peer that is gone. */
  readonly alone: boolean;
  readonly reason: string;
  readonly since?: number;
  readonly situation: Situation;
  readonly priority: number;
  readonly system: string;
  /** What partners are told. */
  readonly lacpSystem: string;
  readonly peerLink: { readonly port: string; readonly up: boolean };
  readonly session: Said & { readonly epoch: number };
  readonly keepalive: Said & {
    readonly port: string;
    readonly address: string;
    readonly peer: string;
    readonly interval: number;
    /** Since the peer was heard. */
    readonly heard?: number;
    /** Whether the peer has answered a question that was asked after the session was lost. */
    readonly proven: boolean;
  };
  /** What the peer says of itself, on either path. */
  readonly peer?: { readonly system: string; readonly priority: number };
  readonly maintenance: boolean;
  /** Seconds until members return, where time alone decides that. */
  readonly restore?: number;
  readonly consistency: { readonly compared: boolean; readonly mismatches: readonly string[] };
  readonly alarms: readonly { readonly alarm: string; readonly detail: string; readonly since: number }[];
  /** Entries that either switch says. */
  readonly tables: Readonly<Record<"mac" | "arp" | "nd", { readonly mine: number; readonly theirs: number }>>;
  readonly counters: {
    /** Table entries that an audit has corrected. */
    readonly drifted: number;
    /** Keepalive messages that were not acted on. */
    readonly dropped: Readonly<Partial<Record<KeepaliveDropReason, number>>>;
  };
}

export interface MemberStatus extends StatusRow {
  readonly type: "mlag.member";
  readonly id: number;
  readonly port: string;
  readonly state: string;
  readonly reason: string;
  readonly detail?: string;
  readonly since?: number;
  readonly until?: number;
  readonly local: boolean;
  readonly peer: boolean;
  readonly links: number;
  /** Who speaks LACP at its other end, here and at the peer. */
  readonly partner?: string;
  readonly peerPartner?: string;
  /** What the bridge keeps from it of what the peer link brings. */
  readonly isolated: "none" | "floods" | "all";
}

export interface OrphanStatus extends StatusRow {
  readonly type: "mlag.orphan";
  readonly port: string;
  readonly state: "suspended" | "in-service";
  readonly reason: string;
  readonly since?: number;
}

type Row = PairStatus | MemberStatus | OrphanStatus;

export const status: Status = {
  rows: (state: MlagMachineState, now) => [pairOf(state, now), ...membersOf(state, now), ...orphansOf(state, now)],
  // A peer takes over by the goodbye, within the drain that stopping waits for anyway.
  holds: () => [],
  columns: ["M-LAG", "PORT", "STATE", "WHY", "SINCE", "HERE", "AT THE PEER"],
  cells: (row) => cells(row as Row),
  details: (row) => details(row as Row),
};

function pairOf({ core, path, row }: MlagMachineState, now: Instant): PairStatus {
  const { config, role, agreement, tables, sighting } = core;
  const { address, peer, port, interval } = config.keepalive;
  const back = (at: Instant | undefined) => passed("since", at, now);
  return {
    type: "mlag.pair",
    name: "pair",
    domain: config.domain,
    running: core.running,
    state: role ?? "none",
    alone: row.role?.alone ?? false,
    reason: row.role?.reason ?? "start",
    ...back(row.role?.since),
    situation: core.situation,
    priority: config.priority,
    system: core.system,
    lacpSystem: core.lacpSystem,
    peerLink: { port: config.peerLink, up: core.peerLink },
    session: {
      up: core.session,
      reason: row.session?.reason ?? "start",
      epoch: core.epoch,
      ...back(row.session?.since),
    },
    keepalive: {
      up: core.keepalive,
      reason: row.keepalive?.reason ?? "start",
      ...back(row.keepalive?.since),
      port,
      address: formatPrefix(address),
      peer,
      interval: toSeconds(interval),
      ...passed("heard", core.heardAt, now),
      proven: core.proven,
    },
    ...(sighting === undefined ? {} : { peer: { system: sighting.system, priority: sighting.priority } }),
    maintenance: core.maintenance,
    ...left("restore", core.restoreAt, now),
    consistency: { compared: agreement.compared, mismatches: agreement.mismatches.map(describeMismatch) },
    alarms: [...row.alarms.values()].map(({ alarm, detail, since: at }) => ({
      alarm,
      detail,
      since: toSeconds(since(at, now)),
    })),
    tables: { mac: sizeOf(tables.mac), arp: sizeOf(tables.arp), nd: sizeOf(tables.nd) },
    counters: {
      drifted: tables.drifted,
      dropped: Object.fromEntries([...path.drops].map(([reason, { count }]) => [reason, count])),
    },
  };
}

function membersOf({ core, row }: MlagMachineState, now: Instant): readonly MemberStatus[] {
  return core.halves.map((half) => {
    const { id, port, said, links, partner, peerPartner, isolated } = half;
    return {
      type: "mlag.member",
      name: String(id),
      id,
      port,
      state: said?.state ?? "inactive",
      reason: said?.reason ?? half.why,
      ...(said?.detail === undefined ? {} : { detail: said.detail }),
      ...passed("since", row.members.get(id)?.since, now),
      ...left("until", said?.until as Instant | undefined, now),
      local: said?.local ?? false,
      peer: said?.peer ?? false,
      links,
      ...(partner === undefined ? {} : { partner: partner.system }),
      ...(peerPartner === undefined ? {} : { peerPartner: peerPartner.system }),
      isolated,
    };
  });
}

function orphansOf({ core, row }: MlagMachineState, now: Instant): readonly OrphanStatus[] {
  return core.orphans.map(({ port, suspended, reason }) => ({
    type: "mlag.orphan",
    name: port,
    port,
    state: suspended ? "suspended" : "in-service",
    reason,
    ...passed("since", row.orphans.get(port)?.since, now),
  }));
}

function sizeOf({ mine, theirs }: { readonly mine: number; readonly theirs: number }) {
  return { mine, theirs };
}

function passed<Name extends string>(name: Name, at: Instant | undefined, now: Instant): { [key in Name]?: number } {
  if (at === undefined || at === NEVER) return {};
  return { [name]: toSeconds(since(at, now)) } as { [key in Name]: number };
}

function left<Name extends string>(name: Name, at: Instant | undefined, now: Instant): { [key in Name]?: number } {
  if (at === undefined || at === NEVER) return {};
  return { [name]: toSeconds(since(now, at)) } as { [key in Name]: number };
}

// --- in words ---

function cells(row: Row): readonly string[] {
  const age = row.since === undefined ? "-" : ago(row.since);
  switch (row.type) {
    case "mlag.pair": {
      const state = row.alone ? `${row.state} (alone)` : row.state;
      return ["pair", row.peerLink.port, state, row.reason, age, `session ${upDown(row.session.up)}`, row.situation];
    }
    case "mlag.member":
      return [row.name, row.port, row.state, row.reason, age, upDown(row.local), upDown(row.peer)];
    case "mlag.orphan":
      return ["orphan", row.port, row.state, row.reason, age, "-", "-"];
  }
}

function details(row: Row): readonly string[] {
  if (row.type === "mlag.pair") return pairDetails(row);
  if (row.type === "mlag.orphan") return [];
  const { detail, until, links, partner, peerPartner, isolated } = row;
  const who =
    partner === undefined ? "no partner here" : `partner ${partner} over ${links} ${links === 1 ? "link" : "links"}`;
  const there = peerPartner === undefined ? "none at the peer" : `${peerPartner} at the peer`;
  const kept = isolated === "none" ? "" : `, isolated from the peer link (${isolated})`;
  const why = detail === undefined ? [] : [detail];
  const wait = until === undefined ? [] : [`decides in ${ago(Math.max(0, until))}`];
  return [`${who}, ${there}${kept}`, ...why, ...wait];
}

function pairDetails(row: PairStatus): readonly string[] {
  const { session, keepalive, peer, consistency, alarms, tables, counters } = row;
  const spotted = peer === undefined ? "" : `; peer ${peer.system}, priority ${peer.priority}`;
  const lines = [
    `domain ${row.domain}, priority ${row.priority}, system ${row.system}, to partners ${row.lacpSystem}${spotted}`,
    `peer link ${row.peerLink.port}: ${upDown(row.peerLink.up)}; ` +
      `session ${session.epoch}: ${upDown(session.up)} (${session.reason})${forSo(session.since)}`,
    `keepalive ${keepalive.port}: ${upDown(keepalive.up)} (${keepalive.reason})${forSo(keepalive.since)}, ` +
      `${keepalive.address} to ${keepalive.peer} each ${seconds(keepalive.interval)}` +
      `${keepalive.heard === undefined ? "" : `, heard ${ago(keepalive.heard)} ago`}` +
      `${keepalive.proven ? ", has answered since the loss of the session" : ""}`,
    `shared: ${(["mac", "arp", "nd"] as const)
      .map((name) => `${name} ${tables[name].mine} here, ${tables[name].theirs} at the peer`)
      .join("; ")}; ${counters.drifted} corrected by audits`,
  ];
  if (row.maintenance) lines.push("in maintenance");
  if (row.restore !== undefined) lines.push(`members return in ${ago(Math.max(0, row.restore))}`);
  for (const mismatch of consistency.mismatches) lines.push(`differs: ${mismatch}`);
  for (const { alarm, detail, since: age } of alarms) lines.push(`alarm ${alarm} for ${ago(age)}: ${detail}`);
  const dropped = Object.entries(counters.dropped).map(([reason, count]) => `${reason} ${count}`);
  if (dropped.length > 0) lines.push(`keepalive messages dropped: ${dropped.join(", ")}`);
  return lines;
}

function upDown(up: boolean): string {
  return up ? "up" : "down";
}

function forSo(age: number | undefined): string {
  return age === undefined ? "" : ` for ${ago(age)}`;
}
