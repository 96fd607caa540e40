/** The command line: the verbs, and what all of them have in common. */
import { Command, CommanderError } from "commander";
import { register as check } from "./commands/check.ts";
import { register as decode } from "./commands/decode.ts";
import { register as explain } from "./commands/explain.ts";
import { register as orders } from "./commands/orders.ts";
import { register as replay } from "./commands/replay.ts";
import { register as run } from "./commands/run.ts";
import { register as schema } from "./commands/schema.ts";
import { register as sim } from "./commands/sim.ts";
import { register as status } from "./commands/status.ts";
import { INVALID, OK } from "./output.ts";

/** What a command's action calls: runs it, and keeps its exit code. */
export type Finish = (run: () => Promise<number>) => Promise<void>;

/** In the order of the help. */
const COMMANDS: readonly ((program: Command, finish: Finish) => void)[] = [
  sim,
  run,
  status,
  explain,
  orders,
  check,
  decode,
  replay,
  schema,
];

/** Runs one command line (without node and script); the exit code. */
export async function runProgram(words: readonly string[], version: string): Promise<number> {
  let code: number = OK;
  const program = new Command("hotpair")
    .description(
      "VRRP speaker, M-LAG pair and topology simulator: one code base for the wire, the lab and the capture.",
    )
    .version(version)
    .showSuggestionAfterError(true)
    .showHelpAfterError("(hotpair --help lists the commands, hotpair COMMAND --help its options)")
    .addHelpText("after", "\nExample:\n  $ hotpair check topologies/*.yaml")
    .exitOverride();
  const finish: Finish = async (run) => {
    code = await run();
  };
  for (const register of COMMANDS) register(program, finish);
  for (const command of program.commands) command.copyInheritedSettings(program);
  try {
    await program.parseAsync([...words], { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong; help and version that were asked for are no errors.
    return error.exitCode === 0 ? OK : INVALID;
  }
}
