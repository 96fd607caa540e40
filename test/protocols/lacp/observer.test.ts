/** What can be said of LACPDUs from outside: compared with what was done to the recorded systems. */
import { describe, expect, it } from "vitest";
import {
  encodeLacpdu,
  encodeMarker,
  type Lacpdu,
  type LacpInfo,
  SLOW_GROUP,
  STATE,
} from "../../../protocols/lacp/codec.ts";
import type { LacpSeen, SeenPortEvent } from "../../../protocols/lacp/observer-events.ts";
import { CaptureReader } from "../../../src/capture/read.ts";
import { type Mac, macBytes } from "../../../src/core/addr.ts";
import type { CapturedPacket } from "../../../src/host/replay/replay.ts";
import { captureFiles, octetsOf, sidecarOf } from "../../capture/fixtures.ts";
import { mac } from "../../support/probe.ts";
import { replayPackets } from "../../support/replay.ts";

type Seen = LacpSeen & { readonly t: number };

function seenIn(packets: Iterable<CapturedPacket>): Seen[] {
  return replayPackets(packets) as unknown as Seen[];
}

const files = captureFiles.filter((file) => /lacp|LACP/.test(file) && !file.startsWith("craft"));

function story(file: string): string[] {
  return seenIn(new CaptureReader().push(octetsOf(file))).flatMap((event) => {
    if (event.type === "lacp.bundle") return [`${event.t.toFixed(2)} ${event.bundle} ${event.members} ${event.reason}`];
    return event.type === "anomaly" ? [`${event.t.toFixed(2)} ${event.kind}`] : [];
  });
}

describe("recorded systems", () => {
  it.each(files)("%s: every change of what an end says is said once, in its frame", (file) => {
    const sidecar = sidecarOf(file) as unknown as {
      readonly lacp_changes?: readonly { readonly frame: number; readonly src: string; readonly actor_state: string }[];
    };
    const seen = seenIn(new CaptureReader().push(octetsOf(file)));
    const ports = seen.filter((event): event is SeenPortEvent & { t: number } => event.type === "lacp.port");
    const silent = new Set<string>();
    const changes: string[] = [];
    for (const { port, reason, frame, actor } of ports) {
      const word = `${frame} ${port} ${actor.state}`;
      // Who is heard again is said again, with what it said before or with something new.
      const recorded = sidecar.lacp_changes?.some((change) => change.frame === frame);
      if (reason !== "not-heard" && (!silent.has(port) || recorded === true)) changes.push(word);
      if (reason === "not-heard") silent.add(port);
      else silent.delete(port);
    }
    const truth = (sidecar.lacp_changes ?? []).map((one) => `${one.frame} ${one.src} ${one.actor_state}`);
    expect(changes).toEqual(truth);
  });

  it("a host on two switches: one bundle of two links, which a link, and then a silence, take down to one", () => {
    const bundle = "02:00:00:00:06:11/15 = 02:00:00:00:06:aa/6415";
    expect(story("bonding-lacp-mlag-host-view.pcap")).toEqual([
      // Both switches number their only port 1.
      "1.03 duplicate-port",
      `5.28 ${bundle} 1 member-joined`,
      `5.32 ${bundle} 2 member-joined`,
      // 14.99: l1 set down on s1.
      `16.86 ${bundle} 1 member-left`,
      `23.25 ${bundle} 2 member-joined`,
      // 28.90: everything that s2 sends is lost, and the carrier stays.
      `31.78 ${bundle} 1 member-left`,
      "31.78 silent-partner",
      `37.81 ${bundle} 2 member-joined`,
    ]);
  });

  it("a key that changes is another bundle", () => {
    expect(story("ovs-lacp-key-change.pcap").map((line) => line.replaceAll("02:00:00:00:03:", ""))).toEqual([
      "1.02 a1/5 = a2/5 1 member-joined",
      "1.02 a1/5 = a2/5 2 member-joined",
      "8.10 key-change",
      "8.10 a1/5 = a2/5 1 member-left",
      // The partner has taken it over.
      "8.10 a1/5 = a2/5 0 no-member",
      "8.10 key-change",
      "9.02 a1/5 = a2/77 1 member-joined",
      "9.10 a1/5 = a2/77 2 member-joined",
      "16.14 key-change",
      "16.14 a1/5 = a2/77 1 member-left",
      "16.14 a1/5 = a2/77 0 no-member",
      "16.14 key-change",
      "17.03 a1/5 = a2/2 1 member-joined",
      "17.14 a1/5 = a2/2 2 member-joined",
    ]);
  });

  it("two hosts at one pair: the cabling error is said, and one bundle comes up", () => {
    const lines = story("ovs-lacp-miscabled-two-systems.pcap");
    expect(lines).toContain("2.03 two-partners");
    expect(lines.filter((line) => line.includes("member-joined"))).toHaveLength(1);
  });

  it("a switch that takes its peer's system id over is seen to: SONiC's standby", () => {
    const lines = story("iccpd-mlag-domain.pcapng");
    expect(lines).toContain("7.20 system-change");
    const bundles = lines.filter((line) => line.includes(" = ")).map((line) => line.split(" ").slice(-2).join(" "));
    expect(bundles).toEqual(["1 member-joined", "2 member-joined", "1 member-left", "2 member-joined"]);
  });

  it("ports without aggregation are bundles of their own", () => {
    const lines = story("ovs-lacp-individual-ports.pcap").map((line) => line.split(" ").slice(1).join(" "));
    expect(lines).toEqual([
      "02:00:00:00:04:aa/10:4097 = 02:00:00:00:04:c1/1:1 1 member-joined",
      "02:00:00:00:04:aa/10:8193 = 02:00:00:00:04:c1/1:2 1 member-joined",
    ]);
  });
});

const A = { system: mac("02:aa:00:00:00:00"), systemPriority: 1, key: 1, portPriority: 1, port: 1, state: 0x3f };
const B = { ...A, system: mac("02:bb:00:00:00:00") };

interface Word {
  readonly at: number;
  readonly from: string;
  readonly actor: LacpInfo;
  readonly partner: LacpInfo;
  readonly tap?: string;
  readonly octets?: (frame: Uint8Array) => Uint8Array;
}

function packets(words: readonly Word[]): CapturedPacket[] {
  const taps = ["eth0", "eth1"];
  return words.map(({ at, from, actor, partner, tap = "eth0", octets = (frame) => frame }, i) => {
    const pdu: Lacpdu = { version: 1, actor, partner, collectorMaxDelay: 0 };
    const frame = octets(
      Uint8Array.of(...macBytes(SLOW_GROUP), ...macBytes(from as Mac), 0x88, 0x09, ...encodeLacpdu(pdu)),
    );
    const nanoseconds = Math.round((at % 1) * 1e9);
    return {
      number: i + 1,
      seconds: Math.floor(at),
      nanoseconds,
      length: frame.length,
      bytes: frame,
      interface: { index: taps.indexOf(tap), name: tap, linkType: 1, fcsLength: 0 },
    };
  });
}

/** Both ends of a link once a second. */
function talk(from: number, to: number, more: Partial<Word> & { a?: LacpInfo; b?: LacpInfo } = {}): Word[] {
  const { a = A, b = B, ...rest } = more;
  return Array.from({ length: to - from }, (_, i) => [
    { at: from + i, from: "02:aa:00:00:00:01", actor: a, partner: b, ...rest },
    { at: from + i + 0.1, from: "02:bb:00:00:00:01", actor: b, partner: a, ...rest },
  ]).flat();
}

const kinds = (seen: readonly Seen[]) => seen.flatMap((event) => (event.type === "anomaly" ? [event.kind] : []));
const members = (seen: readonly Seen[]) =>
  seen.flatMap((event) => (event.type === "lacp.bundle" ? [event.members] : []));

describe("oddities", () => {
  it("links of one bundle on two interfaces of the capture are one bundle", () => {
    const second = { a: { ...A, port: 2 }, b: { ...B, port: 2 }, tap: "eth1" };
    const words = [...talk(0, 3), ...talk(0, 3, second)].sort((x, y) => x.at - y.at);
    expect(members(seenIn(packets(words)))).toEqual([1, 2]);
  });

  it("an end whose partner is not in the capture is believed about it", () => {
    const words = talk(0, 3).filter(({ from }) => from.startsWith("02:aa"));
    expect(members(seenIn(packets(words)))).toEqual([1]);
    const unsure = words.map((word) => ({ ...word, partner: { ...B, state: B.state & ~STATE.collecting } }));
    expect(members(seenIn(packets(unsure)))).toEqual([]);
  });

  it("a link whose carrier is gone for a while falls silent at both ends, and nobody is blamed for it", () => {
    const words = [...talk(0, 4), ...talk(10, 13)].sort((x, y) => x.at - y.at);
    const seen = seenIn(packets(words));
    expect(members(seen)).toEqual([1, 0, 1]);
    expect(kinds(seen)).toEqual([]);
    const dumb = [...talk(0, 4), ...talk(4, 13).filter(({ from }) => from.startsWith("02:aa"))];
    expect(kinds(seenIn(packets(dumb)))).toEqual(["silent-partner"]);
  });

  it("a link that leaves for the third time in a minute flaps", () => {
    const out = { a: { ...A, state: 0x07 } };
    const words = [0, 4, 8].flatMap((at) => [...talk(at, at + 2), ...talk(at + 2, at + 4, out)]);
    expect(kinds(seenIn(packets(words)))).toEqual(["flapping"]);
  });

  it("a port that hears its own LACPDUs is said once", () => {
    const words = talk(0, 3, { b: A }).map((word) => ({ ...word, from: "02:aa:00:00:00:01" }));
    expect(kinds(seenIn(packets(words)))).toContain("loopback");
    expect(kinds(seenIn(packets(words))).filter((kind) => kind === "loopback")).toHaveLength(1);
  });

  it("L05 L07: cut and tagged frames are dropped under a reason, and change nothing", () => {
    const tagged = (frame: Uint8Array) =>
      Uint8Array.of(...frame.subarray(0, 12), 0x81, 0, 0, 10, ...frame.subarray(12));
    const cut = (frame: Uint8Array) => frame.subarray(0, 60);
    const spoilt = [tagged, cut].flatMap((octets) => talk(0, 2, { octets }));
    const seen = seenIn(packets(spoilt.sort((x, y) => x.at - y.at)));
    expect(new Set(seen.map((event) => (event.type === "lacp.drop" ? event.reason : event.type)))).toEqual(
      new Set(["tagged", "length"]),
    );
    const marker = encodeMarker({ version: 1, kind: "information", port: 1, system: A.system, transaction: 1 });
    const asMarker = (frame: Uint8Array) => Uint8Array.of(...frame.subarray(0, 14), ...marker);
    expect(seenIn(packets(talk(0, 2, { octets: asMarker })))).toEqual([]);
  });
});
