/**
 * Virtual time: nodes, the links between them, and what is done to them. Inside, time is integer nanoseconds, because
 * an octet on a fast wire takes less than a microsecond; machines see whole microseconds, rounded down.
 * The same seed, nodes, links and commands give the same log, byte for byte.
 */
import type { Mac } from "../../core/addr.ts";
import { assert } from "../../core/assert.ts";
import type { Frame } from "../../core/frame.ts";
import { type Log, WORLD } from "../../core/log.ts";
import type { Change, Command, Input } from "../../core/machine.ts";
import type { Ratio } from "../../core/rng.ts";
import { type Instant, instant, NEVER } from "../../core/time.ts";
import type { Host } from "../../node/host.ts";
import { Node } from "../../node/node.ts";
import { type Air, End, type Filter, Link, type LinkOptions } from "./link.ts";
import { EventQueue, MAX_EVENTS, QueueFull } from "./queue.ts";
import { PAUSED_FRAMES, type Station, stationMac } from "./station.ts";

const ARRIVAL = 0;
const WAKE = 1;
const SCRIPT = 2;

const TIMER: Input = { kind: "timer" };

/** An order to the world, as scripts, keys and recordings say it; all of it is in the log under the node "world". */
export type WorldCommand =
  | { readonly verb: "cut" | "heal"; readonly link: string; readonly side?: string }
  | { readonly verb: "loss"; readonly link: string; readonly ratio: Ratio | undefined }
  | { readonly verb: "delay"; readonly link: string; readonly delay: number }
  | { readonly verb: "filter"; readonly link: string; readonly filter: Filter | undefined; readonly text: string }
  | { readonly verb: "power-off" | "power-on" | "pause" | "resume"; readonly node: string }
  | { readonly verb: "command"; readonly node: string; readonly to: string; readonly command: Command };

export interface WorldOptions {
  readonly seed: number;
  readonly log: Log;
}

export class World implements Host, Air {
  /** Virtual nanoseconds since the start. */
  now = 0;
  /** Events that were run. */
  events = 0;
  /** Frames that arrived at a node. */
  frames = 0;
  readonly links = new Map<string, Link>();
  private readonly queue = new EventQueue();
  /** Events that were run since time went on. */
  private atOnce = 0;
  private readonly log: Log;
  private readonly seed: number;
  private readonly stations: Station[] = [];
  /** By station, side by side for the processor's cache: the node while it runs, */
  private readonly running: (Node | undefined)[] = [];
  /** when it wants its timer (ns), */
  private readonly deadlines: number[] = [];
  /** and for when an event for that is queued. */
  private readonly queued: number[] = [];
  private readonly byName = new Map<string, Station>();
  private readonly ends: End[] = [];
  private readonly script: WorldCommand[] = [];

  constructor(options: WorldOptions) {
    this.seed = options.seed;
    this.log = options.log;
  }

  // --- building ---

  /** Adds a device; it is switched on by `start`. `build` mounts its machines, again after every power-on. */
  addNode(name: string, build: (node: Node) => void): void {
    assert(!this.byName.has(name) && name !== WORLD, `the node name ${name} is taken`);
    const index = this.stations.length;
    const station: Station = {
      name,
      index,
      build,
      ends: new Map(),
      node: this.makeNode(name, index),
      on: false,
      paused: undefined,
    };
    this.stations.push(station);
    this.running.push(undefined);
    this.deadlines.push(Number.POSITIVE_INFINITY);
    this.queued.push(Number.POSITIVE_INFINITY);
    this.byName.set(name, station);
  }

  /** Adds a cable (two ends) or a segment (more). */
  addLink(options: LinkOptions, ends: readonly { readonly node: string; readonly port: string }[]): void {
    assert(!this.links.has(options.id), `the link id ${options.id} is taken`);
    const link = new Link(options);
    for (const { node, port } of ends) {
      const station = this.station(node);
      assert(!station.ends.has(port), `${node}:${port} is on two links`);
      const end = new End(this, link, this.ends.length, station.index, node, station.node.port(port), this.seed);
      this.ends.push(end);
      link.ends.push(end);
      station.ends.set(port, end);
      station.node.attach(end.port, end);
    }
    const [a, b] = link.ends;
    if (a !== undefined && b !== undefined && link.ends.length === 2) {
      a.peer = b;
      b.peer = a;
    }
    this.links.set(link.id, link);
  }

  /** Switches every node on, in the order in which they were added. */
  start(): void {
    for (const station of this.stations) this.powerOn(station);
  }

  /** Has the command run at `at` (ns, not in the past); those of one instant run in the order of these calls. */
  schedule(at: number, command: WorldCommand): void {
    assert(at >= this.now, `${command.verb} is for ${at} ns, and it is ${this.now} ns already`);
    this.script.push(command);
    this.queue.push(at, SCRIPT, this.script.length - 1, 0, undefined);
  }

  node(name: string): Node | undefined {
    const station = this.byName.get(name);
    return station?.on ? station.node : undefined;
  }

  nodes(): readonly string[] {
    return this.stations.map((station) => station.name);
  }

  end(node: string, port: string): End | undefined {
    return this.byName.get(node)?.ends.get(port);
  }

  // --- running ---

  get instant(): Instant {
    return instant(Math.floor(this.now / 1_000));
  }

  /** When the next event is due, in ns; infinity when nothing will ever happen. */
  peek(): number {
    return this.queue.peek();
  }

  /**
   * Runs everything up to and including `until` (ns), and sets the time to it unless it is later already.
   * @throws QueueFull when more than MAX_EVENTS wait, or happen at one time
   */
  run(until: number): void {
    const { queue } = this;
    while (queue.next(until)) this.event();
    if (until > this.now) this.now = until;
  }

  /** Runs the next event; false when there is none at or before `until`. */
  runOne(until: number): boolean {
    if (!this.queue.next(until)) return false;
    this.event();
    return true;
  }

  private event(): void {
    const { queue } = this;
    if (queue.time > this.now) this.atOnce = 0;
    // Frames that circle over links without delay would never let time go on.
    else if (++this.atOnce > MAX_EVENTS) throw new QueueFull(MAX_EVENTS, "events happen at one time");
    this.now = queue.time;
    this.events++;
    if (queue.kind === ARRIVAL) this.arrive(this.ends[queue.a] as End, queue.b, queue.frame as Frame);
    else if (queue.kind === WAKE) this.wakeUp(queue.a);
    else this.command(this.script[queue.a] as WorldCommand);
  }

  /** `end` is the receiver on a cable, the sender on a segment. */
  private arrive(end: End, generation: number, frame: Frame): void {
    if (end.generation !== generation) {
      end.drops.cut++;
      return;
    }
    if (end.peer !== undefined) {
      this.receive(end, frame);
      return;
    }
    for (const other of end.link.ends) if (other !== end) this.receive(other, frame);
  }

  private receive(end: End, frame: Frame): void {
    const { receiver } = end;
    if (receiver !== undefined) {
      end.received++;
      this.frames++;
      receiver.deliver(end.port, frame, instant(Math.floor(this.now / 1_000)));
      return;
    }
    const { paused, node } = this.stations[end.node] as Station;
    if (paused === undefined) end.drops.down++;
    else if (paused.frames.length < PAUSED_FRAMES) paused.frames.push({ end, frame });
    else node.lose(end.port, "paused", this.instant);
  }

  private wakeUp(index: number): void {
    if (this.queued[index] !== this.now) return; // asked for again, and earlier, since
    this.queued[index] = Number.POSITIVE_INFINITY;
    if ((this.deadlines[index] as number) > this.now) {
      this.enqueueWake(index);
      return;
    }
    const node = this.running[index];
    if (node !== undefined) {
      this.deadlines[index] = Number.POSITIVE_INFINITY;
      node.step(TIMER, this.instant);
      return;
    }
    const { paused } = this.stations[index] as Station;
    if (paused !== undefined) paused.wake = true;
  }

  private enqueueWake(index: number): void {
    const deadline = this.deadlines[index] as number;
    if (deadline >= (this.queued[index] as number) || deadline === Number.POSITIVE_INFINITY) return;
    this.queued[index] = deadline;
    this.queue.push(deadline, WAKE, index, 0, undefined);
  }

  // --- the host of the nodes ---

  carry(from: End, frame: Frame, arrives: number): void {
    const end = from.peer ?? from;
    this.queue.push(arrives, ARRIVAL, end.index, end.generation, frame);
  }

  apply(_node: Node, _change: Change): void {
    // No kernel here: the node's own machines have heard the wish.
  }

  wake(node: Node, at: Instant): void {
    this.deadlines[node.id] = at === NEVER ? Number.POSITIVE_INFINITY : Math.max(this.now, at * 1_000);
    this.enqueueWake(node.id);
  }

  // --- what is done to the world ---

  /** Does it now, and logs it. Names must exist: whoever reads a file or a key has checked them. */
  command(command: WorldCommand): void {
    this.log.append({ at: this.instant, node: WORLD, way: "in", what: { kind: "command", to: WORLD, command } });
    switch (command.verb) {
      case "cut":
      case "heal":
        this.setLink(this.link(command.link), command.verb === "heal", command.side);
        break;
      case "loss": {
        const link = this.link(command.link);
        link.loss = command.ratio;
        link.refresh();
        break;
      }
      case "delay": {
        const link = this.link(command.link);
        link.delay = command.delay;
        link.refresh();
        break;
      }
      case "filter": {
        const link = this.link(command.link);
        if (command.filter === undefined) link.filters.length = 0;
        else link.filters.push(command.filter);
        link.refresh();
        break;
      }
      case "power-off":
        this.powerOff(this.station(command.node));
        break;
      case "power-on":
        this.powerOn(this.station(command.node));
        break;
      case "pause":
        this.pause(this.station(command.node));
        break;
      case "resume":
        this.resume(this.station(command.node));
        break;
      case "command": {
        const station = this.station(command.node);
        if (station.paused !== undefined) station.paused.commands.push(command);
        else if (station.on) this.order(station, command.to, command.command);
        break;
      }
    }
  }

  private order(station: Station, to: string, command: Command): void {
    station.node.step({ kind: "command", to, command }, this.instant);
  }

  private setLink(link: Link, up: boolean, side: string | undefined): void {
    if (side !== undefined) {
      const end = link.ends.find(({ nodeName, port }) => `${nodeName}:${port.name}` === side);
      assert(end !== undefined, `${side} is no end of ${link.id}`);
      end.muted = !up;
      end.follow();
      return;
    }
    // A link that is healed is whole, whatever was done to one of its sides.
    if (up) for (const end of link.ends) end.muted = false;
    const changed = link.up !== up;
    link.up = up;
    link.refresh();
    if (!changed) return;
    if (!up) for (const end of link.ends) end.clear();
    for (const end of link.ends) this.tellCarrier(end);
  }

  /** Carrier: the link is whole and, on a cable, the far side has power. */
  private carrier(end: End): boolean {
    const { link } = end;
    if (!link.up) return false;
    return link.ends.length !== 2 || link.ends.every((other) => (this.stations[other.node] as Station).on);
  }

  private tellCarrier(end: End): void {
    const station = this.stations[end.node] as Station;
    // One that stands still looks at its links when it goes on.
    if (!station.on || station.paused !== undefined) return;
    const up = this.carrier(end);
    if (station.node.isUp(end.port) === up) return;
    station.node.step({ kind: "link", port: end.port, up }, this.instant);
  }

  private powerOn(station: Station): void {
    if (station.on) return;
    station.on = true;
    station.paused = undefined;
    const { node } = station;
    this.tell(station, "node.on");
    this.connect(station, node);
    station.build(node);
    this.order(station, "*", { verb: "start" });
    for (const end of station.ends.values()) {
      this.tellCarrier(end);
      for (const other of end.link.ends) if (other !== end) this.tellCarrier(other);
    }
  }

  private powerOff(station: Station): void {
    if (!station.on) return;
    station.on = false;
    station.paused = undefined;
    this.tell(station, "node.off");
    this.deadlines[station.index] = Number.POSITIVE_INFINITY;
    // What comes next is a new device with the same name and the same ports: it remembers nothing.
    station.node = this.makeNode(station.name, station.index);
    this.connect(station, undefined);
    for (const end of station.ends.values()) {
      end.port = station.node.port(end.port.name);
      station.node.attach(end.port, end);
      end.clear();
      end.peer?.clear();
      for (const other of end.link.ends) if (other !== end) this.tellCarrier(other);
    }
  }

  /** Views forget what a device without power was. */
  private tell(station: Station, type: "node.on" | "node.off"): void {
    this.log.append({ at: this.instant, node: station.name, way: "out", what: { kind: "event", event: { type } } });
  }

  private pause(station: Station): void {
    if (!station.on) return;
    station.paused ??= { frames: [], commands: [], wake: false };
    this.connect(station, undefined);
  }

  /** As a stopped process goes on: timers that ran out meanwhile are seen to first, then links, frames and orders. */
  private resume(station: Station): void {
    const { paused } = station;
    if (paused === undefined) return;
    station.paused = undefined;
    this.connect(station, station.node);
    if (paused.wake) {
      this.deadlines[station.index] = Number.POSITIVE_INFINITY;
      station.node.step(TIMER, this.instant);
    }
    for (const end of station.ends.values()) this.tellCarrier(end);
    for (const { end, frame } of paused.frames) this.receive(end, frame);
    for (const { to, command } of paused.commands) this.order(station, to, command);
  }

  private connect(station: Station, receiver: Node | undefined): void {
    this.running[station.index] = receiver;
    for (const end of station.ends.values()) end.receiver = receiver;
  }

  private makeNode(name: string, index: number): Node {
    const mac = (port: string): Mac => {
      const ends = this.byName.get(name)?.ends;
      const place = ends === undefined ? -1 : [...ends.keys()].indexOf(port);
      return stationMac(index, place + 1);
    };
    return new Node({ name, id: index, seed: this.seed, mac }, this, this.log);
  }

  private station(name: string): Station {
    const station = this.byName.get(name);
    assert(station !== undefined, `there is no node ${name}`);
    return station;
  }

  private link(id: string): Link {
    const link = this.links.get(id);
    assert(link !== undefined, `there is no link ${id}`);
    return link;
  }
}
