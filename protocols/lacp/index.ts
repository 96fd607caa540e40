/** Link aggregation: IEEE 802.1AX clause 6, with LACP version 1 and the Marker protocol. */
import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { ETHERTYPE } from "../ethernet/codec.ts";
import { check, compare, unable } from "./check.ts";
import { SLOW_GROUP } from "./codec.ts";
import { command, type LacpConfig, schema } from "./config.ts";
import { changes } from "./configure.ts";
import { expect } from "./expect.ts";
import { explain } from "./explain.ts";
import { kernel } from "./farewell.ts";
import { invariants } from "./invariants.ts";
import { lacp } from "./machine.ts";
import { lacpObserver } from "./observer.ts";
import { describeSeen } from "./observer-view.ts";
import { status } from "./status.ts";
import { describe } from "./view.ts";

export const lacpProtocol: Protocol<LacpConfig> = {
  name: "lacp",
  key: "lacp",
  schema,
  command,
  expect,
  explain,
  mount: (config, _node, env) => [mount(lacp, config, env)],
  observe: (port, env) => [mount(lacpObserver, { port }, env)],
  check,
  compare,
  describe: (event) => ("frame" in event ? describeSeen(event) : describe(event)),
  invariants,
  unable,
  holds: kernel,
  release: { verb: "drain" },
  status,
  changes,
  listens: () => [{ ethertype: ETHERTYPE.slow, groups: [SLOW_GROUP] }],
};
