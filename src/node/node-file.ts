/** One device's configuration: the file of a daemon, or an entry under `nodes:` of a lab. Both have the same keys. */
import * as z from "zod";
import { WORLD } from "../core/log.ts";
import { fromProblem, problemAt, validate } from "./file.ts";
import { type AnyProtocol, type NodeConfig, perProtocols } from "./protocol.ts";
import { type FileProblem, type Path, parseSource, type Source, sortProblems } from "./source.ts";
import { nodeName, quote } from "./units.ts";

type Protocols = readonly AnyProtocol[];

export type CompiledNode =
  | { readonly ok: true; readonly node: NodeConfig; readonly source: Source }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

/** A node and where it stands, for what is said of several of them. */
export interface PlacedNode {
  readonly node: NodeConfig;
  readonly source: Source;
  readonly base: Path;
}

/** The keys of a node in a lab: each protocol's. */
export const nodeBodySchema = perProtocols(
  (protocols): z.ZodType<Record<string, unknown>> =>
    z.strictObject(bodyShape(protocols)).meta({ description: "One device: what runs on it, protocol by protocol." }),
);

/** The file of a daemon: the same keys and the node's name. */
export function nodeFileSchema(protocols: Protocols): z.ZodType<NodeConfig> {
  const shape = { node: nodeName.describe("The name of this device."), ...bodyShape(protocols) };
  return z.strictObject(shape).meta({ title: "hotpair node", description: "A device, as `hotpair run` reads it." });
}

function bodyShape(protocols: Protocols): Record<string, z.ZodType> {
  const shape: Record<string, z.ZodType> = {};
  for (const { key, schema } of protocols) {
    if (key !== undefined && schema !== undefined) shape[key] = schema.optional();
  }
  return shape;
}

/** Whether a file's keys are those of a lab. */
export function isLab(source: Source): boolean {
  const { value } = source;
  if (typeof value !== "object" || value === null || "node" in value) return false;
  return ["nodes", "links", "traffic", "script", "expect", "seed"].some((key) => key in value);
}

/** Reads a daemon's file. */
export function compileNodeFile(text: string, file: string, protocols: Protocols): CompiledNode {
  const parsed = parseSource(text, file);
  if (!parsed.ok) return parsed;
  const compiled = compileNode(parsed.source, protocols);
  if (!compiled.ok) return { ok: false, problems: sortProblems([...parsed.problems, ...compiled.problems]) };
  return parsed.problems.length > 0 ? { ok: false, problems: parsed.problems } : compiled;
}

/** A daemon's file that is parsed already. */
export function compileNode(source: Source, protocols: Protocols): CompiledNode {
  const checked = validate(source, nodeFileSchema(protocols));
  if (!checked.ok) return checked;
  const node = present(checked.value, checked.value.node);
  const problems = checkNode({ node, source, base: [] }, protocols);
  return problems.length > 0 ? { ok: false, problems: sortProblems(problems) } : { ok: true, node, source };
}

/** The entry `nodes.NAME` of a lab. */
export function compileLabNode(source: Source, name: string, protocols: Protocols): CompiledNode {
  const path = ["nodes", name];
  const named = nodeName.safeParse(name);
  const problems: FileProblem[] = [];
  if (!named.success) problems.push(problemAt(source, path, named.error.issues[0]?.message ?? "", "key"));
  if (name === WORLD) {
    const message = `found ${quote(name)}, allowed: any other name; the log calls what happens to the lab by this one`;
    problems.push(problemAt(source, path, message, "key"));
  }
  const checked = validate(source, nodeBodySchema(protocols), path);
  if (!checked.ok) return { ok: false, problems: [...problems, ...checked.problems] };
  const node = present(checked.value, name);
  problems.push(...checkNode({ node, source, base: path }, protocols));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, node, source };
}

/** Only the keys that the file has. */
function present(value: Readonly<Record<string, unknown>>, name: string): NodeConfig {
  const entries = Object.entries(value).filter(([, config]) => config !== undefined);
  return { ...Object.fromEntries(entries), node: name };
}

/** What the protocols say of one node whose values are valid each by itself. */
function checkNode({ node, source, base }: PlacedNode, protocols: Protocols): FileProblem[] {
  return protocols.flatMap(({ key, check }) => {
    const config = key === undefined ? undefined : node[key];
    if (key === undefined || config === undefined || check === undefined) return [];
    // The protocol's own schema made the value under its key.
    return check(config as never, node).map((problem) => fromProblem(source, [...base, key], problem));
  });
}

/** What disagrees between nodes, by the protocols that they run. */
export function compareNodes(
  placed: readonly PlacedNode[],
  protocols: Protocols,
): { readonly problems: FileProblem[]; readonly warnings: FileProblem[] } {
  const nodes = placed.map(({ node }) => node);
  const byName = new Map(placed.map((one) => [one.node.node, one]));
  const problems: FileProblem[] = [];
  const warnings: FileProblem[] = [];
  for (const protocol of protocols) {
    for (const found of protocol.compare?.(nodes) ?? []) {
      const place = byName.get(found.node);
      if (place === undefined) continue;
      (found.warning ? warnings : problems).push(fromProblem(place.source, place.base, found));
    }
  }
  return { problems, warnings };
}
