/**
 * Selection: IEEE 802.1AX §6.4.14. DEPARTS: a bundle is one Aggregator with a fixed set of ports, as on every switch
 * and host; where the standard would form a second bundle of links with another LAG ID, those links stay out
 * ("other-partner"), and the operator sees which.
 *
 *   UNSELECTED  no carrier, half duplex, no partner, its own system at the other end, or another LAG ID than the bundle's
 *   STANDBY     held back (M-LAG, drain), fewer than min-links, or more than max-links
 *   SELECTED    may attach
 *
 * LAG ID (§6.3.6): both systems with priority and key, and both ports where one end does not aggregate. The actor's half
 * is the same for all ports of a bundle and left out here.
 */
import { after, NEVER } from "../../src/core/time.ts";
import { type LacpInfo, STATE } from "./codec.ts";
import type { PortReason } from "./events.ts";
import {
  actorOf,
  type Bundle,
  has,
  isHalfDuplex,
  type LacpPort,
  lacpEnabled,
  type Selected,
  say,
  type Turn,
} from "./state.ts";

/** Decides about all ports of the bundle. Its result depends on the state alone, not on the order of events. */
export function select(turn: Turn, bundle: Bundle): void {
  const known = bundle.members.filter(hasPartner);
  const candidates = known.filter((port) => !isLoopback(port) && !isHalfDuplex(port));
  reviewFallback(turn, bundle, known.length > 0);
  const chosen = choose(bundle, candidates);
  tellPartner(turn, bundle, chosen[0]?.partner);
  const order = ranked(chosen);
  const held = heldBack(bundle, order);
  const spare = sparePorts(bundle);
  for (const port of bundle.members) {
    const place = order.indexOf(port);
    if (place >= 0) {
      const reason = held ?? (place < bundle.config.maxLinks ? undefined : "standby");
      setSelected(port, reason === undefined ? "selected" : "standby", reason);
    } else if (spare.includes(port)) {
      setSelected(port, "selected", undefined);
      port.fallback = true;
    } else {
      setSelected(port, "unselected", outReason(port, candidates, chosen[0]));
    }
  }
}

/** A partner that was heard and not forgotten: in `current`, and in `expired` until the defaults are recorded. */
function hasPartner(port: LacpPort): boolean {
  return lacpEnabled(port) && port.up && !has(port.state, STATE.defaulted) && port.receive !== "port-disabled";
}

/** The other end is this system: a cable between two own ports, or a loop. */
export function isLoopback(port: LacpPort): boolean {
  return port.partner.system === port.bundle.system && port.partner.systemPriority === port.bundle.systemPriority;
}

function isIndividual(port: LacpPort): boolean {
  return !has(port.state, STATE.aggregation) || !has(port.partner.state, STATE.aggregation);
}

function lagOf(port: LacpPort): string {
  const { systemPriority, system, key, port: number } = port.partner;
  const lag = `${systemPriority.toString().padStart(5, "0")} ${system} ${key.toString().padStart(5, "0")}`;
  return isIndividual(port) ? `${lag} ${number} ${port.number}` : lag;
}

/** Links that may be one bundle: IEEE 802.1AX §6.3.5, a key stands for what ports have in common, speed among it. */
function groupOf(port: LacpPort): string {
  return port.bundle.config.mixedSpeeds ? lagOf(port) : `${lagOf(port)} ${port.speed}`;
}

function isAttached({ receive, mux }: LacpPort): boolean {
  return receive === "current" && mux !== "detached" && mux !== "waiting";
}

function carries(port: LacpPort): boolean {
  return isAttached(port) && port.mux !== "attached";
}

/** Its partner would carry frames on it. */
function isInvited({ receive, partner }: LacpPort): boolean {
  return receive === "current" && has(partner.state, STATE.synchronization);
}

/**
 * The links of one LAG ID: that which carries; else one whose partner is in sync; else that of links that are attached
 * already; else that of most links, else of the lowest ID.
 */
function choose(bundle: Bundle, candidates: readonly LacpPort[]): readonly LacpPort[] {
  const groups = new Map<string, LacpPort[]>();
  for (const port of candidates) {
    const lag = groupOf(port);
    const group = groups.get(lag);
    if (group === undefined) groups.set(lag, [port]);
    else group.push(port);
  }
  const kept = bundle.lag === undefined ? undefined : groups.get(bundle.lag);
  if (kept?.some(isAttached) && (kept.some(carries) || ![...groups.values()].some((group) => group.some(isInvited))))
    return kept;
  let best: readonly [string, LacpPort[]] | undefined;
  for (const entry of groups) {
    if (best === undefined || better(entry, best)) best = entry;
  }
  bundle.lag = best?.[0];
  return best?.[1] ?? [];
}

function better(a: readonly [string, LacpPort[]], b: readonly [string, LacpPort[]]): boolean {
  const count = (group: readonly LacpPort[], is: (port: LacpPort) => boolean) => group.filter(is).length;
  const heard = ({ receive }: LacpPort) => receive === "current";
  const invited = Number(a[1].some(isInvited)) - Number(b[1].some(isInvited));
  const difference = invited || count(a[1], heard) - count(b[1], heard) || a[1].length - b[1].length;
  return difference === 0 ? a[0] < b[0] : difference > 0;
}

/**
 * The best first. IEEE 802.1AX §6.4.14: the port priorities of the system with the better identifier decide, so that
 * both ends choose the same links. A link that is not heard comes after those that are.
 */
function ranked(group: readonly LacpPort[]): LacpPort[] {
  const [first] = group;
  if (first === undefined) return [];
  const own = compareSystems(actorOf(first), first.partner) < 0;
  const ends = new Map(group.map((port) => [port, own ? actorOf(port) : port.partner] as const));
  const end = (port: LacpPort) => ends.get(port) as LacpInfo;
  const late = (port: LacpPort) => (port.receive === "current" ? 0 : 1);
  return [...group].sort(
    (a, b) =>
      late(a) - late(b) ||
      end(a).portPriority - end(b).portPriority ||
      end(a).port - end(b).port ||
      a.number - b.number,
  );
}

function compareSystems(a: LacpInfo, b: LacpInfo): number {
  if (a.systemPriority !== b.systemPriority) return a.systemPriority - b.systemPriority;
  return a.system < b.system ? -1 : 1;
}

/** By whose order nothing is carried. */
function withheld(bundle: Bundle): PortReason | undefined {
  if (bundle.suspended !== undefined) return "suspended";
  if (bundle.held !== undefined) return "hold";
  return bundle.draining ? "drain" : undefined;
}

/** What holds all links of the bundle back. */
function heldBack(bundle: Bundle, ports: readonly LacpPort[]): PortReason | undefined {
  const order = withheld(bundle);
  if (order !== undefined) return order;
  const heard = ports.filter(({ receive }) => receive === "current").length;
  // Frames that the partner would send here had nowhere to go: it is told before it sends them.
  return heard > 0 && heard < bundle.config.minLinks ? "min-links" : undefined;
}

function setSelected(port: LacpPort, selected: Selected, obstacle: PortReason | undefined): void {
  port.selected = selected;
  port.obstacle = obstacle;
  port.fallback = false;
}

function outReason(port: LacpPort, candidates: readonly LacpPort[], chosen: LacpPort | undefined): PortReason {
  if (!lacpEnabled(port)) return "stopped";
  if (!port.up) return "link-down";
  if (isHalfDuplex(port)) return "half-duplex";
  if (offersFallback(port)) return withheld(port.bundle) ?? "no-partner";
  if (candidates.includes(port)) {
    return chosen !== undefined && lagOf(chosen) === lagOf(port) ? "other-speed" : "other-partner";
  }
  if (hasPartner(port)) return "loopback";
  return port.receive === "expired" ? "listening" : "no-partner";
}

/** Starts, keeps or ends the time without any partner after which links carry frames without one. */
function reviewFallback(turn: Turn, bundle: Bundle, partner: boolean): void {
  const { fallback, fallbackTimeout } = bundle.config;
  const alone = fallback !== "none" && !partner && bundle.enabled && bundle.members.some(({ up }) => up);
  if (!alone) {
    bundle.fallback = false;
    bundle.fallbackAt = NEVER;
  } else if (!bundle.fallback) {
    if (bundle.fallbackAt === NEVER) bundle.fallbackAt = after(turn.now, fallbackTimeout);
    if (bundle.fallbackAt <= turn.now && bundle.members.some(({ receive }) => receive === "defaulted")) {
      bundle.fallback = true;
      bundle.fallbackAt = NEVER;
    }
  }
}

/** Whether the port could carry frames without a partner now. */
export function offersFallback(port: LacpPort): boolean {
  return port.bundle.fallback && port.up && !isHalfDuplex(port) && port.receive === "defaulted";
}

/** The ports that carry frames without a partner. */
function sparePorts(bundle: Bundle): readonly LacpPort[] {
  if (withheld(bundle) !== undefined) return [];
  const able = bundle.members.filter(offersFallback);
  able.sort((a, b) => a.priority - b.priority || a.number - b.number);
  return bundle.config.fallback === "individual" ? able.slice(0, 1) : able.slice(0, bundle.config.maxLinks);
}

function tellPartner(turn: Turn, bundle: Bundle, partner: LacpInfo | undefined): void {
  const said = partner === undefined ? "" : `${partner.systemPriority} ${partner.system} ${partner.key}`;
  if (said === bundle.partnerSaid) return;
  bundle.partnerSaid = said;
  const { name } = bundle.config;
  if (partner === undefined) {
    say(turn, { type: "lacp.partner", bundle: name });
  } else {
    const { system, systemPriority: priority, key } = partner;
    say(turn, { type: "lacp.partner", bundle: name, system, priority, key });
  }
}
