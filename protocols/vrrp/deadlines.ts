/**
 * The earliest deadline of many routers: a binary heap in which each router has one place for good.
 * A deadline that moves later leaves the place where it is (the early wake-up finds nothing due and mends it), so
 * that an advert, which moves a backup's deadline, costs nothing here.
 */
import { type Instant, NEVER } from "../../src/core/time.ts";

export interface Waiting {
  /** When it wants to be looked at; NEVER for not at all. */
  due: Instant;
  /** The time by which it is sorted: never later than `due`. */
  queued: Instant;
  /** Its place in the heap. */
  place: number;
}

export function earliestOf(heap: readonly Waiting[]): Instant {
  return heap[0]?.queued ?? NEVER;
}

export function enter<T extends Waiting>(heap: T[], item: T): void {
  item.place = heap.length;
  item.queued = item.due;
  heap.push(item);
  rise(heap, item);
}

/** To be called whenever `due` may have moved earlier. */
export function hurry<T extends Waiting>(heap: T[], item: T): void {
  if (item.due >= item.queued) return;
  item.queued = item.due;
  rise(heap, item);
}

/** The next item that is due, its place mended; undefined when nothing is due yet. Its `due` must move on. */
export function nextDue<T extends Waiting>(heap: T[], now: Instant): T | undefined {
  for (;;) {
    const top = heap[0];
    if (top === undefined || top.queued > now) return undefined;
    if (top.due <= now) return top;
    top.queued = top.due;
    sink(heap, top);
  }
}

function rise<T extends Waiting>(heap: T[], item: T): void {
  let at = item.place;
  while (at > 0) {
    const up = (at - 1) >>> 1;
    const parent = heap[up] as T;
    if (parent.queued <= item.queued) break;
    heap[at] = parent;
    parent.place = at;
    at = up;
  }
  heap[at] = item;
  item.place = at;
}

function sink<T extends Waiting>(heap: T[], item: T): void {
  let at = item.place;
  for (;;) {
    let down = 2 * at + 1;
    if (down >= heap.length) break;
    if (down + 1 < heap.length && (heap[down + 1] as T).queued < (heap[down] as T).queued) down++;
    const child = heap[down] as T;
    if (child.queued >= item.queued) break;
    heap[at] = child;
    child.place = at;
    at = down;
  }
  heap[at] = item;
  item.place = at;
}
