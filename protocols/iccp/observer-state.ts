/** What the observer remembers of recorded sessions, and how it speaks. */
import type { Output, Port } from "../../src/core/machine.ts";
import type { Instant } from "../../src/core/time.ts";
import type { IccpSeen, SeenIccpAnomaly } from "./observer-events.ts";
import type { Streams } from "./stream.ts";

export interface SeenSide {
  readonly address: string;
  readonly port: number;
  /** Of this connection. */
  domain: number | undefined;
  native: boolean;
  /** It has sent RG Connect, or what is sent only after it. */
  connected: boolean;
  signed: boolean | undefined;
  epoch: number | undefined;
  sequence: number;
  heard: Instant;
  /** What it last said: said again only when it is another. */
  readonly said: Map<string, string>;
  /** SONiC: names by number. */
  readonly names: Map<number, string>;
  role: "none" | "primary" | "secondary" | undefined;
  goodbye: string | undefined;
}

export interface SeenConnection {
  readonly name: string;
  /** The one that connects, and the one that listens. */
  readonly sides: readonly [SeenSide, SeenSide];
  up: boolean;
  /** It began within the recording. */
  begun: boolean;
  lastSaid: string;
  frame: number;
  due: Instant;
  gaps: number;
}

export interface IccpObserverState {
  readonly port: Port;
  readonly streams: Streams;
  readonly connections: Map<string, SeenConnection>;
  alarm: Instant;
}

export interface SeenTurn {
  readonly state: IccpObserverState;
  readonly now: Instant;
  readonly frame: number;
  readonly out: Output<IccpSeen>[];
}

export function say(turn: SeenTurn, event: IccpSeen): void {
  turn.out.push({ kind: "event", event });
}

export function odd(turn: SeenTurn, kind: SeenIccpAnomaly["kind"], detail: string): void {
  say(turn, { type: "anomaly", kind, interface: turn.state.port.name, frame: turn.frame, detail });
}

/** Both say that they are primary: a split that has ended, or a mistake. */
export function judgeRoles(turn: SeenTurn, side: SeenSide, other: SeenSide): void {
  if (side.role !== "primary" || other.role !== "primary") return;
  odd(turn, "role-conflict", `${side.address} and ${other.address} both say that they are primary`);
}
