/** Two gateways that are wrong about each other in every way: no packet goes back and forth between them. */
import { expect, it } from "vitest";
import { bridgeSchema } from "../../../protocols/bridge/config.ts";
import { bridge } from "../../../protocols/bridge/machine.ts";
import { decodeIp, ipFrame, ipPacket } from "../../../protocols/ip/codec.ts";
import { interfacesSchema } from "../../../protocols/ip/config.ts";
import { ipMachine } from "../../../protocols/ip/machine.ts";
import type { Ip } from "../../../src/core/addr.ts";
import { Frame } from "../../../src/core/frame.ts";
import { Log } from "../../../src/core/log.ts";
import { type Event, mount } from "../../../src/core/machine.ts";
import { instant } from "../../../src/core/time.ts";
import { Node } from "../../../src/node/node.ts";
import { mac } from "../../support/probe.ts";

const VIRTUAL = mac("00:00:5e:00:01:0a");
const OWN = [mac("02:00:00:01:00:00"), mac("02:00:00:02:00:00")] as const;
const HOST = mac("02:00:00:00:00:99");
const VIP = "10.0.10.1" as Ip;
/** Of the test's packets: nobody here speaks it. */
const PROTOCOL = 253;

/** What one switch takes for true. */
interface Belief {
  readonly router: "master" | "backup" | "none";
  /** Whether its bridge has been told that the virtual MAC is its own. */
  readonly own: boolean;
  /** Whether it shares the virtual MAC, and the peer's. */
  readonly shares: boolean;
  /** Where its table has the virtual MAC. */
  readonly table: "own" | "peer" | "unknown";
}

const ROUTERS = [
  { router: "master", own: true },
  { router: "master", own: false },
  { router: "backup", own: false },
  { router: "none", own: false },
] as const;
const BELIEFS: readonly Belief[] = ROUTERS.flatMap((one) =>
  [true, false].flatMap((shares) => (["own", "peer", "unknown"] as const).map((table) => ({ ...one, shares, table }))),
);

function build(i: 0 | 1, { router, own: ownTold, shares, table }: Belief): Node {
  const own = OWN[i];
  const node = new Node({ name: `sw${i}`, id: i, seed: 1, mac: () => own }, { apply() {}, wake() {} }, new Log());
  const members = (vid: number) => ({ tagged: ["peer"], untagged: [`p${vid}`] });
  const interfaces = { vlan10: { addresses: [`10.0.10.${i + 2}/24`] }, vlan20: { addresses: [`10.0.20.${i + 2}/24`] } };
  node.mount([
    mount(bridge, bridgeSchema.parse({ vlans: { 10: members(10), 20: members(20) } }), node),
    mount(ipMachine, interfacesSchema.parse(interfaces), node),
  ]);
  const hear = (event: Event) => node.step({ kind: "heard", event }, instant(0));
  node.step({ kind: "command", to: "*", command: { verb: "start" } }, instant(0));
  for (const name of ["p10", "p20", "peer"]) node.step({ kind: "link", port: node.port(name), up: true }, instant(0));
  for (const name of ["p10", "p20"]) node.attach(node.port(name), { transmit() {} });
  hear({ type: "mlag.learning", port: "peer", learning: false } as Event);
  hear({ type: "mlag.mac", vlan: 10, mac: OWN[1 - i], port: "peer", present: true } as Event);
  if (router !== "none") {
    const wish = { type: "ip.virtual", port: "vlan10", vrid: 10, family: "ipv4", mac: VIRTUAL, accept: true };
    hear({ ...wish, addresses: [{ address: VIP, length: 24 }], present: router === "master" } as Event);
  }
  const of = { type: "mlag.gateway", port: "vlan10", peerLink: "peer", own: ownTold ? [VIRTUAL] : [] };
  const addresses = [VIP, `10.0.10.${3 - i}`, `10.0.20.${3 - i}`];
  const macs = ownTold ? [OWN[1 - i]] : [VIRTUAL, OWN[1 - i]];
  hear({ ...of, ...(shares ? { macs, addresses } : { macs: [], addresses: [] }) } as Event);
  if (table === "peer") hear({ type: "mlag.mac", vlan: 10, mac: VIRTUAL, port: "peer", present: true } as Event);
  return node;
}

/** The TTLs with which a packet of a host at the first switch crosses the peer link, in their order. */
function crossings(beliefs: readonly [Belief, Belief], link: string, destination: Ip): string[] {
  const nodes = [build(0, beliefs[0]), build(1, beliefs[1])] as const;
  const queue: { to: Node; frame: Frame }[] = [];
  const ttls: string[] = [];
  for (const [i, node] of nodes.entries()) {
    const to = nodes[i === 0 ? 1 : 0];
    node.attach(node.port("peer"), {
      transmit(frame) {
        const packet = decodeIp(frame.bytes.subarray(frame.payload));
        if (packet.ok && packet.value.protocol === PROTOCOL) ttls.push(`${node.node} ${packet.value.ttl}`);
        if (queue.length + ttls.length < 100) queue.push({ to, frame });
      },
    });
    if (beliefs[i]?.table === "own") {
      const advert = ipPacket({
        source: VIP,
        destination: "224.0.0.18" as Ip,
        protocol: 112,
        payload: new Uint8Array(8),
      });
      node.down(node.port("vlan10"), Frame.of(ipFrame(mac("01:00:5e:00:00:12"), VIRTUAL, advert)));
    }
  }
  queue.length = 0;
  const packet = ipPacket({ source: "10.0.10.99" as Ip, destination, protocol: PROTOCOL, payload: new Uint8Array(8) });
  const [first] = nodes;
  first.deliver(first.port("p10"), Frame.of(ipFrame(mac(link), HOST, packet)), instant(0));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    next.to.deliver(next.to.port("peer"), next.frame, instant(0));
  }
  return ttls;
}

it.each([
  ["the virtual address", VIP],
  ["an address of the first switch", "10.0.10.2" as Ip],
  ["an address of the second", "10.0.20.3" as Ip],
  ["a host in another VLAN", "10.0.20.99" as Ip],
  ["a host in the same VLAN", "10.0.10.98" as Ip],
  ["a network to which there is no way", "192.0.2.1" as Ip],
])("a packet for %s comes back over the peer link once at most, and then routed", (_what, destination) => {
  for (const link of [VIRTUAL, ...OWN]) {
    for (const a of BELIEFS) {
      for (const b of BELIEFS) {
        const ttls = crossings([a, b], link, destination);
        // The first has the packet routed before it crosses, or both: flooded as it came, and routed.
        const right = [[], ["sw0 64"], ["sw0 63"], ["sw0 64", "sw0 63"], ["sw0 64", "sw1 63"], ["sw0 63", "sw1 62"]];
        expect(right, JSON.stringify({ a, b, link, ttls })).toContainEqual(ttls);
      }
    }
  }
});

it("of two that believe each other master, neither is troubled by the other's packets", () => {
  const both = { router: "backup", own: false, shares: true, table: "unknown" } as const;
  expect(crossings([both, both], VIRTUAL, VIP)).toEqual(["sw0 64"]);
});
