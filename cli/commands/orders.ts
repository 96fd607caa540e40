/** `hotpair set`, `drain`, `reload`, `stop`: orders to a daemon. */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { StatusRow } from "../../src/node/protocol.ts";
import { accepted, askOnce, isSocket, type Json, Link, socketOf } from "../control.ts";
import { say } from "../files.ts";
import { Failure, INVALID, OK, printJson, progress, UNABLE } from "../output.ts";
import type { Finish } from "../program.ts";

interface Options {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly timeout?: string;
}

const SOCKET = "its control socket, or the node's name (default: the only one in /run/hotpair)";
const JSON_OPTION = ["--json", "one JSON object a line on stdout"] as const;
/** Milliseconds in which a daemon that was told to stop has to be gone: the longest interval, and some. */
const LEAVES_WITHIN = 60_000;
/** Milliseconds of patience for a handover, beyond what the daemon itself waits. */
const HANDOVER = 610_000;

export function register(program: Command, finish: Finish): void {
  program
    .command("set")
    .summary("change something of a running daemon, until it ends")
    .description(
      "Changes the priority of a virtual router. It holds until the daemon ends or a reload changes it in the file.",
    )
    .argument("<words...>", "[SOCKET] priority ROUTER N: ROUTER as `hotpair status` calls it, N 1 to 255")
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ hotpair set gw1 priority lan-gateway 50")
    .action((words: readonly string[], options: Options) => finish(() => set(words, options)));
  program
    .command("drain")
    .summary("hand over to the peers, then stop")
    .description(
      "Goes down to priority 1 so that peers take over, waits until they have, and stops the daemon. Peers that do not\n" +
        "preempt take over when it stops, which it does with priority 0; until one is heard its addresses are answered.",
    )
    .argument("[socket]", SOCKET)
    .option("--timeout <seconds>", "how long to wait for the peers (default: four intervals and a second)")
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ hotpair drain gw1")
    .action((socket: string | undefined, options: Options) => finish(() => drain(socket, options)));
  program
    .command("reload")
    .summary("go over to the file as it is now")
    .description(
      "Has a daemon read its file again, or another one. The file is checked whole: a bad one changes nothing. What it does\n" +
        "not change goes on undisturbed.",
    )
    .argument("[words...]", "[SOCKET] [FILE] (default: the file that it was started with)")
    .option("--dry-run", "only say what would change")
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ hotpair reload --dry-run gw1")
    .action((words: readonly string[], options: Options) => finish(() => reload(words, options)));
  program
    .command("stop")
    .summary("end a daemon: it releases what it holds")
    .description(
      "Ends a daemon as SIGTERM does: priority 0, and the addresses go when a peer has them, after a second at most.",
    )
    .argument("[socket]", SOCKET)
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ hotpair stop gw1")
    .action((socket: string | undefined, options: Options) => finish(() => stop(socket, options)));
}

async function set(words: readonly string[], { json = false }: Options): Promise<number> {
  const [socket, what, name = "", value = ""] = words.length === 4 ? words : [undefined, ...words];
  if (what !== "priority" || words.length < 3 || words.length > 4) {
    throw new Failure(INVALID, [`found ${JSON.stringify(words.join(" "))}, allowed: [SOCKET] priority ROUTER N`]);
  }
  const priority = Number(value);
  if (!/^\d+$/.test(value) || priority < 1 || priority > 255) {
    throw new Failure(INVALID, [`priority: found ${JSON.stringify(value)}, allowed: an integer of 1 to 255`]);
  }
  const link = await Link.to(socketOf(socket));
  try {
    const state = accepted(await link.ask("state"));
    const rows = (state["rows"] as readonly StatusRow[]).filter(({ type }) => type === "vrrp.router");
    const row = rows.find((one) => one.name === name);
    if (row === undefined) {
      const names = rows.map((one) => one.name).join(", ");
      throw new Failure(INVALID, [`found ${JSON.stringify(name)}, allowed: one of ${names || "no routers"}`]);
    }
    const { interface: face, vrid, family } = row;
    const command = { verb: "priority", priority, interface: face, vrid, family };
    accepted(await link.ask("command", { to: "vrrp", command }));
    report(json, state, { type: "set", router: name, from: row["base"], priority });
    say(`${name}: priority ${String(row["base"])} → ${priority}`, json);
  } finally {
    link.close();
  }
  return OK;
}

async function drain(word: string | undefined, { json = false, timeout }: Options): Promise<number> {
  const seconds = timeout === undefined ? {} : { timeout: secondsOf(timeout) };
  const link = await Link.to(socketOf(word));
  const begun = performance.now();
  const ticker = setInterval(() => {
    progress(() => `waiting for the peers to take over, ${((performance.now() - begun) / 1_000).toFixed(0)} s`);
  }, 200);
  try {
    const answer = accepted(await link.ask("drain", seconds, HANDOVER));
    await gone(link);
    const { handedOver, kept } = answer as { readonly handedOver: readonly string[]; readonly kept: readonly string[] };
    report(json, answer, { type: "drain", handedOver, kept });
    for (const name of handedOver) say(`${name}: handed over`, json);
    for (const name of kept) say(`${name}: nobody took over in time; released with priority 0`, json);
    say("stopped", json);
  } finally {
    clearInterval(ticker);
    link.close();
  }
  return OK;
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text !== "" && seconds >= 0 && seconds <= 600) return seconds;
  throw new Failure(INVALID, [`--timeout: found ${JSON.stringify(text)}, allowed: seconds from 0 to 600`]);
}

async function reload(words: readonly string[], { json = false, dryRun = false }: Options): Promise<number> {
  const [first, second, more] = words;
  if (more !== undefined) throw new Failure(INVALID, [`found ${words.length} words, allowed: [SOCKET] [FILE]`]);
  const one = second === undefined && first !== undefined;
  const named = one && !isSocket(first) && /\.ya?ml$|\//.test(first);
  const [socket, file] = named ? [undefined, first] : [first, second];
  // Read by the daemon, whose directory is another one.
  const fields = { dryRun, ...(file === undefined ? {} : { file: resolve(file) }) };
  const answer = await askOnce(socketOf(socket), "reload", fields, LEAVES_WITHIN);
  const changes = answer["changes"] as readonly string[];
  report(json, answer, { type: "reload", file: answer["file"], changes, applied: answer["applied"] });
  for (const line of changes) say(line, json);
  if (changes.length === 0) say("no change", json);
  else if (dryRun) say("(nothing was changed: --dry-run)", json);
  return OK;
}

async function stop(word: string | undefined, { json = false }: Options): Promise<number> {
  const link = await Link.to(socketOf(word));
  try {
    const answer = accepted(await link.ask("stop"));
    await gone(link);
    report(json, answer, { type: "stop", pid: answer["pid"] });
    say("stopped", json);
  } finally {
    link.close();
  }
  return OK;
}

/** Waits until the daemon has let go of everything. */
async function gone(link: Link): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    late = setTimeout(() => {
      reject(new Failure(UNABLE, [`${link.path}: it has not ended within ${LEAVES_WITHIN / 1_000} s`]));
    }, LEAVES_WITHIN);
  });
  try {
    await Promise.race([link.closed, tooLate]);
  } finally {
    clearTimeout(late);
  }
}

function report(json: boolean, answer: Json, line: Json): void {
  const { t, node } = answer;
  if (json) void printJson({ ...(t === undefined ? {} : { t }), ...(node === undefined ? {} : { node }), ...line });
}
