/** A pair's node as a real host mounts it: what it has of its own, what it hears of which interface, what is the kernel's. */
import { describe, expect, it } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import type { Mac } from "../../../src/core/addr.ts";
import { Log } from "../../../src/core/log.ts";
import { instant } from "../../../src/core/time.ts";
import { machinesOf } from "../../../src/node/machines.ts";
import { Node } from "../../../src/node/node.ts";
import { compileNodeFile } from "../../../src/node/node-file.ts";
import { listeningsOf, type NodeConfig } from "../../../src/node/protocol.ts";

const VRRP = "vrrp: [{ interface: e0, vrid: 51, addresses: [192.0.2.254/24], peers: [192.0.2.3] }]";
const MLAG = `
bridge: { ports: [agg1, peer] }
lacp: [{ name: agg1, members: [p1] }]
interfaces: { vlan1: { addresses: [10.0.0.2/24] }, e1: { addresses: [192.0.2.2/24], forwarding: false } }
mlag:
  domain: 10
  peer-link: peer
  keepalive: { port: ka, address: 10.99.0.1/30, peer: 10.99.0.2 }
  members: [{ port: agg1, id: 1 }]`;

function compiled(text: string): NodeConfig {
  const result = compileNodeFile(`node: gw1\n${text}\n`, "gw1.yaml", protocols);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
  return result.node;
}

function driven(text: string) {
  const config = compiled(text);
  const said: string[] = [];
  const log = new Log();
  log.follow({
    everything: false,
    read: ({ what }) => {
      if (what.kind === "event" && what.event.type === "ip.addresses") said.push(JSON.stringify(what.event));
    },
  });
  const host = { apply: () => {}, wake: () => {} };
  const node = new Node({ name: "gw1", id: 0, seed: 1, mac: () => "02:00:00:00:00:01" as Mac }, host, log);
  const real = protocols.map((one) => (one.drive === undefined ? one : { ...one, mount: one.drive }));
  node.mount(machinesOf(real, config, node));
  return { node, said };
}

describe("a pair's node on a real host", () => {
  it("uses the interfaces of both paths and of its bundles; the kernel's stack is below its own", () => {
    expect(driven(`${MLAG}\n${VRRP}`).node.wires().sort()).toEqual(["e0", "ka", "kernel/ip", "p1", "peer"]);
  });

  it("without a pair has no stack of its own, whatever interfaces a file has", () => {
    const { node } = driven(`${VRRP}\ninterfaces: { e0: { addresses: [192.0.2.2/24], forwarding: false } }`);
    expect(node.wires().sort()).toEqual(["e0", "ip"]);
    expect(node.machine("ip")).toBeUndefined();
  });

  it("says its address in the control VLAN; those of the keepalive's interface are its host's to say", () => {
    const { node, said } = driven(MLAG);
    for (const name of node.wires()) {
      node.attach(node.port(name), { transmit: () => {} });
      node.step({ kind: "link", port: node.port(name), up: true }, instant(0));
    }
    node.step({ kind: "command", to: "*", command: { verb: "start" } }, instant(1));
    expect(said.map((text) => JSON.parse(text))).toEqual([
      expect.objectContaining({ port: "peer.4094", up: true, addresses: ["fe80::4d4c:a:a63:1/64"] }),
    ]);
  });

  it("hears the control VLAN of the peer link only, the keepalive on its port only, and of others what it did", () => {
    const heard = listeningsOf(protocols, compiled(`${MLAG}\n${VRRP}`)).map(
      ({ on = "all", vlan = 0, ethertype, protocol = 0, datagrams }) =>
        `${on} ${vlan} ${ethertype.toString(16)} ${protocol} ${datagrams === undefined ? "" : Object.values(datagrams)}`,
    );
    expect(heard).toEqual([
      "all 0 8809 0 ",
      "peer 4094 86dd 58 ",
      "peer 4094 86dd 6 ",
      "ka 0 806 0 ",
      "ka 0 800 17 10.99.0.1,3200",
      "all 0 800 112 ",
      "all 0 86dd 112 ",
    ]);
  });

  it.each([
    [
      "a peer link that is a bundle: of all its links",
      MLAG.replaceAll("peer-link: peer", "peer-link: agg2")
        .replace("ports: [agg1, peer]", "ports: [agg1, agg2]")
        .replace("lacp: [", "lacp: [{ name: agg2, members: [x1, x2] }, "),
      ["ka", "x1", "x2"],
      ["86dd 33:33:ff:63:00:01", "86dd ", "86dd 33:33:ff:63:00:01", "86dd ", "806 ", "800 "],
    ],
    [
      "IPv6",
      MLAG.replace("10.99.0.1/30, peer: 10.99.0.2", "2001:db8::1/64, peer: 2001:db8::2"),
      ["ka", "peer"],
      ["86dd 33:33:ff:00:00:01", "86dd ", "86dd 33:33:ff:00:00:01", "86dd "],
    ],
    [
      "a session over IPv4",
      `${MLAG}\n  session: { address: 169.254.1.1/30, peer: 169.254.1.2 }`,
      ["ka", "peer"],
      ["806 ", "800 ", "806 ", "800 "],
    ],
  ])("%s", (_, text, ports, wanted) => {
    const heard = listeningsOf(protocols, compiled(text)).filter(({ on }) => on !== undefined);
    expect([...new Set(heard.map(({ on }) => on))].sort()).toEqual(ports);
    expect(heard.map(({ ethertype, groups }) => `${ethertype.toString(16)} ${groups.join()}`)).toEqual(wanted);
  });
});
