/** A protocol of the tests: small, with everything that a file can say of one. */
import * as z from "zod";
import { ms, sec } from "../../src/core/time.ts";
import type { AnyProtocol, NodeConfig, Protocol } from "../../src/node/protocol.ts";
import { duration, durationWithin, integerWithin, portName, prefix } from "../../src/node/units.ts";

const schema = z.array(
  z.strictObject({
    port: portName,
    id: integerWithin(1, 255, "an id"),
    mode: z.enum(["loud", "quiet"]).default("loud"),
    period: durationWithin(ms(10), sec(40)).default(sec(1)),
    addresses: z.array(prefix).max(2).default([]),
    wait: z.union([z.boolean(), z.strictObject({ delay: duration })]).default(false),
  }),
);

type Beacons = z.output<typeof schema>;

const beaconsOf = (node: NodeConfig) => (node.beacon ?? []) as Beacons;

const beacon: Protocol<Beacons> = {
  name: "beacon",
  key: "beacon",
  schema,
  command: z.discriminatedUnion("verb", [
    z.strictObject({ verb: z.literal("mute") }),
    z.strictObject({ verb: z.literal("power"), level: integerWithin(1, 9, "a level") }),
  ]),
  check: (config) =>
    config.flatMap(({ id }, i) => {
      const first = config.findIndex((other) => other.id === id);
      return first === i ? [] : [{ path: [i, "id"], message: `found ${id} twice, allowed: each id once` }];
    }),
  compare: (nodes) =>
    nodes.flatMap((node, n) =>
      beaconsOf(node).flatMap(({ id, period }, i) => {
        const others = nodes.slice(0, n).flatMap((other) => beaconsOf(other).filter((one) => one.id === id));
        const [other] = others;
        if (other === undefined || other.period === period) return [];
        const message = `found a period of ${period}, the other has ${other.period}`;
        return [{ node: node.node, path: ["beacon", i, "period"], message, warning: id !== 13 }];
      }),
    ),
  expect: {
    subject: integerWithin(1, 255, "an id"),
    fields: { state: z.enum(["on", "off"]) },
    check: ({ subject }, nodes) =>
      subject === undefined || nodes.some((node) => beaconsOf(node).some(({ id }) => id === subject))
        ? []
        : [{ path: ["beacon"], message: `found ${subject}, allowed: the id of a beacon` }],
    view: { initial: () => undefined, fold: (view) => view },
    judge: () => ({ ok: true, detail: "" }),
    promises: {
      "one-voice": () => ({
        name: "one-voice",
        source: "the tests",
        settle: sec(1),
        view: { initial: () => undefined, fold: (view) => view },
        broken: () => undefined,
      }),
    },
  },
};

export const beaconProtocols: readonly AnyProtocol[] = [beacon];
