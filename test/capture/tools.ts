import { execFile, spawnSync } from "node:child_process";
import { it } from "vitest";

/** A test that needs a program of this machine; without it the test skips and its name says why. */
export function itWith(tool: string, title: string, test: () => Promise<void>): void {
  const missing = spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined;
  it.skipIf(missing)(missing ? `${title} (skipped: ${tool} is not installed)` : title, test);
}

/** What a program printed; rejects when it fails. */
export function run(tool: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(tool, args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${tool}: ${error.message}\n${stderr}`));
      else resolve(stdout);
    });
  });
}
