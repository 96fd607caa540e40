import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkDirections } from "./depcruise.mjs";

const house = join(dirname(fileURLToPath(import.meta.url)), "../..");
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hotpair-directions-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function plant(files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
}

test("this house keeps its own direction rules", async () => {
  const { modules, violations } = await checkDirections(house);
  expect(violations).toEqual([]);
  expect(modules).toBeGreaterThan(50);
});

test("each direction that is forbidden is found where somebody takes it", async () => {
  const value = "export const value = 1;\n";
  plant({
    "src/core/time.ts": 'import { readFileSync } from "node:fs";\nexport const value = readFileSync;\n',
    "src/node/node.ts": 'export { value } from "../../protocols/a/codec.ts";\n',
    "src/host/sim/world.ts": 'import type { Hidden } from "../../../cli/main.ts";\nexport type Value = Hidden;\n',
    "protocols/a/codec.ts": value,
    "protocols/a/events.ts": value,
    "protocols/a/machine.ts": value,
    "protocols/b/machine.ts":
      'export { value as x } from "../a/codec.ts";\nexport { value as y } from "../a/machine.ts";\nexport { value as z } from "../a/events.ts";\n',
    "protocols/b/config.ts": 'export { value } from "../../src/host/sim/loop.ts";\n',
    "src/capture/pcap.ts": value,
    "protocols/b/codec.ts": 'export { value } from "../../src/capture/pcap.ts";\n',
    "protocols/index.ts": 'export { value } from "./a/machine.ts";\n',
    "src/host/sim/loop.ts": 'import { other } from "./pool.ts";\nexport const value = () => other;\n',
    "src/host/sim/pool.ts": 'import { value } from "./loop.ts";\nexport const other = () => value;\n',
    "cli/main.ts": 'import "../test/helper.ts";\nexport type Hidden = string;\n',
    "test/helper.ts": 'import "./gone.ts";\n',
  });
  const { violations } = await checkDirections(folder);
  expect(violations.toSorted()).toEqual([
    "core-imports-nothing: src/core/time.ts -> fs",
    "no-cycles: src/host/sim/loop.ts -> src/host/sim/pool.ts",
    "no-node-in-pure-folders: src/core/time.ts -> fs",
    "nothing-imports-tests: cli/main.ts -> test/helper.ts",
    "nothing-imports-the-command-line: src/host/sim/world.ts -> cli/main.ts",
    "protocols-by-codec-and-events: protocols/b/machine.ts -> protocols/a/machine.ts",
    "protocols-know-no-host: protocols/b/config.ts -> src/host/sim/loop.ts",
    "protocols-read-no-captures: protocols/b/codec.ts -> src/capture/pcap.ts",
    "resolvable: test/helper.ts -> ./gone.ts",
    "src-names-no-protocol: src/host/sim/world.ts -> cli/main.ts",
    "src-names-no-protocol: src/node/node.ts -> protocols/a/codec.ts",
  ]);
});

test("a folder without modules is told apart from one without violations", async () => {
  expect(await checkDirections(folder)).toEqual({ modules: 0, violations: [] });
});
