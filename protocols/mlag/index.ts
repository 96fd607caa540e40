/** M-LAG: two switches that are one to LACP. */
import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { check, compare } from "./check.ts";
import { type MlagConfig, mlagCommand, mlagSchema } from "./config.ts";
import { consistencyItems } from "./consistency.ts";
import { describe } from "./describe.ts";
import { expect } from "./expect.ts";
import { explain } from "./explain.ts";
import { invariants } from "./invariants.ts";
import { mlag } from "./machine.ts";
import { listens, withInterfaces } from "./session.ts";
import { status } from "./status.ts";

export { iccpSessions, tcpSessions } from "./session.ts";

export const mlagProtocol: Protocol<MlagConfig> = {
  name: "mlag",
  key: "mlag",
  schema: mlagSchema,
  command: mlagCommand,
  complete: withInterfaces,
  mount: (config, node, env) => [mount(mlag, { ...config, items: consistencyItems(node) }, env)],
  listens,
  check,
  compare,
  describe,
  explain,
  expect,
  invariants,
  status,
};
