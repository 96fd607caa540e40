/** The lines under `expect:` of a lab: what must be so at a time, always, or of a flow. */
import * as z from "zod";
import { type Duration, type Instant, instant } from "../../core/time.ts";
import { fromProblem, unknownKey, valueAt } from "../../node/file.ts";
import { didYouMean } from "../../node/nearest.ts";
import { type AnyProtocol, type Claim, type NodeConfig, perProtocols } from "../../node/protocol.ts";
import type { Path } from "../../node/source.ts";
import { duration, integerWithin, name, nodeName, quote } from "../../node/units.ts";
import type { LabContext } from "./lab-context.ts";

type Protocols = readonly AnyProtocol[];

interface Line {
  /** The line as the file says it, on one line: "{ at: 8s, node: sw1, vrrp: 10, state: master }". */
  readonly text: string;
  /** Where it stands in the lab's file, from 1. */
  readonly line: number;
}

/** True at one time: `at` means from = until; `after` and `within` mean at some time of from … until. */
export interface FactExpectation extends Line {
  readonly kind: "fact";
  readonly from: Instant;
  readonly until: Instant;
  /** The protocol whose `expect.judge` knows. */
  readonly protocol: string;
  readonly claim: Claim;
}

/** An invariant that holds all the time but for `settle` after a line of the script. */
export interface AlwaysExpectation extends Line {
  readonly kind: "always";
  /** A key of the protocol's `expect.promises`. */
  readonly promise: string;
  readonly protocol: string;
  readonly claim: Claim;
  /** Absent: the invariant's own. */
  readonly settle?: Duration;
}

/** Of the packets of a flow that were sent in `from` … `to` (default: all); each limit is the most that is allowed. */
export interface FlowExpectation extends Line {
  readonly kind: "flow";
  readonly flow: string;
  readonly from?: Instant;
  readonly to?: Instant;
  readonly lost?: number;
  readonly duplicated?: number;
  readonly reordered?: number;
  /** The longest time between two arrivals. */
  readonly gap?: Duration;
  /** The least that must arrive, and the most that may. */
  readonly received?: number;
  readonly atMost?: number;
}

export type Expectation = FactExpectation | AlwaysExpectation | FlowExpectation;

const packets = integerWithin(0, Number.MAX_SAFE_INTEGER, "a number of packets");

const flowSchema = z
  .strictObject({
    flow: name.describe("The flow that is meant."),
    from: duration.optional().describe("Only packets sent from then on; default: the first."),
    to: duration.optional().describe("Only packets sent before then; default: to the last."),
    "lost-at-most": packets.optional().describe("Packets that may be lost."),
    duplicated: packets.optional().describe("Packets that may arrive twice."),
    reordered: packets.optional().describe("Packets that may arrive after a later one."),
    "gap-at-most": duration.optional().describe("The longest time that may pass between two arrivals."),
    "received-at-least": packets.optional().describe("Packets that must arrive."),
    "received-at-most": packets
      .optional()
      .describe("Packets that may arrive: of a flow that is kept out. It is not held to no-blackhole-after-settle."),
  })
  .meta({ description: "What may happen to a flow." });

const LIMITS = [
  "lost-at-most",
  "duplicated",
  "reordered",
  "gap-at-most",
  "received-at-least",
  "received-at-most",
] as const;

/** The words that tell the kinds apart, besides the names of protocols. */
const KINDS = ["flow", "always"];

/** Any line, for JSON Schema. */
export function expectSchema(protocols: Protocols): z.ZodType {
  const facts = protocols.filter(hasFacts).map((protocol) => factSchema(protocol));
  return z.union([flowSchema, alwaysSchema(protocols), ...facts]).meta({ description: "What must be so." });
}

/** Whether there is anything to say of it at one time; of flows there is not. */
function hasFacts({ expect }: AnyProtocol): boolean {
  return Object.keys(expect?.fields ?? {}).length > 0;
}

const factSchemas = perProtocols((protocols) => new Map(protocols.map((one) => [one.name, factSchema(one)])));

function factSchema({ name: key, expect }: AnyProtocol) {
  return z
    .strictObject({
      at: duration.optional().describe("When it must be so, from the start of the run."),
      after: duration.optional().describe("With `within`: from when on it may become so."),
      within: duration.optional().describe("With `after`: for how long it may take."),
      node: nodeName.describe("The node that is meant."),
      ...optional(expect?.fields ?? {}),
      [key]: expect?.subject ?? z.never(),
    })
    .meta({ description: `What must be so of ${key} on one node at one time.` });
}

const alwaysSchema = perProtocols((protocols) => {
  const shape: Record<string, z.ZodType> = {};
  for (const { name: key, expect } of protocols) {
    if (expect?.promises === undefined) continue;
    Object.assign(shape, optional({ ...expect.fields, [key]: expect.subject }));
  }
  const known = protocols.flatMap(({ expect }) => Object.keys(expect?.promises ?? {}));
  return z
    .strictObject({
      ...shape,
      always: known.length === 0 ? z.string() : z.literal(known).describe("The promise."),
      settle: duration.optional().describe("How long after a disturbance it may be broken; default: its own."),
    })
    .meta({ description: "What must be so all the time." });
});

function optional(fields: Readonly<Record<string, z.ZodType>>): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(fields).map(([key, schema]) => [key, schema.optional()]));
}

/** The line at `path`; undefined when it is wrong, which the context is told. */
export function compileExpectation(
  context: LabContext,
  path: Path,
  nodes: readonly NodeConfig[],
): Expectation | undefined {
  const raw = valueAt(context.source.value, path);
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return context.report(path, `found ${quote(raw)}, allowed: a map with one of ${kinds(context.protocols)}`);
  }
  const line = { text: oneLine(raw), line: context.source.locate(path, "value").line };
  if ("always" in raw) return compileAlways(context, path, line, nodes);
  if ("flow" in raw) return compileFlow(context, path, line);
  const protocol = context.protocols.find((one) => hasFacts(one) && one.name in raw);
  if (protocol !== undefined) return compileFact(context, path, line, protocol, nodes);
  const known = [...KINDS, ...context.protocols.filter(hasFacts).map((one) => one.name)];
  const [hint] = Object.keys(raw).filter((key) => didYouMean(key, known) !== "");
  if (hint !== undefined) return context.report([...path, hint], unknownKey(hint, known), "key");
  return context.report(path, `found ${line.text}, allowed: a map with one of ${kinds(context.protocols)}`);
}

function kinds(protocols: Protocols): string {
  return [...KINDS, ...protocols.filter(hasFacts).map((one) => one.name)].join(", ");
}

function compileFlow(context: LabContext, path: Path, line: Line): Expectation | undefined {
  const value = context.read(flowSchema, path);
  if (value === undefined || !context.knowsFlow(value.flow, [...path, "flow"])) return undefined;
  if (LIMITS.every((limit) => value[limit] === undefined)) {
    return context.report(path, `found no limit, allowed: at least one of ${LIMITS.join(", ")}`);
  }
  const { from, to } = value;
  if (to !== undefined && to <= (from ?? 0)) {
    return context.report([...path, "to"], "found an end that is not after `from`, allowed: a later time");
  }
  return {
    ...line,
    kind: "flow",
    flow: value.flow,
    ...(from === undefined ? {} : { from: instant(from) }),
    ...(to === undefined ? {} : { to: instant(to) }),
    ...(value["lost-at-most"] === undefined ? {} : { lost: value["lost-at-most"] }),
    ...(value.duplicated === undefined ? {} : { duplicated: value.duplicated }),
    ...(value.reordered === undefined ? {} : { reordered: value.reordered }),
    ...(value["gap-at-most"] === undefined ? {} : { gap: value["gap-at-most"] }),
    ...(value["received-at-least"] === undefined ? {} : { received: value["received-at-least"] }),
    ...(value["received-at-most"] === undefined ? {} : { atMost: value["received-at-most"] }),
  };
}

function compileAlways(
  context: LabContext,
  path: Path,
  line: Line,
  nodes: readonly NodeConfig[],
): Expectation | undefined {
  const value = context.read(alwaysSchema(context.protocols), path) as Record<string, unknown> | undefined;
  if (value === undefined) return undefined;
  const promise = String(value.always);
  const protocol = context.protocols.find(({ expect }) => Object.hasOwn(expect?.promises ?? {}, promise));
  if (protocol === undefined)
    return context.report([...path, "always"], `found ${quote(promise)}, allowed: nothing yet`);
  const { always: _, settle, ...said } = value;
  const claim = claimOf(protocol, undefined, said);
  const foreign = Object.keys(said).find((key) => said[key] !== undefined && !belongs(protocol, key));
  if (foreign !== undefined) {
    return context.report([...path, foreign], `found ${foreign}, allowed: what ${protocol.name} can be asked`, "key");
  }
  if (typeof value["flow"] === "string" && !context.knowsFlow(value["flow"], [...path, "flow"])) return undefined;
  if (!agreed(context, path, protocol, claim, nodes)) return undefined;
  const settled = settle === undefined ? {} : { settle: settle as Duration };
  return { ...line, kind: "always", promise, protocol: protocol.name, claim, ...settled };
}

function compileFact(
  context: LabContext,
  path: Path,
  line: Line,
  protocol: AnyProtocol,
  nodes: readonly NodeConfig[],
): Expectation | undefined {
  const value = context.read(factSchemas(context.protocols).get(protocol.name) ?? factSchema(protocol), path);
  if (value === undefined) return undefined;
  const { at, after, within, node, ...said } = value as typeof value & Record<string, unknown>;
  if (!context.knowsNode(node, [...path, "node"])) return undefined;
  const claim = claimOf(protocol, node, said);
  const fields = Object.keys(protocol.expect?.fields ?? {});
  if (Object.keys(claim.fields).length === 0) {
    return context.report(path, `found nothing to expect, allowed: at least one of ${fields.join(", ")}`);
  }
  if (!agreed(context, path, protocol, claim, nodes)) return undefined;
  if (at !== undefined && after === undefined && within === undefined) {
    return { ...line, kind: "fact", from: instant(at), until: instant(at), protocol: protocol.name, claim };
  }
  if (at === undefined && after !== undefined && within !== undefined) {
    const until = instant(after + within);
    return { ...line, kind: "fact", from: instant(after), until, protocol: protocol.name, claim };
  }
  return context.report(path, "found no time, or two, allowed: `at`, or `after` and `within` together");
}

function belongs({ name: key, expect }: AnyProtocol, word: string): boolean {
  return word === key || Object.hasOwn(expect?.fields ?? {}, word);
}

function claimOf(protocol: AnyProtocol, node: string | undefined, said: Readonly<Record<string, unknown>>): Claim {
  const { [protocol.name]: subject, ...rest } = said;
  const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return {
    ...(node === undefined ? {} : { node }),
    ...(subject === undefined ? {} : { subject }),
    fields,
  };
}

function agreed(
  context: LabContext,
  path: Path,
  { expect }: AnyProtocol,
  claim: Claim,
  nodes: readonly NodeConfig[],
): boolean {
  // What a node that is wrong itself would have is not known: nothing is said of it.
  if (nodes.length < context.nodes.size) return true;
  const problems = expect?.check?.(claim, nodes) ?? [];
  context.problems.push(...problems.map((problem) => fromProblem(context.source, path, problem)));
  return problems.length === 0;
}

/** A value of the file in flow style. */
function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const parts = Object.entries(value).map(([key, part]) => `${key}: ${oneLine(part)}`);
  return `{ ${parts.join(", ")} }`;
}
