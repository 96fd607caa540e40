/** What a lab's traffic is promised: what is sent arrives, and arrives once. */

import { type Faults, foldFaults, isWhole, noFaults } from "../../src/core/faults.ts";
import type { Entry } from "../../src/core/log.ts";
import { type Duration, sec, us } from "../../src/core/time.ts";
import type { Invariant, View } from "../../src/core/view.ts";
import type { Flow, NodeConfig } from "../../src/node/protocol.ts";
import type { FlowDuplicate, FlowEvent, FlowStalled } from "./events.ts";

/** For carriers, questions for neighbours (one may be lost), the session of an M-LAG pair. */
const CONVERGENCE = sec(5);
/** A host keeps no half that has changed its system id for longer: "M20", and frames on their way have arrived. */
const DUPLICATES = sec(1);

/** As far as other protocols' parts of the file say how long they may take. */
interface Router {
  readonly version: 2 | 3;
  readonly interval: Duration;
}
interface Bundle {
  readonly fast: boolean;
  readonly aggregateWait: Duration;
  readonly waitToRestore: Duration;
  readonly fallback: string;
  readonly fallbackTimeout: Duration;
}
interface Pair {
  readonly restoreDelay: Duration;
  readonly autoRecovery: Duration;
  readonly keepalive: { readonly address: { readonly address: string }; readonly peer: string };
}

/** RFC 9568 §6.1: three intervals and the longest skew. */
function election(nodes: readonly NodeConfig[]): number {
  const routers = nodes.flatMap((node) => (node["vrrp"] ?? []) as readonly Router[]);
  return Math.max(0, ...routers.map(({ version, interval }) => 3 * interval + (version === 2 ? sec(1) : interval)));
}

/** IEEE 802.1AX §6.4.4: how long a bundle may take until it carries, once its links do. */
function aggregation(nodes: readonly NodeConfig[]): number {
  const bundles = nodes.flatMap((node) => (node["lacp"] ?? []) as readonly Bundle[]);
  const times = bundles.map(({ fast, aggregateWait, waitToRestore, fallback, fallbackTimeout }) => {
    // Slow_Periodic_Time is 30 s; then a partner without LACP is waited for: Short_Timeout_Time twice.
    const heard = fast ? sec(1) : sec(30);
    return heard + aggregateWait + waitToRestore + (fallback === "none" ? 0 : sec(6) + fallbackTimeout);
  });
  return Math.max(0, ...times);
}

/** A switch of a pair that starts carries nothing before the restore delay; without its peer, before auto-recovery. */
function restoration(nodes: readonly NodeConfig[]): number {
  const pairs = nodes.map((node) => node["mlag"] as Pair | undefined).filter((pair) => pair !== undefined);
  const there = new Set(pairs.map(({ keepalive }) => keepalive.address.address));
  return Math.max(0, ...pairs.map((pair) => (there.has(pair.keepalive.peer) ? pair.restoreDelay : pair.autoRecovery)));
}

/** How long the network of these nodes may take, once it is whole, until everything has a way. */
export function convergence(nodes: readonly NodeConfig[]): Duration {
  return us(CONVERGENCE + election(nodes) + aggregation(nodes) + restoration(nodes));
}

interface Watched {
  readonly faults: Faults;
  /** By flow. */
  readonly stalled: Map<string, { readonly node: string; readonly since: number }>;
}

function watched(means: (flow: string) => boolean): View<unknown> {
  return {
    initial: (): Watched => ({ faults: noFaults(), stalled: new Map() }),
    fold: (view, entry) => {
      const { faults, stalled } = view as Watched;
      if (foldFaults(faults, entry)) {
        // Who has no power or stands still sends nothing, and says when it begins again and nothing arrives.
        for (const [flow, { node }] of stalled)
          if (faults.off.has(node) || faults.paused.has(node)) stalled.delete(flow);
      } else if (entry.what.kind === "event" && entry.what.event.type.startsWith("flow.")) {
        const event = entry.what.event as FlowEvent;
        if (event.type === "flow.stalled" && means(event.flow)) stalled.set(event.flow, stallOf(entry.node, event));
        else if (event.type === "flow.flowing" || event.type === "flow.ended") stalled.delete(event.flow);
      }
      return view;
    },
  };
}

function stallOf(node: string, { since }: FlowStalled): { readonly node: string; readonly since: number } {
  return { node, since };
}

/** @param strict whether it is also asked for while faults of the script stand */
function noBlackhole(
  name: string,
  settle: Duration,
  means: (flow: string) => boolean,
  strict: boolean,
): Invariant<unknown> {
  return {
    name,
    source: "hotpair: while the network is whole, every flow has a way",
    settle,
    view: watched(means),
    broken: (view) => {
      const { faults, stalled } = view as Watched;
      if (stalled.size === 0 || (!strict && !isWhole(faults))) return undefined;
      for (const [flow, { node, since }] of stalled) {
        return `flow ${flow}: nothing arrives of what ${node} has sent since ${since.toFixed(6)} s`;
      }
      return undefined;
    },
  };
}

/** For a line of a lab: also while something is cut or off. */
export function noBlackholeFor(flow: string | undefined, nodes: readonly NodeConfig[]): Invariant<unknown> {
  return noBlackhole("no-blackhole", convergence(nodes), (one) => flow === undefined || flow === one, true);
}

function noDuplicate(nodes: readonly NodeConfig[]): Invariant<unknown> {
  return {
    name: "no-duplicate",
    source: "IEEE 802.1AX §6.1.1: frames are neither duplicated nor misordered; M20, M25, M31",
    // Two masters may answer one echo request until the election is over.
    settle: us(DUPLICATES + election(nodes)),
    view: { initial: noFaults, fold: foldWorld } satisfies View<Faults> as View<unknown>,
    broken: () => undefined,
    moment: (view, { node, what }: Entry) => {
      if (what.kind !== "event" || what.event.type !== "flow.duplicate") return undefined;
      const { flow, number, sent, count, echo } = what.event as FlowDuplicate;
      // A partition may have two masters by design, and both answer.
      if (echo && !isWhole(view as Faults)) return undefined;
      const packet = echo ? "the reply to echo request" : "datagram";
      return `flow ${flow}: ${packet} ${number}, sent at ${sent.toFixed(6)} s, came to ${node} again (${count} so far)`;
    },
  };
}

function foldWorld(faults: Faults, entry: Entry): Faults {
  foldFaults(faults, entry);
  return faults;
}

/** For every lab with traffic that is to arrive. */
export function invariants(nodes: readonly NodeConfig[], traffic: readonly Flow[] = []): readonly Invariant<unknown>[] {
  if (traffic.length === 0) return [];
  const ids = new Set(traffic.map(({ id }) => id));
  const whole = noBlackhole("no-blackhole-after-settle", convergence(nodes), (flow) => ids.has(flow), false);
  return [noDuplicate(nodes), whole];
}
