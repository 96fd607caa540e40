/**
 * Checks the direction rules (.dependency-cruiser.cjs): `node test/support/depcruise.mjs [FOLDER]`.
 * Fails on a violation, and when it saw no modules: a check that looks at nothing must not pass.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise } from "dependency-cruiser";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { forbidden, options } = createRequire(import.meta.url)(join(root, ".dependency-cruiser.cjs"));

/** Cruises the folders of the house under `base`; violations as text, and how many modules were looked at. */
export async function checkDirections(base) {
  const folders = ["src", "protocols", "cli", "bench", "test"].filter((folder) => existsSync(join(base, folder)));
  if (folders.length === 0) return { modules: 0, violations: [] };
  const tsConfig = join(root, "tsconfig.json");
  const { output } = await cruise(
    folders,
    { ...options, tsConfig: { fileName: tsConfig }, baseDir: base, validate: true, ruleSet: { forbidden } },
    {},
  );
  const { summary, modules } = output;
  return {
    modules: modules.filter(({ source }) => /\.(ts|tsx|mjs)$/.test(source)).length,
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { modules, violations } = await checkDirections(resolve(process.argv[2] ?? root));
  for (const violation of violations) console.error(violation);
  console.error(`${modules} modules, ${violations.length} violations of the direction rules`);
  process.exitCode = modules === 0 || violations.length > 0 ? 1 : 0;
}
