import { mount } from "../../src/core/machine.ts";
import type { Protocol } from "../../src/node/protocol.ts";
import { hasAddress } from "../ip/events.ts";
import { FlowCount } from "./count.ts";
import { flowMachine } from "./machine.ts";

export const flowProtocol: Protocol = {
  name: "flow",
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

const NOTHING_COUNTED = { sent: 0, received: 0, lost: 0, duplicated: 0, reordered: 0, longestGap: 0 };
