import type { Event } from "../../src/core/machine.ts";
import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { checkInterfaces, compareInterfaces, type InterfacesConfig, interfacesSchema } from "./config.ts";
import type { IpEvent } from "./events.ts";
import { explain } from "./explain.ts";
import { ipMachine } from "./machine.ts";

export const ipProtocol: Protocol<InterfacesConfig> = {
  name: "ip",
  key: "interfaces",
  drive: () => [],
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
