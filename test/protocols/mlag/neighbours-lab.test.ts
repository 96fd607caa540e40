/** ARP and ND of a pair in a whole lab: whichever link a host picks, and whoever asks, nothing is lost: M46, M47. */
import { expect, it } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import type { IpNeighbour } from "../../../protocols/ip/events.ts";
import { LabRun } from "../../../src/host/sim/lab-run.ts";
import { compileLab } from "../../../src/host/sim/topology.ts";

const HOSTS = [1, 2, 3, 4];

function text(): string {
  const node = (n: number) => `
  sw${n}:
    bridge: { ports: [${HOSTS.map((id) => `agg${id}`).join(", ")}, peer] }
    lacp: [${HOSTS.map((id) => `{ name: agg${id}, members: [p${id}], rate: fast }`).join(", ")}]
    mlag:
      domain: 10
      priority: ${n * 100}
      peer-link: peer
      keepalive: { port: ka, address: 10.99.0.${n}/30, peer: 10.99.0.${3 - n} }
      members: [${HOSTS.map((id) => `{ port: agg${id}, id: ${id} }`).join(", ")}]
      restore-delay: 1s
    interfaces: { vlan1: { addresses: [10.0.0.${n}/24, "2001:db8::${n}/64"] } }`;
  const host = (id: number) => `
  h${id}:
    lacp: [{ name: bond0, members: [e1, e2], rate: fast, hash: layer3+4 }]
    interfaces: { bond0: { addresses: [10.0.0.1${id}/24, "2001:db8::1${id}/64"] } }`;
  const cables = HOSTS.flatMap((id) =>
    [1, 2].map((n) => `  - { id: h${id}-${n}, ends: [h${id}:e${n}, sw${n}:p${id}], delay: 5us, rate: 10Gbps }\n`),
  );
  const flow = (id: string, from: string, to: string, start: string) =>
    `  - { id: ${id}, from: ${from}, to: "${to}", rate: 200pps, size: 100, start: ${start} }\n`;
  const flows = HOSTS.flatMap((id) =>
    [1, 2].flatMap((n) => [
      flow(`h${id}-${n}`, `h${id}`, `10.0.0.${n}`, "6s"),
      flow(`h${id}-${n}-6`, `h${id}`, `2001:db8::${n}`, "6s"),
      flow(`${n}-h${id}`, `sw${n}`, `10.0.0.1${id}`, `${6 + n}s`),
      flow(`${n}-h${id}-6`, `sw${n}`, `2001:db8::1${id}`, `${6 + n}s`),
    ]),
  );
  return `
name: neighbours
nodes:${[1, 2].map(node).join("")}${HOSTS.map(host).join("")}
links:
${cables.join("")}  - { id: peer, ends: [sw1:peer, sw2:peer], delay: 1us, rate: 40Gbps }
  - { id: ka, ends: [sw1:ka, sw2:ka], delay: 200us }
traffic:
${flows.join("")}script:
  - { at: 12s, heal: ka }
`;
}

it("M46, M47: hosts and both switches find each other over either half, without loss, without echo of what the peer said", () => {
  const compiled = compileLab(text(), "lab.yaml", protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const run = new LabRun(compiled.lab, protocols);
  const heard: string[] = [];
  const offered: string[] = [];
  run.log.follow({
    everything: false,
    read: ({ node, what }) => {
      if (what.kind !== "event" || !["ip.neighbour", "mlag.neighbour"].includes(what.event.type)) return;
      const { type, address, mac, port, present } = what.event as unknown as IpNeighbour;
      expect([port, present]).toEqual(["vlan1", true]);
      ((type as string) === "ip.neighbour" ? heard : offered).push(`${node} ${address} ${mac}`);
    },
  });
  run.start();
  run.run();
  const { flows, violations } = run.finish();
  expect(violations).toEqual([]);
  expect(flows.filter(({ lost, duplicated, sent }) => lost + duplicated > 0 || sent === 0)).toEqual([]);
  // Each switch says a host once; and none of its own addresses, its peer's or of the paths between them.
  const addresses = HOSTS.flatMap((id) => [`10.0.0.1${id}`, `2001:db8::1${id}`]).sort();
  for (const node of ["sw1", "sw2"]) {
    const said = heard.filter((line) => line.startsWith(node)).map((line) => line.split(" ")[1]);
    expect(said.sort()).toEqual(addresses);
  }
  const other = { sw1: "sw2", sw2: "sw1" } as const;
  for (const line of offered) {
    const [node, address, mac] = line.split(" ");
    expect(heard).toContain(`${other[node as "sw1" | "sw2"]} ${address} ${mac}`);
  }
  expect(offered.length).toBeGreaterThan(0);
});
