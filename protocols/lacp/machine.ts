/**
 * One machine for all bundles of a node. It owns the bundles' ports and uses those of their members. Each input changes
 * what it is about; then `settle` runs the standard's machines until nothing changes.
 */
import type { Frame } from "../../src/core/frame.ts";
import type { Input, Machine, Path, Port } from "../../src/core/machine.ts";
import { after, type Instant, instant, NEVER } from "../../src/core/time.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import type { ToLacp } from "../mlag/events.ts";
import { runChurn } from "./churn.ts";
import { decodeLacpdu, decodeMarker, SLOW_SUBTYPE, STATE } from "./codec.ts";
import type { LacpConfig } from "./config.ts";
import { enqueue, redistribute, release, runFlush } from "./distribution.ts";
import type { BundleReason, LacpCommand, LacpDropReason, LacpEvent } from "./events.ts";
import { bucketOf } from "./hash.ts";
import { isAnswer, respond } from "./marker.ts";
import { deselect, muxDeadline, runMux } from "./mux.ts";
import { runPeriodic } from "./periodic.ts";
import { portCause, portReason } from "./reason.ts";
import { receiveLacpdu, receiveTimer, reviewPort } from "./receive.ts";
import { offersFallback, select } from "./selection.ts";
import {
  actorOf,
  type Bundle,
  collects,
  createState,
  type LacpPort,
  type LacpState,
  NO_OUTPUT,
  needToTransmit,
  put,
  RENAMING,
  say,
  setAdministrative,
  type Turn,
} from "./state.ts";
import { runTransmit, transmitDeadline } from "./transmit.ts";

/** How long a reason for dropping is counted only, after it was said. */
const QUIET = instant(1_000_000);

export const lacp: Machine<LacpConfig, LacpState, LacpCommand, LacpEvent, ToLacp> = {
  name: "lacp",
  hears: ["mlag.system", "mlag.hold", "mlag.suspend"],
  ports: (config) => ({
    owns: config.map(({ name }) => name),
    uses: config.flatMap(({ members }) => members.map(({ port }) => port)),
  }),
  init: createState,
  relay,
  step,
  deadline: (state) => state.alarm,
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

function step(state: LacpState, input: Input<LacpCommand, ToLacp>, now: Instant) {
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
      hear(turn, input.event);
      break;
  }
  state.alarm = NEVER;
  for (const { alarm } of state.bundles) if (alarm < state.alarm) state.alarm = alarm;
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
      else if (isAnswer(port, marker.value)) release(turn, port);
      else refuse(turn, port, "marker-unsolicited");
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

/** Runs the machines of a bundle until all is said and done. */
function settle(turn: Turn, bundle: Bundle): void {
  select(turn, bundle);
  runMux(turn, bundle);
  redistribute(turn, bundle);
  reviewBundle(turn, bundle);
  for (const port of bundle.members) {
    runFlush(turn, port);
    runPeriodic(turn, port);
    runChurn(turn, port);
    report(turn, port);
    runTransmit(turn, port);
  }
  bundle.alarm = alarmOf(turn, bundle);
}

/** Whether the bundle carries frames, and over how many links. */
function reviewBundle(turn: Turn, bundle: Bundle): void {
  const { config, distribution, port } = bundle;
  const members = distribution.links.length;
  const least = bundle.fallback ? 1 : config.minLinks;
  // Links without carrier have nobody to agree with.
  const renamed = bundle.up && turn.now < bundle.renamedUntil && members === 0 && bundle.members.some((one) => one.up);
  const up = members >= least || renamed;
  const before = bundle.said;
  const collecting = bundle.members.some(collects);
  if (collecting !== bundle.collecting) {
    bundle.collecting = collecting;
    say(turn, { type: "lacp.collecting", bundle: config.name, collecting });
  }
  if (up === bundle.up && members === before) return;
  bundle.said = members;
  bundle.up = up;
  let reason: BundleReason = members > before ? "member-joined" : "member-left";
  if (bundle.fallback && members > 0) reason = "fallback";
  else if (renamed) reason = "renamed";
  else if (members === 0) reason = "no-member";
  else if (!up) reason = "min-links";
  say(turn, { type: "lacp.bundle", bundle: config.name, up, members, reason });
  put(turn, { kind: "link", port, up });
}

/** Says what the port is now, when that is something else than before. */
function report(turn: Turn, port: LacpPort): void {
  const { receive, mux, selected, partner, bundle } = port;
  const reason = portReason(turn, port);
  const cause = portCause(port);
  const { system, key, port: number, state } = actorOf(port);
  const mode = offersFallback(port) ? bundle.config.fallback : "none";
  const said = `${receive} ${mux} ${selected} ${reason} ${cause} ${mode} ${system} ${key} ${number} ${state} ${partner.system} ${partner.key} ${partner.port} ${partner.state}`;
  if (said === port.said) return;
  port.said = said;
  say(turn, {
    type: "lacp.port",
    port: port.port.name,
    bundle: bundle.config.name,
    receive,
    mux,
    selected,
    actor: { system, key, port: number, state: octet(state) },
    partner: { system: partner.system, key: partner.key, port: partner.port, state: octet(partner.state) },
    reason,
    ...(mode === "none" ? {} : { fallback: mode }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function octet(state: number): string {
  return `0x${state.toString(16).padStart(2, "0")}`;
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
        bundle.fast = command.rate === "fast";
        for (const port of bundle.members) {
          setAdministrative(port);
          needToTransmit(turn, port, true);
        }
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

/** What this end is called has changed: every link leaves its aggregator first, and the partner is told at once. */
function renegotiate(turn: Turn, ports: readonly LacpPort[]): void {
  for (const port of ports) {
    deselect(turn, port);
    // It agreed to what this end was; whether it agrees to what it is, its next LACPDU says.
    port.partner = { ...port.partner, state: port.partner.state & ~STATE.synchronization };
    needToTransmit(turn, port, true);
  }
}

function alarmOf(turn: Turn, bundle: Bundle): Instant {
  // A fallback whose time has come waits for the receive machines.
  let first: number = bundle.fallbackAt > turn.now ? bundle.fallbackAt : NEVER;
  if (bundle.up && bundle.said === 0) first = Math.min(first, bundle.renamedUntil);
  for (const port of bundle.members) {
    first = Math.min(
      first,
      port.currentWhile,
      port.periodicAt,
      muxDeadline(turn, port),
      transmitDeadline(port),
      port.actorChurn.until,
      port.partnerChurn.until,
      port.flushUntil,
    );
  }
  return first as Instant;
}
