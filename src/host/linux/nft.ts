/** Runs nft(8), which changes the kernel's packet filter: all of a text or nothing of it. */
import { spawn } from "node:child_process";

/** Milliseconds that it may take. */
const PATIENCE = 10_000;
/** Characters of what it says that are told on. */
const SAID = 300;

/** @returns what is wrong, in words; undefined when the text is carried out */
export async function nft(text: string): Promise<string | undefined> {
  try {
    return await run(text);
  } catch (error) {
    // No process, no descriptor left.
    return `nft cannot be run (${error instanceof Error ? error.message : String(error)})`;
  }
}

function run(text: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    // In a session of its own: what a terminal sends to all is not meant for it.
    const child = spawn("nft", ["-f", "-"], { detached: true, stdio: ["pipe", "ignore", "pipe"] });
    const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE).unref();
    const end = (wrong: string | undefined) => {
      clearTimeout(late);
      resolve(wrong);
    };
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      if (said.length < SAID) said += part;
    });
    child.on("error", (error) => end(missing(error)));
    // It ended before it had read everything: its exit code says why.
    child.stdin.on("error", () => undefined);
    child.on("close", (status, signal) => {
      if (status === 0) end(undefined);
      else end(`nft: ${said.slice(0, SAID).trim().replaceAll(/\s+/g, " ") || `ended with ${signal ?? status}`}`);
    });
    child.stdin.end(text);
  });
}

function missing(error: NodeJS.ErrnoException): string {
  if (error.code !== "ENOENT") return `nft cannot be run (${error.message})`;
  return "there is no program nft: install the package nftables, or put its directory into PATH";
}
