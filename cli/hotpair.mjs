#!/usr/bin/env node
/** The executable. In a checkout it first sees to it that what it runs is there and current. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// An installed package has no set-up: it came built.
if (existsSync(new URL("setup.mjs", import.meta.url))) {
  const { isCheckout, setUpOrExit } = await import("./setup.mjs");
  if (isCheckout(root)) setUpOrExit(root);
}
const { main } = await import("../dist/cli/main.js");
const code = await main(process.argv.slice(2), new URL("../package.json", import.meta.url));
// After a signal nothing may keep the process alive; otherwise what is still being written is waited for.
if (code > 128) process.exit(code);
process.exitCode = code;
