import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { protocols } from "../../protocols/index.ts";
import { compileLab } from "../../src/host/sim/topology.ts";
import { compileNodeFile } from "../../src/node/node-file.ts";
import { formatProblem } from "../../src/node/source.ts";

function problemsOfNode(text: string): string[] {
  const compiled = compileNodeFile(text, "gw1.yaml", protocols);
  return compiled.ok ? [] : compiled.problems.map(formatProblem);
}

function problemsOfLab(text: string): string[] {
  const compiled = compileLab(text, "lab.yaml", protocols);
  return compiled.ok ? [] : compiled.problems.map(formatProblem);
}

describe("the files that the documentation shows are valid as they stand", () => {
  test("the smallest node", () => {
    const text = `node: gw1
vrrp:
  - { interface: eth0, vrid: 51, priority: 150, interval: 100ms, addresses: [192.0.2.254/24] }
`;
    expect(problemsOfNode(text)).toEqual([]);
  });

  test("a node with everything", () => {
    const text = `node: gw1
vrrp:
  - name: lan-gateway
    interface: eth0
    vrid: 51
    version: 3                  # 2 | 3; default 3
    priority: 150               # 1..254, 255 = the addresses' owner; default 100
    interval: 1s                # 10ms..40.95s in steps of 10ms (v2: whole seconds); default 1s
    addresses: [192.0.2.254/24] # the family of the router is the family of its addresses
    preempt: { delay: 30s }     # true | false | { delay }
    accept: true                # answer on the virtual addresses
    virtual-mac: true           # 00:00:5e:00:01:VRID on a macvlan that the daemon makes and removes
    checksum: auto              # auto | rfc9568 | pseudo-header   (IPv4, version 3)
    track:
      interfaces: [{ name: eth1, weight: -50 }]
      scripts: [{ name: nginx, run: /usr/local/bin/check-nginx, interval: 2s, timeout: 1s, fall: 3, rise: 2, weight: -60 }]
    notify: { run: /etc/hotpair/notify.sh }
  - name: lan-gateway-v6
    interface: eth0
    vrid: 51
    priority: 150
    addresses: [fe80::51/64, 2001:db8::254/64]
    peers: [fe80::2]            # unicast instead of multicast; only these are listened to
`;
    expect(problemsOfNode(text)).toEqual([]);
  });

  test("a lab: two switches with VRRP, links, traffic, script and expectations", () => {
    const text = `name: pair
seed: 1
nodes:
  sw1:
    bridge: { ports: [p1, p2, peer] }
    interfaces: { vlan1: { addresses: [10.0.0.2/24] } }
    vrrp: [{ interface: vlan1, vrid: 10, priority: 150, addresses: [10.0.0.1/24] }]
  sw2:
    bridge: { ports: [p1, p2, peer] }
    interfaces: { vlan1: { addresses: [10.0.0.3/24] } }
    vrrp: [{ interface: vlan1, vrid: 10, priority: 100, addresses: [10.0.0.1/24] }]
  srv1:
    interfaces: { e1: { addresses: [10.0.0.10/24], gateway: 10.0.0.1 } }
  srv2:
    interfaces: { e1: { addresses: [10.0.0.20/24], gateway: 10.0.0.1 } }
links:
  - { id: srv1-sw1, ends: [srv1:e1, sw1:p1], delay: 5us, rate: 10Gbps }
  - { id: srv2-sw1, ends: [srv2:e1, sw1:p2], delay: 5us, rate: 10Gbps }
  - { id: peer,     ends: [sw1:peer, sw2:peer], rate: 40Gbps }
  - { id: ka,       ends: [sw1:ka, sw2:ka], delay: 200us }
traffic:
  - { id: web,     from: srv2, to: 10.0.0.10, rate: 1000pps, size: 200, start: 8s }
  - { id: gateway, from: srv1, to: 10.0.0.1,  rate: 100pps,  size: 64,  start: 8s }
script:
  - { at: 10s, cut: srv1-sw1 }
  - { at: 15s, heal: srv1-sw1 }
  - { at: 16s, loss: { link: peer, ratio: 1/10 } }
  - { at: 17s, pause: sw1 }
  - { at: 18s, resume: sw1 }
  - { at: 35s, power-off: sw1 }
  - { at: 50s, power-on: sw1 }
  - { at: 51s, command: { node: sw1, vrrp: { verb: drain } } }
expect:
  - { at: 8s,  node: sw1, vrrp: 10, state: master }
  - { at: 40s, node: sw2, vrrp: 10, state: master }
  - { always: one-master, vrrp: 10, settle: 4s }
  - { from: 10s, to: 20s, flow: web, lost-at-most: 50, duplicated: 0 }
  - { flow: web, gap-at-most: 1s }
  - { flow: gateway, gap-at-most: 4s }
`;
    expect(problemsOfLab(text)).toEqual([]);
  });

  test("VLANs with a routed interface each", () => {
    const text = `node: sw1
bridge: { vlans: { 10: { tagged: [p1], untagged: [p2] }, 20: { tagged: [p1] } } }
interfaces: { vlan10: { addresses: [10.0.10.1/24] }, vlan20: { addresses: [10.0.20.1/24] } }
`;
    expect(problemsOfNode(text)).toEqual([]);
  });
});

describe("every whole file of a node in docs/ is valid as it stands", () => {
  const docs = new URL("../../docs/", import.meta.url);
  const files = readdirSync(docs).flatMap((page) => {
    const text = page.endsWith(".md") ? readFileSync(new URL(page, docs), "utf8") : "";
    const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? "");
    return blocks.filter((block) => block.startsWith("node: ")).map((block) => [page, block] as const);
  });

  test("there is one of what is tracked and told", () => {
    const keys = ["interfaces", "scripts", "files", "processes", "notify"];
    expect(files.filter(([, text]) => keys.every((key) => text.includes(`${key}:`)))).toHaveLength(1);
  });

  test.each(files)("%s", (_, text) => {
    expect(problemsOfNode(text)).toEqual([]);
  });
});

describe("mistakes of protocols have messages of their own, at their place", () => {
  const router = (more: string) => `node: gw1\nvrrp:\n  - { interface: eth0, vrid: 51, ${more} }\n`;

  test.each([
    [
      "a VRID twice on one interface and family",
      router("addresses: [10.0.0.1/24] }\n  - { interface: eth0, vrid: 51, addresses: [10.0.0.2/24]"),
      /^gw1\.yaml:4:30: vrrp\[1\]\.vrid: found VRID 51 twice on eth0 for ipv4, allowed: once/,
    ],
    [
      "addresses of both families in one router",
      router("addresses: [10.0.0.1/24, 2001:db8::1/64]"),
      /^gw1\.yaml:3:59: vrrp\[0\]\.addresses\[1\]: found 2001:db8::1 beside 10\.0\.0\.1, allowed: addresses of one family/,
    ],
    [
      "an interval that the packet cannot say",
      router("addresses: [10.0.0.1/24], interval: 41s"),
      /^gw1\.yaml:3:70: vrrp\[0\]\.interval: found 41s, allowed: 10ms to 40\.95s in steps of 10ms$/,
    ],
    [
      "an interval that version 2 cannot say",
      router("addresses: [10.0.0.1/24], version: 2, interval: 1500ms"),
      /^gw1\.yaml:3:82: vrrp\[0\]\.interval: found 1\.5s, allowed in version 2: whole seconds of 1s to 255s$/,
    ],
    [
      "a bridge's port in two untagged VLANs",
      "node: sw1\nbridge: { vlans: { 10: { untagged: [p1] }, 20: { untagged: [p1] } } }\n",
      /^gw1\.yaml:2:61: bridge\.vlans\.20\.untagged\[0\]: p1 is untagged in VLAN 10 already/,
    ],
  ])("%s", (_, text, message) => {
    const [first, ...more] = problemsOfNode(text);
    expect(first).toMatch(message);
    expect(more).toEqual([]);
  });

  test("an address that two nodes of a lab have", () => {
    const text = `nodes:
  a: { interfaces: { e: { addresses: [10.0.0.1/24] } } }
  b: { interfaces: { e: { addresses: [10.0.0.1/24] } } }
`;
    expect(problemsOfLab(text)).toEqual([
      "lab.yaml:3:39: nodes.b.interfaces.e.addresses[0]: found 10.0.0.1, which a has already; allowed: an address of one node only",
    ]);
  });
});

describe("a virtual address that is an interface's address too", () => {
  const pair = (priority: number, holder: string) => `nodes:
  a: { interfaces: { e: { addresses: [10.0.0.1/24] } }, vrrp: [${holder}] }
  b:
    interfaces: { e: { addresses: [10.0.0.2/24] } }
    vrrp: [{ interface: e, vrid: 1, priority: ${priority}, addresses: [10.0.0.1/24] }]
`;
  const owner = "{ interface: e, vrid: 1, priority: 255, addresses: [10.0.0.1/24] }";

  test("is right where its owner runs the router with priority 255 (RFC 9568 §5.2.4)", () => {
    expect(problemsOfLab(pair(100, owner))).toEqual([]);
  });

  test("is a duplicate address where another node has it", () => {
    expect(problemsOfLab(pair(100, ""))).toEqual([
      "lab.yaml:5:64: nodes.b.vrrp[0].addresses[0]: found 10.0.0.1, which a has already; allowed: only if it is the owner there (priority 255)",
    ]);
  });

  test("is wrong with another priority on the node itself", () => {
    const text =
      "node: a\ninterfaces: { e: { addresses: [10.0.0.1/24] } }\nvrrp: [{ interface: e, vrid: 1, addresses: [10.0.0.1/24] }]\n";
    expect(problemsOfNode(text)).toEqual([
      "gw1.yaml:3:45: vrrp[0].addresses[0]: found 10.0.0.1, an address of e itself; allowed: only with priority 255 (RFC 9568 §5.2.4)",
    ]);
  });
});

test("a port that only its node or only a link knows is a warning at its place: most misspelt interfaces show there", () => {
  const text = `nodes:
  a:
    interfaces: { eht0: { addresses: [10.0.0.1/24] } }
    bridge: { ports: [p1, p2] }
  b: { bridge: { ports: [p1] } }
links:
  - { id: x, ends: [a:eth0, b:p1] }
  - { id: y, ends: [a:p1, b:p2] }
`;
  const compiled = compileLab(text, "lab.yaml", protocols);
  expect(compiled.ok && compiled.lab.warnings.map(formatProblem)).toEqual([
    'lab.yaml:3:25: nodes.a.interfaces.eht0: found the port "eht0", which no link has (did you mean "eth0"?)',
    'lab.yaml:4:27: nodes.a.bridge.ports[1]: found the port "p2", which no link has',
    'lab.yaml:7:21: links[0].ends[0]: found a:eth0, a port that nothing on a uses (did you mean "eht0"?)',
    "lab.yaml:8:27: links[1].ends[1]: found b:p2, a port that nothing on b uses",
  ]);
});

test("what a schema defaults to is a value of the engine, not the text that a file would have", () => {
  const text = "node: sw1\nbridge: { ports: [p1] }\nvrrp: [{ interface: eth0, vrid: 1, addresses: [10.0.0.1/24] }]\n";
  const compiled = compileNodeFile(text, "sw1.yaml", protocols);
  expect(compiled.ok && compiled.node).toMatchObject({
    bridge: { ageing: 300_000_000 },
    vrrp: [{ interval: 1_000_000 }],
  });
});
