/** The IP stack of a node: RFC 1122, RFC 1812, RFC 4861, RFC 8200, as far as the README says. */
import { isLinkLocal } from "../../src/core/addr.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Event, Input, Machine, Output, Path, Port } from "../../src/core/machine.ts";
import { NOTHING } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { ToIp } from "../mlag/events.ts";
import type { InterfacesConfig } from "./config.ts";
import { IP_PORT, type IpEvent, type IpUnresolved, type IpVirtual, KERNEL_PORT } from "./events.ts";
import { sayError } from "./icmp.ts";
import { askAgain, type Failure, flush, sayNeighbours, takeIn } from "./neighbours.ts";
import { sendOwn } from "./output.ts";
import { loopBack, readPacket, receive } from "./receive.ts";
import { addressesOf, createStack, setLink, setVirtual } from "./setup.ts";
import { setShared } from "./shared.ts";
import { lose, MAX_UNANSWERED, type Stack } from "./state.ts";

type Command = { readonly verb: "start" } | { readonly verb: "stop" };
type Heard = IpVirtual | ToIp;

export const ipMachine: Machine<InterfacesConfig, Stack, Command, IpEvent, Heard> = {
  name: "ip",
  hears: ["ip.virtual", "mlag.gateway", "mlag.neighbours", "mlag.neighbour"],
  ports: (config) => ({ owns: [IP_PORT], uses: Object.keys(config) }),
  init: createStack,
  relay: (stack, port, frame, now, path) => {
    const before = stack.alarm;
    relay(stack, port, frame, now, path);
    if (stack.alarm >= before) return false;
    // A question was asked: the node has to hear of the nearer deadline, and finds the frame done.
    stack.done = frame;
    return true;
  },
  step,
  deadline: (stack) => stack.alarm,
};

/** The same beside the kernel's own stack, on the interfaces that the kernel is not to have. */
export const besideKernel: typeof ipMachine = {
  ...ipMachine,
  ports: (config) => ({ owns: [IP_PORT], uses: [...Object.keys(config), KERNEL_PORT] }),
  init: (config, env) => createStack(config, env, env.port(KERNEL_PORT)),
};

function relay(stack: Stack, port: Port, frame: Frame, now: Instant, path: Path): void {
  const on = stack.byPort[port.index];
  if (on !== undefined) {
    if (stack.running && on.up) receive(stack, on, frame, now, path);
    else lose(stack, port, "not-running", path);
  } else if (port === stack.ipPort) {
    if (stack.running) fromAbove(stack, frame, now, path);
    else lose(stack, port, "not-running", path);
  }
}

/** A packet of a machine above: its Ethernet header is empty, all else is complete. */
function fromAbove(stack: Stack, frame: Frame, now: Instant, path: Path): void {
  const read = readPacket(frame);
  if (!read.ok) lose(stack, stack.ipPort, `ip-${read.reason}`, path);
  else if (!loopBack(stack, frame, read.value, now, path)) {
    // RFC 4291 §2.5.6: a link-local address means something on one link only, the one that the source is on.
    const { source, destination } = read.value;
    const on = isLinkLocal(destination) ? stack.interfaces.find(({ local }) => local.has(source)) : undefined;
    sendOwn(stack, frame, destination, on, now, path);
  }
}

function step(stack: Stack, input: Input<Command, Heard>, now: Instant): readonly Output<IpEvent>[] {
  const outputs: Output<IpEvent>[] = [];
  const path = collect(outputs);
  switch (input.kind) {
    case "frame":
      if (stack.done === input.frame) stack.done = undefined;
      else relay(stack, input.port, input.frame, now, path);
      break;
    case "link": {
      const on = stack.byPort[input.port.index];
      if (on === undefined || on.up === input.up) return NOTHING;
      setLink(stack, on, input.up, path);
      if (stack.running && !on.quiet) outputs.push({ kind: "event", event: addressesOf(on) });
      break;
    }
    case "timer":
      for (const failure of askAgain(stack, now, path)) unreachable(stack, failure, now, path);
      break;
    case "command":
      command(stack, input.command, outputs, path);
      break;
    case "heard":
      hear(stack, input.event, now, path);
      break;
  }
  return outputs;
}

function hear(stack: Stack, event: Heard, now: Instant, path: Path): void {
  switch (event.type) {
    case "ip.virtual":
      setVirtual(stack, event, path);
      break;
    case "mlag.gateway":
      setShared(stack, event);
      break;
    case "mlag.neighbours":
      sayNeighbours(stack, path);
      break;
    case "mlag.neighbour":
      takeIn(stack, event, now, path);
  }
}

function command(stack: Stack, { verb }: Command, outputs: Output<IpEvent>[], path: Path): void {
  if (verb === "start" && !stack.running) {
    stack.running = true;
    for (const on of stack.interfaces) if (!on.quiet) outputs.push({ kind: "event", event: addressesOf(on) });
  } else if (verb === "stop" && stack.running) {
    stack.running = false;
    for (const on of stack.interfaces) flush(stack, on, path);
  }
}

/** RFC 1812 §5.2.7.1, RFC 4861 §7.2.2: the senders of what waited in vain are told. */
function unreachable(stack: Stack, { on, neighbour }: Failure, now: Instant, path: Path): void {
  for (const { frame, from } of neighbour.waiting) {
    if (from !== undefined) sayError(stack, from, frame, "no-neighbour", now, path);
  }
  const { unanswered } = stack;
  if (unanswered?.has(neighbour.address) === true) return;
  if (unanswered?.size === MAX_UNANSWERED) unanswered.clear();
  unanswered?.add(neighbour.address);
  const lost = neighbour.waiting.length;
  const event: IpUnresolved = {
    type: "ip.unresolved",
    port: on.port.name,
    address: neighbour.address,
    lost,
    reason: "no-neighbour",
  };
  path.say(event);
}

/** The path of inputs that are not frames: what it is given becomes outputs. */
function collect(outputs: Output<IpEvent>[]): Path {
  return {
    up: (port, frame) => outputs.push({ kind: "send", port, frame }),
    down: (port, frame) => outputs.push({ kind: "send", port, frame }),
    // Counted in `stack.drops` by whoever drops.
    drop: () => {},
    say: (event: Event) => outputs.push({ kind: "event", event: event as IpEvent }),
  };
}
