#!/usr/bin/env node
/** The executable. In a checkout it first sees to it that what it runs is there and current. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// An installed package has no set-up: it came built.
if (existsSync(new URL("setup.mjs", import.meta.url))) {
  const { isCheckout, setUpOrExit } = await import("./setup.mjs");
  if (isCheckout(root)) setUpOrExit(root);
}
// A router that takes over after a year does what it has never done: none of that is to be compiled in that moment.
if (process.argv[2] === "run") setFlagsFromString("--no-lazy --no-flush-bytecode");
const { main } = await import("../dist/cli/main.js");
const code = await main(process.argv.slice(2), new URL("../package.json", import.meta.url));
// After a signal nothing may keep the process alive; otherwise what is still being written is waited for.
if (code > 128) process.exit(code);
process.exitCode = code;
