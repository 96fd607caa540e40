/** A node with bundles and nothing at its links' far ends but the test, which says what a partner would. */
import { ETHERTYPE, ethernet } from "../../protocols/ethernet/codec.ts";
import {
  decodeLacpdu,
  decodeMarker,
  encodeLacpdu,
  type Lacpdu,
  type LacpInfo,
  type Marker,
  SLOW_GROUP,
} from "../../protocols/lacp/codec.ts";
import { type LacpConfig, schema } from "../../protocols/lacp/config.ts";
import type { LacpEvent, LacpPortEvent } from "../../protocols/lacp/events.ts";
import { lacp } from "../../protocols/lacp/machine.ts";
import { actorOf, type Bundle, type LacpPort, type LacpState } from "../../protocols/lacp/state.ts";
import type { Mac } from "../../src/core/addr.ts";
import { Frame } from "../../src/core/frame.ts";
import { Log } from "../../src/core/log.ts";
import { type Event, mount, type Port } from "../../src/core/machine.ts";
import { type Instant, instant, NEVER } from "../../src/core/time.ts";
import type { Wire } from "../../src/node/host.ts";
import { Node } from "../../src/node/node.ts";
import { probe } from "./probe.ts";

export const PEER = "02:00:00:00:00:bb" as Mac;
export const OTHER = "02:00:00:00:00:cc" as Mac;
export const SELF = "02:00:00:00:00:aa" as Mac;
const NOBODY = "00:00:00:00:00:00" as Mac;

export interface Sent<T> {
  /** Microseconds. */
  readonly at: number;
  readonly port: string;
  readonly pdu: T;
}

/** What a partner says of itself, with the defaults of a Linux bond at fast rate. */
export interface Saying extends Partial<LacpInfo> {
  /** What it holds of us; default: exactly what we are. */
  readonly of?: Partial<LacpInfo>;
}

export function configOf(...bundles: readonly object[]): LacpConfig {
  return schema.parse(bundles);
}

export class Solo {
  now: Instant = instant(0);
  readonly node: Node;
  readonly sent: Sent<Lacpdu>[] = [];
  readonly markers: Sent<Marker>[] = [];
  /** Whole slow protocol frames. */
  readonly frames: Sent<Uint8Array>[] = [];
  /** Frames that left by a link and are no slow protocol's. */
  readonly data: Sent<Frame>[] = [];
  /** Frames that came up out of a bundle. */
  readonly up: Frame[] = [];
  readonly events: (LacpEvent & { readonly at: number })[] = [];
  private alarm: Instant = NEVER;

  constructor(...bundles: readonly object[]) {
    const log = new Log();
    log.follow({
      everything: false,
      read: ({ at, what }) => {
        if (what.kind === "event") this.events.push({ ...(what.event as LacpEvent), at });
      },
    });
    const host = {
      apply: () => undefined,
      wake: (_node: Node, at: Instant) => {
        this.alarm = at;
      },
    };
    this.node = new Node(
      { name: "dut", id: 0, seed: 1, mac: (port) => (port.startsWith("agg") ? SELF : macOf(port)) },
      host,
      log,
    );
    const config = configOf(...bundles);
    const uses = config.map(({ name }) => name);
    const upper = probe({ name: "upper", uses, claims: (_port, frame) => this.up.push(frame) > 0 }, this.node);
    this.node.mount([mount(lacp, config, this.node), upper]);
    for (const { port } of this.state.ports) this.attach(port);
    this.command({ verb: "start" });
  }

  /** Goes over to another file; links that are new are without carrier. */
  configure(...bundles: readonly object[]): void {
    const machine = this.node.machine("lacp");
    if (machine === undefined) throw new Error("no machine");
    for (const port of this.node.reconfigure(machine, configOf(...bundles), this.now).fresh) this.attach(port);
  }

  private attach(port: Port): void {
    const { name } = port;
    this.node.attach(port, { transmit: (frame) => this.take(name, frame) });
  }

  /** Puts a wire with carrier under a port, of which this is known. */
  plug(name: string, wire: Pick<Wire, "speed" | "duplex">): void {
    const port = this.node.port(name);
    this.link(name, false);
    this.node.attach(port, { ...wire, transmit: (frame) => this.take(name, frame) });
    this.link(name);
  }

  get state(): LacpState {
    return this.node.machine("lacp")?.state as LacpState;
  }

  port(name: string): LacpPort {
    const port = this.state.ports.find((one) => one.port.name === name);
    if (port === undefined) throw new Error(`no port ${name}`);
    return port;
  }

  bundle(name = "agg1"): Bundle {
    const bundle = this.state.bundles.find(({ config }) => config.name === name);
    if (bundle === undefined) throw new Error(`no bundle ${name}`);
    return bundle;
  }

  /** "current distributing": the receive and mux states of a port. */
  states(name: string): string {
    const { receive, mux } = this.port(name);
    return `${receive} ${mux}`;
  }

  reason(name: string): string {
    const said = this.events.filter((event): event is LacpPortEvent & { at: number } => event.type === "lacp.port");
    return said.findLast(({ port }) => port === name)?.reason ?? "";
  }

  link(name: string, up = true): void {
    this.node.step({ kind: "link", port: this.node.port(name), up }, this.now);
  }

  links(...names: readonly string[]): void {
    for (const name of names) this.link(name);
  }

  command(command: { readonly verb: string } & Record<string, unknown>): void {
    this.node.step({ kind: "command", to: "lacp", command }, this.now);
  }

  hear(event: Event & Record<string, unknown>): void {
    this.node.step({ kind: "heard", event }, this.now);
  }

  /** The partner of that port says this now. */
  say(name: string, { of, ...said }: Saying = {}): void {
    const partner = { ...actorOf(this.port(name)), ...of };
    const actor = { ...peerOf(this.port(name).number), ...said };
    this.receive(name, encodeLacpdu({ version: 1, actor, partner, collectorMaxDelay: 0 }));
  }

  /** A slow protocol payload arrives. */
  receive(name: string, payload: Uint8Array): void {
    this.arrive(name, ethernet(SLOW_GROUP, PEER, ETHERTYPE.slow, payload));
  }

  arrive(name: string, bytes: Uint8Array): void {
    this.node.deliver(this.node.port(name), Frame.of(bytes), this.now);
  }

  /** A frame for the bundle, from above. */
  send(frame: Frame, bundle = "agg1"): void {
    const port = this.node.port(bundle);
    // Time passes to this instant for the node, too.
    this.node.step({ kind: "timer" }, this.now);
    this.node.down(port, frame);
  }

  /** Time goes on to `to` (µs); every alarm rings in its time. */
  run(to: number): void {
    let rung = 0;
    while (this.alarm <= to) {
      if (++rung > 10_000) throw new Error(`the alarm rings without end at ${this.alarm}`);
      this.now = instant(Math.max(this.now, this.alarm));
      this.alarm = NEVER;
      this.node.step({ kind: "timer" }, this.now);
    }
    this.now = instant(to);
  }

  /** Runs to `to` while a partner in agreement speaks every `every` µs on these ports. */
  chat(names: readonly string[], to: number, every = 1_000_000, said: Saying = {}): void {
    while (this.now < to) {
      for (const name of names) this.say(name, { state: 0x3f, ...said });
      this.run(Math.min(to, this.now + every));
    }
  }

  /** Brings the ports up and into agreement with their partner. */
  agree(...names: readonly string[]): void {
    this.links(...names);
    for (const name of names) this.say(name, { state: 0x0f, of: { state: 0x07 } });
    this.run(this.now + 2_000_000);
    for (const name of names) this.say(name, { state: 0x3f });
    // Those that joined one after the other have moved flows: that is over, too.
    this.run(this.now + 200_000);
  }

  /** The LACPDUs of a port since a time. */
  pdus(name: string, since = 0): Sent<Lacpdu>[] {
    return this.sent.filter(({ port, at }) => port === name && at >= since);
  }

  private take(port: string, frame: Frame): void {
    const payload = frame.bytes.subarray(14);
    const at = this.now;
    if (frame.header.type === ETHERTYPE.slow) this.frames.push({ at, port, pdu: frame.bytes });
    if (frame.header.type !== ETHERTYPE.slow) {
      this.data.push({ at, port, pdu: frame });
    } else if (payload[0] === 1) {
      const pdu = decodeLacpdu(payload);
      if (pdu.ok) this.sent.push({ at, port, pdu: pdu.value });
    } else {
      const marker = decodeMarker(payload);
      if (marker.ok) this.markers.push({ at, port, pdu: marker.value });
    }
  }
}

function peerOf(port: number): LacpInfo {
  return { systemPriority: 65_535, system: PEER, key: 15, portPriority: 255, port, state: 0x3f };
}

export const nobody: LacpInfo = { systemPriority: 0, system: NOBODY, key: 0, portPriority: 0, port: 0, state: 0 };

/** The address of a link: its name's number. */
export function macOf(port: string): Mac {
  return `02:00:00:00:01:${port.replace(/\D/g, "").padStart(2, "0").slice(-2)}` as Mac;
}

/** Frame `sequence` of flow `n`: 60 octets whose addresses are the flow's. */
export function dataFrame(n: number, sequence = 0): Frame {
  const bytes = new Uint8Array(60);
  bytes.set([0x02, 0, 0, 1, (n >>> 8) & 0xff, n & 0xff, 0x02, 0, 0, 2, (n >>> 16) & 0xff, (n * 7) & 0xff, 0x88, 0xb5]);
  bytes.set([sequence >>> 24, sequence >>> 16, sequence >>> 8, sequence], 14);
  return Frame.of(bytes, sequence);
}
