/**
 * Stations: each peer tells the other what it has heard, and both tables are equal. An entry is gone when both have aged it.
 * Of two words about one station the one with the higher sequence is right; of equal ones the primary's.
 */
import type { Mac } from "../../src/core/addr.ts";
import { type Instant, sec } from "../../src/core/time.ts";
import type { MacEvent } from "../bridge/events.ts";
import type { MacItem } from "../iccp/events.ts";
import { type MacRecord, type MlagState, say } from "./state.ts";

/** Entries that the pair shares; more stay with the switch that heard them. */
export const MAX_MACS = 262_144;
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

function stamp(state: MlagState): number {
  state.sequence = (state.sequence + 1) >>> 0;
  return state.sequence;
}

/** What the bridge of this node has heard, or not heard for the ageing time. */
export function heardHere(state: MlagState, event: MacEvent, now: Instant): void {
  const { vlan, mac, port, origin } = event;
  if (origin !== "local") return;
  const key = keyOf(vlan, mac);
  const known = state.macs.get(key);
  if (event.type === "mac.aged" || port === state.config.peerLink) {
    if (known?.local === true && !known.permanent) forget(state, key, known);
    return;
  }
  const id = idOf(state, port);
  if (event.type === "mac.moved" && known !== undefined) noteMove(state, known, now);
  note(state, { vlan, mac, id, permanent: false }, known);
}

/** An address of this switch itself: an interface of the VLAN. */
export function ownAddress(state: MlagState, vlan: number, mac: Mac, present: boolean): void {
  const key = keyOf(vlan, mac);
  const known = state.macs.get(key);
  if (present) {
    if (known?.permanent !== true || !known.local) note(state, { vlan, mac, id: 0, permanent: true }, known);
  } else if (known?.local === true) forget(state, key, known);
}

function note(
  state: MlagState,
  { vlan, mac, id, permanent }: Pick<MacRecord, "vlan" | "mac" | "id" | "permanent">,
  known: MacRecord | undefined,
): void {
  if (known === undefined && state.macs.size >= MAX_MACS) return;
  // Behind another port than before, what the peer has is out of date: it hears so by this word.
  const peer = known?.peer === true && known.id === id && id !== 0;
  const record = { vlan, mac, id, local: true, peer, permanent, sequence: stamp(state), moves: known?.moves ?? [] };
  state.macs.set(keyOf(vlan, mac), record);
  tell(state, record);
}

function forget(state: MlagState, key: string, record: MacRecord): void {
  record.local = false;
  record.sequence = stamp(state);
  tell(state, record);
  if (!record.peer) state.macs.delete(key);
}

function noteMove(state: MlagState, record: MacRecord, now: Instant): void {
  record.moves = [...record.moves.filter((at) => now - at < FLAP_TIME), now];
  if (record.moves.length !== FLAP_MOVES) return;
  const detail = `${record.mac} in VLAN ${record.vlan} has moved ${FLAP_MOVES} times in 10 s`;
  say(state, { type: "mlag.alarm", alarm: "mac-flap", active: true, detail }, now);
}

function itemOf({ vlan, mac, id, sequence, local, permanent }: MacRecord): MacItem {
  return { vlan, mac, id, sequence, present: local, permanent };
}

function tell(state: MlagState, record: MacRecord): void {
  if (!state.session) return;
  const last = state.tells.at(-1);
  // What one input has led to goes in one list.
  if (last?.kind === "macs")
    state.tells[state.tells.length - 1] = { kind: "macs", entries: [...last.entries, itemOf(record)] };
  else state.tells.push({ kind: "macs", entries: [itemOf(record)] });
}

/** All that this switch has heard, for a peer that has just come. */
export function tellAll(state: MlagState): void {
  const entries = [...state.macs.values()].filter(({ local }) => local).map(itemOf);
  const sync = state.epoch;
  state.tells.push({ kind: "syncBegin", sync });
  if (entries.length > 0) state.tells.push({ kind: "macs", entries });
  state.tells.push({ kind: "syncEnd", sync, macs: entries.length, arps: 0, nds: 0 });
}

/** What the peer has heard. */
export function heardThere(state: MlagState, entries: readonly MacItem[], now: Instant): void {
  for (const item of entries) {
    if (newer(item.sequence, state.sequence)) state.sequence = item.sequence;
    if (item.present) placed(state, item, now);
    else withdrawn(state, item);
  }
}

/** Sequence numbers of 32 bits, compared as RFC 1982 does. */
function newer(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

function placed(state: MlagState, item: MacItem, now: Instant): void {
  const { vlan, mac, id, sequence } = item;
  const key = keyOf(vlan, mac);
  const known = state.macs.get(key);
  const port = portOf(state, id);
  const same = known !== undefined && known.id === id && id !== 0 && port !== state.config.peerLink;
  if (known?.local === true && !same) {
    const theirs = known.sequence === sequence ? state.role === "secondary" : newer(sequence, known.sequence);
    if (!theirs || known.permanent) return;
    noteMove(state, known, now);
  }
  if (known === undefined && state.macs.size >= MAX_MACS) return;
  const latest = known === undefined || newer(sequence, known.sequence) ? sequence : known.sequence;
  state.macs.set(key, {
    vlan,
    mac,
    id,
    local: same && known.local,
    peer: true,
    permanent: false,
    sequence: latest,
    moves: known?.moves ?? [],
  });
  state.says.push({ type: "mlag.mac", vlan, mac, port, present: true });
}

function withdrawn(state: MlagState, { vlan, mac, sequence }: MacItem): void {
  const key = keyOf(vlan, mac);
  const known = state.macs.get(key);
  if (known === undefined || !known.peer) return;
  // An older word than that which placed it: it was on its way while the station came back.
  if (!known.local && newer(known.sequence, sequence)) return;
  known.peer = false;
  if (!known.local) state.macs.delete(key);
  state.says.push({ type: "mlag.mac", vlan, mac, port: portOf(state, known.id), present: false });
}

/** The peer is gone: the bridge takes over what only the peer had, and says so station by station. */
export function adopt(state: MlagState): void {
  for (const [key, record] of state.macs) {
    record.peer = false;
    if (!record.local) state.macs.delete(key);
  }
  state.says.push({ type: "mlag.adopt" });
}
