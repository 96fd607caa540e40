import { describe, expect, it } from "vitest";
import { FlowCount } from "../../../protocols/flow/count.ts";
import { FlowSource, portOf, stampOf } from "../../../protocols/flow/source.ts";
import { decodeIcmp } from "../../../protocols/icmp/codec.ts";
import { decodeUdp } from "../../../protocols/udp/codec.ts";
import type { Ip } from "../../../src/core/addr.ts";
import { FrameHeader } from "../../../src/core/frame.ts";
import { instant } from "../../../src/core/time.ts";
import { packetIn } from "../../support/ip.ts";

const NUMBERS = [0, 1, 255, 65_535, 65_536, 9_999_999];

function source(to: string, kind: "datagram" | "echo", size: number): FlowSource {
  const flow = { id: "f", from: "a", to: to as Ip, rate: 1, size, start: instant(0) };
  const from = to.includes(":") ? "2001:db8::9" : "10.0.0.9";
  return new FlowSource(new FlowCount(flow, 70_000, kind), from as Ip);
}

describe.each(["10.0.0.1", "2001:db8::1"])("packets of a flow to %s", (to) => {
  it("are UDP datagrams with right checksums, the index of the flow and their number", () => {
    const one = source(to, "datagram", 200);
    for (const n of NUMBERS) {
      const packet = packetIn(one.frame(n));
      const udp = decodeUdp(packet.payload, packet);
      expect(packet).toMatchObject({ source: one.packet.source, destination: to, ttl: 64 });
      if (!udp.ok) expect.fail(`${n}: ${udp.reason}`);
      expect(udp.value.destinationPort).toBe(portOf(70_000));
      expect(udp.value.unchecked).toBeUndefined();
      expect(stampOf(udp.value.payload)).toEqual({ index: 70_000, number: n });
    }
  });

  it("are echo requests with right checksums, the low bits of the number as sequence", () => {
    const one = source(to, "echo", 100);
    for (const n of NUMBERS) {
      const packet = packetIn(one.frame(n));
      const icmp = decodeIcmp(packet.payload, packet);
      if (!icmp.ok || icmp.value.kind !== "echo-request") expect.fail(`${n}: no echo request`);
      expect(icmp.value).toMatchObject({ identifier: 70_000 & 0xffff, sequence: n & 0xffff });
      expect(stampOf(icmp.value.data)).toEqual({ index: 70_000, number: n });
    }
  });

  it.each([100, 200, 1500, 9000])("are frames of %i octets", (size) => {
    for (const kind of ["datagram", "echo"] as const) {
      const frame = source(to, kind, size).frame(1);
      expect(frame.size).toBe(size);
      expect(frame.bytes.length).toBe(size);
      expect(new FrameHeader(frame.bytes)).toEqual(frame.header);
    }
  });

  it("are no smaller than headers and number need", () => {
    expect(source(to, "datagram", 20).frame(1).size).toBe(to.includes(":") ? 70 : 50);
  });
});
