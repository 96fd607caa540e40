/** `hotpair decode CAPTURE`: every frame as one line. */
import type { Command } from "commander";
import { createDissector, dissect } from "../../protocols/dissect/dissect.ts";
import { formatFrame } from "../../protocols/dissect/format.ts";
import { readCapture } from "../../src/capture/file.ts";
import { openOctets } from "../octets.ts";
import { breathe, Failure, INVALID, OK, print, printJson, progress, tell } from "../output.ts";
import type { Finish } from "../program.ts";

interface Options {
  readonly json?: boolean;
  readonly limit?: string;
}

export function register(program: Command, finish: Finish): void {
  program
    .command("decode")
    .summary("one line a frame of a capture")
    .description(
      "Reads a capture (pcap or pcapng, also compressed with gzip) and prints every frame on one line: what it says, and\n" +
        "what a receiver does with it. Of a damaged file every whole frame is printed before the error.",
    )
    .argument("<capture>", "a capture; - is stdin")
    .option("--limit <number>", "stop after so many frames")
    .option("--json", "one JSON object a line on stdout")
    .addHelpText("after", "\nExample:\n  $ hotpair decode captures/keepalived-v3-ipv4-election.pcap")
    .action((file: string, options: Options) => finish(() => decode(file, options)));
}

async function decode(file: string, options: Options): Promise<number> {
  const limit = options.limit === undefined ? Number.POSITIVE_INFINITY : limitOf(options.limit);
  const { name, stream } = await openOctets(file);
  const dissector = createDissector();
  for await (const { records, error } of readCapture(stream)) {
    for (const record of records) {
      if (record.number > limit) return OK;
      const frame = dissect(dissector, record);
      const slow = options.json === true ? printJson({ ...frame }) : print(formatFrame(frame));
      if (slow !== undefined) await slow;
    }
    await breathe();
    if (error !== undefined) {
      tell(`${name}: ${error.message}`);
      return INVALID;
    }
    progress(() => `${records.at(-1)?.number ?? 0} frames`);
  }
  return OK;
}

function limitOf(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1) return limit;
  throw new Failure(INVALID, [`--limit: found ${JSON.stringify(text)}, allowed: a whole number from 1`]);
}
