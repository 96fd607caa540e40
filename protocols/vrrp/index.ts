/** VRRP for IPv4 and IPv6: RFC 9568 (version 3) and RFC 3768 (version 2). */
import { multicastMac } from "../../src/core/addr.ts";
import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { check, compare } from "./check.ts";
import { VRRP_GROUP_4, VRRP_GROUP_6, VRRP_PROTOCOL } from "./codec.ts";
import { command, schema, type VrrpConfig } from "./config.ts";
import { changes } from "./configure.ts";
import { expect } from "./expect.ts";
import { explain } from "./explain.ts";
import { kernel } from "./farewell.ts";
import { invariants } from "./invariants.ts";
import { vrrp } from "./machine.ts";
import { vrrpObserver } from "./observer.ts";
import { describeObserved } from "./observer-view.ts";
import { status, urgency } from "./status.ts";
import { describe } from "./view.ts";

export const protocol: Protocol<VrrpConfig> = {
  name: "vrrp",
  key: "vrrp",
  schema,
  command,
  expect,
  explain,
  mount: (config, _node, env) => [mount(vrrp, config, env)],
  observe: (port, env) => [mount(vrrpObserver, { port }, env)],
  check,
  compare,
  describe: (event) => describeObserved(event) ?? describe(event),
  invariants,
  holds: kernel,
  urgency,
  status,
  changes,
  listens: () => [
    { ethertype: ETHERTYPE.ipv4, protocol: VRRP_PROTOCOL, groups: [multicastMac(VRRP_GROUP_4)], joins: [VRRP_GROUP_4] },
    { ethertype: ETHERTYPE.ipv6, protocol: VRRP_PROTOCOL, groups: [multicastMac(VRRP_GROUP_6)], joins: [VRRP_GROUP_6] },
  ],
};
