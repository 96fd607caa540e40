import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { protocols } from "../../protocols/index.ts";
import { compileLab } from "../../src/host/sim/topology.ts";
import { compileNodeFile } from "../../src/node/node-file.ts";
import type { FileProblem } from "../../src/node/source.ts";

const topologies = join(dirname(fileURLToPath(import.meta.url)), "../../topologies");
const labs = readdirSync(topologies)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => readFileSync(join(topologies, file), "utf8"))
  .filter((text) => text.length < 8_000);

/** A lab in which a few pieces were replaced: by values of other kinds, by syntax, by pieces of itself. */
const mutated = fc
  .record({
    text: fc.constantFrom(...labs),
    edits: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        length: fc.nat(12),
        put: fc.oneof(
          fc.constantFrom(
            "null",
            "[]",
            "{}",
            "-1",
            "1e400",
            "~",
            ": ",
            "- ",
            "[",
            "}",
            "*a",
            "&a ",
            "!t ",
            "\t",
            "'",
            "__proto__: 1",
            "\n",
          ),
          fc.string({ maxLength: 6, unit: "binary" }),
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  })
  .map(({ text, edits }) =>
    edits.reduce((result, { at, length, put }) => {
      const from = Math.floor(at * result.length);
      return result.slice(0, from) + put + result.slice(from + length);
    }, text),
  );

function wellPlaced(problems: readonly FileProblem[], text: string): boolean {
  const lines = text.split("\n").length;
  return problems.every(({ line, column, message }) => line >= 1 && line <= lines && column >= 1 && message !== "");
}

test("any text is a lab, a node, or problems inside its own lines: nothing is thrown", () => {
  fc.assert(
    fc.property(mutated, (text) => {
      const lab = compileLab(text, "f", protocols);
      expect(lab.ok || (lab.problems.length > 0 && wellPlaced(lab.problems, text))).toBe(true);
      const node = compileNodeFile(text, "f", protocols);
      expect(node.ok || (node.problems.length > 0 && wellPlaced(node.problems, text))).toBe(true);
    }),
    { numRuns: 500 },
  );
});
