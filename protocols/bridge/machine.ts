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
import type { ToBridge } from "../mlag/events.ts";
import type { BridgeConfig } from "./config.ts";
import type { MacEvent } from "./events.ts";
import { type Gateways, placeOf } from "./gateway.ts";
import { type LoopWatch, newLoopWatch, noteMove, noteReturn } from "./loops.ts";
import { CLOSED, flush, hear, type PortRules } from "./pair.ts";
import { aged } from "./said.ts";
import { FIXED, FULL, HEARD_TOO, MacTable, NEVER_HEARD, NONE } from "./table.ts";
import { type Aside, routedPorts } from "./vlans.ts";

/** How the frames of a VLAN leave by a port. */
const UNTAGGED = 1;
const TAGGED = 2;
/** Up to the node itself: the routed port of the VLAN. */
const ROUTED = 3;

/** A port as a member of one VLAN. */
export interface Exit {
  readonly port: Port;
  readonly mode: typeof UNTAGGED | typeof TAGGED | typeof ROUTED;
  up: boolean;
}

/** One VLAN: who is in it, and how its frames leave. */
export interface Vlan {
  readonly vid: number;
  /** The bridge ports of the VLAN and, last, the routed port through which the node itself is in it. */
  readonly exits: Exit[];
  /** The same by port index. */
  readonly byPort: (Exit | undefined)[];
  readonly routed: Exit;
  /** MACs under which an M-LAG switch routes, beside that of the routed port; undefined where there are none. */
  gateway: Gateways | undefined;
}

export interface BridgeState {
  /** By index: the bridge's ports and the routed ones. */
  readonly ports: (Port | undefined)[];
  /** By port index: the VLAN of untagged frames. */
  readonly untagged: (Vlan | undefined)[];
  /** By VLAN identifier. */
  readonly vlans: (Vlan | undefined)[];
  readonly table: MacTable;
  /** Frames whose source found no room in the table. */
  unlearned: number;
  /** Milliseconds. */
  readonly ageing: number;
  /** When the table was last looked through for what has aged, in milliseconds. */
  agedAt: number;
  /** By port index: what an M-LAG forbids to frames from there; undefined for a bridge that is in none. */
  rules: (PortRules | undefined)[] | undefined;
  /** By port index: where frames for a port go while it is down. */
  readonly instead: (Port | undefined)[];
  /** By port index: whether it has carrier. */
  readonly carrier: boolean[];
  /** By port index: VLANs of its file that it is not to carry now. */
  readonly aside: (readonly Aside[] | undefined)[];
  readonly loops: LoopWatch;
}

export const bridge: Machine<BridgeConfig, BridgeState, Command, MacEvent, ToBridge> = {
  name: "bridge",
  hears: [
    "mlag.isolate",
    "mlag.learning",
    "mlag.redirect",
    "mlag.mac",
    "mlag.adopt",
    "mlag.vlans",
    "mlag.orphan",
    "mlag.sweep",
    "mlag.gateway",
  ],

  ports: (config) => ({ uses: config.ports, owns: [...config.vlans.keys()].map(routedName) }),

  init(config, env) {
    const state: BridgeState = {
      ports: [],
      untagged: [],
      vlans: [],
      table: new MacTable(config.table),
      unlearned: 0,
      ageing: Math.round(config.ageing / 1_000),
      agedAt: Number.NEGATIVE_INFINITY,
      rules: undefined,
      instead: [],
      carrier: [],
      aside: [],
      loops: newLoopWatch(),
    };
    const names = [...config.ports, ...[...config.vlans.keys()].map(routedName)];
    for (const port of names.map((name) => env.port(name))) state.ports[port.index] = port;
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
    const { vid } = frame;
    const vlan = vid === 0 ? state.untagged[port.index] : state.vlans[vid];
    if (vlan === undefined || (vid !== 0 && vlan.byPort[port.index] === undefined)) {
      path.drop(port, "vlan");
      return false;
    }
    const rules = state.rules === undefined ? undefined : state.rules[port.index];
    if (rules?.deaf === true) {
      if (isOwn(state, vlan, port, frame, now, path)) return false;
    } else if (!learn(state, vlan, port, frame, now, path)) return false;
    if (!header.group) {
      const { gateway } = vlan;
      let to = gateway === undefined ? NONE : placeOf(gateway, port, header);
      if (to === NONE) to = state.table.find(vlan.vid, header.dstHi, header.dstLo, header.dstHash);
      if (to !== NONE) {
        const exit = vlan.byPort[to];
        if (to === port.index) path.drop(port, "same-port");
        else if (exit === undefined || !exit.up) redirect(state, vlan, to, port, frame, path);
        else if (rules !== undefined && rules.closed[to] === CLOSED) path.drop(port, "isolated");
        else emit(vlan, exit, frame, path);
        return false;
      }
    }
    const { exits } = vlan;
    if (rules === undefined) {
      for (let i = 0; i < exits.length; i++) {
        const exit = exits[i] as Exit;
        if (exit.up && exit.port !== port) emit(vlan, exit, frame, path);
      }
    } else {
      for (let i = 0; i < exits.length; i++) {
        const exit = exits[i] as Exit;
        const open = (rules.closed[exit.port.index] ?? 0) === 0;
        if (exit.up && exit.port !== port && open) emit(vlan, exit, frame, path);
      }
    }
    return false;
  },

  step(state, input, now) {
    switch (input.kind) {
      case "link":
        return changeLink(state, input.port, input.up, now);
      case "timer":
        return age(state, Math.floor(now / 1_000));
      case "heard":
        return hear(state, input.event, now);
      default:
        return NOTHING;
    }
  },

  deadline(state) {
    const due = ageingDue(state);
    return due === NEVER_HEARD ? NEVER : instant(due * 1_000);
  },
};

/**
 * After one look at the table the next is a thousandth of the ageing time away: thousands of stations that were heard at
 * thousands of times must not cost a look each. Who ages alone ages on time.
 */
function ageingDue({ table, ageing, agedAt }: BridgeState): number {
  return Math.max(table.oldest + ageing, agedAt + Math.floor(ageing / 1_000));
}

function age(state: BridgeState, ms: number): readonly Output<MacEvent>[] {
  if (ms < ageingDue(state)) return NOTHING;
  state.agedAt = ms;
  return aged(
    state,
    state.table.age(ms, (old) => old >= state.ageing),
    "ageing",
  );
}

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
  const exitOf = (name: string, mode: Exit["mode"]): Exit => ({ port: env.port(name), mode, up: false });
  const routed = exitOf(routedName(vid), ROUTED);
  const exits = [
    ...members.tagged.map((name) => exitOf(name, TAGGED)),
    ...members.untagged.map((name) => exitOf(name, UNTAGGED)),
  ];
  // Floods leave in the order of the ports, whatever the order of the lists.
  exits.sort((a, b) => a.port.index - b.port.index);
  const vlan: Vlan = { vid, exits: [...exits, routed], byPort: [], routed, gateway: undefined };
  for (const exit of vlan.exits) {
    vlan.byPort[exit.port.index] = exit;
    if (exit.mode !== TAGGED) state.untagged[exit.port.index] = vlan;
  }
  state.vlans[vid] = vlan;
  state.table.pin(vid, macBytes(env.mac(routed.port)), routed.port.index);
}

function emit(vlan: Vlan, { port, mode }: Exit, frame: Frame, path: Path): void {
  if (mode === UNTAGGED) {
    path.down(port, frame.untagged());
  } else if (mode === ROUTED) {
    path.up(port, frame.untagged());
  } else {
    // A priority that came with the frame is kept (IEEE 802.1Q §6.9.2).
    path.down(port, frame.tagged(frame.tci < 0 ? vlan.vid : (frame.tci & 0xf000) | vlan.vid));
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
    noteReturn(state.loops, vlan.vid, port, frame, now, path);
    return false;
  }
  if (before === FULL) {
    state.unlearned++;
    return true;
  }
  const mac = macFrom(Uint8Array.of(srcHi >>> 8, srcHi, srcLo >>> 24, srcLo >>> 16, srcLo >>> 8, srcLo));
  path.say({
    type: before === NONE || before === HEARD_TOO ? "mac.learned" : "mac.moved",
    vlan: vlan.vid,
    mac,
    port: port.name,
    origin: "local",
  } as MacEvent);
  if (before >= 0) noteMove(state.loops, vlan.vid, port, frame, now, path);
  return true;
}

/** Out of a port that is down: through the M-LAG peer, where the port is half of an M-LAG. */
function redirect(state: BridgeState, vlan: Vlan, to: number, port: Port, frame: Frame, path: Path): void {
  const via = state.instead[to];
  const exit = via === undefined ? undefined : vlan.byPort[via.index];
  if (exit === undefined || !exit.up) path.drop(port, "port-down");
  else if (exit.port === port) path.drop(port, "same-port");
  else emit(vlan, exit, frame, path);
}

/** True for a frame that carries an address of the switch itself, on a port where nothing is learned. */
function isOwn({ table, loops }: BridgeState, vlan: Vlan, port: Port, frame: Frame, now: Instant, path: Path): boolean {
  const { header } = frame;
  const own = table.isOwnElsewhere(vlan.vid, header.srcHi, header.srcLo, header.srcHash, port.index);
  if (own) {
    path.drop(port, "own-address");
    noteReturn(loops, vlan.vid, port, frame, now, path);
  }
  return own;
}

function changeLink(state: BridgeState, port: Port, up: boolean, now: Instant): readonly Output<MacEvent>[] {
  if (state.ports[port.index] === undefined) return NOTHING;
  const outputs: Output<MacEvent>[] = up || state.instead[port.index] !== undefined ? [] : flush(state, port, now);
  state.carrier[port.index] = up;
  for (const vlan of state.vlans) {
    const exit = vlan?.byPort[port.index];
    if (exit !== undefined) exit.up = up;
  }
  outputs.push(...routedPorts(state));
  return outputs;
}
