/** A protocol of the tests: numbered broadcasts on one port, and what becomes of everybody's. */
import * as z from "zod";
import { type Mac, macBytes, macFrom } from "../../src/core/addr.ts";
import { u32, Writer } from "../../src/core/bytes.ts";
import { Frame } from "../../src/core/frame.ts";
import { type Command, type Machine, mount, NOTHING, type Port } from "../../src/core/machine.ts";
import { after, type Instant, instant, ms, NEVER, sec } from "../../src/core/time.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { durationWithin, portName } from "../../src/node/units.ts";

const ETHERTYPE = 0x88b5;

const schema = z.strictObject({ port: portName, every: durationWithin(ms(1), sec(10)) });
type ShoutConfig = z.output<typeof schema>;

/** A broadcast that arrived, for the first time or again; `own`: at the one who sent it. */
export interface ShoutHeard {
  readonly type: "shout.heard";
  readonly from: Mac;
  readonly number: number;
  /** When it was sent, in microseconds. */
  readonly sent: number;
  readonly again: boolean;
  readonly own: boolean;
}

export interface ShoutSent {
  readonly type: "shout.sent";
  readonly from: Mac;
  readonly number: number;
}

interface ShoutState {
  readonly config: ShoutConfig;
  readonly port: Port;
  readonly mac: Mac;
  readonly heard: Set<string>;
  next: Instant;
  number: number;
}

const shout: Machine<ShoutConfig, ShoutState, Command, ShoutHeard | ShoutSent> = {
  name: "shout",
  ports: ({ port }) => ({ uses: [port] }),
  init: (config, env) => {
    const port = env.port(config.port);
    return { config, port, mac: env.mac(port), heard: new Set(), next: NEVER, number: 0 };
  },
  claims: (_state, _port, frame) => frame.header.type === ETHERTYPE,
  deadline: ({ next }) => next,
  step(state, input, now) {
    switch (input.kind) {
      case "link":
        state.next = input.up ? now : NEVER;
        return NOTHING;
      case "timer": {
        if (now < state.next) return NOTHING;
        state.next = after(now, state.config.every);
        const { mac: from, number } = state;
        state.number++;
        const writer = new Writer(64);
        writer.put(new Uint8Array(6).fill(0xff)).put(macBytes(from)).u16(ETHERTYPE);
        writer
          .u32(number)
          .u32(Math.floor(now / 2 ** 32))
          .u32(now >>> 0);
        return [
          { kind: "event", event: { type: "shout.sent", from, number } },
          { kind: "send", port: state.port, frame: Frame.of(writer.bytes) },
        ];
      }
      case "frame": {
        const { bytes } = input.frame.untagged();
        const from = macFrom(bytes, 6);
        const number = u32(bytes, 14);
        const key = `${from} ${number}`;
        const again = state.heard.has(key);
        state.heard.add(key);
        const sent = instant(u32(bytes, 18) * 2 ** 32 + u32(bytes, 22));
        return [{ kind: "event", event: { type: "shout.heard", from, number, sent, again, own: from === state.mac } }];
      }
      default:
        return NOTHING;
    }
  },
};

export const shoutProtocol: Protocol<ShoutConfig> = {
  name: "shout",
  key: "shout",
  schema,
  mount: (config, _node, env) => [mount(shout, config, env)],
};
