/** What this machine lacks for tests with real daemons, by name. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { openLibc } from "../../../src/host/linux/libc.ts";

export const FRR = "/usr/lib/frr";

const TOOLS: Readonly<Record<string, readonly string[]>> = {
  ip: ["-Version"],
  sysctl: ["--version"],
  tcpdump: ["--version"],
  keepalived: ["--version"],
  nft: ["--version"],
  "ovs-vswitchd": ["--version"],
};

/**
 * @param tools names of TOOLS, or "frr"
 * @returns what is missing, as words to be put behind a title; undefined when all is there
 */
export function lacking(...tools: readonly string[]): string | undefined {
  const missing: string[] = [];
  const libc = openLibc();
  if (!libc.ok) missing.push(libc.message);
  for (const tool of ["ip", "sysctl", "tcpdump", ...tools]) {
    const there =
      tool === "frr"
        ? existsSync(`${FRR}/vrrpd`) && existsSync(`${FRR}/zebra`)
        : spawnSync(tool, TOOLS[tool] ?? ["--version"], { stdio: "ignore" }).error === undefined;
    if (!there) missing.push(`${tool} is not installed`);
  }
  if (process.getuid?.() !== 0) missing.push("not root");
  else if (missing.length === 0 && !canMake()) missing.push("no bridges in network namespaces of our own");
  return missing.length === 0 ? undefined : missing.join(", ");
}

function canMake(): boolean {
  const name = `hp-it-${process.pid}-try`;
  const made = spawnSync("ip", ["netns", "add", name]).status === 0;
  const bridged = made && spawnSync("ip", ["-n", name, "link", "add", "br0", "type", "bridge"]).status === 0;
  if (made) spawnSync("ip", ["netns", "del", name]);
  return bridged;
}
