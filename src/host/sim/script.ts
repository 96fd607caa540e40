/** The lines under `script:` of a lab: what is done to the world and to its nodes, and when. */
import * as z from "zod";
import { u16 } from "../../core/bytes.ts";
import type { Frame } from "../../core/frame.ts";
import type { Command } from "../../core/machine.ts";
import { type Instant, instant } from "../../core/time.ts";
import { didYouMean } from "../../node/nearest.ts";
import { type AnyProtocol, perProtocols } from "../../node/protocol.ts";
import type { Path } from "../../node/source.ts";
import { duration, end, integerWithin, name, nanoseconds, nodeName, quote, ratio } from "../../node/units.ts";
import type { LabContext } from "./lab-context.ts";
import type { WorldCommand } from "./world.ts";

export interface ScriptLine {
  readonly at: Instant;
  readonly command: WorldCommand;
  /** Where it stands in the lab's file, from 1. */
  readonly line: number;
}

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;

const dropSchema = z
  .union(
    [
      z.literal(["all", "nothing"]),
      z.strictObject({ ethertype: integerWithin(0x600, 0xffff, "an EtherType") }),
      z.strictObject({ "ip-protocol": integerWithin(0, 255, "an IP protocol number") }),
    ],
    {
      error: (issue) =>
        `found ${quote(issue.input)}, allowed: all, nothing, { ethertype: NUMBER } or { ip-protocol: NUMBER }`,
    },
  )
  .meta({
    description:
      "What is kept off the link: all, or frames of an EtherType (behind a VLAN tag too), or of an IP protocol " +
      "(the header's own field, of IPv4 or IPv6). `nothing` ends every filter of the link.",
  });

const verbs = {
  cut: name.describe("The link that is cut; with `side`, only what that end sends is lost."),
  heal: name.describe("The link that is whole again."),
  loss: z
    .strictObject({ link: name, ratio: ratio.describe("The share of frames that are lost; 0% ends it.") })
    .describe("A link loses frames."),
  delay: z.strictObject({ link: name, delay: nanoseconds }).describe("A link's delay changes."),
  filter: z
    .strictObject({
      link: name,
      from: nodeName.optional().describe("Only what this node sends; default: all."),
      drop: dropSchema,
    })
    .describe("A link keeps frames of one kind off."),
  "power-off": nodeName.describe("The node that loses power and forgets all."),
  "power-on": nodeName.describe("The node that starts again."),
  pause: nodeName.describe("The node that stands still, as a stopped process does."),
  resume: nodeName.describe("The node that goes on."),
};

type Verb = keyof typeof verbs | "command";
const VERBS = [...Object.keys(verbs), "command"] as readonly Verb[];

/** One line. That it has exactly one verb is said to editors here and to users by `compileScriptLine`. */
export const scriptSchema = perProtocols((protocols) =>
  z
    .strictObject({
      at: duration.describe("When, from the start of the run."),
      ...(z.strictObject(verbs).partial().shape as { [K in keyof typeof verbs]: z.ZodOptional<(typeof verbs)[K]> }),
      side: end.optional().describe("Of cut and heal: only what this end of the link sends, as NODE:PORT."),
      command: z.record(z.string(), z.unknown()).optional().meta(commandMeta(protocols)),
    })
    .meta({
      description: "What happens at one time: exactly one thing.",
      oneOf: VERBS.map((verb) => ({ required: [verb] })),
    }),
);

function commandMeta(protocols: readonly AnyProtocol[]): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(commandSchema(protocols), { io: "input" });
  return { ...schema, description: "An order to a protocol of a node." };
}

const commandSchema = perProtocols((protocols): z.ZodType<Record<string, unknown>> => {
  const shape: Record<string, z.ZodType> = { node: nodeName };
  for (const { name, command } of protocols) if (command !== undefined) shape[name] = command.optional();
  return z.strictObject(shape);
});

/** The line at `path`; undefined when it is wrong, which the context is told. */
export function compileScriptLine(context: LabContext, path: Path): ScriptLine | undefined {
  const line = context.read(scriptSchema(context.protocols), path);
  if (line === undefined) return undefined;
  const found = VERBS.filter((verb) => line[verb] !== undefined);
  const [verb, second] = found;
  if (verb === undefined) return context.report(path, `found nothing to do, allowed: one of ${VERBS.join(", ")}`);
  if (second !== undefined) {
    const message = `found ${found.join(" and ")}, allowed: one of them in a line; lines may have the same time`;
    return context.report([...path, second], message, "key");
  }
  if (line.side !== undefined && verb !== "cut" && verb !== "heal") {
    return context.report([...path, "side"], `found a side, allowed: with cut and heal, not with ${verb}`, "key");
  }
  const command = compileVerb(context, path, verb, line);
  const place = context.source.locate(path, "value");
  return command === undefined ? undefined : { at: instant(line.at), command, line: place.line };
}

type Line = z.output<ReturnType<typeof scriptSchema>>;

function compileVerb(context: LabContext, path: Path, verb: Verb, line: Line): WorldCommand | undefined {
  const at = [...path, verb];
  switch (verb) {
    case "cut":
    case "heal":
      return cutOrHeal(context, path, verb, line[verb] ?? "", line.side);
    case "power-off":
    case "power-on":
    case "pause":
    case "resume": {
      const node = line[verb] ?? "";
      return context.knowsNode(node, at) ? { verb, node } : undefined;
    }
    case "command":
      return compileCommand(context, at);
    default:
      return compileChange(context, at, line);
  }
}

/** The verbs whose value is a map that names a link. */
function compileChange(context: LabContext, at: Path, line: Line): WorldCommand | undefined {
  const { loss, delay, filter } = line;
  const link = loss?.link ?? delay?.link ?? filter?.link ?? "";
  if (!context.knowsLink(link, [...at, "link"])) return undefined;
  if (loss !== undefined) {
    return { verb: "loss", link, ratio: loss.ratio.numerator === 0 ? undefined : loss.ratio };
  }
  if (delay !== undefined) return { verb: "delay", link, delay: delay.delay };
  if (filter === undefined) return undefined;
  const { from, drop } = filter;
  if (from !== undefined && !isEnd(context, from, link, [...at, "from"])) return undefined;
  const text = typeof drop === "string" ? drop : Object.entries(drop).flat().join(" ");
  if (drop === "nothing") return { verb: "filter", link, filter: undefined, text };
  const matches = matcher(drop);
  return { verb: "filter", link, filter: from === undefined ? { matches } : { from, matches }, text };
}

function isEnd(context: LabContext, node: string, link: string, path: Path): boolean {
  if (!context.knowsNode(node, path)) return false;
  const there = [...context.ports].some(([port, id]) => id === link && port.startsWith(`${node}:`));
  if (!there) context.report(path, `found ${quote(node)}, allowed: a node on the link ${quote(link)}`);
  return there;
}

function cutOrHeal(
  context: LabContext,
  path: Path,
  verb: "cut" | "heal",
  link: string,
  side: Line["side"],
): WorldCommand | undefined {
  if (!context.knowsLink(link, [...path, verb])) return undefined;
  if (side === undefined) return { verb, link };
  const port = `${side.node}:${side.port}`;
  if (context.ports.get(port) === link) return { verb, link, side: port };
  const ends = [...context.ports].filter(([, id]) => id === link).map(([one]) => one);
  const message = `found ${quote(port)}, allowed: an end of the link ${quote(link)}: ${ends.join(", ")}`;
  return context.report([...path, "side"], `${message}${didYouMean(port, ends)}`);
}

function compileCommand(context: LabContext, path: Path): WorldCommand | undefined {
  const body = context.read(commandSchema(context.protocols), path);
  if (body === undefined) return undefined;
  const { node, ...orders } = body;
  const given = Object.entries(orders).filter(([, order]) => order !== undefined);
  const [first] = given;
  if (first === undefined || given.length > 1) {
    const able = context.protocols.filter(({ command }) => command !== undefined).map((protocol) => protocol.name);
    return context.report(path, `found ${given.length} orders, allowed: one, to one of ${able.join(", ")}`);
  }
  if (!context.knowsNode(String(node), [...path, "node"])) return undefined;
  // The protocol's own schema made it.
  return { verb: "command", node: String(node), to: first[0], command: first[1] as Command };
}

type Drop = Exclude<z.output<typeof dropSchema>, "nothing">;

function matcher(drop: Drop): (frame: Frame) => boolean {
  if (drop === "all") return () => true;
  if ("ethertype" in drop) return (frame) => frame.header.type === drop.ethertype;
  const protocol = drop["ip-protocol"];
  return (frame) => {
    const { type } = frame.header;
    // RFC 791 §3.1: Protocol is octet 9; RFC 8200 §3: Next Header is octet 6.
    if (type === ETHERTYPE_IPV4) return (u16(frame.bytes, frame.payload + 8) & 0xff) === protocol;
    return type === ETHERTYPE_IPV6 && frame.bytes[frame.payload + 6] === protocol;
  };
}
