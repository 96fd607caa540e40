/** For promises about pairs: which nodes are one, and whether the session between them is up. */
import type { Event } from "../../src/core/machine.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import type { NodeConfig } from "../../src/node/protocol.ts";
import type { MlagConfig } from "./config.ts";
import { mlagOf } from "./consistency.ts";
import type { MlagEvent } from "./events.ts";

/** Two switches of one domain, each of which has the other as its peer. */
export interface PairConfig {
  readonly a: SideConfig;
  readonly b: SideConfig;
}

export interface SideConfig {
  readonly node: NodeConfig;
  readonly config: MlagConfig;
}

export function pairsOf(nodes: readonly NodeConfig[]): readonly PairConfig[] {
  const sides = nodes.flatMap((node): SideConfig[] => {
    const config = mlagOf(node);
    return config === undefined ? [] : [{ node, config }];
  });
  const pairs: PairConfig[] = [];
  for (const [i, a] of sides.entries()) {
    for (const b of sides.slice(i + 1)) if (arePeers(a.config, b.config)) pairs.push({ a, b });
  }
  return pairs;
}

function arePeers(a: MlagConfig, b: MlagConfig): boolean {
  const [mine, theirs] = [a.keepalive, b.keepalive];
  return a.domain === b.domain && mine.peer === theirs.address.address && theirs.peer === mine.address.address;
}

/** Since when both say that the session is up. */
export interface Sessions {
  readonly up: Set<string>;
  since: Instant;
}

export function noSessions(): Sessions {
  return { up: new Set(), since: NEVER };
}

/** @returns whether both have just come to say that it is up, or no longer do */
export function foldSession(sessions: Sessions, node: string, event: Event, at: Instant): boolean {
  const said = event as MlagEvent;
  if (said.type !== "mlag.session") return false;
  return setSession(sessions, node, said.up, at);
}

export function setSession(sessions: Sessions, node: string, up: boolean, at: Instant): boolean {
  const before = sessions.up.size === 2;
  if (up) sessions.up.add(node);
  else sessions.up.delete(node);
  const now = sessions.up.size === 2;
  // A new session in place of one that only its other end has missed: both begin anew.
  if (now === before && !(now && up)) return false;
  sessions.since = now ? at : NEVER;
  return true;
}
