/**
 * The control VLAN of a peer link: a port of its own for the session, beside the bridge that has the link for all
 * else. Frames of this VLAN are claimed before the bridge is offered them, so they are neither learned nor flooded.
 */
import {
  type Env,
  type Input,
  type Machine,
  type Mounted,
  mount,
  NOTHING,
  type Output,
  type Port,
} from "../../src/core/machine.ts";
import { NEVER } from "../../src/core/time.ts";
import { type ChannelConfig, CONTROL_VLAN, channelPort } from "./events.ts";

/** IEEE 802.1Q §I.4: priority 6, internetwork control. */
const TAG = (6 << 13) | CONTROL_VLAN;

interface Channel {
  /** The peer link, and the port of the control VLAN on it. */
  readonly below: Port;
  readonly above: Port;
}

export const channelMachine: Machine<ChannelConfig, Channel, { readonly verb: string }, never> = {
  name: "channel",
  ports: ({ peerLink }) => ({ owns: [channelPort(peerLink)], uses: [peerLink] }),
  init: ({ peerLink }, env) => ({ below: env.port(peerLink), above: env.port(channelPort(peerLink)) }),
  claims: ({ below, above }, port, frame) => port === above || (port === below && frame.vid === CONTROL_VLAN),
  step,
  deadline: () => NEVER,
};

function step({ below, above }: Channel, input: Input): readonly Output<never>[] {
  switch (input.kind) {
    case "frame":
      if (input.port === above) return [{ kind: "send", port: below, frame: input.frame.tagged(TAG) }];
      return [{ kind: "send", port: above, frame: input.frame.untagged() }];
    case "link":
      return input.port === below ? [{ kind: "link", port: above, up: input.up }] : NOTHING;
    default:
      return NOTHING;
  }
}

/** After what owns the peer link, before the IP stack that has an interface on `channelPort`. */
export function mountChannel(config: ChannelConfig, env: Env): readonly Mounted[] {
  return [mount(channelMachine, config, env)];
}
