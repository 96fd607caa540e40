/**
 * Another configuration while the bundles run: what is the same goes on undisturbed, what can change in place does, what is
 * called otherwise is negotiated anew. docs/operating.md has the table.
 */
import type { Env } from "../../src/core/machine.ts";
import { after, formatDuration, NEVER, us } from "../../src/core/time.ts";
import { STATE } from "./codec.ts";
import type { BundleConfig, LacpConfig } from "./config.ts";
import { release } from "./distribution.ts";
import { deselect } from "./mux.ts";
import { reviewPort } from "./receive.ts";
import { renegotiate, report, settle } from "./settle.ts";
import {
  type Bundle,
  createBundle,
  createPort,
  has,
  type LacpPort,
  type LacpState,
  needToTransmit,
  partnerAdmin,
  RENAMING,
  setAdministrative,
  type Turn,
} from "./state.ts";
import { transmitLast } from "./transmit.ts";

/** Both come out of the schema: plain values, their keys in one order. */
function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

// --- in words ---

/** What partners hold of a bundle: another value is another bundle to them. */
const NEGOTIATED: readonly (keyof BundleConfig)[] = ["key", "system", "systemPriority", "individual"];
const DURATIONS: readonly (keyof BundleConfig)[] = ["aggregateWait", "waitToRestore", "fallbackTimeout", "flush"];
/** As a file says them. */
const NAMES: Partial<Record<keyof BundleConfig, string>> = {
  active: "mode",
  fast: "rate",
  systemPriority: "system-priority",
  minLinks: "min-links",
  maxLinks: "max-links",
  coupled: "control",
  aggregateWait: "aggregate-wait",
  mixedSpeeds: "mixed-speeds",
  waitToRestore: "wait-to-restore",
  fallbackTimeout: "fallback timeout",
};

/** What going over to another configuration does, a line for each bundle. */
export function changes(from: LacpConfig, to: LacpConfig): readonly string[] {
  const left = from.filter(({ name }) => !to.some((one) => one.name === name)).map(({ name }) => `${name}: leaves`);
  return [
    ...left,
    ...to.flatMap((one) =>
      change(
        from.find(({ name }) => name === one.name),
        one,
      ),
    ),
  ];
}

function change(from: BundleConfig | undefined, to: BundleConfig): readonly string[] {
  if (from === undefined) return [`${to.name}: starts (${portsOf(to)})`];
  const fields = (Object.keys(to) as (keyof BundleConfig)[]).filter((field) => !equal(from[field], to[field]));
  if (fields.length === 0) return [];
  // Where all links have one priority, nobody wants to read it at each.
  const ranked = new Set([...from.members, ...to.members].map(({ priority }) => priority)).size > 1;
  const words = fields.map((field) => {
    const [old, other] = [from, to].map((one) => (field === "members" && ranked ? rankOf(one) : valueIn(one, field)));
    return `${NAMES[field] ?? field} ${old} → ${other}`;
  });
  const anew = fields.some((field) => NEGOTIATED.includes(field)) ? "; its links are negotiated anew" : "";
  return [`${to.name}: ${words.join(", ")}${anew}`];
}

function portsOf({ members }: BundleConfig): string {
  return members.map(({ port }) => port).join(" ");
}

function rankOf({ members }: BundleConfig): string {
  return members.map(({ port, priority }) => `${port} (priority ${priority})`).join(" ");
}

function valueIn(config: BundleConfig, field: keyof BundleConfig): string {
  if (field === "members") return portsOf(config);
  if (field === "active") return config.active ? "active" : "passive";
  if (field === "fast") return config.fast ? "fast" : "slow";
  if (field === "coupled") return config.coupled ? "coupled" : "independent";
  const value = config[field];
  if (DURATIONS.includes(field) && typeof value === "number") return formatDuration(us(value));
  return value === undefined ? "the node's own" : String(value);
}

// --- on a running machine ---

export function configure(state: LacpState, config: LacpConfig, env: Env): void {
  const turn: Turn = state;
  const owners = new Map(config.flatMap(({ name, members }) => members.map(({ port }) => [port, name] as const)));
  const given = new Map<string, LacpPort>();
  // Whoever leaves does so before others take its place.
  for (const bundle of [...state.bundles]) {
    const leaving = bundle.members.filter(({ port }) => owners.get(port.name) !== bundle.config.name);
    for (const port of leaving) {
      given.set(port.port.name, { ...port });
      remove(turn, port, owners.has(port.port.name));
    }
    const goes = !config.some(({ name }) => name === bundle.config.name);
    if (leaving.length > 0 || goes) settle(turn, bundle);
    for (const port of leaving) release(turn, port);
    if (!goes) continue;
    state.bundles.splice(state.bundles.indexOf(bundle), 1);
    state.bundleOf[bundle.port.index] = undefined;
  }
  const bundles = config.map((one) => {
    const known = state.bundles.find((bundle) => bundle.config.name === one.name);
    if (known !== undefined && equal(known.config, one)) return known;
    const bundle = known ?? createBundle(one, env);
    state.bundleOf[bundle.port.index] = bundle;
    if (known !== undefined) alter(turn, known, one, env);
    join(turn, bundle, env, given);
    settle(turn, bundle);
    return bundle;
  });
  state.bundles.splice(0, state.bundles.length, ...bundles);
}

/** @param taken by another bundle, which is the next that the partner hears of */
function remove(turn: Turn, port: LacpPort, taken: boolean): void {
  const { members } = port.bundle;
  deselect(turn, port);
  if (!taken) transmitLast(turn, port);
  port.removed = true;
  report(turn, port);
  // Nothing more leaves by it, not even a marker.
  port.up = false;
  members.splice(members.indexOf(port), 1);
  turn.ports.splice(turn.ports.indexOf(port), 1);
  turn.memberOf[port.port.index] = undefined;
}

/** Makes the links that are new, and puts all of them in the order of the configuration. */
function join(turn: Turn, bundle: Bundle, env: Env, given: ReadonlyMap<string, LacpPort>): void {
  const known = new Map(bundle.members.map((port) => [port.port.name, port]));
  const members = bundle.config.members.map(({ port: name, priority }) => {
    const there = known.get(name);
    if (there !== undefined) return there;
    const port = createPort(bundle, env, name, priority, freeNumber(turn));
    const before = given.get(name);
    if (before !== undefined) {
      // Its node says no more what it has said already.
      const { up, speed, duplex, mac } = before;
      Object.assign(port, { up, speed, duplex, mac });
      setAdministrative(port);
    }
    turn.ports.push(port);
    turn.memberOf[port.port.index] = port;
    reviewPort(turn, port);
    return port;
  });
  bundle.members.splice(0, bundle.members.length, ...members);
}

/** A link keeps its number for as long as it is one of its bundle: partners know it by that. */
function freeNumber({ ports }: Turn): number {
  const taken = new Set(ports.map(({ number }) => number));
  let number = 1;
  while (taken.has(number)) number++;
  return number;
}

/** What can change while links carry frames does so; an operator's order outlives what the file leaves as it was. */
function alter(turn: Turn, bundle: Bundle, to: BundleConfig, env: Env): void {
  const from = bundle.config;
  bundle.config = to;
  const anew = from.individual !== to.individual || rename(bundle, from, to, env);
  for (const port of bundle.members) setAdministrative(port);
  if (from.fast !== to.fast) changeRate(turn, bundle, to.fast);
  if (from.active !== to.active) for (const port of bundle.members) needToTransmit(turn, port, true);
  // The time without a partner counts from now.
  if (from.fallbackTimeout !== to.fallbackTimeout) bundle.fallbackAt = NEVER;
  const moved = bundle.members.filter((port) => prioritize(port, from, to));
  if (anew) bundle.renamedUntil = after(turn.now, RENAMING);
  renegotiate(turn, anew ? bundle.members : moved);
}

/** @returns whether its partner knows it by another name now */
function rename(bundle: Bundle, from: BundleConfig, to: BundleConfig, env: Env): boolean {
  const { key, system, systemPriority } = bundle;
  if (from.key !== to.key) bundle.key = to.key;
  if (!bundle.renamed) {
    if (from.system !== to.system) bundle.system = to.system ?? env.mac(bundle.port);
    if (from.systemPriority !== to.systemPriority) bundle.systemPriority = to.systemPriority;
  }
  return bundle.key !== key || bundle.system !== system || bundle.systemPriority !== systemPriority;
}

/** @returns whether the port has another priority now */
function prioritize(port: LacpPort, from: BundleConfig, to: BundleConfig): boolean {
  const priorityIn = ({ members }: BundleConfig) => members.find((one) => one.port === port.port.name)?.priority;
  const priority = priorityIn(to);
  if (priority === undefined || priority === priorityIn(from) || priority === port.priority) return false;
  port.priority = priority;
  return true;
}

/** What the partner is asked for: it hears of it at once. */
export function changeRate(turn: Turn, bundle: Bundle, fast: boolean): void {
  bundle.fast = fast;
  for (const port of bundle.members) {
    setAdministrative(port);
    // Where nobody is, that is held with the rate that is ours.
    if (has(port.state, STATE.defaulted) && port.receive !== "expired") port.partner = partnerAdmin(bundle);
    needToTransmit(turn, port, true);
  }
}
