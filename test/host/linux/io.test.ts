/** What carries frames, one promise for all: the packages themselves where they are installed, and stand-ins for the rest. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { protocols } from "../../../protocols/index.ts";
import { fromHex } from "../../../src/core/bytes.ts";
import { Log } from "../../../src/core/log.ts";
import { LinuxHost } from "../../../src/host/linux/host.ts";
import { IO_NAMES, type Io, type IoName, openIo, type PacketPort } from "../../../src/host/linux/io.ts";
import { type CapPackage, capIo, expressionOf } from "../../../src/host/linux/io-cap.ts";
import { frameOf, type RawSocketPackage, rawSocketIo } from "../../../src/host/linux/io-raw-socket.ts";
import { type Libc, openLibc } from "../../../src/host/linux/libc.ts";
import type { Wanted } from "../../../src/host/linux/packet.ts";
import { compileNodeFile } from "../../../src/node/node-file.ts";
import { within } from "../../interop/support/namespaces.ts";
import { indexOf, lacking, Peer, sh, until } from "./guarded.ts";

const ONE = `hpio${process.pid}a`;
const TWO = `hpio${process.pid}b`;
const GROUP = "01005e000012";
const WANTED: readonly Wanted[] = [
  { ethertype: 0x0800, protocol: 112, groups: [octets(GROUP)], joins: ["224.0.0.18" as never] },
];

function octets(text: string): Uint8Array {
  return fromHex(text) ?? new Uint8Array();
}

/** An IPv4 packet in a frame to the group; `id` tells one from another. */
function frame(id: number, { protocol = 112, tag = "", ttl = 255, host = 2 } = {}): Uint8Array {
  const hex = (value: number, digits = 2) => value.toString(16).padStart(digits, "0");
  const ip = `45c0001c${hex(id, 4)}0000${hex(ttl)}${hex(protocol)}0000c00002${hex(host)}e0000012${"00".repeat(8)}`;
  const bytes = octets(`${GROUP}02000000000${host}${tag}0800${ip}`);
  // RFC 791 §3.1: the kernel's stack looks at it before a raw socket gets the packet.
  const at = bytes.length - 28;
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += ((bytes[at + i] ?? 0) << 8) | (bytes[at + i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes.set([(~sum >>> 8) & 0xff, ~sum & 0xff], at + 10);
  return bytes;
}

const idOf = (bytes: Uint8Array) => ((bytes[18] ?? 0) << 8) | (bytes[19] ?? 0);

function backend(name: IoName): { readonly io: Io } | { readonly lacks: string } {
  const machine = lacking();
  const libc = openLibc();
  if (machine !== undefined || !libc.ok) return { lacks: machine ?? "no libc" };
  const opened = openIo(name, libc.libc);
  return opened.ok ? { io: opened.io } : { lacks: opened.message };
}

function build(): void {
  for (const ns of [ONE, TWO]) sh(`ip netns add ${ns}`);
  sh(`ip -n ${ONE} link add i0 type veth peer name i0 netns ${TWO}`);
  for (const [ns, host] of [[TWO, 2] as const, [ONE, 1] as const]) {
    sh(`ip -n ${ns} address add 192.0.2.${host}/24 dev i0; ip -n ${ns} link set i0 up`);
  }
}

function clear(): void {
  for (const ns of [ONE, TWO]) spawnSync("ip", ["netns", "del", ns]);
}

describe.each(IO_NAMES)("%s", (name) => {
  const found = backend(name);
  const lacks = "lacks" in found ? found.lacks : undefined;
  describe.skipIf(lacks !== undefined)(`on a wire${lacks === undefined ? "" : ` (skipped: ${lacks})`}`, () => {
    beforeAll(build);
    afterAll(clear);

    test("hears what is wanted with its IP header as it was, nothing else and nothing of its own; sends what it is given", async () => {
      if (!("io" in found)) throw new Error("skipped");
      const heard: Uint8Array[] = [];
      const below = { index: indexOf(ONE, "i0"), name: "i0" };
      const port = within(ONE, () => found.io.open(below, WANTED, (one) => heard.push(one)));
      const arp: Wanted = { ethertype: 0x0806, groups: [] };
      const peer = new Peer(TWO, "i0", [...WANTED, arp]);
      const neighbour = new Peer(ONE, "i0", []);
      try {
        if (port === undefined) throw new Error("not opened");
        // libpcap loses the first ones.
        await until(() => {
          peer.send(frame(1));
          return heard.some((one) => idOf(one) === 1);
        });
        peer.send(frame(2, { ttl: 254 }));
        peer.send(frame(3, { protocol: 17 }));
        peer.send(frame(4, { tag: "8100000a" }));
        expect(port.send(frame(5, { host: 1 }))).toBe(true);
        const announcement = octets(`ffffffffffff02000000000108060001${"08000604"}0001${"02".repeat(20)}`);
        expect(port.send(announcement)).toBe(true);
        await peer.hears((one) => one[12] === 0x08 && one[13] === 0x06);
        // What others of this host send: the guardian, a stack socket.
        neighbour.send(frame(8, { host: 1 }));
        await peer.hears((one) => idOf(one) === 8);
        expect(peer.heard.map((one) => one.frame[13])).toEqual([0x00, 0x06, 0x00]);
        const [own] = peer.heard;
        expect(own?.frame.subarray(14, 34)).toEqual(frame(5, { host: 1 }).subarray(14, 34));
        peer.send(frame(6));
        await until(() => heard.some((one) => idOf(one) === 6));
        // Whatever has a tag says so in its octets, or is not here.
        const untagged = heard.filter((one) => one[12] === 0x08 && idOf(one) !== 1);
        expect(untagged.map((one) => idOf(one))).toEqual([2, 6]);
        expect(untagged[0]?.subarray(14)).toEqual(frame(2, { ttl: 254 }).subarray(14));
        expect(untagged[0]?.subarray(0, 6)).toEqual(octets(GROUP));
        expect(port.refreshCounts()).toMatchObject({ received: heard.length, sent: 2 });
        expect(sh(`ip netns exec ${ONE} cat /proc/net/igmp`)).toMatch(/120000E0/i);
      } finally {
        peer.close();
        neighbour.close();
        port?.close();
      }
      expect(port.send(frame(7))).toBe(false);
      expect(sh(`ip netns exec ${ONE} cat /proc/net/igmp`)).not.toMatch(/120000E0/i);
    });

    test("counts what does not leave", () => {
      if (!("io" in found)) throw new Error("skipped");
      const below = { index: indexOf(ONE, "i0"), name: "i0" };
      const port = within(ONE, () => found.io.open(below, WANTED, () => undefined));
      if (port === undefined) throw new Error("not opened");
      try {
        const large = new Uint8Array(9_000);
        large.set(frame(1));
        large.set([0x23, 0x1a], 16);
        expect(port.send(large)).toBe(false);
        const { sent, refused } = port.refreshCounts();
        expect({ sent, refused: [...refused.values()] }).toEqual({ sent: 0, refused: [1] });
        expect([...refused.keys()][0]).toMatch(/EMSGSIZE|too long/i);
      } finally {
        port.close();
      }
    });
  });
});

const MISSING = lacking();
describe.skipIf(MISSING !== undefined)(`a host${MISSING === undefined ? "" : ` (skipped: ${MISSING})`}`, () => {
  beforeAll(build);
  afterAll(clear);

  test.each([
    [true, "closes what would not stand it when its interface goes down, and opens it when that is back", "oco"],
    [false, "leaves alone what stands it", "o"],
  ])("whileUp %s: %s", async (whileUp, _, told) => {
    const opened = openLibc();
    const compiled = compileNodeFile(
      "node: gw1\nvrrp: [{ interface: i0, vrid: 51, addresses: [192.0.2.254/24] }]",
      "gw1.yaml",
      protocols,
    );
    if (!opened.ok || !compiled.ok) throw new Error("no host");
    let story = "";
    const port: PacketPort = {
      index: indexOf(ONE, "i0"),
      send: () => true,
      refreshCounts: () => ({ received: 0, dropped: undefined, sent: 0, refused: new Map() }),
      close: () => {
        story += "c";
      },
    };
    const io: Io = {
      whileUp,
      open: () => {
        story += "o";
        return port;
      },
    };
    const host = within(ONE, () => {
      const { libc } = opened;
      const guard = () => undefined;
      const config = compiled.node;
      return new LinuxHost({ libc, io, log: new Log(), config, protocols, datapaths: () => [], guard });
    });
    const up = () => host.interfaces.named("i0")?.up;
    try {
      within(ONE, () => host.start());
      await until(() => up() === true);
      sh(`ip -n ${ONE} link set i0 down`);
      await until(() => up() === false);
      sh(`ip -n ${ONE} link set i0 up`);
      await until(() => up() === true);
      expect(story).toBe(told);
    } finally {
      host.close();
    }
  });
});

/** Sockets that do nothing; memberships are asked for by their numbers. */
function idleLibc(): Libc {
  const nothing = () => undefined;
  const idle: Partial<Libc> = {
    socket: () => 7,
    bind: nothing,
    setsockopt: nothing,
    close: nothing,
    send: nothing,
    pinned: (size) => ({ bytes: new Uint8Array(size), address: 0n }),
    watch: () => ({ restart: nothing, close: nothing }),
    getsockopt: (_fd, _level, _name, size) => new Uint8Array(size),
  };
  return idle as Libc;
}

describe("cap, by a stand-in", () => {
  function standIn(fails?: string) {
    const calls: string[] = [];
    const taps: { readonly heard: (length: number) => void; readonly buffer: Uint8Array }[] = [];
    class Cap {
      private buffer: Uint8Array = new Uint8Array();
      open(device: string, filter: string, _size: number, buffer: Uint8Array): string {
        calls.push(`open ${device} ${filter}`);
        if (fails !== undefined) throw new Error(fails);
        this.buffer = buffer;
        return "ETHERNET";
      }
      send(): void {
        calls.push("send");
        throw new Error("send: Network is down");
      }
      close(): void {
        calls.push("close");
      }
      on(_event: "packet", heard: (length: number) => void): void {
        taps.push({ heard, buffer: this.buffer });
      }
    }
    const made: CapPackage = { Cap };
    return { calls, taps, made };
  }
  const below = { index: 3, name: "eth0" };

  test("asks libpcap for what is wanted, and only for what comes in", () => {
    const both: readonly Wanted[] = [...WANTED, { ethertype: 0x86dd, protocol: 112, groups: [] }];
    expect(expressionOf([...both, { ethertype: 0x8809, groups: [] }])).toBe(
      "inbound and ((ether[12:2] = 2048 and ether[23] = 112) or (ether[12:2] = 34525 and ether[20] = 112) or (ether[12:2] = 34825))",
    );
  });

  test("gives octets of their own, although the package has one buffer for all; after its end it hears nothing", () => {
    const { made, taps } = standIn();
    const heard: Uint8Array[] = [];
    const port = capIo(idleLibc(), made).open(below, WANTED, (one) => heard.push(one));
    const [tap] = taps;
    for (const octet of [1, 2]) {
      tap?.buffer.fill(octet, 0, 3);
      tap?.heard(3);
    }
    port?.close();
    tap?.heard(3);
    expect(heard).toEqual([Uint8Array.of(1, 1, 1), Uint8Array.of(2, 2, 2)]);
  });

  test("a frame that does not leave is counted with libpcap's words; a closed handle is not touched", () => {
    const { made, calls } = standIn();
    const port = capIo(idleLibc(), made).open(below, WANTED, () => undefined);
    expect(port?.send(frame(1))).toBe(false);
    expect([...(port?.refreshCounts().refused ?? [])]).toEqual([["send: Network is down", 1]]);
    port?.close();
    port?.close();
    expect(port?.send(frame(1))).toBe(false);
    expect(calls.slice(1)).toEqual(["send", "close"]);
  });

  test.each(["That device is not up", "No such device exists"])("an interface that has gone meanwhile: %s", (words) => {
    const { made, calls } = standIn(words);
    expect(capIo(idleLibc(), made).open(below, WANTED, () => undefined)).toBeUndefined();
    // Its poll handle was never made: to close it would be to follow a stray pointer.
    expect(calls).toHaveLength(1);
  });

  test("what else libpcap refuses is said", () => {
    const { made } = standIn("Unable to set buffer size");
    expect(() => capIo(idleLibc(), made).open(below, WANTED, () => undefined)).toThrow("Unable to set buffer size");
  });
});

describe("raw-socket, by a stand-in", () => {
  function standIn(refuses?: string) {
    const calls: string[] = [];
    const events = new Map<string, (what: never) => void>();
    const made: RawSocketPackage = {
      createSocket: ({ protocol }) => {
        calls.push(`socket ${protocol}`);
        return {
          on: (event: string, heard: (what: never) => void) => void events.set(event, heard),
          setOption: (level: number, option: number, value: number | Uint8Array) => {
            calls.push(`option ${level} ${option} ${typeof value === "number" ? value : Buffer.from(value)}`);
            if (refuses !== undefined) throw new Error(refuses);
          },
          close: () => void calls.push("close"),
          wrap: {
            send: (bytes, offset, length, to) => {
              calls.push(`send ${offset} ${length} ${to} ${bytes.length}`);
              throw new Error("Network is unreachable");
            },
            recv: () => {
              calls.push("recv");
              throw new Error("Resource temporarily unavailable");
            },
          },
        };
      },
    };
    return { calls, events, made };
  }
  const below = { index: 3, name: "eth0" };

  test("is bound to its interface before it hears; packets go as they are, without padding", () => {
    const { made, calls } = standIn();
    const port = rawSocketIo(idleLibc(), made).open(below, WANTED, () => undefined);
    expect(calls.splice(0)).toEqual(["socket 112", "option 1 25 eth0\0", "option 0 3 1", "option 0 34 0", "recv"]);
    const padded = new Uint8Array(60);
    padded.set(frame(1));
    expect(port?.send(padded)).toBe(false);
    expect(calls).toEqual(["send 0 28 224.0.0.18 28"]);
    expect([...(port?.refreshCounts().refused ?? [])]).toEqual([["Network is unreachable", 1]]);
    // A frame that is no packet of its, and one that is cut short.
    expect(port?.send(octets(`ffffffffffff0200000000010806${"00".repeat(28)}`))).toBe(true);
    expect(port?.send(padded.subarray(0, 20))).toBe(true);
    expect(port?.refreshCounts().sent).toBe(2);
    port?.close();
    expect(calls.slice(1)).toEqual(["close"]);
  });

  test("an interface that has gone meanwhile is no error; what else is refused is said", () => {
    const gone = standIn("No such device");
    expect(rawSocketIo(idleLibc(), gone.made).open(below, WANTED, () => undefined)).toBeUndefined();
    expect(gone.calls.at(-1)).toBe("close");
    const refused = standIn("Operation not permitted");
    expect(() => rawSocketIo(idleLibc(), refused.made).open(below, WANTED, () => undefined)).toThrow("not permitted");
  });

  test("octets are of their own, although the package has one buffer for all", () => {
    const { made, events } = standIn();
    const heard: Uint8Array[] = [];
    rawSocketIo(idleLibc(), made).open(below, WANTED, (one) => heard.push(one));
    const packet = frame(1).slice(14);
    events.get("message")?.(packet as never);
    packet.fill(0);
    events.get("message")?.(packet as never);
    expect(heard).toHaveLength(1);
    expect(heard[0]?.subarray(14)).toEqual(frame(1).subarray(14));
  });

  test("an error that leaves it deaf ends the process, as an exception of who hears does; that nothing is there is none", () => {
    const { made, events } = standIn();
    const later: (() => void)[] = [];
    vi.stubGlobal("setImmediate", (call: () => void) => void later.push(call));
    try {
      rawSocketIo(idleLibc(), made).open(below, WANTED, () => {
        throw new Error("of who hears");
      });
      events.get("message")?.(frame(1).slice(14) as never);
      events.get("error")?.(new Error("Resource temporarily unavailable") as never);
      events.get("error")?.(new Error("-9") as never);
    } finally {
      vi.unstubAllGlobals();
    }
    const [first, second, ...none] = later;
    expect(first).toThrow("of who hears");
    expect(second).toThrow("-9");
    expect(none).toEqual([]);
  });

  test.each([
    ["e0000012", "01005e000012"],
    ["efffffff", "01005e7fffff"],
    ["c0000201", "000000000000"],
    ["ffffffff", "000000000000"],
  ])(
    "a packet to %s is given the destination %s (RFC 1112 §6.4), and a source that says that it is unknown",
    (to, mac) => {
      const packet = frame(1).slice(14);
      packet.set(octets(to), 16);
      expect(frameOf(packet)).toEqual(octets(`${mac}0000000000000800${Buffer.from(packet).toString("hex")}`));
    },
  );
});
