/**
 * What runs for the first time in Node.js takes milliseconds, and a takeover must not be the first time: before anything is
 * real, nodes of the same configuration on wires that lead nowhere go through their lives a few times. What has not run for
 * some milliseconds takes three times as long, for processors forget as well: an understudy goes through a takeover just
 * before the real one.
 */
import type { Mac } from "../../core/addr.ts";
import type { Frame } from "../../core/frame.ts";
import { Log } from "../../core/log.ts";
import type { Change, Port } from "../../core/machine.ts";
import { type Instant, instant, NEVER, sec } from "../../core/time.ts";
import type { Wire } from "../../node/host.ts";
import { machinesOf } from "../../node/machines.ts";
import { Node } from "../../node/node.ts";
import type { AnyProtocol, NodeConfig } from "../../node/protocol.ts";

/** Wishes that a host is to have heard by then, and lives that are lived for them at most. */
const WISHES = 400;
const LIVES = 100;
/** Timers of one life: enough for the routers of a large file to come to be master. */
const TIMERS = 300;
/** Frames of one life that the next one hears, and how often each: from the second time on it is nothing new. */
const FRAMES = 64;
const TIMES = 3;
/**
 * When lives begin, in turn: what was compiled for small integers is thrown away at the first large one, which otherwise
 * comes when the process is 36 minutes old.
 */
const BEGINNINGS = [instant(0), instant(2 ** 40)];
const MAC = "02:00:00:00:00:01" as Mac;
/** Of documentation (RFC 5737) and of every link. One life does not have the address of the next. */
const ADDRESSES = [
  ["192.0.2.1/32", "fe80::1/64"],
  ["192.0.2.2/32", "fe80::2/64"],
];

interface Sent {
  /** Name of the port. */
  readonly port: string;
  readonly frame: Frame;
}

/**
 * To be called before the host's own node is made: how its records are laid out in memory is settled by the first ones.
 * @param wire as the host makes them, but leading nowhere: what is compiled for others would be thrown away, too
 */
export function rehearse(protocols: readonly AnyProtocol[], config: NodeConfig, wire: (port: Port) => Wire): void {
  const urgent = urgentOf(protocols, config);
  if (urgent === undefined) return;
  let wishes = 0;
  let sent: readonly Sent[] = [];
  for (let lives = 0; lives < LIVES && wishes < WISHES; lives++) {
    const life = live(protocols, urgent, wire, lives, sent);
    wishes += life.wishes;
    sent = life.sent;
  }
}

/** Hears what was sent in the life before, then nothing, does what its timers say, and is stopped. */
function live(
  protocols: readonly AnyProtocol[],
  config: NodeConfig,
  wire: (port: Port) => Wire,
  number: number,
  heard: readonly Sent[],
): { readonly wishes: number; readonly sent: readonly Sent[] } {
  let wishes = 0;
  const sent: Sent[] = [];
  const log = new Log();
  log.follow({
    everything: true,
    read: ({ what }) => {
      if (what.kind === "send" && sent.length < FRAMES) sent.push({ port: what.port.name, frame: what.frame });
    },
  });
  const host = { apply: () => wishes++, wake: () => {} };
  const node = new Node({ name: config.node, id: 0, seed: 1, mac: () => MAC }, host, log);
  node.mount(machinesOf(protocols, config, node));
  let now = BEGINNINGS[number % BEGINNINGS.length] as Instant;
  connect(node, wire, now, ADDRESSES[number % ADDRESSES.length]);
  node.step({ kind: "command", to: "*", command: { verb: "start" } }, now);
  for (let time = 0; time < TIMES; time++) {
    for (const { port, frame } of heard) node.deliver(node.port(port), frame, now);
  }
  for (let count = 0; count < TIMERS && node.deadline() !== NEVER; count++) {
    now = node.deadline();
    node.step({ kind: "timer" }, now);
  }
  node.step({ kind: "command", to: "*", command: { verb: "stop" } }, now);
  return { wishes, sent };
}

/** Time of an understudy between one takeover and the next life: its goodbyes are over. */
const APART = sec(600);

/** A node that waits to become master and has nobody to wait for: it lives on its own time. */
export class Understudy {
  private readonly node: Node;
  private now: Instant;

  /** @param apply is given its wishes */
  constructor(
    protocols: readonly AnyProtocol[],
    config: NodeConfig,
    wire: (port: Port) => Wire,
    apply: (change: Change) => void,
  ) {
    const log = new Log();
    log.follow({ everything: false, read: () => {} });
    const sample = sampleOf(protocols, config);
    this.node = new Node(
      { name: config.node, id: 0, seed: 1, mac: () => MAC },
      { apply: (_, change) => apply(change), wake: () => {} },
      log,
    );
    this.node.mount(machinesOf(protocols, sample, this.node));
    this.now = BEGINNINGS[1] as Instant;
    connect(this.node, wire, this.now, ADDRESSES[0]);
    this.wait();
  }

  /** Its timer: it becomes master. */
  takeOver(): void {
    this.elapse();
  }

  /** Begins afresh. */
  wait(): void {
    this.node.step({ kind: "command", to: "*", command: { verb: "stop" } }, this.now);
    this.now = (this.now + APART) as Instant;
    this.node.step({ kind: "timer" }, this.now);
    this.node.step({ kind: "command", to: "*", command: { verb: "start" } }, this.now);
    // What was told of is looked at in one go, after a moment.
    this.elapse();
  }

  private elapse(): void {
    const due = this.node.deadline();
    if (due === NEVER) return;
    this.now = due;
    this.node.step({ kind: "timer" }, due);
  }
}

/** What bears no delay: all else would only take its time. Undefined where nothing is so. */
function urgentOf(protocols: readonly AnyProtocol[], config: NodeConfig): NodeConfig | undefined {
  const keys = protocols.flatMap(({ key, holds }) => (holds?.practice === undefined ? [] : [key]));
  const urgent = Object.entries(config).filter(([key]) => keys.includes(key));
  return urgent.length === 0 ? undefined : { ...Object.fromEntries(urgent), node: config.node };
}

/** As little as goes the same ways. */
function sampleOf(protocols: readonly AnyProtocol[], config: NodeConfig): NodeConfig {
  const sample: Record<string, unknown> = { node: config.node };
  for (const { key, holds } of protocols) {
    const own = key === undefined ? undefined : config[key];
    if (key !== undefined && own !== undefined && holds?.practice !== undefined)
      sample[key] = holds.practice.sample(own as never);
  }
  return sample as NodeConfig;
}

function connect(node: Node, wire: (port: Port) => Wire, now: Instant, addresses: readonly string[] | undefined): void {
  for (const name of node.wires()) {
    const port = node.port(name);
    node.attach(port, wire(port));
    node.step({ kind: "heard", event: addressesOf(name, addresses) }, now);
    node.step({ kind: "link", port, up: true }, now);
  }
}

function addressesOf(port: string, addresses: readonly string[] | undefined) {
  return { type: "ip.addresses", port, mac: MAC, up: true, addresses: addresses ?? [] };
}
