/** What runs beside a daemon's routers as its file says: scripts that they track, hooks that are told what becomes of them. */
import type { Log } from "../src/core/log.ts";
import { ms, sec } from "../src/core/time.ts";
import type { Daemon, Part } from "../src/host/linux/daemon.ts";
import { startHelper } from "../src/host/linux/helper.ts";
import { HookQueues } from "../src/host/linux/hooks.ts";
import type { Script } from "../src/host/linux/scripts.ts";
import type { NodeConfig } from "../src/node/protocol.ts";

/** A hook that has not ended by then is killed and, so many times, tried again. */
const HOOK_TIMEOUT = sec(10);
const HOOK_ATTEMPTS = 5;
/** How long the last words of routers are waited for when the daemon ends. */
const LAST_WORDS = sec(5);
const LEAST_INTERVAL = ms(50);

/** As far as a router's part of the file is needed here. */
interface Router {
  readonly name: string;
  readonly interface: string;
  readonly vrid: number;
  readonly family: string;
  readonly group: string | undefined;
  readonly notify: string | undefined;
  readonly scripts: readonly (Omit<Script, "timeout"> & { readonly timeout?: Script["timeout"] | undefined })[];
}

interface StateEvent {
  readonly type: string;
  readonly interface: string;
  readonly vrid: number;
  readonly family: string;
  readonly to: string;
  readonly priority: number;
}

/** keepalived's words, which hooks that exist know. */
const WORDS: Readonly<Record<string, string>> = {
  initialize: "STOP",
  backup: "BACKUP",
  master: "MASTER",
  fault: "FAULT",
};

function routersOf(config: NodeConfig): readonly Router[] {
  return (config["vrrp"] ?? []) as readonly Router[];
}

/** Scripts of one name are one script: two that differ cannot both be it. */
export function conflictingScripts(config: NodeConfig): readonly string[] {
  const runs = new Map<string, string>();
  return routersOf(config).flatMap(({ scripts }, i) =>
    scripts.flatMap((script, at) => {
      const { weight: _, ...what } = script as typeof script & { readonly weight?: number };
      const text = JSON.stringify(what);
      const known = runs.get(script.name) ?? text;
      runs.set(script.name, known);
      return known === text ? [] : `vrrp[${i}].track.scripts[${at}]: found another script named ${script.name}`;
    }),
  );
}

export function surroundings(daemon: Daemon, log: Log, grave: (line: string) => void): Part {
  const helper = startHelper({
    changed: ({ name, up, why, known }) => {
      if (known) grave(`${name}: ${up ? "up" : "down"} (${why})`);
      daemon.host.command("vrrp", { verb: "track", name, up } as { readonly verb: string });
    },
    trouble: grave,
  });
  const hooks = new HookQueues({
    run: helper.run,
    node: daemon.host.node.node,
    failed: ({ group, news, text, then }) => grave(`hook of ${group} (${news.state}): ${text}, ${then}`),
  });
  let routers: readonly Router[] = [];
  const forget = log.follow({
    everything: false,
    read: ({ what }) => {
      if (what.kind !== "event" || what.event.type !== "vrrp.state") return;
      const event = what.event as StateEvent;
      const same = (one: Router) =>
        one.interface === event.interface && one.vrid === event.vrid && one.family === event.family;
      const router = routers.find(same);
      if (router?.notify === undefined) return;
      const { name, group = name, notify } = router;
      const hook = { run: notify, timeout: HOOK_TIMEOUT, attempts: HOOK_ATTEMPTS };
      const state = WORDS[event.to] ?? event.to;
      hooks.tell(group, hook, { type: "INSTANCE", name, state, priority: event.priority, detail: { ...event } });
    },
  });
  return {
    configure: (config) => {
      routers = routersOf(config);
      const scripts = new Map<string, Script>();
      for (const { scripts: own } of routers) {
        for (const { name, run, interval, timeout = interval, rise, fall } of own) {
          const often = interval > LEAST_INTERVAL ? interval : LEAST_INTERVAL;
          if (!scripts.has(name)) scripts.set(name, { name, run, interval: often, timeout, rise, fall });
        }
      }
      if (scripts.size > 0 || routers.some(({ notify }) => notify !== undefined)) helper.start();
      helper.track({ scripts: [...scripts.values()], files: [], processes: [] });
    },
    status: async () => {
      const tracked = (await helper.status()).map((one) => ({ ...one, type: "tracked" }));
      return [...tracked, ...hooks.status().map((one) => ({ ...one, type: "hook" }))];
    },
    close: async () => {
      forget();
      await hooks.finish(LAST_WORDS);
      await helper.close();
    },
  };
}
