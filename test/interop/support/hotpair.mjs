/** The built program without the checkout's set-up: a namespace has no network to install from, and no time to build. */
import { main } from "../../../dist/cli/main.js";

const code = await main(process.argv.slice(2), new URL("../../../package.json", import.meta.url));
if (code > 128) process.exit(code);
process.exitCode = code;
