/** Consistency between running peers: each tells its items, both compare them, and both come to the same result. */
import type { Instant } from "../../src/core/time.ts";
import type { ConsistencyItem } from "../iccp/events.ts";
import { describeMismatch, type Mismatch, mismatches, subjectOf } from "./consistency.ts";
import type { AgreementAlarm } from "./events.ts";
import { type Half, type MlagState, say } from "./state.ts";

/** Entries of a peer's list; of a longer one the rest is not looked at. */
const MAX_ITEMS = 65_536;
/** The first entry of a list: how many follow. Lists are cut into messages on their way. */
const COUNT = "items";

const ALARMS: Readonly<Record<Mismatch["type"], AgreementAlarm>> = {
  1: "type-1-mismatch",
  vlan: "vlan-mismatch",
  2: "type-2-mismatch",
};

/** For a peer that has just come, and when the file has changed. */
export function tellItems({ session, agreement, tells }: MlagState): void {
  const { items } = agreement;
  if (!session || items.length === 0) return;
  const count: ConsistencyItem = { id: 0, vlan: 0, type: 2, name: COUNT, value: String(items.length) };
  tells.push({ kind: "consistency", entries: [count, ...items] });
}

/** The file of this node has changed. */
export function changeItems(state: MlagState, items: readonly ConsistencyItem[]): void {
  state.agreement.items = items;
  state.agreement.compared = false;
  tellItems(state);
}

/** A new session: what the last one said holds until the peer has said all of it anew. */
export function beginAgreement({ agreement }: MlagState): void {
  agreement.fresh = false;
  agreement.coming = [];
  agreement.awaited = 0;
}

export function heardItemsOf({ agreement }: MlagState, entries: readonly ConsistencyItem[]): void {
  for (const entry of entries) {
    if (entry.name === COUNT) {
      agreement.coming = [];
      agreement.awaited = Math.min(Number(entry.value) || 0, MAX_ITEMS);
    } else if (agreement.coming.length < agreement.awaited) {
      agreement.coming.push(entry);
      if (agreement.coming.length < agreement.awaited) continue;
      agreement.theirs = agreement.coming;
      agreement.coming = [];
      agreement.awaited = 0;
      agreement.fresh = true;
      agreement.compared = false;
    }
  }
}

/** Whether there is a peer, as far as is known, that acts on the same differences. */
function inForce({ situation }: MlagState): boolean {
  return situation !== "departed" && situation !== "silent" && situation !== "alone";
}

/** Brings alarms and VLANs of the members in line with both lists. */
export function settleAgreement(state: MlagState, now: Instant): void {
  const { agreement } = state;
  // All tables have come, and no list: this peer does not say any.
  if (state.session && state.synced && !agreement.fresh && agreement.theirs !== undefined) {
    agreement.theirs = undefined;
    agreement.compared = false;
  }
  const stands = inForce(state);
  if (agreement.compared && agreement.stands === stands) return;
  agreement.stands = stands;
  if (!agreement.compared) {
    agreement.compared = true;
    const { items, theirs } = agreement;
    agreement.mismatches = theirs === undefined || items.length === 0 ? [] : mismatches(items, theirs);
    raise(state, now);
  }
  for (const half of state.halves) exclude(state, half, stands);
}

/** One alarm for each difference; it is over when the difference is, or is another. */
function raise(state: MlagState, now: Instant): void {
  const { raised, mismatches: found } = state.agreement;
  const current = new Map(
    found.map((one) => [`${one.type} ${subjectOf(one)}`, { alarm: ALARMS[one.type], detail: describeMismatch(one) }]),
  );
  for (const [key, { alarm, detail }] of raised) {
    if (current.get(key)?.detail === detail) continue;
    raised.delete(key);
    say(state, { type: "mlag.alarm", alarm, active: false, detail }, now);
  }
  for (const [key, { alarm, detail }] of current) {
    if (raised.has(key)) continue;
    raised.set(key, { alarm, detail });
    say(state, { type: "mlag.alarm", alarm, active: true, detail }, now);
  }
}

/** A VLAN that the two halves do not carry in the same way, neither carries: one of them would lose half of its frames. */
function exclude(state: MlagState, half: Half, stands: boolean): void {
  const different = state.agreement.mismatches.filter(({ id, type }) => id === half.id && type === "vlan");
  const excluded = stands ? different.flatMap(({ vlans }) => vlans) : [];
  if (excluded.length === half.excluded.length && excluded.every((vid, i) => vid === half.excluded[i])) return;
  half.excluded = excluded;
  state.says.push({ type: "mlag.vlans", port: half.port, excluded });
}

/** What must be the same for this half, and is not. */
export function disagreement({ agreement }: MlagState, half: Half): Mismatch | undefined {
  return agreement.mismatches.find(({ id, type }) => type === 1 && (id === 0 || id === half.id));
}
