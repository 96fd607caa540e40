/**
 * One machine for all bundles of a node. It owns the bundles' ports and uses those of their members. Each input changes
 * what it is about; then `settle` runs the standard's machines until nothing changes.
 */
import type { Frame } from "../../src/core/frame.ts";
import type { Input, Machine, Path, Port } from "../../src/core/machine.ts";
import { after, type Instant, instant, NEVER } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import type { IpAddresses } from "../ip/events.ts";
import type { ToLacp } from "../mlag/events.ts";
import { decodeLacpdu, decodeMarker, SLOW_SUBTYPE } from "./codec.ts";
import type { LacpConfig } from "./config.ts";
import { changeRate, configure } from "./configure.ts";
import { enqueue, release } from "./distribution.ts";
import type { LacpCommand, LacpDropReason, LacpEvent } from "./events.ts";
import { bucketOf } from "./hash.ts";
import { isAnswer, respond } from "./marker.ts";
import { receiveLacpdu, receiveTimer, reviewPort } from "./receive.ts";
import { renegotiate, settle } from "./settle.ts";
import {
  type Bundle,
  collects,
  createState,
  type LacpPort,
  type LacpState,
  NO_OUTPUT,
  NO_SYSTEM,
  RENAMING,
  say,
  setAdministrative,
  type Turn,
} from "./state.ts";

/** How long a reason for dropping is counted only, after it was said. */
const QUIET = instant(1_000_000);

type Heard = ToLacp | IpAddresses;

export const lacp: Machine<LacpConfig, LacpState, LacpCommand, LacpEvent, Heard> = {
  name: "lacp",
  hears: ["mlag.system", "mlag.hold", "mlag.suspend", "ip.addresses"],
  ports: (config) => ({
    owns: config.map(({ name }) => name),
    uses: config.flatMap(({ members }) => members.map(({ port }) => port)),
  }),
  init: createState,
  relay,
  step,
  deadline: (state) => state.alarm,
  reconfigure: (state, config, env, now) => {
    state.now = now;
    configure(state, config, env);
    return taken(state);
  },
};

/** 01-80-C2-00-00-02, as the numbers of a frame header. */
const SLOW_HI = 0x0180;
const SLOW_LO = 0xc2000002 | 0;

/** The data plane. Nothing passes but what the mux allows; slow protocol frames end here, whoever they are for. */
function relay(state: LacpState, port: Port, frame: Frame, _now: Instant, path: Path): boolean {
  const { header } = frame;
  const member = state.memberOf[port.index];
  if (member !== undefined) {
    if (header.type === ETHERTYPE.slow) {
      // IEEE 802.3 Annex 57A.3: slow protocol frames are untagged, and for this group.
      if (frame.tci < 0 && header.dstLo === SLOW_LO && header.dstHi === SLOW_HI) return true;
      path.drop(port, "slow-protocol");
    } else if (collects(member)) {
      path.up(member.bundle.port, frame);
    } else {
      path.drop(port, "not-collecting");
    }
    return false;
  }
  const bundle = state.bundleOf[port.index];
  if (bundle === undefined) return false;
  const { distribution } = bundle;
  if (distribution.links.length === 0) {
    path.drop(port, "not-distributing");
  } else if (header.type === ETHERTYPE.slow) {
    path.drop(port, "slow-protocol");
  } else {
    const bucket = bucketOf(frame, bundle.config.hash);
    if (distribution.waiting > 0 && distribution.waits[bucket] !== undefined) {
      if (!enqueue(bundle, bucket, frame)) path.drop(port, "flush-queue");
    } else {
      path.down((distribution.table[bucket] as LacpPort).port, frame);
    }
  }
  return false;
}

function step(state: LacpState, input: Input<LacpCommand, Heard>, now: Instant) {
  const turn: Turn = state;
  turn.now = now;
  switch (input.kind) {
    case "frame": {
      const port = state.memberOf[input.port.index];
      if (port === undefined || !port.up) break;
      receive(turn, port, input.frame);
      settle(turn, port.bundle);
      break;
    }
    case "link": {
      const port = state.memberOf[input.port.index];
      if (port === undefined || port.up === input.up) break;
      port.up = input.up;
      port.speed = input.speed ?? 0;
      port.duplex = input.duplex;
      setAdministrative(port);
      // Who is there when it comes back has heard none of these: the limit is on what one partner has to take.
      port.sent.length = 0;
      reviewPort(turn, port);
      settle(turn, port.bundle);
      break;
    }
    case "timer":
      for (const bundle of state.bundles) {
        if (bundle.alarm > now) continue;
        for (const port of bundle.members) receiveTimer(turn, port);
        settle(turn, bundle);
      }
      break;
    case "command":
      order(turn, input.command);
      break;
    case "heard":
      if (input.event.type === "ip.addresses") follow(turn, input.event);
      else hear(turn, input.event);
      break;
  }
  return taken(turn);
}

/** What came of the input. */
function taken(turn: Turn): LacpState["out"] {
  turn.alarm = NEVER;
  for (const { alarm } of turn.bundles) if (alarm < turn.alarm) turn.alarm = alarm;
  const { out } = turn;
  turn.out = NO_OUTPUT;
  return out;
}

/** A slow protocol frame: IEEE 802.3 Annex 57B. */
function receive(turn: Turn, port: LacpPort, frame: Frame): void {
  const payload = frame.bytes.subarray(frame.payload);
  switch (payload[0]) {
    case SLOW_SUBTYPE.lacp: {
      const pdu = decodeLacpdu(payload);
      if (pdu.ok) receiveLacpdu(turn, port, pdu.value);
      else refuse(turn, port, pdu.reason);
      return;
    }
    case SLOW_SUBTYPE.marker: {
      const marker = decodeMarker(payload);
      if (!marker.ok) refuse(turn, port, marker.reason);
      else if (marker.value.kind === "information") respond(turn, port, marker.value);
      else if (isAnswer(port, marker.value)) {
        port.counters.answered++;
        release(turn, port);
      } else refuse(turn, port, "marker-unsolicited");
      return;
    }
    default:
      refuse(turn, port, payload.length === 0 ? "length" : "subtype");
  }
}

function refuse(turn: Turn, port: LacpPort, reason: LacpDropReason): void {
  const { dropped } = port.counters;
  const record = dropped.get(reason) ?? { count: 0, quietUntil: instant(0) };
  dropped.set(reason, record);
  record.count++;
  if (record.quietUntil > turn.now) return;
  record.quietUntil = instant(turn.now + QUIET);
  say(turn, { type: "lacp.drop", port: port.port.name, reason, count: record.count });
}

function order(turn: Turn, command: LacpCommand): void {
  for (const bundle of turn.bundles) {
    if (!concerns(command, bundle)) continue;
    switch (command.verb) {
      case "start":
        bundle.enabled = true;
        bundle.draining = false;
        break;
      case "stop":
        bundle.enabled = false;
        break;
      case "drain":
        bundle.draining = true;
        break;
      case "key":
        if (bundle.key === command.key) continue;
        bundle.key = command.key;
        renegotiate(turn, bundle.members);
        break;
      case "priority": {
        const port = bundle.members.find((one) => one.port.name === command.port);
        if (port === undefined || port.priority === command.priority) continue;
        port.priority = command.priority;
        renegotiate(turn, [port]);
        break;
      }
      case "rate":
        changeRate(turn, bundle, command.rate === "fast");
        break;
    }
    for (const port of bundle.members) reviewPort(turn, port);
    settle(turn, bundle);
  }
}

function concerns(command: LacpCommand, bundle: Bundle): boolean {
  return !("bundle" in command) || command.bundle === undefined || command.bundle === bundle.config.name;
}

/** What the M-LAG machine of this node decides. */
function hear(turn: Turn, event: ToLacp): void {
  const bundle = turn.bundles.find(({ config }) => config.name === event.bundle);
  if (bundle === undefined) return;
  switch (event.type) {
    case "mlag.system":
      if (
        bundle.system === event.system &&
        bundle.systemPriority === event.priority &&
        bundle.portOffset === event.portOffset
      )
        return;
      bundle.system = event.system;
      bundle.systemPriority = event.priority;
      bundle.portOffset = event.portOffset;
      bundle.renamed = true;
      bundle.renamedUntil = after(turn.now, RENAMING);
      renegotiate(turn, bundle.members);
      break;
    case "mlag.hold":
      bundle.held = event.hold ? event.reason : undefined;
      break;
    case "mlag.suspend":
      bundle.suspended = event.suspended ? event.reason : undefined;
      break;
  }
  settle(turn, bundle);
}

/** The source of what a port sends is its interface's present address (IEEE 802.1AX §6.4.2.3). */
function follow(turn: Turn, { port: name, mac }: IpAddresses): void {
  const port = turn.ports.find((one) => one.port.name === name);
  if (port === undefined || mac === NO_SYSTEM) return;
  port.mac = mac;
  // A node that had no interface at its start gets its name with the first one.
  for (const bundle of turn.bundles) {
    if (bundle.system !== NO_SYSTEM) continue;
    bundle.system = mac;
    renegotiate(turn, bundle.members);
    settle(turn, bundle);
  }
}
