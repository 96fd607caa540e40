import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const cli = join(dirname(fileURLToPath(import.meta.url)), "../../cli");

/** Does what `npm ci` does for us: brings a compiler; this one makes a main.js that says what it was told. */
const NPM = `
const { mkdirSync, writeFileSync } = require("node:fs");
if (process.env.NPM_FAILS) { console.error("npm error network"); process.exit(1); }
mkdirSync("node_modules/typescript/bin", { recursive: true });
writeFileSync("node_modules/typescript/bin/tsc", \`
const { mkdirSync, writeFileSync } = require("node:fs");
const out = process.argv[process.argv.indexOf("--outDir") + 1];
mkdirSync(out + "/cli", { recursive: true });
writeFileSync(out + "/package.json", '{"type":"module"}');
writeFileSync(out + "/cli/main.js", "export const main = async (words) => (console.log(words.join('+')), 0);");
\`);
`;

let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hotpair-setup-"));
  mkdirSync(join(root, "cli"));
  mkdirSync(join(root, "src"));
  for (const file of ["hotpair.mjs", "setup.mjs"]) copyFileSync(join(cli, file), join(root, "cli", file));
  writeFileSync(join(root, "package.json"), '{ "version": "1.2.3", "type": "module" }');
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(join(root, "tsconfig.build.json"), "{}");
  writeFileSync(join(root, "src/a.ts"), "export const a = 1;");
  writeFileSync(join(root, "npm-cli.cjs"), NPM);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Runs the executable of the little checkout. */
function hotpair(env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "cli/hotpair.mjs"), "a", "b"], {
    encoding: "utf8",
    env: { PATH: "/nowhere", npm_execpath: join(root, "npm-cli.cjs"), ...env },
  });
  return { status, stdout, lines: stderr.split("\n").filter((line) => line !== "") };
}

const INSTALLING = "hotpair: installing dependencies (npm ci) ...";
const BUILDING = "hotpair: building ...";

describe("a fresh checkout sets itself up", () => {
  test("it installs and builds once, and says so on stderr; the second time it does neither", () => {
    expect(hotpair()).toEqual({ status: 0, stdout: "a+b\n", lines: [INSTALLING, BUILDING] });
    expect(hotpair({ NPM_FAILS: "1" })).toEqual({ status: 0, stdout: "a+b\n", lines: [] });
  });

  test("a changed source is built again, a changed lock file installed again", () => {
    hotpair();
    writeFileSync(join(root, "src/a.ts"), "export const a = 12;");
    expect(hotpair().lines).toEqual([BUILDING]);
    writeFileSync(join(root, "package-lock.json"), '{ "lockfileVersion": 3 }');
    utimesSync(join(root, "package-lock.json"), new Date(), new Date(Date.now() + 1_000));
    expect(hotpair().lines).toEqual([INSTALLING, BUILDING]);
  });

  test("a source that is gone leaves nothing behind in dist", () => {
    hotpair();
    writeFileSync(join(root, "dist/old.js"), "");
    rmSync(join(root, "src/a.ts"));
    expect(hotpair().lines).toEqual([BUILDING]);
    expect(existsSync(join(root, "dist/old.js"))).toBe(false);
  });

  test("an install by hand is recognised by npm's own record", () => {
    hotpair();
    rmSync(join(root, "node_modules/.hotpair-installed"));
    writeFileSync(join(root, "node_modules/.package-lock.json"), "{}");
    expect(hotpair({ NPM_FAILS: "1" }).lines).toEqual([]);
  });
});

describe("what the machine cannot do ends with 3 and one line that says what to do", () => {
  test("npm fails", () => {
    expect(hotpair({ NPM_FAILS: "1" })).toEqual({
      status: 3,
      stdout: "",
      lines: [
        INSTALLING,
        "npm error network",
        "hotpair: npm ci failed (see above): check the network, or the registry that npm is set to use",
      ],
    });
  });

  test("there is no npm", () => {
    const { status, lines } = hotpair({ npm_execpath: "" });
    expect(status).toBe(3);
    expect(lines.at(-1)).toMatch(/^hotpair: npm cannot be run \(.*\): install npm$/);
  });
});

test("an installed package, which has no set-up beside it, just runs", () => {
  hotpair();
  rmSync(join(root, "cli/setup.mjs"));
  rmSync(join(root, "node_modules"), { recursive: true });
  expect(hotpair()).toEqual({ status: 0, stdout: "a+b\n", lines: [] });
});
