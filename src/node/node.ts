/**
 * One device: the machines on its ports. It hands every input to the machines that claim it, gathers their outputs,
 * lets siblings hear each other, writes the log, and tells the host when it wants to be woken.
 */
import type { Mac } from "../core/addr.ts";
import { AssertionError, assert } from "../core/assert.ts";
import type { Frame } from "../core/frame.ts";
import type { Log } from "../core/log.ts";
import type { Change, Env, Event, Input, Mounted, Output, Path, Port } from "../core/machine.ts";
import { createRng, type Rng } from "../core/rng.ts";
import { type Instant, instant, NEVER } from "../core/time.ts";
import type { Host, Wire } from "./host.ts";
import { dropped, linkInput, type NodePort } from "./node-port.ts";

/** Deliveries within one input; more is a loop between machines, which is a programmer's error. */
const MAX_DELIVERIES = 100_000;
/** Machines that wait for each other at once: a frame's way through the node. More is a loop, too. */
const MAX_DEPTH = 64;

/** Of an alarm that has rung; equal to none that can be asked for. */
const RUNG = Number.NaN as Instant;

const NOBODY: readonly Mounted[] = [];
const TIMER: Input = { kind: "timer" };

export interface NodeOptions {
  readonly name: string;
  /** The host's number for it. */
  readonly id: number;
  readonly seed: number;
  readonly mac: (port: string) => Mac;
}

interface Said {
  readonly from: Mounted | undefined;
  readonly event: Event;
  /** Those that hear it at once have. */
  readonly told: boolean;
}

/**
 * Of the input that is being run. Nodes run one at a time, each input to completion, so one record serves all: with
 * thousands of nodes the processor's cache would miss it in each of them.
 */
const turn = {
  now: instant(0),
  /** Steps of machines so far. */
  deliveries: 0,
  /** Machines that are in the middle of something. */
  depth: 0,
  /** The machine whose relay is running. */
  relaying: undefined as Mounted | undefined,
  /** Whether a machine wants its timer at another time than before. */
  moved: false,
  /** Events that siblings have yet to hear. */
  pending: [] as Said[],
};

function begin(now: Instant): void {
  turn.now = now;
  turn.deliveries = 0;
  turn.depth = 0;
  turn.moved = false;
  if (turn.pending.length > 0) turn.pending.length = 0;
}

function look(machine: Mounted): void {
  const due = machine.deadline();
  if (due === machine.due) return;
  machine.due = due;
  turn.moved = true;
}

export class Node implements Env, Path {
  readonly node: string;
  readonly id: number;
  readonly machines: Mounted[] = [];
  /** Frames that went nowhere, by reason. */
  readonly drops = new Map<string, number>();
  private readonly ports: NodePort[] = [];
  private readonly byName = new Map<string, NodePort>();
  private readonly hearers = new Map<string, Mounted[]>();
  /** Those that hear an event of the type at once. */
  private readonly listeners = new Map<string, Mounted[]>();
  private readonly host: Host;
  private readonly log: Log;
  private readonly options: NodeOptions;
  private alarm: Instant = NEVER;
  /** Machines have been mounted, and the host has not heard of their deadlines. */
  private fresh = false;

  constructor(options: NodeOptions, host: Host, log: Log) {
    this.options = options;
    this.node = options.name;
    this.id = options.id;
    this.host = host;
    this.log = log;
  }

  // --- what a machine is told (Env) ---

  port(name: string): Port {
    return this.portOf(name);
  }

  mac(port: Port): Mac {
    return this.options.mac(port.name);
  }

  rng(owner: string): Rng {
    return createRng(this.options.seed, this.node, owner);
  }

  // --- building ---

  mount(machines: readonly Mounted[]): void {
    this.fresh = true;
    for (const machine of machines) {
      this.machines.push(machine);
      machine.due = machine.deadline();
      for (const port of machine.owns) {
        this.own(machine, this.at(port));
      }
      for (const port of new Set(machine.uses)) this.use(machine, this.at(port));
      const soon = machine.machine.hearsAtOnce ?? [];
      for (const type of machine.machine.hears ?? []) {
        for (const all of soon.includes(type) ? [this.hearers, this.listeners] : [this.hearers]) {
          const list = all.get(type);
          if (list === undefined) all.set(type, [machine]);
          else list.push(machine);
        }
      }
    }
  }

  /**
   * Gives a machine another configuration while it runs.
   * @returns ports without a wire that it uses now, and those that nobody uses any more, whose wires are gone
   */
  reconfigure(
    machine: Mounted,
    config: unknown,
    now: Instant,
  ): { readonly fresh: readonly Port[]; readonly unused: readonly Port[] } {
    const { reconfigure, ports } = machine.machine;
    assert(reconfigure !== undefined, `${machine.name} takes no other configuration`);
    const wanted = ports(config);
    const owns = [...new Set((wanted.owns ?? []).map((name) => this.portOf(name)))];
    const uses = [...new Set((wanted.uses ?? []).map((name) => this.portOf(name)))];
    const before = machine.uses.map((port) => this.at(port));
    const added = uses.filter((port) => !before.includes(port));
    for (const port of added) this.use(machine, port);
    for (const port of owns) this.own(machine, port);
    begin(now);
    const command = { verb: "configure" };
    this.log.append({ at: now, node: this.node, way: "in", what: { kind: "command", to: machine.name, command } });
    const outputs = reconfigure(machine.state, config, this, now);
    look(machine);
    for (const output of outputs) this.perform(machine, output);
    // One that others use already says no more that it is up.
    for (const port of added) if (port.up) this.run(machine, linkInput(port));
    this.finish();
    machine.uses = uses;
    for (const port of machine.owns.map((one) => this.at(one))) if (!owns.includes(port)) port.owner = undefined;
    machine.owns = owns;
    const unused: Port[] = [];
    for (const port of before) {
      if (uses.includes(port)) continue;
      [port.first, ...port.others] = [port.first, ...port.others].filter(
        (user): user is Mounted => user !== undefined && user !== machine,
      );
      if (port.first !== undefined) continue;
      port.wire = undefined;
      port.up = false;
      unused.push(port);
    }
    return { fresh: uses.filter(({ wire, owner }) => wire === undefined && owner === undefined), unused };
  }

  private own(machine: Mounted, port: NodePort): void {
    assert(port.owner === undefined || port.owner === machine, `port ${port.name} of ${this.node} has two owners`);
    port.owner = machine;
  }

  private use(machine: Mounted, port: NodePort): void {
    const users = [...(port.first === undefined ? [] : [port.first]), ...port.others, machine];
    const claimers = users.filter(({ relay }) => relay === undefined);
    [port.first, ...port.others] = [...claimers, ...users.filter(({ relay }) => relay !== undefined)];
  }

  /** Names of the ports that reach the host: used by a machine, owned by none. */
  wires(): string[] {
    return this.ports.filter((port) => port.owner === undefined).map((port) => port.name);
  }

  /** Puts a wire under a port. */
  attach(port: Port, wire: Wire): void {
    this.at(port).wire = wire;
  }

  isUp(port: Port): boolean {
    return this.at(port).up;
  }

  machine(name: string): Mounted | undefined {
    return this.machines.find((machine) => machine.name === name);
  }

  // --- running ---

  /** When the earliest machine wants its timer. */
  deadline(): Instant {
    let first: Instant = NEVER;
    const { machines } = this;
    for (let i = 0; i < machines.length; i++) {
      const { due } = machines[i] as Mounted;
      if (due < first) first = due;
    }
    return first;
  }

  /** One input from the host: logs it, runs it to completion, performs what comes out. */
  step(input: Input, now: Instant): void {
    begin(now);
    if (this.log.everything || input.kind === "command" || input.kind === "link") {
      this.log.append({ at: now, node: this.node, way: "in", what: input });
    }
    switch (input.kind) {
      case "frame":
        this.up(input.port, input.frame);
        break;
      case "link":
        this.setLink(this.at(input.port), input.up);
        break;
      case "timer":
        for (let i = 0; i < this.machines.length; i++) {
          const machine = this.machines[i] as Mounted;
          if (machine.due <= now) this.run(machine, TIMER);
        }
        // It has rung: whatever is wanted next, the same time or none, the host is told.
        if (this.alarm <= now) this.alarm = RUNG;
        turn.moved = true;
        break;
      case "command":
        // What stands on others stops before them: it may have to say goodbye.
        for (const machine of input.command.verb === "stop" ? this.machines.toReversed() : this.machines) {
          if (input.to === machine.name || input.to === "*") this.run(machine, input);
        }
        break;
      case "heard":
        for (const machine of this.hearers.get(input.event.type) ?? []) this.run(machine, input);
        break;
    }
    this.finish();
  }

  /** A frame from the wire: `step` for frames, without an input record unless somebody reads everything. */
  deliver(port: Port, frame: Frame, now: Instant): void {
    begin(now);
    if (this.log.everything) {
      this.log.append({ at: now, node: this.node, way: "in", what: { kind: "frame", port, frame } });
    }
    this.up(port, frame);
    // Frames that were only relayed leave every deadline where it was.
    if (turn.deliveries > 0) this.finish();
  }

  /** A frame from the wire that the host could not keep for it. */
  lose(port: Port, reason: string, now: Instant): void {
    begin(now);
    this.drop(port, reason);
  }

  // --- the data plane (Path) ---

  up(port: Port, frame: Frame): void {
    const { first, others } = port as NodePort;
    if (first === undefined || this.offer(first, port, frame)) return;
    for (let i = 0; i < others.length; i++) if (this.offer(others[i] as Mounted, port, frame)) return;
  }

  down(port: Port, frame: Frame): void {
    const { owner, wire } = port as NodePort;
    if (owner !== undefined) {
      this.offer(owner, port, frame);
    } else if (wire === undefined) {
      this.drop(port, "no-link");
    } else {
      if (this.log.everything) {
        this.log.append({ at: turn.now, node: this.node, way: "out", what: { kind: "send", port, frame } });
      }
      wire.transmit(frame);
    }
  }

  drop(port: Port, reason: string): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
    if (this.log.everything) this.append({ kind: "event", event: dropped(port, reason) });
  }

  say(event: Event): void {
    turn.deliveries++;
    this.append({ kind: "event", event });
    if (this.hearers.has(event.type)) turn.pending.push({ from: turn.relaying, event, told: false });
  }

  // --- dispatch ---

  /** @returns whether the frame is this machine's alone */
  private offer(machine: Mounted, port: Port, frame: Frame): boolean {
    const { relay } = machine;
    if (relay !== undefined) {
      const outer = turn.relaying;
      turn.relaying = machine;
      if (++turn.depth > MAX_DEPTH) this.circles(machine);
      const { deliveries } = turn;
      const wanted = relay(machine.state, port, frame, turn.now, this);
      turn.depth--;
      turn.relaying = outer;
      if (turn.deliveries !== deliveries) look(machine);
      if (wanted) this.run(machine, { kind: "frame", port, frame });
      return false;
    }
    if (!machine.machine.claims?.(machine.state, port, frame)) return false;
    this.run(machine, { kind: "frame", port, frame });
    return true;
  }

  private run(machine: Mounted, input: Input): void {
    if (++turn.deliveries > MAX_DELIVERIES || ++turn.depth > MAX_DEPTH) this.circles(machine);
    const outputs = machine.step(input, turn.now);
    look(machine);
    for (let i = 0; i < outputs.length; i++) this.perform(machine, outputs[i] as Output);
    turn.depth--;
  }

  private circles(machine: Mounted): never {
    throw new AssertionError(`the machines of ${this.node} go round in circles at ${machine.name}`);
  }

  private perform(machine: Mounted, output: Output): void {
    switch (output.kind) {
      case "send": {
        const port = output.port as NodePort;
        // By its owner a send goes up to the users of the port; by anyone else down to the owner or the wire.
        if (port.owner === machine) this.up(port, output.frame);
        else this.down(port, output.frame);
        break;
      }
      case "event":
        this.append(output);
        if (this.listeners.size > 0) this.tellAtOnce(machine, output.event);
        if (this.hearers.has(output.event.type)) turn.pending.push({ from: machine, event: output.event, told: true });
        break;
      case "apply":
        this.append(output);
        this.host.apply(this, output.change);
        this.tell(machine, output.change);
        break;
      case "link": {
        const port = this.at(output.port);
        assert(port.owner === machine, `${machine.name} does not own ${port.name}`);
        if (port.up !== output.up) this.append(output);
        this.setLink(port, output.up);
        break;
      }
    }
  }

  private setLink(port: NodePort, up: boolean): void {
    if (port.up === up) return;
    port.up = up;
    const input = linkInput(port);
    for (const machine of this.machines) {
      if (machine === port.first || port.others.includes(machine)) this.run(machine, input);
    }
  }

  private tell(from: Mounted | undefined, event: Event | Change, except?: readonly Mounted[]): void {
    for (const machine of this.hearers.get(event.type) ?? []) {
      if (machine !== from && except?.includes(machine) !== true) this.run(machine, { kind: "heard", event });
    }
  }

  private tellAtOnce(from: Mounted, event: Event): void {
    for (const machine of this.listeners.get(event.type) ?? []) {
      if (machine !== from) this.run(machine, { kind: "heard", event });
    }
  }

  /** The end of an input: what machines said is heard in the order in which it was said; then the alarm is set. */
  private finish(): void {
    const { pending } = turn;
    for (let i = 0; i < pending.length; i++) {
      const { from, event, told } = pending[i] as Said;
      this.tell(from, event, told ? this.listeners.get(event.type) : undefined);
    }
    if (pending.length > 0) pending.length = 0;
    if (!turn.moved && !this.fresh) return;
    this.fresh = false;
    const alarm = this.deadline();
    if (alarm === this.alarm) return;
    this.alarm = alarm;
    if (this.log.everything) {
      this.log.append({ at: turn.now, node: this.node, way: "out", what: { kind: "alarm", at: alarm } });
    }
    this.host.wake(this, alarm);
  }

  private append(what: Output): void {
    this.log.append({ at: turn.now, node: this.node, way: "out", what });
  }

  private portOf(name: string): NodePort {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const port: NodePort = {
      name,
      index: this.ports.length,
      owner: undefined,
      first: undefined,
      others: NOBODY,
      wire: undefined,
      up: false,
    };
    this.ports.push(port);
    this.byName.set(name, port);
    return port;
  }

  private at(port: Port): NodePort {
    const own = this.ports[port.index];
    assert(own === port, `port ${port.name} is not one of ${this.node}`);
    return own as NodePort;
  }
}
