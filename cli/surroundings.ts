/** What runs beside a daemon's routers as its file says: looks at what they track, hooks that are told what becomes of them. */
import type { Log } from "../src/core/log.ts";
import { type Duration, sec } from "../src/core/time.ts";
import type { Daemon, Part } from "../src/host/linux/daemon.ts";
import type { TrackedFile } from "../src/host/linux/files.ts";
import { startHelper } from "../src/host/linux/helper.ts";
import { type Hook, HookQueues } from "../src/host/linux/hooks.ts";
import type { TrackedProcess } from "../src/host/linux/processes.ts";
import type { Script } from "../src/host/linux/scripts.ts";
import { userOf } from "../src/host/linux/user.ts";
import { words } from "../src/host/linux/words.ts";
import type { NodeConfig } from "../src/node/protocol.ts";
import { groupWord, keyOf, type Member, type RouterState, type StateWord, stateWord } from "./groups.ts";

/** How long the last words of routers are waited for when the daemon ends. */
const LAST_WORDS = sec(5);

interface Notify {
  readonly run?: string | undefined;
  readonly group?: string | undefined;
  readonly user?: string | undefined;
  readonly timeout: Duration;
  readonly attempts: number;
}

/** As far as a router's part of the file is needed here. */
interface Router extends Member {
  readonly name: string;
  readonly group: string | undefined;
  readonly notify: Notify | undefined;
  readonly scripts: readonly Script[];
  readonly files: readonly TrackedFile[];
  readonly processes: readonly TrackedProcess[];
}

function routersOf(config: NodeConfig): readonly Router[] {
  return (config["vrrp"] ?? []) as readonly Router[];
}

/** Commands and users that this host cannot do: known before anything is touched. */
export function unrunnable(config: NodeConfig): readonly string[] {
  return routersOf(config).flatMap(({ scripts, notify }, i) => {
    const at = `vrrp[${i}].`;
    return [
      ...scripts.flatMap(({ run, user }, j) => wrong(`${at}track.scripts[${j}].`, { run }, user)),
      ...(notify === undefined ? [] : wrong(`${at}notify.`, { run: notify.run, group: notify.group }, notify.user)),
    ];
  });
}

function wrong(at: string, commands: Readonly<Record<string, string | undefined>>, user: string | undefined): string[] {
  const found = userOf(user);
  return [
    ...Object.entries(commands).flatMap(([key, command]) => {
      const parted = command === undefined ? undefined : words(command);
      return parted === undefined || parted.ok
        ? []
        : `${at}${key}: found no command (${parted.reason}), allowed: a program and its arguments`;
    }),
    ...(found.ok ? [] : [`${at}user: ${found.reason}`]),
  ];
}

/** Of several of one name, which are the same, the first. */
function once<T extends { readonly name: string }>(all: readonly T[]): T[] {
  const byName = new Map<string, T>();
  for (const one of all) if (!byName.has(one.name)) byName.set(one.name, one);
  return [...byName.values()];
}

export function surroundings(daemon: Daemon, log: Log, grave: (line: string) => void): Part {
  const helper = startHelper({
    changed: ({ name, up, value, why, known }) => {
      // What a reload adds is not down before it was looked at: a master would give up for it.
      if (!known && running) return;
      if (known) grave(`${name}: ${value ?? (up ? "up" : "down")} (${why})`);
      const standing = { verb: "track", name, up, value, why: why.slice(0, 200) };
      daemon.host.command("vrrp", standing as { readonly verb: string });
    },
    trouble: grave,
  });
  const hooks = new HookQueues({
    run: helper.run,
    node: daemon.host.node.node,
    failed: ({ group, news, text, then }) => grave(`hook of ${group} (${news.state}): ${text}, ${then}`),
  });
  let running = false;
  let routers = new Map<string, Router>();
  /** What each router has come to. */
  let states = new Map<string, RouterState>();
  let groups = new Map<string, Group>();
  /** Groups whose routers have changed in this turn of the loop. */
  const changed = new Set<string>();
  const told = new Map<string, StateWord>();

  /** Once for all of a group's routers, behind what the last of them has told. */
  const tellGroups = () => {
    for (const name of changed) {
      const group = groups.get(name);
      const state = group && groupWord(group.members, states);
      if (group === undefined || state === undefined || state === told.get(name)) continue;
      told.set(name, state);
      const detail = { members: group.members.map((one) => ({ name: one.name, ...states.get(keyOf(one)) })) };
      // keepalived's priority of a group.
      hooks.tell(name, group.hook, { type: "GROUP", name, state, priority: 0, detail });
    }
    changed.clear();
  };
  const forget = log.follow({
    everything: false,
    read: ({ what }) => {
      if (what.kind !== "event" || what.event.type !== "vrrp.state") return;
      const state = what.event as unknown as RouterState;
      const key = keyOf(state);
      states.set(key, state);
      const router = routers.get(key);
      if (router === undefined) return;
      const { name, group, notify } = router;
      if (notify?.run !== undefined) {
        const news = { type: "INSTANCE", name, state: stateWord(state), priority: state.priority } as const;
        hooks.tell(group ?? name, hookOf(notify, notify.run), { ...news, detail: { ...state } });
      }
      if (group === undefined || !groups.has(group)) return;
      // Not for each of them: the daemon has adverts to send.
      if (changed.size === 0) setImmediate(tellGroups);
      changed.add(group);
    },
  });
  return {
    configure: (config) => {
      const all = routersOf(config);
      // Events do not tell apart routers of one VRID with different unicast peers: the first counts.
      routers = new Map(all.toReversed().map((one) => [keyOf(one), one]));
      states = new Map([...states].filter(([key]) => routers.has(key)));
      groups = groupsOf(all);
      for (const name of told.keys()) if (!groups.has(name)) told.delete(name);
      const tracked = {
        scripts: once(all.flatMap(({ scripts }) => scripts)),
        files: once(all.flatMap(({ files }) => files)),
        processes: once(all.flatMap(({ processes }) => processes)),
      };
      const looks = tracked.scripts.length + tracked.files.length + tracked.processes.length;
      if (looks > 0 || all.some(({ notify }) => notify !== undefined)) helper.start();
      helper.track(tracked);
      running = true;
    },
    status: async () => {
      const tracked = (await helper.status()).map((one) => ({ ...one, type: "tracked" }));
      return [...tracked, ...hooks.status().map((one) => ({ ...one, type: "hook", name: one.group }))];
    },
    close: async () => {
      forget();
      tellGroups();
      await hooks.finish(LAST_WORDS);
      await helper.close();
    },
  };
}

/** Sync groups that have a hook. */
interface Group {
  readonly members: Router[];
  readonly hook: Hook;
}

function groupsOf(routers: readonly Router[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const { group, notify } of routers) {
    if (group === undefined || notify?.group === undefined) continue;
    groups.set(group, { members: [], hook: hookOf(notify, notify.group) });
  }
  for (const router of routers) groups.get(router.group ?? "")?.members.push(router);
  return groups;
}

function hookOf({ user, timeout, attempts }: Notify, run: string): Hook {
  return { run, user, timeout, attempts };
}
