import type { Event } from "../../src/core/machine.ts";
import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { checkInterfaces, compareInterfaces, type InterfacesConfig, interfacesSchema } from "./config.ts";
import type { IpUnresolved } from "./events.ts";
import { ipMachine } from "./machine.ts";

export const ipProtocol: Protocol<InterfacesConfig> = {
  name: "ip",
  key: "interfaces",
  schema: interfacesSchema,
  mount: (config, _node, env) => [mount(ipMachine, config, env)],
  check: checkInterfaces,
  compare: compareInterfaces,
  describe: (event: Event) => {
    if (event.type !== "ip.unresolved") return undefined;
    const { port, address, lost } = event as IpUnresolved;
    return `${port}: no answer from ${address}, ${lost} packet${lost === 1 ? "" : "s"} lost (no-neighbour)`;
  },
};
