/** The M-LAG machine on a node: what its siblings say, the session's items and the keepalive's packets, to the core and back. */
import type { Mac } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Env, Input, Machine, Output, Port } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { MacEvent } from "../bridge/events.ts";
import { type IccpSession, iccpPort, itemsFrame, itemsOf } from "../iccp/events.ts";
import { decodeIp, type IpPacket, ipPacket, NETWORK_CONTROL, PROTOCOL } from "../ip/codec.ts";
import { factsOf, IP_PORT, type IpAddresses, packetFrame } from "../ip/events.ts";
import type { LacpBundleEvent, LacpPartnerEvent } from "../lacp/events.ts";
import { decodeUdp, encodeUdp, UDP_HEADER } from "../udp/codec.ts";
import { encodeKeepalive, KEEPALIVE_PORT, type Keepalive } from "./codec.ts";
import type { MlagCommand, MlagConfig } from "./config.ts";
import * as core from "./core.ts";
import type { MlagEvent, MlagReason } from "./events.ts";
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
import { initialState, type MlagState, sooner } from "./state.ts";

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
  /** Of each interface of the switch, its VLAN and the address that the peer has been told. */
  readonly interfaces: Map<string, { readonly vlan: number; readonly mac: Mac }>;
}

type Heard = MacEvent | IccpSession | LacpBundleEvent | LacpPartnerEvent | IpAddresses;

export const mlag: Machine<MlagConfig, MlagMachineState, MlagCommand, MlagEvent, Heard> = {
  name: "mlag",
  hears: ["mac.learned", "mac.moved", "mac.aged", "lacp.bundle", "lacp.partner", "ip.addresses"],
  ports: ({ peerLink, keepalive }) => ({ uses: [peerLink, keepalive.port, iccpPort(SESSION), IP_PORT] }),
  init,
  claims: (state, port, frame) => port === state.session || (port === state.ip && isKeepalive(state, frame)),
  step,
  deadline: ({ core: state, path }) => sooner(core.coreDeadline(state), keepaliveDeadline(state, path)),
};

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
    interfaces: new Map(),
  };
}

/** The address of the node itself, which the session names, too. */
export function systemMac(env: Env): Mac {
  return env.mac(env.port(IP_PORT));
}

function step(state: MlagMachineState, input: Input<MlagCommand, Heard>, now: Instant): readonly Output<MlagEvent>[] {
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
      if (input.command.verb === "start" || input.command.verb === "stop") path(state, now);
      break;
    case "heard":
      hear(state, input.event, now);
      break;
    case "timer":
      core.settle(state.core, now);
  }
  tick(state.core, state.path, now);
  return outputs(state);
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
      core.setMaintenance(state, command.on, now);
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
    case "lacp.partner": {
      const { system, priority = 0, key = 0 } = event;
      core.partnerChanged(state.core, event.bundle, system === undefined ? undefined : { system, priority, key }, now);
      break;
    }
    case "ip.addresses":
      hearInterface(state, event);
  }
}

/** The switch's own address in a VLAN: the peer is not to flood what is for it. */
function hearInterface(state: MlagMachineState, { port, mac }: IpAddresses): void {
  const vlan = Number(/^vlan(\d+)$/.exec(port)?.[1] ?? Number.NaN);
  if (Number.isNaN(vlan)) return;
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
  if (packet.source !== config.keepalive.peer || packet.destination !== config.keepalive.address.address) return false;
  return packet.payload[2] === KEEPALIVE_PORT >>> 8 && packet.payload[3] === (KEEPALIVE_PORT & 0xff);
}

function packetOf(frame: Frame): IpPacket | undefined {
  const packet = decodeIp(frame.bytes.subarray(frame.payload));
  return packet.ok ? packet.value : undefined;
}

function hearKeepalive(state: MlagMachineState, frame: Frame, now: Instant): void {
  const packet = packetOf(frame);
  const datagram = packet === undefined ? undefined : decodeUdp(packet.payload, packet);
  if (datagram?.ok === true) receiveOctets(state.core, state.path, datagram.value.payload, now);
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
function outputs(state: MlagMachineState): readonly Output<MlagEvent>[] {
  const { says, tells } = state.core;
  const { sends } = state.path;
  if (says.length === 0 && tells.length === 0 && sends.length === 0) return QUIET;
  const all: Output<MlagEvent>[] = says.map((event) => ({ kind: "event", event }));
  state.core.says = [];
  if (tells.length > 0 && state.sessionUp) all.push({ kind: "send", port: state.session, frame: itemsFrame(tells) });
  state.core.tells = [];
  for (const message of sends) all.push({ kind: "send", port: state.ip, frame: packetFor(state, message) });
  state.path.sends = [];
  return all;
}

const QUIET: readonly Output<MlagEvent>[] = [];
