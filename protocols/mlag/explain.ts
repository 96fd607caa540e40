/** Why roles, sessions and members are as they are. Every reason has a line in `explain-reasons.ts`. */
import type { Event } from "../../src/core/machine.ts";
import { type Account, type Explainable, eventOf, type Fact, type Past } from "../../src/node/past.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import { channelPort, type IccpSession, iccpPort } from "../iccp/events.ts";
import type { LacpPortEvent } from "../lacp/events.ts";
import { type TcpSession, tcpPort } from "../tcp/events.ts";
import type { MlagConfig } from "./config.ts";
import { describe } from "./describe.ts";
import type {
  KeepaliveEvent,
  LacpHold,
  MemberEvent,
  MlagEvent,
  OrphanEvent,
  RoleEvent,
  SessionEvent,
} from "./events.ts";
import type { Case } from "./explain-causes.ts";
import { because, comeback, ends, startEnds } from "./explain-reasons.ts";
import { transportAccount } from "./explain-session.ts";
import { SESSION } from "./machine.ts";

const PARTS = ["mlag", "role", "session", "keepalive"] as const;

export const explain: Explainable = {
  subjects(node) {
    const config = configOf(node);
    return config === undefined ? [] : [...PARTS, ...config.members.map(({ port }) => port), ...config.orphans.suspend];
  },

  below(node, port) {
    const config = configOf(node);
    const channel = [channelPort(config?.peerLink ?? ""), tcpPort(SESSION), iccpPort(SESSION)];
    return config !== undefined && channel.includes(port) ? [config.peerLink] : [];
  },

  now(node, word, past) {
    const config = configOf(node);
    if (config === undefined) return undefined;
    const name = node.node;
    switch (word) {
      case "mlag":
      case "role":
        return past.event<RoleEvent>(name, "mlag.role") ?? none(past, config, name, "no role yet");
      case "session":
        return past.event<SessionEvent>(name, "mlag.session") ?? none(past, config, name, "no session yet");
      case "keepalive":
        return past.event<KeepaliveEvent>(name, "mlag.keepalive") ?? silent(past, config, name);
      default:
    }
    if (config.orphans.suspend.includes(word)) {
      const fact = past.event<OrphanEvent>(name, "mlag.orphan", (event) => event.port === word);
      return fact !== undefined && eventOf<OrphanEvent>(fact).suspended ? fact : undefined;
    }
    return config.members.some(({ port }) => port === word) ? memberNow(past, config, name, word) : undefined;
  },

  account(fact, past) {
    const node = past.node(fact.node);
    const config = node === undefined ? undefined : configOf(node);
    if (node === undefined || config === undefined) return undefined;
    const { what } = fact;
    if (what.kind === "link" && fact.way === "out") return ownPort(fact, config, past);
    if (what.kind !== "event") return undefined;
    const { type } = what.event;
    const one: Case = { fact, node: node.node, config, past: past.before(fact), instant: past.within(fact), all: past };
    if (type === "iccp.session" || type === "tcp.session") {
      return transportAccount(eventOf<IccpSession | TcpSession>(fact), one);
    }
    return type.startsWith("mlag.") ? accountOf(eventOf<MlagEvent>(fact), one) : undefined;
  },
};

export function configOf(node: NodeConfig): MlagConfig | undefined {
  return node["mlag"] as MlagConfig | undefined;
}

/** What is said of a half, as long as it says more than the bundle below it does. */
function memberNow(past: Past, config: MlagConfig, node: string, port: string): Fact | Account | undefined {
  const fact = past.event<MemberEvent>(node, "mlag.member", (event) => event.port === port);
  if (fact === undefined) return none(past, config, node, `nothing has been said of ${port} yet`);
  const { local, reason, state } = eventOf<MemberEvent>(fact);
  if (local || state === "suspended") return fact;
  const hold = past.event<LacpHold>(node, "mlag.hold", (event) => event.bundle === port);
  const held = hold !== undefined && eventOf<LacpHold>(hold).hold;
  // It may carry, and does not, or has nobody to carry for: its links say why.
  if (!held || LINKS.includes(reason)) return undefined;
  return reason === "isolation-pending" && !waits(past, node, port) ? undefined : fact;
}

/** Whether a link of the bundle waits for nothing but M-LAG. */
function waits(past: Past, node: string, bundle: string): boolean {
  const seen = new Set<string>();
  const born = past.born(node)?.order ?? 0;
  for (const fact of past.newest(node, "lacp.port")) {
    if (fact.order < born) break;
    const { bundle: name, port, reason } = eventOf<LacpPortEvent>(fact);
    if (name !== bundle || seen.has(port)) continue;
    seen.add(port);
    if (reason === "hold") return true;
  }
  return false;
}

const LINKS: readonly string[] = ["local-down", "local-up", "peer-up", "peer-down"];

function none(past: Past, config: MlagConfig, node: string, text: string): Account {
  const because = past.last(node, "iccp.session") ?? past.born(node);
  return { state: "none", reason: "start", text, because, ends: startEnds(past, config, node) };
}

function silent(past: Past, config: MlagConfig, node: string): Account {
  const because = past.silence(node, config.keepalive.port) ?? past.born(node);
  return {
    state: "down",
    reason: "start",
    text: "nothing heard yet",
    because,
    ends: "when a message of the peer comes",
  };
}

/** The port of the session, of the transport, of the control VLAN. */
function ownPort(fact: Fact, config: MlagConfig, past: Past): Account | undefined {
  if (fact.what.kind !== "link") return undefined;
  const { port, up } = fact.what;
  const instant = past.within(fact);
  const from = () => {
    switch (port.name) {
      case iccpPort(SESSION):
        return instant.event<IccpSession>(fact.node, "iccp.session", (event) => event.up === up);
      case tcpPort(SESSION):
        return instant.event<TcpSession>(fact.node, "tcp.session", (event) => event.up === up);
      case channelPort(config.peerLink):
        return instant.link(fact.node, config.peerLink);
      default:
        return undefined;
    }
  };
  const because = from();
  if (because === undefined) return undefined;
  const state = up ? "up" : "down";
  const ending = up ? undefined : `when ${comeback(config, false)}`;
  return { state, reason: up ? "carrier" : "no-carrier", text: `${port.name}: ${state}`, because, ends: ending };
}

function accountOf(event: MlagEvent, one: Case): Account | undefined {
  if (event.type === "mlag.drop") return undefined;
  const state = stateOf(event);
  const text = textOf(event);
  if (!("reason" in event)) {
    const from = event.type === "mlag.system" ? one.past.event<RoleEvent>(one.node, "mlag.role") : undefined;
    return { state, reason: "told", text, because: from ?? alarmCause(event, one) ?? one.past.born(one.node) };
  }
  const { reason } = event;
  const from = because(reason, event, one) ?? one.past.born(one.node);
  return { state, reason, text, because: from, ends: isGood(event) ? undefined : ends(reason, event, one) };
}

function alarmCause(event: Event, { past, node }: Case): Fact | undefined {
  return event.type === "mlag.alarm"
    ? (past.event<KeepaliveEvent>(node, "mlag.keepalive") ?? past.event<SessionEvent>(node, "mlag.session"))
    : undefined;
}

/** In one word. */
function stateOf(event: Exclude<MlagEvent, { readonly type: "mlag.drop" }>): string {
  switch (event.type) {
    case "mlag.session":
    case "mlag.keepalive":
      return event.up ? "up" : "down";
    case "mlag.role":
      return event.role;
    case "mlag.member":
      return event.state;
    case "mlag.hold":
      return event.hold ? "held" : "free";
    case "mlag.suspend":
    case "mlag.orphan":
      return event.suspended ? "suspended" : "in service";
    default:
      return event.type;
  }
}

function textOf(event: MlagEvent): string {
  switch (event.type) {
    case "mlag.hold":
      return `${event.bundle}: SYNC ${event.hold ? "is withheld" : "may be given"} (${event.reason})`;
    case "mlag.suspend":
      return `${event.bundle}: ${event.suspended ? "out of service" : "back in service"} (${event.reason})`;
    case "mlag.system":
      return `${event.bundle}: LACP system id ${event.system}`;
    case "mlag.keepalive":
      if (event.reason === "answered") return "keepalive: the peer answered a question asked after the loss (answered)";
      return describe(event) ?? event.type;
    default:
      return describe(event) ?? event.type;
  }
}

/** Whether nothing is to be waited for. */
function isGood(event: MlagEvent): boolean {
  switch (event.type) {
    case "mlag.session":
    case "mlag.keepalive":
      return event.up;
    case "mlag.role":
      return !event.alone;
    case "mlag.member":
      return event.state === "active-full";
    case "mlag.hold":
      return !event.hold;
    case "mlag.suspend":
    case "mlag.orphan":
      return !event.suspended;
    default:
      return false;
  }
}
