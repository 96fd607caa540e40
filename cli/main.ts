/** The entry of the built program; hotpair.mjs sees to it that it is built. */
import { readFileSync } from "node:fs";
import { toExitCode } from "./output.ts";
import { runProgram } from "./program.ts";

/** @param manifest package.json, for the version. */
export async function main(words: readonly string[], manifest: URL): Promise<number> {
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  return toExitCode(() => runProgram(words, version));
}
