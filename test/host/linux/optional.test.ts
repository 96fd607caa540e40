/** Packages that somebody may have installed beside hotpair. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadOptional } from "../../../src/host/linux/optional.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hotpair-optional-"));
  write("contrib/io/thing/package.json", JSON.stringify({ dependencies: { thing: "1.2.3" } }));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}

function install(version: string, code: string, under = "contrib/io/thing"): void {
  write(`${under}/node_modules/thing/package.json`, JSON.stringify({ name: "thing", version }));
  write(`${under}/node_modules/thing/index.js`, code);
}

const load = () => loadOptional("thing", "a compiler", root);
const said = (why: string) => ({
  ok: false,
  message:
    `the package thing does not load (${why}); install it, which needs a compiler: ` +
    `npm install --no-package-lock --prefix ${join(root, "contrib/io/thing")}`,
});

test.each([
  ["in its own folder", undefined],
  ["above it", "."],
])("one %s is loaded", (_, under) => {
  install("1.2.3", "exports.one = 1", under);
  expect(load()).toEqual({ ok: true, exports: { one: 1 } });
});

test("one that is not there is named with the command that installs it", () => {
  expect(load()).toEqual(said("Cannot find module 'thing/package.json'"));
});

test("one that was not built is named with the command that installs it", () => {
  install("1.2.3", 'require("./build/thing.node")');
  expect(load()).toEqual(said("Cannot find module './build/thing.node'"));
});

test("one of another version is named with the command that installs the right one", () => {
  install("1.2.4", "exports.one = 1");
  expect(load()).toEqual(said("found version 1.2.4, allowed: 1.2.3"));
});

test("npm is told to build what is to be built, and an old nan is replaced, which Node.js 24 refuses", () => {
  const folder = fileURLToPath(new URL("../../../contrib/io/", import.meta.url));
  const names = readdirSync(folder);
  expect(names.sort()).toEqual(["cap", "raw-socket"]);
  for (const name of names) {
    const manifest = JSON.parse(readFileSync(join(folder, name, "package.json"), "utf8")) as object;
    expect(manifest).toMatchObject({ private: true, allowScripts: { [name]: true }, overrides: { nan: "2.30.0" } });
    expect(manifest).toMatchObject({ dependencies: { [name]: expect.stringMatching(/^\d+\.\d+\.\d+$/) } });
  }
});
