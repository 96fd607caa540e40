import { mount } from "../../../src/core/machine.ts";
import type { Protocol } from "../../../src/node/protocol.ts";
import { type HelloConfig, helloSchema } from "./config.ts";
import type { HelloHeard } from "./events.ts";
import { hello } from "./machine.ts";

export const helloProtocol: Protocol<HelloConfig> = {
  name: "hello",
  key: "hello",
  schema: helloSchema,
  mount: (config, _node, env) => [mount(hello, config, env)],
  describe(event) {
    if (event.type !== "hello.heard") return undefined;
    const { interface: port, number } = event as HelloHeard;
    return `${port}: hello number ${number}`;
  },
};
