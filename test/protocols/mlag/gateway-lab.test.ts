/** Two switches of a pair as gateways of two VLANs, in whole labs: who routes what, and what crosses the peer link. */
import { describe, expect, it } from "vitest";
import { decodeArp } from "../../../protocols/arp/codec.ts";
import { protocols } from "../../../protocols/index.ts";
import { decodeIp, type IpPacket, PROTOCOL } from "../../../protocols/ip/codec.ts";
import type { Frame } from "../../../src/core/frame.ts";
import { LabRun } from "../../../src/host/sim/lab-run.ts";
import { compileLab } from "../../../src/host/sim/topology.ts";

interface Options {
  readonly script?: readonly string[];
  readonly traffic?: readonly string[];
  readonly mlag?: string;
  readonly vrrp?: string;
  /** Gateway of the hosts, instead of the virtual address. */
  readonly via?: string;
  readonly end?: string;
  /** Called with every frame that a node puts on a wire. */
  readonly sent?: (node: string, port: string, frame: Frame, seconds: number) => void;
}

/** ICMP, UDP, ICMPv6; and no frame of anything else is as long as a flow's here. */
const FLOWS: ReadonlySet<number> = new Set([PROTOCOL.icmp, PROTOCOL.udp, PROTOCOL.icmpv6]);
const FLOW_SIZE = 200;
const HOSTS = { a1: 1, a2: 2, b1: 3, b2: 4 } as const;

function text(options: Options): string {
  const { mlag = "", vrrp = "interval: 200ms", via, script = [], traffic = [], end = "12s" } = options;
  const router = (n: number, vlan: number, addresses: string) =>
    `{ interface: vlan${vlan}, vrid: ${vlan}, priority: ${200 - 50 * n}, ${vrrp}, addresses: [${addresses}] }`;
  const node = (n: 1 | 2) => `
  sw${n}:
    bridge:
      vlans:
        10: { untagged: [agg1, agg2, o10], tagged: [peer] }
        20: { untagged: [agg3, agg4], tagged: [peer] }
    lacp: [${[1, 2, 3, 4].map((id) => `{ name: agg${id}, members: [p${id}], rate: fast }`).join(", ")}]
    mlag:
      domain: 10
      priority: ${n * 100}
      peer-link: peer
      keepalive: { port: ka, address: 10.99.0.${n}/30, peer: 10.99.0.${3 - n} }
      members: [${[1, 2, 3, 4].map((id) => `{ port: agg${id}, id: ${id} }`).join(", ")}]
      restore-delay: 1s
      ${mlag}
    interfaces:
      vlan10: { addresses: [10.0.10.${n + 1}/24, "2001:db8:10::${n + 1}/64"] }
      vlan20: { addresses: [10.0.20.${n + 1}/24, "2001:db8:20::${n + 1}/64"] }
    vrrp:
      - ${router(n, 10, "10.0.10.1/24")}
      - ${router(n, 20, "10.0.20.1/24")}
      - ${router(n, 10, '"fe80::10:1/64", "2001:db8:10::1/64"')}
      - ${router(n, 20, '"fe80::20:1/64", "2001:db8:20::1/64"')}`;
  const host = ([name, id]: readonly [string, number]) => {
    const vlan = id <= 2 ? 10 : 20;
    const [four, six] =
      via === undefined ? [`10.0.${vlan}.1`, `fe80::${vlan}:1`] : [`10.0.${vlan}.${via}`, `2001:db8:${vlan}::${via}`];
    const addresses = `10.0.${vlan}.1${id}/24, "2001:db8:${vlan}::1${id}/64"`;
    return `
  ${name}:
    lacp: [{ name: bond0, members: [e1, e2], rate: fast, hash: layer3+4 }]
    interfaces: { bond0: { addresses: [${addresses}], gateway: [${four}, "${six}"] } }`;
  };
  const links = Object.entries(HOSTS).flatMap(([name, id]) =>
    [1, 2].map((n) => `  - { id: ${name}-${n}, ends: [${name}:e${n}, sw${n}:p${id}], delay: 5us, rate: 10Gbps }`),
  );
  const list = (key: string, lines: readonly string[]) =>
    lines.length === 0 ? "" : `${key}:\n${lines.map((line) => `  - ${line}`).join("\n")}\n`;
  return `
name: gateways
nodes:${node(1)}${node(2)}${Object.entries(HOSTS).map(host).join("")}
  o: { interfaces: { eth0: { addresses: [10.0.10.99/24], gateway: 10.0.10.1 } } }
links:
${links.join("\n")}
  - { id: peer, ends: [sw1:peer, sw2:peer], delay: 1us, rate: 40Gbps }
  - { id: ka, ends: [sw1:ka, sw2:ka], delay: 200us }
  - { id: o, ends: [o:eth0, sw2:o10], delay: 5us, rate: 1Gbps }
${list("traffic", traffic)}${list("script", [...script, `{ at: ${end}, heal: o }`])}`;
}

function run(options: Options) {
  const compiled = compileLab(text(options), "lab.yaml", protocols);
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join("\n"));
  const one = new LabRun(compiled.lab, protocols);
  const { sent } = options;
  const events: string[] = [];
  one.log.follow({
    everything: sent !== undefined,
    read: ({ at, node, way, what }) => {
      if (way === "out" && what.kind === "send") sent?.(node, what.port.name, what.frame, at / 1e6);
      if (what.kind === "event" && (what.event.type.startsWith("mlag.") || what.event.type.startsWith("vrrp.")))
        events.push(`${at / 1e6} ${node} ${JSON.stringify(what.event)}`);
    },
  });
  one.start();
  one.run();
  const result = one.finish();
  return { result, events };
}

function packetOf(frame: Frame): IpPacket | undefined {
  if (frame.header.type !== 0x0800 && frame.header.type !== 0x86dd) return undefined;
  const packet = decodeIp(frame.bytes.subarray(frame.payload));
  return packet.ok ? packet.value : undefined;
}

function flow(id: string, from: string, to: string, rate: number, start: string, stop: string): string {
  return `{ id: ${id}, from: ${from}, to: "${to}", rate: ${rate}pps, size: 200, start: ${start}, stop: ${stop} }`;
}

/** UDP flows between the VLANs and back, in both families. */
function across(start: string, stop: string): string[] {
  const pairs = [
    ["a1", "b1"],
    ["a2", "b2"],
    ["b1", "a2"],
    ["b2", "a1"],
  ] as const;
  return pairs.flatMap(([from, to]) => {
    const id = HOSTS[to];
    const vlan = id <= 2 ? 10 : 20;
    return [
      flow(`${from}-${to}`, from, `10.0.${vlan}.1${id}`, 500, start, stop),
      flow(`${from}-${to}-6`, from, `2001:db8:${vlan}::1${id}`, 500, start, stop),
    ];
  });
}

/** Frames that a node puts on the peer link, of flows alone: "10.0.10.11 > 10.0.20.13 64". */
function watch(from = 0) {
  const crossing = new Map<string, number>();
  const routed = new Map<string, number>();
  return {
    crossing,
    routed,
    sent(node: string, port: string, frame: Frame, seconds: number) {
      if (seconds < from) return;
      const packet = packetOf(frame);
      if (packet === undefined || !FLOWS.has(packet.protocol) || frame.size < FLOW_SIZE) return;
      const note = (of: Map<string, number>, key: string) => of.set(key, (of.get(key) ?? 0) + 1);
      if (port === "peer") note(crossing, `${packet.source} > ${packet.destination} ${packet.ttl}`);
      if (/^p\d$/.test(port)) note(routed, `${node} ${packet.ttl}`);
    },
  };
}

function losses({ result }: ReturnType<typeof run>): string[] {
  return result.flows
    .filter(({ lost, duplicated, reordered }) => lost + duplicated + reordered > 0)
    .map(({ id, lost, duplicated, reordered }) => `${id}: ${lost} lost, ${duplicated} twice, ${reordered} late`);
}

describe("M65: while both halves of all M-LAGs are up", () => {
  it("packets across VLANs are routed by the switch that gets them, once, and never cross the peer link", () => {
    const { crossing, routed, sent } = watch(5);
    const done = run({ traffic: across("5s", "10s"), sent });
    expect(losses(done)).toEqual([]);
    expect([...crossing]).toEqual([]);
    // Both switches have a share in it, and nobody has taken more than one from a TTL of 64.
    expect([...routed.keys()].sort()).toEqual(["sw1 63", "sw2 63"]);
    expect([...routed.values()].reduce((sum, count) => sum + count)).toBe(8 * 2500);
  });

  it.each(["2", "3"])("the same for hosts whose gateway is the address .%s of one switch", (via) => {
    const { crossing, routed, sent } = watch(5);
    expect(losses(run({ traffic: across("5s", "10s"), via, sent }))).toEqual([]);
    expect([...crossing]).toEqual([]);
    expect([...routed.keys()].sort()).toEqual(["sw1 63", "sw2 63"]);
  });

  it("with `gateway: master-only` the master routes all, and half of it takes the detour", () => {
    const { crossing, routed, sent } = watch(5);
    const done = run({ traffic: across("5s", "10s"), mlag: "gateway: master-only", sent });
    expect(losses(done)).toEqual([]);
    expect([...routed.keys()]).toEqual(["sw1 63"]);
    expect([...crossing.keys()].every((key) => key.endsWith(" 64"))).toBe(true);
    expect(crossing.size).toBeGreaterThan(1);
  });

  it("the virtual addresses of both VLANs answer an echo through either switch; only requests cross, unchanged", () => {
    const { crossing, sent } = watch(5);
    const traffic = Object.keys(HOSTS).flatMap((host) =>
      [10, 20].flatMap((vlan) => [
        flow(`${host}-${vlan}`, host, `10.0.${vlan}.1`, 100, "5s", "10s"),
        flow(`${host}-${vlan}-6`, host, `2001:db8:${vlan}::1`, 100, "5s", "10s"),
      ]),
    );
    expect(losses(run({ traffic, sent }))).toEqual([]);
    const keys = [...crossing.keys()];
    expect(keys.length).toBeGreaterThan(3);
    expect(keys.every((key) => /^\S+ > (?:10\.0\.[12]0\.1|2001:db8:[12]0::1) 64$/.test(key))).toBe(true);
  });

  it("who asks for the virtual address gets one answer, of the master, whichever switch the question came to", () => {
    const answers: string[] = [];
    const asked: string[] = [];
    run({
      traffic: [...across("5s", "6s"), "{ id: o, from: o, to: 10.0.10.1, rate: 10pps, size: 64, start: 5s, stop: 6s }"],
      sent(node, port, frame, seconds) {
        if (frame.header.type !== 0x0806 || seconds < 5) return;
        const arp = decodeArp(frame.bytes, frame.payload);
        if (!arp.ok) return;
        const { operation, senderIp, targetIp } = arp.value;
        const virtual = (ip: string) => /^10\.0\.[12]0\.1$/.test(ip);
        // Hosts speak, and the orphan; what bridges pass on is not counted.
        if (operation === 1 && virtual(targetIp) && !node.startsWith("sw")) asked.push(`${targetIp} ${node}`);
        if (operation !== 2 || !virtual(senderIp)) return;
        // The link to the one who asked: before the switches know where that is, an answer is flooded.
        const host = Object.entries(HOSTS).find(([, id]) => targetIp.endsWith(`.1${id}`));
        if (port === (host === undefined ? "o10" : `p${host[1]}`)) answers.push(`${senderIp} ${host?.[0] ?? "o"}`);
        if (node !== "sw1") expect(port).toBe("o10");
        expect(arp.value.senderMac).toMatch(/^00:00:5e:00:01:/);
      },
    });
    expect(asked.map((line) => line.split(" ")[1]).sort()).toEqual(["a1", "a2", "b1", "b2", "o"]);
    expect(answers.sort()).toEqual(asked.sort());
  });

  it("one half down: what the other routes, and what it cannot deliver itself, is not lost", () => {
    const script = [
      "{ at: 7s, cut: b1-1 }",
      "{ at: 8s, cut: a1-2 }",
      "{ at: 9s, heal: b1-1 }",
      "{ at: 10s, heal: a1-2 }",
    ];
    const done = run({ traffic: across("5s", "11s"), script });
    for (const { id, lost, duplicated } of done.result.flows) {
      // Issue: member cut ≤ 50 ms, which are 25 packets.
      expect([id, lost <= 25, duplicated]).toEqual([id, true, 0]);
    }
  });
});

describe("when a switch or the peer link is lost, VRRP at its default of 1 s", () => {
  const slow = { vrrp: "interval: 1s", traffic: across("6s", "19s") };

  it.each(["sw1", "sw2"])("%s without power: what the other got to route loses nothing, whoever was master", (node) => {
    const done = run({ ...slow, script: [`{ at: 8.001s, power-off: ${node} }`], end: "20s" });
    for (const flow of done.result.flows) expect([flow.id, flow.lost]).toEqual([flow.id, 0]);
    expect(done.events.filter((line) => line.includes('"to":"master"') && line.includes(" sw2 "))).toHaveLength(
      node === "sw1" ? 4 : 0,
    );
  });

  it("the master returns: nothing is lost and nothing comes twice", () => {
    const script = ["{ at: 8.001s, power-off: sw1 }", "{ at: 13s, power-on: sw1 }"];
    expect(losses(run({ ...slow, script, end: "20s" }))).toEqual([]);
  });

  it("the peer link is cut and healed: at most 300 ms of what the secondary had, nothing of the rest, nothing twice", () => {
    const done = run({ ...slow, script: ["{ at: 8s, cut: peer }", "{ at: 13s, heal: peer }"], end: "20s" });
    for (const { id, lost, duplicated } of done.result.flows)
      expect([id, lost <= 150, duplicated]).toEqual([id, true, 0]);
    expect(done.result.flows.filter(({ lost }) => lost === 0).length).toBeGreaterThanOrEqual(4);
  });

  it("the master hands over and takes back: nothing is lost", () => {
    const order = (verb: string) => `command: { node: sw1, vrrp: { verb: ${verb} } }`;
    const script = [`{ at: 8s, ${order("drain")} }`, `{ at: 13s, ${order("start")} }`];
    expect(losses(run({ ...slow, script, end: "20s" }))).toEqual([]);
  });
});
