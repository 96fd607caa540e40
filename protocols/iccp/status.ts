/** What an operator sees of a session with the other switch: why it is as it is, in this protocol's own words. */
import { type Instant, NEVER, since, toSeconds } from "../../src/core/time.ts";
import type { Status, StatusRow } from "../../src/node/protocol.ts";
import { ago, seconds } from "../../src/node/spans.ts";
import type { IccpDropReason } from "./events.ts";
import type { IccpMachineState } from "./machine.ts";
import { HEARTBEAT, type Session } from "./session.ts";

/** Times in seconds, from now back. */
export interface SessionStatus extends StatusRow {
  readonly type: "iccp.session";
  readonly state: string;
  readonly local: string;
  readonly peer: string;
  readonly dialect: string;
  /** Of what was said last: why it is up, or why the last attempt failed. */
  readonly reason: string;
  readonly detail: string;
  readonly since?: number;
  readonly epoch: number;
  readonly heartbeat: number;
  readonly signed: boolean;
  /** Since a message was heard in this session. */
  readonly heard?: number;
  readonly counters: {
    /** Messages of this epoch. */
    readonly sent: number;
    readonly received: number;
    readonly dropped: Readonly<Partial<Record<IccpDropReason, number>>>;
  };
}

export const status: Status = {
  rows: ({ sessions }: IccpMachineState, now) => sessions.map((session) => rowOf(session, now)),
  holds: () => [],
  columns: ["SESSION", "PEER", "STATE", "WHY", "SINCE", "DIALECT", "HEARD"],
  cells: (row) => cells(row as SessionStatus),
  details: (row) => details(row as SessionStatus),
};

function rowOf(session: Session, now: Instant): SessionStatus {
  const { config, state, dialect, why, epoch, sent, heard, heardAt, drops } = session;
  return {
    type: "iccp.session",
    name: config.name,
    state,
    local: config.local,
    peer: config.peer,
    dialect,
    reason: why.reason,
    detail: why.detail,
    ...(why.at === NEVER ? {} : { since: toSeconds(since(why.at, now)) }),
    epoch,
    heartbeat: toSeconds(config.heartbeat ?? HEARTBEAT),
    signed: (config.keys ?? []).length > 0,
    ...(heardAt === NEVER ? {} : { heard: toSeconds(since(heardAt, now)) }),
    counters: {
      sent,
      received: heard,
      dropped: Object.fromEntries([...drops].map(([reason, { count }]) => [reason, count])),
    },
  };
}

function cells({ name, peer, state, reason, since: age, dialect, heard }: SessionStatus): readonly string[] {
  const last = heard === undefined ? "-" : `${ago(heard)} ago`;
  return [name, peer, state, reason, age === undefined ? "-" : ago(age), dialect, last];
}

function details({ local, heartbeat, signed, detail, counters }: SessionStatus): readonly string[] {
  const { sent, received, dropped } = counters;
  const drops = Object.entries(dropped).map(([reason, count]) => `${reason} ${count}`);
  const lost = drops.length === 0 ? "" : `; dropped: ${drops.join(", ")}`;
  const line = `from ${local}, heartbeat ${seconds(heartbeat)}, ${signed ? "signed" : "not signed"}`;
  return [`${line}; messages: ${sent} sent, ${received} received${lost}`, ...(detail === "" ? [] : [detail])];
}
