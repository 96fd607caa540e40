/** A node on a bench: its host keeps what it is asked for. */
import type { Frame } from "../../src/core/frame.ts";
import { Log } from "../../src/core/log.ts";
import { type Instant, instant } from "../../src/core/time.ts";
import type { Host } from "../../src/node/host.ts";
import { Node } from "../../src/node/node.ts";
import { mac, numbered, numberOf, type ProbeConfig, probe, type Recorder, stateOf } from "./probe.ts";

export class NodeBench implements Host {
  readonly log = new Log();
  readonly node: Node;
  readonly applied: string[] = [];
  readonly wakes: number[] = [];
  /** "eth0 5": frame 5 left by eth0. */
  readonly sent: string[] = [];

  constructor(machines: readonly ProbeConfig[], recorder?: Recorder) {
    if (recorder !== undefined) this.log.follow(recorder);
    const options = { name: "sw1", id: 0, seed: 1, mac: () => mac("02:00:00:01:00:00") };
    this.node = new Node(options, this, this.log);
    this.node.mount(machines.map((config) => probe(config, this.node)));
    for (const name of this.node.wires()) {
      this.node.attach(this.node.port(name), {
        transmit: (frame: Frame) => void this.sent.push(`${name} ${numberOf(frame)}`),
      });
    }
  }

  apply(_node: Node, change: { type: string }): void {
    this.applied.push(change.type);
  }

  wake(_node: Node, at: Instant): void {
    this.wakes.push(at);
  }

  deliver(port: string, number: number, now = 0): void {
    this.node.deliver(this.node.port(port), numbered(number), instant(now));
  }

  link(port: string, up: boolean, now = 0): void {
    this.node.step({ kind: "link", port: this.node.port(port), up }, instant(now));
  }

  command(to: string, verb: string, now = 0): void {
    this.node.step({ kind: "command", to, command: { verb } }, instant(now));
  }

  timer(now: number): void {
    this.node.step({ kind: "timer" }, instant(now));
  }

  words(name: string): string[] {
    return stateOf(this.node.machine(name)).words;
  }
}
