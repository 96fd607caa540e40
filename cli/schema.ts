/** The JSON Schema of the files that people write, for their editors. */
import * as z from "zod";
import { labSchema } from "../src/host/sim/topology.ts";
import { nodeFileSchema } from "../src/node/node-file.ts";
import type { AnyProtocol } from "../src/node/protocol.ts";

export const KINDS = ["lab", "node"] as const;
export type Kind = (typeof KINDS)[number];

/** JSON Schema 2020-12 of one kind of file. */
export function jsonSchema(kind: Kind, protocols: readonly AnyProtocol[]): Record<string, unknown> {
  const schema = kind === "lab" ? labSchema(protocols) : nodeFileSchema(protocols);
  return { ...z.toJSONSchema(schema, { io: "input", reused: "inline" }) };
}

/** One document for both: a file that is one of them. */
export function bothSchemas(protocols: readonly AnyProtocol[]): Record<string, unknown> {
  const { $schema, ...lab } = jsonSchema("lab", protocols);
  const { $schema: _, ...node } = jsonSchema("node", protocols);
  return {
    $schema,
    title: "hotpair file",
    description: "A lab (`hotpair sim`) or a node (`hotpair run`).",
    if: { required: ["node"] },
    // biome-ignore lint/suspicious/noThenProperty: this is JSON Schema's own word, and nobody awaits it.
    then: { $ref: "#/$defs/node" },
    else: { $ref: "#/$defs/lab" },
    $defs: { lab, node },
  };
}

/** As it is written to topologies/schema.json. */
export function schemaText(value: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
