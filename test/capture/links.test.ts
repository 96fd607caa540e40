import fc from "fast-check";
import { expect, it } from "vitest";
import { cookedJson, readLink } from "../../src/capture/links.ts";
import { fromHex } from "../../src/core/bytes.ts";

const bytes = (hex: string) => fromHex(hex.replaceAll(" ", "")) ?? new Uint8Array(0);

it("LINKTYPE_ETHERNET: the type stands at octet 12, the payload at 14, whatever the type", () => {
  const header = "01005e000012 020000000101";
  for (const type of ["0800", "8100", "0026", "88cc"]) {
    expect(readLink(1, bytes(`${header} ${type} 45`))).toEqual({
      kind: "ethernet",
      etherType: Number.parseInt(type, 16),
      payloadOffset: 14,
    });
  }
});

it("LINKTYPE_LINUX_SLL: packet type, device type, sender and protocol", () => {
  const link = readLink(113, bytes("0002 0001 0006 020000000101 0000 0800 45"));
  expect(link).toMatchObject({ kind: "sll", etherType: 0x0800, payloadOffset: 16 });
  expect(link.cooked && cookedJson(link.cooked)).toEqual({
    pkttype: "2",
    hatype: "1",
    "src.eth": "02:00:00:00:01:01",
    etype: "0x0800",
  });
});

it("LINKTYPE_LINUX_SLL: no sender unless its address has six octets", () => {
  const link = readLink(113, bytes("0004 0200 0000 0000000000000000 0800 45"));
  expect(link.cooked && cookedJson(link.cooked)).toEqual({ pkttype: "4", hatype: "512", etype: "0x0800" });
});

it("LINKTYPE_LINUX_SLL: the protocol of netlink, radiotap and FRAD devices is no EtherType", () => {
  for (const hatype of ["0338", "0323", "0302"]) {
    const link = readLink(113, bytes(`0000 ${hatype} 0000 0000000000000000 0800`));
    expect(link).toMatchObject({ kind: "sll", etherType: undefined, payloadOffset: 16, cooked: { etype: 0x0800 } });
  }
});

it("LINKTYPE_LINUX_SLL2: as SLL, and the interface's index", () => {
  const link = readLink(276, bytes("86dd 0000 00000102 0001 04 06 020000000101 0000 60"));
  expect(link).toMatchObject({ kind: "sll2", etherType: 0x86dd, payloadOffset: 20 });
  expect(link.cooked && cookedJson(link.cooked)).toEqual({
    ifindex: "258",
    pkttype: "4",
    hatype: "1",
    "src.eth": "02:00:00:00:01:01",
    etype: "0x86dd",
  });
});

it.each([
  ["RAW", 101, "45", "raw", 0x0800, 0],
  ["RAW", 101, "60", "raw", 0x86dd, 0],
  ["RAW with neither version", 101, "00", "raw", undefined, 0],
  ["DLT_RAW as BSD wrote it", 12, "45", "raw", 0x0800, 0],
  ["DLT_RAW as OpenBSD wrote it", 14, "60", "raw", 0x86dd, 0],
  ["IPV4", 228, "60", "raw", 0x0800, 0],
  ["IPV6", 229, "45", "raw", 0x86dd, 0],
  ["NULL, little-endian", 0, "02000000 45", "null", 0x0800, 4],
  ["NULL, big-endian", 0, "0000001e 60", "null", 0x86dd, 4],
  ["NULL, FreeBSD's IPv6", 0, "1c000000 60", "null", 0x86dd, 4],
  ["NULL, another family", 0, "07000000 00", "null", undefined, 4],
  ["LOOP", 108, "00000018 60", "null", 0x86dd, 4],
  ["PPP with address and control (RFC 1662 §3.1)", 9, "ff03 0021 45", "ppp", 0x0800, 4],
  ["PPP without them", 9, "0057 60", "ppp", 0x86dd, 2],
  ["PPP with a compressed protocol (RFC 1661 §6.5)", 50, "21 45", "ppp", 0x0800, 1],
  ["PPP, another protocol", 9, "ff03 c021 01", "ppp", undefined, 4],
  ["FRELAY with Cisco's EtherType", 107, "80ea9d 0800 47", "frame-relay", 0x0800, 5],
  ["FRELAY, NLPID of IP (RFC 2427 §4.1)", 107, "1841 03 cc 45", "frame-relay", 0x0800, 4],
  ["FRELAY, NLPID of IPv6 behind a pad", 107, "1841 03 00 8e 60", "frame-relay", 0x86dd, 5],
  ["FRELAY, SNAP", 107, "1841 03 00 80 000000 0806 00", "frame-relay", 0x0806, 10],
  ["FRELAY, SNAP of another organisation", 107, "1841 03 00 80 00000c 0806 00", "frame-relay", undefined, 5],
  ["USER0", 147, "01005e000012 020000000101 0800 45", "unknown", undefined, 0],
] as const)("LINKTYPE_%s", (_what, type, hex, kind, etherType, payloadOffset) => {
  expect(readLink(type, bytes(hex))).toMatchObject({ kind, etherType, payloadOffset });
});

it("says why it knows no header: the link type, or a packet cut within it", () => {
  expect(readLink(147, bytes("00")).reason).toBe("link-type");
  for (const [type, size] of [
    [1, 14],
    [113, 16],
    [276, 20],
    [101, 1],
    [0, 4],
    [9, 1],
    [107, 3],
  ] as const) {
    for (let length = 0; length < size; length++) {
      expect(readLink(type, new Uint8Array(length))).toMatchObject({ kind: "unknown", reason: "length" });
    }
    expect(readLink(type, new Uint8Array(size).fill(1)).kind).not.toBe("unknown");
  }
});

it("never throws, and never puts the payload behind the packet's end", () => {
  const types = fc.oneof(
    fc.constantFrom(0, 1, 9, 12, 14, 50, 101, 107, 108, 113, 228, 229, 276),
    fc.nat({ max: 65_535 }),
  );
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 40 }), (type, packet) => {
      const { payloadOffset } = readLink(type, packet);
      expect(payloadOffset).toBeLessThanOrEqual(packet.length);
    }),
    { numRuns: 20_000 },
  );
});
