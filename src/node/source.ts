/** The text of a file as a plain value, and where in the text each part of it stands. */
import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  Parser,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";

export type Path = readonly (string | number)[];

/** One thing wrong in a file, at its place. */
export interface FileProblem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** "nodes.gw1.vrrp[0].vrid"; "" for the file as a whole. */
  readonly path: string;
  /** What was found, and what is allowed. */
  readonly message: string;
}

export interface Source {
  readonly file: string;
  /** Maps are plain objects, in the order of the file. */
  readonly value: unknown;
  /** Where the part at `path` stands, or the nearest part around it that the file has: its key, or its value. */
  locate(path: Path, at: "key" | "value"): { readonly line: number; readonly column: number };
}

export type Parsed =
  | { readonly ok: true; readonly source: Source; readonly problems: readonly FileProblem[] }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

/** Characters of a file; a longer one is refused unread. */
export const MAX_LENGTH = 8 << 20;
/** Values of a file, those that aliases repeat included. */
export const MAX_VALUES = 500_000;
/** Maps and lists within each other. */
export const MAX_DEPTH = 64;

/** "nodes.gw1.vrrp[0].vrid" */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[\w-]+$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** "lab.yaml:3:5: links[0].delay: found …, allowed: …" */
export function formatProblem(problem: FileProblem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}: `;
  return problem.path === "" ? `${place}${problem.message}` : `${place}${problem.path}: ${problem.message}`;
}

/** In the order of the text; each once. */
export function sortProblems(problems: readonly FileProblem[]): FileProblem[] {
  const unique = new Map(problems.map((problem) => [formatProblem(problem), problem]));
  return [...unique.values()].sort(
    (a, b) => (a.file === b.file ? 0 : a.file < b.file ? -1 : 1) || a.line - b.line || a.column - b.column,
  );
}

/**
 * Reads one YAML 1.2 document (JSON is YAML).
 * Duplicate keys and the like leave a value that can be checked further: `ok` comes with `problems` then.
 */
export function parseSource(text: string, file: string): Parsed {
  const whole = (message: string, line = 1, column = 1): Parsed => ({
    ok: false,
    problems: [{ file, line, column, path: "", message }],
  });
  if (text.length > MAX_LENGTH) return whole(`found ${text.length} characters, allowed: at most ${MAX_LENGTH}`);
  // A byte order mark would shift the columns of the first line.
  const plain = text.startsWith("\ufeff") ? text.slice(1) : text;
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(plain)];
  const place = (offset: number) => {
    const { line, col } = lines.linePos(Math.min(offset, plain.length));
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const deep = tooDeep(tokens);
  if (deep !== undefined) {
    const at = place(deep);
    return whole(`found more than ${MAX_DEPTH} maps and lists within each other`, at.line, at.column);
  }
  const documents = [...new Composer({ version: "1.2", prettyErrors: false }).compose(tokens, true, plain.length)];
  const document = documents[0] as Document.Parsed | undefined;
  const second = documents[1];
  const syntax = documents.flatMap((one) => [...one.errors, ...one.warnings]);
  if (syntax.some((one) => one.code !== "DUPLICATE_KEY")) {
    return {
      ok: false,
      problems: sortProblems(
        syntax
          .filter((one) => one.code !== "DUPLICATE_KEY")
          .map((one) => ({ file, ...place(one.pos[0]), path: "", message: `not YAML: ${one.message}` })),
      ),
    };
  }
  if (second !== undefined) {
    const at = place(second.range[0]);
    return whole("found a second document (---), allowed: one document in a file", at.line, at.column);
  }
  const contents = document?.contents ?? undefined;
  if (contents === undefined || (isScalar(contents) && contents.value === null)) {
    return whole(
      "found an empty file, allowed: a node (`node: NAME` and its protocols) or a lab (`nodes:`, `links:`, …)",
    );
  }
  const walk = new Walk();
  const root = walk.node(contents, contents.range[0], 0);
  const problems = walk.problems.map((one) => ({
    file,
    ...place(one.offset),
    path: formatPath(one.path),
    message: one.first === undefined ? one.message : `${one.message}; the first is in line ${place(one.first).line}`,
  }));
  if (walk.broken) return { ok: false, problems: sortProblems(problems) };
  const locate: Source["locate"] = (path, at) => place(offsetOf(root.spot, path, at));
  return { ok: true, source: { file, value: root.value, locate }, problems: sortProblems(problems) };
}

/** The offset of the first token that lies too deep; found without recursion, unlike all that comes after. */
function tooDeep(tokens: readonly CST.Token[]): number | undefined {
  const open: (readonly [CST.Token, number])[] = tokens.map((token) => [token, 0]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [token, depth] = next;
    if (depth > MAX_DEPTH) return "offset" in token ? token.offset : 0;
    if (token.type === "document" && token.value !== undefined) open.push([token.value, depth]);
    if (!("items" in token)) continue;
    for (const item of token.items) {
      if (item.key !== undefined && item.key !== null) open.push([item.key, depth + 1]);
      if (item.value !== undefined) open.push([item.value, depth + 1]);
    }
  }
  return undefined;
}

/** Where one value stands; `children` by key or index. */
interface Spot {
  readonly key: number;
  readonly value: number;
  readonly children: Map<string | number, Spot>;
}

interface Walked {
  readonly value: unknown;
  readonly spot: Spot;
}

function offsetOf(root: Spot, path: Path, at: "key" | "value"): number {
  let spot = root;
  for (const [i, step] of path.entries()) {
    const next = spot.children.get(step) ?? spot.children.get(String(step));
    if (next === undefined) return spot.value;
    spot = next;
    if (i === path.length - 1 && at === "key") return spot.key;
  }
  return spot.value;
}

const NO_SPOT: Spot = { key: 0, value: 0, children: new Map() };

/** One pass over a document in the order of its text. */
class Walk {
  readonly problems: { offset: number; path: Path; message: string; first?: number }[] = [];
  /** There is no value worth looking at. */
  broken = false;
  private values = 0;
  private readonly path: (string | number)[] = [];
  private readonly anchors = new Map<string, ParsedNode>();
  private readonly within = new Set<unknown>();

  node(node: ParsedNode, key: number, depth: number): Walked {
    if (++this.values > MAX_VALUES || depth > MAX_DEPTH) {
      if (!this.broken) this.fail(node, `found more than ${MAX_VALUES} values (aliases count each time)`);
      this.broken = true;
    }
    if (this.broken) return { value: undefined, spot: NO_SPOT };
    if (isAlias(node)) return this.alias(node, key, depth);
    if (node.anchor !== undefined) this.anchors.set(node.anchor, node);
    if (isMap(node)) return this.map(node as YAMLMap.Parsed, key, depth);
    if (isSeq(node)) return this.list(node as YAMLSeq.Parsed, key, depth);
    const scalar = node as Scalar.Parsed;
    // An empty value has no text of its own: its key is the place to look at.
    const at = scalar.source === "" && scalar.type === "PLAIN" ? key : scalar.range[0];
    return { value: scalar.value, spot: { key, value: at, children: new Map() } };
  }

  private alias(alias: Alias.Parsed, key: number, depth: number): Walked {
    const target = this.anchors.get(alias.source);
    if (target === undefined || this.within.has(target)) {
      this.fail(alias, `found *${alias.source}, allowed: the name of an anchor (&${alias.source}) that ends before it`);
      this.broken = true;
      return { value: undefined, spot: NO_SPOT };
    }
    return this.node(target, key, depth + 1);
  }

  private list(list: YAMLSeq.Parsed, key: number, depth: number): Walked {
    const value: unknown[] = [];
    const children = new Map<string | number, Spot>();
    this.within.add(list);
    for (const [i, item] of list.items.entries()) {
      this.path.push(i);
      const one = this.node(item as ParsedNode, (item as ParsedNode).range[0], depth + 1);
      this.path.pop();
      value.push(one.value);
      children.set(i, one.spot);
    }
    this.within.delete(list);
    return { value, spot: { key, value: list.range[0], children } };
  }

  private map(map: YAMLMap.Parsed, key: number, depth: number): Walked {
    // Without a prototype, so that no key of a file can mean more than itself.
    const value: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    const children = new Map<string | number, Spot>();
    this.within.add(map);
    for (const pair of map.items) {
      const name = this.keyOf(pair.key);
      if (name === undefined) continue;
      const at = pair.key.range[0];
      this.path.push(name);
      const first = children.get(name);
      if (first !== undefined) {
        this.problems.push({ offset: at, path: [...this.path], message: "found a second time", first: first.key });
      } else if (pair.value === null) {
        value[name] = null;
        children.set(name, { key: at, value: at, children: new Map() });
      } else {
        const one = this.node(pair.value, at, depth + 1);
        value[name] = one.value;
        children.set(name, one.spot);
      }
      this.path.pop();
    }
    this.within.delete(map);
    return { value, spot: { key, value: map.range[0], children } };
  }

  private keyOf(key: ParsedNode): string | undefined {
    if (isScalar(key) && (typeof key.value === "string" || typeof key.value === "number")) {
      // As it is written: 010 and 10 are two names.
      return typeof key.source === "string" ? key.source : String(key.value);
    }
    this.fail(key, "found a key that is not a word or a number");
    return undefined;
  }

  private fail(node: ParsedNode, message: string): void {
    this.problems.push({ offset: node.range[0], path: [...this.path], message });
  }
}
