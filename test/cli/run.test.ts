/** What `run` refuses before anything is touched; that it runs is tested in namespaces (test/host/linux, test/interop). */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const executable = join(dirname(fileURLToPath(import.meta.url)), "../../cli/hotpair.mjs");

function hotpair(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return spawnSync(process.execPath, [executable, ...words], { encoding: "utf8", env: { ...process.env, ...env } });
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hotpair-run-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const ROUTER = "interface: eth0, vrid: 51, addresses: [192.0.2.254/24]";

test.each([
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

test.each(["cap", "raw-socket"])("an M-LAG pair is refused with --io %s", (io) => {
  const file = join(folder, "switch.yaml");
  const keepalive = "{ port: ka, address: 10.99.0.1/30, peer: 10.99.0.2 }";
  writeFileSync(
    file,
    `node: sw1\nbridge: { ports: [peer] }\nmlag: { domain: 10, peer-link: peer, keepalive: ${keepalive} }\n`,
  );
  const { status, stderr } = hotpair(["run", "--io", io, file]);
  expect(stderr).toBe(`${file}: mlag: found it, allowed with --io ${io}: no M-LAG; --io koffi has it\n`);
  expect(status).toBe(2);
});

test("raw-socket is refused what it cannot carry: IPv6, and virtual MACs", () => {
  const file = join(folder, "raw.yaml");
  const six = '  - { interface: eth0, vrid: 52, addresses: ["fe80::1/64"], virtual-mac: false }';
  const four = "  - { interface: eth0, vrid: 53, addresses: [192.0.2.253/24], virtual-mac: false }";
  writeFileSync(file, `node: gw1\nvrrp:\n  - { ${ROUTER} }\n${six}\n${four}\n`);
  const { status, stderr } = hotpair(["run", "--io", "raw-socket", file]);
  const lines = stderr.trimEnd().split("\n");
  expect(lines.map((line) => line.replace(`${file}: `, ""))).toEqual([
    "vrrp[0].virtual-mac: found true, allowed with --io raw-socket: false (it has no layer 2)",
    "vrrp[1]: found IPv6, allowed with --io raw-socket: IPv4 (it does not tell the hop limit of what it hears)",
  ]);
  expect(status).toBe(2);
});

test("a backend that nobody knows is refused with those that there are", () => {
  const { status, stderr } = hotpair(["run", "--io", "pcap", "gw1.yaml"]);
  expect(stderr).toContain("Allowed choices are koffi, cap, raw-socket");
  expect(status).toBe(2);
});

const INSTALLED = existsSync(join(dirname(executable), "../contrib/io/cap/node_modules"));
test.skipIf(INSTALLED)("a backend that is not installed is exit 3 and the command that installs it", () => {
  const file = join(folder, "cap.yaml");
  writeFileSync(file, `node: gw1\nvrrp:\n  - { ${ROUTER} }\n`);
  const { status, stderr } = hotpair(["run", "--io", "cap", file], { NODE_PATH: "" });
  expect(stderr).toMatch(/^the package cap does not load .*: npm install .* --prefix \S+\/contrib\/io\/cap\n$/);
  expect(status).toBe(3);
});
