/** Sends the flows that begin on this node, and counts those that end on it. */
import { contains, familyOf, type Ip, ipFrom, isLinkLocal, type Prefix, parsePrefix } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import {
  type Env,
  type Input,
  type Machine,
  NOTHING,
  type Output,
  type Path,
  type Port,
} from "../../src/core/machine.ts";
import { type Instant, NEVER, toSeconds } from "../../src/core/time.ts";
import { decodeIcmp } from "../icmp/codec.ts";
import { ipLayout, PROTOCOL } from "../ip/codec.ts";
import { factsOf, IP_PORT, type IpAddresses } from "../ip/events.ts";
import { decodeUdp } from "../udp/codec.ts";
import type { FlowCount } from "./count.ts";
import type { FlowEvent } from "./events.ts";
import { FlowSource, portOf, type Stamp, stampOf } from "./source.ts";

export interface FlowConfig {
  /** All flows of the run, by index. */
  readonly flows: readonly FlowCount[];
  /** Those that this node sends. */
  readonly sends: readonly FlowCount[];
}

interface Sending {
  readonly count: FlowCount;
  /** Number of the next packet, and when it leaves. */
  number: number;
  next: Instant;
  /** Undefined as long as the node has no address of the family. */
  source: FlowSource | undefined;
}

export interface FlowState {
  readonly flows: readonly FlowCount[];
  readonly port: Port;
  readonly sending: readonly Sending[];
  /** By interface, in the order in which they were first said. */
  readonly addresses: Map<string, readonly Prefix[]>;
  running: boolean;
  alarm: Instant;
}

type Command = { readonly verb: "start" } | { readonly verb: "stop" };

export const flowMachine: Machine<FlowConfig, FlowState, Command, FlowEvent, IpAddresses> = {
  name: "flow",
  hears: ["ip.addresses"],
  ports: () => ({ uses: [IP_PORT] }),
  init: ({ flows, sends }, env: Env) => ({
    flows,
    port: env.port(IP_PORT),
    sending: sends.map((count) => ({ count, number: 0, next: NEVER, source: undefined })),
    addresses: new Map(),
    running: false,
    alarm: NEVER,
  }),
  relay: (state, _port, frame, now, path) => {
    receive(state, frame, now, path);
    return false;
  },
  step,
  deadline: (state) => state.alarm,
};

function step(state: FlowState, input: Input<Command, IpAddresses>, now: Instant): readonly Output<FlowEvent>[] {
  switch (input.kind) {
    case "command":
      state.running = input.command.verb === "start";
      for (const one of state.sending) {
        one.count.rest();
        schedule(one, state.running ? one.count.firstAt(now) : Number.POSITIVE_INFINITY);
      }
      setAlarm(state);
      return NOTHING;
    case "heard": {
      const { port, addresses } = input.event;
      state.addresses.set(
        port,
        addresses.map(parsePrefix).filter((prefix) => prefix !== undefined),
      );
      for (const one of state.sending) one.source = undefined;
      return NOTHING;
    }
    case "timer":
      return send(state, now);
    default:
      return NOTHING;
  }
}

function schedule(one: Sending, number: number): void {
  one.number = number;
  one.next = one.count.inFlow(number) ? one.count.departure(number) : NEVER;
}

function setAlarm(state: FlowState): void {
  let first = NEVER;
  for (const { next } of state.sending) if (next < first) first = next;
  state.alarm = first;
}

/** What is due leaves; what was due earlier, while the node stood still, was never sent and is not made up for. */
function send(state: FlowState, now: Instant): readonly Output<FlowEvent>[] {
  if (now < state.alarm) return NOTHING;
  const outputs: Output<FlowEvent>[] = [];
  for (const one of state.sending) {
    if (one.next > now) continue;
    if (one.next < now) {
      one.count.rest();
      schedule(one, one.count.firstAt(now));
    }
    while (one.next === now) sendOne(state, one, now, outputs);
  }
  setAlarm(state);
  return outputs;
}

function sendOne(state: FlowState, one: Sending, now: Instant, outputs: Output<FlowEvent>[]): void {
  const { count, number } = one;
  const flow = count.flow.id;
  one.source ??= sourceOf(state, count);
  const since = count.countSent(number, now);
  if (since !== undefined) {
    outputs.push({ kind: "event", event: { type: "flow.stalled", flow, since: toSeconds(since) } });
  }
  if (one.source !== undefined) outputs.push({ kind: "send", port: state.port, frame: one.source.frame(number) });
  schedule(one, number + 1);
  if (count.stalled && one.next === NEVER) outputs.push({ kind: "event", event: { type: "flow.ended", flow } });
}

/** Sends from the address whose network holds the destination, else from the first of the family. */
function sourceOf(state: FlowState, count: FlowCount): FlowSource | undefined {
  const { to } = count.flow;
  let first: Ip | undefined;
  for (const prefixes of state.addresses.values()) {
    for (const prefix of prefixes) {
      if (familyOf(prefix.address) !== familyOf(to)) continue;
      if (contains(prefix, to)) return new FlowSource(count, prefix.address);
      if (!isLinkLocal(prefix.address)) first ??= prefix.address;
    }
  }
  return first === undefined ? undefined : new FlowSource(count, first);
}

/** A packet that the stack took for this node. */
function receive(state: FlowState, frame: Frame, now: Instant, path: Path): void {
  const maker = factsOf(frame)?.maker;
  if (maker instanceof FlowSource) {
    const { count } = maker;
    // Echo requests do not come up here: the stack answers them.
    if (count.kind === "datagram" && state.flows[count.index] === count) arrive(count, frame.sequence, now, path);
    return;
  }
  const { bytes } = frame;
  const layout = ipLayout(bytes, frame.payload);
  if (!layout.ok || layout.value.fragment) return;
  const { family, protocol, upper, end } = layout.value;
  const between = {
    source: ipFrom(bytes, family, layout.value.source),
    destination: ipFrom(bytes, family, layout.value.destination),
  };
  const message = bytes.subarray(upper, end);
  if (protocol === PROTOCOL.udp) {
    const udp = decodeUdp(message, between);
    if (!udp.ok) path.drop(state.port, `udp-${udp.reason}`);
    else if (udp.value.destinationPort >= portOf(0))
      arrived(state, "datagram", stampOf(udp.value.payload), udp.value.destinationPort, now, path);
    return;
  }
  if (protocol !== PROTOCOL.icmp && protocol !== PROTOCOL.icmpv6) return;
  const icmp = decodeIcmp(message, between);
  if (!icmp.ok || icmp.value.kind !== "echo-reply") return;
  arrived(state, "echo", stampOf(icmp.value.data), icmp.value.identifier, now, path);
}

/** @param key the UDP port or the identifier of the echo, which must be the flow's */
function arrived(
  state: FlowState,
  kind: FlowCount["kind"],
  stamp: Stamp | undefined,
  key: number,
  now: Instant,
  path: Path,
): void {
  const count = stamp === undefined ? undefined : state.flows[stamp.index];
  if (stamp === undefined || count === undefined || count.kind !== kind) return;
  if (key === (kind === "echo" ? count.index & 0xffff : portOf(count.index))) arrive(count, stamp.number, now, path);
}

function arrive(count: FlowCount, number: number, now: Instant, path: Path): void {
  const { flow, kind } = count;
  if (count.countArrival(number, now)) {
    const sent = toSeconds(count.departure(number));
    const event: FlowEvent = {
      type: "flow.duplicate",
      flow: flow.id,
      number,
      sent,
      count: count.duplicated,
      echo: kind === "echo",
    };
    path.say(event);
  } else if (count.stalled && !count.waits) {
    count.stalled = false;
    const event: FlowEvent = { type: "flow.flowing", flow: flow.id };
    path.say(event);
  }
}
