/**
 * A promise: both switches of a pair know the same stations in the same places. The log's `mac.*` events are folded into
 * two tables, and each event compares one station: what differs is kept in the order in which it began to.
 */
import { type Entry, WORLD } from "../../src/core/log.ts";
import type { Command, Event } from "../../src/core/machine.ts";
import { after, type Duration, type Instant, NEVER, sec } from "../../src/core/time.ts";
import type { Invariant, View } from "../../src/core/view.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import { foldAdoption, foldStation, type MacEvent, type Stations, stationKey } from "../bridge/events.ts";
import type { IpAddresses } from "../ip/events.ts";
import { foldSession, noSessions, pairsOf, type Sessions, type SideConfig, setSession } from "./sides.ts";

/** A word about a station takes milliseconds; over a link that loses frames it is sent again. */
const PATIENCE: Duration = sec(3);
/** For all stations to be told, once the session is up: 32,000 in 2 s. */
const SYNCHRONISATION: Duration = sec(2);
/** Three heartbeats of the default interval, until a session that is dead is known to be. */
const SETTLE: Duration = sec(5);

/** Where a switch has a station; an M-LAG id where it is a host of both. */
type Place = "nowhere" | "here" | "there" | number;

interface Side {
  readonly node: string;
  readonly peerLink: string;
  /** By port. */
  readonly ids: ReadonlyMap<string, number>;
  /** Ports by VLAN, the routed one not among them. */
  readonly vlans: ReadonlyMap<number, ReadonlySet<string>>;
  /** Of the bridge's table. */
  readonly limit: number;
  readonly stations: Stations;
  /** Its own addresses as keys of stations: by routed port, and all of them. */
  readonly own: Map<string, string>;
  readonly ownKeys: Set<string>;
}

interface Pair {
  readonly a: Side;
  readonly b: Side;
  readonly sessions: Sessions;
  /** What both cannot know of, by VLAN: where the peer link is in it at one end only. */
  readonly shared: ReadonlySet<number>;
  /** Stations that differ, by key, and since when; in this order. */
  readonly differing: Map<string, Instant>;
  /** What was said of one of them: it is asked for at every entry while thousands of stations are told. */
  spoken: { readonly key: string; readonly words: string } | undefined;
}

interface Bridge {
  readonly table: number;
  readonly vlans: ReadonlyMap<number, { readonly tagged: readonly string[]; readonly untagged: readonly string[] }>;
}

function sideOf({ node, config }: SideConfig): Side {
  const bridge = node["bridge"] as Bridge | undefined;
  const vlans = [...(bridge?.vlans ?? [])].map(
    ([vlan, { tagged, untagged }]) => [vlan, new Set([...tagged, ...untagged])] as const,
  );
  return {
    node: node.node,
    peerLink: config.peerLink,
    ids: new Map(config.members.map(({ port, id }) => [port, id])),
    vlans: new Map(vlans),
    limit: bridge?.table ?? 0,
    stations: new Map(),
    own: new Map(),
    ownKeys: new Set(),
  };
}

function pairOf(a: Side, b: Side): Pair {
  const shared = [...a.vlans.keys()].filter(
    (vlan) => a.vlans.get(vlan)?.has(a.peerLink) && b.vlans.get(vlan)?.has(b.peerLink),
  );
  return { a, b, sessions: noSessions(), shared: new Set(shared), differing: new Map(), spoken: undefined };
}

interface Watched {
  readonly pairs: readonly Pair[];
  readonly byNode: ReadonlyMap<string, { readonly pair: Pair; readonly side: Side }>;
}

function fold(view: Watched, { node, at, what }: Entry): Watched {
  if (what.kind === "event") {
    const found = view.byNode.get(node);
    if (found !== undefined) foldEvent(found.pair, found.side, what.event, at);
  } else if (node === WORLD && what.kind === "command") {
    const command = what.command as Command & { readonly node?: string };
    const found = command.verb === "power-off" ? view.byNode.get(command.node ?? "") : undefined;
    if (found !== undefined) powerOff(found.pair, found.side, at);
  }
  return view;
}

function foldEvent(pair: Pair, side: Side, event: Event, at: Instant): void {
  switch (event.type) {
    case "mac.learned":
    case "mac.moved":
    case "mac.aged": {
      const said = event as MacEvent;
      foldStation(side.stations, said);
      compare(pair, said.vlan, said.mac, stationKey(said.vlan, said.mac), at);
      break;
    }
    case "mlag.adopt":
      foldAdoption(side.stations);
      break;
    case "mlag.session":
      if (foldSession(pair.sessions, side.node, event, at)) compareAll(pair, at);
      break;
    case "ip.addresses":
      noteOwn(pair, side, event as IpAddresses, at);
  }
}

function powerOff(pair: Pair, side: Side, at: Instant): void {
  side.stations.clear();
  side.own.clear();
  side.ownKeys.clear();
  setSession(pair.sessions, side.node, false, at);
  compareAll(pair, at);
}

/** A switch does not learn its own addresses, and its peer knows of them. */
function noteOwn(pair: Pair, side: Side, { port, mac }: IpAddresses, at: Instant): void {
  const vlan = Number(/^vlan(\d+)$/.exec(port)?.[1] ?? Number.NaN);
  if (Number.isNaN(vlan)) return;
  const key = stationKey(vlan, mac);
  const before = side.own.get(port);
  if (before === key) return;
  side.own.set(port, key);
  side.ownKeys.add(key);
  if (before !== undefined) side.ownKeys.delete(before);
  compare(pair, vlan, mac, key, at);
  if (before !== undefined) compare(pair, vlan, before.slice(before.indexOf(" ") + 1), before, at);
}

/** RFC 9568 §7.3. A gateway is where its master is, and with both switches active it is on both. */
const VIRTUAL = "00:00:5e:00:0";

function compare(pair: Pair, vlan: number, mac: string, key: string, at: Instant): void {
  if (pair.sessions.since === NEVER || !pair.shared.has(vlan) || mac.startsWith(VIRTUAL)) return;
  if (pair.spoken?.key === key) pair.spoken = undefined;
  if (agree(pair, vlan, placeOf(pair.a, key), placeOf(pair.b, key))) pair.differing.delete(key);
  else if (!pair.differing.has(key)) pair.differing.set(key, at);
}

/** The session has come or gone. */
function compareAll(pair: Pair, at: Instant): void {
  pair.differing.clear();
  pair.spoken = undefined;
  if (pair.sessions.since === NEVER) return;
  for (const { stations, ownKeys } of [pair.a, pair.b]) {
    for (const [key, { vlan, mac }] of stations) compare(pair, vlan, mac, key, at);
    for (const key of ownKeys) {
      const blank = key.indexOf(" ");
      compare(pair, Number(key.slice(0, blank)), key.slice(blank + 1), key, at);
    }
  }
}

function placeOf(side: Side, key: string): Place {
  const row = side.stations.get(key);
  if (row === undefined) return side.ownKeys.has(key) ? "here" : "nowhere";
  if (row.port === side.peerLink) return "there";
  return side.ids.get(row.port) ?? "here";
}

function agree({ a, b }: Pair, vlan: number, at: Place, bt: Place): boolean {
  if (at === bt) return typeof at === "number" || at === "nowhere";
  if ((at === "here" && bt === "there") || (at === "there" && bt === "here")) return true;
  // A half that is not in the VLAN at one end has its host behind the peer link there, or nowhere.
  return (typeof at === "number" && !carries(b, at, vlan)) || (typeof bt === "number" && !carries(a, bt, vlan));
}

/** Whether the half of that M-LAG is in the VLAN. */
function carries({ ids, vlans }: Side, id: number, vlan: number): boolean {
  for (const [port, one] of ids) if (one === id) return vlans.get(vlan)?.has(port) === true;
  return false;
}

/** With a full table a switch does not know what it has no room for. */
function isFull({ stations, limit }: Side): boolean {
  return stations.size >= limit;
}

interface Breach {
  readonly from: Instant;
  readonly pair: Pair;
  readonly key: string;
}

function worst({ pairs }: Watched): Breach | undefined {
  let first: Breach | undefined;
  for (const pair of pairs) {
    const { differing, sessions, a, b } = pair;
    if (differing.size === 0 || sessions.since === NEVER || isFull(a) || isFull(b)) continue;
    for (const [key, since] of differing) {
      const synchronised = after(sessions.since, SYNCHRONISATION);
      const from = after(since > synchronised ? since : synchronised, PATIENCE);
      if (first === undefined || from < first.from) first = { from, pair, key };
      break;
    }
  }
  return first;
}

function words({ pair, key }: Breach): string {
  if (pair.spoken?.key === key) return pair.spoken.words;
  const { a, b } = pair;
  const [vlan, mac] = key.split(" ");
  const text = `station ${mac} in VLAN ${vlan}: ${placeWords(a, key)}, ${placeWords(b, key)}`;
  pair.spoken = { key, words: text };
  return text;
}

function placeWords(side: Side, key: string): string {
  const row = side.stations.get(key);
  if (row === undefined) return side.ownKeys.has(key) ? `it is ${side.node} itself` : `${side.node} does not have it`;
  const id = side.ids.get(row.port);
  return `${side.node} has it behind ${row.port}${id === undefined ? "" : ` (M-LAG ${id})`}`;
}

function watch(pairs: readonly Pair[]): Watched {
  const sides = pairs.flatMap((pair) => [pair.a, pair.b].map((side) => [side.node, { pair, side }] as const));
  return { pairs, byNode: new Map(sides) };
}

/** While the session of a pair is up, a station that one switch has is where the other has it, but for a moment. */
export function tablesEqual(nodes: readonly NodeConfig[]): Invariant<unknown> {
  const pairs = pairsOf(nodes);
  const view: View<Watched> = {
    initial: () => watch(pairs.map((one) => pairOf(sideOf(one.a), sideOf(one.b)))),
    fold,
  };
  return {
    name: "tables-equal",
    source: "M35, M36, M41, M50: both peers have each station in one place",
    settle: SETTLE,
    view: view as View<unknown>,
    broken: (seen) => {
      const breach = worst(seen as Watched);
      return breach === undefined ? undefined : words(breach);
    },
    from: (seen) => worst(seen as Watched)?.from ?? NEVER,
  };
}
