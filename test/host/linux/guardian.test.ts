import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ipBytes, type Mac, macBytes, parseIp } from "../../../src/core/addr.ts";
import { ms } from "../../../src/core/time.ts";
import type { Holding, Undo } from "../../../src/host/linux/holdings.ts";
import { Daemon, HAS_NFT, indexOf, lacking, Peer, runs, setting, sh, state, until } from "./guarded.ts";

const MISSING = lacking();
/** Of the two namespaces: the host that is killed, and its peer. */
const HOST = `hpgd${process.pid}a`;
const PEER = `hpgd${process.pid}b`;
/** IEEE 802, "local experimental EtherType 1". */
const FAREWELL = 0x88b5;
const VIRTUAL_MAC = "00:00:5e:00:01:07" as Mac;
/** Of the device with the virtual MAC, and of the interface itself. */
const ON_DEVICE = "192.0.2.107";
const ON_INTERFACE = "192.0.2.108";
/** RFC 3692: for experiments. */
const PROTOCOL = 253;
/** What an MLD message begins with: RFC 3810 §5. */
const HOP_BY_HOP = 0;
const ARP_IGNORE = "ipv4/conf/g0/arp_ignore";

const octets = (ip: string) => ipBytes(parseIp(ip) as NonNullable<ReturnType<typeof parseIp>>);

/** An Ethernet frame of `kind`, and beyond it which router and which priority. */
function advert(router: number, priority: number): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set(macBytes("01:00:5e:00:00:12" as Mac), 0);
  frame.set(macBytes(VIRTUAL_MAC), 6);
  frame.set([FAREWELL >> 8, FAREWELL & 0xff, router, priority], 12);
  return frame;
}

const isAdvert = (router: number, priority: number) => (frame: Uint8Array) =>
  frame[12] === FAREWELL >> 8 && frame[14] === router && frame[15] === priority;

/** RFC 826: who has this address? */
function question(address: string): Uint8Array {
  const frame = new Uint8Array(42);
  frame.fill(0xff, 0, 6);
  frame.set(macBytes("02:00:00:00:00:02" as Mac), 6);
  frame.set([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1], 12);
  frame.set(macBytes("02:00:00:00:00:02" as Mac), 22);
  frame.set(octets("192.0.2.2"), 28);
  frame.set(octets(address), 38);
  return frame;
}

const isAnswer = (address: string) => {
  const wanted = octets(address);
  return (frame: Uint8Array) =>
    frame[13] === 0x06 && frame[21] === 2 && wanted.every((one, i) => frame[28 + i] === one);
};

/** RFC 3810 §5.2.12: a report in which a group is left, CHANGE_TO_INCLUDE_MODE with no sources. */
function leavesGroup(frame: Uint8Array): boolean {
  const at = 14 + 40 + 8;
  if (frame[12] !== 0x86 || frame[at] !== 143) return false;
  const records = frame[at + 7] ?? 0;
  return Array.from({ length: records }, (_, i) => frame[at + 8 + 20 * i]).includes(3);
}

/** RFC 791 §3.1, RFC 8200 §3: a header alone; the kernel fills in IPv4's checksum. */
function packet(from: string, to: string): Uint8Array {
  const six = to.includes(":");
  const bytes = new Uint8Array(six ? 40 : 20);
  bytes.set(six ? [0x60, 0, 0, 0, 0, 0, PROTOCOL, 255] : [0x45, 0, 0, 20, 0, 0, 0, 0, 255, PROTOCOL], 0);
  bytes.set(octets(from), six ? 8 : 12);
  bytes.set(octets(to), six ? 24 : 16);
  return bytes;
}

/** The holding of a router: the device with its address, or the plain address of the interface. */
function holding(router: number, within: number): Holding {
  const g0 = indexOf(HOST, "g0");
  const device = indexOf(HOST, "gm0");
  const length = 32;
  const undo: readonly Undo[] =
    router === 7
      ? [
          { kind: "address", index: device, address: octets(ON_DEVICE), length },
          { kind: "link", index: device, name: "gm0" },
          { kind: "sysctl", path: ARP_IGNORE, value: "0" },
          ...(HAS_NFT ? [{ kind: "firewall", text: "delete table inet hpgd" } as const] : []),
        ]
      : [
          { kind: "address", index: g0, address: octets(ON_INTERFACE), length },
          { kind: "sysctl", path: ARP_IGNORE, value: "0" },
        ];
  return {
    key: `router ${router}`,
    index: g0,
    farewell: [advert(router, 0)],
    successor: [
      { offset: 14, octet: router },
      { offset: 15, octet: 0, not: true },
    ],
    within: ms(within),
    wanted: [{ ethertype: FAREWELL, groups: [macBytes("01:00:5e:00:00:12" as Mac)] }],
    undo,
  };
}

/** Does to the host what a daemon does that becomes master of both. */
function take(): void {
  sh(`
    ip -n ${HOST} link add gm0 link g0 address ${VIRTUAL_MAC} type macvlan mode private
    ip -n ${HOST} addr add ${ON_DEVICE}/32 dev gm0
    ip -n ${HOST} link set gm0 up
    ip -n ${HOST} addr add ${ON_INTERFACE}/32 dev g0
    ip netns exec ${HOST} sh -c 'echo 1 > /proc/sys/net/${ARP_IGNORE}'`);
  if (HAS_NFT)
    sh(`ip netns exec ${HOST} nft 'table inet hpgd { chain input { type filter hook input priority 0; }; }'`);
}

describe.skipIf(MISSING !== undefined)(`the guardian${MISSING === undefined ? "" : ` (skipped: ${MISSING})`}`, () => {
  const daemons: Daemon[] = [];
  let peer: Peer;
  let before = "";

  beforeAll(() => {
    const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
    spawnSync(process.execPath, [join(root, "cli/setup.mjs")], { stdio: "ignore" });
  });

  beforeEach(() => {
    sh(`
      ip netns add ${HOST}
      ip netns add ${PEER}
      ip -n ${HOST} link add g0 type veth peer name g0 netns ${PEER}
      for ns in ${HOST} ${PEER}; do
        ip netns exec $ns sh -c 'echo 1 > /proc/sys/net/ipv6/conf/g0/disable_ipv6'
        ip -n $ns link set g0 up
      done
      ip -n ${HOST} addr add 192.0.2.1/24 dev g0
      ip -n ${PEER} addr add 192.0.2.2/24 dev g0`);
    before = state(HOST);
    take();
    peer = new Peer(PEER, "g0", [
      { ethertype: FAREWELL, groups: [macBytes("01:00:5e:00:00:12" as Mac)] },
      { ethertype: 0x0806, groups: [] },
      { ethertype: 0x0800, protocol: PROTOCOL, groups: [] },
      { ethertype: 0x86dd, protocol: PROTOCOL, groups: [] },
    ]);
  });

  afterEach(() => {
    for (const daemon of daemons.splice(0)) daemon.clear();
    peer.close();
    for (const ns of [HOST, PEER]) spawnSync("ip", ["netns", "del", ns]);
  });

  afterAll(() => {
    for (const ns of [HOST, PEER]) spawnSync("ip", ["netns", "del", ns]);
  });

  function daemon(...holdings: readonly Holding[]): Daemon {
    const one = new Daemon(HOST, holdings);
    daemons.push(one);
    return one;
  }

  /** The MAC with which the host answers for the address. */
  async function answered(address: string): Promise<Uint8Array> {
    peer.heard.length = 0;
    peer.send(question(address));
    const { frame } = await peer.hears(isAnswer(address));
    return frame.subarray(22, 28);
  }

  test("survives SIGKILL to the daemon's process group and descendants: peers are told at once, the address is \
answered until the successor is heard, then nothing is left", async () => {
    const one = daemon(holding(7, 30_000), holding(8, 30_000));
    await one.says("held");
    peer.heard.length = 0;
    one.killAll();
    await Promise.all([peer.hears(isAdvert(7, 0)), peer.hears(isAdvert(8, 0))]);
    // The virtual MAC answers for the virtual address.
    expect(await answered(ON_DEVICE)).toEqual(macBytes(VIRTUAL_MAC));
    await answered(ON_INTERFACE);
    // Neither a farewell of somebody else nor another router's advert is a successor.
    await until(() => {
      // A master goes on saying so.
      for (const frame of [advert(7, 0), advert(9, 100), advert(8, 100)]) peer.send(frame);
      return !state(HOST).includes(ON_INTERFACE);
    });
    expect(await answered(ON_DEVICE)).toEqual(macBytes(VIRTUAL_MAC));
    // What both have in common stays as long as one of them.
    expect(setting(HOST, ARP_IGNORE)).toBe("1");
    peer.send(advert(7, 1));
    await until(() => one.over);
    expect(state(HOST)).toBe(before);
    expect(one.errors).toContain(
      "2 holdings are given back: 2 to a successor that was heard, 0 when their time was over",
    );
  });

  test("without a successor everything is given back when its time is over, not before", async () => {
    const one = daemon(holding(7, 400), holding(8, 1));
    await one.says("held");
    const killed = performance.now();
    one.killAll();
    await until(() => !state(HOST).includes(ON_INTERFACE));
    await answered(ON_DEVICE);
    await until(() => one.over);
    expect(performance.now() - killed).toBeGreaterThanOrEqual(398);
    expect(state(HOST)).toBe(before);
    expect(one.errors).toContain("0 to a successor that was heard, 2 when their time was over");
  });

  test("peers with an address of their own are told by packets, IPv4 and IPv6, link-local too", async () => {
    for (const [ns, address] of [
      [HOST, "fe80::1/64"],
      [PEER, "fe80::2/64"],
    ]) {
      sh(`
        ip netns exec ${ns} sh -c 'echo 0 > /proc/sys/net/ipv6/conf/g0/disable_ipv6'
        ip -n ${ns} addr add ${address} dev g0 nodad`);
    }
    const packets = [
      { family: "ipv4", destination: octets("192.0.2.2"), bytes: packet("192.0.2.1", "192.0.2.2") } as const,
      { family: "ipv6", destination: octets("fe80::2"), bytes: packet("fe80::1", "fe80::2") } as const,
    ];
    const one = daemon({ ...holding(8, 1), farewell: [], packets });
    await one.says("held");
    one.killAll();
    const [four, six] = await Promise.all([
      peer.hears((frame) => frame[12] === 0x08 && frame[13] === 0x00),
      peer.hears((frame) => frame[12] === 0x86),
    ]);
    expect(four.frame.subarray(14 + 12, 14 + 20)).toEqual(packet("192.0.2.1", "192.0.2.2").subarray(12));
    expect(six.frame.subarray(14, 14 + 40)).toEqual(packet("fe80::1", "fe80::2"));
    await until(() => one.over);
  });

  test("devices whose time is over together are removed together, and no other", async () => {
    for (const name of ["gm2", "gm3", "gm4"]) sh(`ip -n ${HOST} link add ${name} link g0 type macvlan`);
    const link = (name: string): Undo => ({ kind: "link", index: indexOf(HOST, name), name });
    const one = daemon({ ...holding(7, 1), undo: [...holding(7, 1).undo, link("gm2"), link("gm3")] }, holding(8, 1));
    await one.says("held");
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toContain("gm4");
    sh(`ip -n ${HOST} link del gm4`);
    expect(state(HOST)).toBe(before);
  });

  test("IPv6 addresses go without a word from their virtual MACs, which a bridge would learn from it", async () => {
    // So many that the kernel would have said it before the last device is gone.
    const groups = [macBytes("33:33:00:00:00:16" as Mac)];
    const bridge = new Peer(PEER, "g0", [{ ethertype: 0x86dd, protocol: HOP_BY_HOP, groups }]);
    const names = Array.from({ length: 60 }, (_, i) => `gs${i}`);
    for (const [i, name] of names.entries()) {
      const low = (i + 1).toString(16).padStart(2, "0");
      sh(`
        ip -n ${HOST} link add ${name} link g0 address 00:00:5e:00:02:${low} type macvlan mode private
        ip netns exec ${HOST} sh -c 'echo 1 > /proc/sys/net/ipv6/conf/${name}/addr_gen_mode'
        ip -n ${HOST} link set ${name} up
        ip -n ${HOST} addr add fe80::${low}/64 dev ${name} nodad`);
    }
    const undo = names.flatMap((name, i): readonly Undo[] => {
      const index = indexOf(HOST, name);
      const address = octets(`fe80::${(i + 1).toString(16)}`);
      return [
        { kind: "address", index, address, length: 64 },
        { kind: "link", index, name },
      ];
    });
    const one = daemon({ ...holding(7, 1), undo: [...undo, ...holding(7, 1).undo] }, holding(8, 1));
    await one.says("held");
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toBe(before);
    bridge.close();
    expect(bridge.heard.length).toBeGreaterThan(0);
    expect(bridge.heard.filter(({ frame }) => leavesGroup(frame))).toEqual([]);
  });

  test("sees the daemon's death although its other children live on", async () => {
    const one = daemon(holding(7, 1), holding(8, 1));
    await one.says("held");
    one.kill();
    await until(() => one.over);
    expect(one.hooks.every(runs)).toBe(true);
    expect(state(HOST)).toBe(before);
  });

  test("goodbye leaves everything as it is, without a farewell", async () => {
    const one = daemon(holding(7, 1), holding(8, 1));
    await one.says("held");
    const held = state(HOST);
    one.tell("goodbye");
    await until(() => one.over);
    expect(one.lines.at(-1)).toBe("left");
    expect(one.errors).toBe("");
    expect(state(HOST)).toBe(held);
    expect(peer.heard.some(({ frame }) => frame[12] === 0x88)).toBe(false);
  });

  test("what is no longer held is not given back", async () => {
    const one = daemon(holding(7, 1), holding(8, 1));
    await one.says("held");
    one.tell("drop router 7");
    await one.says("dropped");
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toContain(ON_DEVICE);
    expect(state(HOST)).not.toContain(ON_INTERFACE);
    expect(peer.heard.some(({ frame }) => isAdvert(7, 0)(frame))).toBe(false);
  });

  test("a guardian that is killed is missed, and the next one holds the same", async () => {
    const one = daemon(holding(7, 1), holding(8, 1));
    await one.says("held");
    const [first = 0] = one.guardians;
    process.kill(first, "SIGKILL");
    await until(() => one.guardians.length === 2);
    expect(one.errors).toContain(`${first} is gone: a crash would leave 2 holdings behind`);
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toBe(before);
  });

  test("ignores what a terminal or a service manager sends to a whole group", async () => {
    const one = daemon(holding(7, 1), holding(8, 1));
    await one.says("held");
    const [guardian = 0] = one.guardians;
    for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) process.kill(guardian, signal);
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toBe(before);
  });

  test("a daemon that starts again waits until what its predecessor held is given back", async () => {
    const one = daemon(holding(7, 500), holding(8, 500));
    await one.says("held");
    one.killAll();
    const next = daemon();
    await next.says("held");
    expect(state(HOST)).toBe(before);
    expect(next.errors).toContain("to give back what an earlier process held");
  });

  test("a device that no longer has its name is left alone: its index may have come to belong to another", async () => {
    const one = daemon(holding(7, 1));
    await one.says("held");
    sh(`ip -n ${HOST} link set gm0 name gm1`);
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toContain("gm1");
    expect(state(HOST)).not.toContain(ON_DEVICE);
  });

  test("IPv6 addresses of a device that no longer has its name are taken off it", async () => {
    sh(`ip -n ${HOST} addr add fe80::7/64 dev gm0 nodad`);
    const address: Undo = { kind: "address", index: indexOf(HOST, "gm0"), address: octets("fe80::7"), length: 64 };
    const one = daemon({ ...holding(7, 1), undo: [address, ...holding(7, 1).undo] });
    await one.says("held");
    sh(`ip -n ${HOST} link set gm0 name gm1`);
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toContain("gm1");
    expect(state(HOST)).not.toContain("fe80::7/");
  });

  test("what cannot be undone is said, the rest is done", async () => {
    const [seven, eight] = [holding(7, 1), holding(8, 1)];
    const bad: Undo = { kind: "firewall", text: "delete table inet nosuch" };
    const one = daemon({ ...seven, index: 4_711, undo: [bad, ...seven.undo] }, eight);
    await one.says("held");
    one.killAll();
    await until(() => one.over);
    expect(state(HOST)).toBe(before);
    expect(one.errors).toContain("the farewell of router 7 does not leave: sendto: ENXIO");
    expect(one.errors).toContain("firewall rules stay behind: nft");
  });
});
