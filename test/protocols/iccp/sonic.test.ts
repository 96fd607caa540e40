import { describe, expect, it } from "vitest";
import {
  connects,
  decodeIccp,
  encodeIccp,
  type IccpValue,
  MESSAGE,
  messageSize,
} from "../../../protocols/iccp/codec.ts";
import type { Item, MacItem } from "../../../protocols/iccp/events.ts";
import { decodeMessage } from "../../../protocols/iccp/message.ts";
import type { Ip4 } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { ip, MILLISECOND, mac, Pair, SECOND } from "./bench.ts";
import { GOLDEN, octets } from "./golden.ts";

const BUNDLES = [{ id: 4, name: "PortChannel10", vlans: [100] }];
const CONFIG = { domain: 1, bundles: BUNDLES, system: mac("02:00:00:00:01:01") };
const UP: Item = {
  kind: "portState",
  id: 4,
  state: "up",
  isolationWanted: true,
  isolationInstalled: false,
  membersUp: 1,
  members: 1,
  actorKey: 0,
  partnerSystem: mac("00:00:00:00:00:00"),
  partnerPriority: 0,
  partnerKey: 0,
};

/** The messages in what a peer has read. */
function messages(chunks: readonly Uint8Array[]) {
  const bytes = Uint8Array.of(...chunks.flatMap((chunk) => [...chunk]));
  const found: { readonly type: number; readonly values: readonly IccpValue[]; readonly own: boolean }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = messageSize(bytes, at) ?? expect.fail("cut");
    const message = decodeMessage(bytes.subarray(at, at + size));
    if (!message.ok) return expect.fail(message.reason);
    const { type, values, hello, envelope } = message.value;
    found.push({
      type,
      values: values.filter(({ kind }) => kind !== "rgId"),
      own: hello !== undefined || envelope !== undefined,
    });
    at += size;
  }
  return found;
}

function kinds(chunks: readonly Uint8Array[]): string[] {
  return messages(chunks).flatMap(({ values }) => values.map(({ kind }) => kind));
}

describe("SONiC's iccpd as a peer", () => {
  it("M69: every recorded message re-encodes octet by octet", () => {
    for (const [name, hex] of Object.entries(GOLDEN)) {
      const decoded = decodeIccp(octets(hex));
      expect(decoded.ok, name).toBe(true);
      if (decoded.ok) expect(encodeIccp(decoded.value), name).toEqual(octets(hex));
    }
  });

  it("M70: the lower address, octets reversed, connects and is active", () => {
    expect(connects(ip("10.77.1.1"), ip("10.77.0.2"))).toBe(true);
    expect(connects(ip("10.77.0.2"), ip("10.77.1.1"))).toBe(false);
    expect(connects(ip("10.0.0.1"), ip("10.0.0.2"))).toBe(true);
    const pair = new Pair({ addresses: ["10.77.0.2", "10.77.1.1"], a: { dialect: "sonic" }, b: { dialect: "sonic" } });
    pair.run(SECOND);
    expect(pair.user("a").heard.map(({ item }) => item)).toContainEqual(
      expect.objectContaining({ kind: "role", role: "primary", system: "02:00:00:00:00:02" }),
    );
  });

  it("M71: as active we reach the exchange with a recorded standby; its MAC, ARP, ND and orphan appear", () => {
    const pair = new Pair({ addresses: ["10.77.0.1", "10.77.0.2"], a: CONFIG, raw: true, greeting: { a: [UP] } });
    pair.run(MILLISECOND);
    const say = (...lines: (keyof typeof GOLDEN)[]) => {
      for (const line of lines) pair.give(octets(GOLDEN[line]));
      pair.run(10 * MILLISECOND);
    };
    say("capability", "connectB", "heartbeat");
    expect(pair.up("a")).toBe(true);
    expect(pair.sessions("a").at(-1)?.event.dialect).toBe("sonic");
    say("syncRequest");
    expect(kinds(pair.raw().read)).toEqual([
      "capability",
      "senderName",
      "heartbeat",
      "syncData",
      "systemConfig",
      "aggregatorConfig",
      "aggregatorState",
      "portChannel",
      "peerLink",
      "syncData",
      "syncRequest",
    ]);
    const state = messages(pair.raw().read)
      .flatMap(({ values }) => values)
      .find(({ kind }) => kind === "aggregatorState");
    expect(state).toMatchObject({ aggregator: 10, state: 0 });
    say("syncBegin", "system", "aggregator", "aggregatorUp", "portChannel", "peerLink", "syncEnd", "interfaceUp");
    say("mac", "arp", "nd", "orphan");
    const heard = pair.heard("a");
    expect(heard).toContainEqual(expect.objectContaining({ kind: "portState", id: 4, state: "up" }));
    expect(heard).toContainEqual({ kind: "isolateAck", id: 4, isolated: true, request: 0 });
    const macs = heard.flatMap((item) => (item.kind === "macs" ? item.entries : []));
    expect(macs).toMatchObject([
      { vlan: 100, mac: "00:aa:bb:cc:dd:01", id: 4, present: true, permanent: false },
      { vlan: 100, mac: "00:aa:bb:cc:dd:77", id: 0, present: true, permanent: false },
    ]);
    expect(heard).toContainEqual(
      expect.objectContaining({
        kind: "arps",
        entries: [expect.objectContaining({ vlan: 100, address: "10.100.0.50", mac: "00:aa:bb:cc:dd:01" })],
      }),
    );
    expect(heard).toContainEqual(
      expect.objectContaining({ kind: "nds", entries: [expect.objectContaining({ address: "2001:db8::50" })] }),
    );
    // A wish for isolation, answered by the user, reaches iccpd as its own acknowledgment.
    expect(heard).toContainEqual({ kind: "isolate", id: 4, isolated: true, request: 1 });
    pair.raw().read.length = 0;
    const ours: MacItem = {
      vlan: 100,
      mac: mac("00:aa:bb:cc:dd:01"),
      id: 4,
      sequence: 1,
      present: true,
      permanent: false,
    };
    pair.tell("a", { kind: "isolateAck", id: 4, isolated: true, request: 1 }, { kind: "macs", entries: [ours] });
    pair.run(MILLISECOND);
    const said = messages(pair.raw().read).flatMap(({ values }) => values);
    const golden = (line: keyof typeof GOLDEN) => {
      const decoded = decodeIccp(octets(GOLDEN[line]));
      return decoded.ok ? decoded.value.parameters[1]?.value : undefined;
    };
    expect(said).toEqual([golden("interfaceUp"), golden("mac")]);
  });

  it("M71: as standby we ask, answer the active's request, and send what waited for the exchange", () => {
    const macs = Array.from({ length: 65 }, (_, i) => ({
      vlan: 100,
      mac: mac(`00:aa:bb:cc:00:${i.toString(16).padStart(2, "0")}`),
      id: 4,
      sequence: i,
      present: true,
      permanent: false,
    }));
    const greeting = { a: [UP, { kind: "macs", entries: macs } as Item] };
    const pair = new Pair({ addresses: ["10.77.0.2", "10.77.0.1"], a: CONFIG, raw: true, greeting });
    pair.run(MILLISECOND);
    for (const line of ["capability", "connectA", "heartbeat"] as const) pair.give(octets(GOLDEN[line]));
    pair.run(10 * MILLISECOND);
    expect(kinds(pair.raw().read)).toEqual(["capability", "senderName", "heartbeat", "syncRequest"]);
    pair.raw().read.length = 0;
    for (const line of ["syncBegin", "aggregator", "aggregatorUp", "syncEnd", "syncRequest"] as const) {
      pair.give(octets(GOLDEN[line]));
    }
    pair.run(10 * MILLISECOND);
    const lists = messages(pair.raw().read).flatMap(({ values }) => values.filter(({ kind }) => kind === "macList"));
    // iccpd takes no more than 30 in one list.
    expect(lists.map((list) => (list.kind === "macList" ? list.entries.length : 0))).toEqual([30, 30, 5]);
    expect(pair.heard("a").filter(({ kind }) => kind === "syncBegin" || kind === "syncEnd")).toHaveLength(2);
  });

  it("M72: heartbeats 2.0 s apart keep the session; 15 s of silence end it", () => {
    const pair = new Pair({ addresses: ["10.77.0.1", "10.77.0.2"], a: CONFIG, raw: true });
    pair.run(MILLISECOND);
    for (const line of ["capability", "connectB"] as const) pair.give(octets(GOLDEN[line]));
    for (let i = 0; i < 15; i++) {
      pair.give(octets(GOLDEN.heartbeat));
      pair.run(2 * SECOND);
    }
    expect(pair.up("a")).toBe(true);
    pair.run(12 * SECOND);
    expect(pair.up("a")).toBe(true);
    pair.run(1100 * MILLISECOND);
    expect(pair.sessions("a").at(-1)?.event.reason).toBe("heartbeat-timeout");
  });

  it("M73: another RG is refused with NAK 00010001, and both ids are said once", () => {
    const pair = new Pair({ addresses: ["10.77.0.1", "10.77.0.2"], a: { ...CONFIG, domain: 5 }, raw: true });
    for (let i = 0; i < 4; i++) {
      pair.run(6 * SECOND);
      for (const line of ["capability", "connectB"] as const) pair.give(octets(GOLDEN[line]));
      pair.run(MILLISECOND);
    }
    const refused = pair.sessions("a").filter(({ event }) => event.reason === "domain-mismatch");
    expect(refused.map(({ event }) => event.detail)).toContain("5 here, 1 there");
    const naks = messages(pair.raw().read).flatMap(({ values }) => values.filter(({ kind }) => kind === "nak"));
    expect(naks[0]).toEqual({ kind: "nak", status: 0x00010001, rejected: 1 });
  });

  it("M74: the IPv4 address of a port channel is octet-reversed on the wire, those of neighbours are not", () => {
    const portChannel: IccpValue = {
      kind: "portChannel",
      aggregator: 10,
      name: "PortChannel10",
      l3Mode: 1,
      address: ip("192.168.7.9") as Ip4,
      portChannel: 10,
      vlans: [],
    };
    const parameter = { unknownBit: false, forwardBit: false, value: portChannel };
    const message = { unknownBit: false, type: MESSAGE.rgApplicationData, id: 1, parameters: [parameter] };
    const bytes = encodeIccp(message);
    expect(toHex(bytes)).toContain("0907a8c0");
    expect(decodeIccp(bytes)).toEqual({ ok: true, value: message });
    // 10.100.0.50
    expect(GOLDEN.arp).toContain("0a640032");
    const arp = decodeIccp(octets(GOLDEN.arp));
    expect(arp.ok && arp.value.parameters[1]?.value).toMatchObject({ entries: [{ address: "10.100.0.50" }] });
  });

  it.each([
    ["count too large", GOLDEN.mac.replace("103800200001", "103800200002"), "list-length"],
    ["count of nothing", GOLDEN.arp.replace("103600260001", "103600260000"), "list-length"],
    ["length short", GOLDEN.nd.replace("103a0032", "103a0031"), "list-length"],
    ["a name of 21 octets", GOLDEN.aggregator.replace("00010d506f", "000115506f"), "name-length"],
    ["VLANs that are not there", GOLDEN.portChannel.replace("00010064", "ffff0064"), "list-length"],
  ])("M76: %s is refused within its parameter, and the session goes on", (_, hex, reason) => {
    expect(Object.values(GOLDEN)).not.toContain(hex);
    const bytes = octets(hex);
    // What stands behind it in memory is not looked at.
    const before = Uint8Array.of(...bytes, ...new Uint8Array(4096).fill(0xee)).subarray(0, bytes.length);
    expect(decodeIccp(before)).toEqual({ ok: false, reason });
    const pair = new Pair({ addresses: ["10.77.0.1", "10.77.0.2"], a: CONFIG, raw: true });
    pair.run(MILLISECOND);
    for (const line of ["capability", "connectB", "syncRequest", "syncBegin", "syncEnd"] as const)
      pair.give(octets(GOLDEN[line]));
    pair.give(bytes);
    pair.give(octets(GOLDEN.orphan));
    pair.run(10 * MILLISECOND);
    expect(pair.up("a")).toBe(true);
    expect(pair.drops("a")).toEqual({ format: 1 });
    expect(pair.heard("a").filter(({ kind }) => kind === "macs")).toHaveLength(1);
  });

  it("M75: our own parameters stand in Capability only, never in what follows, towards a peer that sent none", () => {
    const pair = new Pair({ addresses: ["10.77.0.1", "10.77.0.2"], a: CONFIG, raw: true, greeting: { a: [UP] } });
    pair.run(MILLISECOND);
    for (const line of ["capability", "connectB", "syncRequest", "syncBegin", "syncEnd"] as const) {
      pair.give(octets(GOLDEN[line]));
    }
    pair.run(3 * SECOND);
    pair.tell("a", { kind: "digests", entries: [] }, { kind: "consistency", entries: [] });
    pair.run(SECOND);
    const said = messages(pair.raw().read);
    expect(said.length).toBeGreaterThan(10);
    expect(said.filter(({ own }) => own).map(({ type }) => type)).toEqual([MESSAGE.capability]);
  });

  it("two nodes that speak SONiC's dialect to each other sync states and MACs both ways", () => {
    const ours = {
      kind: "macs",
      entries: [{ vlan: 100, mac: mac("00:aa:bb:cc:dd:01"), id: 4, sequence: 1, present: true, permanent: false }],
    } as const;
    const side = { dialect: "sonic", domain: 1, bundles: BUNDLES } as const;
    const pair = new Pair({ a: side, b: side, greeting: { a: [UP, ours], b: [UP] } });
    pair.run(SECOND);
    expect(pair.heard("b")).toContainEqual(
      expect.objectContaining({ kind: "macs", entries: [expect.objectContaining({ id: 4 })] }),
    );
    for (const node of ["a", "b"]) {
      expect(pair.heard(node)).toContainEqual(expect.objectContaining({ kind: "portState", id: 4, state: "up" }));
    }
    pair.run(60 * SECOND);
    expect(pair.reasons("a")).toEqual(["up established"]);
  });
});
