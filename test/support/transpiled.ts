/** TypeScript for a process of its own: a file of this repository and all that it imports, as JavaScript elsewhere. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

const compilerOptions: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

/** @param entry path in the repository; what it imports must be files of it, or node's own */
export function transpiled(entry: string): { readonly file: string; remove(): void } {
  const out = mkdtempSync(join(tmpdir(), "hotpair-test-"));
  writeFileSync(join(out, "package.json"), '{"type":"module"}');
  const done = new Set<string>();
  const todo = [resolve(ROOT, entry)];
  for (let source = todo.pop(); source !== undefined; source = todo.pop()) {
    if (done.has(source)) continue;
    done.add(source);
    const { outputText } = ts.transpileModule(readFileSync(source, "utf8"), { compilerOptions, fileName: source });
    const target = join(out, relative(ROOT, source)).replace(/\.ts$/, ".js");
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, outputText);
    for (const [, path = ""] of outputText.matchAll(/^(?:import|export)\b[^;]*?from "(\.[^"]+)\.js";$/gm)) {
      todo.push(resolve(dirname(source), `${path}.ts`));
    }
  }
  return {
    file: join(out, entry).replace(/\.ts$/, ".js"),
    remove: () => rmSync(out, { recursive: true, force: true }),
  };
}
