/** The facts that what the M-LAG machine says comes from: its own, the transport's, the links', the peer's. */
import { configured, eventOf, type Fact, newest, type Origin, type Past } from "../../src/node/past.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { IccpSession } from "../iccp/events.ts";
import type { LacpBundleEvent, LacpPartnerEvent, LacpPortEvent } from "../lacp/events.ts";
import type { MlagConfig } from "./config.ts";
import type {
  AlarmEvent,
  KeepaliveEvent,
  LacpHold,
  LacpSuspend,
  MaintenanceEvent,
  MlagEvent,
  MlagReason,
  OrphanEvent,
  RoleEvent,
  SessionEvent,
} from "./events.ts";

/** An event of this protocol, with what was said before it. */
export interface Case {
  readonly fact: Fact;
  readonly node: string;
  readonly config: MlagConfig;
  readonly past: Past;
  /** With what was said in the same instant. */
  readonly instant: Past;
  /** Up to the moment that is asked for. */
  readonly all: Past;
}

export type Because = Fact | Origin | undefined;
export type Told = Extract<MlagEvent, { readonly reason: MlagReason }>;

export function peerOf({ node, config, past }: Pick<Case, "node" | "config" | "past">): string | undefined {
  const { peer } = config.keepalive;
  return past.nodes.find((other) => {
    const theirs = other["mlag"] as MlagConfig | undefined;
    return other.node !== node && theirs?.domain === config.domain && theirs.keepalive.address.address === peer;
  })?.node;
}

export function session({ past, node }: Case): Fact | undefined {
  return past.event<SessionEvent>(node, "mlag.session") ?? past.born(node);
}

export function role({ past, node }: Case): Fact | undefined {
  return past.event<RoleEvent>(node, "mlag.role");
}

export function transport({ instant: now, node }: Case, up: boolean): Fact | undefined {
  return now.event<IccpSession>(node, "iccp.session", (event) => event.up === up);
}

/** What last happened to the peer link or to those at its ends. */
export function way(one: Case): Fact | undefined {
  const { past, node, config } = one;
  const peer = peerOf(one);
  const there = peer === undefined ? undefined : (past.off(peer) ?? past.born(peer));
  return newest(past.link(node, config.peerLink), there, past.born(node), past.touched(node, config.peerLink, peer));
}

export function keepaliveWay(one: Case): Fact | undefined {
  const { past, node, config } = one;
  const peer = peerOf(one);
  const { port } = config.keepalive;
  const there = peer === undefined ? undefined : (past.off(peer) ?? past.born(peer));
  return newest(past.link(node, port), there, past.born(node), past.touched(node, port, peer));
}

/** The word on which it is known that the peer lives. */
export function answer({ past, node }: Case): Fact | undefined {
  return past.event<KeepaliveEvent>(node, "mlag.keepalive", ({ up }) => up);
}

export function silence({ past, node }: Case): Fact | undefined {
  const lost = past.event<SessionEvent>(node, "mlag.session");
  const down = past.event<KeepaliveEvent>(node, "mlag.keepalive");
  return newest(lost, down !== undefined && !eventOf<KeepaliveEvent>(down).up ? down : undefined);
}

/** A half that carried was drained before it was suspended: the order to do so came first. */
export function drained({ past, node }: Case, event: Told): Fact | undefined {
  const port =
    event.type === "mlag.member" && event.state === "suspended"
      ? event.port
      : event.type === "mlag.suspend" && event.suspended
        ? event.bundle
        : undefined;
  if (port === undefined) return undefined;
  const hold = past.event<LacpHold>(node, "mlag.hold", ({ bundle: name }) => name === port);
  if (hold === undefined) return undefined;
  const { hold: on, reason } = eventOf<LacpHold>(hold);
  return on && reason === event.reason ? hold : undefined;
}

/** What was over when it was restored. */
export function withheld({ past, node }: Case, event: Told): Fact | undefined {
  const port = portOf(event);
  if (event.type === "mlag.orphan") {
    return past.event<OrphanEvent>(node, "mlag.orphan", (said) => said.port === port && said.suspended);
  }
  const hold = past.event<LacpHold>(node, "mlag.hold", (said) => said.bundle === port && said.hold);
  const suspend = past.event<LacpSuspend>(node, "mlag.suspend", (said) => said.bundle === port && said.suspended);
  return newest(hold, suspend);
}

export function portOf(event: MlagEvent): string | undefined {
  if (event.type === "mlag.hold" || event.type === "mlag.suspend") return event.bundle;
  return "port" in event ? event.port : undefined;
}

export function bundle({ instant: now, past, node }: Case, event: Told): Because {
  const port = portOf(event);
  return now.event<LacpBundleEvent>(node, "lacp.bundle", (said) => said.bundle === port) ?? past.born(node);
}

const UNHEARD: readonly string[] = ["silent", "no-partner", "link-down"];

export function partner({ past, node }: Case, event: Told): Because {
  const port = portOf(event);
  const heard = past.event<LacpPartnerEvent>(node, "lacp.partner", (said) => said.bundle === port);
  // It carried before, and lost its links: from there it has to come again.
  const lost = past.event<LacpBundleEvent>(node, "lacp.bundle", (said) => said.bundle === port && !said.up);
  const unheard = past.event<LacpPortEvent>(
    node,
    "lacp.port",
    (said) => said.bundle === port && UNHEARD.includes(said.reason),
  );
  return newest(heard, lost, unheard) ?? past.born(node);
}

/** The newest word on who is at the other end, here or at the peer. */
export function mismatch(one: Case): Because {
  const peer = peerOf(one);
  const there = peer === undefined ? undefined : one.past.event<LacpPartnerEvent>(peer, "lacp.partner");
  return newest(one.past.event<LacpPartnerEvent>(one.node, "lacp.partner"), there);
}

/** What the peer says of its half; or the loss of the session, without which nothing is known of it. */
export function peerHalf(one: Case, event: Told): Because {
  const { past, node, config } = one;
  const lost = past.event<SessionEvent>(node, "mlag.session");
  const peer = peerOf(one);
  const theirs = peer === undefined ? undefined : past.node(peer);
  const down = lost !== undefined && !eventOf<SessionEvent>(lost).up;
  if (down || peer === undefined || theirs === undefined) return lost ?? past.born(node);
  const id = config.members.find(({ port }) => port === portOf(event))?.id;
  const port = memberPort(theirs, id);
  const half = past.event<LacpBundleEvent>(peer, "lacp.bundle", (said) => said.bundle === port);
  const link = past.event<LacpPortEvent>(peer, "lacp.port", (said) => said.bundle === port);
  // A half that has never been up has said nothing of it: its link has.
  const up = half !== undefined && eventOf<LacpBundleEvent>(half).up;
  return (up ? half : (link ?? half)) ?? lost ?? past.born(peer);
}

export function memberPort(node: NodeConfig, id: number | undefined): string | undefined {
  return (node["mlag"] as MlagConfig | undefined)?.members.find((member) => member.id === id)?.port;
}

/** The newest order of the operator to this machine. */
export function own({ past, node }: Case, verb: string): Fact | undefined {
  const order = past.command(node, "mlag", (command) => command.verb === verb);
  return verb === "stop"
    ? newest(
        order,
        past.command(node, "*", (command) => command.verb === verb),
      )
    : order;
}

export function peerOwn(one: Case, verb: string): Fact | undefined {
  const peer = peerOf(one);
  return peer === undefined ? undefined : own({ ...one, node: peer }, verb);
}

/** Why the peer has left in an orderly way. */
export function peerOrder(one: Case): Fact | undefined {
  return newest(peerOwn(one, "stop"), peerOwn(one, "maintenance"));
}

export function maintained({ past, node }: Case): Fact | undefined {
  return past.event<MaintenanceEvent>(node, "mlag.maintenance", ({ refused }) => !refused);
}

export function disagreement({ past, node }: Case, event: Told): Because {
  const detail = "detail" in event && event.detail !== undefined ? event.detail : undefined;
  if (detail !== undefined) return configured(node, detail);
  const alarm = past.event<AlarmEvent>(
    node,
    "mlag.alarm",
    ({ alarm: name, active }) => active && name === "type-1-mismatch",
  );
  return configured(
    node,
    alarm === undefined ? "the files of the two switches differ" : eventOf<AlarmEvent>(alarm).detail,
  );
}
