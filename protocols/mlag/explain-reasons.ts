/** By reason: what an event of the M-LAG machine comes from, and under which condition what it says ends. */
import { after, type Duration, formatDuration, formatInstant, type Instant, instant } from "../../src/core/time.ts";
import { eventOf, newest, type Past } from "../../src/node/past.ts";
import type { MlagConfig } from "./config.ts";
import type { KeepaliveEvent, MlagReason } from "./events.ts";
import {
  answer,
  type Because,
  bundle,
  type Case,
  disagreement,
  drained,
  keepaliveWay,
  maintained,
  mismatch,
  own,
  partner,
  peerHalf,
  peerOf,
  peerOrder,
  peerOwn,
  role,
  session,
  silence,
  type Told,
  transport,
  way,
  withheld,
} from "./explain-causes.ts";
import { ISOLATION_CAP } from "./state.ts";

interface Why {
  readonly because: (one: Case, event: Told) => Because;
  /** Absent where nothing is to be waited for. */
  readonly ends?: (one: Case, event: Told) => string;
}

export function because(reason: MlagReason, event: Told, one: Case): Because {
  return WHY[reason].because(one, event);
}

export function ends(reason: MlagReason, event: Told, one: Case): string {
  return WHY[reason].ends?.(one, event) ?? SUBJECTS[event.type] ?? "when something else is said of it";
}

/** Where a reason by itself names no end: that of what it is said of. */
const SUBJECTS: Partial<Record<Told["type"], string>> = {
  "mlag.session": "when the peer is heard on the peer link",
  "mlag.role": "when the peer returns, or an operator says preempt",
  "mlag.keepalive": "when a message of the peer comes",
  "mlag.member": "when both halves carry frames",
  "mlag.maintenance": "when an operator takes the switch out of maintenance",
  "mlag.drift": "when what differs has been said anew",
};

const sessionEnds = (one: Case) => `when ${comeback(one.config, false)}`;
const waitEnds = (one: Case) => `when ${comeback(one.config, true)}`;
const bothEnds = () => "when both halves carry frames";

const WHY: Readonly<Record<MlagReason, Why>> = {
  start: {
    because: ({ past, node }) => past.born(node),
    ends: ({ all, config, node }) => startEnds(all, config, node),
  },
  hello: { because: (one) => transport(one, true) ?? way(one) },
  "session-lost": {
    because: (one, event) => (event.type === "mlag.session" ? (transport(one, false) ?? way(one)) : session(one)),
    ends: (one, event) => (event.type === "mlag.session" ? sessionEnds(one) : undecidedEnds(one)),
  },
  "peer-link-down": { because: (one) => one.past.link(one.node, one.config.peerLink), ends: sessionEnds },
  "peer-goodbye": {
    because: (one, event) => (event.type === "mlag.session" ? (peerOrder(one) ?? transport(one, false)) : session(one)),
    ends: (one, event) => (event.type === "mlag.session" ? sessionEnds(one) : returns(one)),
  },
  "lower-priority": { because: session },
  "lower-mac": { because: session },
  "by-address": { because: session },
  sticky: { because: session },
  preempted: { because: (one) => newest(own(one, "preempt"), peerOwn(one, "preempt")) ?? session(one) },
  "peer-alive": {
    because: (one, event) => drained(one, event) ?? answer(one) ?? session(one),
    ends: (one, event) => (event.type === "mlag.role" ? returns(one) : aliveEnds(one)),
  },
  "peer-dead": { because: (one) => silence(one) ?? session(one), ends: returns },
  split: {
    because: (one, event) =>
      event.type === "mlag.role" ? (silence(one) ?? session(one)) : (drained(one, event) ?? role(one)),
    ends: (one, event) =>
      event.type === "mlag.role"
        ? returns(one)
        : `when the peer is heard again on a path: then ${comeback(one.config, true)}`,
  },
  "auto-recovery": { because: ({ past, node }) => past.born(node), ends: returns },
  heard: { because: keepaliveWay },
  answered: { because: session },
  "keepalive-timeout": {
    because: (one) => one.past.silence(one.node, one.config.keepalive.port, peerOf(one)) ?? keepaliveWay(one),
  },
  "keepalive-link-down": { because: (one) => one.past.link(one.node, one.config.keepalive.port) },
  // Half of an M-LAG that carries is what it is because of the other half.
  "local-up": {
    because: (one, event) =>
      event.type === "mlag.member" && event.state === "active-partial" ? peerHalf(one, event) : bundle(one, event),
    ends: bothEnds,
  },
  "local-down": { because: bundle, ends: bothEnds },
  "peer-up": { because: peerHalf, ends: bothEnds },
  "peer-down": { because: peerHalf, ends: (one) => `when the half at ${peerOf(one) ?? "the peer"} carries frames` },
  "isolation-pending": {
    because: partner,
    ends: (one, event) =>
      `when the peer says that it keeps floods from this half, or at ${until(one, event, ISOLATION_CAP)} without`,
  },
  syncing: {
    because: session,
    ends: ({ config }) =>
      `when the peer's tables are complete; then restore-delay (${formatDuration(config.restoreDelay)})`,
  },
  "restore-delay": {
    because: session,
    ends: (one, event) => {
      const delay = delayOf(one, event);
      return `when restore-delay (${formatDuration(delay)}) is over, at ${until(one, event, delay)}`;
    },
  },
  restored: { because: (one, event) => withheld(one, event) ?? newest(role(one), session(one)) },
  dampened: {
    because: session,
    ends: (one, event) => {
      const when = "until" in event ? `, at ${until(one, event, one.config.restoreDelay)}` : "";
      return `when the session has been calm for long enough${when}`;
    },
  },
  maintenance: {
    because: (one, event) => drained(one, event) ?? maintained(one) ?? own(one, "maintenance") ?? session(one),
    ends: (one) => `when an operator takes ${one.node} out of maintenance; then ${comeback(one.config, true)}`,
  },
  operator: {
    because: (one, event) =>
      drained(one, event) ?? (event.type === "mlag.maintenance" ? own(one, "maintenance") : own(one, "suspend")),
    ends: (_one, event) =>
      event.type === "mlag.maintenance"
        ? "when an operator takes the switch out of maintenance"
        : "when an operator says restore",
  },
  "partner-mismatch": {
    because: (one, event) => drained(one, event) ?? mismatch(one),
    ends: () => "when both halves see one host",
  },
  "duplicate-partner": {
    because: (one, event) => drained(one, event) ?? mismatch(one),
    ends: () => "when the host is on one M-LAG only",
  },
  "digest-differs": { because: session, ends: () => "when what differs has been said anew" },
  "count-differs": { because: session, ends: () => "when what differs has been said anew" },
  resent: {
    because: (one) => one.past.event(one.node, "mlag.drift") ?? session(one),
    ends: () => "with the next audit that finds the tables equal",
  },
  consistency: {
    because: (one, event) => drained(one, event) ?? disagreement(one, event),
    ends: () => "when both switches are configured alike in what the detail names",
  },
  leaving: {
    because: (one, event) => drained(one, event) ?? own(one, "stop") ?? session(one),
    ends: () => "when an operator starts the machine",
  },
  restart: {
    because: (one) => newest(own(one, "restart"), peerOwn(one, "restart")) ?? transport(one, false),
    ends: (one) =>
      `when the one that restarts is back, or after grace (${formatDuration(one.config.grace)}) as any other loss`,
  },
  stalled: { because: (one) => keepaliveWay(one), ends: waitEnds },
  "no-peer": {
    because: (one) => own(one, "maintenance"),
    ends: () => "when there is a session with the peer, or the order is given with force",
  },
  "no-keepalive": {
    because: (one) => own(one, "maintenance"),
    ends: () => "when the keepalive is up, or the order is given with force",
  },
  "single-leg": {
    because: (one) => own(one, "maintenance"),
    ends: () => "when the peer's half carries frames, or the order is given with force",
  },
  "slow-partner": {
    because: (one) => own(one, "maintenance"),
    ends: () => "when the partner uses fast LACP, or the order is given with force",
  },
};

// --- what ends it ---

/** What it takes for the pair, or its members, to be back. */
export function comeback({ restoreDelay }: MlagConfig, members: boolean): string {
  const session = "the peer link carries frames and the session is up";
  return members
    ? `${session}, the peer's tables are complete, and restore-delay (${formatDuration(restoreDelay)}) is over`
    : session;
}

export function startEnds(past: Past, config: MlagConfig, node: string): string {
  const born = past.born(node)?.at ?? (0 as Instant);
  const alone = formatInstant(after(born, config.autoRecovery));
  return `when ${comeback(config, true)}; or at ${alone} s without the peer (auto-recovery)`;
}

function aliveEnds({ config }: Case): string {
  const { timeout, hold } = config.keepalive;
  const wait = formatDuration((timeout + hold) as Duration);
  const silent = config.suspendPersist
    ? ""
    : `; or when the peer is silent on the keepalive for timeout + hold (${wait})`;
  return `when ${comeback(config, true)}${silent}`;
}

/** The peer may be alive, dead, or out of reach: this is when that is decided at the latest. */
function undecidedEnds(one: Case): string {
  const lost = session(one);
  if (lost === undefined) return sessionEnds(one);
  const { timeout, hold } = one.config.keepalive;
  const known = one.past.event<KeepaliveEvent>(one.node, "mlag.keepalive");
  const heard = known !== undefined && eventOf<KeepaliveEvent>(known).up;
  const wait = heard ? ((timeout + hold) as Duration) : one.config.splitGrace;
  const latest = `${formatInstant(after(lost.at, wait))} s`;
  return `when the peer is found alive, or at ${latest} as dead or out of reach; or ${comeback(one.config, false)}`;
}

function returns(one: Case): string {
  return `when ${peerOf(one) ?? "the peer"} returns: ${comeback(one.config, false)}`;
}

/** When a wait ends that time alone ends: as the event says, or by how long it takes. */
function until({ fact }: Case, event: Told, wait: Duration): string {
  const said = "until" in event ? event.until : undefined;
  return `${formatInstant(said === undefined ? after(fact.at, wait) : instant(said))} s`;
}

function delayOf({ config }: Case, event: Told): Duration {
  return event.type === "mlag.orphan" ? config.orphans.restoreDelay : config.restoreDelay;
}
