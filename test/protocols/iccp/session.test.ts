import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Item, MacItem, PeerItem } from "../../../protocols/iccp/events.ts";
import { encodeMessage } from "../../../protocols/iccp/message.ts";
import { CaptureSink } from "../../../src/capture/sink.ts";
import { type Mac, macFrom } from "../../../src/core/addr.ts";
import { Frame } from "../../../src/core/frame.ts";
import { itWith, run } from "../../capture/tools.ts";
import { MILLISECOND, Pair, SECOND } from "./bench.ts";

function macs(n: number, from = 0): MacItem[] {
  return Array.from({ length: n }, (_, i) => ({
    vlan: 1 + ((from + i) % 4),
    mac: macFrom(Uint8Array.of(2, 0, 1, (from + i) >>> 16, (from + i) >>> 8, from + i)),
    id: (from + i) % 3,
    sequence: from + i,
    present: true,
    permanent: false,
  }));
}

function peerOf(pair: Pair, node: string): PeerItem | undefined {
  return pair.heard(node).findLast((item): item is PeerItem => item.kind === "peer");
}

describe("an ICCP session of our own dialect", () => {
  it("M01: equal domains are operational in well under 1 s, and each end learns who the other is", () => {
    const pair = new Pair();
    pair.run(10 * MILLISECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
    expect(peerOf(pair, "a")).toMatchObject({ dialect: "native", system: "02:00:00:00:00:02" });
    expect(peerOf(pair, "a")?.peerEpoch).toBe(peerOf(pair, "b")?.epoch);
    expect(pair.sessions("a")).toHaveLength(1);
    expect(pair.sessions("a")[0]?.event).toMatchObject({ up: true, dialect: "native", reason: "established" });
  });

  it("M01: different domains never form; the reason names both, is said once, and attempts back off", () => {
    const pair = new Pair({ b: { domain: 11 } });
    pair.run(60 * SECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([false, false]);
    expect(pair.sessions("a").map(({ event }) => event.detail)).toEqual(["10 here, 11 there"]);
    expect(pair.sessions("b").map(({ event }) => event.detail)).toEqual(["11 here, 10 there"]);
    expect(pair.reasons("a")).toEqual(["down domain-mismatch"]);
    const epochs = pair.state("a").sessions[0]?.epoch ?? 0;
    pair.run(60 * SECOND);
    // At most one attempt each 5 s.
    expect((pair.state("a").sessions[0]?.epoch ?? 0) - epochs).toBeLessThanOrEqual(13);
  });

  it("M03: two switches with one system MAC have no session and say so", () => {
    const same = "02:00:00:00:00:07" as Mac;
    const pair = new Pair({ a: { system: same }, b: { system: same } });
    pair.run(5 * SECOND);
    expect(pair.reasons("a")).toEqual(["down same-system"]);
    expect(pair.reasons("b")).toEqual(["down same-system"]);
  });

  it("hands items over unchanged and in order, both ways", () => {
    const items: Item[] = [
      {
        kind: "role",
        role: "primary",
        priority: 100,
        system: "02:00:00:00:00:01" as Mac,
        lacpSystem: "02:4d:4c:00:00:0a" as Mac,
        sticky: true,
        preempt: false,
      },
      { kind: "syncBegin", sync: 7 },
      { kind: "macs", entries: macs(10) },
      { kind: "syncEnd", sync: 7, macs: 10, arps: 0, nds: 0 },
    ];
    const pair = new Pair({ greeting: { a: items, b: [{ kind: "isolate", id: 3, isolated: true, request: 9 }] } });
    pair.run(SECOND);
    expect(pair.heard("b").slice(1)).toEqual(items);
    expect(pair.heard("a").slice(1)).toEqual([{ kind: "isolate", id: 3, isolated: true, request: 9 }]);
  });

  it("32,000 MACs reach a joining peer within 2 s over 40 Gb/s, in far less in fact", () => {
    const pair = new Pair({ greeting: { a: [{ kind: "macs", entries: macs(32_000) }] } });
    pair.run(100 * MILLISECOND);
    const heard = pair.heard("b").flatMap((item) => (item.kind === "macs" ? item.entries : []));
    expect(heard).toHaveLength(32_000);
    expect(heard[31_999]).toEqual(macs(1, 31_999)[0]);
  });

  it("M08: survives 10 % loss and 200 ms delay, and delivers all of it", () => {
    for (const seed of [1, 2, 3]) {
      const pair = new Pair({ seed, link: { delay: 200 * MILLISECOND, jitter: 20 * MILLISECOND } });
      pair.run(5 * SECOND);
      pair.world.command({ verb: "loss", link: "ab", ratio: { numerator: 1, denominator: 10 } });
      for (let i = 0; i < 20; i++) {
        pair.tell("a", { kind: "macs", entries: macs(50, 50 * i) });
        pair.run(SECOND);
      }
      pair.world.command({ verb: "loss", link: "ab", ratio: undefined });
      pair.run(10 * SECOND);
      expect(pair.reasons("a")).toEqual(["up established"]);
      expect(pair.heard("b").flatMap((item) => (item.kind === "macs" ? item.entries : []))).toEqual(macs(1000));
    }
  });

  it("M10: a peer that stands still is lost after heartbeat × multiplier, not later", () => {
    const pair = new Pair();
    pair.run(2500 * MILLISECOND);
    pair.world.command({ verb: "pause", node: "b" });
    pair.run(10 * SECOND);
    const [, lost] = pair.sessions("a");
    expect(lost?.event).toMatchObject({ up: false, reason: "heartbeat-timeout" });
    expect(lost?.at).toBeGreaterThan(2_000_000 + 2_900_000);
    expect(lost?.at).toBeLessThanOrEqual(2_500_000 + 3_000_000);
  });

  it("M14: the end that stood still longer gives up first when it goes on, and both agree anew", () => {
    const pair = new Pair();
    pair.run(SECOND);
    pair.world.command({ verb: "pause", node: "b" });
    pair.run(20 * SECOND);
    pair.world.command({ verb: "resume", node: "b" });
    expect(pair.up("b")).toBe(false);
    pair.run(10 * SECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
    expect(pair.reasons("b")).toEqual(["up established", "down heartbeat-timeout", "up established"]);
  });

  for (const side of ["a", "b"]) {
    it(`M11: what ${side} sends is lost: both ends know within 3 s, and the one that still hears says one-way`, () => {
      const pair = new Pair();
      pair.run(4200 * MILLISECOND);
      pair.world.command({ verb: "cut", link: "ab", side: `${side}:e0` });
      pair.run(5 * SECOND);
      const other = side === "a" ? "b" : "a";
      expect(pair.sessions(side)[1]?.event.reason).toBe("one-way");
      expect(pair.sessions(other)[1]?.event.reason).toBe("heartbeat-timeout");
      for (const node of ["a", "b"]) expect(pair.sessions(node)[1]?.at).toBeLessThanOrEqual(7_200_000);
    });
  }

  it("a cut peer link ends the session at once, and a new epoch begins when it heals", () => {
    const pair = new Pair();
    pair.run(SECOND);
    const before = peerOf(pair, "a");
    pair.world.command({ verb: "cut", link: "ab" });
    expect([pair.up("a"), pair.up("b")]).toEqual([false, false]);
    expect(pair.reasons("a")).toEqual(["up established", "down no-address"]);
    pair.world.command({ verb: "heal", link: "ab" });
    pair.run(50 * MILLISECOND);
    expect(pair.up("a")).toBe(true);
    expect(peerOf(pair, "a")?.epoch).toBe((before?.epoch ?? 0) + 1);
    expect(peerOf(pair, "a")?.bootId).toBe(before?.bootId);
  });

  it("a peer that rebooted has another boot id and another epoch", () => {
    const pair = new Pair();
    pair.run(SECOND);
    const before = peerOf(pair, "a");
    pair.world.command({ verb: "power-off", node: "b" });
    pair.run(3 * SECOND);
    pair.world.command({ verb: "power-on", node: "b" });
    pair.run(SECOND);
    expect(pair.up("a")).toBe(true);
    expect(peerOf(pair, "a")?.bootId).not.toBe(before?.bootId);
    expect(peerOf(pair, "a")?.peerEpoch).not.toBe(before?.peerEpoch);
  });

  it("M26: a goodbye is handed up before the session ends, and is its reason", () => {
    const pair = new Pair();
    pair.run(SECOND);
    pair.world.command({ verb: "command", node: "b", to: "iccp", command: { verb: "stop" } });
    pair.run(SECOND / 10);
    expect(pair.heard("a").at(-1)).toEqual({ kind: "goodbye", cause: "shutdown" });
    expect(pair.reasons("a").slice(0, 2)).toEqual(["up established", "down goodbye"]);
  });

  it("the same seed gives the same session, octet by octet (M78)", () => {
    const record = () => {
      const pair = new Pair({ greeting: { a: [{ kind: "macs", entries: macs(100) }] } });
      const seen: string[] = [];
      pair.log.follow({
        everything: true,
        read: ({ what }) => {
          if (what.kind === "send") seen.push(what.frame.bytes.join());
        },
      });
      pair.run(5 * SECOND);
      return seen;
    };
    const first = record();
    expect(first.length).toBeGreaterThan(20);
    expect(record()).toEqual(first);
  });
});

describe("keys of an ICCP session (RFC 2104, RFC 6234)", () => {
  const key = (id: number, text: string) => ({ id, secret: new TextEncoder().encode(text) });

  it("with the same key it forms and carries items", () => {
    const keys = [key(1, "secret")];
    const pair = new Pair({ a: { keys }, b: { keys }, greeting: { a: [{ kind: "macs", entries: macs(2500) }] } });
    pair.run(SECOND);
    expect(pair.heard("b").flatMap((item) => (item.kind === "macs" ? item.entries : []))).toEqual(macs(2500));
  });

  it("a key is changed by adding the new one at both ends first", () => {
    const pair = new Pair({ a: { keys: [key(2, "new"), key(1, "old")] }, b: { keys: [key(1, "old"), key(2, "new")] } });
    pair.run(SECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
  });

  for (const [what, b, reason] of [
    ["another secret under the same id", [key(1, "wrong")], "signature"],
    ["another id", [key(2, "secret")], "unknown-key"],
    ["no key", [], "unsigned"],
  ] as const) {
    it(`M12: a peer with ${what} never forms a session, and its messages are counted`, () => {
      const pair = new Pair({ a: { keys: [key(1, "secret")] }, b: { keys: b } });
      pair.run(20 * SECOND);
      expect([pair.up("a"), pair.up("b")]).toEqual([false, false]);
      expect(pair.drops("a")[reason]).toBeGreaterThan(1);
      expect(pair.reasons("a")).toContain("down authentication");
    });
  }

  it("M12, M09: replayed messages and those of an older epoch are dropped and counted, and change nothing", () => {
    const keys = [key(1, "secret")];
    const pair = new Pair({ a: { keys }, b: { keys } });
    const chunks: Uint8Array[] = [];
    pair.log.follow({
      everything: true,
      read: ({ what, node, way }) => {
        if (node === "b" && way === "out" && what.kind === "send" && what.port.name === "e0") {
          const { bytes } = what.frame;
          // Behind Ethernet, IPv4 and TCP without options.
          if (bytes[23] === 6 && bytes.length > 54 && bytes[46] === 0x50) chunks.push(bytes.slice(54));
        }
      },
    });
    pair.run(3 * SECOND);
    const old = chunks.splice(0);
    expect(old.length).toBeGreaterThan(4);
    const a = pair.world.node("a");
    const inject = (octets: Uint8Array) => {
      const frame = new Uint8Array(14 + octets.length);
      frame.set(octets, 14);
      const port = a?.port("tcp:peer");
      if (a === undefined || port === undefined) return;
      // As if it had come from the TCP session.
      a.up(port, Frame.of(frame));
    };
    for (const octets of old) inject(octets);
    expect(pair.drops("a")["replayed"]).toBe(old.length);
    pair.world.command({ verb: "command", node: "b", to: "iccp", command: { verb: "reset" } });
    pair.run(3 * SECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
    for (const octets of old) inject(octets);
    expect(pair.drops("a")["stale-epoch"]).toBe(old.length);
    pair.run(10 * SECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
  });
});

describe("what a session does not accept", () => {
  const HELLO = { major: 1, minor: 0, features: 0, system: "02:00:00:00:00:09" as Mac, bootId: 5 };
  const ASK = { kind: "capability", supported: true, major: 1, minor: 0 } as const;

  function capability(hello = HELLO): Uint8Array {
    const envelope = { epoch: 77, sequence: 1, echoEpoch: 0, echoSequence: 0 };
    return encodeMessage({ type: 0x0202, id: 1, values: [ASK], hello, envelope, items: [] });
  }

  it("row 24, M02: another major version does not form, with a reason that names both; a NAK tells the peer", () => {
    const pair = new Pair({ raw: true });
    pair.run(MILLISECOND);
    pair.give(capability({ ...HELLO, major: 2 }));
    pair.run(MILLISECOND);
    expect(pair.sessions("a").at(-1)?.event).toMatchObject({
      up: false,
      reason: "version-mismatch",
      detail: "1.0 here, 2.0 there",
    });
    expect(pair.raw().links.at(-1)).toBe(false);
  });

  it("M02: an unknown optional parameter is left out; an unknown mandatory one is refused with its type", () => {
    const pair = new Pair({ raw: true });
    pair.run(MILLISECOND);
    pair.give(capability());
    pair.run(MILLISECOND);
    const epoch = pair.state("a").sessions[0]?.epoch ?? 0;
    const say = (sequence: number, type: 0x0700 | 0x0703, unknown?: number, optional = false) => {
      const envelope = { epoch: 77, sequence, echoEpoch: epoch, echoSequence: 2 };
      const values = [{ kind: "rgId", rg: 10 } as const];
      const octets = encodeMessage({ type, id: sequence, values, envelope, items: [] });
      if (unknown === undefined) {
        pair.give(octets);
        return;
      }
      const longer = Uint8Array.of(...octets, (unknown >>> 8) | (optional ? 0x80 : 0), unknown & 255, 0, 0);
      longer[3] = (longer[3] ?? 0) + 4;
      pair.give(longer);
    };
    say(2, 0x0700);
    pair.run(MILLISECOND);
    expect(pair.up("a")).toBe(true);
    say(3, 0x0703, 0x3fee, true);
    pair.run(MILLISECOND);
    expect(pair.up("a")).toBe(true);
    say(4, 0x0703, 0x3fee);
    pair.run(MILLISECOND);
    expect(pair.sessions("a").at(-1)?.event).toMatchObject({ reason: "unknown-mandatory", detail: "parameter 3fee" });
  });

  it("a peer that connects and says nothing is let go after 5 s, and one that says nonsense at once", () => {
    const pair = new Pair({ raw: true });
    pair.run(4 * SECOND);
    expect(pair.raw().links).toEqual([true]);
    pair.run(2 * SECOND);
    expect(pair.sessions("a").at(-1)?.event.reason).toBe("handshake-timeout");
    pair.run(6 * SECOND);
    pair.give(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0));
    pair.run(MILLISECOND);
    expect(pair.sessions("a").at(-1)?.event.reason).toBe("malformed");
  });

  it("any octets and any change to a recorded stream leave machine and port in one mind, and a new session forms", () => {
    const recorded: Uint8Array[] = [];
    const donor = new Pair({ greeting: { a: [{ kind: "macs", entries: macs(30) }] } });
    donor.log.follow({
      everything: true,
      read: ({ what, node, way }) => {
        if (node !== "b" || way !== "in" || what.kind !== "frame" || what.port.name !== "e0") return;
        const { bytes } = what.frame;
        if (bytes[23] === 6 && bytes.length > 54 && bytes[46] === 0x50) recorded.push(bytes.slice(54));
      },
    });
    donor.run(2 * SECOND);
    expect(recorded.length).toBeGreaterThan(4);
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(fc.nat(), fc.nat(), fc.nat(255)).map(([which, where, octet]) => {
        const octets = (recorded[which % recorded.length] ?? Uint8Array.of(0)).slice();
        octets[where % octets.length] = octet;
        return octets;
      }),
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.boolean(), (pieces, early) => {
        const pair = new Pair();
        pair.run(early ? MILLISECOND / 50 : SECOND);
        const a = pair.world.node("a");
        const port = a?.port("tcp:peer");
        for (const octets of pieces) {
          const bytes = new Uint8Array(14 + octets.length);
          bytes.set(octets, 14);
          if (port !== undefined) a?.up(port, Frame.of(bytes));
          expect(pair.up("a")).toBe(pair.state("a").sessions[0]?.state === "operational");
          expect(pair.state("a").sessions[0]?.rest.length).toBeLessThanOrEqual(65_539);
        }
        pair.world.command({ verb: "cut", link: "ab" });
        pair.world.command({ verb: "heal", link: "ab" });
        pair.run(SECOND);
        expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
      }),
      { numRuns: 150 },
    );
  });

  it("a node that wants our own dialect refuses a SONiC peer, with the reason", () => {
    const pair = new Pair({ a: { dialect: "native" }, b: { dialect: "sonic" } });
    pair.run(5 * SECOND);
    expect(pair.up("a")).toBe(false);
    expect(pair.reasons("a")).toEqual(["down dialect-mismatch"]);
  });
});

describe("an ICCP session on the wire", () => {
  itWith("tshark", "tshark follows it without a complaint, signed messages and 2,000 MACs included", async () => {
    const keys = [{ id: 1, secret: Uint8Array.of(1, 2, 3) }];
    const pair = new Pair({ a: { keys }, b: { keys }, greeting: { a: [{ kind: "macs", entries: macs(2000) }] } });
    const directory = mkdtempSync(join(tmpdir(), "iccp-"));
    try {
      const path = join(directory, "session.pcapng");
      const sink = new CaptureSink(path);
      const link = sink.addInterface({ name: "a:e0" });
      pair.log.follow({
        everything: true,
        read: ({ what, node, at }) => {
          if (node !== "a" || (what.kind !== "send" && what.kind !== "frame") || what.port.name !== "e0") return;
          const seconds = Math.floor(at / 1e6);
          sink.packet({ interface: link, seconds, nanoseconds: (at % 1e6) * 1000, bytes: what.frame.bytes });
        },
      });
      pair.run(10 * SECOND);
      expect(sink.close()).toBeUndefined();
      const check = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-r", path];
      expect((await run("tshark", [...check, "-Y", "tcp.port == 8888"])).split("\n").length).toBeGreaterThan(60);
      const bad = "tcp.analysis.flags || _ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0";
      expect(await run("tshark", [...check, "-Y", bad])).toBe("");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
