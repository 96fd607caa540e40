/**
 * Stations: each peer tells the other what it has heard, and holds what the other has told. From the two claims on a station
 * both conclude the same: claims on one M-LAG stand together, and the entry is gone when both have aged it; else the
 * switch's own address is right against what was heard, the newer word against the older, and of equal ones the primary's.
 * Whoever is wrong takes his word back and places the station where the other has it.
 */
import type { Mac } from "../../src/core/addr.ts";
import { type Instant, sec } from "../../src/core/time.ts";
import type { MacEvent } from "../bridge/events.ts";
import type { MacItem } from "../iccp/events.ts";
import { type MlagState, say } from "./state.ts";
import { hashOf, MAX_MACS, type MacClaim, type MacRecord, newer, stamp, witness } from "./tables.ts";

/** So many moves of one station in FLAP_TIME are an alarm: there is a loop, or an address twice. */
const FLAP_MOVES = 5;
const FLAP_TIME = sec(10);

function keyOf(vlan: number, mac: Mac): string {
  return `${vlan} ${mac}`;
}

/** The M-LAG id of a port of this node; 0 for an orphan. */
function idOf(state: MlagState, port: string): number {
  return state.halves.find((half) => half.port === port)?.id ?? 0;
}

/** Where the peer's word places a station here. */
function portOf(state: MlagState, id: number): string {
  return (id === 0 ? undefined : state.halves.find((half) => half.id === id)?.port) ?? state.config.peerLink;
}

function entryFor({ tables: { mac: table } }: MlagState, vlan: number, mac: Mac): MacRecord {
  const key = keyOf(vlan, mac);
  const known = table.entries.get(key);
  if (known !== undefined) return known;
  const none = { mine: undefined, theirs: undefined, placed: undefined, lent: undefined };
  const entry: MacRecord = { vlan, mac, hash: hashOf(key), ...none, round: 0, moves: [] };
  table.entries.set(key, entry);
  return entry;
}

/** What the bridge of this node has heard, or not heard for the ageing time. */
export function heardHere(state: MlagState, event: MacEvent, now: Instant): void {
  const { vlan, mac, port, origin, type } = event;
  const known = state.tables.mac.entries.get(keyOf(vlan, mac));
  if (type === "mac.aged" || (origin === "local" && port === state.config.peerLink)) {
    // What the peer took back was not this node's word.
    if (event.reason === "peer-aged" || known === undefined) return;
    known.lent = undefined;
    if (known.mine?.permanent !== true) revise(state, known, undefined, known.theirs);
    return;
  }
  if (origin !== "local") return;
  const id = idOf(state, port);
  const moved = type === "mac.moved";
  if (known !== undefined && moved) noteMove(state, known, now);
  if (known?.mine !== undefined && known.mine.id === id && !moved) return;
  if (known?.mine === undefined && state.tables.mac.mine >= MAX_MACS) return;
  const entry = known ?? entryFor(state, vlan, mac);
  // The bridge takes over what the peer had in the instant of the loss: nobody has heard the station since.
  const lent = now === state.lostAt ? entry.lent : undefined;
  entry.lent = undefined;
  // Behind another port than the peer said, the bridge has dropped what the peer said.
  if (id === 0 || entry.theirs?.id !== id) entry.placed = undefined;
  revise(state, entry, { id, permanent: false, sequence: lent ?? stamp(state.tables) }, entry.theirs);
}

/** An address of this switch itself: an interface of the VLAN. */
export function ownAddress(state: MlagState, vlan: number, mac: Mac, present: boolean): void {
  const known = state.tables.mac.entries.get(keyOf(vlan, mac));
  if (present && known?.mine?.permanent !== true) {
    const entry = known ?? entryFor(state, vlan, mac);
    revise(state, entry, { id: 0, permanent: true, sequence: stamp(state.tables) }, entry.theirs);
  } else if (!present && known !== undefined) {
    revise(state, known, undefined, known.theirs);
  }
}

/** What the peer has heard. */
export function heardThere(state: MlagState, entries: readonly MacItem[], now: Instant): void {
  const { tables } = state;
  for (const { vlan, mac, id, sequence, present, permanent } of entries) {
    witness(tables, sequence);
    const known = tables.mac.entries.get(keyOf(vlan, mac));
    if (tables.sync !== undefined) noteSync(state, known?.theirs, { id, permanent, sequence });
    if (!present) {
      if (known !== undefined) revise(state, known, known.mine, undefined);
      continue;
    }
    if (known?.theirs === undefined && tables.mac.theirs >= MAX_MACS) continue;
    const entry = known ?? entryFor(state, vlan, mac);
    const before = entry.mine;
    entry.round = tables.round;
    revise(state, entry, before, { id, permanent, sequence });
    if (before !== undefined && entry.mine === undefined) noteMove(state, entry, now);
  }
}

function noteSync({ tables: { sync } }: MlagState, known: MacClaim | undefined, said: MacClaim): void {
  if (sync === undefined) return;
  sync.heard.mac++;
  const same = known?.id === said.id && known.permanent === said.permanent && known.sequence === said.sequence;
  if (!same) sync.changed++;
}

/** Takes both claims in, judges between them, tells the bridge and the peer, and forgets an entry that nobody has. */
function revise(state: MlagState, entry: MacRecord, mine: MacClaim | undefined, theirs: MacClaim | undefined): void {
  const { mac: table } = state.tables;
  const told = entry.mine;
  table.theirs += Number(theirs !== undefined) - Number(entry.theirs !== undefined);
  entry.theirs = theirs;
  entry.mine = mine;
  let port: string | undefined;
  if (theirs !== undefined) {
    const together = mine !== undefined && mine.id === theirs.id && mine.id !== 0 && !mine.permanent;
    const right = mine === undefined || together || theirsIsRight(state, mine, theirs);
    if (right) port = portOf(state, theirs.id);
    if (right && !together) entry.mine = undefined;
  }
  table.mine += Number(entry.mine !== undefined) - Number(told !== undefined);
  if (port !== entry.placed || (mine !== undefined && entry.mine === undefined)) place(state, entry, port);
  if (entry.mine !== told) tell(state, entry, told);
  if (entry.mine === undefined && theirs === undefined && entry.lent === undefined) {
    table.entries.delete(keyOf(entry.vlan, entry.mac));
  }
}

function theirsIsRight({ role }: MlagState, mine: MacClaim, theirs: MacClaim): boolean {
  if (mine.permanent || theirs.permanent) return !mine.permanent;
  return mine.sequence === theirs.sequence ? role === "secondary" : newer(theirs.sequence, mine.sequence);
}

function place(state: MlagState, entry: MacRecord, port: string | undefined): void {
  const { vlan, mac, placed } = entry;
  entry.placed = port;
  const where = port ?? placed;
  if (where !== undefined) state.says.push({ type: "mlag.mac", vlan, mac, port: where, present: port !== undefined });
}

/** Roles decide between words of equal sequence: what was undecided, or decided by another role, is judged anew. */
export function judgeAgain(state: MlagState): void {
  const { tables, role } = state;
  if (tables.judgedAs === role) return;
  tables.judgedAs = role;
  for (const entry of [...tables.mac.entries.values()]) {
    const { mine, theirs } = entry;
    if (mine !== undefined && theirs !== undefined && mine.sequence === theirs.sequence) {
      revise(state, entry, mine, theirs);
    }
  }
}

function noteMove(state: MlagState, entry: MacRecord, now: Instant): void {
  entry.moves = [...entry.moves.filter((at) => now - at < FLAP_TIME), now];
  if (entry.moves.length !== FLAP_MOVES) return;
  const detail = `${entry.mac} in VLAN ${entry.vlan} has moved ${FLAP_MOVES} times in 10 s`;
  say(state, { type: "mlag.alarm", alarm: "mac-flap", active: true, detail }, now);
}

/** @param told what the peer was told before */
function tell(state: MlagState, entry: MacRecord, told: MacClaim | undefined): void {
  if (!state.session) return;
  const { tables, tells } = state;
  const item = itemOf(state, entry, told?.id ?? 0);
  const { list } = tables;
  // What one input has led to goes in one list.
  if (list?.item.kind === "macs" && tells.at(-1) === list.item) {
    list.entries.push(item);
    return;
  }
  const entries = [item];
  tables.list = { item: { kind: "macs", entries }, entries };
  tells.push(tables.list.item);
}

/** What this node says of a station; of one that it no longer has, where it was. */
export function itemOf(state: MlagState, { vlan, mac, mine }: MacRecord, was: number): MacItem {
  if (mine !== undefined) return { vlan, mac, ...mine, present: true };
  return { vlan, mac, id: was, permanent: false, sequence: stamp(state.tables), present: false };
}

/** The peer does not have the station, whatever it has said before. */
export function sweepMac(state: MlagState, entry: MacRecord): void {
  revise(state, entry, entry.mine, undefined);
}

/** The peer is gone: the bridge takes over what only the peer had, and says so station by station. */
export function adopt(state: MlagState): void {
  const { mac: table } = state.tables;
  for (const entry of table.entries.values()) {
    entry.lent = entry.mine === undefined ? entry.theirs?.sequence : undefined;
    entry.theirs = undefined;
    entry.placed = undefined;
  }
  table.theirs = 0;
  state.says.push({ type: "mlag.adopt" });
}

/** Before a new session: what the bridge has not taken over is nobody's. */
export function discardLent(state: MlagState): void {
  const { entries } = state.tables.mac;
  for (const [key, entry] of entries) {
    entry.lent = undefined;
    if (entry.mine === undefined && entry.theirs === undefined) entries.delete(key);
  }
}
