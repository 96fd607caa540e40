/** What the parts of a lab's file share while they are read. */
import type * as z from "zod";
import { problemAt, validate } from "../../node/file.ts";
import { didYouMean } from "../../node/nearest.ts";
import type { AnyProtocol } from "../../node/protocol.ts";
import type { FileProblem, Path, Source } from "../../node/source.ts";
import { quote } from "../../node/units.ts";

type Known = Pick<ReadonlyMap<string, unknown>, "has"> & { keys(): Iterable<string> };

/** What a part of a lab may name, and where its problems go. */
export class LabContext {
  readonly links = new Map<string, Path>();
  readonly flows = new Map<string, Path>();
  /** "sw1:p1" → the link that it is an end of. */
  readonly ports = new Map<string, string>();
  /** "sw1:p1" → where it stands as an end. */
  readonly ends = new Map<string, Path>();

  constructor(
    readonly source: Source,
    /** Names of all nodes, valid or not. */
    readonly nodes: ReadonlySet<string>,
    readonly problems: FileProblem[],
    readonly protocols: readonly AnyProtocol[],
  ) {}

  report(path: Path, message: string, at: "key" | "value" = "value"): undefined {
    this.problems.push(problemAt(this.source, path, message, at));
    return undefined;
  }

  /** The part at `path` as the schema makes it; undefined when it is wrong, which is reported. */
  read<T>(schema: z.ZodType<T>, path: Path): T | undefined {
    const result = validate(this.source, schema, path);
    if (result.ok) return result.value;
    this.problems.push(...result.problems);
    return undefined;
  }

  knowsNode(node: string, path: Path): boolean {
    return this.knows("node", node, this.nodes, path);
  }

  knowsLink(link: string, path: Path): boolean {
    return this.knows("link", link, this.links, path);
  }

  knowsFlow(flow: string, path: Path): boolean {
    return this.knows("flow", flow, this.flows, path);
  }

  private knows(kind: string, found: string, known: Known, path: Path): boolean {
    if (known.has(found)) return true;
    const names = [...known.keys()];
    this.report(path, `found ${quote(found)}, allowed: ${choice(kind, names)}${didYouMean(found, names)}`);
    return false;
  }
}

/** Names that a message lists; of more it gives the number. */
const LISTED = 12;

function choice(kind: string, known: readonly string[]): string {
  if (known.length === 0) return `a ${kind} of this lab, which has none`;
  const more = known.length > LISTED ? ` and ${known.length - LISTED} more` : "";
  return `a ${kind} of this lab: ${known.slice(0, LISTED).join(", ")}${more}`;
}
