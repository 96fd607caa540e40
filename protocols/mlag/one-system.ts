/** A promise: to its partners, an M-LAG is one switch. */
import { type Entry, WORLD } from "../../src/core/log.ts";
import type { Command } from "../../src/core/machine.ts";
import { after, type Duration, type Instant, NEVER, sec } from "../../src/core/time.ts";
import type { Invariant, View } from "../../src/core/view.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { LacpPortEvent } from "../lacp/events.ts";
import { foldSession, noSessions, type PairConfig, pairsOf, type Sessions, setSession } from "./sides.ts";

/** The halves tell each other who they are, and LACP its partner, up to three times in a second. */
const PATIENCE: Duration = sec(2);
const SETTLE: Duration = sec(5);
/** IEEE 802.1AX §6.4.2.3: Synchronization is bit 3 of the state octet. */
const SYNCHRONIZATION = 0x08;

interface PortRow extends LacpPortEvent {
  readonly node: string;
}

/** One M-LAG: the ports of both halves. */
interface Lag {
  readonly id: number;
  readonly sessions: Sessions;
  /** By node and port. */
  readonly ports: Map<string, PortRow>;
}

interface Watched {
  /** By node and bundle. */
  readonly lags: Map<string, Lag>;
  /** By node. */
  readonly sessions: Map<string, Sessions>;
  /** M-LAGs that are two switches now, the one that has been so longest first. */
  readonly wrong: Map<Lag, { readonly since: Instant; readonly words: string }>;
}

function initial(pairs: readonly PairConfig[]): Watched {
  const view: Watched = { lags: new Map(), sessions: new Map(), wrong: new Map() };
  for (const { a, b } of pairs) {
    const sessions = noSessions();
    for (const { node } of [a, b]) view.sessions.set(node.node, sessions);
    for (const { id, port } of a.config.members) {
      const there = b.config.members.find((member) => member.id === id)?.port;
      if (there === undefined) continue;
      const lag: Lag = { id, sessions, ports: new Map() };
      view.lags.set(`${a.node.node} ${port}`, lag);
      view.lags.set(`${b.node.node} ${there}`, lag);
    }
  }
  return view;
}

function fold(view: Watched, { node, at, what }: Entry): Watched {
  if (what.kind === "event") {
    const { event } = what;
    if (event.type === "mlag.session") {
      const sessions = view.sessions.get(node);
      if (sessions !== undefined) foldSession(sessions, node, event, at);
    } else if (event.type === "lacp.port") {
      const said = event as LacpPortEvent;
      const lag = view.lags.get(`${node} ${said.bundle}`);
      if (lag === undefined) return view;
      lag.ports.set(`${node} ${said.port}`, { ...said, node });
      look(view, lag, at);
    }
  } else if (node === WORLD && what.kind === "command") {
    const command = what.command as Command & { readonly node?: string };
    if (command.verb === "power-off") forget(view, command.node ?? "", at);
  }
  return view;
}

function forget(view: Watched, node: string, at: Instant): void {
  const sessions = view.sessions.get(node);
  if (sessions !== undefined) setSession(sessions, node, false, at);
  for (const [key, lag] of view.lags) {
    if (!key.startsWith(`${node} `)) continue;
    for (const [port, row] of lag.ports) if (row.node === node) lag.ports.delete(port);
    look(view, lag, at);
  }
}

function look({ wrong }: Watched, lag: Lag, at: Instant): void {
  const words = wordsFor(lag);
  if (words === undefined) wrong.delete(lag);
  else wrong.set(lag, { since: wrong.get(lag)?.since ?? at, words });
}

/** A port that is held, drained or suspended tells its partner to keep off: what it says of itself does no harm. */
function offers({ actor }: PortRow): boolean {
  return (Number(actor.state) & SYNCHRONIZATION) !== 0;
}

function wordsFor({ id, ports }: Lag): string | undefined {
  const offered = [...ports.values()].filter(offers);
  const [first] = offered;
  if (first === undefined) return undefined;
  const of = (row: PortRow) => `${row.node}:${row.port}`;
  for (const row of offered) {
    if (row.node === first.node) continue;
    if (row.actor.system !== first.actor.system) {
      return `M-LAG ${id}: ${of(first)} says it is of ${first.actor.system}, ${of(row)} of ${row.actor.system}`;
    }
    if (row.actor.key !== first.actor.key) {
      return `M-LAG ${id}: ${of(first)} has key ${first.actor.key}, ${of(row)} has key ${row.actor.key}`;
    }
  }
  const numbers = new Map<number, PortRow>();
  for (const row of offered) {
    const other = numbers.get(row.actor.port);
    if (other !== undefined && other.node !== row.node) {
      return `M-LAG ${id}: ${of(other)} and ${of(row)} both say that they are port ${row.actor.port}`;
    }
    numbers.set(row.actor.port, row);
  }
  return undefined;
}

interface Breach {
  readonly from: Instant;
  readonly words: string;
}

/** The first in the order of time; M-LAGs that are wrong are few. */
function worst({ wrong }: Watched): Breach | undefined {
  let first: Breach | undefined;
  for (const [{ sessions }, { since, words }] of wrong) {
    if (sessions.since === NEVER) continue;
    const from = after(since > sessions.since ? since : sessions.since, PATIENCE);
    if (first === undefined || from < first.from) first = { from, words };
  }
  return first;
}

/** Both halves that offer themselves to a host while the session is up have one system id and key, and no number twice. */
export function oneSystemId(nodes: readonly NodeConfig[]): Invariant<unknown> {
  const pairs = pairsOf(nodes);
  const view: View<Watched> = { initial: () => initial(pairs), fold };
  return {
    name: "one-system-id",
    source: "IEEE 802.1AX §6.3.2, §6.3.4 (System and Port Identifier); M06, M07",
    settle: SETTLE,
    view: view as View<unknown>,
    broken: (seen) => worst(seen as Watched)?.words,
    from: (seen) => worst(seen as Watched)?.from ?? NEVER,
  };
}
