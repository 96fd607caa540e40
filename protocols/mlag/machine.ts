/** The M-LAG machine on a node: what its siblings say, the session's items and the keepalive's packets, to the core and back. */
import type { Mac } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Env, Input, Machine, Output, Port } from "../../src/core/machine.ts";
import { after, type Instant, NEVER } from "../../src/core/time.ts";
import type { MacEvent } from "../bridge/events.ts";
import { type IccpSession, iccpPort, itemsFrame, itemsOf } from "../iccp/events.ts";
import { decodeIp, type IpPacket, ipPacket, NETWORK_CONTROL, PROTOCOL } from "../ip/codec.ts";
import { factsOf, IP_PORT, type IpAddresses, type IpNeighbour, type IpVirtual, packetFrame } from "../ip/events.ts";
import { STATE } from "../lacp/codec.ts";
import type { LacpBundleEvent, LacpCollectingEvent, LacpPartnerEvent, LacpPortEvent } from "../lacp/events.ts";
import { decodeUdp, encodeUdp, UDP_HEADER } from "../udp/codec.ts";
import type { VrrpStateEvent } from "../vrrp/events.ts";
import { encodeKeepalive, KEEPALIVE_PORT, type Keepalive } from "./codec.ts";
import type { MlagCommand, MlagConfig } from "./config.ts";
import * as core from "./core.ts";
import type { MlagEvent, MlagReason } from "./events.ts";
import * as gateway from "./gateway.ts";
import { announceRestart, demote, patience } from "./grace.ts";
import {
  type KeepaliveState,
  keepaliveDeadline,
  lose,
  newKeepalive,
  openPath,
  receiveOctets,
  tick,
} from "./keepalive.ts";
import { heardHere, ownAddress } from "./macs.ts";
import { orderMaintenance, partnerRate } from "./maintenance.ts";
import { heardNeighbour, offerAgain, vlanOf } from "./neighbours.ts";
import { initialState, type LinkWord, type MlagState, note, sooner } from "./state.ts";
import { foldRow, type MlagRow, newRow } from "./view.ts";

/** Alarms that are shown; the one raised first makes room. */
const MAX_ALARMS = 64;
/** The name of the session, for `iccpPort` and `tcpPort`. */
export const SESSION = "mlag";

export interface MlagMachineState {
  readonly core: MlagState;
  readonly path: KeepaliveState;
  readonly peerLink: Port;
  readonly keepalivePort: Port;
  readonly session: Port;
  readonly ip: Port;
  sessionUp: boolean;
  /** The keepalive's port has carrier. */
  keepaliveUp: boolean;
  /** When a timer is due, as of the last input. */
  due: Instant;
  /** What was said last, for whoever asks. */
  readonly row: MlagRow;
  /** Of each interface of the switch, its VLAN and the address that the peer has been told. */
  readonly interfaces: Map<string, { readonly vlan: number; readonly mac: Mac }>;
}

type Heard =
  | MacEvent
  | IccpSession
  | LacpBundleEvent
  | LacpCollectingEvent
  | LacpPartnerEvent
  | LacpPortEvent
  | IpAddresses
  | IpVirtual
  | IpNeighbour
  | VrrpStateEvent;

export const mlag: Machine<MlagConfig, MlagMachineState, MlagCommand, MlagEvent, Heard> = {
  name: "mlag",
  hears: [
    "mac.learned",
    "mac.moved",
    "mac.aged",
    "lacp.bundle",
    "lacp.collecting",
    "lacp.partner",
    "lacp.port",
    "ip.addresses",
    "ip.virtual",
    "ip.neighbour",
    "vrrp.state",
  ],
  ports: ({ peerLink, keepalive }) => ({ uses: [peerLink, keepalive.port, iccpPort(SESSION), IP_PORT] }),
  init,
  claims: (state, port, frame) => port === state.session || (port === state.ip && isKeepalive(state, frame)),
  step,
  deadline,
};

function deadline({ core: state, path }: MlagMachineState): Instant {
  return sooner(core.coreDeadline(state), keepaliveDeadline(state, path));
}

function init(config: MlagConfig, env: Env): MlagMachineState {
  return {
    core: initialState(config, systemMac(env)),
    path: newKeepalive(env.rng("mlag")),
    peerLink: env.port(config.peerLink),
    keepalivePort: env.port(config.keepalive.port),
    session: env.port(iccpPort(SESSION)),
    ip: env.port(IP_PORT),
    sessionUp: false,
    keepaliveUp: false,
    row: newRow(env.node),
    interfaces: new Map(),
    due: NEVER,
  };
}

/** The address of the node itself, which the session names, too. */
export function systemMac(env: Env): Mac {
  return env.mac(env.port(IP_PORT));
}

function step(state: MlagMachineState, input: Input<MlagCommand, Heard>, now: Instant): readonly Output<MlagEvent>[] {
  const { running } = state.core;
  if (now > after(state.due, patience(state.core.config))) standstill(state, now);
  switch (input.kind) {
    case "frame":
      if (input.port === state.session) core.heardItems(state.core, itemsOf(input.frame), now);
      else hearKeepalive(state, input.frame, now);
      break;
    case "link":
      changeLink(state, input.port, input.up, now);
      break;
    case "command":
      order(state.core, input.command, now);
      break;
    case "heard":
      hear(state, input.event, now);
      break;
    case "timer":
      core.settle(state.core, now);
  }
  if (state.core.running !== running) path(state, now);
  tick(state.core, state.path, now);
  state.due = deadline(state);
  return outputs(state, now);
}

/** A timer is seen to so late that the node itself must have stood still. */
function standstill(state: MlagMachineState, now: Instant): void {
  note(state.core, "stall", "node.stall", now);
  demote(state.core, now);
}

function path({ core: state, path: keepalive, keepaliveUp }: MlagMachineState, now: Instant): void {
  openPath(state, keepalive, keepaliveUp && state.running, now);
}

function order(state: MlagState, command: MlagCommand, now: Instant): void {
  switch (command.verb) {
    case "start":
      core.start(state, now);
      break;
    case "stop":
      core.leave(state, "shutdown", now);
      break;
    case "preempt":
      core.preempt(state, now);
      break;
    case "maintenance":
      orderMaintenance(state, command, now);
      break;
    case "leave":
      core.leave(state, command.cause, now);
      break;
    case "restart":
      announceRestart(state, now);
      break;
    case "suspend":
    case "restore":
      core.setStopped(state, command.id, command.verb === "suspend", now);
  }
}

function changeLink(state: MlagMachineState, port: Port, up: boolean, now: Instant): void {
  if (port === state.peerLink) {
    core.peerLinkChanged(state.core, up, now);
  } else if (port === state.keepalivePort) {
    state.keepaliveUp = up;
    path(state, now);
  } else if (port === state.session) {
    state.sessionUp = up;
    const reason: MlagReason = state.core.peerLink ? "session-lost" : "peer-link-down";
    if (up) core.sessionUp(state.core, now);
    else core.sessionLost(state.core, reason, now);
  }
}

function hear(state: MlagMachineState, event: Heard, now: Instant): void {
  switch (event.type) {
    case "mac.learned":
    case "mac.moved":
    case "mac.aged":
      heardHere(state.core, event, now);
      break;
    case "lacp.bundle":
      core.memberChanged(state.core, event.bundle, event.up, event.members, now);
      break;
    case "lacp.port":
      partnerRate(state.core, event.bundle, event.port, isSlow(event));
      core.linkChanged(state.core, event.bundle, event.port, linkWord(event), now);
      break;
    case "lacp.collecting":
      core.collectingChanged(state.core, event.bundle, event.collecting, now);
      break;
    case "lacp.partner": {
      const { system, priority = 0, key = 0 } = event;
      core.partnerChanged(state.core, event.bundle, system === undefined ? undefined : { system, priority, key }, now);
      break;
    }
    case "ip.addresses":
      hearInterface(state, event, now);
      break;
    case "ip.virtual":
      gateway.hearVirtual(state.core, event);
      core.settle(state.core, now);
      break;
    case "ip.neighbour":
      heardNeighbour(state.core, event);
      break;
    case "vrrp.state":
      gateway.hearRouter(state.core, event);
      core.settle(state.core, now);
  }
}

/** Synchronization, bit 3 of the state: IEEE 802.1AX §6.4.2.3. */
const IN_SYNC = 0x08;

function linkWord({ receive, partner, fallback }: LacpPortEvent): LinkWord {
  if (fallback !== undefined) return fallback;
  if (receive !== "current") return "silent";
  return (Number(partner.state) & IN_SYNC) === 0 ? "heard" : "in-sync";
}

/** Whether a partner is there, and asks for LACPDUs every 30 s only. */
function isSlow({ receive, partner }: LacpPortEvent): boolean {
  return receive === "current" && (Number(partner.state) & STATE.shortTimeout) === 0;
}

/** The switch's own address in a VLAN: the peer is not to flood what is for it. */
function hearInterface(state: MlagMachineState, event: IpAddresses, now: Instant): void {
  const { port, mac } = event;
  const vlan = vlanOf(port);
  if (vlan === undefined) return;
  if (event.up) offerAgain(state.core, vlan);
  gateway.hearInterface(state.core, vlan, event);
  core.settle(state.core, now);
  const known = state.interfaces.get(port);
  if (known?.mac === mac) return;
  if (known !== undefined) ownAddress(state.core, known.vlan, known.mac, false);
  state.interfaces.set(port, { vlan, mac });
  ownAddress(state.core, vlan, mac, true);
}

function isKeepalive({ core: { config } }: MlagMachineState, frame: Frame): boolean {
  // A flow's datagrams have facts, and no octets until somebody asks for them.
  if (factsOf(frame) !== undefined) return false;
  const packet = packetOf(frame);
  if (packet?.protocol !== PROTOCOL.udp || packet.payload.length < UDP_HEADER) return false;
  if (packet.destination !== config.keepalive.address.address) return false;
  return packet.payload[2] === KEEPALIVE_PORT >>> 8 && packet.payload[3] === (KEEPALIVE_PORT & 0xff);
}

function packetOf(frame: Frame): IpPacket | undefined {
  const packet = decodeIp(frame.bytes.subarray(frame.payload));
  return packet.ok ? packet.value : undefined;
}

function hearKeepalive(state: MlagMachineState, frame: Frame, now: Instant): void {
  const packet = packetOf(frame);
  if (packet?.source !== state.core.config.keepalive.peer) {
    lose(state.core, state.path, "keepalive-address", now);
    return;
  }
  const datagram = decodeUdp(packet.payload, packet);
  if (datagram.ok) receiveOctets(state.core, state.path, datagram.value.payload, now);
  else lose(state.core, state.path, "keepalive-udp", now);
}

function packetFor({ core: { config } }: MlagMachineState, message: Keepalive): Frame {
  const source = config.keepalive.address.address;
  const destination = config.keepalive.peer;
  const ports = { sourcePort: KEEPALIVE_PORT, destinationPort: KEEPALIVE_PORT };
  const payload = encodeUdp({ ...ports, payload: encodeKeepalive(message, config.keys[0]) }, { source, destination });
  const trafficClass = NETWORK_CONTROL;
  return packetFrame(ipPacket({ source, destination, protocol: PROTOCOL.udp, ttl: 1, payload, trafficClass }));
}

/** What is said comes before what is sent: the bridge has done it when the peer is told so. */
function outputs(state: MlagMachineState, now: Instant): readonly Output<MlagEvent>[] {
  const { says, tells } = state.core;
  const { sends } = state.path;
  if (says.length === 0 && tells.length === 0 && sends.length === 0) return QUIET;
  const all: Output<MlagEvent>[] = says.map((event) => ({ kind: "event", event }));
  for (const event of says) foldRow(state.row, event, now);
  for (const key of state.row.alarms.keys()) {
    if (state.row.alarms.size <= MAX_ALARMS) break;
    state.row.alarms.delete(key);
  }
  state.core.says = [];
  if (tells.length > 0 && state.sessionUp) all.push({ kind: "send", port: state.session, frame: itemsFrame(tells) });
  state.core.tells = [];
  for (const message of sends) all.push({ kind: "send", port: state.ip, frame: packetFor(state, message) });
  state.path.sends = [];
  return all;
}

const QUIET: readonly Output<MlagEvent>[] = [];
