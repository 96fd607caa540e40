import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { hasAddress } from "../ip/events.ts";
import { FlowCount } from "./count.ts";
import type { FlowEvent } from "./events.ts";
import { expect } from "./expect.ts";
import { invariants } from "./invariants.ts";
import { flowMachine } from "./machine.ts";

export const flowProtocol: Protocol = {
  name: "flow",
  expect,
  invariants,
  describe: (event) => (event.type.startsWith("flow.") ? words(event as FlowEvent) : undefined),
  meter: (flows, nodes) => {
    const counts = flows.map((flow, index) => {
      // Nobody counts at the far end of a virtual address: who has it may change. Its owner answers.
      const kind = nodes.some((node) => hasAddress(node, flow.to)) ? "datagram" : "echo";
      return new FlowCount(flow, index, kind);
    });
    return {
      mount: (node, env) => {
        if (counts.length === 0 || node["interfaces"] === undefined) return [];
        const sends = counts.filter(({ flow }) => flow.from === node.node);
        return [mount(flowMachine, { flows: counts, sends }, env)];
      },
      record: (id, now, from, to) => {
        const count = counts.find(({ flow }) => flow.id === id);
        return count?.record(now, from, to) ?? { id, ...NOTHING_COUNTED };
      },
    };
  },
};

function words(event: FlowEvent): string {
  switch (event.type) {
    case "flow.stalled":
      return `flow ${event.flow}: nothing arrives of what was sent since ${event.since.toFixed(6)} s`;
    case "flow.flowing":
      return `flow ${event.flow}: packets arrive again`;
    case "flow.ended":
      return `flow ${event.flow}: nothing has arrived any more, and it is over`;
    case "flow.duplicate":
      return `flow ${event.flow}: packet ${event.number} has come again, ${event.count} so far`;
  }
}

const NOTHING_COUNTED = { sent: 0, received: 0, lost: 0, duplicated: 0, reordered: 0, longestGap: 0 };
