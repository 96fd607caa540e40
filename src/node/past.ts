/**
 * What was said so far, for explanations: the log's facts by node and type, and what a protocol and a host say of them.
 * `explain.ts` follows them from cause to cause.
 */
import { type Entry, type Reader, WORLD } from "../core/log.ts";
import type { Event } from "../core/machine.ts";
import type { Instant } from "../core/time.ts";
import type { NodeConfig } from "./protocol.ts";
import type { End } from "./units.ts";

/** Facts of one node and type that are kept; at it the older half is forgotten, and explanations say so. */
const MAX_FACTS = 65_536;

/** An event, a command, or the state of a port, with its place in the log. */
export interface Fact extends Entry {
  /** From 1. */
  readonly order: number;
}

/** A cause that is in no log: what a file says, or that somebody sends. */
export interface Origin {
  readonly node: string;
  /** `configuration`: it is so from the start; `traffic`: a frame that came in; `kernel`: what the host's kernel said. */
  readonly type: "configuration" | "traffic" | "kernel";
  readonly text: string;
}

/** What a fact, or the lack of any, says of its subject. */
export interface Account {
  /** In one word: suspended, master, down. */
  readonly state: string;
  /** In one word of a list that `docs/` explains. */
  readonly reason: string;
  /** The fact in words. */
  readonly text: string;
  /** Where it comes from; absent only for what begins a chain. */
  readonly because?: Fact | Origin | undefined;
  /** Under which condition the state ends; absent for one that is as it should be. */
  readonly ends?: string | undefined;
  /** Whether that condition comes with the end of what it comes from. */
  readonly endsWithCause?: boolean | undefined;
  /** What makes two facts of the same state and reason different ones: who withholds, and why. */
  readonly detail?: string | undefined;
}

/** How a protocol explains what it says. */
export interface Explainable {
  /** What of a node can be asked for, by the word after "NODE:". */
  readonly subjects: (node: NodeConfig) => readonly string[];
  /** Whether a word that is in no such list can be asked for all the same: an address. */
  readonly accepts?: (node: NodeConfig, word: string) => boolean;
  /** The newest fact about the subject, or what is so while none has been said; undefined: not this protocol's. */
  readonly now: (node: NodeConfig, word: string, past: Past) => Fact | Account | undefined;
  /** Of a fact of this protocol: one of its events, or the state of a port that it owns. */
  readonly account: (fact: Fact, past: Past) => Account | undefined;
  /** The ports that a port of this protocol stands on: the members of a bundle, the ports of a VLAN. */
  readonly below?: (node: NodeConfig, port: string) => readonly string[];
}

/** Who hears, on which of its wires, and who is to be heard; without `from` whoever is at the other end. */
export interface Hearing {
  readonly node: string;
  readonly wires: readonly string[];
  readonly from?: string | undefined;
}

/** What a host knows of the wires and of what was done to them. */
export interface Ground {
  /** The far ends of the wire under a port. */
  ends(node: string, port: string): readonly End[];
  /** Names of the node's ports with a wire. */
  wires(node: string): readonly string[];
  /** What was done that gave the port carrier, or took it. */
  carrier(past: Past, node: string, port: string, up: boolean): Fact | Origin | undefined;
  /** What stands in the way of hearing, or did last. */
  silence(past: Past, hearing: Hearing): Fact | Origin | undefined;
  /** What was done last to the way, or to those at its ends. */
  touched(past: Past, hearing: Hearing): Fact | undefined;
  /** What was done that had a node step: its own order, or power. */
  order(past: Past, fact: Fact): Fact | undefined;
  /** Since when the node does nothing although it has power; undefined for one that runs. */
  still(past: Past, node: string): Fact | undefined;
  /** A command to the world as words, with its place in the lab's file. */
  words(fact: Fact): { readonly type: string; readonly text: string };
}

interface Kept {
  facts: Fact[];
  forgotten: boolean;
}

/** Keeps the facts of a log as they come. */
export class History implements Reader {
  readonly everything = false;
  private orders = 0;
  private readonly kept = new Map<string, Kept>();
  /** Of the last fact of each time, to find the end of an instant. */
  private readonly times: { at: Instant; order: number }[] = [];

  read(entry: Entry): void {
    const { kind } = entry.what;
    if (kind !== "event" && kind !== "command" && kind !== "link") return;
    const fact: Fact = { ...entry, order: ++this.orders };
    const last = this.times.at(-1);
    if (last?.at === entry.at) last.order = fact.order;
    else this.times.push({ at: entry.at, order: fact.order });
    const key = `${entry.node} ${typeOf(fact)}`;
    const kept = this.kept.get(key) ?? { facts: [], forgotten: false };
    this.kept.set(key, kept);
    if (kept.facts.length >= MAX_FACTS) {
      kept.facts = kept.facts.slice(MAX_FACTS / 2);
      kept.forgotten = true;
    }
    kept.facts.push(fact);
    // Times are no more than facts can be: of those that are forgotten nobody asks for the end.
    if (this.times.length > 8 * MAX_FACTS) this.times.splice(0, 4 * MAX_FACTS);
  }

  of(node: string, type: string): Readonly<Kept> {
    return this.kept.get(`${node} ${type}`) ?? NONE;
  }

  /** The order of the last fact at or before `at`. */
  orderAt(at: Instant): number {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.times[middle]?.at ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return this.times[low - 1]?.order ?? 0;
  }
}

const NONE: Kept = { facts: [], forgotten: false };

/** What the log's type of a fact is. */
export function typeOf({ what }: Fact): string {
  return what.kind === "event" ? what.event.type : what.kind;
}

/** The event of a fact that is known to be one, as the protocol that said it declares it. */
export function eventOf<E extends Event>(fact: Fact): E {
  return (fact.what as unknown as { readonly event: E }).event;
}

interface Known {
  readonly history: History;
  readonly ground: Ground;
  readonly nodes: readonly NodeConfig[];
  /** The ports right below a port, of whatever protocol. */
  readonly below: (node: NodeConfig, port: string) => readonly string[];
  /** A search has come to what is forgotten. */
  missed: boolean;
}

/** All that was said up to one fact. */
export class Past {
  private constructor(
    private readonly known: Known,
    /** The last fact that counts. */
    readonly order: number,
    /** The last fact of the moment that is asked for: no view goes beyond it. */
    private readonly end: number,
  ) {}

  static at(known: Omit<Known, "missed">, at: Instant): Past {
    const end = known.history.orderAt(at);
    return new Past({ ...known, missed: false }, end, end);
  }

  get nodes(): readonly NodeConfig[] {
    return this.known.nodes;
  }

  get ground(): Ground {
    return this.known.ground;
  }

  get incomplete(): boolean {
    return this.known.missed;
  }

  node(name: string): NodeConfig | undefined {
    return this.nodes.find(({ node }) => node === name);
  }

  /** What was said before the fact. */
  before(fact: Fact): Past {
    return new Past(this.known, fact.order - 1, this.end);
  }

  /** What was said up to the end of the fact's instant: machines say what they did in an order of their own. */
  within(fact: Fact): Past {
    return new Past(this.known, Math.min(this.end, this.known.history.orderAt(fact.at)), this.end);
  }

  /** The newest fact of the type that the node has said since it was last switched on. */
  last(node: string, type: string, matches?: (fact: Fact) => boolean): Fact | undefined {
    const since = node === WORLD || type === "node.on" || type === "node.off" ? 0 : (this.born(node)?.order ?? 0);
    for (const fact of this.newest(node, type)) {
      if (fact.order < since) return undefined;
      if (matches?.(fact) ?? true) return fact;
    }
    return undefined;
  }

  /** The newest event of the type. */
  event<E extends Event>(node: string, type: E["type"], matches?: (event: E) => boolean): Fact | undefined {
    return this.last(node, type, matches === undefined ? undefined : (fact) => matches(eventOf<E>(fact)));
  }

  /** The newest state of a port. */
  link(node: string, port: string): Fact | undefined {
    return this.last(node, "link", ({ what }) => what.kind === "link" && what.port.name === port);
  }

  /** The newest order to a machine of the node. */
  command(node: string, to: string, matches?: (command: { readonly verb: string }) => boolean): Fact | undefined {
    return this.last(node, "command", ({ what }) => {
      return what.kind === "command" && what.to === to && (matches?.(what.command) ?? true);
    });
  }

  /** When the node was switched on. */
  born(node: string): Fact | undefined {
    const [on] = this.newest(node, "node.on");
    return on;
  }

  /** Since when the node has no power; undefined for one that has. */
  off(node: string): Fact | undefined {
    const [off] = this.newest(node, "node.off");
    return off !== undefined && off.order > (this.born(node)?.order ?? 0) ? off : undefined;
  }

  /** Newest first, as far as they are kept. */
  *newest(node: string, type: string): Generator<Fact, void, undefined> {
    const { facts, forgotten } = this.known.history.of(node, type);
    let [low, high] = [0, facts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((facts[middle] as Fact).order <= this.order) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0; i--) yield facts[i] as Fact;
    if (forgotten) this.known.missed = true;
  }

  /** The wires that a port stands on: its own, or those of the ports below it. */
  wires(node: string, port: string, depth = 0): readonly string[] {
    const own = this.ground.wires(node);
    const config = this.node(node);
    if (own.includes(port) || config === undefined || depth > 4) return own.includes(port) ? [port] : [];
    return [...new Set(this.known.below(config, port).flatMap((one) => this.wires(node, one, depth + 1)))];
  }

  /** What keeps `node` from hearing `from` on the port. */
  silence(node: string, port: string, from?: string): Fact | Origin | undefined {
    return this.ground.silence(this, { node, wires: this.wires(node, port), from });
  }

  /** What was done last to the way between them. */
  touched(node: string, port: string, from?: string): Fact | undefined {
    return this.ground.touched(this, { node, wires: this.wires(node, port), from });
  }
}

/** The newest of several facts. */
export function newest(...facts: readonly (Fact | undefined)[]): Fact | undefined {
  let best: Fact | undefined;
  for (const fact of facts) if (fact !== undefined && fact.order > (best?.order ?? 0)) best = fact;
  return best;
}

export function configured(node: string, text: string): Origin {
  return { node, type: "configuration", text };
}
