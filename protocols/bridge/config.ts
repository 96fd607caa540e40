/** The value under `bridge` of a node's file. */
import { z } from "zod";
import { type Duration, ms, sec } from "../../src/core/time.ts";
import { durationWithin, integerWithin, mac, portName } from "../../src/node/units.ts";

/** IEEE 802.1Q table 8-6: the recommended ageing time. */
const DEFAULT_AGEING = "300s";
/** The longest of the same table is 1,000,000 s. DEPARTS: the shortest is not 10 s, so that labs need not wait. */
const AGEING = durationWithin(ms(1), sec(1_000_000));
/** Addresses that the table holds; more are not learned, and frames to them are flooded. */
export const DEFAULT_TABLE = 16_384;

export interface BridgeConfig {
  readonly ports: readonly string[];
  readonly vlans: ReadonlyMap<number, { readonly tagged: readonly string[]; readonly untagged: readonly string[] }>;
  readonly ageing: Duration;
  readonly table: number;
}

const members = z
  .strictObject({
    tagged: z.array(portName).default([]).describe("ports that carry this VLAN with an 802.1Q tag"),
    untagged: z.array(portName).default([]).describe("ports whose untagged frames belong to this VLAN"),
  })
  .describe("the members of one VLAN");

/** IEEE 802.1Q §9.6 keeps 0 and 4095. */
const vid = z.string().regex(/^(?:[1-9]\d{0,2}|[1-3]\d{3}|40[0-8]\d|409[0-4])$/, "a VLAN identifier, 1..4094");

export const bridgeSchema = z
  .strictObject({
    ports: z.array(portName).default([]).describe("ports without a `vlans` entry: untagged in VLAN 1"),
    vlans: z.record(vid, members).default({}).describe("by VLAN identifier, 1..4094"),
    ageing: AGEING.prefault(DEFAULT_AGEING).describe("how long a silent address is kept; default 300s"),
    table: z.number().int().min(16).max(1_048_576).default(DEFAULT_TABLE).describe("most addresses that are learned"),
  })
  .transform((value): BridgeConfig => {
    const vlans = new Map(Object.entries(value.vlans).map(([id, ports]) => [Number(id), ports] as const));
    const listed = new Set([...vlans.values()].flatMap((ports) => [...ports.tagged, ...ports.untagged]));
    const rest = new Set(value.ports.filter((port) => !listed.has(port)));
    if (rest.size > 0) {
      const one = vlans.get(1);
      vlans.set(1, { tagged: one?.tagged ?? [], untagged: [...(one?.untagged ?? []), ...rest] });
    }
    return { ports: [...new Set([...value.ports, ...listed])], vlans, ageing: value.ageing, table: value.table };
  })
  .describe("a learning switch; VLAN n can be routed through the interface vlann");

export const expectSubject = integerWithin(1, 4094, "a VLAN").describe("The VLAN; 1 for ports without one.");
export const expectFields = {
  mac: mac.describe("The station."),
  port: portName.describe("The port behind which the switch has it."),
  origin: z
    .enum(["local", "peer", "both"])
    .describe("Who has it: the switch itself, its M-LAG peer, which told it, or both."),
  known: z.boolean().describe("Whether the switch has it at all; default true."),
};
