/** The machines of a node: what each protocol of the list makes of the node's configuration, in the list's order. */
import type { Env, Mounted } from "../core/machine.ts";
import type { AnyProtocol, NodeConfig } from "./protocol.ts";

export function machinesOf(protocols: readonly AnyProtocol[], written: NodeConfig, env: Env): readonly Mounted[] {
  const config = completed(protocols, written);
  return protocols.flatMap(({ key, mount }) => {
    const own = key === undefined ? undefined : config[key];
    // The protocol's own schema made the value under its key.
    return own === undefined ? [] : (mount?.(own as never, config, env) ?? []);
  });
}

/** The configuration with what protocols need of each other beyond what stands in the file. */
function completed(protocols: readonly AnyProtocol[], written: NodeConfig): NodeConfig {
  return protocols.reduce((config, { key, complete }) => {
    const own = key === undefined ? undefined : config[key];
    return own === undefined || complete === undefined ? config : complete(own as never, config);
  }, written);
}
