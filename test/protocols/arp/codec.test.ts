import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  arpFrame,
  arpReply,
  arpRequest,
  decodeArp,
  encodeArp,
  gratuitousArp,
  isGratuitous,
} from "../../../protocols/arp/codec.ts";
import { BROADCAST, type Ip4, ip4From, type Mac, macFrom } from "../../../src/core/addr.ts";
import { toHex } from "../../../src/core/bytes.ts";
import { capturedFrames } from "../../support/captured.ts";

const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFrom(bytes));
const ip = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ip4From(bytes));
const packet = fc.record({
  operation: fc.integer({ min: 0, max: 0xffff }),
  senderMac: mac,
  senderIp: ip,
  targetMac: mac,
  targetIp: ip,
});

const arps = capturedFrames().filter(({ ethernet }) => ethernet.type === 0x0806);
const VMAC = "00:00:5e:00:01:33" as Mac;
const VIP = "192.0.2.100" as Ip4;

describe("ARP codec (RFC 826)", () => {
  it("gives back every packet that it encodes", () => {
    fc.assert(
      fc.property(packet, (value) => {
        expect(decodeArp(encodeArp(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it("throws on no octets", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => typeof decodeArp(bytes).ok === "boolean"));
  });

  it("reads every captured packet as its sidecar says, and writes it back octet by octet", () => {
    let whole = 0;
    for (const { where, ethernet, said, verdict } of arps) {
      const decoded = decodeArp(ethernet.payload);
      if (verdict.expect === "drop") {
        expect(decoded, where).toEqual({ ok: false, reason: verdict.reason });
        continue;
      }
      if (!decoded.ok) expect.fail(`${where}: ${decoded.reason}`);
      const { operation, senderMac, senderIp, targetMac, targetIp } = decoded.value;
      const gratuitous = isGratuitous(decoded.value);
      expect(
        { op: operation, sha: senderMac, spa: senderIp, tha: targetMac, tpa: targetIp, gratuitous },
        where,
      ).toEqual(said["arp"]);
      expect(toHex(encodeArp(decoded.value)), where).toBe(toHex(ethernet.payload.subarray(0, 28)));
      whole++;
    }
    expect(whole).toBeGreaterThan(1000);
  });

  it("builds the announcement that keepalived and FRR send", () => {
    const frame = arpFrame(gratuitousArp(VMAC, VIP), BROADCAST);
    const captured = arps.find(({ where }) => where === "craft-garp-na.pcap#2");
    expect(toHex(frame.bytes.subarray(14))).toBe(toHex(captured?.ethernet.payload ?? new Uint8Array()));
    expect(toHex(frame.bytes.subarray(0, 14))).toBe("ffffffffffff00005e0001330806");
  });

  it("answers a request with its addresses exchanged (RFC 826, Packet Reception)", () => {
    const asked = arpRequest("02:00:00:00:00:09" as Mac, "192.0.2.9" as Ip4, VIP);
    expect(arpReply(asked, VMAC)).toEqual({
      operation: 2,
      senderMac: VMAC,
      senderIp: VIP,
      targetMac: "02:00:00:00:00:09",
      targetIp: "192.0.2.9",
    });
  });

  it("names what is wrong: cut, other hardware, other protocol, other lengths", () => {
    const good = encodeArp(gratuitousArp(VMAC, VIP));
    const broken = (at: number, value: number) => {
      const bytes = good.slice();
      bytes[at] = value;
      return decodeArp(bytes);
    };
    expect(decodeArp(good.subarray(0, 27))).toEqual({ ok: false, reason: "length" });
    expect(decodeArp(good.subarray(0, 7))).toEqual({ ok: false, reason: "length" });
    for (const at of [1, 3, 4, 5]) expect(broken(at, 9)).toEqual({ ok: false, reason: "arp-format" });
  });
});
