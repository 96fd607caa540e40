/** `hotpair run NODE.yaml`: is the node, on real interfaces. */
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { protocols } from "../../protocols/index.ts";
import { Log } from "../../src/core/log.ts";
import { KernelBridge } from "../../src/host/linux/bridge.ts";
import { BridgeRules } from "../../src/host/linux/bridge-rules.ts";
import { Daemon, type Loaded } from "../../src/host/linux/daemon.ts";
import { Firewall, type FirewallOptions } from "../../src/host/linux/firewall.ts";
import { startGuardian } from "../../src/host/linux/guardian.ts";
import type { LinuxHost } from "../../src/host/linux/host.ts";
import { type IoName, openIo } from "../../src/host/linux/io.ts";
import { type Guard, wishesOf } from "../../src/host/linux/keeping.ts";
import { CallFailed, openLibc } from "../../src/host/linux/libc.ts";
import { keepCode } from "../../src/host/linux/memory.ts";
import { watchTable } from "../../src/host/linux/nftables.ts";
import { notifier } from "../../src/host/linux/notify.ts";
import { Punctuality } from "../../src/host/linux/punctuality.ts";
import { VirtualAddresses } from "../../src/host/linux/virtual.ts";
import { fromProblem } from "../../src/node/file.ts";
import type { BridgePortWish, VirtualWish } from "../../src/node/host.ts";
import { didYouMean } from "../../src/node/nearest.ts";
import { compileNodeFile } from "../../src/node/node-file.ts";
import { listeningsOf, type NodeConfig } from "../../src/node/protocol.ts";
import { type FileProblem, formatProblem, type Source } from "../../src/node/source.ts";
import { SOCKETS } from "../control.ts";
import { readText } from "../files.ts";
import { beyond, ioOption } from "../io.ts";
import { isManaged, openJournal } from "../journal.ts";
import { allowForRelease, Failure, INVALID, interrupted, OK, UNABLE } from "../output.ts";
import type { Finish } from "../program.ts";
import { surroundings, unrunnable } from "../surroundings.ts";

/**
 * Milliseconds: a router answers until another is heard, for the longest interval that there is (40.95 s) at most, then
 * hooks are told. contrib/hotpair.service waits longer.
 */
const RELEASE = 55_000;

interface Options {
  readonly socket?: string;
  readonly json?: boolean;
  readonly io: IoName;
  readonly wait?: boolean;
}

export function register(program: Command, finish: Finish): void {
  program
    .command("run")
    .summary("be the node, on real interfaces")
    .description(
      "Runs the virtual routers of a node's file on the interfaces of this host, in the foreground, until a signal ends it.\n" +
        "Needs root, or CAP_NET_RAW and CAP_NET_ADMIN. SIGHUP reads the file again.",
    )
    .argument("<node>", "a node's file; - is stdin")
    .option("--socket <path>", `the control socket (default: ${SOCKETS}/NODE.sock)`)
    .option("--json", "the log as one JSON object a line on stdout")
    .option("--wait", "start although an interface is not there yet, and take it when it comes")
    .addOption(ioOption)
    .addHelpText("after", "\nExample:\n  $ hotpair run gw1.yaml     (as root)")
    .action((file: string, options: Options) => finish(() => run(file, options)));
}

async function run(file: string, { socket, json = false, io: backend, wait = false }: Options): Promise<number> {
  allowForRelease(RELEASE);
  const config = await read(file, backend);
  const opened = openLibc();
  if (!opened.ok) throw new Failure(UNABLE, [opened.message]);
  const { libc } = opened;
  const carrier = openIo(backend, libc);
  if (!carrier.ok) throw new Failure(UNABLE, [carrier.message]);
  const { io } = carrier;
  const journal = openJournal({ protocols, json, managed: isManaged(process.env) });
  const grave = (line: string) => journal.tell(line, true);
  const complain = (port: string, what: string) => grave(`${port}: ${what}`);
  const log = new Log();
  log.follow(journal.reader);
  const started = await startGuardian({ log: grave });
  if (!started.ok) throw new Failure(UNABLE, [started.message]);
  const { guardian } = started;
  if (io.caution !== undefined) grave(io.caution);
  const guard: Guard = (key, holding) => void guardian.hold(key, holding);
  const watch: FirewallOptions["watch"] = (name, gone) => watchTable(libc, name, gone);
  const { node } = config;
  const listens = (own: NodeConfig) => listeningsOf(protocols, own);
  const firewall = new Firewall({ node, wishes: virtualWishes, listens, guard, watch, log: grave });
  const bridgeRules = new BridgeRules({ libc, node, wishes: bridgeWishes, listens, guard, watch, log: grave });
  try {
    const daemon = allowed(
      () =>
        new Daemon({
          libc,
          io,
          log,
          config,
          protocols,
          datapaths: (host: LinuxHost) => [
            new VirtualAddresses(host, complain, firewall),
            new KernelBridge(host, complain, bridgeRules),
          ],
          guard,
          parts: (made: Daemon) => [
            firewall,
            bridgeRules,
            surroundings(made, log, grave),
            new Punctuality({ protocols, lateness: made.host.alarm.lateness, tell: journal.tell }),
          ],
          file: file === "-" ? undefined : resolve(file),
          load: (path) => load(path, backend),
          socket: socket ?? join(SOCKETS, `${config.node}.sock`),
          tell: journal.tell,
          notify: notifier(libc, process.env["NOTIFY_SOCKET"], grave),
        }),
    );
    const wrong = wait ? [] : missing(daemon.host, new Set(bridgeWishes(config).map(({ bridge }) => bridge)));
    const refused = wrong.length > 0 ? wrong : await daemon.open();
    if (refused !== undefined) {
      daemon.close();
      throw new Failure(UNABLE, typeof refused === "string" ? [refused] : refused);
    }
    const dropped = keepCode(libc);
    if (dropped !== undefined) journal.tell(`the kernel may drop code that is not used for long: ${dropped}`, false);
    await daemon.run(interrupted);
  } finally {
    await guardian.goodbye();
    journal.flush();
  }
  interrupted.throwIfAborted();
  return OK;
}

/**
 * A name that is misspelt looks like an interface that comes later: only who says so means the latter.
 * @param made names of devices that the daemon makes itself
 */
function missing(host: LinuxHost, made: ReadonlySet<string>): readonly string[] {
  const there = host.interfaces.names().filter((name) => name !== "lo");
  const absent = host.absent().filter((name) => !made.has(name));
  return absent.map((name) => {
    const found = `${name}: no such interface${didYouMean(name, there)}; there ${there.length === 1 ? "is" : "are"}`;
    return `${found} ${there.join(", ") || "none"}; --wait starts without it and takes it when it comes`;
  });
}

/** A node's file, checked whole, of keys that real interfaces can do. @throws Failure with everything that is wrong */
async function read(file: string, backend: IoName): Promise<NodeConfig> {
  const { name, text } = await readText(file);
  const compiled = compileNodeFile(text, name, protocols);
  if (!compiled.ok) throw new Failure(INVALID, compiled.problems.map(formatProblem));
  const problems = [
    ...impossible(compiled.node).map((key) => `${name}: found ${key}, which hotpair does in labs only so far`),
    ...unable(compiled.node, compiled.source).map(formatProblem),
    ...unrunnable(compiled.node).map((words) => `${name}: ${words}`),
    ...beyond(backend, compiled.node).map((words) => `${name}: ${words}`),
  ];
  if (problems.length > 0) throw new Failure(INVALID, problems);
  return compiled.node;
}

// Of each type there is one kind of wish.
function virtualWishes(config: NodeConfig): readonly VirtualWish[] {
  return [...wishesOf(protocols, config).values()].filter(({ type }) => type === "ip.virtual") as VirtualWish[];
}

function bridgeWishes(config: NodeConfig): readonly BridgePortWish[] {
  return [...wishesOf(protocols, config).values()].filter(({ type }) => type === "bridge.port") as BridgePortWish[];
}

async function load(file: string, backend: IoName): Promise<Loaded> {
  try {
    return { ok: true, config: await read(file, backend) };
  } catch (error) {
    if (!(error instanceof Failure) || interrupted.aborted) throw error;
    return { ok: false, problems: error.lines };
  }
}

/** Keys of protocols that only labs can do; what the kernel does itself is left to it. */
function impossible(config: NodeConfig): readonly string[] {
  const real = new Set(protocols.map(({ key, drive, listens }) => (drive ?? listens) && key));
  return Object.keys(config).filter((key) => key !== "node" && !real.has(key));
}

function unable(node: NodeConfig, source: Source): readonly FileProblem[] {
  return protocols.flatMap(({ key, unable: find }) => {
    const own = key === undefined ? undefined : node[key];
    if (key === undefined || own === undefined || find === undefined) return [];
    // The protocol's own schema made the value under its key.
    return find(own as never, node).map((problem) => fromProblem(source, [key], problem));
  });
}

function allowed<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof CallFailed) || (error.code !== "EPERM" && error.code !== "EACCES")) throw error;
    throw new Failure(UNABLE, [
      `${error.call}: not permitted; run as root, or give node CAP_NET_RAW and CAP_NET_ADMIN (docs/operating.md)`,
    ]);
  }
}
