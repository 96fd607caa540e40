/**
 * Why something is as it is: from the newest fact about it to the one that it comes from, and on to what was done to
 * the world or stands in a file. Each protocol explains its own facts; the engine those of ports, orders and power.
 */
import { WORLD } from "../core/log.ts";
import type { Command } from "../core/machine.ts";
import { formatInstant, type Instant } from "../core/time.ts";
import { type Account, configured, type Fact, type Ground, type History, type Origin, Past, typeOf } from "./past.ts";
import type { AnyProtocol, NodeConfig } from "./protocol.ts";

/** Steps of one chain; the longest in a lab has a dozen. */
const MAX_STEPS = 64;
/** Facts that say the same of a subject again and are looked through for the first. */
const MAX_REPEATS = 4_096;

/** All that was said up to `at`. */
export function pastAt(
  history: History,
  ground: Ground,
  nodes: readonly NodeConfig[],
  protocols: readonly AnyProtocol[],
  at: Instant,
): Past {
  const below = (node: NodeConfig, port: string) =>
    protocols.flatMap(({ explain: own }) => own?.below?.(node, port) ?? []);
  return Past.at({ history, ground, nodes, below }, at);
}

/** One line of a chain. */
export interface Step {
  readonly at: Instant;
  readonly node: string;
  readonly type: string;
  readonly text: string;
  readonly reason: string;
}

export interface Explanation {
  /** "sw2:agg1". */
  readonly subject: string;
  readonly at: Instant;
  readonly state: string;
  readonly reason: string;
  /** Since when it is so for this reason. */
  readonly since: Instant;
  readonly text: string;
  /** From the nearest cause to the first. */
  readonly chain: readonly Step[];
  readonly ends?: string;
  /** Older facts would be needed, and are not kept. */
  readonly incomplete: boolean;
}

/** The words after "NODE:" that can be asked for. */
export function subjectsOf(node: NodeConfig, protocols: readonly AnyProtocol[], wires: readonly string[]): string[] {
  return [...new Set([...wires, ...protocols.flatMap(({ explain }) => explain?.subjects(node) ?? [])])];
}

export function isSubject(
  node: NodeConfig,
  word: string,
  protocols: readonly AnyProtocol[],
  wires: readonly string[],
): boolean {
  if (subjectsOf(node, protocols, wires).includes(word)) return true;
  return protocols.some(({ explain }) => explain?.accepts?.(node, word) === true);
}

/** Why `word` of the node is as it is at the end of `past`; the subject must be one. */
export function explain(
  node: NodeConfig,
  word: string,
  past: Past,
  protocols: readonly AnyProtocol[],
  at: Instant,
): Explanation {
  let found = stand(node, word, past, protocols);
  let account = isFact(found) ? accountOf(found, past, protocols) : found;
  for (let i = 0; i < MAX_REPEATS && isFact(found); i++) {
    const earlier = stand(node, word, past.before(found), protocols);
    if (!isFact(earlier) || earlier.order >= found.order || earlier.node !== found.node) break;
    const before = accountOf(earlier, past, protocols);
    if (before.state !== account.state || before.reason !== account.reason || before.detail !== account.detail) break;
    account = before;
    found = earlier;
  }
  const first = past.born(node.node)?.at ?? (0 as Instant);
  const { state, reason } = account;
  const still = past.ground.still(past, node.node);
  // What it was when it came to a standstill: it knows no better itself.
  const frozen = still === undefined ? "" : `; ${node.node} stands still since ${formatInstant(still.at)} s`;
  const text = `${account.text}${frozen}`;
  const ends = endsOf(account, past, protocols);
  return {
    subject: `${node.node}:${word}`,
    at,
    state,
    reason,
    since: isFact(found) ? found.at : first,
    text,
    chain: chainOf(isFact(found) ? found : undefined, account, past, protocols, first),
    ...(ends === undefined ? {} : { ends }),
    incomplete: past.incomplete,
  };
}

/** "when M-LAG takes the bundle back: when the session is up" */
function endsOf(account: Account, past: Past, protocols: readonly AnyProtocol[]): string | undefined {
  if (account.ends === undefined) return undefined;
  const parts = [account.ends];
  let here = account;
  while (
    here.endsWithCause === true &&
    here.because !== undefined &&
    isFact(here.because) &&
    parts.length < MAX_STEPS
  ) {
    here = accountOf(here.because, past, protocols);
    if (here.ends === undefined) break;
    parts.push(here.ends);
  }
  return parts.join(": ");
}

function isFact(found: Fact | Account | Origin): found is Fact {
  return "order" in found;
}

function stand(node: NodeConfig, word: string, past: Past, protocols: readonly AnyProtocol[]): Fact | Account {
  const off = past.off(node.node);
  if (off !== undefined) return off;
  // What stands higher says more: an M-LAG of a bundle, a bundle of its port.
  for (const protocol of protocols.toReversed()) {
    const found = protocol.explain?.now(node, word, past);
    if (found !== undefined) return found;
  }
  return past.link(node.node, word) ?? neverUp(node.node, word, past);
}

/** Of a port that had no carrier yet. */
function neverUp(node: string, port: string, past: Past): Account {
  const because =
    past.ground.carrier(past, node, port, false) ??
    (past.ground.ends(node, port).length === 0 ? configured(node, `no link has ${node}:${port}`) : past.born(node));
  const ends = "when its wire is whole and the far end has power";
  return { state: "down", reason: "no-carrier", text: `${port}: no carrier yet`, because, ends };
}

function chainOf(
  first: Fact | undefined,
  account: Account,
  past: Past,
  protocols: readonly AnyProtocol[],
  start: Instant,
): Step[] {
  const steps: Step[] = [];
  const seen = new Set<number>(first === undefined ? [] : [first.order]);
  let { because } = account;
  let here: { readonly at: Instant; readonly node: string } | undefined = first;
  while (because !== undefined && steps.length < MAX_STEPS) {
    if (!isFact(because)) {
      const { node, type, text } = because;
      steps.push({
        at: type === "configuration" ? (0 as Instant) : (here?.at ?? start),
        node,
        type,
        text,
        reason: type,
      });
      break;
    }
    // Two that wait for each other: the chain ends with the start of the last.
    if (seen.has(because.order)) because = past.born(because.node) ?? because;
    seen.add(because.order);
    here = because;
    const next = accountOf(because, past, protocols);
    const { at, node } = because;
    const type = node === WORLD ? past.ground.words(because).type : typeOf(because);
    steps.push({ at, node, type, text: next.text, reason: next.reason });
    because = next.because;
    if (because !== undefined && isFact(because) && seen.has(because.order) && typeOf(because) === "node.on") break;
  }
  return steps;
}

function accountOf(fact: Fact, past: Past, protocols: readonly AnyProtocol[]): Account {
  return general(fact, past) ?? special(fact, past, protocols) ?? unknown(fact, past);
}

/** What is said of a fact by its protocol. */
function special(fact: Fact, past: Past, protocols: readonly AnyProtocol[]): Account | undefined {
  for (const { explain: own } of protocols) {
    const account = own?.account(fact, past);
    if (account !== undefined) return account;
  }
  return undefined;
}

function unknown(fact: Fact, past: Past): Account {
  const type = typeOf(fact);
  return { state: type, reason: "event", text: type, because: past.before(fact).born(fact.node) };
}

/** "track (name nginx, up false)": its verb, and all that it says in plain values. */
function orderWords({ verb, ...fields }: Command): string {
  const plain = Object.entries(fields).filter(([, value]) => value !== undefined && typeof value !== "object");
  return plain.length === 0 ? verb : `${verb} (${plain.map(([key, value]) => `${key} ${value}`).join(", ")})`;
}

/** What the engine itself says, and what hosts put into nodes. */
function general(fact: Fact, past: Past): Account | undefined {
  const { what, node, way } = fact;
  if (node === WORLD) return { state: "done", reason: "script", text: past.ground.words(fact).text };
  switch (what.kind) {
    case "event": {
      const { type } = what.event;
      if (type !== "node.on" && type !== "node.off") return undefined;
      const on = type === "node.on";
      const because = past.ground.order(past.before(fact), fact);
      const text = on ? `${node} is switched on` : `${node} has no power`;
      const ends = on ? undefined : "when it is switched on";
      return { state: on ? "on" : "off", reason: on ? "power-on" : "power-off", text, because, ends };
    }
    case "command": {
      const { verb } = what.command;
      const because = past.ground.order(past.before(fact), fact) ?? past.before(fact).born(node);
      return { state: verb, reason: "command", text: `order to ${what.to}: ${orderWords(what.command)}`, because };
    }
    case "link": {
      if (way === "out") return undefined;
      const { port, up } = what;
      const because = past.ground.carrier(past.before(fact), node, port.name, up) ?? past.before(fact).born(node);
      const text = `${port.name}: link ${up ? "up" : "down"}`;
      if (up) return { state: "up", reason: "carrier", text, because };
      const ends = "when its wire is whole and the far end has power";
      return { state: "down", reason: "no-carrier", text, because, ends };
    }
    default:
      return undefined;
  }
}
