/** What is said of each half: its state, the reason, what that is about, and when it ends. */
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import { disagreement } from "./agreement.ts";
import { describeMismatch } from "./consistency.ts";
import type { MemberState, MlagReason } from "./events.ts";
import { type Half, type MlagState, type Partner, penaltyAt, REUSE, say } from "./state.ts";

/** Says what has become of the M-LAG, when it is not what was said before. */
export function report(state: MlagState, half: Half, now: Instant): void {
  reportIsolation(state, half, now);
  const local = half.up && !half.suspended;
  const peer = state.session && half.peer === "up";
  const member = memberState(half, local, peer);
  const before = half.said;
  const reason = reasonOf(half, local, peer, before);
  const until = untilOf(state, half, reason);
  const detail =
    before?.reason === "dampened" && before.until === until ? before.detail : detailOf(state, half, reason, now);
  if (before !== undefined && before.local === local && before.peer === peer && before.state === member) {
    const same = before.reason === reason && before.detail === detail && before.until === until;
    // Words without news: what was held is no more, and has not come up yet.
    if (same || (before.reason !== reason && (local || reason === "local-down"))) return;
  }
  const about = { ...(detail === undefined ? {} : { detail }), ...(until === undefined ? {} : { until }) };
  half.said = { local, peer, state: member, reason, ...about };
  say(
    state,
    { type: "mlag.member", id: half.id, port: half.port, ...half.said },
    now,
    CAUSES[reason]?.replace("PORT", half.port),
  );
}

function memberState(half: Half, local: boolean, peer: boolean): MemberState {
  if (half.suspended) return "suspended";
  if (local && peer) return "active-full";
  return local || peer ? "active-partial" : "inactive";
}

function reasonOf(half: Half, local: boolean, peer: boolean, before: Half["said"]): MlagReason {
  const held = half.hold === true;
  // A half without a partner does not wait for anybody: it is down.
  const gated = held && half.why === "isolation-pending";
  if (half.suspended || (held && !gated)) return half.why;
  if (before?.local === true && !local) return "local-down";
  if (gated && half.partner !== undefined) return half.why;
  if (before === undefined || before.local !== local) return local ? "local-up" : "local-down";
  if (before.peer !== peer) return peer ? "peer-up" : "peer-down";
  return local ? "local-up" : "local-down";
}

/** When what is waited for is over, where time alone decides that. */
function untilOf(state: MlagState, half: Half, reason: MlagReason): number | undefined {
  const end = endOf(state, half, reason);
  return end === NEVER ? undefined : end;
}

function endOf(state: MlagState, half: Half, reason: MlagReason): Instant {
  switch (reason) {
    case "start":
      return state.running && state.situation === "waiting" ? after(state.startedAt, state.config.autoRecovery) : NEVER;
    case "restore-delay":
    case "dampened":
      return state.restoreAt;
    case "isolation-pending":
      return half.gateUntil;
    default:
      return NEVER;
  }
}

/** Both sides' values of what the reason is about. */
function detailOf(state: MlagState, half: Half, reason: MlagReason, now: Instant): string | undefined {
  switch (reason) {
    case "partner-mismatch":
      return `${partnerText(half.partner)} here, ${partnerText(half.peerPartner)} at the peer`;
    case "duplicate-partner": {
      const twin = twinOf(state, half);
      return `${partnerText(half.partner)} is on M-LAG ${twin?.id ?? 0} and on M-LAG ${half.id}`;
    }
    case "consistency": {
      const mismatch = disagreement(state, half);
      return mismatch === undefined ? undefined : describeMismatch(mismatch);
    }
    case "dampened":
      return `penalty ${Math.round(penaltyAt(state, now))} for losses of the session; members return at ${REUSE}`;
    default:
      return undefined;
  }
}

function partnerText(partner: Partner | undefined): string {
  return partner === undefined ? "nobody" : `${partner.system} (priority ${partner.priority}, key ${partner.key})`;
}

export function samePartner(a: Partner, b: Partner): boolean {
  return a.system === b.system && a.key === b.key && a.priority === b.priority;
}

/** The M-LAG with a lower id that has the same host, here or at the peer: it would get every broadcast twice. */
export function twinOf(state: MlagState, { id, partner }: Half): Half | undefined {
  if (partner === undefined) return undefined;
  const same = (other: Partner | undefined) => other !== undefined && samePartner(other, partner);
  return state.halves.find((other) => other.id < id && (same(other.partner) || same(other.peerPartner)));
}

/** M33 of the checklist: what is wanted, what is installed, and what the peer has of both. */
function reportIsolation(state: MlagState, half: Half, now: Instant): void {
  const wanted = state.session && (half.peerAsks || half.peer === "up" || half.peer === "draining");
  const { wanted: peerWanted, installed: peerInstalled } = half.peerIsolation;
  const [asked, acknowledged] = [half.gate !== "closed", half.gate === "open" && !half.capped];
  const installed = half.isolated === "none" ? 0 : half.isolated === "floods" ? 1 : 2;
  const bits = [wanted, asked, acknowledged, peerWanted, peerInstalled].reduce(
    (sum, bit) => sum * 2 + Number(bit),
    installed,
  );
  if (bits === half.saidIsolation) return;
  half.saidIsolation = bits;
  const both = { wanted, installed: half.isolated, asked, acknowledged, peerWanted, peerInstalled };
  say(state, { type: "mlag.isolation", id: half.id, port: half.port, ...both }, now);
}

/** What a reason goes back to: an event of this machine, or what was noted; PORT stands for the half's. */
const CAUSES: Partial<Record<MlagReason, string>> = {
  start: "start",
  "session-lost": "mlag.session",
  "peer-alive": "mlag.keepalive",
  split: "mlag.session",
  syncing: "mlag.session",
  "restore-delay": "mlag.session",
  dampened: "mlag.session",
  "local-up": "lacp.bundle PORT",
  "local-down": "lacp.bundle PORT",
  "isolation-pending": "lacp.partner PORT",
  "partner-mismatch": "lacp.partner PORT",
  "duplicate-partner": "lacp.partner PORT",
  operator: "order",
  consistency: "mlag.alarm",
  maintenance: "mlag.maintenance",
  "peer-up": "mlag.session",
  "peer-down": "mlag.session",
};
