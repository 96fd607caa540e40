/** The ICCP sessions of a node: between the TCP sessions below and the machine that uses them. */
import type { Env, Input, Machine, Port } from "../../src/core/machine.ts";
import { next32 } from "../../src/core/rng.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import { chunkOf, type TcpSession, tcpPort } from "../tcp/events.ts";
import { type IccpConfig, type IccpEvent, iccpPort, itemsOf } from "./events.ts";
import { heardOctets } from "./hearing.ts";
import {
  connected,
  disconnected,
  dueAt,
  fail,
  type IccpOutput,
  type Session,
  sendItems,
  Turn,
  timers,
  transportSaid,
} from "./session.ts";

export interface IccpMachineState {
  readonly sessions: readonly Session[];
  running: boolean;
  alarm: Instant;
}

/** `reset` ends a session, which begins anew with the next epoch. */
export type IccpCommand =
  | { readonly verb: "start" }
  | { readonly verb: "stop" }
  | { readonly verb: "reset"; readonly session?: string };

export const iccpMachine: Machine<readonly IccpConfig[], IccpMachineState, IccpCommand, IccpEvent, TcpSession> = {
  name: "iccp",
  hears: ["tcp.session"],
  ports: (config) => ({
    owns: config.map(({ name }) => iccpPort(name)),
    uses: config.map(({ name }) => tcpPort(name)),
  }),
  init,
  claims: (state, port) => state.sessions.some((session) => session.tcp === port || session.port === port),
  step,
  deadline: (state) => state.alarm,
};

function init(config: readonly IccpConfig[], env: Env): IccpMachineState {
  const rng = env.rng("iccp");
  const sessions = config.map((one): Session => {
    return {
      config: one,
      tcp: env.port(tcpPort(one.name)),
      port: env.port(iccpPort(one.name)),
      bootId: next32(rng),
      state: "nonexistent",
      dialect: "none",
      epoch: next32(rng),
      sent: 0,
      heard: 0,
      echoed: 0,
      asked: [],
      peer: undefined,
      peerEpoch: 0,
      id: 0,
      rest: new Uint8Array(0),
      sonic: undefined,
      handshakeAt: NEVER,
      heartbeatAt: NEVER,
      halfway: false,
      slow: false,
      heardAt: NEVER,
      echoAt: NEVER,
      leaving: false,
      refusing: false,
      said: "",
      why: { reason: "startup", detail: "", at: NEVER },
      drops: new Map(),
    };
  });
  return { sessions, running: false, alarm: NEVER };
}

function step(state: IccpMachineState, input: Input<IccpCommand, TcpSession>, now: Instant): readonly IccpOutput[] {
  const turn = new Turn(now);
  switch (input.kind) {
    case "frame": {
      const { port, frame } = input;
      const session = sessionAt(state, port);
      if (session === undefined) break;
      if (session.tcp === port) heardOctets(turn, session, chunkOf(frame));
      else sendItems(turn, session, itemsOf(frame));
      break;
    }
    case "link": {
      const session = sessionAt(state, input.port);
      if (session === undefined || session.tcp !== input.port) break;
      if (input.up) connected(turn, session);
      else disconnected(turn, session);
      break;
    }
    case "heard": {
      const { session: name, up, reason } = input.event;
      const session = state.sessions.find(({ config }) => config.name === name);
      if (session !== undefined) transportSaid(turn, session, up, reason === "connected" ? "established" : reason);
      break;
    }
    case "timer":
      for (const session of state.sessions) timers(turn, session);
      break;
    case "command":
      command(turn, state, input.command);
      break;
  }
  let alarm: Instant = NEVER;
  for (const session of state.sessions) {
    const due = dueAt(session);
    if (due < alarm) alarm = due;
  }
  state.alarm = alarm;
  return turn.finish();
}

function sessionAt(state: IccpMachineState, port: Port): Session | undefined {
  return state.sessions.find((session) => session.tcp === port || session.port === port);
}

function command(turn: Turn, state: IccpMachineState, order: IccpCommand): void {
  switch (order.verb) {
    case "start":
      state.running = true;
      // A device that comes back has the same generator: only the time tells its lives apart.
      for (const session of state.sessions) {
        session.bootId = mix(session.bootId, turn.now);
        session.epoch = mix(session.epoch, turn.now);
      }
      break;
    case "stop":
      state.running = false;
      for (const session of state.sessions) {
        sendGoodbye(turn, session);
        fail(turn, session, "stopped", "");
      }
      break;
    case "reset":
      for (const session of state.sessions) {
        if (order.session === undefined || order.session === session.config.name) fail(turn, session, "ended", "");
      }
      break;
  }
}

function sendGoodbye(turn: Turn, session: Session): void {
  if (session.state === "operational") sendItems(turn, session, [{ kind: "goodbye", cause: "shutdown" }]);
}

/** Two numbers as one of 32 bits; different times give different ones. */
function mix(drawn: number, now: Instant): number {
  return (drawn + Math.imul(now % 2 ** 32, 0x9e37_79b1) + Math.floor(now / 2 ** 32)) >>> 0;
}
