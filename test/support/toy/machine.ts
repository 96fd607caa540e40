/** Says hello on one interface at a steady pace, and tells what it hears. */
import { macBytes } from "../../../src/core/addr.ts";
import { type Machine, NOTHING, type Port } from "../../../src/core/machine.ts";
import { after, type Instant, NEVER } from "../../../src/core/time.ts";
import { decodeHello, encodeHello, HELLO_TYPE } from "./codec.ts";
import type { HelloConfig } from "./config.ts";
import type { HelloHeard } from "./events.ts";

interface HelloState {
  readonly config: HelloConfig;
  readonly port: Port;
  readonly address: Uint8Array;
  next: Instant;
  number: number;
}

export const hello: Machine<HelloConfig, HelloState, { readonly verb: string }, HelloHeard> = {
  name: "hello",
  ports: (config) => ({ uses: [config.interface] }),
  init(config, env) {
    const port = env.port(config.interface);
    return { config, port, address: macBytes(env.mac(port)), next: NEVER, number: 0 };
  },
  claims: (_state, _port, frame) => frame.header.type === HELLO_TYPE,
  step(state, input, now) {
    switch (input.kind) {
      case "link":
        state.next = input.up ? now : NEVER;
        return NOTHING;
      case "timer": {
        if (now < state.next) return NOTHING;
        state.next = after(now, state.config.every);
        return [{ kind: "send", port: state.port, frame: encodeHello({ number: state.number++ }, state.address) }];
      }
      case "frame": {
        const heard = decodeHello(input.frame);
        if (!heard.ok) return NOTHING;
        return [{ kind: "event", event: { type: "hello.heard", interface: input.port.name, ...heard.value } }];
      }
      default:
        return NOTHING;
    }
  },
  deadline: (state) => state.next,
};
