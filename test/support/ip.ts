/** IP stacks without a simulator: one on a bench, or several on a wire that costs no time. */

import { decodeEthernet } from "../../protocols/ethernet/codec.ts";
import { decodeIp, type IpPacket } from "../../protocols/ip/codec.ts";
import { interfacesSchema } from "../../protocols/ip/config.ts";
import type { IpVirtual } from "../../protocols/ip/events.ts";
import { ipMachine } from "../../protocols/ip/machine.ts";
import type { Stack } from "../../protocols/ip/state.ts";
import type { ToIp } from "../../protocols/mlag/events.ts";
import { type Mac, parseMac } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import { Frame } from "../../src/core/frame.ts";
import {
  type Env,
  type Event,
  type Mounted,
  mount,
  type Output,
  type Path,
  type Port,
} from "../../src/core/machine.ts";
import { createRng } from "../../src/core/rng.ts";
import { type Duration, type Instant, instant } from "../../src/core/time.ts";

export function mac(text: string): Mac {
  const read = parseMac(text);
  assert(read !== undefined, `${text} is no MAC`);
  return read;
}

export interface Sent {
  readonly port: string;
  readonly frame: Frame;
}

let made = 0;

/** One stack; whatever it does is kept. */
export class Rig implements Env, Path {
  readonly node: string;
  readonly stack: Mounted;
  now: Instant = instant(0);
  sent: Sent[] = [];
  /** Frames handed up on the port "ip". */
  received: Frame[] = [];
  events: Event[] = [];
  readonly drops: Record<string, number> = {};
  /** Takes what is sent, in place of `sent`. */
  wire: ((port: string, frame: Frame) => void) | undefined;
  private readonly ports: Port[] = [];
  private readonly id = made++;

  /** @param interfaces as in a node's file */
  constructor(node: string, interfaces: object, machine = ipMachine) {
    this.node = node;
    this.stack = mount(machine, interfacesSchema.parse(interfaces), this);
    this.step({ kind: "command", to: "ip", command: { verb: "start" } });
    for (const { name } of this.stack.uses) this.link(name, true);
  }

  get state(): Stack {
    return this.stack.state as Stack;
  }

  /** What the stack has counted, also while no frame was on its way. */
  get losses(): Record<string, number> {
    return Object.fromEntries(this.state.drops);
  }

  port(name: string): Port {
    let found = this.ports.find((port) => port.name === name);
    if (found === undefined) {
      found = { name, index: this.ports.length };
      this.ports.push(found);
    }
    return found;
  }

  mac(port: Port): Mac {
    const hex = (n: number) => n.toString(16).padStart(2, "0");
    return mac(`02:00:00:00:${hex(this.id % 256)}:${hex(port.index + 1)}`);
  }

  macOf(port: string): Mac {
    return this.mac(this.port(port));
  }

  rng(owner: string) {
    return createRng(1, this.node, owner);
  }

  up(_port: Port, frame: Frame): void {
    this.received.push(frame);
  }

  down(port: Port, frame: Frame): void {
    if (this.wire === undefined) this.sent.push({ port: port.name, frame });
    else this.wire(port.name, frame);
  }

  drop(_port: Port, reason: string): void {
    this.drops[reason] = (this.drops[reason] ?? 0) + 1;
  }

  say(event: Event): void {
    this.events.push(event);
  }

  link(port: string, up: boolean): void {
    this.step({ kind: "link", port: this.port(port), up });
  }

  hear(event: IpVirtual | ToIp): void {
    this.step({ kind: "heard", event });
  }

  /** A frame from the link. */
  arrive(port: string, frame: Frame | Uint8Array): void {
    this.offer(this.port(port), frame instanceof Frame ? frame : Frame.of(frame));
  }

  /** A packet of a machine above. */
  send(frame: Frame): void {
    this.offer(this.port("ip"), frame);
  }

  /** Lets time pass, and the timers that come due in it run. */
  wait(time: Duration): void {
    const end = instant(this.now + time);
    while (this.stack.deadline() <= end) {
      this.now = this.stack.deadline();
      this.step({ kind: "timer" });
      assert(this.stack.deadline() > this.now, "a timer that does not pass");
    }
    this.now = end;
  }

  /** What was sent since the last call. */
  take(): Sent[] {
    const { sent } = this;
    this.sent = [];
    return sent;
  }

  private offer(port: Port, frame: Frame): void {
    const stepped = this.stack.relay?.(this.stack.state, port, frame, this.now, this);
    if (stepped) this.step({ kind: "frame", port, frame });
  }

  private step(input: Parameters<Mounted["step"]>[0]): void {
    for (const output of this.stack.step(input, this.now)) this.perform(output);
  }

  private perform(output: Output): void {
    if (output.kind === "event") this.events.push(output.event);
    else if (output.kind === "send" && output.port.name === "ip") this.up(output.port, output.frame);
    else if (output.kind === "send") this.down(output.port, output.frame);
  }
}

/** Joins ports of stacks to one segment; what it carries is kept in order. */
export function segment(...ends: readonly (readonly [Rig, string])[]): Frame[] {
  const carried: Frame[] = [];
  const queue: { readonly from: Rig; readonly frame: Frame }[] = [];
  let busy = false;
  for (const [rig, port] of ends) {
    const before = rig.wire;
    rig.wire = (name, frame) => {
      if (name !== port) {
        before?.(name, frame);
        return;
      }
      carried.push(frame);
      queue.push({ from: rig, frame });
      if (busy) return;
      busy = true;
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        for (const [other, at] of ends) if (other !== next.from) other.arrive(at, next.frame);
      }
      busy = false;
    };
  }
  return carried;
}

/** The packet in a frame. */
export function packetIn(frame: Frame | undefined): IpPacket {
  assert(frame !== undefined, "there is no frame");
  const ethernet = decodeEthernet(frame.bytes);
  assert(ethernet.ok, "no Ethernet frame");
  const packet = decodeIp(ethernet.value.payload);
  assert(packet.ok, "no IP packet");
  return packet.value;
}

export function macsOf(frame: Frame | undefined): { readonly source: Mac; readonly destination: Mac } {
  assert(frame !== undefined, "there is no frame");
  const ethernet = decodeEthernet(frame.bytes);
  assert(ethernet.ok, "no Ethernet frame");
  return { source: ethernet.value.source, destination: ethernet.value.destination };
}
