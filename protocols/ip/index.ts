import type { Event } from "../../src/core/machine.ts";
import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { checkInterfaces, compareInterfaces, type InterfacesConfig, interfacesSchema } from "./config.ts";
import type { IpEvent } from "./events.ts";
import { explain } from "./explain.ts";
import { besideKernel, ipMachine } from "./machine.ts";

/** What the kernel is not to have. */
function ownOf(config: InterfacesConfig): InterfacesConfig {
  return Object.fromEntries(Object.entries(config).filter(([, { own }]) => own !== undefined));
}

export const ipProtocol: Protocol<InterfacesConfig> = {
  name: "ip",
  key: "interfaces",
  drive: (config, _node, env) => {
    const own = ownOf(config);
    return Object.keys(own).length === 0 ? [] : [mount(besideKernel, own, env)];
  },
  schema: interfacesSchema,
  mount: (config, _node, env) => [mount(ipMachine, config, env)],
  explain,
  check: checkInterfaces,
  compare: compareInterfaces,
  describe: (event: Event) => {
    const said = event as IpEvent;
    if (said.type === "ip.returned") return `${said.port}: a frame that this node has sent has come back to it`;
    if (said.type !== "ip.unresolved") return undefined;
    const { port, address, lost } = said;
    return `${port}: no answer from ${address}, ${lost} packet${lost === 1 ? "" : "s"} lost (no-neighbour)`;
  },
};
