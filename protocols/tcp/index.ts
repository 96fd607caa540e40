/** TCP sessions have no key of their own in a node's file: whoever needs one says so by its configuration. */
import { type Env, type Mounted, mount } from "../../src/core/machine.ts";
import type { TcpSessionConfig } from "./events.ts";
import { tcpMachine } from "./machine.ts";

/** The machine for these sessions; after the one that owns the port "ip", before those that use the sessions. */
export function mountTcp(sessions: readonly TcpSessionConfig[], env: Env): readonly Mounted[] {
  return sessions.length === 0 ? [] : [mount(tcpMachine, sessions, env)];
}
