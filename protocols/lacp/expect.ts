/** How a lab speaks of LACP: `{ at: 8s, node: sw1, lacp: agg1, up: true, members: 2 }`, `{ …, port: p1, mux: waiting }`. */
import { toSeconds } from "../../src/core/time.ts";
import type { Claim, Expectable, NodeConfig, Problem } from "../../src/node/protocol.ts";
import { expectFields, expectSubject } from "./config.ts";
import { bundlesOf } from "./invariants.ts";
import { type BundleRow, type LacpTable, lacpTable, type PortRow } from "./view.ts";

const OF_PORT = ["receive", "mux", "port-reason"] as const;

function check(claim: Claim, nodes: readonly NodeConfig[]): readonly Problem[] {
  const candidates = nodes.filter(({ node }) => claim.node === undefined || claim.node === node);
  if (candidates.length === 0) return [];
  const bundles = candidates.flatMap(bundlesOf);
  const meant = bundles.filter(({ name }) => claim.subject === undefined || claim.subject === name);
  if (meant.length === 0) {
    const known = bundles.map(({ name }) => name).join(", ");
    const message = `found ${String(claim.subject)}, allowed: a bundle (${known === "" ? "there is none" : known})`;
    return [{ path: ["lacp"], message }];
  }
  const { port } = claim.fields;
  const members = meant.flatMap((bundle) => bundle.members.map((member) => member.port));
  if (port === undefined || members.includes(port as string)) return [];
  return [{ path: ["port"], message: `found ${String(port)}, allowed: a member (${members.join(", ")})` }];
}

function judge(view: unknown, claim: Claim): { readonly ok: boolean; readonly detail: string } {
  const table = view as LacpTable;
  const mine = (row: { readonly node: string; readonly bundle: string }) =>
    row.node === claim.node && (claim.subject === undefined || row.bundle === claim.subject);
  for (const row of [...table.bundles.values()].filter(mine)) {
    if (!bundleAgrees(row, claim)) return { ok: false, detail: showBundle(row) };
  }
  const bundles = [...table.bundles.values()].filter(mine);
  if (bundles.length === 0 && asksBundle(claim) && !isFirst(claim)) {
    return { ok: false, detail: "it has never been up" };
  }
  const ports = [...table.ports.values()].filter(mine).filter(({ port }) => (claim.fields["port"] ?? port) === port);
  const asked = OF_PORT.some((field) => claim.fields[field] !== undefined);
  if (asked && ports.length === 0) return { ok: false, detail: "its ports have said nothing yet" };
  const wrong = asked ? ports.find((row) => !portAgrees(row, claim)) : undefined;
  if (wrong !== undefined) return { ok: false, detail: showPort(wrong) };
  const [bundle] = bundles;
  return { ok: true, detail: bundle === undefined ? "it has never been up" : showBundle(bundle) };
}

function asksBundle({ fields }: Claim): boolean {
  return fields["up"] !== undefined || fields["members"] !== undefined || fields["reason"] !== undefined;
}

/** Whether the claim is what a bundle is before it says anything: down, without members. */
function isFirst({ fields }: Claim): boolean {
  return (fields["up"] ?? false) === false && (fields["members"] ?? 0) === 0 && fields["reason"] === undefined;
}

function bundleAgrees(row: BundleRow, { fields }: Claim): boolean {
  return (
    (fields["up"] === undefined || fields["up"] === row.up) &&
    (fields["members"] === undefined || fields["members"] === row.members) &&
    (fields["reason"] === undefined || fields["reason"] === row.reason)
  );
}

function portAgrees(row: PortRow, { fields }: Claim): boolean {
  return (
    (fields["receive"] === undefined || fields["receive"] === row.receive) &&
    (fields["mux"] === undefined || fields["mux"] === row.mux) &&
    (fields["port-reason"] === undefined || fields["port-reason"] === row.reason)
  );
}

function showBundle({ up, members, reason, since }: BundleRow): string {
  const at = toSeconds(since).toFixed(6);
  return `it is ${up ? "up" : "down"} with ${members} links since ${at} s (${reason})`;
}

function showPort({ port, receive, mux, reason, since }: PortRow): string {
  return `${port} is ${receive} and ${mux} since ${toSeconds(since).toFixed(6)} s (${reason})`;
}

export const expect: Expectable = {
  subject: expectSubject,
  fields: expectFields,
  check,
  view: lacpTable as Expectable["view"],
  judge,
};
