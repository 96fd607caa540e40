/** What `run` refuses before anything is touched; that it runs is tested in namespaces (test/host/linux, test/interop). */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const executable = join(dirname(fileURLToPath(import.meta.url)), "../../cli/hotpair.mjs");

function hotpair(words: readonly string[]) {
  return spawnSync(process.execPath, [executable, ...words], { encoding: "utf8" });
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hotpair-run-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const ROUTER = "interface: eth0, vrid: 51, addresses: [192.0.2.254/24]";

test.each([
  ["accept: false", "vrrp[0].accept: false, which hotpair run does not do yet"],
  ["priority: 300", "vrrp[0].priority"],
  [
    "track: { scripts: [{ name: web, run: /bin/true, user: nobody-of-that-name }] }",
    "vrrp[0].track.scripts[0].user: found the user nobody-of-that-name",
  ],
  [
    `track: { scripts: [{ name: web, run: "'/bin/true" }] }`,
    "vrrp[0].track.scripts[0].run: found no command (open-quote)",
  ],
  ["notify: { run: /bin/true, user: nobody-of-that-name }", "vrrp[0].notify.user: found the user nobody-of-that-name"],
  [`group: site, notify: { group: "''" }`, "vrrp[0].notify.group: found no command (empty)"],
])("a router with %s is refused with exit 2 and a line that says so", (more, words) => {
  const file = join(folder, "node.yaml");
  writeFileSync(file, `node: gw1\nvrrp:\n  - { ${ROUTER}, ${more} }\n`);
  const { status, stderr } = hotpair(["run", file]);
  expect({ status, said: stderr.includes(words) }, stderr).toEqual({ status: 2, said: true });
});

test("two scripts of one name that are not the same are refused", () => {
  const file = join(folder, "scripts.yaml");
  const router = (vrid: number, run: string) =>
    `  - { interface: eth0, vrid: ${vrid}, addresses: [192.0.2.${vrid}/24], track: { scripts: [{ name: web, run: ${run} }] } }\n`;
  writeFileSync(file, `node: gw1\nvrrp:\n${router(51, "/bin/true")}${router(52, "/bin/false")}`);
  const { status, stderr } = hotpair(["run", file]);
  const said = stderr.includes("vrrp[1].track.scripts[0]: found another script named web");
  expect({ status, said }, stderr).toEqual({ status: 2, said: true });
});

test("a node with what is for labs only is refused with every such key", () => {
  const file = join(folder, "switch.yaml");
  writeFileSync(file, "node: sw1\nlacp: [{ name: agg1, members: [p1] }]\n");
  const { status, stderr } = hotpair(["run", file]);
  expect({ status, said: stderr.includes("found lacp, which hotpair does in labs only so far") }).toEqual({
    status: 2,
    said: true,
  });
});
