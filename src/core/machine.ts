/** A protocol: plain state and one function. No I/O, no clock, no emitter. */
import type { Mac } from "./addr.ts";
import type { Frame } from "./frame.ts";
import type { Rng } from "./rng.ts";
import { type Instant, NEVER } from "./time.ts";

/** One port of a node; identity is the object, `index` is its place in the node's tables. */
export interface Port {
  readonly name: string;
  readonly index: number;
}

/** A fact that a machine states: siblings hear it, the log keeps it. `type` is "protocol.noun". */
export interface Event {
  readonly type: string;
}

/** A wish to the host (add this address, install this MAC). Hosts without a kernel let sibling machines hear it. */
export interface Change {
  readonly type: string;
}

/** An order to a machine: `start` and `stop` are every machine's; the others are its protocol's own. */
export interface Command {
  readonly verb: string;
}

/** Whether both ends of a wire may send at once. */
export type Duplex = "half" | "full";

export type Input<C extends Command = Command, H extends Event | Change = Event> =
  | { readonly kind: "frame"; readonly port: Port; readonly frame: Frame }
  /** `speed`: bits per second, `duplex`: of a wire that says so. */
  | {
      readonly kind: "link";
      readonly port: Port;
      readonly up: boolean;
      readonly speed?: number;
      readonly duplex?: Duplex;
    }
  /** See to everything that is due; one that comes too early changes nothing. */
  | { readonly kind: "timer" }
  | { readonly kind: "command"; readonly to: string; readonly command: C }
  /** What another machine of this node, or its host, said. */
  | { readonly kind: "heard"; readonly event: H };

export type Output<E extends Event = Event, A extends Change = Change> =
  | { readonly kind: "send"; readonly port: Port; readonly frame: Frame }
  | { readonly kind: "event"; readonly event: E }
  | { readonly kind: "apply"; readonly change: A }
  /** The state of a port that it owns; the machines above the port get it as their `link` input. */
  | { readonly kind: "link"; readonly port: Port; readonly up: boolean };

export const NOTHING: readonly never[] = [];

/** What a machine is told of the node that it runs on. */
export interface Env {
  readonly node: string;
  /** The port of that name; made when it is new. */
  port(name: string): Port;
  /** The hardware address of a port (of the node itself for a port that a machine owns). */
  mac(port: Port): Mac;
  /** A generator of this machine's own. */
  rng(owner: string): Rng;
}

/** Where the data plane of a machine puts frames, at no cost beyond the call. */
export interface Path {
  /** From the machine that owns `port` to those above it. */
  up(port: Port, frame: Frame): void;
  /** Out of `port`: onto the wire, or to the machine that owns it. */
  down(port: Port, frame: Frame): void;
  /** Counts a frame that goes nowhere, under one reason. */
  drop(port: Port, reason: string): void;
  /** States a fact, as an `event` output does. */
  say(event: Event): void;
}

export interface PortUse {
  /** Logical ports that the machine provides: agg1, vlan10. */
  readonly owns?: readonly string[];
  /** Ports whose frames it wants to be offered. */
  readonly uses?: readonly string[];
}

export interface Machine<
  Config,
  State,
  C extends Command = Command,
  E extends Event = Event,
  H extends Event | Change = Event,
  A extends Change = Change,
> {
  readonly name: string;
  /** Types of events and changes that it wants to hear. */
  readonly hears?: readonly H["type"][];
  /** Those of `hears` that it has to hear before what their machine sends after them leaves; the others come at the end. */
  readonly hearsAtOnce?: readonly H["type"][];
  readonly ports: (config: Config) => PortUse;
  readonly init: (config: Config, env: Env) => State;
  /** Whether a frame on a used or owned port is for this machine's `step`, and for no other machine's. */
  readonly claims?: (state: State, port: Port, frame: Frame) => boolean;
  /**
   * The data plane: it is offered every frame of the machine's ports that nobody claims and passes it on by `path`,
   * without the cost of an output. True hands this frame to `step` as well. It brings the machine's deadline nearer only
   * when it also says something or returns true.
   */
  readonly relay?: (state: State, port: Port, frame: Frame, now: Instant, path: Path) => boolean;
  /** May change `state` in place: it is the only writer, and it runs to completion. */
  readonly step: (state: State, input: Input<C, H>, now: Instant) => readonly Output<E, A>[];
  /** When it wants its next `timer` input; NEVER for not at all. */
  readonly deadline: (state: State) => Instant;
  /**
   * Takes another configuration while it runs: what is the same in both goes on undisturbed. The ports of the new one are
   * there already. Absent for a machine that has to be mounted afresh.
   */
  readonly reconfigure?: (state: State, config: Config, env: Env, now: Instant) => readonly Output<E, A>[];
}

/** A machine whose own types are folded away: the node gives it only its own state and what it asked for. */
export type AnyMachine = Machine<unknown, unknown>;

/** A machine with its state, on a node. */
export class Mounted {
  readonly name: string;
  readonly machine: AnyMachine;
  /** For views and tests; only the machine writes it. */
  readonly state: unknown;
  /** Both are other ones after the machine was given another configuration; only its node writes them. */
  owns: readonly Port[];
  uses: readonly Port[];
  readonly relay: AnyMachine["relay"];
  /** When it wants its timer, as of its last step: its node is woken without a look into the states of all. */
  due: Instant = NEVER;

  constructor(machine: AnyMachine, config: unknown, env: Env) {
    const use = machine.ports(config);
    this.name = machine.name;
    this.machine = machine;
    this.owns = (use.owns ?? []).map((name) => env.port(name));
    this.uses = (use.uses ?? []).map((name) => env.port(name));
    this.state = machine.init(config, env);
    this.relay = machine.relay;
  }

  step(input: Input, now: Instant): readonly Output[] {
    return this.machine.step(this.state, input, now);
  }

  deadline(): Instant {
    return this.machine.deadline(this.state);
  }
}

/** Puts a machine on a node. The one place where a machine's own types meet the engine's. */
export function mount<Config, State, C extends Command, E extends Event, H extends Event | Change, A extends Change>(
  machine: Machine<Config, State, C, E, H, A>,
  config: Config,
  env: Env,
): Mounted {
  return new Mounted(machine as unknown as AnyMachine, config, env);
}
