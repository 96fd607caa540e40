/** Packages that are not installed with hotpair: contrib/io has a folder for each, with what it takes to install it. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export type OptionalPackage =
  | { readonly ok: true; readonly exports: unknown }
  | { readonly ok: false; readonly message: string };

// The name of this package itself stands for its folder, for sources and for what is built of them.
const ROOT = dirname(createRequire(import.meta.url).resolve("hotpair/package.json"));

/**
 * Looks in the package's own folder, then where Node.js looks (above that folder, NODE_PATH). Another version than that
 * folder asks for is none: what is relied on is not promised by anybody.
 * @param needs what its build needs
 */
export function loadOptional(name: string, needs: string, root = ROOT): OptionalPackage {
  const folder = join(root, "contrib/io", name);
  try {
    const find = createRequire(join(folder, "package.json"));
    const allowed = (find("./package.json") as { dependencies: Record<string, string> }).dependencies[name];
    const { version } = find(`${name}/package.json`) as { version: string };
    if (version !== allowed) throw new Error(`found version ${version}, allowed: ${allowed}`);
    return { ok: true, exports: find(name) };
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    return {
      ok: false,
      message:
        `the package ${name} does not load (${why}); install it, which needs ${needs}: ` +
        `npm install --no-package-lock --prefix ${folder}`,
    };
  }
}
