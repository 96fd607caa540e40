import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import { check, compare } from "../../../protocols/vrrp/check.ts";
import { command, schema, type VrrpConfig } from "../../../protocols/vrrp/config.ts";
import { protocol } from "../../../protocols/vrrp/index.ts";
import { ms, sec } from "../../../src/core/time.ts";
import type { NodeConfig } from "../../../src/node/protocol.ts";
import { type Given, given, given6 } from "../../support/vrrp.ts";

const problems = (...routers: Given[]): string[] => {
  const result = schema.safeParse(routers);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
};

const node = (name: string, routers: readonly Given[], more: object = {}): NodeConfig => ({
  node: name,
  vrrp: schema.parse(routers),
  ...more,
});

const checked = (routers: readonly Given[], more: object = {}): string[] => {
  const config: VrrpConfig = schema.parse(routers);
  return check(config, node("gw1", routers, more)).map(({ path, message }) => `${path.join(".")}: ${message}`);
};

describe("files", () => {
  test("the smallest router takes every default", () => {
    const small = parse("[{ interface: eth0, vrid: 51, priority: 150, interval: 100ms, addresses: [192.0.2.254/24] }]");
    expect(schema.parse(small)).toEqual([
      expect.objectContaining({
        name: "eth0-51",
        family: "ipv4",
        version: 3,
        priority: 150,
        interval: ms(100),
        preempt: true,
        preemptDelay: 0,
        accept: true,
        virtualMac: true,
        checksum: "auto",
        tracked: [],
        group: undefined,
        peers: [],
      }),
    ]);
    expect(schema.parse([{ interface: "eth0", vrid: 1, addresses: ["192.0.2.254/24"] }])[0]).toMatchObject({
      priority: 100,
      interval: sec(1),
    });
  });

  test("a router with everything, and its IPv6 twin by unicast", () => {
    const full = parse(`
      - name: lan-gateway
        interface: eth0
        vrid: 51
        version: 3
        priority: 150
        interval: 1s
        addresses: [192.0.2.254/24]
        preempt: { delay: 30s }
        accept: true
        virtual-mac: true
        checksum: auto
        track:
          interfaces: [{ name: eth1, weight: -50 }]
          scripts: [{ name: nginx, run: /usr/local/bin/check-nginx, interval: 2s, timeout: 1s, fall: 3, rise: 2, weight: -60 }]
        notify: { run: /etc/hotpair/notify.sh }
      - name: lan-gateway-v6
        interface: eth0
        vrid: 51
        priority: 150
        addresses: [fe80::51/64, 2001:db8::254/64]
        peers: [fe80::2]
    `);
    const [four, six] = schema.parse(full);
    expect(four).toMatchObject({ preempt: true, preemptDelay: sec(30) });
    expect(four?.notify).toEqual({ run: "/etc/hotpair/notify.sh", timeout: sec(10), attempts: 5 });
    expect(four?.tracked).toEqual([
      { kind: "interface", name: "eth1", weight: -50, valued: false, reverse: false },
      { kind: "script", name: "nginx", weight: -60, valued: false, reverse: false },
    ]);
    expect(four?.scripts[0]).toMatchObject({ interval: sec(2), timeout: sec(1), fall: 3, rise: 2 });
    expect(six).toMatchObject({ family: "ipv6", peers: ["fe80::2"] });
    expect(check(schema.parse(full), { node: "gw1" })).toEqual([]);
  });

  test.each([
    ["0ms", "interval: found 0s, allowed: 10ms to 40.95s in steps of 10ms"],
    ["41s", "interval: found 41s, allowed: 10ms to 40.95s in steps of 10ms"],
    ["15ms", "interval: found 15ms, allowed: 10ms to 40.95s in steps of 10ms"],
  ])("the impossible interval %s is refused", (interval, message) => {
    expect(problems(given({ interval }))).toEqual([`0.${message}`]);
  });

  test("in version 2 an interval is whole seconds", () => {
    expect(problems(given({ version: 2, interval: "1.5s" }))).toEqual([
      "0.interval: found 1.5s, allowed in version 2: whole seconds of 1s to 255s",
    ]);
  });

  test("addresses of both families in one router are refused", () => {
    expect(problems(given({ addresses: ["192.0.2.254/24", "2001:db8::1/64"] }))[0]).toMatch(
      /^0\.addresses\.1: found 2001:db8::1 beside 192\.0\.2\.254, allowed: addresses of one family/,
    );
  });

  test("10 · RFC 9568 §5.2.9 · IPv6 addresses that do not begin with a link-local one are refused", () => {
    expect(problems(given({ addresses: ["2001:db8::1/64"] }))[0]).toMatch(
      /allowed: a link-local address such as "fe80::10/,
    );
  });

  test.each([
    [{ vrid: 0 }, /^0\.vrid: found 0, allowed: a VRID of 1 to 255/],
    [{ vrid: 256 }, /^0\.vrid/],
    [{ priority: 0 }, /^0\.priority/],
    [{ priority: 256 }, /^0\.priority/],
    [{ addresses: [] }, /^0\.addresses/],
    [{ addresses: ["192.0.2.254"] }, /^0\.addresses\.0/],
    [{ preempt: "yes" }, /^0\.preempt: found "yes", allowed: true, false, or \{ delay: DURATION \}/],
    [{ version: 4 }, /^0\.version: found 4, allowed: 2 or 3/],
    [{ prioritty: 5 }, /prioritty/],
    [{ peers: ["fe80::2"] }, /^0\.peers\.0: found fe80::2/],
    [{ password: "secret" }, /^0\.password/],
    [{ version: 2, migration: true }, /^0\.migration/],
    [{ "router-advertisement": {} }, /^0\.router-advertisement/],
    [{ track: { objects: [{ name: "a" }, { name: "a" }] } }, /^0\.track\.objects\.1\.name: found "a" twice/],
  ])("%j is refused, at its place", (more, message) => {
    expect(problems(given(more)).join("\n")).toMatch(message);
  });

  test("the schema can be written as JSON Schema", () => {
    const json = JSON.stringify(z.toJSONSchema(schema, { io: "input" }));
    expect(json).toContain('"virtual-mac"');
    expect(JSON.stringify(z.toJSONSchema(command, { io: "input" }))).toContain("drain");
  });
});

describe("what a schema cannot say", () => {
  test("a VRID twice on one interface and family is refused, unless unicast peers tell them apart", () => {
    const other = { addresses: ["192.0.2.253/24"] };
    expect(checked([given(), given(other)])[0]).toMatch(/^1\.vrid: found VRID 10 twice on eth0 for ipv4/);
    expect(checked([given(), given6()])).toEqual([]);
    expect(checked([given(), given({ ...other, interface: "eth1" })])).toEqual([]);
    expect(checked([given({ peers: ["192.0.2.1"] }), given({ ...other, peers: ["192.0.2.3"] })])).toEqual([]);
    expect(checked([given({ peers: ["192.0.2.1"] }), given({ ...other, peers: ["192.0.2.1"] })])).toHaveLength(1);
  });

  test("an address in two routers is refused", () => {
    expect(checked([given(), given({ vrid: 11 })])[0]).toMatch(
      /^1\.addresses\.0: found 192\.0\.2\.254, which eth0-10 has/,
    );
  });

  test("an interface's own address is for its owner only", () => {
    const interfaces = { eth0: { addresses: [{ address: "192.0.2.254", length: 24 }] } };
    expect(checked([given()], { interfaces })[0]).toMatch(/^0\.addresses\.0: .*allowed: only with priority 255/);
    expect(checked([given({ priority: 255 })], { interfaces })).toEqual([]);
  });

  test("what disagrees between the nodes of one virtual router is said as a warning, at its place", () => {
    const fields = (a: Given, b: Given) => {
      const found = compare([node("gw1", [a]), node("gw2", [b])]);
      expect(found.every(({ warning, node: of }) => warning && of === "gw2")).toBe(true);
      return found.map(({ path }) => path.join("."));
    };
    expect(fields(given(), given({ priority: 50 }))).toEqual([]);
    expect(fields(given(), given({ interval: "2s" }))).toEqual(["vrrp.0.interval"]);
    expect(fields(given(), given({ version: 2 }))).toEqual(["vrrp.0.version"]);
    expect(fields(given(), given({ addresses: ["192.0.2.253/24"] }))).toEqual(["vrrp.0.addresses"]);
    expect(fields(given({ priority: 255 }), given({ priority: 255 }))).toEqual(["vrrp.0.priority"]);
    expect(fields(given(), given({ peers: ["192.0.2.1"] }))).toEqual(["vrrp.0.peers"]);
    // The same VRID in another network is another virtual router.
    expect(fields(given(), given({ interval: "2s", addresses: ["10.0.0.1/24"] }))).toEqual([]);
  });

  test("a router on an interface without an IPv4 address, or outside of its network, is warned of", () => {
    const interfaces = (address: string) => ({ interfaces: { eth0: { addresses: [{ address, length: 24 }] } } });
    expect(compare([node("gw1", [given()], { interfaces: { eth0: { addresses: [] } } })])[0]?.message).toMatch(
      /never start/,
    );
    expect(compare([node("gw1", [given()], interfaces("10.0.0.2"))])[0]?.message).toMatch(/outside of 10\.0\.0\.2\/24/);
    expect(compare([node("gw1", [given()], interfaces("192.0.2.2"))])).toEqual([]);
  });
});

test("the protocol's record is complete", () => {
  expect(protocol).toMatchObject({ name: "vrrp", key: "vrrp" });
  expect(command.parse({ verb: "priority", vrid: 10, priority: 90 })).toEqual({
    verb: "priority",
    vrid: 10,
    priority: 90,
  });
  expect(command.safeParse({ verb: "priority", vrid: 10, priority: 0 }).success).toBe(false);
  expect(command.safeParse({ verb: "explode" }).success).toBe(false);
});
