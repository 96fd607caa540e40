/**
 * The host of a capture: it gives each packet to the machines that watch the port on which it was seen, and fires their
 * timers between the packets, in the order of time. They wish nothing and send nothing; what they say is in the log.
 */

import { macFrom } from "../../core/addr.ts";
import { assert } from "../../core/assert.ts";
import type { Log } from "../../core/log.ts";
import type { Change, Env, Event, Mounted, Port } from "../../core/machine.ts";
import { formatDuration, type Instant, NEVER, us } from "../../core/time.ts";
import type { Host } from "../../node/host.ts";
import { Node } from "../../node/node.ts";
import { CaptureClock } from "./clock.ts";
import { Ports, type Tap, type Unseen } from "./ports.ts";

/** The node of the log whose ports are the capture's. */
export const CAPTURE_NODE = "capture";
/** Anomalies of one kind that are said about the capture itself; the number of all of them is in `counts`. */
const MAX_SAID = 16;

/** A packet of a capture; `CaptureRecord` is one. */
export interface CapturedPacket {
  readonly number: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly interface: Tap & { readonly fcsLength: number };
}

/** Said of the capture itself. */
export interface CaptureAnomaly extends Event {
  readonly type: "anomaly";
  readonly kind: "time-backwards" | "clock-step" | Unseen;
  readonly interface?: string;
  readonly frame: number;
  readonly detail: string;
}

export interface ReplayOptions {
  readonly log: Log;
  /** The machines that watch a port. */
  readonly observe: (port: string, env: Env) => readonly Mounted[];
}

export class Replay implements Host {
  /** What was odd about the capture itself, by kind. */
  readonly counts = new Map<CaptureAnomaly["kind"], number>();
  frames = 0;
  private readonly clock = new CaptureClock();
  private readonly node: Node;
  private readonly ports: Ports;
  private readonly log: Log;
  private alarm: Instant = NEVER;

  constructor({ log, observe }: ReplayOptions) {
    this.log = log;
    const mac = () => macFrom(new Uint8Array(6));
    this.node = new Node({ name: CAPTURE_NODE, id: 0, seed: 0, mac }, this, log);
    this.ports = new Ports((name): Port => {
      const port = this.node.port(name);
      this.node.mount(observe(name, this.node));
      return port;
    });
  }

  /** The time of the last packet. */
  get now(): Instant {
    return this.clock.now;
  }

  /** Everything that was due before this packet, then the packet. */
  feed(packet: CapturedPacket): void {
    const { clock, ports } = this;
    const before = clock.now;
    const now = clock.set(packet);
    this.frames++;
    if (clock.back > 0) this.mentionTime(packet.number, before);
    if (this.alarm <= now) this.fire(now);
    const { bytes, length } = packet;
    const tap = packet.interface;
    // Files exist whose lengths on the wire are below those captured: then the captured one is believed.
    ports.find(tap, bytes, Math.max(bytes.length, length - tap.fcsLength), packet.number);
    const { port, frame, unseen } = ports;
    if (port !== undefined && frame !== undefined) this.node.deliver(port, frame, now);
    else if (unseen !== undefined) this.mentionUnseen(unseen, packet);
  }

  /** The capture is over. What would be due after its last packet does not happen. */
  end(): void {
    this.node.step({ kind: "command", to: "*", command: { verb: "stop" } }, this.clock.now);
  }

  apply(_node: Node, _change: Change): void {
    // Nothing here can grant a wish: what happened has happened.
  }

  wake(_node: Node, at: Instant): void {
    this.alarm = at;
  }

  private fire(until: Instant): void {
    while (this.alarm <= until) {
      const at = this.alarm;
      this.alarm = NEVER;
      this.node.step({ kind: "timer" }, at);
      // A machine that is woken and asks for the same time again would hold the replay for ever.
      assert(this.alarm === NEVER || this.alarm > at, "a timer that fired is still due");
    }
  }

  private mentionTime(frame: number, before: Instant): void {
    const by = formatDuration(us(this.clock.back));
    if (this.clock.stepped) {
      const detail = `the capture's clock goes back by ${by}: times go on from ${before / 1_000_000} s`;
      this.mention({ type: "anomaly", kind: "clock-step", frame, detail });
    } else {
      const detail = `${by} earlier than the frame before it: taken to be at the same time`;
      this.mention({ type: "anomaly", kind: "time-backwards", frame, detail });
    }
  }

  private mentionUnseen(kind: Unseen, { number, interface: tap }: CapturedPacket): void {
    const detail = {
      "link-type": `link type ${tap.linkType} cannot be read`,
      "too-short": "too short for its own headers",
      "too-many-ports": "on one interface or VLAN more than are followed at once",
    }[kind];
    const name = tap.name === undefined ? {} : { interface: tap.name };
    this.mention({ type: "anomaly", kind, ...name, frame: number, detail });
  }

  private mention(event: CaptureAnomaly): void {
    const count = (this.counts.get(event.kind) ?? 0) + 1;
    this.counts.set(event.kind, count);
    // That a link type cannot be read is so for every packet of it.
    if (count > (event.kind === "link-type" ? 1 : MAX_SAID)) return;
    this.log.append({ at: this.clock.now, node: CAPTURE_NODE, way: "out", what: { kind: "event", event } });
  }
}
