import { describe, expect, it } from "vitest";
import { decodeTcp, encodeTcp, FLAG, type TcpSegment, tcpChecksumFits } from "../../../protocols/tcp/codec.ts";
import {
  type Connection,
  connect,
  expire,
  give,
  MAX_SYN_RETRIES,
  type Out,
} from "../../../protocols/tcp/connection.ts";
import { receive } from "../../../protocols/tcp/reception.ts";
import { type Ip, parseIp } from "../../../src/core/addr.ts";
import { EMPTY } from "../../../src/core/bytes.ts";
import { instant } from "../../../src/core/time.ts";

const A = parseIp("192.0.2.1") as Ip;
const B = parseIp("192.0.2.2") as Ip;
const NOW = instant(0);

function segment(bytes: Uint8Array | undefined): TcpSegment {
  const read = decodeTcp(bytes ?? EMPTY);
  return read.ok ? read.value : expect.fail(read.reason);
}

/** Two that connect to each other with the same pair of ports. */
function both(): { a: Connection; b: Connection; fromA: Out; fromB: Out } {
  const fromA: Out = [];
  const fromB: Out = [];
  const a = connect({ local: A, peer: B, localPort: 1000, peerPort: 2000 }, 0xfffffff0, NOW, fromA);
  const b = connect({ local: B, peer: A, localPort: 2000, peerPort: 1000 }, 500, NOW, fromB);
  return { a, b, fromA, fromB };
}

describe("a TCP connection (RFC 9293 §3.10)", () => {
  it("two SYNs that cross make one connection (§3.5, simultaneous initiation), also at the wrap of 2^32", () => {
    const { a, b, fromA, fromB } = both();
    const toB = fromA.splice(0);
    receive(a, segment(fromB.shift()), NOW, fromA);
    receive(b, segment(toB[0]), NOW, fromB);
    expect([a.state, b.state]).toEqual(["synReceived", "synReceived"]);
    give(
      a,
      Uint8Array.from({ length: 40 }, (_, i) => i),
      NOW,
      fromA,
    );
    const heard: number[] = [];
    for (let i = 0; i < 6; i++) {
      for (const bytes of fromA.splice(0))
        heard.push(...receive(b, segment(bytes), NOW, fromB).chunks.flatMap((c) => [...c]));
      for (const bytes of fromB.splice(0)) receive(a, segment(bytes), NOW, fromA);
    }
    expect([a.state, b.state]).toEqual(["established", "established"]);
    expect(heard).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(a.queued).toBe(0);
  });

  it("an RST counts only with the exact sequence number (RFC 5961 §3.2), a SYN never (§4.2)", () => {
    const { a, b, fromA, fromB } = both();
    const toB = fromA.splice(0);
    receive(a, segment(fromB.shift()), NOW, fromA);
    receive(b, segment(toB[0]), NOW, fromB);
    for (let i = 0; i < 4; i++) {
      for (const bytes of fromA.splice(0)) receive(b, segment(bytes), NOW, fromB);
      for (const bytes of fromB.splice(0)) receive(a, segment(bytes), NOW, fromA);
    }
    const next = a.stream.next ?? 0;
    const from = { sourcePort: 2000, destinationPort: 1000, acknowledgment: 0, window: 0, payload: EMPTY };
    receive(a, { ...from, sequence: next + 1, flags: FLAG.rst }, NOW, fromA);
    expect(a.state).toBe("established");
    expect(segment(fromA.shift()).flags).toBe(FLAG.ack);
    receive(a, { ...from, sequence: next, flags: FLAG.syn }, NOW, fromA);
    expect(a.state).toBe("established");
    expect(receive(a, { ...from, sequence: next, flags: FLAG.rst }, NOW, fromA).ended).toBe("reset");
    expect(a.state).toBe("closed");
  });

  it("a SYN is sent again after 1 s (RFC 6298 (2.1)), and given up after a bounded number", () => {
    const { a, fromA } = both();
    fromA.length = 0;
    expect(a.due).toBe(1_000_000);
    let ended: string | undefined;
    for (let i = 0; i < 10 && ended === undefined; i++) ended = expire(a, a.due, fromA).ended;
    expect(ended).toBe("timeout");
    expect(fromA).toHaveLength(MAX_SYN_RETRIES);
  });

  it("segments carry the checksum of RFC 9293 §3.1 and the MSS option on SYN alone", () => {
    const { fromA } = both();
    const syn = fromA[0] ?? EMPTY;
    expect(tcpChecksumFits(syn, { source: A, destination: B })).toBe(true);
    expect(segment(syn).mss).toBe(1460);
    const data = { ...segment(syn), mss: undefined as never, flags: FLAG.ack, payload: Uint8Array.of(1, 2, 3) };
    const { mss: _, ...plain } = data;
    const bytes = encodeTcp(plain, { source: A, destination: B });
    expect(segment(bytes)).toEqual(plain);
    expect(tcpChecksumFits(bytes, { source: A, destination: B })).toBe(true);
    bytes[21] = (bytes[21] ?? 0) ^ 1;
    expect(tcpChecksumFits(bytes, { source: A, destination: B })).toBe(false);
  });

  it("options that end, pad or lie are read without looking beyond the header", () => {
    const base = encodeTcp({ ...segment(both().fromA[0]) }, { source: A, destination: B });
    for (const options of [
      [1, 1, 1, 0],
      [2, 40, 5, 180],
      [2, 0, 5, 180],
      [2, 1, 5, 180],
      [3, 3, 7, 2],
    ]) {
      const bytes = base.slice();
      bytes.set(options, 20);
      expect(segment(bytes).mss).toBeUndefined();
    }
  });
});
