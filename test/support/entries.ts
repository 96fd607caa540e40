/** Logs that tests make up, and what a promise says of them. */
import { type Entry, WORLD } from "../../src/core/log.ts";
import { instant } from "../../src/core/time.ts";
import type { Invariant } from "../../src/core/view.ts";
import { type Violation, Watch } from "../../src/host/sim/verdict.ts";

/** @param at seconds */
export function said(
  at: number,
  node: string,
  event: { readonly type: string; readonly [key: string]: unknown },
): Entry {
  return { at: time(at), node, way: "out", what: { kind: "event", event } };
}

/** @param at seconds */
export function done(at: number, command: { readonly verb: string; readonly [key: string]: unknown }): Entry {
  return { at: time(at), node: WORLD, way: "in", what: { kind: "command", to: WORLD, command } };
}

/** What a promise is broken by, in a run that ends at `end` (seconds). */
export function violations(promise: Invariant<unknown>, end: number, ...log: readonly Entry[]): readonly Violation[] {
  const watch = new Watch(promise);
  for (const entry of log) watch.read(entry);
  watch.end(time(end));
  return watch.violations;
}

/** The same as "10..12.5: words", in seconds. */
export function breaches(promise: Invariant<unknown>, end: number, ...log: readonly Entry[]): readonly string[] {
  return violations(promise, end, ...log).map(({ from, to, detail }) => `${from / 1e6}..${to / 1e6}: ${detail}`);
}

export function named(promises: readonly Invariant<unknown>[], name: string): Invariant<unknown> {
  const found = promises.find((promise) => promise.name === name);
  if (found === undefined) throw new Error(`no promise ${name} among ${promises.map((one) => one.name).join(", ")}`);
  return found;
}

function time(seconds: number) {
  return instant(Math.round(seconds * 1e6));
}
