import { describe, expect, test } from "vitest";
import type { DropReason } from "../../../protocols/vrrp/events.ts";
import { vrrp } from "../../../protocols/vrrp/machine.ts";
import { internetChecksum, setU16 } from "../../../src/core/bytes.ts";
import { Frame } from "../../../src/core/frame.ts";
import { sec } from "../../../src/core/time.ts";
import { adv, Bench, given, given6, type Heard, ip } from "../../support/vrrp.ts";

const IP = 14;
const VRRP4 = IP + 20;
const VRRP6 = IP + 40;
type Change = NonNullable<Heard["change"]>;
const SIX = { source: "fe80::1" } as const;

function set(...changes: readonly (readonly [number, number])[]): Change {
  return (bytes) => {
    for (const [at, value] of changes) bytes[at] = value;
    return reseal4(bytes);
  };
}

/** IPv4 header checksum and message checksum, over what the lengths say is there. */
function reseal4(bytes: Uint8Array): Uint8Array {
  const header = ((bytes[IP] ?? 0) & 15) * 4;
  setU16(bytes, IP + 10, 0);
  setU16(bytes, IP + 10, internetChecksum(bytes, IP, IP + header));
  const end = IP + ((bytes[IP + 2] ?? 0) << 8) + (bytes[IP + 3] ?? 0);
  if (end > bytes.length || end < IP + header + 8) return bytes;
  setU16(bytes, IP + header + 6, 0);
  setU16(bytes, IP + header + 6, internetChecksum(bytes, IP + header, end));
  return bytes;
}

/** Cuts the IP payload to so many octets. */
function cut(payload: number): Change {
  return (bytes) => {
    setU16(bytes, IP + 2, 20 + payload);
    return reseal4(bytes.slice(0, VRRP4 + payload));
  };
}

/** The backup oracle: discarded each interval, so it becomes master; the counter shows the one reason. */
function refusedByBackup(heard: Heard, reason: DropReason, routers = [given()], priority = 200): void {
  const bench = new Bench(routers).hearEach(sec(1), 5, priority, heard);
  expect(bench.router().state).toBe("master");
  expect(dropped(bench)).toEqual({ [reason]: 5 });
}

/** The active oracle: a discarded advert of priority 200 changes nothing. */
function refusedByMaster(heard: Heard, routers = [given()]): void {
  const bench = new Bench(routers).wait(sec(4));
  bench.take();
  bench.hear(200, heard);
  expect(bench.router().state).toBe("master");
  expect(bench.said().filter((line) => !line.startsWith("drop"))).toEqual([]);
}

function dropped(bench: Bench): Record<string, number> {
  const { drops } = bench.router().interface;
  return Object.fromEntries([...drops].map(([reason, { count }]) => [reason, count]));
}

function accepted(heard: Heard, routers = [given()]): Bench {
  const bench = new Bench(routers).hearEach(sec(1), 6, 200, heard);
  expect(bench.router().state).toBe("backup");
  expect(dropped(bench)).toEqual({});
  return bench;
}

describe("discard", () => {
  const cases: readonly (readonly [string, DropReason, Heard])[] = [
    ["55 · RFC 9568 §5.1.1.3 · TTL 254", "ttl", { change: set([IP + 8, 254]) }],
    ["56 · RFC 9568 §5.1.1.3 · TTL 1", "ttl", { change: set([IP + 8, 1]) }],
    ["58 · RFC 9568 §7.1 · version 2", "version", { change: set([VRRP4, 0x21]) }],
    ["58 · RFC 9568 §7.1 · version 4", "version", { change: set([VRRP4, 0x41]) }],
    ["58 · RFC 9568 §7.1 · version 0", "version", { change: set([VRRP4, 0x01]) }],
    ["59 · RFC 9568 §5.2.2 · type 0", "type", { change: set([VRRP4, 0x30]) }],
    ["59 · RFC 9568 §5.2.2 · type 2", "type", { change: set([VRRP4, 0x32]) }],
    ["59 · RFC 9568 §5.2.2 · type 15", "type", { change: set([VRRP4, 0x3f]) }],
    ["60 · RFC 9568 §7.1 · a checksum that fits neither form", "checksum", { change: (b) => b.with(VRRP4 + 6, 0) }],
    ["62 · RFC 9568 §7.1 · length 7", "length", { change: cut(7) }],
    ["63 · RFC 9568 §7.1 · one octet short of its address", "length", { change: cut(11) }],
    ["64 · RFC 9568 §7.1 · a count above the addresses", "length", { change: set([VRRP4 + 3, 2]) }],
    ["65 · RFC 9568 §5.2.5, erratum 8299 · count 0", "count-zero", { change: set([VRRP4 + 3, 0]) }],
    ["66 · RFC 9568 §7.1, erratum 8301 · interval 0", "interval-zero", { change: set([VRRP4 + 4, 0], [VRRP4 + 5, 0]) }],
    ["68 · RFC 9568 §7.1 · a VRID that is not configured", "vrid", { vrid: 11 }],
    ["68 · RFC 9568 §5.2.3 · VRID 0", "vrid", { change: set([VRRP4 + 1, 0]) }],
    ["71 · a multicast router and a unicast advert", "destination", { destination: "192.0.2.2" }],
    ["an unspecified source", "source", { source: "0.0.0.0" }],
    ["a wrong IPv4 header checksum", "ip", { change: (b) => b.with(IP + 10, (b[IP + 10] ?? 0) ^ 1) }],
    ["a fragment", "fragment", { change: set([IP + 6, 0x20]) }],
  ];

  test.each(cases)("%s is `%s`", (_title, reason, heard) => {
    if (reason === "destination") {
      // Addressed to the group's MAC, so that it is this router that refuses it.
      const to: Change = (bytes) => {
        bytes.set([1, 0, 0x5e, 0, 0, 0x12]);
        return bytes;
      };
      refusedByBackup({ ...heard, change: to }, reason);
      refusedByMaster({ ...heard, change: to });
      return;
    }
    refusedByBackup(heard, reason);
    refusedByMaster(heard);
  });

  test("57, 61 · RFC 9568 §5.1.2.3, §5.2.8 · IPv6: hop limit 254, a wrong checksum", () => {
    refusedByBackup({ ...SIX, change: (b) => b.with(IP + 7, 254) }, "ttl", [given6()]);
    refusedByBackup({ ...SIX, change: (b) => b.with(VRRP6 + 7, (b[VRRP6 + 7] ?? 0) ^ 1) }, "checksum", [given6()]);
  });

  test("66 · an interval of 0 from a higher priority brings no storm of adverts", () => {
    const change = set([VRRP4 + 4, 0], [VRRP4 + 5, 0]);
    const bench = new Bench([given()]).hear(200, { change }).wait(sec(3));
    expect(bench.adverts()).toEqual([]);
  });

  test("67 · RFC 9568 §5.2.9, erratum 8300 · a first IPv6 address that is not link-local", () => {
    const heard = { ...SIX, addresses: ["2001:db8::254", "fe80::10"] };
    refusedByBackup(heard, "first-address", [given6()]);
    accepted(heard, [given6({ "first-address": "any" })]);
  });

  test("69 · RFC 9568 §7.1 · a VRID that is configured on another interface only", () => {
    const bench = new Bench([given(), given({ interface: "eth1", vrid: 11 })]).hearEach(sec(1), 5, 200, {
      port: "eth1",
    });
    expect(bench.state.routers.map(({ state }) => state)).toEqual(["master", "master"]);
    expect(bench.state.byName.get("eth1")?.drops.get("vrid")?.count).toBe(5);
  });

  test("70 · RFC 9568 §4 · an IPv4 advert does not reach the IPv6 router of the same VRID, nor the other way round", () => {
    const four = new Bench([given(), given6()]).hearEach(sec(1), 6, 200);
    expect(four.state.routers.map(({ state }) => state)).toEqual(["backup", "master"]);
    const six = new Bench([given(), given6()]).hearEach(sec(1), 6, 200, SIX);
    expect(six.state.routers.map(({ state }) => state)).toEqual(["master", "backup"]);
  });

  test("71 · a unicast router ignores the group and unknown peers, and hears its own", () => {
    const router = given({ peers: ["192.0.2.1", "192.0.2.3"] });
    refusedByBackup({}, "destination", [router]);
    refusedByBackup({ destination: "192.0.2.2", source: "192.0.2.9", change: toSelf }, "source", [router]);
    accepted({ destination: "192.0.2.2", change: toSelf }, [router]);
  });

  test("71 · a unicast router sends to each peer by the IP stack, with the peer's address in the checksum", () => {
    const bench = new Bench([given({ peers: ["192.0.2.1", "192.0.2.3"], checksum: "pseudo-header" })]).wait(sec(4));
    expect(bench.adverts().map(({ port }) => port)).toEqual(["ip", "ip"]);
    const sums = bench.adverts().map(({ frame }) => frame.bytes.slice(VRRP4 + 6, VRRP4 + 8).join(" "));
    expect(new Set(sums).size).toBe(2);
  });

  test("two routers of one VRID for different unicast peers are told apart", () => {
    const one = given({ peers: ["192.0.2.1"], addresses: ["192.0.2.254/24"] });
    const two = given({ peers: ["192.0.2.3"], addresses: ["192.0.2.253/24"] });
    const heard = { destination: "192.0.2.2", source: "192.0.2.3", addresses: ["192.0.2.253"], change: toSelf };
    const bench = new Bench([one, two]).hearEach(sec(1), 6, 200, heard);
    expect(bench.state.routers.map(({ state }) => state)).toEqual(["master", "backup"]);
  });

  test("72 · every prefix of a valid packet is dropped without a change of state", () => {
    const whole = adv(200).bytes;
    const bench = new Bench([given()]).wait(sec(4));
    bench.take();
    for (let size = 14; size < whole.length; size++) bench.frame(Frame.of(whole.slice(0, size)));
    expect(bench.router().state).toBe("master");
    expect(bench.adverts().filter(({ at }) => at >= sec(4))).toEqual([]);
  });

  test("drops are said once a second for each reason, and all are counted", () => {
    const bench = new Bench([given()]);
    bench.take();
    for (let i = 0; i < 100; i++) bench.hear(200, { change: set([IP + 8, 64]) });
    expect(bench.said()).toEqual(["drop ttl"]);
    expect(bench.router().counters.dropped).toEqual({ ttl: 100 });
    bench.wait(sec(1)).hear(200, { change: set([IP + 8, 64]) });
    expect(bench.said()).toEqual(["drop ttl"]);
  });

  test("frames of other traffic are not claimed, and their octets are not made", () => {
    const bench = new Bench([given({ peers: ["192.0.2.1"] })]);
    let made = 0;
    const source = {
      packet: { family: "ipv4", protocol: 17 },
      bytesOf: () => {
        made++;
        return toSelf(adv(200).bytes.slice());
      },
    };
    const { header } = Frame.of(toSelf(adv(200).bytes.slice()));
    expect(vrrp.claims?.(bench.state, bench.port("eth0"), Frame.lazy(header, 64, source, 0))).toBe(false);
    expect(made).toBe(0);
  });
});

/** To the interface's own MAC. */
function toSelf(bytes: Uint8Array): Uint8Array {
  bytes.set([2, 0, 0, 0, 1, 1]);
  return bytes;
}

describe("tolerance", () => {
  test("73 · RFC 9568 §5.2.6 · reserved bits are ignored", () => {
    const bench = accepted({ change: set([VRRP4 + 4, 0xf0]) });
    expect(bench.router().masterInterval).toBe(sec(1));
  });

  test("74 · Ethernet padding, of whatever octets", () => {
    accepted({ change: (b) => Uint8Array.of(...b, ...new Uint8Array(60 - b.length)) });
    accepted({ change: (b) => Uint8Array.of(...b, 1, 2, 3, 4, 5) });
  });

  test("75 · IPv4 options", () => {
    accepted({
      change: (b) => {
        const bytes = Uint8Array.of(...b.subarray(0, VRRP4), 0x94, 4, 0, 0, ...b.subarray(VRRP4));
        bytes[IP] = 0x46;
        setU16(bytes, IP + 2, 36);
        setU16(bytes, IP + 10, 0);
        setU16(bytes, IP + 10, internetChecksum(bytes, IP, IP + 24));
        return bytes;
      },
    });
  });

  test.each([
    ["different", ["192.0.2.77"]],
    ["a superset", ["192.0.2.254", "192.0.2.77"]],
  ])("76 · RFC 9568 §7.1 · an address list that is %s is obeyed, said once, and counted", (_how, addresses) => {
    const bench = accepted({ addresses });
    expect(bench.said().filter((line) => line.startsWith("mismatch"))).toEqual([
      `mismatch address-list ${[...addresses].sort().join(" ")}`,
    ]);
    expect(bench.router().counters.addressListMismatches).toBe(6);
  });

  test("76 · an address list in another order is the same", () => {
    const routers = [given({ addresses: ["192.0.2.254/24", "192.0.2.253/24"] })];
    expect(accepted({ addresses: ["192.0.2.253", "192.0.2.254"] }, routers).said()).toEqual([
      "initialize → backup startup",
    ]);
  });

  test("77 · RFC 9568 §7.1 · another interval is obeyed, said once, and counted", () => {
    const bench = accepted({ interval: 200 });
    expect(bench.said().filter((line) => line.startsWith("mismatch"))).toEqual(["mismatch interval 2s"]);
    expect(bench.router().counters.intervalMismatches).toBe(6);
  });

  test("78 · a priority tag (VLAN 0) is accepted, another VLAN's frame is not this interface's", () => {
    const bench = new Bench([given()]);
    for (let i = 0; i < 5; i++) bench.frame(adv(200).tagged(0)).wait(sec(1));
    expect(bench.router().state).toBe("backup");
    expect(vrrp.claims?.(bench.state, bench.port("eth0"), adv(200).tagged(10))).toBe(false);
  });

  test("79 · RFC 9568 §5.2.8 · both checksum forms are accepted and counted apart", () => {
    const bench = new Bench([given()]).hearEach(sec(1), 3, 200).hearEach(sec(1), 2, 200, { checksum: "pseudo-header" });
    expect(bench.router().state).toBe("backup");
    expect(bench.router().counters.checksum).toEqual({ message: 3, "pseudo-header": 2 });
    expect(bench.router().peers.get(ip("192.0.2.1"))?.checksumForms).toEqual(["pseudo-header"]);
  });

  test("a fixed checksum form that a peer does not use is said once", () => {
    const bench = accepted({ checksum: "pseudo-header" }, [given({ checksum: "rfc9568" })]);
    expect(bench.said().filter((line) => line.startsWith("mismatch"))).toEqual(["mismatch checksum pseudo-header"]);
  });

  test("the table of peers stays bounded, and keeps those heard last", () => {
    const bench = new Bench([given()]);
    for (let i = 3; i < 100; i++) bench.hear(200, { source: `192.0.2.${i}` }).wait(sec(1));
    expect(bench.router().peers.size).toBe(16);
    expect([...bench.router().peers.keys()].at(-1)).toBe("192.0.2.99");
  });
});
