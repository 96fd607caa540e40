/** A machine of the tests that does what it is told and keeps what it was given. */
import { type Mac, parseMac } from "../../src/core/addr.ts";
import { assert } from "../../src/core/assert.ts";
import { Frame } from "../../src/core/frame.ts";
import { type Entry, entryLine, type Log } from "../../src/core/log.ts";
import {
  type Change,
  type Command,
  type Env,
  type Event,
  type Input,
  type Machine,
  type Mounted,
  mount,
  NOTHING,
  type Output,
  type Path,
  type Port,
} from "../../src/core/machine.ts";
import { type Instant, instant, NEVER } from "../../src/core/time.ts";

export type AnyInput = Input<Command, Event | Change>;

export interface ProbeConfig {
  readonly name: string;
  readonly owns?: readonly string[];
  readonly uses?: readonly string[];
  readonly hears?: readonly string[];
  /** Its first deadline. */
  readonly alarm?: number;
  readonly claims?: (port: Port, frame: Frame) => boolean;
  readonly relay?: (probe: Probe, port: Port, frame: Frame, path: Path) => boolean;
  readonly step?: (probe: Probe, input: AnyInput, now: Instant) => readonly Output[] | undefined;
}

/** The state of a probe. */
export class Probe {
  readonly inputs: { readonly at: number; readonly input: AnyInput }[] = [];
  alarm: Instant;
  readonly env: Env;
  constructor(config: ProbeConfig, env: Env) {
    this.alarm = instant(config.alarm ?? NEVER);
    this.env = env;
  }

  /** What was given to it, in words: "frame eth0 5", "link eth0 up", "timer", "command start", "heard a.b". */
  get words(): string[] {
    return this.inputs.map(({ input }) => inWords(input));
  }

  get times(): number[] {
    return this.inputs.map(({ at }) => at);
  }

  send(port: string, frame: Frame): Output {
    return { kind: "send", port: this.env.port(port), frame };
  }
}

function inWords(input: AnyInput): string {
  switch (input.kind) {
    case "frame":
      return `frame ${input.port.name} ${numberOf(input.frame)}`;
    case "link":
      return `link ${input.port.name} ${input.up ? "up" : "down"}`;
    case "timer":
      return "timer";
    case "command":
      return `command ${input.command.verb}`;
    case "heard":
      return `heard ${input.event.type}`;
  }
}

/** The machine of a probe; with `relay` or `claims` only when the configuration has them. */
export function probeMachine(config: ProbeConfig): Machine<ProbeConfig, Probe, Command, Event, Event | Change> {
  const { claims, relay } = config;
  return {
    name: config.name,
    ...(config.hears === undefined ? {} : { hears: config.hears }),
    ...(claims === undefined ? {} : { claims: (_state: Probe, port: Port, frame: Frame) => claims(port, frame) }),
    ...(relay === undefined
      ? {}
      : {
          relay: (state: Probe, port: Port, frame: Frame, _now: Instant, path: Path) => relay(state, port, frame, path),
        }),
    ports: ({ owns, uses }) => ({ ...(owns && { owns }), ...(uses && { uses }) }),
    init: (own, env) => new Probe(own, env),
    step(state, input, now) {
      state.inputs.push({ at: now, input });
      if (input.kind === "timer") state.alarm = NEVER;
      return config.step?.(state, input, now) ?? NOTHING;
    },
    deadline: (state) => state.alarm,
  };
}

export function probe(config: ProbeConfig, env: Env): Mounted {
  return mount(probeMachine(config), config, env);
}

export function stateOf(mounted: Mounted | undefined): Probe {
  assert(mounted?.state instanceof Probe, "no probe of that name");
  return mounted.state;
}

/** An untagged frame of `size` octets with a number in it, from station 1 to station 2 unless it is said. */
export function numbered(number: number, size = 60, to = 2, from = 1): Frame {
  const bytes = new Uint8Array(size);
  bytes.set([0x02, 0, 0, 0, 0, to, 0x02, 0, 0, 0, 0, from, 0x88, 0xb5, number >>> 8, number & 0xff]);
  return Frame.of(bytes);
}

export function numberOf(frame: Frame): number {
  const at = frame.payload;
  return ((frame.bytes[at] ?? 0) << 8) | (frame.bytes[at + 1] ?? 0);
}

export function mac(text: string): Mac {
  const read = parseMac(text);
  assert(read !== undefined, `${text} is no MAC address`);
  return read;
}

/** Follows the log; what it read is `entries`, or `lines` of JSON. */
export class Recorder {
  readonly entries: Entry[] = [];
  readonly everything: boolean;
  constructor(everything: boolean, log?: Log) {
    this.everything = everything;
    log?.follow(this);
  }

  read(entry: Entry): void {
    this.entries.push(entry);
  }

  get lines(): string[] {
    return this.entries.map((entry) => JSON.stringify(entryLine(entry)));
  }

  /** The types of the events of a node, or of all. */
  events(node?: string): string[] {
    return this.entries.flatMap(({ node: from, what }) =>
      what.kind === "event" && (node === undefined || from === node) ? [what.event.type] : [],
    );
  }
}
