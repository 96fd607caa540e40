/** Which links carry, of which bundles, from what their ends say: one table for all interfaces of a capture. */
import { type Duration, type Instant, sec, since } from "../../src/core/time.ts";
import { STATE } from "./codec.ts";
import type { BundleReason, LacpEndSaid } from "./events.ts";
import type { SeenPortEvent } from "./observer-events.ts";

/** Links that are followed; what belongs to further ones is not counted. */
export const MAX_LINKS = 4096;
/** So many departures in so short a time are flapping. */
const FLAPS = 3;
const FLAP_TIME: Duration = sec(60);

const CARRYING = STATE.synchronization | STATE.collecting | STATE.distributing;
const RECEIVING = STATE.synchronization | STATE.collecting;
const DEAF = STATE.defaulted | STATE.expired;

interface Link {
  readonly id: string;
  readonly bundle: string;
  /** What its ends say, by hardware address and port: two at most, but for duplicates. */
  readonly ends: Map<string, SeenPortEvent>;
  carries: boolean;
  departures: Instant[];
}

export interface Links {
  readonly links: Map<string, Link>;
  /** The link of each end. */
  readonly places: Map<string, Link>;
  /** Ends that say this of themselves: "system port". */
  readonly identities: Map<string, Set<string>>;
  /** By end: its last word. */
  readonly words: Map<string, SeenPortEvent>;
  /** Links of a bundle that carry. */
  readonly bundles: Map<string, Set<string>>;
}

export function createLinks(): Links {
  return { links: new Map(), places: new Map(), identities: new Map(), words: new Map(), bundles: new Map() };
}

export interface BundleChange {
  readonly bundle: string;
  readonly up: boolean;
  readonly members: number;
  readonly reason: BundleReason;
  /** The link that has left is doing so for the third time in a minute. */
  readonly flaps: boolean;
}

export function endKey({ interface: where, port, actor }: SeenPortEvent): string {
  return `${where} ${port} ${actor.port}`;
}

export function identityOf({ system, port }: LacpEndSaid): string {
  return `${system} ${port}`;
}

const bits = (end: LacpEndSaid) => Number.parseInt(end.state, 16);

/** What an end says that it is in, for people: IEEE 802.1AX §6.3.6.1, without the priorities. An individual link has its own. */
export function bundleOf(actor: LacpEndSaid, partner: LacpEndSaid): string {
  const individual = (bits(actor) & bits(partner) & STATE.aggregation) === 0;
  const text = ({ system, key, port }: LacpEndSaid) => `${system}/${key}${individual ? `:${port}` : ""}`;
  return [text(actor), text(partner)].sort().join(" = ");
}

/** Takes an end's word into the table. @returns what has become of bundles */
export function hearEnd(table: Links, said: SeenPortEvent, now: Instant): BundleChange[] {
  const key = endKey(said);
  const before = table.words.get(key);
  if (before !== undefined) table.identities.get(identityOf(before.actor))?.delete(key);
  table.words.set(key, said);
  const own = identityOf(said.actor);
  const namesakes = table.identities.get(own) ?? new Set();
  table.identities.set(own, namesakes.add(key));
  const touched = new Set<Link>();
  const old = table.places.get(key);
  const link = linkOf(table, said);
  if (old !== undefined && old !== link) {
    old.ends.delete(key);
    table.places.delete(key);
    touched.add(old);
  }
  if (link !== undefined) {
    link.ends.set(key, said);
    table.places.set(key, link);
    touched.add(link);
  }
  // Who names this end without being named by it is judged anew, too.
  for (const other of table.links.values()) if (other.id.includes(own)) touched.add(other);
  return [...touched].flatMap((one) => judge(table, one, now));
}

function linkOf(table: Links, { actor, partner, bundle }: SeenPortEvent): Link | undefined {
  if (isNobody(partner) || (bits(actor) & STATE.defaulted) !== 0) return undefined;
  const id = `${[identityOf(actor), identityOf(partner)].sort().join(" = ")} in ${bundle}`;
  const known = table.links.get(id);
  if (known !== undefined || table.links.size >= MAX_LINKS) return known;
  const link: Link = { id, bundle, ends: new Map(), carries: false, departures: [] };
  table.links.set(id, link);
  return link;
}

export function isNobody({ system }: LacpEndSaid): boolean {
  return system === "00:00:00:00:00:00";
}

/** Both ends are heard and say that they send and receive; of one that is not in the capture, the other one says it. */
function carries(table: Links, { ends }: Link): boolean {
  const all = [...ends.values()];
  const heard = all.filter(({ reason }) => reason !== "not-heard");
  const [one] = heard;
  if (one === undefined || heard.some(({ actor }) => (bits(actor) & (CARRYING | DEAF)) !== CARRYING)) return false;
  const other = identityOf(one.partner);
  if (heard.some(({ actor }) => identityOf(actor) === other)) return true;
  // The named one is in the capture, and is silent, or names somebody else, or nobody.
  if ((table.identities.get(other)?.size ?? 0) > 0) return false;
  return (bits(one.partner) & RECEIVING) === RECEIVING;
}

function judge(table: Links, link: Link, now: Instant): BundleChange[] {
  const is = carries(table, link);
  const { bundle, id } = link;
  if (is === link.carries) {
    if (!is && link.ends.size === 0 && link.departures.length === 0) table.links.delete(id);
    return [];
  }
  link.carries = is;
  const carrying = table.bundles.get(bundle) ?? new Set<string>();
  table.bundles.set(bundle, carrying);
  if (is) carrying.add(id);
  else carrying.delete(id);
  const members = carrying.size;
  let flaps = false;
  if (!is) {
    link.departures = [...link.departures.filter((at) => since(at, now) <= FLAP_TIME), now];
    flaps = link.departures.length >= FLAPS;
    if (flaps) link.departures = [];
    if (members === 0) table.bundles.delete(bundle);
  }
  const reason = is ? "member-joined" : members === 0 ? "no-member" : "member-left";
  return [{ bundle, up: members > 0, members, reason, flaps }];
}
