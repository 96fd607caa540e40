/** How a lab speaks of VRRP: `{ at: 8s, node: sw1, vrrp: 10, state: master }`, `{ always: one-master, vrrp: 10 }`. */
import type { Family } from "../../src/core/addr.ts";
import type { Claim, Expectable, NodeConfig, Problem } from "../../src/node/protocol.ts";
import { expectFields, expectSubject, type RouterConfig } from "./config.ts";
import { oneMaster, routersOf } from "./invariants.ts";
import { type VrrpRow, type VrrpTable, vrrpTable } from "./view.ts";

/** Whether the claim means this router. What it says of state, priority and reason is judged, not selected by. */
function means(claim: Claim, one: { readonly vrid: number; readonly interface: string; readonly family: Family }) {
  const { subject, fields } = claim;
  return (
    (subject === undefined || subject === one.vrid) &&
    (fields["interface"] === undefined || fields["interface"] === one.interface) &&
    (fields["family"] === undefined || fields["family"] === one.family)
  );
}

const JUDGED = ["state", "priority", "reason"] as const;

function check(claim: Claim, nodes: readonly NodeConfig[]): readonly Problem[] {
  const candidates = nodes.filter(({ node }) => claim.node === undefined || claim.node === node);
  const routers: RouterConfig[] = candidates.flatMap(routersOf);
  if (candidates.length === 0 || routers.some((router) => means(claim, router))) return [];
  const known = [...new Set(routers.map(({ vrid }) => vrid))].sort((a, b) => a - b).join(", ");
  const where = claim.node === undefined ? "the nodes have" : `${claim.node} has`;
  const message = `found ${String(claim.subject)}, allowed: a VRID that ${where} (${known === "" ? "none" : known})`;
  return [{ path: ["vrrp"], message }];
}

function judge(view: unknown, claim: Claim): { readonly ok: boolean; readonly detail: string } {
  const rows = [...(view as VrrpTable).values()].filter((row) => row.node === claim.node && means(claim, row));
  // A router that has said nothing yet is where it began.
  if (rows.length === 0) {
    return { ok: claim.fields["state"] === "initialize", detail: `it is initialize: it has not started` };
  }
  const wrong = rows.find((row) => !agrees(row, claim));
  const shown = wrong ?? rows[0];
  return { ok: wrong === undefined, detail: shown === undefined ? "" : show(shown) };
}

function agrees(row: VrrpRow, claim: Claim): boolean {
  return JUDGED.every((field) => claim.fields[field] === undefined || claim.fields[field] === row[field]);
}

function show(row: VrrpRow): string {
  const since = (row.since / 1_000_000).toFixed(6);
  return `it is ${row.state} on ${row.interface} since ${since} s, priority ${row.priority} (${row.reason})`;
}

export const expect: Expectable = {
  subject: expectSubject,
  fields: expectFields,
  check,
  view: vrrpTable as Expectable["view"],
  judge,
  promises: {
    "one-master": (claim, nodes) =>
      oneMaster(nodes, {
        vrid: claim.subject as number | undefined,
        family: claim.fields["family"] as Family | undefined,
        strict: true,
      }),
  },
};
