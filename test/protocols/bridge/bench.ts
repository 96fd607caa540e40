/** A bridge on a node of its own, with a bench at each port. */
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import type { MacEvent } from "../../../protocols/bridge/events.ts";
import { type BridgeState, bridge } from "../../../protocols/bridge/machine.ts";
import type { ToBridge } from "../../../protocols/mlag/events.ts";
import { macBytes } from "../../../src/core/addr.ts";
import { fromHex, toHex } from "../../../src/core/bytes.ts";
import { Frame } from "../../../src/core/frame.ts";
import { Log } from "../../../src/core/log.ts";
import { mount } from "../../../src/core/machine.ts";
import { instant } from "../../../src/core/time.ts";
import { Node } from "../../../src/node/node.ts";
import { mac, type ProbeConfig, probe, Recorder, stateOf } from "../../support/probe.ts";

/** The switch's own address. */
export const OWN = "02:00:00:01:00:00";
export const A = "02:aa:00:00:00:01";
export const B = "02:aa:00:00:00:02";
export const C = "02:aa:00:00:00:03";

/** @param tag tag control information in hex, "a00a"; absent for an untagged frame */
export function ethernet(to: string, from: string, tag?: string): Frame {
  const head = toHex(macBytes(mac(to))) + toHex(macBytes(mac(from)));
  const bytes = fromHex(`${head}${tag === undefined ? "" : `8100${tag}`}88b50102`);
  return Frame.of(bytes ?? new Uint8Array(14));
}

export class Bench {
  readonly node: Node;
  readonly recorder = new Recorder(false);
  now = 0;
  private sent: string[] = [];
  private readonly wires: readonly string[];

  /** @param config as in a node's file; the routed ports of `vlans` have a probe above them */
  constructor(config: object, routed: readonly number[] = []) {
    const log = new Log();
    log.follow(this.recorder);
    const host = { apply() {}, wake() {} };
    this.node = new Node({ name: "sw1", id: 0, seed: 1, mac: () => mac(OWN) }, host, log);
    const uses = routed.map((vid) => `vlan${vid}`);
    const above: ProbeConfig = {
      name: "above",
      uses,
      claims: (port, frame) => {
        this.sent.push(`${port.name}${inWords(frame)}`);
        return true;
      },
    };
    const parsed = bridgeSchema.parse(config);
    this.node.mount([mount(bridge, parsed, this.node), probe(above, this.node)]);
    this.wires = parsed.ports;
    for (const name of this.wires) {
      const port = this.node.port(name);
      this.node.attach(port, { transmit: (frame) => void this.sent.push(`${name}${inWords(frame)}`) });
      this.link(name, true);
    }
  }

  get state(): BridgeState {
    return this.node.machine("bridge")?.state as BridgeState;
  }

  /** What leaves when the frame comes in: "p2", "up tagged a00a", "vlan10". */
  receive(port: string, frame: Frame): string[] {
    this.sent = [];
    this.node.deliver(this.node.port(port), frame, instant(this.now));
    return this.sent;
  }

  /** The same for a frame that the node itself sends by a routed port. */
  send(port: string, frame: Frame): string[] {
    this.sent = [];
    this.node.down(this.node.port(port), frame);
    return this.sent;
  }

  link(port: string, up: boolean): void {
    this.node.step({ kind: "link", port: this.node.port(port), up }, instant(this.now));
  }

  /** What the M-LAG machine of this node would say. */
  hear(event: ToBridge): void {
    this.node.step({ kind: "heard", event }, instant(this.now));
  }

  /** Goes on to `seconds`, with the timers that are due on the way. */
  at(seconds: number): void {
    const until = seconds * 1e6;
    while (this.node.deadline() <= until) {
      this.now = Math.max(this.now, this.node.deadline());
      this.node.step({ kind: "timer" }, instant(this.now));
    }
    this.now = until;
  }

  /** "learned A p1 10": the events so far, which are forgotten then. */
  events(): string[] {
    const names = new Map([
      [A, "A"],
      [B, "B"],
      [C, "C"],
      [OWN, "own"],
    ]);
    const lines = this.recorder.entries.splice(0).flatMap(({ what }) => {
      if (what.kind !== "event") return [];
      const { type, mac: address, port, vlan, origin, reason } = what.event as MacEvent;
      const words = [type.replace(/^mac\./, ""), names.get(address) ?? address, port, vlan, reason];
      return [`${origin === "peer" ? "peer " : ""}${words.filter((word) => word !== undefined).join(" ")}`];
    });
    return lines;
  }

  get drops(): Record<string, number> {
    return Object.fromEntries(this.node.drops);
  }

  /** What the routed ports' user was told of them. */
  get links(): string[] {
    return stateOf(this.node.machine("above")).words.filter((word) => word.startsWith("link"));
  }
}

function inWords(frame: Frame): string {
  return frame.tci < 0 ? "" : ` tagged ${frame.tci.toString(16).padStart(4, "0")}`;
}
