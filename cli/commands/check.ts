/** `hotpair check FILE...`: what is wrong in files, and what disagrees between nodes. */
import type { Command } from "commander";
import { protocols } from "../../protocols/index.ts";
import { compileLabSource, type Lab } from "../../src/host/sim/topology.ts";
import { problemAt } from "../../src/node/file.ts";
import { compareNodes, compileNode, isLab, type PlacedNode } from "../../src/node/node-file.ts";
import { type FileProblem, parseSource, sortProblems } from "../../src/node/source.ts";
import { readText, say, type TextFile, tellProblems } from "../files.ts";
import { INVALID, OK, printJson } from "../output.ts";
import type { Finish } from "../program.ts";

interface Checked {
  readonly problems: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
  readonly lab?: Lab;
  readonly node?: PlacedNode;
}

export function register(program: Command, finish: Finish): void {
  program
    .command("check")
    .summary("validate files; several together: also what disagrees between the nodes")
    .description(
      "Validates files of nodes and labs; which one a file is, its keys say.\n" +
        "Several nodes' files together are also compared with each other.",
    )
    .argument("<file...>", "files of nodes and labs; - is stdin")
    .option("--json", "one JSON object a line on stdout")
    .addHelpText("after", "\nExample:\n  $ hotpair check gw1.yaml gw2.yaml")
    .action((files: string[], options: { json?: boolean }) => finish(() => check(files, options.json === true)));
}

async function check(files: readonly string[], json: boolean): Promise<number> {
  const texts: TextFile[] = [];
  for (const file of files) texts.push(await readText(file));
  const checked = texts.map(checkFile);
  const together = checkTogether(checked.flatMap(({ node }) => node ?? []));
  const problems = sortProblems([...checked.flatMap((one) => one.problems), ...together.problems]);
  const warnings = sortProblems([...checked.flatMap((one) => one.warnings), ...together.warnings]);
  tellProblems(problems, json);
  tellProblems(warnings, json, true);
  for (const [i, { name }] of texts.entries()) {
    const one = checked[i];
    if (one === undefined || problems.some(({ file }) => file === name)) continue;
    const [kind, what] = one.lab === undefined ? ["node", one.node?.node.node] : ["lab", one.lab.name];
    say(`${name}: ok, ${kind} ${what}`, json);
    if (json) void printJson({ type: "file", file: name, kind, name: what });
  }
  const ok = problems.length === 0;
  if (json) {
    void printJson({ type: "summary", files: files.length, problems: problems.length, warnings: warnings.length, ok });
  }
  return ok ? OK : INVALID;
}

function checkFile({ name, text }: TextFile): Checked {
  const parsed = parseSource(text, name);
  if (!parsed.ok) return { problems: parsed.problems, warnings: [] };
  const { source, problems } = parsed;
  if (isLab(source)) {
    const compiled = compileLabSource(source, protocols, problems);
    if (!compiled.ok) return { problems: compiled.problems, warnings: [] };
    return { problems: [], warnings: compiled.lab.warnings, lab: compiled.lab };
  }
  const compiled = compileNode(source, protocols);
  if (!compiled.ok || problems.length > 0) {
    return { problems: [...problems, ...(compiled.ok ? [] : compiled.problems)], warnings: [] };
  }
  return { problems: [], warnings: [], node: { node: compiled.node, source, base: [] } };
}

/** Several nodes' files: each name once, and what their protocols say of them together. */
function checkTogether(nodes: readonly PlacedNode[]): {
  readonly problems: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
} {
  if (nodes.length < 2) return { problems: [], warnings: [] };
  const first = new Map<string, PlacedNode>();
  const problems: FileProblem[] = [];
  for (const one of nodes) {
    const name = one.node.node;
    const other = first.get(name);
    if (other === undefined) first.set(name, one);
    else {
      const message = `found "${name}", which is the node of ${other.source.file} too, allowed: a name of its own`;
      problems.push(problemAt(one.source, ["node"], message));
    }
  }
  if (problems.length > 0) return { problems, warnings: [] };
  return compareNodes(nodes, protocols);
}
