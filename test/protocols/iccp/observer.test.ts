/** What can be said of recorded sessions from outside: SONiC's iccpd, and our own. */
import { describe, expect, it } from "vitest";
import { createDissector, dissect } from "../../../protocols/dissect/dissect.ts";
import type { Item } from "../../../protocols/iccp/events.ts";
import type { IccpSeen } from "../../../protocols/iccp/observer-events.ts";
import { CaptureReader } from "../../../src/capture/read.ts";
import type { CapturedPacket } from "../../../src/host/replay/replay.ts";
import { octetsOf, sidecarOf } from "../../capture/fixtures.ts";
import { replayPackets } from "../../support/replay.ts";
import { ip, MILLISECOND, mac, SECOND } from "./bench.ts";
import { rearranged, record } from "./recorded.ts";

type Seen = IccpSeen & { readonly t: number };

function seenIn(packets: Iterable<CapturedPacket>): Seen[] {
  return (replayPackets(packets) as unknown as Seen[]).filter(({ type }) => /^(iccp\.|anomaly)/.test(type));
}

/** What it says without when and in which frame. */
function plain(seen: readonly Seen[]): object[] {
  return seen.map(({ t: _, frame: __, ...rest }) => rest);
}

function line(event: Seen): string {
  const t = event.t.toFixed(2);
  switch (event.type) {
    case "iccp.session":
      return `${t} ${event.up ? "up" : "down"} ${event.dialect} ${event.reason}`;
    case "iccp.role":
      return `${t} ${event.from} ${event.role}`;
    case "iccp.port":
      return `${t} ${event.from} ${event.name ?? event.id} ${event.state}`;
    case "iccp.isolation":
      return `${t} ${event.from} ${event.acknowledged ? "confirms" : "asks"} ${event.id} ${event.isolated}`;
    case "iccp.stations":
      return `${t} ${event.from} ${event.entries.map(({ mac: m, present }) => `${present ? "+" : "-"}${m}`).join(" ")}`;
    case "iccp.sync":
      return `${t} ${event.from} sync ${event.complete}`;
    case "iccp.goodbye":
      return `${t} ${event.from} goodbye ${event.cause}`;
    case "iccp.drop":
      return `${t} ${event.from} drop ${event.reason}`;
    case "anomaly":
      return `${t} ${event.kind}`;
  }
}

describe("SONiC's iccpd, recorded", () => {
  const seen = seenIn(new CaptureReader().push(octetsOf("iccpd-session.pcap")));

  it("session, roles, the standby's half that fails and returns, and stations: as both daemons' logs have it", () => {
    expect(seen.map(line).filter((text) => !text.includes("sync"))).toEqual([
      "3.51 up sonic established",
      "3.61 10.0.0.1 primary",
      "3.61 10.0.0.1 PortChannel0001 up",
      "3.66 10.0.0.2 secondary",
      "3.66 10.0.0.2 PortChannel0001 down",
      "4.31 10.0.0.2 PortChannel0001 up",
      "4.34 10.0.0.1 confirms 1 true",
      "16.77 10.0.0.1 +02:aa:bb:cc:00:01",
      "19.01 10.0.0.2 +02:aa:bb:cc:00:02",
      // The host's address, in lists of neighbours.
      "23.43 10.0.0.1 +02:00:00:00:07:a1",
      "23.43 10.0.0.2 +02:00:00:00:07:a1",
      "27.55 10.0.0.2 -02:00:00:00:07:a1",
      "27.55 10.0.0.2 PortChannel0001 down",
      "27.60 10.0.0.1 +02:aa:bb:cc:00:02",
      "27.60 10.0.0.2 -02:aa:bb:cc:00:02",
      "36.29 10.0.0.2 PortChannel0001 up",
      "36.35 10.0.0.1 confirms 1 true",
      "42.58 10.0.0.1 -02:aa:bb:cc:00:01",
      "57.99 down sonic heartbeat-timeout",
      "64.48 up sonic established",
      "64.58 10.0.0.1 primary",
      "64.58 10.0.0.1 PortChannel0001 up",
      "64.63 10.0.0.2 secondary",
      "64.63 10.0.0.2 PortChannel0001 down",
      "64.88 10.0.0.1 +02:aa:bb:cc:00:02",
      "65.01 10.0.0.2 PortChannel0001 up",
      "65.10 10.0.0.1 confirms 1 true",
      "78.47 down sonic closed",
    ]);
  });

  it("is up when both daemons say OPERATIONAL", () => {
    const { timeline } = sidecarOf("iccpd-session.pcap") as unknown as {
      readonly timeline: readonly { readonly t: number; readonly text: string }[];
    };
    const operational = timeline.filter(({ text }) => text.endsWith("to OPERATIONAL.")).map(({ t }) => t);
    const ups = seen.filter((event) => event.type === "iccp.session" && event.up).map(({ t }) => t);
    expect(ups).toHaveLength(2);
    for (const up of ups) expect(operational.filter((t) => Math.abs(t - up) < 0.15)).toHaveLength(2);
  });

  it("broken messages are dropped under a reason, and what follows is heard", () => {
    const faults = seenIn(new CaptureReader().push(octetsOf("craft-iccp-segments-and-faults.pcap")));
    expect(faults.map(line)).toEqual([
      "0.90 10.0.0.1 1 down",
      "1.00 10.0.0.1 drop format",
      "1.10 10.0.0.1 drop format",
      "1.20 10.0.0.1 drop format",
      "1.40 10.0.0.1 drop format",
      "1.60 10.0.0.1 drop message-length",
    ]);
  });
});

const ROLE = {
  kind: "role",
  role: "primary",
  priority: 100,
  system: mac("02:00:00:00:00:01"),
  lacpSystem: mac("02:4d:4c:00:00:0a"),
  sticky: true,
  preempt: false,
} as const;
const UP: Item = {
  kind: "portState",
  id: 4,
  state: "up",
  isolationWanted: true,
  isolationInstalled: false,
  membersUp: 1,
  members: 1,
  actorKey: 0,
  partnerSystem: mac("02:cc:00:00:00:01"),
  partnerPriority: 0,
  partnerKey: 0,
};
const KEYS = [{ id: 7, secret: new TextEncoder().encode("nobody may read this text") }];

function stations(from: number, number: number): Item {
  const entries = Array.from({ length: number }, (_, i) => ({
    vlan: 10,
    mac: mac(
      `02:aa:00:00:${((from + i) >> 8).toString(16).padStart(2, "0")}:${((from + i) & 0xff).toString(16).padStart(2, "0")}`,
    ),
    id: 4,
    sequence: from + i,
    present: true,
    permanent: false,
  }));
  return { kind: "macs", entries };
}

/** A session that says something of everything, and ends with a goodbye. */
function conversation(addresses: readonly [string, string] = ["10.0.0.1", "10.0.0.2"]): CapturedPacket[] {
  const { pair, packets } = record({ addresses, a: { keys: KEYS }, b: { keys: KEYS } });
  pair.run(SECOND);
  pair.tell("a", ROLE, UP, { kind: "isolate", id: 4, isolated: true, request: 1 });
  pair.tell("b", { ...ROLE, role: "secondary" }, { kind: "isolateAck", id: 4, isolated: true, request: 1 });
  // Messages over several segments.
  pair.tell("a", stations(0, 1_000));
  pair.run(SECOND);
  const arp = { vlan: 10, address: ip("10.0.0.9"), mac: mac("02:aa:00:00:00:01"), sequence: 1, present: true };
  pair.tell("b", { kind: "arps", entries: [arp] });
  for (let i = 0; i < 20; i++) {
    pair.tell("a", stations(1_000 + i, 1));
    pair.run(100 * MILLISECOND);
  }
  pair.tell("a", { kind: "goodbye", cause: "maintenance" });
  pair.world.command({ verb: "command", node: "a", to: "iccp", command: { verb: "reset" } });
  pair.run(100 * MILLISECOND);
  return packets();
}

describe("our own dialect, recorded", () => {
  const whole = conversation();
  const seen = seenIn(whole);

  it("session, roles, halves, isolation, stations, neighbours and the goodbye with its cause", () => {
    const lines = seen.map(line).map((text) => text.split(" ").slice(1).join(" "));
    expect(lines.slice(0, 6)).toEqual([
      "up native established",
      "10.0.0.1 primary",
      "10.0.0.1 4 up",
      "10.0.0.1 asks 4 true",
      "10.0.0.2 secondary",
      "10.0.0.2 confirms 4 true",
    ]);
    const heard = seen.flatMap((event) =>
      event.type === "iccp.stations" && event.table === "mac" ? event.entries : [],
    );
    expect(heard).toHaveLength(1_020);
    expect(seen).toContainEqual(
      expect.objectContaining({
        type: "iccp.stations",
        table: "arp",
        entries: [{ vlan: 10, mac: "02:aa:00:00:00:01", address: "10.0.0.9", present: true }],
      }),
    );
    expect(lines.filter((text) => text.includes("goodbye") || text.startsWith("down"))).toContain(
      "down native goodbye",
    );
    expect(lines).toContain("10.0.0.1 goodbye maintenance");
  });

  it("segments recorded twice, and neighbours in the wrong order, change nothing of it", () => {
    const twice = rearranged(whole, (packets) => packets.flatMap((packet) => [packet, packet]));
    expect(plain(seenIn(twice))).toEqual(plain(seen));
    const swapped = rearranged(whole, (packets) => {
      const tail = packets.slice(6);
      const mixed = tail.flatMap((_, i) =>
        i % 2 === 1 ? [tail[i], tail[i - 1]] : i === tail.length - 1 ? [tail[i]] : [],
      );
      return [...packets.slice(0, 6), ...mixed.filter((packet) => packet !== undefined)];
    });
    // The session ends in the midst of such a pair: only what comes before is compared.
    const upTo = (all: readonly Seen[]) => plain(all.filter(({ type }) => type === "iccp.stations"));
    expect(upTo(seenIn(swapped))).toEqual(upTo(seen));
  });

  it("a segment that is missing in the recording costs its messages, is said as a gap, and no more", () => {
    const large = whole.findIndex(({ bytes }) => bytes.length > 1_400);
    const cut = rearranged(whole, (packets) => packets.filter((_, i) => i !== large));
    const after = seenIn(cut);
    expect(after.filter((event) => event.type === "anomaly").map(({ kind }) => kind)).toEqual(["gap"]);
    const macs = after.flatMap((event) =>
      event.type === "iccp.stations" && event.table === "mac" ? event.entries : [],
    );
    expect(macs).toHaveLength(20);
    expect(after.at(-1)).toMatchObject({ type: "iccp.session", up: false, reason: "goodbye" });
  });

  it("in VLAN 4094 over IPv6 it is the same session", () => {
    const six = conversation(["fd00::1", "fd00::2"]);
    const tagged = rearranged(six, (packets) =>
      packets.map((packet) => {
        const { bytes } = packet;
        return {
          ...packet,
          bytes: Uint8Array.of(...bytes.subarray(0, 12), 0x81, 0, 0x0f, 0xfe, ...bytes.subarray(12)),
        };
      }),
    );
    const addresses = (text: string) => text.replaceAll("fd00::", "10.0.0.");
    expect(seenIn(tagged).map((event) => addresses(line(event)))).toEqual(seen.map(line));
    const dissector = createDissector();
    const shown = tagged.map((packet) => dissect(dissector, { ...packet, capturedLength: packet.length }));
    const messages = shown.flatMap(({ vlan, iccp_messages = [] }) => (vlan?.[0]?.vid === 4094 ? iccp_messages : []));
    expect(messages.length).toBeGreaterThan(25);
  });

  it("decode names its parameters and shows their values, and of a signature only whose key it is", () => {
    const dissector = createDissector();
    const shown = whole.map((packet) => dissect(dissector, { ...packet, capturedLength: packet.length }));
    const tlvs = shown.flatMap(({ iccp_messages = [] }) => iccp_messages).flatMap(({ tlvs: all }) => all);
    const of = (name: string) => tlvs.filter((tlv) => tlv.name === `${name} (hotpair)`).map(({ decoded }) => decoded);
    expect(of("hello")[0]).toMatchObject({ major: 1, minor: 0, system: "02:00:00:00:00:01" });
    expect(of("envelope")[0]).toMatchObject({ sequence: 1, echo_epoch: 0, echo_sequence: 0 });
    expect(new Set(of("authentication").map((value) => JSON.stringify(value)))).toEqual(new Set(['{"key":7}']));
    expect(of("role")).toContainEqual(expect.objectContaining({ role: "primary", priority: 100, sticky: true }));
    expect(of("port state")[0]).toMatchObject({ id: 4, state: "up", partner_system: "02:cc:00:00:00:01" });
    expect(of("macs")[0]).toContainEqual(expect.objectContaining({ vlan: 10, mac: "02:aa:00:00:00:00", id: 4 }));
    expect(of("arps")[0]).toEqual([expect.objectContaining({ address: "10.0.0.9" })]);
    expect(of("goodbye")).toEqual([{ cause: "maintenance" }]);
    expect(tlvs.filter(({ reason }) => reason !== undefined)).toEqual([]);
    expect(JSON.stringify(shown)).not.toContain("nobody may read");
  });
});

describe("holes", () => {
  it("a hole that nobody fills holds nothing up for more than 3 s, whatever follows", () => {
    const { pair, packets } = record();
    for (let i = 0; i < 8; i++) {
      pair.tell("a", stations(i, 1));
      pair.run(SECOND);
    }
    // Neither the segment nor any acknowledgment is in the recording.
    const ofA = packets().filter(({ bytes }) => bytes[11] === (packets()[0]?.bytes[11] ?? 0));
    const one = ofA.filter(({ bytes }) => bytes.length > 90)[5]?.number;
    const seen = seenIn(rearranged(ofA, (all) => all.filter(({ number }) => number !== one)));
    const gap = seen.find((event) => event.type === "anomaly");
    expect(gap).toMatchObject({ kind: "gap" });
    const stationsSeen = seen.filter((event) => event.type === "iccp.stations");
    expect(stationsSeen.length).toBeGreaterThanOrEqual(6);
  });
});
