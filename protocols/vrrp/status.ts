/** What an operator sees of running virtual routers: one row each, and the row in words. */
import { formatPrefix } from "../../src/core/addr.ts";
import { formatDuration, type Instant, since, toSeconds, us } from "../../src/core/time.ts";
import type { Status, StatusRow, Urgency } from "../../src/node/protocol.ts";
import { ago, seconds } from "../../src/node/spans.ts";
import { authenticationWords } from "./authentication.ts";
import { OWNER } from "./codec.ts";
import type { VrrpConfig } from "./config.ts";
import type { Tracked } from "./config-surroundings.ts";
import type { Standing } from "./events.ts";
import type { Counters, Peer, Router, VrrpState } from "./state.ts";
import { tableOf } from "./state.ts";
import { catchUp, downInterval, skewTime } from "./timing.ts";
import { effectOf, effectWords, standingOf, standingWords } from "./tracking.ts";

/** Times in seconds; those of timers from now on, those of the past from now back. */
export interface RouterStatus extends StatusRow {
  readonly type: "vrrp.router";
  readonly interface: string;
  readonly vrid: number;
  readonly family: string;
  readonly version: number;
  readonly state: string;
  /** Of the last change of state. */
  readonly reason: string;
  readonly since: number;
  /** What is sent and compared; `base` without what is tracked. */
  readonly priority: number;
  readonly base: number;
  readonly draining: boolean;
  readonly interval: number;
  readonly addresses: readonly string[];
  /** Whether packets to them are for this node while it is master: so configured, or it owns them. */
  readonly accept: boolean;
  readonly primary: string | undefined;
  readonly checksum: string;
  /** "enforce with key 1 (time)"; absent where adverts are not signed. */
  readonly authentication?: string;
  /** Whoever a backup obeys. */
  readonly master: PeerStatus | undefined;
  readonly timers: Timers;
  readonly tracked: readonly TrackedStatus[];
  readonly peers: readonly PeerStatus[];
  readonly counters: Counters;
}

/** Something that it tracks: how it stands, and what that means here. */
export interface TrackedStatus extends Standing {
  readonly kind: Tracked["kind"];
  readonly name: string;
  readonly weight: number;
  /** Absent where it is not. */
  readonly reverse?: true;
  /** Added to the priority. */
  readonly effect: number | "fault";
}

interface Timers {
  readonly advert?: number;
  readonly down?: number;
  readonly preempt?: number;
  readonly announce?: number;
  readonly linger?: number;
  /** Lengths: RFC 9568 §6.1. */
  readonly downInterval: number;
  readonly skewTime: number;
}

export interface PeerStatus {
  readonly address: string;
  readonly priority: number;
  readonly interval: number;
  readonly version: number;
  readonly checksum: readonly string[];
  /** Whether its adverts come from the virtual router's MAC. */
  readonly virtualMac: boolean;
  /** Id of the key that its last advert was signed with. */
  readonly key?: number;
  /** How long ago. */
  readonly heard: number;
  readonly adverts: number;
  /** Since it is heard without a break: adverts heard, adverts that its interval makes one expect, and their difference. */
  readonly run: { readonly heard: number; readonly expected: number; readonly lost: number };
}

export const status: Status = {
  rows: (state: VrrpState, now) =>
    state.routers.filter(({ retired }) => !retired).map((router) => rowOf(state, router, now)),
  // A backup that passes low adverts over takes its place when its down timer fires: three intervals and a skew time.
  holds: ({ routers }: VrrpState) =>
    routers
      .filter(({ state }) => state === "master")
      .map(({ config }) => ({ name: config.name, within: us(4 * config.interval) })),
  columns: ["ROUTER", "INTERFACE", "VRID", "FAMILY", "STATE", "WHY", "SINCE", "PRIORITY", "MASTER", "NEXT"],
  cells: (row) => cells(row as RouterStatus),
  details: (row) => details(row as RouterStatus),
};

/** Backups wait for three intervals (RFC 9568 §6.1): who is late by one has one lost advert left. */
export function urgency(config: VrrpConfig): Urgency | undefined {
  const [first, ...others] = config;
  if (first === undefined) return undefined;
  const { interval, name } = others.reduce((least, one) => (one.interval < least.interval ? one : least), first);
  return { name: `${name} (each ${formatDuration(interval)})`, within: interval };
}

function rowOf(vrrp: VrrpState, router: Router, now: Instant): RouterStatus {
  catchUp(router);
  const { config, state, last } = router;
  const master = state === "backup" && last !== undefined && last.peer.priority > 0 ? last.peer : undefined;
  const peers = [...router.peers.values()].sort((a, b) => b.heard - a.heard);
  return {
    type: "vrrp.router",
    name: config.name,
    interface: config.interface,
    vrid: config.vrid,
    family: config.family,
    version: config.version,
    state,
    reason: router.reason,
    since: toSeconds(since(router.changed, now)),
    priority: router.priority,
    base: router.base,
    draining: router.draining,
    interval: toSeconds(config.interval),
    addresses: config.addresses.map(formatPrefix),
    accept: config.accept || config.priority === OWNER,
    primary: tableOf(router).primary,
    checksum: config.family === "ipv6" ? "pseudo-header" : config.version === 2 ? "message" : router.form,
    ...(config.authentication === undefined ? {} : { authentication: authenticationWords(config.authentication) }),
    master: master === undefined ? undefined : peerOf(master, now),
    timers: timersOf(router, now),
    tracked: config.tracked.map((one) => trackedOf(vrrp, one)),
    peers: peers.map((peer) => peerOf(peer, now)),
    counters: router.counters,
  };
}

function trackedOf(vrrp: VrrpState, tracked: Tracked): TrackedStatus {
  const { kind, name, weight, valued, reverse } = tracked;
  const standing = standingOf(vrrp, tracked);
  const { up, value, why } = standing;
  return {
    kind,
    name,
    up,
    ...(valued && value !== undefined ? { value } : {}),
    weight,
    ...(reverse ? { reverse } : {}),
    effect: effectOf(tracked, standing),
    ...(why === undefined ? {} : { why }),
  };
}

function timersOf(router: Router, now: Instant): Timers {
  const { adverAt, downAt, preemptAt, announceAt, lingerUntil } = router;
  const left = (name: string, at: Instant) => (Number.isFinite(at) ? { [name]: toSeconds(since(now, at)) } : {});
  return {
    ...left("advert", adverAt),
    ...left("down", downAt),
    ...left("preempt", preemptAt),
    ...left("announce", announceAt),
    ...left("linger", lingerUntil),
    downInterval: exact(downInterval(router)),
    skewTime: exact(skewTime(router)),
  };
}

function exact(microseconds: number): number {
  return toSeconds(us(Math.round(microseconds)));
}

function peerOf(peer: Peer, now: Instant): PeerStatus {
  // Between the first and the last of n adverts lie n - 1 intervals.
  const expected = Math.round((peer.heard - peer.since) / peer.interval) + 1;
  const { run } = peer;
  return {
    address: peer.address,
    priority: peer.priority,
    interval: toSeconds(peer.interval),
    version: peer.version,
    checksum: peer.checksumForms,
    virtualMac: peer.virtualMac,
    ...(peer.keyId === undefined ? {} : { key: peer.keyId }),
    heard: toSeconds(since(peer.heard, now)),
    adverts: peer.adverts,
    // Adverts that assert come in between the regular ones.
    run: { heard: run, expected: Math.max(expected, run), lost: Math.max(0, expected - run) },
  };
}

// --- in words ---

function cells(row: RouterStatus): readonly string[] {
  const { master, timers } = row;
  const next = timers.advert ?? timers.down;
  return [
    row.name,
    row.interface,
    String(row.vrid),
    row.family,
    row.state,
    row.reason,
    ago(row.since),
    row.priority === row.base ? String(row.priority) : `${row.priority} (${row.base})`,
    row.state === "master" ? "itself" : master === undefined ? "-" : `${master.address} (${master.priority})`,
    next === undefined ? "-" : `${timers.advert === undefined ? "takes over" : "advert"} in ${ago(Math.max(0, next))}`,
  ];
}

function details(row: RouterStatus): readonly string[] {
  const { counters, interval, version, checksum, primary, draining } = row;
  const signed = row.authentication === undefined ? "" : `, authentication ${row.authentication}`;
  const shielded = row.accept ? "" : " (accept: false)";
  const lines = [
    `holds ${row.addresses.join(" ")}${shielded}, sends from ${primary ?? "no address yet"} each ${seconds(interval)}, ` +
      `version ${version}, checksum ${checksum}${signed}${draining ? ", draining" : ""}`,
  ];
  for (const peer of row.peers) {
    const { address, priority, interval: each, version: spoken, checksum: forms, heard, run, key } = peer;
    const loss = run.expected > 1 ? `, lost ${run.lost} of ${run.expected} (${percent(run.lost, run.expected)})` : "";
    const by = key === undefined ? "" : `, signed with key ${key}`;
    const mac = peer.virtualMac ? "virtual MAC" : "a MAC of its own";
    const form = `version ${spoken}, checksum ${forms.join("+")}, ${mac}${by}`;
    lines.push(`peer ${address}: priority ${priority}, each ${seconds(each)}, ${form}, heard ${ago(heard)} ago${loss}`);
  }
  for (const one of row.tracked) {
    const words = standingWords({ ...one, valued: one.value !== undefined }, one);
    lines.push(`tracks ${words}, weight ${one.weight}${one.reverse ? " reversed" : ""}: ${effectWords(one.effect)}`);
  }
  const { advertsSent, advertsReceived, priorityZeroSent, priorityZeroReceived, masterTransitions, dropped } = counters;
  const drops = Object.entries(dropped).map(([reason, count]) => `${reason} ${count}`);
  lines.push(
    `adverts: ${advertsSent} sent, ${advertsReceived} received; priority 0: ${priorityZeroSent} sent, ` +
      `${priorityZeroReceived} received; ${masterTransitions} times master` +
      `${drops.length === 0 ? "" : `; dropped: ${drops.join(", ")}`}`,
  );
  return lines;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)}%`;
}
