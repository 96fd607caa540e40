/**
 * The Frame Distributor: IEEE 802.1AX §6.2.4. Flows fall into 256 buckets (hash.ts), and each bucket has a link.
 *
 * When links come or go, buckets move. A bucket that leaves a link with carrier waits until the response to a marker
 * has come back on it (§6.5), at most for `flush`: until then its frames queue here, so that none overtakes
 * an earlier one. A link without carrier has nothing under way, and its buckets move at once. A partner that does not
 * answer markers (Open vSwitch) costs the full `flush`.
 *
 * `resilient`: a bucket moves only when its link is gone or when another link has too few; else bucket b goes to link
 * b mod n, as it does from the start.
 */
import type { Frame } from "../../src/core/frame.ts";
import { NEVER } from "../../src/core/time.ts";
import { BUCKETS } from "./hash.ts";
import { mark } from "./marker.ts";
import { type Bundle, distributes, FLUSH_FRAMES, type LacpPort, put, type Turn } from "./state.ts";

/** Deals the buckets to the links that distribute now; false when they are the same as before. */
export function redistribute(turn: Turn, bundle: Bundle): boolean {
  const { distribution } = bundle;
  const links = bundle.members.filter(distributes);
  const before = distribution.links;
  if (links.length === before.length && links.every((link, i) => link === before[i])) return false;
  distribution.links = links;
  // Without links the last table stays: what it says may still be under way.
  if (links.length === 0) return true;
  const old = distribution.table;
  distribution.table = bundle.config.resilient && old.length > 0 ? dealFew(old, links) : dealAll(links);
  const left = new Set<LacpPort>();
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const from = old[bucket];
    // One that waits already has sent nothing since: its first link is still the one to wait for.
    if (from === undefined || from === distribution.table[bucket] || distribution.waits[bucket] !== undefined) continue;
    if (!from.up || bundle.config.flush === 0) continue;
    distribution.waits[bucket] = from;
    distribution.waiting++;
    left.add(from);
  }
  // What was sent since an earlier marker is not behind that: a new one for each change.
  for (const from of left) mark(turn, from);
  return true;
}

function dealAll(links: readonly LacpPort[]): LacpPort[] {
  return Array.from({ length: BUCKETS }, (_, bucket) => links[bucket % links.length] as LacpPort);
}

/** As few buckets as possible change their link, and no link has two more than another. */
function dealFew(old: readonly LacpPort[], links: readonly LacpPort[]): LacpPort[] {
  const share = Math.floor(BUCKETS / links.length);
  let extra = BUCKETS % links.length;
  const room = new Map<LacpPort, number>();
  const had = (link: LacpPort) => old.reduce((count, one) => count + (one === link ? 1 : 0), 0);
  // The odd buckets stay with those that have them.
  for (const link of [...links].sort((a, b) => had(b) - had(a) || a.number - b.number)) {
    room.set(link, share + (extra-- > 0 ? 1 : 0));
  }
  const table: (LacpPort | undefined)[] = old.map((link) => {
    const left = room.get(link) ?? 0;
    if (left === 0) return undefined;
    room.set(link, left - 1);
    return link;
  });
  let at = 0;
  return table.map((link) => {
    if (link !== undefined) return link;
    while (room.get(links[at % links.length] as LacpPort) === 0) at++;
    const chosen = links[at++ % links.length] as LacpPort;
    room.set(chosen, (room.get(chosen) ?? 0) - 1);
    return chosen;
  });
}

/** Keeps a frame of a waiting bucket; false when there is no room for it. */
export function enqueue(bundle: Bundle, bucket: number, frame: Frame): boolean {
  const { queue } = bundle.distribution;
  if (queue.length >= FLUSH_FRAMES) return false;
  queue.push({ bucket, frame });
  return true;
}

/** Lets go what waits for this link: its marker came back, its time is over, or it has lost carrier. */
export function release(turn: Turn, link: LacpPort): void {
  link.flushUntil = NEVER;
  const { distribution } = link.bundle;
  if (distribution.waiting === 0) return;
  const { waits, queue, table } = distribution;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    if (waits[bucket] !== link) continue;
    waits[bucket] = undefined;
    distribution.waiting--;
  }
  const still: typeof queue = [];
  for (const one of queue) {
    const to = table[one.bucket];
    if (waits[one.bucket] !== undefined) still.push(one);
    else if (to === undefined || distribution.links.length === 0) distribution.lost++;
    else put(turn, { kind: "send", port: to.port, frame: one.frame });
  }
  queue.length = 0;
  queue.push(...still);
}

/** Sees to markers whose time is over. */
export function runFlush(turn: Turn, port: LacpPort): void {
  if (port.flushUntil !== NEVER && (port.flushUntil <= turn.now || !port.up)) release(turn, port);
}
