/**
 * The gateways of both: what hosts send to a MAC of the peer (its interface's, or that of a VRRP router which is master
 * there and backup here) is routed here, too, so that no host's choice of a link costs a way over the peer link.
 *
 * Each peer tells the other under which MACs it routes in a VLAN and which addresses are behind them. Only who has a
 * MAC answers ARP and ND for it and takes packets for those addresses; the other only routes what passes through.
 * DEPARTS from RFC 9568 §6.4.2, by which a backup discards what is sent to the virtual MAC: a host whose LACP picks
 * this switch cannot know who is master. There is one master all the same.
 */
import { type Ip, type Mac, parsePrefix } from "../../src/core/addr.ts";
import { after, type Instant, NEVER, sec } from "../../src/core/time.ts";
import type { GatewayItem } from "../iccp/events.ts";
import type { IpAddresses, IpVirtual } from "../ip/events.ts";
import { virtualMac } from "../vrrp/codec.ts";
import type { VrrpStateEvent } from "../vrrp/events.ts";
import type { Gateway } from "./events.ts";
import type { MlagState } from "./state.ts";

/**
 * After the loss of a session, until when hosts' frames are routed as before. A peer that is gone answers for nothing;
 * VRRP has found a new master by then (3.6 s at its default interval), who needs no leave.
 */
export const GATEWAY_KEPT = sec(30);
/** Addresses of one MAC that the peer is told. More are reached like any host's: as one hop more. */
export const MAX_GATEWAY_ADDRESSES = 1024;
/** MACs of the peer that are noted; more stay the peer's alone. Four for each of 4094 VLANs. */
export const MAX_GATEWAYS = 16_384;

interface Routed {
  readonly port: string;
  readonly vlan: number;
  readonly mac: Mac;
  readonly addresses: readonly Ip[];
}

export interface GatewayState {
  /** Routed ports of this switch that are up. */
  readonly interfaces: Map<string, Routed>;
  /** Virtual routers that are master here. */
  readonly masters: Map<string, IpVirtual>;
  /** Virtual routers that are backup here, by port and MAC. */
  readonly backups: Set<string>;
  /** What the peer has said in this session, by VLAN and MAC. */
  readonly peer: Map<string, GatewayItem>;
  /** What the peer was told in this session. */
  readonly told: Map<string, GatewayItem>;
  /** What bridge and ip were told, by port; none where there is nothing. */
  readonly said: Map<string, Gateway>;
  /** Something above has changed since it was last looked at. */
  changed: boolean;
  mode: Mode;
}

/** `live`: by the peer's words; `kept`: the peer has not spoken yet, or no more; `none`: no sharing. */
type Mode = "live" | "kept" | "none";

export function newGateways(): GatewayState {
  return {
    interfaces: new Map(),
    masters: new Map(),
    backups: new Set(),
    peer: new Map(),
    told: new Map(),
    said: new Map(),
    changed: false,
    mode: "none",
  };
}

/** @param vlan that the interface is in */
export function hearInterface({ gateway }: MlagState, vlan: number, { port, mac, up, addresses }: IpAddresses): void {
  const own = addresses.flatMap((text) => parsePrefix(text)?.address ?? []);
  if (up && own.length > 0) gateway.interfaces.set(port, { port, vlan, mac, addresses: own });
  else gateway.interfaces.delete(port);
  gateway.changed = true;
}

/** A virtual router of this switch has become master, or is no longer. */
export function hearVirtual({ gateway }: MlagState, wish: IpVirtual): void {
  const key = `${wish.port} ${wish.vrid} ${wish.family}`;
  if (wish.present) gateway.masters.set(key, wish);
  else gateway.masters.delete(key);
  gateway.changed = true;
}

export function hearRouter({ gateway }: MlagState, { interface: port, vrid, family, to }: VrrpStateEvent): void {
  const key = keyOf(port, virtualMac(family, vrid));
  if (to === "backup") gateway.backups.add(key);
  else gateway.backups.delete(key);
  gateway.changed = true;
}

/** A new session: neither side knows anything of the other. */
export function forgetGateways({ gateway }: MlagState): void {
  gateway.peer.clear();
  gateway.told.clear();
  gateway.changed = true;
}

export function heardGateway({ gateway }: MlagState, item: GatewayItem): void {
  const key = keyOf(item.vlan, item.mac);
  if (item.addresses.length === 0) gateway.peer.delete(key);
  else if (gateway.peer.has(key) || gateway.peer.size < MAX_GATEWAYS) gateway.peer.set(key, item);
  gateway.changed = true;
}

function keyOf(where: number | string, mac: Mac): string {
  return `${where} ${mac}`;
}

/** Brings what the peer, the bridge and the stack were told in line with what is known. */
export function settleGateways(state: MlagState, now: Instant): void {
  const { gateway } = state;
  const mode = modeOf(state, now);
  if (!gateway.changed && mode === gateway.mode) return;
  gateway.changed = false;
  gateway.mode = mode;
  if (state.session && state.running && state.config.gateway === "active-active") tell(state);
  for (const { port, vlan } of gateway.interfaces.values()) say(state, wishFor(state, port, vlan));
  for (const { port } of [...gateway.said.values()]) {
    if (!gateway.interfaces.has(port)) say(state, nothingFor(state, port));
  }
}

function modeOf(state: MlagState, now: Instant): Mode {
  if (!state.running || state.config.gateway === "master-only") return "none";
  if (state.session) return state.synced ? "live" : "kept";
  return state.lostAt !== NEVER && now < after(state.lostAt, GATEWAY_KEPT) ? "kept" : "none";
}

/** When what is kept ends. */
export function gatewayDeadline({ gateway, session, lostAt }: MlagState): Instant {
  return session || lostAt === NEVER || gateway.mode === "none" ? NEVER : after(lostAt, GATEWAY_KEPT);
}

// --- to the peer ---

function tell(state: MlagState): void {
  const { told } = state.gateway;
  const own = ownGateways(state);
  for (const [key, item] of own) {
    const before = told.get(key);
    if (before !== undefined && isSame(before.addresses, item.addresses)) continue;
    told.set(key, item);
    state.tells.push(item);
  }
  for (const [key, item] of [...told]) {
    if (own.has(key)) continue;
    told.delete(key);
    state.tells.push({ ...item, addresses: [] });
  }
}

/** Under which MACs this switch routes. A virtual router without a MAC of its own has the interface's. */
function ownGateways({ gateway }: MlagState): Map<string, GatewayItem> {
  const own = new Map<string, GatewayItem>();
  const add = (vlan: number, mac: Mac, addresses: readonly Ip[]) => {
    const key = keyOf(vlan, mac);
    const all = [...(own.get(key)?.addresses ?? []), ...addresses].slice(0, MAX_GATEWAY_ADDRESSES);
    own.set(key, { kind: "gateway", vlan, mac, addresses: all });
  };
  for (const { vlan, mac, addresses } of gateway.interfaces.values()) add(vlan, mac, addresses);
  for (const { port, mac, addresses } of gateway.masters.values()) {
    const on = gateway.interfaces.get(port);
    const virtual = addresses.map(({ address }) => address);
    if (on !== undefined) add(on.vlan, mac ?? on.mac, virtual);
  }
  return own;
}

// --- to bridge and ip ---

function nothingFor({ config }: MlagState, port: string): Gateway {
  return { type: "mlag.gateway", port, peerLink: config.peerLink, own: [], macs: [], addresses: [] };
}

function wishFor(state: MlagState, port: string, vlan: number): Gateway {
  const { gateway } = state;
  const nothing = nothingFor(state, port);
  if (!state.running) return nothing;
  // A second master, on the other side of a split that has just ended, takes nobody's packets away.
  const own = [...gateway.masters.values()].flatMap((one) =>
    one.port === port && one.mac !== undefined ? one.mac : [],
  );
  const theirs = theirsIn(state, port, vlan);
  const macs = theirs.macs.filter((mac) => !own.includes(mac) && shares(gateway, port, mac));
  return { ...nothing, own, macs, addresses: theirs.addresses };
}

/** All that is known of the peer's gateways in a VLAN. */
function theirsIn({ gateway }: MlagState, port: string, vlan: number): Pick<Gateway, "macs" | "addresses"> {
  const nobody = { macs: [], addresses: [] };
  if (gateway.mode === "none") return nobody;
  if (gateway.mode === "kept") return gateway.said.get(port) ?? nobody;
  const theirs = [...gateway.peer.values()].filter((item) => item.vlan === vlan);
  return { macs: theirs.map(({ mac }) => mac), addresses: theirs.flatMap(({ addresses }) => addresses) };
}

/** The MAC of a virtual router is shared by those who would take its place, and by nobody whose own it is. */
function shares({ backups, interfaces }: GatewayState, port: string, mac: Mac): boolean {
  return VIRTUAL_MAC.test(mac) ? backups.has(keyOf(port, mac)) : interfaces.get(port)?.mac !== mac;
}

/** RFC 9568 §7.3. */
const VIRTUAL_MAC = /^00:00:5e:00:0[12]:/;

function say({ gateway, says }: MlagState, wish: Gateway): void {
  const before = gateway.said.get(wish.port);
  const lists = ["own", "macs", "addresses"] as const;
  const empty = lists.every((list) => wish[list].length === 0);
  if (before === undefined ? empty : lists.every((list) => isSame(before[list], wish[list]))) return;
  if (empty) gateway.said.delete(wish.port);
  else gateway.said.set(wish.port, wish);
  says.push(wish);
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
