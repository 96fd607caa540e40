/** The facts that a link's state comes from, at both of its ends. */
import { configured, eventOf, type Fact, newest, type Origin, type Past } from "../../src/node/past.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { LacpHold, LacpSuspend, LacpSystem } from "../mlag/events.ts";
import type { BundleConfig } from "./config.ts";
import type { LacpBundleEvent, LacpCommand, LacpPortEvent, PortReason } from "./events.ts";
import { bundlesOf } from "./invariants.ts";

export type Because = Fact | Origin | undefined;

/** A link of a bundle, and what was said up to the moment that is looked at. */
export interface Spot {
  readonly node: string;
  readonly port: string;
  readonly bundle: BundleConfig;
  readonly past: Past;
}

export const CARRIES: readonly PortReason[] = ["carrying", "fallback"];

export function bundleOf(node: NodeConfig, name: string): BundleConfig | undefined {
  return bundlesOf(node).find((bundle) => bundle.name === name);
}

export function portFact(past: Past, node: string, port: string): Fact | undefined {
  return past.event<LacpPortEvent>(node, "lacp.port", (event) => event.port === port);
}

export function bundleFact(past: Past, node: string, bundle: string): Fact | undefined {
  return past.event<LacpBundleEvent>(node, "lacp.bundle", (event) => event.bundle === bundle);
}

export function linkOf({ past, node, port }: Spot): Fact | undefined {
  return past.link(node, port);
}

export function noCarrier({ past, node, port }: Spot): Because {
  if (past.ground.ends(node, port).length === 0) return configured(node, `no link has ${node}:${port}`);
  return past.ground.carrier(past, node, port, false) ?? past.born(node);
}

export function order({ past, node, bundle }: Spot, verb: LacpCommand["verb"]): Fact | undefined {
  return past.command(node, "lacp", (command) => {
    const { bundle: named } = command as { readonly bundle?: string };
    return command.verb === verb && (named === undefined || named === bundle.name);
  });
}

export function told({ past, node, bundle }: Spot, type: "mlag.hold" | "mlag.suspend"): Fact | undefined {
  return past.event<LacpHold | LacpSuspend>(node, type, (event) => event.bundle === bundle.name);
}

export function systemFact(past: Past, node: string, bundle: string): Fact | undefined {
  return past.event<LacpSystem>(node, "mlag.system", (event) => event.bundle === bundle);
}

/** The far end of the link, and the bundle that it belongs to there. */
export function farPort({
  past,
  node,
  port,
}: Spot): { readonly node: string; readonly port: string; readonly bundle: BundleConfig | undefined } | undefined {
  const [end] = past.ground.ends(node, port);
  const there = end === undefined ? undefined : past.node(end.node);
  if (end === undefined || there === undefined) return undefined;
  const bundle = bundlesOf(there).find(({ members }) => members.some((member) => member.port === end.port));
  return { node: end.node, port: end.port, bundle };
}

/** What the far end says of the link, when it is one of these. */
export function farEnd(one: Spot, reasons?: readonly PortReason[]): Fact | undefined {
  const far = farPort(one);
  if (far === undefined || one.past.off(far.node) !== undefined) return undefined;
  const fact = portFact(one.past, far.node, far.port);
  if (fact === undefined) return undefined;
  const { reason } = eventOf<LacpPortEvent>(fact);
  return (reasons === undefined ? !WAITS.includes(reason) : reasons.includes(reason)) ? fact : undefined;
}

/** What a port says that waits for its partner, or for nothing. */
const WAITS: readonly PortReason[] = [
  "carrying",
  "fallback",
  "negotiating",
  "partner-out-of-sync",
  "partner-not-collecting",
];

/** Nobody speaks LACP at the far end: so its file says. */
export function nobody(one: Spot): Origin | undefined {
  const far = farPort(one);
  if (far === undefined || far.bundle !== undefined) return undefined;
  return configured(far.node, `${far.node}:${far.port} does not speak LACP`);
}

/** What either end was called anew: its system id by M-LAG, its key by an operator. */
export function renamed(one: Spot): Fact | undefined {
  const far = farPort(one);
  const there = far?.bundle === undefined ? undefined : { ...one, node: far.node, port: far.port, bundle: far.bundle };
  const names = [one, ...(there === undefined ? [] : [there])];
  return newest(...names.flatMap((end) => [systemFact(end.past, end.node, end.bundle.name), order(end, "key")]));
}

export function otherCable(one: Spot): Origin {
  const far = farPort(one);
  const where = far === undefined ? "nowhere" : `to ${far.node}:${far.port}`;
  return configured(one.node, `${one.port} leads ${where}, and is no link of the same bundle as those that carry`);
}

export function partner(one: Spot): Because {
  return farEnd(one) ?? trigger(one);
}

/** Another member that does not carry, of those that were last heard of. */
export function fellow({ past, node, port, bundle }: Spot): Fact | undefined {
  const others = bundle.members
    .filter((member) => member.port !== port)
    .map((member) => portFact(past, node, member.port));
  return newest(
    ...others.filter(
      (fact) => fact !== undefined && !["min-links", ...WAITS].includes(eventOf<LacpPortEvent>(fact).reason),
    ),
  );
}

/** What last changed for the link, at either end or between them: from there it came to where it is. */
export function trigger(one: Spot): Because {
  const { past, node, port, bundle } = one;
  const far = farPort(one);
  const there =
    far?.bundle === undefined || past.off(far.node) !== undefined
      ? []
      : changes(past, far.node, far.port, far.bundle.name);
  return newest(past.touched(node, port), ...changes(past, node, port, bundle.name), ...there) ?? past.born(node);
}

/** What a link comes back from by itself: its partner is heard again. */
const UNHEARD: readonly PortReason[] = ["silent", "no-partner"];

function changes(past: Past, node: string, port: string, bundle: string): (Fact | undefined)[] {
  return [
    past.link(node, port),
    past.command(node, "lacp"),
    past.event<LacpPortEvent>(node, "lacp.port", (event) => event.port === port && UNHEARD.includes(event.reason)),
    ...(["mlag.hold", "mlag.suspend", "mlag.system"] as const).map((type) =>
      past.event<LacpHold | LacpSuspend | LacpSystem>(node, type, (event) => event.bundle === bundle),
    ),
  ];
}

/** The port of the instant whose change made the bundle what it is. */
export function memberFact(
  past: Past,
  fact: Fact,
  { bundle, members }: LacpBundleEvent,
  config: BundleConfig | undefined,
): Fact | undefined {
  const more = config !== undefined && members > 0;
  const of = (matches: (event: LacpPortEvent) => boolean) =>
    past.event<LacpPortEvent>(fact.node, "lacp.port", (event) => event.bundle === bundle && matches(event));
  const carries = (event: LacpPortEvent) => CARRIES.includes(event.reason);
  const joined =
    eventOf<LacpBundleEvent>(fact).reason === "member-joined" || eventOf<LacpBundleEvent>(fact).reason === "fallback";
  return (joined && more ? of(carries) : of((event) => !carries(event))) ?? of(() => true);
}

export function partnerFact(past: Past, node: string, bundle: BundleConfig): Because {
  const facts = bundle.members.map(({ port }) => trigger({ node, port, bundle, past }));
  return newest(...facts.filter((fact): fact is Fact => fact !== undefined && "order" in fact));
}

/** The member that is nearest to carrying. */
export function bestMember(past: Past, node: string, bundle: BundleConfig): Fact | undefined {
  let best: Fact | undefined;
  let rank = Number.NEGATIVE_INFINITY;
  for (const { port } of bundle.members) {
    const fact = portFact(past, node, port);
    if (fact === undefined) continue;
    const place = NEARER.indexOf(eventOf<LacpPortEvent>(fact).reason);
    if (place <= rank) continue;
    best = fact;
    rank = place;
  }
  return best;
}

/** From the farthest to the nearest. */
const NEARER: readonly PortReason[] = [
  "removed",
  "link-down",
  "stopped",
  "loopback",
  "half-duplex",
  "no-partner",
  "other-partner",
  "silent",
  "listening",
  "standby",
  "min-links",
  "suspended",
  "hold",
  "drain",
  "partner-out-of-sync",
  "partner-not-collecting",
  "wait-to-restore",
  "aggregate-wait",
  "negotiating",
  "fallback",
  "carrying",
];
