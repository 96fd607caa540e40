/** A file against a schema: the value, or everything that is wrong with it, each at its line and column. */
import type * as z from "zod";
import { didYouMean } from "./nearest.ts";
import type { Problem } from "./protocol.ts";
import { type FileProblem, formatPath, type Path, type Source } from "./source.ts";
import { quote } from "./units.ts";

export type Validated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

/** A problem at `path`: at the value there, or at its key. */
export function problemAt(source: Source, path: Path, message: string, at: "key" | "value" = "value"): FileProblem {
  return { file: source.file, ...source.locate(path, at), path: formatPath(path), message };
}

/** The part of a file's value at `path`; undefined where the file has none. */
export function valueAt(value: unknown, path: Path): unknown {
  let part = value;
  for (const step of path) {
    if (typeof part !== "object" || part === null || !Object.hasOwn(part, step)) return undefined;
    part = (part as Readonly<Record<string | number, unknown>>)[step];
  }
  return part;
}

/** The part of `source` at `path` as `schema` makes it, with its defaults. */
export function validate<T>(source: Source, schema: z.ZodType<T>, path: Path = []): Validated<T> {
  const result = schema.safeParse(valueAt(source.value, path), { error: describeIssue, reportInput: true });
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, problems: result.error.issues.flatMap((issue) => fromIssue(source, path, issue)) };
}

/** What a protocol's `check` or `compare` found in the part that stands at `base` of `source`. */
export function fromProblem(source: Source, base: Path, problem: Problem): FileProblem {
  const path: (string | number)[] = [...base];
  for (const step of problem.path) {
    // A protocol may count VLANs by number; in the file they are keys of a map.
    path.push(Array.isArray(valueAt(source.value, path)) ? step : String(step));
  }
  return problemAt(source, path, problem.message);
}

type Issue = z.core.$ZodIssue;

/** The separator of known keys in the message of an `unrecognized_keys` issue: no key holds it. */
const SEPARATOR = "\u0000";

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "an integer",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "a map",
  record: "a map",
  null: "nothing",
  never: "nothing here",
};

/** What zod found, in our words; a schema's own message goes before this one. */
const describeIssue: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === "unrecognized_keys") return knownKeys(issue.inst).join(SEPARATOR);
  // What its alternatives allow is put together when all is known.
  if (issue.code === "invalid_union") return "";
  const wanted = allowed(issue);
  return wanted === undefined
    ? `found ${quote(issue.input)}, which is not allowed here`
    : `found ${quote(issue.input)}, allowed: ${wanted}`;
};

function allowed(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return TYPES[issue.expected] ?? issue.expected;
    case "invalid_value": {
      const values = issue.values.map(String);
      return `${values.join(", ")}${didYouMean(issue.input, values)}`;
    }
    case "too_small":
      return `at least ${issue.minimum}${counted(issue.origin, Number(issue.minimum))}`;
    case "too_big":
      return `at most ${issue.maximum}${counted(issue.origin, Number(issue.maximum))}`;
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_format":
      return issue.format === "regex" ? `text of the form ${issue.pattern ?? ""}` : `text of the form ${issue.format}`;
    default:
      return undefined;
  }
}

function counted(origin: string, n: number): string {
  if (origin === "string") return n === 1 ? " character" : " characters";
  if (origin === "array" || origin === "object" || origin === "record") return n === 1 ? " entry" : " entries";
  return "";
}

function knownKeys(schema: unknown): readonly string[] {
  const shape = (schema as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def?.shape;
  return shape === undefined ? [] : Object.keys(shape);
}

function fromIssue(source: Source, base: Path, issue: Issue): FileProblem[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === "number" ? step : String(step)))];
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = issue.message.split(SEPARATOR).filter((key) => key !== "");
      return issue.keys.map((key) => problemAt(source, [...path, key], unknownKey(key, known), "key"));
    }
    case "invalid_union": {
      if (issue.discriminator !== undefined) return [problemAt(source, path, wrongChoice(source, path, issue))];
      const branch = likeliest(issue.errors);
      if (branch !== undefined) return branch.flatMap((inner) => fromIssue(source, path, inner));
      return [problemAt(source, path, issue.message === "" ? anyOf(issue) : issue.message)];
    }
    case "invalid_key":
      return issue.issues.slice(0, 1).map((inner) => problemAt(source, path, keyMessage(path, inner), "key"));
    case "invalid_element":
      return issue.issues.flatMap((inner) => fromIssue(source, path, inner));
    default:
      return [problemAt(source, path, issue.message)];
  }
}

/** `unknown key, allowed: vrid, priority (did you mean "vrid"?)` */
export function unknownKey(key: string, known: readonly string[]): string {
  return `unknown key, allowed: ${known.join(", ")}${didYouMean(key, known)}`;
}

function keyMessage(path: Path, issue: Issue): string {
  return issue.message.startsWith("found ")
    ? issue.message
    : `found the key ${quote(path.at(-1))}, allowed: ${issue.message}`;
}

/** The alternative that was meant: the only one of the value's own kind, or of several the one with fewest problems. */
function likeliest(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const inside = branches.filter((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === "unrecognized_keys"),
  );
  let best = inside[0];
  for (const issues of inside) if (best !== undefined && issues.length < best.length) best = issues;
  return best;
}

/** Of a union whose alternatives are told apart by one key. */
function wrongChoice(source: Source, path: Path, issue: z.core.$ZodIssueInvalidUnion): string {
  const found = valueAt(source.value, path);
  const options = "options" in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
  return `found ${quote(found)}, allowed: ${options.join(", ")}${didYouMean(found, options)}`;
}

/** `found 5, allowed: true or false, or a map` */
function anyOf(issue: z.core.$ZodIssueInvalidUnion): string {
  const wanted = issue.errors
    .flatMap((issues) => issues.slice(0, 1))
    .map((inner) => (inner.code === "invalid_union" ? anyOf(inner) : inner.message).split(", allowed: "))
    .map((parts) => parts.slice(1).join(", allowed: "))
    .filter((text) => text !== "");
  const each = [...new Set(wanted)];
  const found = `found ${quote(issue.input)}`;
  return each.length === 0 ? `${found}, which is not allowed here` : `${found}, allowed: ${each.join(", or ")}`;
}
