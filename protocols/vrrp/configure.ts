/**
 * Another configuration while the routers run: what is the same goes on undisturbed, what can change in place does, and
 * what cannot leaves (priority 0) and starts again. docs/operating.md has the table.
 */
import { formatPrefix, type Ip } from "../../src/core/addr.ts";
import type { Env } from "../../src/core/machine.ts";
import { formatDuration, NEVER, us, ZERO } from "../../src/core/time.ts";
import { announceAdded } from "./announce.ts";
import { authenticationWords } from "./authentication.ts";
import { OWNER } from "./codec.ts";
import type { RouterConfig, VrrpConfig } from "./config.ts";
import type { Notify, Tracked } from "./config-surroundings.ts";
import { enter } from "./deadlines.ts";
import { routerAdvertisement } from "./frames.ts";
import { reviewSoon } from "./review.ts";
import { answer, apply, changeSource, endLinger, forgetFrames, leave } from "./router.ts";
import {
  addressSet,
  choosePrimaries,
  createRouter,
  type Group,
  type Interface,
  newInterface,
  put,
  type Router,
  type Table,
  type Turn,
  tableOf,
  UNSAID,
  type VrrpState,
} from "./state.ts";
import { aimDownTimer, refresh, setPreemption, setRare, unsettle } from "./timing.ts";

/** What makes another router of it: identity, wire format, MAC, whom it speaks to, with whom it changes state. */
const STARTS_AGAIN = ["interface", "vrid", "family", "version", "virtualMac", "migration", "peers", "group"] as const;

/** A router's old configuration beside its new one; one of them is missing for what comes or goes. */
interface Pair<Old> {
  readonly old: Old | undefined;
  readonly config: RouterConfig | undefined;
}

/** Pairs by interface, family and VRID, and where several share those by unicast peers; first the new ones, in order. */
function pairs<Old>(olds: readonly Old[], config: VrrpConfig, of: (old: Old) => RouterConfig): readonly Pair<Old>[] {
  const left = new Set(olds);
  const found = config.map((one): Pair<Old> => {
    const same = [...left].filter((old) => keyOf(of(old)) === keyOf(one));
    const shares = (old: Old) => of(old).peers.some((peer) => one.peers.includes(peer));
    const old = same.find((each) => equal(of(each).peers, one.peers)) ?? same.find(shares) ?? same[0];
    if (old !== undefined) left.delete(old);
    return { old, config: one };
  });
  return [...found, ...[...left].map((old) => ({ old, config: undefined }))];
}

function keyOf({ interface: name, family, vrid }: RouterConfig): string {
  return `${name} ${family} ${vrid}`;
}

/** Both come out of the schema: plain values, their keys in one order. */
function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function startsAgain(from: RouterConfig, to: RouterConfig): boolean {
  // RFC 9568 §6.4.1: an owner does not elect, and whether a router is one decides whose addresses those are.
  if ((from.priority === OWNER) !== (to.priority === OWNER)) return true;
  return STARTS_AGAIN.some((field) => !equal(from[field], to[field]));
}

// --- in words ---

/** What going over to another configuration does, a line for each router. */
export function changes(from: VrrpConfig, to: VrrpConfig): readonly string[] {
  return pairs(from, to, (old) => old).flatMap(({ old, config }) => {
    if (config === undefined) return old === undefined ? [] : [`${nameOf(old)}: leaves (priority 0)`];
    if (old === undefined) return [`${nameOf(config)}: starts`];
    if (equal(old, config)) return [];
    const fields = (Object.keys(config) as (keyof RouterConfig)[]).filter((field) => !equal(old[field], config[field]));
    const words = fields
      .map((field) => `${field} ${fieldWords(field, old[field])} → ${fieldWords(field, config[field])}`)
      .join(", ");
    return [`${nameOf(old)}: ${words}${startsAgain(old, config) ? "; leaves (priority 0) and starts again" : ""}`];
  });
}

function nameOf({ name, interface: face, vrid, family }: RouterConfig): string {
  return `${name} (${face} vrid ${vrid} ${family})`;
}

const DURATIONS: ReadonlySet<string> = new Set([
  "interval",
  "preemptDelay",
  "announceEvery",
  "announceGap",
  "announceRefresh",
]);

function fieldWords(field: string, value: unknown): string {
  if (field === "authentication") return authenticationWords(value as RouterConfig["authentication"]);
  // What is secret stays so, although adverts of version 2 say it to everybody.
  if (field === "password") return value === undefined ? "none" : "given";
  if (field === "tracked") return wordsOf((value as RouterConfig["tracked"]).map(trackedWords));
  if (field === "notify") return notifyWords(value as RouterConfig["notify"]);
  return DURATIONS.has(field) && typeof value === "number" ? formatDuration(us(value)) : wordsOf(value);
}

function trackedWords({ name, weight, reverse }: Tracked): string {
  const words = [...(weight === 0 ? [] : [weight]), ...(reverse ? ["reversed"] : [])];
  return words.length === 0 ? name : `${name} (${words.join(" ")})`;
}

function notifyWords(notify: Notify | undefined): string {
  if (notify === undefined) return "none";
  const { run, group, user, timeout, attempts } = notify;
  const commands = [run, ...(group === undefined ? [] : [`group ${group}`])].filter((one) => one !== undefined);
  const by = user === undefined ? "" : ` as ${user}`;
  return `${commands.join(" and ")}${by} (timeout ${formatDuration(timeout)}, attempts ${attempts})`;
}

function wordsOf(value: unknown): string {
  if (value === undefined) return "none";
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(wordsOf).join(" ");
  if (typeof value !== "object" || value === null) return String(value);
  if ("address" in value && "length" in value) return formatPrefix(value as Parameters<typeof formatPrefix>[0]);
  return "name" in value ? String(value.name) : JSON.stringify(value);
}

// --- on a running machine ---

export function configure(state: VrrpState, config: VrrpConfig, env: Env): void {
  const turn: Turn = state;
  const all = pairs(
    state.routers.filter(({ retired }) => !retired),
    config,
    (router) => router.config,
  );
  // Whoever leaves does so before others take its place, or its addresses.
  for (const { old, config: to } of all) {
    if (old === undefined) continue;
    if (to === undefined) retire(turn, old);
    else if (startsAgain(old.config, to)) dismiss(turn, old);
  }
  for (const old of state.routers.filter(({ retired }) => retired)) {
    // It is wanted again before it has quite gone.
    if (config.some((one) => keyOf(one) === keyOf(old.config))) endLinger(turn, old);
  }
  const routers: Router[] = [];
  for (const { old, config: to } of all) {
    if (to === undefined) continue;
    const stays = old !== undefined && state.routers.includes(old);
    const router = stays ? old : add(turn, to, env);
    if (stays && !equal(old.config, to)) change(turn, old, to);
    routers.push(router);
  }
  const retired = state.routers.filter((router) => router.retired);
  state.routers.splice(0, state.routers.length, ...routers, ...retired);
  track(turn, config, env);
  for (const face of state.byName.values()) {
    if (choosePrimaries(face)) for (const router of face.routers) changeSource(turn, router);
  }
  sweep(state);
  reviewSoon(state, turn.now);
}

/** A router that a reload takes away: it says goodbye, and is forgotten when it need not answer any longer. */
function retire(turn: Turn, router: Router): void {
  router.enabled = false;
  if (router.state !== "initialize") leave(turn, router, "initialize", "shutdown");
  router.retired = true;
  turn.retiring = true;
}

/** A router that starts again as another one at once: its addresses are the other's from now on. */
function dismiss(turn: Turn, router: Router): void {
  if (router.state !== "initialize") leave(turn, router, "initialize", "reconfigured");
  endLinger(turn, router);
  remove(turn, router);
}

/** Forgets those that were taken away and have nothing left to do, and what is only there for them. */
export function sweep(state: VrrpState): void {
  for (const router of state.routers.filter((one) => one.retired && one.lingerUntil === NEVER)) remove(state, router);
  state.retiring = state.routers.some((one) => one.retired);
  for (const [name, face] of state.byName) {
    face.unicast = face.routers.some((router) => router.config.peers.length > 0);
    for (const table of [face.ipv4, face.ipv6]) table.version = versionOf(face, table);
    const tracked = state.routers.some(({ config }) => config.tracked.some((one) => one.name === name));
    if (face.routers.length > 0 || tracked) continue;
    state.byName.delete(name);
    state.interfaces[face.port.index] = undefined;
  }
}

function remove(state: VrrpState, router: Router): void {
  const drop = (list: Router[]) => {
    const at = list.indexOf(router);
    if (at >= 0) list.splice(at, 1);
  };
  drop(state.routers);
  drop(router.interface.routers);
  if (router.group !== undefined) drop(router.group.members);
  const { routers } = tableOf(router);
  const { vrid } = router.config;
  if (routers[vrid] === router) routers[vrid] = router.twin;
  for (let one = routers[vrid]; one !== undefined; one = one.twin) if (one.twin === router) one.twin = router.twin;
  // A heap gives up no place but its first; reloads are rare.
  const others = state.heap.filter((one) => one !== router);
  state.heap.length = 0;
  for (const one of others) enter(state.heap, one);
}

function add(turn: Turn, config: RouterConfig, env: Env): Router {
  const router = createRouter(config, interfaceOf(turn, config.interface, env), groupOf(turn, config.group));
  // Until now its adverts were other people's.
  tableOf(router).strangers[config.vrid] = undefined;
  enter(turn.heap, router);
  turn.routers.push(router);
  return router;
}

function interfaceOf(state: VrrpState, name: string, env: Env): Interface {
  const known = state.byName.get(name);
  if (known !== undefined) return known;
  const port = env.port(name);
  const made = newInterface(port, env.mac(port));
  state.byName.set(name, made);
  state.interfaces[port.index] = made;
  return made;
}

function groupOf(state: VrrpState, name: string | undefined): Group | undefined {
  if (name === undefined) return undefined;
  return state.routers.find(({ group }) => group?.name === name)?.group ?? { name, members: [] };
}

/** As at the start: one version where all routers have the same, both otherwise. */
function versionOf(face: Interface, table: Table): 2 | 3 | undefined {
  const own = face.routers.filter(({ config }) => config.family === table.family);
  const versions = new Set(own.map(({ config }) => (config.migration ? undefined : config.version)));
  if (versions.size === 0) return 3;
  return versions.size === 1 ? [...versions][0] : undefined;
}

/** What is tracked anew is up until somebody says otherwise, as at the start. */
function track(state: VrrpState, config: VrrpConfig, env: Env): void {
  const wanted = new Set<string>();
  for (const { kind, name } of config.flatMap(({ tracked }) => tracked)) {
    if (kind === "interface") interfaceOf(state, name, env);
    else wanted.add(name);
  }
  for (const name of state.objects.keys()) if (!wanted.has(name)) state.objects.delete(name);
  for (const name of wanted) if (!state.objects.has(name)) state.objects.set(name, UNSAID);
}

/** What can change while it runs: the state stays as it is, and a master says at once what others have to know. */
function change(turn: Turn, router: Router, to: RouterConfig): void {
  const from = router.config;
  const { now } = turn;
  unsettle(router);
  if (from.routerAdvertisement !== undefined && to.routerAdvertisement === undefined)
    endRouterAdvertisement(turn, router);
  router.config = to;
  // It was judged by what is no longer so.
  router.last = undefined;
  // An operator's order outlives a reload that leaves the priority alone.
  if (from.priority !== to.priority) router.base = to.priority;
  if (from.checksum !== to.checksum) router.form = to.checksum === "pseudo-header" ? "pseudo-header" : "message";
  forgetFrames(turn, router);
  const master = router.state === "master";
  if (from.interval !== to.interval) changeInterval(turn, router, from);
  if (from.preempt !== to.preempt || from.preemptDelay !== to.preemptDelay) {
    setPreemption(router, NEVER);
    router.preempting = false;
  }
  const added = changeAddresses(turn, router, from);
  if (master && !equal(said(from), said(to))) answer(turn, router);
  if (master && added !== undefined && added.size > 0) announceAdded(turn, router, added);
  if (master && !equal(from.routerAdvertisement, to.routerAdvertisement)) {
    router.routerAdvertAt = to.routerAdvertisement === undefined ? NEVER : now;
    setRare(router);
  }
  refresh(turn, router);
}

/** What of a router its adverts say, but for the priority: that is weighed with what is tracked, and said then. */
function said({ interval, addresses, checksum, password }: RouterConfig): unknown {
  return { interval, addresses: addresses.map(({ address }) => address), checksum, password };
}

/** A backup's timers are its master's (RFC 9568 §6.1); only where there is none yet, or in version 2, they are its own. */
function changeInterval(turn: Turn, router: Router, { interval }: RouterConfig): void {
  const own = router.config.version === 2 || (router.masterInterval === interval && router.peers.size === 0);
  if (router.state !== "backup" || !own) return;
  router.masterInterval = router.config.interval;
  if (!router.listening && router.wants === undefined && router.downAt !== NEVER) aimDownTimer(router, turn.now);
}

/** @returns those that are new on a master; undefined when nothing about the addresses has changed */
function changeAddresses(turn: Turn, router: Router, from: RouterConfig): ReadonlySet<Ip> | undefined {
  const { addresses, accept } = router.config;
  const same = equal(from.addresses, addresses);
  if (same && from.accept === accept) return undefined;
  router.addressSet = addressSet(addresses.map(({ address }) => address));
  // §8.1.2, §8.2.2: no announcement before the addresses are there. One that answers on holds what it held.
  if (router.applied) apply(turn, router, true);
  const before = new Set(from.addresses.map(({ address }) => address));
  return new Set(addresses.map(({ address }) => address).filter((address) => !before.has(address)));
}

/** RFC 4861 §6.2.5: who ceases to be a router of hosts says so, with a lifetime of 0. */
function endRouterAdvertisement(turn: Turn, router: Router): void {
  const { config } = router;
  if (router.state !== "master" || config.routerAdvertisement === undefined) return;
  const last = { ...config.routerAdvertisement, lifetime: ZERO };
  const output = routerAdvertisement({ ...router, config: { ...config, routerAdvertisement: last } });
  if (output !== undefined) put(turn, output);
}
