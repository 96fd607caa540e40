/**
 * Real interfaces under a node: the kernel's links and addresses as inputs, frames by packet sockets, one alarm. Everything
 * runs on one thread, one input at a time; what a node's step makes the host do happens before the next input.
 */
import { type Ip, type Mac, macBytes, macFrom } from "../../core/addr.ts";
import { ETHERNET_HEADER, Frame } from "../../core/frame.ts";
import type { Log } from "../../core/log.ts";
import type { Change, Command, Duplex, Input, Port } from "../../core/machine.ts";
import { type Instant, NEVER } from "../../core/time.ts";
import type { Host, KernelStation, Wire } from "../../node/host.ts";
import { machinesOf } from "../../node/machines.ts";
import { Node } from "../../node/node.ts";
import { type AnyProtocol, listeningsOf, type NodeConfig, settingsOf } from "../../node/protocol.ts";
import { Alarm, monotonic } from "./alarm.ts";
import type { Datapath } from "./datapath.ts";
import { Ending } from "./ending.ts";
import { Interfaces, type KernelInterface, usableAddresses } from "./interfaces.ts";
import type { Io, PacketPort } from "./io.ts";
import { type Guard, Keeping, wishesOf } from "./keeping.ts";
import type { Libc } from "./libc.ts";
import { duplexOf, speedOf } from "./link-speed.ts";
import type { News, StationNews } from "./netlink-news.ts";
import type { PacketCounts, Wanted } from "./packet.ts";
import { rehearse, Understudy } from "./rehearsal.ts";
import { Rtnl } from "./rtnl.ts";
import { StackSocket } from "./stack.ts";
import { WallClock } from "./wall-clock.ts";

/**
 * Ports of the kernel's own IP stack, of which a node has one at most: whole IP packets behind an empty Ethernet header. The
 * second one is below a stack of the node's own, which has the first.
 */
export const STACK_PORTS: ReadonlySet<string> = new Set(["ip", "kernel/ip"]);
/** Milliseconds between looks at what has changed of farewells without a wish. */
const REVIEW = 1_000;
/** Takeovers that are practised before the start. */
const REHEARSALS = 20;
const NO_MAC = "00:00:00:00:00:00" as Mac;

export interface LinuxOptions {
  readonly libc: Libc;
  /** What carries frames. */
  readonly io: Io;
  readonly log: Log;
  readonly config: NodeConfig;
  readonly protocols: readonly AnyProtocol[];
  readonly datapaths: (host: LinuxHost) => readonly Datapath[];
  readonly guard: Guard;
}

/** One port of the node that is an interface of the kernel, whether that is there or not. */
class Attached implements Wire {
  socket: PacketPort | undefined;
  up = false;
  speed: number | undefined;
  duplex: Duplex | undefined;
  /** What the node was last told of its addresses. */
  said = "";

  constructor(readonly port: Port) {}

  transmit(frame: Frame): void {
    this.socket?.send(frame.bytes);
  }
}

export class LinuxHost implements Host {
  readonly node: Node;
  readonly interfaces = new Interfaces();
  readonly rtnl: Rtnl;
  readonly alarm: Alarm;
  private readonly wallClock = new WallClock();
  private readonly attached = new Map<string, Attached>();
  private stack: StackSocket | undefined;
  private readonly protocols: readonly AnyProtocol[];
  private config: NodeConfig;
  private readonly keeping: Keeping;
  private understudy: Understudy;
  private reviews: NodeJS.Timeout | undefined;
  private readonly datapaths: readonly Datapath[];
  /** Inputs that came while the node was at work: a wish that the kernel answers at once. */
  private readonly waiting: Input[] = [];
  private busy = false;
  private closed = false;
  /** What is waited for after each input: a drain, and the end in the middle of it. */
  readonly ending: Ending;

  constructor(private readonly options: LinuxOptions) {
    const { libc, log, config } = options;
    const protocols = options.protocols.map((one) => (one.drive === undefined ? one : { ...one, mount: one.drive }));
    this.protocols = protocols;
    this.config = config;
    this.rtnl = new Rtnl(libc, (news) => this.hear(news));
    this.alarm = new Alarm(libc, () => this.step({ kind: "timer" }), {
      wanted: (at) => this.keeping.imminent(at),
      play: () => this.practise(),
    });
    this.interfaces.learn(this.rtnl.dump("links"));
    this.interfaces.learn(this.rtnl.dump("addresses"));
    const mac = (port: string) => this.interfaces.named(port)?.mac ?? this.interfaces.lowestMac() ?? NO_MAC;
    rehearse(protocols, config, (port) => new Attached(port));
    // Nothing here is repeatable; the seed is this process's own.
    const seed = Math.floor(monotonic()) >>> 0;
    this.node = new Node({ name: config.node, id: 0, seed, mac }, this, log);
    this.node.mount(machinesOf(protocols, config, this.node));
    this.ending = new Ending(this.node, protocols, (to, command) => this.command(to, command));
    this.datapaths = options.datapaths(this);
    const holds = protocols.flatMap((one) => one.holds ?? []);
    this.keeping = new Keeping(this, holds, this.datapaths, (port) => this.wanted(port), options.guard);
    this.understudy = this.engage();
    for (const name of this.node.wires()) this.attach(name);
  }

  start(): void {
    for (let time = 0; time < REHEARSALS; time++) {
      this.understudy.takeOver();
      this.understudy.wait();
    }
    for (const [key, wish] of wishesOf(this.protocols, this.config)) this.prepare(key, wish);
    this.reviews = setInterval(() => this.keeping.review(), REVIEW);
    for (const name of this.attached.keys()) this.refresh(name);
    this.command("*", { verb: "start" });
    for (const one of this.datapaths.flatMap((datapath) => datapath.found?.() ?? [])) this.tellStation(one);
  }

  /**
   * Goes over to another configuration of the same node; what it does not change goes on undisturbed. A key that the old
   * one has and the new one has not is left as it is.
   */
  reconfigure(config: NodeConfig): void {
    const before = wishesOf(this.protocols, this.config);
    const unchanged = this.config;
    this.config = config;
    this.understudy = this.engage();
    const fresh: Port[] = [];
    this.begin();
    try {
      for (const protocol of this.protocols) {
        const { name, key, mount } = protocol;
        const settings = settingsOf(protocol, config);
        const own = key === undefined ? undefined : config[key];
        if (own === undefined || JSON.stringify(settings) === JSON.stringify(settingsOf(protocol, unchanged))) continue;
        const machine = this.node.machine(name);
        if (machine === undefined) {
          const made = mount?.(own as never, config, this.node) ?? [];
          this.node.mount(made);
          fresh.push(...made.flatMap(({ uses }) => uses));
          continue;
        }
        const ports = this.node.reconfigure(machine, settings, monotonic());
        fresh.push(...ports.fresh);
        for (const port of ports.unused) this.detach(port.name);
      }
    } finally {
      this.end();
    }
    const after = wishesOf(this.protocols, config);
    for (const [key, wish] of before) if (!sameDevice(wish, after.get(key))) this.forget(key);
    for (const [key, wish] of after) this.prepare(key, wish);
    for (const { name } of fresh) {
      this.attach(name);
      this.refresh(name);
    }
    this.step({ kind: "timer" });
  }

  private forget(key: string): void {
    for (const datapath of this.datapaths) datapath.forget(key);
    this.keeping.refresh(key);
  }

  private prepare(key: string, wish: Change): void {
    for (const datapath of this.datapaths) {
      if (!datapath.types.includes(wish.type)) continue;
      datapath.prepare(key, wish);
      this.keeping.refresh(key);
    }
  }

  /** What is taken off this wire. */
  private wanted(name: string): readonly Wanted[] {
    return listeningsOf(this.protocols, this.config)
      .filter(({ on }) => on === undefined || on === name)
      .map(({ ethertype, protocol, groups, joins, vlan, datagrams }) => ({
        ethertype,
        ...(protocol === undefined ? {} : { protocol }),
        ...(datagrams === undefined ? {} : { port: datagrams.port }),
        ...(vlan === undefined ? {} : { vlan }),
        groups: groups.map(macBytes),
        ...(joins === undefined ? {} : { joins }),
      }));
  }

  /** Names of the interfaces that its node uses. */
  ports(): readonly string[] {
    return [...this.attached.keys()];
  }

  /** Those of them that are not there. */
  absent(): readonly string[] {
    return this.ports().filter((name) => this.interfaces.named(name) === undefined);
  }

  command(to: string, command: Command): void {
    this.step({ kind: "command", to, command });
  }

  /** A fact of the host's own, for the machines that listen for its type. */
  tell(event: { readonly type: string }): void {
    // What the kernel says is a fact, as what a machine says is: explanations come back to it.
    this.options.log.append({ at: monotonic(), node: this.config.node, way: "in", what: { kind: "event", event } });
    this.step({ kind: "heard", event });
  }

  apply(_node: Node, change: Change): void {
    const datapath = this.datapathFor(change);
    if (datapath === undefined) return;
    const key = this.keeping.keyOf(change);
    datapath.apply(key ?? "", change);
    // The guard has known since `prepare` what to take back.
    if (key !== undefined) this.keeping.refreshSoon(key);
  }

  private datapathFor({ type }: Change): Datapath | undefined {
    return this.datapaths.find(({ types }) => types.includes(type));
  }

  wake(_node: Node, at: Instant): void {
    this.alarm.set(at === NEVER || Number.isNaN(at) ? NEVER : at);
  }

  private engage(): Understudy {
    return new Understudy(
      this.protocols,
      this.config,
      (port) => new Attached(port),
      (change) => this.datapathFor(change)?.rehearse(change),
    );
  }

  /** Just before a takeover: what has not run for a while takes three times as long. */
  private practise(): void {
    this.understudy.takeOver();
    setImmediate(() => this.understudy.wait());
  }

  /** Stops all machines. Resolves when none waits for anything any more: what was stopped has come to its end. */
  async rest(): Promise<void> {
    for (const datapath of this.datapaths) datapath.retire();
    await this.ending.release();
    this.command("*", { verb: "stop" });
    await this.ending.until(() => this.node.deadline() === NEVER);
  }

  /** By interface: what went in and out of its socket. */
  counts(): ReadonlyMap<string, PacketCounts> {
    const counts = new Map<string, PacketCounts>();
    for (const [name, { socket }] of this.attached) if (socket !== undefined) counts.set(name, socket.refreshCounts());
    return counts;
  }

  /** Takes back what was done to the kernel, and gives descriptors back; the node hears of nothing any more. */
  close(): void {
    this.closed = true;
    clearInterval(this.reviews);
    this.keeping.close();
    for (const datapath of this.datapaths) datapath.close();
    for (const { socket } of this.attached.values()) socket?.close();
    this.stack?.close();
    this.alarm.close();
    this.rtnl.close();
  }

  // --- inputs ---

  /** One input at a time: what comes in the middle of another is worked off after it. */
  private step(input: Input): void {
    if (this.closed) return;
    if (this.busy) {
      this.waiting.push(input);
      return;
    }
    this.begin();
    try {
      this.tellTime();
      this.node.step(input, monotonic());
      for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
        this.node.step(next, monotonic());
      }
    } finally {
      this.end();
    }
    this.ending.look();
  }

  private begin(): void {
    this.busy = true;
    this.options.log.hold();
  }

  private end(): void {
    this.busy = false;
    this.options.log.release();
  }

  /** Whoever signs with the time, or compares it, hears that the clock was set before anything happens by it. */
  private tellTime(): void {
    const now = monotonic();
    const event = this.wallClock.news(now);
    if (event !== undefined) this.node.step({ kind: "heard", event }, now);
  }

  private receive(attached: Attached, octets: Uint8Array): void {
    if (this.closed || octets.length < ETHERNET_HEADER) return;
    this.begin();
    try {
      this.tellTime();
      this.node.deliver(attached.port, Frame.of(octets), monotonic());
    } finally {
      this.end();
    }
    const next = this.waiting.shift();
    if (next === undefined) this.ending.look();
    else this.step(next);
  }

  private hear(news: readonly News[]): void {
    let changed = this.interfaces.learn(news);
    if (news.some(({ kind }) => kind === "overrun")) {
      changed = new Set([...changed, ...this.interfaces.forget()]);
      this.interfaces.learn(this.rtnl.dump("links"));
      this.interfaces.learn(this.rtnl.dump("addresses"));
      changed = new Set([...changed, ...this.interfaces.names()]);
    }
    this.follow([...changed]);
    // Last: what a link has taken along is known by then.
    for (const one of news) if (one.kind === "station") this.tellStation(one);
  }

  /** An interface has no carrier, which the kernel will tell later. */
  loseCarrier(name: string): void {
    if (!this.closed && this.interfaces.loseCarrier(name)) this.follow([name]);
  }

  /** Interfaces are other than before: brings everything in line with that. */
  private follow(names: readonly string[]): void {
    const other = new Set(this.datapaths.flatMap((datapath) => names.flatMap((name) => datapath.lose(name))));
    for (const name of names) this.refresh(name);
    for (const datapath of this.datapaths) {
      for (const name of names) for (const key of datapath.review(name)) other.add(key);
    }
    for (const key of other) this.keeping.refreshSoon(key);
  }

  /** What is fixed nobody has heard. */
  private tellStation({ gone, index, mac, external, fixed }: StationNews): void {
    const port = this.interfaces.at(index)?.name;
    if (port === undefined || fixed) return;
    const event: KernelStation = { type: "kernel.station", port, mac: macFrom(mac), present: !gone, given: external };
    this.tell(event);
  }

  // --- wires ---

  private attach(name: string): void {
    const port = this.node.port(name);
    if (STACK_PORTS.has(name)) {
      const stack = new StackSocket(this.options.libc, this.interfaces);
      this.stack = stack;
      this.node.attach(port, { transmit: (frame) => stack.send(frame.bytes.subarray(frame.payload)) });
      return;
    }
    const attached = new Attached(port);
    this.attached.set(name, attached);
    this.node.attach(port, attached);
  }

  private detach(name: string): void {
    this.attached.get(name)?.socket?.close();
    this.attached.delete(name);
  }

  /** Brings a port in line with what the kernel says of its interface: socket, addresses, carrier, in this order. */
  private refresh(name: string): void {
    const attached = this.attached.get(name);
    if (attached === undefined) return;
    const kernel = this.interfaces.named(name);
    const { io } = this.options;
    const open = kernel !== undefined && (kernel.up || !io.whileUp);
    if (attached.socket !== undefined && (!open || attached.socket.index !== kernel.index)) {
      attached.socket.close();
      attached.socket = undefined;
      // Another one of this name is another network: nothing that was heard there is true here.
      this.sayLink(attached, false);
    }
    if (open && attached.socket === undefined) {
      attached.socket = io.open(kernel, this.wanted(name), (frame) => this.receive(attached, frame));
    }
    const up = kernel?.up === true && attached.socket !== undefined;
    if (up && !attached.up) {
      attached.speed = speedOf(name);
      attached.duplex = duplexOf(name);
    }
    // An interface that goes down loses its IPv6 addresses: what is first is why, and what is last is when it can start.
    if (!up) this.sayLink(attached, false);
    this.sayAddresses(attached, kernel);
    this.sayLink(attached, up);
  }

  private sayLink(attached: Attached, up: boolean): void {
    if (up === attached.up) return;
    attached.up = up;
    this.step({ kind: "link", port: attached.port, up });
  }

  private sayAddresses(attached: Attached, kernel: KernelInterface | undefined): void {
    const held = (address: Ip) => this.datapaths.some((one) => one.holds(attached.port.name, address));
    const addresses = kernel === undefined ? [] : usableAddresses(kernel, held);
    const mac = kernel?.mac ?? NO_MAC;
    const up = kernel?.up === true;
    const event = { type: "ip.addresses", port: attached.port.name, mac, up, addresses };
    const said = JSON.stringify(event);
    if (said === attached.said) return;
    attached.said = said;
    this.tell(event);
  }
}

/** Whether what is made ready for one wish serves the other. */
function sameDevice(one: Change, other: Change | undefined): boolean {
  return other !== undefined && (one as { mac?: Mac }).mac === (other as { mac?: Mac }).mac;
}
