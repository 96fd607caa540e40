/**
 * ARP and ND: each peer tells the other whom its IP stack has heard from, and offers its own stack what the other has told.
 * The stack itself prefers what it has heard. What it takes from the peer it never says back: there is no echo.
 */
import { familyOf, type Ip } from "../../src/core/addr.ts";
import type { NeighbourItem } from "../iccp/events.ts";
import type { IpNeighbour } from "../ip/events.ts";
import type { MlagState } from "./state.ts";
import {
  hashOf,
  MAX_NEIGHBOURS,
  type NeighbourClaim,
  type NeighbourRecord,
  stamp,
  type Table,
  witness,
} from "./tables.ts";

type Name = "arp" | "nd";

function nameOf(address: Ip): Name {
  return familyOf(address) === "ipv4" ? "arp" : "nd";
}

function keyOf(vlan: number, address: Ip): string {
  return `${vlan} ${address}`;
}

/** The routed port of a VLAN. */
function portOf(vlan: number): string {
  return `vlan${vlan}`;
}

/** The VLAN of a routed port; undefined for an interface that the peer has nothing to do with. */
export function vlanOf(port: string): number | undefined {
  const digits = /^vlan(\d{1,4})$/.exec(port)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function entryFor(table: Table<NeighbourRecord>, vlan: number, address: Ip): NeighbourRecord {
  const key = keyOf(vlan, address);
  const known = table.entries.get(key);
  if (known !== undefined) return known;
  const none = { mine: undefined, theirs: undefined, offered: undefined };
  const entry: NeighbourRecord = { vlan, address, hash: hashOf(key), ...none, round: 0 };
  table.entries.set(key, entry);
  return entry;
}

/** What the IP stack of this node has heard, or given up. */
export function heardNeighbour(state: MlagState, { port, address, mac, present }: IpNeighbour): void {
  const vlan = vlanOf(port);
  if (vlan === undefined) return;
  const table = state.tables[nameOf(address)];
  const known = table.entries.get(keyOf(vlan, address));
  if (!present) {
    if (known?.mine !== undefined) revise(state, known, undefined, known.theirs);
    return;
  }
  if (known?.mine?.mac === mac) return;
  if (known?.mine === undefined && table.mine >= MAX_NEIGHBOURS) return;
  // Its own entry stands where the peer's was.
  const entry = known ?? entryFor(table, vlan, address);
  entry.offered = undefined;
  revise(state, entry, { mac, sequence: stamp(state.tables) }, entry.theirs);
}

/** What the peer has heard. */
export function neighboursThere(state: MlagState, entries: readonly NeighbourItem[]): void {
  const { tables } = state;
  for (const { vlan, address, mac, sequence, present } of entries) {
    witness(tables, sequence);
    const name = nameOf(address);
    const table = tables[name];
    const known = table.entries.get(keyOf(vlan, address));
    const { sync } = tables;
    if (sync !== undefined) {
      sync.heard[name]++;
      if (known?.theirs?.mac !== mac || known.theirs.sequence !== sequence) sync.changed++;
    }
    if (!present) {
      if (known !== undefined) revise(state, known, known.mine, undefined);
      continue;
    }
    if (known?.theirs === undefined && table.theirs >= MAX_NEIGHBOURS) continue;
    const entry = known ?? entryFor(table, vlan, address);
    entry.round = tables.round;
    revise(state, entry, entry.mine, { mac, sequence });
  }
}

/** Takes both claims in, tells the peer and the IP stack what is new, and forgets an entry that nobody has. */
function revise(
  state: MlagState,
  entry: NeighbourRecord,
  mine: NeighbourClaim | undefined,
  theirs: NeighbourClaim | undefined,
): void {
  const table = state.tables[nameOf(entry.address)];
  const told = entry.mine;
  table.theirs += Number(theirs !== undefined) - Number(entry.theirs !== undefined);
  table.mine += Number(mine !== undefined) - Number(told !== undefined);
  entry.mine = mine;
  entry.theirs = theirs;
  if (mine !== told) tell(state, entry, told);
  const offer = mine === undefined ? theirs?.mac : undefined;
  if (mine === undefined && offer !== entry.offered) {
    const mac = offer ?? entry.offered;
    entry.offered = offer;
    if (mac !== undefined) say(state, entry, mac, offer !== undefined);
  }
  if (mine === undefined && theirs === undefined) table.entries.delete(keyOf(entry.vlan, entry.address));
}

function say(state: MlagState, { vlan, address }: NeighbourRecord, mac: NeighbourClaim["mac"], present: boolean): void {
  state.says.push({ type: "mlag.neighbour", port: portOf(vlan), address, mac, present });
}

/** An interface is up again: its cache was emptied when it went down. */
export function offerAgain(state: MlagState, vlan: number): void {
  for (const table of [state.tables.arp, state.tables.nd]) {
    for (const entry of table.entries.values()) {
      if (entry.vlan === vlan && entry.offered !== undefined) say(state, entry, entry.offered, true);
    }
  }
}

function tell(state: MlagState, entry: NeighbourRecord, told: NeighbourClaim | undefined): void {
  const mac = entry.mine?.mac ?? told?.mac;
  if (!state.session || mac === undefined) return;
  const { tables, tells } = state;
  const kind = nameOf(entry.address) === "arp" ? "arps" : "nds";
  const { vlan, address, mine } = entry;
  const item = { vlan, address, mac, sequence: mine?.sequence ?? stamp(tables), present: mine !== undefined };
  const { list } = tables;
  if (list?.item.kind === kind && tells.at(-1) === list.item) {
    list.entries.push(item);
    return;
  }
  const entries = [item];
  tables.list = { item: { kind, entries }, entries };
  tells.push(tables.list.item);
}

/** The peer does not have the neighbour, whatever it has said before. */
export function sweepNeighbour(state: MlagState, entry: NeighbourRecord): void {
  revise(state, entry, entry.mine, undefined);
}
