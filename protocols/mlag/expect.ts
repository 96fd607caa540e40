/**
 * How a lab speaks of M-LAG. Of one: `{ at: 9s, node: sw1, mlag: 1, state: active-full, local: true, peer: true }`; of the
 * pair: `{ at: 9s, node: sw1, mlag: pair, role: primary, session: true, keepalive: true, alarm: none }`.
 */
import { toSeconds } from "../../src/core/time.ts";
import { didYouMean } from "../../src/node/nearest.ts";
import type { Claim, Expectable, NodeConfig, Problem } from "../../src/node/protocol.ts";
import { expectFields, expectSubject } from "./config.ts";
import { mlagOf } from "./consistency.ts";
import { type MlagRow, type MlagTable, mlagTable } from "./view.ts";

type Fields = Claim["fields"];
type Member = MlagRow["members"] extends Map<number, infer Row> ? Row : never;

/** What is said of one M-LAG; `mlag: pair` means it of each. */
const OF_MEMBER = ["state", "local", "peer", "reason"] as const;

function check(claim: Claim, nodes: readonly NodeConfig[]): readonly Problem[] {
  const node = nodes.find((one) => one.node === claim.node);
  if (node === undefined) return [];
  const config = mlagOf(node);
  if (config === undefined) return [{ path: ["node"], message: `found ${node.node}, allowed: a switch of a pair` }];
  const { subject } = claim;
  const ids = config.members.map(({ id }) => String(id));
  if (subject === "pair" || ids.includes(String(subject))) return [];
  const known = ids.length === 0 ? "it has none" : ids.join(", ");
  const hint = didYouMean(String(subject), [...ids, "pair"]);
  return [{ path: ["mlag"], message: `found ${String(subject)}, allowed: pair, or an M-LAG id (${known})${hint}` }];
}

function judge(
  view: unknown,
  { node = "", subject, fields }: Claim,
): { readonly ok: boolean; readonly detail: string } {
  const row = (view as MlagTable).get(node);
  const wrong = row === undefined ? unsaid(fields) : (wrongInPair(row, fields) ?? wrongInMembers(row, subject, fields));
  if (wrong !== undefined) return { ok: false, detail: wrong };
  const [member] = row === undefined ? [] : meant(row, subject);
  if (row === undefined) return { ok: true, detail: "it has said nothing yet" };
  return { ok: true, detail: member === undefined ? showPair(row) : showMember(member) };
}

/** What is not so of a switch that has said nothing: what a claim wants beyond "down" and "none". */
function unsaid(fields: Fields): string | undefined {
  const asks = Object.entries(fields).some(([, value]) => value !== false && value !== "none");
  return asks ? "it has said nothing yet" : undefined;
}

function wrongInPair(row: MlagRow, fields: Fields): string | undefined {
  const { session, role, keepalive, alarms } = row;
  const pairs: readonly (readonly [string, unknown, () => string])[] = [
    ["session", session?.up ?? false, () => showSession(row)],
    ["session-reason", session?.reason, () => showSession(row)],
    ["role", role?.role ?? "none", () => showRole(row)],
    ["alone", role?.alone ?? false, () => showRole(row)],
    ["role-reason", role?.reason, () => showRole(row)],
    ["keepalive", keepalive?.up ?? false, () => showKeepalive(row)],
    ["keepalive-reason", keepalive?.reason, () => showKeepalive(row)],
  ];
  for (const [field, found, show] of pairs) if (fields[field] !== undefined && fields[field] !== found) return show();
  const { alarm } = fields;
  if (alarm === undefined) return undefined;
  const raised = [...new Set([...alarms.values()].map((one) => one.alarm))];
  if (alarm === "none" ? raised.length === 0 : raised.some((one) => one === alarm)) return undefined;
  return raised.length === 0 ? "no alarm is raised" : `raised: ${raised.join(", ")}`;
}

function wrongInMembers(row: MlagRow, subject: unknown, fields: Fields): string | undefined {
  const asked = OF_MEMBER.filter((field) => fields[field] !== undefined);
  if (asked.length === 0) return undefined;
  const members = meant(row, subject);
  if (members.length === 0) {
    // What has not been said yet is down.
    return asked.every((field) => fields[field] === false) ? undefined : "it has said nothing of that yet";
  }
  const wrong = members.find((member) => asked.some((field) => fields[field] !== member[field]));
  return wrong === undefined ? undefined : showMember(wrong);
}

function meant({ members }: MlagRow, subject: unknown): readonly Member[] {
  return [...members.values()].filter(({ id }) => subject === "pair" || subject === id);
}

function showMember({ id, port, state, local, peer, reason, since, detail }: Member): string {
  const halves = `here ${local ? "up" : "down"}, at the peer ${peer ? "up" : "down"}`;
  const more = detail === undefined ? "" : `: ${detail}`;
  return `M-LAG ${id} (${port}) is ${state} since ${seconds(since)}, ${halves} (${reason}${more})`;
}

function showPair(row: MlagRow): string {
  return `${showRole(row)}; ${showSession(row)}; ${showKeepalive(row)}`;
}

function showSession({ session }: MlagRow): string {
  if (session === undefined) return "it has had no session yet";
  return `session ${session.epoch} is ${session.up ? "up" : "down"} since ${seconds(session.since)} (${session.reason})`;
}

function showRole({ role }: MlagRow): string {
  if (role === undefined) return "it has no role yet";
  const place = role.alone ? " in place of its peer" : "";
  return `it is ${role.role}${place} since ${seconds(role.since)} (${role.reason})`;
}

function showKeepalive({ keepalive }: MlagRow): string {
  if (keepalive === undefined) return "its keepalive has not been up yet";
  return `its keepalive is ${keepalive.up ? "up" : "down"} since ${seconds(keepalive.since)} (${keepalive.reason})`;
}

function seconds(time: Member["since"]): string {
  return `${toSeconds(time).toFixed(6)} s`;
}

export const expect: Expectable = {
  subject: expectSubject,
  fields: expectFields,
  check,
  view: mlagTable as Expectable["view"],
  judge,
};
