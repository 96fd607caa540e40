/** Why a station is where the table says, or is no longer in it; and why the routed port of a VLAN is up or down. */
import { type Mac, parseMac } from "../../src/core/addr.ts";
import { formatDuration } from "../../src/core/time.ts";
import {
  type Account,
  type Explainable,
  eventOf,
  type Fact,
  newest,
  type Origin,
  type Past,
} from "../../src/node/past.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { BridgeConfig } from "./config.ts";
import type { MacEvent } from "./events.ts";

const TYPES = ["mac.learned", "mac.moved", "mac.aged"] as const;

export const explain: Explainable = {
  subjects: (node) => [...(configOf(node)?.vlans.keys() ?? [])].map((vlan) => `vlan${vlan}`),
  accepts: (node, word) => configOf(node) !== undefined && stationOf(word) !== undefined,
  below: (node, port) => portsOf(node, port),

  now(node, word, past) {
    const config = configOf(node);
    if (config === undefined) return undefined;
    const station = stationOf(word);
    if (station !== undefined)
      return newest(...TYPES.map((type) => entry(past, node.node, type, station))) ?? never(past, node, word);
    const ports = portsOf(node, word);
    if (ports.length === 0) return undefined;
    const said = past.link(node.node, word);
    if (said !== undefined && said.what.kind === "link" && said.what.up) return said;
    const text = `${word}: none of ${ports.join(", ")} is up`;
    const because = lastOf(past, node.node, ports) ?? past.born(node.node);
    return said ?? { state: "down", reason: "no-port", text, because, ends: portEnds(ports) };
  },

  account(fact, past) {
    const node = past.node(fact.node);
    const config = node === undefined ? undefined : configOf(node);
    if (node === undefined || config === undefined) return undefined;
    if (fact.what.kind === "link") {
      const ports = fact.way === "out" ? portsOf(node, fact.what.port.name) : [];
      return ports.length === 0 ? undefined : routed(fact, ports, past);
    }
    if (fact.what.kind !== "event" || !(TYPES as readonly string[]).includes(fact.what.event.type)) return undefined;
    return accountOf(eventOf<MacEvent>(fact), fact, config, past);
  },
};

function configOf(node: NodeConfig): BridgeConfig | undefined {
  return node["bridge"] as BridgeConfig | undefined;
}

/** The ports of the VLAN that a routed port is the way into. */
function portsOf(node: NodeConfig, port: string): readonly string[] {
  const vlan = configOf(node)?.vlans.get(Number(/^vlan(\d+)$/.exec(port)?.[1] ?? Number.NaN));
  return vlan === undefined ? [] : [...vlan.tagged, ...vlan.untagged];
}

// --- routed ports ---

function routed(fact: Fact, ports: readonly string[], past: Past): Account | undefined {
  if (fact.what.kind !== "link") return undefined;
  const { port, up } = fact.what;
  const state = up ? "up" : "down";
  const because = lastOf(past.before(fact), fact.node, ports) ?? past.before(fact).born(fact.node);
  const text = `${port.name}: ${up ? "a port of the VLAN is up" : "no port of the VLAN is up"}`;
  return { state, reason: up ? "port-up" : "no-port", text, because, ends: up ? undefined : portEnds(ports) };
}

function portEnds(ports: readonly string[]): string {
  return `when one of ${ports.join(", ")} is up`;
}

/** The port that changed last: the first that came, or the last that went. */
function lastOf(past: Past, node: string, ports: readonly string[]): Fact | undefined {
  return newest(...ports.map((port) => past.link(node, port)));
}

// --- stations ---

interface Station {
  readonly vlan: number | undefined;
  readonly mac: Mac;
}

/** "mac/02:00:00:00:00:01", "mac/10/02:00:00:00:00:01" */
function stationOf(word: string): Station | undefined {
  const match = /^mac\/(?:(\d+)\/)?([0-9a-fA-F:-]+)$/.exec(word);
  const mac = match === null ? undefined : parseMac(match[2] ?? "");
  return mac === undefined ? undefined : { mac, vlan: match?.[1] === undefined ? undefined : Number(match[1]) };
}

function entry(past: Past, node: string, type: MacEvent["type"], { vlan, mac }: Station): Fact | undefined {
  return past.event<MacEvent>(node, type, (event) => event.mac === mac && (vlan === undefined || event.vlan === vlan));
}

function never(past: Past, { node }: NodeConfig, word: string): Account {
  const text = `${word.slice("mac/".length)}: not in the table, nothing was heard of it`;
  return {
    state: "unknown",
    reason: "never-heard",
    text,
    because: past.born(node),
    ends: "when a frame from it comes in",
  };
}

function accountOf(event: MacEvent, fact: Fact, { ageing }: BridgeConfig, past: Past): Account {
  const { vlan, mac, port, origin } = event;
  const before = past.before(fact);
  const where = origin === "peer" ? "at the M-LAG peer" : "here";
  const age = formatDuration(ageing);
  if (event.type !== "mac.aged") {
    const text = `${mac} in VLAN ${vlan}: ${event.type === "mac.moved" ? "moved to" : "found"} ${port}, heard ${where}`;
    const ends =
      origin === "peer"
        ? "when the peer takes its word back, a frame from it comes in here, or the peer is gone"
        : `when nothing is heard of it for ${age}, it is heard elsewhere, or ${port} goes down`;
    const because =
      origin === "peer" ? (atPeer(before, fact.node, event) ?? before.born(fact.node)) : heardOn(before, fact, event);
    return { state: port, reason: origin === "peer" ? "peer-heard" : "heard", text, because, ends };
  }
  const reason = event.reason ?? "ageing";
  const kept = origin === "local" && reason === "ageing" ? keptByPeer(before, fact.node, event) : undefined;
  const text = `${mac} in VLAN ${vlan} behind ${port}: ${AGED[reason]}, heard ${where}`;
  if (kept !== undefined) {
    return {
      state: port,
      reason: "kept-by-peer",
      text,
      because: kept,
      ends: "when the peer has not heard it for its ageing time either",
    };
  }
  return { state: "gone", reason, text, because: agedBy(before, fact, event), ends: "when a frame from it comes in" };
}

const AGED: Readonly<Record<NonNullable<MacEvent["reason"]>, string>> = {
  ageing: "not heard for the ageing time",
  "link-down": "its port went down",
  "peer-aged": "the peer no longer has it",
};

/** A frame from it came in; where it was before, something has happened that made it come this way. */
function heardOn(past: Past, fact: Fact, { mac, port, type }: MacEvent): Fact | Origin {
  const text = `a frame from ${mac} came in on ${port}`;
  const traffic: Origin = { node: fact.node, type: "traffic", text };
  if (type !== "mac.moved") return traffic;
  return past.touched(fact.node, port) ?? traffic;
}

function same(event: MacEvent, other: MacEvent): boolean {
  return event.mac === other.mac && event.vlan === other.vlan;
}

/** The other switch's own word about the station. */
function atPeer(
  past: Past,
  node: string,
  event: MacEvent,
  types: readonly MacEvent["type"][] = ["mac.learned", "mac.moved"],
): Fact | undefined {
  const found = past.nodes
    .filter((other) => other.node !== node && configOf(other) !== undefined)
    .flatMap((other) =>
      types.map((type) =>
        past.event<MacEvent>(other.node, type, (said) => same(said, event) && said.origin === "local"),
      ),
    );
  return newest(...found);
}

/** The newest word of the peer, when it is that it has the station. */
function keptByPeer(past: Past, node: string, event: MacEvent): Fact | undefined {
  const of = (type: MacEvent["type"]) =>
    past.event<MacEvent>(node, type, (said) => same(said, event) && said.origin === "peer");
  const placed = newest(of("mac.learned"), of("mac.moved"));
  const taken = of("mac.aged");
  return placed !== undefined && placed.order > (taken?.order ?? 0) ? placed : undefined;
}

function agedBy(past: Past, fact: Fact, event: MacEvent): Fact | Origin | undefined {
  const { node } = fact;
  switch (event.reason) {
    case "link-down":
      return past.link(node, event.port) ?? past.born(node);
    case "peer-aged":
      return atPeer(past, node, event, ["mac.aged"]) ?? past.born(node);
    default:
      return (
        newest(...(["mac.learned", "mac.moved"] as const).map((type) => entry(past, node, type, event))) ??
        past.born(node)
      );
  }
}
