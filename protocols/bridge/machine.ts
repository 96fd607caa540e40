/** A VLAN-aware learning bridge: IEEE 802.1Q clauses 6.9 (tagging), 8.6 (forwarding), 8.7 (learning), 8.8 (ageing). */
import { macBytes, macFrom } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import {
  type Command,
  type Env,
  type Machine,
  NOTHING,
  type Output,
  type Path,
  type Port,
} from "../../src/core/machine.ts";
import { type Instant, instant, NEVER } from "../../src/core/time.ts";
import type { BridgeConfig } from "./config.ts";
import type { MacEvent } from "./events.ts";
import { FIXED, FULL, MacTable, NEVER_HEARD, NONE } from "./table.ts";

/** How the frames of a VLAN leave by a port. */
const NOT_A_MEMBER = 0;
const UNTAGGED = 1;
const TAGGED = 2;
/** Up to the node itself: the routed port of the VLAN. */
const ROUTED = 3;

/** One VLAN: who is in it, and how its frames leave. */
interface Vlan {
  readonly vid: number;
  /** The bridge ports of the VLAN and, last, the routed port through which the node itself is in it. */
  readonly members: readonly Port[];
  /** By port index: one of the four above. */
  readonly mode: Uint8Array;
  readonly routed: Port;
}

export interface BridgeState {
  readonly ports: readonly Port[];
  /** By VLAN identifier. */
  readonly vlans: (Vlan | undefined)[];
  /** By port index: the VLAN of untagged frames, 0 for none. */
  readonly pvid: Uint16Array;
  readonly up: Uint8Array;
  readonly at: (Port | undefined)[];
  readonly table: MacTable;
  /** Milliseconds. */
  readonly ageing: number;
}

export const bridge: Machine<BridgeConfig, BridgeState, Command, MacEvent> = {
  name: "bridge",

  ports: (config) => ({ uses: config.ports, owns: [...config.vlans.keys()].map(routedName) }),

  init(config, env) {
    const ports = config.ports.map((name) => env.port(name));
    const all = [...ports, ...[...config.vlans.keys()].map((vid) => env.port(routedName(vid)))];
    const size = 1 + Math.max(0, ...all.map((port) => port.index));
    const state: BridgeState = {
      ports,
      vlans: [],
      pvid: new Uint16Array(size),
      up: new Uint8Array(size),
      at: [],
      table: new MacTable(config.table),
      ageing: Math.round(config.ageing / 1_000),
    };
    for (const port of all) state.at[port.index] = port;
    for (const [vid, members] of config.vlans) addVlan(state, env, vid, members);
    return state;
  },

  relay(state, port, frame, now, path) {
    // IEEE 802.1Q §8.6.3, table 8-1: frames to 01-80-C2-00-00-0X end at the bridge that receives them.
    const { header } = frame;
    if (header.dstHi === 0x0180 && (header.dstLo & 0xfffffff0) === RESERVED) {
      path.drop(port, "reserved-group");
      return false;
    }
    const vid = frame.vid === 0 ? (state.pvid[port.index] as number) : frame.vid;
    const vlan = state.vlans[vid];
    if (vlan === undefined || vlan.mode[port.index] === NOT_A_MEMBER) {
      path.drop(port, "vlan");
      return false;
    }
    if (!learn(state, vlan, port, frame, now, path)) return false;
    if (!header.group) {
      const to = state.table.find(vid, header.dstHi, header.dstLo, header.dstHash);
      if (to !== NONE) {
        if (to === port.index) path.drop(port, "same-port");
        else if (state.up[to] === 0) path.drop(port, "port-down");
        else emit(vlan, state.at[to] as Port, frame, path);
        return false;
      }
    }
    const { members } = vlan;
    for (let i = 0; i < members.length; i++) {
      const member = members[i] as Port;
      if (member !== port && state.up[member.index] === 1) emit(vlan, member, frame, path);
    }
    return false;
  },

  step(state, input, now) {
    switch (input.kind) {
      case "link":
        return changeLink(state, input.port, input.up, now);
      case "timer":
        return forget(state, now, "ageing", (_port, age) => age >= state.ageing);
      default:
        return NOTHING;
    }
  },

  deadline(state) {
    const { oldest } = state.table;
    return oldest === NEVER_HEARD ? NEVER : instant((oldest + state.ageing) * 1_000);
  },
};

/** The low four octets of 01-80-C2-00-00-00, without the last four bits. */
const RESERVED = 0xc2000000 | 0;

function routedName(vid: number): string {
  return `vlan${vid}`;
}

function addVlan(
  state: BridgeState,
  env: Env,
  vid: number,
  members: { readonly tagged: readonly string[]; readonly untagged: readonly string[] },
): void {
  const mode = new Uint8Array(state.up.length);
  for (const name of members.tagged) mode[env.port(name).index] = TAGGED;
  for (const name of members.untagged) {
    const { index } = env.port(name);
    mode[index] = UNTAGGED;
    state.pvid[index] = vid;
  }
  const routed = env.port(routedName(vid));
  mode[routed.index] = ROUTED;
  state.pvid[routed.index] = vid;
  const inside = state.ports.filter((port) => mode[port.index] !== NOT_A_MEMBER);
  state.vlans[vid] = { vid, members: [...inside, routed], mode, routed };
  state.table.pin(vid, macBytes(env.mac(routed)), routed.index);
}

function emit(vlan: Vlan, port: Port, frame: Frame, path: Path): void {
  switch (vlan.mode[port.index]) {
    case TAGGED:
      // A priority that came with the frame is kept (IEEE 802.1Q §6.9.2).
      path.down(port, frame.tagged(frame.tci < 0 ? vlan.vid : (frame.tci & 0xf000) | vlan.vid));
      break;
    case ROUTED:
      path.up(port, frame.untagged());
      break;
    default:
      path.down(port, frame.untagged());
  }
}

/** False for a frame that must not go on: it carries an address of the switch itself. */
function learn(state: BridgeState, vlan: Vlan, port: Port, frame: Frame, now: Instant, path: Path): boolean {
  const { srcHi, srcLo, srcHash } = frame.header;
  // IEEE 802.1Q §8.7: a group address is never a source.
  if ((srcHi & 0x0100) !== 0) return true;
  const before = state.table.learn(vlan.vid, srcHi, srcLo, srcHash, port.index, Math.floor(now / 1_000));
  if (before === port.index) return true;
  if (before === FIXED) {
    path.drop(port, "own-address");
    return false;
  }
  if (before === FULL) {
    path.drop(port, "table-full");
    return true;
  }
  const mac = macFrom(Uint8Array.of(srcHi >>> 8, srcHi, srcLo >>> 24, srcLo >>> 16, srcLo >>> 8, srcLo));
  path.say({
    type: before === NONE ? "mac.learned" : "mac.moved",
    vlan: vlan.vid,
    mac,
    port: port.name,
    origin: "local",
  } as MacEvent);
  return true;
}

function forget(
  state: BridgeState,
  now: Instant,
  reason: "ageing" | "link-down",
  gone: (port: number, age: number) => boolean,
): Output<MacEvent>[] {
  const taken = state.table.remove(Math.floor(now / 1_000), gone);
  return taken.map(({ vlan, mac, port }) => ({
    kind: "event",
    event: { type: "mac.aged", vlan, mac, port: state.at[port]?.name ?? "", origin: "local", reason },
  }));
}

function changeLink(state: BridgeState, port: Port, up: boolean, now: Instant): readonly Output<MacEvent>[] {
  if (port.index >= state.up.length) return NOTHING;
  state.up[port.index] = up ? 1 : 0;
  const outputs: Output<MacEvent>[] = up ? [] : forget(state, now, "link-down", (index) => index === port.index);
  for (const vlan of state.vlans) {
    if (vlan === undefined) continue;
    // A routed port is up as long as one port of its VLAN is.
    const any = vlan.members.some((member) => member !== vlan.routed && state.up[member.index] === 1);
    if (any === (state.up[vlan.routed.index] === 1)) continue;
    state.up[vlan.routed.index] = any ? 1 : 0;
    outputs.push({ kind: "link", port: vlan.routed, up: any });
  }
  return outputs;
}
