import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_QUEUED } from "../../../protocols/tcp/connection.ts";
import type { TcpSession } from "../../../protocols/tcp/events.ts";
import { MAX_CONNECTIONS } from "../../../protocols/tcp/machine.ts";
import { CaptureSink } from "../../../src/capture/sink.ts";
import { EMPTY, equalBytes, u16 } from "../../../src/core/bytes.ts";
import { Frame } from "../../../src/core/frame.ts";
import { itWith, run } from "../../capture/tools.ts";
import { MILLISECOND, octets, Pair, SECOND } from "./bench.ts";

function reasons(pair: Pair, node: string): string[] {
  return pair.said<TcpSession>(node, "tcp.session").map(({ up, reason }) => `${up ? "up" : "down"} ${reason}`);
}

describe("a TCP session between simulated nodes (RFC 9293)", () => {
  for (const ipv6 of [false, true]) {
    it(`is connected within a millisecond and delivers both ways in order, over ${ipv6 ? "IPv6" : "IPv4"}`, () => {
      const pair = new Pair({ ipv6 });
      pair.run(MILLISECOND);
      expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
      pair.give("a", octets(100_000));
      pair.give("b", octets(10, 5));
      pair.run(100 * MILLISECOND);
      expect(equalBytes(pair.read("b"), octets(100_000))).toBe(true);
      expect(pair.read("a")).toEqual(octets(10, 5));
    });
  }

  it("delivers exactly the octets that were given, in order, whatever the link loses and delays", () => {
    const chunk = fc.record({
      from: fc.constantFrom("a", "b"),
      size: fc.integer({ min: 1, max: 20_000 }),
      wait: fc.integer({ min: 0, max: 300 }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1 << 30 }),
        fc.constantFrom(0, 1, 3, 5),
        fc.constantFrom(0, 100_000, 50 * MILLISECOND),
        fc.array(chunk, { minLength: 1, maxLength: 12 }),
        (seed, loss, delay, chunks) => {
          const pair = new Pair({ seed, link: { delay, jitter: delay, queue: 20_000 } });
          pair.run(SECOND);
          pair.world.command({ verb: "loss", link: "ab", ratio: { numerator: loss, denominator: 20 } });
          const given: Record<string, number[]> = { a: [], b: [] };
          for (const [i, { from, size, wait }] of chunks.entries()) {
            pair.give(from, octets(size, i));
            given[from]?.push(...octets(size, i));
            pair.run(wait * MILLISECOND);
          }
          pair.world.command({ verb: "loss", link: "ab", ratio: undefined });
          pair.run(30 * SECOND);
          // A session that gave up under loss begins anew; what it delivered until then was in order.
          const whole = pair.user("a").links.length === 1 && pair.user("b").links.length === 1;
          for (const [to, from] of [
            ["a", "b"],
            ["b", "a"],
          ] as const) {
            const read = pair.read(to);
            const sent = Uint8Array.from(given[from] ?? []);
            if (whole) expect(equalBytes(read, sent)).toBe(true);
          }
          expect(pair.up("a") && pair.up("b")).toBe(true);
          if (loss < 3) expect(whole).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("ends at once when the interface loses its carrier, and connects anew when it returns", () => {
    const pair = new Pair();
    pair.run(SECOND);
    pair.world.command({ verb: "cut", link: "ab" });
    expect([pair.up("a"), pair.up("b")]).toEqual([false, false]);
    pair.run(5 * SECOND);
    pair.world.command({ verb: "heal", link: "ab" });
    pair.run(10 * MILLISECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
    pair.give("b", octets(10));
    pair.run(MILLISECOND);
    expect(pair.read("a")).toEqual(octets(10));
    expect(reasons(pair, "a")).toEqual(["up connected", "down no-address", "up connected"]);
  });

  it("a peer that lost its memory replaces the connection when it comes again", () => {
    const pair = new Pair();
    pair.run(SECOND);
    // Its frames are lost while it dies, so that B hears of nothing.
    pair.world.command({ verb: "filter", link: "ab", filter: { from: "a", matches: () => true }, text: "a" });
    pair.world.command({ verb: "command", node: "a", to: "tcp", command: { verb: "stop" } });
    pair.world.command({ verb: "filter", link: "ab", filter: undefined, text: "" });
    expect(pair.up("b")).toBe(true);
    pair.world.command({ verb: "command", node: "a", to: "tcp", command: { verb: "start" } });
    pair.run(SECOND);
    expect(reasons(pair, "b")).toEqual(["up connected", "down replaced", "up connected"]);
    pair.give("a", octets(99));
    pair.run(SECOND);
    expect(pair.read("b")).toEqual(octets(99));
  });

  it("gives up after bounded retries when the peer falls silent, and tries again with growing pauses", () => {
    const pair = new Pair();
    pair.run(SECOND);
    pair.world.command({ verb: "cut", link: "ab", side: "a:e0" });
    pair.give("a", octets(10));
    pair.run(60 * SECOND);
    expect(reasons(pair, "a")).toEqual(["up connected", "down timeout"]);
    expect(pair.tcp("a").sessions[0]?.connections.length).toBeLessThanOrEqual(MAX_CONNECTIONS);
    pair.world.command({ verb: "heal", link: "ab" });
    pair.run(8 * SECOND);
    expect([pair.up("a"), pair.up("b")]).toEqual([true, true]);
  });

  it("a session that is ended delivers what was given before, then closes on both sides", () => {
    const pair = new Pair();
    pair.run(SECOND);
    pair.give("a", octets(300_000));
    pair.give("a", EMPTY);
    expect(pair.up("a")).toBe(false);
    pair.run(150 * MILLISECOND);
    expect(equalBytes(pair.read("b"), octets(300_000))).toBe(true);
    expect(reasons(pair, "b")).toEqual(["up connected", "down closed"]);
    pair.run(SECOND);
    expect(reasons(pair, "a")).toEqual(["up connected", "down ended", "up connected"]);
  });

  it("nobody but a listener is connected to: two that connect are refused, and say so once", () => {
    const pair = new Pair({ roles: ["connect", "connect"] });
    pair.run(20 * SECOND);
    expect(reasons(pair, "a")).toEqual(["down refused"]);
    expect(pair.up("a")).toBe(false);
  });

  it(`more than ${MAX_QUEUED} octets that wait end the session with a reason, and pressure is said before`, () => {
    const pair = new Pair();
    pair.run(SECOND);
    pair.world.command({ verb: "cut", link: "ab", side: "a:e0" });
    for (let i = 0; i < 5; i++) pair.give("a", new Uint8Array(1 << 20));
    expect(reasons(pair, "a")).toEqual(["up connected", "down overrun"]);
    expect(pair.said("a", "tcp.pressure")).toHaveLength(1);
  });

  it("segments that were changed on the way are dropped and counted, and the session goes on", () => {
    const pair = new Pair();
    const seen: Uint8Array[] = [];
    pair.log.follow({
      everything: true,
      read: ({ what, node }) => {
        if (what.kind === "send" && node === "a" && what.port.name === "e0") seen.push(what.frame.bytes);
      },
    });
    pair.run(SECOND);
    pair.give("a", octets(400));
    pair.run(SECOND);
    const b = pair.world.node("b");
    const packets = seen.filter((bytes) => u16(bytes, 12) === 0x0800);
    expect(packets.length).toBeGreaterThan(2);
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (which, where, flip) => {
        const bytes = (packets[which % packets.length] ?? EMPTY).slice();
        const at = 34 + (where % (bytes.length - 34));
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const port = b?.port("e0");
        if (port !== undefined) b?.deliver(port, Frame.of(bytes), pair.world.instant);
      }),
    );
    expect(pair.tcp("b").drops.get("checksum")).toBeGreaterThan(50);
    pair.give("a", octets(50, 3));
    pair.run(SECOND);
    expect(pair.read("b")).toEqual(Uint8Array.of(...octets(400), ...octets(50, 3)));
  });

  itWith("tshark", "tshark finds nothing to complain about in a clean session", async () => {
    const pair = new Pair();
    const directory = mkdtempSync(join(tmpdir(), "tcp-"));
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
      pair.run(SECOND);
      for (let i = 0; i < 40; i++) {
        pair.give("a", octets(1 + i * 150, i));
        pair.give("b", octets(2000, i));
        pair.run(100 * MILLISECOND);
      }
      pair.give("a", EMPTY);
      pair.run(20 * MILLISECOND);
      expect(sink.close()).toBeUndefined();
      const check = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-r", path];
      const all = await run("tshark", [...check, "-Y", "tcp"]);
      expect(all.split("\n").length).toBeGreaterThan(100);
      const bad = "tcp.analysis.flags || _ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0";
      expect(await run("tshark", [...check, "-Y", bad])).toBe("");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
