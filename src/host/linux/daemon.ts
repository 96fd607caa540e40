/**
 * A node on real interfaces as a process that is operated: the host and its machines, the control socket, signals, the
 * service manager. What a file says and how lines are printed is its caller's.
 */
import { entryLine, type Log, type Reader } from "../../core/log.ts";
import { type Duration, toSeconds } from "../../core/time.ts";
import { explain, isSubject, pastAt, subjectsOf } from "../../node/explain.ts";
import { History } from "../../node/past.ts";
import { type AnyProtocol, type NodeConfig, settingsOf } from "../../node/protocol.ts";
import { monotonic } from "./alarm.ts";
import { type Answer, type Client, type Control, type Json, listen, type Request } from "./control.ts";
import { liveGround } from "./ground.ts";
import { LinuxHost, type LinuxOptions } from "./host.ts";
import type { Readiness } from "./notify.ts";

/** What runs beside the machines for as long as the daemon does: what is tracked by scripts, what is told to hooks. */
export interface Part {
  /**
   * What has to be so before any machine is at work under this configuration; `configure` follows unless another part has
   * refused. @returns what is wrong, in words: then the machines stay as they are
   */
  secure?(config: NodeConfig): Promise<string | undefined>;
  /** The first time before the machines start, then after each reload. */
  configure(config: NodeConfig): void;
  /** What it adds to the state: each with a `type`. */
  status?(): Promise<readonly Json[]>;
  close(): void | Promise<void>;
}

/** A file that was read: the configuration, or all that is wrong, a line each. */
export type Loaded =
  | { readonly ok: true; readonly config: NodeConfig }
  | { readonly ok: false; readonly problems: readonly string[] };

export interface DaemonOptions extends Omit<LinuxOptions, "log"> {
  readonly log: Log;
  /** What `config` was read from, for `reload`; undefined where it cannot be read again (stdin). */
  readonly file: string | undefined;
  readonly load: (file: string) => Promise<Loaded>;
  /** Of the control socket. */
  readonly socket: string;
  readonly parts: (daemon: Daemon) => readonly Part[];
  /** A line for the log that is no event of a machine. */
  readonly tell: (line: string, grave: boolean) => void;
  readonly notify: (readiness: Readiness) => void;
}

/** Longer than anybody waits for a handover. */
const LONGEST_DRAIN = 600;
/** Seconds that a handover may take beyond what it needs. */
const SLACK = 1;

export class Daemon {
  readonly host: LinuxHost;
  private config: NodeConfig;
  /** Where `config` was read from. */
  private file: string | undefined;
  private readonly history = new History();
  private readonly started = new Date();
  private readonly parts: readonly Part[];
  private control: Control | undefined;
  private readonly followers = new WeakMap<Client, () => void>();
  /** Reloads and drains come one after the other. */
  private turn: Promise<unknown> = Promise.resolve();
  private readonly over: Promise<void>;
  private end: () => void = () => {};
  /** Before that, nobody gives orders. */
  private readonly begun: Promise<void>;
  private begin: () => void = () => {};
  private ending = false;
  private readonly hangup = () => void this.reload({});

  /** @throws CallFailed when the machine refuses what it needs */
  constructor(private readonly options: DaemonOptions) {
    this.config = options.config;
    this.file = options.file;
    options.log.follow(this.history);
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
    this.begun = new Promise((resolve) => {
      this.begin = resolve;
    });
    this.host = new LinuxHost(options);
    this.parts = options.parts(this);
  }

  /** Takes the control socket, and makes sure of what the machines need. @returns why it cannot be had */
  async open(): Promise<string | undefined> {
    const answer = async (request: Request, client: Client) => {
      // Another one that starts here wants to know at once who this is.
      if (request.verb !== "who") await this.begun;
      return { t: toSeconds(monotonic()), node: this.config.node, ...(await this.answer(request, client)) };
    };
    const log = (line: string) => this.options.tell(line, true);
    const result = await listen({ path: this.options.socket, answer, log });
    if (!result.ok) return result.message;
    this.control = result.control;
    return this.secure(this.config);
  }

  private async secure(config: NodeConfig): Promise<string | undefined> {
    for (const part of this.parts) {
      const wrong = await part.secure?.(config);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** Runs until it is stopped by an order or by `ended`; then lets go of everything. SIGHUP is a reload. */
  async run(ended: AbortSignal): Promise<void> {
    ended.addEventListener("abort", this.end, { once: true });
    if (ended.aborted) this.end();
    process.on("SIGHUP", this.hangup);
    try {
      for (const part of this.parts) part.configure(this.config);
      this.host.start();
      this.begin();
      this.options.notify("READY=1");
      await this.over;
    } finally {
      process.off("SIGHUP", this.hangup);
      this.options.notify("STOPPING=1");
      await this.release();
    }
  }

  /** Who was master goes on answering until another is heard. */
  private async release(): Promise<void> {
    this.ending = true;
    await this.host.rest();
    this.host.close();
    for (const part of this.parts) await part.close();
    this.control?.close();
  }

  /** For a daemon that was made and does not run. */
  close(): void {
    this.host.close();
    this.control?.close();
  }

  // --- what it is asked ---

  private answer({ id, verb, fields }: Request, client: Client): Answer | Promise<Answer> {
    switch (verb) {
      case "who":
        return { pid: process.pid };
      case "state":
        return this.state();
      case "counts":
        return this.counts();
      case "explain":
        return this.explain(fields["subject"]);
      case "command":
        return this.order(fields["to"], fields["command"]);
      case "reload":
        return this.reload(fields);
      case "drain":
        return this.drain(fields["timeout"]);
      case "stop":
        // The answer goes first.
        setImmediate(this.end);
        return { pid: process.pid };
      case "follow":
        return this.follow(id, fields["everything"] === true, client);
      default:
        return { error: `found the verb ${JSON.stringify(verb)}, allowed: ${VERBS.join(", ")}` };
    }
  }

  private async state(): Promise<Answer> {
    const now = monotonic();
    const rows: Json[] = this.statuses().flatMap(({ status, state, to }) =>
      status.rows(state, now).map((row) => ({ to, ...row })),
    );
    for (const part of this.parts) rows.push(...((await part.status?.()) ?? []));
    return { rows, host: this.counts() };
  }

  private counts(): Json {
    const { count, last, worst, sum, beyond } = this.host.alarm.lateness;
    const interfaces = [...this.host.counts()].map(([name, { received, dropped, sent, refused }]) => ({
      interface: name,
      up: this.host.interfaces.named(name)?.up === true,
      received,
      dropped,
      sent,
      refused: Object.fromEntries(refused),
    }));
    return {
      pid: process.pid,
      started: this.started.toISOString(),
      file: this.file,
      interfaces,
      /** Seconds by which alarms were noticed late, and how often by more than the shortest interval. */
      alarm: { count, last: last / 1e6, worst: worst / 1e6, mean: count === 0 ? 0 : sum / count / 1e6, beyond },
      drops: Object.fromEntries(this.host.node.drops),
      /** How often the kernel's news were too many, and everything was asked anew. */
      overruns: this.host.rtnl.overruns,
    };
  }

  /** The running machines of protocols that can be asked, with what asks them. */
  private statuses() {
    return this.options.protocols.flatMap(({ name, status, release }) => {
      const machine = status === undefined ? undefined : this.host.node.machine(name);
      if (status === undefined || machine === undefined) return [];
      // The protocol's own machine has made this state.
      return { status, state: machine.state as never, to: name, carries: release !== undefined };
    });
  }

  private explain(subject: unknown): Answer {
    const { protocols } = this.options;
    const node = this.config;
    const wires = this.host.ports();
    const subjects = subjectsOf(node, protocols, wires);
    const asked = subject === undefined ? subjects : [String(subject)];
    for (const word of asked) {
      if (isSubject(node, word, protocols, wires)) continue;
      return { error: `found ${JSON.stringify(word)}, allowed: ${subjects.join(", ")}`, subjects };
    }
    const now = monotonic();
    const past = pastAt(
      this.history,
      liveGround(() => wires),
      [node],
      protocols,
      now,
    );
    const explanations = asked.map((word) => explain(node, word, past, protocols, now));
    return { explanations, epoch: Date.now() - now / 1_000 };
  }

  private order(to: unknown, command: unknown): Answer {
    const protocol = this.options.protocols.find(({ name }) => name === to);
    if (protocol?.command === undefined || this.host.node.machine(protocol.name) === undefined) {
      const known = this.options.protocols.filter(({ name }) => this.host.node.machine(name) !== undefined);
      return { error: `to: found ${JSON.stringify(to)}, allowed: ${known.map(({ name }) => name).join(", ")}` };
    }
    const parsed = protocol.command.safeParse(command);
    if (!parsed.success) {
      const problems = parsed.error.issues.map(({ path, message }) => `command.${path.join(".")}: ${message}`);
      return { error: problems.join("; "), problems };
    }
    this.host.command(protocol.name, parsed.data as { verb: string });
    return {};
  }

  private follow(id: unknown, everything: boolean, client: Client): Answer {
    const reader: Reader = { everything, read: (entry) => client.tell({ follow: id, entry: entryLine(entry) }) };
    // Once each: another request takes the place of the one before.
    this.followers.get(client)?.();
    const ignore = this.options.log.follow(reader);
    this.followers.set(client, ignore);
    client.onClose(ignore);
    return {};
  }

  // --- going over to another configuration ---

  /** `file`: another one than before; `dryRun`: only says what would change. */
  reload(fields: Json): Promise<Answer> {
    return this.inTurn(() => this.reloadNow(fields["file"], fields["dryRun"] === true));
  }

  private async reloadNow(other: unknown, dry: boolean): Promise<Answer> {
    const file = typeof other === "string" ? other : this.file;
    const { tell, notify, load, protocols } = this.options;
    if (file === undefined) return this.refuse("-", ["it was read from stdin: name a file"]);
    const loaded = await load(file);
    const { node } = this.config;
    if (!loaded.ok) return this.refuse(file, loaded.problems);
    const { config } = loaded;
    if (config.node !== node) {
      return this.refuse(file, [`${file}: node: found ${config.node}, allowed: ${node}, which runs; or restart it`]);
    }
    const gone = keysOf(protocols, ({ key, name }) => {
      const runs = key !== undefined && this.host.node.machine(name) !== undefined;
      return runs && this.config[key] !== undefined && config[key] === undefined;
    });
    if (gone.length > 0) {
      return this.refuse(
        file,
        gone.map((key) => `${file}: ${key}: found nothing, allowed: the key with an empty list; or restart it`),
      );
    }
    const fixed = keysOf(protocols, ({ key, name, complete }) => {
      if (key === undefined) return false;
      const machine = this.host.node.machine(name);
      // What it needs of other protocols is mounted with them.
      if (machine === undefined) return complete !== undefined && config[key] !== undefined;
      if (machine.machine.reconfigure !== undefined) return false;
      return JSON.stringify(this.config[key]) !== JSON.stringify(config[key]);
    });
    if (fixed.length > 0) {
      return this.refuse(
        file,
        fixed.map((key) => `${file}: ${key}: found a change, allowed while it runs: none; restart it`),
      );
    }
    const changes = differences(protocols, this.config, config);
    if (dry) return { file, changes, applied: false };
    const wrong = await this.secure(config);
    if (wrong !== undefined) return this.refuse(file, [`${file}: ${wrong}`]);
    if (this.ending) return this.refuse(file, [`${node} ends`]);
    notify("RELOADING=1");
    for (const line of changes) tell(`reload: ${line}`, false);
    this.config = config;
    this.file = file;
    this.host.reconfigure(config);
    for (const part of this.parts) part.configure(config);
    tell(`reload: ${file}: ${changes.length === 0 ? "no change" : `${changes.length} changed`}`, false);
    notify("READY=1");
    return { file, changes, applied: true };
  }

  private refuse(file: string, problems: readonly string[]): Answer {
    for (const problem of problems) this.options.tell(`reload: ${problem}`, true);
    this.options.tell(`reload: ${file} is not valid: nothing was changed`, true);
    return { error: `${file}: not valid, nothing was changed`, problems };
  }

  // --- handing over ---

  /** Has others take over all that it holds; then, or when nobody does in time, stops: with priority 0, as always. */
  private drain(timeout: unknown): Promise<Answer> {
    if (timeout !== undefined && !(typeof timeout === "number" && timeout >= 0 && timeout <= LONGEST_DRAIN)) {
      const found = JSON.stringify(timeout);
      return Promise.resolve({ error: `timeout: found ${found}, allowed: seconds from 0 to ${LONGEST_DRAIN}` });
    }
    return this.inTurn(async () => {
      const names = this.held().map(({ name }) => name);
      const speakers = () => this.held().filter(({ carries }) => !carries);
      const needs = Math.max(0, ...speakers().map(({ within }) => toSeconds(within)));
      this.host.ending.drain();
      await this.until(() => speakers().length === 0, timeout ?? needs + SLACK);
      const kept = new Set(speakers().map(({ name }) => name));
      // Last, what all that was said over.
      await this.host.ending.release();
      for (const { name, carries } of this.held()) if (carries) kept.add(name);
      setImmediate(this.end);
      return { handedOver: names.filter((name) => !kept.has(name)), kept: names.filter((name) => kept.has(name)) };
    });
  }

  /** `carries`: others speak over it. */
  private held(): readonly { readonly name: string; readonly within: Duration; readonly carries: boolean }[] {
    return this.statuses().flatMap(({ status, state, carries }) =>
      status.holds(state).map((one) => ({ ...one, carries })),
    );
  }

  /** Looks after each fact of the log; gives up after so many seconds, or when the daemon ends. */
  private until(so: () => boolean, seconds: number): Promise<void> {
    return new Promise((resolve) => {
      let looking = false;
      const look = () => {
        looking = false;
        if (so()) done();
      };
      const reader: Reader = {
        everything: false,
        read: () => {
          if (!looking) setImmediate(look);
          looking = true;
        },
      };
      const ignore = this.options.log.follow(reader);
      const patience = setTimeout(() => done(), seconds * 1_000);
      const done = () => {
        clearTimeout(patience);
        ignore();
        resolve();
      };
      void this.over.then(done);
      look();
    });
  }

  private inTurn<T>(act: () => Promise<T>): Promise<T> {
    const next = this.turn.then(act);
    // Whoever asked hears of it; the next one is not held up by it.
    this.turn = next.catch(() => undefined);
    return next;
  }
}

const VERBS = ["who", "state", "counts", "explain", "command", "reload", "drain", "stop", "follow"] as const;

/** Keys of the protocols that are so, each once: several may share one. */
function keysOf(protocols: readonly AnyProtocol[], so: (protocol: AnyProtocol) => boolean): readonly string[] {
  return [...new Set(protocols.filter(so).flatMap(({ key }) => key ?? []))];
}

/** What goes over from one configuration to the other changes, in words. */
export function differences(protocols: readonly AnyProtocol[], from: NodeConfig, to: NodeConfig): readonly string[] {
  return protocols.flatMap((protocol) => {
    const { key, changes, drive } = protocol;
    if (key === undefined || (drive !== undefined && changes === undefined)) return [];
    const [old, other] = [from[key], to[key]];
    if (JSON.stringify(settingsOf(protocol, from)) === JSON.stringify(settingsOf(protocol, to))) return [];
    // Both were made by the protocol's own schema.
    if (old !== undefined && other !== undefined && changes !== undefined) return changes(old as never, other as never);
    return [`${key}: changes`];
  });
}
