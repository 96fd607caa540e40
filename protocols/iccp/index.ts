/** ICCP sessions have no key of their own in a node's file: the machine that uses them says what it needs. */
import { type Env, type Mounted, mount } from "../../src/core/machine.ts";

export { mountChannel } from "./channel.ts";

import type { IccpConfig } from "./events.ts";
import { iccpMachine } from "./machine.ts";

/** The machine for these sessions; after the one that provides their TCP ports, before those that use them. */
export function mountIccp(sessions: readonly IccpConfig[], env: Env): readonly Mounted[] {
  return sessions.length === 0 ? [] : [mount(iccpMachine, sessions, env)];
}
