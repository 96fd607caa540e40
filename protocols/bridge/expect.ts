/** How a lab says where a station is: `{ at: 9s, node: sw1, bridge: 10, mac: 02:00:00:03:00:00, port: agg1 }`. */

import { didYouMean } from "../../src/node/nearest.ts";
import type { Claim, Expectable, NodeConfig, Problem } from "../../src/node/protocol.ts";
import { type BridgeConfig, expectFields, expectSubject } from "./config.ts";
import type { StationRow } from "./events.ts";
import { type StationTable, stationTable } from "./view.ts";

function check(claim: Claim, nodes: readonly NodeConfig[]): readonly Problem[] {
  const node = nodes.find((one) => one.node === claim.node);
  if (node === undefined) return [];
  const bridge = node["bridge"] as BridgeConfig | undefined;
  if (bridge === undefined) return [{ path: ["node"], message: `found ${node.node}, allowed: a node with a bridge` }];
  const { mac, port } = claim.fields;
  const problems: Problem[] = [];
  const vlan = bridge.vlans.get(claim.subject as number);
  if (vlan === undefined) {
    const known = [...bridge.vlans.keys()].join(", ");
    const message = `found ${String(claim.subject)}, allowed: a VLAN of ${node.node} (${known === "" ? "none" : known})`;
    problems.push({ path: ["bridge"], message });
  }
  if (mac === undefined) problems.push({ path: [], message: "found no station, allowed: `mac` with its address" });
  if (port === undefined || vlan === undefined) return problems;
  const ports = [...vlan.tagged, ...vlan.untagged, `vlan${String(claim.subject)}`];
  if (!ports.includes(port as string)) {
    const allowed = `a port of VLAN ${String(claim.subject)} (${ports.join(", ")})`;
    const hint = didYouMean(port as string, ports);
    problems.push({ path: ["port"], message: `found ${String(port)}, allowed: ${allowed}${hint}` });
  }
  return problems;
}

function judge(
  view: unknown,
  { node = "", subject, fields }: Claim,
): { readonly ok: boolean; readonly detail: string } {
  const row = (view as StationTable).get(node)?.get(`${String(subject)} ${String(fields["mac"])}`);
  const known = fields["known"] ?? true;
  if (row === undefined) return { ok: known === false && silent(fields), detail: "it is not in the table" };
  return { ok: known === true && agrees(row, fields), detail: `it is behind ${row.port}, ${whose(row)}` };
}

/** Whether nothing is said that only a known station has. */
function silent(fields: Claim["fields"]): boolean {
  return fields["port"] === undefined && fields["origin"] === undefined;
}

function agrees(row: StationRow, fields: Claim["fields"]): boolean {
  const { port, origin } = fields;
  if (port !== undefined && port !== row.port) return false;
  return origin === undefined || origin === originOf(row);
}

function originOf({ local, peer }: StationRow): "local" | "peer" | "both" {
  if (local && peer) return "both";
  return local ? "local" : "peer";
}

function whose(row: StationRow): string {
  switch (originOf(row)) {
    case "local":
      return "heard here";
    case "peer":
      return "told by the M-LAG peer";
    case "both":
      return "heard here and told by the M-LAG peer";
  }
}

export const expect: Expectable = {
  subject: expectSubject,
  fields: expectFields,
  check,
  view: stationTable as Expectable["view"],
  judge,
};
