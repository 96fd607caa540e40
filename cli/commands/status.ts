/** `hotpair status`: what a daemon is and has now. */
import type { Command } from "commander";
import { protocols } from "../../protocols/index.ts";
import { askOnce, socketOf } from "../control.ts";
import { OK, paint, print, printJson } from "../output.ts";
import type { Finish } from "../program.ts";
import { type Line, type State, statusLines } from "../status.ts";

export function register(program: Command, finish: Finish): void {
  program
    .command("status")
    .summary("the state of a daemon now, as a table")
    .description(
      "Prints what a daemon is now and why: its routers, the peers that they hear, their timers, and what its interfaces\n" +
        "have counted.",
    )
    .argument("[socket]", "its control socket, or the node's name (default: the only one in /run/hotpair)")
    .option("--json", "one JSON object a line on stdout: one for each router, one for the host")
    .addHelpText("after", "\nExample:\n  $ hotpair status gw1")
    .action((socket: string | undefined, options: { json?: boolean }) =>
      finish(() => show(socket, options.json === true)),
    );
}

async function show(word: string | undefined, json: boolean): Promise<number> {
  // Said by our own daemon.
  const state = (await askOnce(socketOf(word), "state")) as unknown as State;
  if (json) showJson(state);
  else for (const line of statusLines(state, protocols, new Date())) void print(painted(line));
  return OK;
}

function showJson({ t, node, rows, host }: State): void {
  for (const { to: _, ...row } of rows) void printJson({ t, node, ...row });
  void printJson({ t, node, type: "host", ...host });
}

const STYLES = { head: "bold", good: "green", bad: "red", detail: "dim" } as const;

function painted({ text, style }: Line): string {
  return style === "row" || text === "" ? text : paint(STYLES[style], text);
}
