/** ICCP sessions have no key of their own in a node's file: the machine that uses them says what it needs. */
import { type Env, type Event, type Mounted, mount } from "../../src/core/machine.ts";
import type { IccpConfig, IccpEvent } from "./events.ts";
import { iccpMachine } from "./machine.ts";
import { iccpObserver } from "./observer.ts";
import { describeSeen } from "./observer-view.ts";

export { mountChannel } from "./channel.ts";
export { status as iccpStatus } from "./status.ts";

/** The machine for these sessions; after the one that provides their TCP ports, before those that use them. */
export function mountIccp(sessions: readonly IccpConfig[], env: Env): readonly Mounted[] {
  return sessions.length === 0 ? [] : [mount(iccpMachine, sessions, env)];
}

/** In words, for the timeline. */
export function describeIccp(event: Event): string | undefined {
  if (!event.type.startsWith("iccp.")) return undefined;
  // A bystander names the frame.
  if ("frame" in event) return describeSeen(event);
  const said = event as IccpEvent;
  if (said.type === "iccp.drop") return `${said.session}: message dropped (${said.reason}), ${said.count} so far`;
  const detail = said.detail === "" ? "" : `: ${said.detail}`;
  return `${said.session}: session with ${said.peer} ${said.up ? "up" : "down"} (${said.reason}${detail})`;
}

/** The machines that watch a port of a capture. */
export function observeIccp(port: string, env: Env): readonly Mounted[] {
  return [mount(iccpObserver, { port }, env)];
}
