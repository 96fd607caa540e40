/** The protocols of this program. A new one is a folder beside this file and a line in this list. */
import type { AnyProtocol, Protocol } from "../src/node/protocol.ts";
import { bridgeProtocol } from "./bridge/index.ts";
import { flowProtocol } from "./flow/index.ts";
import { describeIccp, iccpStatus, mountChannel, mountIccp, observeIccp } from "./iccp/index.ts";
import { ipProtocol } from "./ip/index.ts";
import { lacpProtocol } from "./lacp/index.ts";
import type { MlagConfig } from "./mlag/config.ts";
import { iccpSessions, mlagProtocol, tcpSessions } from "./mlag/index.ts";
import { mountTcp } from "./tcp/index.ts";
import { protocol as vrrpProtocol } from "./vrrp/index.ts";

// The session of an M-LAG pair has no key of its own: it is what `mlag` makes of its configuration.
const channelProtocol: Protocol<MlagConfig> = {
  name: "channel",
  key: "mlag",
  mount: (config, _node, env) => mountChannel(config, env),
};
const tcpProtocol: Protocol<MlagConfig> = {
  name: "tcp",
  key: "mlag",
  mount: (config, _node, env) => mountTcp(tcpSessions(config), env),
};
const sessionProtocol: Protocol<MlagConfig> = {
  name: "iccp",
  key: "mlag",
  describe: describeIccp,
  observe: observeIccp,
  status: iccpStatus,
  mount: (config, _node, env) => mountIccp(iccpSessions(config, env), env),
};

/**
 * In the order in which a node mounts them: what owns ports stands before what uses them, and what takes frames of its
 * own off a port (the control VLAN off a peer link) before what takes all others.
 */
export const protocols: readonly AnyProtocol[] = [
  lacpProtocol,
  channelProtocol,
  bridgeProtocol,
  ipProtocol,
  tcpProtocol,
  sessionProtocol,
  mlagProtocol,
  vrrpProtocol,
  flowProtocol,
];
