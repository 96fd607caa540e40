/** A lab: nodes, the links between them, traffic, a script, expectations. Its file's schema, and what that becomes. */
import * as z from "zod";
import { type Duration, type Instant, instant, sec } from "../../core/time.ts";
import { validate, valueAt } from "../../node/file.ts";
import { compareNodes, compileLabNode, nodeBodySchema, type PlacedNode } from "../../node/node-file.ts";
import type { AnyProtocol, Flow, NodeConfig } from "../../node/protocol.ts";
import { type FileProblem, type Path, parseSource, type Source, sortProblems } from "../../node/source.ts";
import {
  bitRate,
  duration,
  type End,
  end,
  integerWithin,
  ip,
  name,
  nanoseconds,
  nodeName,
  octets,
  packetRate,
  quote,
  ratio,
} from "../../node/units.ts";
import { compileExpectation, type Expectation, expectSchema } from "./expectation.ts";
import { LabContext } from "./lab-context.ts";
import type { LinkOptions } from "./link.ts";
import { compileScriptLine, type ScriptLine, scriptSchema } from "./script.ts";
import { loosePorts } from "./wiring.ts";

type Protocols = readonly AnyProtocol[];

/** Ends of one segment. */
const MAX_ENDS = 1_024;
/** How long a run goes on after the last line of its script. */
const AFTERMATH = sec(5);

export interface LabLink {
  readonly options: LinkOptions;
  /** Two for a cable, more for a segment. */
  readonly ends: readonly End[];
}

export interface Lab {
  readonly name: string;
  readonly seed: number;
  readonly nodes: readonly NodeConfig[];
  readonly links: readonly LabLink[];
  readonly traffic: readonly Flow[];
  /** In the order of time; lines of one instant in the order of the file. */
  readonly script: readonly ScriptLine[];
  readonly expect: readonly Expectation[];
  /** When a run ends that is not told otherwise. */
  readonly end: Instant;
  /** What does not fit without making the lab impossible. */
  readonly warnings: readonly FileProblem[];
}

export type CompiledLab =
  | { readonly ok: true; readonly lab: Lab }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

const linkSchema = z
  .strictObject({
    id: name.describe("The name of the link: a script's lines and recordings use it."),
    ends: z
      .array(end)
      .min(2)
      .max(MAX_ENDS)
      .describe("The ports it joins, as NODE:PORT: two for a cable, more for a segment."),
    delay: nanoseconds.optional().describe("Propagation, one way; default 0."),
    rate: bitRate.optional().describe("Bits per second, each way; without it sending takes no time."),
    queue: octets.optional().describe("What may wait to be sent, each way; default 1MiB. It needs a rate."),
    loss: ratio.optional().describe("The share of frames that are lost; default none."),
    jitter: nanoseconds.optional().describe("The most that is added at random to the delay; frames keep their order."),
  })
  .meta({ description: "A cable or a segment." });

const flowSchema = z
  .strictObject({
    id: name.describe("The name of the flow: expectations use it."),
    from: nodeName.describe("The node that sends."),
    to: ip.describe("Where to: an address of a node, or a virtual address, which is sent echo requests."),
    rate: packetRate.describe("How often."),
    size: integerWithin(64, 9_000).default(128).describe("Octets of each frame, without FCS: 64 to 9000; default 128."),
    start: duration.optional().describe("When the first is sent; default 0s."),
    stop: duration.optional().describe("When no more are sent; default the end of the run."),
  })
  .meta({ description: "A stream of numbered datagrams." });

const seedSchema = integerWithin(0, Number.MAX_SAFE_INTEGER).default(1).describe("Of all randomness; default 1.");

/** The lab file as a whole, for JSON Schema. A file is read part by part, so that one mistake hides no other. */
export function labSchema(protocols: Protocols): z.ZodType {
  return z
    .strictObject({
      name: name.optional().describe("What the lab is called; default: the file's name."),
      seed: seedSchema,
      nodes: z.record(nodeName, nodeBodySchema(protocols)).describe("The devices, by name."),
      links: z.array(linkSchema).optional().describe("What is between them."),
      traffic: z.array(flowSchema).optional().describe("What crosses them."),
      script: z.array(scriptSchema(protocols)).optional().describe("What happens, and when."),
      expect: z.array(expectSchema(protocols)).optional().describe("What must be so."),
    })
    .meta({ title: "hotpair lab", description: "A lab, as `hotpair sim` reads it." });
}

/** The first look: which parts there are, and of which kind. */
const outline = z.strictObject({
  name: name.optional(),
  seed: seedSchema,
  nodes: z.record(z.string(), z.unknown()),
  links: z.array(z.unknown()).default([]),
  traffic: z.array(z.unknown()).default([]),
  script: z.array(z.unknown()).default([]),
  expect: z.array(z.unknown()).default([]),
});

/** Reads a lab's file: the lab, or everything that is wrong with it. */
export function compileLab(text: string, file: string, protocols: Protocols): CompiledLab {
  const parsed = parseSource(text, file);
  if (!parsed.ok) return parsed;
  return compileLabSource(parsed.source, protocols, parsed.problems);
}

/** A lab's file that is parsed already, with what was wrong in its text. */
export function compileLabSource(
  source: Source,
  protocols: Protocols,
  found: readonly FileProblem[] = [],
): CompiledLab {
  const problems: FileProblem[] = [...found];
  const outer = validate(source, outline);
  if (!outer.ok) problems.push(...outer.problems);
  // With a mistake in the outline the parts that are there are still looked at.
  const raw = (outer.ok ? outer.value : source.value) as Readonly<Record<string, unknown>>;
  const context = new LabContext(source, new Set(keysOf(raw.nodes)), problems, protocols);
  const nodes = readNodes(context, protocols);
  const links = readLinks(context, count(raw.links));
  const traffic = readTraffic(context, count(raw.traffic));
  const script = each(count(raw.script), (i) => compileScriptLine(context, ["script", i]));
  const expect = each(count(raw.expect), (i) => compileExpectation(context, ["expect", i], nodes));
  const placed = nodes.map((node): PlacedNode => ({ node, source, base: ["nodes", node.node] }));
  const compared = compareNodes(placed, protocols);
  problems.push(...compared.problems);
  if (!outer.ok || problems.length > 0) return { ok: false, problems: sortProblems(problems) };
  const lab = {
    name: outer.value.name ?? baseName(source.file),
    seed: outer.value.seed,
    nodes,
    links,
    traffic,
    script: script.toSorted((a, b) => a.at - b.at),
    expect,
    warnings: sortProblems([...compared.warnings, ...loosePorts(source, nodes, context.ends, protocols)]),
  };
  return { ok: true, lab: { ...lab, end: endOf(lab) } };
}

function readNodes(context: LabContext, protocols: Protocols): NodeConfig[] {
  if (context.nodes.size === 0 && context.problems.every((problem) => problem.path !== "nodes")) {
    context.report(["nodes"], "found no node, allowed: at least one");
  }
  return [...context.nodes].flatMap((node) => {
    const compiled = compileLabNode(context.source, node, protocols);
    if (compiled.ok) return [compiled.node];
    context.problems.push(...compiled.problems);
    return [];
  });
}

function readLinks(context: LabContext, n: number): LabLink[] {
  return each(n, (i) => {
    const path = ["links", i];
    const link = context.read(linkSchema, path);
    if (link === undefined) {
      // What is right of it counts all the same: its name is known, its ends are taken.
      const id = remember(context, context.links, path);
      const ends = validate(context.source, linkSchema.shape.ends, [...path, "ends"]);
      if (ends.ok) takePorts(context, id ?? "", ends.value, path);
      return undefined;
    }
    unique(context, context.links, "link", link.id, path);
    takePorts(context, link.id, link.ends, path);
    if (link.queue !== undefined && link.rate === undefined) {
      const message = "found a queue without a rate, allowed: both; nothing waits for a wire that takes no time";
      context.report([...path, "queue"], message, "key");
    }
    const { ends, loss, ...options } = link;
    const lossy = loss === undefined || loss.numerator === 0 ? {} : { loss };
    return { ends, options: { ...defined(options), ...lossy, id: link.id } };
  });
}

function takePorts(context: LabContext, link: string, ends: readonly End[], path: Path): void {
  for (const [i, { node, port }] of ends.entries()) {
    const at = [...path, "ends", i];
    if (!context.knowsNode(node, at)) continue;
    const other = context.ports.get(`${node}:${port}`);
    if (other === undefined) {
      context.ports.set(`${node}:${port}`, link);
      context.ends.set(`${node}:${port}`, at);
    } else if (other === link) context.report(at, `found ${node}:${port} twice, allowed: each port once on a link`);
    else context.report(at, `found ${node}:${port}, which is on the link ${quote(other)}, allowed: a port of its own`);
  }
}

function readTraffic(context: LabContext, n: number): Flow[] {
  return each(n, (i) => {
    const path = ["traffic", i];
    const flow = context.read(flowSchema, path);
    if (flow === undefined) {
      remember(context, context.flows, path);
      return undefined;
    }
    unique(context, context.flows, "flow", flow.id, path);
    context.knowsNode(flow.from, [...path, "from"]);
    const { start, stop, ...rest } = flow;
    const first = instant(start ?? 0);
    if (stop !== undefined && stop <= first) {
      context.report([...path, "stop"], "found a stop that is not after the start, allowed: a later time");
    }
    return { ...rest, start: first, ...(stop === undefined ? {} : { stop: instant(stop) }) };
  });
}

/** Keeps the id of a part that is wrong otherwise. */
function remember(context: LabContext, names: Map<string, Path>, path: Path): string | undefined {
  const id = valueAt(context.source.value, [...path, "id"]);
  if (typeof id !== "string") return undefined;
  if (!names.has(id)) names.set(id, path);
  return id;
}

function unique(context: LabContext, names: Map<string, Path>, kind: string, id: string, path: Path): void {
  const first = names.get(id);
  if (first === undefined) {
    names.set(id, path);
    return;
  }
  const { line } = context.source.locate(first, "value");
  context.report(
    [...path, "id"],
    `found ${quote(id)} a second time, the first is in line ${line}; each ${kind} has its own`,
  );
}

/** What `read` makes of 0 … n-1, without those that are wrong. */
function each<T>(n: number, read: (i: number) => T | undefined): T[] {
  const result: T[] = [];
  for (let i = 0; i < n; i++) {
    const one = read(i);
    if (one !== undefined) result.push(one);
  }
  return result;
}

function count(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}

function keysOf(map: unknown): string[] {
  return typeof map === "object" && map !== null && !Array.isArray(map) ? Object.keys(map) : [];
}

/** Without the keys whose value is undefined, as `exactOptionalPropertyTypes` wants it. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** "topologies/pair.yaml" → "pair" */
function baseName(file: string): string {
  return (file.split(/[\\/]/).at(-1) ?? file).replace(/\.(ya?ml|json)$/, "");
}

/** 5 s after the last line of the script; without a script, after the last thing that traffic or expectations name. */
function endOf(lab: Pick<Lab, "script" | "traffic" | "expect">): Instant {
  let last = lab.script.at(-1)?.at as number | undefined;
  if (last === undefined) {
    last = 0;
    for (const flow of lab.traffic) last = Math.max(last, flow.stop ?? flow.start);
    for (const expectation of lab.expect) last = Math.max(last, latest(expectation));
  }
  return instant(last + (AFTERMATH satisfies Duration));
}

function latest(expectation: Expectation): number {
  switch (expectation.kind) {
    case "fact":
      return expectation.until;
    case "flow":
      return expectation.to ?? expectation.from ?? 0;
    case "always":
      return 0;
  }
}
