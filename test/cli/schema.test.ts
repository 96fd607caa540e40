import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as z from "zod";
import { bothSchemas, jsonSchema, schemaText } from "../../cli/schema.ts";
import { protocols } from "../../protocols/index.ts";
import { beaconProtocols } from "../support/beacon.ts";

const topologies = join(dirname(fileURLToPath(import.meta.url)), "../../topologies");

type Json = Readonly<Record<string, unknown>>;

function at(json: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((part, key) => (part as Json | undefined)?.[key], json);
}

test("topologies/schema.json is what `hotpair schema` prints; make it anew after a change: node cli/hotpair.mjs schema > topologies/schema.json", () => {
  expect(readFileSync(join(topologies, "schema.json"), "utf8")).toBe(schemaText(bothSchemas(protocols)));
});

test("a node's schema takes what the program takes and refuses what it refuses", () => {
  const schema = z.fromJSONSchema(jsonSchema("node", beaconProtocols) as z.core.JSONSchema.JSONSchema);
  const beacon = { port: "eth0", id: 7, mode: "quiet", period: "10ms", addresses: ["10.0.0.1/24"] };
  const good = { node: "gw1", beacon: [beacon, { ...beacon, wait: true }, { ...beacon, wait: { delay: "3s" } }] };
  expect(schema.safeParse(good).success).toBe(true);
  const bad = [
    { id: 256 },
    { mode: "lout" },
    { period: 3 },
    { period: "soon" },
    { prot: "x" },
    { wait: { dely: "3s" } },
  ];
  for (const change of bad) {
    const file = { node: "gw1", beacon: [{ ...beacon, ...change }] };
    expect(schema.safeParse(file).success, JSON.stringify(change)).toBe(false);
  }
  expect(schema.safeParse({ beacon: [beacon] }).success).toBe(false);
});

test("a lab's schema has a node's keys under every node, one verb in a line, and what protocols add", () => {
  const lab = jsonSchema("lab", beaconProtocols);
  const node = jsonSchema("node", beaconProtocols);
  expect(lab.required).toEqual(["nodes"]);
  expect(at(lab, "properties", "nodes", "additionalProperties", "properties", "beacon")).toEqual(
    at(node, "properties", "beacon"),
  );
  const line = at(lab, "properties", "script", "items");
  const verbs = (at(line, "oneOf") as { required: string[] }[]).flatMap(({ required }) => required);
  expect(verbs).toEqual(Object.keys(at(line, "properties") as Json).filter((key) => key !== "at" && key !== "side"));
  expect(Object.keys(at(line, "properties", "command", "properties") as Json)).toEqual(["node", "beacon"]);
  const expectations = at(lab, "properties", "expect", "items", "anyOf") as readonly unknown[];
  expect(expectations.map((one) => Object.keys(at(one, "properties") as Json))).toEqual([
    expect.arrayContaining(["flow", "lost-at-most"]),
    expect.arrayContaining(["always", "settle", "beacon"]),
    expect.arrayContaining(["at", "after", "within", "node", "state", "beacon"]),
  ]);
});

test("every key that people can write is described, or has a form that says what it is", () => {
  const bare: string[] = [];
  const visit = (schema: unknown, path: string): void => {
    for (const [key, value] of Object.entries((at(schema, "properties") ?? {}) as Json)) {
      if (
        at(value, "description") === undefined &&
        at(value, "enum") === undefined &&
        at(value, "type") === undefined
      ) {
        bare.push(`${path}.${key}`);
      }
      visit(value, `${path}.${key}`);
      visit(at(value, "items"), `${path}.${key}[]`);
      visit(at(value, "additionalProperties"), `${path}.${key}.*`);
    }
  };
  visit(jsonSchema("lab", beaconProtocols), "lab");
  expect(bare.filter((path) => !path.includes("beacon"))).toEqual([]);
});
