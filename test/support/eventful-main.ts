/** Prints the log of an eventful world: node eventful-main.js SEED */
import { logOf } from "./eventful.ts";

process.stdout.write(logOf({ seed: Number(process.argv[2]) }));
