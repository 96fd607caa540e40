/** `hotpair explain`: why something of a daemon is as it is. */
import type { Command } from "commander";
import type { Explanation } from "../../src/node/explain.ts";
import { askOnce, isSocket, socketOf } from "../control.ts";
import { explanationJson, explanationText } from "../explain.ts";
import { Failure, INVALID, OK } from "../output.ts";
import type { Finish } from "../program.ts";

export function register(program: Command, finish: Finish): void {
  program
    .command("explain")
    .summary("why something of a daemon is as it is")
    .description(
      "Says how a virtual router or an interface of a daemon is, for which reason and since when, and what that came from,\n" +
        "cause by cause, as far back as the daemon remembers. Without a subject: all that there are.",
    )
    .argument("[words...]", "[SOCKET] [SUBJECT]: vrrp51, vrrp51/ipv6, vrrp51/eth0, eth0")
    .option("--json", "one JSON object a line on stdout")
    .addHelpText("after", "\nExample:\n  $ hotpair explain vrrp51")
    .action((words: readonly string[], options: { json?: boolean }) =>
      finish(() => show(words, options.json === true)),
    );
}

async function show(words: readonly string[], json: boolean): Promise<number> {
  if (words.length > 2) throw new Failure(INVALID, [`found ${words.length} words, allowed: [SOCKET] [SUBJECT]`]);
  const named = words.length === 2 || (words[0] !== undefined && isSocket(words[0]));
  const [socket, subject] = named ? words : [undefined, words[0]];
  const answer = await askOnce(socketOf(socket), "explain", subject === undefined ? {} : { subject });
  // Said by our own daemon.
  const { explanations, epoch } = answer as unknown as {
    readonly explanations: readonly Explanation[];
    readonly epoch: number;
  };
  for (const one of explanations) {
    if (json) explanationJson(one);
    else explanationText(one, (at) => new Date(epoch + at / 1_000).toISOString());
  }
  return OK;
}
