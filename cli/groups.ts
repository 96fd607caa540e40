/** What has become of routers and of their sync groups, in keepalived's words, which hooks that exist know. */

/** What names a router in events. */
export interface Member {
  readonly interface: string;
  readonly vrid: number;
  readonly family: string;
}

/** Of a `vrrp.state` event. */
export interface RouterState extends Member {
  readonly to: string;
  readonly priority: number;
  readonly reason: string;
}

export type StateWord = "MASTER" | "BACKUP" | "FAULT" | "STOP";

const WORDS: Readonly<Record<string, StateWord>> = {
  initialize: "STOP",
  backup: "BACKUP",
  master: "MASTER",
  fault: "FAULT",
};

export function keyOf({ interface: face, vrid, family }: Member): string {
  return `${face} ${vrid} ${family}`;
}

export function stateWord({ to }: RouterState): StateWord {
  return WORDS[to] ?? "STOP";
}

/**
 * What a group has come to as a whole: undefined while its members are on their way. One that an operator has stopped
 * holds the others neither back nor with it; where none runs, one in fault makes it a fault.
 * @param states of members by `keyOf`, as far as they have said any
 */
export function groupWord(members: readonly Member[], states: ReadonlyMap<string, RouterState>): StateWord | undefined {
  const all = members.map((member) => states.get(keyOf(member)));
  const said = all.filter((state) => state !== undefined);
  // Of one that waits for its interface since the start nothing is known yet.
  if (said.length < all.length) return undefined;
  const taking = said.filter(({ to, reason }) => to !== "initialize" || reason !== "shutdown");
  const found = new Set((taking.length > 0 ? taking : said).map(stateWord));
  const [first] = found;
  if (found.size <= 1) return first;
  return found.has("MASTER") || found.has("BACKUP") ? undefined : "FAULT";
}
