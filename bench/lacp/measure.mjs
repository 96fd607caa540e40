/**
 * hotpair's bundles beside Open vSwitch, measured: node bench/lacp/measure.mjs [REPEATS]
 * Needs root and what test/interop needs. One JSON line a figure, then a table of medians on stderr.
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { createViteServer } from "vitest/node";
import { setUp } from "../../cli/setup.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const repeats = Number(process.argv[2] ?? 10);

setUp(root);
// What tests stand on is TypeScript that no build compiles: it is loaded as vitest does it.
const server = await createViteServer({ root, configFile: false, server: { middlewareMode: true, ws: false } });
const values = new Map();
try {
  const { measure } = await server.ssrLoadModule("/test/interop/support/lacp-figures.ts");
  for (let repeat = 1; repeat <= repeats; repeat++) {
    await measure(repeat, (figure) => {
      console.log(JSON.stringify(figure));
      const title = `${figure.what} (${figure.unit})`;
      values.set(title, [...(values.get(title) ?? []), figure.value]);
    });
  }
} finally {
  await server.close();
}

for (const [title, all] of values) {
  const sorted = all.toSorted((a, b) => a - b);
  const middle = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  console.error(`${title}: ${middle.toFixed(2)} [${sorted.at(-1).toFixed(2)}] of ${sorted.length}`);
}
