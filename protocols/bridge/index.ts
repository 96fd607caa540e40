import { mount } from "../../src/core/machine.ts";
import type { Problem, Protocol } from "../../src/node/protocol.ts";
import { type BridgeConfig, bridgeSchema } from "./config.ts";
import { changes, drivenBy, driver, kernel, unable } from "./driver.ts";
import { expect } from "./expect.ts";
import { explain } from "./explain.ts";
import { invariants } from "./invariants.ts";
import { bridge } from "./machine.ts";
import { describe } from "./view.ts";

export const bridgeProtocol: Protocol<BridgeConfig> = {
  name: "bridge",
  key: "bridge",
  schema: bridgeSchema,
  mount: (config, _node, env) => [mount(bridge, config, env)],
  drive: (config, node, env) => [mount(driver, drivenBy(config, node), env)],
  driven: drivenBy,
  holds: kernel,
  unable,
  changes,
  explain,

  check(config) {
    const problems: Problem[] = [];
    const untagged = new Map<string, number>();
    for (const [vid, members] of config.vlans) {
      for (const [i, port] of members.tagged.entries()) {
        if (members.tagged.indexOf(port) === i) continue;
        problems.push({ path: ["vlans", vid, "tagged", i], message: `${port} is listed twice` });
      }
      for (const [i, port] of members.untagged.entries()) {
        const path = ["vlans", vid, "untagged", i];
        const other = untagged.get(port);
        if (other !== undefined) {
          problems.push({
            path,
            message: `${port} is untagged in VLAN ${other} already; a port has one untagged VLAN`,
          });
        } else if (members.tagged.includes(port)) {
          problems.push({ path, message: `${port} is both tagged and untagged in VLAN ${vid}` });
        }
        untagged.set(port, vid);
      }
    }
    for (const [i, port] of config.ports.entries()) {
      const own = /^vlan(\d+)$/.exec(port)?.[1];
      if (own !== undefined && config.vlans.has(Number(own))) {
        problems.push({ path: ["ports", i], message: `${port} is the bridge's own way into VLAN ${own}, not a port` });
      }
    }
    if (config.ports.length === 0) problems.push({ path: [], message: "a bridge needs at least one port" });
    return problems;
  },

  expect,
  invariants,
  describe,
};
