/** `--io`: what carries frames, and what it cannot carry. */
import { Option } from "commander";
import { IO_NAMES, type IoName } from "../src/host/linux/io.ts";
import type { NodeConfig } from "../src/node/protocol.ts";

export const ioOption = new Option(
  "--io <backend>",
  "what carries frames; cap and raw-socket are packages to be installed first (docs/operating.md)",
)
  .choices(IO_NAMES)
  .default("koffi");

/** What of the file's routers this backend cannot run: better refused than half done. */
export function beyond(io: IoName, config: NodeConfig): readonly string[] {
  if (io === "koffi") return [];
  // A VLAN of a link whose other frames are the kernel's, and datagrams to an address that the kernel need not have.
  const pair =
    config["mlag"] === undefined ? [] : [`mlag: found it, allowed with --io ${io}: no M-LAG; --io koffi has it`];
  if (io !== "raw-socket") return pair;
  const routers = (config["vrrp"] ?? []) as readonly { readonly family: string; readonly virtualMac: boolean }[];
  const beside = routers.flatMap(({ family, virtualMac }, i) => [
    ...(family === "ipv6"
      ? [`vrrp[${i}]: found IPv6, allowed with --io raw-socket: IPv4 (it does not tell the hop limit of what it hears)`]
      : []),
    ...(virtualMac
      ? [`vrrp[${i}].virtual-mac: found true, allowed with --io raw-socket: false (it has no layer 2)`]
      : []),
  ]);
  return [...pair, ...beside];
}
