/** Virtual routers with an IP stack under them, in the simulator: what hosts on the segment see of them. */
import { describe, expect, test } from "vitest";
import { arpFrame, arpRequest, decodeArp } from "../../../protocols/arp/codec.ts";
import { ipFrame, ipPacket } from "../../../protocols/ip/codec.ts";
import { ipProtocol } from "../../../protocols/ip/index.ts";
import { decodeNd, linkLayer, ndFrame, solicitation, solicitedNode } from "../../../protocols/nd/codec.ts";
import { protocol as vrrpProtocol } from "../../../protocols/vrrp/index.ts";
import { type VrrpTable, vrrpTable } from "../../../protocols/vrrp/view.ts";
import { BROADCAST, type Ip4, type Ip6, type Mac, macFrom, multicastMac } from "../../../src/core/addr.ts";
import { internetChecksum, setU16 } from "../../../src/core/bytes.ts";
import { Frame } from "../../../src/core/frame.ts";
import { Log } from "../../../src/core/log.ts";
import { type Command, type Machine, mount, type Port } from "../../../src/core/machine.ts";
import { NEVER } from "../../../src/core/time.ts";
import { Folded } from "../../../src/core/view.ts";
import { World } from "../../../src/host/sim/world.ts";
import type { NodeConfig } from "../../../src/node/protocol.ts";
import { packetOf } from "../../support/vrrp.ts";

const SECOND = 1e9;
const PROBE = "02:00:00:00:99:99" as Mac;
const VMAC = "00:00:5e:00:01:0a" as Mac;

interface Probing {
  readonly port: Port;
  readonly heard: Frame[];
}

type Send = Command & { readonly frame?: Frame };

/** Hears everything, and sends what it is told to. */
const probe: Machine<null, Probing, Send> = {
  name: "probe",
  ports: () => ({ uses: ["eth0"] }),
  init: (_, env) => ({ port: env.port("eth0"), heard: [] }),
  claims: () => true,
  step: (state, input) => {
    if (input.kind === "frame") state.heard.push(input.frame);
    const frame = input.kind === "command" ? input.command.frame : undefined;
    return frame === undefined ? [] : [{ kind: "send", port: state.port, frame }];
  },
  deadline: () => NEVER,
};

interface Lab {
  readonly world: World;
  readonly table: () => VrrpTable;
  /** Sends a frame into the segment and gives what is heard in the next 10 ms, adverts left out. */
  readonly ask: (frame: Frame) => Frame[];
  readonly run: (seconds: number) => void;
}

/** gw1 (150), gw2 (100) and a probe on one segment; `more` goes into both routers. */
function lab(more: object, nodes = ["gw1", "gw2"]): Lab {
  const log = new Log();
  const view = new Folded(vrrpTable);
  log.follow(view);
  const world = new World({ seed: 1, log });
  for (const [i, name] of nodes.entries()) {
    const interfaces = { eth0: { addresses: [`192.0.2.${i + 2}/24`, `fe80::${i + 2}/64`] } };
    const vrrp = [{ interface: "eth0", vrid: 10, priority: 150 - 50 * i, addresses: ["192.0.2.254/24"], ...more }];
    const config: NodeConfig = {
      node: name,
      interfaces: ipProtocol.schema?.parse(interfaces),
      vrrp: vrrpProtocol.schema?.parse(vrrp),
    };
    world.addNode(name, (node) => {
      node.mount(ipProtocol.mount?.(config["interfaces"] as never, config, node) ?? []);
      node.mount(vrrpProtocol.mount?.(config["vrrp"] as never, config, node) ?? []);
    });
  }
  world.addNode("probe", (node) => node.mount([mount(probe, null, node)]));
  const ends = [...nodes, "probe"].map((node) => ({ node, port: "eth0" }));
  world.addLink({ id: "lan", delay: 5_000, rate: 1e9 } as never, ends);
  world.start();
  const run = (seconds: number) => world.run(world.now + seconds * SECOND);
  const ask = (frame: Frame) => {
    const heard = (world.node("probe")?.machine("probe")?.state as Probing | undefined)?.heard ?? [];
    heard.length = 0;
    world.command({ verb: "command", node: "probe", to: "probe", command: { verb: "send", frame } as Send });
    run(0.01);
    return heard.filter((one) => one.header.type === 0x0806 || packetOf(one).protocol !== 112);
  };
  return { world, table: () => view.value, ask, run };
}

const states = ({ table }: Lab) => [...table().values()].map(({ node, state }) => `${node} ${state}`);

const whoHas = (target: string) => arpFrame(arpRequest(PROBE, "192.0.2.77" as Ip4, target as Ip4), BROADCAST);

function echo(to: string, mac: Mac): Frame {
  const payload = Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 1);
  setU16(payload, 2, internetChecksum(payload));
  const packet = ipPacket({ source: "192.0.2.77" as Ip4, destination: to as Ip4, protocol: 1, payload });
  return Frame.of(ipFrame(mac, PROBE, packet));
}

/** Answers a question for the probe's own address, so that replies can be sent to it. */
function introduce({ ask }: Lab): void {
  ask(arpFrame({ ...arpRequest(PROBE, "192.0.2.77" as Ip4, "192.0.2.2" as Ip4) }, BROADCAST));
}

/** Sources of the IP packets among the frames: a stack may ask for the sender's MAC besides. */
function packets(frames: readonly Frame[]): string[] {
  return frames.filter(({ header }) => header.type === 0x0800).map((frame) => packetOf(frame).source);
}

describe("neighbour functions", () => {
  test("80, 81 · RFC 9568 §8.1.2 · ARP for the virtual address: one reply, the master's, with the virtual MAC alone", () => {
    const net = lab({});
    net.run(5);
    expect(states(net)).toEqual(["gw1 master", "gw2 backup"]);
    const replies = net.ask(whoHas("192.0.2.254"));
    expect(replies).toHaveLength(1);
    const [reply] = replies;
    const arp = reply === undefined ? undefined : decodeArp(reply.bytes, reply.payload);
    expect(arp).toMatchObject({ ok: true, value: { operation: 2, senderMac: VMAC, senderIp: "192.0.2.254" } });
    expect(reply && macFrom(reply.bytes, 6)).toBe(VMAC);
  });

  test("82, 85 · RFC 9568 §8.2.2 · a solicitation for the virtual address: one answer, the master's, R set, virtual MAC", () => {
    const net = lab({ addresses: ["fe80::10/64"] });
    net.run(5);
    const target = "fe80::10" as Ip6;
    const around = { source: "fe80::77" as Ip6, destination: solicitedNode(target) };
    const answers = net.ask(ndFrame(solicitation(target, PROBE), around, multicastMac(around.destination), PROBE));
    expect(answers).toHaveLength(1);
    const [answer] = answers;
    const nd = answer === undefined ? undefined : decodeNd(packetOf(answer).payload);
    expect(nd).toMatchObject({ ok: true, value: { kind: "advertisement", target, router: true, solicited: true } });
    if (nd?.ok) expect(linkLayer(nd.value, "target-link-layer")).toBe("00:00:5e:00:02:0a");
  });

  test.each([
    [true, 1],
    [false, 0],
  ])(
    "87, 88 · RFC 9568 §6.4.3 · accept: %s answers %d of one echo request, and ARP all the same",
    (accept, replies) => {
      const net = lab({ accept });
      net.run(5);
      introduce(net);
      expect(net.ask(whoHas("192.0.2.254"))).toHaveLength(1);
      expect(packets(net.ask(echo("192.0.2.254", VMAC)))).toHaveLength(replies);
    },
  );

  test("89 · RFC 9568 §6.4.2, §6.4.3 · frames to the virtual MAC are taken by the master, dropped by the backup", () => {
    const net = lab({});
    net.run(5);
    introduce(net);
    expect(packets(net.ask(echo("192.0.2.2", VMAC)))).toEqual(["192.0.2.2"]);
    // The backup owns this address, but a frame to the virtual MAC is not for it; the master does not forward here.
    expect(packets(net.ask(echo("192.0.2.3", VMAC)))).toEqual([]);
  });

  test("after a takeover the new master answers, and the old one no longer", () => {
    const net = lab({});
    net.run(5);
    net.world.command({ verb: "command", node: "gw1", to: "vrrp", command: { verb: "stop" } });
    net.run(1);
    expect(states(net)).toEqual(["gw1 initialize", "gw2 master"]);
    expect(net.ask(whoHas("192.0.2.254"))).toHaveLength(1);
  });
});

describe("in the simulator", () => {
  test("71 · unicast peers elect a master through address resolution", () => {
    const net = lab({ peers: ["192.0.2.2", "192.0.2.3"] });
    net.run(10);
    expect(states(net)).toEqual(["gw1 master", "gw2 backup"]);
    net.world.command({ verb: "power-off", node: "gw1" });
    net.run(5);
    expect(states(net)).toEqual(["gw2 master"]);
  });

  test("97 · a backup that was paused for longer than the down interval does not take over from a living master", () => {
    const net = lab({});
    net.run(5);
    net.world.command({ verb: "pause", node: "gw2" });
    net.run(10);
    net.world.command({ verb: "resume", node: "gw2" });
    net.run(10);
    expect(states(net)).toEqual(["gw1 master", "gw2 backup"]);
  });

  test("97 · a master that was paused is replaced, and on its return yields or wins at once", () => {
    const net = lab({});
    net.run(5);
    net.world.command({ verb: "pause", node: "gw1" });
    net.run(5);
    expect(net.table().get("gw2 eth0 ipv4 10")?.state).toBe("master");
    net.world.command({ verb: "resume", node: "gw1" });
    net.run(0.1);
    expect(states(net)).toEqual(["gw1 master", "gw2 backup"]);
  });
});
